"""Who holds the pointer: modules, objects, conflicts, 32-bit processes, and what is no owner."""

from __future__ import annotations

import json
import random
import struct
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from support.scenes import FIXTURES, KB, MB, map_of
from synth import rtti
from synth.heaps import nt_heap, write_heap_array
from synth.images import Section, pe_header
from synth.minidump import MEM_MAPPED, PAGE_READONLY, PAGE_READWRITE
from synth.process import Module, ProcessBuilder

import dumpmap
from dumpmap.analysis import pointers as module_under_test
from dumpmap.analysis.owners import find_owners
from dumpmap.analysis.pointers import pointer_owners, with_pointers
from dumpmap.api import RegionMap, map_snapshot
from dumpmap.model.pointers import (
    MODULE_PAIR,
    MODULE_POINTER,
    OBJECT_POINTER,
    THREAD_POINTER,
    PointerOwner,
    PointerSearch,
)
from dumpmap.model.types import RegionType


class Program(ProcessBuilder):
    """A process with two modules of the application and blocks with room between them."""

    def __init__(self, arch: str = "x64", *, wow64: bool = False) -> None:
        super().__init__(arch, wow64=wow64)
        self.furnish()
        self.first = self.add_module("C:\\app\\engine.dll")
        self.second = self.add_module("C:\\app\\driver.dll")
        if self.narrow:  # the lowest addresses look like other numbers
            self._cursor = 0x12340000

    def block(self, size: int = 2 * MB, commit: int | None = None) -> int:
        """Takes a block that touches no other allocation."""
        self.allocate(64 * KB, commit=0)
        self._cursor += MB + 64 * KB
        return self.allocate(size, commit=commit)

    def hold(self, module: Module, at: int, *words: int) -> int:
        """Writes words into the module's data; returns their address."""
        address = module.sections[".data"][0] + at
        for number, word in enumerate(words):
            self.pointer(address + number * self.pointer_size, word)
        return address


def found(process: ProcessBuilder) -> dict[int, PointerOwner]:
    search = pointer_owners(map_of(process))
    assert search is not None
    return {held.base: held for held in search.owners}


@pytest.mark.parametrize("arch", ["x86", "x64"])
def test_a_pair_in_the_data_of_a_module(arch: str) -> None:
    process = Program(arch)
    block, partly = process.block(), process.block(4 * MB, commit=MB)
    at = process.hold(process.first, 0x108, block, 2 * MB)
    beside = process.hold(process.second, 0x40, MB, 0, partly)
    held = found(process)
    offset = at - process.first.base
    assert held[block] == PointerOwner(
        block, 2 * MB, "engine.dll", "", at, f"engine.dll+{offset:#x} (.data)", MODULE_PAIR, 1
    )
    assert (held[partly].module, held[partly].pointer) == ("driver.dll", beside + 2 * process.pointer_size)
    assert set(held) == {block, partly}


def test_a_base_alone_counts_above_4_gb_only() -> None:
    process = Program()
    block = process.block()
    process.hold(process.first, 0x100, block)
    low = process.allocate(2 * MB, base=0x5600000)
    process.hold(process.first, 0x200, low)
    held = found(process)
    assert held[block].rule == MODULE_POINTER
    assert low not in held
    narrow = Program("x86")
    block = narrow.block()
    narrow.hold(narrow.first, 0x100, block)
    assert found(narrow) == {}


def test_both_widths_of_a_32_bit_process_on_64_bit_windows() -> None:
    process = Program("x64", wow64=True)
    block, other = process.block(), process.block()
    process.hold(process.first, 0x100, block, 2 * MB)
    wide = next(module for module in process.modules if module.name.endswith("wow64.dll"))
    at = wide.sections[".data"][0]
    process.pointer(at, other, 8)
    process.pointer(at + 8, other + 2 * MB, 8)
    held = found(process)
    assert {base: one.module for base, one in held.items()} == {block: "engine.dll", other: "wow64.dll"}


