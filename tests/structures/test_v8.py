"""V8's heap pages: recorded processes against V8's own statistics, and pages that lie."""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.hostile import spoiled_maps
from support.maps import FIXTURES
from synth.minidump import MEM_COMMIT, MEM_IMAGE, MEM_PRIVATE, PAGE_READONLY, PAGE_READWRITE, MinidumpBuilder

import dumpmap
from dumpmap.analysis.owners import find_owners
from dumpmap.api import RegionMap
from dumpmap.model.runtime_limits import RuntimeLimit
from dumpmap.model.types import RegionType
from dumpmap.structures.recognisers.v8 import Isolate, _word_sizes
from dumpmap.wording.verdicts import verdict

FOLDER = Path(__file__).parents[1] / "fixtures" / "runtimes"
RECORDED = sorted(path.name.partition(".")[0] for path in FOLDER.glob("node-*.truth.json"))

PAGE, HEAP, IMAGE, ALLOCATOR = 0x40000, 0x700000, 0x1400000, 0x1401000
BESIDE = HEAP + 0x3000


MB = 1 << 20


def sizes_by_name(isolate: Isolate) -> dict[str, int]:
    """The pages' bytes by name of the space; a space of two halves counts once."""
    sums: dict[str, int] = {}
    for space in isolate.spaces:
        sums[space.name] = sums.get(space.name, 0) + sum(page.size for page in space.pages)
    return sums


def isolates(region_map: RegionMap) -> tuple[Isolate, ...]:
    return region_map.structures.facts_of(Isolate)


# ---------------------------------------------------------------- recorded processes


def stated(name: str) -> dict[str, Any]:
    truth: dict[str, Any] = json.loads((FOLDER / f"{name}.truth.json").read_text(encoding="utf-8"))
    return truth


@pytest.mark.parametrize("name", RECORDED)
def test_spaces_are_what_v8_says(name: str) -> None:
    truth = stated(name)
    found = isolates(dumpmap.open(FOLDER / f"{name}.dmp.gz"))
    assert [isolate.unproved_pages for isolate in found] == [0, 0]
    assert {isolate.version for isolate in found} == {truth["main"]["version"].partition("-")[0]}
    assert {isolate.module for isolate in found} == {"node.exe"}
    equal = total = 0
    for isolate, of in zip(found, ("main", "worker"), strict=True):
        rows = {
            row["space_name"].replace("_", " ").replace("read only", "read-only"): row for row in truth[of]["spaces"]
        }
        for space, size in sizes_by_name(isolate).items():
            total += 1
            equal += size == rows[space]["space_size"]
    # A collection between the statistics and the dump moves pages from one space to another.
    assert equal >= total - 3
    assert name != "node-18" or equal == total


@pytest.mark.parametrize("name", RECORDED)
def test_the_limits_are_what_v8_says(name: str) -> None:
    region_map, truth = dumpmap.open(FOLDER / f"{name}.dmp.gz"), stated(name)
    found = isolates(region_map)
    # In 32 bits both isolates happen to have semispaces of 8 MB.
    assert len({isolate.limits for isolate in found}) == (1 if name.endswith("x86") else 2)
    for isolate, of in zip(found, ("main", "worker"), strict=True):
        assert isolate.limits is not None
        assert isolate.limits.heap_size == truth[of]["heap"]["heap_size_limit"]
        # The scene's option, which V8 does not state by itself.
        assert isolate.limits.old_generation == 300 * MB
        # Pages count what threads have set aside for their next objects as used, V8 does not; and objects grow old
        # between the statistics and the dump.
        old = [row for row in truth[of]["spaces"] if not row["space_name"].startswith(("new_", "read_only", "shared"))]
        sizes = [size for space, size in sizes_by_name(isolate).items() if not space.startswith(("new", "read"))]
        assert isolate.old_generation_used is not None
        assert 0.9 * sum(row["space_used_size"] for row in old) <= isolate.old_generation_used < sum(sizes)
    limits = region_map.structures.facts_of(RuntimeLimit)
    assert [(limit.used, limit.limit) for limit in limits] == [
        (isolate.old_generation_used, 300 * MB) for isolate in found
    ]
    judged = verdict(region_map)
    assert (judged.heap_limit["state"], judged.heap_limit["limit"]) == ("ok", 300 * MB)


