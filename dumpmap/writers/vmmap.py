"""VMMap's files out of a region map: its own XML (.mmp) and its CSV and text exports.

What is known of the formats, and what is not, is in `docs/vmmap.md`. What a map does not know is written as VMMap
writes zero: blank in the exports, 0 in the XML; the formats have nothing else for it.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import BinaryIO
from xml.sax.saxutils import quoteattr

import numpy as np

from dumpmap.errors import OutputError
from dumpmap.model.columns import SUMMARY_COLUMNS
from dumpmap.model.protection import protection_text
from dumpmap.model.region_map import AllocationColumns, BlockColumns, RegionMap
from dumpmap.model.snapshot import I64, WORKING_SET_COLUMNS
from dumpmap.model.types import RegionType
from dumpmap.model.winnt import MemState, MemType
from dumpmap.parsers.vmmap.rows import type_of_words

LINE_END = "\r\r\n"
"""VMMap's exports end their lines like this."""

_HEADINGS = {
    "size": "Size",
    "committed": "Committed",
    "private": "Private",
    "total_ws": "Total WS",
    "private_ws": "Private WS",
    "shareable_ws": "Shareable WS",
    "shared_ws": "Shared WS",
    "locked_ws": "Locked WS",
    "blocks": "Blocks",
    "largest": "Largest",
}
_SIZES = ("size", "committed", "private", *WORKING_SET_COLUMNS)

SUMMARY_HEADINGS = ("Type", *(_HEADINGS[column] for column in SUMMARY_COLUMNS))
DETAILS_HEADINGS = ("Address", "Type", *(_HEADINGS[column] for column in (*_SIZES, "blocks")), "Protection", "Details")

USE_TYPES: Mapping[RegionType, int] = {
    RegionType.HEAP: 0,
    RegionType.STACK: 1,
    RegionType.IMAGE: 2,
    RegionType.MAPPED_FILE: 3,
    RegionType.PRIVATE_DATA: 4,
    RegionType.SHAREABLE: 5,
    RegionType.FREE: 6,
    RegionType.MANAGED_HEAP: 8,
    RegionType.PAGE_TABLE: 9,
    RegionType.UNUSABLE: 10,
}
"""The numbers of `UseType`."""

_HEAP_ID = re.compile(r"Heap ID: ([0-9]{1,10})\b")
_FILETIME_EPOCH = dt.datetime(1601, 1, 1, tzinfo=dt.UTC)

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Row:
    """An allocation or a block, as VMMap lists it. Sizes are bytes, None is unknown."""

    address: int
    type: RegionType
    words: str
    """The type as VMMap writes it: `Heap (Private Data)`."""
    sizes: Mapping[str, int | None]
    protect: int
    state: int
    memory_type: int
    details: str
    blocks: int = 0
    """0 for a block."""
    protection: str = ""
    """Overrides the words for `protect`."""

    @property
    def protection_words(self) -> str:
        """The protection as VMMap writes it."""
        return self.protection or _protection_text(self.protect, self.state)


@lru_cache(256)
def _protection_text(protect: int, state: int) -> str:
    return protection_text(protect, state)


@dataclass(frozen=True, slots=True)
class Item:
    """An allocation and its blocks. Free and unusable space has none."""

    head: Row
    blocks: Sequence[Row] = ()


# --- rows of a map ----------------------------------------------------------------------------------------------------


def map_items(regions: RegionMap) -> Iterator[Item]:
    """Yields the allocations of a map, free and unusable space included, by address.

    An allocation whose blocks are of several types becomes several, because VMMap's rows have one type each.

    Raises:
        OutputError: the map is partial: VMMap has no row for memory that is not known.
    """
    if regions.partial:
        raise OutputError(
            "a map without a list of memory regions cannot be written for VMMap", source=regions.snapshot.source.name
        )
    spaces = _free_items(regions)
    waiting = next(spaces, None)
    for item in _used_items(regions):
        while waiting is not None and waiting.head.address < item.head.address:
            yield waiting
            waiting = next(spaces, None)
        yield item
    while waiting is not None:
        yield waiting
        waiting = next(spaces, None)