def test_several_modules_with_equal_right_are_no_owner() -> None:
    process = Program()
    block, more, pair, noted = (process.block() for _ in range(4))
    process.hold(process.first, 0x100, block, 1, 1, more, 1, 1, pair, 1, 1, noted)
    process.hold(process.second, 0x100, block, 1, 1, more, 1, 1, more, 1, 1, pair, 2 * MB)
    ntdll = process.module("ntdll.dll")
    process.hold(ntdll, 0x400, noted, 1, noted, 1, noted)
    search = pointer_owners(map_of(process))
    assert search is not None
    assert search.ambiguous == 1
    held = {one.base: (one.module, one.rule) for one in search.owners}
    assert held == {
        more: ("driver.dll", MODULE_POINTER),
        pair: ("driver.dll", MODULE_PAIR),
        noted: ("engine.dll", MODULE_POINTER),
    }


def test_constant_data_holds_nothing() -> None:
    process = Program()
    block = process.block()
    process.pointer(process.first.sections[".rdata"][0] + 0x100, block)
    process.pointer(process.first.sections[".rdata"][0] + 0x108, 2 * MB)
    assert found(process) == {}


@pytest.mark.parametrize("arch", ["x86", "x64"])
def test_resources_and_sections_without_the_right_to_write_hold_nothing(arch: str) -> None:
    """Their pages can be writable all the same: relocated, hooked, or linked so. The headers decide."""
    process = Program(arch)
    sections = (
        Section(".idata", 0x1000),
        Section(".other", 0x2000, PAGE_READWRITE),
        Section(".data", 0x1000, PAGE_READWRITE),
    )
    module = process.add_module("C:\\app\\pictures.dll", sections=sections)
    places = {name: place for name, (place, _) in module.sections.items()}
    process.commit(places[".idata"], 0x1000, PAGE_READWRITE)
    blocks = [process.block() for _ in sections]
    for place, block in zip(places.values(), blocks, strict=True):
        process.pointer(place + 0x108, block)
        process.pointer(place + 0x108 + process.pointer_size, 2 * MB)
    assert set(found(process)) == set(blocks[1:])
    directory = module.base + 0x98 + (0x60 if arch == "x86" else 0x70) + 2 * 8
    process.write(directory, struct.pack("<II", places[".other"] - module.base + 0x40, 0x800))
    assert set(found(process)) == {blocks[2]}
    process.write(module.base, bytes(2))  # without headers, every writable page is searched
    assert set(found(process)) == set(blocks)


@pytest.mark.parametrize(("protection", "held"), [(PAGE_READONLY, False), (PAGE_READWRITE, True), (0x104, False)])
def test_only_writable_pages_of_a_module_without_headers_are_searched(protection: int, held: bool) -> None:
    process = Program()
    block = process.block()
    place = process.first.sections[".rdata"][0]
    process.pointer(place + 0x100, block)
    process.pointer(place + 0x108, 2 * MB)
    process.write(process.first.base, bytes(2))
    process.commit(place, 0x1000, protection)
    assert set(found(process)) == ({block} if held else set())


def test_the_end_of_a_stack_is_not_what_lies_behind_it() -> None:
    process = Program()
    stack = process.add_thread().stack
    behind = process.allocate(stack.reserved, base=stack.top)
    process.hold(process.first, 0x100, stack.top, stack.reserved, 7, 7, 7, stack.top)
    assert found(process) == {}
    process.hold(process.first, 0x200, behind, behind + stack.reserved)
    assert set(found(process)) == {behind}


@pytest.mark.parametrize("arch", ["x86", "x64"])
def test_blocks_of_one_size_that_every_thread_has(arch: str) -> None:
    process = Program(arch)
    threads = [process.threads[0], process.add_thread(), process.add_thread()]
    blocks = [process.allocate(MB, base=at) for at in (0x30100000, 0x30900000, 0x31200000)]
    odd = process.allocate(2 * MB, base=0x33000000)
    for thread, block in zip(threads, blocks, strict=True):
        process.pointer(thread.teb + 0x300, block)
    process.pointer(threads[0].teb + 0x340, blocks[0])
    process.pointer(threads[0].teb + 0x380, odd)
    process.pointer(threads[1].teb + 0x380, 0)
    region_map = map_of(process)
    search = pointer_owners(region_map)
    assert search is not None
    assert {held.base for held in search.owners} == set(blocks)
    first = search.owners[0]
    assert (first.owner, first.module, first.rule) == ("Thread data", "", THREAD_POINTER)
    assert (first.pointer, first.place) == (threads[0].teb + 0x300, f"TEB of thread {threads[0].tid}+0x300")
    owner = next(
        owner for owner in find_owners(replace(region_map, pointers=search)).owners if owner.owner == "Thread data"
    )
    assert (owner.size, owner.module, owner.evidence[-1], owner.inferred) == (3 * MB, "", THREAD_POINTER, True)
    # A module that holds one of them knows better.
    process.hold(process.first, 0x100, blocks[1], MB)
    assert found(process)[blocks[1]].module == "engine.dll"


