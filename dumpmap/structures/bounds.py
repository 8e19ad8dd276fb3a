"""What every walk through process memory checks before it follows a pointer, and how far it goes."""

from __future__ import annotations

from dumpmap.model.winnt import ALLOCATION_GRANULARITY, PAGE_SIZE

MAX_SEGMENTS = 100_000
"""Nodes of one list of heap segments or large blocks that are followed."""

MAX_TREE_NODES = 1_000_000
"""Nodes of one tree of large allocations that are followed."""

MAX_NODES = 2_000_000
"""Nodes of all lists and trees of all heaps of a process that are followed."""

MAX_HEAPS = 1000
"""Heaps of one PEB that are believed; Windows sets no limit, System Informer uses this one."""

MAX_STRING = 0xFFFE
"""Bytes of the longest UNICODE_STRING: its Length is 16 bits wide and counts whole UTF-16 units."""

USER_LIMIT = {4: 0x1_0000_0000, 8: 0x8000_0000_0000}
"""End (exclusive) of the addresses that user mode can have, by pointer size."""


def is_user_address(address: int, pointer_size: int) -> bool:
    """Tells whether a process can have memory at `address`: not in the lowest 64 KB, not in the kernel's half."""
    return ALLOCATION_GRANULARITY <= address < USER_LIMIT[pointer_size]


def is_page(address: int, pointer_size: int) -> bool:
    """Tells whether `address` is the start of a page that a process can have."""
    return address % PAGE_SIZE == 0 and is_user_address(address, pointer_size)


def round_up(value: int, unit: int) -> int:
    """Returns the smallest multiple of `unit` that is not below `value`."""
    return -(-value // unit) * unit
