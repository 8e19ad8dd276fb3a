"""Rows of heaps against what was laid out, and against the regions counted one by one."""

from __future__ import annotations

import json

import pytest
from support.cases import heap_with_holes
from support.scenes import FIXTURES, KB, MB, Scene, map_of, recorded
from synth.heaps import many_heaps_x86, write_heap_array
from synth.nt_heap import FRONT_END_LOW_FRAGMENTATION, LargeSpec, SegmentSpec, nt_heap
from synth.process import ProcessBuilder

from dumpmap.analysis.heaps import HEAP_COLUMNS, RANGE_COLUMNS, flag_names, heap_range_rows, heap_rows
from dumpmap.api import RegionMap
from dumpmap.model.snapshot import RecordedHeap, RecordedRange
from dumpmap.wording.phrases import heap_title


def counted(region_map: RegionMap, base: int, end: int) -> tuple[int, list[int]]:
    """Committed bytes and the sizes of reserved runs in [base, end), region by region."""
    regions = region_map.space.regions
    committed, last_end = 0, -1
    runs: list[int] = []
    for start, size, state in zip(regions.base.tolist(), regions.size.tolist(), regions.state.tolist(), strict=True):
        low, high = max(start, base), min(start + size, end)
        if low >= high:
            continue
        if state == 0x1000:
            committed += high - low
        elif last_end == low:
            runs[-1] += high - low
            last_end = high
        else:
            runs.append(high - low)
            last_end = high
    return committed, runs


def test_a_real_looking_process() -> None:
    process = ProcessBuilder("x86").furnish()
    truths = many_heaps_x86(process)
    region_map = map_of(process)
    rows = {row.address: row for row in heap_rows(region_map)}
    assert len(rows) == len(truths)
    for truth in truths:
        row = rows[truth.address]
        assert row.id == truth.heap_id
        assert row.reserved == truth.reserved
        assert row.committed == truth.committed
        assert row.uncommitted == truth.reserved - truth.committed
        runs = [
            run
            for base, size in _allocations(region_map, truth.address)
            for run in counted(region_map, base, base + size)[1]
        ]
        assert row.uncommitted_ranges == len(runs)
        assert row.largest_uncommitted == max(runs, default=0)
        assert row.allocations == len(truth.allocations)
    grown = rows[truths[0].address]
    assert grown.next_segment == 0xFD0000
    assert grown.lfh
    assert grown.flag_names == ("HEAP_GROWABLE",)
    assert heap_title(grown) == "heap 1"


def _allocations(region_map: RegionMap, address: int) -> tuple[tuple[int, int], ...]:
    return next(heap.allocations for heap in region_map.heaps if heap.info.address == address)


def test_both_definitions_of_fragmentation() -> None:
    region_map = heap_with_holes(40 * MB, size=100 * MB, holes=2)
    row = heap_rows(region_map)[0]
    committed, runs = counted(region_map, row.address, row.address + 100 * MB)
    assert row.committed == committed
    assert row.fragmentation == pytest.approx(1 - max(runs) / sum(runs))
    assert row.va_fragmentation == pytest.approx(1 - committed / (100 * MB))


def test_large_uncommitted_ranges_do_not_count_as_virtual_bytes() -> None:
    process = ProcessBuilder("x64").furnish()
    truth = nt_heap(process, segments=[SegmentSpec(0x400000, 0x10000)], front_end=FRONT_END_LOW_FRAGMENTATION)
    write_heap_array(process)
    region_map = map_of(process)
    row = next(row for row in heap_rows(region_map) if row.address == truth.address)
    counters = next(heap.info.counters for heap in region_map.heaps if heap.info.address == truth.address)
    assert counters is not None
    virtual = row.reserved - counters["TotalMemoryLargeUCR"]
    assert row.va_fragmentation == pytest.approx(
        1 - row.committed / (virtual if virtual >= row.committed else row.reserved)
    )