def test_one_thread_proves_nothing_and_no_stack_is_a_block() -> None:
    process = Program()
    block = process.allocate(MB, base=0x30100000)
    process.pointer(process.threads[0].teb + 0x300, block)
    for _ in range(3):
        stack = process.add_thread().stack
        # The end of the stack, which the TEB has as StackBase, is the base of what lies behind it.
        process.allocate(MB, base=stack.top)
    assert found(process) == {}


@pytest.mark.parametrize(
    ("arch", "at", "held"),
    [
        ("x86", 0x8, False),  # StackLimit
        ("x86", 0xE0C, False),  # DeallocationStack
        ("x86", 0xE10, True),
        ("x64", 0x10, False),
        ("x64", 0x1478, False),
        ("x64", 0x1480, True),
    ],
)
def test_the_words_of_a_stack_in_a_teb_hold_no_block(arch: str, at: int, held: bool) -> None:
    process = Program(arch)
    threads = [process.threads[0], process.add_thread()]
    blocks = [process.allocate(MB, base=base) for base in (0x30100000, 0x30900000)]
    region_map = map_of(process)
    for thread, block in zip(threads, blocks, strict=True):
        process.pointer(thread.teb + at, block)
    # What the threads' stacks are, the map keeps: only what the search reads is changed.
    snapshot = replace(region_map.snapshot, memory=map_of(process).snapshot.memory)
    search = pointer_owners(replace(region_map, snapshot=snapshot))
    assert search is not None
    assert [owner.base for owner in search.owners] == (blocks if held else [])


@pytest.mark.parametrize("arch", ["x86", "x64"])
@pytest.mark.parametrize("itanium", [False, True])
def test_the_object_in_a_heap_that_holds_a_pair(arch: str, itanium: bool) -> None:
    process = Program(arch)
    heap = nt_heap(process)
    write_heap_array(process)
    at = process.second.sections[".rdata"][0]
    make = rtti.itanium_vtable if itanium else rtti.microsoft_vtable
    vtable = make(process, process.second, at, b"N3bar4PoolE" if itanium else b".?AVPool@bar@@")
    block, far, plain = process.block(), process.block(), process.block()
    size = process.pointer_size
    where = heap.address + 0x2000
    process.pointer(where, vtable)
    process.pointer(where + 3 * size, block)
    process.pointer(where + 4 * size, block + 2 * MB)
    process.pointer(where + 200, far)
    process.pointer(where + 200 + size, 2 * MB)
    process.pointer(where + 0x800, plain)
    process.pointer(where + 0x800 + size, 2 * MB)
    region_map = map_of(process)
    search = pointer_owners(region_map)
    assert search is not None
    held = {one.base: one for one in search.owners}
    assert set(held) == {block, far}
    one = held[block]
    assert (one.module, one.class_name, one.rule, one.pointer) == (
        "driver.dll", "bar::Pool", OBJECT_POINTER, where + 3 * size
    )  # fmt: skip
    assert one.place == f"+{3 * size:#x} of the object at {where:#x} (Heap ID: 1)"
    assert (held[far].module, held[far].class_name) == ("driver.dll", "")  # too far for the class, not for the module
    owners = {
        (owner.owner, owner.instance): owner for owner in find_owners(replace(region_map, pointers=search)).owners
    }
    assert owners["driver.dll", "held by bar::Pool"].size == 2 * MB
    assert owners["driver.dll", "held by bar::Pool"].evidence[-1] == OBJECT_POINTER
    assert owners["driver.dll", "held by bar::Pool"].inferred


