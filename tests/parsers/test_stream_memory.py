"""MemoryList, Memory64List and MemoryInfoList."""

from __future__ import annotations

import struct

import pytest
from support.dumps import map_of, read, stream, tiny
from synth.minidump import (
    MEM_COMMIT,
    MEM_FREE,
    MEM_IMAGE,
    MEM_MAPPED,
    MEM_PRIVATE,
    MEM_RESERVE,
    MEMORY64_LIST,
    MEMORY_INFO_LIST,
    MEMORY_LIST,
    PAGE_EXECUTE_READ,
    PAGE_GUARD,
    PAGE_READWRITE,
    MinidumpBuilder,
)

from dumpmap.model.region_map import FreeBlock
from dumpmap.model.snapshot import Regions, Snapshot

TOP = 1 << 64


def regions(snapshot: Snapshot) -> Regions:
    assert snapshot.regions is not None
    return snapshot.regions


def rows(snapshot: Snapshot) -> list[tuple[int, int]]:
    found = regions(snapshot)
    return list(zip(found.base.tolist(), found.size.tolist(), strict=True))


def committed(builder: MinidumpBuilder, *places: tuple[int, int]) -> MinidumpBuilder:
    for base, size in places:
        builder.region(base, size, MEM_COMMIT, PAGE_READWRITE, MEM_PRIVATE)
    return builder


# ---------------------------------------------------------------- bytes


def test_memory_list() -> None:
    memory = read(tiny().memory(0x1000, b"abcdef").memory(0x5000, b"xyz")).memory
    assert memory.read(0x1000, 6) == b"abcdef"
    assert memory.read(0x1002, 3) == b"cde"
    assert memory.read(0x1000, 7) is None
    assert memory.read(0xFFF, 2) is None
    assert memory.read(0x5000, 3) == b"xyz"
    assert memory.ranges() == [(0x1000, 6), (0x5000, 3)]


def test_memory64_list() -> None:
    memory = read(tiny().memory64(0x7FF6_0000_0000, b"a" * 5000).memory64(0x7FF6_0001_0000, b"b" * 10)).memory
    assert memory.read(0x7FF6_0000_0000, 5000) == b"a" * 5000
    assert memory.read(0x7FF6_0001_0000, 10) == b"b" * 10


def test_both_lists_at_once() -> None:
    memory = read(tiny().memory(0x1000, b"one").memory64(0x2000, b"two")).memory
    assert (memory.read(0x1000, 3), memory.read(0x2000, 3)) == (b"one", b"two")


def test_ranges_that_touch_read_as_one() -> None:
    memory = read(tiny().memory64(0x1000, b"a" * 4096).memory64(0x2000, b"b" * 4096)).memory
    assert memory.read(0x1FFE, 4) == b"aabb"
    assert memory.ranges() == [(0x1000, 8192)]


def test_ranges_in_any_order() -> None:
    memory = read(tiny().memory(0x9000, b"late").memory(0x1000, b"soon").memory(0x5000, b"then")).memory
    assert memory.ranges() == [(0x1000, 4), (0x5000, 4), (0x9000, 4)]
    assert memory.read(0x9000, 4) == b"late"


def test_of_overlapping_ranges_the_lower_is_read_as_far_as_it_goes() -> None:
    memory = read(tiny().memory(0x1004, b"BBBBBBBB").memory(0x1000, b"AAAAAAAA")).memory
    assert memory.read(0x1000, 12) == b"AAAAAAAABBBB"
    assert memory.read(0x1006, 4) == b"AABB"


def test_a_range_inside_another_hides_nothing() -> None:
    memory = read(tiny().memory(0x1000, b"A" * 16).memory(0x1004, b"BB").memory(0x100C, b"CCCCCCCC")).memory
    assert memory.read(0x1000, 20) == b"A" * 16 + b"CCCC"


