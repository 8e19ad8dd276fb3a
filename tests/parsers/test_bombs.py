"""Files that claim much: whatever a file claims, a command takes less than 300 MiB and 10 seconds with the defaults."""

from __future__ import annotations

import bz2
import io
import struct
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.bombs import (
    ALIKE,
    AT_THE_BOUND,
    BOMBS,
    MB,
    MOST_MEMORY,
    MOST_SECONDS,
    REGIONS_HEAD,
    many_in_zip,
    shared_header,
    zip_of,
)
from support.cost import cost
from support.counting import steps_of
from support.dumps import tiny
from support.hostile import synthetic, within
from synth.minidump import MEM_COMMIT, MEM_PRIVATE, PAGE_READWRITE

import dumpmap
from dumpmap.errors import FormatError, InputError, SnapshotError
from dumpmap.model.limits import LIMITS
from dumpmap.parsers.recognition import begins_like_input, is_input
from dumpmap.parsers.vmmap.text import lines_of
from dumpmap.sources.archive import first_bytes
from dumpmap.sources.files import BufferSource


def peak_of(action: Callable[[], object]) -> float:
    """Peak of the memory that Python allocates during an action, in MB."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1] / MB
    finally:
        tracemalloc.stop()


@pytest.mark.slow
@pytest.mark.parametrize("name", [*(name for name in BOMBS if name not in ALIKE), *AT_THE_BOUND])
def test_no_file_takes_much(name: str, tmp_path: Path) -> None:
    file, write = {**BOMBS, **AT_THE_BOUND}[name]
    path = tmp_path / file
    write(path)
    taken = cost("summary", path)
    assert taken.code in (0, 3), taken.errors
    assert "bug" not in taken.errors
    assert taken.memory < MOST_MEMORY
    assert taken.seconds < MOST_SECONDS


# ---------------------------------------------------------------- archives


def test_looking_at_a_file_packed_with_bzip2_unpacks_its_beginning_only() -> None:
    packed = bz2.compress(bytes(200 * MB))
    assert len(packed) < 1000
    archive = zip_of(zipfile.ZIP_BZIP2, packed, 200 * MB, ("a", "b"))
    assert peak_of(lambda: first_bytes(BufferSource("x.zip", archive), is_input)) < 20


def test_unpacking_bzip2_gives_it_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUMPMAP_MAX_DECOMPRESSED", str(8 * MB))
    archive = zip_of(zipfile.ZIP_BZIP2, bz2.compress(bytes(200 * MB)), 200 * MB)

    def opened() -> None:
        with pytest.raises(FormatError, match=r"more than 8,388,608 bytes; set \$DUMPMAP_MAX_DECOMPRESSED to allow"):
            dumpmap.open(archive)

    assert peak_of(opened) < 40


def test_the_work_of_a_search_through_an_archive_is_bounded(tmp_path: Path) -> None:
    archive = zip_of(zipfile.ZIP_BZIP2, bz2.compress(bytes(45 * MB)), 45 * MB, tuple(f"{n}.bin" for n in range(2000)))
    path = tmp_path / "many.zip"
    path.write_bytes(archive)
    with within(20), pytest.raises(InputError, match="take too much unpacking to be searched; name the file"):
        dumpmap.open(archive)
    with within(20):
        assert not begins_like_input(str(path))


def test_files_of_an_archive_that_share_one_content_count_each_time() -> None:
    """Deflate can take input for ever and give nothing: 5 bytes are an empty block."""
    nothing = b"\0\0\0\xff\xff" * (4 * MB // 5)
    archive = zip_of(zipfile.ZIP_DEFLATED, nothing, 0, ("a",))
    entry = archive[archive.index(b"PK\1\2") : archive.index(b"PK\5\6")]
    count = 3000
    end = struct.pack("<4sHHHHLLH", b"PK\5\6", 0, 0, count, count, len(entry) * count, archive.index(b"PK\1\2"), 0)
    with within(30), pytest.raises(InputError, match="too much unpacking"):
        dumpmap.open(archive[: archive.index(b"PK\1\2")] + entry * count + end)


def test_an_archive_of_millions_of_files_is_refused_before_its_table_is_read(tmp_path: Path) -> None:
    path = tmp_path / "m.zip"
    many_in_zip(path, 400_000)

    def opened() -> None:
        with pytest.raises(FormatError, match="table of contents of 18,800,000 bytes; dumpmap reads up to 8,388,608"):
            dumpmap.open(path)

    assert peak_of(opened) < 10


def test_a_dictionary_of_gigabytes_is_refused() -> None:
    packed = struct.pack("<BBHBI", 9, 4, 5, 93, 0xFFFF_FFFF) + bytes(100)
    with pytest.raises(FormatError, match=r"needs an LZMA dictionary of 4,294,967,295 bytes"):
        dumpmap.open(zip_of(zipfile.ZIP_LZMA, packed, 100))


def test_content_far_beyond_the_packed_size_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dumpmap.sources.spool.MAX_ANY_RATIO", MB)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.dmp", synthetic() + bytes(8 * MB))
    with pytest.raises(FormatError, match=r"unpacks to more than [\d,]+ bytes; set \$DUMPMAP_MAX_RATIO to allow more"):
        dumpmap.open(out.getvalue())
    monkeypatch.setenv("DUMPMAP_MAX_RATIO", "2000")
    assert dumpmap.open(out.getvalue()).snapshot.source.size == len(synthetic()) + 8 * MB


@pytest.mark.parametrize("name", ["", "/"])
def test_a_file_of_an_archive_without_a_name(name: str) -> None:
    archive = zip_of(zipfile.ZIP_STORED, synthetic(), len(synthetic()), (name,))
    if name:
        with pytest.raises(FormatError, match="of 0 files"):
            dumpmap.open(archive)
    else:
        assert dumpmap.open(archive).snapshot.source.size == len(synthetic())


# ---------------------------------------------------------------- texts


def _steps(text: str) -> int:
    """Counts the steps that the line reader takes."""
    pieces = [text[at : at + (1 << 16)] for at in range(0, len(text), 1 << 16)]
    return steps_of(lambda: all(True for _ in lines_of(pieces, "x")))


@pytest.mark.parametrize("unit", ["\r", "\n", "\r\n", "\n\r", "a\r", "a\n", "ab\r\r\n", "a"])
def test_twice_the_text_takes_twice_the_steps(unit: str) -> None:
    once = _steps(unit * (200_000 // len(unit)))
    twice = _steps(unit * (400_000 // len(unit)))
    assert twice <= 2 * once + 50


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a\nb", {1: "a", 2: "b"}),
        ("a\r\nb\r\n", {1: "a", 2: "b"}),
        ("a\rb", {1: "a", 2: "b"}),
        ("a\r\r\nb", {1: "a", 2: "b"}),
        ("a\r\r\rb", {1: "a", 4: "b"}),
        ("a\n\nb", {1: "a", 3: "b"}),
        ("a\r\n\r\nb", {1: "a", 3: "b"}),
        ("\n\ra", {3: "a"}),
        ("", {}),
    ],
)
def test_lines_have_the_numbers_that_an_editor_shows(text: str, lines: dict[int, str]) -> None:
    for size in (1, 2, 3, 100):
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        assert {number: line for number, line in lines_of(pieces, "x") if line} == lines, size


def test_carriage_returns_take_no_time() -> None:
    data = b"Process: a.exe\nPID: 1\n" + b"\r" * 400_000 + b"x"
    with within(3), pytest.raises(FormatError, match="not a VMMap export"):
        dumpmap.open(data)


def test_a_line_that_does_not_end() -> None:
    text = b"Process: a.exe PID: 1\n" + b"x" * 20_000_000

    def opened() -> None:
        with pytest.raises(FormatError, match="not a VMMap export: line 2 has more than 1,048,576 letters"):
            dumpmap.open(text)

    assert peak_of(opened) < 30


@pytest.mark.parametrize("letter", ["\N{SNOWMAN}", "\N{GRINNING FACE}"])
def test_one_wide_letter_does_not_widen_the_others(letter: str) -> None:
    text = ("Process: a.exe PID: 1\n" + letter + "\n" + ("x" * 500_000 + "\n") * 40).encode()

    def opened() -> None:
        with pytest.raises(FormatError, match="not a VMMap export"):
            dumpmap.open(text)

    assert peak_of(opened) < len(text) / MB


def test_blank_lines_count_as_rows() -> None:
    with pytest.raises(FormatError, match="more than 200,000 rows"):
        dumpmap.open(b"Process: a.exe PID: 1\n" + b" \n" * 300_000)


def test_xml_with_defaults_for_attributes_is_refused() -> None:
    head = f'<!DOCTYPE root [<!ATTLIST Region Details CDATA "{"x" * 500_000}">]><root><Snapshot>'
    row = '<Region Address="%d" Size="4096" UseType="1" MemoryType="131072" Protection="4"/>'
    text = (head + "".join(row % (4096 * n) for n in range(1, 500)) + "</Snapshot></root>").encode()

    def opened() -> None:
        with pytest.raises(FormatError, match=r"document type declaration \(DTD\), which dumpmap refuses"):
            dumpmap.open(text)

    assert peak_of(opened) < 20


def test_a_time_that_is_no_number_takes_no_time() -> None:
    row = '<Region Address="65536" Size="4096" UseType="1" MemoryType="131072" Protection="4"/>'
    text = f'<root><Snapshot Time="x">{row}</Snapshot></root>'.encode()
    with within(5):
        assert dumpmap.open(text).snapshot.source.captured_at is None


def test_xml_that_nests_without_end() -> None:
    row = b'<Region Address="65536" Size="4096" UseType="1" MemoryType="131072" Protection="4"/>'
    m = dumpmap.open(b"<root><Snapshot>" + row + b"<a>" * 1_000_000)
    assert any("more than 100 nested elements" in warning for warning in m.warnings)


def _rows(count: int) -> Iterator[str]:
    for number in range(1, count + 1):
        yield f'<Region Address="{number << 16}" Size="4096" UseType="1" MemoryType="131072" Protection="4"/>'


@pytest.mark.parametrize("suffix", ["mmp", "csv", "json"])
def test_the_bounds_of_texts_can_be_raised(suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ROWS", "REGIONS"):
        monkeypatch.setenv(f"DUMPMAP_MAX_{name}", "3")
    head = b'{"format":"dumpmap-snapshot","version":1,"source":{"kind":"live","name":"a"},"process":{},'
    rows = b"".join(b"%05d0000,Private Data,4,4\n" % n for n in range(1, 6))
    text = {
        "mmp": f"<root><Snapshot>{''.join(_rows(5))}</Snapshot></root>".encode(),
        "csv": b"Process: a PID: 1\nAddress,Type,Size,Committed\n" + rows,
        "json": head
        + REGIONS_HEAD
        + b",".join(b'["0x%d0000","0x%d0000",4,4096,"commit",4,"private"]' % (n, n) for n in range(1, 6))
        + b"]}}",
    }[suffix]
    with pytest.raises(FormatError, match=r"has more than 3 (rows|regions); set \$DUMPMAP_MAX_(ROWS|REGIONS) to allow"):
        dumpmap.open(text)
    for name in ("ROWS", "REGIONS"):
        monkeypatch.setenv(f"DUMPMAP_MAX_{name}", "7")
    assert len(dumpmap.open(text).regions) >= 5


def test_a_text_beyond_the_bound_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUMPMAP_MAX_TEXT", "1000")
    with pytest.raises(FormatError, match=r"reads texts of up to 1,000 bytes; set \$DUMPMAP_MAX_TEXT to allow more"):
        dumpmap.open(b"<root>" + b" " * 1000)


def test_values_of_a_snapshot_are_counted_before_they_are_made() -> None:
    head = b'{"format":"dumpmap-snapshot","version":1,"source":{"kind":"live","name":"a"},"process":{},"comments":['
    text = head + b'"",' * 2_000_000 + b'""]}'

    def opened() -> None:
        with pytest.raises(SnapshotError, match="more than 1,048,576 values outside the rows"):
            dumpmap.open(text)

    assert peak_of(opened) < 10


# ---------------------------------------------------------------- lists of a minidump


@pytest.mark.parametrize("limit", ["REGIONS", "RANGES", "MODULES", "THREADS"])
def test_a_list_is_read_up_to_its_bound_and_a_warning_says_so(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    builder = tiny()
    for n in range(1, 6):
        builder.region(n << 16, 0x1000, MEM_COMMIT, PAGE_READWRITE, MEM_PRIVATE).memory(n << 16, b"abcd")
        builder.module(n << 20, 0x1000, f"{n}.dll").thread(n)
    monkeypatch.setenv(f"DUMPMAP_MAX_{limit}", "3")
    snapshot = dumpmap.open(builder.build()).snapshot
    warning = f"claims 5 entries; dumpmap reads the first 3; set $DUMPMAP_MAX_{limit} to allow more"
    assert any(warning in one for one in snapshot.warnings)
    counts = {
        "REGIONS": len(snapshot.regions or ()),
        "RANGES": len(snapshot.memory.ranges()),
        "MODULES": len(snapshot.modules),
        "THREADS": len(snapshot.threads),
    }
    assert counts == {**dict.fromkeys(counts, 5), limit: 3}
    monkeypatch.delenv(f"DUMPMAP_MAX_{limit}")
    assert not dumpmap.open(builder.build()).snapshot.warnings


def test_one_header_for_all_modules_is_read_within_a_budget(tmp_path: Path) -> None:
    path = tmp_path / "p.dmp"
    shared_header(path, 500)
    m = dumpmap.open(path)
    assert any("more than 100,000 sections; those of 403 are not shown" in one for one in m.notes)
    assert sum(len(image.sections) for image in m.structures.images.values()) == 97 * 1024
    assert len(m.structures.images) == 500


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.name)
@pytest.mark.parametrize("text", ["", "x", "0", "-5", "1e9"])
def test_a_variable_that_is_no_positive_number_changes_nothing(
    limit: object, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(limit, type(LIMITS[0]))
    monkeypatch.setenv(limit.variable, text)
    assert limit.value == limit.default