def test_a_block_that_a_module_holds_holds_others() -> None:
    process = Program()
    arena, page, other = process.block(), process.block(), process.block()
    process.hold(process.first, 0x100, arena, 2 * MB)
    process.pointer(arena + 0x40, page)
    process.pointer(page + 0x40, other)
    held = found(process)
    assert held[page].module == "engine.dll"
    assert held[page].rule == OBJECT_POINTER
    assert held[page].place == f"+0x40 of the block of engine.dll at {arena:#x}"
    assert other not in held  # one hop, not two


def test_claims_stay_inferred_and_never_change_totals() -> None:
    process = Program()
    block = process.block()
    process.hold(process.first, 0x100, block, 2 * MB)
    region_map = map_of(process)
    before, after = find_owners(region_map), find_owners(with_pointers(region_map))
    assert before.owned_private_facts == after.owned_private_facts
    assert after.owned_private == before.owned_private + 2 * MB
    assert after.unowned_size == before.unowned_size - 2 * MB
    engine = next(owner for owner in after.owners if owner.owner == "engine.dll")
    assert engine.inferred
    assert engine.type_sizes[RegionType.PRIVATE_DATA] == 2 * MB
    assert MODULE_PAIR in engine.evidence
    assert region_map.at(block).type == RegionType.PRIVATE_DATA  # type: ignore[union-attr]


def test_inputs_that_cannot_be_searched_are_unknown() -> None:
    process = Program()
    process.hold(process.first, 0x100, process.block(), 2 * MB)
    assert pointer_owners(dumpmap.open(process.to_minidump(memory_info=False).build())) is None
    small = pointer_owners(dumpmap.open(process.to_minidump(full=False).build()))
    assert small is not None
    assert small.owners == ()
    assert small.missing >= sum(module.sections[".data"][1] for module in process.modules)
    snapshot = map_of(process).snapshot
    reduced = replace(snapshot, source=replace(snapshot.source, reduced_from="minidump"))
    assert pointer_owners(map_snapshot(reduced)) is None


def test_a_snapshot_answers_the_same(tmp_path: Path) -> None:
    process = Program()
    process.hold(process.first, 0x100, process.block(), 2 * MB, 0, process.block())
    region_map = map_of(process)
    region_map.to_snapshot(tmp_path / "a.json")
    again = dumpmap.open(tmp_path / "a.json")
    search = pointer_owners(region_map)
    assert search is not None
    assert len(search.owners) == 2
    assert pointer_owners(again) == search
    assert find_owners(with_pointers(again)) == find_owners(replace(region_map, pointers=search))
    again.to_snapshot(tmp_path / "b.json")
    assert pointer_owners(dumpmap.open(tmp_path / "b.json")) == search


def test_a_snapshot_cannot_claim_what_is_no_private_allocation() -> None:
    process = Program()
    block = process.block()
    view = process.allocate(MB, type=MEM_MAPPED)
    snapshot = map_of(process).snapshot
    bases = (block + 64 * KB, view, 0x1234, process.first.base, (1 << 64) - 1)
    lies = tuple(PointerOwner(base, 1 << 63, "liar.dll", "", 0, "", MODULE_PAIR, 1) for base in bases)
    region_map = map_snapshot(replace(snapshot, pointer_owners=PointerSearch(owners=lies)))
    names = {owner.owner for owner in find_owners(with_pointers(region_map)).owners}
    assert "liar.dll" not in names


def test_a_process_without_modules_has_nothing_to_search() -> None:
    process = Program()
    process.hold(process.first, 0x100, process.block(), 2 * MB)
    search = pointer_owners(map_of(process.to_minidump(modules=False)))
    assert search is not None
    assert search.owners == ()
    assert search.candidates > 0


def test_modules_that_overlap_are_searched_once() -> None:
    process = Program()
    block = process.block()
    process.hold(process.first, 0x100, block, 2 * MB)
    snapshot = map_of(process).snapshot
    modules = snapshot.modules
    plain = pointer_owners(map_snapshot(snapshot))
    wide = tuple(msgspec.structs.replace(module, size=0xFFFFF000) for module in modules)
    search = pointer_owners(map_snapshot(replace(snapshot, modules=(*wide, *wide))))
    assert plain is not None
    assert search is not None
    assert search.searched == plain.searched
    assert [(held.module, held.base) for held in search.owners] == [("engine.dll", block)]


