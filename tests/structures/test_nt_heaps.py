"""NT heaps of every layout: segments, large blocks, front ends, holes, and lists with a page missing."""

from __future__ import annotations

import pytest
from support.structures import allocations, expected, find_heaps, heap_at, memory_of, space_of, survey_process
from synth import heaps as hp
from synth.heaps import HeapTruth, LargeSpec, SegmentSpec
from synth.process import ProcessBuilder
from synth.space import PAGE

from dumpmap.classify.vocabulary import EVIDENCE
from dumpmap.model.heaps import HEAP_KINDS, HEAP_ROLES, HeapInfo
from dumpmap.model.memory import ExcerptMemory, RecordingMemory
from dumpmap.structures.space import NoSpace

LAYOUTS = [
    ("x86", 2600),
    ("x64", 3790),
    ("x86", 6002),
    ("x64", 6002),
    ("x86", 7601),
    ("x64", 7601),
    ("x86", 9200),
    ("x64", 9200),
    ("x86", 9600),
    ("x64", 9600),
    ("x86", 10240),
    ("x64", 10240),
    ("x86", 14393),
    ("x64", 14393),
    ("x86", 17134),
    ("x64", 17134),
    ("x86", 19045),
    ("x64", 19045),
    ("x86", 26100),
    ("x64", 26100),
]
IDS = [f"{build}-{arch}" for arch, build in LAYOUTS]
SEGMENTS = (
    SegmentSpec(0x100000),
    SegmentSpec(0x100000, None, ((0x20000, 0x3000), (0x40000, 0x1000))),
    SegmentSpec(0x200000, 0x12000),
    SegmentSpec(0x400000, 0x5000),
    SegmentSpec(0x800000, 0x9000),
)
LARGE = (LargeSpec(0x90000), LargeSpec(0x200001, offset=0x3000, tail=0x2000), LargeSpec(0x300000))


def build(
    arch: str, number: int, *, front_end: int = hp.FRONT_END_LOW_FRAGMENTATION
) -> tuple[ProcessBuilder, HeapTruth]:
    """Returns a process with one large heap and a small one."""
    process = ProcessBuilder(arch, number).furnish()
    truth = hp.nt_heap(process, segments=SEGMENTS, large=LARGE, front_end=front_end)
    hp.nt_heap(process, flags=hp.HEAP_CLASS_PRIVATE | hp.HEAP_GROWABLE)
    hp.write_heap_array(process)
    return process, truth


@pytest.mark.parametrize(("arch", "number"), LAYOUTS, ids=IDS)
def test_every_layout_is_walked_completely(arch: str, number: int) -> None:
    process, truth = build(arch, number)
    found = survey_process(process)
    assert not found.warnings
    assert found.heap_list_captured
    assert [heap.id for heap in found.heaps] == [1, 2]
    heap = heap_at(found, truth)
    assert allocations(heap, space_of(process)) == expected(truth)
    assert heap.kind == ("NT heap (old)" if number < 6000 else "NT heap")
    assert (heap.flags, heap.heap_class, heap.is_default, heap.lfh) == (2, "process", True, True)
    assert sorted(hole for range_ in heap.ranges for hole in range_.uncommitted) == sorted(truth.uncommitted)
    assert {range_.role for range_ in heap.ranges} == {"segment", "large block", "front end"}
    assert not any(range_.inferred for range_ in heap.ranges)
    evidence = {range_.base: range_.evidence for range_ in heap.ranges}
    for item in truth.allocations:
        by_role = {"segment": "heap-segment", "large": "heap-large-block", "front end": "heap-front-end"}
        assert evidence[item.base] == ("heap-list" if item.base == heap.address else by_role[item.role])
    for range_, item in zip(heap.ranges, sorted(truth.allocations, key=lambda item: item.base), strict=True):
        if range_.role == "segment":
            guard = 0 if number < 9200 else PAGE
            assert range_.reserved == item.size - guard
            assert range_.committed == item.committed
    small = found.heaps[1]
    assert (small.heap_class, small.is_default, small.lfh) == ("private", False, False)


