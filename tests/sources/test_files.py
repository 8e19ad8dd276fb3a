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
from dumpmap.sources.files import BufferSource, FileSource, MappedSource, TruncatedError, open_file


class Counting(BufferSource):
    """Counts the bytes that are looked at."""

    looked_at = 0

    def view(self, offset: int, size: int) -> memoryview:
        self.looked_at += size
        return super().view(offset, size)


def test_a_small_file_is_read_at_once(tmp_path: Path) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(b"x" * 10)
    large.write_bytes(b"y" * (sources.SMALL + 1))
    assert type(open_file(small)) is BufferSource
    assert type(open_file(large)) is not BufferSource
    assert bytes(open_file(large).view(sources.SMALL - 2, 3)) == b"yyy"


def test_a_small_file_that_grows_meanwhile_is_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.dmp"
    path.write_bytes(b"0123456789")
    real = os.fstat

    def earlier(handle: int) -> os.stat_result:
        return os.stat_result([*real(handle)[:6], 4, *real(handle)[7:]])

    monkeypatch.setattr("dumpmap.sources.files.os.fstat", earlier)
    source = open_file(path)
    assert source.size == 10
    assert bytes(source.view(0, 10)) == b"0123456789"


def test_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()
    assert open_file(path).size == 0


def test_a_large_file_is_read_where_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.seek(1 << 20)
        file.write(b"end")
    monkeypatch.setattr(sources, "LARGE", 1 << 19)
    for kind in (FileSource, MappedSource):
        monkeypatch.setattr(sources, "_OPEN", kind)
        opened = open_file(path)
        assert [bytes(view) for view in opened.views([(1 << 20, 3), (0, 2)])] == [b"end", b"\0\0"]
        with pytest.raises(TruncatedError, match="needs bytes 0x100000 to 0x100004, but the file has 0x100003 bytes"):
            opened.views([(0, 1), (1 << 20, 4)])


@pytest.mark.skipif(os.name == "nt", reason="Windows cuts off no file that is in use")
def test_a_file_that_is_cut_off_while_it_is_read(tmp_path: Path) -> None:
    """A look at a mapped page behind the new end would end the process."""
    path = tmp_path / "large"
    path.write_bytes(bytes(2 * sources.SMALL))
    opened = open_file(path)
    os.truncate(path, 0x8000)
    assert bytes(opened.view(0x7FFE, 2)) == b"\0\0"
    with pytest.raises(TruncatedError, match="was cut off at 0x8000 while dumpmap was reading it"):
        opened.view(0x7FFF, 2)


def test_short_reads_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large"
    path.write_bytes(bytes(range(256)) * (sources.SMALL // 256 + 1))
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda handle, size, offset: pread(handle, min(size, 7), offset))
    assert bytes(open_file(path).view(3, 30)) == bytes(range(3, 33))


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or directory"):
        open_file(tmp_path / "nowhere")
    with pytest.raises(InputError, match="is a directory"):
        open_file(tmp_path)
    with pytest.raises(InputError, match="null"):
        open_file("a\0b")


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