def _free_items(regions: RegionMap) -> Iterator[Item]:
    gaps = regions.gaps
    if gaps is None:
        return
    parts = [
        (int(base), int(size), region_type)
        for bases, sizes, region_type in (
            (gaps.unusable_base, gaps.unusable_size, RegionType.UNUSABLE),
            (gaps.free_base, gaps.free_size, RegionType.FREE),
        )
        for base, size in zip(bases.tolist(), sizes.tolist(), strict=True)
    ]
    for base, size, region_type in sorted(parts):
        yield Item(Row(base, region_type, region_type.label, {"size": size}, 0, int(MemState.MEM_FREE), 0, ""))


def _used_items(regions: RegionMap) -> Iterator[Item]:
    blocks = regions.block_columns
    types, owners = blocks.type.tolist(), blocks.allocation.tolist()
    starts = [i for i in range(len(types)) if i == 0 or owners[i] != owners[i - 1] or types[i] != types[i - 1]]
    counts = blocks.blocks.tolist()
    rows = _Rows(regions)
    for start, stop in pairwise([*starts, len(types)]):
        owner = owners[start]
        parts = [rows.block(index) for index in range(start, stop)]
        alone = (start == 0 or owners[start - 1] != owner) and (stop == len(types) or owners[stop] != owner)
        yield Item(rows.allocation(owner) if alone else rows.part(parts, owner, sum(counts[start:stop])), parts)


class _Rows:
    """Makes rows out of a map's columns."""

    def __init__(self, regions: RegionMap) -> None:
        raw, space = regions.space.regions, regions.space
        allocations, blocks = regions.allocation_columns, regions.block_columns
        self._texts = regions.texts
        self._allocations = _Table(allocations, allocations.working_set)
        # The working set of a region that is split into sections is not known for each of them.
        split = np.bincount(blocks.region, minlength=len(raw))[blocks.region] > 1
        known = [name for name in WORKING_SET_COLUMNS if name in raw.numbers]
        self._blocks = _Table(blocks, {n: np.where(split, -1, raw.numbers[n][blocks.region]) for n in known})
        self._owner: list[int] = blocks.allocation.tolist()
        self._region: list[int] = blocks.region.tolist()
        self._first: list[int] = space.first.tolist()
        self._count: list[int] = allocations.blocks.tolist()
        self._memory_type: list[int] = raw.type[space.first].tolist()
        self._allocation_protect: list[int] = raw.allocation_protect[space.first].tolist()
        self._recorded = raw.texts

    def allocation(self, owner: int) -> Row:
        """Returns the row of an allocation."""
        table = self._allocations
        details = self._texts[table.details[owner]]
        return self._row(table, owner, owner, self._first[owner], details, max(1, self._count[owner]))

    def block(self, index: int) -> Row:
        """Returns the row of a block."""
        return self._row(
            self._blocks, index, self._owner[index], self._region[index], self._block_details(index), blocks=0
        )

    def part(self, rows: Sequence[Row], owner: int, count: int) -> Row:
        """Returns a row for a part of an allocation: what these blocks of it add up to."""
        sizes: dict[str, int | None] = {}
        for column in rows[0].sizes:
            values = [value for row in rows if (value := row.sizes[column]) is not None]
            sizes[column] = sum(values) if values else None
        state = MemState.MEM_COMMIT if sizes["committed"] else MemState.MEM_RESERVE
        protect, details = self._allocation_protect[owner], self._texts[self._allocations.details[owner]]
        return replace(
            rows[0],
            sizes=sizes,
            protect=protect,
            state=int(state),
            details=details,
            blocks=max(1, count),
            protection="",
        )

    def _row(self, table: _Table, index: int, owner: int, region: int, details: str, blocks: int) -> Row:
        region_type = RegionType(table.type[index])
        return Row(
            address=table.base[index],
            type=region_type,
            words=self._words(owner, region_type),
            sizes={name: None if values[index] < 0 else values[index] for name, values in table.sizes.items()},
            protect=table.protect[index],
            state=table.state[index],
            memory_type=self._memory_type[owner],
            details=details,
            blocks=blocks,
            protection=self._record("recorded_protection", region) or "",
        )

    def _words(self, owner: int, region_type: RegionType) -> str:
        recorded = self._record("recorded_kind", self._first[owner])
        if recorded is not None and type_of_words(recorded) == region_type:
            return recorded
        if region_type == RegionType.STACK:
            return "Thread Stack"
        if region_type == RegionType.HEAP:
            return "Heap (Shareable)" if self._memory_type[owner] == MemType.MEM_MAPPED else "Heap (Private Data)"
        return region_type.label

    def _block_details(self, index: int) -> str:
        """Returns the text for a block: for a section its name, as VMMap has it."""
        region = self._region[index]
        own = self._record("recorded_block_details", region)
        details = self._texts[self._blocks.details[index]] if own is None else own
        kind = self._record("recorded_block_kind", region) or self._texts[self._blocks.kind[index]]
        if details or self._blocks.type[index] != RegionType.IMAGE:
            return details
        return kind if kind != self._texts[self._allocations.kind[self._owner[index]]] else ""

    def _record(self, name: str, region: int) -> str | None:
        column = self._recorded.get(name)
        return None if column is None else column[region]


