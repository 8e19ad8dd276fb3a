"""Pieces of regions: what is computed of them, and how little is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import dumpmap
from dumpmap.model.pieces import Pieces
from dumpmap.model.protection import protection_codes, protection_text
from dumpmap.model.snapshot import make_regions
from dumpmap.model.winnt import MemState, MemType
from dumpmap.views.texts import Texts

RESERVE, COMMIT = int(MemState.MEM_RESERVE), int(MemState.MEM_COMMIT)
PRIVATE, IMAGE, MAPPED = int(MemType.MEM_PRIVATE), int(MemType.MEM_IMAGE), int(MemType.MEM_MAPPED)


def pieces_of(size: list[int], region: list[int], **numbers: list[int]) -> Pieces:
    """Four regions of 16 KB, cut as asked: committed, reserved, an image's read-only and its writable pages."""
    rows = [
        (0x10000, 0x10000, 4, 0x4000, COMMIT, 4, PRIVATE),
        (0x14000, 0x10000, 4, 0x4000, RESERVE, 0, PRIVATE),
        (0x20000, 0x20000, 0x80, 0x4000, COMMIT, 2, IMAGE),
        (0x24000, 0x20000, 0x80, 0x4000, COMMIT, 4, IMAGE),
    ]
    regions = make_regions(rows, numbers=numbers)
    of = np.array(region, np.int32)
    first = np.diff(of, prepend=-1) != 0
    base = np.cumsum([0, *size[:-1]]).astype(np.uint64)  # no figure depends on it
    types = np.zeros(len(of), np.uint8)
    return Pieces(regions, base, np.array(size, np.int64), of, (of // 2).astype(np.int32), first, types)


WHOLE = [0x4000] * 4, [0, 1, 2, 3]
CUT = [0x1000, 0x3000, 0x1000, 0x3000, 0x4000, 0x1000, 0x3000], [0, 0, 1, 1, 2, 3, 3]


def test_whole_regions_have_their_own_figures() -> None:
    pieces = pieces_of(*WHOLE)
    assert pieces.committed.tolist() == [0x4000, 0, 0x4000, 0x4000]
    assert pieces.private.tolist() == [0x4000, 0, 0, 0x4000]
    assert pieces.blocks.tolist() == [1, 1, 1, 1]
    assert pieces.state.tolist() == [COMMIT, RESERVE, COMMIT, COMMIT]


def test_a_part_of_a_region_has_what_it_has_committed_itself() -> None:
    pieces = pieces_of(*CUT)
    assert pieces.committed.tolist() == [0x1000, 0x3000, 0, 0, 0x4000, 0x1000, 0x3000]
    assert pieces.private.tolist() == [0x1000, 0x3000, 0, 0, 0, 0x1000, 0x3000]
    assert pieces.blocks.tolist() == [1, 0, 1, 0, 1, 1, 0]
    assert pieces.protect.tolist() == [4, 4, 0, 0, 2, 4, 4]
    assert [pieces.protection_at(index) for index in (1, 2, 4)] == [(4, COMMIT), (0, RESERVE), (2, COMMIT)]
    assert [pieces.of_allocation(index) for index in (0, 1, 2)] == [(0, 4), (4, 7), (7, 7)]


def test_stated_figures_count_for_whole_regions_only() -> None:
    stated = {"committed": [0x2000, 0x1000, -1, -1], "private": [0, -1, 0x800, 0x400], "blocks": [7, -1, 0, 2]}
    whole = pieces_of(*WHOLE, **stated)
    assert whole.committed.tolist() == [0x2000, 0x1000, 0x4000, 0x4000]
    assert whole.private.tolist() == [0, 0x1000, 0x800, 0x400]
    assert whole.blocks.tolist() == [7, 1, 0, 2]
    cut = pieces_of(*CUT, **stated)
    assert cut.committed.tolist() == [0x1000, 0x3000, 0, 0, 0x4000, 0x1000, 0x3000]
    assert cut.private.tolist() == [0, 0, 0, 0, 0x800, 0x1000, 0x3000]
    assert cut.blocks.tolist() == [7, 0, 1, 0, 0, 2, 0]


@pytest.mark.parametrize("name", ["layout-x64.dmp.gz", "exhaust-x86.dmp.gz"])
def test_a_row_keeps_few_bytes(name: str, fixtures: Path) -> None:
    """What a region tells is not kept for its pieces: a million of them would take 50 MB more."""
    rows = dumpmap.open(fixtures / name).block_columns
    kept = [column for column in vars(rows).values() if isinstance(column, np.ndarray)]
    assert sum(column.itemsize for column in kept) <= 39
    assert int(rows.size.sum()) == int(rows.regions.size.sum())


@pytest.mark.parametrize(
    "pairs",
    [
        [],
        [(4, COMMIT), (0, RESERVE), (4, COMMIT), (0x104, COMMIT), (0x40, COMMIT), (2, RESERVE), (0, 0)],
        [(4, COMMIT), (0x40000004, COMMIT), (0x800, COMMIT)],
        [(4, COMMIT), (4, COMMIT | 1), (4, 0x10000), (0xFFFFFFFF, 0xFFFFFFFF)],
    ],
)
def test_protections_as_codes_are_those_of_each_row(pairs: list[tuple[int, int]]) -> None:
    protect, state = (np.array([pair[side] for pair in pairs], np.uint32) for side in (0, 1))
    codes, words = protection_codes(protect, state)
    assert [words[code] for code in codes.tolist()] == [protection_text(*pair) for pair in pairs]
    assert len(words) == len(set(pairs))


def test_texts_by_appearance() -> None:
    texts = Texts(np.array([3, 1, 3, 0, 2, 1], np.int32), ["x", "b", "a", "a", "unused"])
    places, values = texts.by_appearance()
    assert values == ["a", "b", "x"]
    assert [values[place] for place in places[texts.codes].tolist()] == ["a", "b", "a", "x", "a", "b"]
    assert places.tolist()[4] == -1
    assert Texts(np.array([], np.int32), ["x"]).by_appearance()[1] == []
