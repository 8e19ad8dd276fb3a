"""Allocations and free gaps from a list of regions: arithmetic only, no interpretation."""

from __future__ import annotations

import numpy as np

from dumpmap.model.snapshot import U64, Regions, Snapshot
from dumpmap.model.space import AllocationSpace, Gaps
from dumpmap.model.winnt import MemState, MemType

LINUX_USER_SPACE_END = 1 << 47
"""End of user space on Linux with four-level page tables. [vsyscall] lies beyond it."""

USER_SPACE_LIMIT = 1 << 63
"""No processor has user addresses from here on. Below it, every size and sum fits a signed 64-bit number."""

_FREE, _COMMIT, _PRIVATE = int(MemState.MEM_FREE), int(MemState.MEM_COMMIT), int(MemType.MEM_PRIVATE)


def group_allocations(regions: Regions) -> AllocationSpace:
    """Groups regions into allocations: neighbours with one AllocationBase and no gap between them."""
    (in_use,) = (regions.state != _FREE).nonzero()
    used = regions if len(in_use) == len(regions) else regions.take(in_use)
    count = len(used)
    if count == 0:
        none = np.empty(0, np.uint64)
        return AllocationSpace(used, np.empty(0, np.int32), np.empty(0, np.intp), none, none)
    ends = used.base + used.size
    starts = np.empty(count, np.bool_)
    starts[0] = True
    starts[1:] = (used.allocation_base[1:] != used.allocation_base[:-1]) | (used.base[1:] != ends[:-1])
    (first,) = starts.nonzero()
    allocation_of = starts.cumsum(dtype=np.int32)
    allocation_of -= 1
    last = np.empty_like(first)
    last[:-1], last[-1] = first[1:] - 1, count - 1
    return AllocationSpace(used, allocation_of, first, used.base[first], ends[last])


def space_end(snapshot: Snapshot, regions: Regions) -> int:
    """Returns the end (exclusive) of the address space: the end of the last listed region, which may be free.

    A live capture may omit the free space at the end, so there the system's highest address also counts.
    """
    end = int(regions.base[-1]) + int(regions.size[-1]) if len(regions) else 0
    highest = snapshot.system.max_address
    if snapshot.source.kind == "live" and highest is not None:
        return max(end, min(highest + 1, USER_SPACE_LIMIT))
    return end


def find_gaps(bases: U64, ends: U64, space_end: int, granularity: int) -> Gaps:
    """Splits what no allocation covers in [0, space_end) into unusable and free space.

    Args:
        bases: of the allocations, sorted.
        ends: their ends.
        space_end: end of the address space.
        granularity: allocations start only at multiples of it.
    """
    starts = np.concatenate((np.zeros(1, np.uint64), ends))
    stops = np.concatenate((bases, np.array([max(space_end, int(ends[-1]) if len(ends) else 0)], np.uint64)))
    real = stops > starts
    starts, stops = starts[real], stops[real]
    step = np.uint64(max(1, granularity))
    over = starts % step
    room = stops - starts
    if not np.count_nonzero(over):  # on Linux, nearly always
        return Gaps(starts[:0], room[:0], starts, room)
    # Rounding up could wrap near the top of the address space, but the end of the gap bounds it first.
    waste = np.where(over > 0, np.minimum(step - over, room), np.uint64(0))
    wasted, rest = waste > 0, room > waste
    return Gaps(
        unusable_base=starts[wasted],
        unusable_size=waste[wasted],
        free_base=(starts + waste)[rest],
        free_size=(room - waste)[rest],
    )