class _Table:
    """The columns of allocations or blocks, as plain lists."""

    def __init__(self, columns: AllocationColumns | BlockColumns, working_set: Mapping[str, I64]) -> None:
        self.base: list[int] = columns.base.tolist()
        self.type: list[int] = columns.type.tolist()
        self.kind: list[int] = columns.kind.tolist()
        self.details: list[int] = columns.details.tolist()
        self.protect: list[int] = columns.protect.tolist()
        self.state: list[int] = columns.state.tolist()
        self.sizes: dict[str, list[int]] = {
            "size": columns.size.tolist(),
            "committed": columns.committed.tolist(),
            "private": columns.private.tolist(),
            **{name: values.tolist() for name, values in working_set.items()},
        }


# --- CSV and text -----------------------------------------------------------------------------------------------------


def write_csv(regions: RegionMap, file: BinaryIO) -> None:
    """Writes a map as VMMap exports it to CSV.

    Raises:
        OutputError: the map is partial.
    """
    items = map_items(regions)
    for title, value in _titles(regions):
        file.write(_csv_line((title, value)))
    file.write(_csv_line(()))
    file.write(_csv_line((*SUMMARY_HEADINGS, None)))
    for cells in _summary_cells(regions):
        file.write(_csv_line(cells))
    file.write(_csv_line(()))
    file.write(_csv_line((*DETAILS_HEADINGS, None)))
    for cells in _details_cells(items, regions.address_width):
        file.write(_csv_line(cells))


def write_txt(regions: RegionMap, file: BinaryIO) -> None:
    """Writes a map as VMMap exports it to text: the cells of the CSV in columns of fixed width.

    Raises:
        OutputError: the map is partial.
    """
    tables = (
        [SUMMARY_HEADINGS, *_summary_cells(regions)],
        [DETAILS_HEADINGS, *_details_cells(map_items(regions), regions.address_width)],
    )
    for title, value in _titles(regions):
        file.write(f"{title} {value}{LINE_END}".encode())
    for table in tables:
        widths = [max(map(len, column)) + 2 for column in zip(*table, strict=True)]
        file.write(LINE_END.encode())
        for cells in table:
            line = "".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
            file.write(f"{line}{LINE_END}".encode())


def _titles(regions: RegionMap) -> list[tuple[str, str]]:
    pid = regions.process.pid
    return [("Process:", _plain(regions.process.name or "")), ("PID:", "" if pid is None else str(pid))]


def _csv_line(cells: Iterable[str | None]) -> bytes:
    """Writes a line; None is the empty end after a trailing comma."""
    quoted = ("" if cell is None else '"' + cell.replace('"', '""') + '"' for cell in cells)
    return (",".join(quoted) + LINE_END).encode()


def _summary_cells(regions: RegionMap) -> Iterator[list[str]]:
    for line in regions.summary_lines:
        values = line.values()
        yield [
            line.name,
            *(
                _count(values[column]) if column == "blocks" else _kilobytes(values[column])
                for column in SUMMARY_COLUMNS
            ),
        ]