@pytest.mark.parametrize("name", RECORDED)
def test_a_snapshot_gives_the_same_heaps(name: str, tmp_path: Path) -> None:
    region_map = dumpmap.open(FOLDER / f"{name}.dmp.gz")
    target = tmp_path / "x.json.zst"
    region_map.to_snapshot(target)
    again = dumpmap.open(target)
    assert isolates(again) == isolates(region_map)
    assert again.regions.equals(region_map.regions)
    assert find_owners(again) == find_owners(region_map)


@pytest.mark.parametrize("name", RECORDED)
def test_most_private_memory_has_an_owner_by_facts(name: str) -> None:
    owners = find_owners(dumpmap.open(FOLDER / f"{name}.dmp.gz"), [RegionType.PRIVATE_DATA])
    # Without what Wine adds of its own, which no process has on Windows.
    wine = sum(owner.committed for owner in owners.owners if owner.owner == "Wine")
    assert (owners.owned_private_facts - wine) / (owners.private_committed - wine) > 0.92


# ---------------------------------------------------------------- built pages


def layout_9(page: int, size: int, heap: int, space: int, allocator: int) -> list[int]:
    """The header of V8 9.1 to 11.3: size, flags, heap, area, allocated, wasted, high-water mark, owner, reservation."""
    return [size, 5, heap, page + 0x3000, page + size, size - 0x4000, 0, 0x3000, space, allocator, page, size]


def layout_12(page: int, size: int, heap: int, space: int, allocator: int) -> list[int]:
    """The header of V8 12.4: flags, itself, size, heap, area, allocated, wasted, high water, owner, reservation."""
    return [4, page, size, heap, page + 0x3000, page + size, size - 0x4000, 0, 0x3000, space, allocator, page, size]


def detached(page: int, size: int, heap: int, space: int, allocator: int) -> list[int]:
    """The metadata of V8 13.6: reservation, allocated, wasted, high-water mark, size, area end, heap, area, owner."""
    return [allocator, page, size, size - 0x4000, 0, 0, size, page + size, heap, page + 0x20, space]


def packed(words: Sequence[int], bits: int) -> bytes:
    """Words of a process, and zeros behind them."""
    return struct.pack(f"<{len(words)}{'Q' if bits == 64 else 'I'}", *words).ljust(0x80, b"\0")


def process(
    form: str,
    *,
    bits: int = 64,
    stated: int | None = None,
    spoil: tuple[int, int] | None = None,
    heap: tuple[int, ...] = (),
    beside: tuple[int, ...] = (),
    second: int = 0x10040000,
) -> MinidumpBuilder:
    """Two pages of the old space and one large page, as version `form` lays them out.

    Args:
        form: `9`, `12` or `13`.
        bits: the width of a word.
        stated: what the old space states instead of the truth.
        spoil: index of a word of the first page's header (or metadata), and its value.
        heap: words of the Heap.
        beside: words of an object that the Heap may point to, at `BESIDE`.
        second: where the second page is.
    """
    dump = MinidumpBuilder("x64" if bits == 64 else "x86").system_info()
    dump.module(IMAGE, 0x100000, "C:\\app\\electron.exe")
    dump.region(HEAP, 0x10000, MEM_COMMIT, PAGE_READWRITE, MEM_PRIVATE)
    dump.region(IMAGE, 0x100000, MEM_COMMIT, PAGE_READONLY, MEM_IMAGE)
    old, large = HEAP + 0x1000, HEAP + 0x1100
    pages = [(0x10000000, PAGE, old), (second, PAGE, old), (0x20000000, 0x65000, large)]
    inside = second > 0x20000000
    for base, size in ((0x10000000, PAGE), (0x10040000, PAGE), (0x20000000, 2 * PAGE if inside else 0x65000)):
        dump.region(base, size, MEM_COMMIT, PAGE_READWRITE, MEM_PRIVATE)
    if bits == 64:
        dump.region(0x7FF000000000, 0x1000, MEM_COMMIT, PAGE_READWRITE, MEM_PRIVATE)
    for number, (base, size, space) in enumerate(pages):
        words = {"9": layout_9, "12": layout_12, "13": detached}[form](base, size, HEAP, space, ALLOCATOR)
        if spoil is not None and number == 0:
            words[spoil[0]] = spoil[1]
        if form == "13":
            metadata = HEAP + 0x2000 + 0x100 * number
            dump.memory(metadata, packed(words, bits))
            words = [4, metadata]
        dump.memory(base, packed(words, bits))
    dump.memory(HEAP, packed(heap, bits).ljust(0xC00, b"\0"))
    dump.memory(BESIDE, packed(beside, bits))
    dump.memory(old, packed([ALLOCATOR, HEAP, 1, 2 * PAGE if stated is None else stated], bits))
    dump.memory(large, packed([ALLOCATOR, HEAP, 4, 0x65000], bits))
    return dump


