"""The rows of VMMap's files, made from a region map."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from dumpmap.errors import OutputError
from dumpmap.model.pieces import BlockColumns
from dumpmap.model.region_map import AllocationColumns, RegionMap
from dumpmap.model.snapshot import I64, WORKING_SET_COLUMNS
from dumpmap.model.types import RegionType
from dumpmap.model.values import value_class
from dumpmap.model.winnt import PAGE_SIZE, MemState
from dumpmap.parsers.vmmap.words import type_of_words, words_of_protection, words_of_type


@value_class(frozen=True, slots=True)
class MapRow:
    """An allocation or a block, as VMMap lists it. Sizes are bytes; None is unknown."""

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
    """Words to write instead of those for `protect`."""

    @property
    def protection_words(self) -> str:
        """The protection as VMMap writes it."""
        return self.protection or words_of_protection(self.protect, self.state)


@value_class(frozen=True, slots=True)
class MapItem:
    """An allocation and its blocks. Free and unusable space has no blocks."""

    head: MapRow
    blocks: Sequence[MapRow] = ()


def map_items(regions: RegionMap) -> Iterator[MapItem]:
    """Yields the allocations of a map, including free and unusable space, sorted by address.

    An allocation with blocks of several types becomes several rows, because a row of VMMap has one type.

    Raises:
        OutputError: the map is partial. VMMap has no row for memory of unknown use.
    """
    if regions.partial:
        raise OutputError(
            "has no list of memory regions, which VMMap's formats need; export it in another format",
            source=regions.snapshot.source.name,
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


def _free_items(regions: RegionMap) -> Iterator[MapItem]:
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
        yield MapItem(MapRow(base, region_type, region_type.label, {"size": size}, 0, int(MemState.MEM_FREE), 0, ""))


def _used_items(regions: RegionMap) -> Iterator[MapItem]:
    blocks = regions.block_columns
    types, owners = blocks.type.tolist(), blocks.allocation.tolist()
    starts = [i for i in range(len(types)) if i == 0 or owners[i] != owners[i - 1] or types[i] != types[i - 1]]
    counts = blocks.blocks.tolist()
    rows = _RowMaker(regions)
    for start, stop in pairwise([*starts, len(types)]):
        owner = owners[start]
        parts = _of_whole_pages([rows.block(index) for index in range(start, stop)])
        alone = (start == 0 or owners[start - 1] != owner) and (stop == len(types) or owners[stop] != owner)
        yield MapItem(rows.allocation(owner) if alone else rows.part(parts, owner, sum(counts[start:stop])), parts)


def _of_whole_pages(rows: Sequence[MapRow]) -> list[MapRow]:
    """Makes blocks end with a page: a page that has several names goes to the first of them.

    VMMap knows pages only, and its text formats have kilobytes: a garbage collector's generation that begins within a
    page would have another size there.
    """
    whole: list[MapRow] = []
    for row in rows:
        size = row.sizes["size"] or 0
        moved = min(-row.address % PAGE_SIZE, size) if whole else 0
        if not moved:
            whole.append(row)
            continue
        share = {name: None if value is None else value * moved // size for name, value in row.sizes.items()}
        before = whole[-1].sizes
        whole[-1] = replace(whole[-1], sizes={name: _added(before[name], value) for name, value in share.items()})
        if moved < size:
            rest = {name: None if value is None else value - (share[name] or 0) for name, value in row.sizes.items()}
            whole.append(replace(row, address=row.address + moved, sizes=rest))
    return whole


def _added(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


class _RowMaker:
    """Makes rows from a map's columns."""

    def __init__(self, regions: RegionMap) -> None:
        raw, space = regions.space.regions, regions.space
        allocations, blocks = regions.allocation_columns, regions.block_columns
        self._texts = regions.texts
        self._allocations = _ListedColumns(allocations, allocations.working_set)
        # If a region is split into sections, the working set of each section is unknown.
        split = np.bincount(blocks.region, minlength=len(raw))[blocks.region] > 1
        known = [name for name in WORKING_SET_COLUMNS if name in raw.numbers]
        self._blocks = _ListedColumns(blocks, {n: np.where(split, -1, raw.numbers[n][blocks.region]) for n in known})
        self._owner: list[int] = blocks.allocation.tolist()
        self._region: list[int] = blocks.region.tolist()
        self._first: list[int] = space.first.tolist()
        self._count: list[int] = allocations.blocks.tolist()
        self._memory_type: list[int] = raw.type[space.first].tolist()
        self._allocation_protect: list[int] = raw.allocation_protect[space.first].tolist()
        self._recorded = raw.texts

    def allocation(self, owner: int) -> MapRow:
        """Returns the row of an allocation."""
        table = self._allocations
        details = self._texts[table.details[owner]]
        return self._row(table, owner, owner, self._first[owner], details, max(1, self._count[owner]))

    def block(self, index: int) -> MapRow:
        """Returns the row of a block."""
        return self._row(
            self._blocks, index, self._owner[index], self._region[index], self._block_details(index), blocks=0
        )

    def part(self, rows: Sequence[MapRow], owner: int, count: int) -> MapRow:
        """Returns a row for a part of an allocation: the sum of these blocks."""
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

    def _row(self, table: _ListedColumns, index: int, owner: int, region: int, details: str, blocks: int) -> MapRow:
        region_type = RegionType(table.type[index])
        return MapRow(
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
        return words_of_type(region_type, self._memory_type[owner])

    def _block_details(self, index: int) -> str:
        """Returns the details of a block; for a section its name, as in VMMap's files."""
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


class _ListedColumns:
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


_UNPRINTABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def plain(text: str) -> str:
    """Replaces characters that neither XML nor a line of a table can hold."""
    return _UNPRINTABLE.sub("\ufffd", text)
