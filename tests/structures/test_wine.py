"""Wine's own memory, in recorded and built processes."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from support.structures import memory_of, survey_process
from synth import wine as synth
from synth.minidump import MEM_COMMIT, MEM_PRIVATE, MEM_RESERVE, PAGE_READWRITE, MinidumpBuilder
from synth.wine import WineProcess

import dumpmap
from dumpmap.api import RegionMap
from dumpmap.model.memory import ExcerptMemory, Memory, RecordingMemory

FIXTURES = Path(__file__).parents[1] / "fixtures"
KIND = "Wine thread block"
MB = 1 << 20
"""What Wine 8 takes for each thread."""


def blocks(region_map: RegionMap) -> list[tuple[int, int]]:
    return sorted((part.base, part.size) for part in region_map.structures.ranges if part.kind == KIND)


@pytest.mark.parametrize("name", ["layout-x64.dmp.gz", "layout-x86.dmp.gz", "layout-wow64.dmp.gz"])
def test_each_recorded_thread_has_one(name: str) -> None:
    region_map = dumpmap.open(FIXTURES / name)
    found = blocks(region_map)
    assert len(found) == len(set(found)) == len(region_map.snapshot.threads)
    assert {size for _, size in found} == {MB}
    rows = region_map.regions
    mine = rows[rows["kind"] == KIND]
    assert set(mine["type"]) == {"Private Data"}
    assert all("wine-teb" in evidence for evidence in mine["evidence"])
    assert not {base for base, _ in found} & {stack.base for stack in region_map.stacks}


def process(base: int, frame: int, *, size: int = MB) -> RegionMap:
    """A thread whose TEB has `frame` among Wine's words and `base` as the address of its second stack."""
    teb, stack, block = 0x7FFD0000, 0x200000, 0x400000
    dump = MinidumpBuilder("x64").system_info()
    data = bytearray(0x2000)
    struct.pack_into("<4Q", data, 0, 0, stack + MB, stack, 0)
    struct.pack_into("<Q", data, 0x30, teb)
    struct.pack_into("<2Q", data, 0x40, 77, 5)
    struct.pack_into("<Q", data, 0x2F0 + 8 * 7, frame)
    struct.pack_into("<Q", data, 0x2F0 + 8 * 16, base)
    struct.pack_into("<Q", data, 0x1478, stack)
    dump.thread(5, teb=teb)
    dump.region(stack, MB, MEM_COMMIT, PAGE_READWRITE, MEM_PRIVATE)
    dump.region(block, size, MEM_COMMIT, PAGE_READWRITE, MEM_PRIVATE)
    dump.region(teb, 0x2000, MEM_COMMIT, PAGE_READWRITE, MEM_PRIVATE)
    dump.region(0x600000, MB, MEM_RESERVE, 0, MEM_PRIVATE)
    return dumpmap.open(dump.memory(teb, bytes(data)).build())


def test_the_base_and_a_frame_prove_it() -> None:
    assert blocks(process(0x400000, 0x4FFC00)) == [(0x400000, MB)]


@pytest.mark.parametrize(
    ("base", "frame"),
    [
        (0x400000, 0x500000),  # no frame on it
        (0x400000, 0x400000),
        (0x410000, 0x4FFC00),  # not the base of an allocation
        (0x400008, 0x4FFC00),
        (0x200000, 0x2FFC00),  # the ordinary stack
        (0x800000, 0x8FFC00),  # free
        (0, 0x4FFC00),
        ((1 << 64) - 0x10000, 0x4FFC00),
    ],
)
def test_other_words_prove_nothing(base: int, frame: int) -> None:
    region_map = process(base, frame)
    assert len(region_map.structures.tebs) == 1
    assert blocks(region_map) == []


# ---------------------------------------------------------------- ended threads, and the table of handles

ENDED, HANDLES = "Wine stack of an ended thread", "Wine memory handle table"


def claims(wine: WineProcess, memory: Memory | None = None) -> dict[str, list[tuple[int, int]]]:
    """What Wine is the owner of, by kind."""
    found: dict[str, list[tuple[int, int]]] = {}
    for one in survey_process(wine.process, memory).found:
        for part in one.ranges:
            if part.owner == "Wine":
                assert (part.type, part.inferred) == (None, False)
                found.setdefault(part.kind, []).append((part.base, part.size))
    return {kind: sorted(parts) for kind, parts in found.items()}


