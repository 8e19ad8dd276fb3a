"""Owners in a comparison: what is the same owner in two maps, and that the sums add up."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support.scenes import FIXTURES, KB, MB, Scene

import dumpmap
from dumpmap.analysis.figures import FigureChange
from dumpmap.analysis.owner_parts import OwnerChange, PartChange, merged_parts
from dumpmap.analysis.owners import find_owners
from dumpmap.analysis.part_sums import PartKey, _laid_over
from dumpmap.model.snapshot import Module, RecordedHeap, RecordedRange
from dumpmap.model.types import RegionType
from dumpmap.views.diff import owner_change_table

LEAK = (FIXTURES / "leak-x64-before.dmp.gz", FIXTURES / "leak-x64-after.dmp.gz")
NODES = tuple(FIXTURES / "runtimes" / f"node-{version}.dmp.gz" for version in (18, 20))
NO_ROW = ("Total", "Free", "Unusable", "Page Table")


def owner_changes(a: dumpmap.RegionMap, b: dumpmap.RegionMap) -> tuple[OwnerChange, ...]:
    return dumpmap.diff(a, b).owners


@pytest.mark.parametrize("paths", [LEAK, NODES, (NODES[0], LEAK[0])], ids=["leak", "node", "different programs"])
def test_parts_add_up_to_the_types(paths: tuple[Path, Path]) -> None:
    difference = dumpmap.diff(*paths)
    frame = difference.by_owner()
    types = difference.summary().drop(list(NO_ROW))
    for figure in ("size", "committed"):
        for side in ("a", "b", "delta"):
            name = f"{figure}_{side}"
            assert frame[name].sum() == types[name].sum(), name
            if side != "delta":
                assert sum(getattr(getattr(owner, figure), side) for owner in difference.owners) == types[name].sum()
    document = json.loads(json.dumps(difference.to_dict()))
    parts = [part for owner in document["owners"] for part in owner["parts"]]
    assert sum(part["committed"]["delta"] for part in parts) == types["committed_delta"].sum()
    merged = merged_parts(difference.owners)
    assert len({part.key for part in merged}) == len(merged)
    assert sum(part.size.b or 0 for part in merged) == types["size_b"].sum()


def test_the_recorded_leak_is_named() -> None:
    facts = json.loads((FIXTURES / "leak-x64-after.truth.json").read_text("utf-8"))["facts"]
    worst = merged_parts(dumpmap.diff(*LEAK).owners)[0]
    assert worst.key.owner == ""
    count, each = facts["leaked_blocks"], facts["leaked_bytes_each"]
    assert worst.key.size_each == each
    assert (worst.count.delta, worst.committed.delta) == (count, count * each)


def test_a_leak_of_node_is_what_v8_says_of_its_spaces() -> None:
    def truth(name: str) -> dict[str, int]:
        stated = json.loads((FIXTURES / "runtimes" / f"leaking-node-{name}.truth.json").read_text("utf-8"))
        return {space["space_name"].replace("_", " "): space["space_size"] for space in stated["main"]["spaces"]}

    before, after = (
        dumpmap.open(FIXTURES / "runtimes" / f"leaking-node-{name}.dmp.gz") for name in ("before", "after")
    )
    wanted = {name: size - truth("before")[name] for name, size in truth("after").items()}
    wanted = {f"V8 {name}": growth for name, growth in wanted.items() if growth}
    assert wanted["V8 old space"] > 40 * MB
    parts = merged_parts(owner_changes(before, after))
    assert {part.key.kind: part.committed.delta for part in parts if part.key.kind in wanted} == wanted
    rows = {row[0]: row[2] for row in owner_change_table(dumpmap.diff(before, after)).rows}
    counts = [Counter[str](), Counter[str]()]
    for count, region_map in zip(counts, (before, after), strict=True):
        for owner in find_owners(region_map).owners:
            count.update({part.kind: part.count for part in owner.parts})
    assert {kind: rows[kind] for kind in wanted} == {kind: counts[1][kind] - counts[0][kind] for kind in wanted}


def test_isolates_of_another_run_are_paired_by_size() -> None:
    a, b = (dumpmap.open(path) for path in NODES)
    changes = [change for change in owner_changes(a, b) if change.owner == "V8" and change.instance_a]
    assert {change.match for change in changes} == {"order"}
    for side, region_map in (("instance_a", a), ("instance_b", b)):
        isolates = [one for one in find_owners(region_map).owners if one.owner == "V8" and one.instance]
        by_size = [one.instance for one in sorted(isolates, key=lambda one: -one.size)]
        order = sorted(changes, key=lambda change: -(change.size.a or 0))
        assert [getattr(change, side) for change in order] == by_size
    same = [change for change in owner_changes(a, a) if change.owner == "V8"]
    assert "order" not in {change.match for change in same}
    assert not any(change.size.delta or change.committed.delta for change in owner_changes(a, a))


def scene_with(heap: int, module: str, blocks: int) -> dumpmap.RegionMap:
    scene = Scene(64)
    scene.allocate(MB, base=heap)
    scene.allocate(64 * KB, base=0x7FF6_0000_0000, type=0x1000000)
    for _ in range(blocks):
        scene.allocate(256 * KB)
    return scene.map(
        heaps=[RecordedHeap(1, "pool", None, heap, None, (RecordedRange(heap, MB, MB, "segment"),))],
        modules=[Module(0x7FF6_0000_0000, 64 * KB, module)],
    )


def test_what_only_moved_or_changed_its_case_is_the_same_owner() -> None:
    a = scene_with(0x1000_0000, "C:\\USER32.dll", 2)
    b = scene_with(0x2000_0000, "C:\\user32.dll", 5)
    changes = {change.owner: change for change in owner_changes(a, b)}
    module = changes["user32.dll"]
    assert (module.size.delta, module.match) == (0, "name")
    unowned: OwnerChange = changes[""]
    grown = [part for part in unowned.parts if part.size.delta]
    assert [(part.key.size_each, part.count.delta) for part in grown] == [(256 * KB, 3)]
    heap = next(change for change in changes.values() if "pool" in change.owner)
    assert (heap.size.delta, heap.instance_a, heap.instance_b) == (0, "0x10000000", "0x20000000")


def test_figures_of_incomplete_maps_have_no_difference() -> None:
    partial = dumpmap.open(FIXTURES / "layout-x86-plain.dmp")
    changes = owner_changes(partial, dumpmap.open(FIXTURES / "layout-x86.dmp.gz"))
    assert changes
    assert {change.size.delta for change in changes} == {None}
    assert {part.committed.delta for change in changes for part in change.parts} == {None}


def test_a_timeline_by_owner() -> None:
    growth = dumpmap.timeline(LEAK)
    ends = [Counter[tuple[str, str]](), Counter[tuple[str, str]]()]
    for change in dumpmap.diff(*LEAK).owners:
        for part in change.parts:
            key = (change.owner, part.key.kind or str(part.key.size_each))
            ends[0][key] += int(part.committed.a or 0)
            ends[1][key] += int(part.committed.b or 0)
    rows = [row for row in growth.to_dict()["owners"] if row["metric"] == "committed"]
    assert len(rows) == sum(ends[0][key] != ends[1][key] for key in {*ends[0], *ends[1]})
    leak = max(rows, key=lambda row: row["delta"])
    assert (leak["owner"], leak["name"], leak["type"]) == (None, "allocations of 1.1 MB", "Private Data")
    frame = growth.by_owner()
    assert len(frame) == 2 * len(growth.owners)
    changed = frame[frame["metric"] == "committed"].groupby("file")["value"].sum()
    total = dumpmap.diff(*LEAK).summary().loc["Total", "committed_delta"]
    assert abs(changed.iloc[0] - changed.iloc[1]) == total


@pytest.mark.parametrize(
    ("start", "size", "committed", "pieces"),
    [
        (0x1000, 0x3000, 0x3000, [(0, 0x1000, 0x1000), (1, 0x2000, 0x2000)]),
        (0x1000, 0x3000, 0x1800, [(0, 0x1000, 0x800), (1, 0x2000, 0x1000)]),
        (0x1000, 0x1000, 0, [(0, 0x1000, 0)]),
        (0x1000, 1, 1, [(0, 1, 1)]),
        (0x1FFF, 2, 2, [(0, 1, 1), (1, 1, 1)]),
        (0x2000, 0x4000, 0x4000, [(1, 0x2000, 0x2000), (2, 0x2000, 0x2000)]),
        (0x800, 0x1000, 0x1000, [(0, 0x1000, 0x1000)]),  # it begins before them
        (0x4800, 0x9000, 0x9000, [(2, 0x9000, 0x9000)]),  # it ends behind them
    ],
)
def test_a_row_is_cut_where_the_rows_of_the_other_map_begin(
    start: int, size: int, committed: int, pieces: list[tuple[int, int, int]]
) -> None:
    def rows(places: list[tuple[int, int, int, int]]) -> SimpleNamespace:
        allocation, base, length, bytes_committed = zip(*places, strict=True)
        columns = {"allocation": np.array(allocation), "base": np.array(base, np.uint64), "size": np.array(length)}
        return SimpleNamespace(rows=SimpleNamespace(**columns, committed=np.array(bytes_committed)), part=np.array([7]))

    own = rows([(0, start + 0x10000, size, committed)])
    theirs = rows([(3, 0x1000, 0x1000, 0), (3, 0x2000, 0x2000, 0), (3, 0x4000, 0x4000, 0), (4, 0x9000, 0x1000, 0)])
    shift = np.array([-0x10000], np.int64).view(np.uint64)
    found = _laid_over(own, theirs, np.array([3]), shift)  # type: ignore[arg-type]
    assert found.of.tolist() == [0] * len(pieces)
    columns = (found.row.tolist(), found.size.tolist(), found.committed.tolist())
    assert list(zip(*columns, strict=True)) == pieces


def test_the_parts_that_changed_most_come_first() -> None:
    def part(
        name: str, size: tuple[int, int], committed: tuple[int, int], kind: RegionType | None = None
    ) -> PartChange:
        key = PartKey("Somebody", "a.dll", name, kind, 0)
        figures = (FigureChange(a, b, comparable=name < "m") for a, b in (size, committed, (1, 1)))
        return PartChange(key, *figures)

    # Those that cannot be compared have no change: the larger of both sizes decides, then the name.
    ordered = [
        part("d", (5, 5), (9, 1)),
        part("c", (5, 5), (1, 8)),
        part("g", (5, 5), (2, 3)),
        part("f", (1, 9), (2, 2)),
        part("e", (9, 2), (2, 2)),
        part("z", (60, 1), (9, 1)),
        part("y", (1, 50), (1, 1)),
        part("x", (0, 40), (1, 1)),
        part("n", (7, 7), (7, 7)),
        part("n", (7, 7), (7, 7), RegionType(0)),
        part("o", (7, 7), (7, 7)),
    ]
    nothing = FigureChange(0, 0, comparable=True)
    change = OwnerChange("Somebody", "a.dll", "", "", "name", nothing, nothing, tuple(reversed(ordered)))
    assert list(merged_parts([change])) == ordered
