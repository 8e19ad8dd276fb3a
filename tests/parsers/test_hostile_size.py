"""Small files that ask for much: time and memory stay in proportion to the file, not to what it claims."""

from __future__ import annotations

import gzip
import io
import os
import resource
import struct
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import zstandard
from support.bombs import zip_of
from support.dumps import read, tiny
from support.hostile import heaps, survives, synthetic, within
from support.repeated import repeated_gzip
from synth.images import Section, pe_header
from synth.minidump import (
    HANDLE_DATA,
    HEAP_STREAM,
    MEM_COMMIT,
    MEM_IMAGE,
    MEM_PRIVATE,
    MEMORY64_LIST,
    MEMORY_INFO_LIST,
    MODULE_LIST,
    PAGE_READWRITE,
    THREAD_LIST,
    THREAD_NAMES,
)

import dumpmap
from dumpmap.errors import FormatError
from dumpmap.model.types import RegionType
from dumpmap.parsers.minidump import layout

MB = 1 << 20

LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[2]), int(sys.argv[2])))
import dumpmap
try:
    m = dumpmap.open(sys.argv[1])
    print(m.completeness, m.total.size)
except dumpmap.DumpmapError as error:
    print(error)
"""


def in_little_memory(path: Path, megabytes: int = 1500, seconds: float = 30, **environment: str) -> str:
    """Opens a file in a process of its own that can have so much address space; returns what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path), str(megabytes * MB)],
        capture_output=True,
        text=True,
        timeout=seconds,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", **environment},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# ---------------------------------------------------------------- one list, named or read many times


def repeated_directory(number: int, body: bytes, times: int) -> bytes:
    """A dump whose directory names one stream many times."""
    size = 32 + 12 * times
    header = struct.pack("<IIIIIIQ", 0x504D444D, 0xA793, times, 32, 0, 0, 0)
    return header + struct.pack("<III", number, len(body), size) * times + body


@pytest.mark.parametrize("number", [3, 4, 5, 9, 10, 12, 14, 16, 17, 24, HEAP_STREAM, 0x47670009])
def test_a_list_that_four_thousand_directory_entries_name(number: int) -> None:
    body = {
        9: struct.pack("<QQ", 20_000, 0) + bytes(16 * 20_000),
        12: struct.pack("<IIII", 16, 32, 10_000, 0) + bytes(32 * 10_000),
        14: struct.pack("<III", 12, 24, 10_000) + bytes(24 * 10_000),
        16: struct.pack("<IIQ", 16, 48, 7_000) + bytes(48 * 7_000),
        17: struct.pack("<III", 12, 64, 5_000) + bytes(64 * 5_000),
    }.get(number, struct.pack("<I", 5_000) + bytes(300_000))
    with within(20):
        survives(repeated_directory(number, body, 4096), seconds=20)


@pytest.mark.parametrize(
    ("number", "record"),
    [
        (MODULE_LIST, lambda rva: struct.pack("<QIIII", 0x40_0000, 0x1000, 0, 0, rva) + bytes(84)),
        (THREAD_NAMES, lambda rva: struct.pack("<IQ", rva, rva)),
    ],
)
def test_one_long_string_that_every_record_points_into(number: int, record: object) -> None:
    """Each of ten thousand names claims 64 KB of the same text, at another offset each time."""
    count = 10_000
    text = b"a\0" * 40_000
    strings = 32 + 12
    table = strings + len(text) + 100
    assert callable(record)
    data = bytearray(struct.pack("<IIIIIIQ", 0x504D444D, 0xA793, 1, 32, 0, 0, 0))
    records = [record(strings + 4 * index % 20_000) for index in range(count)]
    body = struct.pack("<I", count) + b"".join(records)
    data += struct.pack("<III", number, len(body), table)
    data += text.ljust(len(text) + 100, b"\0") + body
    started = time.process_time()
    snapshot = read(bytes(data))
    assert time.process_time() - started < 3
    together = sum(len(module.path) for module in snapshot.modules) + sum(len(t.name or "") for t in snapshot.threads)
    assert together <= len(data) + 0x10000


