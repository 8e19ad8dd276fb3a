"""Segment heaps in every known place of their contexts, their trees of large blocks, and damage to both."""

from __future__ import annotations

import pytest
from support.structures import allocations, expected, find_heaps, heap_at, memory_of, space_of, survey_process
from synth import heaps as hp
from synth.heaps import HeapTruth
from synth.process import ProcessBuilder

from dumpmap.model.memory import ExcerptMemory, RecordingMemory
from dumpmap.structures import segment_heap as reader
from dumpmap.structures.space import NoSpace

BUILDS = {
    "1507": 10240,
    "1709": 16299,
    "1803": 17134,
    "1809-filed": 17763,
    "1809": 19045,
    "11": 22000,
    "24h2": 26100,
}
VARIANTS = list(hp.SEGMENT_HEAP_LAYOUTS)
MB = 0x100000


def build(variant: str, *, encoded: bool = False, large: int = 9) -> tuple[ProcessBuilder, HeapTruth, HeapTruth]:
    """Returns a process with an NT heap and two segment heaps."""
    arch, _, release = variant.partition("-")
    process = ProcessBuilder(arch, BUILDS[release]).furnish()
    hp.nt_heap(process)
    truth = hp.segment_heap(
        process,
        variant,
        small_segments=(0x10000, 0x20000, 0x5000, MB),
        big_segments=() if release == "1507" else (0x200000, 0x30000),
        large=[0x200000 + index * 0x11000 + 5 for index in range(large)],
        encoded_tree=encoded,
        flags=0x1000,
    )
    other = hp.segment_heap(process, variant, large=[0x300000])
    hp.write_heap_array(process)
    return process, truth, other


@pytest.mark.parametrize("encoded", [False, True])
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_is_walked_completely(variant: str, encoded: bool) -> None:
    process, truth, other = build(variant, encoded=encoded)
    # With the build, without it, and with one that is wrong: the contexts are found by what stands in them.
    for os_build in (-1, None, 14393):
        found = survey_process(process, os_build=os_build)
        assert not found.warnings
        assert [heap.kind for heap in found.heaps] == ["NT heap", "Segment heap", "Segment heap"]
        space = space_of(process)
        for wanted in (truth, other):
            heap = heap_at(found, wanted)
            assert allocations(heap, space) == expected(wanted)
            assert not any(range_.inferred for range_ in heap.ranges)
    heap = heap_at(survey_process(process), truth)
    assert (heap.id, heap.flags, heap.heap_class, heap.next_segment) == (2, 0x1000, "private", MB)
    assert heap.counters is not None
    assert heap.counters["SegmentCount"] == len(truth.with_role("segment"))
    assert heap.counters["LargeReservedPages"] == sum(item.size for item in truth.with_role("large")) >> 12
    by_role = {role: [range_ for range_ in heap.ranges if range_.role == role] for role in ("header", "large block")}
    assert [range_.base for range_ in by_role["header"]] == [truth.address]
    assert {range_.evidence for range_ in by_role["large block"]} == {"heap-large-block"}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("lost", [0, 1, 3])
def test_a_segment_whose_page_is_missing(variant: str, lost: int) -> None:
    process, truth, _ = build(variant)
    missing = truth.with_role("segment")[lost].base
    process.drop_page(missing)
    found = survey_process(process)
    heap = heap_at(found, truth)
    assert allocations(heap, space_of(process)) == expected(truth)
    assert [range_.base for range_ in heap.ranges if range_.inferred] == [missing]
    assert not found.warnings
    assert sum("segment list leaves the captured bytes" in note for note in found.notes) == 1


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_heap_whose_page_is_missing_keeps_its_own_allocation(variant: str) -> None:
    process, truth, other = build(variant)
    process.drop_page(truth.address)
    found = survey_process(process)
    heap = heap_at(found, truth)
    assert heap.kind == "unknown (header not in dump)"
    assert [range_.base for range_ in heap.ranges] == [truth.address]
    assert allocations(heap_at(found, other), space_of(process)) == expected(other)