def test_an_empty_range_is_none() -> None:
    memory = read(tiny().memory(0x1000, b"").memory(0x2000, b"x")).memory
    assert memory.ranges() == [(0x2000, 1)]


@pytest.mark.parametrize("size", [0, -1])
def test_reading_nothing_gives_nothing(size: int) -> None:
    assert read(tiny().memory(0x1000, b"abc")).memory.read(0x1000, size) is None


@pytest.mark.parametrize("address", [-1, -(1 << 70), TOP, 1 << 80])
def test_reading_outside_the_address_space_gives_nothing(address: int) -> None:
    assert read(tiny().memory(0x1000, b"abc")).memory.read(address, 1) is None


def test_a_range_at_the_top_of_the_address_space() -> None:
    snapshot = read(tiny().memory64(TOP - 0x1000, b"t" * 0x1000))
    assert snapshot.memory.read(TOP - 0x1000, 0xFFF) == b"t" * 0xFFF
    assert snapshot.memory.read(TOP - 0x10, 0x11) is None
    assert snapshot.warnings == ()


def test_a_range_that_wraps_around_is_refused() -> None:
    snapshot = read(tiny().memory64(TOP - 4, b"t" * 16).memory64(0x1000, b"ok"))
    assert "1 memory ranges lie outside the address space" in stream(snapshot, "Memory64List").status
    assert snapshot.memory.read(TOP - 4, 2) is None
    assert snapshot.memory.read(0x1000, 2) == b"ok"


def test_a_memory64_list_beyond_the_end_of_the_file_keeps_what_is_there() -> None:
    builder = tiny().memory64(0x1000, b"a" * 100).memory64(0x5000, b"b" * 100).memory64(0x9000, b"c" * 100)
    data = builder.build()[:-150]
    snapshot = read(data)
    assert snapshot.memory.read(0x1000, 100) == b"a" * 100
    assert snapshot.memory.read(0x5000, 50) == b"b" * 50
    assert snapshot.memory.read(0x5000, 51) is None
    assert snapshot.memory.read(0x9000, 1) is None
    assert (
        "2 of 3 memory ranges reach beyond the end of the file: 150 of their bytes are missing"
        in stream(snapshot, "Memory64List").status
    )


@pytest.mark.parametrize("base", [1 << 40, (1 << 64) - 1])
def test_a_memory64_list_whose_bytes_begin_outside_the_file(base: int) -> None:
    builder = tiny().memory64(0x1000, b"abc").patch(MEMORY64_LIST, 8, struct.pack("<Q", base))
    snapshot = read(builder)
    assert snapshot.memory.ranges() == []
    assert "memory begins at" in stream(snapshot, "Memory64List").status


@pytest.mark.parametrize("count", [3, 1 << 32, (1 << 64) - 1])
def test_a_memory64_count_that_lies(count: int) -> None:
    builder = tiny().memory64(0x1000, b"abc").memory64(0x2000, b"def").lie_count(MEMORY64_LIST, count)
    snapshot = read(builder)
    assert snapshot.memory.read(0x1000, 3) == b"abc"
    assert snapshot.memory.read(0x2000, 3) == b"def"
    assert any("claims" in warning for warning in snapshot.warnings)


def test_sizes_that_add_up_beyond_64_bits() -> None:
    builder = tiny().memory64(0x1000, b"abc").memory64(0x2000, b"def").memory64(0x3000, b"ghi")
    builder.patch(MEMORY64_LIST, 16 + 16 + 8, struct.pack("<Q", (1 << 64) - 2))
    snapshot = read(builder)
    assert snapshot.memory.read(0x1000, 3) == b"abc"
    assert snapshot.memory.read(0x3000, 1) is None


@pytest.mark.parametrize("count", [3, 0xFFFFFFFF])
def test_a_memory_count_that_lies(count: int) -> None:
    snapshot = read(tiny().memory(0x1000, b"abc").memory(0x2000, b"def").lie_count(MEMORY_LIST, count))
    assert snapshot.memory.ranges() == [(0x1000, 3), (0x2000, 3)]
    assert stream(snapshot, "MemoryList").status == f"claims {count:,} entries, 2 fit"


