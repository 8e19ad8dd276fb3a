"""CPython's arenas: recorded processes against sys._debugmallocstats(), built ones, and ones that lie."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import pytest
from support.recorded import opened
from support.structures import memory_of, survey_process
from synth.python import FULL, NARROW, NEW, OLD, PythonProcess, Sizes, python_process

import dumpmap
from dumpmap.analysis.owners import find_owners
from dumpmap.model.memory import ExcerptMemory, LiveMemory, RecordingMemory
from dumpmap.model.process import ProcessStructures
from dumpmap.model.recognised import OwnerFacts
from dumpmap.structures.recognisers.python import ArenaLayout, PythonArenas

FOLDER = Path(__file__).parents[1] / "fixtures" / "runtimes"
RECORDED = sorted(path.name.removesuffix(".truth.json") for path in FOLDER.glob("python-*.truth.json"))


def only(structures: ProcessStructures) -> PythonArenas:
    (arenas,) = structures.facts_of(PythonArenas)
    return arenas


def found(python: PythonProcess) -> tuple[PythonArenas, ...]:
    return survey_process(python.process).facts_of(PythonArenas)


# ---------------------------------------------------------------- recorded processes


@pytest.mark.parametrize("name", RECORDED)
def test_arenas_and_blocks_are_what_python_says(name: str) -> None:
    region_map, truth = opened(name)
    arenas = only(region_map.structures)
    assert arenas.version is not None
    assert arenas.version.startswith(truth["version"])
    assert (len(arenas.arenas), arenas.unproved) == (truth["arenas"], 0)
    assert arenas.free_pools == truth["unused_pools"]
    classes = {str(row.size): [row.pools, row.blocks] for row in arenas.classes}
    assert classes == {size: row for size, row in truth["classes"].items() if row[0]}
    assert arenas.used == sum(int(size) * blocks for size, (_, blocks) in truth["classes"].items())
    (facts,) = [fact for fact in region_map.structures.facts_of(OwnerFacts) if fact.owner == "Python"]
    assert (facts.module, facts.used) == (arenas.module, arenas.used)


@pytest.mark.parametrize("name", RECORDED)
def test_python_owns_most_private_memory(name: str) -> None:
    region_map, truth = opened(name)
    owners = find_owners(region_map)
    (owner,) = [owner for owner in owners.owners if owner.owner == "Python"]
    assert owner.allocations == truth["arenas"]
    assert owner.size == owner.committed == truth["arenas"] * only(region_map.structures).layout.arena
    assert owners.owned_share_facts is not None
    assert owners.owned_share_facts > 0.85


@pytest.mark.parametrize("name", RECORDED)
def test_a_snapshot_gives_the_same_arenas(name: str, tmp_path: Path) -> None:
    region_map, _ = opened(name)
    target = tmp_path / "x.json.zst"
    region_map.to_snapshot(target)
    again = dumpmap.open(target)
    assert only(again.structures) == only(region_map.structures)
    assert find_owners(again) == find_owners(region_map)


# ---------------------------------------------------------------- built processes


@pytest.mark.parametrize(("arch", "sizes"), [("x64", NEW), ("x64", OLD), ("x86", NARROW), ("arm64", NEW)])
def test_each_layout_is_read(arch: str, sizes: Sizes) -> None:
    python = python_process(arch, sizes=sizes)
    arenas = only(survey_process(python.process))
    assert list(arenas.arenas) == [python.arenas[0], python.arenas[2]]
    assert [(row.size, row.pools, row.blocks) for row in arenas.classes] == [
        (16, 1, 3),
        (32, 1, 5),
        (48, 1, 7),
        (64, 1, 60),
        (512, 1, 1),
    ]
    assert arenas.free_pools == 2 * sizes.arena // sizes.pool - 5
    assert arenas.used == 16 * 3 + 32 * 5 + 48 * 7 + 64 * 60 + 512
    assert arenas.version == "3.11.9"


@pytest.mark.parametrize(("unused", "found"), [(14, True), (15, True), (16, False)])
def test_one_of_the_first_16_records_is_in_use(unused: int, found: bool) -> None:
    python = python_process(arenas=(*[None] * unused, FULL))
    assert len(survey_process(python.process).facts_of(PythonArenas)) == found


@pytest.mark.parametrize(("unused", "found"), [(4094, 2), (4095, 2), (4096, 1)])
def test_behind_an_arena_4096_records_are_looked_at(unused: int, found: int) -> None:
    python = python_process(arenas=(FULL,))
    process = python.process
    python.array = process.allocate(0x40000, commit=0x40000)
    process.write(python.array, bytes(0x40000))
    python.point(python.array)
    base, size = python.arenas[0], python.sizes
    other = process.allocate(size.arena, commit=size.arena)
    python.pool(other, unused + 1, 32, 5)
    total = size.arena // size.pool
    python.record(0, base, base + 3 * size.pool, total - 3, total, 0, 0, 0)
    python.record(unused + 1, other, other + size.pool, total - 1, total, 0, 0, 0)
    assert len(only(survey_process(process)).arenas) == found


def test_a_live_process_gives_the_same() -> None:
    python = python_process()
    live = LiveMemory(memory_of(python.process).read)
    assert only(survey_process(python.process, live)) == only(survey_process(python.process))


def test_blocks_of_eight_bytes_of_an_early_version() -> None:
    sizes = Sizes(OLD.arena, OLD.pool, 8)
    python = python_process(sizes=sizes, arenas=(((24, 100), (8, 490)),), name="C:\\P\\python36.dll", version=None)
    arenas = only(survey_process(python.process))
    assert [(row.size, row.blocks) for row in arenas.classes] == [(8, 490), (24, 100)]
    assert arenas.version == "3.6"


def test_a_program_that_has_python_linked_in() -> None:
    python = python_process(name="C:\\app\\tool.exe", exports={"_PyRuntime": 0x7100})
    assert only(survey_process(python.process)).module == "tool.exe"


def test_a_python_that_uses_malloc_has_no_arenas() -> None:
    python = python_process()
    python.point(0)
    structures = survey_process(python.process)
    assert structures.facts_of(PythonArenas) == ()
    assert [(runtime.name, runtime.variant) for runtime in structures.runtimes] == [("Python", "3.11.9")]
    assert any("python311.dll: no Python arena could be identified: " in note for note in structures.notes)


def test_a_free_threaded_python_is_not_said_to_lack_arenas() -> None:
    python = python_process(name="C:\\P\\python313t.dll")
    python.point(0)
    assert survey_process(python.process).notes == ()


@pytest.mark.parametrize("name", RECORDED)
def test_a_dump_that_is_cut_off_says_that_python_is_missing(name: str) -> None:
    data = gzip.decompress((FOLDER / f"{name}.dmp.gz").read_bytes())
    cut = dumpmap.open(data[: len(data) // 2])
    assert cut.structures.facts_of(PythonArenas) == ()
    assert any("its headers are not in the dump, so Python's arenas could not be located" in one for one in cut.notes)


@pytest.mark.parametrize("lost", ["array", "variables"])
def test_a_python_whose_variables_or_arenas_are_not_captured(lost: str) -> None:
    python = python_process()
    at, size = (python.array, 0x1000) if lost == "array" else python.module.sections[".data"]
    python.process.drop_range(at, size)
    recording = RecordingMemory(memory_of(python.process))
    structures = survey_process(python.process, recording)
    assert structures.facts_of(PythonArenas) == ()
    assert any("no Python arena could be identified: its variables or arenas" in note for note in structures.notes)
    assert survey_process(python.process, ExcerptMemory(recording.excerpts())) == structures


def test_more_pools_than_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dumpmap.structures.recognisers.python.MAX_POOLS", 5)
    python = python_process()
    arenas = only(survey_process(python.process))
    assert len(arenas.arenas) == 2
    assert (arenas.free_pools, arenas.classes, arenas.used) == (None, (), None)


def test_the_first_pool_of_an_arena_is_checked_even_if_pools_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dumpmap.structures.recognisers.python.MAX_POOLS", 5)
    python = python_process()
    python.pool(python.arenas[2], 1, 16, 3)  # names another arena
    arenas = only(survey_process(python.process))
    assert (arenas.arenas, arenas.unproved) == ((python.arenas[0],), 1)


# ---------------------------------------------------------------- lies


@pytest.mark.parametrize("name", ["python3.dll", "python27.dll", "mypython311.dll", "tool.exe"])
def test_a_process_without_python_is_not_searched(name: str) -> None:
    structures = survey_process(python_process(name=f"C:\\app\\{name}").process)
    assert structures.facts_of(PythonArenas) == ()
    assert structures.runtimes == ()


def test_an_arena_whose_pools_name_another_is_not_claimed() -> None:
    python = python_process()
    python.pool(python.arenas[2], 1, 16, 3)
    structures = survey_process(python.process)
    assert only(structures).arenas == (python.arenas[0],)
    assert only(structures).unproved == 1
    assert any("pools of 1 Python arena name another arena or are not in the dump" in note for note in structures.notes)


@pytest.mark.parametrize("offset", [0x24, 0x28, 0x2C])
def test_a_pool_must_agree_with_itself(offset: int) -> None:
    python = python_process()
    python.process.number(python.arenas[0] + offset, 0x7000, 4)
    assert only(survey_process(python.process)).arenas == (python.arenas[2],)


@pytest.mark.parametrize("pool", [(16, 2000), (1024, 1)])
def test_a_pool_cannot_hold_more_than_fits(pool: tuple[int, int]) -> None:
    python = python_process(arenas=(((16, 3),), (pool,)))
    assert only(survey_process(python.process)).arenas == (python.arenas[0],)


def test_pools_must_be_as_many_as_the_record_says() -> None:
    python = python_process()
    base = python.arenas[0]
    python.record(0, base, base + 3 * NEW.pool, 60, 64, 0, 0, 0)
    assert only(survey_process(python.process)).arenas == (python.arenas[2],)


def test_a_record_of_other_memory_ends_the_array() -> None:
    python = python_process()
    other = python.process.allocate(0x80000, commit=0x80000)
    python.record(2, other, other, 64, 64, 0, 0, 0)
    assert only(survey_process(python.process)).arenas == (python.arenas[0],)


def test_an_array_without_arenas_claims_nothing() -> None:
    assert found(python_process(arenas=(None, None))) == ()


def test_unused_records_without_end_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dumpmap.structures.recognisers.python.MAX_UNUSED", 20)
    python = python_process()
    zeros = python.process.allocate(0x100000, commit=0x100000)
    python.process.number(python.module.sections[".data"][0] + 0x800, zeros, 8)
    assert len(only(survey_process(python.process)).arenas) == 2


@pytest.mark.parametrize("arch", ["x64", "x86"])
def test_spoiled_bytes_never_raise_and_never_prove_a_lie(arch: str) -> None:
    python = python_process(arch)
    process = python.process
    memory = memory_of(process)
    chance = random.Random(arch)
    excerpts = [(base, memory.read(base, size) or b"") for base, size in memory.ranges()]
    targets = [python.array, python.array + 0x40, *(arena for arena in python.arenas if arena)]
    for _ in range(200):
        places = [chance.choice(targets) + chance.randrange(0x60) for _ in range(chance.randint(1, 4))]
        changed = []
        for base, data in excerpts:
            copy = bytearray(data)
            for at in places:
                if base <= at < base + len(copy):
                    copy[at - base] = chance.randrange(256)
            changed.append((base, bytes(copy)))
        for arenas in survey_process(process, ExcerptMemory(changed)).facts_of(PythonArenas):
            assert set(arenas.arenas) <= set(python.arenas)
            assert arenas.used is None or arenas.used <= len(arenas.arenas) * arenas.layout.arena


@pytest.mark.parametrize(
    ("pointer", "pool", "step", "size", "blocks"),
    [
        # `POOL_OVERHEAD` is a header of 48 bytes (32 in 32-bit programs), which is a multiple of either step.
        (8, 0x1000, 16, 16, 253),
        (8, 0x1000, 16, 512, 7),
        (8, 0x4000, 16, 16, 1021),
        (8, 0x4000, 16, 64, 255),
        (4, 0x1000, 8, 8, 508),
        (4, 0x1000, 16, 16, 254),
    ],
)
def test_how_many_blocks_a_pool_holds(pointer: int, pool: int, step: int, size: int, blocks: int) -> None:
    layout = ArenaLayout("any", pointer, 0x40000, pool, step)
    assert layout.overhead == (48 if pointer == 8 else 32)
    assert layout.blocks_in_pool(size) == blocks
