"""Where results go: `-` is standard output everywhere, and a suffix that tells no format is wrong usage."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard

import dumpmap
from cli.inputs import FIXTURES
from cli.support import run

X64 = str(FIXTURES / "layout-x64.dmp.gz")
PLAIN = str(FIXTURES / "layout-x86-plain.dmp")


def written(*arguments: str) -> bytes:
    """What a command wrote to standard output, as bytes."""
    done = subprocess.run([sys.executable, "-m", "dumpmap", "-q", *arguments], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout


@pytest.mark.parametrize("format", ["table", "json", "csv", "markdown"])
def test_a_dash_is_standard_output(format: str) -> None:
    named = run("-q", "summary", PLAIN, "--format", format, "-o", "-")
    assert named.code == 0
    assert named.out == run("-q", "summary", PLAIN, "--format", format).out


def test_a_report_goes_to_standard_output(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    run("-q", "report", PLAIN, "-o", str(page))
    assert written("report", PLAIN, "-o", "-") == page.read_bytes()


def test_a_snapshot_goes_to_standard_output_packed_as_told() -> None:
    plain = written("snapshot", PLAIN, "-o", "-")
    assert json.loads(plain)["format"] == "dumpmap-snapshot"
    assert gzip.decompress(written("snapshot", PLAIN, "-o", "-", "--to", "json.gz")) == plain
    packed = io.BytesIO(written("snapshot", PLAIN, "-o", "-", "--to", "json.zst"))
    assert zstandard.ZstdDecompressor().stream_reader(packed).read() == plain


@pytest.mark.parametrize("format", ["mmp", "vmmap-csv", "vmmap-txt", "csv", "jsonl", "parquet", "markdown", "text"])
def test_an_export_goes_to_standard_output(format: str, tmp_path: Path) -> None:
    if format == "parquet":
        pytest.importorskip("pyarrow")
    file = tmp_path / "file"
    assert run("-q", "export", X64, "--to", format, "-o", str(file)).code == 0
    assert written("export", X64, "--to", format, "-o", "-") == file.read_bytes()


def test_a_device_is_written_to_even_by_who_wants_to_seek() -> None:
    pytest.importorskip("pyarrow")
    if not Path("/dev/stdout").exists():
        pytest.skip("no /dev/stdout here")
    assert written("export", X64, "--to", "parquet", "-o", "/dev/stdout").startswith(b"PAR1")


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["export", X64, "--to", "parquet"], id="parquet"),
        pytest.param(["snapshot", X64, "--to", "json.zst"], id="zstd"),
    ],
)
def test_a_terminal_gets_nothing_that_is_no_text(arguments: list[str]) -> None:
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "dumpmap", "-q", *arguments, "-o", "-"],
        stdout=theirs,
        stderr=subprocess.PIPE,
        check=False,
        text=True,
    )
    os.close(theirs)
    got = b""
    with contextlib.suppress(OSError):  # nothing was written and the other end is closed
        got = os.read(ours, 100)
    os.close(ours)
    assert (done.returncode, got) == (4, b"")
    assert done.stderr == (
        "dumpmap: standard output: is a terminal, and this format is no text; name a file or use a pipe\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["export", "nosuch.dmp", "-o", "x.xlsx"], id="export"),
        pytest.param(["export", "nosuch.dmp", "-o", "-"], id="export-dash"),
        pytest.param(["snapshot", "nosuch.dmp", "-o", "x.txt"], id="snapshot"),
        pytest.param(["capture", str(os.getpid()), "-o", "x.txt"], id="capture"),
    ],
)
def test_a_name_that_tells_no_format_is_wrong_usage(arguments: list[str]) -> None:
    ran = run(*arguments)
    assert ran.code == 2
    assert ran.out == ""
    assert ran.err.startswith("dumpmap: ")
    assert ran.err.count("\n") == 1


def test_the_same_from_python_is_a_value_error(tmp_path: Path) -> None:
    region_map = dumpmap.open(PLAIN)
    with pytest.raises(ValueError, match="ends in"):
        region_map.to_snapshot(tmp_path / "x.txt")


def test_an_output_that_cannot_be_is_refused_before_the_input_is_read(tmp_path: Path) -> None:
    taken = tmp_path / "taken.json"
    taken.touch()
    for command in ("snapshot", "report"):
        ran = run(command, "nosuch.dmp", "-o", str(taken))
        assert (ran.code, "already exists" in ran.err) == (4, True)
    ran = run("report", "nosuch.dmp", "-o", str(tmp_path / "nowhere" / "x.html"))
    assert (ran.code, "folder does not exist" in ran.err) == (4, True)
