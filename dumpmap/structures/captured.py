"""Reads ranges of which a part may be missing: what there is of them, in as few pieces as possible."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from dumpmap.model.memory import Memory
from dumpmap.model.winnt import PAGE_SIZE

STEP = 1 << 20
"""Bytes of a live process that are read at once. Where any of them cannot be read, each page is tried."""

_FEW = 4
"""Ranges for each place up to which it costs less to look at the ranges than to read at the places."""


def captured_parts(
    memory: Memory, ranges: Sequence[tuple[int, int]], start: int, end: int
) -> Iterator[tuple[int, bytes]]:
    """Yields address and bytes of each part of [start, end) that is in the memory.

    Args:
        memory: the process.
        ranges: `memory.ranges()`. It is empty for a live process, which does not say what can be read.
        start: where the range begins.
        end: where it ends (exclusive).
    """
    if ranges:
        yield from _within(memory, ranges, start, end)
        return
    low, held = start, bytearray()
    for at, data in _readable(memory, start, end, STEP):
        if at != low + len(held):
            if held:
                yield low, bytes(held)
            low, held = at, bytearray()
        held += data
    if held:
        yield low, bytes(held)


def captured_places(memory: Memory, places: Sequence[int], alignment: int, size: int) -> Sequence[int]:
    """Leaves out places whose first bytes are not captured. A small dump has few ranges and many such places.

    Args:
        memory: the process.
        places: addresses, sorted.
        alignment: every place is a multiple of this power of two.
        size: how many bytes must be there.
    """
    ranges = memory.ranges()
    if not ranges or len(ranges) > _FEW * len(places):  # unknown, or it costs less to read
        return places
    below = alignment - 1
    return [
        place
        for start, length in ranges
        if (-start & below) + size <= length
        for place in places[bisect_left(places, start) : bisect_right(places, start + length - size)]
    ]


def captured_steps(ranges: Sequence[tuple[int, int]], places: range) -> Iterator[int]:
    """Yields those of evenly spaced places whose first byte is captured; all of them if `ranges` are unknown."""
    if not ranges:
        yield from places
        return
    first, stop, step = places.start, places.stop, places.step
    for index in range(max(0, bisect_left(ranges, (first, 0)) - 1), len(ranges)):
        start, size = ranges[index]
        if start >= stop:
            return
        yield from places[max(0, -((first - start) // step)) : max(0, (start + size - first + step - 1) // step)]


def _within(memory: Memory, ranges: Sequence[tuple[int, int]], start: int, end: int) -> Iterator[tuple[int, bytes]]:
    index = max(0, bisect_right(ranges, (start, 1 << 64)) - 1)
    while index < len(ranges) and ranges[index][0] < end:
        low, high = max(start, ranges[index][0]), min(end, sum(ranges[index]))
        data = memory.read(low, high - low) if low < high else None
        if data is not None:
            yield low, data
        index += 1


def _readable(memory: Memory, start: int, end: int, step: int) -> Iterator[tuple[int, bytes]]:
    """Yields what a live process gives, up to the next multiple of `step` at once."""
    while start < end:
        stop = min(end, start - start % step + step)
        data = memory.read(start, stop - start)
        if data is not None:
            yield start, data
        elif step > PAGE_SIZE:
            yield from _readable(memory, start, stop, PAGE_SIZE)
        start = stop
