"""Finds the front end of an NT heap, and the counters whose place depends on the same release."""

from __future__ import annotations

from dumpmap.model.heaps import HeapRange
from dumpmap.model.winnt import PAGE_SIZE
from dumpmap.structures.bounds import MAX_SEGMENTS, USER_LIMIT, is_page, is_user_address
from dumpmap.structures.heap_context import HeapContext
from dumpmap.structures.layout import Layout
from dumpmap.structures.layouts import nt_heap as layouts


def read_front_end(
    context: HeapContext, address: int, layout: Layout
) -> tuple[bool | None, HeapRange | None, dict[str, int] | None]:
    """Finds the front end, and the counters whose place depends on the same release.

    Returns:
        Whether a low-fragmentation front end is active (None: unknown), its range, and the counters.
    """
    for place, is_certain in _front_end_places(context, layout):
        values = place.part("FrontEndHeap", "FrontEndHeapType").read(context.memory, address)
        if values is None:
            continue
        pointer, kind = values
        if not _is_front_end(pointer, kind, layout is layouts.HEAP_OLD[context.pointer_size]):
            continue
        active = kind == layouts.FRONT_END_LOW_FRAGMENTATION
        points_back = _points_back(context, pointer, address) if active else False
        if not is_certain and not points_back:
            continue
        front_end = _front_end_range(context, pointer, points_back) if active else None
        return active, front_end, _counters(context, address, place)
    return None, None, None


def _front_end_places(context: HeapContext, layout: Layout) -> list[tuple[Layout, bool]]:
    """Returns the layouts that may have the front end, each with whether the release is known to use it."""
    if "FrontEndHeap" in layout.offsets:
        return [(layout, True)]
    build = context.os_build
    rows = [(first, row[context.pointer_size]) for first, row in layouts.HEAP_FRONT_ENDS]
    certain = next((row for first, row in rows if build is not None and build >= first), None)
    return [*([(certain, True)] if certain else []), *((row, False) for _, row in rows if row is not certain)]


def _is_front_end(pointer: int, kind: int, is_old: bool) -> bool:
    if kind == layouts.FRONT_END_NONE:
        return pointer == 0
    return pointer != 0 and (kind == layouts.FRONT_END_LOW_FRAGMENTATION or is_old)


def _points_back(context: HeapContext, front_end: int, heap: int) -> bool | None:
    """Tells whether a front end points back at its heap; None if its bytes are not in the memory."""
    size = context.pointer_size
    if not is_user_address(front_end, size):
        return False
    data = context.memory.read(front_end, layouts.LFH_HEAP_WORDS)
    return (
        None
        if data is None
        else any(int.from_bytes(data[place : place + size], "little") == heap for place in range(0, len(data), size))
    )


def _front_end_range(context: HeapContext, front_end: int, points_back: bool | None) -> HeapRange | None:
    """Returns the range of a front end with an allocation of its own; None for one inside the heap's segments."""
    if not is_page(front_end, context.pointer_size):
        return None
    if context.starts_private_memory(front_end) and points_back is not False:
        return HeapRange(front_end, None, "front end", "heap-front-end", inferred=not points_back)
    if context.has_map or not points_back:
        return None
    return HeapRange(front_end, layouts.LFH_HEAP_SIZE, "front end", "heap-front-end", inferred=True)


def _counters(context: HeapContext, address: int, place: Layout) -> dict[str, int] | None:
    """Reads the heap's totals; None if they contradict each other, because then the release has them elsewhere."""
    if layouts.COUNTER_FIELDS[0] not in place.offsets:
        return None
    values = place.part(*layouts.COUNTER_FIELDS).values(context.memory, address)
    if not values:
        return None
    values |= place.part(layouts.COMMIT_FAILURES).values(context.memory, address)
    counters = {name.removeprefix("Counters."): value for name, value in values.items()}
    reserved, committed = counters["TotalMemoryReserved"], counters["TotalMemoryCommitted"]
    is_sound = 0 < committed <= reserved < USER_LIMIT[context.pointer_size] and reserved % PAGE_SIZE == 0
    return counters if is_sound and 0 < counters["TotalSegments"] <= MAX_SEGMENTS else None
