"""Cuts regions where a part of one has a type or name of its own. The summary adds up the pieces."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dumpmap.classify.labels import Mark
from dumpmap.model.pieces import Pieces
from dumpmap.model.snapshot import I32, I64, U64, Regions
from dumpmap.model.space import AllocationSpace


def cut_pieces(space: AllocationSpace, types: npt.NDArray[np.uint8], marks: list[Mark]) -> Pieces:
    """Cuts the regions at the edges of marks. A mark with a type gives it to what it covers."""
    regions, allocation = space.regions, space.allocation_of
    if marks:
        edges = _edges(marks)
        base, region, first, size = _cut(regions, edges)
        allocation = allocation[region]
    else:
        base, size = regions.base, regions.size.view(np.int64)
        region, first = np.arange(len(regions), dtype=np.int32), np.ones(len(regions), np.bool_)
    of_pieces = types[allocation]
    if marks:
        lows, highs = np.searchsorted(base, edges).tolist()
        cells = of_pieces.data  # most marks cover one piece, for which a slice of an array costs ten times as much
        for mark, low, high in zip(reversed(marks), reversed(lows), reversed(highs), strict=True):
            if mark.label.type is None:
                continue
            if high - low == 1:
                cells[low] = mark.label.type
            else:
                of_pieces[low:high] = mark.label.type
    return Pieces(regions, base, size, region, allocation, first, of_pieces)


def _edges(marks: list[Mark]) -> U64:
    """Returns where the marks start and where they end, as two rows."""
    return np.array(([mark.start for mark in marks], [mark.end for mark in marks]), np.uint64)


def _cut(regions: Regions, edges: U64) -> tuple[U64, I32, npt.NDArray[np.bool_], I64]:
    """Cuts regions at the edges of marks.

    Returns:
        for each piece its base, the index of its region, whether it is the region's first, and its size.
    """
    edges = np.unique(edges)
    inside = np.searchsorted(regions.base, edges, side="right").astype(np.int64) - 1
    offsets = edges - regions.base[inside]
    cuts = (inside >= 0) & (offsets > 0) & (offsets < regions.size[inside])
    edges, inside, offsets = edges[cuts], inside[cuts], offsets[cuts]
    count = len(regions) + len(edges)
    places = inside + np.arange(1, len(edges) + 1)  # of the pieces that begin at the edges
    first = np.ones(count, np.bool_)
    first[places] = False
    base, size = np.empty(count, np.uint64), np.empty(count, np.int64)
    base[first], base[places] = regions.base, edges
    size[first], size[places] = regions.size.view(np.int64), (regions.size[inside] - offsets).view(np.int64)
    # A piece that another one of its region follows ends where that one begins.
    size[places - 1] = (edges - base[places - 1]).view(np.int64)
    region = first.cumsum(dtype=np.int32)
    region -= 1
    return base, region, first, size
