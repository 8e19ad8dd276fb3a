"""The texts in a version resource, laid out by hand from Microsoft's description of the format."""

from __future__ import annotations

import struct

import pytest
from support.scenes import program

from dumpmap.model.memory import ExcerptMemory
from dumpmap.model.process import PeImage
from dumpmap.structures.pe import read_image
from dumpmap.structures.version import VersionTexts, version_texts

BASE = 0x400000


def image() -> tuple[PeImage, int]:
    """The headers of an EXE, and the RVA of its resources."""
    module, header = program(64, aware=True)
    found = read_image(ExcerptMemory([(module.base, header)]), module.base)
    assert found is not None
    return found, next(section.address for section in found.sections if section.name == ".rsrc")


def resources(
    rva: int, company: str = "Overlay Ltd.", *, version: str | None = None, number: int = 16, size: int | None = None
) -> bytes:
    """A resource section with one version resource."""
    data = bytearray(0x400)

    def directory(at: int, entries: list[tuple[int, int]]) -> None:
        struct.pack_into("<IIHHHH", data, at, 0, 0, 0, 0, 0, len(entries))
        for index, entry in enumerate(entries):
            struct.pack_into("<II", data, at + 16 + 8 * index, *entry)

    directory(0, [(3, 0x80000300), (number, 0x80000040)])
    directory(0x40, [(1, 0x80000060)])
    directory(0x60, [(1033, 0x80)])
    strings = _string("CompanyName", company) + (b"" if version is None else _string("ProductVersion", version))
    # The strings start at multiples of 4, so their values do too.
    data[0x140 : 0x140 + len(strings)] = strings
    struct.pack_into("<IIII", data, 0x80, rva + 0x100, 0x200 if size is None else size, 0, 0)
    return bytes(data)


def _string(key: str, value: str) -> bytes:
    head = struct.pack("<HHH", 0, len(value) + 1, 1) + f"{key}\0".encode("utf-16-le")
    whole = head + b"\0" * (-len(head) % 4) + f"{value}\0".encode("utf-16-le")
    return whole + b"\0" * (-len(whole) % 4)


def texts(data: bytes) -> VersionTexts:
    found, rva = image()
    return version_texts(ExcerptMemory([(BASE + rva, data)] if data else []), BASE, found)


def read(data: bytes) -> str | None:
    return texts(data).company


def test_the_company_is_read() -> None:
    assert read(resources(image()[1])) == "Overlay Ltd."
    assert read(resources(image()[1], "Ünïcode\n GmbH")) == "Ünïcode GmbH"


def test_the_product_version_is_read() -> None:
    rva = image()[1]
    assert texts(resources(rva, version="4.27.2-release (x64)")) == VersionTexts("Overlay Ltd.", "4.27.2-release (x64)")
    assert texts(resources(rva)).product_version is None
    assert texts(b"") == VersionTexts()


def test_what_is_not_there_is_unknown() -> None:
    rva = image()[1]
    assert read(b"") is None
    assert read(bytes(0x400)) is None
    assert read(resources(rva, number=5)) is None
    assert read(resources(rva, "")) is None


@pytest.mark.parametrize("size", [0, 1, 0x10, 0x10001, 0xFFFFFFFF])
def test_a_size_that_cannot_be_is_unknown(size: int) -> None:
    assert read(resources(image()[1], size=size)) is None


def test_every_prefix_ends_in_a_result() -> None:
    data = resources(image()[1])
    assert {read(data[:end]) for end in range(0, len(data), 4)} <= {None, "Overlay Ltd."}


@pytest.mark.parametrize("fill", [0xFF, 0x80, 0x10])
def test_garbage_ends(fill: int) -> None:
    assert read(bytes([fill]) * 0x400) is None


def test_a_long_value_is_cut_off() -> None:
    assert len(read(resources(image()[1], "x" * 230, size=0x300)) or "") == 200