@pytest.mark.parametrize("bits", [64, 32])
@pytest.mark.parametrize("form", ["9", "12", "13"])
def test_each_layout_is_read(form: str, bits: int) -> None:
    region_map = dumpmap.open(process(form, bits=bits).build())
    (isolate,) = isolates(region_map)
    assert isolate.heap == HEAP
    assert isolate.version is None
    assert isolate.module == "electron.exe"
    assert [(space.committed, len(space.pages)) for space in isolate.spaces] == [(2 * PAGE, 2), (0x65000, 1)]
    rows = region_map.regions
    assert rows[rows["kind"] == "V8 page"]["size"].sum() == 2 * PAGE + 0x65000
    # A name and an owner, never another type.
    assert set(rows[rows["kind"] == "V8 page"]["type"]) == {"Private Data"}


def test_pages_that_do_not_add_up_are_not_claimed() -> None:
    region_map = dumpmap.open(process("9", stated=3 * PAGE).build())
    (isolate,) = isolates(region_map)
    assert [space.committed for space in isolate.spaces] == [0x65000]
    assert (isolate.unproved_pages, isolate.unproved_bytes) == (2, 2 * PAGE)
    assert any("2 V8 pages (524,288 bytes) do not add up" in note for note in region_map.notes)
    rows = region_map.regions
    assert rows[rows["kind"] == "V8 page"]["size"].sum() == 0x65000


@pytest.mark.parametrize(
    ("word", "value"),
    [
        (0, PAGE + 0x1000),
        (2, 0x701000),
        (3, 0x30000000),
        (4, 0x90000000),
        (5, PAGE + 1),
        (9, 3),
        (10, 0x10040000),
        (11, 0),
    ],
)
def test_a_header_that_contradicts_itself_is_no_page(word: int, value: int) -> None:
    (isolate,) = isolates(dumpmap.open(process("9", spoil=(word, value)).build()))
    # One page less: the old space does not add up any more, the large one does.
    assert [space.committed for space in isolate.spaces] == [0x65000]


@pytest.mark.parametrize(
    ("dump", "images", "sizes"),
    [(8, (8, 8), (8,)), (8, (8, 4), (8, 4)), (8, (), (8,)), (4, (4,), (4,)), (4, (), (4,))],
)
def test_a_64_bit_dump_of_a_32_bit_process_may_hold_either_v8(
    dump: int, images: tuple[int, ...], sizes: tuple[int, ...]
) -> None:
    known = {number: SimpleNamespace(pointer_size=size) for number, size in enumerate(images)}
    assert _word_sizes(SimpleNamespace(pointer_size=dump, images=known)) == sizes  # type: ignore[arg-type]


# ---------------------------------------------------------------- built limits

FILLING = (0, 0x140005000, HEAP + 0x40, 7, 0x2C36, 0x2C36, 0)


def in_heap(young: tuple[int, ...] = (16 * MB, MB), /, **other: int) -> tuple[int, ...]:
    """Words of a Heap up to V8 13.6: semispaces, then least, limit, least and limit of all, configured, -, initial."""
    limits = {"least": 0, "limit": 300 * MB, "least_all": 0, "all": 600 * MB, "configured": 300 * MB}
    limits |= {"threshold": 0, "initial": 150 * MB} | other
    return (*FILLING, *young, *limits.values())


def in_object(**other: int) -> tuple[int, ...]:
    """The object that V8 14.6 keeps the limits in."""
    limits = {"heap": HEAP, "track": 0x940318, "configured": 300 * MB, "initial": 150 * MB, "flag": 0x1462D7601}
    limits |= {"least": 0, "limit": 300 * MB, "least_all": 0, "all": 600 * MB} | other
    return tuple(limits.values())


