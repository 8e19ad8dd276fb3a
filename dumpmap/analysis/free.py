"""Free address space: how much, in what pieces, and what would fit.

A process runs out of address space when no free block is large enough, however much is free in total. Everything here
works on the region map's gaps: `Free` is what an allocation could use, `Unusable` is lost between an allocation's end
and the next 64 KB boundary. Sizes are bytes, ends exclusive; a partial map has no free space to speak of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from dumpmap.analysis.limits import AddressLimit, address_limit
from dumpmap.model.region_map import FreeBlock, RegionMap
from dumpmap.model.snapshot import I64, U64
from dumpmap.model.types import RegionType

TINY_BLOCK = 1 << 20
"""Free blocks below this are of no use to most allocators; Mozilla sums them as `tiny_block_size`."""

GRANULARITY = 0x10000
"""VirtualAlloc starts every allocation at a multiple of this."""

_PAGE = 0x1000
_LOWEST = 0x10000
"""Windows gives nobody the first 64 KB: that they are free means nothing."""


@dataclass(frozen=True, eq=False)
class FreeSpace:
    """The free space of a map.

    Attributes:
        limit: how large the address space is and how that is known.
        base: free blocks by address.
        size: their sizes.
        total: bytes free.
        count: number of blocks.
        largest: the largest block, None where nothing is free.
        unusable: bytes lost before 64 KB boundaries.
        tiny: bytes in blocks below 1 MB.
        tiny_count: number of such blocks.
        complete: whether the list of regions reaches the end of the space. If not, there may be more free space.
        reserve: (address, size) that the crash reporter had set aside for itself and freed: it does not count.
    """

    limit: AddressLimit
    base: U64 = field(repr=False)
    size: I64 = field(repr=False)
    total: int
    count: int
    largest: FreeBlock | None
    unusable: int
    tiny: int
    tiny_count: int
    complete: bool
    reserve: tuple[int, int] | None = None

    @property
    def fragmentation(self) -> float | None:
        """1 - largest block / free space, as DebugDiag and WinDbg define it; None where nothing is free.

        What is not counted as free, such as the first 64 KB, is not counted here either: alone it is nothing.
        """
        return None if self.largest is None or not self.total else 1 - self.largest.size / self.total

    def to_dict(self) -> dict[str, Any]:
        """Plain data; `tiny_block_size` is Mozilla's name."""
        largest = self.largest
        return {
            "address_space_limit": self.limit.to_dict(),
            "complete": self.complete,
            "free": self.total,
            "free_blocks": self.count,
            "largest_free_block": None
            if largest is None
            else {"address": f"0x{largest.address:x}", "size": largest.size},
            "fragmentation": None if self.fragmentation is None else round(self.fragmentation, 4),
            "tiny_block_size": self.tiny,
            "tiny_blocks": self.tiny_count,
            "unusable": self.unusable,
            "crash_reporter_reserve": None
            if self.reserve is None
            else {"address": f"0x{self.reserve[0]:x}", "size": self.reserve[1]},
        }


def free_space(region_map: RegionMap) -> FreeSpace | None:
    """Measures the free space; None for a partial map.

    A 32-bit process that a 64-bit program dumped shows the whole 64-bit space; only the part that its own code can
    use is counted. What the crash reporter had reserved for itself was not there when the allocation failed, so it is
    left out; so are the first 64 KB, which Windows gives to nobody.
    """
    gaps = region_map.gaps
    if gaps is None or region_map.end is None:
        return None
    limit = address_limit(region_map)
    base, size = gaps.free_base, gaps.free_size.astype(np.int64)
    unusable_base, unusable_size = gaps.unusable_base, gaps.unusable_size
    if limit.size is not None and limit.size < region_map.end:
        base, size = _clip(base, size, limit.size)
        inside = unusable_base < limit.size
        unusable_size = unusable_size[inside]
    elif limit.size is not None and limit.source == "recorded summary" and limit.size > region_map.end:
        # A VMMap file does not list free space; what lies behind its last row is free too.
        base = np.append(base, np.uint64(region_map.end))
        size = np.append(size, limit.size - region_map.end)
    if limit.windows:
        base, size = _cut(base, size, 0, _LOWEST)
    reserve = _reporter_reserve(region_map.snapshot.annotations)
    if reserve is not None:
        base, size = _cut(base, size, *reserve)
    count = len(size)
    index = int(size.argmax()) if count else -1
    small = size < TINY_BLOCK
    return FreeSpace(
        limit=limit,
        base=base,
        size=size,
        total=int(size.sum()),
        count=count,
        largest=FreeBlock(int(base[index]), int(size[index])) if count else None,
        unusable=int(unusable_size.sum()),
        tiny=int(size[small].sum()),
        tiny_count=int(np.count_nonzero(small)),
        complete=limit.reached,
        reserve=reserve,
    )


def _clip(base: U64, size: I64, end: int) -> tuple[U64, I64]:
    inside = base < end
    base, size = base[inside], size[inside]
    return base, np.minimum(size, end - base.astype(np.int64))


