"""The map of a reduced snapshot is the map of its dump, also where the dump is damaged."""

from __future__ import annotations

import random
from pathlib import Path

import pandas as pd
import pytest
from support.hostile import heaps, synthetic
from synth.minidump import MEM_COMMIT, MEM_PRIVATE, MEMORY_INFO_LIST, PAGE_READWRITE, MinidumpBuilder

import dumpmap
from dumpmap.writers.snapshot_file import save_snapshot


def assert_equal_by_snapshot(data: bytes, folder: Path) -> None:
    m = dumpmap.open(data)
    save_snapshot(m, folder / "x.json", force=True)
    again = dumpmap.open(folder / "x.json")
    pd.testing.assert_frame_equal(again.summary(), m.summary())
    pd.testing.assert_frame_equal(again.allocations, m.allocations)
    pd.testing.assert_frame_equal(again.regions, m.regions)


@pytest.mark.parametrize("high", [0x12000, 0x20000, 0xFFFF_F000, 0xFFFF_FFFF_FFFF_0000])
def test_an_allocation_base_above_its_regions(high: int, tmp_path: Path) -> None:
    builder = MinidumpBuilder("x64").system_info()
    for base, allocation in ((0x10000, high), (0x11000, high), (0x30000, 0x30000), (0x31000, 0x30000), (0x40000, high)):
        builder.region(base, 0x1000, MEM_COMMIT, PAGE_READWRITE, MEM_PRIVATE, allocation_base=allocation)
    m = dumpmap.open(builder.build())
    used = m.allocations[m.allocations["type"] == "Private Data"]
    assert used[["address", "size"]].to_numpy().tolist() == [[0x10000, 0x2000], [0x30000, 0x2000], [0x40000, 0x1000]]
    assert any("regions start before their allocation; their allocation bases are corrected" in w for w in m.warnings)
    assert_equal_by_snapshot(builder.build(), tmp_path)


@pytest.mark.parametrize("make", [synthetic, heaps])
def test_damaged_dumps_have_equal_snapshots(make: object, tmp_path: Path) -> None:
    good = make()  # type: ignore[operator]
    at = good.index(MEMORY_INFO_LIST.to_bytes(4, "little"), 32)
    size, start = (int.from_bytes(good[at + step : at + step + 4], "little") for step in (4, 8))
    generator = random.Random(5)
    compared = 0
    for _ in range(60):
        data = bytearray(good)
        for _ in range(generator.choice((1, 3, 10))):
            low, high = (start + 16, start + size) if generator.random() < 0.7 else (32, len(data))
            data[generator.randrange(low, high)] = generator.choice((0, 0xFF, generator.getrandbits(8)))
        try:
            dumpmap.open(bytes(data))
        except dumpmap.DumpmapError:
            continue
        assert_equal_by_snapshot(bytes(data), tmp_path)
        compared += 1
    assert compared > 30