@pytest.mark.parametrize("beyond", [-1, 0, 1, 3, 4])
def test_a_memory_list_up_to_the_end_of_the_file(beyond: int) -> None:
    builder = tiny().memory(0x1000, b"abcd")
    size = len(builder.build())
    snapshot = read(builder.patch(MEMORY_LIST, 4 + 12, struct.pack("<I", size - 4 + beyond)))
    lost = max(beyond, 0)
    assert snapshot.memory.ranges() == ([(0x1000, 4 - lost)] if lost < 4 else [])
    status = stream(snapshot, "MemoryList").status
    if lost:
        assert status == (f"1 of 1 memory ranges reach beyond the end of the file: {lost} of their bytes are missing")
    else:
        assert status == "read"


def test_a_memory_list_whose_bytes_are_outside_the_file() -> None:
    builder = tiny().memory(0x1000, b"abcd").patch(MEMORY_LIST, 4 + 12, struct.pack("<I", 0xFFFF_0000))
    snapshot = read(builder)
    assert snapshot.memory.ranges() == []
    assert (
        "1 of 1 memory ranges reach beyond the end of the file: 4 of their bytes are missing"
        in stream(snapshot, "MemoryList").status
    )


def test_the_headers_of_the_file_are_no_memory() -> None:
    builder = tiny().memory(0x1000, b"abcd").patch(MEMORY_LIST, 4 + 12, struct.pack("<I", 0))
    assert read(builder).memory.ranges() == []


def test_a_list_aligned_to_8_bytes() -> None:
    assert read(tiny().memory(0x1000, b"abc").pad_list(MEMORY_LIST)).memory.read(0x1000, 3) == b"abc"


def test_bytes_captured_are_listed_only_where_there_are_no_regions() -> None:
    assert read(tiny().memory(0x1000, b"abc")).captured == ((0x1000, 3),)
    assert read(committed(tiny().memory(0x1000, b"abc"), (0x1000, 0x1000))).captured == ()


# ---------------------------------------------------------------- regions


def test_every_field_of_a_region() -> None:
    builder = tiny().region(
        0x7FF6_0000_1000,
        0x3000,
        MEM_COMMIT,
        PAGE_EXECUTE_READ,
        MEM_IMAGE,
        allocation_base=0x7FF6_0000_0000,
        allocation_protect=0x80,
    )
    found = regions(read(builder))
    assert found.base.tolist() == [0x7FF6_0000_1000]
    assert found.allocation_base.tolist() == [0x7FF6_0000_0000]
    assert found.size.tolist() == [0x3000]
    assert found.state.tolist() == [MEM_COMMIT]
    assert found.protect.tolist() == [PAGE_EXECUTE_READ]
    assert found.allocation_protect.tolist() == [0x80]
    assert found.type.tolist() == [MEM_IMAGE]


def test_guard_bits_survive() -> None:
    builder = tiny().region(0x1_0000, 0x1000, MEM_COMMIT, PAGE_READWRITE | PAGE_GUARD, MEM_PRIVATE)
    assert regions(read(builder)).protect.tolist() == [PAGE_READWRITE | PAGE_GUARD]


@pytest.mark.parametrize(("header_size", "entry_size"), [(16, 48), (24, 48), (16, 56), (64, 128), (17, 49)])
def test_larger_headers_and_entries(header_size: int, entry_size: int) -> None:
    builder = committed(tiny(), (0x1_0000, 0x1000), (0x2_0000, 0x2000), (0x3_0000, 0x3000))
    builder.list_layout(MEMORY_INFO_LIST, header_size=header_size, entry_size=entry_size)
    snapshot = read(builder)
    assert rows(snapshot) == [(0x1_0000, 0x1000), (0x2_0000, 0x2000), (0x3_0000, 0x3000)]
    assert snapshot.warnings == ()