@pytest.mark.parametrize("arch", ["x64", "x86"])
def test_a_thread_that_ended_leaves_its_stacks(arch: str) -> None:
    wine = WineProcess(arch)
    assert claims(wine) == {KIND: [(wine.block, MB)]}
    _, stack, block = wine.ended_thread()
    _, table, size = wine.handle_table()
    expected = {KIND: sorted([(wine.block, MB), (block, MB)]), ENDED: [(stack, MB)], HANDLES: [(table, size)]}
    recording = RecordingMemory(memory_of(wine.process))
    assert claims(wine, recording) == expected
    assert claims(wine, ExcerptMemory(recording.excerpts())) == expected


@pytest.mark.parametrize("arch", ["x64", "x86"])
@pytest.mark.parametrize(
    "lie",
    [
        lambda w, teb, stack: w.field(teb, synth.SELF, teb + 8),
        lambda w, teb, stack: w.field(teb, synth.PROCESS_ID, 4),
        lambda w, teb, stack: w.field(teb, synth.THREAD_ID, w.process.threads[0].tid),  # it has not ended
        lambda w, teb, stack: w.field(teb, synth.PEB, w.process.peb + 0x1000),
        lambda w, teb, stack: w.field(teb, synth.DEALLOCATION_STACK, stack + 0x1000),
        lambda w, teb, stack: w.field(teb, synth.STACK_BASE, stack + MB - 0x1000),
        lambda w, teb, stack: w.field(teb, synth.EXCEPTIONS, stack + MB),  # its frame is not on the stack
        lambda w, teb, stack: w.field(teb, synth.SECOND_STACK, stack),
        lambda w, teb, stack: w.process.pointer(w.frame, 0),  # the memory is somebody else's by now
        lambda w, teb, stack: w.process.pointer(w.frame + w.width, stack),
    ],
)
def test_a_teb_that_lies_is_none_of_an_ended_thread(arch: str, lie: Callable[[WineProcess, int, int], None]) -> None:
    wine = WineProcess(arch)
    teb, stack, _ = wine.ended_thread()
    assert ENDED in claims(wine)
    lie(wine, teb, stack)
    assert claims(wine) == {KIND: [(wine.block, MB)]}


def test_the_stack_of_a_living_thread_is_nobody_elses() -> None:
    wine = WineProcess()
    thread = wine.process.threads[0].stack
    teb, _, _ = wine.ended_thread()
    for places, value in ((synth.STACK_BASE, thread.top), (synth.DEALLOCATION_STACK, thread.base)):
        wine.field(teb, places, value)
    assert ENDED not in claims(wine)


@pytest.mark.parametrize("arch", ["x64", "x86"])
@pytest.mark.parametrize(("word", "change"), [(0, 0x10000), (1, 8), (2, 4), (2, -0x1000), (2, 1 << 21)])
def test_other_variables_are_no_table_of_handles(arch: str, word: int, change: int) -> None:
    wine = WineProcess(arch)
    place, _, _ = wine.handle_table()
    at = place + word * wine.width
    wine.process.pointer(at, wine.process.read_pointer(at) + change)
    assert HANDLES not in claims(wine)


def test_a_second_stack_of_another_size_is_none() -> None:
    wine = WineProcess()
    others = [wine.ended_thread(number)[2] for number in (3, 4)]
    wine.field(wine.teb, synth.SECOND_STACK, wine.process.allocate(2 * MB))
    wine.field(wine.teb, synth.FRAME, wine.process.read_pointer(wine.teb + synth.SECOND_STACK[1]) + 8)
    assert claims(wine)[KIND] == [(block, MB) for block in others]


def test_two_tables_of_handles_are_none() -> None:
    wine = WineProcess()
    place, table, size = wine.handle_table()
    for index, value in enumerate((table, table + size, table)):
        wine.process.pointer(place + 0x40 + 8 * index, value)
    assert HANDLES not in claims(wine)


def test_on_windows_kernelbase_has_no_such_table() -> None:
    wine = WineProcess()
    wine.handle_table()
    wine.field(wine.teb, synth.SECOND_STACK, 0)
    assert claims(wine) == {}
