"""The NT heap: `_HEAP`, `_HEAP_SEGMENT` and what hangs on them.

There are two shapes. Since Windows Vista, a heap starts with its first segment and keeps its segments on a list.
Before, the heap comes first and has an array of 64 segment pointers. Offsets come from ntdll's public symbols (Windows
XP SP3, 2003 x64, 7 SP1, 10 1703 to 21H2) and from published `dt` outputs for Windows 8 and 8.1.
"""

from __future__ import annotations

from dumpmap.structures.layout import POINTER, U8, U16, U32, U64, declare

SEGMENT_SIGNATURE = 0xFFEEFFEE
"""_HEAP_SEGMENT.SegmentSignature; in the new shape also at the start of every heap."""

HEAP_SIGNATURE = 0xEEFFEEFF
"""_HEAP.Signature."""

HEAP_MAXIMUM_SEGMENTS = 64
"""Length of the old shape's segment array."""

HEAP_GROWABLE = 0x2
"""_HEAP.Flags: the heap adds segments."""

HEAP_CLASS_MASK = 0xF000
HEAP_CLASSES = {
    0x0000: "process",
    0x1000: "private",
    0x2000: "kernel",
    0x3000: "GDI",
    0x4000: "user",
    0x5000: "console",
    0x6000: "desktop",
    0x7000: "CSR shared",
    0x8000: "CSR port",
}
"""_HEAP.Flags & HEAP_CLASS_MASK: the creator of the heap."""

FRONT_END_NONE = 0
FRONT_END_LOW_FRAGMENTATION = 2

MAXIMUM_SEGMENT_RESERVE = 0xFD0000
"""The largest segment that a growing heap is known to request by itself (16,192 KB, observed; undocumented)."""

MAXIMUM_SEGMENT_PAGES = 0xF00000
"""NumberOfPages at or above this is damage, not a size."""

ENCODE_HEADERS = 0x100000
"""EncodeFlagMask: block headers are XORed with Encoding."""

HEAP_ENTRY_BUSY = 0x01
HEAP_ENTRY_INTERNAL = 0x08
"""_HEAP_ENTRY.Flags of a block in a segment: the front end cuts its own small blocks from the block."""
HEAP_ENTRY_LAST = 0x10
"""_HEAP_ENTRY.Flags: the last block before an uncommitted range or the segment's end."""

ENTRY_UNIT = {4: 8, 8: 16}
"""Bytes that _HEAP_ENTRY.Size, TotalFreeSize and VirtualMemoryThreshold count in."""

LIST_ENTRY = declare("LIST_ENTRY", {4: 0x8, 8: 0x10}, ("Flink", POINTER, 0x0, 0x0), ("Blink", POINTER, 0x4, 0x8))

HEAP_SEGMENT = declare(
    "_HEAP_SEGMENT",  # Vista to 11; also the first bytes of _HEAP
    {4: 0x40, 8: 0x70},
    ("SegmentSignature", U32, 0x08, 0x10),
    ("SegmentFlags", U32, 0x0C, 0x14),
    ("SegmentListEntry.Flink", POINTER, 0x10, 0x18),
    ("SegmentListEntry.Blink", POINTER, 0x14, 0x20),
    ("Heap", POINTER, 0x18, 0x28),
    ("BaseAddress", POINTER, 0x1C, 0x30),
    ("NumberOfPages", U32, 0x20, 0x38),
    ("FirstEntry", POINTER, 0x24, 0x40),
    ("LastValidEntry", POINTER, 0x28, 0x48),
    ("NumberOfUnCommittedPages", U32, 0x2C, 0x50),
    ("NumberOfUnCommittedRanges", U32, 0x30, 0x54),
    ("UCRSegmentList.Flink", POINTER, 0x38, 0x60),
    ("UCRSegmentList.Blink", POINTER, 0x3C, 0x68),
)

HEAP_SEGMENT_OLD = declare(
    "_HEAP_SEGMENT (XP, 2003)",
    {4: 0x3C, 8: 0x68},
    ("Signature", U32, 0x08, 0x10),
    ("Flags", U32, 0x0C, 0x14),
    ("Heap", POINTER, 0x10, 0x18),
    ("BaseAddress", POINTER, 0x18, 0x28),
    ("NumberOfPages", U32, 0x1C, 0x30),
    ("FirstEntry", POINTER, 0x20, 0x38),
    ("LastValidEntry", POINTER, 0x24, 0x40),
    ("NumberOfUnCommittedPages", U32, 0x28, 0x48),
    ("NumberOfUnCommittedRanges", U32, 0x2C, 0x4C),
    ("UnCommittedRanges", POINTER, 0x30, 0x50),
    ("LastEntryInSegment", POINTER, 0x38, 0x60),
)