@pytest.mark.parametrize("header_size", range(16, 24))
def test_a_single_region_at_any_offset_of_the_file(header_size: int) -> None:
    """One entry is contiguous where it is. Its columns are looked up one by one, which takes aligned numbers."""
    builder = committed(tiny(), (0x1_0000, 0x4000)).thread(7, stack=(0x1_3000, bytes(64)))
    builder.list_layout(MEMORY_INFO_LIST, header_size=header_size)
    region_map = map_of(builder)
    assert [(stack.thread_id, stack.base, stack.end) for stack in region_map.stacks] == [(7, 0x1_0000, 0x1_4000)]


def test_the_last_entry_may_lack_what_a_newer_writer_appended() -> None:
    builder = committed(tiny(), (0x1_0000, 0x1000), (0x2_0000, 0x2000))
    builder.list_layout(MEMORY_INFO_LIST, entry_size=64)
    data = builder.build()
    assert rows(read(data[:-16])) == [(0x1_0000, 0x1000), (0x2_0000, 0x2000)]


@pytest.mark.parametrize("entry_size", [0, 1, 47])
def test_entries_that_are_too_small_are_refused(entry_size: int) -> None:
    builder = committed(tiny(), (0x1_0000, 0x1000)).patch(MEMORY_INFO_LIST, 4, struct.pack("<I", entry_size))
    snapshot = read(builder)
    if entry_size:
        assert snapshot.regions is None
        assert "needs at least 48" in stream(snapshot, "MemoryInfoList").status


@pytest.mark.parametrize("header_size", [0, 15, 0x10000, 0xFFFFFFFF])
def test_a_header_size_that_cannot_be(header_size: int) -> None:
    builder = committed(tiny(), (0x1_0000, 0x1000)).patch(MEMORY_INFO_LIST, 0, struct.pack("<I", header_size))
    snapshot = read(builder)
    assert snapshot.regions is None
    found = stream(snapshot, "MemoryInfoList")
    assert (found.status, found.absence) == (f"SizeOfHeader is {header_size:,}", "malformed")


@pytest.mark.parametrize("count", [3, 1 << 33, (1 << 64) - 1])
def test_a_count_that_lies_gives_the_regions_that_fit(count: int) -> None:
    builder = committed(tiny(), (0x1_0000, 0x1000), (0x2_0000, 0x2000)).lie_count(MEMORY_INFO_LIST, count)
    snapshot = read(builder)
    assert rows(snapshot) == [(0x1_0000, 0x1000), (0x2_0000, 0x2000)]
    found = stream(snapshot, "MemoryInfoList")
    assert (found.status, found.absence) == (f"claims {count:,} entries, 2 fit", None)
    assert not snapshot.regions_complete


def test_a_truncated_list_keeps_the_entries_that_are_whole() -> None:
    builder = committed(tiny(), *((0x1_0000 * n, 0x1000) for n in range(1, 11)))
    data = builder.build()
    end = builder.offset_of(MEMORY_INFO_LIST) + 16 + 48 * 6 + 20
    snapshot = read(data[:end])
    assert len(regions(snapshot)) == 6
    assert "claims 10 entries, 6 fit" in stream(snapshot, "MemoryInfoList").status


def test_a_list_without_entries_is_no_map() -> None:
    snapshot = read(tiny().empty_list(MEMORY_INFO_LIST))
    assert snapshot.regions is None
    assert stream(snapshot, "MemoryInfoList").status == "has no entries"


def test_regions_out_of_order_are_sorted_and_said() -> None:
    snapshot = read(committed(tiny(), (0x3_0000, 0x1000), (0x1_0000, 0x1000)))
    assert rows(snapshot) == [(0x1_0000, 0x1000), (0x3_0000, 0x1000)]
    assert any("not sorted" in warning for warning in snapshot.warnings)


