"""Page heaps, synthetic, and Wine's heaps, synthetic and recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.structures import (
    MEM_COMMIT,
    MEM_PRIVATE,
    MapSpace,
    allocations,
    expected,
    heap_at,
    load,
    memory_of,
    space_of,
    survey_process,
)
from synth import heaps as hp
from synth.heaps import HeapTruth
from synth.process import ProcessBuilder
from synth.space import PAGE

from dumpmap.model.memory import ExcerptMemory, RecordingMemory
from dumpmap.structures.heap_context import HeapContext
from dumpmap.structures.heap_families import FAMILIES
from dumpmap.structures.layouts import nt_heap as nt_layouts
from dumpmap.structures.layouts import page_heap as page_layouts
from dumpmap.structures.layouts import segment_heap as segment_layouts
from dumpmap.structures.layouts import wine_heap as wine_layouts
from dumpmap.structures.page_heap import read_page_heap

# _DPH_HEAP_ROOT and _DPH_HEAP_BLOCK, (x86, x64): what the test data's writer leaves out.
STORAGE_LIST, STORAGE_COUNT = (0x10, 0x18), (0x18, 0x28)
BLOCK_START, BLOCK_SIZE = (0x14, 0x28), (0x18, 0x30)
BUILDS = [("x86", 6002), ("x86", 7601), ("x64", 7601), ("x86", 19045), ("x64", 19045), ("x64", 26100)]


def link_storage(process: ProcessBuilder, truth: HeapTruth) -> list[int]:
    """Writes the list of reservations into a page heap's root; returns head and nodes."""
    wide = truth.bits == 64
    width = truth.bits // 8
    head = truth.address + PAGE + STORAGE_LIST[wide]
    pool = truth.address + 2 * PAGE
    # The handle's own reservation is not on the list.
    reserves = [item for item in truth.allocations if item.base != truth.address]
    ring = [head, *(pool + 0x100 * (index + 1) for index in range(len(reserves)))]
    for index, node in enumerate(ring):
        process.pointer(node, ring[(index + 1) % len(ring)], width)
        process.pointer(node + width, ring[index - 1], width)
    for node, item in zip(ring[1:], reserves, strict=True):
        process.pointer(node + BLOCK_START[wide], item.base, width)
        process.pointer(node + BLOCK_SIZE[wide], item.size, width)
    process.number(truth.address + PAGE + STORAGE_COUNT[wide], len(reserves), 4)
    return ring


def page_process(arch: str, number: int) -> tuple[ProcessBuilder, HeapTruth, HeapTruth]:
    process = ProcessBuilder(arch, number).furnish()
    page, normal = hp.page_heap(process, more_reserves=3)
    link_storage(process, page)
    hp.write_heap_array(process, process_heap=page.address)
    return process, page, normal


@pytest.mark.parametrize(("arch", "number"), BUILDS)
def test_a_page_heap_and_the_heap_behind_it(arch: str, number: int) -> None:
    process, page, normal = page_process(arch, number)
    found = survey_process(process)
    assert not found.warnings
    assert len(found.heaps) == 2
    heap = heap_at(found, page)
    assert (heap.kind, heap.id, heap.is_default, heap.evidence) == ("Page heap", None, True, "peb")
    assert allocations(heap, space_of(process)) == expected(page)
    assert {range_.role for range_ in heap.ranges} == {"header", "page heap"}
    behind = heap_at(found, normal)
    assert (behind.kind, behind.id, behind.is_default) == ("NT heap", 1, False)
    assert allocations(behind, space_of(process)) == expected(normal)


@pytest.mark.parametrize(("arch", "number"), BUILDS)
def test_a_page_heap_without_a_list_and_one_behind_which_nothing_is_listed(arch: str, number: int) -> None:
    process = ProcessBuilder(arch, number).furnish()
    page, normal = hp.page_heap(process, listed=False)
    hp.write_heap_array(process, process_heap=page.address)
    found = survey_process(process)
    assert not found.warnings
    assert heap_at(found, page).kind == "Page heap"
    behind = heap_at(found, normal)
    assert (behind.id, behind.evidence) == (None, "heap-segment")


def test_the_page_heap_of_windows_xp() -> None:
    process = ProcessBuilder("x86", 2600).furnish()
    page, normal = hp.page_heap(process, listed=False)
    hp.write_heap_array(process, process_heap=page.address)
    found = survey_process(process)
    assert heap_at(found, page).kind == "Page heap"
    assert [range_.base for range_ in heap_at(found, page).ranges] == [page.address]
    assert not found.warnings
    assert normal.kind == "nt-old"


def test_a_page_heap_in_the_middle_of_an_allocation_has_two_pages_of_it() -> None:
    process, page, _ = page_process("x64", 19045)
    reserve = 16 * 0x10000
    for before, after, size in ((0x10000, reserve, 2 * PAGE), (0x10000, 2 * PAGE, 2 * PAGE), (0x10000, PAGE, PAGE)):
        start = page.address - before
        space = MapSpace([(start, before + after, start, MEM_COMMIT, MEM_PRIVATE)])
        context = HeapContext(memory_of(process), space, space.private_allocations(), 8, 19045)
        heap = read_page_heap(context, page.address, "heap", "peb")
        assert heap is not None
        assert [(part.base, part.size) for part in heap.ranges if part.role == "header"] == [(page.address, size)]


def test_a_page_heap_that_nothing_names_is_found_where_page_heap_is_on() -> None:
    process, page, normal = page_process("x64", 19045)
    hp.write_heap_array(process, process_heap=normal.address)
    heap = heap_at(survey_process(process), page)
    assert (heap.kind, heap.evidence) == ("Page heap", "heap-signature")
    process.set_peb("NtGlobalFlag", 0)
    assert {heap.kind for heap in survey_process(process).heaps} == {"NT heap"}


