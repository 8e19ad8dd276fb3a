"""Wine's second stack of each thread, in recorded and built processes."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from synth.minidump import MEM_COMMIT, MEM_PRIVATE, MEM_RESERVE, PAGE_READWRITE, MinidumpBuilder

import dumpmap
from dumpmap.api import RegionMap

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
