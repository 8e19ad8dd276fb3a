"""Abseil's low-level allocator, in recorded and built processes."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from synth.minidump import MEM_COMMIT, MEM_IMAGE, MEM_PRIVATE, PAGE_READONLY, PAGE_READWRITE, MinidumpBuilder

import dumpmap
from dumpmap.api import RegionMap

FIXTURES = Path(__file__).parents[1] / "fixtures" / "runtimes"
KIND = "Abseil low-level arena"
IMAGE, FIRST, SECOND = 0x1400000, 0x2000000, 0x2200000
MB = 1 << 20


def found(region_map: RegionMap) -> list[tuple[int, int, str]]:
    return [(part.base, part.size, part.module) for part in region_map.structures.ranges if part.kind == KIND]


@pytest.mark.parametrize(("name", "sizes"), [("node-24", [1, 1, 2]), ("node-26", [1, 1, 2]), ("node-18", [])])
def test_recorded_processes(name: str, sizes: list[int], tmp_path: Path) -> None:
    region_map = dumpmap.open(FIXTURES / f"{name}.dmp.gz")
    blocks = found(region_map)
    assert [size // MB for _, size, _ in blocks] == sizes
    assert {module for _, _, module in blocks} <= {"node.exe"}
    rows = region_map.regions
    assert set(rows[rows["kind"] == KIND]["type"]) <= {"Private Data"}
    region_map.to_snapshot(tmp_path / "x.json.zst")
    assert found(dumpmap.open(tmp_path / "x.json.zst")) == blocks


def process(*, bits: int = 64, size: int = 0x280, magic: int = 0x4C833E95, arena: int = IMAGE + 0x80) -> RegionMap:
    """Two allocations with a block each; the arena of the second is in the first."""
    dump = MinidumpBuilder("x64" if bits == 64 else "x86").system_info()
    dump.module(IMAGE, 0x100000, "C:\\app\\node.exe")
    dump.region(IMAGE, 0x100000, MEM_COMMIT, PAGE_READONLY, MEM_IMAGE)
    for base, words in ((FIRST, (size, magic ^ FIRST, arena)), (SECOND, (MB, 0x4C833E95 ^ SECOND, FIRST + 0x20))):
        dump.region(base, MB, MEM_COMMIT, PAGE_READWRITE, MEM_PRIVATE)
        dump.memory(base, struct.pack("<3Q" if bits == 64 else "<3I", *words))
    return dumpmap.open(dump.build())


@pytest.mark.parametrize("bits", [64, 32])
def test_blocks_lead_to_the_module_of_their_arena(bits: int) -> None:
    assert found(process(bits=bits)) == [(FIRST, MB, "node.exe"), (SECOND, MB, "node.exe")]
    free = (1 << bits) - 1 ^ 0x4C833E95
    assert len(found(process(bits=bits, magic=free))) == 2


@pytest.mark.parametrize(
    "lie",
    [
        {"size": 0},
        {"size": MB + 1},
        {"magic": 0x4C833E94},
        {"arena": 0},
        {"arena": FIRST + 0x40},  # in itself
        {"arena": SECOND + 0x40},  # in a circle
        {"arena": IMAGE - 8},
        {"arena": IMAGE + 0x81},
    ],
)
def test_a_header_that_contradicts_itself_or_the_map_claims_nothing(lie: dict[str, int]) -> None:
    assert found(process(**lie)) == []
