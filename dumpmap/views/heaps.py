"""What `heaps` shows."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from dumpmap.analysis.heaps import heap_blocks, heap_range_rows, heap_rows
from dumpmap.model.region_map import RegionMap
from dumpmap.views.blocks import Blank, Block, Paragraph
from dumpmap.views.documents import head
from dumpmap.views.table import Column, Table, to_records
from dumpmap.wording.text import count_words, kb_text

MAX_STATED = 20
"""Most heaps that get a line of their own about what their headers state."""

HEAP_COLUMNS = (
    Column("id", "number", "ID"),
    Column("address", "address"),
    Column("bits", "number", shown=False),
    Column("kind"),
    Column("name"),
    Column("heap_class", "text", "Class", optional=5),
    Column("is_default", "flag", "Default", optional=7),
    Column("flags", "hex", optional=8),
    Column("flag_names", shown=False),
    Column("lfh", "flag", "LFH"),
    Column("segments", "count", optional=3),
    Column("large_blocks", "count", "Large", optional=4),
    Column("allocations", "count", shown=False),
    Column("reserved", "size"),
    Column("committed", "size"),
    Column("uncommitted", "size", shown=False),
    Column("uncommitted_ranges", "count", "Uncommitted ranges", optional=9),
    Column("largest_uncommitted", "size", "Largest uncommitted", optional=6),
    Column("fragmentation", "percent", "Fragm."),
    Column("va_fragmentation", "percent", "VA fragm.", optional=1),
    Column("next_segment", "size", "Next segment", optional=2),
    Column("free", "size", optional=2),
    Column("stated_reserved", "size", shown=False),
    Column("stated_committed", "size", shown=False),
    Column("stated_segments", "count", shown=False),
    Column("commit_failures", "count", shown=False),
    Column("evidence", shown=False),
    Column("inferred", "flag", shown=False),
)

RANGE_COLUMNS = (
    Column("heap", "number"),
    Column("heap_address", "address", shown=False),
    Column("address", "address"),
    Column("size", "size"),
    Column("role"),
    Column("allocation", "address", optional=3),
    Column("committed", "size"),
    Column("uncommitted_ranges", "count", "Uncommitted ranges", optional=2),
    Column("largest_uncommitted", "size", "Largest uncommitted", optional=1),
    Column("evidence", optional=4),
    Column("inferred", "flag"),
)

BLOCK_COLUMNS = (
    Column("heap", "number"),
    Column("heap_address", "address", optional=1),
    Column("limit", "count", "Blocks up to (bytes)"),
    Column("busy_count", "count", "Busy"),
    Column("busy_bytes", "size", "Busy size"),
    Column("free_count", "count", "Free"),
    Column("free_bytes", "size", "Free size"),
)


def _value(row: object, name: str) -> Any:
    value = getattr(row, name)
    return " ".join(value) if isinstance(value, tuple) else value


def heap_table(region_map: RegionMap) -> Table:
    """Returns one row per heap."""
    rows = [[_value(row, column.name) for column in HEAP_COLUMNS] for row in heap_rows(region_map)]
    return Table(HEAP_COLUMNS, rows, region_map.address_width)


def range_table(region_map: RegionMap) -> Table:
    """Returns one row per segment, large block, or front end."""
    rows = [[_value(row, column.name) for column in RANGE_COLUMNS] for row in heap_range_rows(region_map)]
    return Table(RANGE_COLUMNS, rows, region_map.address_width)


@dataclasses.dataclass(frozen=True)
class BlockCounts:
    """Block statistics of all heaps: the table, and one line for everything that is missing from it."""

    table: Table
    problems: tuple[str, ...]


def count_blocks(region_map: RegionMap) -> BlockCounts:
    """Returns one row per heap and size class. It reads every committed byte of every heap segment."""
    rows: list[list[Any]] = []
    problems: list[str] = []
    for counted in heap_blocks(region_map):
        heap, statistics = counted.heap, counted.statistics
        if statistics is None:
            problems.append(f"{heap.title}: dumpmap cannot walk the blocks of this kind of heap ({heap.info.kind})")
            continue
        problems += statistics.problems
        rows += [
            [heap.info.id, heap.info.address, *(getattr(entry, column.name) for column in BLOCK_COLUMNS[2:])]
            for entry in statistics.classes
        ]
    return BlockCounts(Table(BLOCK_COLUMNS, rows, region_map.address_width), tuple(problems))


def no_heaps_text(region_map: RegionMap) -> str:
    """Returns why no heap is shown."""
    if region_map.process.os.family != "windows":
        return "No heaps: the process is not a Windows process."
    if region_map.heap_list_captured:
        return "The heap list of the process is empty."
    return "No heaps could be identified: the input has neither the heap list nor heap headers (see `dumpmap info`)."


def stated_lines(region_map: RegionMap) -> list[str]:
    """Returns a line for every heap whose header states more segments than the input shows, and one for the rest."""
    heaps, rows = region_map.heaps, heap_rows(region_map)
    short = [
        (heap, row)
        for heap, row in zip(heaps, rows, strict=True)
        if row.stated_segments is not None and row.segments < row.stated_segments
    ]
    lines = [
        f"{heap.title}: {row.segments:,} of {count_words(row.stated_segments or 0, 'segment')} captured; the header "
        f"states {kb_text(row.stated_reserved or 0)} reserved, {kb_text(row.stated_committed or 0)} committed."
        for heap, row in short[:MAX_STATED]
    ]
    if len(short) > MAX_STATED:
        lines.append(f"The same is true of {count_words(len(short) - MAX_STATED, 'more heap')}.")
    failures = [(heap, row.commit_failures) for heap, row in zip(heaps, rows, strict=True) if row.commit_failures]
    lines += [
        f"{heap.title}: Windows refused {count_words(count, 'time')} to commit memory for it, by its header."
        for heap, count in failures[:MAX_STATED]
    ]
    return lines


def heap_document(region_map: RegionMap, *, segments: bool, blocks: BlockCounts | None) -> dict[str, Any]:
    """Returns `dumpmap.heaps/1`."""
    document = {
        **head("dumpmap.heaps/1", region_map),
        "heap_list_captured": region_map.heap_list_captured,
        "heaps": [row.to_dict() for row in heap_rows(region_map)],
    }
    if segments:
        document["ranges"] = [row.to_dict() for row in heap_range_rows(region_map)]
    if blocks is not None:
        document["blocks"] = to_records(blocks.table)
        document["block_problems"] = list(blocks.problems)
    return document


def heap_view(region_map: RegionMap, *, segments: bool, blocks: BlockCounts | None) -> Iterator[Block]:
    """Yields everything that `heaps` shows to people."""
    if not region_map.heaps:
        yield Paragraph(no_heaps_text(region_map))
        return
    yield heap_table(region_map)
    lines = stated_lines(region_map)
    if lines:
        yield Blank()
        yield from map(Paragraph, lines)
    if segments:
        yield Blank()
        yield range_table(region_map)
    if blocks is not None:
        yield Blank()
        yield blocks.table
        yield from map(Paragraph, blocks.problems)
    if not region_map.heap_list_captured:
        yield Blank()
        yield Paragraph("The input has no heap list: the process may have more heaps.")
