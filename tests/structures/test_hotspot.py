"""HotSpot: recorded Java processes against what the virtual machine wrote about itself, and damaged ones."""

from __future__ import annotations

import gzip
import random
from itertools import pairwise
from pathlib import Path

import pytest
from support.recorded import opened

import dumpmap
from dumpmap.analysis.owners import find_owners
from dumpmap.api import RegionMap
from dumpmap.model.types import RegionType
from dumpmap.structures.recognisers.hotspot import JavaMachine

FOLDER = Path(__file__).parents[1] / "fixtures" / "runtimes"
RECORDED = sorted(path.name.partition(".")[0] for path in FOLDER.glob("java-*.truth.json"))
TAGS = {"E": "eden", "S": "survivor", "O": "old", "HS": "humongous", "HC": "humongous", "F": "free"}
STATES = {"EC": "free", "R": "regular", "H": "humongous", "HC": "humongous", "CS": "collection set", "TR": "trash"}
SPACES = {"eden": "eden", "from": "survivor", "to": "survivor", "object": "old", "the": "old", "": "Epsilon"}
MB = 1 << 20


def of(*collectors: str) -> list[str]:
    return [name for name in RECORDED if name.rpartition("-")[2] in collectors]


def machine(region_map: RegionMap) -> JavaMachine:
    (found,) = region_map.structures.facts_of(JavaMachine)
    return found


def test_every_collector_is_recorded() -> None:
    collectors = {name.rpartition("-")[2] for name in RECORDED}
    assert collectors == {"g1", "serial", "parallel", "shenandoah", "epsilon"}
    assert {name.split("-")[1] for name in RECORDED} == {"11", "17", "21", "25"}


@pytest.mark.parametrize("name", RECORDED)
def test_the_heap_is_what_the_machine_says(name: str) -> None:
    region_map, truth = opened(name)
    java = machine(region_map)
    _, release, collector = name.split("-")
    assert java.version is not None
    assert java.version.startswith(f"{release}.")
    assert java.collector.lower() == collector
    assert java.heap is not None
    assert list(java.heap) == truth["heap"]
    assert java.limit == truth["max_heap"]
    assert java.parts[0][0] == java.heap[0]
    assert java.parts[-1][1] == sum(java.heap)
    assert all(one[1] == other[0] for one, other in pairwise(java.parts))


@pytest.mark.parametrize("name", of("g1", "shenandoah"))
def test_regions_are_what_the_machine_says(name: str) -> None:
    region_map, truth = opened(name)
    kinds = {(start, end): kind for start, end, kind in machine(region_map).parts}
    # The scene goes on between the dump and its crash, so that young regions come and go; the others stay.
    prefix, names = ("G1", TAGS) if name.endswith("g1") else ("Shenandoah", STATES)
    young = {f"Java heap, {prefix} {kind}" for kind in ("eden", "survivor", "free", "regular")}
    old = 0
    for low, _, end, tag in truth["regions"]:
        stated, found = f"Java heap, {prefix} {names.get(tag, 'archive')}", kinds.get((low, end))
        assert found == stated or {found, stated} <= young
        old += stated not in young
    assert old >= 20


@pytest.mark.parametrize("name", of("serial", "parallel", "epsilon"))
def test_generations_are_what_the_machine_says(name: str) -> None:
    region_map, truth = opened(name)
    stated = sorted((low, end, f"Java heap, {SPACES[space]}") for space, low, end in truth["spaces"][:4])
    assert stated
    assert [part for part in machine(region_map).parts if part[2] != "Java heap, reserved"] == stated


@pytest.mark.parametrize("name", RECORDED)
def test_code_and_cards_are_what_the_machine_says(name: str) -> None:
    region_map, truth = opened(name)
    java = machine(region_map)
    assert sorted(list(part[:2]) for part in java.code if part[2] == "Java code heap") == sorted(truth["code"])
    # Shenandoah and Epsilon have no card table, and what stands in its place must not be taken for one.
    assert [list(part[:2]) for part in java.cards] == ([truth["cards"]] if truth["cards"] else [])
    assert any(kind == "Java metaspace" for _, _, kind in java.metaspace)
    archive = [[low, high] for low, high, kind in java.metaspace if kind == "Java class-data archive"]
    stated = truth["archive"]
    assert archive == ([[stated[0], stated[1]]] if stated else [])
    assert bool(archive) == (name == "java-17-serial")