@pytest.mark.parametrize(("arch", "number"), LAYOUTS, ids=IDS)
@pytest.mark.parametrize("lost", range(1, len(SEGMENTS)))
def test_a_segment_whose_page_is_missing_costs_only_itself(arch: str, number: int, lost: int) -> None:
    process, truth = build(arch, number)
    missing = truth.with_role("segment")[lost].base
    process.drop_page(missing)
    found = survey_process(process)
    heap = heap_at(found, truth)
    ranges = {range_.base: range_ for range_ in heap.ranges}
    if number < 6000:
        assert list(ranges) == [base for base, _, _ in expected(truth) if base != missing]
    else:
        # Both neighbours name it and an allocation starts there, so it is known all the same, as an inference.
        assert allocations(heap, space_of(process)) == expected(truth)
        assert [range_.base for range_ in heap.ranges if range_.inferred] == [missing]
        assert ranges[missing].reserved is None
    assert not found.warnings
    assert sum("not in the dump" in note or "leaves the captured bytes" in note for note in found.notes) == 1


@pytest.mark.parametrize(("arch", "number"), LAYOUTS, ids=IDS)
def test_a_missing_segment_is_not_believed_without_an_allocation(arch: str, number: int) -> None:
    process, truth = build(arch, number)
    missing = truth.with_role("segment")[2].base
    process.drop_page(missing)
    pebs = survey_process(process).pebs
    heap = find_heaps(memory_of(process), pebs, NoSpace(), number).heaps[0]
    assert missing not in {range_.base for range_ in heap.ranges}
    assert {item.base for item in truth.with_role("segment")} - {missing} <= {range_.base for range_ in heap.ranges}


@pytest.mark.parametrize(("arch", "number"), LAYOUTS, ids=IDS)
def test_two_missing_segments_do_not_hide_those_between_them(arch: str, number: int) -> None:
    process, truth = build(arch, number)
    segments = truth.with_role("segment")
    for index in (1, 3):
        process.drop_page(segments[index].base)
    heap = heap_at(survey_process(process), truth)
    found = {range_.base: range_.evidence for range_ in heap.ranges if range_.role == "segment"}
    assert set(found) == {segments[index].base for index in (0, 2, 4)}
    # The list cannot reach it from either side; its signature can. An old heap's array does not depend on neighbours.
    assert found[segments[2].base] == ("heap-segment" if number < 6000 else "heap-signature")


@pytest.mark.parametrize(("arch", "number"), LAYOUTS, ids=IDS)
def test_a_large_block_whose_page_is_missing_costs_only_itself(arch: str, number: int) -> None:
    process, truth = build(arch, number)
    lost = truth.with_role("large")[1]
    process.drop_page(lost.address)
    found = survey_process(process)
    heap = heap_at(found, truth)
    assert allocations(heap, space_of(process)) == expected(truth)
    assert [range_.base for range_ in heap.ranges if range_.inferred] == [lost.base]
    assert not found.warnings
    assert sum("large blocks leaves the captured bytes" in note for note in found.notes) == 1


@pytest.mark.parametrize(("arch", "number"), LAYOUTS, ids=IDS)
def test_a_heap_whose_header_is_missing_keeps_its_allocation_and_its_segments(arch: str, number: int) -> None:
    process, truth = build(arch, number)
    process.drop_page(truth.address)
    found = survey_process(process)
    heap = heap_at(found, truth)
    assert (heap.id, heap.kind, heap.lfh, heap.flags) == (1, "unknown (header not in dump)", None, None)
    ranges = {range_.base: (range_.role, range_.evidence) for range_ in heap.ranges}
    assert ranges.pop(truth.address) == ("header", "heap-list")
    segments = {item.base for item in truth.with_role("segment")} - {truth.address}
    assert ranges == dict.fromkeys(segments, ("segment", "heap-signature"))
    assert any("header of 1 heap is not in the dump" in lack for lack in found.notes)


@pytest.mark.parametrize(("arch", "number"), LAYOUTS, ids=IDS)
def test_without_the_heap_list_everything_is_found_by_signature(arch: str, number: int) -> None:
    process, truth = build(arch, number)
    hp.write_heap_array(process, array_captured=False)
    found = survey_process(process)
    assert found.heap_list_captured is False
    assert sum("its heap list" in lack for lack in found.notes) == 1
    default, other = found.heaps
    assert allocations(default, space_of(process)) == expected(truth)
    assert (default.evidence, default.is_default) == ("peb", True)
    assert (other.evidence, other.id, other.is_default) == ("heap-signature", None, False)
    assert {range_.evidence for range_ in other.ranges} == {"heap-signature"}


