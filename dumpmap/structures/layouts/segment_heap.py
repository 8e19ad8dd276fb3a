"""The segment heap of Windows 10 and later: `_SEGMENT_HEAP`, its contexts, page segments and large allocations.

Offsets come from ntdll's public symbols and PDB-derived headers. The layout changed with almost every release, so the
reader finds the contexts by their content and takes the rest from the row that fits. A column without offsets means
that no source was found for that width.
"""

from __future__ import annotations

from dumpmap.structures.layout import POINTER, U8, U32, declare

HEAP_PAGE_SEGMENT_KEY = {4: 0xA2E64EAD, 8: 0xA2E64EADA2E64EAD}
"""Constant in _HEAP_PAGE_SEGMENT.Signature: segment ^ context ^ heap key of the process ^ this (since 1709)."""

SEGMENT_HEAP = declare(
    "_SEGMENT_HEAP (what all releases share)",
    {4: 0x10, 8: 0x18},
    ("Signature", U32, 0x08, 0x10),
    ("GlobalFlags", U32, 0x0C, 0x14),
)

# A release that keeps its contexts at SegContexts keeps its large allocations here. The most common first.
SEGMENT_HEAPS = (
    declare(
        "_SEGMENT_HEAP (1809 release to 10 21H2)",
        {4: 0x200, 8: 0x7C0},
        ("LargeAllocMetadata.Root", POINTER, 0x44, 0x48),
        ("LargeAllocMetadata.Min", POINTER, 0x48, 0x50),
        ("LargeReservedPages", POINTER, 0x4C, 0x58),
        ("LargeCommittedPages", POINTER, 0x50, 0x60),
        ("SegContexts", POINTER, 0x100, 0x100),
    ),
    declare(
        "_SEGMENT_HEAP (11)",
        {8: 0xA00},
        ("LargeAllocMetadata.Root", POINTER, None, 0x48),
        ("LargeAllocMetadata.Min", POINTER, None, 0x50),
        ("LargeReservedPages", POINTER, None, 0x58),
        ("LargeCommittedPages", POINTER, None, 0x60),
        ("SegContexts", POINTER, None, 0x140),
    ),
    declare(
        "_SEGMENT_HEAP (1709, 1803)",
        {4: 0xB0, 8: 0x6C0},
        ("LargeAllocMetadata.Root", POINTER, 0x30, 0x50),
        ("LargeAllocMetadata.Min", POINTER, 0x34, 0x58),
        ("LargeReservedPages", POINTER, 0x38, 0x60),
        ("LargeCommittedPages", POINTER, 0x3C, 0x68),
        ("SegContexts", POINTER, 0x40, 0x70),
    ),
    declare(
        "_SEGMENT_HEAP (1809 preview)",
        {4: 0x100, 8: 0x710},
        ("LargeAllocMetadata.Root", POINTER, 0x50, 0x88),
        ("LargeAllocMetadata.Min", POINTER, 0x54, 0x90),
        ("LargeReservedPages", POINTER, 0x58, 0x98),
        ("LargeCommittedPages", POINTER, 0x5C, 0xA0),
        ("SegContexts", POINTER, 0x60, 0xA8),
    ),
)
"""Releases since 1709. The place of their contexts distinguishes them. The 32-bit sizes cover only what was read."""

SEGMENT_HEAP_1507 = declare(
    "_SEGMENT_HEAP (1507 to 1703)",  # no contexts: the heap itself is the only one, for segments of 1 MB
    {8: 0x5F0},
    ("LargeAllocMetadata.Root", POINTER, None, 0x38),
    ("LargeAllocMetadata.Min", POINTER, None, 0x40),
    ("LargeReservedPages", POINTER, None, 0x48),
    ("LargeCommittedPages", POINTER, None, 0x50),
    ("SegmentListHead.Flink", POINTER, None, 0x60),
    ("SegmentListHead.Blink", POINTER, None, 0x68),
    ("SegmentCount", POINTER, None, 0x70),
)

HEAP_SEG_CONTEXTS = (
    declare(
        "_HEAP_SEG_CONTEXT (1809 release and later)",
        {4: 0x80, 8: 0xC0},
        ("SegmentMask", POINTER, 0x00, 0x00),
        ("UnitShift", U8, 0x04, 0x08),
        ("PagesPerUnitShift", U8, 0x05, 0x09),
        ("Heap", POINTER, 0x24, 0x38),
        ("SegmentListHead.Flink", POINTER, 0x44, 0x48),
        ("SegmentListHead.Blink", POINTER, 0x48, 0x50),
        ("SegmentCount", POINTER, 0x4C, 0x58),
    ),
    declare(
        "_HEAP_SEG_CONTEXT (1809 preview)",
        {4: 0x50, 8: 0x98},
        ("SegmentMask", POINTER, 0x00, 0x00),
        ("UnitShift", U8, 0x04, 0x08),
        ("PagesPerUnitShift", U8, 0x05, 0x09),
        ("SegmentListHead.Flink", POINTER, 0x14, 0x20),
        ("SegmentListHead.Blink", POINTER, 0x18, 0x28),
        ("SegmentCount", POINTER, 0x1C, 0x30),
        ("Heap", POINTER, 0x4C, 0x90),
    ),
    declare(
        "_HEAP_SEG_CONTEXT (1803)",
        {8: 0x78},
        ("SegmentMask", POINTER, None, 0x00),
        ("UnitShift", U8, None, 0x08),
        ("PagesPerUnitShift", U8, None, 0x09),
        ("SegmentListHead.Flink", POINTER, None, 0x20),
        ("SegmentListHead.Blink", POINTER, None, 0x28),
        ("SegmentCount", POINTER, None, 0x30),
        ("Heap", POINTER, None, 0x70),
    ),
    declare(
        "_HEAP_SEG_CONTEXT (1709)",
        {4: 0x38, 8: 0x68},
        ("SegmentMask", POINTER, 0x00, 0x00),
        ("UnitShift", U8, 0x04, 0x08),
        ("PagesPerUnitShift", U8, 0x05, 0x09),
        ("SegmentListHead.Flink", POINTER, 0x14, 0x20),
        ("SegmentListHead.Blink", POINTER, 0x18, 0x28),
        ("SegmentCount", POINTER, 0x1C, 0x30),
        ("Heap", POINTER, 0x34, 0x60),
    ),
)
"""The place of the pointer back to the heap distinguishes them."""

SEG_CONTEXT_GEOMETRY = (
    # UnitShift, PagesPerUnitShift, bytes of a segment: 256 units of 4 KB, and of 64 KB.
    (12, 0, 0x100000),
    (16, 4, 0x1000000),
)

HEAP_PAGE_SEGMENT = declare(
    "_HEAP_PAGE_SEGMENT",
    {4: 0x10, 8: 0x20},
    ("ListEntry.Flink", POINTER, 0x00, 0x00),
    ("ListEntry.Blink", POINTER, 0x04, 0x08),
    ("Signature", POINTER, 0x08, 0x10),
)

HEAP_LARGE_ALLOC_DATA = declare(
    "_HEAP_LARGE_ALLOC_DATA",
    {4: 0x14, 8: 0x28},
    ("TreeNode.Left", POINTER, 0x00, 0x00),
    ("TreeNode.Right", POINTER, 0x04, 0x08),
    ("TreeNode.ParentValue", POINTER, 0x08, 0x10),
    ("VirtualAddress", POINTER, 0x0C, 0x18),  # low 16 bits: UnusedBytes
    ("AllocatedPages", POINTER, 0x10, 0x20),  # low 12 bits: flags
)
