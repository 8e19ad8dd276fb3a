"""Differences: the known allocations of a recorded leak, every way of matching, and a million allocations."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import numpy as np
import pytest
from support.scenes import FIXTURES, GB, KB, MB, Scene, commit_at, recorded
from synth.minidump import MEM_IMAGE, MEM_MAPPED, PAGE_EXECUTE_READ, PAGE_READONLY

import dumpmap
from dumpmap.analysis.changes import CHANGE_COLUMNS, STATUSES, Change
from dumpmap.analysis.diff import same_process
from dumpmap.api import RegionMap, diff, map_snapshot
from dumpmap.model.snapshot import (
    Counters,
    Module,
    OperatingSystem,
    Process,
    RecordedHeap,
    RecordedRange,
    Regions,
    Snapshot,
    Source,
    System,
    Thread,
)
from dumpmap.render.export import export
from dumpmap.render.markdown import to_markdown
from dumpmap.views.diff import diff_view

LEAK = [FIXTURES / "leak-x64-before.dmp.gz", FIXTURES / "leak-x64-after.dmp.gz"]


def changes(a: RegionMap, b: RegionMap) -> list[Change]:
    """All changes."""
    return list(diff(a, b).changes.rows())


def test_a_recorded_leak_is_exactly_the_known_allocations() -> None:
    truth_a, truth_b = (
        json.loads((FIXTURES / f"leak-x64-{when}.truth.json").read_text("utf-8")) for when in ("before", "after")
    )
    facts = truth_b["facts"]
    result = diff(*LEAK)
    assert result.same_process
    rows = list(result.changes.rows())
    by_address = {row.address_b: row for row in rows if row.status == "added"}

    declared_a = {int(item["address"], 16): item for item in truth_a["allocations"]}
    declared_b = {int(item["address"], 16): item for item in truth_b["allocations"]}
    for address in declared_b.keys() - declared_a.keys():
        assert by_address.pop(address).committed_delta == declared_b[address]["committed"]
    removed = [row for row in rows if row.status == "removed"]
    assert [(row.address_a, row.size_a) for row in removed] == [
        (address, declared_a[address]["size"]) for address in declared_a.keys() - declared_b.keys()
    ]
    assert sum(row.size_b == facts["leaked_bytes_each"] for row in rows) == facts["leaked_blocks"]

    # A heap and three threads besides; Wine gives each thread a kernel-side stack and a place in the TEBs' reservation.
    known_heaps = {heap["address"] for heap in truth_a["heaps"]}
    ranges = [part for heap in truth_b["heaps"] if heap["address"] not in known_heaps for part in heap["ranges"]]
    for part in ranges:
        assert by_address.pop(int(part["base"], 16)).type == "Heap"
    stacks = {thread["tid"]: thread for thread in truth_b["threads"]}
    for thread in truth_a["threads"]:
        stacks.pop(thread["tid"])
    assert len(stacks) == facts["new_threads"]
    for thread in stacks.values():
        assert by_address.pop(int(thread["allocation_base"], 16)).type == "Stack"
    assert len(by_address) == facts["new_threads"]

    grown = {row.address_a: row.committed_delta for row in rows if row.status == "grown"}
    known = {
        address: item["committed"] - declared_a[address]["committed"]
        for address, item in declared_b.items()
        if address in declared_a and item["committed"] != declared_a[address]["committed"]
    }
    assert facts["grown_by_commit"] in known.values()
    assert known.items() <= grown.items()
    assert [row.kind for row in rows if row.status == "grown" and row.address_a not in known] == ["PEB, TEB"]
    counts = {status: result.changes.count(status) for status in STATUSES}
    assert (counts["shrunk"], counts["changed"], counts["moved"]) == (0, 0, 0)


def test_backwards_it_is_the_same_with_the_signs_turned() -> None:
    there, back = diff(*LEAK), diff(*reversed(LEAK))
    turned = {"added": "removed", "removed": "added", "grown": "shrunk", "shrunk": "grown"}
    assert {turned[status]: there.changes.count(status) for status in ("added", "removed", "grown", "shrunk")} == {
        status: back.changes.count(status) for status in ("added", "removed", "grown", "shrunk")
    }
    assert there.changes.unchanged == back.changes.unchanged
    assert there.changes.committed_delta.sum() == -back.changes.committed_delta.sum()


def test_a_map_is_the_same_as_itself() -> None:
    region_map = recorded("layout-wow64")
    result = diff(region_map, recorded("layout-wow64"))
    assert len(result.changes) == 0
    assert result.changes.unchanged == len(region_map.allocation_columns.base)
    assert result.gained == result.lost == ()
    for row in result.types:
        assert all(figure.delta in (0, None) for figure in row.figures.values())


def test_summary_rows_and_changes_add_up() -> None:
    result = diff(*LEAK)
    total = result.types[0]
    assert total.type == "Total"
    assert total.figures["committed"].delta == int(result.changes.committed_delta.sum())
    assert [row.type for row in result.types][1:] == [
        "Image",
        "Mapped File",
        "Shareable",
        "Heap",
        "Managed Heap",
        "Stack",
        "Private Data",
        "Page Table",
        "Unusable",
        "Free",
    ]
    # What the input cannot know has no change either.
    assert result.types[2].figures["size"].delta is None
    assert result.free["free"].delta is not None
    assert result.free["free"].delta < 0


# ---------------------------------------------------------------- matching


def with_module(base: int, name: str = "C:\\app\\one.dll", size: int = MB, pid: int = 100) -> RegionMap:
    """A process with a module and an allocation of its own."""
    scene = Scene(64)
    scene.allocate(4 * MB, base=0x10000000)
    scene.allocate(size, base=base, type=MEM_IMAGE, protect=PAGE_EXECUTE_READ)
    return scene.map(modules=[Module(base, size, name)], pid=pid)


def test_a_module_that_moved_is_matched_by_name() -> None:
    (row,) = changes(with_module(0x20000000), with_module(0x30000000, "D:\\other\\ONE.DLL"))
    assert (row.status, row.match, row.type) == ("changed", "identity", "Image")
    assert (row.address_a, row.address_b) == (0x20000000, 0x30000000)
    (row,) = changes(with_module(0x20000000), with_module(0x30000000))
    assert (row.status, row.match) == ("moved", "identity")


def test_another_module_at_the_same_address_is_another_one() -> None:
    rows = changes(with_module(0x20000000), with_module(0x20000000, "C:\\app\\two.dll"))
    assert {(row.status, row.details) for row in rows} == {
        ("removed", "C:\\app\\one.dll"),
        ("added", "C:\\app\\two.dll"),
    }


def test_a_new_version_of_a_module_has_grown() -> None:
    (row,) = changes(with_module(0x20000000), with_module(0x20000000, size=2 * MB))
    assert (row.status, row.match, row.size_delta) == ("grown", "base", MB)


def with_private(*blocks: tuple[int, int], commit: int | None = None, pid: int = 100) -> RegionMap:
    """A process with private memory at given addresses."""
    scene = Scene(64)
    for base, size in blocks:
        scene.allocate(size, base=base, commit=commit)
    return scene.map(pid=pid)


def test_another_size_at_the_same_address_is_another_allocation() -> None:
    rows = changes(with_private((0x100000, MB)), with_private((0x100000, 2 * MB)))
    assert {(row.status, row.size_a, row.size_b) for row in rows} == {
        ("removed", MB, None),
        ("added", None, 2 * MB),
    }


def test_commit_makes_an_allocation_grow_and_shrink() -> None:
    small, large = with_private((0x100000, MB), commit=64 * KB), with_private((0x100000, MB), commit=128 * KB)
    (row,) = changes(small, large)
    assert (row.status, row.size_delta, row.committed_delta, row.private_delta) == ("grown", 0, 64 * KB, 64 * KB)
    (row,) = changes(large, small)
    assert (row.status, row.committed_delta) == ("shrunk", -64 * KB)


def test_within_one_process_nameless_memory_elsewhere_is_new_memory() -> None:
    rows = changes(with_private((0x100000, MB)), with_private((0x900000, MB)))
    assert sorted(row.status for row in rows) == ["added", "removed"]


def test_between_processes_nameless_memory_is_matched_by_its_shape() -> None:
    a = with_private((0x100000, MB), (0x300000, MB), (0x500000, 64 * KB), pid=1)
    b = with_private((0x900000, MB), (0xB00000, MB), (0xD00000, MB), (0xF00000, 64 * KB), pid=2)
    result = diff(a, b)
    assert not result.same_process
    assert any("different processes" in note for note in result.notes)
    rows = list(result.changes.rows())
    assert sorted((row.status, row.match, row.size_b) for row in rows) == [
        ("added", "", MB),
        ("moved", "shape", 64 * KB),
        ("moved", "shape", MB),
        ("moved", "shape", MB),
    ]


def with_stack(base: int, thread: Thread, pid: int = 100) -> RegionMap:
    """A process with one thread."""
    scene = Scene(64)
    scene.allocate(MB, base=base, commit=0)
    scene.commit(base + MB - 0x4000, 0x4000)
    return scene.map(
        threads=[Thread(thread.id, thread.name, stack_base=base + MB - 0x1000, stack_size=0x1000)], pid=pid
    )


def test_stacks_are_matched_by_thread_and_between_processes_by_name() -> None:
    rows = changes(with_stack(0x100000, Thread(5)), with_stack(0x100000, Thread(6)))
    assert sorted(row.status for row in rows) == ["added", "removed"]
    (row,) = changes(with_stack(0x100000, Thread(5, "audio"), pid=1), with_stack(0x800000, Thread(9, "audio"), pid=2))
    assert (row.match, row.type) == ("identity", "Stack")
    (row,) = changes(with_stack(0x100000, Thread(5), pid=1), with_stack(0x800000, Thread(9), pid=2))
    assert row.match == "shape"


def with_heap(*bases: int, name: str | None = "names", pid: int = 100, known: bool = True) -> RegionMap:
    """A process with a heap of several segments."""
    scene = Scene(64)
    for base in bases:
        scene.allocate(MB, base=base, commit=64 * KB)
    ranges = tuple(RecordedRange(base, MB, 64 * KB, "segment") for base in bases)
    heaps = [RecordedHeap(1, "NT heap", name, bases[0], ranges=ranges)] if known else []
    return scene.map(heaps=heaps, pid=pid)


def test_heap_segments_are_matched_by_heap_and_role() -> None:
    (row,) = changes(with_heap(0x100000), with_heap(0x100000, 0x900000))
    assert (row.status, row.type, row.address_b) == ("added", "Heap", 0x900000)
    rows = changes(with_heap(0x100000, 0x300000, pid=1), with_heap(0x800000, 0xA00000, 0xC00000, pid=2))
    assert sorted((row.status, row.match) for row in rows) == [
        ("added", ""),
        ("moved", "identity"),
        ("moved", "identity"),
    ]


def test_memory_that_is_known_better_is_changed_and_not_new() -> None:
    (row,) = changes(with_heap(0x100000, known=False), with_heap(0x100000))
    assert (row.status, row.match, row.type) == ("changed", "same place", "Heap")


def test_mapped_files_are_matched_by_path() -> None:
    def mapped(base: int, file: str) -> RegionMap:
        scene = Scene(64)
        scene.files[scene.allocate(MB, base=base, type=MEM_MAPPED, protect=PAGE_READONLY)] = file
        return scene.map()

    (row,) = changes(mapped(0x100000, "C:\\data.bin"), mapped(0x500000, "C:\\Data.bin"))
    assert (row.match, row.type) == ("identity", "Mapped File")
    assert row.address_b == 0x500000


def test_same_process() -> None:
    def process(**facts: object) -> RegionMap:
        return Scene().leave(MB).map(**facts)

    assert same_process(process(pid=5), process(pid=5))
    assert not same_process(process(pid=5), process(pid=6))
    assert not same_process(process(pid=None), process(pid=None))
    assert not same_process(process(pid=5), process(pid=5, name="other.exe"))


# ---------------------------------------------------------------- around the allocations


def test_findings_gained_and_lost() -> None:
    healthy = Scene().leave(600 * MB).map(system=commit_at(0.96))
    fragmented = Scene().leave(*[18 * MB] * 20).map(system=commit_at(0.2))
    result = diff(healthy, fragmented)
    assert "largest-free-block-small" in [finding.id for finding in result.gained]
    assert "commit-limit-reached" in [finding.id for finding in result.lost]
    assert result.verdicts == ("commit-low", "out-of-address-space")
    worse = diff(Scene().leave(*[40 * MB] * 9).map(), fragmented)
    assert [finding.severity for finding in worse.gained if finding.id == "largest-free-block-small"] == ["critical"]


def test_counters() -> None:
    a = Scene().leave(MB).map(counters=Counters(private_usage=MB, working_set=5), system=System(commit_total=GB))
    b = Scene().leave(MB).map(counters=Counters(private_usage=3 * MB), threads=[Thread(1)])
    figures = diff(a, b).counters
    assert figures["counters.private_usage"].delta == 2 * MB
    assert figures["counters.working_set"].to_dict() == {"a": 5, "b": None, "delta": None}
    assert figures["system.commit_total"].delta is None
    assert "counters.pagefile_usage" not in figures
    assert figures["threads"].delta == 1


def test_partial_maps_say_so() -> None:
    result = diff(Scene().leave(MB).map(partial=True), Scene().leave(MB).map())
    assert any("no list of memory regions" in note for note in result.notes)
    assert result.free["free"].a is None
    assert result.free["free"].b is not None


@pytest.mark.parametrize("name", ["layout-x86", "layout-x64"])
def test_what_a_map_without_regions_cannot_show_is_neither_added_nor_removed(name: str) -> None:
    plain, full = recorded(f"{name}-plain"), recorded(name)
    kinds = set(full.allocations["kind"])
    assert "Image, not in the module list" in kinds
    for a, b in ((plain, full), (full, plain)):
        result = diff(a, b)
        assert len(result.changes) == 0
        assert result.changes.unchanged == len(full.snapshot.modules) + len(full.snapshot.threads)
        text = to_markdown(diff_view(result, 10))
        assert "Findings of the second input only" in text
        assert not any(word in text for word in ("gained", "lost"))


def modules(*sizes: int, partial: bool = False, **facts: object) -> RegionMap:
    """A process with modules of these sizes, and 100 MB of private memory where it has a list of regions."""
    scene = Scene()
    loaded, base = [], 0x10000
    for index, size in enumerate(sizes):
        scene.allocate(size, base=base, protect=PAGE_READONLY, type=MEM_IMAGE)
        loaded.append(Module(base, size, f"C:\\app\\m{index}.dll"))
        base += size + MB
    scene.allocate(100 * MB, base=0x10000000)
    return scene.map(partial=partial, modules=loaded, **facts)


def test_a_map_without_a_list_of_regions_is_no_growth() -> None:
    full, partial = modules(MB), modules(MB, partial=True)
    for a, b in ((full, partial), (partial, full)):
        result = diff(a, b)
        assert len(result.changes) == 0
        for row in result.types:
            if row.type != "Page Table":
                assert all(figure.delta is None for figure in row.figures.values()), row.type
        assert all(figure.delta is None for figure in result.free.values())
        assert "heaps" not in result.counters or result.counters["heaps"].delta is None
        assert any("Only modules and counters are compared" in note for note in result.notes)
        document = result.to_dict()
        assert all(row["size"]["delta"] is None for row in document["types"] if row["type"] == "Total")


def test_totals_of_what_a_map_shows_in_part_are_at_least() -> None:
    full, partial = modules(MB), modules(MB, partial=True)
    for a, b, at_least in ((full, partial, True), (partial, full, False), (partial, partial, True)):
        result = diff(a, b)
        text = to_markdown(diff_view(result, 10))
        assert ("| Total, at least | " in text) is at_least
        bounds = result.to_dict()["lower_bounds"]
        assert ("total.committed" in bounds["b"]) is at_least
        assert ("total.size" in bounds["a"]) is (a is partial)
        assert "Page Table.size" not in bounds["b"]


def test_modules_are_compared_by_their_list() -> None:
    one, two = modules(MB, partial=True), modules(MB, 2 * MB, partial=True)
    result = diff(one, two)
    assert [change.status for change in result.changes.rows()] == ["added"]
    images = next(row for row in result.types if row.type == "Image")
    assert images.figures["size"].delta == 2 * MB
    assert images.figures["committed"].delta is None
    assert result.counters["modules"].delta == 1
    back = diff(modules(MB, 2 * MB), one)
    assert [(change.status, change.type) for change in back.changes.rows()] == [("removed", "Image")]


def test_what_lies_behind_the_end_of_a_cut_list_is_not_gone() -> None:
    whole = modules(MB, system=System(max_address=0x7FFEFFFF))
    cut = modules(MB, system=System(max_address=0x7FFEFFFF), end=0x1000000)
    for a, b in ((whole, cut), (cut, whole)):
        result = diff(a, b)
        assert len(result.changes) == 0
        assert result.types[0].figures["size"].delta is None
        assert result.free["free"].delta is None
        assert any("truncated" in note for note in result.notes)
        assert {"Free.size", "Private Data.size"} <= set(result.to_dict()["lower_bounds"]["a" if a is cut else "b"])
        text = to_markdown(diff_view(result, 10))
        assert ("free: at least " in text) is (a is cut)
        assert ("-> at least " in text) is (b is cut)
        # What is free beyond the end decides these.
        assert None in (result.free["fragmentation"].a, result.free["fragmentation"].b)


def test_plain_data_and_frame() -> None:
    result = dumpmap.diff(*LEAK)
    document = result.to_dict()
    assert document["schema"] == "dumpmap.diff/1"
    assert json.loads(json.dumps(document)) == document
    assert len(document["allocations"]) == len(result.changes)
    assert len(result.to_dict(limit=3)["allocations"]) == 3
    assert document["counts"]["added"] == result.changes.count("added")
    frame = result.changes.frame
    assert tuple(frame.columns) == CHANGE_COLUMNS
    rows = list(result.changes.rows())
    assert len(frame) == len(rows)
    for index, row in enumerate(rows):
        assert frame["status"].iloc[index] == row.status
        assert frame["kind"].iloc[index] == row.kind
        assert frame["details"].iloc[index] == row.details
        assert frame["type"].iloc[index] == row.type
        for column in ("address_a", "address_b", "size_a", "committed_b", "private_delta"):
            value, wanted = frame[column].iloc[index], getattr(row, column)
            assert (wanted is None and value is not value) or value is None or str(value) == "<NA>" or value == wanted
    assert str(frame["address_b"].dtype) == "UInt64"
    assert [row.status for row in result.changes.rows(statuses=["removed"])] == ["removed"]


def test_the_changes_that_matter_most_come_first() -> None:
    sizes = [(abs(row.committed_delta), abs(row.size_delta)) for row in diff(*LEAK).changes.rows()]
    assert sizes == sorted(sizes, reverse=True)


def test_addresses_are_exact_to_the_last_bit() -> None:
    top = 0x7FFF_FFFE_0000
    (row,) = changes(with_private((0x100000, MB)), with_private((0x100000, MB), (top, 0x10000)))
    assert row.address_b == top
    frame = diff(with_private((0x100000, MB)), with_private((0x100000, MB), (top, 0x10000))).changes.frame
    assert int(frame["address_b"].iloc[0]) == top


def test_empty_maps() -> None:
    empty = Snapshot(Source("minidump", "x"), Process(pid=1), regions=Scene().snapshot().regions)
    full = Scene().leave(MB).map(pid=1, name="")
    assert diff(map_snapshot(empty), full).changes.count("added") == len(full.allocation_columns.base)
    assert diff(full, map_snapshot(empty)).changes.count("removed") == len(full.allocation_columns.base)
    assert len(diff(map_snapshot(empty), map_snapshot(empty)).changes) == 0


def million(seed: int, count: int, pid: int) -> RegionMap:
    """A process with very many allocations."""
    size = (np.random.default_rng(seed).integers(1, 9, count) * 0x1000).astype(np.uint64)
    base = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x20000)
    base[-1], size[-1] = 0x7FFFFFFD0000, 0x10000  # the list goes up to the end of the space
    full = np.full(count, 0x1000, np.uint32)
    flags = np.full(count, 4, np.uint32)
    regions = Regions(base, base, flags, size, full, flags, np.full(count, 0x20000, np.uint32))
    return map_snapshot(
        Snapshot(
            Source("minidump", "x"),
            Process(pid=pid, pointer_size=8, os=OperatingSystem(family="windows")),
            regions=regions,
        )
    )


@pytest.mark.parametrize("pid", [1, 2])
def test_a_hundred_thousand_allocations(pid: int) -> None:
    started = dt.datetime.now(dt.UTC)
    a, b = million(1, 100_000, 1), million(1, 100_500, pid)
    result = diff(a, b)
    assert (result.changes.count("added"), result.changes.unchanged) == (500, 100_000)
    # A row at a time would take a hundred times as long.
    assert (dt.datetime.now(dt.UTC) - started).total_seconds() < 10


def test_inputs_of_one_moment_are_not_two_moments() -> None:
    def head(*paths: Path) -> str:
        return to_markdown(diff_view(diff(*paths), 0)).splitlines()[0]

    assert head(*LEAK).endswith(": one process at two moments**")
    assert head(LEAK[0], LEAK[0]).endswith(": one process in the same second**")


@pytest.mark.parametrize("suffix", ["csv", "mmp"])
def test_what_a_vmmap_file_cannot_hold_is_not_lost(suffix: str, tmp_path: Path) -> None:
    dump, file = FIXTURES / "starve-x86.dmp.gz", tmp_path / f"own.{suffix}"
    export(dumpmap.open(dump), file)
    both, back = (to_markdown(diff_view(diff(*paths), 0)) for paths in ((dump, file), (file, dump)))
    assert "Verdict of the first input only: out-of-commit; a VMMap file holds no exception and no counters" in both
    assert "Verdict of the second input only: out-of-commit;" in back
    assert "Findings of the first input only" in both
    assert "Findings of the second input only" in back
    assert "Findings lost" not in both
    assert ("moment" in both.splitlines()[0], "second" in both.splitlines()[0]) == (False, suffix == "mmp")


@pytest.mark.parametrize("suffix", ["csv", "mmp"])
@pytest.mark.parametrize("name", ["layout-x64", "exhaust-x86"])
def test_a_vmmap_file_and_a_dump_of_one_process_are_compared_by_address(name: str, suffix: str, tmp_path: Path) -> None:
    dump = recorded(name)
    path = tmp_path / f"x.{suffix}"
    export(dump, path, force=True)
    text = path.read_text("utf-8")
    # VMMap takes a heap for private data where it does not know better; that is another type at the same place.
    path.write_text(text.replace("Heap (Private Data)", "Private Data").replace('UseType="0"', 'UseType="4"'), "utf-8")
    result = diff(dump, dumpmap.open(path))
    assert result.same_process
    rows = list(result.changes.rows())
    assert {row.status for row in rows} == {"changed"}
    assert all(row.address_a == row.address_b and row.size_a == row.size_b for row in rows)


def test_equal_changes_are_in_the_order_of_their_addresses_wherever_they_are() -> None:
    a, b = Scene(64), Scene(64)
    removed, added = (0x20000000, 0x50000000), (0x10000000, 0x30000000, 0x70000000)
    for base in removed:
        a.files[a.allocate(MB, base=base, type=MEM_MAPPED, protect=PAGE_READONLY)] = f"C:\\{base}.bin"
    for base in added:
        b.allocate(MB, base=base)
    rows = changes(a.map(pid=1), b.map(pid=2))
    assert [row.address_b or row.address_a for row in rows] == sorted((*removed, *added))