def _cut(base: U64, size: I64, start: int, length: int) -> tuple[U64, I64]:
    """Takes [start, start + length) out of the blocks."""
    stop = start + length
    starts, ends = base.astype(np.int64), base.astype(np.int64) + size
    before, after = np.minimum(ends, start), np.maximum(starts, stop)
    touched = (starts < stop) & (ends > start)
    if not touched.any():
        return base, size
    left, right = touched & (before > starts), touched & (ends > after)
    new_base = np.concatenate((starts[~touched], starts[left], after[right]))
    new_size = np.concatenate((size[~touched], (before - starts)[left], (ends - after)[right]))
    order = np.argsort(new_base)
    return new_base[order].astype(np.uint64), new_size[order]


def _reporter_reserve(annotations: Mapping[str, str]) -> tuple[int, int] | None:
    """Reads what Breakpad reserved, in decimal as Mozilla writes it, or in hex with 0x."""
    try:
        address = int(annotations["BreakpadReserveAddress"], 0)
        size = int(annotations["BreakpadReserveSize"], 0)
    except (KeyError, ValueError):
        return None
    return (address, size) if address > 0 and size > 0 and address + size < 1 << 63 else None


# ---------------------------------------------------------------- what would fit


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether an allocation would find room.

    Attributes:
        size: bytes asked for.
        alignment: what its start must be a multiple of.
        fits: whether it would; None where the list of regions is cut off and shows no room: there may be some behind.
        count: how many of that size would, one after the other, in the free space that the input shows.
        address: where the first would go, lowest address first; None where it does not fit.
        largest: the largest size that would fit in what the input shows.
        complete: whether the input shows all free space.
    """

    size: int
    alignment: int
    fits: bool | None
    count: int
    address: int | None
    largest: int
    complete: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "size": self.size,
            "alignment": self.alignment,
            "fits": self.fits,
            "count": self.count,
            "address": None if self.address is None else f"0x{self.address:x}",
            "largest": self.largest,
            "complete": self.complete,
        }


def fits(source: RegionMap | FreeSpace, size: int, alignment: int = GRANULARITY) -> Fit | None:
    """Tells whether an allocation of `size` bytes would find room, and how often.

    Every allocation starts at a multiple of `alignment`, so each takes that much at least, but for the last one in a
    block. The first 64 KB of the address space and what lies above its limit are not given out.

    Args:
        source: a map or its free space.
        size: bytes.
        alignment: a power of two, at least a page; VirtualAlloc's is 64 KB.

    Returns:
        None for a partial map.
    """
    if size <= 0:
        raise ValueError(f"size is {size}; it must be positive")
    if alignment < _PAGE or alignment & (alignment - 1):
        raise ValueError(f"alignment is {alignment}; it must be a power of two and at least {_PAGE}")
    space = free_space(source) if isinstance(source, RegionMap) else source
    if space is None:
        return None
    start = np.maximum(space.base.astype(np.int64), _LOWEST if space.limit.windows else _PAGE)
    start = (start + (alignment - 1)) & -alignment
    room = space.base.astype(np.int64) + space.size - start
    wanted = -(-size // _PAGE) * _PAGE
    step = -(-size // alignment) * alignment
    counts = np.where(room >= wanted, 1 + (room - wanted) // step, 0)
    found = np.flatnonzero(counts)
    # What a list that is cut off does not show may be free; but no space holds more than itself.
    beyond = space.limit.size is not None and size > space.limit.size
    return Fit(
        size=size,
        alignment=alignment,
        fits=len(found) > 0 or (None if not space.complete and not beyond else False),
        count=int(counts.sum()),
        address=int(start[found[0]]) if len(found) else None,
        largest=max(0, int(room.max())) if len(room) else 0,
        complete=space.complete,
    )


# ---------------------------------------------------------------- what it looks like


def histogram(space: FreeSpace) -> list[dict[str, int]]:
    """Counts free blocks by power of two.

    Returns:
        rows of `min_bytes` (inclusive), `max_bytes` (exclusive), `count`, `bytes`, without a gap from the smallest to
        the largest size there is.
    """
    if space.count == 0:
        return []
    # Exact for every size below 2**53: frexp gives the exponent itself.
    exponents = np.frexp(space.size.astype(np.float64))[1] - 1
    low = int(exponents.min())
    slots = exponents - low
    counts = np.bincount(slots)
    order = np.argsort(slots, kind="stable")
    edges = np.concatenate(([0], np.cumsum(counts)))
    running = np.concatenate((np.zeros(1, np.int64), np.cumsum(space.size[order])))
    sums = running[edges[1:]] - running[edges[:-1]]
    return [
        {"min_bytes": 1 << (low + slot), "max_bytes": 1 << (low + slot + 1), "count": int(count), "bytes": int(total)}
        for slot, (count, total) in enumerate(zip(counts.tolist(), sums.tolist(), strict=True))
    ]


@dataclass(frozen=True, slots=True)
class Neighbour:
    """The allocation beside a free block."""

    address: int
    size: int
    type: str
    kind: str
    details: str

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "address": f"0x{self.address:x}",
            "size": self.size,
            "type": self.type,
            "kind": self.kind,
            "details": self.details,
        }


@dataclass(frozen=True, slots=True)
class FreeNeighbours:
    """A free block and what lies before and behind it; None at an end of the address space."""

    address: int
    size: int
    before: Neighbour | None
    after: Neighbour | None

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "address": f"0x{self.address:x}",
            "size": self.size,
            "before": None if self.before is None else self.before.to_dict(),
            "after": None if self.after is None else self.after.to_dict(),
        }


def largest_blocks(region_map: RegionMap, count: int = 10, space: FreeSpace | None = None) -> list[FreeNeighbours]:
    """The largest free blocks, largest first (of equal ones the lower first), with their neighbours."""
    space = space or free_space(region_map)
    if space is None or count <= 0:
        return []
    picked = np.lexsort((space.base, -space.size))[:count]
    bases = region_map.allocation_columns.base
    at = np.searchsorted(bases, space.base[picked])
    blocks = []
    for address, size, after in zip(space.base[picked].tolist(), space.size[picked].tolist(), at.tolist(), strict=True):
        blocks.append(
            FreeNeighbours(
                address=address,
                size=size,
                before=_neighbour(region_map, after - 1),
                after=_neighbour(region_map, after),
            )
        )
    return blocks


def _neighbour(region_map: RegionMap, index: int) -> Neighbour | None:
    columns = region_map.allocation_columns
    if not 0 <= index < len(columns.base):
        return None
    return Neighbour(
        address=int(columns.base[index]),
        size=int(columns.size[index]),
        type=RegionType(int(columns.type[index])).label,
        kind=region_map.texts[columns.kind[index]],
        details=region_map.texts[columns.details[index]],
    )


@dataclass(frozen=True, slots=True)
class UnusableCause:
    """Allocations of one type, kind and size, and what is lost behind them."""

    type: str
    kind: str
    size: int
    count: int
    unusable: int

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "type": self.type,
            "kind": self.kind,
            "size": self.size,
            "count": self.count,
            "unusable": self.unusable,
        }


def unusable_causes(region_map: RegionMap, count: int = 10) -> list[UnusableCause]:
    """Groups the allocations that unusable space lies behind, those that cost most first.

    Many small VirtualAllocs are the usual cause: one of 4 KB makes 60 KB unusable.
    """
    gaps = region_map.gaps
    if gaps is None or len(gaps.unusable_base) == 0:
        return []
    columns = region_map.allocation_columns
    owner = np.searchsorted(columns.base, gaps.unusable_base, side="right") - 1
    real = owner >= 0
    owner, lost = owner[real], gaps.unusable_size[real].astype(np.int64)
    if len(owner) == 0:
        return []
    limit = address_limit(region_map).size
    if limit is not None:
        inside = columns.base[owner] < limit
        owner, lost = owner[inside], lost[inside]
    groups, inverse = _group(columns.type[owner], columns.kind[owner], columns.size[owner])
    counts = np.bincount(inverse, minlength=len(groups))
    totals = np.bincount(inverse, weights=lost.astype(np.float64), minlength=len(groups)).astype(np.int64)
    causes = []
    for group in np.argsort(-totals, kind="stable")[: max(0, count)].tolist():
        first = owner[groups[group]]
        causes.append(
            UnusableCause(
                type=RegionType(int(columns.type[first])).label,
                kind=region_map.texts[columns.kind[first]],
                size=int(columns.size[first]),
                count=int(counts[group]),
                unusable=int(totals[group]),
            )
        )
    return causes


def _group(*columns: npt.NDArray[Any]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Groups rows that are equal in all columns; returns the first row of each group, and each row's group."""
    codes = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        values, inverse = np.unique(column, return_inverse=True)
        codes = np.unique(codes * len(values) + inverse, return_inverse=True)[1].astype(np.int64)
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    return first, inverse


def free_report(region_map: RegionMap, blocks: int = 10) -> dict[str, Any] | None:
    """All of this module about one map as plain data (schema `dumpmap.free/1`); None for a partial map."""
    space = free_space(region_map)
    if space is None:
        return None
    return {
        "schema": "dumpmap.free/1",
        **space.to_dict(),
        "histogram": histogram(space),
        "largest_blocks": [block.to_dict() for block in largest_blocks(region_map, blocks, space)],
        "unusable_causes": [cause.to_dict() for cause in unusable_causes(region_map, blocks)],
    }


HISTOGRAM_COLUMNS = ("min_bytes", "max_bytes", "count", "bytes")
BLOCK_COLUMNS = ("address", "size", "before", "after")
UNUSABLE_COLUMNS = ("type", "kind", "size", "count", "unusable")
