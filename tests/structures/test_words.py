"""The search word by word: it gives every word that is not in a page of zeros, from any kind of memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dumpmap.model.memory import ExcerptMemory, LiveMemory, Memory, RecordingMemory
from dumpmap.structures.recognisers.words import _written, words

PAGE = 4096
START, END = 0x10000, 0x10000 + 8 * PAGE


def found(memory: Memory, start: int, end: int, width: int) -> dict[int, int]:
    """Every word that is not 0, by address."""
    runs = words(memory, start, end, width)
    return {base + number * width: value for base, values in runs for number, value in enumerate(values) if value}


@given(
    st.lists(st.tuples(st.integers(START - PAGE, END), st.binary(min_size=1, max_size=40)), max_size=12),
    st.sampled_from((4, 8)),
    st.integers(START, START + 20),
    st.integers(END - 20, END),
)
def test_every_word_in_the_memory_is_given(excerpts: list[tuple[int, bytes]], width: int, start: int, end: int) -> None:
    memory = ExcerptMemory(excerpts)
    expected = {}
    for address in range(-(-start // width) * width, end - width + 1, width):
        data = memory.read(address, width)
        if data is not None and any(data):
            expected[address] = int.from_bytes(data, "little")
    assert found(memory, start, end, width) == expected


@given(st.lists(st.sampled_from((b"\0", b"\1", b"")), min_size=8, max_size=8), st.sampled_from((4, 8)))
def test_a_live_process_gives_what_a_dump_of_it_gives(pages: list[bytes], width: int) -> None:
    dump = ExcerptMemory((START + number * PAGE, fill * PAGE) for number, fill in enumerate(pages))
    assert found(LiveMemory(dump.read), START, END, width) == found(dump, START, END, width)


def test_neighbouring_pages_are_one_run() -> None:
    pages = (b"\1", b"\2", b"\0", b"\3")
    memory = ExcerptMemory([(START, b"".join(fill * PAGE for fill in pages))])
    assert [(base, len(values)) for base, values in words(memory, START, END, 8)] == [
        (START, 2 * PAGE // 8),
        (START + 3 * PAGE, PAGE // 8),
    ]


@pytest.mark.parametrize("width", [4, 8])
def test_nothing_is_recorded(width: int) -> None:
    recording = RecordingMemory(ExcerptMemory([(START, b"\1" * PAGE)]))
    assert found(recording, START, END, width)
    assert recording.excerpts() == []


@pytest.mark.parametrize(
    ("address", "pattern", "runs"),
    [
        (0x10000, [(0x1000, 1)], [(0, 0x1000)]),
        (0x10000, [(0x1000, 0)], []),
        (0x10000, [(0x1000, 1), (0x1000, 0), (0x1000, 1)], [(0, 0x1000), (0x2000, 0x3000)]),
        (0x10800, [(0x800, 1), (0x1000, 0), (0x1000, 1)], [(0, 0x800), (0x1800, 0x2800)]),
        (0x10800, [(0x800, 0), (0x1000, 1), (0x1000, 0)], [(0x800, 0x1800)]),
        (0x10FF8, [(8, 0), (0x1000, 0), (8, 1)], [(0x1008, 0x1010)]),
        (0x10800, [(0xFFF, 0), (1, 1), (0x800, 0)], [(0x800, 0x1800)]),  # one byte writes its page
    ],
)
def test_pages_of_zeros_are_left_out(address: int, pattern: list[tuple[int, int]], runs: list[tuple[int, int]]) -> None:
    data = b"".join(bytes([value]) * size for size, value in pattern)
    assert list(_written(address, data)) == runs