def limits_of(form: str, heap: tuple[int, ...], beside: tuple[int, ...] = ()) -> tuple[int, int | None] | None:
    region_map = dumpmap.open(process(form, heap=heap, beside=beside).build())
    (isolate,) = isolates(region_map)
    return None if isolate.limits is None else (isolate.limits.old_generation, isolate.limits.semispace)


def test_limits_are_found_wherever_they_are() -> None:
    assert limits_of("9", in_heap()) == (300 * MB, 16 * MB)
    assert limits_of("9", (*FILLING, *in_heap())) == (300 * MB, 16 * MB)
    # The near-heap-limit callback raised the limit; a least size was set.
    raised = {"limit": 310 * MB + 5, "all": 2 * (310 * MB + 5), "least": MB, "least_all": 2 * MB}
    assert limits_of("9", in_heap(**raised)) == (310 * MB + 5, 16 * MB)


def test_limits_that_contradict_themselves_are_not_believed() -> None:
    for lie in (
        {"all": 601 * MB},
        {"least": MB},
        {"least": 301 * MB, "least_all": 602 * MB},
        {"configured": 301 * MB},
        {"configured": 300 * MB - 4096},
        {"configured": 0},
        {"initial": 151 * MB},
        {"initial": 0},
    ):
        assert limits_of("9", in_heap(**lie)) is None, lie
        assert limits_of("13", (*FILLING[:4], 64 * MB, MB, MB, BESIDE), in_object(**lie)) is None, lie
    # Two places that agree with themselves prove neither.
    assert limits_of("9", (*in_heap(), *in_heap(limit=200 * MB, all=400 * MB, configured=200 * MB, initial=MB))) is None


@pytest.mark.parametrize(
    ("words", "believed"),
    [
        ({"limit": (1 << 47) - 1, "all": (1 << 48) - 2}, True),
        ({"limit": 1 << 47, "all": 1 << 48}, False),
        ({"least": 300 * MB, "least_all": 600 * MB}, True),
        ({"least": 300 * MB + 1, "least_all": 600 * MB + 2}, False),
        ({"configured": 0x40000, "initial": 1}, True),
        ({"configured": 0x40000, "initial": 0x20000}, True),
        ({"configured": 0x40000, "initial": 0x20001}, False),
    ],
)
def test_limits_at_the_bounds_of_what_is_believed(words: dict[str, int], believed: bool) -> None:
    limit = words.get("limit", 300 * MB)
    assert limits_of("9", in_heap(**words)) == ((limit, 16 * MB) if believed else None)
    beside = limits_of("13", (*FILLING[:4], 64 * MB, MB, MB, BESIDE), in_object(**words))
    assert (beside is not None and beside[0] == limit) is believed


