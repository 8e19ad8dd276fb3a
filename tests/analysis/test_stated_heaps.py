"""Heaps of dumps that hold a header and little more: what the header states beside what was captured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.cases import refused_commits
from synth.heaps import write_heap_array
from synth.nt_heap import SegmentSpec, growing_segments, nt_heap
from synth.process import ProcessBuilder
from synth.truth import HeapTruth

import dumpmap
from dumpmap.analysis.heaps import heap_range_rows, heap_rows
from dumpmap.analysis.measurements import measurements_of
from dumpmap.api import RegionMap, map_snapshot
from dumpmap.model.snapshot import Counters
from dumpmap.model.types import RegionType
from dumpmap.views.heaps import stated_lines
from dumpmap.views.summary import summary_document
from dumpmap.wording.verdicts import verdict

PAGE = 0x1000


def process_with_heap(arch: str, build: int, commit_failures: int = 0) -> tuple[ProcessBuilder, HeapTruth]:
    process = ProcessBuilder(arch, build).furnish()
    truth = nt_heap(
        process, segments=[SegmentSpec(size) for size in growing_segments(9)], commit_failures=commit_failures
    )
    write_heap_array(process)
    return process, truth


def small(process: ProcessBuilder, *extra: tuple[int, int]) -> RegionMap:
    """The map of a dump with stacks, environment blocks, the heap list, and these ranges."""
    width = process.pointer_size
    peb = process.peb64 if width == 8 else process.peb32
    assert peb is not None
    array = process.read_pointer(peb + (0xF0 if width == 8 else 0x90))
    dump = process.to_minidump(full=False, memory_info=False, extra=[(array, 0x100), *extra])
    return dumpmap.open(dump.build())


def agree(region_map: RegionMap) -> int:
    """Checks that the ranges of every heap add up to its row; returns how many heaps there are."""
    ranges = heap_range_rows(region_map)
    for row in heap_rows(region_map):
        parts = [part for part in ranges if part.heap_address == row.address]
        assert sum(part.size for part in parts) == row.reserved, hex(row.address)
        assert sum(part.committed for part in parts) == row.committed, hex(row.address)
    return len(region_map.heaps)


LAYOUTS = [("x86", 7601), ("x64", 7601), ("x86", 19045), ("x64", 19045), ("x64", 26100)]


@pytest.mark.parametrize(("arch", "build"), LAYOUTS)
def test_one_of_nine_segments_and_what_the_header_states(arch: str, build: int) -> None:
    process, truth = process_with_heap(arch, build, 3)
    region_map = small(process, (truth.address, PAGE))
    (row,) = [row for row in heap_rows(region_map) if row.address == truth.address]
    assert row.segments == 1
    assert row.stated_segments == 9
    assert row.stated_reserved is not None
    assert row.stated_committed is not None
    assert row.reserved < row.stated_reserved <= truth.reserved
    assert row.commit_failures == 3
    signals = {signal.id: signal.about for signal in verdict(region_map).signals}
    assert signals.get("heap-commit-failures") == "commit"
    line = stated_lines(region_map)[0]
    assert "1 of 9 segments captured; the header states " in line
    assert f"{row.stated_reserved // 1024:,} KB reserved, {row.stated_committed // 1024:,} KB committed" in line
    assert any("refused 3 times" in line for line in stated_lines(region_map))
    assert not any("broken" in warning for warning in region_map.warnings)
    assert any("leaves the captured bytes" in note for note in region_map.notes)


def test_the_row_of_heaps_is_at_least_what_headers_state_and_the_total_counts_nothing_twice() -> None:
    process, truth = process_with_heap("x86", 19045)
    segments = [item.base for item in truth.with_role("segment")]
    # A captured run inside a segment that no list leads to is of unknown use, and belongs to the stated bytes.
    alone = small(process, (truth.address, PAGE))
    more = small(process, (truth.address, PAGE), (segments[5] + 0x40000, 0x8000))
    for region_map in (alone, more):
        surplus = region_map.stated_heaps
        assert surplus is not None
        line = region_map.line(RegionType.HEAP)
        assert line.size == surplus.stated_size
        document = summary_document(region_map, [])["stated_heaps"]
        assert document == {
            "heaps": 1,
            "stated_reserved": surplus.stated_size,
            "stated_committed": surplus.stated_committed,
            "not_captured": surplus.size,
            "not_captured_committed": surplus.committed,
        }
        assert any("(stated)" in note for note in region_map.notes)
    assert (more.line(RegionType.UNKNOWN).size or 0) - (alone.line(RegionType.UNKNOWN).size or 0) == 0x8000
    assert more.total.size == alone.total.size


def test_a_map_with_regions_takes_nothing_from_headers() -> None:
    process, truth = process_with_heap("x86", 19045)
    region_map = dumpmap.open(process.to_minidump().build())
    assert region_map.stated_heaps is None
    assert not any("(stated)" in note for note in region_map.notes)
    assert stated_lines(region_map) == []
    assert region_map.line(RegionType.HEAP).size == truth.reserved


@pytest.mark.parametrize("captured", [0x100, 0x200])
def test_a_header_that_ends_before_its_counters_states_nothing(captured: int) -> None:
    process, truth = process_with_heap("x64", 19045)
    region_map = small(process, (truth.address, captured))
    (row,) = [row for row in heap_rows(region_map) if row.address == truth.address]
    assert row.stated_reserved is row.stated_committed is row.stated_segments is row.commit_failures is None
    assert region_map.stated_heaps is None
    assert measurements_of(region_map).heap_commit_failures is None


def test_counters_without_the_count_of_refusals() -> None:
    process, truth = process_with_heap("x64", 19045, 5)
    end = truth.fields["Counters"] + 0x28
    region_map = small(process, (truth.address, end - truth.address))
    (row,) = [row for row in heap_rows(region_map) if row.address == truth.address]
    assert row.stated_segments == 9
    assert row.commit_failures is None


@pytest.mark.parametrize(
    ("field", "value"), [("reserved", 0), ("reserved", 1 << 62), ("reserved", 0x1001), ("segments", 0xFFFFFFFF)]
)
def test_counters_that_contradict_themselves_state_nothing(field: str, value: int) -> None:
    process, truth = process_with_heap("x64", 19045, 5)
    counters = truth.fields["Counters"]
    process.number(counters + (0 if field == "reserved" else 0x20), value, 8 if field == "reserved" else 4)
    region_map = small(process, (truth.address, PAGE))
    (row,) = [row for row in heap_rows(region_map) if row.address == truth.address]
    assert row.stated_reserved is None
    assert region_map.stated_heaps is None


@pytest.mark.parametrize(("arch", "build"), LAYOUTS)
def test_the_ranges_of_a_heap_add_up_to_its_row(arch: str, build: int) -> None:
    process, truth = process_with_heap(arch, build)
    beside = truth.address + 0x1380, 0x2000  # what lies in the heap, such as the process parameters, is no part of it
    for extra in ((), (beside,), ((truth.address, PAGE),), ((truth.address, PAGE), beside)):
        assert agree(small(process, *extra)) >= 1


@pytest.mark.corpus
def test_the_ranges_of_the_heaps_of_public_dumps_add_up_too(corpus: Path) -> None:
    names = ("google_syzygy__notepad-larger-64bit.dmp", "google_syzygy__notepad-larger-32bit.dmp")
    assert all(agree(dumpmap.open(corpus / name)) for name in names)


def test_a_verdict_that_finds_no_problem_names_refused_commits() -> None:
    refused = "At an unknown time, Windows refused to commit memory for heaps 3 times."
    for count in (0, 3):
        judged = verdict(refused_commits(count))
        assert judged.verdict == "no-memory-problem-seen"
        found = "No memory problem found apart from commits that Windows refused: "
        assert judged.sentence.startswith(found if count else "No memory problem found: ")
        assert judged.sentence.endswith(refused) == bool(count)
    process, truth = process_with_heap("x64", 19045, 3)
    uncounted = replace(small(process, (truth.address, PAGE)).snapshot, counters=Counters())
    judged = verdict(map_snapshot(uncounted))
    assert judged.verdict == "cannot-tell"
    assert refused in judged.sentence
