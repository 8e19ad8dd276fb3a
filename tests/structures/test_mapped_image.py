"""An image file as the loader maps it: sections, relocations of both widths, and files that lie."""

from __future__ import annotations

import random
import struct

import pytest
from synth.images import Section as ImageSection
from synth.images import pe_header, place_sections
from synth.minidump import PAGE_EXECUTE_READ, PAGE_READONLY, PAGE_READWRITE

from dumpmap.structures.mapped_image import MappedImage

PREFERRED, LOADED = 0x10000000, 0x23450000
SECTIONS = place_sections(
    (
        ImageSection(".text", 0x1000, PAGE_EXECUTE_READ),
        ImageSection(".rdata", 0x2000, PAGE_READONLY),
        ImageSection(".data", 0x1000, PAGE_READWRITE),
        ImageSection(".reloc", 0x1000, PAGE_READONLY),
    )
)
RVAS = {section.name: section.rva for section in SECTIONS}
RELOCATED = {4: (3, 0x2010, 0x2FFC), 8: (10, 0x2010, 0x2FFC)}
"""Type of relocation, and the RVAs of two addresses; a page ends inside the second one of 8 bytes."""


def image_file(width: int) -> bytes:
    """A file whose sections lie at their RVAs, with two addresses in `.rdata`."""
    header = bytearray(pe_header("x86" if width == 4 else "x64", PREFERRED, SECTIONS))
    optional = 0x80 + 24
    size = 200
    struct.pack_into("<II", header, optional + (0x88 if width == 4 else 0x98), RVAS[".reloc"], size)
    file = bytearray(0x6000)
    file[: len(header)] = header
    kind, *places = RELOCATED[width]
    for place in places:
        file[place : place + width] = (PREFERRED + place).to_bytes(width, "little")
    entries = [kind << 12 | place & 0xFFF for place in places] + [0]
    entries += [0] * (len(entries) % 2)
    block = struct.pack(f"<II{len(entries)}H", 0x2000, 8 + 2 * len(entries), *entries)
    file[RVAS[".reloc"] : RVAS[".reloc"] + len(block)] = block
    file[0x2100:0x2106] = b"plain!"
    return bytes(file)


@pytest.mark.parametrize("width", [4, 8])
def test_addresses_are_moved_and_the_rest_is_as_in_the_file(width: int) -> None:
    image = MappedImage(image_file(width), LOADED)
    _, first, second = RELOCATED[width]
    for place in (first, second):
        data = image.read(place, width)
        assert data is not None
        assert int.from_bytes(data, "little") == LOADED + place
        # A read may begin and end inside an address.
        assert image.read(place + 1, width - 2) == data[1:-1]
    assert image.read(0x2100, 6) == b"plain!"
    same = MappedImage(image_file(width), PREFERRED).read(first, width)
    assert same == (PREFERRED + first).to_bytes(width, "little")


def test_what_the_process_changes_is_not_read() -> None:
    image = MappedImage(image_file(8), LOADED)
    data, rdata = RVAS[".data"], RVAS[".rdata"]
    assert image.read(data, 8) is None
    assert image.read(data - 4, 8) is None
    assert image.read(data - 8, 8) == bytes(8)
    assert image.read(rdata, 0) is None
    assert image.read(-8, 8) is None
    assert image.read(0x7FFFFFFF, 8) is None


def test_no_image() -> None:
    with pytest.raises(ValueError, match="not a PE image"):
        MappedImage(b"MZ", LOADED)


def test_damaged_files_give_bytes_or_nothing() -> None:
    rng = random.Random(3)
    good = image_file(8)
    opened = 0
    for _ in range(2000):
        bad = bytearray(good)
        for _ in range(rng.randrange(1, 6)):
            place = rng.choice((rng.randrange(0x300), RVAS[".reloc"] + rng.randrange(0x20)))
            bad[place] = rng.choice((0, 0xFF, rng.randrange(256)))
        try:
            image = MappedImage(bytes(bad[: rng.choice((len(bad), rng.randrange(len(bad))))]), LOADED)
        except ValueError:
            continue
        opened += 1
        for rva in (0, 0x2010, 0x2FF8, 0x5FF8):
            data = image.read(rva, 16)
            assert data is None or len(data) == 16
    assert opened > 500