def test_heap_stream_names_that_all_run_through_one_long_text() -> None:
    count = 20_000
    head = struct.pack("<IHHIIIIII", HEAP_STREAM, 1, 32, 32, count, 40, 0, 32 + 32 * count, 500_000)
    heaps = b"".join(struct.pack("<QIIIIQ", 0x1000 * n, n, 1, 0, n, 0) for n in range(count))
    started = time.process_time()
    snapshot = read(tiny().raw_stream(HEAP_STREAM, head + heaps + b"x" * 500_000))
    assert time.process_time() - started < 3
    assert sum(len(heap.name or "") for heap in snapshot.heaps) < 2 * MB


def test_a_million_handles() -> None:
    count = 1_000_000
    entries = np.zeros(count, layout.HANDLE_DESCRIPTOR)
    builder = tiny().raw_stream(HANDLE_DATA, struct.pack("<IIII", 16, 32, count, 0) + entries.tobytes())
    started = time.process_time()
    snapshot = read(builder)
    assert time.process_time() - started < 3
    assert snapshot.handle_types == {"unknown": count}


# ---------------------------------------------------------------- what is quadratic if one is not careful


def test_heap_ranges_that_each_span_the_whole_space() -> None:
    allocations, ranges = 20_000, 5_000
    infos = np.zeros(allocations, layout.MEMORY_INFO)
    infos["BaseAddress"] = infos["AllocationBase"] = np.arange(1, allocations + 1, dtype=np.uint64) << np.uint64(16)
    infos["RegionSize"], infos["State"], infos["Protect"], infos["Type"] = 0x1000, MEM_COMMIT, 4, MEM_PRIVATE
    head = struct.pack("<IHHIIIIII", HEAP_STREAM, 1, 32, 32, 1, 40, ranges, 0, 0)
    heap = struct.pack("<QIIIIQ", 0x1_0000, 1, 1, 0, 0xFFFFFFFF, 0)
    part = struct.pack("<QQQIIII", 0x1_0000, allocations << 16, 0x1000, 1, 1, 0, 0)
    builder = tiny().raw_stream(HEAP_STREAM, head + heap + part * ranges)
    builder.raw_stream(MEMORY_INFO_LIST, struct.pack("<IIQ", 16, 48, allocations) + infos.tobytes())
    started = time.process_time()
    m = dumpmap.open(builder.build())
    assert time.process_time() - started < 5
    assert m.line(RegionType.HEAP).blocks == allocations


