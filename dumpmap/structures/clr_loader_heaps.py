"""Finds the loader heaps of a .NET runtime by their content.

A loader heap takes blocks of address space and hands out the current block from its start. Its object names the first
of its blocks and, one after the other, the next free byte, the end of what is committed, and the end of the current
block. Beside them it keeps the sum of what all its blocks have committed. These agree with the chain of blocks and with
the memory map, which no other data does by chance. The object lies among the runtime's variables, or in an object that
a variable leads to.

The description of a block is in the block itself (.NET Core 2.1 and 3.1) or allocated apart (.NET 10). A block that the
heap releases itself is an allocation of its own, and of one type, private or a view; the others share an allocation.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field
from itertools import pairwise

from dumpmap.model.memory import Memory, unrecorded
from dumpmap.model.values import value_class
from dumpmap.model.winnt import PAGE_SIZE
from dumpmap.structures.bounds import USER_LIMIT, is_user_address
from dumpmap.structures.captured import captured_parts
from dumpmap.structures.gc_dac_vars import Ranges
from dumpmap.structures.layouts import clr as layouts
from dumpmap.structures.space import Space

MAX_OBJECTS = 2000
"""Most objects that are looked into."""

MAX_BLOCKS = 16_384
"""Most blocks of one loader heap. Most of them have 64 KB."""

WINDOWS = (0x1000, 0x100)
"""Bytes that are looked into, of an object that a variable points to and of one that such an object points to."""

POINTERS = 0x400
"""Bytes of an object whose pointers are followed."""

_BEFORE = 4
"""How many words before the next free byte the first block may be."""

_TOTALS = (*range(-_BEFORE, 0), *range(3, 10))
"""Where the sum of what is committed may be: words from the next free byte on. It was seen at -1 (.NET 10) and at 6."""


_Way = tuple[int, int, tuple[int, ...]]
"""A range of addresses whose pointers are followed, and the pointers and objects that lead to it."""


@value_class(frozen=True, slots=True)
class LoaderHeap:
    """A loader heap.

    Attributes:
        address: of the word that names the next free byte.
        blocks: base and size of its blocks.
    """

    address: int
    blocks: tuple[tuple[int, int], ...]


@value_class(frozen=False, slots=True)
class _Search:
    memory: Memory
    space: Space
    images: Ranges
    width: int
    found: dict[int, LoaderHeap] = field(default_factory=dict)
    ranges: Sequence[tuple[int, int]] | None = None
    private: Sequence[int] | None = None

    def pieces(self, start: int, end: int) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Yields address and words of the readable parts of [start, end)."""
        look, width = unrecorded(self.memory), self.width
        whole = look.read(start, end - start)
        if whole is None and self.ranges is None:
            self.ranges = look.ranges()
        parts = [(start, whole)] if whole is not None else captured_parts(look, self.ranges or (), start, end)
        for at, data in parts:
            skip = -(at - start) % width
            count = (len(data) - skip) // width
            if count > 0:
                yield at + skip, struct.unpack_from(f"<{count}{'Q' if width == 8 else 'I'}", data, skip)

    def pointers(self, places: Iterable[_Way]) -> Iterator[tuple[int, int, tuple[int, ...]]]:
        """Yields place and value of what may be pointers to objects, with what goes with the range."""
        limit, mask = USER_LIMIT[self.width], self.width - 1
        for start, end, way in places:
            for base, words in self.pieces(start, end):
                for index, value in enumerate(words):
                    if PAGE_SIZE < value < limit and not value & mask and not self.is_in_image(value):
                        yield base + index * self.width, value, way

    def is_in_image(self, address: int) -> bool:
        """Whether `address` is in the image of a module."""
        index = bisect_right(self.images, (address, 1 << 64)) - 1
        return index >= 0 and address < self.images[index][1]

    def scan(self, start: int, end: int) -> bool:
        """Looks for loader heaps in [start, end); returns whether there are new ones."""
        known, mask = len(self.found), PAGE_SIZE - 1
        for base, words in self.pieces(start, end):
            # Few words are addresses of pages, and rarely are two neighbours.
            for index in [index for index, word in enumerate(words) if word and not word & mask]:
                if 1 < index < len(words) - 1 and not words[index + 1] & mask:
                    free, committed, reserved = words[index - 1 : index + 2]
                    if free <= committed <= reserved and free < reserved:
                        self.check(base, words, index - 1)
        return len(self.found) > known

    def check(self, base: int, words: Sequence[int], index: int) -> None:
        """Takes the words for those of a loader heap, if there is a chain of blocks that they agree with."""
        address = base + index * self.width
        if address in self.found:
            return
        free, committed, reserved = words[index : index + 3]
        if not is_user_address(free, self.width):
            return
        look = unrecorded(self.memory)
        for before in range(1, min(_BEFORE, index) + 1):
            blocks = self.blocks(look, words[index - before])
            current = [base for base, size in blocks if base <= free and base + size == reserved]
            if not current or self.space.committed(current[0], committed - current[0]) != committed - current[0]:
                continue
            total = self.total(look, address, sum(self.space.committed(base, size) for base, size in blocks))
            if total is None:
                continue
            self.memory.read(total, self.width)
            self.memory.read(address - before * self.width, (before + 3) * self.width)
            self.blocks(self.memory, words[index - before])
            self.found[address] = LoaderHeap(address, tuple(blocks))
            return

    def is_private(self, base: int) -> bool:
        """Whether an allocation whose first page is committed is private: it can also be a view."""
        if self.private is None:
            self.private = self.space.private_allocations()
        index = bisect_right(self.private, base) - 1
        return index >= 0 and int(self.private[index]) == base

    def total(self, look: Memory, address: int, committed: int) -> int | None:
        """Where the heap's object states the sum of what its blocks have committed; None if it does not."""
        expected = committed.to_bytes(self.width, "little")
        places = (address + place * self.width for place in _TOTALS)
        return next((place for place in places if look.read(place, self.width) == expected), None)

    def blocks(self, memory: Memory, address: int) -> list[tuple[int, int]]:
        """Follows a chain of blocks; empty if one of them contradicts the memory map."""
        part = layouts.LOADER_HEAP_BLOCK[self.width].part("Next", "VirtualAddress", "VirtualSize", "ReleaseMemory")
        found: list[tuple[int, int]] = []
        seen: set[int] = set()
        in_place: set[bool] = set()
        types: set[bool] = set()
        while address:
            if address in seen or len(seen) >= MAX_BLOCKS or not is_user_address(address, self.width):
                return []
            seen.add(address)
            place = address
            fields = None if address % self.width else part.read(memory, address)
            if fields is None:
                return []
            address, base, size, flag = fields
            allocation = self.space.allocation(base) if is_user_address(base, self.width) else None
            if allocation is None or not size or base + size > sum(allocation) or self.is_in_image(base):
                return []
            if (base | size) % PAGE_SIZE or flag > 1 or self.space.committed(base, PAGE_SIZE) != PAGE_SIZE:
                return []
            in_place.add(place == base)
            if flag:
                types.add(self.is_private(base))
            if (flag and allocation != (base, size)) or len(in_place) > 1 or len(types) > 1:
                return []
            found.append((base, size))
        by_base = sorted(found)
        overlap = any(before + size > after for (before, size), (after, _) in pairwise(by_base))
        return [] if overlap else found


