"""The heap writers against a second, minimal reader that knows the same tables by heart.

It reads the finished dump, not the process, with `struct` and offsets written out again here.
"""

from __future__ import annotations

import struct
from bisect import bisect_right

import pytest

from . import heaps as hp
from . import minidump as md
from .heaps import HeapTruth, LargeSpec, SegmentSpec
from .process import ProcessBuilder
from .space import PAGE
from .test_synth import stream

# (arch, build): (Flags, Encoding, VirtualAllocdBlocks, SegmentList or Segments, FrontEndHeap,
# FrontEndHeapType, Signature, Counters)
NT_OFFSETS = {
    ("x86", 2600): (0xC, 0, 0x50, 0x58, 0x580, 0x586, 0x8, 0),
    ("x64", 3790): (0x14, 0, 0x90, 0xA0, 0xAD8, 0xAE2, 0x10, 0),
    ("x86", 6002): (0x40, 0x50, 0xA0, 0xA8, 0xD4, 0xDA, 0x64, 0xDC),
    ("x86", 7601): (0x40, 0x50, 0xA0, 0xA8, 0xD4, 0xDA, 0x64, 0xDC),
    ("x64", 7601): (0x70, 0x80, 0x118, 0x128, 0x178, 0x182, 0xA0, 0x188),
    ("x86", 9600): (0x40, 0x50, 0x9C, 0xA4, 0xD0, 0xD6, 0x60, 0x1E0),
    ("x64", 9600): (0x70, 0x80, 0x110, 0x120, 0x170, 0x17A, 0x98, 0x210),
    ("x64", 10240): (0x70, 0x80, 0x110, 0x120, 0x170, 0x17A, 0x98, 0x210),
    ("x64", 14393): (0x70, 0x80, 0x110, 0x120, 0x178, 0x182, 0x98, 0x218),
    ("x86", 15063): (0x40, 0x50, 0x9C, 0xA4, 0xD4, 0xDA, 0x60, 0x1E4),
    ("x64", 17134): (0x70, 0x80, 0x110, 0x120, 0x178, 0x182, 0x98, 0x218),
    ("x86", 19045): (0x40, 0x50, 0x9C, 0xA4, 0xE4, 0xEA, 0x60, 0x1F4),
    ("x64", 19045): (0x70, 0x80, 0x110, 0x120, 0x198, 0x1A2, 0x98, 0x238),
    ("x64", 26100): (0x70, 0x80, 0x110, 0x120, 0x198, 0x1A2, 0x98, 0x238),
}
SEGMENTS = (
    SegmentSpec(0x100000),
    SegmentSpec(0x100000, None, ((0x20000, 0x3000), (0x40000, 0x1000))),
    SegmentSpec(0x200000, 0x12000),
)
LARGE = (LargeSpec(0x90000), LargeSpec(0x200001, offset=0x3000, tail=0x2000))


class Bytes:
    """Memory64List of a dump."""

    def __init__(self, dump: bytes, width: int) -> None:
        body = stream(dump, md.MEMORY64_LIST)
        count, rva = struct.unpack_from("<QQ", body)
        self.starts: list[int] = []
        self.data: list[bytes] = []
        self.width = width
        for index in range(count):
            start, size = struct.unpack_from("<QQ", body, 16 + 16 * index)
            self.starts.append(start)
            self.data.append(dump[rva : rva + size])
            rva += size

    def read(self, address: int, size: int) -> bytes:
        index = bisect_right(self.starts, address) - 1
        offset = address - self.starts[index]
        data = self.data[index][offset : offset + size]
        assert len(data) == size, f"{address:#x} is not captured"
        return data

    def number(self, address: int, size: int) -> int:
        return int.from_bytes(self.read(address, size), "little")

    def pointer(self, address: int) -> int:
        return self.number(address, self.width)

    def ring(self, head: int) -> list[int]:
        nodes = []
        node, previous = self.pointer(head), head
        while node != head:
            assert self.pointer(node + self.width) == previous
            nodes.append(node)
            previous, node = node, self.pointer(node)
        assert self.pointer(head + self.width) == previous
        return nodes


def dumped(process: ProcessBuilder) -> Bytes:
    return Bytes(process.to_minidump().build(), process.pointer_size)


def regions_of(process: ProcessBuilder) -> dict[int, tuple[int, int]]:
    """Returns allocation base: (size, committed), from the dump's MemoryInfoList."""
    body = stream(process.to_minidump().build(), md.MEMORY_INFO_LIST)
    found: dict[int, tuple[int, int]] = {}
    for at in range(16, len(body), 48):
        _, base, _, _, size, state, _, _, _ = struct.unpack_from("<QQIIQIIII", body, at)
        if state != md.MEM_FREE:
            total, committed = found.get(base, (0, 0))
            found[base] = (total + size, committed + (size if state == md.MEM_COMMIT else 0))
    return found


