"""Counting the blocks of NT heaps."""

from __future__ import annotations

import pytest
from support.structures import heap_at, memory_of, survey_process
from synth import heaps as hp
from synth.heaps import HeapTruth, LargeSpec, SegmentSpec
from synth.process import ProcessBuilder

from dumpmap.model.memory import ExcerptMemory
from dumpmap.structures import blocks
from dumpmap.structures.blocks import BlockStatistics, heap_blocks

LAYOUTS = [
    ("x86", 2600),
    ("x64", 3790),
    ("x86", 6002),
    ("x86", 7601),
    ("x64", 7601),
    ("x86", 9600),
    ("x64", 9600),
    ("x86", 19045),
    ("x64", 26100),
]
SEGMENTS = (
    SegmentSpec(0x100000),
    SegmentSpec(0x200000, None, ((0x20000, 0x3000), (0x40000, 0x1000))),
    SegmentSpec(0x200000, 0x12000),
)


def build(arch: str, number: int, *, encoded: bool = True) -> tuple[ProcessBuilder, HeapTruth]:
    process = ProcessBuilder(arch, number).furnish()
    truth = hp.nt_heap(process, segments=SEGMENTS, large=(LargeSpec(0x90000),), encoded=encoded)
    hp.write_heap_array(process)
    return process, truth


def count(process: ProcessBuilder, truth: HeapTruth, memory: ExcerptMemory | None = None) -> BlockStatistics:
    heap = heap_at(survey_process(process), truth)
    statistics = heap_blocks(memory or memory_of(process), heap)
    assert statistics is not None
    return statistics


@pytest.mark.parametrize("encoded", [True, False])
@pytest.mark.parametrize(("arch", "number"), LAYOUTS)
def test_every_block_is_counted(arch: str, number: int, encoded: bool) -> None:
    process, truth = build(arch, number, encoded=encoded)
    found = count(process, truth)
    busy = [block.size for block in truth.blocks if block.busy]
    free = [block.size for block in truth.blocks if not block.busy]
    assert found.problems == ()
    assert (found.busy_count, found.busy_bytes) == (len(busy), sum(busy))
    assert (found.free_count, found.free_bytes, found.largest_free) == (len(free), sum(free), max(free))
    assert found.front_end_count == 5  # one in each run of committed pages
    assert (found.large_count, found.large_bytes) == (1, truth.with_role("large")[0].committed)
    for row in found.classes:
        assert row.limit & (row.limit - 1) == 0
        inside = [size for size in busy if row.limit // 2 < size <= row.limit]
        assert (row.busy_count, row.busy_bytes) == (len(inside), sum(inside))
        assert row.free_count == sum(row.limit // 2 < size <= row.limit for size in free)
    assert sum(row.busy_count + row.free_count for row in found.classes) == len(truth.blocks)


def test_a_damaged_block_ends_its_segment_and_no_other() -> None:
    process, truth = build("x64", 19045)
    whole = count(process, truth)
    base = truth.with_role("segment")[1].base
    victim = next(block for block in truth.blocks if block.address > base + 0x200)
    process.number(victim.address + 8, process.read_number(victim.address + 8, 1) ^ 1, 1)
    found = count(process, truth)
    assert found.problems == (f"segment {base:#x}: the block at {victim.address:#x} has a wrong checksum",)
    assert 0 < found.busy_count < whole.busy_count


def test_a_previous_size_that_does_not_fit_ends_the_segment() -> None:
    process, truth = build("x86", 2600)
    victim = truth.blocks[3]
    process.number(victim.address + 2, 0x7777, 2)
    (problem,) = count(process, truth).problems
    assert f"{victim.address:#x} states another size" in problem


def test_a_size_of_zero_or_beyond_the_end_ends_the_segment() -> None:
    process, truth = build("x86", 2600)
    for size in (0, 0xFFFF):
        process.number(truth.blocks[-1].address, size, 2)
        (problem,) = count(process, truth).problems
        assert "does not fit" in problem


def test_behind_the_last_block_of_a_segment_comes_none() -> None:
    process, truth = build("x86", 2600)
    block, following = truth.blocks[2:4]
    assert block.address + block.size == following.address
    process.number(block.address + 5, process.read_number(block.address + 5, 1) | 0x10, 1)  # HEAP_ENTRY_LAST_ENTRY
    (problem,) = count(process, truth).problems
    assert f"{following.address:#x} does not fit" in problem


@pytest.mark.parametrize(("mask", "encoded"), [(0x100000, True), (0x300000, True), (0x200000, False), (0, False)])
def test_one_bit_says_whether_headers_are_encoded(mask: int, encoded: bool) -> None:
    process, truth = build("x64", 19045, encoded=encoded)
    process.number(truth.address + 0x7C, mask, 4)
    process.number(truth.address + 0x88, process.read_number(truth.address + 0x88, 8) or 0x1234, 8)
    assert count(process, truth).problems == ()


def test_blocks_that_are_not_captured_end_the_segment() -> None:
    process, truth = build("x64", 19045)
    last = truth.blocks[-2]
    process.drop_page(last.address)
    found = count(process, truth)
    assert len(found.problems) == 1
    assert "not in the dump" in found.problems[0]
    whole = survey_process(process)
    process.drop_page(truth.address)
    statistics = heap_blocks(memory_of(process), heap_at(whole, truth))
    assert statistics is not None
    assert statistics.busy_count == 0
    assert "header is not in the dump" in statistics.problems[0]


def test_unknown_holes_and_foreign_kinds() -> None:
    process, truth = build("x64", 19045)
    ring = truth.lists["UCRSegmentList[1]"]
    process.pointer(ring[1] + 0x18, 0x123)
    found = count(process, truth)
    assert found.problems == (f"segment {truth.with_role('segment')[1].base:#x}: its uncommitted ranges are unknown",)
    other = ProcessBuilder("x64", 19045).furnish()
    wanted = hp.segment_heap(other)
    hp.write_heap_array(other)
    assert heap_blocks(memory_of(other), heap_at(survey_process(other), wanted)) is None


def test_counting_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "MAX_BLOCKS", 10)
    process, truth = build("x64", 19045)
    found = count(process, truth)
    assert found.busy_count + found.free_count <= 10
    assert all("more than 10 blocks" in problem for problem in found.problems)
