"""Owners: a second cut through the same bytes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.scenes import FIXTURES, KB, MB, Scene

import dumpmap
from dumpmap.analysis.owner_totals import OwnerTotals, _by_block, owner_totals
from dumpmap.analysis.owners import Owners, find_owners
from dumpmap.api import RegionMap
from dumpmap.model.recognised import Found, LabelledRange
from dumpmap.model.snapshot import RecordedHeap, RecordedRange, Thread
from dumpmap.model.types import PRIVATE_TYPES, RegionType

DUMPS = sorted(path for path in FIXTURES.rglob("*.dmp*"))
NO_ROW = ("Free", "Unusable", "Page Table")
OWNERS = {
    "node": {"V8"},
    "full": {"V8"},
    "leaking": {"V8"},
    "java": {"Java heap"},
    "managed": {".NET"},
    "dotnet": {".NET"},
    "go": {"Go runtime"},
    "python": {"Python"},
    "mimalloc": {"mimalloc"},
    "partitionalloc": {"PartitionAlloc", "V8"},
}
"""Who owns memory in a recorded process, by the first word of its file's name."""
RUNTIMES = {owner for owners in OWNERS.values() for owner in owners} | {"mozjemalloc"}
IN_NO_CORPUS = {*RUNTIMES, "Abseil", "Wine"}


def total(region_map: RegionMap) -> tuple[int, int]:
    lines = [line for line in region_map.summary_lines[1:] if line.name not in NO_ROW]
    return sum(line.size or 0 for line in lines), sum(line.committed or 0 for line in lines)


def check(region_map: RegionMap) -> Owners:
    """Checks that owners and unowned memory are all of the map."""
    owners = find_owners(region_map)
    size, committed = total(region_map)
    assert sum(owner.size for owner in owners.owners) + owners.unowned_size == size
    assert sum(owner.committed for owner in owners.owners) + owners.unowned_committed == committed
    for owner in owners.owners:
        assert owner.size == sum(part.size for part in owner.parts) == sum(owner.type_sizes.values())
        assert owner.committed == sum(part.committed for part in owner.parts)
        assert owner.evidence
    assert owners.private_committed == (region_map.line(RegionType.PRIVATE_DATA).committed or 0)
    assert 0 <= owners.owned_private_facts <= owners.owned_private <= owners.private_committed
    return owners


@pytest.mark.parametrize("path", DUMPS, ids=lambda path: path.name)
def test_owners_add_up_to_the_summary(path: Path) -> None:
    region_map = dumpmap.open(path)
    owners = check(region_map)
    named = {owner.owner for owner in owners.owners if owner.owner in RUNTIMES}
    hosts = {"mimalloc-rolldown": "V8", "mimalloc-pyarrow": "Python"}
    named.discard(hosts.get(path.name.partition(".")[0], ""))  # what the allocator's module was loaded into
    assert named == OWNERS.get(path.name.partition("-")[0], set())


@pytest.mark.corpus
def test_no_runtime_is_seen_where_none_is(corpus: Path) -> None:
    for path in sorted(corpus.glob("*.*dmp")):
        try:
            region_map = dumpmap.open(path)
        except dumpmap.DumpmapError:
            continue
        assert not [owner for owner in check(region_map).owners if owner.owner in IN_NO_CORPUS], path.name


def test_equal_allocations_are_one_group() -> None:
    owners = find_owners(dumpmap.open(FIXTURES / "fragment-x86.dmp.gz"))
    group = owners.groups[0]
    assert (group.count, group.size_each, group.state) == (85, 16 * MB, "reserved")
    assert (group.size, group.committed) == (1360 * MB, 0)
    assert group.size == max(group.size for group in owners.groups)


def test_types_narrow_the_cut() -> None:
    region_map = dumpmap.open(FIXTURES / "runtimes" / "node-18.dmp.gz")
    owners = find_owners(region_map, [RegionType.PRIVATE_DATA])
    line = region_map.line(RegionType.PRIVATE_DATA)
    assert sum(owner.size for owner in owners.owners) + owners.unowned_size == line.size
    assert {owner.owner for owner in owners.owners} <= {"V8", "Windows", "Wine"}


