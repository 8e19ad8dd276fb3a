"""What a row of the triage table costs, counted in operations: seconds depend on the machine."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.maps import FIXTURES

from dumpmap.classify import classify
from dumpmap.classify.partial import Cover, with_captured
from dumpmap.model import region_map as model
from dumpmap.model.heaps import HeapInfo, HeapRange
from dumpmap.model.memory import Memory, RecordingMemory, SimpleMemory
from dumpmap.model.snapshot import Snapshot
from dumpmap.model.summary import summarize
from dumpmap.model.values import changed
from dumpmap.parsers.opening import open_snapshot
from dumpmap.structures.captured import captured_steps
from dumpmap.structures.teb import read_teb
from dumpmap.triage.analyse import analyse
from dumpmap.triage.jobs import local_job
from dumpmap.triage.map_row import row_of_map

WINE = ("leak-x64-before.dmp.gz", "layout-x64.dmp.gz", "layout-wow64.dmp.gz", "exhaust-x86.dmp.gz")


def snapshot_of(name: str) -> Snapshot:
    return open_snapshot(FIXTURES / name)


class CountingMemory(SimpleMemory):
    """Counts the reads of a memory."""

    def __init__(self, inner: Memory) -> None:
        self._inner = inner
        self.reads = 0

    def read(self, address: int, size: int) -> bytes | None:
        self.reads += 1
        return self._inner.read(address, size)

    def find(self, *arguments: Any) -> dict[int, bytes]:
        return self._inner.find(*arguments)

    def ranges(self) -> Sequence[tuple[int, int]]:
        return self._inner.ranges()


@pytest.mark.parametrize("name", WINE)
def test_a_row_sums_up_once_and_makes_no_notes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The counters of these dumps contradict the map, which a note says. A row shows no notes."""
    sums: list[object] = []

    def counted(region_map: model.RegionMap, original: Callable[..., Any] = summarize) -> Any:
        sums.append(region_map)
        return original(region_map)

    monkeypatch.setattr(model, "summarize", counted)
    region_map = classify(snapshot_of(name), sections=False)
    row_of_map(region_map, name, 1)
    assert len(sums) == 1
    assert "notes" not in vars(region_map)
    assert any("the counters state" in note for note in region_map.notes)
    assert len(sums) == 1


def test_captured_bytes_in_something_known_are_not_walked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dump can have 60,000 runs of a few bytes, nearly all in images."""
    cover = Cover()
    cover.add([(0x10000, 0x90000, 0x10000, 1, 2)])
    taken: list[object] = []

    def counted(self: Cover, parts: Iterable[Any], original: Callable[..., None] = Cover.add) -> None:
        parts = list(parts)
        taken.extend(parts)
        original(self, parts)

    monkeypatch.setattr(Cover, "add", counted)
    inside = [(0x10000 + 64 * place, 8) for place in range(5000)]
    regions = with_captured(cover, [*inside, (0x8FFF8, 16), (0xA0000, 8)])
    assert taken == [(0x8FFF8, 0x90008, 0x8FFF8, taken[0][3], 0)]  # type: ignore[index]
    assert list(zip(regions.base.tolist(), regions.size.tolist(), strict=True)) == [
        (0x10000, 0x80000),
        (0x90000, 8),
        (0xA0000, 8),
    ]


@pytest.mark.parametrize("name", WINE)
def test_a_teb_takes_two_reads_and_gives_what_single_reads_give(name: str) -> None:
    snapshot = snapshot_of(name)
    tebs = classify(snapshot, sections=False).structures.tebs
    assert tebs
    for teb in tebs:
        memory = CountingMemory(snapshot.memory)
        assert read_teb(memory, teb.address, teb.pointer_size) == teb
        assert memory.reads <= 2
        recording = RecordingMemory(snapshot.memory)
        assert read_teb(recording, teb.address, teb.pointer_size) == teb
        assert sum(len(data) for _, data in recording.excerpts()) < 0x100


@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(1, 60)), max_size=6),
    st.integers(0, 150),
    st.integers(0, 200),
    st.integers(1, 30),
)
def test_evenly_spaced_places_that_are_captured(
    apart: list[tuple[int, int]], first: int, length: int, step: int
) -> None:
    ranges, end = [], 0
    for gap, size in apart:
        ranges.append((end + gap, size))
        end += gap + size
    places = range(first, first + length, step)
    wanted = [place for place in places if not ranges or any(start <= place < start + size for start, size in ranges)]
    assert list(captured_steps(ranges, places)) == wanted


def test_a_value_with_other_members() -> None:
    heap = HeapInfo(None, 0x1000, 8, "NT heap", ranges=(HeapRange(0x1000, None, "segment", "peb"),))
    assert changed(heap, id=3, is_default=True) == replace(heap, id=3, is_default=True)
    assert changed(heap, id=3) != heap
    assert hash(heap.ranges[0]) == hash(replace(heap.ranges[0]))
    with pytest.raises(TypeError, match="nothing"):
        changed(heap, nothing=1)


def test_a_command_searches_rarely_for_unused_cycles() -> None:
    program = (
        "import gc, sys\n"
        "searches = []\n"
        "gc.callbacks.append(lambda phase, _: searches.append(phase))\n"
        "from dumpmap.__main__ import main\n"
        "try:\n    main()\n"
        "except SystemExit:\n    pass\n"
        "sys.stderr.write(str(searches.count('start')))\n"
    )
    command = [sys.executable, "-c", program, "summary", str(FIXTURES / "layout-x86-plain.dmp")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stderr) < 30  # more than 100 with Python's own setting


def test_the_size_in_use_is_summed_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sums: list[object] = []
    known_size: Any = vars(model.RegionMap)["known_size"]

    def counted(region_map: model.RegionMap, original: Callable[..., Any] = known_size.func) -> Any:
        sums.append(region_map)
        return original(region_map)

    monkeypatch.setattr(known_size, "func", counted)
    region_map = classify(snapshot_of("layout-x64-plain.dmp.gz"), sections=False)
    row_of_map(region_map, "layout-x64-plain.dmp.gz", 1)
    assert len(sums) <= 1
    assert region_map.known_size == sum(size for size in region_map.pieces.size.tolist() if size > 0)


def maps_alive() -> int:
    """How many maps there are, those of other tests among them."""
    return sum(isinstance(one, model.RegionMap | Snapshot) for one in gc.get_objects())


@pytest.mark.parametrize("name", [*WINE, "runtimes/node-18.dmp.gz", "runtimes/java-17-g1.dmp.gz"])
def test_a_row_leaves_no_map_to_the_collector(name: str) -> None:
    """Workers seldom collect: a map in a cycle would stay, with all its columns, beside those of the next files."""
    job = local_job(str(FIXTURES / name))
    analyse(job)
    gc.collect()
    gc.disable()
    try:
        before = maps_alive()
        analyse(job)
        assert maps_alive() == before
    finally:
        gc.enable()
