"""A map without a list of regions: what modules, stacks, heaps and captured bytes prove, and nothing else.

Such a map has holes of unknown content, so it has no free space. The regions made here are facts put another way: an
image is as large as the module list says, a stack is what its TEB says, captured bytes were committed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from dumpmap.classify.space import USER_SPACE_LIMIT
from dumpmap.model.heaps import UNKNOWN_HEAP
from dumpmap.model.managed_heaps import BOOKKEEPING, RESERVE
from dumpmap.model.process import ProcessStructures
from dumpmap.model.snapshot import Regions, Snapshot, make_regions
from dumpmap.model.winnt import PAGE_SIZE, MemState, MemType

_COMMIT, _RESERVE = int(MemState.MEM_COMMIT), int(MemState.MEM_RESERVE)
_PRIVATE, _IMAGE, _UNKNOWN = int(MemType.MEM_PRIVATE), int(MemType.MEM_IMAGE), 0

_Part = tuple[int, int, int, int, int]
"""start, end, allocation base, state, type."""


class Cover:
    """Non-overlapping parts; a part that comes later fills only what is left."""

    def __init__(self) -> None:
        self._parts: list[_Part] = []

    def add(self, parts: Iterable[_Part]) -> None:
        """Adds parts of one rank, cutting away what parts of earlier ranks hold."""
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
            if position < count:  # the last one that begins before may reach into it
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
    """Builds regions from everything that proves memory. Unknown types are 0; protections are not known."""
    cover = Cover()
    cover.add(
        (module.base, module.base + module.size, module.base, _COMMIT, _IMAGE)
        for module in snapshot.modules
        if module.size
    )
    cover.add(_stacks(structures))
    cover.add(_pages_of_blocks(structures))
    cover.add(_heaps(snapshot, structures))
    cover.add(_managed_heaps(structures))
    cover.add(
        (thread.stack_base, thread.stack_base + thread.stack_size, thread.stack_base, _COMMIT, _PRIVATE)
        for thread in snapshot.threads
        if thread.stack_base is not None and thread.stack_size
    )
    cover.add((start, start + size, start, _COMMIT, _UNKNOWN) for start, size in snapshot.captured)
    return cover.regions()


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
    """TEBs and PEBs: whole pages, each an allocation of its own here, since what lies around them is not known."""
    for teb in structures.tebs:
        base = _page_down(teb.address)
        yield base, base + PAGE_SIZE * (2 if teb.pointer_size == 8 else 1), base, _COMMIT, _PRIVATE
    for peb in structures.pebs:
        base = _page_down(peb.address)
        yield base, base + PAGE_SIZE, base, _COMMIT, _PRIVATE


def _heaps(snapshot: Snapshot, structures: ProcessStructures) -> Iterable[_Part]:
    for heap in structures.heaps:
        for part in heap.ranges:
            size = part.size or part.reserved or part.committed
            if heap.kind == UNKNOWN_HEAP:
                # Only its address is known. A heap begins with its header, so one page is certain.
                size = PAGE_SIZE
            if not size:
                continue
            committed = size if part.committed is None else min(part.committed, size)
            # Where in it the uncommitted holes lie is told only by the heap's own list; without it, at the end.
            yield from _commit_then_reserve(part.base, size, committed)
    for recorded in (*snapshot.heaps, *snapshot.managed_heaps):
        for known in recorded.ranges:
            committed = known.size if known.committed is None else min(known.committed, known.size)
            yield from _commit_then_reserve(known.base, known.size, committed)


def _managed_heaps(structures: ProcessStructures) -> Iterable[_Part]:
    for heap in structures.managed_heaps:
        run: _Part | None = None
        for part in heap.ranges:
            # How much of it is committed only the memory map knows.
            if part.kind == BOOKKEEPING:
                continue
            state, end = _RESERVE if part.kind == RESERVE else _COMMIT, part.base + part.size
            if run is not None and run[1] == part.base and run[3] == state:
                run = (run[0], end, run[2], state, _PRIVATE)
                continue
            if run is not None:
                yield run
            allocation = run[2] if run is not None and run[1] == part.base else part.base
            run = (part.base, end, allocation, state, _PRIVATE)
        if run is not None:
            yield run


def _commit_then_reserve(base: int, size: int, committed: int) -> Iterable[_Part]:
    if committed:
        yield base, base + committed, base, _COMMIT, _PRIVATE
    if committed < size:
        yield base + committed, base + size, base, _RESERVE, _PRIVATE
