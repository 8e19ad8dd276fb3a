"""HotSpot: recorded Java processes against what the virtual machine wrote about itself, and damaged ones."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path
from typing import Any

import pytest

import dumpmap
from dumpmap.api import RegionMap
from dumpmap.structures.recognisers.hotspot import JavaMachine

FOLDER = Path(__file__).parents[1] / "fixtures" / "runtimes"
RECORDED = sorted(path.name.partition(".")[0] for path in FOLDER.glob("java-*.truth.json"))
TAGS = {"E": "eden", "S": "survivor", "O": "old", "HS": "humongous", "HC": "humongous", "F": "free"}
SPACES = {"eden": "eden", "from": "survivor", "to": "survivor", "object": "old", "the": "old"}


def machine(region_map: RegionMap) -> JavaMachine:
    (found,) = region_map.structures.facts_of(JavaMachine)
    return found


def opened(name: str) -> tuple[RegionMap, dict[str, Any]]:
    truth = json.loads((FOLDER / f"{name}.truth.json").read_text(encoding="utf-8"))
    return dumpmap.open(FOLDER / f"{name}.dmp.gz"), truth


@pytest.mark.parametrize("name", RECORDED)
def test_the_heap_is_what_the_machine_says(name: str) -> None:
    region_map, truth = opened(name)
    java = machine(region_map)
    _, release, collector = name.split("-")
    assert java.version is not None
    assert java.version.startswith(f"{release}.")
    assert java.collector.lower() == collector
    assert list(java.heap) == truth["heap"]
    assert java.limit == truth["max_heap"]
    assert java.parts[0][0] == java.heap[0]
    assert java.parts[-1][1] == sum(java.heap)
    assert all(one[1] == other[0] for one, other in zip(java.parts, java.parts[1:], strict=False))


@pytest.mark.parametrize("name", [name for name in RECORDED if name.endswith("g1")])
def test_regions_are_what_the_machine_says(name: str) -> None:
    region_map, truth = opened(name)
    kinds = {(start, end): kind for start, end, kind in machine(region_map).parts}
    # The scene goes on between the dump and its crash, so that young regions come and go; the others stay.
    young = {"Java heap, G1 eden", "Java heap, G1 survivor", "Java heap, G1 free"}
    old = 0
    for low, _, end, tag in truth["regions"]:
        stated, found = f"Java heap, G1 {TAGS.get(tag, 'archive')}", kinds.get((low, end))
        assert found == stated or {found, stated} <= young
        old += stated not in young
    assert old >= 25


@pytest.mark.parametrize("name", [name for name in RECORDED if not name.endswith("g1")])
def test_generations_are_what_the_machine_says(name: str) -> None:
    region_map, truth = opened(name)
    stated = sorted((low, end, f"Java heap, {SPACES[space]}") for space, low, end in truth["spaces"][:4])
    assert [part for part in machine(region_map).parts if part[2] != "Java heap, reserved"] == stated


@pytest.mark.parametrize("name", RECORDED)
def test_code_and_cards_are_what_the_machine_says(name: str) -> None:
    region_map, truth = opened(name)
    java = machine(region_map)
    assert sorted(list(part[:2]) for part in java.code if part[2] == "Java code heap") == sorted(truth["code"])
    if truth["cards"] is not None:
        assert [list(part[:2]) for part in java.cards] == [truth["cards"]]
    assert java.metaspace


@pytest.mark.parametrize("name", RECORDED)
def test_a_snapshot_gives_the_same_machine(name: str, tmp_path: Path) -> None:
    region_map, _ = opened(name)
    target = tmp_path / "x.json.zst"
    region_map.to_snapshot(target)
    assert machine(dumpmap.open(target)) == machine(region_map)


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
            low, high = java.heap[0], sum(java.heap)
            assert all(low <= start < end <= high for start, end, _ in java.parts)
            assert all(one[1] <= other[0] for one, other in zip(java.parts, java.parts[1:], strict=False))
