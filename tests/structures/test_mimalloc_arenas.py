"""mimalloc 3: a recorded process, and arenas that lie."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.hostile import spoiled_maps
from synth.mimalloc import Mimalloc3

import dumpmap
from dumpmap.analysis.owners import find_owners
from dumpmap.api import RegionMap
from dumpmap.structures.recognisers.mimalloc_arenas import Arena

FOLDER = Path(__file__).parents[1] / "fixtures" / "allocators"


def arenas(region_map: RegionMap) -> dict[int, int]:
    return {arena.base: arena.size for arena in region_map.structures.facts_of(Arena)}


def test_rolldown_takes_its_memory_from_one_arena(tmp_path: Path) -> None:
    region_map = dumpmap.open(FOLDER / "mimalloc-rolldown.dmp.gz")
    (arena,) = region_map.structures.facts_of(Arena)
    # What mimalloc reserves when it starts, unless told otherwise.
    assert arena.size == 1 << 30
    assert arena.module.name == "rolldown-binding.win32-x64-msvc.node"
    owners = find_owners(region_map)
    (mine,) = [owner for owner in owners.owners if owner.owner == "mimalloc"]
    assert not mine.inferred
    assert mine.facts is not None
    assert mine.facts.version == "3.x"
    assert owners.owned_share_facts is not None
    assert owners.owned_share_facts > 0.85
    target = tmp_path / "x.json.zst"
    region_map.to_snapshot(target)
    assert find_owners(dumpmap.open(target)) == owners


@pytest.mark.parametrize("late", [True, False])
@pytest.mark.parametrize("slices", [512, 16384, 65536])
def test_an_arena_is_claimed_as_a_whole(late: bool, slices: int) -> None:
    build = Mimalloc3(late=late)
    places = [build.add_arena(slices), build.add_arena(512)]
    region_map = dumpmap.open(build.dump())
    assert arenas(region_map) == {places[0]: slices * 0x10000, places[1]: 512 * 0x10000}
    (owner,) = [of for of in find_owners(region_map).owners if of.owner == "mimalloc"]
    assert (owner.module, owner.size) == ("tool.exe", (slices + 512) * 0x10000)
    rows = region_map.allocations.set_index("address")
    assert set(rows.loc[places, "kind"]) == {"mimalloc 3 arena"}
    assert set(rows.loc[places, "type"]) == {"Private Data"}


@pytest.mark.parametrize(
    "lies",
    [
        {"base": 0x7000_0000_0000},
        {"size": 511 * 0x10000},
        {"size": 0},
        {"subprocess": 0x7000_0000_0000},
        {"subprocess": 0},
        {"slices": 513},
        {"slices": 0},
        {"info": 0},
        {"info": 512},
    ],
)
def test_an_arena_that_lies_about_itself_is_not_claimed(lies: dict[str, int]) -> None:
    build = Mimalloc3()
    good = build.add_arena(1024)
    build.add_arena(512, lies=lies)
    assert list(arenas(dumpmap.open(build.dump()))) == [good]


def test_an_arena_that_the_module_does_not_list_is_not_claimed() -> None:
    build = Mimalloc3()
    build.add_arena(512, listed=False)
    assert arenas(dumpmap.open(build.dump())) == {}


def test_spoiled_bytes_never_raise_and_never_prove_a_lie() -> None:
    build = Mimalloc3()
    build.add_arena(1024)
    good = build.dump()
    for region_map in spoiled_maps(good, 3, 200):
        for arena in region_map.structures.facts_of(Arena):
            assert region_map.space.allocation(arena.base) == (arena.base, arena.size)
            assert region_map.snapshot.memory.read(arena.listed_at, 8) == arena.described_at.to_bytes(8, "little")
