"""Structures of the .NET runtime beside its garbage collector: loader heaps, ranges of code, and handle tables.

Sources in dotnet/runtime: src/coreclr/inc/loaderheap.h, src/coreclr/vm/codeman.h, src/coreclr/gc/handletablepriv.h. The
64-bit offsets were verified on .NET Core 2.1.30 and 3.1.23 and .NET 10.0.9. The 32-bit ones follow from the order.
"""

from __future__ import annotations

from dumpmap.structures.layout import POINTER, U32, declare

LOADER_HEAP_BLOCK = declare(
    "LoaderHeapBlock",
    {4: 0x10, 8: 0x20},
    ("Next", POINTER, 0x00, 0x00),
    ("VirtualAddress", POINTER, 0x04, 0x08),
    ("VirtualSize", POINTER, 0x08, 0x10),
    ("ReleaseMemory", U32, 0x0C, 0x18),
)

RANGE_SECTION_OLD = declare(
    "RangeSection (before .NET 8)",
    {4: 0x1C, 8: 0x38},
    ("RangeBegin", POINTER, 0x00, 0x00),
    ("RangeEndOpen", POINTER, 0x04, 0x08),
    ("JitManager", POINTER, 0x08, 0x10),
    ("Next", POINTER, 0x0C, 0x18),
    ("Flags", U32, 0x14, 0x28),
    ("HeapList", POINTER, 0x18, 0x30),
)

CODE_HEAP_LIST_NODE = declare(
    "HeapList",
    {4: 0x18, 8: 0x30},
    ("Next", POINTER, 0x00, 0x00),
    ("StartAddress", POINTER, 0x08, 0x10),
    ("EndAddress", POINTER, 0x0C, 0x18),
    ("MapBase", POINTER, 0x10, 0x20),
    ("HeaderMap", POINTER, 0x14, 0x28),
)

RANGE_CODE_HEAP, RANGE_STUBS = 0x2, 0x4
"""RangeSection.flags: a code heap of the JIT compiler; a range of stubs (of a map; a list has another meaning)."""

MAP_LEVELS = {4: 2, 8: 5}
MAP_CHUNK_BITS = {4: 16, 8: 17}
MAP_ENTRIES = 256
"""RangeSectionMap: its levels, the bits of an address within an entry of the lowest level, and the entries of a
level."""

HANDLE_TABLE_MAP = declare(
    "HandleTableMap",
    {4: 0x0C, 8: 0x18},
    ("Buckets", POINTER, 0x00, 0x00),
    ("Next", POINTER, 0x04, 0x08),
    ("MaxIndex", U32, 0x08, 0x10),
)

HANDLE_SEGMENT_SIZE = 0x10000
HANDLE_SEGMENT_ARRAYS = {4: 3840, 8: 1920}
"""TableSegment: bytes of the arrays whose lengths follow from the number of handles in a segment. Three arrays for each
type of handle follow, of 6 bytes together, then the next segment and the table that the segment belongs to."""

HANDLE_TYPES = range(8, 17)
"""HANDLE_MAX_INTERNAL_TYPES: 12 in .NET Core 2.1 and 3.1, 13 in .NET 10."""

HANDLE_TABLE_WORDS = range(8, 40)
"""Index of the 4-byte word of a HandleTable that points to its first segment: behind the flags, perhaps behind a
lock."""
