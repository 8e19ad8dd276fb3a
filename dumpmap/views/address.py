"""What `address` shows."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from dumpmap.analysis.ownership import OwnerAt, owner_at
from dumpmap.model.location import Location
from dumpmap.model.region_map import RegionMap
from dumpmap.model.types import RegionType
from dumpmap.model.winnt import ALLOCATION_GRANULARITY
from dumpmap.views.blocks import Blank, Block, Fact, Facts, Lines
from dumpmap.views.documents import head
from dumpmap.views.pointers import held_at, held_document, held_text
from dumpmap.views.table import Column, Table, cell_text
from dumpmap.wording.owners import owner_text, proof_text
from dumpmap.wording.text import Units, address_text, hex_text, unit_text

Answer = tuple[int, Location | None]
"""An address, and what is there; None outside the address space or where the input does not say."""

LOCATION_COLUMNS = (
    Column("address", "address"),
    Column("type"),
    Column("kind"),
    Column("details"),
    Column("state"),
    Column("protection"),
    Column("allocation", "address"),
    Column("allocation_size", "size"),
    Column("offset", "hex"),
    Column("block", "address"),
    Column("block_size", "size"),
    Column("module", shown=False),
    Column("section"),
    Column("thread_id", "number", "Thread"),
    Column("heap", shown=False),
    Column("in_file", "count", "Bytes in file"),
    Column("evidence"),
    Column("inferred", "flag"),
)

_OWNER_COLUMNS = (
    Column("owner"),
    Column("owner_module"),
    Column("owner_instance", heading="Instance"),
    Column("owner_inferred", "flag"),
    Column("owner_evidence"),
    Column("proof"),
    Column("other_owners"),
)


MOST_BYTES = 4096
"""Most captured bytes that are shown of an address."""

_BYTES_PER_LINE = 16

_NO_ALLOCATION = "the input has no list of memory regions, and nothing in it says where the allocation begins and ends"


def location_document(region_map: RegionMap, answers: Sequence[Answer], count: int = 0) -> dict[str, Any]:
    """Returns `dumpmap.address/1` with at most `count` captured bytes of each address."""
    return {
        **head("dumpmap.address/1", region_map),
        "addresses": [
            {
                "address": hex_text(address),
                "found": None if location is None else _found(region_map, location),
                "held_by": None if (held := held_at(region_map, address)) is None else held_document(held),
                "bytes": _captured(region_map, address, count).hex() or None,
            }
            for address, location in answers
        ],
    }


def _found(region_map: RegionMap, location: Location) -> dict[str, Any]:
    document = dataclasses.asdict(location)
    for name in ("address", "allocation", "block"):
        document[name] = hex_text(document[name]) or None
    document["type"] = location.type.label
    document["allocation_unknown"] = _NO_ALLOCATION if location.allocation is None else None
    owner = owner_at(region_map, location.address)
    document["owner"] = None
    if owner is not None:
        document["owner"] = {
            "owner": owner.name.owner,
            "module": owner.name.module or None,
            "instance": owner.name.instance or None,
            "inferred": owner.inferred,
            "evidence": owner.evidence,
            "proof": proof_text(owner, region_map.address_width),
            "proof_address": None if owner.proof is None else hex_text(owner.proof.address),
            "others": [other.owner for other in owner.others],
        }
    return document


def _owner_row(region_map: RegionMap, location: Location) -> list[Any]:
    """Returns the values of `_OWNER_COLUMNS`."""
    owner = owner_at(region_map, location.address)
    if owner is None:
        return [None] * len(_OWNER_COLUMNS)
    return [
        owner.name.owner,
        owner.name.module,
        owner.name.instance,
        owner.inferred,
        owner.evidence,
        proof_text(owner, region_map.address_width),
        _other_owners(owner),
    ]


def _other_owners(owner: OwnerAt) -> str:
    return ", ".join(dict.fromkeys(other.owner for other in owner.others))


def location_table(region_map: RegionMap, answers: Iterable[Answer]) -> Table:
    """Returns one row per address; an unknown address has no other values."""
    rows = []
    for address, location in answers:
        if location is None:
            beyond = region_map.end is not None and address >= region_map.end
            rest = [None] * (len(LOCATION_COLUMNS) + len(_OWNER_COLUMNS) - 2)
            row = [address, "outside the address space" if beyond else "not known", *rest]
        else:
            row = [
                location.type.label if column.name == "type" else getattr(location, column.name)
                for column in LOCATION_COLUMNS
            ] + _owner_row(region_map, location)
        rows.append(row)
    return Table((*LOCATION_COLUMNS, *_OWNER_COLUMNS), rows, region_map.address_width)


def _captured(region_map: RegionMap, address: int, count: int) -> bytes:
    """Reads up to `count` bytes at an address; empty if the input does not contain the first of them."""
    memory = region_map.snapshot.memory
    for start, size in memory.ranges() if count > 0 else ():
        if start <= address < start + size:
            return memory.read(address, min(count, MOST_BYTES, start + size - address)) or b""
    return b""


def _dump_lines(data: bytes) -> list[str]:
    """Writes bytes as offset, hexadecimal, and text; bytes that are not printable ASCII are dots."""
    lines = []
    for at in range(0, len(data), _BYTES_PER_LINE):
        part = data[at : at + _BYTES_PER_LINE]
        text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in part)
        lines.append(f"+0x{at:03x}  {part.hex(' '):<{3 * _BYTES_PER_LINE - 1}}  {text}")
    return lines


def location_view(
    region_map: RegionMap,
    answers: Iterable[Answer],
    units: Units,
    count: int = 0,
) -> Iterator[Block]:
    """Yields everything that `address` shows to people, with at most `count` captured bytes of each address."""
    for place, (address, location) in enumerate(answers):
        if place:
            yield Blank()
        held = held_at(region_map, address)
        facts = list(_facts(region_map, address, location, units))
        yield Facts(facts if held is None else [*facts, Fact("Held by", held_text(region_map, held))])
        data = _captured(region_map, address, count)
        if data:
            yield Blank()
            yield Lines(_dump_lines(data))


def _facts(region_map: RegionMap, address: int, location: Location | None, units: Units) -> Iterable[Fact]:
    if location is None:
        return (
            Fact("Address", address_text(address, region_map.address_width)),
            Fact("Type", _why_unknown(region_map, address)),
        )
    if location.type in (RegionType.FREE, RegionType.UNUSABLE):
        return _gap_facts(region_map, location, units)
    return _location_facts(region_map, location, units)


def _why_unknown(region_map: RegionMap, address: int) -> str:
    """Returns why nothing is known about an address."""
    from dumpmap.analysis.free import free_space

    width = region_map.address_width
    if region_map.end is None:
        for code in region_map.snapshot.generated_code:
            if code.base <= address < code.base + code.size:
                ends = address_text(code.base, width), address_text(code.base + code.size, width)
                return (
                    "unknown: the input has no list of memory regions; the address is in a range that the program "
                    f"registered for generated code ({ends[0]} to {ends[1]}), and its bytes were not captured"
                )
        return "unknown: the input has no list of memory regions and no other record of this address"
    space, end = free_space(region_map), address_text(region_map.end, width)
    if space is not None and not space.complete and not (space.limit.size and address >= space.limit.size):
        return f"unknown: the list of memory regions is cut off at {end}"
    return f"outside the address space, which ends at {end}"


def _location_facts(region_map: RegionMap, location: Location, units: Units) -> Iterator[Fact]:
    """Yields what is known about an address in use; a size carries its unit."""
    (row,) = location_table(region_map, [(location.address, location)]).rows
    for column, value in zip(LOCATION_COLUMNS, row, strict=False):
        text = cell_text(value, column, units, region_map.address_width)
        if column.name == "allocation" and location.allocation is None:
            text = f"unknown: {_NO_ALLOCATION}"
        if column.name == "in_file":
            # Reserved memory has no bytes; missing bytes of committed memory are worth a line.
            text = f"{text} from this address" if value else "none" if location.state == "Committed" else ""
        if text:
            yield Fact(column.title, unit_text(int(value), units) if column.holds == "size" else text)

    owner = owner_at(region_map, location.address)
    if owner is not None:
        yield Fact("Owner", owner_text(owner))
        yield Fact("Proof", proof_text(owner, region_map.address_width))
        if owner.others:
            yield Fact("Other owners", _other_owners(owner))


def _gap_facts(region_map: RegionMap, location: Location, units: Units) -> Iterator[Fact]:
    """Yields what is known about a free address: the gap and its neighbours."""
    width = region_map.address_width
    start, end = location.block, location.block + location.block_size
    yield Fact("Address", address_text(location.address, width))
    yield Fact("Type", location.type.label)
    if location.type == RegionType.UNUSABLE:
        yield Fact("Note", "free but unusable: allocations start at multiples of 64 KB")
    if location.address < ALLOCATION_GRANULARITY and region_map.process.os.family == "windows":
        yield Fact("Note", "free, but Windows reserves the first 64 KB")
    yield Fact("Range", f"{address_text(start, width)} to {address_text(end, width)}")
    yield Fact("Size", unit_text(location.block_size, units, left=True))
    after = int(np.searchsorted(region_map.allocation_columns.base, np.uint64(start)))
    yield Fact("Before", _neighbour(region_map, after - 1, units) or "the start of the address space")
    yield Fact("After", _neighbour(region_map, after, units) or "the end of the address space")
    if location.in_file:
        yield Fact("Bytes in file", f"{location.in_file:,} from this address, although it is free")


def _neighbour(region_map: RegionMap, index: int, units: Units) -> str | None:
    columns = region_map.allocation_columns
    if not 0 <= index < len(columns.base):
        return None
    base, size = int(columns.base[index]), int(columns.size[index])
    what = region_map.texts[columns.details[index]] or region_map.texts[columns.kind[index]]
    name = RegionType(int(columns.type[index])).label + (f", {what}" if what else "")
    return f"{address_text(base, region_map.address_width)} {name}, {unit_text(size, units)}"
