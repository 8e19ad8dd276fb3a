"""Ranges of which a part is missing give the rest: in a dump and in a running process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dumpmap.model.memory import ExcerptMemory, LiveMemory, RecordingMemory
from dumpmap.model.winnt import PAGE_SIZE
from dumpmap.structures.captured import STEP, captured_parts, captured_places, captured_steps
from dumpmap.structures.module_data import Captured
from dumpmap.structures.recognisers.protocol import Context
from dumpmap.structures.recognisers.words import words
from dumpmap.structures.space import NoSpace

PAGES = 2 * STEP // PAGE_SIZE + 3
HOLES = (5, 6, PAGES - 2)

CHILD = """
import ctypes, sys
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
page, pages, *holes = map(int, sys.argv[1:])
start = libc.mmap(None, page * pages, 3, 0x22, -1, 0)
for number in range(pages):
    ctypes.memset(start + page * number, 1 + number % 200, page)
for number in holes:
    libc.munmap(start + page * number, page)
print(start, flush=True)
sys.stdin.readline()
"""


@pytest.fixture(scope="module")
def live() -> Iterator[tuple[LiveMemory, int]]:
    """A running process with pages that cannot be read, and where its range begins."""
    if sys.platform != "linux":
        pytest.skip("needs Linux")
    command = [sys.executable, "-I", "-c", CHILD, *map(str, (PAGE_SIZE, PAGES, *HOLES))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        start = int(process.stdout.readline())
        with Path(f"/proc/{process.pid}/mem").open("rb", buffering=0) as memory:

            def read(address: int, size: int) -> bytes | None:
                try:
                    memory.seek(address)
                    return memory.read(size)
                except OSError:
                    return None

            yield LiveMemory(read), start
        process.communicate("\n")


def expected(start: int) -> list[tuple[int, bytes]]:
    """The runs of readable pages, and their bytes."""
    runs, first = [], 0
    for hole in (*HOLES, PAGES):
        if first < hole:
            content = b"".join(bytes([1 + number % 200]) * PAGE_SIZE for number in range(first, hole))
            runs.append((start + first * PAGE_SIZE, content))
        first = hole + 1
    return runs


def test_a_running_process_gives_all_but_the_pages_that_cannot_be_read(live: tuple[LiveMemory, int]) -> None:
    memory, start = live
    end = start + PAGES * PAGE_SIZE
    assert memory.read(start, end - start) is None
    assert list(captured_parts(memory, memory.ranges(), start, end)) == expected(start)


def test_every_search_of_a_running_process_sees_the_same_bytes(live: tuple[LiveMemory, int]) -> None:
    memory, start = live
    end = start + PAGES * PAGE_SIZE
    context = Context(RecordingMemory(memory), NoSpace(), "windows", None, 8)
    assert list(Captured(context).parts(start, end)) == expected(start)
    assert [(at, values.tobytes()) for at, values in words(memory, start, end, 8)] == expected(start)


@given(
    st.lists(st.sampled_from((b"\1", b"")), min_size=8, max_size=8),
    st.integers(0, 3 * PAGE_SIZE),
    st.integers(0, 3 * PAGE_SIZE),
)
def test_a_live_process_gives_what_a_dump_of_it_gives(pages: list[bytes], before: int, behind: int) -> None:
    start = STEP - 4 * PAGE_SIZE  # so that the range crosses a step
    dump = ExcerptMemory((start + number * PAGE_SIZE, fill * PAGE_SIZE) for number, fill in enumerate(pages))
    low, high = start + before, start + 8 * PAGE_SIZE - behind
    wanted = [] if not dump.ranges() else list(captured_parts(dump, dump.ranges(), low, high))
    assert list(captured_parts(LiveMemory(dump.read), [], low, high)) == wanted


RANGES = st.lists(st.tuples(st.integers(0, 12), st.integers(1, 40)), max_size=5).map(
    lambda gaps: [(1000 + sum(map(sum, gaps[:index])) + gap, size) for index, (gap, size) in enumerate(gaps)]
)


@given(RANGES, st.integers(990, 1060), st.integers(0, 12), st.integers(1, 9))
def test_of_evenly_spaced_places_those_with_a_captured_byte_are_left(
    ranges: list[tuple[int, int]], first: int, count: int, step: int
) -> None:
    places = range(first, first + count * step, step)
    wanted = [place for place in places if not ranges or any(low <= place < low + size for low, size in ranges)]
    assert list(captured_steps(ranges, places)) == wanted


@given(RANGES, st.sets(st.integers(120, 140), min_size=2), st.integers(1, 12))
def test_of_places_those_with_enough_captured_bytes_are_left(
    ranges: list[tuple[int, int]], eighths: set[int], size: int
) -> None:
    memory = ExcerptMemory((low, bytes(length)) for low, length in ranges)
    places = sorted(8 * eighth for eighth in eighths)
    held = memory.ranges()
    wanted = [place for place in places if any(low <= place <= low + length - size for low, length in held)]
    assert list(captured_places(memory, places, 8, size)) == (wanted if held else places)
