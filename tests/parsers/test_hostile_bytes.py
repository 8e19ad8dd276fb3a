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


@pytest.mark.parametrize("name", SMALL)
def test_prefixes(name: str) -> None:
    data = dump(name)
    random.seed(name)
    cuts = {*range(0, 100, 9), *(len(data) * n // 40 for n in range(41)), *random.sample(structure(data), 60)}
    for cut in sorted(cuts):
        survives(data[:cut])


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_prefixes_densely(name: str) -> None:
    data = dump(name)
    step = max(1, len(data) // 3000)
    for cut in range(0, len(data), step):
        survives(data[:cut])


def flip(data: bytes, places: list[int], masks: tuple[int, ...]) -> None:
    broken = bytearray(data)
    for place in places:
        for mask in masks:
            broken[place] ^= mask
            survives(bytes(broken))
            broken[place] ^= mask


@pytest.mark.parametrize("name", SMALL)
def test_flipped_bytes_of_the_structure(name: str) -> None:
    data = dump(name)
    random.seed(name)
    flip(data, random.sample(structure(data), 60), (0xFF, 0x80))


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_every_flipped_byte_of_the_structure(name: str) -> None:
    data = dump(name)
    flip(data, structure(data), (0xFF, 0x01))


@pytest.mark.parametrize("name", SMALL)
def test_flipped_bytes_anywhere(name: str) -> None:
    data = dump(name)
    random.seed(name)
    flip(data, [random.randrange(len(data)) for _ in range(60)], (0xFF,))


@pytest.mark.slow
@pytest.mark.parametrize("name", [*SMALL, "layout-wow64", "layout-x64"])
def test_many_flipped_bytes_anywhere(name: str) -> None:
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


@settings(deadline=None, max_examples=150)
@given(directory_entries)
def test_directory_entries_that_point_anywhere(entries: list[tuple[int, int, int]]) -> None:
    data = synthetic()
    directory = b"".join(struct.pack("<III", *entry) for entry in entries)
    header = bytearray(data[:32])
    struct.pack_into("<II", header, 8, len(entries), len(data))
    survives(bytes(header) + data[32:] + directory)


@pytest.mark.slow
@settings(deadline=None, max_examples=3000)
@given(directory_entries)
def test_many_directory_entries_that_point_anywhere(entries: list[tuple[int, int, int]]) -> None:
    data = synthetic()
    directory = b"".join(struct.pack("<III", *entry) for entry in entries)
    header = bytearray(data[:32])
    struct.pack_into("<II", header, 8, len(entries), len(data))
    survives(bytes(header) + data[32:] + directory)


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=400), st.sampled_from([b"", b"MDMP", b"MDMP\x93\xa7\0\0", b"PK\x03\x04", b"\x1f\x8b\x08\0"]))
def test_noise(noise: bytes, magic: bytes) -> None:
    survives(magic + noise)
