"""Limits of every walk through process memory, and the checks before it follows a pointer."""

from __future__ import annotations

from dumpmap.model.winnt import ALLOCATION_GRANULARITY, PAGE_SIZE

MAX_SEGMENTS = 100_000
"""Most nodes that a walk follows in one list of heap segments or large blocks."""

MAX_TREE_NODES = 1_000_000
"""Most nodes that a walk follows in one tree of large allocations."""

MAX_NODES = 2_000_000
"""Most nodes that all walks together follow in the heaps of a process."""

MAX_HEAPS = 1000
"""Plausible number of heaps in one PEB. Windows sets no limit; System Informer uses this one."""

MAX_STRING = 0xFFFE
"""Bytes of the longest UNICODE_STRING: its Length is 16 bits wide, and UTF-16 units are whole."""

USER_LIMIT = {4: 0x1_0000_0000, 8: 0x8000_0000_0000}
"""End (exclusive) of the user-mode addresses, by pointer size."""


def is_user_address(address: int, pointer_size: int) -> bool:
    """Tells whether a process can have memory at `address`: above the lowest 64 KB and below the kernel's half."""
    return ALLOCATION_GRANULARITY <= address < USER_LIMIT[pointer_size]


def is_page(address: int, pointer_size: int) -> bool:
    """Tells whether `address` is the start of a page that a process can have."""
    return address % PAGE_SIZE == 0 and ALLOCATION_GRANULARITY <= address < USER_LIMIT[pointer_size]


def round_up(value: int, unit: int) -> int:
    """Rounds `value` up to a multiple of `unit`."""
    return -(-value // unit) * unit