@pytest.mark.parametrize("name", of("g1"))
def test_what_g1_keeps_beside_the_heap(name: str) -> None:
    region_map, truth = opened(name)
    side = machine(region_map).side
    assert sorted([low, high] for low, high, kind in side if kind == "Java mark bitmap") == sorted(truth["bitmaps"])
    # MarkStackSize is 4 Mi entries of 8 bytes unless it is set.
    assert [high - low for low, high, kind in side if kind == "Java G1 mark stack"] == [32 * MB]
    tables = [high - low for low, high, kind in side if kind == "Java G1 side table"]
    # A byte for each card: block offsets, and up to JDK 17 card counts. The card table itself has a label of its own.
    assert set(tables) == {truth["heap"][1] // 512}
    cards = machine(region_map).cards[0]
    rows = region_map.regions
    assert rows[rows["kind"] == "Java card table"]["size"].sum() == cards[1] - cards[0]


def test_what_serial_and_shenandoah_keep_beside_the_heap() -> None:
    side = machine(opened("java-17-serial")[0]).side
    assert [kind for _, _, kind in side] == ["Java block offset table"]
    region_map, truth = opened("java-25-shenandoah")
    side = machine(region_map).side
    assert [(high - low, kind) for low, high, kind in side] == [(truth["heap"][1] // 32, "Java mark bitmap")] * 2


@pytest.mark.parametrize("name", RECORDED)
def test_threads_are_what_the_machine_says(name: str) -> None:
    region_map, truth = opened(name)
    named = {thread.thread_id: thread.name for thread in machine(region_map).threads}
    stated = {int(thread_id): text for thread_id, text in truth["threads"].items()}
    # The list of the hs_err file is of the crash, a few seconds later: compiler threads may have come or gone.
    assert {"main", "worker", "łódź 工人", "Finalizer"} <= set(named.values())
    assert {key: text for key, text in named.items() if "Compiler" not in text} == {
        key: text for key, text in stated.items() if "Compiler" not in text
    }
    stacks = {stack.thread_id: (stack.name, stack.name_evidence) for stack in region_map.stacks}
    for thread_id, text in named.items():
        assert stacks[thread_id] == (text, "hotspot-vmstructs")
    assert sum(text is None for text, _ in stacks.values()) == len(stacks) - len(named)
    details = set(region_map.regions["details"])
    assert any(detail.startswith("Thread ID: ") and detail.endswith("(łódź 工人)") for detail in details)


@pytest.mark.parametrize("name", RECORDED)
def test_most_private_memory_has_an_owner_by_facts(name: str) -> None:
    owners = find_owners(opened(name)[0], [RegionType.PRIVATE_DATA])
    java = sum(owner.committed for owner in owners.owners if owner.owner == "Java heap")
    assert owners.owned_share_facts is not None
    assert owners.owned_share_facts > 0.95
    # Without what Wine adds of its own, which no process has on Windows.
    wine = sum(owner.committed for owner in owners.owners if owner.owner == "Wine")
    assert java / (owners.private_committed - wine) > 0.9


@pytest.mark.parametrize("name", RECORDED)
def test_a_snapshot_gives_the_same_machine(name: str, tmp_path: Path) -> None:
    region_map, _ = opened(name)
    target = tmp_path / "x.json.zst"
    region_map.to_snapshot(target)
    again = dumpmap.open(target)
    assert machine(again) == machine(region_map)
    assert again.regions.equals(region_map.regions)
    assert find_owners(again) == find_owners(region_map)


def test_spoiled_bytes_end_in_a_result() -> None:
    good = gzip.decompress((FOLDER / "java-17-serial.dmp.gz").read_bytes())
    chance = random.Random(17)
    for _ in range(60):
        data = bytearray(good)
        for _ in range(chance.randint(1, 400)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            region_map = dumpmap.open(bytes(data))
        except dumpmap.DumpmapError:
            continue
        for java in region_map.structures.facts_of(JavaMachine):
            assert java.heap is not None
            low, high = java.heap[0], sum(java.heap)
            assert all(low <= start < end <= high for start, end, _ in java.parts)
            assert all(one[1] <= other[0] for one, other in pairwise(java.parts))
