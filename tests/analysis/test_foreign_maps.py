"""A dump beside VMMap files of the same process: an allocation of both has one owner, whatever words the file has."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import pytest
from support.scenes import FIXTURES, KB, MB, Scene

import dumpmap
from dumpmap.analysis.changes import NONE
from dumpmap.api import RegionMap
from dumpmap.model.snapshot import RecordedHeap, RecordedRange, Thread
from dumpmap.views.diff import owner_change_table
from dumpmap.writers.vmmap import write_csv, write_mmp, write_txt

RECORDED = sorted(path for path in FIXTURES.rglob("*.dmp*") if "plain" not in path.name)
WRITERS: dict[str, Callable[[dumpmap.RegionMap, BinaryIO], None]] = {
    "csv": write_csv,
    "mmp": write_mmp,
    "txt": write_txt,
}


def as_vmmap(region_map: RegionMap, suffix: str) -> RegionMap:
    """What VMMap's file of a process says, without owners and with other kinds."""
    target = BytesIO()
    WRITERS[suffix](region_map, target)
    return dumpmap.open(target.getvalue())


def owners_changed(a: RegionMap, b: RegionMap) -> list[tuple[str, int | None, int | None]]:
    """The parts that a comparison lists: name, and change of committed memory and of size."""
    table = owner_change_table(dumpmap.diff(a, b))
    return [(row[0], row[4], row[6]) for row in table.rows]


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.name.split(".dmp")[0])
def test_a_recorded_process_and_its_vmmap_files_are_the_same(path: Path) -> None:
    region_map = dumpmap.open(path)
    csv, mmp = as_vmmap(region_map, "csv"), as_vmmap(region_map, "mmp")
    assert csv.warnings == mmp.warnings == ()
    for a, b in ((region_map, csv), (csv, region_map), (region_map, mmp), (mmp, region_map), (csv, mmp)):
        difference = dumpmap.diff(a, b)
        assert owner_change_table(difference).rows == []
        assert not any(
            getattr(part, name).delta
            for owner in difference.owners
            for part in owner.parts
            for name in ("size", "committed", "count")
        )
        changes = difference.changes
        assert not (changes.a == NONE).any()
        assert not (changes.b == NONE).any()
    for maps in ((region_map, csv, mmp), (csv, region_map, mmp), (mmp, csv, region_map)):
        growth = dumpmap.timeline(maps)
        assert growth.owners == ()
        assert growth.groups == ()


POOL, STACKS = "pool 1: pool segment", "Thread stacks: Thread stack"


def scene(committed: int = 64 * KB, *, segments: int = 1, threads: int = 2, blocks: int = 3) -> RegionMap:
    """A heap `pool`, thread stacks, and private memory that nobody names, each at a place of its own."""
    built = Scene(64)
    pool, stacks = 0x1000_0000, 0x5000_0000
    for place in range(segments):
        built.allocate(MB, base=pool + place * MB, commit=committed)
    for place in range(threads):
        built.allocate(MB, base=stacks + place * MB)
    for place in range(blocks):
        built.allocate(256 * KB, base=0x2000_0000 + place * MB)
    ranges = tuple(RecordedRange(pool + place * MB, MB, committed, "segment") for place in range(segments))
    return built.map(
        heaps=[RecordedHeap(1, "pool", None, pool, None, ranges)],
        threads=[
            Thread(10 + place, stack_base=stacks + place * MB, stack_size=MB, stack_pointer=stacks + place * MB + 64)
            for place in range(threads)
        ],
    )


@pytest.mark.parametrize("suffix", WRITERS)
def test_growth_of_what_both_have_is_its_owners(suffix: str) -> None:
    small, large = scene(64 * KB), scene(576 * KB)
    assert owners_changed(small, large) == [(POOL, 512 * KB, None)]
    assert owners_changed(small, as_vmmap(large, suffix)) == [(POOL, 512 * KB, None)]
    assert owners_changed(as_vmmap(small, suffix), large) == [(POOL, 512 * KB, None)]
    assert owners_changed(large, as_vmmap(small, suffix)) == [(POOL, -512 * KB, None)]


@pytest.mark.parametrize("suffix", WRITERS)
def test_what_only_one_has_goes_to_what_is_known(suffix: str) -> None:
    before, after = scene(), scene(segments=2, threads=3, blocks=5)
    # A segment of a heap and a stack of the file have an owner, but no kind that a map would have.
    grown = [("Thread stacks", MB, MB), ("allocations of 256 KB", 512 * KB, 512 * KB), ("pool 1", 64 * KB, MB)]
    assert owners_changed(before, as_vmmap(after, suffix)) == grown
    grown = [(STACKS, MB, MB), ("allocations of 256 KB", 512 * KB, 512 * KB), (POOL, 64 * KB, MB)]
    assert owners_changed(as_vmmap(before, suffix), after) == grown


def test_a_recorded_leak_with_a_vmmap_file_before_or_after_it() -> None:
    before, after = (
        dumpmap.open(FIXTURES / "runtimes" / f"leaking-node-{when}.dmp.gz") for when in ("before", "after")
    )
    sums = {}
    for name, a, b in (
        ("dumps", before, after),
        ("file after", before, as_vmmap(after, "csv")),
        ("file before", as_vmmap(before, "csv"), after),
    ):
        rows = owners_changed(a, b)
        sums[name] = (sum(row[1] or 0 for row in rows), sum(row[2] or 0 for row in rows))
        assert ("Wine heap segment", 1344 * KB, None) in rows
    assert sums["dumps"] == sums["file after"] == sums["file before"]
    assert sums["dumps"][0] > 100 * MB


def test_a_file_between_two_dumps_has_the_owners_of_both() -> None:
    first, between, last = scene(), scene(128 * KB, segments=2, threads=3), scene(128 * KB, segments=2, threads=3)
    growth = dumpmap.timeline([first, as_vmmap(between, "mmp"), last])
    values = {series.name: series.values for series in growth.owners if series.metric == "committed"}
    assert values == {POOL: (64 * KB, 256 * KB, 256 * KB), STACKS: (2 * MB, 3 * MB, 3 * MB)}
    groups = {series.name: series.values for series in growth.groups if series.metric == "committed"}
    assert groups == {"Heap ID: 1": (64 * KB, 256 * KB, 256 * KB), "Thread stacks": (2 * MB, 3 * MB, 3 * MB)}
    assert any("VMMap files name few owners" in note for note in growth.notes)


def test_files_alone_have_their_own_words() -> None:
    growth = dumpmap.timeline([as_vmmap(scene(), "csv"), as_vmmap(scene(threads=3), "csv")])
    assert [series.name for series in growth.owners] == ["Thread stacks: Thread Stack"] * 2
    assert growth.notes == ("2 of 2 inputs do not record when they were captured, so slopes are per sample.",)


def test_pieces_of_an_allocation_are_that_allocation() -> None:
    region_map = dumpmap.open(FIXTURES / "runtimes" / "dotnet-3.1.dmp.gz")
    file = as_vmmap(region_map, "csv")
    assert len(file.allocations) > len(region_map.allocations)
    for a, b in ((region_map, file), (file, region_map)):
        changes = dumpmap.diff(a, b).changes
        assert (len(changes), changes.unchanged) == (0, len(region_map.allocation_columns.base))


def test_a_comparison_with_a_file_says_whose_owners_it_shows() -> None:
    a = scene()
    assert any("second input is a VMMap file" in note for note in dumpmap.diff(a, as_vmmap(a, "csv")).notes)
    assert not dumpmap.diff(a, a).notes
