"""Every cut and every flipped byte of a good dump ends in a map or in dumpmap's own error."""

from __future__ import annotations

import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.hostile import heaps, recorded, survives, synthetic

SMALL = ["synthetic", "heaps", "layout-x86-plain", "fragment-x86"]


def dump(name: str) -> bytes:
    return {"synthetic": synthetic, "heaps": heaps}[name]() if name in ("synthetic", "heaps") else recorded(name)


def structure(data: bytes) -> list[int]:
    """Where a dump's header, directory and streams lie: the offsets worth breaking, small lists byte by byte."""
    count, directory = struct.unpack_from("<II", data, 8)
    places = list(range(32)) + list(range(directory, directory + 12 * count))
    for index in range(count):
        _, size, rva = struct.unpack_from("<III", data, directory + 12 * index)
        places += range(rva, min(rva + size, rva + 200, len(data)))
    return places


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_prefixes(name: str) -> None:
    data = dump(name)
    chance = random.Random(name)
    cuts = {*range(0, 100, 9), *range(0, len(data), max(1, len(data) // 1000)), *chance.sample(structure(data), 60)}
    for cut in sorted(cuts):
        survives(data[:cut])


MASKS = (0xFF, 0x01, 0x80)


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_every_flipped_byte_of_the_structure(name: str) -> None:
    """Each byte once, and the bytes of neighbouring fields in another way."""
    data = dump(name)
    broken = bytearray(data)
    for number, place in enumerate(structure(data)):
        broken[place] ^= MASKS[number % 3]
        survives(bytes(broken))
        broken[place] = data[place]


@pytest.mark.slow
@pytest.mark.parametrize("name", [*SMALL, "layout-wow64", "layout-x64"])
def test_flipped_bytes_anywhere(name: str) -> None:
    data = bytearray(dump(name))
    random.seed(name)
    for _ in range(400):
        broken = bytearray(data)
        for _ in range(random.randint(1, 40)):
            broken[random.randrange(len(broken))] = random.choice([0, 0xFF, 0x7F, 0x80, random.randrange(256)])
        survives(bytes(broken))


@pytest.mark.parametrize("name", SMALL)
def test_stretches_overwritten_with_one_byte(name: str) -> None:
    data = dump(name)
    random.seed(name)
    for _ in range(30):
        start = random.randrange(len(data))
        size = random.choice([4, 8, 64, 4096])
        fill = random.choice([b"\0", b"\xff", b"\x7f"])
        survives(data[:start] + fill * size + data[start + size :])


@pytest.mark.parametrize("name", ["synthetic", "layout-x86-plain"])
def test_numbers_of_the_structure_replaced_by_extreme_ones(name: str) -> None:
    data = dump(name)
    random.seed(name)
    for place in random.sample(structure(data), 80):
        for value in (0, 0xFFFFFFFF, 0x7FFFFFFF, len(data)):
            broken = bytearray(data)
            struct.pack_into("<I", broken, min(place & ~3, len(data) - 4), value)
            survives(bytes(broken))


directory_entries = st.lists(
    st.tuples(
        st.sampled_from([0, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 15, 16, 17, 21, 22, 24, 0x43500001, 0x47670001])
        | st.sampled_from([0x47670004, 0x47670006, 0x47670009, 0x50484D44])
        | st.integers(0, 0xFFFFFFFF),
        st.integers(0, 40_000) | st.integers(0, 0xFFFFFFFF),
        st.integers(0, 40_000) | st.integers(0, 0xFFFFFFFF),
    ),
    max_size=30,
)


@pytest.mark.slow
@settings(deadline=None, max_examples=1000)
@given(directory_entries)
def test_directory_entries_that_point_anywhere(entries: list[tuple[int, int, int]]) -> None:
    data = synthetic()
    directory = b"".join(struct.pack("<III", *entry) for entry in entries)
    header = bytearray(data[:32])
    struct.pack_into("<II", header, 8, len(entries), len(data))
    survives(bytes(header) + data[32:] + directory)


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=400), st.sampled_from([b"", b"MDMP", b"MDMP\x93\xa7\0\0", b"PK\x03\x04", b"\x1f\x8b\x08\0"]))
def test_noise(noise: bytes, magic: bytes) -> None:
    survives(magic + noise)
