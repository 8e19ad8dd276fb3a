"""Allocations and free gaps out of a list of regions: arithmetic only, no interpretation."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np
import numpy.typing as npt

from dumpmap.snapshot import I64, U32, U64, WORKING_SET_COLUMNS, Regions, Snapshot
from dumpmap.winnt import MemState, MemType

Index = npt.NDArray[np.intp]

LINUX_USER_SPACE_END = 1 << 47
"""End of user space on Linux with four-level page tables; [vsyscall] and the like lie beyond."""

USER_SPACE_LIMIT = 1 << 63
"""No processor has user addresses from here on; below it every size and sum fits a signed 64-bit number."""

_FREE, _COMMIT, _PRIVATE = int(MemState.MEM_FREE), int(MemState.MEM_COMMIT), int(MemType.MEM_PRIVATE)


@dataclass(frozen=True)
class AllocationSpace:
    """Regions in use, grouped into allocations.

    Attributes:
        regions: those that are not free, sorted.
        allocation_of: for each region the index of its allocation.
        first: for each allocation the index of its first region; the regions of an allocation are neighbours.
        bases: first byte of each allocation.
        ends: end (exclusive) of each allocation.
    """

    regions: Regions
    allocation_of: Index
    first: Index
    bases: U64
    ends: U64

    def __len__(self) -> int:
        return len(self.first)

    @cached_property
    def kinds(self) -> U32:
        """MEM_PRIVATE, MEM_MAPPED or MEM_IMAGE of each allocation; 0 where it is not known."""
        return self.regions.type[self.first]

    @cached_property
    def _views(self) -> tuple[memoryview, memoryview]:
        """Bases and ends for single look-ups, which are several times faster than in an array."""
        return self.bases.data, self.ends.data

    def index_of(self, address: int) -> int:
        """Returns the index of the allocation that holds `address`, or -1."""
        bases, ends = self._views
        index = bisect_right(bases, address) - 1
        return index if index >= 0 and address < ends[index] else -1

    def region_at(self, address: int) -> int:
        """Returns the index of the region that holds `address`, or -1."""
        if not 0 <= address < 1 << 64:
            return -1
        index = int(np.searchsorted(self.regions.base, np.uint64(address), side="right")) - 1
        if index < 0 or address >= int(self.regions.base[index]) + int(self.regions.size[index]):
            return -1
        return index

    # The three that `dumpmap.structures.space.Space` asks for.

    def private_allocations(self) -> Sequence[int]:
        """See `dumpmap.structures.space.Space`."""
        first = self.first
        wanted = (self.regions.type[first] == _PRIVATE) & (self.regions.state[first] == _COMMIT)
        # An array is passed on as it is: it may have a million entries, and `Memory.find` wants an array.
        return cast("Sequence[int]", self.bases[wanted])

    def allocation(self, address: int) -> tuple[int, int] | None:
        """See `dumpmap.structures.space.Space`."""
        index = self.index_of(address)
        return None if index < 0 else (int(self.bases[index]), int(self.ends[index]) - int(self.bases[index]))

    def committed(self, base: int, size: int) -> int:
        """See `dumpmap.structures.space.Space`."""
        low, high = np.uint64(base), np.uint64(min(base + size, (1 << 64) - 1))
        start = max(0, int(np.searchsorted(self.regions.base, low, side="right")) - 1)
        stop = int(np.searchsorted(self.regions.base, high, side="left"))
        bases, sizes = self.regions.base[start:stop], self.regions.size[start:stop]
        lows, highs = np.maximum(bases, low), np.minimum(bases + sizes, high)
        held = (self.regions.state[start:stop] == _COMMIT) & (highs > lows)
        return int((highs[held] - lows[held]).sum())


def group_allocations(regions: Regions) -> AllocationSpace:
    """Groups regions into allocations: neighbours with one AllocationBase and no gap between them."""
    (in_use,) = (regions.state != _FREE).nonzero()
    used = regions if len(in_use) == len(regions) else regions.take(in_use)
    count = len(used)
    if count == 0:
        empty = np.empty(0, np.intp)
        none = np.empty(0, np.uint64)
        return AllocationSpace(used, empty, empty, none, none)
    ends = used.base + used.size
    starts = np.empty(count, np.bool_)
    starts[0] = True
    starts[1:] = (used.allocation_base[1:] != used.allocation_base[:-1]) | (used.base[1:] != ends[:-1])
    (first,) = starts.nonzero()
    allocation_of = starts.cumsum() - 1
    last = np.empty_like(first)
    last[:-1], last[-1] = first[1:] - 1, count - 1
    return AllocationSpace(used, allocation_of, first, used.base[first], ends[last])


def working_sets(space: AllocationSpace) -> dict[str, I64]:
    """Working-set bytes of each allocation, by column; -1 is unknown. Empty where the input has none."""
    sums = {}
    for name in WORKING_SET_COLUMNS:
        values = space.regions.numbers.get(name)
        if values is not None and len(space):
            known = np.add.reduceat(np.maximum(values, 0), space.first)
            unknown = np.minimum.reduceat(values, space.first) < 0
            sums[name] = np.where(unknown & (known == 0), -1, known)
    return sums


def space_end(snapshot: Snapshot, regions: Regions) -> int:
    """Where the address space ends (exclusive): at the end of the last region listed, free ones included.

    A live capture may leave the free space at the end out; there the system's highest address counts too.
    """
    end = int(regions.base[-1]) + int(regions.size[-1]) if len(regions) else 0
    highest = snapshot.system.max_address
    if snapshot.source.kind == "live" and highest is not None:
        return max(end, min(highest + 1, USER_SPACE_LIMIT))
    return end


@dataclass(frozen=True)
class Gaps:
    """Free space: each gap between allocations, its unusable start and the rest."""

    unusable_base: U64
    unusable_size: U64
    free_base: U64
    free_size: U64


def find_gaps(bases: U64, ends: U64, space_end: int, granularity: int) -> Gaps:
    """Splits everything in [0, space_end) that no allocation covers into unusable and free space.

    Args:
        bases: of the allocations, sorted.
        ends: their ends.
        space_end: end of the address space.
        granularity: an allocation can begin only at multiples of it.
    """
    starts = np.concatenate((np.zeros(1, np.uint64), ends))
    stops = np.concatenate((bases, np.array([max(space_end, int(ends[-1]) if len(ends) else 0)], np.uint64)))
    real = stops > starts
    starts, stops = starts[real], stops[real]
    step = np.uint64(max(1, granularity))
    over = starts % step
    # Near the top of the address space rounding up could wrap; the gap's own end bounds it before that.
    room = stops - starts
    waste = np.where(over > 0, np.minimum(step - over, room), np.uint64(0))
    wasted, rest = waste > 0, room > waste
    return Gaps(
        unusable_base=starts[wasted],
        unusable_size=waste[wasted],
        free_base=(starts + waste)[rest],
        free_size=(room - waste)[rest],
    )
