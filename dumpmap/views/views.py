"""What each command shows, as tables: the columns of every view are said here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from dumpmap.model.columns import COLUMNS, SUMMARY_COLUMNS
from dumpmap.model.location import Location
from dumpmap.model.ntstatus import exception_text
from dumpmap.model.region_map import RegionMap
from dumpmap.model.snapshot import WORKING_SET_COLUMNS
from dumpmap.model.types import RegionType
from dumpmap.parsers.minidump.layout import MinidumpType
from dumpmap.views.blocks import Blank, Block, Fact, Facts, Paragraph
from dumpmap.views.documents import moment_text
from dumpmap.views.filters import Filter, file_name, owner_details
from dumpmap.views.table import Column, Content, Table, cell_text
from dumpmap.wording.text import Units, address_text, more_text, size_text, unit_name

if TYPE_CHECKING:
    import pandas as pd

_WS_HEADINGS = {
    "total_ws": "Total WS",
    "private_ws": "Private WS",
    "shareable_ws": "Shareable WS",
    "shared_ws": "Shared WS",
    "locked_ws": "Locked WS",
}


def _has_working_set(region_map: RegionMap) -> bool:
    return any(name in region_map.space.regions.numbers for name in WORKING_SET_COLUMNS)


def summary_table(region_map: RegionMap) -> Table:
    """VMMap's type table."""
    shown = _has_working_set(region_map) or bool(region_map.snapshot.recorded_summary)
    columns = [Column("type")]
    for name in SUMMARY_COLUMNS:
        holds: Content = "count" if name == "blocks" else "size"
        columns.append(Column(name, holds, _WS_HEADINGS.get(name), shown or name not in WORKING_SET_COLUMNS))
    rows = [(line.name, *line.values().values()) for line in region_map.summary_lines]
    return Table(tuple(columns), rows, region_map.address_width)


_OPTIONAL = ("committed", "protection", "private", "total_ws", "inferred", "blocks", *WORKING_SET_COLUMNS[1:])
"""Columns of regions that a narrow terminal can do without, the last one first."""


def _region_column(name: str, shown: bool) -> Column:
    holds: Content = "text"
    if name in ("address", "allocation"):
        holds = "address"
    elif name in ("size", "committed", "private", *WORKING_SET_COLUMNS):
        holds = "size"
    elif name == "blocks":
        holds = "count"
    elif name == "inferred":
        holds = "flag"
    optional = _OPTIONAL.index(name) + 1 if name in _OPTIONAL else 0
    return Column(name, holds, _WS_HEADINGS.get(name), shown, optional)


def region_table(region_map: RegionMap, frame: pd.DataFrame, *, evidence: bool = False, owners: bool = False) -> Table:
    """Rows of `RegionMap.allocations` or `.regions`.

    Args:
        region_map: whose rows they are.
        frame: the rows.
        evidence: whether the text table shows what they rest on.
        owners: give a region without details of its own those of its allocation, paths by their last part: a person
            sees a section and wants to know of which module.
    """
    if owners and "allocation" in frame.columns:
        owned = owner_details(region_map, frame).map(file_name)
        frame = frame.assign(details=frame["details"].where(frame["details"] != "", owned))
    names = [name for name in ("allocation", *COLUMNS) if name in frame.columns]
    hidden = set() if _has_working_set(region_map) else set(WORKING_SET_COLUMNS)
    if not evidence:
        hidden.add("evidence")
    if "allocation" in names:  # a block's own row does not say whose it is, nor how many blocks it is
        hidden |= {"allocation", "blocks"}
    columns = [_region_column(name, name not in hidden) for name in names]
    series = []
    for name in names:
        values = frame[name]
        if values.dtype.name == "Int64":
            missing = values.isna().to_numpy()
            data = values.to_numpy(dtype=np.int64, na_value=0).astype(object)
            data[missing] = None
            series.append(data.tolist())
        else:
            series.append(values.tolist())
    return Table(tuple(columns), list(zip(*series, strict=True)), region_map.address_width)


def nothing_text(chosen: Filter, *, blocks: bool) -> str:
    """Says that no row passed a filter, and where to look instead."""
    if chosen == Filter():
        return "The map has no regions."
    text = f"No {'region' if blocks else 'allocation'} fits all the filters."
    if chosen.protections and not blocks:
        text += " A protection is looked for in whole allocations; --blocks looks at each region."
    return text


def region_blocks(table: Table, left_out: int, nothing: str) -> Iterator[Block]:
    """Everything that `regions` shows: the rows, and how many a limit left out."""
    if not table.rows and not left_out:
        yield Paragraph(nothing)
        return
    yield table
    if left_out:
        yield Paragraph(more_text(left_out))


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


