"""Ownership: the owner of every block and allocation."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from support.maps import large_map
from support.scenes import FIXTURES, KB, MB, Scene

import dumpmap
from dumpmap.analysis.owners import find_owners
from dumpmap.analysis.ownership import NOBODY, Claim, OwnerName, Proof, add_claims, assign, owner_at, ownership_of
from dumpmap.api import RegionMap
from dumpmap.model.types import RegionType

NODE = FIXTURES / "runtimes" / "node-18.dmp.gz"
SOME = [NODE, FIXTURES / "layout-wow64.dmp.gz", FIXTURES / "runtimes" / "java-17-g1.dmp.gz"]


def claim(name: str, *ranges: tuple[int, int], shares: bool = False, type: RegionType | None = None) -> Claim:
    return Claim(OwnerName(name), ranges, Proof("memory-info", ranges[0][0]), shares=shares, type=type)


def spaces(*sizes: int) -> tuple[RegionMap, list[int]]:
    """A map with allocations of these sizes, half of each committed: two blocks."""
    scene = Scene(64)
    bases = [scene.allocate(size, commit=size // 2) for size in sizes]
    return scene.map(), bases


@pytest.mark.parametrize("path", SOME, ids=lambda path: path.name)
def test_rows_add_up_to_the_owners(path: Path) -> None:
    m = dumpmap.open(path)
    blocks = m.regions
    sizes: Counter[str] = Counter()
    for owner, size, region_type in zip(blocks["owner"], blocks["size"], blocks["type"], strict=True):
        if owner and region_type != "Unusable":
            sizes[owner] += size
    expected: Counter[str] = Counter()
    for one in find_owners(m).owners:
        expected[one.owner] += one.size
    assert sizes == expected
    assert ownership_of(m) is ownership_of(m)


@pytest.mark.parametrize("path", SOME, ids=lambda path: path.name)
def test_an_allocation_has_the_owner_with_most_of_its_bytes(path: Path) -> None:
    m = dumpmap.open(path)
    per_allocation: dict[int, Counter[tuple[str, str]]] = {}
    blocks = m.regions
    for base, owner, module, size in zip(
        blocks["allocation"], blocks["owner"], blocks["owner_module"], blocks["size"], strict=True
    ):
        per_allocation.setdefault(base, Counter())[owner, module] += size if owner else 0
    rows = m.allocations
    for base, owner, module in zip(rows["address"], rows["owner"], rows["owner_module"], strict=True):
        largest = max(per_allocation[base].values())
        assert per_allocation[base][owner, module] == largest
    assert set(rows["owner"][rows["type"].isin(["Free", "Unusable"])]) == {""}


def test_the_first_claim_stays_and_the_rest_goes_to_who_shares() -> None:
    m, (a, b) = spaces(MB, MB)
    proof_a, proof_b = Proof("memory-info", a), Proof("memory-info", b)

    def owners(*claims: Claim) -> list[tuple[str, bool, Proof | None]]:
        ownership = assign(m, claims)
        rows = np.searchsorted(ownership.rows.base, np.array([a, a + MB // 2, b, b + MB // 2], np.uint64)).tolist()
        return [(ownership.name_at(r).owner, bool(ownership.inferred[r]), ownership.proof_at(r)) for r in rows]

    half = claim("first", (a, 512 * KB), shares=True)
    second, third = claim("second", (b, MB), (a, MB)), claim("third", (b, MB))
    assert owners(half, second, third) == [
        ("first", False, proof_a),
        ("second", False, proof_b),
        ("second", False, proof_b),
        ("second", False, proof_b),
    ]
    assert owners(half)[:2] == [("first", False, proof_a), ("first", True, None)]
    assert owners(claim("x", (a, 512 * KB)))[:2] == [("x", False, proof_a), ("", False, None)]
    # Two owners in one allocation: nobody knows whose the rest is.
    scene = Scene(64)
    base = scene.allocate(MB, commit=256 * KB)
    scene.protect(base, 128 * KB, 2)
    both = assign(
        scene.map(),
        [claim("x", (base, 128 * KB), shares=True), claim("y", (base + 128 * KB, 128 * KB), shares=True)],
    )
    assert Counter(both.owner.tolist())[NOBODY] == 1


def test_further_claims_take_only_what_nobody_owns() -> None:
    m, (a, b) = spaces(MB, MB)
    guess = Claim(OwnerName("guess"), ((a, 2 * MB), (b, MB)), Proof("peb", 7), inferred=True)
    first = assign(m, [claim("first", (a, 512 * KB), shares=True)])
    ownership = add_claims(first, [guess, claim("late", (b, MB))])
    rows = np.searchsorted(ownership.rows.base, np.array([a, a + MB // 2, b, b + MB // 2], np.uint64)).tolist()
    assert [ownership.name_at(row).owner for row in rows] == ["first", "first", "guess", "guess"]
    assert [bool(ownership.inferred[row]) for row in rows] == [False, True, True, True]
    assert [ownership.proof_at(row) for row in rows][1:3] == [None, Proof("peb", 7)]
    assert [first.name_at(row).owner for row in rows] == ["first", "first", "", ""]


def test_a_claim_of_one_type_leaves_other_types_alone() -> None:
    m, (a,) = spaces(MB)
    assert (assign(m, [claim("x", (a, MB), type=RegionType.IMAGE)]).owner == NOBODY).all()
    ownership = assign(m, [claim("x", (a, MB), type=RegionType.PRIVATE_DATA)])
    assert Counter(ownership.owner.tolist())[0] == 2


@pytest.mark.parametrize("size", [0, 1 << 64, (1 << 64) - 1])
def test_a_claim_of_an_impossible_size(size: int) -> None:
    m, (a,) = spaces(MB)
    ownership = assign(m, [claim("x", (a, size))])
    row = int(np.searchsorted(ownership.rows.base, np.uint64(a)))
    assert (int(ownership.owner[row]) == NOBODY) == (size == 0)


def test_who_owns_an_address() -> None:
    m = dumpmap.open(NODE)
    page = next(
        part
        for found in m.structures.found
        for part in found.ranges
        if part.owner == "V8" and part.kind == "V8 old space"
    )
    owner = owner_at(m, page.base + 100)
    assert owner is not None
    assert owner.name == OwnerName("V8", "node.exe", page.instance)
    assert (owner.proof, owner.evidence, owner.inferred) == (Proof("v8-page", page.base), "v8-page", False)
    rest = ownership_of(m).rest
    row = int(np.flatnonzero(rest)[0])
    between = owner_at(m, int(ownership_of(m).rows.base[row]))
    assert between is not None
    assert (between.proof, between.evidence, between.inferred) == (None, "same-allocation", True)
    module = m.snapshot.modules[0]
    image = owner_at(m, module.base)
    assert image is not None
    assert (image.name.owner, image.proof) == (module.name, Proof("module-list", module.base))
    assert owner_at(m, 0) is None
    assert owner_at(m, (1 << 64) - 1) is None


def test_many_blocks_with_many_claims() -> None:
    m = large_map(100_000)
    rows = m.block_columns
    claims = [claim(f"owner {n % 7}", (int(rows.base[n * 9]), 4096)) for n in range(10_000)]
    ownership = assign(m, claims)
    assert [ownership.name_at(n * 9).owner for n in range(10_000)] == [f"owner {n % 7}" for n in range(10_000)]
    assert int((ownership.owner != NOBODY).sum()) == 10_000
    for index in range(0, len(m.space), 997):
        codes: Counter[int] = Counter()
        for row in np.flatnonzero(rows.allocation == index).tolist():
            codes[int(ownership.owner[row])] += int(rows.size[row])
        del codes[NOBODY]
        owner = int(ownership.of_allocations[index])
        assert (owner == NOBODY) if not codes else codes[owner] == max(codes.values())