def loader_heaps(
    memory: Memory,
    space: Space,
    variables: Ranges,
    names: Iterable[tuple[int, int]],
    modules: Ranges,
    pointer_size: int,
) -> list[LoaderHeap]:
    """Finds the loader heaps of one runtime.

    Args:
        memory: the process.
        space: its allocations.
        variables: where the runtime's variables are.
        names: address ranges of variables that are known to point to objects of the runtime.
        modules: the images of the process, which hold no objects.
        pointer_size: 4 or 8.
    """
    search = _Search(memory, space, sorted(modules), pointer_size)
    for start, end in variables:
        search.scan(start, end)
    look = unrecorded(memory)
    seen: set[int] = set()
    level: list[_Way] = [(start, end, ()) for start, end in names]
    level += [(heap - WINDOWS[0], heap + WINDOWS[0], ()) for heap in search.found]
    for window in WINDOWS:
        following: list[_Way] = []
        for place, target, way in search.pointers(level):
            if target in seen or look.read(target, pointer_size) is None:
                continue
            seen.add(target)
            if len(seen) > MAX_OBJECTS:
                return list(search.found.values())
            if search.scan(target, target + window):
                for step in (*way, place, target):
                    memory.read(step, pointer_size)
            following.append((target, target + POINTERS, (*way, place, target)))
        level = following
    return list(search.found.values())
