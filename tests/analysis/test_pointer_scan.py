"""The search for pointers: bases, pairs, ends of neighbours, chunks, limits, and memory that is not there."""

from __future__ import annotations

import struct
from collections.abc import Iterable

import numpy as np
import pytest

from dumpmap.analysis import pointer_scan
from dumpmap.analysis.pointer_scan import CHUNK, Hit, PointerScan, Targets, joined, may_stand_alone, without
from dumpmap.model.memory import ExcerptMemory

MB = 1 << 20
DATA = 0x1_8000_0000
BASE, SIZE, COMMITTED = 0x2_0010_0000, 0x300000, 0x120000
SECOND = BASE + SIZE


def targets(*rows: tuple[int, int, int, int, bool]) -> Targets:
    """Targets from rows of base, size, committed bytes, size of the neighbour before, and may it stand alone."""
    base, size, committed, before = (np.array([row[index] for row in rows], np.uint64) for index in range(4))
    return Targets(base, size, committed, before, np.array([row[4] for row in rows], np.bool_))


ONE = targets((BASE, SIZE, COMMITTED, 0, True))


def scan(words: Iterable[int], wanted: Targets = ONE, width: int = 8, keep: int = 1) -> list[Hit]:
    words = list(words)
    data = struct.pack(f"<{len(words)}{'Q' if width == 8 else 'I'}", *words)
    return list(PointerScan(ExcerptMemory([(DATA, data)]), wanted, 1 << 30).search(DATA, len(data), width, keep))


@pytest.mark.parametrize("beside", [SIZE, COMMITTED, BASE + SIZE])
@pytest.mark.parametrize("step", [-3, -2, -1, 1, 2, 3])
def test_a_size_or_an_end_within_two_words_makes_a_pair(beside: int, step: int) -> None:
    words = [7] * 16
    words[8], words[8 + step] = BASE, beside
    assert scan(words) == [Hit(0, DATA + 64, abs(step) <= 2, 1)]


def test_only_the_base_itself_is_a_pointer() -> None:
    assert scan([BASE + 8, BASE - 0x10000, BASE + 0x10000, BASE >> 1, 0]) == []
    assert scan([0, BASE, 0, BASE]) == [Hit(0, DATA + 8, False, 2)]
    assert scan([0, BASE, 0, BASE], keep=2) == [Hit(0, DATA + 8, False, 1), Hit(0, DATA + 24, False, 1)]
    assert scan([1, 0, BASE << 32 & 0xFFFFFFFFFFFFFFFF, BASE >> 32]) == []


def test_a_base_that_may_not_stand_alone_needs_a_pair() -> None:
    wanted = targets((BASE, SIZE, COMMITTED, 0, False))
    assert scan([7, BASE, 7, 7, 7], wanted) == []
    assert scan([7, BASE, SIZE], wanted) == [Hit(0, DATA + 8, True, 1)]


def test_the_end_of_a_neighbour_is_no_pointer() -> None:
    wanted = targets((BASE, SIZE, SIZE, MB, True))
    assert scan([BASE - MB, BASE], wanted) == []
    assert scan([BASE - MB + 64, 0, BASE], wanted) == []
    assert scan([BASE, MB], wanted) == []
    assert scan([BASE, SIZE, BASE - MB], wanted) == []
    assert scan([0, BASE, 0], wanted) == [Hit(0, DATA + 8, False, 1)]
    assert scan([BASE, SIZE], wanted) == [Hit(0, DATA, True, 1)]
    # Bounds of a stack, with a block of the same size right behind it: base and size are those of the stack.
    alike = targets((BASE, MB, MB, MB, True))
    assert scan([BASE, MB], alike) == []
    # Its own end proves it, whatever else is there.
    assert scan([BASE - MB, BASE, BASE + MB], alike) == [Hit(0, DATA + 8, True, 1)]


def test_words_of_32_bits() -> None:
    low = targets((0x1A2A0000, 0x20000, 0x1000, 0, False), (0x5_0000_0000, 0x10000, 0, 0, True))
    assert scan([1, 0x1A2A0000, 0, 0x20000, 0x1A2A0000, 0, 0], low, width=4) == [Hit(0, DATA + 4, True, 2)]
    high = targets((0x5_0000_0000, 0x10000, 0, 0, True))
    assert scan([5, 0, 5], high, width=4) == []


@pytest.mark.parametrize(
    ("words", "width", "is_pair"),
    [
        ((0x20000000, 0x23000000), 4, False),  # pixels: one byte each
        ((0x20000000, 0x43000000), 4, False),
        ((0x20000000, 0x1E000000, 0x22000000), 4, False),
        ((0x20000000, 0x23000000, 0x43000000), 4, False),
        ((0x20000000, 0x22344000), 4, True),  # a fuller word: the committed bytes
        ((0x20000000, 0x23000000), 8, True),  # the upper half is zero twice
    ],
)
def test_two_plain_numbers_are_no_pair(words: tuple[int, ...], width: int, is_pair: bool) -> None:
    wanted = targets((0x20000000, 0x23000000, 0x22344000, 0, False))
    assert [hit.pair for hit in scan([0, 0, *words, 0, 0], wanted, width)] == [True] * is_pair
    fuller = targets((0x20310000, 0x23000000, 0x22344000, 0, False))
    assert [hit.pair for hit in scan([0x20310000, 0x23000000], fuller, width)] == [True]


