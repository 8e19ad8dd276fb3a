"""The first screen of `summary`: bars and strip, to scale, at every width, in letters and in colours."""

from __future__ import annotations

import re

import numpy as np
import pytest
from support.scenes import Scene, recorded
from synth.minidump import MEM_COMMIT, MEM_PRIVATE, PAGE_READWRITE, MinidumpBuilder

import dumpmap
from dumpmap.analysis.measurements import measurements_of
from dumpmap.model.types import RegionType
from dumpmap.render.terminal import to_text
from dumpmap.views.strip import Coarse, SpaceStrip, space_strip
from dumpmap.views.summary import summary_view

MB = 1 << 20
NARROW = ("fragment-x86", "layout-x86", "layout-wow64", "exhaust-x86", "starve-x86")
WIDE = ("layout-x64", "leak-x64-after", "managed/managed-10-workstation")
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


@pytest.mark.parametrize("name", NARROW)
@pytest.mark.parametrize(("width", "count"), [(15, 8), (16, 16), (63, 32), (70, 64), (500, 128)])
def test_a_row_of_a_32_bit_space_has_256_mb(name: str, width: int, count: int) -> None:
    region_map = recorded(name)
    strip = space_strip(region_map)
    assert strip is not None
    free = region_map.largest_free_block
    rows = strip.rows(width, None if free is None else (free.address, free.size))
    assert [row.address for row in rows] == [number * 256 * MB for number in range(8)]
    assert [len(row.cells) for row in rows] == [count] * 8
    each = 256 * MB // count
    pieces, (base, size, type) = region_map.pieces, region_map.gap_rows
    parts = sorted(
        zip(
            [*pieces.base.tolist(), *base.tolist()],
            [*pieces.size.tolist(), *size.tolist()],
            [*pieces.type.tolist(), *type.tolist()],
            strict=True,
        )
    )
    for number, cell in enumerate(one for row in rows for one in row.cells):
        low, high = number * each, (number + 1) * each
        sums = [0] * len(RegionType)
        for start, length, code in parts:
            sums[code] += max(0, min(high, start + length) - max(low, start))
        assert sums[cell.type] == max(sums), (name, hex(low))
        touches = free is not None and free.address < high and free.address + free.size > low
        assert cell.largest == (touches and cell.type == RegionType.FREE), (name, hex(low))


def test_a_space_that_ends_within_a_row() -> None:
    scene = Scene(32, top=0x2400_0000)
    scene.allocate(16 * MB, base=0x1000_0000)
    strip = space_strip(scene.map())
    assert strip is not None
    assert [(row.address, len(row.cells)) for row in strip.rows(64, None)] == [
        (0, 64),
        (0x1000_0000, 64),
        (0x2000_0000, 16),
    ]


@pytest.mark.parametrize("name", WIDE)
def test_a_wide_space_has_four_rows_at_ascending_addresses(name: str) -> None:
    strip = space_strip(recorded(name))
    assert strip is not None
    rows = strip.rows(62, None)
    assert [len(row.cells) for row in rows] == [62] * 4
    addresses = [row.address for row in rows]
    assert addresses == sorted(set(addresses))
    assert not any(address % 0x1000 for address in addresses)


def test_where_parts_of_the_space_are_unknown_there_is_no_strip() -> None:
    assert space_strip(Scene(32).map(partial=True)) is None
    assert space_strip(recorded("layout-x64-plain")) is None


def test_a_range_beyond_the_end_is_cut_there() -> None:
    builder = MinidumpBuilder("x86").system_info()
    builder.region(0x1_0000, 0x10_0000, MEM_COMMIT, PAGE_READWRITE, MEM_PRIVATE)
    builder.region(0x7FFD_0000, 1 << 60, MEM_COMMIT, PAGE_READWRITE, MEM_PRIVATE)
    strip = space_strip(dumpmap.open(builder.build()))
    assert strip is not None
    assert len(strip.rows(64, None)) <= 16


def test_a_strip_of_nothing() -> None:
    none = np.array([], np.uint64)
    assert (
        SpaceStrip(none, none.astype(np.int64), none.astype(np.int64), none.astype(np.uint8), 1 << 31).rows(9, None)
        == []
    )


@pytest.mark.parametrize("name", [*NARROW, *WIDE, "layout-x64-plain"])
@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize("color", [False, True])
def test_no_line_is_wider_than_the_terminal(name: str, width: int, color: bool) -> None:
    region_map = recorded(name)
    text = to_text(summary_view(region_map, region_map.findings()), color=color, width=width)
    lines = ESCAPES.sub("", text).splitlines()
    assert max(map(len, map(str.rstrip, lines))) <= width
    assert any(line.startswith("Address space  ") for line in lines)
    rows = [line for line in lines if re.match(r"[0-9a-f]{8,16}  \S", line)]
    assert len(rows) == (0 if "plain" in name else 8 if name in NARROW else 4)
    first = next(number for number, line in enumerate(lines) if line.startswith("Address space  "))
    said = lines[0].lower().replace("-", " ").replace("problem seen", "problem found")
    assert first < 6
    assert said.startswith(
        ("no memory problem found", "out of", "the dump does not say", "cannot tell", "address space")
    )


