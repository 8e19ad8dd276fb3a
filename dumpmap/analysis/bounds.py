"""Upper bounds of the free space of an input without a list of regions. A bound is never a measurement.

Three facts bound it. Whatever is known to be occupied cuts the address space, so that the widest gap between two
neighbors is the most that the largest free block can have. The process's virtual size is in use, so that no more than
the rest can be free. And the writer of the dump may have recorded what was free when it wrote the dump. In 4 GB or less
this can prove that no block of a size exists; it never proves that one does.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from dumpmap.analysis.limits import NARROW, AddressLimit
from dumpmap.analysis.writer_memory import WriterFigure, largest_block, space_available
from dumpmap.model.region_map import RegionMap
from dumpmap.model.types import RegionType
from dumpmap.model.values import value_class
from dumpmap.model.winnt import ALLOCATION_GRANULARITY

BoundEvidence = Literal["known-ranges", "virtual-size", "writer"]

_LITTLE = 1 << 40
"""Room in a wide address space from which on a bound says nothing."""

_BELOW = ALLOCATION_GRANULARITY - 1

_FREE = int(RegionType.FREE)

_ABOVE = 64 << 20
"""Allowance for what a 32-bit process on 64-bit Windows has above 4 GB (the 64-bit system modules and what belongs to
them): its virtual size counts that too, and a bound must not be too low."""


@value_class(frozen=True, slots=True)
class Bound:
    """An upper bound.

    Attributes:
        size: bytes: there is at most this much.
        evidence: `known-ranges`, `virtual-size`, or `writer`.
        limit: size of the address space that it counts from.
        virtual_size: bytes in use by the process's counters; only for `virtual-size`.
        gap: (start, end) of the widest gap between known ranges; only for `known-ranges`.
        ranges: number of known ranges within the limit; only for `known-ranges`.
        limit_at_most: whether the limit itself is only an upper bound.
        figure: what the writer of the dump recorded; only for `writer`.
    """

    size: int
    evidence: BoundEvidence
    limit: int
    virtual_size: int | None = None
    gap: tuple[int, int] | None = None
    ranges: int | None = None
    limit_at_most: bool = False
    figure: WriterFigure | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        evidence: dict[str, Any] = {"source": self.evidence, "limit": self.limit}
        if self.gap is not None:
            evidence |= {"start": f"0x{self.gap[0]:x}", "end": f"0x{self.gap[1]:x}", "ranges": self.ranges}
        elif self.figure is not None:
            evidence |= {"name": self.figure.name, "writer": self.figure.writer}
        else:
            evidence["virtual_size"] = self.virtual_size
        return {"size": self.size, "evidence": evidence}


@value_class(frozen=True, slots=True)
class FreeBounds:
    """What bounds the free space of a partial map.

    Attributes:
        largest: bound of the largest free block.
        free: bound of all free space; None without the counter of virtual memory or a record of the writer.
        recorded: the bound of the largest free block by the writer's record alone.
    """

    largest: Bound | None
    free: Bound | None
    recorded: Bound | None = None


def free_bounds(region_map: RegionMap, limit: AddressLimit, virtual_size: int | None) -> FreeBounds | None:
    """Bounds the free space; None if the map measures it, or if the space is so wide that a bound says nothing.

    In a wide space only a record of little room counts.

    Args:
        region_map: the map.
        limit: how large the address space is.
        virtual_size: the address space in use by the process's counters; None if unknown.
    """
    if region_map.gaps is not None or not limit.windows or limit.size is None:
        return None
    if not limit.narrow:
        free, block = _by_writer(region_map, limit.size, below=_LITTLE)
        recorded = _least(block, free)
        return None if recorded is None else FreeBounds(recorded, free, recorded)
    size = _proved_limit(region_map, limit.size)
    counted = _by_virtual_size(region_map, size, virtual_size, at_most=limit.at_most)
    available, block = _by_writer(region_map, size)
    free = _least(counted, available)
    return FreeBounds(_least(_widest_gap(region_map, size), free, block), free, _least(block, available))


def _least(*bounds: Bound | None) -> Bound | None:
    """The smallest bound; the first of equal ones."""
    return min((bound for bound in bounds if bound is not None), key=lambda bound: bound.size, default=None)


def _by_writer(region_map: RegionMap, limit: int, *, below: int | None = None) -> tuple[Bound | None, Bound | None]:
    """What the writer recorded of all free space and of its largest block, if it is less than `below`."""
    available, block = (
        None if figure is None or (below is not None and figure.size >= below) else figure
        for figure in (space_available(region_map, limit), largest_block(region_map, limit))
    )
    return (
        None if available is None else Bound(available.size, "writer", limit, figure=available),
        None if block is None else Bound(block.size, "writer", limit, figure=block),
    )


def _proved_limit(region_map: RegionMap, limit: int) -> int:
    """The limit, or 4 GB if a known range of a 32-bit process lies above it: it then belongs to another program."""
    bases = region_map.pieces.base
    above = (bases >= np.uint64(limit)) & (bases < np.uint64(NARROW))
    return NARROW if region_map.process.pointer_size == 4 and np.count_nonzero(above) else limit


def _by_virtual_size(region_map: RegionMap, limit: int, virtual_size: int | None, *, at_most: bool) -> Bound | None:
    if not virtual_size:
        return None
    above = 0 if region_map.process.wow64 is False else _ABOVE
    size = min(limit - ALLOCATION_GRANULARITY, max(0, limit - virtual_size + above))
    return Bound(size, "virtual-size", limit, virtual_size=virtual_size, limit_at_most=at_most)


def _widest_gap(region_map: RegionMap, limit: int) -> Bound | None:
    """The widest gap between two known ranges, from its first multiple of 64 KB on; the first 64 KB do not count."""
    pieces = region_map.pieces
    count = np.count_nonzero(pieces.base < np.uint64(min(limit, NARROW)))
    base = pieces.base[:count].astype(np.int64)
    if not count:
        return None
    start, stop = np.empty((2, count + 1), np.int64)
    start[0], stop[-1] = ALLOCATION_GRANULARITY, limit
    start[1:], stop[:-1] = base + np.minimum(pieces.size[:count], limit), base
    # Up to where anything before reaches, and from there to the next multiple of 64 KB.
    start = (np.maximum.accumulate(np.minimum(start, limit)) + _BELOW) & ~_BELOW
    widest = int((stop - start).argmax())
    first, last = int(start[widest]), int(stop[widest])
    ranges = int(np.count_nonzero(pieces.type[:count] != _FREE))
    return Bound(max(0, last - first), "known-ranges", limit, gap=(first, max(first, last)), ranges=ranges)
