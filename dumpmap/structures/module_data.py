"""Searches the variables of loaded modules for words of known value.

An allocator that describes itself in private memory keeps its root or its secret among the variables of the module
that holds it. Finding the word there proves that the private memory is the allocator's, and tells which module's.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from dumpmap.model.memory import Memory, unrecorded
from dumpmap.structures.pe import read_image, writable_ranges
from dumpmap.structures.recognisers.protocol import Context, LoadedModule

MAX_MODULES = 2048
"""Most modules whose variables are searched."""


_FEW = 4
"""Ranges for each place up to which it costs less to look at the ranges than to read at the places."""


class Word(NamedTuple):
    """A variable with one of the values that were searched for."""

    value: int
    address: int
    module: LoadedModule


def pointer_sizes(context: Context) -> list[int]:
    """Returns the pointer widths of the code in a process, the wider first: a WoW64 process has both."""
    return sorted({context.pointer_size, *(teb.pointer_size for teb in context.tebs)}, reverse=True)


def parts_within(
    memory: Memory, ranges: Sequence[tuple[int, int]], start: int, end: int
) -> Iterator[tuple[int, bytes]]:
    """Yields address and bytes of each part of [start, end) that is in `ranges`, those of the memory."""
    index = max(0, bisect_right(ranges, (start, 1 << 64)) - 1)
    while index < len(ranges) and ranges[index][0] < end:
        low, high = max(start, ranges[index][0]), min(end, sum(ranges[index]))
        data = memory.read(low, high - low) if low < high else None
        if data is not None:
            yield low, data
        index += 1


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


class Captured:
    """What there is of a memory, read without being recorded.

    Args:
        context: the process.
    """

    def __init__(self, context: Context) -> None:
        self.memory: Memory = unrecorded(context.memory)
        self._ranges = self.memory.ranges()

    def parts(self, start: int, end: int) -> Iterator[tuple[int, bytes]]:
        """Yields the captured parts of [start, end). A live process does not know them in advance, so it gives all."""
        if not self._ranges:
            data = self.memory.read(start, end - start)
            if data is not None:
                yield start, data
            return
        yield from parts_within(self.memory, self._ranges, start, end)


class ModuleData:
    """The variables of the modules of one pointer width, read without being recorded.

    Args:
        context: the process.
        pointer_size: 4 or 8, the width of the modules and of the words.
    """

    def __init__(self, context: Context, pointer_size: int) -> None:
        self._context = context
        self._captured = Captured(context)
        self._pointer_size = pointer_size

    def find(self, values: Collection[int]) -> Iterator[Word]:
        """Yields the aligned words with one of these values, module by module in the order of the module list."""
        for module in self._context.modules[:MAX_MODULES]:
            yield from self.find_in(module, values)

    def find_in(self, module: LoadedModule, values: Collection[int]) -> Iterator[Word]:
        """Yields the aligned words of one module with one of these values."""
        size = self._pointer_size
        patterns = [(value, value.to_bytes(size, "little")) for value in values if 0 < value < 1 << 8 * size]
        for address, data in self._pieces(module) if patterns else ():
            for value, pattern in patterns:
                at = data.find(pattern)
                while at >= 0:
                    if (address + at) % size == 0:
                        yield Word(value, address + at, module)
                    at = data.find(pattern, at + 1)

    def _pieces(self, module: LoadedModule) -> Iterator[tuple[int, bytes]]:
        """The captured parts of a module's writable sections."""
        image = self._context.images.get(module.base) or read_image(self._captured.memory, module.base)
        if image is not None and image.pointer_size == self._pointer_size:
            for start, end in writable_ranges(module.base, image):
                yield from self._captured.parts(start, end)