@pytest.mark.parametrize(("arch", "number"), LAYOUTS, ids=IDS)
def test_without_a_memory_map_the_headers_give_the_sizes(arch: str, number: int) -> None:
    process, truth = build(arch, number)
    pebs = survey_process(process).pebs
    found = find_heaps(memory_of(process), pebs, NoSpace(), number)
    heap = found.heaps[0]
    sizes = {range_.base: range_.size for range_ in heap.ranges}
    for item in truth.with_role("segment"):
        assert sizes[item.base] == item.size
    for item in truth.with_role("large"):
        size = sizes[item.address & -PAGE]
        assert size is not None
        assert item.base <= (item.address & -PAGE) + size <= item.base + item.size
    front_end = [range_ for range_ in heap.ranges if range_.role == "front end"]
    assert all(range_.inferred and range_.size == 0x1B000 for range_ in front_end)
    assert not found.warnings


@pytest.mark.parametrize("number", [7601, 9600, 19045, 26100])
@pytest.mark.parametrize("arch", ["x86", "x64"])
@pytest.mark.parametrize("front_end", [hp.FRONT_END_NONE, hp.FRONT_END_LOW_FRAGMENTATION])
def test_the_front_end_is_found_without_a_build_number(arch: str, number: int, front_end: int) -> None:
    process, truth = build(arch, number, front_end=front_end)
    heap = heap_at(survey_process(process, os_build=None), truth)
    if front_end == hp.FRONT_END_LOW_FRAGMENTATION:
        assert heap.lfh is True
        assert allocations(heap, space_of(process)) == expected(truth)
    else:
        assert heap.lfh in (None, False)  # where it would be depends on the build from Windows 8 on
        assert "front end" not in {range_.role for range_ in heap.ranges}


@pytest.mark.parametrize(("arch", "number"), [("x86", 2600), ("x64", 3790)])
def test_the_look_aside_lists_of_old_windows_are_no_front_end(arch: str, number: int) -> None:
    process, truth = build(arch, number, front_end=hp.FRONT_END_LOOK_ASIDE)
    heap = heap_at(survey_process(process), truth)
    assert heap.lfh is False
    assert "front end" not in {range_.role for range_ in heap.ranges}


@pytest.mark.parametrize(("arch", "number"), LAYOUTS, ids=IDS)
def test_counters_and_growth(arch: str, number: int) -> None:
    process = ProcessBuilder(arch, number).furnish()
    sizes = hp.growing_segments(8)
    truth = hp.nt_heap(process, segments=[SegmentSpec(size) for size in sizes], commit_failures=7)
    fixed = hp.nt_heap(process, flags=hp.HEAP_CLASS_PRIVATE)
    young = hp.nt_heap(process, segments=[SegmentSpec(0x10000, 0x4000)])
    hp.write_heap_array(process)
    found = survey_process(process)
    heap = heap_at(found, truth)
    assert sizes[-1] == hp.SEGMENT_SIZE_CAP
    assert heap.segment_reserve == process.read_pointer(truth.fields["SegmentReserve"])
    assert heap.next_segment == 0xFD0000
    assert heap_at(found, fixed).next_segment is None
    assert heap_at(found, young).next_segment == heap_at(found, young).segment_reserve == 0x100000
    free = sum(block.size for block in truth.blocks if not block.busy)
    assert heap.total_free_size == free
    if number < 6000:
        assert heap.counters is None
        assert heap.stated is None
    else:
        assert heap.counters is not None
        assert heap.counters["TotalSegments"] == 8
        assert heap.counters["TotalMemoryReserved"] == sum(range_.reserved or 0 for range_ in heap.ranges)
        assert heap.counters["TotalMemoryCommitted"] == sum(range_.committed or 0 for range_ in heap.ranges)
        assert heap.stated is not None
        assert heap.stated.commit_failures == 7


def test_ten_heaps_with_forty_allocations_are_equal_to_the_byte() -> None:
    process = ProcessBuilder("x86", 19045).furnish()
    truths = hp.many_heaps_x86(process)
    found = survey_process(process)
    space = space_of(process)
    assert not found.warnings
    assert len(found.heaps) == len(truths) == 10
    assert sum(len(heap.ranges) for heap in found.heaps) == 40
    for heap, truth in zip(found.heaps, truths, strict=True):
        assert (heap.id, heap.lfh) == (truth.heap_id, truth.low_fragmentation)
        claimed = allocations(heap, space)
        assert claimed == expected(truth)
        assert sum(size for _, size, _ in claimed) == truth.reserved
        assert sum(committed for _, _, committed in claimed) == truth.committed


