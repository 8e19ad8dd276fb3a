"""What the details of a VMMap file's block mean, by the type of its allocation."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dumpmap.errors import FormatError
from dumpmap.model.types import RegionType
from dumpmap.model.winnt import MemType
from dumpmap.parsers.vmmap.building import _own_words
from dumpmap.parsers.vmmap.rows import FileRow, Remarks, nest
from dumpmap.parsers.vmmap.text import MAX_LINE, _Layout, lines_of
from dumpmap.parsers.vmmap.words import memory_type_of, protection_of_words, type_of_words, words_of_type

GUARD, READ_WRITE = 0x104, 0x4
TEB = "Thread Environment Block ID: 7"


def row(type: RegionType, details: str, protect: int = READ_WRITE) -> FileRow:
    return FileRow(1, 0x10000, 0x1000, type.label, type, details, protect=protect)


@pytest.mark.parametrize(
    ("type", "head", "details", "protect", "kind", "own"),
    [
        (RegionType.IMAGE, "C:\\a.dll", ".text", READ_WRITE, ".text", ""),
        (RegionType.IMAGE, "C:\\a.dll", "C:\\a.dll", READ_WRITE, None, "C:\\a.dll"),
        (RegionType.IMAGE, "C:\\a.dll", "", READ_WRITE, None, ""),
        (RegionType.STACK, "Thread ID: 7", "", READ_WRITE, None, None),
        (RegionType.STACK, "Thread ID: 7", "", GUARD, "Guard", None),
        (RegionType.STACK, "Thread ID: 7", "own", GUARD, "Guard", "own"),
        (RegionType.STACK, "Thread ID: 7", "own", READ_WRITE, None, "own"),
        (RegionType.PRIVATE_DATA, "", TEB, READ_WRITE, "TEB", TEB),
        (RegionType.PRIVATE_DATA, "", "", GUARD, None, ""),
        (RegionType.HEAP, "Heap ID: 1", "Heap ID: 1", READ_WRITE, None, "Heap ID: 1"),
    ],
)
def test_details_of_blocks(
    type: RegionType, head: str, details: str, protect: int, kind: str | None, own: str | None
) -> None:
    assert _own_words(row(type, head), row(type, details, protect)) == (kind, own)


def test_a_row_inside_a_block_is_no_block() -> None:
    rows = [
        FileRow(number, address, size, "Heap", RegionType.HEAP)
        for number, (address, size) in enumerate(
            [(0x10000, 0x8000), (0x10000, 0x1000), (0x12000, 0x3000), (0x13000, 0x1000), (0x15000, 0x1000)], 1
        )
    ]
    remarks = Remarks()
    (allocation,) = nest(reversed(rows), remarks)
    assert [block.address for block in allocation.blocks] == [0x10000, 0x12000, 0x15000]
    assert list(remarks.texts()) == []


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("", (0, 0x1000)),
        ("  ", (0, 0x1000)),
        ("Reserved", (0, 0x2000)),
        (" reserved ", (0, 0x2000)),
        ("Read/Write", (4, 0x1000)),
        ("Execute/Read", (0x20, 0x1000)),
        ("0", (0, 0x1000)),
        ("4294967295", (0xFFFF_FFFF, 0x1000)),
        ("4294967296", None),
        ("-1", None),
        ("Something", None),
    ],
)
def test_words_of_protections(words: str, found: tuple[int, int] | None) -> None:
    assert protection_of_words(words) == found


@pytest.mark.parametrize(
    ("words", "type", "memory"),
    [
        ("Heap (Private Data)", RegionType.HEAP, MemType.MEM_PRIVATE),
        ("Heap (Shareable)", RegionType.HEAP, MemType.MEM_MAPPED),
        ("Thread Stack", RegionType.STACK, MemType.MEM_PRIVATE),
        ("THREAD STACK", RegionType.STACK, MemType.MEM_PRIVATE),
        ("Image", RegionType.IMAGE, MemType.MEM_IMAGE),
        ("Image (ASLR)", RegionType.IMAGE, MemType.MEM_IMAGE),
        ("Mapped File", RegionType.MAPPED_FILE, MemType.MEM_MAPPED),
        ("Shareable", RegionType.SHAREABLE, MemType.MEM_MAPPED),
        ("Private Data", RegionType.PRIVATE_DATA, MemType.MEM_PRIVATE),
        ("Nonsense", None, MemType.MEM_PRIVATE),
    ],
)
def test_words_of_types(words: str, type: RegionType | None, memory: MemType) -> None:
    assert type_of_words(words) == type
    assert memory_type_of(type, words) == memory
    if type is not None and words in ("Heap (Private Data)", "Heap (Shareable)", "Thread Stack", "Image"):
        assert words_of_type(type, memory) == words


@given(st.text("ab\r\n", max_size=12), st.lists(st.integers(0, 12), max_size=3))
def test_lines_have_their_numbers_wherever_the_text_is_cut(text: str, cuts: list[int]) -> None:
    # Carriage returns before a line feed belong to it, and each of the others ends a line.
    wanted = [(number, line) for number, line in enumerate(re.split("\r*\n|\r", text), 1) if line]
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [text[start:end] for start, end in pairwise(places)]
    assert [(number, line) for number, line in lines_of(pieces, "x") if line] == wanted


@pytest.mark.parametrize(
    ("pieces", "second"), [(("a\r", "\nb"), 2), (("a\r", "b"), 2), (("a\n", "\nb"), 3), (("a\r\r", "b"), 3)]
)
def test_the_second_line_of_pieces(pieces: tuple[str, ...], second: int) -> None:
    assert [pair for pair in lines_of(pieces, "x") if pair[1]] == [(1, "a"), (second, "b")]


@pytest.mark.parametrize(("length", "good"), [(MAX_LINE, True), (MAX_LINE + 1, False)])
def test_a_line_has_a_greatest_length(length: int, good: bool) -> None:
    pieces = ["a\n" + "b" * length]
    if good:
        assert [len(line) for _, line in lines_of(pieces, "x")] == [1, length]
    else:
        with pytest.raises(FormatError, match="line 2 has more than"):
            list(lines_of(pieces, "x"))


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(1, 6)), min_size=1, max_size=5),
    st.integers(0, 40),
    st.integers(1, 12),
)
def test_a_value_belongs_to_the_heading_that_it_is_under_most(
    gaps: list[tuple[int, int]], start: int, length: int
) -> None:
    spans: list[tuple[int, int]] = []
    for gap, width in gaps:
        low = (spans[-1][1] if spans else 0) + gap
        spans.append((low, low + width))
    end = start + length
    shared = [min(end, high) - max(start, low) for low, high in spans]
    before = [index for index, (low, _) in enumerate(spans) if low <= start]
    wanted = shared.index(max(shared)) if max(shared) > 0 else before[-1] if before else 0
    assert _Layout([None] * len(spans), None, spans)._column_at(start, end) == wanted