def test_a_reservation_whose_record_is_damaged() -> None:
    process, page, _ = page_process("x64", 19045)
    ring = link_storage(process, page)
    lost = process.read_pointer(ring[2] + BLOCK_START[1])
    process.pointer(ring[2] + BLOCK_START[1], 0x1234)
    found = survey_process(process)
    bases = {range_.base for range_ in heap_at(found, page).ranges}
    assert bases == {item.base for item in page.allocations} - {lost}
    assert any("list of reservations is broken" in warning for warning in found.warnings)


def test_a_page_heap_root_in_the_wrong_place_is_none() -> None:
    process, page, _ = page_process("x64", 19045)
    process.number(page.address, 0x12345678, 4)
    found = survey_process(process)
    assert all(heap.kind != "Page heap" for heap in found.heaps)
    assert any("no heap signature" in warning for warning in found.warnings)


@pytest.mark.parametrize("magic", [b"HEAP", b"PAEH"])
@pytest.mark.parametrize("arch", ["x86", "x64"])
def test_a_wine_heap_of_an_unknown_layout_has_its_own_allocation(arch: str, magic: bytes) -> None:
    process = ProcessBuilder(arch, 7601).furnish()
    truth = hp.wine_heap(process, magic=magic)
    found = survey_process(process)
    assert not found.warnings
    (heap,) = found.heaps
    assert (heap.kind, heap.is_default, heap.evidence) == ("Wine heap", True, "peb")
    assert allocations(heap, space_of(process)) == expected(truth)


@pytest.mark.parametrize("types", [(0x5355, 0x5246, 0xDEAD), (0x0175, 0x0146, 0x0044)])
@pytest.mark.parametrize("arch", ["x86", "x64"])
def test_a_subheap_may_begin_with_a_free_block(arch: str, types: tuple[int, ...]) -> None:
    process = ProcessBuilder(arch, 7601).furnish()
    heap = hp.wine_heap(process)
    subheaps = hp.wine_subheaps(process, heap.address, types)
    found = survey_process(process)
    assert not found.warnings
    assert {range_.base: range_.evidence for range_ in found.heaps[0].ranges} == {
        heap.address: "peb",
        **dict.fromkeys(subheaps, "heap-segment"),
    }
    assert [range_.committed for range_ in found.heaps[0].ranges if range_.base in subheaps] == [0x10000] * len(types)


def test_a_block_of_another_type_is_no_subheap() -> None:
    process = ProcessBuilder("x64", 7601).furnish()
    heap = hp.wine_heap(process)
    subheaps = hp.wine_subheaps(process, heap.address, (0x5355, 0x614C, 0x5355))
    found = survey_process(process)
    assert {range_.base for range_ in found.heaps[0].ranges} == {heap.address, subheaps[0], subheaps[2]}
    assert any(f"broken at {subheaps[1] + 0x20:#x} (not a subheap)" in warning for warning in found.warnings)


@pytest.mark.parametrize("name", ["runtimes/full-node-22", "runtimes/node-20", "allocators/mimalloc-pyarrow"])
def test_recorded_heaps_with_a_free_first_block_are_whole(fixtures: Path, name: str) -> None:
    found = load(fixtures / f"{name}.dmp.gz").survey()
    assert not found.warnings


def truth_of(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(path.with_name(path.name.replace(".dmp.gz", ".truth.json")).read_text())
    return loaded


RECORDED = [
    "layout-x64",
    "layout-x86",
    "layout-wow64",
    "leak-x64-before",
    "leak-x64-after",
    "fragment-x86",
    "exhaust-x86",
]


@pytest.mark.parametrize("name", RECORDED)
def test_every_heap_of_a_process_recorded_under_wine(fixtures: Path, name: str) -> None:
    path = fixtures / f"{name}.dmp.gz"
    dump = load(path)
    found = dump.survey()
    assert not found.warnings
    known = {heap.address: heap for heap in found.heaps}
    assert {heap.kind for heap in found.heaps} == {"Wine heap"}
    wanted = [heap for heap in truth_of(path)["heaps"] if heap["kind"] == "wine"]
    assert wanted
    for heap in wanted:
        mine = known[int(heap["address"], 16)]
        assert mine.is_default == heap["process_heap"]
        got = [(range_.base, dump.space.sizes[range_.base], range_.committed, range_.role) for range_ in mine.ranges]
        assert got == sorted(
            (int(part["base"], 16), part["size"], part["committed"], part["kind"]) for part in heap["ranges"]
        )
    assert len(known) == len(wanted)


@pytest.mark.parametrize("name", RECORDED)
def test_a_recording_of_a_recorded_process_is_small_and_enough(fixtures: Path, name: str) -> None:
    dump = load(fixtures / f"{name}.dmp.gz")
    recording = RecordingMemory(dump.memory)
    first = dump.survey(recording)
    excerpts = recording.excerpts()
    assert dump.survey(ExcerptMemory(excerpts)) == first
    assert sum(len(data) for _, data in excerpts) < 0x5000


def test_the_table_of_families_agrees_with_the_layouts() -> None:
    places = {family.reader: family.at for family in FAMILIES}
    assert places["read_wine_heap"] == {size: layout.offsets["magic"] for size, layout in wine_layouts.HEAP.items()}
    for size, layout in segment_layouts.SEGMENT_HEAP.items():
        assert places["read_segment_heap"][size] == layout.offsets["Signature"]
    for size, layout in nt_layouts.HEAP_OLD.items():
        assert places["read_old_nt_heap"][size] == layout.offsets["Signature"]
    assert all(layout.offsets["Signature"] == 0 for layout in page_layouts.DPH_HEAP_ROOT.values())
