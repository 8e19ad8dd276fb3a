"""Searches the bytes of a process word by word, such as the variables of a module. Standard library only.

A search looks at much and keeps little: it reads through `unrecorded`, and whoever accepts what it found reads that
once more. In a snapshot, which holds the accepted bytes alone, the same search then finds the same.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator

from dumpmap.model.memory import Memory, unrecorded
from dumpmap.model.process import PeImage
from dumpmap.model.winnt import PAGE_SIZE
from dumpmap.structures.layouts.pe import IMAGE_SCN_MEM_WRITE

MAX_VARIABLES = 64 << 20
"""Bytes of variables of one module that are searched. Large programs have ten million."""

_CODES = {4: "I", 8: "Q"}


def variables(base: int, image: PeImage) -> Iterator[tuple[int, int]]:
    """Yields start and end of the writable sections of a module, `MAX_VARIABLES` in all."""
    left = MAX_VARIABLES
    for section in image.sections:
        if section.characteristics & IMAGE_SCN_MEM_WRITE:
            size = min(section.size, left, image.size_of_image - section.address)
            if size > 0:
                left -= size
                yield base + section.address, base + section.address + size


def words(memory: Memory, start: int, end: int, width: int) -> Iterator[tuple[int, array[int]]]:
    """Yields each run of words in [start, end) that is in the memory: where it begins, and its values.

    Nothing is recorded.
    """
    for at, data in _pieces(unrecorded(memory), start, end):
        skip = -at % width
        count = (len(data) - skip) // width
        if count > 0:
            values = array(_CODES[width], data[skip : skip + count * width])
            if sys.byteorder == "big":
                values.byteswap()
            yield at + skip, values


def word(memory: Memory, address: int, width: int) -> int | None:
    """Reads one word."""
    data = memory.read(address, width)
    return None if data is None else int.from_bytes(data, "little")


def _pieces(memory: Memory, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Yields what of [start, end) is in the memory, in as few pieces as possible."""
    ranges = memory.ranges()
    if ranges:
        for base, size in ranges:
            low, high = max(start, base), min(end, base + size)
            data = memory.read(low, high - low) if low < high else None
            if data is not None:
                yield low, data
        return
    # A live process does not say what can be read.
    low, held = start, bytearray()
    for page in range(start, end, PAGE_SIZE):
        data = memory.read(page, min(PAGE_SIZE, end - page))
        if data is not None:
            held += data
            continue
        if held:
            yield low, bytes(held)
        low, held = page + PAGE_SIZE, bytearray()
    if held:
        yield low, bytes(held)
