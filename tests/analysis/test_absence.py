"""What the input lacks is a note; only what contradicts itself is a contradiction, and only damage is damage."""

from __future__ import annotations

import pytest
from synth.heaps import segment_heap, write_heap_array
from synth.minidump import MEMORY_INFO_LIST, MinidumpBuilder
from synth.nt_heap import nt_heap
from synth.process import ProcessBuilder

import dumpmap
from dumpmap.api import RegionMap

INPUT = {"input-contradictory", "input-damaged"}


def findings(region_map: RegionMap) -> set[str]:
    return {finding.id for finding in region_map.findings()} & INPUT


def program(architecture: str = "x64") -> MinidumpBuilder:
    return MinidumpBuilder(architecture).system_info().module(0x400000, 0x10000, "C:\\app\\app.exe")


@pytest.mark.parametrize("context", [b"", None])
def test_a_thread_without_a_stack_is_absent(context: bytes | None) -> None:
    builder = program().thread(1) if context is None else program().thread(1, context=context)
    region_map = dumpmap.open(builder.build())
    assert not findings(region_map)
    assert "no stack was found for 1 of 1 thread: 1" in region_map.notes


@pytest.mark.parametrize("size", [8, 0x20, 0x48])
def test_a_teb_of_which_only_a_part_was_captured_is_absent(size: int) -> None:
    region_map = dumpmap.open(program().thread(1, teb=0x7FF000).memory(0x7FF000, b"\1" * size).build())
    assert not findings(region_map)


def test_a_teb_that_is_none_contradicts_the_thread_list() -> None:
    region_map = dumpmap.open(program().thread(1, teb=0x7FF000).memory(0x7FF000, b"\1" * 0x1000).build())
    assert findings(region_map) == {"input-contradictory"}


@pytest.mark.parametrize("captured", [0, 0x70, 0x78, 0x1000])
@pytest.mark.parametrize(
    ("make", "architecture", "build"),
    [
        (nt_heap, "x86", 7601),
        (nt_heap, "x64", 19045),
        (nt_heap, "x64", 26100),
        (segment_heap, "x64", 19045),
        (segment_heap, "x64", 26100),
    ],
)
def test_a_heap_header_of_which_only_a_part_was_captured_is_absent(
    make: object, architecture: str, build: int, captured: int
) -> None:
    process = ProcessBuilder(architecture, build).furnish()
    truth = make(process)  # type: ignore[operator]
    write_heap_array(process)
    peb = process.peb64 if process.pointer_size == 8 else process.peb32
    assert peb is not None
    array = process.read_pointer(peb + (0xF0 if process.pointer_size == 8 else 0x90))
    extra = [(array, 0x100), *([(truth.address, captured)] if captured else [])]
    for memory_info in (False, True):
        region_map = dumpmap.open(process.to_minidump(full=False, memory_info=memory_info, extra=extra).build())
        assert not findings(region_map), region_map.warnings
        assert region_map.heaps


def test_what_a_cut_off_list_of_regions_lacks_is_no_contradiction() -> None:
    process = ProcessBuilder("x64", 19045).furnish()
    nt_heap(process)
    write_heap_array(process)
    dump = process.to_minidump()
    assert not findings(dumpmap.open(dump.build()))
    for count in (2, 10):
        cut = process.to_minidump().lie(MEMORY_INFO_LIST, size=16 + 48 * count)
        region_map = dumpmap.open(cut.build())
        assert findings(region_map) <= {"input-damaged"}, region_map.warnings
