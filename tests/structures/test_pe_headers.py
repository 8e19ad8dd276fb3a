"""PE headers, in process memory and in a file."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.structures import memory_of
from synth import images
from synth.process import ProcessBuilder

from dumpmap.model.memory import ExcerptMemory, RecordingMemory
from dumpmap.structures.pe import MAX_SECTIONS, find_export, parse_image, read_image

BASE = 0x7FF612340000
SECTIONS = images.place_sections(
    (images.Section(".text", 0x1801), images.Section(".bss\xe9", 0), images.Section("longname", 0x123456))
)


def header(arch: str = "x64", section_alignment: int = 0x1000) -> bytes:
    return images.pe_header(
        arch,
        BASE if arch in ("x64", "arm64") else 0x10000000,
        SECTIONS,
        timestamp=0x11223344,
        checksum=0x55667788,
        section_alignment=section_alignment,
    )


@pytest.mark.parametrize(
    ("arch", "machine", "pointer_size"),
    [("x86", 0x14C, 4), ("x64", 0x8664, 8), ("arm64", 0xAA64, 8), ("arm", 0x1C4, 4)],
)
def test_headers_are_read(arch: str, machine: int, pointer_size: int) -> None:
    image = parse_image(header(arch))
    assert image is not None
    assert (image.machine, image.pointer_size) == (machine, pointer_size)
    assert (image.timestamp, image.checksum) == (0x11223344, 0x55667788)
    assert (image.size_of_headers, image.section_alignment) == (0x400, 0x1000)
    assert image.size_of_image == images.image_size(SECTIONS)
    assert image.is_dll
    assert image.large_address_aware
    assert image.subsystem == 3
    assert image.exports == (0, 0)
    assert image.section_count == len(SECTIONS)
    assert [(section.name, section.address, section.virtual_size) for section in image.sections] == [
        (section.name, section.rva, section.size) for section in SECTIONS
    ]
    assert [section.size for section in image.sections] == [0x2000, 0, 0x124000]
    assert image == read_image(ExcerptMemory([(BASE, header(arch))]), BASE)


def test_sections_are_rounded_to_a_larger_alignment_and_never_below_a_page() -> None:
    wide = parse_image(header(section_alignment=0x10000))
    narrow = parse_image(header(section_alignment=0x20))
    assert wide is not None
    assert narrow is not None
    assert [section.size for section in wide.sections] == [0x10000, 0, 0x130000]
    assert [section.size for section in narrow.sections] == [0x2000, 0, 0x124000]


def test_an_old_linkers_section_without_virtual_size_has_its_raw_size() -> None:
    data = bytearray(header())
    table = len(data) - 3 * 40
    struct.pack_into("<I", data, table + 8, 0)
    image = parse_image(bytes(data))
    assert image is not None
    assert image.sections[0].virtual_size == 0
    assert image.sections[0].size == 0x2000


def test_only_header_bytes_are_read() -> None:
    memory = RecordingMemory(ExcerptMemory([(BASE, header().ljust(0x1000, b"\xcc"))]))
    assert read_image(memory, BASE) is not None
    assert sum(len(data) for _, data in memory.excerpts()) < len(header())
    assert all(b"\xcc" not in data for _, data in memory.excerpts())


def test_a_section_table_that_is_cut_off_keeps_what_stands_before_the_cut() -> None:
    image = parse_image(header()[:-1])
    assert image is not None
    assert [section.name for section in image.sections] == [".text", ".bss\xe9"]
    assert image.section_count == 3


def test_an_impossible_section_count_is_bounded() -> None:
    data = bytearray(header())
    struct.pack_into("<H", data, 0x80 + 6, 0xFFFF)
    image = parse_image(bytes(data).ljust(0x300000, b"\0"))
    assert image is not None
    assert image.section_count == 0xFFFF
    assert len(image.sections) == MAX_SECTIONS


def test_every_prefix_gives_an_image_or_nothing() -> None:
    whole = header()
    good = [size for size in range(len(whole) + 1) if parse_image(whole[:size]) is not None]
    assert good == list(range(0x80 + 24 + 0x46, len(whole) + 1))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(header()) - 1), st.integers(0, 255)), max_size=8))
def test_spoiled_bytes_never_raise(changes: list[tuple[int, int]]) -> None:
    data = bytearray(header())
    for offset, value in changes:
        data[offset] = value
    image = parse_image(bytes(data))
    if image is not None:
        assert len(image.sections) <= image.section_count
        find_export(ExcerptMemory([(0, bytes(data))]), 0, image, "anything")


@pytest.mark.parametrize("value", [0, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_lying_offset_of_the_nt_headers_gives_nothing(value: int) -> None:
    data = bytearray(header())
    struct.pack_into("<I", data, 0x3C, value)
    assert parse_image(bytes(data)) is None


@pytest.mark.parametrize("arch", ["x86", "x64"])
def test_exports_are_found(arch: str) -> None:
    process = ProcessBuilder(arch, 19045)
    names = {f"Export{index:03}": 0x1000 + 16 * index for index in range(101)} | {"A": 0x1001, "Zz": 0x1003}
    module = process.add_module("many.dll", exports=names)
    memory = memory_of(process)
    image = read_image(memory, module.base)
    assert image is not None
    for name, rva in names.items():
        assert find_export(memory, module.base, image, name) == module.base + rva
    for name in ("Export", "Export0000", "", "ZZZ", "\N{SNOWMAN}"):
        assert find_export(memory, module.base, image, name) is None


def test_a_forwarded_export_and_damaged_tables_give_nothing() -> None:
    process = ProcessBuilder("x64", 19045)
    module = process.add_module("some.dll", exports={"Forwarded": 0x9010, "Plain": 0x1000})
    memory = memory_of(process)
    image = read_image(memory, module.base)
    assert image is not None
    assert image.exports[0] == 0x9000
    assert find_export(memory, module.base, image, "Forwarded") is None
    assert find_export(memory, module.base, image, "Plain") == module.base + 0x1000
    process.number(module.base + 0x9000 + 0x14, 0, 4)  # NumberOfFunctions
    assert find_export(memory_of(process), module.base, image, "Plain") is None
    process.drop_page(module.base + 0x9000)
    assert find_export(memory_of(process), module.base, image, "Plain") is None


def test_an_image_without_exports() -> None:
    image = parse_image(header())
    assert image is not None
    assert find_export(ExcerptMemory([(0, header())]), 0, image, "Anything") is None
