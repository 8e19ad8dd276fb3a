"""PartitionAlloc's super pages: a recorded Chromium against what its roots state, and super pages that lie."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.hostile import spoiled_maps
from synth.partition_alloc import METADATA_AT, SUPER_PAGE, PartitionAlloc

import dumpmap
from dumpmap.analysis.owners import find_owners
from dumpmap.api import RegionMap
from dumpmap.model.memory import ExcerptMemory
from dumpmap.structures.recognisers.partition_alloc import Partition, _direct_map

FOLDER = Path(__file__).parents[1] / "fixtures" / "allocators"
MIB = 1 << 20


def partitions(region_map: RegionMap) -> tuple[Partition, ...]:
    return region_map.structures.facts_of(Partition)


def pages(region_map: RegionMap) -> dict[int, tuple[int, bool]]:
    return {page.base: (page.size, page.direct) for of in partitions(region_map) for page in of.pages}


# ---------------------------------------------------------------- a recorded process


def test_super_pages_are_those_that_the_roots_state() -> None:
    truth = json.loads((FOLDER / "partitionalloc-kaleido.truth.json").read_text(encoding="utf-8"))["partitions"]
    region_map = dumpmap.open(FOLDER / "partitionalloc-kaleido.dmp.gz")
    found = {of.root: of for of in partitions(region_map)}
    assert found.keys() == {stated["root"] for stated in truth}
    for stated in truth:
        mine = found[stated["root"]]
        places = {place for low, high in stated["extents"] for place in range(low, high, SUPER_PAGE)}
        assert places
        assert {page.base for page in mine.pages} == places
        assert sum(page.size for page in mine.pages) == stated["super_pages"] + stated["direct_maps"]
        committed = sum(region_map.space.committed(page.base, page.size) for page in mine.pages)
        # PartitionAlloc does not count the system page with the metadata.
        assert committed == stated["committed"] + len(mine.pages) * 0x1000
        assert mine.module is not None
        assert mine.module.name == "kaleido.exe"


def test_a_snapshot_gives_the_same_partitions(tmp_path: Path) -> None:
    region_map = dumpmap.open(FOLDER / "partitionalloc-kaleido.dmp.gz")
    target = tmp_path / "x.json.zst"
    region_map.to_snapshot(target)
    again = dumpmap.open(target)
    assert partitions(again) == partitions(region_map)
    assert find_owners(again) == find_owners(region_map)


# ---------------------------------------------------------------- built processes


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("proof_at", [0x40, 0x1510, 0x2FF0])
def test_partitions_are_instances_of_one_owner(bits: int, proof_at: int) -> None:
    build = PartitionAlloc(bits, proof_at=proof_at)
    roots = [build.add_root(), build.add_root()]
    places = [build.add_super_page(roots[0]), build.add_super_page(roots[1]), build.add_super_page(roots[0])]
    region_map = dumpmap.open(build.dump())
    found = {of.root: [page.base for page in of.pages] for of in partitions(region_map)}
    assert found == {roots[0]: [places[0], places[2]], roots[1]: [places[1]]}
    owners = {of.instance: of for of in find_owners(region_map).owners if of.owner == "PartitionAlloc"}
    assert {name: of.size for name, of in owners.items()} == {
        f"partition 0x{roots[0]:x}": 2 * SUPER_PAGE,
        f"partition 0x{roots[1]:x}": SUPER_PAGE,
    }
    assert {of.module for of in owners.values()} == {"chrome.dll"}
    rows = region_map.allocations.set_index("address")
    assert rows.loc[places[0], "kind"] == "PartitionAlloc super page"
    assert rows.loc[places[0], "type"] == "Private Data"


@pytest.mark.parametrize("bits", [32, 64])
def test_a_direct_map_is_as_large_as_its_reservation(bits: int) -> None:
    build = PartitionAlloc(bits)
    root = build.add_root()
    ordinary = build.add_super_page(root)
    alone = build.add_direct_map(root, 5 * MIB, stated=5 * MIB - 0x5000)
    assert pages(dumpmap.open(build.dump())) == {ordinary: (SUPER_PAGE, False), alone: (5 * MIB, True)}


def test_what_lies_between_super_pages_of_a_pool_is_inferred() -> None:
    build = PartitionAlloc()
    root = build.add_root()
    pool = build.add_pool(64)
    build.add_super_page(root, at=pool + SUPER_PAGE)
    build.add_direct_map(root, 6 * MIB, at=pool + 4 * SUPER_PAGE)
    build.process.commit(pool + 32 * SUPER_PAGE, 0x10000)
    region_map = dumpmap.open(build.dump())
    assert pages(region_map) == {pool + SUPER_PAGE: (SUPER_PAGE, False), pool + 4 * SUPER_PAGE: (6 * MIB, True)}
    (owner,) = [of for of in find_owners(region_map).owners if of.owner == "PartitionAlloc"]
    assert owner.size == 64 * SUPER_PAGE
    assert owner.inferred
    assert "same-allocation" in owner.evidence


def test_a_root_outside_modules_has_no_module() -> None:
    build = PartitionAlloc()
    root = build.add_root(at=build.process.allocate(0x4000))
    build.add_super_page(root)
    (partition,) = partitions(dumpmap.open(build.dump()))
    assert (partition.root, partition.module) == (root, None)


# ---------------------------------------------------------------- lies


@pytest.mark.parametrize("proof", [0, 1, ~0x1234])
def test_a_root_without_its_complement_proves_nothing(proof: int) -> None:
    build = PartitionAlloc()
    build.add_super_page(build.add_root(proof=proof))
    assert partitions(dumpmap.open(build.dump())) == ()


@pytest.mark.parametrize("root", [0, 0x1234, 0x7FFF_FFFF_F000, 1 << 63])
def test_a_root_that_is_no_address_proves_nothing(root: int) -> None:
    build = PartitionAlloc()
    good = build.add_super_page(build.add_root())
    build.add_super_page(root)
    assert list(pages(dumpmap.open(build.dump()))) == [good]


@pytest.mark.parametrize("stated", [0, 0x1001, 1 << 40, (1 << 63) + 0x1000])
def test_a_direct_map_of_an_impossible_size_is_not_claimed(stated: int) -> None:
    build = PartitionAlloc()
    root = build.add_root()
    build.add_super_page(root)
    bad = build.add_direct_map(root, 5 * MIB, stated=stated)
    assert bad not in pages(dumpmap.open(build.dump()))


def test_blocks_of_a_direct_map_are_not_taken_for_super_pages() -> None:
    build = PartitionAlloc()
    root = build.add_root()
    base = build.add_direct_map(root, 8 * MIB)
    build.write_words(base + SUPER_PAGE + METADATA_AT, [root])
    assert pages(dumpmap.open(build.dump())) == {base: (8 * MIB, True)}


def test_an_allocation_smaller_than_a_super_page_holds_none() -> None:
    build = PartitionAlloc()
    base = build.process.allocate(SUPER_PAGE - 0x10000, align=SUPER_PAGE)
    build.write_words(base + METADATA_AT, [build.add_root()])
    assert partitions(dumpmap.open(build.dump())) == ()


def test_a_process_without_chromium_is_not_searched() -> None:
    build = PartitionAlloc(module="C:\\app\\other.dll")
    build.add_super_page(build.add_root())
    assert partitions(dumpmap.open(build.dump())) == ()


@pytest.mark.parametrize("bits", [32, 64])
def test_spoiled_bytes_never_raise_and_never_prove_a_lie(bits: int) -> None:
    build = PartitionAlloc(bits)
    root = build.add_root()
    build.add_super_page(root)
    build.add_direct_map(root, 5 * MIB)
    good = build.dump()
    for region_map in spoiled_maps(good, bits, 200):
        memory = region_map.snapshot.memory
        for of in partitions(region_map):
            proof = memory.read(of.proof_at, build.width)
            assert proof is not None
            assert int.from_bytes(proof, "little") ^ of.root == (1 << 8 * build.width) - 1
            for page in of.pages:
                assert memory.read(page.base + METADATA_AT, build.width) == of.root.to_bytes(build.width, "little")


@pytest.mark.parametrize(("width", "first"), [(8, 6), (4, 10)])
@pytest.mark.parametrize(
    ("bucket", "again", "size", "found"),
    [
        (0x40, 0x40, 0x5000, 0x5000),
        (0x1, 0x1, 0x1000, 0x1000),
        (0xFF, 0xFF, 0x1000, 0x1000),
        (0, 0, 0x5000, None),  # the metadata itself
        (0x100, 0x100, 0x5000, None),  # behind it
        (0x40, 0x44, 0x5000, 0),  # no extent of this bucket
        (0x40, 0x40, 0x5001, 0),
        (0x40, 0x40, 0, 0),
    ],
)
def test_what_the_metadata_of_a_direct_map_states(
    width: int, first: int, bucket: int, again: int, size: int, found: int | None
) -> None:
    at = 0x40000
    words = [0] * (0x100 // width)
    words[first], words[first + 8], words[first + 9] = at + bucket, at + again, size
    data = b"".join(word.to_bytes(width, "little") for word in words)
    assert _direct_map(ExcerptMemory([(at, data)]), at, width) == found
    if found:
        # The bucket's own place does not count as the extent's.
        words[first + 1], words[first + 8] = size, 0
        data = b"".join(word.to_bytes(width, "little") for word in words)
        assert _direct_map(ExcerptMemory([(at, data)]), at, width) == 0