def test_what_v8_did_not_prove_is_inferred() -> None:
    owners = find_owners(dumpmap.open(FIXTURES / "runtimes" / "node-18.dmp.gz"))
    isolates = [owner for owner in owners.owners if owner.owner == "V8"]
    assert len(isolates) == 2
    for isolate in isolates:
        assert isolate.facts is not None
        assert isolate.module == "node.exe"
        assert "v8-page" in isolate.evidence
    assert owners.owned_share is not None
    assert owners.owned_share > 0.85
    assert owners.owned_share_facts == pytest.approx(owners.owned_share, abs=0.01)


def test_a_map_without_owners_is_all_groups() -> None:
    scene = Scene(64)
    for _ in range(3):
        scene.allocate(256 * KB)
    owners = check(scene.map())
    assert [(group.count, group.size_each) for group in owners.groups if group.size_each == 256 * KB] == [(3, 256 * KB)]
    assert owners.owned_share == 0


def test_committed_private_memory_is_summed_up_by_owner() -> None:
    heap, stack, block, other = 0x1000_0000, 0x2000_0000, 0x3000_0000, 0x4000_0000
    scene = Scene(64)
    scene.allocate(MB, base=heap, commit=64 * KB)
    scene.allocate(MB, base=stack, commit=0)
    scene.commit(stack + MB - 16 * KB, 16 * KB)
    scene.allocate(MB, base=block, commit=128 * KB)
    scene.allocate(MB, base=other, commit=384 * KB)
    region_map = scene.map(
        heaps=[RecordedHeap(1, "NT heap", None, heap, None, (RecordedRange(heap, MB, 64 * KB, "segment"),))],
        threads=[Thread(5, stack_base=stack + MB - 4 * KB, stack_size=4 * KB)],
    )
    totals = owner_totals(region_map)
    assert totals is not None
    assert totals.committed == {"NT heap 1": 64 * KB, "Thread stacks": 16 * KB}
    assert (totals.owned, totals.private_data, totals.owned_share) == (0, 512 * KB, 0.0)
    # A recogniser proves the block, twice, and a part of what is outside the map.
    parts = [LabelledRange(base, MB, "block", "proof", owner="Engine") for base in (block, block, heap)]
    structures = replace(region_map.structures, found=(Found(ranges=tuple(parts)),))
    totals = owner_totals(replace(region_map, structures=structures))
    assert totals is not None
    assert totals.committed == {"Engine": 192 * KB, "Thread stacks": 16 * KB}
    assert totals.size == {"Engine": 2 * MB, "Thread stacks": MB}
    assert (totals.owned, totals.owned_share, totals.top("commit")) == (128 * KB, 0.25, "Engine")


def test_the_first_name_of_equal_owners_is_the_top() -> None:
    totals = OwnerTotals({"b": 5, "a": 5, "c": 9}, {"b": 5, "a": 5, "c": 4}, 0, 0)
    assert (totals.top("commit"), totals.top("address space")) == ("a", "c")
    assert OwnerTotals({}, {}, 0, 0).top("address space") is None
    assert OwnerTotals({}, {}, 0, 0).top("commit") is None
    assert OwnerTotals({}, {}, 0, 0).owned_share is None
    assert OwnerTotals({}, {}, 1, 4).owned_share == 0.25


@pytest.mark.parametrize("name", ["fragment-x86.dmp.gz", "leak-x64-before.dmp.gz", "layout-x86-plain.dmp"])
def test_sums_by_owner_are_those_of_the_owners(name: str) -> None:
    region_map = dumpmap.open(FIXTURES / name)
    totals = owner_totals(region_map)
    if region_map.partial:
        assert totals is None
        return
    assert totals is not None
    assert (totals.size, totals.committed, totals.owned) == _by_block(region_map)
    owners = find_owners(region_map, PRIVATE_TYPES)
    assert sum(totals.size.values()) == sum(owner.size for owner in owners.owners)
    assert sum(totals.committed.values()) == sum(owner.committed for owner in owners.owners)
