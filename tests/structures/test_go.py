"""Go programs: recorded ones against what their runtime said of itself, built ones, and ones that lie."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from support.recorded import opened
from support.structures import memory_of, survey_process
from synth import go as synth
from synth.go import ARENA, GoProgram, go_program

import dumpmap
from dumpmap.analysis.owners import find_owners
from dumpmap.model.memory import ExcerptMemory, LiveMemory
from dumpmap.model.process import ProcessStructures
from dumpmap.model.recognised import OwnerFacts
from dumpmap.structures.recognisers import go_system
from dumpmap.structures.recognisers.go import GoHeap

FOLDER = Path(__file__).parents[1] / "fixtures" / "runtimes"
RECORDED = sorted(path.name.removesuffix(".truth.json") for path in FOLDER.glob("go-*.truth.json"))
X86: dict[str, Any] = {"arch": "x86", "arenas": (0x43000000, 0x43400000, 0x43C00000)}


def only(structures: ProcessStructures) -> GoHeap:
    (heap,) = structures.facts_of(GoHeap)
    return heap


def found(program: GoProgram) -> tuple[GoHeap, ...]:
    return survey_process(program.process).facts_of(GoHeap)


# ---------------------------------------------------------------- recorded programs


@pytest.mark.parametrize("name", RECORDED)
def test_the_heap_is_what_the_runtime_says(name: str) -> None:
    region_map, truth = opened(name)
    heap, stats = only(region_map.structures), truth["stats"]
    assert heap.version == truth["version"]
    assert heap.module.startswith("go_scene")
    # Arenas hold objects, free pages, and stacks, and at times a few work buffers of the collector (32 KB each).
    rest = len(heap.arenas.arenas) * ARENA - stats["heap_sys"] - stats["stack_sys"]
    assert rest in range(0, 8 * 0x8000, 0x8000)
    assert heap.arenas.unproved == 0
    assert heap.pages is not None
    assert heap.pages.used + heap.pages.free == len(heap.arenas.arenas) * 512
    # Pages that a processor has put aside, at most 64 each, are in use for the bitmaps and idle for the statistics.
    assert stats["heap_idle"] - heap.pages.free * 8192 in range(1024 * 8192)


@pytest.mark.parametrize("name", RECORDED)
def test_the_collector_states_its_limit(name: str) -> None:
    region_map, truth = opened(name)
    stats, collector = truth["stats"], only(region_map.structures).collector
    assert collector is not None
    assert collector.limit == stats["memory_limit"]
    # The scene still writes its figures after it has taken them.
    assert collector.in_use == pytest.approx(stats["heap_inuse"], abs=40 * 8192)
    assert collector.released + collector.free == pytest.approx(stats["heap_idle"], abs=40 * 8192)
    (facts,) = [fact for fact in region_map.structures.facts_of(OwnerFacts) if fact.owner == "Go runtime"]
    assert (facts.version, facts.used, facts.limit) == (truth["version"], collector.in_use, collector.limit)


@pytest.mark.parametrize("name", RECORDED)
def test_the_runtime_owns_most_private_memory(name: str) -> None:
    region_map, truth = opened(name)
    owners = find_owners(region_map)
    assert owners.owned_share_facts is not None
    assert owners.owned_share_facts > 0.89
    (owner,) = [owner for owner in owners.owners if owner.owner == "Go runtime"]
    kinds = {part.kind: part for part in owner.parts}
    assert kinds["Go heap arena"].size >= truth["stats"]["heap_sys"] + truth["stats"]["stack_sys"]
    assert kinds["Go mark bits"].size >= 2 << 16
    assert kinds["Go persistent chunk"].size >= truth["stats"]["mspan_sys"]
    assert "Go span table" in kinds
    # What is left is Wine's own memory for each thread.
    groups = [group for group in owners.groups if group.type.label == "Private Data" and group.committed]
    assert {group.size_each for group in groups if group.committed > 1 << 20} <= {1 << 20}


@pytest.mark.parametrize("name", RECORDED)
def test_a_snapshot_gives_the_same_heap(name: str, tmp_path: Path) -> None:
    region_map, _ = opened(name)
    target = tmp_path / "x.json.zst"
    region_map.to_snapshot(target)
    again = dumpmap.open(target)
    assert only(again.structures) == only(region_map.structures)
    assert find_owners(again) == find_owners(region_map)


# ---------------------------------------------------------------- built programs


@pytest.mark.parametrize("options", [{}, X86, {"linker": "gcc"}, {"arch": "arm64"}], ids=str)
def test_each_part_is_found(options: dict[str, Any]) -> None:
    program = go_program(**options)
    heap = only(survey_process(program.process))
    width = program.width
    expected = Counter(
        {
            "Go heap arena": 3,
            "Go page summary": 5 if width == 8 else 4,
            "Go page bitmap": 1,
            "Go arena map": 1,
            "Go persistent chunk": 3,
            "Go mark bits": 4,
            "Go span table": 1,
            "Go profile table": 1,
        }
    )
    expected["Go scavenge index"] = 1 if width == 8 else 0
    assert Counter(kind for _, _, kind in heap.parts) == +expected
    assert heap.arenas.arenas == tuple(program.arenas)
    assert heap.pages is not None
    assert heap.pages.used == 512 + 24 + 2
    assert heap.collector is not None
    assert heap.collector.limit is None
    assert heap.version == "go1.22.5"


def test_arenas_can_lie_anywhere() -> None:
    # Since Go 1.26 the first address is random; the last two arenas have a map of their own.
    arenas = (0x3DFFFFC00000, 0x39FA4C800000, 0x5000000)
    program = go_program(arenas=arenas)
    second = program.table(synth.MAP_ENTRIES[8] * 8)
    number = program.number_of(arenas[2])
    program.words(program.tail + synth.MAPS_AT + number // synth.MAP_ENTRIES[8] * 8, second)
    program.words(second + number % synth.MAP_ENTRIES[8] * 8, synth.metadata(program)[2])
    heap = only(survey_process(program.process))
    assert heap.arenas.arenas == tuple(sorted(arenas))
    assert second in heap.arenas.maps


def test_metadata_with_allocations_of_its_own() -> None:
    program = go_program()
    own = [program.table(0x22000) for _ in program.arenas]
    for arena, entry in zip(program.arenas, own, strict=True):
        program.words(program.arena_map + program.number_of(arena) % synth.MAP_ENTRIES[8] * 8, entry)
    parts = only(survey_process(program.process)).parts
    assert sorted(part[0] for part in parts if part[2] == "Go arena metadata") == own


@pytest.mark.parametrize(
    ("sizes", "offset"),
    [
        ((0x22000, 0x22000, 0x22000), 0x100),  # one does not begin its allocation
        ((0x22000, 0x32000, 0x22000), 0),  # of unequal sizes
    ],
)
def test_metadata_in_unlike_allocations_is_not_claimed(sizes: tuple[int, int, int], offset: int) -> None:
    program = go_program()
    own = [program.table(size) for size in sizes]
    for index, (arena, entry) in enumerate(zip(program.arenas, own, strict=True)):
        place = program.arena_map + program.number_of(arena) % synth.MAP_ENTRIES[8] * 8
        program.words(place, entry + (offset if index == 1 else 0))
    parts = only(survey_process(program.process)).parts
    assert "Go arena metadata" not in {kind for _, _, kind in parts}


@pytest.mark.parametrize("kept", [1, 2])
def test_one_entry_of_several_arenas_proves_no_metadata(kept: int) -> None:
    program = go_program()
    own = [program.table(0x22000) for _ in program.arenas]
    for index, (arena, entry) in enumerate(zip(program.arenas, own, strict=True)):
        place = program.arena_map + program.number_of(arena) % synth.MAP_ENTRIES[8] * 8
        program.words(place, entry if index < kept else 0)
    parts = only(survey_process(program.process)).parts
    assert sorted(part[0] for part in parts if part[2] == "Go arena metadata") == (own[:kept] if kept > 1 else [])


def test_metadata_in_one_reservation_of_a_32_bit_program() -> None:
    program = go_program(**X86)
    whole = program.process.allocate(0x10000000, commit=0x40000)
    for index, arena in enumerate(program.arenas):
        program.words(program.arena_map + 4 * program.number_of(arena), whole + 0x30000 + 0x8600 * index)
    parts = only(survey_process(program.process)).parts
    assert [part for part in parts if part[2] == "Go arena metadata"] == [
        (whole + 0x30000, whole + 0x30000 + 3 * 0x8600, "Go arena metadata")
    ]


def test_two_programs_in_one_process_are_two_owners() -> None:
    program = go_program()
    go_program(name="C:\\app\\plugin.dll", linker="gcc", arenas=(0xD000000000,), used=(7,), process=program.process)
    structures = survey_process(program.process)
    assert [(heap.module, heap.arenas.arenas) for heap in structures.facts_of(GoHeap)] == [
        ("tool.exe", tuple(program.arenas)),
        ("plugin.dll", (0xD000000000,)),
    ]


@pytest.mark.parametrize("options", [{}, X86], ids=["x64", "x86"])
def test_a_live_process_gives_the_same(options: dict[str, Any]) -> None:
    program = go_program(**options)
    live = LiveMemory(memory_of(program.process).read)
    assert only(survey_process(program.process, live)) == only(survey_process(program.process))


@pytest.mark.parametrize(("percent", "limit"), [(100, 1 << 30), (-1, 5 << 30), (25, 123456789), (400, 1)])
def test_the_limit_is_read_whatever_gogc_is(percent: int, limit: int) -> None:
    heap = only(survey_process(go_program(percent=percent, limit=limit).process))
    assert heap.collector is not None
    assert heap.collector.limit == limit


def test_an_old_version_is_read_through_pointers() -> None:
    program = go_program()
    text = program.module.sections[".rdata"][0]
    program.process.write(program.data, b"\xff Go buildinf:\x08\0" + (text + 0x40).to_bytes(8, "little") + bytes(8))
    program.process.write(text + 0x40, (text + 0x60).to_bytes(8, "little") + (8).to_bytes(8, "little"))
    program.process.write(text + 0x60, b"go1.16.5")
    assert only(survey_process(program.process)).version == "go1.16.5"


@pytest.mark.parametrize(("texts", "version"), [(["go1.26.5"], "go1.26.5"), (["go1.26.5", "go1.9"], None), ([], None)])
def test_the_version_of_a_program_without_build_information(texts: list[str], version: str | None) -> None:
    program = go_program()
    program.process.write(program.data, bytes(64))
    strings = program.module.sections[".rdata"][0]
    for number, text in enumerate(texts):
        program.process.write(strings + 0x40 * number, text.encode())
        program.words(program.data + 0x600 + 0x20 * number, strings + 0x40 * number, len(text))
    structures = survey_process(program.process)
    assert only(structures).version == version
    assert [runtime.variant for runtime in structures.runtimes] == [version]


# ---------------------------------------------------------------- lies


def test_a_program_of_another_linker_needs_build_information() -> None:
    program = go_program(linker="gcc")
    program.process.write(program.module.sections[".data"][0], bytes(64))
    structures = survey_process(program.process)
    assert structures.facts_of(GoHeap) == ()
    assert structures.runtimes == ()


def test_the_name_of_a_section_alone_proves_nothing() -> None:
    program = go_program()
    program.process.write(program.data, bytes(32))
    program.words(program.heap, 0)
    structures = survey_process(program.process)
    assert structures.facts_of(GoHeap) == ()
    assert (structures.runtimes, structures.notes) == ((), ())


def test_a_go_program_without_a_heap_is_named_and_noted() -> None:
    program = go_program()
    program.words(program.heap, program.levels[0] + 0x1000)
    structures = survey_process(program.process)
    assert structures.facts_of(GoHeap) == ()
    assert [(runtime.name, runtime.variant) for runtime in structures.runtimes] == [("Go runtime", "go1.22.5")]
    assert any("heap could not be located (go1.22.5)" in note for note in structures.notes)


@pytest.mark.parametrize("options", [{}, X86], ids=["x64", "x86"])
def test_an_arena_that_the_map_lacks_is_not_claimed(options: dict[str, Any]) -> None:
    program = go_program(**options)
    number = program.number_of(program.arenas[1]) % synth.MAP_ENTRIES[program.width]
    program.words(program.arena_map + number * program.width, 0)
    structures = survey_process(program.process)
    heap = only(structures)
    assert heap.arenas.arenas == (program.arenas[0], program.arenas[2])
    assert heap.arenas.unproved == 1
    assert any("1 listed Go arenas are not in the arena map" in note for note in structures.notes)


def test_an_arena_without_memory_is_not_claimed() -> None:
    program = go_program()
    listed = program.chunks[1] + 0x1000
    program.words(listed, program.number_of(0xE000000000))
    heap = only(survey_process(program.process))
    assert heap.arenas.arenas == tuple(program.arenas[1:])


def test_a_list_that_repeats_itself_is_none() -> None:
    program = go_program()
    number = program.number_of(program.arenas[0])
    program.words(program.chunks[1] + 0x1000, number, number, number)
    assert found(program) == ()


def test_bitmaps_that_contradict_the_summary_count_nothing() -> None:
    program = go_program()
    leaf = program.levels[-1] + 8 * program.number_of(program.arenas[1])
    program.process.number(leaf, 1, 8)
    heap = only(survey_process(program.process))
    assert heap.pages is None
    assert heap.collector is None
    assert "Go page bitmap" not in {kind for _, _, kind in heap.parts}
    assert len(heap.arenas.arenas) == 3


@pytest.mark.parametrize(("more", "at", "counted"), [(0, 0, True), (0x10000, 0, False), (0x10000, 0x10000, False)])
def test_bitmaps_fill_an_allocation_of_their_own(more: int, at: int, counted: bool) -> None:
    program = go_program()
    other = program.table(8192 * 128 + more) + at
    for arena in program.arenas:
        number = program.number_of(arena)
        bits = program.process.read(program.bitmap + number % 8192 * 128, 128)
        program.process.write(other + number % 8192 * 128, bits)
        program.words(program.heap + 3 * 8 * len(program.levels) + number // 8192 * 8, other)
    heap = only(survey_process(program.process))
    assert (heap.pages is not None) is counted
    assert [base for base, _, kind in heap.parts if kind == "Go page bitmap"] == ([other] if counted else [])


def test_pages_that_the_allocator_was_not_given_are_neither() -> None:
    program = go_program(used=((1 << 512) - 1, 0xFF, 0))
    program.process.number(program.levels[-1] + 8 * program.number_of(program.arenas[2]), 0, 8)
    pages = only(survey_process(program.process)).pages
    assert pages is not None
    assert (pages.used, pages.free) == (520, 504)


def test_chunks_that_go_in_a_circle_are_not_claimed() -> None:
    program = go_program()
    program.words(program.chunks[2], program.chunks[0])
    kinds = {kind for _, _, kind in only(survey_process(program.process)).parts}
    assert not kinds & {"Go persistent chunk", "Go span table"}
    assert "Go heap arena" in kinds


def test_mark_bits_that_go_in_a_circle_are_not_claimed() -> None:
    program = go_program()
    program.words(program.marks[1] + 8, program.marks[1])
    kinds = {kind for _, _, kind in only(survey_process(program.process)).parts}
    assert "Go mark bits" not in kinds


def test_mark_bits_of_which_none_are_in_use_are_not_claimed() -> None:
    program = go_program()
    for block in program.marks:
        program.words(block, 0)
    assert "Go mark bits" not in {kind for _, _, kind in only(survey_process(program.process)).parts}
    program.words(program.marks[2], 8)  # a span takes at least a word
    assert "Go mark bits" in {kind for _, _, kind in only(survey_process(program.process)).parts}


def test_the_last_of_the_four_lists_of_mark_bits_may_be_the_only_one() -> None:
    program = go_program()
    last = program.marks[3]
    program.words(last, 8)
    program.words(program.data + synth.BITS_AT, 0, 0, 0, last, 0x1234567)
    program.words(program.chunks[0] + 0x100 + 9 * 8, last + 0x108)  # mspan.gcmarkBits
    parts = only(survey_process(program.process)).parts
    assert [base for base, _, kind in parts if kind == "Go mark bits"] == [last]


def test_mark_bits_to_which_no_span_points_are_not_claimed() -> None:
    program = go_program()
    program.words(program.chunks[0] + 0x100 + 9 * 8, 0)
    assert "Go mark bits" not in {kind for _, _, kind in only(survey_process(program.process)).parts}


def test_a_profile_of_other_memory_is_not_claimed() -> None:
    program = go_program()
    program.words(program.profile + 8, program.spans)
    assert "Go profile table" not in {kind for _, _, kind in only(survey_process(program.process)).parts}


@pytest.mark.parametrize(
    ("chunk", "offset", "claimed"),
    [(0, 1, True), (0, 0, False), (0, synth.CHUNK - 1, True), (-1, synth.CHUNK, False), (-1, synth.CHUNK - 1, True)],
)
def test_the_first_entry_of_a_profile_lies_behind_the_start_of_a_chunk(chunk: int, offset: int, claimed: bool) -> None:
    program = go_program()
    program.words(program.profile + 8, sorted(program.chunks)[chunk] + offset)
    kinds = {kind for _, _, kind in only(survey_process(program.process)).parts}
    assert ("Go profile table" in kinds) == claimed


def test_a_block_that_uses_more_than_it_has_is_no_mark_bits() -> None:
    program = go_program()
    program.words(program.marks[2], synth.BITS)
    assert program.marks[2] not in {start for start, _, _ in only(survey_process(program.process)).parts}


@pytest.mark.parametrize("offset", [0x10, 0x120, 0x128])
def test_a_collector_that_contradicts_itself_gives_no_limit(offset: int) -> None:
    program = go_program(limit=1 << 30)
    program.process.number(program.data + synth.COLLECTOR_AT + offset, 0x12345, 8)
    assert only(survey_process(program.process)).collector is None


@pytest.mark.parametrize(("before", "found"), [(0, True), (1, True), (2, True), (3, False)])
def test_the_third_state_that_may_be_the_collectors_is_the_last(
    monkeypatch: pytest.MonkeyPatch, before: int, found: bool
) -> None:
    monkeypatch.setattr(go_system, "MAX_STATES", 3)
    program = go_program()
    state = program.process.read(program.data + synth.COLLECTOR_AT, 0x138)
    program.process.write(program.data + synth.COLLECTOR_AT, bytes(0x138))
    program.process.write(program.data + 0x30000, state)
    for index in range(before):
        program.process.write(program.data + 0x20000 + 0x20 * index, state[:0x18])
    assert (only(survey_process(program.process)).collector is not None) is found


@pytest.mark.parametrize("options", [{}, X86], ids=["x64", "x86"])
def test_spoiled_bytes_never_raise_and_never_prove_a_lie(options: dict[str, Any]) -> None:
    program = go_program(**options)
    process, width = program.process, program.width
    memory = memory_of(process)
    chance = random.Random(str(options))
    excerpts = [(base, memory.read(base, size) or b"") for base, size in memory.ranges()]
    targets = [program.data, program.heap, program.tail, program.arena_map, *program.chunks, *program.marks]
    for _ in range(150):
        places = [chance.choice(targets) + width * chance.randrange(0x100) for _ in range(4)]
        patches = [(at, chance.randbytes(4).ljust(width, b"\0")) for at in places]
        changed = []
        for base, data in excerpts:
            copy = bytearray(data)
            for at, word in patches:
                if base <= at <= base + len(copy) - width:
                    copy[at - base : at - base + width] = word
            changed.append((base, bytes(copy)))
        for heap in survey_process(process, ExcerptMemory(changed)).facts_of(GoHeap):
            assert set(heap.arenas.arenas) <= set(program.arenas)
            assert all(one[1] <= other[0] for one, other in zip(heap.parts, heap.parts[1:], strict=False))