@pytest.mark.parametrize("size", [0xFFF, 0x1000, 0x1001])
def test_a_module_may_end_where_the_addresses_end(size: int) -> None:
    process = Program()
    block = process.block()
    process.hold(process.first, 0x100, block, 2 * MB)
    snapshot = map_of(process).snapshot
    last = msgspec.structs.replace(snapshot.modules[-1], base=(1 << 64) - 0x1000, size=size)
    search = pointer_owners(map_snapshot(replace(snapshot, modules=(*snapshot.modules, last))))
    assert search is not None
    assert [held.base for held in search.owners] == [block]


def test_limits_are_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    process = Program()
    process.hold(process.first, 0x100, process.block(), 2 * MB)
    monkeypatch.setattr(module_under_test, "MAX_SEARCHED", 4096)
    search = pointer_owners(map_of(process))
    assert search is not None
    assert not search.complete
    assert search.searched <= 4096


@pytest.mark.parametrize("path", sorted(FIXTURES.rglob("*.dmp*")), ids=lambda path: path.name)
def test_recorded_dumps_and_their_snapshots_agree(path: Path, tmp_path: Path) -> None:
    region_map = dumpmap.open(path)
    region_map.to_snapshot(tmp_path / "a.json.gz")
    again = dumpmap.open(tmp_path / "a.json.gz")
    assert pointer_owners(again) == pointer_owners(region_map)
    assert find_owners(with_pointers(again)) == find_owners(with_pointers(region_map))


def test_a_recorded_process_of_known_pointers() -> None:
    folder = FIXTURES / "pointers"
    truth = json.loads((folder / "held-x64.held.json").read_text("utf-8"))
    search = pointer_owners(dumpmap.open(folder / "held-x64.dmp.gz"))
    assert search is not None
    held = {one.base: (one.size, one.pointer, one.rule, one.class_name) for one in search.owners}
    expected = {
        entry["base"]: (entry["size"], entry["pointer"], entry["rule"], entry["class"])
        for entry in truth
        if entry["rule"]
    }
    assert len(expected) == 6
    assert held == expected
    assert {one.module for one in search.owners} == {"held64.exe"}
    assert {entry["base"] for entry in truth if not entry["rule"]}.isdisjoint(held)
    assert search.missing > 0  # the fixture keeps the data of this module only


def damaged(data: bytes, rng: random.Random) -> bytes:
    bad = bytearray(data)
    for _ in range(rng.randrange(1, 8)):
        bad[rng.randrange(len(bad))] = rng.choice((0, 0xFF, rng.randrange(256)))
    return bytes(bad)


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["x86", "x64"])
def test_damaged_dumps_give_a_result_or_our_own_error(arch: str) -> None:
    process = Program(arch)
    heap = nt_heap(process)
    write_heap_array(process)
    block, other = process.block(), process.block()
    process.hold(process.first, 0x100, block, 2 * MB)
    vtable = rtti.microsoft_vtable(process, process.second, process.second.sections[".rdata"][0], b".?AVPool@@")
    process.pointer(heap.address + 0x2000, vtable)
    process.pointer(heap.address + 0x2000 + process.pointer_size, other)
    process.pointer(heap.address + 0x2000 + 2 * process.pointer_size, 2 * MB)
    data = process.to_minidump().build()
    rng = random.Random(11)
    results = 0
    for _ in range(200):
        try:
            region_map: RegionMap = dumpmap.open(damaged(data, rng))
        except dumpmap.DumpmapError:
            continue
        search = pointer_owners(region_map)
        find_owners(replace(region_map, pointers=search))
        results += search is not None
    assert results > 40


@pytest.mark.parametrize(("arch", "known"), [("x64", True), ("x86", False)])
def test_one_32_bit_image_makes_low_bases_ambiguous(arch: str, known: bool) -> None:
    process = Program("x64")
    block = process.allocate(2 * MB, base=0x12340000)
    process.hold(process.first, 0x100, block)
    module = process.add_module("C:\\app\\other.dll")
    process.write(module.base, pe_header(arch, module.base & 0xFFFF0000, [Section(".data", 0x1000, rva=0x1000)]))
    assert (block in found(process)) is known
