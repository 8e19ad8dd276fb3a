"""Wine's heap, which borrows Windows' segment signature and flags and nothing else.

Offsets come from dumps of 32-bit and 64-bit processes under Wine (heaps of version 8 and later) in which every magic
number and back pointer was in its place. Wine has no stable layout, so the reader ignores whatever does not check out.
"""

from __future__ import annotations

from dumpmap.structures.layout import POINTER, U16, U32, declare

BLOCK_USED, BLOCK_FREE, BLOCK_PENDING, BLOCK_LARGE = 0x5355, 0x5246, 0xDEAD, 0x614C
"""Types of blocks in version 8, lower halves of their marks: the letters "US", "FR", and "La"; 0xDEAD for one that is
about to be free."""

BLOCK_LETTERS = frozenset(b"uFD")
"""Types of used, free, and pending blocks in later versions; the byte behind the letter holds flags."""

LARGE_LETTER = ord("L")
BLOCK_FLAG_LARGE = 0x04
"""The type and a flag of large blocks in later versions."""

HEAP = declare(
    "heap (Wine)",
    {4: 0x6C, 8: 0xBC},
    ("SegmentSignature", U32, 0x08, 0x10),
    ("Heap", POINTER, 0x18, 0x28),  # Windows' place of the back pointer; 0 here
    ("Flags", U32, 0x40, 0x70),
    ("entry.next", POINTER, 0x48, 0x78),  # all heaps of the process
    ("entry.prev", POINTER, 0x4C, 0x80),
    ("subheap_list.next", POINTER, 0x50, 0x88),
    ("subheap_list.prev", POINTER, 0x54, 0x90),
    ("large_list.next", POINTER, 0x58, 0x98),
    ("large_list.prev", POINTER, 0x5C, 0xA0),
    ("grow_size", POINTER, 0x60, 0xA8),
    ("magic", U32, 0x68, 0xB8),
)

SUBHEAP = declare(
    "SUBHEAP (Wine)",
    {4: 0x20, 8: 0x40},
    ("block_size", POINTER, 0x04, 0x10),  # reserved
    ("data_size", POINTER, 0x08, 0x18),  # committed
    ("entry.next", POINTER, 0x0C, 0x20),
    ("entry.prev", POINTER, 0x10, 0x28),
    ("heap", POINTER, 0x14, 0x30),
    ("block.type", U16, 0x1E, 0x3E),
)

ARENA_LARGE = declare(
    "ARENA_LARGE (Wine)",
    {4: 0x20, 8: 0x40},
    ("entry.next", POINTER, 0x04, 0x10),
    ("entry.prev", POINTER, 0x08, 0x18),
    ("data_size", POINTER, 0x0C, 0x20),
    ("block_size", POINTER, 0x10, 0x28),
    ("block.type", U16, 0x1E, 0x3E),
)