def _details_cells(items: Iterable[Item], width: int) -> Iterator[list[str]]:
    for item in items:
        if item.head.type in (RegionType.FREE, RegionType.UNUSABLE):
            continue  # VMMap has them in the summary only
        for row in (item.head, *item.blocks):
            yield [
                f"{'' if row.blocks else '  '}{row.address:0{width}X}",
                _plain(row.words),
                *(_kilobytes(row.sizes.get(column)) for column in _SIZES),
                _count(row.blocks),
                _plain(row.protection_words),
                _plain(row.details),
            ]


def _kilobytes(size: int | None) -> str:
    return _count(None if size is None else size >> 10)


def _count(number: int | None) -> str:
    return f"{number:,}" if number else ""


def _plain(text: str) -> str:
    """Replaces what neither XML nor a line of a table can hold."""
    return _UNPRINTABLE.sub("\ufffd", text)


# --- XML --------------------------------------------------------------------------------------------------------------


def write_mmp(regions: RegionMap, file: BinaryIO) -> None:
    """Writes a map as VMMap's own file, with one snapshot.

    Raises:
        OutputError: the map is partial.
    """
    items = map_items(regions)
    process: dict[str, str | int] = {"ProcessName": regions.process.name or "", "ProcessId": regions.process.pid or 0}
    page_table = regions.line(RegionType.PAGE_TABLE).size or 0
    moment: dict[str, str | int] = {
        "Timestamp": _filetime(regions.snapshot.source.captured_at),
        "PageTableSize": page_table,
    }
    has_locked = "locked_ws" in regions.allocation_columns.working_set
    parts = ['<?xml version="1.0" encoding="UTF-8"?>', _tag("root", process), _tag("Snapshot", moment)]
    for item in items:
        parts.append(_tag("Region", _attributes(item.head, has_locked), empty=not item.blocks))
        parts += [_tag("Region", _attributes(row, has_locked), empty=True) for row in item.blocks]
        if item.blocks:
            parts.append("</Region>")
        if len(parts) > 1000:
            file.write(("\r\n".join(parts) + "\r\n").encode())
            parts = []
    parts += ["</Snapshot>", "</root>"]
    file.write(("\r\n".join(parts) + "\r\n").encode())


def _attributes(row: Row, has_locked: bool) -> dict[str, str | int]:
    """Returns a row's attributes, in the order in which VMMap writes them."""
    heap = _HEAP_ID.match(row.details) if row.type == RegionType.HEAP else None
    attributes: dict[str, str | int] = {
        "Address": row.address,
        "Blocks": row.blocks,
        "ShareableWS": row.sizes.get("shareable_ws") or 0,
        "SharedWS": row.sizes.get("shared_ws") or 0,
        "Size": row.sizes["size"] or 0,
        "Commit": row.sizes.get("committed") or 0,
        "PrivateBytes": row.sizes.get("private") or 0,
        "PrivateWS": row.sizes.get("private_ws") or 0,
        "Id": int(heap[1]) if heap else 0,
        "Protection": row.protect if row.state == MemState.MEM_COMMIT or row.blocks else 0,
        "Storage": row.memory_type or row.state,
        "UseType": USE_TYPES[row.type],
        "Type": row.words,
        "Details": row.details,
    }
    if has_locked:
        attributes["LockedWS"] = row.sizes.get("locked_ws") or 0
    return attributes


def _tag(name: str, attributes: Mapping[str, str | int], *, empty: bool = False) -> str:
    text = "".join(
        f" {key}={quoteattr(_plain(value))}" if isinstance(value, str) else f' {key}="{value}"'
        for key, value in attributes.items()
    )
    return f"<{name}{text}{'/' if empty else ''}>"


def _filetime(time: dt.datetime | None) -> int:
    """Returns a time as Windows counts it: in 100 ns since 1601; 0 where it is not known."""
    return 0 if time is None else (time - _FILETIME_EPOCH) // dt.timedelta(microseconds=1) * 10


WRITERS = {"mmp": write_mmp, "csv": write_csv, "txt": write_txt}
"""The writer for a file's suffix."""
