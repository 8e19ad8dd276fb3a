"""Pieces: the regions with their figures, cut where a part of one has a type of its own. The summary adds them up."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dumpmap.classify.labels import Mark
from dumpmap.model.region_map import Pieces
from dumpmap.model.snapshot import I64, U64, Regions
from dumpmap.model.space import AllocationSpace, Index
from dumpmap.model.values import value_class
from dumpmap.model.winnt import PAGE_WRITABLE, MemState, MemType

# Plain numbers: comparing an array with one takes a third of the time that an enum member takes.
_COMMIT, _WRITABLE = int(MemState.MEM_COMMIT), int(PAGE_WRITABLE)
_PRIVATE, _IMAGE = int(MemType.MEM_PRIVATE), int(MemType.MEM_IMAGE)


@value_class(frozen=True, slots=True)
class RegionSizes:
    """Committed and private bytes of every region."""

    committed: I64
    private: I64


def measure(regions: Regions) -> RegionSizes:
    """Measures every region, as VMMap does."""
    committed = _committed(regions)
    return RegionSizes(committed, _private(regions, committed))


def _committed(regions: Regions) -> I64:
    sizes = np.where(regions.state == _COMMIT, regions.size, np.uint64(0)).view(np.int64)
    return _override(sizes, regions, "committed")


def _override(values: I64, regions: Regions, name: str) -> I64:
    """Replaces figures by those that the source itself states."""
    stated = regions.numbers.get(name)
    return values if stated is None else np.where(stated >= 0, stated, values)


def _private(regions: Regions, committed: I64) -> I64:
    """VMMap's Private: all committed private memory, and the writable pages of images."""
    writable = (regions.protect & np.uint32(_WRITABLE)) != 0
    private = (regions.type == _PRIVATE) | ((regions.type == _IMAGE) & writable)
    return _override(committed * private, regions, "private")


def cut_pieces(space: AllocationSpace, types: npt.NDArray[np.uint8], marks: list[Mark], sizes: RegionSizes) -> Pieces:
    """Cuts the regions at the edges of marks. A mark with a type gives it to what it covers."""
    regions, allocation = space.regions, space.allocation_of
    committed, private = sizes.committed, sizes.private
    base, size, state, protect = regions.base, regions.size.view(np.int64), regions.state, regions.protect
    if marks:
        edges = _edges(marks)
        base, region, first, size = _cut(regions, edges)
        state, protect, allocation = state[region], protect[region], allocation[region]
        # A piece of a split region gets its own share. Figures that the source states apply to whole regions.
        whole = size == regions.size[region].view(np.int64)
        share = np.where(state == _COMMIT, size, 0)
        private = np.where(whole, private[region], np.where(private[region] > 0, share, 0))
        committed = np.where(whole, committed[region], share)
    else:
        region = np.arange(len(regions))
        first = np.full(len(regions), True)
    count = first.astype(np.int64)
    stated = regions.numbers.get("blocks")
    if stated is not None:
        count = np.where(first, np.where(stated[region] >= 0, stated[region], 1), 0)
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
    return Pieces(
        base=base,
        size=size,
        committed=committed,
        private=private,
        state=state,
        protect=protect,
        allocation=allocation,
        region=region,
        first=first,
        blocks=count,
        type=of_pieces,
    )


def _edges(marks: list[Mark]) -> U64:
    """Returns where the marks start and where they end, as two rows."""
    return np.array(([mark.start for mark in marks], [mark.end for mark in marks]), np.uint64)


def _cut(regions: Regions, edges: U64) -> tuple[U64, Index, npt.NDArray[np.bool_], I64]:
    """Cuts regions at the edges of marks.

    Returns:
        for each piece its base, the index of its region, whether it is the region's first, and its size.
    """
    edges = edges.ravel()
    region_end = regions.base + regions.size
    inside = np.searchsorted(regions.base, edges, side="right").astype(np.int64) - 1
    edges = edges[(inside >= 0) & (edges < region_end[inside])]
    base = np.concatenate((regions.base, edges))
    base.sort()
    distinct = np.ones(len(base), np.bool_)
    np.not_equal(base[1:], base[:-1], out=distinct[1:])
    base = base[distinct]
    region = np.searchsorted(regions.base, base, side="right") - 1
    first = np.ones(len(base), np.bool_)
    np.not_equal(region[1:], region[:-1], out=first[1:])
    end = region_end[region]
    # A piece that another one of its region follows ends where that one begins.
    followed = np.flatnonzero(~first[1:])
    end[followed] = base[followed + 1]
    return base, region, first, (end - base).view(np.int64)
