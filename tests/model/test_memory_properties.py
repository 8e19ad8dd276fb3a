"""Reading memory: exactly what was asked for or nothing, the same as a model of single bytes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dumpmap.model.memory import ExcerptMemory, LiveMemory, Memory, RecordingMemory, find_by_reading
from dumpmap.parsers.minidump.memory import DumpMemory
from dumpmap.sources.files import SMALL, BufferSource, TruncatedError, open_file

RELAXED = settings(deadline=None, max_examples=100)
TOP = (1 << 64) - 1

starts = st.one_of(st.integers(0, 60), st.integers(TOP - 60, TOP - 17), st.integers(1 << 40, (1 << 40) + 30))
excerpts = st.lists(st.tuples(starts, st.binary(min_size=0, max_size=16)), max_size=8)
reads = st.lists(st.tuples(st.one_of(starts, st.integers(-3, TOP + 3)), st.integers(-1, 40)), max_size=20)


def model(ranges: list[tuple[int, bytes]]) -> dict[int, int]:
    """Byte by byte: of overlapping ranges the one that starts lower wins, then the longer one."""
    found: dict[int, int] = {}
    for start, data in sorted(ranges, key=lambda excerpt: (excerpt[0], -len(excerpt[1]))):
        for offset, byte in enumerate(data):
            found.setdefault(start + offset, byte)
    return found


def expected(known: dict[int, int], address: int, size: int) -> bytes | None:
    if size <= 0 or any(place not in known for place in range(address, address + size)):
        return None
    return bytes(known[place] for place in range(address, address + size))


def dump_memory(ranges: list[tuple[int, bytes]]) -> DumpMemory:
    """A dump whose ranges lie behind one another in the file."""
    data = b"".join(data for _, data in ranges)
    sizes = np.array([len(data) for _, data in ranges], np.uint64)
    offsets = np.concatenate((np.zeros(1, np.uint64), np.cumsum(sizes)[:-1])) if ranges else sizes
    return DumpMemory(BufferSource("model", data), np.array([s for s, _ in ranges], np.uint64), sizes, offsets)


@RELAXED
@given(excerpts, reads)
def test_excerpts_read_like_the_model(ranges: list[tuple[int, bytes]], places: list[tuple[int, int]]) -> None:
    memory, known = ExcerptMemory(ranges), model(ranges)
    for address, size in places:
        assert memory.read(address, size) == expected(known, address, size)


@RELAXED
@given(excerpts, reads)
def test_a_dump_reads_like_the_model(ranges: list[tuple[int, bytes]], places: list[tuple[int, int]]) -> None:
    memory, known = dump_memory(ranges), model(ranges)
    for address, size in places:
        assert memory.read(address, size) == expected(known, address, size)


@RELAXED
@given(excerpts, reads)
def test_a_recording_reads_like_what_it_records_and_keeps_exactly_that(
    ranges: list[tuple[int, bytes]], places: list[tuple[int, int]]
) -> None:
    known = model(ranges)
    recording = RecordingMemory(dump_memory(ranges))
    for address, size in places:
        assert recording.read(address, size) == expected(known, address, size)
    replay = ExcerptMemory(recording.excerpts())
    for address, size in places:
        assert replay.read(address, size) == expected(known, address, size)
    asked = {
        place for address, size in places if expected(known, address, size) for place in range(address, address + size)
    }
    kept = {start + offset for start, data in recording.excerpts() for offset in range(len(data))}
    assert kept == asked


@RELAXED
@given(excerpts, reads)
def test_ranges_are_sorted_joined_and_readable(ranges: list[tuple[int, bytes]], places: list[tuple[int, int]]) -> None:
    known = model(ranges)
    for memory in (ExcerptMemory(ranges), dump_memory(ranges)):
        at = -1
        covered = 0
        for start, size in memory.ranges():
            assert start > at, "neither overlapping nor touching"
            assert memory.read(start, size) is not None
            at = start + size
            covered += size
        assert covered == len(known)


@RELAXED
@given(
    excerpts,
    st.lists(st.one_of(starts, st.integers(0, TOP)), max_size=20),
    st.sampled_from([0, 1, 7, 1 << 63]),
    st.integers(1, 4).flatmap(lambda size: st.lists(st.binary(min_size=size, max_size=size), max_size=4)),
    st.data(),
)
def test_find_equals_find_by_reading(
    ranges: list[tuple[int, bytes]], addresses: list[int], offset: int, patterns: list[bytes], data: st.DataObject
) -> None:
    # Mostly patterns that are there.
    size = len(patterns[0]) if patterns else 2
    held = [(s, d) for s, d in ranges if len(d) >= size]
    if held:
        start, held_bytes = data.draw(st.sampled_from(held))
        at = data.draw(st.integers(0, len(held_bytes) - size))
        patterns = [*patterns, held_bytes[at : at + size]]
        if start + at >= offset:
            addresses = [*addresses, start + at - offset]
    addresses = sorted(set(addresses))
    memories: list[Memory] = [ExcerptMemory(ranges), dump_memory(ranges), RecordingMemory(dump_memory(ranges))]
    for memory in memories:
        wanted = find_by_reading(ExcerptMemory(ranges), addresses, offset, patterns)
        assert memory.find(addresses, offset, patterns) == wanted
        assert memory.find(np.array(addresses, np.uint64), offset, patterns) == wanted  # type: ignore[arg-type]


@RELAXED
@given(
    excerpts,
    st.lists(st.one_of(starts, st.integers(0, TOP)), max_size=30),
    st.lists(st.sampled_from([0, 1, 3, 8, 12]), min_size=1, max_size=3),
    st.integers(1, 9).flatmap(lambda size: st.lists(st.binary(min_size=size, max_size=size), min_size=1, max_size=3)),
    st.sampled_from([0, 1 << 10]),
)
def test_one_look_for_several_offsets_finds_what_single_searches_find(
    ranges: list[tuple[int, bytes]], addresses: list[int], offsets: list[int], patterns: list[bytes], few: int
) -> None:
    size = len(patterns[0])
    patterns = [*patterns, *(data[at : at + size] for _, data in ranges for at in (0, 3) if len(data) >= at + size)]
    starts = [start - offset for start, _ in ranges for offset in offsets if start >= offset]
    addresses = sorted({*addresses, *starts})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dumpmap.parsers.minidump.memory._FEW", few)
        # Of two equal ranges with other bytes, the first one counts.
        turned = ranges[::-1]
        memories: list[tuple[Memory, list[tuple[int, bytes]]]] = [
            (ExcerptMemory(ranges), ranges),
            (dump_memory(ranges), ranges),
            (dump_memory(turned), turned),
            (RecordingMemory(dump_memory(ranges)), ranges),
        ]
        for memory, order in memories:
            wanted = [find_by_reading(ExcerptMemory(order), addresses, offset, patterns) for offset in offsets]
            assert memory.find_each(np.array(addresses, np.uint64), offsets, patterns) == wanted  # type: ignore[arg-type]
            assert memory.held() == sum(size for _, size in memory.ranges())


@RELAXED
@given(
    excerpts, st.lists(st.one_of(starts, st.integers(0, TOP)), max_size=30), st.integers(0, 40), st.sampled_from([0, 9])
)
def test_reading_many_places_at_once_is_reading_each(
    ranges: list[tuple[int, bytes]], addresses: list[int], size: int, few: int
) -> None:
    addresses = [*addresses, *(start for start, _ in ranges), *(start + len(data) - size for start, data in ranges)]
    addresses = [address for address in addresses if address >= 0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dumpmap.parsers.minidump.memory._FEW", few)
        known = model(ranges)
        wanted = [expected(known, address, size) for address in addresses]
        recording = RecordingMemory(dump_memory(ranges))
        for memory in (ExcerptMemory(ranges), dump_memory(ranges), recording):
            assert memory.read_each(addresses, size) == wanted
        replay = ExcerptMemory(recording.excerpts())
        assert replay.read_each(addresses, size) == wanted


class CountingSource(BufferSource):
    """Counts the requests for bytes."""

    requests = 0

    def view(self, offset: int, size: int) -> memoryview:
        self.requests += 1
        return super().view(offset, size)

    def gather(self, offsets: Sequence[int], size: int) -> bytes:
        self.requests += 1
        return super().gather(offsets, size)


@pytest.mark.parametrize("count", [1000, 8000])
def test_a_search_at_several_offsets_is_one_request(count: int) -> None:
    source = CountingSource("many", bytes(range(256)) * (count // 8))
    begins = np.arange(count, dtype=np.uint64) * np.uint64(0x1000)
    sizes = np.full(count, 32, np.uint64)
    memory = DumpMemory(source, begins, sizes, np.arange(count, dtype=np.uint64)[::-1] * np.uint64(32))
    found = memory.find_each(begins, [8, 16], [bytes(range(8, 12)), bytes(range(48, 52))])  # type: ignore[arg-type]
    # Eight ranges share 256 bytes, the last range first: bytes 8 begin every eighth, bytes 48 are 16 behind byte 32.
    assert [len(hits) for hits in found] == [count // 8, count // 8]
    assert set(found[0].values()) == {bytes(range(8, 12))}
    assert set(found[1].values()) == {bytes(range(48, 52))}
    assert source.requests == 1


def test_a_search_in_a_file_that_became_shorter_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "shrinks"
    path.write_bytes(bytes(SMALL + 64))
    source = open_file(path)
    os.truncate(path, 64)
    with pytest.raises(TruncatedError):
        source.gather([0, SMALL], 8)
    with pytest.raises(TruncatedError):
        source.gather([0, SMALL + 60], 8)


@RELAXED
@given(excerpts, st.lists(starts, max_size=10), st.binary(min_size=1, max_size=2))
def test_a_recorded_search_is_found_again(
    ranges: list[tuple[int, bytes]], addresses: list[int], pattern: bytes
) -> None:
    recording = RecordingMemory(dump_memory(ranges))
    addresses = sorted(set(addresses))
    found = recording.find(addresses, 0, [pattern])
    assert ExcerptMemory(recording.excerpts()).find(addresses, 0, [pattern]) == found


def test_live_memory_never_returns_less_than_was_asked_for() -> None:
    memory = LiveMemory(lambda address, size: b"ab")
    assert memory.read(0, 2) == b"ab"
    assert memory.read(0, 3) is None
    assert memory.read(0, 0) is None
    assert memory.find([0, 5], 0, [b"ab"]) == {0: b"ab", 5: b"ab"}


@RELAXED
@given(st.binary(max_size=40), st.integers(-5, 50), st.integers(-5, 50))
def test_a_view_of_a_source_is_exact_or_an_error(data: bytes, offset: int, size: int) -> None:
    source = BufferSource("x", data)
    if offset >= 0 and size >= 0 and offset + size <= len(data):
        assert bytes(source.view(offset, size)) == data[offset : offset + size]
    else:
        with pytest.raises(TruncatedError):
            source.view(offset, size)
