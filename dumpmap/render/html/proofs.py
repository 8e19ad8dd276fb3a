"""Which rows of the page prove a finding: the places that it names, and the rows that its figures add up."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from dumpmap.model.region_map import RegionMap
from dumpmap.model.types import BY_NAME, TYPES, RegionType
from dumpmap.model.values import value_class
from dumpmap.wording.findings import Finding
from dumpmap.wording.text import address_text, short_size, size_left

ProofKind = Literal["address", "type", "words", "stacks", "heaps", "modules", "input"]
"""What a link shows: the row at an address, the rows of a type or with a text, or another table."""

_MOST_PLACES = 5
"""Places of one finding that the page links."""

_EXECUTABLE_WRITABLE = "Execute/Read/Write"


@value_class(frozen=True, slots=True)
class Proof:
    """A link from a finding to rows.

    Attributes:
        text: what the link says.
        kind: what it shows.
        value: the address, the number of the type, or the text to filter by; blank for a whole table.
    """

    text: str
    kind: ProofKind
    value: str = ""


_FREE = ("free",)
_COMMITTED = ("committed", "input")
_FAILURE = ("thread", "free", "input")
_HEAPS = ("heaps",)

SHOWS: Mapping[str, tuple[str, ...]] = {
    "runtime-heap-limit-reached": ("managed", "thread", "input"),
    "writer-recorded-out-of-memory": _FAILURE,
    "out-of-memory-exception": _FAILURE,
    "stack-commit-failure": ("thread", "stacks"),
    "stack-overflow": ("thread", "stacks"),
    "allocation-request-impossible": _FAILURE,
    "address-space-exhausted": ("free", "used"),
    "largest-free-block-small": ("free", "used"),
    "address-space-fragmented": _FREE,
    "address-space-low": ("free", "used"),
    "heap-segment-will-not-fit": ("free", "heaps"),
    "gc-segment-will-not-fit": ("free", "managed"),
    "commit-limit-reached": _COMMITTED,
    "commit-limit-near": _COMMITTED,
    "job-commit-limit-near": _COMMITTED,
    "runtime-heap-limit-near": ("managed", "input"),
    "heap-commit-failures": _HEAPS,
    "last-error-out-of-memory": _FAILURE,
    "many-threads": ("stacks",),
    "unusable-space": ("unusable",),
    "page-heap-on": _HEAPS,
    "heap-fragmented": _HEAPS,
    "reserve-exceeds-commit": ("reserved",),
    "not-large-address-aware": ("program",),
    "many-heaps": _HEAPS,
    "module-loaded-twice": ("copies", "modules"),
    "file-mapped-repeatedly": ("files",),
    "type-dominates": ("dominant",),
    "executable-writable-memory": ("executable",),
    "cpp-exception-unreadable": ("thread", "input"),
    "dump-too-small": ("input",),
    "input-damaged": ("input",),
    "input-contradictory": ("input",),
}
"""What each finding shows besides the places that it names, the strongest proof first."""


_TYPES: Mapping[str, tuple[RegionType, str]] = {
    "free": (RegionType.FREE, "Free blocks, the largest first"),
    "unusable": (RegionType.UNUSABLE, "Unusable space, the largest first"),
    "managed": (RegionType.MANAGED_HEAP, "Managed Heap, the largest allocations first"),
    "files": (RegionType.MAPPED_FILE, "Mapped files, the largest first"),
}


def proofs(finding: Finding, region_map: RegionMap) -> tuple[Proof, ...]:
    """Returns the links of a finding; rows that the map does not have get none."""
    links = [*_places(finding.values, region_map)]
    for name in SHOWS[finding.id]:
        links += _shown(name, finding.values, region_map)
    return tuple(dict.fromkeys(links))


def _places(values: Mapping[str, Any], region_map: RegionMap) -> Iterator[Proof]:
    """The rows at the addresses among the values."""
    block = values.get("largest_free_block")
    if block:
        place = address_text(int(block["address"], 16), region_map.address_width)
        yield Proof(f"Largest free block, {size_left(block['size'])} at {place}", "address", place)
    found = (item for value in values.values() if isinstance(value, list) for item in value if isinstance(item, dict))
    for item in itertools.islice((item for item in found if "address" in item), _MOST_PLACES):
        address = int(item["address"], 16)
        if region_map.at(address) is not None:
            place = address_text(address, region_map.address_width)
            yield Proof(f"{_what(item)} at {place}", "address", place)


def _what(item: Mapping[str, Any]) -> str:
    """What is at a place that a finding names."""
    if "module" in item:
        return f"Copy of {item['module']}"
    if "id" in item:
        return "Heap" if item["id"] is None else f"Heap {item['id']}"
    return short_size(item["size"]) if "size" in item else "Memory"


def _shown(name: str, values: Mapping[str, Any], region_map: RegionMap) -> Iterable[Proof]:
    if name in _TYPES:
        return _of_type(region_map, *_TYPES[name])
    match name:
        case "used" | "committed":
            return _most_of_a_type(region_map, name)
        case "dominant":
            return _of_type(
                region_map, BY_NAME[values["type"].lower()], f"{values['type']}, the largest allocations first"
            )
        case "reserved":
            return [Proof("Reserved memory, the largest first", "words", "Reserved")]
        case "executable":
            return [Proof("Memory that is writable and executable", "words", _EXECUTABLE_WRITABLE)]
        case "program":
            return [Proof("The program's module", "modules", region_map.process.name or "")]
        case "copies":
            return [Proof(f"Modules named {one['name']}", "modules", one["name"]) for one in values["modules"]]
        case "thread":
            number = values.get("thread_id")
            return [] if number is None else [Proof(f"Stack of thread {number}", "stacks", str(number))]
        case _:
            return _table(name, region_map)


def _table(name: str, region_map: RegionMap) -> Iterable[Proof]:
    if name == "stacks" and region_map.stacks:
        yield Proof("Stacks", "stacks")
    elif name == "heaps" and region_map.heaps:
        yield Proof("Heaps", "heaps")
    elif name == "modules" and region_map.snapshot.modules:
        yield Proof("Modules", "modules")
    elif name == "input":
        yield Proof("Counters and streams of the input", "input")


def _of_type(region_map: RegionMap, type_: RegionType, text: str) -> Iterable[Proof]:
    if region_map.line(type_).size:
        yield Proof(text, "type", str(int(type_)))


def _most_of_a_type(region_map: RegionMap, name: str) -> Iterable[Proof]:
    """The type that holds the most: of the address space in use, or of committed memory."""
    figure = "size" if name == "used" else "committed"
    held = {
        info.type: getattr(region_map.line(info.type), figure) or 0
        for info in TYPES
        if info.type not in (RegionType.FREE, RegionType.UNUSABLE, RegionType.PAGE_TABLE)
    }
    most = max(held, key=lambda type_: held[type_])
    if held[most]:
        what = "of it in use" if name == "used" else "committed"
        yield from _of_type(region_map, most, f"{most.label}, {short_size(held[most])} {what}")