def assert_truth_is_in_the_regions(process: ProcessBuilder, truths: list[HeapTruth]) -> None:
    regions = regions_of(process)
    for truth in truths:
        for allocation in truth.allocations:
            assert regions[allocation.base] == (allocation.size, allocation.committed)
            assert allocation.base <= allocation.address < allocation.base + allocation.size


def walk_blocks(
    memory: Bytes, key: bytes, first: int, limit: int, before: int, holes: dict[int, int], old: bool
) -> list[tuple[int, int, bool]]:
    """Walks heap entries from `first`; checks checksums, previous sizes and the last flag."""
    unit = 2 * memory.width
    blocks = []
    position, previous, ended = first, before // unit, False
    while position < limit:
        if position in holes:
            assert ended
            position += holes[position]
            previous = 0
            continue
        raw = memory.read(position + unit - 8, 8)
        plain = bytes(a ^ b for a, b in zip(raw, key, strict=True))
        if old:
            size, back, _, flags, _, _ = struct.unpack("<HHBBBB", plain)
        else:
            assert plain[3] == plain[0] ^ plain[1] ^ plain[2]
            size, flags, _, back, _, _ = struct.unpack("<HBBHBB", plain)
        assert back == previous
        assert size
        blocks.append((position, size * unit, bool(flags & 1)))
        position += size * unit
        previous = size
        ended = bool(flags & 0x10)
    assert position == limit
    assert ended
    return blocks


@pytest.mark.parametrize(("arch", "build"), list(NT_OFFSETS))
def test_nt_heap_can_be_walked_by_the_tables(arch: str, build: int) -> None:
    process = ProcessBuilder(arch, build).furnish()
    truth = hp.nt_heap(process, segments=SEGMENTS, large=LARGE, front_end=hp.FRONT_END_LOW_FRAGMENTATION)
    assert_truth_is_in_the_regions(process, [truth])
    memory = dumped(process)
    flags_at, key_at, virtual_at, segments_at, front_at, type_at, signature_at, counters_at = NT_OFFSETS[arch, build]
    wide, old, heap = arch == "x64", build < 6000, truth.address
    width = 8 if wide else 4
    key = memory.read(heap + key_at + (8 if wide else 0), 8) if key_at else bytes(8)
    assert any(key) != old
    assert memory.number(heap + flags_at, 4) == 2
    assert memory.number(heap + signature_at, 4) == 0xEEFFEEFF
    if old:
        segments = [memory.pointer(heap + segments_at + i * width) for i in range(4)]
        assert segments.pop() == 0
    else:
        entries = memory.ring(heap + segments_at)
        segments = [entry - (0x18 if wide else 0x10) for entry in entries]
        assert segments[0] == heap
    fields = (0x10, 0x18, 0x28, 0x30, 0x38, 0x40, 0x48, 0x4C) if wide else (8, 0x10, 0x18, 0x1C, 0x20, 0x24, 0x28, 0x2C)
    if not old:
        new = ((0x10, 0x28, 0x30, 0x38, 0x40, 0x48, 0x50, 0x54), (8, 0x18, 0x1C, 0x20, 0x24, 0x28, 0x2C, 0x30))
        fields = new[0] if wide else new[1]
    blocks: list[tuple[int, int, bool]] = []
    holes = dict(truth.uncommitted)
    for number, segment in enumerate(segments):
        assert memory.number(segment + fields[0], 4) == 0xFFEEFFEE
        owner, base = (memory.pointer(segment + at) for at in fields[1:3])
        pages = memory.number(segment + fields[3], 4)
        first, limit = (memory.pointer(segment + at) for at in fields[4:6])
        uncommitted, ranges = (memory.number(segment + at, 4) for at in fields[6:8])
        expected = truth.with_role("segment")[number]
        assert (owner, base) == (heap, expected.base)
        guard = PAGE if build >= 9200 else 0
        assert pages << 12 == expected.size - guard == limit - base
        own = {start: size for start, size in holes.items() if base <= start < limit}
        assert (uncommitted << 12, ranges) == (sum(own.values()), len(own))
        blocks += walk_blocks(memory, key, first, limit, first - segment, own, old)
        if not old:
            nodes = memory.ring(segment + (0x60 if wide else 0x38))
            found = [(memory.pointer(node + 2 * width), memory.pointer(node + 3 * width)) for node in nodes]
            assert dict(found) == own
    assert blocks == [(block.address, block.size, block.busy) for block in truth.blocks]
    large = memory.ring(heap + virtual_at)
    assert large == [allocation.address for allocation in truth.with_role("large")]
    sizes = [(memory.pointer(at + 4 * width), memory.pointer(at + 5 * width)) for at in large]
    assert sizes == [(0x91000, 0x91000), (0x201000, 0x203000)]
    assert large[1] - truth.with_role("large")[1].base == 0x3000
    front = memory.pointer(heap + front_at)
    assert memory.number(heap + type_at, 1) == 2
    assert front == truth.with_role("front end")[0].base
    if counters_at:
        reserved, committed = (memory.pointer(heap + counters_at + i * width) for i in range(2))
        segment_sizes = truth.with_role("segment")
        guards = len(segments) * (PAGE if build >= 9200 else 0)
        assert reserved == sum(item.size for item in segment_sizes) - guards
        assert committed == sum(item.committed for item in segment_sizes)