HEAP_8 = declare(
    "_HEAP (8 to 11)",  # up to LockVariable; what follows is in HEAP_FRONT_ENDS
    {4: 0xCC, 8: 0x170},
    ("Flags", U32, 0x40, 0x70),
    ("ForceFlags", U32, 0x44, 0x74),
    ("EncodeFlagMask", U32, 0x4C, 0x7C),
    ("Encoding", U64, 0x50, 0x88),  # x64: the second half of a 16-byte entry; the first is the block's tail
    ("VirtualMemoryThreshold", U32, 0x5C, 0x94),
    ("Signature", U32, 0x60, 0x98),
    ("SegmentReserve", POINTER, 0x64, 0xA0),
    ("SegmentCommit", POINTER, 0x68, 0xA8),
    ("TotalFreeSize", POINTER, 0x74, 0xC0),
    ("ProcessHeapsListIndex", U16, 0x7C, 0xD0),
    ("VirtualAllocdBlocks.Flink", POINTER, 0x9C, 0x110),
    ("VirtualAllocdBlocks.Blink", POINTER, 0xA0, 0x118),
    ("SegmentList.Flink", POINTER, 0xA4, 0x120),
    ("SegmentList.Blink", POINTER, 0xA8, 0x128),
)

HEAP_7 = declare(
    "_HEAP (Vista, 7)",  # has PointerKey after Encoding, which moves the rest
    {4: 0x138, 8: 0x208},
    ("Flags", U32, 0x40, 0x70),
    ("ForceFlags", U32, 0x44, 0x74),
    ("EncodeFlagMask", U32, 0x4C, 0x7C),
    ("Encoding", U64, 0x50, 0x88),
    ("PointerKey", POINTER, 0x58, 0x90),
    ("VirtualMemoryThreshold", U32, 0x60, 0x9C),
    ("Signature", U32, 0x64, 0xA0),
    ("SegmentReserve", POINTER, 0x68, 0xA8),
    ("SegmentCommit", POINTER, 0x6C, 0xB0),
    ("TotalFreeSize", POINTER, 0x78, 0xC8),
    ("ProcessHeapsListIndex", U16, 0x80, 0xD8),
    ("VirtualAllocdBlocks.Flink", POINTER, 0xA0, 0x118),
    ("VirtualAllocdBlocks.Blink", POINTER, 0xA4, 0x120),
    ("SegmentList.Flink", POINTER, 0xA8, 0x128),
    ("SegmentList.Blink", POINTER, 0xAC, 0x130),
    ("FrontEndHeap", POINTER, 0xD4, 0x178),
    ("FrontEndHeapType", U8, 0xDA, 0x182),
    ("Counters.TotalMemoryReserved", POINTER, 0xDC, 0x188),
    ("Counters.TotalMemoryCommitted", POINTER, 0xE0, 0x190),
    ("Counters.TotalMemoryLargeUCR", POINTER, 0xE4, 0x198),
    ("Counters.TotalSizeInVirtualBlocks", POINTER, 0xE8, 0x1A0),
    ("Counters.TotalSegments", U32, 0xEC, 0x1A8),
    ("Counters.TotalUCRs", U32, 0xF0, 0x1AC),
    ("Counters.CommitFailures", U32, 0x10C, 0x1C8),
)

HEAP_OLD = declare(
    "_HEAP (XP, 2003)",
    {4: 0x588, 8: 0xAE8},
    ("Signature", U32, 0x08, 0x10),
    ("Flags", U32, 0x0C, 0x14),
    ("ForceFlags", U32, 0x10, 0x18),
    ("VirtualMemoryThreshold", U32, 0x14, 0x1C),
    ("SegmentReserve", POINTER, 0x18, 0x20),
    ("SegmentCommit", POINTER, 0x1C, 0x28),
    ("TotalFreeSize", POINTER, 0x28, 0x40),
    ("ProcessHeapsListIndex", U16, 0x30, 0x50),
    ("VirtualAllocdBlocks.Flink", POINTER, 0x50, 0x90),
    ("VirtualAllocdBlocks.Blink", POINTER, 0x54, 0x98),
    ("Segments[0]", POINTER, 0x58, 0xA0),
    ("Segments[63]", POINTER, 0x154, 0x298),
    ("FrontEndHeap", POINTER, 0x580, 0xAD8),
    ("FrontEndHeapType", U8, 0x586, 0xAE2),
)

