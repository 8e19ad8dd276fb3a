"""Free address space: how much, in what pieces, and what would fit.

A process runs out of address space when no free block is large enough, however much is free in total. Everything here
works on the region map's gaps: an allocation could use `Free`; `Unusable` is lost between an allocation's end and the
next 64 KB boundary. Sizes are bytes, ends exclusive. A partial map does not know its free space.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from dumpmap.analysis.limits import AddressLimit, address_limit
from dumpmap.model.region_map import FreeBlock, RegionMap
from dumpmap.model.sizes import rounded_share
from dumpmap.model.snapshot import I64, U64
from dumpmap.model.values import value_class

TINY_BLOCK = 1 << 20
"""Most allocators cannot use free blocks below this size; Mozilla sums them as `tiny_block_size`."""

GRANULARITY = 0x10000
"""VirtualAlloc starts every allocation at a multiple of this."""

_PAGE = 0x1000
_LOWEST = 0x10000
"""Windows reserves the first 64 KB: no allocation gets them although they are free."""


@dataclass(frozen=True, eq=False)
class FreeSpace:
    """The free space of a map.

    Attributes:
        limit: how large the address space is, with the evidence.
        base: free blocks by address.
        size: their sizes.
        total: bytes free.
        count: number of blocks.
        largest: the largest block; None if nothing is free.
        unusable: bytes lost before 64 KB boundaries.
        tiny: bytes in blocks below 1 MB.
        tiny_count: number of such blocks.
        complete: whether the list of regions reaches the end of the space; if not, there may be more free space.
        reserve: (address, size) that the crash reporter had reserved for itself and freed; it does not count.
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
        """1 - largest block / free space, as DebugDiag and WinDbg define it; None if nothing is free."""
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
            "fragmentation": rounded_share(self.fragmentation),
            "tiny_block_size": self.tiny,
            "tiny_blocks": self.tiny_count,
            "unusable": self.unusable,
            "crash_reporter_reserve": None
            if self.reserve is None
            else {"address": f"0x{self.reserve[0]:x}", "size": self.reserve[1]},
        }


def free_space(region_map: RegionMap) -> FreeSpace | None:
    """Measures the free space; None for a partial map.

    If a 64-bit program dumped a 32-bit process, the dump shows the whole 64-bit space; only the part that the
    process's own code can use counts. Two more parts do not count: the first 64 KB, which Windows reserves, and what
    the crash reporter had reserved for itself, which was not free when the allocation failed.
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
        # A VMMap file does not list free space; the space after its last row is free too.
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

FitReason = Literal["list-cut-off", "map-partial", "bound", "address-space"]


@value_class(frozen=True, slots=True)
class Fit:
    """Whether an allocation would find room.

    Attributes:
        size: bytes asked for.
        alignment: what its start must be a multiple of.
        fits: whether it would; None if the input does not show it.
        count: how many allocations of that size would fit, one after the other, in the free space that the input shows;
            None without a list of regions, unless none fits.
        address: the lowest address where one fits; None if none does.
        largest: the largest size that would fit in the free space that the input shows; None without a list of regions.
        complete: whether the input shows all free space.
        reason: why it is unknown: `list-cut-off` (the missing part of a truncated list may have room) or `map-partial`
            (there is no list); or what refuses the size without a list: `bound` (no free block can be as large) or
            `address-space`. None if the free space itself answers.
        largest_at_most: an upper bound of the largest free block; None if it is measured or nothing bounds it.
    """

    size: int
    alignment: int
    fits: bool | None
    count: int | None
    address: int | None
    largest: int | None
    complete: bool = True
    reason: FitReason | None = None
    largest_at_most: int | None = None

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
            "reason": self.reason,
            "largest_at_most": self.largest_at_most,
        }


def checked_sizes(size: int, alignment: int) -> None:
    """Checks what an allocation asks for.

    Raises:
        ValueError: the size or the alignment is not one.
    """
    if size <= 0:
        raise ValueError(f"size is {size}; it must be positive")
    if alignment < _PAGE or alignment & (alignment - 1):
        raise ValueError(f"alignment is {alignment}; it must be a power of two and at least {_PAGE}")


def fits(source: RegionMap | FreeSpace, size: int, alignment: int = GRANULARITY) -> Fit | None:
    """Finds out whether an allocation of `size` bytes would fit, and how often.

    Every allocation starts at a multiple of `alignment`, so each but the last one in a block takes at least that much.
    Nothing fits into the first 64 KB of the address space or above its limit.

    Args:
        source: a map or its free space.
        size: bytes.
        alignment: a power of two, at least a page; VirtualAlloc's is 64 KB.

    Returns:
        None for a partial map.
    """
    checked_sizes(size, alignment)
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
    # The missing part of a truncated list may be free; but no space holds more than itself.
    beyond = space.limit.size is not None and size > space.limit.size
    cut = not len(found) and not space.complete and not beyond
    return Fit(
        size=size,
        alignment=alignment,
        fits=None if cut else len(found) > 0,
        count=int(counts.sum()),
        address=int(start[found[0]]) if len(found) else None,
        largest=max(0, int(room.max())) if len(room) else 0,
        complete=space.complete,
        reason="list-cut-off" if cut else None,
    )
