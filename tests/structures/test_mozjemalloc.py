"""mozjemalloc's chunks, which are inferred: headers that agree, and headers that only seem to."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from types import SimpleNamespace

import pytest
from support.hostile import spoiled_maps
from synth.process import ProcessBuilder

import dumpmap
from dumpmap.analysis.owners import find_owners
from dumpmap.api import RegionMap
from dumpmap.model.memory import ExcerptMemory
from dumpmap.structures.recognisers.mozjemalloc import Arena, _is_variable

CHUNK = 0x100000


def process(bits: int = 64, *, module: str = "C:\\firefox\\mozglue.dll") -> ProcessBuilder:
    build = ProcessBuilder("x64" if bits == 64 else "x86", 19045)
    build.add_peb()
    build.add_module(module)
    return build


def add_chunks(
    build: ProcessBuilder, arena: int, count: int, *, madvised: bool = False, runs: Sequence[int] = (2, 2, 4, 4, 4)
) -> list[int]:
    """Adds chunks whose pages from 2 on are parts of small runs that start at the pages in `runs`; 0 is a free page."""
    form = f"<{{}}{'Q' if build.pointer_size == 8 else 'I'}"
    places = []
    for _ in range(count):
        chunk = build.allocate(CHUNK, align=CHUNK)
        header = [arena, 0, 0, *([0, 0] if madvised else []), 3, 0]
        entries = [(0, 0, 0)] * 2 + [(0, 0, (chunk + run * 0x1000) | 1 if run else 0x8) for run in runs]
        words = [*header, *(word for entry in entries for word in entry)]
        build.write(chunk, struct.pack(form.format(len(words)), *words))
        places.append(chunk)
    return places


def arenas(region_map: RegionMap) -> dict[int, tuple[int, ...]]:
    return {arena.address: arena.chunks for arena in region_map.structures.facts_of(Arena)}


def arena_of(build: ProcessBuilder) -> int:
    """Adds the memory in which mozjemalloc keeps its arenas."""
    base = build.allocate(0x2000)
    build.pointer(base + 0x100, 1)
    return base + 0x100


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("madvised", [False, True])
def test_chunks_are_inferred_where_headers_agree(bits: int, madvised: bool) -> None:
    build = process(bits)
    arena = arena_of(build)
    chunks = add_chunks(build, arena, 5, madvised=madvised)
    chunks += add_chunks(build, arena, 1, runs=(0, 0, 0))  # no small blocks: its map says nothing
    region_map = dumpmap.open(build.to_minidump().build())
    assert arenas(region_map) == {arena: tuple(chunks)}
    (owner,) = [of for of in find_owners(region_map).owners if of.owner == "mozjemalloc"]
    assert owner.inferred
    assert (owner.module, owner.size) == ("mozglue.dll", 6 * CHUNK)
    assert find_owners(region_map).owned_share_facts == 0
    rows = region_map.allocations.set_index("address")
    assert set(rows.loc[chunks, "type"]) == {"Private Data"}


def test_few_chunks_are_not_claimed() -> None:
    build = process()
    add_chunks(build, arena_of(build), 3)
    assert arenas(dumpmap.open(build.to_minidump().build())) == {}


def test_chunks_whose_maps_do_not_fit_are_not_claimed() -> None:
    build = process()
    add_chunks(build, arena_of(build), 6, runs=(0x500, 0x501, 0x502))
    assert arenas(dumpmap.open(build.to_minidump().build())) == {}


def test_a_table_of_functions_is_no_arena() -> None:
    """Large objects of one class begin with one pointer as well: that to their class's functions, in the module."""
    build = process()
    other = build.add_module("C:\\firefox\\xul.dll")
    add_chunks(build, other.base + 0x1000, 6)
    assert arenas(dumpmap.open(build.to_minidump().build())) == {}


def test_an_arena_that_is_not_in_the_memory_is_none() -> None:
    build = process()
    add_chunks(build, 0x5_0000_0000, 6)
    assert arenas(dumpmap.open(build.to_minidump().build())) == {}


def test_a_process_without_firefox_is_not_searched() -> None:
    build = process(module="C:\\app\\other.dll")
    add_chunks(build, arena_of(build), 6)
    assert arenas(dumpmap.open(build.to_minidump().build())) == {}


def test_spoiled_bytes_never_raise() -> None:
    build = process()
    add_chunks(build, arena_of(build), 6)
    good = build.to_minidump().build()
    for region_map in spoiled_maps(good, 1, 200):
        for arena, chunks in arenas(region_map).items():
            for chunk in chunks:
                assert region_map.snapshot.memory.read(chunk, 8) == arena.to_bytes(8, "little")


@pytest.mark.parametrize(
    ("name", "arena", "possible"),
    [
        ("mozglue.dll", 0x400000, True),
        ("mozglue.dll", 0x40FFF8, True),
        ("other.dll", 0x3FFFF8, True),  # below the module: private memory
        ("other.dll", 0x400000, False),
        ("other.dll", 0x40FFF8, False),
        ("other.dll", 0x410000, True),  # behind it
        ("other.dll", 0x420000, False),  # not captured
    ],
)
def test_an_arena_is_no_variable_of_another_module(name: str, arena: int, possible: bool) -> None:
    memory = ExcerptMemory([(0x3F0000, bytes(0x30000))])
    module = SimpleNamespace(name=name, base=0x400000, size=0x10000)
    context = SimpleNamespace(modules=[module], memory=memory)
    assert _is_variable(context, arena, 8) is possible  # type: ignore[arg-type]


@pytest.mark.parametrize(("chunk", "offset"), [(0, -0x1000), (2, 0), (2, 8), (2, CHUNK - 8), (5, CHUNK)])
def test_a_chunk_that_holds_the_arena_is_not_of_it(chunk: int, offset: int) -> None:
    build = process()
    build.allocate(CHUNK, align=CHUNK)
    places = add_chunks(build, 0x10000, 6)
    build.allocate(CHUNK, align=CHUNK)
    arena = places[chunk] + offset
    build.pointer(arena, 1)
    for place in places:
        build.pointer(place, arena)
    others = tuple(place for place in places if not place <= arena < place + CHUNK)
    assert len(others) == (5 if chunk == 2 else 6)
    assert arenas(dumpmap.open(build.to_minidump().build())) == {arena: others}
