"""Offsets of `_HEAP` and `_HEAP_SEGMENT` by Windows build and pointer size.

Two shapes exist. Until 2003 a heap starts with its own signature and an array of 64 segment
pointers; since Vista it starts with a segment header, and segments are on a list. The rows from
8 to 1607, of x86 from 1607 to 1803, and of Vista are computed from their neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass

from . import layouts

SEGMENT_SIGNATURE = 0xFFEEFFEE
HEAP_SIGNATURE = 0xEEFFEEFF

HEAP_ENTRIES_ENCODED = 0x100000  # in EncodeFlagMask

# Segment fields: (x86, x64)
NEW_SEGMENT = {
    "SegmentSignature": (0x8, 0x10),
    "SegmentFlags": (0xC, 0x14),
    "SegmentListEntry": (0x10, 0x18),
    "Heap": (0x18, 0x28),
    "BaseAddress": (0x1C, 0x30),
    "NumberOfPages": (0x20, 0x38),
    "FirstEntry": (0x24, 0x40),
    "LastValidEntry": (0x28, 0x48),
    "NumberOfUnCommittedPages": (0x2C, 0x50),
    "NumberOfUnCommittedRanges": (0x30, 0x54),
    "UCRSegmentList": (0x38, 0x60),
    "size": (0x40, 0x70),
}
OLD_SEGMENT = {
    "SegmentSignature": (0x8, 0x10),
    "SegmentFlags": (0xC, 0x14),
    "Heap": (0x10, 0x18),
    "BaseAddress": (0x18, 0x28),
    "NumberOfPages": (0x1C, 0x30),
    "FirstEntry": (0x20, 0x38),
    "LastValidEntry": (0x24, 0x40),
    "NumberOfUnCommittedPages": (0x28, 0x48),
    "NumberOfUnCommittedRanges": (0x2C, 0x4C),
    "UnCommittedRanges": (0x30, 0x50),
    "LastEntryInSegment": (0x38, 0x60),
    "size": (0x3C, 0x68),
}

# Heap fields in columns: 7 x86, 7 x64, 8+ x86, 8+ x64, XP x86, 2003 x64; -1 for "not there".
_HEAP_COLUMNS = {"7": (0, 1), "8": (2, 3), "old": (4, 5)}
_HEAP_ROWS = {
    "Flags": (0x40, 0x70, 0x40, 0x70, 0xC, 0x14),
    "ForceFlags": (0x44, 0x74, 0x44, 0x74, 0x10, 0x18),
    "CompatibilityFlags": (0x48, 0x78, 0x48, 0x78, -1, -1),
    "EncodeFlagMask": (0x4C, 0x7C, 0x4C, 0x7C, -1, -1),
    "Encoding": (0x50, 0x80, 0x50, 0x80, -1, -1),
    "PointerKey": (0x58, 0x90, -1, -1, -1, -1),
    "Interceptor": (0x5C, 0x98, 0x58, 0x90, -1, -1),
    "VirtualMemoryThreshold": (0x60, 0x9C, 0x5C, 0x94, 0x14, 0x1C),
    "Signature": (0x64, 0xA0, 0x60, 0x98, 0x8, 0x10),
    "SegmentReserve": (0x68, 0xA8, 0x64, 0xA0, 0x18, 0x20),
    "SegmentCommit": (0x6C, 0xB0, 0x68, 0xA8, 0x1C, 0x28),
    "TotalFreeSize": (0x78, 0xC8, 0x74, 0xC0, 0x28, 0x40),
    "MaximumAllocationSize": (0x7C, 0xD0, 0x78, 0xC8, 0x2C, 0x48),
    "ProcessHeapsListIndex": (0x80, 0xD8, 0x7C, 0xD0, 0x30, 0x50),
    "HeaderValidateLength": (0x82, 0xDA, 0x7E, 0xD2, 0x32, 0x52),
    "UCRList": (0x90, 0xF8, 0x8C, 0xF0, -1, -1),
    "VirtualAllocdBlocks": (0xA0, 0x118, 0x9C, 0x110, 0x50, 0x90),
    "SegmentList": (0xA8, 0x128, 0xA4, 0x120, -1, -1),
    "Segments": (-1, -1, -1, -1, 0x58, 0xA0),
    "FreeLists": (0xC4, 0x158, 0xC0, 0x150, 0x178, 0x2C8),
    "LockVariable": (0xCC, 0x168, 0xC8, 0x160, 0x578, 0xAC8),
    "FrontEndHeap": (0xD4, 0x178, -1, -1, 0x580, 0xAD8),
    "FrontEndHeapType": (0xDA, 0x182, -1, -1, 0x586, 0xAE2),
    "Counters": (0xDC, 0x188, -1, -1, -1, -1),
    "size": (0x138, 0x208, -1, -1, 0x588, 0xAE8),
}

# From 8 on, the end of the heap by build: FrontEndHeap, FrontEndHeapType, Counters, size.
_TAIL_FIELDS = ("FrontEndHeap", "FrontEndHeapType", "Counters", "size")
_TAILS = (
    (layouts.BUILD_1809, (0xE4, 0xEA, 0x1F4, 0x258), (0x198, 0x1A2, 0x238, 0x2C0)),
    (layouts.BUILD_1607, (0xD4, 0xDA, 0x1E4, 0x248), (0x178, 0x182, 0x218, 0x2A0)),
    (layouts.BUILD_8, (0xD0, 0xD6, 0x1E0, 0x244), (0x170, 0x17A, 0x210, 0x298)),
)

# Counters: (x86, x64, bytes); 0 bytes for a pointer-sized value.
COUNTERS = {
    "TotalMemoryReserved": (0x0, 0x0, 0),
    "TotalMemoryCommitted": (0x4, 0x8, 0),
    "TotalMemoryLargeUCR": (0x8, 0x10, 0),
    "TotalSizeInVirtualBlocks": (0xC, 0x18, 0),
    "TotalSegments": (0x10, 0x20, 4),
    "TotalUCRs": (0x14, 0x24, 4),
    "CommitFailures": (0x30, 0x40, 4),
}

# Heap fields that are not pointer-sized, in bytes.
HEAP_WIDTHS = {
    "Flags": 4,
    "ForceFlags": 4,
    "CompatibilityFlags": 4,
    "EncodeFlagMask": 4,
    "Interceptor": 4,
    "VirtualMemoryThreshold": 4,
    "Signature": 4,
    "ProcessHeapsListIndex": 2,
    "HeaderValidateLength": 2,
    "FrontEndHeapType": 1,
    "SegmentSignature": 4,
    "SegmentFlags": 4,
    "NumberOfPages": 4,
    "NumberOfUnCommittedPages": 4,
    "NumberOfUnCommittedRanges": 4,
}


@dataclass(frozen=True)
class NtHeapLayout:
    """The layout of one build and pointer size.

    Attributes:
        old: the shape until 2003.
        width: bytes of a pointer.
        unit: bytes of one unit of block sizes, and of a heap entry.
        heap: offsets in the heap, "size" included.
        segment: offsets in a segment header, "size" included.
        first_entry: distance from the heap to its first block.
        lfh_heap: offset of the back pointer in a low-fragmentation front end.
        lfh_signature: offset of the signature in a user block of the front end's.
    """

    old: bool
    width: int
    unit: int
    heap: dict[str, int]
    segment: dict[str, int]
    first_entry: int
    lfh_heap: int
    lfh_signature: int


def nt_heap_layout(build: int, width: int) -> NtHeapLayout:
    """Returns the layout of an NT heap for a Windows build and a pointer size of 4 or 8."""
    wide = width == 8
    old = build < layouts.BUILD_VISTA
    column = "old" if old else "7" if build < layouts.BUILD_8 else "8"
    index = _HEAP_COLUMNS[column][wide]
    heap = {name: row[index] for name, row in _HEAP_ROWS.items() if row[index] >= 0}
    if column == "8":
        tail = next(tails[wide] for first, *tails in _TAILS if build >= first)
        heap.update(zip(_TAIL_FIELDS, tail, strict=True))
    segment = {name: row[wide] for name, row in (OLD_SEGMENT if old else NEW_SEGMENT).items()}
    # Only 0x24 (7 x86) and 0x18 (1809+ x64) were read; the others follow from the same members
    # in front: a critical section or a slim lock, a list and its block size.
    lock_is_slim = column == "8"
    lfh_heap = ((0xC, 0x18) if lock_is_slim else (0x24, 0x40))[wide]
    lfh_signature = (0x14 if lock_is_slim else 0x18) if wide else 0xC
    first_entry = (0x680, 0xC80)[wide] if old else (0x588, 0x740)[wide]
    return NtHeapLayout(old, width, 2 * width, heap, segment, first_entry, lfh_heap, lfh_signature)
