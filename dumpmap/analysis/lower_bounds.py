"""Which figures of a map are lower bounds, because the map shows only a part of the memory."""

from __future__ import annotations

from dumpmap.analysis.measurements import measurements_of
from dumpmap.model.region_map import RegionMap
from dumpmap.model.summary import SummaryLine
from dumpmap.model.types import RegionType

_FIGURES = ("size", "committed", "private")


def shows_part(region_map: RegionMap) -> bool:
    """Whether the map shows only a part of the memory, so that its totals are lower bounds.

    The list of regions is missing, known to be cut off, or ends before the address space does.
    """
    m = measurements_of(region_map)
    return not m.whole and (region_map.partial or not region_map.snapshot.regions_complete or m.limit.size is not None)


def is_lower_bound(region_map: RegionMap, line: SummaryLine) -> bool:
    """Whether the figures of a summary line are lower bounds. Page tables have a counter, which counts all of them."""
    if not shows_part(region_map) or line.name == RegionType.PAGE_TABLE.label:
        return False
    return any(getattr(line, figure) is not None for figure in _FIGURES)


def lower_bounds(region_map: RegionMap) -> list[str]:
    """Names the figures of a summary document that are lower bounds, such as `total.committed` and `Heap.size`."""
    return [
        f"{'total' if line is region_map.total else line.name}.{figure}"
        for line in region_map.summary_lines
        if is_lower_bound(region_map, line)
        for figure in _FIGURES
        if getattr(line, figure) is not None
    ]