@pytest.mark.parametrize("variant", ["x64-1809", "x86-1809"])
@pytest.mark.parametrize("part", ["middle", "root"])
def test_a_tree_with_a_damaged_node_keeps_what_can_be_reached(variant: str, part: str) -> None:
    process, truth, _ = build(variant)
    tree, *records = truth.lists["LargeAllocMetadata"]
    width = truth.bits // 8
    root = process.read_pointer(tree)
    node = root if part == "root" else process.read_pointer(root)
    process.pointer(node + 3 * width, 0)  # a block at address 0
    for number, record in enumerate(records):
        parent = process.read_pointer(record + 2 * width)
        process.pointer(record + 2 * width, parent | number % 4)
    found = survey_process(process)
    heap = heap_at(found, truth)
    bases = [range_.base for range_ in heap.ranges if range_.role == "large block"]
    whole = sorted(item.base for item in truth.with_role("large"))
    # Of nine records the fifth is the root, and the third is below it. What is left of the damaged one is reached from
    # the smallest record up. The lowest bits of a link to the parent are the node's colour.
    assert bases == (whole[:4] if part == "root" else whole[:2] + whole[4:])
    assert any(
        "tree of large blocks is broken" in warning and "pages were found" in warning for warning in found.warnings
    )


@pytest.mark.parametrize(("height", "kept"), [(127, 127), (128, 128), (129, 128)])
def test_from_the_smallest_record_it_goes_up_128_steps(height: int, kept: int) -> None:
    process, truth, _ = build("x64-1809", large=height + 1)
    tree, *records = truth.lists["LargeAllocMetadata"]
    for below, record, above in zip([0, *records], records, [*records[1:], 0], strict=False):
        for place, value in enumerate((below, 0, above)):
            process.pointer(record + 8 * place, value)
    process.pointer(tree, records[-1])
    process.pointer(records[-1] + 0x18, 0)  # the root is damaged
    heap = heap_at(survey_process(process), truth)
    assert sum(range_.role == "large block" for range_ in heap.ranges) == kept


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_heap_without_segments_is_whole(variant: str) -> None:
    arch, _, release = variant.partition("-")
    process = ProcessBuilder(arch, BUILDS[release]).furnish()
    hp.nt_heap(process)
    truth = hp.segment_heap(process, variant, small_segments=(), large=[0x200000])
    hp.write_heap_array(process)
    found = survey_process(process)
    assert not found.warnings
    heap = heap_at(found, truth)
    assert allocations(heap, space_of(process)) == expected(truth)
    assert heap.counters is not None
    assert heap.counters["SegmentCount"] == 0


def test_a_tree_that_runs_in_circles_ends() -> None:
    process, truth, _ = build("x64-1809")
    tree, *records = truth.lists["LargeAllocMetadata"]
    process.pointer(records[-1] + 8, process.read_pointer(tree))
    process.pointer(records[0], records[0])
    found = survey_process(process)
    assert allocations(heap_at(found, truth), space_of(process)) == expected(truth)
    assert any("twice" in warning for warning in found.warnings)


def test_an_endless_tree_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MAX_TREE_NODES", 100)
    process, truth, _ = build("x64-1809", large=300)
    found = survey_process(process)
    assert sum(range_.role == "large block" for range_ in heap_at(found, truth).ranges) == 100
    assert any("does not end within" in warning for warning in found.warnings)


def test_a_large_block_that_claims_more_than_its_allocation_is_left_out() -> None:
    process, truth, _ = build("x64-1809", large=1)
    (_, record) = truth.lists["LargeAllocMetadata"]
    process.pointer(record + 0x20, 0x7FFF000)
    found = survey_process(process)
    assert "large block" not in {range_.role for range_ in heap_at(found, truth).ranges}
    assert any("more than the allocation has" in warning for warning in found.warnings)


def test_a_segment_with_another_key_is_left_out() -> None:
    process, truth, _ = build("x64-1809")
    victim = truth.with_role("segment")[2].base
    process.pointer(victim + 0x10, process.read_pointer(victim + 0x10) ^ 0x40)
    found = survey_process(process)
    assert victim not in {range_.base for range_ in heap_at(found, truth).ranges}
    assert any(f"{victim:#x} is skipped" in warning for warning in found.warnings)


def test_a_heap_with_another_key_than_the_rest_of_the_process() -> None:
    process = ProcessBuilder("x64", 19045).furnish()
    first = hp.segment_heap(process, small_segments=(0x10000, 0x10000))
    second = hp.segment_heap(process, small_segments=(0x10000,), heap_key=0x1234567)
    hp.write_heap_array(process)
    found = survey_process(process)
    assert not any(range_.inferred for range_ in heap_at(found, first).ranges)
    inferred = [range_.base for range_ in heap_at(found, second).ranges if range_.inferred]
    assert inferred == [item.base for item in second.with_role("segment")]