def test_regions_that_overlap_lose_the_later_one() -> None:
    snapshot = read(committed(tiny(), (0x1_0000, 0x3000), (0x1_1000, 0x1000), (0x1_2000, 0x2000), (0x2_0000, 0x1000)))
    assert rows(snapshot) == [(0x1_0000, 0x3000), (0x2_0000, 0x1000)]
    assert any(
        "2 regions overlap one before them and are left out, the first at 0x11000" in warning
        for warning in snapshot.warnings
    )


@pytest.mark.parametrize(("base", "size"), [(0x1_0000, 0), (TOP - 0x1000, 0x2000), (TOP - 1, TOP - 1)])
def test_regions_that_cannot_be_are_dropped(base: int, size: int) -> None:
    snapshot = read(committed(tiny(), (base, size), (0x5_0000, 0x1000)))
    assert (0x5_0000, 0x1000) in rows(snapshot)
    assert len(rows(snapshot)) == 1
    assert any("no size or an impossible one" in warning for warning in snapshot.warnings)


@pytest.mark.parametrize("base", [TOP - 0x1_0000, (1 << 63) - 0x1000, 1 << 63])
def test_a_region_where_no_user_memory_can_be_is_left_out_of_the_map(base: int) -> None:
    m = map_of(committed(tiny(), (0x1_0000, 0x1000), (base, 0xF000)))
    assert m.end == 0x1_1000
    assert any("1 region lies beyond the user part" in warning for warning in m.warnings)
    assert m.snapshot.regions is not None
    assert len(m.snapshot.regions) == 2, "the raw facts stay as they are"


def test_the_last_region_that_can_be_is_kept_and_counted_exactly() -> None:
    m = map_of(committed(tiny(), (0x1_0000, 0x1000), ((1 << 63) - 0x3000, 0x3000)))
    assert m.end == 1 << 63
    assert m.total.committed == 0x4000
    assert m.summary().loc["Free", "largest"] == (1 << 63) - 0x3000 - 0x2_0000
    assert m.largest_free_block == FreeBlock(0x2_0000, 0x7FFF_FFFF_0000 - 0x2_0000)  # no process gets what is above
    assert sum(line.size or 0 for line in m.summary_lines[1:]) == 1 << 63
    assert m.warnings == ()


@pytest.mark.parametrize("state", [MEM_COMMIT, MEM_RESERVE, MEM_FREE])
@pytest.mark.parametrize("kind", [MEM_PRIVATE, MEM_MAPPED, MEM_IMAGE, 0])
def test_every_state_and_type_is_classified(state: int, kind: int) -> None:
    m = map_of(tiny().region(0x1_0000, 0x1_0000, state, PAGE_READWRITE, kind))
    assert m.end == 0x2_0000
    total = sum(line.size or 0 for line in m.summary_lines[1:])
    assert total == 0x2_0000


@pytest.mark.parametrize("value", [0, 0x3000, 0xFFFFFFFF])
def test_a_state_that_windows_does_not_have(value: int) -> None:
    m = map_of(committed(tiny(), (0x2_0000, 0x1000)).region(0x1_0000, 0x1000, value, 4, MEM_PRIVATE))
    assert sum(line.size or 0 for line in m.summary_lines[1:]) == 0x2_1000


def test_a_region_with_a_foreign_allocation_base_is_an_allocation_of_its_own() -> None:
    builder = tiny()
    builder.region(0x1_0000, 0x1000, MEM_COMMIT, 4, MEM_PRIVATE)
    builder.region(0x1_1000, 0x1000, MEM_COMMIT, 4, MEM_PRIVATE, allocation_base=0x9_0000)
    builder.region(0x1_2000, 0x1000, MEM_COMMIT, 4, MEM_PRIVATE, allocation_base=0x1_0000)
    m = map_of(builder)
    assert len(m.space) == 3
    assert sum(line.size or 0 for line in m.summary_lines[1:]) == 0x1_3000
