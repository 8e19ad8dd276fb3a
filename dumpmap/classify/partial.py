"""Regions for an input without a list of regions: what modules, stacks, heaps, and captured bytes prove.

Such a map has holes of unknown content and therefore no free space. Its regions restate facts: the module list gives
the size of an image, the TEB the extent of a stack, and captured bytes were committed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import chain, groupby

import numpy as np

from dumpmap.classify.space import USER_SPACE_LIMIT
from dumpmap.model.heaps import UNKNOWN_HEAP
from dumpmap.model.process import ProcessStructures
from dumpmap.model.snapshot import U64, Regions, Snapshot, make_regions
from dumpmap.model.winnt import PAGE_SIZE, MemState, MemType

_COMMIT, _RESERVE = int(MemState.MEM_COMMIT), int(MemState.MEM_RESERVE)
_PRIVATE, _IMAGE, _UNKNOWN = int(MemType.MEM_PRIVATE), int(MemType.MEM_IMAGE), 0

_FEW = 32
"""Runs of captured bytes up to which columns take longer."""

_Part = tuple[int, int, int, int, int]
"""start, end, allocation base, state, type."""


class Cover:
    """Parts that do not overlap. A later part fills only what is left."""

    def __init__(self) -> None:
        self._parts: list[_Part] = []

    def add(self, parts: Iterable[_Part]) -> None:
        """Adds parts of one rank, without what parts of earlier ranks cover."""
        taken = self._parts
        count = len(taken)
        fresh: list[_Part] = []
        reach = position = 0
        for part in sorted(parts):
            start, end, allocation, state, kind = part
            if start < reach:
                start = reach
            if start >= end or end > USER_SPACE_LIMIT:
                continue
            reach = end
            if position == count:  # nothing reaches as far
                fresh.append((start, end, allocation, state, kind))
                continue
            # The last one that begins before may reach into it.
            position = max(position, bisect_right(taken, part, position) - 1)
            while start < end:
                while position < count and taken[position][1] <= start:
                    position += 1
                if position == count or taken[position][0] >= end:
                    fresh.append((start, end, allocation, state, kind))
                    break
                low, high = taken[position][:2]
                if low > start:
                    fresh.append((start, low, allocation, state, kind))
                start = high
        if fresh:
            self._parts = sorted(taken + fresh) if taken else fresh

    def regions(self) -> Regions:
        """All parts as regions, by address."""
        return make_regions(
            [(start, allocation, 0, end - start, state, 0, kind) for start, end, allocation, state, kind in self._parts]
        )


def _page_down(address: int) -> int:
    return address & ~(PAGE_SIZE - 1)


def _page_up(address: int) -> int:
    return -(-address // PAGE_SIZE) * PAGE_SIZE


def partial_regions(snapshot: Snapshot, structures: ProcessStructures) -> Regions:
    """Makes regions of everything that proves memory. Unknown types are 0, and so are protections."""
    cover = Cover()
    cover.add(
        (module.base, module.base + module.size, module.base, _COMMIT, _IMAGE)
        for module in snapshot.modules
        if module.size
    )
    cover.add(_stacks(structures))
    cover.add(_pages_of_blocks(structures))
    cover.add(_heaps(structures))
    cover.add(_ranges(structures))
    cover.add(
        (thread.stack_base, thread.stack_base + thread.stack_size, thread.stack_base, _COMMIT, _PRIVATE)
        for thread in snapshot.threads
        if thread.stack_base is not None and thread.stack_size
    )
    return with_captured(cover, snapshot.captured)


def with_captured(cover: Cover, captured: Sequence[tuple[int, int]]) -> Regions:
    """Adds the captured bytes that nothing else explains: run by run if they are few, else on whole columns."""
    if len(captured) > _FEW:
        return with_many_captured(cover, captured)
    cover.add([(start, start + size, start, _COMMIT, _UNKNOWN) for start, size in captured])
    return cover.regions()


def with_many_captured(cover: Cover, captured: Sequence[tuple[int, int]]) -> Regions:
    """Adds the same on whole columns: a dump can have 60,000 runs of 8 bytes."""
    starts, sizes = np.fromiter(chain.from_iterable(captured), np.uint64, 2 * len(captured)).reshape(-1, 2).T
    limit = np.uint64(USER_SPACE_LIMIT)
    inside = (starts < limit) & (sizes <= limit - np.minimum(starts, limit))
    starts, ends = starts[inside], (starts + sizes)[inside]
    order = np.lexsort((ends, starts))
    starts, ends = starts[order], ends[order]
    allocations = starts.copy()
    if len(starts) > 1:
        np.maximum(starts[1:], np.maximum.accumulate(ends)[:-1], out=starts[1:])
    known = cover.regions()
    known_ends = known.base + known.size
    next_known = np.searchsorted(known_ends, starts, side="right")
    is_clear = next_known == len(known)
    (others,) = np.nonzero(~is_clear)
    next_known = next_known[others]
    is_clear[others] = known.base[next_known] >= ends[others]
    left = starts < ends
    # Most captured bytes lie inside something known, such as an image, and add nothing to it.
    left[others] &= (known.base[next_known] > starts[others]) | (known_ends[next_known] < ends[others])
    meets = left & ~is_clear
    if meets.any():
        cut = zip(starts[meets].tolist(), ends[meets].tolist(), allocations[meets].tolist(), strict=True)
        cover.add((start, end, allocation, _COMMIT, _UNKNOWN) for start, end, allocation in cut)
        known = cover.regions()
    left &= is_clear
    starts, ends, allocations = starts[left], ends[left], allocations[left]
    return _merge(known, starts, ends - starts, allocations)


def _merge(known: Regions, bases: U64, sizes: U64, allocations: U64) -> Regions:
    """Adds committed regions of unknown type to others that they do not overlap."""
    count = len(bases)
    zeros = np.zeros(count, np.uint32)
    regions = Regions(
        base=np.concatenate((known.base, bases)),
        allocation_base=np.concatenate((known.allocation_base, allocations)),
        allocation_protect=np.concatenate((known.allocation_protect, zeros)),
        size=np.concatenate((known.size, sizes)),
        state=np.concatenate((known.state, np.full(count, _COMMIT, np.uint32))),
        protect=np.concatenate((known.protect, zeros)),
        type=np.concatenate((known.type, zeros)),
    )
    return regions.take(np.argsort(regions.base, kind="stable")) if len(known) else regions


def _stacks(structures: ProcessStructures) -> Iterable[_Part]:
    for teb in structures.tebs:
        if teb.stack_base is None or teb.stack_limit is None:
            continue
        limit, end = _page_down(teb.stack_limit), _page_up(teb.stack_base)
        base = limit if teb.allocation_base is None else _page_down(teb.allocation_base)
        if base < limit:
            yield base, limit, base, _RESERVE, _PRIVATE
        yield limit, end, base, _COMMIT, _PRIVATE


def _pages_of_blocks(structures: ProcessStructures) -> Iterable[_Part]:
    """TEBs and PEBs: whole pages, each an allocation of its own, because what lies around them is unknown."""
    for teb in structures.tebs:
        base = _page_down(teb.address)
        yield base, base + PAGE_SIZE * (2 if teb.pointer_size == 8 else 1), base, _COMMIT, _PRIVATE
    for peb in structures.pebs:
        base = _page_down(peb.address)
        yield base, base + PAGE_SIZE, base, _COMMIT, _PRIVATE


def _heaps(structures: ProcessStructures) -> Iterable[_Part]:
    for heap in structures.heaps:
        for part in heap.ranges:
            size = part.size or part.reserved or part.committed
            if heap.kind == UNKNOWN_HEAP:
                # Only its address is known. A heap begins with its header, so one page is certain.
                size = PAGE_SIZE
            if not size:
                continue
            committed = size if part.committed is None else min(part.committed, size)
            # Only the heap's own list has the places of its uncommitted holes. Without it they count as the end.
            yield from _commit_then_reserve(part.base, size, committed)
    for range_ in structures.ranges:
        if range_.takes_allocation:
            committed = range_.size if range_.committed is None else min(range_.committed, range_.size)
            yield from _commit_then_reserve(range_.base, range_.size, committed)


def _ranges(structures: ProcessStructures) -> Iterable[_Part]:
    """Ranges that recognisers found. Neighbours share an allocation, because an owner cuts up its reservations."""
    for _, owned in groupby(structures.ranges, key=lambda part: (part.owner, part.module)):
        run: _Part | None = None
        for part in owned:
            if part.committed is None or part.takes_allocation:
                continue
            for start, end, state in (
                (part.base, part.base + part.committed, _COMMIT),
                (part.base + part.committed, part.base + part.size, _RESERVE),
            ):
                if start == end:
                    continue
                if run is not None and run[1] == start and run[3] == state:
                    run = (run[0], end, run[2], state, _PRIVATE)
                    continue
                if run is not None:
                    yield run
                allocation = run[2] if run is not None and run[1] == start else start
                run = (start, end, allocation, state, _PRIVATE)
        if run is not None:
            yield run


def _commit_then_reserve(base: int, size: int, committed: int) -> Iterable[_Part]:
    if committed:
        yield base, base + committed, base, _COMMIT, _PRIVATE
    if committed < size:
        yield base + committed, base + size, base, _RESERVE, _PRIVATE