def test_busy_block_of_a_large_block_counts_unused_bytes() -> None:
    process = ProcessBuilder("x64").furnish()
    truth = hp.nt_heap(process, large=[LargeSpec(1_000_000)])
    memory = dumped(process)
    block = truth.with_role("large")[0].address
    raw = memory.read(block + 0x38, 8)
    key = memory.read(truth.address + 0x88, 8)
    plain = bytes(a ^ b for a, b in zip(raw, key, strict=True))
    assert plain[3] == plain[0] ^ plain[1] ^ plain[2]
    assert memory.pointer(block + 0x20) - int.from_bytes(plain[:2], "little") == 1_000_000


def test_front_end_points_back_at_its_heap() -> None:
    for arch, build, offset in (("x86", 7601, 0x24), ("x64", 19045, 0x18)):
        process = ProcessBuilder(arch, build).furnish()
        truth = hp.nt_heap(process, front_end=hp.FRONT_END_LOW_FRAGMENTATION)
        front = truth.with_role("front end")[0]
        assert truth.low_fragmentation
        assert dumped(process).pointer(front.base + offset) == truth.address


def test_look_aside_lists_lie_in_the_heap_itself() -> None:
    process = ProcessBuilder("x86", 2600).furnish()
    truth = hp.nt_heap(process, front_end=hp.FRONT_END_LOOK_ASIDE)
    memory = dumped(process)
    assert memory.number(truth.address + 0x586, 1) == 1
    assert process.allocation_at(memory.pointer(truth.address + 0x580)).base == truth.address
    assert not truth.with_role("front end")
    assert not truth.low_fragmentation


def test_rooms_in_a_heap_do_not_overlap() -> None:
    process = ProcessBuilder("x86").furnish()
    truth = hp.nt_heap(process, segments=[SegmentSpec(0x100000)])
    parameters = process.add_process_parameters(truth.take_room(0x2000), command_line="in heap")
    array = hp.write_heap_array(process, heap_block_of=truth)
    assert array >= parameters + 0x2000
    assert process.allocation_at(parameters).base == truth.address
    with pytest.raises(ValueError, match="no block"):
        truth.take_room(0x1000000)


