"""Writes segment heaps (Windows 10 and later) into a process.

The layout changed with almost every release; `SEGMENT_HEAP_LAYOUTS` holds the ones that were
read. Their common ground: signature 0xddeeddee behind two pointers, one list of segments per
context, and a red-black tree of large allocations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .process import ProcessBuilder
from .space import GRANULARITY, PAGE, round_up
from .truth import HeapTruth, link_list, register

SEGMENT_HEAP_SIGNATURE = 0xDDEEDDEE
_SIGNATURE_CONSTANT = {4: 0xA2E64EAD, 8: 0xA2E64EADA2E64EAD}
DEFAULT_HEAP_KEY = {4: 0x5BD1E995, 8: 0x9E3779B97F4A7C15}

MEGABYTE = 0x100000
_DESCRIPTOR_TREE_SIGNATURE = 0xCCDDCCDD
_RANGE_COMMITTED, _RANGE_ALLOCATED, _RANGE_FIRST = 2, 4, 8


@dataclass(frozen=True)
class SegmentHeapLayout:
    """One layout; offsets from the heap, in bytes.

    Attributes:
        width: bytes of a pointer.
        large_tree: LargeAllocMetadata; its Min word follows one pointer behind.
        large_reserved: LargeReservedPages; LargeCommittedPages follows one pointer behind.
        contexts: SegContexts; 0 if the segment list is in the heap itself.
        context_size: bytes of one context.
        list_head: SegmentListHead, from the context, or from the heap if there is none.
        count: SegmentCount, likewise.
        heap: the context's pointer to its heap.
        size: bytes of the whole structure.
        own_block: AllocatedBase, UncommittedBase and ReservedLimit; None if not read.
    """

    width: int
    large_tree: int
    large_reserved: int
    contexts: int
    context_size: int
    list_head: int
    count: int
    heap: int
    size: int
    own_block: tuple[int, int, int] | None = None


SEGMENT_HEAP_LAYOUTS = {
    "x64-1507": SegmentHeapLayout(8, 0x38, 0x48, 0, 0, 0x60, 0x70, 0, 0x5F0),
    "x64-1709": SegmentHeapLayout(8, 0x50, 0x60, 0x70, 0x68, 0x20, 0x30, 0x60, 0x6C0),
    "x64-1803": SegmentHeapLayout(8, 0x50, 0x60, 0x70, 0x78, 0x20, 0x30, 0x70, 0x6F0),
    "x64-1809-filed": SegmentHeapLayout(8, 0x88, 0x98, 0xA8, 0x98, 0x20, 0x30, 0x90, 0x710),
    "x64-1809": SegmentHeapLayout(8, 0x48, 0x58, 0x100, 0xC0, 0x48, 0x58, 0x38, 0x800, (0xE8, 0xF0, 0xF8)),
    "x64-11": SegmentHeapLayout(8, 0x48, 0x58, 0x140, 0xC0, 0x48, 0x58, 0x38, 0xA40, (0xF0, 0xF8, 0x100)),
    "x64-24h2": SegmentHeapLayout(8, 0x48, 0x58, 0x140, 0xC0, 0x48, 0x58, 0x38, 0xA00, (0xF0, 0xF8, 0x100)),
    # The sizes of the 32-bit ones were not read: anything behind the second context will do.
    "x86-1709": SegmentHeapLayout(4, 0x30, 0x38, 0x40, 0x38, 0x14, 0x1C, 0x34, 0x400),
    "x86-1809-filed": SegmentHeapLayout(4, 0x50, 0x58, 0x60, 0x50, 0x14, 0x1C, 0x4C, 0x400),
    "x86-1809": SegmentHeapLayout(4, 0x44, 0x4C, 0x100, 0x80, 0x44, 0x4C, 0x24, 0x500),
}


@dataclass(frozen=True)
class _Geometry:
    """What distinguishes the two contexts: 256 units of 4 KB or of 64 KB."""

    segment_size: int
    unit_shift: int
    pages_shift: int
    max_allocation: int


_GEOMETRIES = (_Geometry(MEGABYTE, 12, 0, 0x7F000), _Geometry(16 * MEGABYTE, 16, 4, 0x7F0000))


def variant_for(build: int, width: int) -> str:
    """Returns the key of the layout that a build most likely has."""
    if width == 4:
        return "x86-1809" if build >= 17763 else "x86-1709"
    steps = ((26100, "24h2"), (22000, "11"), (17763, "1809"), (17134, "1803"), (16299, "1709"))
    return "x64-" + next((name for first, name in steps if build >= first), "1507")


def segment_heap(
    process: ProcessBuilder,
    variant: str | None = None,
    *,
    small_segments: Sequence[int] = (0x10000,),
    big_segments: Sequence[int] = (),
    large: Sequence[int] = (),
    heap_key: int | None = None,
    encoded_tree: bool = False,
    flags: int = 0,
    listed: bool = True,
) -> HeapTruth:
    """Lays a segment heap into the process.

    Args:
        process: where.
        variant: a key of `SEGMENT_HEAP_LAYOUTS`; None picks by the process's build.
        small_segments: committed bytes of each segment of 1 MB.
        big_segments: committed bytes of each segment of 16 MB; ignored by the layout before
            1709, which has one list.
        large: bytes of each large allocation.
        heap_key: the process's random key in segment signatures; give all heaps the same.
        encoded_tree: whether the tree's pointers are XORed with their own addresses,
            which bit 0 of the Min word announces.
        flags: GlobalFlags, class bits included.
        listed: whether the PEB's array will name the heap.
    """
    variant = variant or variant_for(process.build, process.pointer_size)
    layout = SEGMENT_HEAP_LAYOUTS[variant]
    key = DEFAULT_HEAP_KEY[layout.width] if heap_key is None else heap_key
    writer = _SegmentHeapWriter(process, layout, key, flags)
    writer.make_heap(listed, len(large))
    if layout.contexts:
        writer.make_context(0, small_segments)
        writer.make_context(1, big_segments)
    else:
        writer.make_segments("segments[0]", layout.list_head, 0, _GEOMETRIES[0], small_segments)
        writer.set(layout.count, len(small_segments))
    writer.make_large(large, encoded_tree)
    writer.finish()
    return writer.truth


class _SegmentHeapWriter:
    """Writes one segment heap, part by part."""

    def __init__(self, process: ProcessBuilder, layout: SegmentHeapLayout, key: int, flags: int) -> None:
        self.process = process
        self.layout = layout
        self.key = key
        self.width = layout.width
        self.mask = (1 << 8 * layout.width) - 1
        self.truth = HeapTruth(0, 0, "segment", 8 * layout.width, flags)
        self.metadata = 0  # next free byte of the heap's own block, for tree nodes

    def set(self, offset: int, value: int, base: int | None = None) -> None:
        """Writes a pointer-sized field of the heap or of the structure at `base`."""
        address = (self.truth.address if base is None else base) + offset
        self.process.pointer(address, value, self.width)

    def make_heap(self, listed: bool, records: int) -> None:
        """Allocates the heap's own block, with room for tree records, and writes its front."""
        needed = round_up(self.layout.size + 0x100 + records * 8 * self.width, PAGE)
        address = self.process.allocate(max(GRANULARITY, needed), commit=max(0x4000, needed))
        truth = self.truth
        truth.address = address
        truth.heap_id = register(self.process, truth.bits, address, listed)
        self.metadata = round_up(address + self.layout.size, 0x100)
        signature_at = address + 2 * self.width
        truth.fields["Signature"] = signature_at
        self.process.number(signature_at, SEGMENT_HEAP_SIGNATURE, 4)
        self.process.number(signature_at + 4, truth.flags, 4)

    def make_context(self, index: int, committed: Sequence[int]) -> None:
        """Writes one of the two contexts with its segments."""
        layout, width = self.layout, self.width
        geometry = _GEOMETRIES[index]
        context = self.truth.address + layout.contexts + index * layout.context_size
        self.truth.fields[f"SegContexts[{index}]"] = context
        self.set(0, -geometry.segment_size & self.mask, context)
        first_unit = -(-self._header_size() >> geometry.unit_shift) or 1
        for offset, value in (
            (width, geometry.unit_shift),
            (width + 1, geometry.pages_shift),
            (width + 2, first_unit),
        ):
            self.process.number(context + offset, value, 1)
        self.process.number(context + width + 8, geometry.max_allocation, 4)
        self.set(layout.heap, self.truth.address, context)
        self.set(layout.count, len(committed), context)
        name = f"segments[{index}]"
        self.make_segments(name, layout.list_head, context, geometry, committed)

    def _header_size(self) -> int:
        """Bytes of a segment's metadata: 256 descriptors."""
        return 0x2000 if self.width == 8 else 0x1000

    def make_segments(
        self,
        name: str,
        head: int,
        context: int,
        geometry: _Geometry,
        committed: Sequence[int],
    ) -> None:
        """Allocates segments and links them to the head at an offset of context or heap."""
        size = geometry.segment_size
        nodes = []
        for bytes_committed in committed:
            segment = self.process.allocate(size, commit=max(bytes_committed, self._header_size()), align=size)
            signature = segment ^ context ^ self.key ^ _SIGNATURE_CONSTANT[self.width]
            self.set(2 * self.width, signature, segment)
            if self.width == 8:
                self._describe_range(segment, geometry, bytes_committed)
            nodes.append(segment)
            self.truth.add(self.process, segment, "segment")
            used = round_up(max(bytes_committed, self._header_size()), PAGE)
            if used < size:
                self.truth.uncommitted.append((segment + used, size - used))
        start = (context or self.truth.address) + head
        self.truth.lists[name] = link_list(self.process, start, nodes, self.width)

    def _describe_range(self, segment: int, geometry: _Geometry, committed: int) -> None:
        """Writes the descriptor of one allocated range behind the metadata."""
        first = -(-self._header_size() >> geometry.unit_shift) or 1
        units = (committed >> geometry.unit_shift) - first
        if units <= 0:
            return
        descriptor = segment + 0x20 * first
        flags = _RANGE_COMMITTED | _RANGE_ALLOCATED | _RANGE_FIRST
        self.process.number(descriptor, _DESCRIPTOR_TREE_SIGNATURE, 4)
        self.process.number(descriptor + 0x18, flags, 1)
        self.process.number(descriptor + 0x19, min(units, 0xFF), 1)
        self.process.number(descriptor + 0x1F, min(units, 0xFF), 1)

    def make_large(self, sizes: Sequence[int], encoded: bool) -> None:
        """Allocates large blocks and writes the tree of their records."""
        width = self.width
        places = sorted((self.process.allocate(size), size) for size in sizes)
        records = []
        pages = 0
        for index, (address, requested) in enumerate(places):
            record = self.metadata + index * 8 * width
            size = round_up(requested, PAGE)
            self.set(3 * width, address | size - requested, record)  # UnusedBytes below 64 KB
            self.set(4 * width, size, record)  # AllocatedPages << 12, flag bits clear
            records.append(record)
            pages += size // PAGE
            self.truth.add(self.process, address, "large")
        tree = self.truth.address + self.layout.large_tree
        root = self._tree(records, 0, encoded)
        self.truth.lists["LargeAllocMetadata"] = [tree, *records]
        smallest = records[0] if records else 0
        self.set(0, root ^ tree if encoded and root else root, tree)
        self.set(width, smallest | encoded, tree)
        self.set(self.layout.large_reserved, pages)
        self.set(self.layout.large_reserved + width, pages)
        self.metadata += len(records) * 8 * width

    def _tree(self, records: Sequence[int], parent: int, encoded: bool) -> int:
        """Links sorted records as a balanced tree; returns its root."""
        if not records:
            return 0
        middle = len(records) // 2
        node = records[middle]
        left = self._tree(records[:middle], node, encoded)
        right = self._tree(records[middle + 1 :], node, encoded)
        for index, value in enumerate((left, right, parent)):
            self.set(index * self.width, value ^ node if encoded and value else value, node)
        return node

    def finish(self) -> None:
        """Records the heap's own block, whose limits some layouts keep in the heap."""
        truth = self.truth
        own = self.process.allocation_at(truth.address)
        if self.layout.own_block:
            limits = (self.metadata, own.base + own.committed(), own.end)
            for offset, value in zip(self.layout.own_block, limits, strict=True):
                self.set(offset, value)
        truth.add(self.process, truth.address, "heap")


def signature_key(segment: int, context: int, signature: int, width: int) -> int:
    """Returns the heap key that a segment's signature implies, as a walker derives it."""
    return signature ^ segment ^ context ^ _SIGNATURE_CONSTANT[width]