def test_a_release_that_signs_otherwise_still_gives_its_segments_as_inferred() -> None:
    process, truth, _ = build("x64-24h2")
    for index, item in enumerate(truth.with_role("segment")):
        process.pointer(item.base + 0x10, 0x1111_2222_3333_4444 * (index + 1))
    heap = heap_at(survey_process(process), truth)
    assert allocations(heap, space_of(process)) == expected(truth)
    assert {range_.base for range_ in heap.ranges if range_.inferred} == {
        item.base for item in truth.with_role("segment")
    }


def test_contexts_in_a_place_that_no_table_knows() -> None:
    process, truth, _ = build("x64-11")
    # Move both contexts and their lists by two words, as a future release might.
    old, new = truth.address + 0x140, truth.address + 0x150
    saved = process.read(old, 0x180)
    process.write(old, bytes(0x180))
    process.write(new, saved)
    for index in (0, 1):
        ring = truth.lists[f"segments[{index}]"]
        ring[0] += 0x10
        process.pointer(ring[1] + 8, ring[0])
        process.pointer(ring[-1], ring[0])
        if len(ring) == 1:
            process.pointer(ring[0], ring[0])
    heap = heap_at(survey_process(process), truth)
    assert allocations(heap, space_of(process)) == expected(truth)


def test_a_cyclic_segment_list() -> None:
    process, truth, _ = build("x64-1809")
    hp.make_cyclic(process, truth, "segments[0]")
    found = survey_process(process)
    assert allocations(heap_at(found, truth), space_of(process)) == expected(truth)
    assert any("loops" in warning for warning in found.warnings)


@pytest.mark.parametrize("count", [2, 3, 4, 5, 6, 9])
def test_a_count_that_does_not_fit_the_list_is_a_warning(count: int) -> None:
    process, truth, _ = build("x64-1809")
    process.pointer(truth.fields["SegContexts[0]"] + 0x58, count)
    found = survey_process(process)
    warned = [f"it counts {count} segments, but its list has 4" in warning for warning in found.warnings]
    assert any(warned) == (count not in (3, 4, 5))  # a segment can be caught between the list and the count
    assert allocations(heap_at(found, truth), space_of(process)) == expected(truth)


def test_a_segment_that_fills_its_allocation_has_no_size_of_its_own() -> None:
    process, truth, _ = build("x64-1809")
    space = space_of(process)
    filling = 0
    for part in heap_at(survey_process(process), truth).ranges:
        if part.role == "segment" and part.reserved is not None:
            whole = space.allocation(part.base)
            assert whole is not None
            fills = whole[0] == part.base and whole[1] <= part.reserved
            assert (part.size is None) == fills
            filling += whole[1] == part.reserved
    assert filling


def test_a_signature_alone_in_memory_is_no_heap() -> None:
    process, *_ = build("x64-1809")
    for _ in range(3):
        stray = process.allocate(0x10000)
        process.number(stray + 0x10, 0xDDEEDDEE, 4)
        process.number(stray + 0x8, 0xDDEEDDEE, 4)
    assert len(survey_process(process).heaps) == 3


def test_a_segment_heap_that_is_in_no_list() -> None:
    process = ProcessBuilder("x64", 22000).furnish()
    hp.nt_heap(process)
    hidden = hp.segment_heap(process, small_segments=(0x10000, 0x20000), large=[MB], listed=False)
    hp.write_heap_array(process)
    heap = heap_at(survey_process(process), hidden)
    assert (heap.id, heap.evidence) == (None, "heap-signature")
    assert allocations(heap, space_of(process)) == expected(hidden)


@pytest.mark.parametrize("variant", VARIANTS)
def test_without_a_memory_map(variant: str) -> None:
    process, truth, _ = build(variant)
    pebs = survey_process(process).pebs
    found = find_heaps(memory_of(process), pebs, NoSpace(), process.build)
    sizes = {range_.base: range_.size for range_ in found.heaps[1].ranges}
    assert sizes == {base: size for base, size, _ in expected(truth) if base != truth.address} | {
        truth.address: 0x10000
    }
    assert not found.warnings


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_recording_gives_the_same_heaps_again(variant: str) -> None:
    process, _, _ = build(variant)
    recording = RecordingMemory(memory_of(process))
    first = survey_process(process, recording)
    assert survey_process(process, ExcerptMemory(recording.excerpts())) == first