@pytest.mark.parametrize("name", NARROW)
def test_the_bar_of_a_32_bit_space_is_the_whole_space(name: str) -> None:
    region_map = recorded(name)
    text = to_text(summary_view(region_map), width=80)
    bar = next(line for line in text.splitlines() if line.startswith("Address space"))
    m = measurements_of(region_map)
    assert f" of {m.limit.name}" in bar
    cells = bar.rpartition("  ")[2]
    assert m.free is not None
    assert m.limit.size is not None
    share = m.free.total / m.limit.size
    assert abs((cells.count(".") + cells.count("*")) / len(cells) - share) <= 1.5 / len(cells)


def columns_of(count: int, page: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Neighbours as a process of many mappings has them: stretches of one type with free and reserved parts between."""
    random = np.random.default_rng(7)
    size = random.integers(1, 64, count).astype(np.int64) * page
    kinds = np.array([RegionType.IMAGE, RegionType.HEAP, RegionType.PRIVATE_DATA, RegionType.STACK], np.uint8)
    type = np.repeat(kinds[random.integers(0, len(kinds), count // 5000 + 1)], 5000)[:count]
    type[random.random(count) < 0.2] = RegionType.FREE
    size[count // 2] *= 5000
    type[count // 2] = RegionType.FREE
    committed = np.where(type == RegionType.FREE, 0, size // 2)
    base = np.concatenate(([0], np.cumsum(size)[:-1])).astype(np.uint64)
    return base, size, committed, type


@pytest.mark.parametrize("bits", [32, 64])
def test_a_strip_of_a_million_parts_shows_what_fills_the_cells(bits: int) -> None:
    count = 1_000_000 if bits == 64 else 300_000
    base, size, committed, type = columns_of(count, 0x1000 if bits == 64 else 0x100)
    end = int(base[-1]) + int(size[-1])
    assert (end <= 1 << 32) == (bits == 32)
    coarse = Coarse(count, end)
    for start in range(0, count, 1 << 16):
        part = slice(start, start + (1 << 16))
        coarse.add(base[part], size[part], committed[part], type[part])
    strip, exact = coarse.strip(), SpaceStrip(base, size, committed, type, end)
    assert len(strip._base) < 1 << 17
    for width in (60, 256):
        pairs = list(zip(strip.cells(width), exact.cells(width), strict=True))
        assert sum(one.type == other.type for one, other in pairs) >= 0.95 * width
    largest = (int(base[count // 2]), int(size[count // 2]))
    (marked, *_) = [cell for row in strip.rows(60, largest) for cell in row.cells if cell.largest]
    assert marked.type == RegionType.FREE
    for place in (0, count // 3, count // 2, count - 1):
        ours, theirs = (one.marks(base[place : place + 1], size[place : place + 1], 200) for one in (strip, exact))
        assert abs(int(np.argmax(ours)) - int(np.argmax(theirs))) <= 1


def test_a_map_of_very_many_parts_has_a_strip(monkeypatch: pytest.MonkeyPatch) -> None:
    region_map = recorded("runtimes/node-22")
    fine = space_strip(region_map)
    for name, value in {"_FINE": 100, "_COARSE": 300, "_CHUNK": 64}.items():
        monkeypatch.setattr(f"dumpmap.views.strip.{name}", value)
    strip = space_strip(region_map)
    assert strip is not None
    assert fine is not None
    assert 64 < len(strip._base) < len(fine._base)
    assert int(strip._size.sum()) == int(fine._size.sum())
    assert int(strip._committed.sum()) == int(fine._committed.sum())
    assert {cell.type for cell in strip.cells(256)} >= {RegionType.IMAGE, RegionType.STACK, RegionType.PRIVATE_DATA}


def test_the_largest_free_block_is_in_the_strip_however_small_it_is_drawn() -> None:
    base = np.arange(0, 4096, dtype=np.uint64) * np.uint64(0x1000000)
    size = np.full(4096, 0x1000000, np.int64)
    type = np.full(4096, RegionType.PRIVATE_DATA, np.uint8)
    type[1000] = RegionType.FREE
    strip = SpaceStrip(base, size, np.where(type == RegionType.FREE, 0, size), type, int(base[-1]) + 0x1000000)
    rows = strip.rows(20, (int(base[1000]), 0x1000000))
    assert [(cell.type, cell.largest) for row in rows for cell in row.cells if cell.largest] == [
        (RegionType.FREE, True)
    ]
