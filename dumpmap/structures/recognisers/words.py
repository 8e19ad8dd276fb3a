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
from dumpmap.structures.captured import captured_parts
from dumpmap.structures.pe import writable_ranges

MAX_VARIABLES = 64 << 20
"""Bytes of variables of one module that are searched. Large programs have ten million."""

_CODES = {4: "I", 8: "Q"}

Run = tuple[int, "array[int]"]
"""Where a run of words begins, and its values."""


def variable_words(memory: Memory, base: int, image: PeImage, width: int) -> list[Run]:
    """Returns the runs of words in the variables of a module. See `words`."""
    return [
        run for start, end in writable_ranges(base, image, MAX_VARIABLES) for run in words(memory, start, end, width)
    ]


def words(memory: Memory, start: int, end: int, width: int) -> Iterator[Run]:
    """Yields runs of words in [start, end) that are in the memory: where a run begins, and its values.

    Pages of zeros are left out: most variables of a large program have never been written. Nothing is recorded.
    """
    look = unrecorded(memory)
    for at, data in captured_parts(look, look.ranges(), start, end):
        for low, high in _written(at, data):
            skip = -(at + low) % width
            count = (high - low - skip) // width
            if count > 0:
                values = array(_CODES[width], data[low + skip : low + skip + count * width])
                if sys.byteorder == "big":
                    values.byteswap()
                yield at + low + skip, values


def _written(address: int, data: bytes) -> Iterator[tuple[int, int]]:
    """Yields start and end of each run of pages that are not zero, in `data` from `address` on."""
    first = None
    low = 0
    while low < len(data):
        high = min(len(data), low + PAGE_SIZE - (address + low) % PAGE_SIZE)
        if data.count(0, low, high) == high - low:
            if first is not None:
                yield first, low
            first = None
        elif first is None:
            first = low
        low = high
    if first is not None:
        yield first, low


def word(memory: Memory, address: int, width: int) -> int | None:
    """Reads one word."""
    data = memory.read(address, width)
    return None if data is None else int.from_bytes(data, "little")
