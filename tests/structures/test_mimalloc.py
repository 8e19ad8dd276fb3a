"""mimalloc: recorded processes against what mimalloc and its callers state, and segments that lie."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from support.counting import CountingMemory
from support.hostile import spoiled_maps
from support.structures import MEM_COMMIT, MEM_PRIVATE, MapSpace
from synth.mimalloc import HEAP_AT, RELEASES, SECRETS, Mimalloc

import dumpmap
from dumpmap.analysis.owners import find_owners
from dumpmap.api import RegionMap
from dumpmap.model.recognised import Found
from dumpmap.structures.recognisers import REGISTRY
from dumpmap.structures.recognisers import mimalloc as recogniser
from dumpmap.structures.recognisers.protocol import LARGE, Context

FOLDER = Path(__file__).parents[1] / "fixtures" / "allocators"
RECORDED = sorted(path.name.partition(".")[0] for path in FOLDER.glob("mimalloc-*.dmp.gz"))


def copies(region_map: RegionMap) -> tuple[recogniser.Mimalloc, ...]:
    return region_map.structures.facts_of(recogniser.Mimalloc)


def truth_of(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.truth.json").read_text(encoding="utf-8"))


def bases(region_map: RegionMap) -> list[int]:
    return [segment.base for copy in copies(region_map) for segment in copy.segments]


# ---------------------------------------------------------------- recorded processes


@pytest.mark.parametrize("name", ["mimalloc-x64", "mimalloc-x86"])
def test_segments_are_those_that_mimalloc_names(name: str) -> None:
    truth = truth_of(name)
    (copy,) = copies(dumpmap.open(FOLDER / f"{name}.dmp.gz"))
    workers = [truth[worker] for worker in ("main", "waiting", "ended")]
    stated = {block[2] for worker in workers for block in worker["blocks"]} | {truth["huge"][2]}
    assert {segment.base for segment in copy.segments} == stated
    assert copy.arenas == ((truth["arena"][0], sum(truth["arena"])),)
    assert {segment.size for segment in copy.segments if not segment.huge} == {truth["segment_size"]}
    assert truth["huge"][2] in [segment.base for segment in copy.segments if segment.huge]
    ranges = {segment.base: segment.base + segment.size for segment in copy.segments}
    for address, size, segment in (*(block for worker in workers for block in worker["blocks"]), truth["huge"]):
        assert segment <= address < address + size <= ranges[segment]


@pytest.mark.parametrize("name", ["mimalloc-x64", "mimalloc-x86"])
def test_segments_belong_to_the_thread_that_allocates_from_them(name: str) -> None:
    truth = truth_of(name)
    region_map = dumpmap.open(FOLDER / f"{name}.dmp.gz")
    instances = {part.base: part.instance for part in region_map.structures.ranges if part.owner == "mimalloc"}
    for worker in (truth["main"], truth["waiting"], truth["ended"]):
        for _, _, segment in worker["blocks"]:
            assert instances[segment] == (f"thread {worker['thread']}" if worker["alive"] else "")
    assert instances[truth["huge"][2]] == f"thread {truth['main']['thread']}"


def test_arrow_buffers_lie_in_segments_of_arrow() -> None:
    truth = truth_of("mimalloc-pyarrow")
    assert truth["backend"] == "mimalloc"
    (copy,) = copies(dumpmap.open(FOLDER / "mimalloc-pyarrow.dmp.gz"))
    assert copy.module.name == "arrow.dll"
    for address, size in truth["buffers"]:
        assert any(part.base <= address < address + size <= part.base + part.size for part in copy.segments)
    assert sum(part.size for part in copy.segments) >= truth["bytes_allocated"]


def test_ruff_takes_its_memory_from_one_arena() -> None:
    region_map = dumpmap.open(FOLDER / "mimalloc-ruff.dmp.gz")
    (copy,) = copies(region_map)
    ((start, end),) = copy.arenas
    # The only large private allocation of the process, which mimalloc reserves when it starts.
    assert end - start == 1 << 30
    owners = find_owners(region_map)
    assert owners.owned_share_facts is not None
    assert owners.owned_share_facts > 0.85
    mine = [owner for owner in owners.owners if owner.owner == "mimalloc"]
    assert {owner.module for owner in mine} == {"ruff.exe"}
    assert sum(owner.size for owner in mine) == 1 << 30
    assert len(mine) > 2  # several threads


@pytest.mark.parametrize("name", RECORDED)
def test_a_snapshot_gives_the_same_segments(name: str, tmp_path: Path) -> None:
    region_map = dumpmap.open(FOLDER / f"{name}.dmp.gz")
    target = tmp_path / "x.json.zst"
    region_map.to_snapshot(target)
    again = dumpmap.open(target)
    assert copies(again) == copies(region_map)
    assert find_owners(again) == find_owners(region_map)


# ---------------------------------------------------------------- built segments


@pytest.mark.parametrize("release", RELEASES)
def test_every_release_is_read(release: str) -> None:
    build = Mimalloc(release)
    ordinary = build.add_segment(owner=1)
    huge = build.add_segment(size=build.unit + 4 * build.slice)
    small_huge = build.add_segment(size=build.unit // 2 + build.slice)
    left = build.add_segment(owner=-1)
    region_map = dumpmap.open(build.dump())
    (copy,) = copies(region_map)
    assert copy.module.name == "tool.exe"
    assert copy.version == f"{release[0]}.x"
    found = {segment.base: (segment.size, segment.huge) for segment in copy.segments}
    assert found == {
        ordinary: (build.unit, False),
        huge: (build.unit + 4 * build.slice, True),
        small_huge: (build.unit // 2 + build.slice, True),
        left: (build.unit, False),
    }
    rows = region_map.allocations.set_index("address")
    assert rows.loc[ordinary, "kind"] == "mimalloc segment"
    assert rows.loc[huge, "kind"] == "mimalloc huge segment"
    blocks = region_map.regions.set_index("address")
    assert blocks.loc[ordinary, "details"] == f"tool.exe, thread {build.threads[1].tid}"
    # A name and an owner, never another type.
    assert set(rows.loc[list(found), "type"]) == {"Private Data"}


@pytest.mark.parametrize("described", [True, False])
@pytest.mark.parametrize("release", ["2.0.9", "2.0.9 x86", "2.2"])
def test_an_arena_is_claimed_as_a_whole(release: str, described: bool) -> None:
    build = Mimalloc(release)
    start = build.add_arena(4, described=described)
    build.add_segment(start + build.unit)
    region_map = dumpmap.open(build.dump())
    (copy,) = copies(region_map)
    assert copy.arenas == ((start, start + 4 * build.unit),)
    parts = {kind: of["size"].sum() for kind, of in region_map.regions.groupby("kind")}
    assert (parts["mimalloc segment"], parts["mimalloc arena"]) == (build.unit, 3 * build.unit)


@pytest.mark.parametrize("blocks", [0, 5, 1 << 20])
def test_an_arena_that_states_too_much_is_not_claimed(blocks: int) -> None:
    build = Mimalloc("2.2")
    build.add_segment(build.add_arena(4, blocks=blocks))
    (copy,) = copies(dumpmap.open(build.dump()))
    assert copy.arenas == ()


def test_two_copies_are_told_apart() -> None:
    build, other = Mimalloc("2.2"), Mimalloc("2.2", module="C:\\app\\plugin.dll")
    other.process, other.threads = build.process, build.threads
    other.data, _ = build.process.add_module("C:\\app\\plugin.dll", dll=True).sections[".data"]
    other.secret = 0x7777_1234_5678_9ABC
    build.process.pointer(other.data + HEAP_AT, other.secret)
    mine, theirs = build.add_segment(), other.add_segment()
    found = {copy.module.name: [part.base for part in copy.segments] for copy in copies(dumpmap.open(build.dump()))}
    assert found == {"tool.exe": [mine], "plugin.dll": [theirs]}


# ---------------------------------------------------------------- lies


@pytest.mark.parametrize("release", RELEASES)
def test_a_cookie_that_no_module_bears_out_proves_nothing(release: str) -> None:
    build = Mimalloc(release, kept=SECRETS[RELEASES[release].bits] ^ 0x10)
    build.add_segment()
    build.add_segment()
    assert bases(dumpmap.open(build.dump())) == []


@pytest.mark.parametrize("release", ["1.6 x86", "2.0.9 x86"])
def test_32_bits_alone_prove_nothing(release: str) -> None:
    build = Mimalloc(release)
    build.process.pointer(build.data + HEAP_AT + 8, 0x1234)  # the main heap names no thread of the process
    build.add_segment()
    assert bases(dumpmap.open(build.dump())) == []


@pytest.mark.parametrize(
    ("release", "lies"),
    [
        ("1.6", {"info": 0}),
        ("1.6", {"capacity": 65}),
        ("1.6", {"used": 65}),
        ("1.6", {"page_kind": 7}),
        ("1.6", {"shift": 17}),
        ("1.9", {"bytes": 0x500000}),
        ("1.9", {"bytes": 1 << 40}),
        ("2.0.6", {"entries": 1025}),
        ("2.0.9", {"slices": 513}),
        ("2.0.9", {"slices": 1 << 60, "kind": 1}),
        ("2.0.9", {"info_slices": 0}),
        ("2.0.9", {"info_slices": 600}),
        ("2.2", {"kind": 2}),
        ("2.2", {"used": 600}),
        ("2.2", {"abandoned": 2}),
        ("2.2", {"thread": 0x1234}),
        ("2.2", {"cookie": 0x2_0000_0000}),
        ("2.2", {"cookie": 0}),
    ],
)
def test_a_header_that_contradicts_itself_is_no_segment(release: str, lies: dict[str, int]) -> None:
    build = Mimalloc(release)
    good = build.add_segment()
    build.add_segment(**lies)
    assert bases(dumpmap.open(build.dump())) == [good]


def test_of_segments_that_overlap_the_first_stays() -> None:
    build = Mimalloc("2.2")
    start = build.place(4 * build.unit)
    build.add_segment(start, size=3 * build.unit)
    build.add_segment(start + build.unit)
    assert bases(dumpmap.open(build.dump())) == [start]


def test_a_segment_ends_within_its_allocation() -> None:
    build = Mimalloc("2.2")
    start = build.place(2 * build.unit)
    build.add_segment(start, size=2 * build.unit, slices=2 * build.unit // build.slice + 1)
    assert bases(dumpmap.open(build.dump())) == []


def test_without_the_module_nothing_is_claimed() -> None:
    build = Mimalloc("2.2")
    build.add_segment()
    build.process.drop_range(build.data, 0x3000)
    assert bases(dumpmap.open(build.dump())) == []


@pytest.mark.parametrize("release", ["1.9", "2.0.9 x86", "2.2"])
def test_spoiled_bytes_never_raise_and_never_prove_a_lie(release: str) -> None:
    build = Mimalloc(release)
    build.add_segment(build.add_arena(4))
    build.add_segment(size=build.unit + build.slice)
    good = build.dump()
    for region_map in spoiled_maps(good, release, 200):
        memory = region_map.snapshot.memory
        for copy in copies(region_map):
            kept = memory.read(copy.secret_at, build.width)
            assert kept is not None
            for segment in copy.segments:
                header = memory.read(segment.base, 0x200)
                assert header is not None
                cookie = (segment.base ^ int.from_bytes(kept, "little")).to_bytes(build.width, "little")
                assert cookie in header


def test_places_that_are_no_segments_read_nothing_of_modules() -> None:
    """Only a header that agrees with itself makes the recogniser read the variables of modules."""
    build = Mimalloc("2.2")
    build.process.allocate(64 << 20, base=0x3_0000_0000, commit=64 << 20)
    region_map = dumpmap.open(build.dump())
    assert bases(region_map) == []
    snapshot = gzip.compress(build.dump())
    assert copies(dumpmap.open(snapshot)) == ()


def reserving(pointer_size: int, places: int, *captured: int) -> tuple[Context, CountingMemory]:
    """A process with one allocation that has room for many segments. The dump has a page at each `captured` place."""
    base, size = 0x10000000, places * LARGE
    space = MapSpace([(base, size, base, MEM_COMMIT, MEM_PRIVATE)])
    memory = CountingMemory([(0x10000, b"x" * 0x1000), *((base + place * LARGE, b"x" * 0x1000) for place in captured)])
    return Context(memory, space, "windows", 19045, pointer_size), memory


@pytest.mark.parametrize("places", [8, 64])
def test_reservations_without_their_bytes_cost_nothing(places: int) -> None:
    context, memory = reserving(8, places)
    assert "mimalloc" not in [entry.name for entry in REGISTRY.triggered(context)]
    assert memory.reads == 0
    context, memory = reserving(4, places)
    assert recogniser.find(context) == Found()
    assert memory.reads == 0


@pytest.mark.parametrize("pointer_size", [4, 8])
def test_only_captured_places_are_read(pointer_size: int) -> None:
    context, memory = reserving(pointer_size, 64, 3, 5)
    assert "mimalloc" in [entry.name for entry in REGISTRY.triggered(context)]
    assert recogniser.find(context) == Found()
    assert memory.reads == 2
