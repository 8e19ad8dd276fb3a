"""Whole synthetic processes: every stack, image, TEB and named region is found for what it is."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
from support.scenes import Scene, program
from synth.images import Section, pe_header
from synth.minidump import MEM_IMAGE, MEM_MAPPED, MEM_PRIVATE, PAGE_READONLY
from synth.process import ProcessBuilder

import dumpmap
from dumpmap.api import RegionMap
from dumpmap.classify.images import Sections
from dumpmap.model.memory import ExcerptMemory
from dumpmap.model.types import RegionType
from dumpmap.structures.pe import read_image

PROCESSES = [
    ("x86", 2600, False),
    ("x64", 3790, False),
    ("x86", 7601, False),
    ("x64", 7601, False),
    ("x86", 7601, True),
    ("x64", 7601, True),
    ("x64", 9600, False),
    ("x86", 14393, True),
    ("x64", 19045, False),
    ("x86", 19045, True),
    ("x64", 19045, True),
    ("x64", 26100, False),
    ("arm64", 26100, False),
]

KINDS = {
    "user shared data": "User shared data",
    "process parameters": "Process parameters",
    "ApiSet map": "API set map",
    "CSR shared memory": "CSR shared memory",
    "GDI handle table": "GDI handle table",
}


@cache
def build(arch: str, number: int, wow64: bool) -> tuple[ProcessBuilder, RegionMap]:
    builder = ProcessBuilder(arch, number, wow64).furnish()
    builder.add_thread(name="worker", reserve=0x4_0000, commit=0x3000, guard=0x2000)
    builder.add_thread(guard=0)
    return builder, dumpmap.open(builder.to_minidump().build())


@pytest.mark.parametrize(("arch", "number", "wow64"), PROCESSES)
def test_every_region_of_the_builder_is_in_the_map(arch: str, number: int, wow64: bool) -> None:
    builder, m = build(arch, number, wow64)
    wanted = [
        (region.base, region.size, region.state, region.protect, region.type)
        for region in builder.regions(builder.limit)
    ]
    raw = m.snapshot.regions
    assert raw is not None
    columns = (raw.base, raw.size, raw.state, raw.protect, raw.type)
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == wanted


@pytest.mark.parametrize(("arch", "number", "wow64"), PROCESSES)
def test_stacks(arch: str, number: int, wow64: bool) -> None:
    builder, m = build(arch, number, wow64)
    found = {(stack.base, stack.end): stack for stack in m.stacks}
    for thread in builder.threads:
        stack = found[thread.stack.base, thread.stack.top]
        assert stack.thread_id == thread.tid
        assert stack.name == thread.name
        assert stack.committed == thread.stack.top - thread.stack.guard_base
        assert stack.guard == thread.stack.guard_size
        assert stack.evidence == "teb"
        location = m.at(thread.stack.sp)
        assert location is not None
        assert location.type == RegionType.STACK
        assert location.thread_id == thread.tid


@pytest.mark.parametrize(("arch", "number", "wow64"), PROCESSES)
def test_images_and_sections(arch: str, number: int, wow64: bool) -> None:
    builder, m = build(arch, number, wow64)
    for module in builder.modules:
        if module.base >= builder.limit:
            continue
        location = m.at(module.base)
        assert location is not None
        assert location.type == RegionType.IMAGE
        assert location.module == module.name
        assert location.section == "Header"
        assert location.allocation_size == module.size
        for name, (address, _) in module.sections.items():
            inside = m.at(address)
            assert inside is not None
            assert inside.section == name


@pytest.mark.parametrize(("arch", "number", "wow64"), PROCESSES)
def test_named_regions_keep_their_type(arch: str, number: int, wow64: bool) -> None:
    builder, m = build(arch, number, wow64)
    for name, kind in KINDS.items():
        if name not in builder.named:
            continue
        location = m.at(builder.named[name])
        assert location is not None
        assert location.kind == kind
        assert location.type in (RegionType.PRIVATE_DATA, RegionType.SHAREABLE)


@pytest.mark.parametrize(("arch", "number", "wow64"), PROCESSES)
def test_rows_add_up_to_the_space(arch: str, number: int, wow64: bool) -> None:
    builder, m = build(arch, number, wow64)
    assert m.end == builder.limit
    assert sum(line.size or 0 for line in m.summary_lines[1:]) == builder.limit
    frame = m.regions
    ends = frame["address"] + frame["size"].astype("uint64")
    assert (frame["address"].to_numpy()[1:] == ends.to_numpy()[:-1]).all()


@pytest.mark.parametrize(("arch", "number", "wow64"), PROCESSES)
def test_a_full_synthetic_dump_gives_no_warning(arch: str, number: int, wow64: bool) -> None:
    _, m = build(arch, number, wow64)
    assert m.warnings == ()
    assert m.completeness == "full"


@pytest.mark.parametrize(("arch", "number", "wow64"), PROCESSES)
def test_without_memory_info_nothing_free_is_claimed(arch: str, number: int, wow64: bool) -> None:
    builder = ProcessBuilder(arch, number, wow64).furnish()
    m = dumpmap.open(builder.to_minidump(memory_info=False, full=False).build())
    assert m.completeness == "partial"
    assert m.largest_free_block is None
    summary = m.summary()
    assert summary.loc["Free"].isna().all()
    assert m.line(RegionType.IMAGE).size == sum(mod.size for mod in builder.modules if mod.base < builder.limit)
    for thread in builder.threads:
        stack = next(stack for stack in m.stacks if stack.thread_id == thread.tid and stack.end == thread.stack.top)
        assert stack.base == thread.stack.base, "the TEB names the bottom of the reservation"
        assert stack.reserve == thread.stack.reserved


def test_a_stack_overflow_is_a_stack_without_guard() -> None:
    builder = ProcessBuilder("x64", 19045).furnish()
    thread = builder.add_thread(guard=0, reserve=0x1_0000, commit=0x1_0000)
    m = dumpmap.open(builder.to_minidump().build())
    (stack,) = [stack for stack in m.stacks if stack.thread_id == thread.tid]
    assert stack.guard == 0
    assert stack.committed == 0x1_0000


def test_private_data_that_nothing_explains_stays_private_data() -> None:
    builder = ProcessBuilder("x64", 19045).furnish()
    address = builder.allocate(0x10_0000)
    location = dumpmap.open(builder.to_minidump().build()).at(address)
    assert location is not None
    assert location.type == RegionType.PRIVATE_DATA
    assert location.kind == ""
    assert not location.inferred


@pytest.mark.parametrize(("kind", "is_image"), [(MEM_IMAGE, True), (MEM_PRIVATE, False), (MEM_MAPPED, False)])
def test_a_module_in_memory_that_is_no_image_is_said_to_be(kind: int, is_image: bool) -> None:
    scene = Scene(64)
    scene.allocate(0x10000, base=0x400000, protect=PAGE_READONLY, type=kind)
    module, header = program(64, aware=True)
    frame = scene.map(modules=[module], memory=[(0x400000, header)]).allocations.set_index("address")
    row = frame.loc[0x400000]
    assert row["details"] == module.path
    assert row["kind"] == ("EXE" if is_image else "EXE in other memory")
    assert (row["type"] == "Image") is is_image


def test_sections_are_marked_within_their_allocation_and_the_header_last() -> None:
    base, end = 0x403400, 0x40B400
    sections = (
        (".text", 0x1000, 0x2000),
        ("", 0x3000, 0x1000),
        (".far", 0x7000, 0x5000),
        (".out", 0x8000, 0x1000),
        (".zero", 0, 0x1000),
    )
    header = pe_header("x64", base, [Section(name, 0x1000, rva=rva) for name, rva, _ in sections])
    image = read_image(ExcerptMemory([(base, header)]), base)
    assert image is not None
    parts = tuple(
        replace(known, name=name, address=rva, size=size)
        for known, (name, rva, size) in zip(image.sections, sections, strict=True)
    )
    for size_of_headers, pages in ((0x400, 1), (0x1000, 1), (0x1001, 2), (0, 0)):
        marks = list(Sections(base, end, replace(image, sections=parts, size_of_headers=size_of_headers), "x").marks())
        assert [(mark.start - base, mark.end - base, mark.label.kind) for mark in marks] == [
            (0x1000, 0x3000, ".text"),
            (0x3000, 0x4000, "(section)"),
            (0x7000, 0x8000, ".far"),
            *[(0, pages * 0x1000, "Header")] * bool(pages),
        ]


def test_an_activation_context_that_no_field_names_is_inferred() -> None:
    process = ProcessBuilder("x64", 19045).furnish()
    own, system, other = process.add_activation_contexts()
    rows = dumpmap.open(process.to_minidump().build()).allocations.set_index("address")
    for base, kind, inferred in (
        (own, "Process activation context", False),
        (system, "System activation context", False),
        (other, "Activation context", True),
    ):
        assert (rows.loc[base, "kind"], bool(rows.loc[base, "inferred"])) == (kind, inferred)
