"""The address space in use, grouped into allocations, and the gaps between them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from dumpmap.model.snapshot import I32, I64, U32, U64, WORKING_SET_COLUMNS, Regions
from dumpmap.model.values import cached_property
from dumpmap.model.winnt import MemState, MemType

Index = npt.NDArray[np.intp]

_COMMIT, _PRIVATE = int(MemState.MEM_COMMIT), int(MemType.MEM_PRIVATE)


_FEW = 1 << 15


def quick(values: U64) -> Sequence[int]:
    """Returns an array for single look-ups: a list if it is short, else a view, which needs no copy.

    To look up a number in a list takes a third of the time that a view takes, and a tenth of an array's.
    """
    return cast("Sequence[int]", values.tolist() if len(values) <= _FEW else values.data)


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
    allocation_of: I32
    first: Index
    bases: U64
    ends: U64

    def __len__(self) -> int:
        return len(self.first)

    @cached_property
    def kinds(self) -> U32:
        """MEM_PRIVATE, MEM_MAPPED, or MEM_IMAGE of each allocation; 0 where it is unknown."""
        return self.regions.type[self.first]

    @cached_property
    def quick_ends(self) -> tuple[Sequence[int], Sequence[int]]:
        """Bases and ends for single look-ups."""
        return quick(self.bases), quick(self.ends)

    def index_of(self, address: int) -> int:
        """Returns the index of the allocation that holds `address`, or -1."""
        bases, ends = self.quick_ends
        index = bisect_right(bases, address) - 1
        return index if index >= 0 and address < ends[index] else -1

    def indices_of(self, addresses: Sequence[int]) -> list[int]:
        """Returns the index of the allocation that holds each address, or -1."""
        bases, ends = self.quick_ends
        found = [bisect_right(bases, address) - 1 for address in addresses]
        return [
            index if index >= 0 and address < ends[index] else -1
            for index, address in zip(found, addresses, strict=True)
        ]

    # The three methods of `dumpmap.structures.space.Space`:

    def private_allocations(self) -> Sequence[int]:
        """See `dumpmap.structures.space.Space`."""
        first = self.first
        wanted = (self.regions.type[first] == _PRIVATE) & (self.regions.state[first] == _COMMIT)
        # An array, unconverted: it may have a million entries, and `Memory.find` works on arrays.
        return cast("Sequence[int]", self.bases[wanted])

    def large_private_allocations(self, size: int) -> Sequence[tuple[int, int]]:
        """See `dumpmap.structures.space.Space`."""
        sizes = self.ends - self.bases
        (large,) = (sizes >= np.uint64(size)).nonzero()
        large = large[self.regions.type[self.first[large]] == _PRIVATE]
        return list(zip(self.bases[large].tolist(), sizes[large].tolist(), strict=True))

    def allocation(self, address: int) -> tuple[int, int] | None:
        """See `dumpmap.structures.space.Space`."""
        bases, ends = self.quick_ends
        index = bisect_right(bases, address) - 1
        if index < 0 or address >= ends[index]:
            return None
        base = bases[index]
        return base, ends[index] - base

    def committed(self, base: int, size: int) -> int:
        """See `dumpmap.structures.space.Space`."""
        return self._committed_below(min(base + size, (1 << 64) - 1)) - self._committed_below(base)

    def _committed_below(self, address: int) -> int:
        bases, sums = self._quick_sums
        index = bisect_left(bases, address)
        if not index:
            return 0
        before = sums[index - 1]
        return before + min(sums[index] - before, address - bases[index - 1])

    @cached_property
    def _quick_sums(self) -> tuple[Sequence[int], Sequence[int]]:
        """Bases of the regions, and the committed bytes before each region and after the last one."""
        sums = np.zeros(len(self.regions) + 1, np.uint64)
        np.cumsum(np.where(self.regions.state == _COMMIT, self.regions.size, np.uint64(0)), out=sums[1:])
        return quick(self.regions.base), quick(sums)

    def committed_places(self, alignment: int, limit: int, offset: int = 0) -> Sequence[int]:
        """See `dumpmap.structures.space.Space`."""
        regions, below = self.regions, np.uint64(alignment - 1)
        # Below `offset` the subtraction wraps, and the sum wraps back.
        first = ((regions.base + below - np.uint64(offset)) & ~below) + np.uint64(offset)
        end = regions.base + regions.size
        # Most regions hold no such address, so the others are sorted out before anything else is computed.
        (held,) = (first < end).nonzero()
        held = held[(regions.state[held] == _COMMIT) & (regions.type[held] == _PRIVATE)][:limit]
        places: list[int] = []
        for low, high in zip(first[held].tolist(), end[held].tolist(), strict=True):
            if high - low <= alignment:
                places.append(low)
            elif len(places) < limit:
                # A slice of a range costs nothing: a hostile region can be as large as the address space.
                places += range(low, high, alignment)[: limit - len(places)]
        return places[:limit]


@dataclass(frozen=True)
class Gaps:
    """Free space: of each gap between allocations the unusable start, and the rest."""

    unusable_base: U64
    unusable_size: U64
    free_base: U64
    free_size: U64


def working_sets(space: AllocationSpace) -> dict[str, I64]:
    """Working-set bytes of each allocation, by column; -1 is unknown. Empty if the input records none."""
    sums = {}
    for name in WORKING_SET_COLUMNS:
        values = space.regions.numbers.get(name)
        if values is not None and len(space):
            known = np.add.reduceat(np.maximum(values, 0), space.first)
            unknown = np.minimum.reduceat(values, space.first) < 0
            sums[name] = np.where(unknown & (known == 0), -1, known)
    return sums