@pytest.mark.parametrize("number", [7601, 9600, 19045, 26100])
@pytest.mark.parametrize("arch", ["x86", "x64"])
def test_both_heap_lists_of_a_wow64_process(arch: str, number: int) -> None:
    process = ProcessBuilder(arch, number, wow64=True).furnish()
    truths = [
        hp.nt_heap(process, bits=bits, segments=SEGMENTS[:3], front_end=front_end)
        for bits in (32, 64)
        for front_end in (hp.FRONT_END_LOW_FRAGMENTATION, hp.FRONT_END_NONE)
    ]
    hp.write_heap_array(process, bits=32)
    # Where the writer is 32-bit, the 64-bit ntdll with its array is out of its sight.
    wide = next(truth for truth in truths if truth.bits == 64)
    hp.write_heap_array(process, bits=64, heap_block_of=wide)
    found = survey_process(process)
    assert not found.warnings
    assert [(heap.pointer_size, heap.id, heap.is_default) for heap in found.heaps] == [
        (4, 1, True),
        (4, 2, False),
        (8, 1, True),
        (8, 2, False),
    ]
    space = space_of(process)
    for truth in truths:
        assert allocations(heap_at(found, truth), space) == expected(truth)


def test_a_heap_that_is_in_no_list_is_found_by_its_signature() -> None:
    process = ProcessBuilder("x64", 19045).furnish()
    hp.nt_heap(process)
    hidden = hp.nt_heap(process, segments=SEGMENTS, large=LARGE, listed=False)
    hp.write_heap_array(process)
    found = survey_process(process)
    heap = heap_at(found, hidden)
    assert (heap.id, heap.evidence) == (None, "heap-signature")
    assert allocations(heap, space_of(process)) == expected(hidden)
    assert found.heaps[-1] is heap


def test_segments_that_name_a_heap_of_which_nothing_is_captured() -> None:
    process = ProcessBuilder("x64", 19045).furnish()
    hp.nt_heap(process)
    hidden = hp.nt_heap(process, segments=SEGMENTS, listed=False)
    hp.write_heap_array(process)
    process.drop_page(hidden.address)
    heap = heap_at(survey_process(process), hidden)
    assert heap.kind == "unknown (header not in dump)"
    assert heap.evidence == "heap-signature"
    assert [range_.base for range_ in heap.ranges] == sorted(item.base for item in hidden.allocations)


def test_the_place_in_the_list_comes_from_the_header_when_the_list_is_missing() -> None:
    process = ProcessBuilder("x64", 19045).furnish()
    for _ in range(3):
        hp.nt_heap(process)
    hp.write_heap_array(process, array_captured=False)
    peb = survey_process(process).pebs[0]
    (heap, *_) = find_heaps(memory_of(process), [peb], space_of(process), 19045).heaps
    assert heap.is_default
    assert heap.id == 1


@pytest.mark.parametrize(("arch", "number"), LAYOUTS, ids=IDS)
def test_a_recording_gives_the_same_heaps_again(arch: str, number: int) -> None:
    process, truth = build(arch, number)
    process.drop_page(truth.with_role("segment")[2].base)
    recording = RecordingMemory(memory_of(process))
    first = survey_process(process, recording)
    excerpts = recording.excerpts()
    assert survey_process(process, ExcerptMemory(excerpts)) == first
    # Headers and list entries only: nothing of what the program keeps in the heap.
    assert sum(len(data) for _, data in excerpts) < 4096


def test_every_word_is_one_of_the_published_ones() -> None:
    words = {info.name for info in EVIDENCE}
    heaps: list[HeapInfo] = []
    for arch, number in (("x86", 2600), ("x64", 7601), ("x86", 19045)):
        process, truth = build(arch, number)
        process.drop_page(truth.with_role("segment")[2].base)
        heaps += survey_process(process).heaps
    for heap in heaps:
        assert heap.kind in HEAP_KINDS
        assert heap.evidence in words
        for range_ in heap.ranges:
            assert range_.role in HEAP_ROLES
            assert range_.evidence in words