def location_table(region_map: RegionMap, locations: Iterable[tuple[int, Location | None]]) -> Table:
    """Answers of `address`, a row each; an address nothing is known of has a row with nothing but itself."""
    rows = []
    for address, location in locations:
        if location is None:
            beyond = region_map.end is not None and address >= region_map.end
            rest = [None] * (len(LOCATION_COLUMNS) - 2)
            row = [address, "outside the address space" if beyond else "not known", *rest]
        else:
            row = [
                location.type.label if column.name == "type" else getattr(location, column.name)
                for column in LOCATION_COLUMNS
            ]
        rows.append(row)
    return Table(LOCATION_COLUMNS, rows, region_map.address_width)


STACK_COLUMNS = (
    Column("thread_id", "number", "Thread"),
    Column("name"),
    Column("bits", "number", optional=2),
    Column("base", "address"),
    Column("end", "address", optional=4),
    Column("reserve", "size"),
    Column("committed", "size"),
    Column("guard", "size", optional=1),
    Column("stack_pointer", "address", optional=3),
    Column("headroom", "size", left=True),
    Column("teb", "address", "TEB", optional=5),
    Column("evidence", optional=6),
    Column("inferred", "flag"),
    Column("exited", "flag", shown=False),
)


def stack_table(region_map: RegionMap) -> Table:
    """One row per stack; a WoW64 thread has two."""
    rows = [[getattr(stack, column.name) for column in STACK_COLUMNS] for stack in region_map.stacks]
    return Table(STACK_COLUMNS, rows, region_map.address_width)


MODULE_COLUMNS = (
    Column("base", "address"),
    Column("end", "address", optional=2),
    Column("size", "size"),
    Column("committed", "size"),
    Column("private", "size", optional=1),
    Column("name"),
    Column("version"),
    Column("timestamp", "hex", optional=3),
    Column("sections", "count", optional=4),
    Column("path", shown=False),
    Column("checksum", "hex", shown=False),
    Column("debug_id", shown=False),
    Column("debug_file", shown=False),
    Column("in_map", "flag", shown=False),
)


def module_table(region_map: RegionMap) -> Table:
    """One row per module, by address."""
    allocations = region_map.allocation_columns
    rows = []
    for module in sorted(region_map.snapshot.modules, key=lambda module: module.base):
        index = region_map.space.index_of(module.base)
        image = region_map.structures.images.get(module.base)
        committed = int(allocations.committed[index]) if index >= 0 else None
        private = int(allocations.private[index]) if index >= 0 and not region_map.partial else None
        rows.append(
            [
                module.base,
                module.base + module.size,
                module.size,
                committed,
                private,
                module.name,
                module.version,
                module.timestamp,
                None if image is None else len(image.sections),
                module.path,
                module.checksum,
                module.debug_id,
                module.debug_file,
                index >= 0,
            ]
        )
    return Table(MODULE_COLUMNS, rows, region_map.address_width)


STREAM_COLUMNS = (
    Column("type", "hex"),
    Column("name"),
    Column("offset", "hex"),
    Column("size", "count"),
    Column("status"),
)


def stream_table(region_map: RegionMap) -> Table:
    """The parts of the input file."""
    streams = region_map.snapshot.source.streams
    rows = [[getattr(stream, column.name) for column in STREAM_COLUMNS] for stream in streams]
    return Table(STREAM_COLUMNS, rows)


def flag_names(flags: int | None) -> list[str]:
    """The names of MINIDUMP_TYPE bits, unknown ones as a number."""
    if flags is None:
        return []
    names = [flag.name for flag in MinidumpType if flag.value and flags & flag.value and flag.name]
    rest = flags & ~int(sum(flag.value for flag in MinidumpType))
    if rest:
        names.append(f"0x{rest:x}")
    return names or ["MiniDumpNormal"]


def fact_rows(region_map: RegionMap) -> list[tuple[str, str]]:
    """The process and the input in a few lines: label and text, leaving out what is not known."""
    process, source, snapshot = region_map.process, region_map.snapshot.source, region_map.snapshot
    width = f"{process.pointer_size * 8}-bit"
    on = ", 32-bit process on 64-bit Windows (WoW64)" if process.wow64 else ""
    facts: list[tuple[str, str | None]] = [
        ("Process", process.name),
        ("PID", None if process.pid is None else str(process.pid)),
        ("Path", process.path),
        ("Command line", process.command_line),
        ("Architecture", f"{process.architecture} ({width}{on})"),
        ("System", " ".join(part for part in (process.os.family, process.os.version, process.os.service_pack) if part)),
        ("Started", moment_text(process.created_at)),
        ("File", source.path or source.name),
        ("Kind", source.kind + (f", {source.container}" if source.container else "")),
        ("Captured", moment_text(source.captured_at)),
        ("Flags", None if source.flags is None else f"0x{source.flags:x} {' | '.join(flag_names(source.flags))}"),
        ("Completeness", region_map.completeness),
        ("Exception", _exception_text(region_map)),
        ("Threads", str(len(snapshot.threads))),
        ("Modules", str(len(snapshot.modules))),
        ("Handles", None if snapshot.handle_count is None else f"{snapshot.handle_count:,}"),
        ("Comment", "; ".join(snapshot.comments) or None),
    ]
    return [(label, text) for label, text in facts if text]


