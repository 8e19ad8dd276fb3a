"""Small parts of the readers of collectors: how many reads they make, and which ranges they take."""

from __future__ import annotations

import struct
from array import array
from types import SimpleNamespace

import pytest

from dumpmap.model.memory import ExcerptMemory
from dumpmap.structures.gc_dac_vars import _by_table, _Reader
from dumpmap.structures.gc_walk import _Walk
from dumpmap.structures.layouts.gc import CARD_TABLE_INFO
from dumpmap.structures.recognisers.go import find_version
from dumpmap.structures.space import NoSpace

AT = 0x10000


@pytest.mark.parametrize(("left", "read"), [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (9, 4)])
def test_variables_are_read_up_to_the_limit(left: int, read: int) -> None:
    reader = _Reader(ExcerptMemory([(AT, struct.pack("<4Q", 11, 12, 13, 14))]), 8, left)
    found = [reader.value(AT + 8 * number) for number in range(6)]
    assert found == [11, 12, 13, 14, 0, 0][:read] + [0] * (6 - read)


def test_a_null_pointer_is_no_variable() -> None:
    assert _Reader(ExcerptMemory([(0, bytes(range(1, 9)))]), 8).value(0) == 0


@pytest.mark.parametrize(("base", "end", "size"), [(AT, AT + 1, 1), (AT, AT, None), (AT, AT - 1, None), (AT, 0, None)])
def test_a_range_has_a_size(base: int, end: int, size: int | None) -> None:
    walk = _Walk(ExcerptMemory(), NoSpace(), SimpleNamespace(pointer_size=8), has_map=False)  # type: ignore[arg-type]
    walk.add(base, end, "generation 0", 3)
    assert [(one.base, one.size, one.heap) for one in walk.ranges] == ([] if size is None else [(AT, size, 3)])


@pytest.mark.parametrize("width", [4, 8])
@pytest.mark.parametrize(("size", "taken"), [(0x20000, True), (0x110000, True), (0x110001, False), (1 << 31, False)])
def test_bookkeeping_memory_has_a_share_of_what_it_covers(width: int, size: int, taken: bool) -> None:
    layout = CARD_TABLE_INFO[width]
    words = {"Size": size, "NextCardTable": 0, "LowestAddress": 0x1000000, "HighestAddress": 0x2000000}
    header = bytearray(layout.size)
    for name, value in words.items():
        header[layout.offsets[name] : layout.offsets[name] + width] = value.to_bytes(width, "little")
    roots = SimpleNamespace(pointer_size=width, bookkeeping=AT, card_table=layout, card_table_size=0)
    walk = _Walk(ExcerptMemory([(AT, bytes(header))]), NoSpace(), roots, has_map=False)  # type: ignore[arg-type]
    walk.bookkeeping(regions=False)
    assert [part.base for part in walk.ranges] == [AT] * taken
    assert bool(walk.refused) is not taken


VARIABLES = ((0x20000, 0x21000), (0x40000, 0x40100))
"""Where the variables of a runtime are."""


@pytest.mark.parametrize(
    ("kind", "target", "found"),
    [
        (1, 0x20800, [0x20800]),  # workstation
        (2, 0x20800, [0x20800]),  # server
        (0, 0x20800, []),
        (3, 0x20800, []),
        (1, 0x40000, [0x40000]),
        (1, 0x400FF, [0x400FF]),
        (1, 0x40100, []),  # behind the last variable
        (1, 0x1FFFF, []),
    ],
)
def test_only_what_follows_the_heap_type_can_be_the_collectors(kind: int, target: int, found: list[int]) -> None:
    other, heap_type, pointer, late = 0x20010, 0x20020, 0x20030, 0x20040
    words = struct.pack("<5Q", 0x90000, other, heap_type, pointer, late)
    values = {other: 7, heap_type: kind, pointer: target, late: 0x20900}
    chunks = [(place, struct.pack("<Q", value)) for place, value in values.items()]
    memory = ExcerptMemory([(0x60000, words), (0x90000, struct.pack("<Q", 1)), *chunks])
    # The first entry is no variable although a heap type stands there, and the table ends with what is captured.
    assert list(_by_table(memory, 0x60000, 8, VARIABLES)) == found


@pytest.mark.parametrize(
    ("others", "length", "version"),
    [
        (0, 6, "go1.25"),
        ((1 << 17) - 1, 6, "go1.25"),
        (1 << 17, 6, None),  # so many texts are looked at, and no more
        (0, 5, "go1.2"),
        (0, 4, None),
        (0, 7, None),  # a letter that belongs to no version
    ],
)
def test_the_version_of_go_is_among_the_first_texts(others: int, length: int, version: str | None) -> None:
    base, decoy, text = 0x400000, 0x400100, 0x400200
    memory = ExcerptMemory([(decoy, b"no version"), (text, b"go1.25x"), (0x500000, bytes(8))])
    values = array("Q", [decoy, 10] * others + [text, length])
    image = SimpleNamespace(pointer_size=8, size_of_image=0x10000)
    assert find_version(memory, image, base, [(0x500000, values)]) == version  # type: ignore[arg-type]