def test_a_fully_committed_heap_has_no_fragmentation() -> None:
    scene = Scene()
    base = scene.allocate(MB)
    ranges = (RecordedRange(base, MB, MB, "arena"),)
    region_map = scene.map(heaps=[RecordedHeap(3, "custom allocator", "frames", base, ranges=ranges)])
    row = heap_rows(region_map)[0]
    assert (row.uncommitted, row.uncommitted_ranges, row.fragmentation, row.va_fragmentation) == (0, 0, None, 0.0)
    assert (heap_title(row), row.segments) == ("heap 3 (frames)", 1)


def test_ranges_have_rows_of_their_own() -> None:
    process = ProcessBuilder("x86").furnish()
    truth = nt_heap(
        process,
        segments=[SegmentSpec(MB, 64 * KB), SegmentSpec(2 * MB, 256 * KB, ((0x10000, 0x4000),))],
        large=[LargeSpec(600_000)],
    )
    write_heap_array(process)
    region_map = map_of(process)
    heap = next(heap for heap in region_map.heaps if heap.info.address == truth.address)
    rows = heap_range_rows(region_map, heap)
    assert [row.role for row in rows].count("segment") >= 1
    assert "large block" in [row.role for row in rows]
    for row in rows:
        committed, runs = counted(region_map, row.address, row.address + row.size)
        assert (row.committed, row.uncommitted_ranges, row.largest_uncommitted) == (
            committed,
            len(runs),
            max(runs, default=0),
        )
    assert rows == [row for row in heap_range_rows(region_map) if row.heap_address == truth.address]


def test_a_map_without_heaps_has_no_rows() -> None:
    region_map = Scene().leave(MB).map()
    assert heap_rows(region_map) == []
    assert heap_range_rows(region_map) == []


def test_a_heap_whose_memory_is_not_in_the_map() -> None:
    scene = Scene().leave(MB)
    ranges = (RecordedRange(0x20000, MB, None, "segment"),)
    region_map = scene.map(heaps=[RecordedHeap(1, "NT heap", address=0x20000, ranges=ranges)])
    row = heap_rows(region_map)[0]
    assert (row.allocations, row.reserved, row.committed) == (0, 0, 0)
    assert row.fragmentation is None
    assert row.va_fragmentation is None


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        (None, ()),
        (0, ()),
        (0x2, ("HEAP_GROWABLE",)),
        (0x1003, ("HEAP_NO_SERIALIZE", "HEAP_GROWABLE")),
        (0x40002, ("HEAP_GROWABLE", "HEAP_CREATE_ENABLE_EXECUTE")),
        (0x80000002, ("HEAP_GROWABLE", "0x80000000")),
    ],
)
def test_flags_are_decoded(flags: int | None, names: tuple[str, ...]) -> None:
    assert flag_names(flags) == names


@pytest.mark.parametrize("name", ["layout-x86", "layout-x64", "layout-wow64"])
def test_recorded_heaps(name: str) -> None:
    truth = json.loads((FIXTURES / f"{name}.truth.json").read_text("utf-8"))
    by_address = {row.address: row for row in heap_rows(recorded(name))}
    for heap in truth["heaps"]:
        address = int(heap["address"], 16) if heap["address"] else None
        row = by_address.get(address or min(int(part["base"], 16) for part in heap["ranges"]))
        if row is None or heap["kind"] != "wine":
            continue
        assert row.name == heap["name"]
        assert row.committed <= row.reserved
        assert row.committed >= max(part["committed"] for part in heap["ranges"])


def test_rows_are_plain_data_with_the_columns_that_are_promised() -> None:
    region_map = recorded("layout-x86")
    for row in heap_rows(region_map):
        assert tuple(row.to_dict()) == HEAP_COLUMNS
        assert json.loads(json.dumps(row.to_dict())) == row.to_dict()
    for part in heap_range_rows(region_map):
        assert tuple(part.to_dict()) == RANGE_COLUMNS
        assert json.loads(json.dumps(part.to_dict())) == part.to_dict()