@pytest.mark.parametrize(
    ("most", "least", "believed"),
    [
        (1 << 39, MB, True),
        (1 << 40, MB, False),
        (MB, MB, True),
        (MB // 2, MB, False),  # the least one exceeds it
        (16 * MB, 0x40000, True),
        (16 * MB, 0x20000, False),  # half a page
        (16 * MB, 0, False),
        (16 * MB + 1, MB, False),
    ],
)
def test_semispaces_at_the_bounds_of_what_is_believed(most: int, least: int, believed: bool) -> None:
    assert limits_of("9", in_heap((most, least))) == (300 * MB, most if believed else None)


def test_a_semispace_that_can_be_read_in_two_ways_is_unknown() -> None:
    assert limits_of("9", in_heap((15 * MB, MB))) == (300 * MB, None)
    # A code range of 128 MB, or the limit of a semispace, as in V8 13? The version is not known here.
    assert limits_of("9", in_heap((128 * MB, 16 * MB, MB))) == (300 * MB, None)
    assert limits_of("13", in_heap((64 * MB, MB, MB))) == (300 * MB, None)


def test_limits_beside_the_heap_must_point_back() -> None:
    heap = (*FILLING[:4], 32 * MB, MB, MB, *([0] * 200), BESIDE + 1, 8, BESIDE, 1 << 60)
    assert limits_of("13", heap, in_object()) == (300 * MB, 32 * MB)
    assert limits_of("13", heap, in_object(heap=HEAP + 8)) is None
    assert limits_of("13", (*heap, BESIDE), in_object()) == (300 * MB, 32 * MB)
    young = (32 * MB, MB, MB, 64 * MB, MB, MB)
    assert limits_of("13", (*FILLING[:4], *young, BESIDE), in_object()) == (300 * MB, None)


def test_an_old_generation_near_its_limit_is_a_warning() -> None:
    used = 2 * (PAGE - 0x4000) + 0x65000 - 0x4000
    limit = used * 100 // 95
    words = in_heap(limit=limit, all=2 * limit, configured=2 * PAGE, initial=PAGE)
    judged = verdict(dumpmap.open(process("9", heap=words).build()))
    assert judged.verdict == "heap-limit-near"
    assert (judged.heap_limit["used"], judged.heap_limit["limit"]) == (used, limit)
    words = in_heap(limit=2 * limit, all=4 * limit, configured=2 * PAGE, initial=PAGE)
    assert verdict(dumpmap.open(process("9", heap=words).build())).verdict == "no-memory-problem-seen"


def test_a_page_inside_another_page_is_an_object_that_looks_like_one() -> None:
    region_map = dumpmap.open(process("9", second=0x20040000).build())
    (isolate,) = isolates(region_map)
    assert isolate.unproved_pages == 1
    assert [page.base for space in isolate.spaces for page in space.pages] == [0x20000000]


def test_a_module_with_v8_and_no_page_gets_a_note() -> None:
    def noted(data: bytes) -> bool:
        region_map = dumpmap.open(data)
        assert isolates(region_map) == ()
        return any(note.startswith("electron.exe: no JavaScript heap could be") for note in region_map.notes)

    assert not any("no JavaScript heap" in note for note in dumpmap.open(process("13").build()).notes)
    # Pages of spaces that belong to another heap.
    spaces = struct.pack("<2Q", ALLOCATOR, HEAP)
    assert noted(process("9").build().replace(spaces, struct.pack("<2Q", ALLOCATOR, HEAP + 8)))
    # A dump without memory, and one without a list of regions.
    bare = MinidumpBuilder("x64").system_info().module(IMAGE, 0x100000, "C:\\app\\electron.exe")
    assert noted(bare.build())
    assert noted(bare.memory(0x10000000, bytes(64)).build())
    # A sandboxed build has an index where the address of the metadata should be.
    dump = MinidumpBuilder("x64").system_info().module(IMAGE, 0x100000, "C:\\app\\electron.exe")
    dump.region(0x10000000, PAGE, MEM_COMMIT, PAGE_READWRITE, MEM_PRIVATE)
    assert noted(dump.memory(0x10000000, packed([4, 17], 64)).build())


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 1])
def test_a_truncated_dump_names_isolates_or_gets_a_note(share: float) -> None:
    whole = gzip.decompress((FOLDER / "node-18.dmp.gz").read_bytes())
    region_map = dumpmap.open(whole[: int(len(whole) * share)])
    noted = any(note.startswith("node.exe: no JavaScript heap could be") for note in region_map.notes)
    assert noted == (not isolates(region_map))
    assert isolates(region_map) or share < 0.9


def test_a_process_without_v8_is_not_searched() -> None:
    dump = process("9")
    data = dump.build().replace("electron.exe".encode("utf-16-le"), "program0.exe".encode("utf-16-le"))
    assert isolates(dumpmap.open(data)) == ()


@pytest.mark.parametrize("form", ["9", "12", "13"])
def test_spoiled_bytes_never_raise_and_never_prove_a_lie(form: str) -> None:
    good = process(form).build()
    for region_map in spoiled_maps(good, form, 300):
        for isolate in isolates(region_map):
            for space in isolate.spaces:
                assert space.committed == sum(page.size for page in space.pages)


@pytest.mark.parametrize("percent", [70, 90, 95])
def test_a_heap_of_which_pages_are_missing_is_not_called_small(percent: int) -> None:
    """A dump that was cut off has some spaces whole: their sum says nothing about the heap."""
    data = gzip.decompress((FIXTURES / "runtimes" / "full-node-22.dmp.gz").read_bytes())
    whole, cut = dumpmap.open(data), dumpmap.open(data[: len(data) * percent // 100])
    assert verdict(whole).heap_limit["state"] == "low"
    axis = verdict(cut).heap_limit
    assert (axis["state"], axis["used"], axis["limit"]) == ("unknown", None, 64 << 20)
    assert [note for note in cut.notes if note.startswith("node.exe: ") and ("unknown" in note or "add up" in note)]
    assert [owner.facts and owner.facts.used for owner in find_owners(cut).owners if owner.owner == "V8"] == [None]