_COUNTERS = (
    # Field, type, offset in HEAP_COUNTERS.
    ("TotalMemoryReserved", POINTER, 0x00, 0x00),
    ("TotalMemoryCommitted", POINTER, 0x04, 0x08),
    ("TotalMemoryLargeUCR", POINTER, 0x08, 0x10),
    ("TotalSizeInVirtualBlocks", POINTER, 0x0C, 0x18),
    ("TotalSegments", U32, 0x10, 0x20),
    ("TotalUCRs", U32, 0x14, 0x24),
    ("CommitFailures", U32, 0x30, 0x40),  # same place in Vista, 7, 8 and 10, though what follows it changed
)
COUNTER_FIELDS = tuple(f"Counters.{name}" for name, _, _, _ in _COUNTERS[:-1])
COMMIT_FAILURES = "Counters.CommitFailures"
"""It is apart from the others: a reduced snapshot of an earlier version does not have it."""

HEAP_FRONT_ENDS = tuple(
    (
        first_build,
        declare(
            f"_HEAP (from build {first_build}, the whole)",
            sizes,
            ("FrontEndHeap", POINTER, *front_end),
            ("FrontEndHeapType", U8, *kind),
            *((f"Counters.{name}", type_, counters[0] + x86, counters[1] + x64) for name, type_, x86, x64 in _COUNTERS),
        ),
    )
    for first_build, sizes, front_end, kind, counters in (
        (17763, {4: 0x258, 8: 0x2C0}, (0xE4, 0x198), (0xEA, 0x1A2), (0x1F4, 0x238)),  # 1809 to 11
        (14393, {4: 0x248, 8: 0x2A0}, (0xD4, 0x178), (0xDA, 0x182), (0x1E4, 0x218)),  # 1607 to 1803
        (9200, {4: 0x244, 8: 0x298}, (0xD0, 0x170), (0xD6, 0x17A), (0x1E0, 0x210)),  # 8 to 1511
    )
)
"""Where the front end and the counters of HEAP_8 are, by the first build that has them there, newest first."""

HEAP_ENTRY = declare(
    "_HEAP_ENTRY",  # Vista to 11; the first half of a 64-bit one belongs to the block before
    {4: 0x8, 8: 0x10},
    ("Size", U16, 0x0, 0x8),
    ("Flags", U8, 0x2, 0xA),
    ("SmallTagIndex", U8, 0x3, 0xB),  # checksum: the three bytes before it, XORed
    ("PreviousSize", U16, 0x4, 0xC),
    ("UnusedBytes", U8, 0x7, 0xF),
)

HEAP_ENTRY_OLD = declare(
    "_HEAP_ENTRY (XP, 2003)",
    {4: 0x8, 8: 0x10},
    ("Size", U16, 0x0, 0x8),
    ("PreviousSize", U16, 0x2, 0xA),
    ("SmallTagIndex", U8, 0x4, 0xC),
    ("Flags", U8, 0x5, 0xD),
    ("UnusedBytes", U8, 0x6, 0xE),
    ("SegmentIndex", U8, 0x7, 0xF),
)

HEAP_VIRTUAL_ALLOC_ENTRY = declare(
    "_HEAP_VIRTUAL_ALLOC_ENTRY",
    {4: 0x20, 8: 0x40},
    ("Entry.Flink", POINTER, 0x00, 0x00),
    ("Entry.Blink", POINTER, 0x04, 0x08),
    ("CommitSize", POINTER, 0x10, 0x20),
    ("ReserveSize", POINTER, 0x14, 0x28),
    ("BusyBlock", U64, 0x18, 0x38),  # the eight bytes of a heap entry that carry its fields
)

HEAP_UCR_SEGMENT_ENTRY = declare(
    # _HEAP_UCR_DESCRIPTOR from its SegmentEntry on, which is what a segment's list points at.
    "_HEAP_UCR_DESCRIPTOR.SegmentEntry",
    {4: 0x10, 8: 0x20},
    ("SegmentEntry.Flink", POINTER, 0x0, 0x0),
    ("SegmentEntry.Blink", POINTER, 0x4, 0x8),
    ("Address", POINTER, 0x8, 0x10),
    ("Size", POINTER, 0xC, 0x18),
)

HEAP_UNCOMMITTED_RANGE = declare(
    "_HEAP_UNCOMMMTTED_RANGE",  # XP, 2003; Microsoft's spelling
    {4: 0x10, 8: 0x20},
    ("Next", POINTER, 0x0, 0x0),
    ("Address", POINTER, 0x4, 0x8),
    ("Size", POINTER, 0x8, 0x10),
)

LFH_HEAP_WORDS = 0x60
"""Bytes at the start of a low-fragmentation front end that include its pointer back to the heap. It follows a lock and
a list head: at 0x24 in Windows 7's 32-bit `_LFH_HEAP`, at 0x18 in the 64-bit one of Windows 10 1809."""

LFH_HEAP_SIZE = 0x1B000
"""Size of the allocation of a low-fragmentation front end in a 32-bit process on Windows 10 (108 KB, observed)."""
