"""Writes NT heaps into a process: header, segments, blocks, large blocks, front end.

The blocks are real: sizes and previous sizes chain up, entries carry their checksum and the
heap's XOR encoding, free blocks are on the free list, and every uncommitted range has its
descriptor in the last block before it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from . import layouts
from .minidump import PAGE_EXECUTE_READWRITE, PAGE_READWRITE
from .nt_layouts import (
    COUNTERS,
    HEAP_ENTRIES_ENCODED,
    HEAP_SIGNATURE,
    HEAP_WIDTHS,
    SEGMENT_SIGNATURE,
    NtHeapLayout,
    nt_heap_layout,
)
from .process import ProcessBuilder
from .space import PAGE, round_up
from .truth import HeapBlock, HeapTruth, link_list, register

HEAP_NO_SERIALIZE = 0x1
HEAP_GROWABLE = 0x2
HEAP_CREATE_ENABLE_EXECUTE = 0x40000
HEAP_CLASS_PRIVATE = 0x1000

# A growing heap doubles its segments up to this size (seen in real maps, source unknown).
SEGMENT_SIZE_CAP = 0xFD0000

ENTRY_BUSY = 0x1
ENTRY_EXTRA = 0x2
ENTRY_INTERNAL = 0x8  # a user block of the front end in a segment, a virtual block elsewhere
ENTRY_LAST = 0x10

FRONT_END_NONE = 0
FRONT_END_LOOK_ASIDE = 1
FRONT_END_LOW_FRAGMENTATION = 2

LFH_SIZE_X86 = 0x1B000  # 108 KB, as maps of 32-bit processes show it
LFH_SIZE_X64 = 0x20000
_LFH_USER_DATA_SIGNATURE = 0xF0E0D0C0

_FILLER_UNITS = 0x8000  # size of the blocks that fill the rest of a segment
_SPARE_BLOCK = 0x440  # bytes; a busy block near the front that others may write into


@dataclass(frozen=True)
class SegmentSpec:
    """A segment to lay out; all numbers are bytes.

    Attributes:
        size: bytes of the allocation.
        committed: bytes committed from the base on; None commits all but the guard page.
        holes: (offset, size) of uncommitted ranges inside the committed part.
        base: address; None takes the next free one.
    """

    size: int
    committed: int | None = None
    holes: tuple[tuple[int, int], ...] = ()
    base: int | None = None


@dataclass(frozen=True)
class LargeSpec:
    """A block with an allocation of its own; all numbers are bytes.

    Attributes:
        requested: the bytes that the program requested.
        offset: distance of the block from the base of its allocation; 8 and later put some
            random pages in front.
        tail: reserved bytes behind the block, inside its ReserveSize.
        base: address of the allocation; None takes the next free one.
    """

    requested: int
    offset: int = 0
    tail: int = 0
    base: int | None = None


@dataclass(frozen=True)
class _Chunk:
    """A committed run of a segment, [start, end), and the uncommitted size that follows."""

    start: int
    end: int
    hole: int


def growing_segments(count: int, first: int = 0x100000, reserve: int = 0x100000) -> list[int]:
    """Returns the sizes of a growing heap's segments: the reserve doubles until its cap.

    Args:
        count: number of segments.
        first: size of the first segment, the heap's own reserve.
        reserve: SegmentReserve at the start.
    """
    sizes = [first]
    while len(sizes) < count:
        sizes.append(reserve)
        reserve = min(2 * reserve, SEGMENT_SIZE_CAP)
    return sizes


def nt_heap(
    process: ProcessBuilder,
    *,
    build: int | None = None,
    bits: int | None = None,
    segments: Sequence[SegmentSpec] = (SegmentSpec(0x100000, 0x10000),),
    large: Sequence[LargeSpec] = (),
    front_end: int = FRONT_END_NONE,
    front_end_size: int | None = None,
    front_end_committed: int = 0x8000,
    flags: int = HEAP_GROWABLE,
    encoded: bool = True,
    guard_page: bool | None = None,
    segment_reserve: int | None = None,
    listed: bool = True,
    commit_failures: int = 0,
) -> HeapTruth:
    """Lays an NT heap into the process.

    Args:
        process: where.
        build: Windows build of the layout; None takes the process's.
        bits: 32 or 64; None takes the width of the process's code.
        segments: the first one holds the heap itself.
        large: blocks on VirtualAllocdBlocks.
        front_end: FRONT_END_*; look-aside lists exist until 2003 only.
        front_end_size: bytes of the low-fragmentation front end's allocation.
        front_end_committed: committed bytes of it.
        flags: Flags, with the class in bits 12 to 15.
        encoded: whether heap entries are XOR encoded (Vista and later).
        guard_page: whether each segment keeps its last page out of NumberOfPages; None means
            since Windows 8.
        segment_reserve: SegmentReserve; None takes what doubling leads to.
        listed: whether the PEB's array will name the heap.
        commit_failures: CommitFailures, how often Windows refused to commit memory for the heap.

    Returns:
        What was laid out.
    """
    bits = bits or 8 * process.pointer_size
    build = process.build if build is None else build
    if guard_page is None:
        guard_page = build >= layouts.BUILD_8
    writer = _NtHeapWriter(process, nt_heap_layout(build, bits // 8), flags, encoded, PAGE if guard_page else 0)
    writer.commit_failures = commit_failures
    writer.make_segments(segments)
    writer.make_large_blocks(large)
    size = front_end_size or (LFH_SIZE_X86 if bits == 32 else LFH_SIZE_X64)
    writer.make_front_end(front_end, size, front_end_committed)
    writer.finish(segment_reserve or _next_reserve(segments), listed)
    return writer.truth


def _next_reserve(segments: Sequence[SegmentSpec]) -> int:
    largest = max((spec.size for spec in segments[1:]), default=0x80000)
    return min(2 * largest, SEGMENT_SIZE_CAP)


class _NtHeapWriter:
    """Writes one heap, part by part."""

    def __init__(
        self,
        process: ProcessBuilder,
        layout: NtHeapLayout,
        flags: int,
        encoded: bool,
        guard: int,
    ) -> None:
        self.process = process
        self.layout = layout
        self.guard = guard
        self.key = bytes.fromhex("d43c6b1f9e520000") if encoded and not layout.old else bytes(8)
        kind = "nt-old" if layout.old else "nt"
        self.truth = HeapTruth(0, 0, kind, 8 * layout.width, flags)
        executable = flags & HEAP_CREATE_ENABLE_EXECUTE
        self.protect = PAGE_EXECUTE_READWRITE if executable else PAGE_READWRITE
        self.segments: list[int] = []
        self.descriptors: list[int] = []
        self.free_nodes: list[int] = []
        self.front_end_type = FRONT_END_NONE
        self.front_end_address = 0
        self.spare = 0
        self.spare_end = 0
        self.user_block = 0
        self.segment_bytes: list[tuple[int, int]] = []  # (reserved, uncommitted) per segment
        self.virtual_bytes = 0
        self.commit_failures = 0

    # --- fields ----------------------------------------------------------------------------

    def _set_heap(self, name: str, value: int) -> None:
        if name not in self.layout.heap:
            return
        address = self.truth.address + self.layout.heap[name]
        self.truth.fields[name] = address
        self.process.number(address, value, HEAP_WIDTHS.get(name, self.layout.width))

    def _set_segment(self, segment: int, name: str, value: int) -> None:
        address = segment + self.layout.segment[name]
        self.process.number(address, value, HEAP_WIDTHS.get(name, self.layout.width))

    # --- segments --------------------------------------------------------------------------

    def make_segments(self, specs: Sequence[SegmentSpec]) -> None:
        """Allocates the segments and fills them with blocks."""
        for index, spec in enumerate(specs):
            base = self.process.allocate(spec.size, base=spec.base, commit=0, protect=self.protect)
            if index == 0:
                self.truth.address = base
            limit = spec.size - self.guard
            committed = limit if spec.committed is None else min(spec.committed, limit)
            holes = list(spec.holes)
            if committed < limit:
                holes.append((committed, limit - committed))
            chunks = _chunks(holes, limit)
            for chunk in chunks:
                self.process.commit(base + chunk.start, chunk.end - chunk.start)
            self._make_segment(index, base, limit, chunks)
            self.truth.add(self.process, base, "segment")

    def _make_segment(self, index: int, base: int, limit: int, chunks: list[_Chunk]) -> None:
        layout = self.layout
        header = base
        previous = 0
        first = layout.first_entry if index == 0 else round_up(layout.segment["size"], layout.unit)
        if index == 0 and layout.old:
            # The first segment of an old heap follows the heap in the same allocation, with
            # an entry of its own.
            previous = first - 0x10 * layout.width
            header = base + previous
            self._write_entry(base, previous, 0, ENTRY_BUSY, 0, index)
        before = base + first - header
        self.segments.append(header)
        self._write_entry(header, before, previous, ENTRY_BUSY, 0, index)
        descriptors, last = self._fill(index, base, first, before, chunks)
        holes = [(base + chunk.end, chunk.hole) for chunk in chunks if chunk.hole]
        self.truth.uncommitted += holes
        self.segment_bytes.append((limit, sum(size for _, size in holes)))
        values = {
            "SegmentSignature": SEGMENT_SIGNATURE,
            "SegmentFlags": 0,
            "Heap": self.truth.address,
            "BaseAddress": base,
            "NumberOfPages": limit // PAGE,
            "FirstEntry": base + first,
            "LastValidEntry": base + limit,
            "NumberOfUnCommittedPages": sum(size for _, size in holes) // PAGE,
            "NumberOfUnCommittedRanges": len(holes),
        }
        for name, value in values.items():
            self._set_segment(header, name, value)
        if layout.old:
            self._set_segment(header, "UnCommittedRanges", self._old_ranges(holes))
            self._set_segment(header, "LastEntryInSegment", last)
        else:
            offset = 2 * layout.width  # SegmentEntry in the descriptor
            nodes = [descriptor + offset for descriptor in descriptors]
            name = f"UCRSegmentList[{index}]"
            head = header + layout.segment["UCRSegmentList"]
            self.truth.lists[name] = link_list(self.process, head, nodes, layout.width)
            self.descriptors += descriptors

    def _old_ranges(self, holes: Sequence[tuple[int, int]]) -> int:
        """Writes the chain of old uncommitted ranges into the spare block; returns its start."""
        following = 0
        width = self.layout.width
        for address, size in reversed(holes):
            node = self.spare
            self.spare += 4 * width
            if self.spare > self.spare_end:
                raise ValueError("an old heap here has room for few uncommitted ranges only")
            for place, value in enumerate((following, address, size)):
                self.process.pointer(node + place * width, value, width)
            following = node
        return following

    # --- blocks ----------------------------------------------------------------------------

    def _fill(self, index: int, base: int, first: int, before: int, chunks: list[_Chunk]) -> tuple[list[int], int]:
        """Fills the chunks with blocks; returns the UCR descriptors and the last entry."""
        descriptors = []
        last = base
        for number, chunk in enumerate(chunks):
            start = first if number == 0 else chunk.start
            # Behind a hole the chain starts anew: there is no block before.
            previous = before if number == 0 else 0
            tail = 0
            if chunk.hole and not self.layout.old:
                tail = self._descriptor_size()
            last = self._blocks(index, base, start, chunk.end - tail, previous, is_last=not tail)
            if tail:
                previous = self.truth.blocks[-1].size
                last = base + chunk.end - tail
                self._block(index, last, tail, previous, ENTRY_BUSY | ENTRY_LAST)
                descriptors.append(self._descriptor(last, base + chunk.end, chunk.hole))
        return descriptors, last

    def _descriptor_size(self) -> int:
        """Bytes of the block that holds a UCR descriptor: 0x20 or 0x40."""
        return 8 * self.layout.width

    def _descriptor(self, entry: int, address: int, size: int) -> int:
        width = self.layout.width
        descriptor = entry + self.layout.unit
        self.process.pointer(descriptor + 4 * width, address, width)
        self.process.pointer(descriptor + 5 * width, size, width)
        return descriptor

    def _blocks(self, index: int, base: int, start: int, end: int, previous: int, *, is_last: bool) -> int:
        """Writes blocks from `start` up to `end` (offsets); returns the last one's address."""
        position = start
        for size, flags in _pattern(end - start, self.layout.unit):
            if position + size == end and is_last:
                flags |= ENTRY_LAST
            self._block(index, base + position, size, previous, flags)
            if not self.spare and flags & ENTRY_BUSY and size >= _SPARE_BLOCK:
                self.spare = base + position + self.layout.unit
                self.spare_end = base + position + size
            if not self.user_block and flags & ENTRY_INTERNAL:
                self.user_block = base + position + self.layout.unit
            previous = size
            position += size
        return base + position - previous

    def _block(self, index: int, address: int, size: int, previous: int, flags: int) -> None:
        busy = bool(flags & ENTRY_BUSY)
        unused = self.layout.unit + 3 if busy else 0
        self._write_entry(address, size, previous, flags, unused, index)
        self.truth.blocks.append(HeapBlock(address, size, busy, size - unused if busy else 0))
        if not busy:
            self.free_nodes.append(address + self.layout.unit)

    def _write_entry(self, address: int, size: int, previous: int, flags: int, unused: int, index: int) -> None:
        units = (size // self.layout.unit, previous // self.layout.unit)
        self._write_entry_units(address, units, flags, unused, index)

    def _write_entry_units(self, address: int, units: tuple[int, int], flags: int, unused: int, index: int) -> None:
        size, previous = units
        if self.layout.old:
            entry = struct.pack("<HHBBBB", size, previous, 0, flags, unused, index)
        else:
            checksum = size & 0xFF ^ size >> 8 ^ flags
            plain = struct.pack("<HBBHBB", size, flags, checksum, previous, index & 0xFF, unused)
            entry = bytes(a ^ b for a, b in zip(plain, self.key, strict=True))
        # The first half of a 64-bit entry belongs to the block before.
        self.process.write(address + self.layout.unit - 8, entry)

    # --- large blocks and front end --------------------------------------------------------

    def make_large_blocks(self, specs: Sequence[LargeSpec]) -> None:
        """Allocates the large blocks; `finish` links them."""
        width = self.layout.width
        header = 8 * width
        nodes = []
        for spec in specs:
            commit = round_up(spec.requested + header, PAGE)
            reserve = commit + round_up(spec.tail, PAGE)
            base = self.process.allocate(spec.offset + reserve, base=spec.base, commit=0, protect=self.protect)
            block = base + spec.offset
            self.process.commit(block, commit)
            self.process.pointer(block + 4 * width, commit, width)
            self.process.pointer(block + 5 * width, reserve, width)
            # The size field of such a block counts the unused bytes, not units.
            unused = commit - spec.requested
            flags = ENTRY_BUSY | ENTRY_EXTRA | ENTRY_INTERNAL
            self._write_entry_units(block + 6 * width, (unused, 0), flags, 0, 0)
            nodes.append(block)
            self.virtual_bytes += commit
            self.truth.add(self.process, block, "large")
        self.truth.lists["VirtualAllocdBlocks"] = [0, *nodes]

    def make_front_end(self, kind: int, size: int, committed: int) -> None:
        """Makes the low-fragmentation front end with its back pointer, or look-aside lists."""
        self.front_end_type = kind
        self.truth.low_fragmentation = kind == FRONT_END_LOW_FRAGMENTATION
        if kind == FRONT_END_LOOK_ASIDE:
            self.front_end_address = self.spare
        elif kind == FRONT_END_LOW_FRAGMENTATION:
            address = self.process.allocate(size, commit=committed)
            back_pointer = address + self.layout.lfh_heap
            self.process.pointer(back_pointer, self.truth.address, self.layout.width)
            self._mark_user_block(address)
            self.front_end_address = address
            self.truth.add(self.process, address, "front end")

    def _mark_user_block(self, front_end: int) -> None:
        """Writes a front end's header into the internal block of the first segment."""
        if self.layout.old or not self.user_block:
            return
        user_data = self.user_block
        self.process.pointer(user_data, front_end + 0x100, self.layout.width)
        self.process.number(user_data + self.layout.lfh_signature, _LFH_USER_DATA_SIGNATURE, 4)

    # --- the header ------------------------------------------------------------------------

    def finish(self, segment_reserve: int, listed: bool) -> None:
        """Writes the header's fields and links its lists."""
        layout, truth = self.layout, self.truth
        truth.heap_id = register(self.process, truth.bits, truth.address, listed)
        validate = round_up(layout.heap["size"], layout.unit)
        free = sum(block.size for block in truth.blocks if not block.busy)
        encode = HEAP_ENTRIES_ENCODED if any(self.key) else 0
        values = {
            "Signature": HEAP_SIGNATURE,
            "Flags": truth.flags,
            "ForceFlags": truth.flags & ~HEAP_GROWABLE & 0xFFFF0FFF,
            "EncodeFlagMask": encode,
            "PointerKey": 0x5A17C3D9,
            "VirtualMemoryThreshold": 0xFE00,
            "SegmentReserve": segment_reserve,
            "SegmentCommit": 0x2000,
            "TotalFreeSize": free // layout.unit,
            "MaximumAllocationSize": 0x7FFDEFFF,
            "ProcessHeapsListIndex": truth.heap_id,
            "HeaderValidateLength": validate,
            "LockVariable": truth.address + validate,
            "FrontEndHeap": self.front_end_address,
            "FrontEndHeapType": self.front_end_type,
        }
        for name, value in values.items():
            self._set_heap(name, value)
        if not layout.old:
            at = truth.address + layout.heap["Encoding"] + layout.unit - 8
            self.process.write(at, self.key)
        self._link_lists()
        if "Counters" in layout.heap:
            self._write_counters()

    def _link_lists(self) -> None:
        layout, truth, process = self.layout, self.truth, self.process
        width = layout.width

        def link(name: str, nodes: Sequence[int]) -> None:
            head = truth.address + layout.heap[name]
            truth.lists[name] = link_list(process, head, nodes, width)

        link("VirtualAllocdBlocks", truth.lists["VirtualAllocdBlocks"][1:])
        if layout.old:
            array = truth.address + layout.heap["Segments"]
            for index, segment in enumerate(self.segments):
                process.pointer(array + index * width, segment, width)
            truth.fields["Segments"] = array
            heads = truth.address + layout.heap["FreeLists"]
            for index in range(1, 128):
                link_list(process, heads + index * 2 * width, [], width)
        else:
            entry = layout.segment["SegmentListEntry"]
            link("SegmentList", [segment + entry for segment in self.segments])
            link("UCRList", self.descriptors)
        link("FreeLists", self.free_nodes)

    def _write_counters(self) -> None:
        uncommitted = sum(hole for _, hole in self.segment_bytes)
        reserved = sum(size for size, _ in self.segment_bytes)
        values = {
            "TotalMemoryReserved": reserved,
            "TotalMemoryCommitted": reserved - uncommitted,
            "TotalMemoryLargeUCR": max((size for _, size in self.truth.uncommitted), default=0),
            "TotalSizeInVirtualBlocks": self.virtual_bytes,
            "TotalSegments": len(self.segments),
            "TotalUCRs": len(self.truth.uncommitted),
            "CommitFailures": self.commit_failures,
        }
        base = self.truth.address + self.layout.heap["Counters"]
        self.truth.fields["Counters"] = base
        for name, value in values.items():
            *offsets, width = COUNTERS[name]
            offset = offsets[self.layout.width == 8]
            self.process.number(base + offset, value, width or self.layout.width)


def _chunks(holes: Sequence[tuple[int, int]], limit: int) -> list[_Chunk]:
    """Cuts [0, limit) at the uncommitted ranges."""
    chunks = []
    start = 0
    for offset, size in sorted(holes):
        if offset % PAGE or size % PAGE or offset <= start:
            raise ValueError(f"hole {offset:#x} + {size:#x} is not a page range behind a block")
        chunks.append(_Chunk(start, offset, size))
        start = offset + size
    if start < limit:
        chunks.append(_Chunk(start, limit, 0))
    return chunks


def _pattern(size: int, unit: int) -> list[tuple[int, int]]:
    """Returns (size, flags) of blocks that fill `size` bytes exactly.

    Some small ones first, busy and free, one of the front end's, then large busy ones: a segment
    of many megabytes touches few pages.
    """
    small = [
        (_SPARE_BLOCK, ENTRY_BUSY),
        (6 * unit, ENTRY_BUSY),
        (16 * unit, 0),
        (4 * unit, ENTRY_BUSY),
        (32 * unit, ENTRY_BUSY | ENTRY_INTERNAL),
        (8 * unit, 0),
    ]
    blocks = []
    left = size
    for block, flags in small:
        if left - block < 2 * unit:
            break
        blocks.append((block, flags))
        left -= block
    filler = _FILLER_UNITS * unit
    while left > filler + filler // 2:
        blocks.append((filler, ENTRY_BUSY))
        left -= filler
    blocks.append((left, ENTRY_BUSY))
    return blocks
