"""32-bit processes on 64-bit Windows, dumped by a 32-bit writer and by a 64-bit one."""

from __future__ import annotations

from functools import cache

import pytest
from synth.process import ProcessBuilder

import dumpmap
from dumpmap.api import RegionMap
from dumpmap.model.types import RegionType

BUILDS = [7601, 14393, 19045, 26100]


@cache
def process(arch: str, build: int) -> ProcessBuilder:
    builder = ProcessBuilder(arch, build, wow64=True).furnish()
    for number in range(3):
        builder.add_thread(name=f"worker {number}", reserve=0x20_0000, commit=0x8000, guard=0x2000)
    return builder


@cache
def opened(builder: ProcessBuilder, *, full: bool = True) -> RegionMap:
    return dumpmap.open(builder.to_minidump(full=full).build())


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("arch", ["x86", "x64"])
def test_the_process_is_32_bit_and_says_wow64(arch: str, build: int) -> None:
    m = opened(process(arch, build))
    assert m.process.wow64 is True
    assert m.process.architecture == "x86"
    assert m.process.pointer_size == 4


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("arch", ["x86", "x64"])
def test_both_stacks_of_each_thread_where_the_writer_saw_them(arch: str, build: int) -> None:
    builder = process(arch, build)
    m = opened(builder)
    found = {(stack.thread_id, stack.bits): stack for stack in m.stacks}
    for thread in builder.threads:
        narrow = found[thread.tid, 32]
        assert (narrow.base, narrow.end) == (thread.stack.base, thread.stack.top)
        assert narrow.reserve == thread.stack.reserved
        assert narrow.guard == thread.stack.guard_size
        assert thread.stack64 is not None
        if thread.stack64.base < builder.limit:
            wide = found[thread.tid, 64]
            assert (wide.base, wide.end) == (thread.stack64.base, thread.stack64.top)
            assert wide.guard == thread.stack64.guard_size


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("arch", ["x86", "x64"])
def test_tebs_and_pebs_of_both_widths_are_named(arch: str, build: int) -> None:
    builder = process(arch, build)
    m = opened(builder)
    assert builder.peb32 is not None
    assert builder.peb64 is not None
    for peb in (builder.peb32, builder.peb64):
        location = m.at(peb)
        assert location is not None
        assert location.kind == "PEB"
        assert location.type == RegionType.PRIVATE_DATA
    for thread in builder.threads:
        for teb in (thread.teb32, thread.teb64):
            assert teb is not None
            location = m.at(teb)
            assert location is not None
            assert location.kind == "TEB"
            assert str(thread.tid) in location.details


def test_a_64_bit_writer_sees_the_whole_space_and_a_32_bit_one_its_own() -> None:
    wide, narrow = opened(process("x64", 19045)), opened(process("x86", 19045))
    assert wide.end is not None
    assert wide.end > 1 << 40
    assert narrow.end is not None
    assert narrow.end <= 1 << 32
    assert narrow.address_width == 8
    assert wide.address_width == 16


def test_images_of_both_widths_keep_their_sections() -> None:
    builder = process("x64", 19045)
    m = opened(builder)
    for module in builder.modules:
        for name, (address, _) in module.sections.items():
            location = m.at(address)
            assert location is not None
            assert location.section == name


@pytest.mark.parametrize("arch", ["x86", "x64"])
def test_the_command_line_comes_from_the_32_bit_peb(arch: str) -> None:
    m = opened(process(arch, 19045))
    assert m.process.command_line == '"C:\\app\\app.exe" --serve'
    assert m.process.path == "C:\\app\\app.exe"


@pytest.mark.parametrize(("arch", "wow64"), [("x64", False), ("x86", None), ("arm64", None)])
def test_other_processes_are_not_called_wow64(arch: str, wow64: bool | None) -> None:
    m = dumpmap.open(ProcessBuilder(arch, 7601 if arch == "x86" else 26100).furnish().to_minidump().build())
    assert m.process.wow64 is wow64
    assert m.process.architecture == arch


def test_a_small_dump_of_a_32_bit_writer() -> None:
    m = opened(process("x86", 19045), full=False)
    assert m.process.wow64 is True
    assert {stack.bits for stack in m.stacks} >= {32}