def _exception_text(region_map: RegionMap) -> str | None:
    exception = region_map.snapshot.exception
    if exception is None:
        return None
    thread = "" if exception.thread_id is None else f" in thread {exception.thread_id}"
    where = "" if exception.address is None else f" at {address_text(exception.address, region_map.address_width)}"
    return exception_text(exception.code, region_map.process.os.family) + thread + where


def location_blocks(
    region_map: RegionMap, locations: Iterable[tuple[int, Location | None]], units: Units
) -> Iterator[Block]:
    """Answers of `address`: a person asks for one or two."""
    for place, (address, location) in enumerate(locations):
        if place:
            yield Blank()
        lines: Iterable[tuple[str, str]]
        if location is None:
            lines = [
                ("Address", address_text(address, region_map.address_width)),
                ("Type", _why_unknown(region_map, address)),
            ]
        elif location.type in (RegionType.FREE, RegionType.UNUSABLE):
            lines = _gap_lines(region_map, location, units)
        else:
            lines = _location_lines(region_map, location, units)
        yield Facts([Fact(label, text) for label, text in lines])


def _why_unknown(region_map: RegionMap, address: int) -> str:
    """Why nothing is said of an address."""
    from dumpmap.analysis.free import free_space

    if region_map.end is None:
        return "unknown: the input has no list of memory regions, and nothing else in it tells of this address."
    space, end = free_space(region_map), address_text(region_map.end, region_map.address_width)
    if space is not None and not space.complete and not (space.limit.size and address >= space.limit.size):
        return f"unknown: the list of memory regions is cut off at {end}."
    return f"outside the address space, which ends at {end}."


def _location_lines(region_map: RegionMap, location: Location, units: Units) -> Iterable[tuple[str, str]]:
    """What is known of an address in use; a size with its unit."""
    (row,) = location_table(region_map, [(location.address, location)]).rows
    for column, value in zip(LOCATION_COLUMNS, row, strict=True):
        text = cell_text(value, column, units, region_map.address_width)
        if column.name == "in_file":
            # Reserved memory has no bytes; of committed memory a person wants to know that they are missing.
            text = f"{text} from here on" if value else "none" if location.state == "Committed" else ""
        if text:
            unit = unit_name(units) if column.holds == "size" else ""
            yield column.title, f"{text} {unit}".rstrip()


def _gap_lines(region_map: RegionMap, location: Location, units: Units) -> Iterable[tuple[str, str]]:
    """What is known of an address that is not in use: the gap, and what lies around it."""
    from dumpmap.analysis.free import GRANULARITY

    width, unit = region_map.address_width, unit_name(units)
    start, end = location.block, location.block + location.block_size
    yield "Address", address_text(location.address, width)
    yield "Type", location.type.label
    if location.type == RegionType.UNUSABLE:
        yield "Note", "free, but lost: an allocation can only start at the next multiple of 64 KB"
    if location.address < GRANULARITY and region_map.process.os.family == "windows":
        yield "Note", "free, but Windows gives the first 64 KB to nobody"
    yield "Range", f"{address_text(start, width)} to {address_text(end, width)}"
    yield "Size", f"{size_text(location.block_size, units)} {unit}".rstrip()
    columns = region_map.allocation_columns
    after = int(np.searchsorted(columns.base, np.uint64(start)))
    for label, index in (("Before it", after - 1), ("Behind it", after)):
        if not 0 <= index < len(columns.base):
            yield label, f"the {'start' if label == 'Before it' else 'end'} of the address space"
            continue
        base, size = int(columns.base[index]), int(columns.size[index])
        what = region_map.texts[columns.details[index]] or region_map.texts[columns.kind[index]]
        name = RegionType(int(columns.type[index])).label + (f", {what}" if what else "")
        yield label, f"{address_text(base, width)} {name}, {size_text(size, units)} {unit}".rstrip()
    if location.in_file:
        yield "Bytes in file", f"{location.in_file:,} from here on, although the address is free"
