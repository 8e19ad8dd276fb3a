"""What `free` shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from dumpmap.analysis.free import Fit, FreeSpace, free_space
from dumpmap.analysis.free_blocks import Neighbour, free_report, histogram, largest_blocks, unusable_causes
from dumpmap.analysis.measurements import measurements_of
from dumpmap.model.region_map import RegionMap
from dumpmap.model.sizes import OWN_UNIT
from dumpmap.model.types import RegionType
from dumpmap.model.winnt import ALLOCATION_GRANULARITY
from dumpmap.views.blocks import Blank, Block, Heading, Lines
from dumpmap.views.documents import head
from dumpmap.views.table import Column, Table
from dumpmap.wording.shortage import bound_reason
from dumpmap.wording.text import (
    address_text,
    count_words,
    list_words,
    percent_text,
    short_size,
    size_left,
    size_most,
    sizes_apart,
)

HISTOGRAM_COLUMNS = (
    Column("min_bytes", "size", "From"),
    Column("max_bytes", "size", "Below"),
    Column("count", "count", "Blocks"),
    Column("bytes", "size", "Free", left=True),
)

FREE_BLOCK_COLUMNS = (
    Column("address", "address"),
    Column("size", "size", left=True),
    Column("before", "text", "Allocation before"),
    Column("after", "text", "Allocation after"),
)

UNUSABLE_COLUMNS = (
    Column("type"),
    Column("kind"),
    Column("size", "size", "Allocation size"),
    Column("count", "count", "Allocations"),
    Column("unusable", "size", "Unusable after"),
)

_MANY_SIZES = 16
"""A histogram with more rows than this omits the empty ones."""


_OF_A_LIST = (
    *("address_space_limit", "complete", "free", "free_blocks", "largest_free_block", "fragmentation"),
    *("tiny_block_size", "tiny_blocks", "unusable", "crash_reporter_reserve"),
    *("histogram", "largest_blocks", "unusable_causes"),
)
"""What only an input with a list of regions shows: null in other documents, where nothing may be missing."""


def free_document(region_map: RegionMap, fits: Sequence[Fit], count: int) -> dict[str, Any]:
    """Returns `dumpmap.free/1`."""
    bounds = measurements_of(region_map).bounds
    return {
        **head("dumpmap.free/1", region_map),
        **(free_report(region_map, count) or dict.fromkeys(_OF_A_LIST)),
        "free_at_most": None if bounds is None or bounds.free is None else bounds.free.to_dict(),
        "largest_free_block_at_most": None if bounds is None or bounds.largest is None else bounds.largest.to_dict(),
        "fits": [answer.to_dict() for answer in fits],
    }


def histogram_table(region_map: RegionMap) -> Table:
    """Returns the free blocks by powers of two."""
    space = free_space(region_map)
    rows = [] if space is None else histogram(space)
    return Table(HISTOGRAM_COLUMNS, [[row[column.name] for column in HISTOGRAM_COLUMNS] for row in rows])


def free_view(region_map: RegionMap, fits: Sequence[Fit], count: int) -> Iterator[Block]:
    """Yields everything that `free` shows to people."""
    yield Lines(_free_lines(region_map, fits))
    if region_map.free_blocks is None:
        return
    for title, table in (
        ("Free blocks by size", _shown_histogram(region_map)),
        ("Largest free blocks", free_block_table(region_map, count)),
        ("Unusable space by preceding allocation", unusable_table(region_map, count)),
    ):
        if table.rows:
            yield Blank()
            yield Heading(title)
            yield table


def _shown_histogram(region_map: RegionMap) -> Table:
    """Returns the histogram for people: sizes with their units; a long one without its empty rows."""
    table = histogram_table(region_map)
    rows = [row for row in table.rows if row[2] or len(table.rows) <= _MANY_SIZES]
    columns = (Column("min_bytes", "short", "From"), Column("max_bytes", "short", "Below"), *HISTOGRAM_COLUMNS[2:])
    return Table(columns, rows)


def free_block_table(region_map: RegionMap, count: int) -> Table:
    """Returns the largest free blocks with their neighbours."""
    width = region_map.address_width
    rows = [
        [block.address, block.size, _neighbour_text(block.before, width), _neighbour_text(block.after, width)]
        for block in largest_blocks(region_map, count)
    ]
    return Table(FREE_BLOCK_COLUMNS, rows, width)


def _neighbour_text(neighbour: Neighbour | None, width: int) -> str:
    if neighbour is None:
        return "(end of the address space)"
    what = neighbour.details or neighbour.kind
    return f"{address_text(neighbour.address, width)} {neighbour.type}" + (f", {what}" if what else "")


def unusable_table(region_map: RegionMap, count: int) -> Table:
    """Returns the kinds of allocations that unusable space follows."""
    causes = unusable_causes(region_map, count)
    return Table(UNUSABLE_COLUMNS, [[getattr(cause, column.name) for column in UNUSABLE_COLUMNS] for cause in causes])


def fit_text(fit: Fit) -> str:
    """Returns whether an allocation of a size fits, and where."""
    asked = f"{short_size(fit.size)} aligned to {short_size(fit.alignment)}"
    if fit.largest is None or fit.count is None:
        return _unlisted_fit_text(fit)
    if fit.fits is None:
        return (
            f"{asked}: unknown. The list of memory regions is cut off; the largest allocation that fits in the listed "
            f"part is {size_left(fit.largest)}"
        )
    if not fit.fits and not fit.largest:
        return f"{asked}: does not fit; no allocation fits"
    if not fit.fits:
        size, largest = sizes_apart((fit.size, "nearest"), (fit.largest, "down"))
        aligned = f"aligned to {short_size(fit.alignment)}"
        return f"{size} {aligned}: does not fit; the largest allocation that fits is {largest}"
    where = "" if fit.address is None else f", first at 0x{fit.address:x}"
    times = "once" if fit.count == 1 else f"{fit.count:,} times"
    return f"{asked}: fits {'' if fit.complete else 'at least '}{times}{where}"


def _unlisted_fit_text(fit: Fit) -> str:
    """Returns what is known without a list of regions."""
    if fit.fits is None or fit.largest_at_most is None:
        return f"{short_size(fit.size)}: unknown (the map is partial: the input has no list of memory regions)"
    size, most = sizes_apart((fit.size, "nearest"), (fit.largest_at_most, "up"))
    what = "largest block" if fit.reason == "bound" else "address space"
    return f"{size}: does not fit ({what} at most {most})"


def _blocks(count: int) -> str:
    return count_words(count, "block")


def _free_lines(region_map: RegionMap, fits: Sequence[Fit]) -> list[str]:
    space = free_space(region_map)
    if space is None:
        return [
            "Free space is unknown: the input has no list of memory regions.",
            *_bound_lines(region_map),
            *map(fit_text, fits),
        ]
    lines = _complete_lines(space) if space.complete else _partial_lines(space)
    return [*lines, *_vmmap_difference(region_map, space), *map(fit_text, fits)]


def _bound_lines(region_map: RegionMap) -> Iterator[str]:
    """Yields the upper bounds of a partial map with their evidence."""
    bounds = measurements_of(region_map).bounds
    if bounds is None:
        return
    if bounds.free is not None:
        yield f"Free: at most {size_most(bounds.free.size)} ({bound_reason(bounds.free)})"
    if bounds.largest is not None:
        yield f"Largest block: at most {size_most(bounds.largest.size)} ({bound_reason(bounds.largest)})"


def _complete_lines(space: FreeSpace) -> list[str]:
    largest = space.largest
    return [
        f"Free: {size_left(space.total)} of {space.limit.words} in {_blocks(space.count)}"
        if space.count
        else f"Free: 0 bytes of {space.limit.words}",
        f"Largest block: {'none' if largest is None else size_left(largest.size)}",
        f"Fragmentation: {percent_text(space.fragmentation)} (1 - largest block / free)"
        if largest is not None
        else "Fragmentation: none, no space is free",
        *_small_lines(space, ""),
    ]


def _partial_lines(space: FreeSpace) -> list[str]:
    largest = space.largest
    return [
        f"Free: at least {size_left(space.total)} of {space.limit.words} in {_blocks(space.count)}",
        f"Largest block: {'unknown' if largest is None else f'at least {size_left(largest.size)}'}",
        "Fragmentation: unknown",
        *_small_lines(space, "at least "),
        "The list of memory regions is cut off: there may be more free space.",
    ]


def _small_lines(space: FreeSpace, least: str) -> list[str]:
    return [
        f"In blocks under 1 MB: {short_size(space.tiny)} in {_blocks(space.tiny_count)}",
        f"Unusable: {least}{short_size(space.unusable)}",
    ]


def _vmmap_difference(region_map: RegionMap, space: FreeSpace) -> list[str]:
    """Returns why the summary, which counts as VMMap does, has other figures; nothing if all look the same.

    The summary shows a size below 1 TB to the kilobyte.
    """
    line = region_map.line(RegionType.FREE)
    counted = line.size or 0
    same_size = counted == space.total or (counted >= OWN_UNIT and size_left(counted) == size_left(space.total))
    same_largest = line.largest == (space.largest and space.largest.size)
    if same_size and same_largest and line.blocks == space.count:
        return []
    reasons = []
    if space.limit.windows and region_map.free_blocks and region_map.free_blocks[0].address < ALLOCATION_GRANULARITY:
        reasons.append("the first 64 KB (reserved by Windows)")
    if space.limit.size is not None and region_map.end is not None and space.limit.size < region_map.end:
        reasons.append(f"the space above the {space.limit.name} that the process can use")
    if space.reserve is not None:
        reasons.append(f"{short_size(space.reserve[1])} that the crash reporter reserved for itself")
    if not reasons:
        return []
    free = f"{size_left(counted)} in {_blocks(line.blocks or 0)}"
    return [f"The summary counts {free} as free, as VMMap does. It includes {list_words(reasons)}."]