def test_growing_segments_double_up_to_the_cap() -> None:
    kilobytes = [size // 1024 for size in hp.growing_segments(8)]
    assert kilobytes == [1024, 1024, 2048, 4096, 8192, 16192, 16192, 16192]
    assert [s // 1024 for s in hp.growing_segments(4, first=0x10000)] == [64, 1024, 2048, 4096]


SEGMENT_VARIANTS = {
    # (root, reserved pages, contexts, context size, list head, count, heap)
    "x64-1507": (0x38, 0x48, 0, 0, 0x60, 0x70, 0),
    "x64-1709": (0x50, 0x60, 0x70, 0x68, 0x20, 0x30, 0x60),
    "x64-1803": (0x50, 0x60, 0x70, 0x78, 0x20, 0x30, 0x70),
    "x64-1809-filed": (0x88, 0x98, 0xA8, 0x98, 0x20, 0x30, 0x90),
    "x64-1809": (0x48, 0x58, 0x100, 0xC0, 0x48, 0x58, 0x38),
    "x64-11": (0x48, 0x58, 0x140, 0xC0, 0x48, 0x58, 0x38),
    "x64-24h2": (0x48, 0x58, 0x140, 0xC0, 0x48, 0x58, 0x38),
    "x86-1709": (0x30, 0x38, 0x40, 0x38, 0x14, 0x1C, 0x34),
    "x86-1809-filed": (0x50, 0x58, 0x60, 0x50, 0x14, 0x1C, 0x4C),
    "x86-1809": (0x44, 0x4C, 0x100, 0x80, 0x44, 0x4C, 0x24),
}


def walk_tree(memory: Bytes, node: int, parent: int, encoded: bool) -> list[tuple[int, int]]:
    """Returns (address, bytes) of a large-allocation tree in ascending order."""
    if not node:
        return []
    width = memory.width
    left, right, up = (memory.pointer(node + i * width) for i in range(3))
    if encoded:
        left, right, up = (value ^ node if value else 0 for value in (left, right, up))
    assert up == parent
    word, pages = (memory.pointer(node + i * width) for i in (3, 4))
    own = [(word & ~0xFFFF, pages >> 12 << 12)]
    return walk_tree(memory, left, node, encoded) + own + walk_tree(memory, right, node, encoded)


@pytest.mark.parametrize("encoded", [False, True])
@pytest.mark.parametrize("variant", list(SEGMENT_VARIANTS))
def test_segment_heap_can_be_walked_by_the_tables(variant: str, encoded: bool) -> None:
    assert set(SEGMENT_VARIANTS) == set(hp.SEGMENT_HEAP_LAYOUTS)
    process = ProcessBuilder(variant[:3], 19045).furnish()
    sizes = [0x81000, 0x200123, 0x90000, 0xA0000]
    truth = hp.segment_heap(
        process,
        variant,
        small_segments=(0x10000, 0x100000),
        big_segments=(0x40000,),
        large=sizes,
        encoded_tree=encoded,
    )
    assert_truth_is_in_the_regions(process, [truth])
    memory = dumped(process)
    width, heap = memory.width, truth.address
    root_at, reserved_at, contexts, context_size, head, count_at, heap_at = SEGMENT_VARIANTS[variant]
    assert memory.number(heap + 2 * width, 4) == 0xDDEEDDEE
    segments = []
    if contexts:
        keys = set()
        for index, (shift, mask) in enumerate(((12, 0xFFFFF), (16, 0xFFFFFF))):
            context = heap + contexts + index * context_size
            assert memory.pointer(context) == ~mask & (1 << 8 * width) - 1
            assert memory.number(context + width, 2) == shift | index * 4 << 8
            assert memory.pointer(context + heap_at) == heap
            nodes = memory.ring(context + head)
            assert memory.pointer(context + count_at) == len(nodes)
            assert all(node & mask == 0 for node in nodes)
            for node in nodes:
                keys.add(hp.signature_key(node, context, memory.pointer(node + 2 * width), width))
            segments += nodes
        assert len(keys) == 1
    else:
        segments = memory.ring(heap + head)
        assert memory.pointer(heap + count_at) == len(segments)
    assert segments == [item.base for item in truth.with_role("segment")]
    tree = heap + root_at
    root, smallest = memory.pointer(tree), memory.pointer(tree + width)
    assert smallest & 1 == encoded
    found = walk_tree(memory, root ^ tree if encoded else root, 0, encoded)
    assert found == [(item.base, item.size) for item in truth.with_role("large")]
    assert memory.pointer(heap + reserved_at) << 12 == sum(size for _, size in found)
    assert truth.with_role("heap")[0].base == heap


@pytest.mark.parametrize(("arch", "build"), [("x86", 2600), ("x86", 7601), ("x64", 19045)])
def test_page_heap_root_leads_to_the_normal_heap(arch: str, build: int) -> None:
    process = ProcessBuilder(arch, build).furnish()
    page, normal = hp.page_heap(process, more_reserves=1)
    hp.write_heap_array(process, process_heap=page.address)
    assert_truth_is_in_the_regions(process, [page, normal])
    memory = dumped(process)
    wide = arch == "x64"
    assert memory.number(page.address + (0x10 if wide else 8), 4) == 0xEEEEEEEE
    root = page.address + PAGE
    assert memory.number(root, 4) == 0xFFEEDDCC
    normal_at = 0x150 if wide else 0x88 if build == 2600 else 0xB4
    assert memory.pointer(root + normal_at) == normal.address
    assert memory.number(process.peb + (0xBC if wide else 0x68), 4) == 0x02000000
    assert memory.pointer(process.peb + (0x30 if wide else 0x18)) == page.address
    protections = [r.protect for r in process.regions() if r.allocation_base == page.address]
    assert protections[:3] == [md.PAGE_READONLY, md.PAGE_READWRITE, md.PAGE_NOACCESS]


def test_wine_heap_looks_like_a_segment_without_owner() -> None:
    process = ProcessBuilder("x64").furnish()
    truth = hp.wine_heap(process)
    memory = dumped(process)
    assert memory.number(truth.address + 0x10, 4) == 0xFFEEFFEE
    assert memory.pointer(truth.address + 0x28) == 0
    assert memory.read(truth.address + 0xB8, 4) == b"HEAP"
    assert memory.pointer(process.peb + 0x30) == truth.address
    assert memory.number(process.peb + 0xE8, 4) == 0


def test_heap_array_lies_in_ntdll_or_in_a_heap_block() -> None:
    for count, wanted in ((3, 16), (20, 32)):
        process = ProcessBuilder("x86").furnish()
        truths = [hp.nt_heap(process) for _ in range(count)]
        place = truths[0] if count > 16 else None
        address = hp.write_heap_array(process, heap_block_of=place)
        memory = dumped(process)
        assert memory.number(process.peb + 0x88, 4) == count
        assert memory.number(process.peb + 0x8C, 4) == wanted
        assert memory.pointer(process.peb + 0x90) == address
        found = [memory.pointer(address + 4 * index) for index in range(count)]
        assert found == [truth.address for truth in truths]
        assert [truth.heap_id for truth in truths] == list(range(1, count + 1))
        owner = truths[0].address if place else process.module("ntdll.dll").base
        assert process.allocation_at(address).base == owner


def test_heap_array_can_be_left_out_of_the_dump() -> None:
    process = ProcessBuilder("x64").furnish()
    truth = hp.nt_heap(process)
    address = hp.write_heap_array(process, heap_block_of=truth, array_captured=False)
    memory = dumped(process)
    assert memory.pointer(process.peb + 0xF0) == address
    assert memory.number(truth.address + 0x10, 4) == 0xFFEEFFEE
    with pytest.raises(AssertionError, match="not captured"):
        memory.read(address, 8)


def test_more_heaps_than_ntdll_holds_need_a_block() -> None:
    process = ProcessBuilder("x86").furnish()
    for _ in range(17):
        hp.nt_heap(process)
    with pytest.raises(ValueError, match="16 heaps"):
        hp.write_heap_array(process)


def test_both_pebs_of_a_wow64_process_list_their_heaps() -> None:
    process = ProcessBuilder("x64", 19045, wow64=True).furnish()
    narrow, wide = hp.nt_heap(process), hp.nt_heap(process, bits=64)
    for bits in (32, 64):
        hp.write_heap_array(process, bits=bits)
    memory = dumped(process)
    assert process.peb32 is not None
    assert process.peb64 is not None
    array32 = memory.number(process.peb32 + 0x90, 4)
    array64 = memory.number(process.peb64 + 0xF0, 8)
    assert memory.number(array32, 4) == narrow.address
    assert memory.number(array64, 8) == wide.address
    assert array32 < 1 << 32 < array64
    assert memory.number(wide.address + 0x10, 4) == 0xFFEEFFEE


def test_many_heaps_have_forty_allocations_known_to_the_byte() -> None:
    process = ProcessBuilder("x86", 19045, wow64=True).furnish()
    truths = hp.many_heaps_x86(process)
    assert len(truths) == 10
    assert sum(len(truth.allocations) for truth in truths) == 40
    assert_truth_is_in_the_regions(process, truths)
    first = [allocation.size // 1024 for allocation in truths[0].with_role("segment")]
    assert first == [1024, 1024, 2048, 4096, 8192, 16192, 16192, 16192]
    full = truths[0].with_role("segment")[0]
    assert full.size - full.committed == PAGE
    assert sum(truth.low_fragmentation for truth in truths) == 8
    assert len(process.to_minidump().build()) < 4 << 20


def test_corruptors_do_what_they_say() -> None:
    process = ProcessBuilder("x64").furnish()
    truth = hp.nt_heap(process, segments=SEGMENTS)
    ring = truth.lists["SegmentList"]
    hp.make_cyclic(process, truth, "SegmentList")
    assert process.read_pointer(ring[-1]) == ring[1] != ring[0]
    assert hp.lie_pointer(process, ring[1], 0xDEAD) == ring[2]
    assert process.read_pointer(ring[1]) == 0xDEAD
    with pytest.raises(ValueError, match="empty"):
        hp.make_cyclic(process, truth, "VirtualAllocdBlocks")
    assert hp.truncate(b"abcdef", 2) == b"ab"
    assert hp.truncate(b"abcdef", -1) == b"abcde"
    assert hp.flip(b"abc", 1) == b"a\x9dc"


def test_holes_must_be_pages_behind_a_block() -> None:
    process = ProcessBuilder("x64").furnish()
    with pytest.raises(ValueError, match="hole"):
        hp.nt_heap(process, segments=[SegmentSpec(0x100000, None, ((0x20010, 0x1000),))])
