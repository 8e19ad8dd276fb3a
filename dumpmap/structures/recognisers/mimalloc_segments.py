"""The header of a mimalloc segment, in the layouts of mimalloc 1 and 2.

A segment is what mimalloc takes from the system, or from an arena that it reserved: 4 MiB in mimalloc 1, 32 MiB in
mimalloc 2 (64 MiB in early releases), half or less of that on 32-bit systems, or as much as one huge block needs. Its
header has a different length in nearly every release, but the words around its cookie change little. The cookie is the
segment's address XOR a random number that the module keeps in its main heap, so every candidate gives that number.

From public source (microsoft/mimalloc: include/mimalloc-types.h and include/mimalloc/types.h, tags v1.6.0 to v2.2.4).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

from dumpmap.structures.bounds import is_user_address

HEADER_SIZE = 0x200
"""Bytes that are read of a header. The thread is at most at 0x168 (mimalloc 2.0 with masks of 1,024 bits)."""

SLICE = {4: 0x8000, 8: 0x10000}
"""Bytes of a slice of mimalloc 2, which are those of a small page of mimalloc 1, by pointer size."""

FULL_SLICES = {4: (128, 1024), 8: (512, 1024)}
"""Slices of an ordinary segment of mimalloc 2, by pointer size: in late and in early releases."""

MAX_PAGES = 0x10000
MAX_V1_INFO = 0x20000
"""Plausible bytes of the header of a mimalloc 1 segment with the headers of its pages: 5 KB in recorded sources."""

V1_SIZE_AT = {4: 6, 8: 4}
"""Word of the header that holds the segment's size since mimalloc 1.8.1, behind the id of its memory."""

_NOTHING = bytes(HEADER_SIZE)
"""Most aligned places that are no segments were never written."""

_HUGE_PAGE = 3
"""mi_page_kind_t of mimalloc 1: small, medium, large, huge."""


class Segment(NamedTuple):
    """A header that agrees with itself.

    Attributes:
        base: the segment's address.
        size: its bytes.
        generation: 1 or 2, the major version of mimalloc.
        huge: whether it holds one huge block.
        unit: what ordinary segments of the same build take, and a multiple of which every segment starts at.
        thread: the owning thread as mimalloc keeps it, the address of its TEB; 0 for none.
        secret: the number that cookie and address give.
    """

    base: int
    size: int
    generation: int
    huge: bool
    unit: int
    thread: int
    secret: int


def read_header(data: bytes, base: int, room: int, pointer_size: int) -> Iterator[Segment]:
    """Yields every way to read a header that agrees with itself, as a rule one or none.

    Args:
        data: the first `HEADER_SIZE` bytes of what may be a segment.
        base: where it is.
        room: bytes from `base` to the end of the allocation.
        pointer_size: 4 or 8.
    """
    if base >> 8 * pointer_size or data == _NOTHING:
        return
    words = struct.unpack_from("<128I" if pointer_size == 4 else "<64Q", data)
    shift = 8 * pointer_size - 16
    # A 64-bit address has the uppermost 16 bits empty, so no pointer is taken for a cookie. Chance leaves them empty in
    # a random number of one process in 65,536. Before the cookie is a count of pages or a size of the header, both
    # small.
    cookies = [
        at
        for at in range(4, len(words) - 7)
        if words[at] and words[at - 1] <= MAX_V1_INFO and (words[at] ^ base) >> shift
    ]
    for at in cookies:
        segment = _generation_2(words, at, base, room, pointer_size) or _generation_1(
            words, at, base, room, pointer_size
        )
        if segment is not None:
            yield segment


def _generation_2(words: tuple[int, ...], at: int, base: int, room: int, pointer_size: int) -> Segment | None:
    """Reads used, cookie, in 2.2 two links, slices, info slices, kind, entries and thread in either order."""
    unit = SLICE[pointer_size]
    for links in (0, 2):
        slices, info, kind = words[at + 1 + links], words[at + 2 + links], words[at + 3 + links] & 0xFFFFFFFF
        if not 0 < info <= slices or slices * unit > room or kind > 1:
            continue
        # Before `used` is the number of visits, and before that the number of abandoned pages.
        if not words[at - 3] <= words[at - 1] <= slices:
            continue
        for full, (entries, thread) in product(
            FULL_SLICES[pointer_size], _both_orders(*words[at + 4 + links : at + 6 + links])
        ):
            if base % (full * unit) or entries != min(slices, full) or (kind == 0 and slices != full):
                continue
            if info <= entries and _is_thread(thread, pointer_size):
                return Segment(base, slices * unit, 2, kind == 1, full * unit, thread, words[at] ^ base)
    return None


def _generation_1(words: tuple[int, ...], at: int, base: int, room: int, pointer_size: int) -> Segment | None:
    """Reads used, capacity, until 1.8 segment size, info size, cookie, page shift and thread in either order, kind."""
    unit = 64 * SLICE[pointer_size]
    kind, info = words[at + 3] & 0xFFFFFFFF, words[at - 1]
    if kind > _HUGE_PAGE or not 0 < info <= MAX_V1_INFO or base % unit:
        return None
    small = SLICE[pointer_size].bit_length() - 1
    shift = small + 3 * kind
    for found, thread in _both_orders(words[at + 1], words[at + 2]):
        if _is_thread(thread, pointer_size) and (found == shift if kind < _HUGE_PAGE else small < found < 48):
            break
    else:
        return None
    capacity = 1 if kind == _HUGE_PAGE else unit >> shift
    huge = kind == _HUGE_PAGE
    for size_at, capacity_at in ((at - 2, at - 3), (V1_SIZE_AT[pointer_size], at - 2)):
        size = words[size_at]
        if words[capacity_at] != capacity or words[capacity_at - 1] > capacity or size % 0x1000 or size > room:
            continue
        if size > info if huge else size == unit:
            return Segment(base, size, 1, huge, unit, thread, words[at] ^ base)
    return None


def _both_orders(first: int, second: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Releases swapped two fields."""
    return (first, second), (second, first)


def _is_thread(value: int, pointer_size: int) -> bool:
    """Tells whether a word can be the address of a TEB, or that of no thread."""
    return value == 0 or (value % 0x1000 == 0 and is_user_address(value, pointer_size))
