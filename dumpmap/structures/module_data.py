"""Searches the variables of loaded modules for words of known value.

An allocator that describes itself in private memory keeps its root or its secret among the variables of the module
that holds it. Finding the word there proves that the private memory is the allocator's, and tells which module's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

from dumpmap.model.memory import Memory, unrecorded
from dumpmap.structures.captured import captured_parts
from dumpmap.structures.pe import read_image, writable_ranges
from dumpmap.structures.recognisers.protocol import Context, LoadedModule

MAX_MODULES = 2048
"""Most modules whose variables are searched."""


class Word(NamedTuple):
    """A variable with one of the values that were searched for."""

    value: int
    address: int
    module: LoadedModule


def pointer_sizes(context: Context) -> list[int]:
    """Returns the pointer widths of the code in a process, the wider first: a WoW64 process has both."""
    return sorted({context.pointer_size, *(teb.pointer_size for teb in context.tebs)}, reverse=True)


class Captured:
    """What there is of a memory, read without being recorded.

    Args:
        context: the process.
    """

    def __init__(self, context: Context) -> None:
        self.memory: Memory = unrecorded(context.memory)
        self._ranges = self.memory.ranges()

    def parts(self, start: int, end: int) -> Iterator[tuple[int, bytes]]:
        """Yields the parts of [start, end) that are in the memory."""
        return captured_parts(self.memory, self._ranges, start, end)


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