@pytest.mark.parametrize(
    ("apart", "count"), [(0, 3_000), (0x1_0000, 300), pytest.param(0x1_0000, 20_000, marks=pytest.mark.slow)]
)
def test_modules_whose_headers_have_a_thousand_sections_each(apart: int, count: int) -> None:
    sections = [Section(f"s{n}", 0x1000, rva=0x1000 + n) for n in range(1024)]
    header = pe_header("x64", 0x1000_0000, sections)
    memory = b"".join(
        struct.pack("<QII", 0x1000_0000 + apart * n, 0x1000, 0x1000) for n in range(count if apart else 1)
    )
    modules = b"".join(
        struct.pack("<QIIII", 0x1000_0000 + apart * n, apart or 0x100_0000, 0, 0, 0) + bytes(84) for n in range(count)
    )
    builder = tiny().region(0x1000_0000, count << 16, MEM_COMMIT, 2, MEM_IMAGE)
    builder.raw_stream(MODULE_LIST, struct.pack("<I", count) + modules)
    builder.raw_stream(5, struct.pack("<I", len(memory) // 16) + memory)
    data = bytearray(builder.build())
    start = len(data)
    data += header
    at = builder.offset_of(5) + 4
    for index in range(len(memory) // 16):
        struct.pack_into("<II", data, at + 16 * index + 8, len(header), start)
    survives(bytes(data), seconds=4 if count < 10_000 else 120)


def test_threads_that_all_claim_one_stack() -> None:
    builder = tiny().region(0x10_0000, 0x1_0000, MEM_COMMIT, PAGE_READWRITE, MEM_PRIVATE)
    for number in range(3_000):
        builder.thread(number, stack_range=(0x10_0000, 0x1000), context=b"")
    with within(10):
        m = dumpmap.open(builder.build())
    assert len(m.stacks) == 1
    assert len(m.warnings) < 10, "one line for all of them"


def test_a_million_ranges_of_memory_at_one_place() -> None:
    count = 1_000_000
    ranges = np.zeros(count, layout.MEMORY_DESCRIPTOR64)
    ranges["StartOfMemoryRange"], ranges["DataSize"] = 0x1000, 8
    builder = tiny().raw_stream(MEMORY64_LIST, struct.pack("<QQ", count, 100) + ranges.tobytes())
    started = time.process_time()
    assert survives(builder.build()) == "partial"
    assert time.process_time() - started < 5


# ---------------------------------------------------------------- memory


@pytest.mark.parametrize("number", [THREAD_LIST, MODULE_LIST, MEMORY64_LIST, MEMORY_INFO_LIST])
def test_a_huge_count_allocates_nothing(number: int, tmp_path: Path) -> None:
    builder = tiny().memory64(0x1000, b"abc").thread(1).module(0x40_0000, 0x1000, "a.exe")
    builder.region(0x1000, 0x1000, MEM_COMMIT, PAGE_READWRITE, MEM_PRIVATE)
    builder.lie_count(number, 0xFFFFFFFF if number in (THREAD_LIST, MODULE_LIST) else (1 << 64) - 1)
    assert in_little_memory(builder.write(tmp_path / "x.dmp"))


def test_a_hole_of_a_terabyte_is_not_read(tmp_path: Path) -> None:
    builder = tiny().memory64_hole(0x1000_0000, 1 << 40)
    builder.region(0x1000_0000, 1 << 40, MEM_COMMIT, PAGE_READWRITE, MEM_PRIVATE)
    path = builder.write(tmp_path / "hole.dmp")
    with within(10):
        m = dumpmap.open(path)
    assert m.total.committed == 1 << 40
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert used < 4 << 20, "kilobytes"


def bomb(kind: str, size: int) -> bytes:
    """`size` zero bytes behind a minidump's first bytes, packed."""
    head = synthetic()
    if kind == "gz":
        return repeated_gzip(head, bytes(MB), size // MB, b"")
    if kind == "zst":
        packer = zstandard.ZstdCompressor(level=1).compressobj()
        return b"".join(
            [packer.compress(head), *(packer.compress(bytes(MB)) for _ in range(size // MB)), packer.flush()]
        )
    packed = repeated_gzip(head, bytes(MB), size // MB, b"")
    checksum, length = struct.unpack("<II", packed[-8:])
    return zip_of(zipfile.ZIP_DEFLATED, packed[10:-8], length, checksum=checksum)


@pytest.mark.parametrize("kind", ["gz", "zst", "zip"])
def test_a_bomb_stops_at_the_limit(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUMPMAP_MAX_DECOMPRESSED", str(8 * MB))
    data = bomb(kind, 32 * MB)
    assert len(data) < MB
    with pytest.raises(FormatError, match=r"unpacks to more than 8,388,608 bytes; set \$DUMPMAP_MAX_DECOMPRESSED"):
        dumpmap.open(data)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["gz", "zst", "zip"])
def test_what_unpacks_to_much_goes_to_a_file(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"bomb.dmp.{kind}"
    path.write_bytes(bomb(kind, 1200 * MB))
    # The mapping counts as address space, the bytes of it do not as memory.
    read = in_little_memory(path, megabytes=2500, seconds=120, DUMPMAP_MAX_RATIO="1000000")
    assert read.startswith("map")


def test_a_zstd_window_of_gigabytes_is_refused() -> None:
    # Magic, a frame header that asks for a window of 2**41 bytes, one raw block.
    frame = b"\x28\xb5\x2f\xfd" + b"\x00" + b"\xf8" + b"\x01\x00\x00"
    with pytest.raises(FormatError, match="the zstd file is damaged"):
        dumpmap.open(frame)


@pytest.mark.parametrize("members", [0, 2])
def test_a_zip_archive_of_other_than_one_file_is_refused(members: int) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number in range(members):
            archive.writestr(f"{number}.dmp", synthetic())
        if not members:
            archive.writestr("folder/", b"")
    with pytest.raises(FormatError, match=f"a zip archive of {members} files"):
        dumpmap.open(out.getvalue())


@pytest.mark.parametrize("kind", ["gz", "zst", "zip"])
def test_a_packed_dump_that_is_cut_off(kind: str) -> None:
    data = bomb(kind, 0)
    for cut in range(0, len(data), max(1, len(data) // 60)):
        survives(data[:cut])


@pytest.mark.parametrize("kind", ["gz", "zst"])
def test_a_packed_dump_that_is_cut_off_late_still_gives_a_map(kind: str) -> None:
    data = gzip.compress(heaps()) if kind == "gz" else zstandard.ZstdCompressor().compress(heaps())
    assert survives(data[: len(data) * 95 // 100]) in ("map", "full")


def test_a_packed_dump_of_which_nothing_is_left() -> None:
    data = zstandard.ZstdCompressor().compress(synthetic())
    with pytest.raises(FormatError, match="the zstd file unpacks to nothing: it is empty or cut off"):
        dumpmap.open(data[: len(data) // 2])
    with pytest.raises(FormatError, match="the gzip file unpacks to nothing: it is empty or cut off"):
        dumpmap.open(gzip.compress(b""))


@pytest.mark.parametrize("kind", ["gz", "zst", "zip"])
def test_only_one_layer_is_unpacked(kind: str) -> None:
    inner = gzip.compress(synthetic())
    outer = {"gz": gzip.compress, "zst": zstandard.ZstdCompressor().compress}.get(kind)
    if outer is None:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("x.dmp.gz", inner)
        packed = out.getvalue()
    else:
        packed = outer(inner)
    with pytest.raises(FormatError):
        dumpmap.open(packed)


def test_many_small_gzip_members_are_one_file() -> None:
    data = synthetic()
    packed = b"".join(gzip.compress(data[at : at + 1000]) for at in range(0, len(data), 1000))
    assert dumpmap.open(packed).snapshot.source.size == len(data)


def test_padding_behind_a_gzip_member_is_ignored() -> None:
    assert dumpmap.open(gzip.compress(synthetic()) + bytes(512)).snapshot.source.size == len(synthetic())


@pytest.mark.parametrize("value", ["", "nonsense", "-1"])
def test_a_limit_that_is_no_number(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUMPMAP_MAX_DECOMPRESSED", value)
    survives(gzip.compress(synthetic()))


class Endless(io.RawIOBase):
    """A stream that goes on for ever, and how much of it was read."""

    def __init__(self, unit: bytes) -> None:
        self.unit, self.given = unit, 0

    def read(self, size: int = -1) -> bytes:
        assert size > 0, "nobody reads it whole"
        self.given += size
        return (self.unit * (size // len(self.unit) + 1))[:size]


@pytest.mark.parametrize(
    ("unit", "problem", "most"),
    [
        (b"\0", "begins with zeros only", 4 << 20),
        (b"words ", "not a minidump: a text file", 4 << 20),
        (b"\x7fELF", "an ELF file", 4 << 20),
        (b'{"a": 1, ', "is a text of more than 1,048,576 bytes; set \\$DUMPMAP_MAX_TEXT", 8 << 20),
    ],
)
def test_a_stream_that_does_not_end_is_read_no_further_than_its_kind_shows(
    unit: bytes, problem: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUMPMAP_MAX_TEXT", str(1 << 20))
    stream = Endless(unit)
    with pytest.raises(FormatError, match=problem):
        dumpmap.open(stream)  # type: ignore[arg-type]
    assert stream.given <= most
