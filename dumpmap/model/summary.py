"""The summary of a region map: VMMap's table of types."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import numpy.typing as npt

from dumpmap.model.columns import SUMMARY_COLUMNS
from dumpmap.model.snapshot import I64
from dumpmap.model.space import working_sets
from dumpmap.model.types import TYPES, RegionType, TypeInfo

if TYPE_CHECKING:
    from dumpmap.model.region_map import RegionMap


class SummaryLine(msgspec.Struct, frozen=True):
    """A row of the summary. None means unknown, or not applicable to the type."""

    name: str
    size: int | None = None
    committed: int | None = None
    private: int | None = None
    total_ws: int | None = None
    private_ws: int | None = None
    shareable_ws: int | None = None
    shared_ws: int | None = None
    locked_ws: int | None = None
    blocks: int | None = None
    largest: int | None = None

    def values(self) -> dict[str, int | None]:
        """The figures by column."""
        return {column: getattr(self, column) for column in SUMMARY_COLUMNS}


def summarize(region_map: RegionMap) -> tuple[SummaryLine, ...]:
    """Returns `Total`, then every type in VMMap's order. Only partial maps have `Unknown`."""
    types = TYPES if region_map.partial else TYPES[:-1]  # Unknown is the last
    sums = _sums(region_map)
    unknown = [None] * len(TYPES)
    figures = list(zip(*[sums.get(name, unknown) for name in SUMMARY_COLUMNS], strict=True))
    lines = [_type_line(region_map, info, figures[info.type]) for info in types]
    total = _total_line(lines)
    return _with_stated(region_map, total, lines) if region_map.partial and region_map.heaps else (total, *lines)


def _with_stated(region_map: RegionMap, total: SummaryLine, lines: list[SummaryLine]) -> tuple[SummaryLine, ...]:
    """Adds to a partial map what the headers of heaps state and nothing else shows.

    Captured bytes of unknown use can belong to those heaps. To keep the total a lower bound, it gets only what exceeds
    all of them.
    """
    surplus = region_map.stated_heaps
    if surplus is None:
        return (total, *lines)
    line = lines[RegionType.HEAP]
    committed = (line.committed or 0) + surplus.committed
    lines[RegionType.HEAP] = msgspec.structs.replace(
        line, size=(line.size or 0) + surplus.size, committed=committed, private=committed
    )
    doubtful = [lines[RegionType.PRIVATE_DATA], lines[RegionType.UNKNOWN]]
    size = surplus.size - sum(one.size or 0 for one in doubtful)
    more = surplus.committed - sum(one.committed or 0 for one in doubtful)
    total = msgspec.structs.replace(
        total,
        size=(total.size or 0) + max(0, size),
        committed=(total.committed or 0) + max(0, more),
        private=None if total.private is None else total.private + max(0, more),
    )
    return (total, *lines)


def _sums(region_map: RegionMap) -> dict[str, list[int]]:
    """Sums over blocks, by type."""
    pieces, count = region_map.pieces, len(TYPES)

    def by_type(values: I64, types: npt.NDArray[np.uint8] = pieces.type) -> list[int]:
        sums: list[float] = np.bincount(types, values, count).tolist()
        if max(sums) < 1 << 53:  # every sum is exact as a float, and this is faster
            return list(map(int, sums))
        return [int(values[types == number].sum()) for number in range(count)]

    committed, private = pieces.committed_and_private()
    sums = {
        "size": by_type(pieces.size),
        "committed": by_type(committed),
        "private": by_type(private),
        "blocks": by_type(pieces.blocks),
    }
    for name, values in working_sets(region_map.space).items():
        known = values >= 0
        sums[name] = by_type(values[known], region_map.types[known])
    largest = np.zeros(count, np.int64)
    np.maximum.at(largest, region_map.types, (region_map.space.ends - region_map.space.bases).view(np.int64))
    sums["largest"] = largest.tolist()
    return sums


def _type_line(region_map: RegionMap, info: TypeInfo, sums: tuple[int | None, ...]) -> SummaryLine:
    name = info.name
    if info.type in region_map.unknown_types:
        return SummaryLine(name)
    if name in (_FREE, _UNUSABLE):
        return _gaps_line(region_map, name)
    if name == _PAGE_TABLE:
        return _page_table_line(region_map)
    figures = list(sums)
    if region_map.partial:
        figures[_BLOCKS] = None
        if name in (_IMAGE, _UNKNOWN):
            figures[_PRIVATE] = None  # it depends on page protections, which only a list of regions has
    if not sums[_BLOCKS]:
        figures[_LARGEST] = None
    return SummaryLine(name, *figures)


def _gaps_line(region_map: RegionMap, name: str) -> SummaryLine:
    none = np.empty(0, np.uint64)
    if name == _UNUSABLE:
        sizes = region_map.gaps.unusable_size if region_map.gaps is not None else none
    else:
        sizes = region_map.gaps.free_size if region_map.gaps is not None else none
    return SummaryLine(
        name,
        size=int(sizes.sum()),
        blocks=None if name == _UNUSABLE else len(sizes),
        largest=int(sizes.max()) if len(sizes) else None,
    )


def _page_table_line(region_map: RegionMap) -> SummaryLine:
    for row in region_map.snapshot.recorded_summary:
        if row.type == _PAGE_TABLE:
            return SummaryLine(_PAGE_TABLE, **{k: v for k, v in row.values.items() if k in SUMMARY_COLUMNS})
    size = region_map.counters.page_table
    if size is None:
        return SummaryLine(_PAGE_TABLE)
    return SummaryLine(_PAGE_TABLE, size=size, committed=size, private=size, total_ws=size, private_ws=size)


def _total_line(lines: list[SummaryLine]) -> SummaryLine:
    """Adds up all rows except Free."""
    rows = [figures_of(line) for line in lines if line.name not in (_FREE, _PAGE_TABLE)]
    page_tables = next((figures_of(line) for line in lines if line.name == _PAGE_TABLE), None)
    sums: list[int | None] = []
    for index, column in enumerate(zip(*rows, strict=True)):
        if column.count(None) == len(column):
            # The page tables alone are not a total: an input can state their size and no working set at all.
            sums.append(None)
            continue
        extra = (page_tables[index] or 0) if page_tables is not None else 0
        sums.append(sum(filter(None, column)) + extra)
    # A sum that lacks a type is not a total either: a partial map has images, but not their private bytes.
    if any(line.committed and line.private is None for line in lines):
        sums[SUMMARY_COLUMNS.index("private")] = None
    return SummaryLine("Total", *sums[:-1])


_FREE, _UNUSABLE, _PAGE_TABLE = RegionType.FREE.label, RegionType.UNUSABLE.label, RegionType.PAGE_TABLE.label
_IMAGE, _UNKNOWN = RegionType.IMAGE.label, RegionType.UNKNOWN.label
_PRIVATE, _BLOCKS, _LARGEST = (SUMMARY_COLUMNS.index(name) for name in ("private", "blocks", "largest"))
figures_of: Callable[[SummaryLine], tuple[int | None, ...]] = operator.attrgetter(*SUMMARY_COLUMNS)
"""The figures of a line, in the order of `SUMMARY_COLUMNS`."""
