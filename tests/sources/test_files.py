"""Files of every size, on systems that lack what this one has, and how little of a large one is looked at."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from support.dumps import tiny
from synth.minidump import MEM_COMMIT, MEM_PRIVATE, PAGE_READWRITE

from dumpmap.api import map_snapshot
from dumpmap.errors import InputError
from dumpmap.parsers.opening import read_source
from dumpmap.sources import files as sources
from dumpmap.sources.files import BufferSource, MappedSource, TruncatedError, map_file


class Counting(BufferSource):
    """Counts the bytes that are looked at."""

    looked_at = 0

    def view(self, offset: int, size: int) -> memoryview:
        self.looked_at += size
        return super().view(offset, size)


def test_a_small_file_is_read_and_a_larger_one_mapped(tmp_path: Path) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(b"x" * 10)
    large.write_bytes(b"y" * (sources.SMALL + 1))
    assert type(map_file(small)) is BufferSource
    assert type(map_file(large)) is MappedSource
    assert bytes(map_file(large).view(sources.SMALL - 2, 3)) == b"yyy"


def test_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()
    assert map_file(path).size == 0


@pytest.mark.parametrize("missing", [(), ("posix_fadvise",), ("pread", "posix_fadvise")])
def test_a_large_file_on_systems_that_lack_something(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: tuple[str, ...]
) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.seek(1 << 20)
        file.write(b"end")
    monkeypatch.setattr(sources, "LARGE", 1 << 19)
    for name in missing:
        monkeypatch.delattr(os, name, raising=False)
    opened = map_file(path)
    assert [bytes(view) for view in opened.views([(1 << 20, 3), (0, 2)])] == [b"end", b"\0\0"]
    with pytest.raises(TruncatedError):
        opened.views([(0, 1), (1 << 20, 4)])


def test_a_large_file_that_is_cut_off_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large"
    path.write_bytes(bytes(1 << 20))
    monkeypatch.setattr(sources, "LARGE", 1 << 19)
    monkeypatch.setattr(os, "pread", lambda handle, size, offset: b"")
    assert [bytes(view) for view in map_file(path).views([(0, 2)])] == [b"\0\0"]


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or directory"):
        map_file(tmp_path / "nowhere")
    with pytest.raises(InputError, match="is a directory"):
        map_file(tmp_path)
    with pytest.raises(InputError, match="null"):
        map_file("a\0b")


@pytest.mark.parametrize("places", [[0], [0, 1 << 16], list(range(0, 1 << 24, 1 << 16))])
def test_of_a_large_dump_only_its_structures_are_looked_at(places: Sequence[int]) -> None:
    builder = tiny()
    for place in places:
        builder.memory64(0x1000_0000 + place, bytes(0x1_0000))
        builder.region(0x1000_0000 + place, 0x1_0000, MEM_COMMIT, PAGE_READWRITE, MEM_PRIVATE)
    counted = Counting("counted", builder.build())
    m = map_snapshot(read_source(counted))
    assert m.total.committed == len(places) << 16
    # Header, lists, and of each allocation the first bytes, where a heap's signature would be.
    assert counted.looked_at < 8_000 + 1_000 * len(places)
