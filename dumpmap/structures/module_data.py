"""Searches the variables of loaded modules for words of known value.

An allocator that describes itself in private memory keeps its root or its secret among the variables of the module
that holds it. Finding the word there proves that the private memory is the allocator's, and tells which module's.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator
from typing import NamedTuple

from dumpmap.model.memory import Memory, unrecorded
from dumpmap.structures.gc_dac_vars import writable_ranges
from dumpmap.structures.pe import read_image
from dumpmap.structures.recognisers.protocol import Context, LoadedModule

MAX_MODULES = 2048
"""Most modules whose variables are searched."""


class Word(NamedTuple):
    """A variable with one of the values that were searched for."""

    value: int
    address: int
    module: LoadedModule


class ModuleData:
    """The variables of the modules of one pointer width, read without being recorded.

    Args:
        context: the process.
        pointer_size: 4 or 8, the width of the modules and of the words.
    """

    def __init__(self, context: Context, pointer_size: int) -> None:
        self._context = context
        self._memory: Memory = unrecorded(context.memory)
        self._pointer_size = pointer_size
        self._captured = self._memory.ranges()

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
        """The captured parts of a module's writable sections. A live process does not know its parts in advance."""
        image = self._context.images.get(module.base) or read_image(self._memory, module.base)
        if image is None or image.pointer_size != self._pointer_size:
            return
        for start, end in writable_ranges(module.base, image):
            for low, high in self._parts(start, end):
                data = self._memory.read(low, high - low)
                if data is not None:
                    yield low, data

    def _parts(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        if not self._captured:
            yield start, end
            return
        index = max(0, bisect_right(self._captured, (start, 1 << 64)) - 1)
        for base, size in self._captured[index:]:
            if base >= end:
                return
            if base + size > start:
                yield max(start, base), min(end, base + size)