def test_pixels_name_no_owner_by_chance() -> None:
    """A megabyte of pixels of one byte each, and twenty allocations of such sizes: each finds its size somewhere."""
    chance = np.random.default_rng(7)
    words = chance.integers(0, 256, CHUNK // 4, np.uint32) << np.uint32(24)
    rows = [((16 + 8 * number) << 24, (1 + number % 7) << 24, 0, 0, False) for number in range(20)]
    memory = ExcerptMemory([(DATA, words.tobytes())])
    assert list(PointerScan(memory, targets(*rows), 1 << 30).search(DATA, CHUNK, 4)) == []
    words = chance.integers(0, 1 << 16, CHUNK // 4, np.uint32) << np.uint32(16)
    rows = [(base + 0x310000, size + 0x30000, 0, 0, False) for base, size, *_ in rows]
    memory = ExcerptMemory([(DATA, words.tobytes())])
    assert len(list(PointerScan(memory, targets(*rows), 1 << 30).search(DATA, CHUNK, 4))) <= 1


def test_ranges_are_cut_out() -> None:
    assert without([(0, 100)], []) == [(0, 100)]
    assert without([(0, 100), (200, 50)], [(0, 10), (40, 60), (90, 210), (240, 300)]) == [(10, 30), (60, 30), (210, 30)]
    assert without([(50, 10)], [(0, 100)]) == []


def test_a_pair_may_cross_the_edge_of_a_chunk() -> None:
    count = 3 * CHUNK // 8
    for place in (CHUNK // 8 - 1, CHUNK // 8, 2 * CHUNK // 8 - 1):
        words = np.full(count, 5, np.uint64)
        words[place], words[place + 1] = BASE, SIZE
        memory = ExcerptMemory([(DATA, words.tobytes())])
        found = list(PointerScan(memory, ONE, 1 << 30).search(DATA, 8 * count, 8))
        assert found == [Hit(0, DATA + 8 * place, True, 1)]


def test_missing_memory_is_counted() -> None:
    memory = ExcerptMemory([(DATA + 0x1000, struct.pack("<4Q", 0, BASE, 0, 0)), (DATA + 0x3000, b"odd")])
    one = PointerScan(memory, ONE, 1 << 30)
    assert list(one.search(DATA, 0x4000, 8)) == [Hit(0, DATA + 0x1008, False, 1)]
    assert (one.searched, one.missing, one.complete) == (35, 0x4000 - 35, True)


def test_a_limit_stops_the_search() -> None:
    memory = ExcerptMemory([(DATA, bytes(4 * CHUNK))])
    told: list[tuple[int, int]] = []
    one = PointerScan(memory, ONE, 2 * CHUNK, lambda done, total: told.append((done, total)), 4 * CHUNK)
    assert list(one.search(DATA, 4 * CHUNK, 8)) == []
    assert (one.searched, one.complete) == (2 * CHUNK, False)
    assert told == [(CHUNK, 4 * CHUNK), (2 * CHUNK, 4 * CHUNK)]


def test_memory_full_of_pointers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pointer_scan, "MAX_HITS", 10)
    rows = [(0x1_0000_0000 + index * 0x10000, 0x10000, 0, 0x10000, True) for index in range(1000)]
    words = np.array([row[0] for row in rows] * 500, np.uint64)
    memory = ExcerptMemory([(DATA, words.tobytes())])
    one = PointerScan(memory, targets(*rows), 1 << 30)
    assert len(list(one.search(DATA, len(words) * 8, 8))) <= 1000
    assert not one.complete


def test_which_bases_may_stand_alone() -> None:
    bases = np.array([0x2_0000_0000, 0x2_0000_0000, 0x23450000, 0x23450000, 0x23400000, 0x00450000], np.uint64)
    after_stack = np.array([0, 1, 0, 1, 0, 0], np.bool_)
    assert may_stand_alone(bases, after_stack, narrow=False).tolist() == [True, False, True, False, False, False]
    assert may_stand_alone(bases, after_stack, narrow=True).tolist() == [True] + 5 * [False]


def test_ranges_that_touch_are_joined() -> None:
    assert joined([(0, 16), (16, 16), (64, 8)]) == [(0, 32), (64, 8)]
    assert joined([]) == []


@pytest.mark.parametrize(("place", "sizes"), [(0, (9, 8)), (1, (9,)), (8, (0,)), (9, (0, 1))])
def test_the_other_end_of_what_is_read_is_not_beside_a_pointer(place: int, sizes: tuple[int, ...]) -> None:
    words = [SIZE if at in sizes else BASE if at == place else 5 for at in range(10)]
    assert [hit.pair for hit in scan(words)] == [False]
