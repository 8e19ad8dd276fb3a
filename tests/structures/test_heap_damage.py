"""Heaps that lie: bounded time, a warning, and never a region that is no heap's."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.counting import CountingMemory
from support.structures import allocations, expected, find_heaps, heap_at, memory_of, space_of, survey_process
from synth import heaps as hp
from synth.heaps import HeapTruth, LargeSpec, SegmentSpec
from synth.process import ProcessBuilder

from dumpmap.model.memory import ExcerptMemory, RecordingMemory, SimpleMemory, find_by_reading
from dumpmap.model.process import Peb, ProcessStructures
from dumpmap.structures import heap_context

# Under coverage or a debugger nothing is as fast as it is.
IS_TRACED = sys.gettrace() is not None

SEGMENTS = tuple(SegmentSpec(0x100000, 0x4000) for _ in range(5))
LARGE = (LargeSpec(0x90000), LargeSpec(0xA0000), LargeSpec(0xB0000))


def build_two(arch: str = "x64", number: int = 19045) -> tuple[ProcessBuilder, HeapTruth, HeapTruth]:
    process = ProcessBuilder(arch, number).furnish()
    truth = hp.nt_heap(process, segments=SEGMENTS, large=LARGE, front_end=hp.FRONT_END_LOW_FRAGMENTATION)
    flags = hp.HEAP_CLASS_PRIVATE | hp.HEAP_GROWABLE
    second = hp.nt_heap(process, segments=SEGMENTS[:2], large=LARGE[:1], flags=flags)
    hp.write_heap_array(process)
    return process, truth, second


def build(arch: str = "x64", number: int = 19045) -> tuple[ProcessBuilder, HeapTruth]:
    return build_two(arch, number)[:2]


def assert_nothing_false(found: ProcessStructures, process: ProcessBuilder, truths: list[HeapTruth]) -> None:
    """Checks that every claimed byte lies in an allocation of a heap and is claimed once."""
    mine = {item.base: item.size for truth in truths for item in truth.allocations}
    space = space_of(process)
    claimed = sorted(item for heap in found.heaps for item in allocations(heap, space))
    for base, size, _ in claimed:
        allocation = space.allocation(base)
        assert allocation is not None
        assert allocation[0] in mine, f"{base:#x} is no heap's"
        assert base + size <= sum(allocation)
    for (base, size, _), (later, _, _) in pairwise(claimed):
        assert base + size <= later


@pytest.mark.parametrize("name", ["SegmentList", "VirtualAllocdBlocks"])
@pytest.mark.parametrize(("arch", "number"), [("x86", 7601), ("x64", 7601), ("x86", 19045), ("x64", 26100)])
def test_a_cyclic_list_ends_and_loses_nothing(arch: str, number: int, name: str) -> None:
    process, truth = build(arch, number)
    hp.make_cyclic(process, truth, name)
    found = survey_process(process)
    assert allocations(heap_at(found, truth), space_of(process)) == expected(truth)
    assert any("loops" in warning for warning in found.warnings)


def test_a_self_pointing_list_entry() -> None:
    process, truth = build()
    node = truth.lists["SegmentList"][2]
    process.pointer(node, node)
    found = survey_process(process)
    assert allocations(heap_at(found, truth), space_of(process)) == expected(truth)


@pytest.mark.parametrize("target", ["image", "stack", "peb", "kernel", "nowhere", "data", "odd", "other heap"])
@pytest.mark.parametrize("name", ["SegmentList", "VirtualAllocdBlocks"])
def test_a_list_entry_that_points_elsewhere_names_nothing_false(name: str, target: str) -> None:
    process, truth, second = build_two()
    data = process.allocate(0x100000)
    process.number(data, 0x41414141, 4)
    address = {
        "image": process.modules[0].base,
        "stack": process.threads[0].stack.limit,
        "peb": process.peb,
        "kernel": 0xFFFF8000_12340000,
        "nowhere": 0x1234_0000_0000,
        "data": data,
        "odd": truth.address + 0x1000 + 3,
        "other heap": second.address,
    }[target]
    hp.lie_pointer(process, truth.lists[name][1], address + 0x18)
    found = survey_process(process)
    assert_nothing_false(found, process, [truth, second])
    heap = heap_at(found, truth)
    bases = {range_.base for range_ in heap.ranges}
    assert bases == {item.base for item in truth.allocations}
    assert any("broken" in warning or "point back" in warning for warning in found.warnings)


def test_a_lying_end_of_the_list_loses_only_that_end() -> None:
    process, truth = build()
    head = truth.lists["SegmentList"][0]
    process.pointer(head + 8, 0x41414141_41414141)
    found = survey_process(process)
    assert allocations(heap_at(found, truth), space_of(process)) == expected(truth)


@pytest.mark.parametrize(
    ("field", "value", "width"),
    [
        ("NumberOfPages", 0, 4),
        ("NumberOfPages", 0xFFFFFFFF, 4),
        ("NumberOfUnCommittedPages", 0x101, 4),
        ("FirstEntry", 0x1000, 8),
        ("LastValidEntry", 0, 8),
        ("LastValidEntry", 1 << 62, 8),
        ("Heap", 0x10000, 8),
        ("SegmentSignature", 0xFFEEFFEF, 4),
    ],
)
def test_a_segment_header_that_contradicts_itself_is_left_out(field: str, value: int, width: int) -> None:
    offsets = {
        "SegmentSignature": 0x10,
        "Heap": 0x28,
        "NumberOfPages": 0x38,
        "FirstEntry": 0x40,
        "LastValidEntry": 0x48,
        "NumberOfUnCommittedPages": 0x50,
    }
    process, truth = build()
    victim = truth.with_role("segment")[2].base
    process.number(victim + offsets[field], value, width)
    found = survey_process(process)
    bases = {range_.base for range_ in heap_at(found, truth).ranges}
    assert bases == {item.base for item in truth.allocations} - {victim}
    assert any("segment list is broken" in warning for warning in found.warnings)


def test_a_large_block_that_claims_too_much_is_left_out() -> None:
    process, truth = build()
    lost = truth.with_role("large")[1]
    for commit, reserve in ((0, 0x1000), (0x2000, 0x1000), (0x1000, 0x1001), (0x1000, 0x7FFF_0000_0000)):
        process.pointer(lost.address + 0x20, commit)
        process.pointer(lost.address + 0x28, reserve)
        found = survey_process(process)
        bases = {range_.base for range_ in heap_at(found, truth).ranges}
        assert bases == {item.base for item in truth.allocations} - {lost.base}
        assert any("list of large blocks is broken" in warning for warning in found.warnings)


def test_a_large_block_inside_a_segment_is_left_out() -> None:
    process, truth = build()
    segment = truth.with_role("segment")[1].base
    fake = segment + 0x3000
    ring = truth.lists["VirtualAllocdBlocks"]
    for at, value in ((0, ring[0]), (8, ring[-1]), (0x20, 0x1000), (0x28, 0x1000)):
        process.pointer(fake + at, value)
    process.pointer(ring[-1], fake)
    process.pointer(ring[0] + 8, fake)
    found = survey_process(process)
    assert allocations(heap_at(found, truth), space_of(process)) == expected(truth)
    assert any("overlaps another range" in warning for warning in found.warnings)


def test_two_heaps_that_share_a_list_of_large_blocks() -> None:
    process, truth = build()
    first = truth.lists["VirtualAllocdBlocks"]
    second = process.heaps[64][1] + 0x110
    process.pointer(second, first[1])
    found = survey_process(process)
    space = space_of(process)
    bases = [base for heap in found.heaps for base, _, _ in allocations(heap, space)]
    assert len(bases) == len(set(bases))
    assert allocations(heap_at(found, truth), space) == expected(truth)
    assert any("heap 2" in warning for warning in found.warnings)


def test_a_heap_list_that_names_what_is_no_heap() -> None:
    process = ProcessBuilder("x64", 19045).furnish()
    truth = hp.nt_heap(process, segments=SEGMENTS)
    data = process.allocate(0x10000)
    process.number(data + 0x10, 0x41414141, 4)
    segment = truth.with_role("segment")[1].base
    lies = [data, process.modules[0].base, segment, truth.address + 8, 0, 0xFFFF8000_00000000, 0x7FF0_0000_0000]
    process.heaps[64] += [*lies, truth.address]
    hp.write_heap_array(process)
    found = survey_process(process)
    (heap,) = found.heaps
    assert allocations(heap, space_of(process)) == expected(truth)
    assert len(found.warnings) == len(lies) + 1


def test_a_heap_list_with_more_heaps_than_room_is_not_read() -> None:
    process = ProcessBuilder("x64", 19045).furnish()
    truth = hp.nt_heap(process, segments=SEGMENTS)
    hp.write_heap_array(process, count=70_000)
    found = survey_process(process)
    (heap,) = found.heaps  # the default heap, by the PEB itself
    assert allocations(heap, space_of(process)) == expected(truth)
    assert any("claims 70,000 heaps, but its list has room for 16" in warning for warning in found.warnings)
    assert not any("70000" in line for line in found.notes)


def test_a_default_heap_that_is_not_listed_and_not_captured_is_no_heap() -> None:
    process = ProcessBuilder("x64", 19045).furnish()
    truth = hp.nt_heap(process, segments=SEGMENTS)
    data = process.allocate(0x10000)
    hp.write_heap_array(process, process_heap=data)
    found = survey_process(process)
    (heap,) = found.heaps
    assert allocations(heap, space_of(process)) == expected(truth)
    assert not found.warnings
    assert any("is not in its heap list" in note for note in found.notes)


def test_a_front_end_that_is_another_heaps_or_none() -> None:
    process, truth = build()
    second = process.heaps[64][1]
    data = process.allocate(0x20000)
    for address in (data, process.modules[0].base, process.threads[0].stack.base, second, truth.address):
        process.pointer(truth.fields["FrontEndHeap"], address)
        heap = heap_at(survey_process(process), truth)
        if address == data:  # nothing of it is captured: the pointer is all there is
            assert [range_.base for range_ in heap.ranges if range_.inferred] == [data]
        else:
            assert "front end" not in {range_.role for range_ in heap.ranges}


def test_a_header_that_is_damaged_behind_its_signature_keeps_its_allocation() -> None:
    process, truth = build()
    process.number(truth.address + 0x38, 0, 4)
    found = survey_process(process)
    heap = heap_at(found, truth)
    assert heap.kind == "NT heap"
    assert truth.address in {range_.base for range_ in heap.ranges}
    assert any("damaged header" in warning for warning in found.warnings)


def test_a_header_that_was_overwritten_is_vouched_for_by_the_list_and_its_segments() -> None:
    process, truth = build()
    process.write(truth.address, b"A" * 0x200)
    found = survey_process(process)
    heap = heap_at(found, truth)
    assert (heap.id, heap.kind, heap.evidence, heap.is_default) == (1, "NT heap", "heap-list", True)
    assert [range_.base for range_ in heap.ranges] == sorted(item.base for item in truth.with_role("segment"))
    assert any("no heap signature (found 41414141)" in warning for warning in found.warnings)


def test_a_header_of_an_unknown_layout_keeps_its_first_segment() -> None:
    process, truth = build()
    process.number(truth.address + 0x98, 0, 4)
    found = survey_process(process)
    heap = heap_at(found, truth)
    assert [range_.base for range_ in heap.ranges] == sorted(item.base for item in truth.with_role("segment"))
    assert heap.lfh is None
    assert any("unknown header layout" in warning for warning in found.warnings)


def test_a_signature_alone_in_memory_is_no_heap() -> None:
    process, truth, second = build_two("x86", 2600)
    for value in (0xEEFFEEFF, 0xFFEEFFEE, 0xDDEEDDEE, 0xFFEEDDCC):
        stray = process.allocate(0x10000)
        for at in (0x0, 0x8, 0x10, 0x1000):
            process.number(stray + at, value, 4)
    found = survey_process(process)
    assert len(found.heaps) == 2
    assert_nothing_false(found, process, [truth, second])


def test_copies_of_segments_elsewhere_in_memory_are_no_segments() -> None:
    process, truth = build()
    copy = process.allocate(0x100000)
    process.write(copy, process.read(truth.address, 0x2000))
    behind = process.allocate(0x20000)
    process.write(behind + 0x10000, process.read(truth.address, 0x2000))
    found = survey_process(process)
    bases = {range_.base for heap in found.heaps for range_ in heap.ranges}
    assert not bases & {copy, behind, behind + 0x10000}


def test_the_uncommitted_ranges_are_all_or_nothing() -> None:
    process = ProcessBuilder("x64", 19045).furnish()
    holes = ((0x20000, 0x3000), (0x40000, 0x1000), (0x60000, 0x2000))
    truth = hp.nt_heap(process, segments=[SegmentSpec(0x100000, None, holes)])
    hp.write_heap_array(process)
    whole = survey_process(process).heaps[0].ranges[0]
    assert whole.uncommitted == tuple((truth.address + offset, size) for offset, size in holes)
    ring = truth.lists["UCRSegmentList[0]"]
    for at, value in ((0, ring[1]), (0x10, truth.address + 0x100000), (0x10, 0x1001), (0x18, 0x1001)):
        saved = process.read_pointer(ring[2] + at)
        process.pointer(ring[2] + at, value)
        assert survey_process(process).heaps[0].ranges[0].uncommitted == ()
        process.pointer(ring[2] + at, saved)


class EndlessHeap(SimpleMemory):
    """A process in which every list entry is a good segment that leads to another one."""

    def __init__(self, process: ProcessBuilder, truth: HeapTruth) -> None:
        self._inner = memory_of(process)
        self._truth = truth
        self._start = 0x100_0000_0000
        self._segment = process.read(truth.with_role("segment")[1].base, 0x70)
        self._base = truth.with_role("segment")[1].base
        self.reads = 0

    def read(self, address: int, size: int) -> bytes | None:
        self.reads += 1
        if address < self._start:
            data = self._inner.read(address, size)
            if data is None or address > self._truth.address + 0x120 or address + size <= self._truth.address + 0x120:
                return data
            head = self._truth.address + 0x120 - address
            return data[:head] + (self._start + 0x18).to_bytes(8, "little") + data[head + 8 :]
        segment = address & -0x10000
        words = bytearray(self._segment)
        for at, value in (
            (0x18, segment + 0x10018),
            (0x20, segment - 0xFFE8),
            (0x40, segment + 0x70),
            (0x48, segment + 0x80),
        ):
            words[at : at + 8] = value.to_bytes(8, "little")
        words[0x54:0x58] = bytes(4)
        return bytes(words[address - segment : address - segment + size])

    def find(self, addresses: Sequence[int], offset: int, patterns: Collection[bytes]) -> dict[int, bytes]:
        return find_by_reading(self, addresses, offset, patterns)

    def ranges(self) -> list[tuple[int, int]]:
        return []


class AnySpace:
    """Every multiple of 64 KB is an allocation of that size."""

    def private_allocations(self) -> Sequence[int]:
        return [0x10000]

    def allocation(self, address: int) -> tuple[int, int] | None:
        return address & -0x10000, 0x10000

    def committed(self, base: int, size: int) -> int:
        return size

    def large_private_allocations(self, size: int) -> Sequence[tuple[int, int]]:
        return ()

    def committed_places(self, alignment: int, limit: int, offset: int = 0) -> Sequence[int]:
        return ()


def test_an_endless_segment_list_ends_in_bounded_time() -> None:
    process, truth = build()
    memory = EndlessHeap(process, truth)
    pebs: list[Peb] = list(survey_process(process).pebs)
    started = time.process_time()
    found = find_heaps(memory, pebs, AnySpace(), 19045)
    assert time.process_time() - started < 20 or IS_TRACED
    assert memory.reads < 250_000
    assert any("does not end within 100,000 entries" in warning for warning in found.warnings)


def test_all_heaps_share_one_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heap_context, "MAX_NODES", 12)
    monkeypatch.setattr(heap_context.Budget, "__init__", lambda self: setattr(self, "left", 12))
    process = ProcessBuilder("x64", 19045).furnish()
    for _ in range(5):
        hp.nt_heap(process, segments=SEGMENTS)
    hp.write_heap_array(process)
    found = survey_process(process)
    assert any("does not end within" in warning for warning in found.warnings)
    # What the lists do not reach any more, the signatures still do.
    assert sum(len(heap.ranges) for heap in found.heaps) == 25


@pytest.mark.parametrize(("arch", "number"), [("x86", 2600), ("x64", 7601), ("x86", 19045), ("x64", 26100)])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_spoiled_bytes_never_raise_and_never_name_what_is_no_heap(data: st.DataObject, arch: str, number: int) -> None:
    process, truth, second = build_two(arch, number)
    pages = [item.base for item in truth.allocations] + [second.address, process.peb]
    for _ in range(data.draw(st.integers(1, 12))):
        page = data.draw(st.sampled_from(pages))
        offset = data.draw(st.integers(0, 0x2C0))
        process.number(page + offset, data.draw(st.integers(0, 255)), 1)
    assert_nothing_false(survey_process(process), process, [truth, second])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 400), st.integers(0, 2**32), st.sampled_from(["x86", "x64"]))
def test_a_memory_with_holes_gives_what_is_there(keep: int, seed: int, arch: str) -> None:
    process, truth = build(arch)
    excerpts = []
    for index, (address, data) in enumerate(process.captured()):
        for offset in range(0, len(data), 0x400):
            if (index * 7919 + offset * 31 + seed) % 400 < keep:
                excerpts.append((address + offset, data[offset : offset + 0x400]))
    found = survey_process(process, ExcerptMemory(excerpts))
    mine = {item.base for item in truth.allocations}
    for heap in found.heaps:
        if heap.address == truth.address:
            assert {range_.base for range_ in heap.ranges} <= mine


def reads_for(segments: int) -> int:
    process = ProcessBuilder("x64", 19045).furnish()
    truth = hp.nt_heap(process, segments=[SegmentSpec(0x10000, 0x5000)] * segments)
    hp.write_heap_array(process)
    recording = RecordingMemory(memory_of(process))
    pebs = survey_process(process, recording).pebs
    memory = CountingMemory(recording.excerpts())
    found = find_heaps(memory, pebs, space_of(process), 19045)
    assert len(found.heaps[0].ranges) == len(truth.uncommitted) == segments
    return memory.reads


def test_a_segment_costs_a_few_reads_however_many_there_are() -> None:
    few, many = reads_for(1000), reads_for(2000)
    assert many <= 2 * few
    assert many - few <= 3 * 1000
