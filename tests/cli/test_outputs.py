"""Where results go: `-` is standard output everywhere, and a suffix that tells no format is wrong usage."""

from __future__ import annotations

import contextlib
import gzip
import importlib
import inspect
import io
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard
from pages.running import run_here
from support.cli import run
from support.cli_inputs import FIXTURES

import dumpmap
from dumpmap.cli.app import COMMANDS
from dumpmap.writers.output import replacing

X64 = str(FIXTURES / "layout-x64.dmp.gz")
PLAIN = str(FIXTURES / "layout-x86-plain.dmp")


def written(*arguments: str) -> bytes:
    """What a command wrote to standard output, as bytes."""
    code, out, err = run_here(["-q", *arguments])
    assert (code, err) == (0, b"")
    return out


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


def test_a_csv_name_means_vmmaps_csv_and_says_so(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    ran = run("export", X64, "-o", str(file))
    assert "note: " in ran.err
    assert "writing VMMap's CSV; pass --to csv for one row per region" in ran.err
    assert file.read_text("utf-8-sig").startswith('"Process:"')
    for quiet in (["-q"], []):
        options = [] if quiet else ["--to", "csv"]
        assert run(*quiet, "export", X64, "-o", str(file), *options, "--force").err == ""
    assert file.read_text("utf-8").startswith("allocation,address,type")


def test_a_suggestion_ends_in_one_mark() -> None:
    ran = run("sumary", X64)
    assert ran.code == 2
    assert "Did you mean 'summary'? Run dumpmap --help for help" in ran.err


def test_a_device_is_written_to_even_by_who_wants_to_seek() -> None:
    pytest.importorskip("pyarrow")
    if not Path("/dev/stdout").exists():
        pytest.skip("no /dev/stdout here")
    command = [sys.executable, "-m", "dumpmap", "-q", "export", X64, "--to", "parquet", "-o", "/dev/stdout"]
    done = subprocess.run(command, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"PAR1")


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
        "dumpmap: standard output: is a terminal, which cannot show this binary format. Name a file or use a pipe\n"
    )


FORMATS = {"x.csv": "csv", "x.JSON": "json", "x.md": "markdown", "x.txt": "table", "x.log": "table", "x": "table"}


@pytest.mark.parametrize("name", FORMATS)
def test_a_suffix_tells_the_format(name: str, tmp_path: Path) -> None:
    assert run("-q", "modules", PLAIN, "-o", str(tmp_path / name)).code == 0
    assert (tmp_path / name).read_text("utf-8") == run("-q", "modules", PLAIN, "--format", FORMATS[name]).out


@pytest.mark.parametrize(
    ("name", "format"), [("x.txt", "json"), ("x.json", "json"), ("x.log", "csv"), ("x.markdown", "markdown")]
)
def test_a_suffix_that_contradicts_nothing(name: str, format: str, tmp_path: Path) -> None:
    assert run("-q", "modules", PLAIN, "--format", format, "-o", str(tmp_path / name)).code == 0
    assert (tmp_path / name).read_text("utf-8") == run("-q", "modules", PLAIN, "--format", format).out


def test_every_command_with_a_format_asks_the_suffix(tmp_path: Path) -> None:
    for name in COMMANDS:
        command = importlib.import_module(f"dumpmap.cli.{name}").command
        if "format" in inspect.signature(command).parameters:
            more = {"check": ["--rules", "x.toml"], "diff": ["y"], "timeline": ["y"], "address": ["0"]}.get(name, [])
            ran = run(name, "nosuch.dmp", *more, "--format", "csv", "-o", str(tmp_path / "x.json"))
            assert ran.code == 2, name
            said = "x.json: the suffix means json, but --format is csv. Change the suffix to .csv, or change --f"
            assert said in ran.err, name


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["export", "nosuch.dmp", "-o", "x.xlsx"], id="export"),
        pytest.param(["export", "nosuch.dmp", "-o", "-"], id="export-dash"),
        pytest.param(["export", "nosuch.dmp", "-o", "x.csv", "--to", "jsonl"], id="export-contradicts"),
        pytest.param(["export", "nosuch.dmp", "-o", "x.txt", "--to", "parquet"], id="export-no-text"),
        pytest.param(["snapshot", "nosuch.dmp", "-o", "x.txt"], id="snapshot"),
        pytest.param(["snapshot", "nosuch.dmp", "-o", "x.json.gz", "--to", "json.zst"], id="snapshot-contradicts"),
        pytest.param(["capture", str(os.getpid()), "-o", "x.txt"], id="capture"),
        pytest.param(["summary", "nosuch.dmp", "-o", "x.pdf"], id="no-such-format"),
        pytest.param(["summary", "nosuch.dmp", "-o", "x.json.gz"], id="not-packed"),
        pytest.param(["summary", "nosuch.dmp", "-o", "x.html", "--format", "markdown"], id="contradicts"),
        pytest.param(["triage", "nosuch.dmp", "-o", "x.xlsx"], id="triage"),
        pytest.param(["triage", "nosuch.dmp", "-o", "x.jsonl", "--format", "json"], id="triage-contradicts"),
        *(
            pytest.param(["report", "nosuch.dmp", "-o", f"x.{suffix}"], id=f"report-{suffix}")
            for suffix in ("pdf", "json", "csv", "txt", "md")
        ),
    ],
)
def test_a_name_that_tells_no_format_is_wrong_usage(arguments: list[str]) -> None:
    ran = run(*arguments)
    assert ran.code == 2
    assert ran.out == ""
    assert ran.err.startswith("dumpmap: ")
    assert ran.err.count("\n") == 1


def test_a_page_may_go_by_any_other_name(tmp_path: Path) -> None:
    for name in ("page.htm", "page.HTML", "page", "page.v2"):
        assert run("-q", "report", PLAIN, "-o", str(tmp_path / name)).code == 0
        assert (tmp_path / name).read_bytes()[:15].lower() == b"<!doctype html>"


def test_the_same_from_python_is_a_value_error(tmp_path: Path) -> None:
    region_map = dumpmap.open(PLAIN)
    with pytest.raises(ValueError, match="the suffix means text"):
        region_map.to_snapshot(tmp_path / "x.txt")


def test_an_output_that_cannot_be_is_refused_before_the_input_is_read(tmp_path: Path) -> None:
    for command, name in (("snapshot", "taken.json"), ("report", "taken.html")):
        taken = tmp_path / name
        taken.touch()
        ran = run(command, "nosuch.dmp", "-o", str(taken))
        assert (ran.code, "already exists" in ran.err) == (4, True)
    ran = run("report", "nosuch.dmp", "-o", str(tmp_path / "nowhere" / "x.html"))
    assert (ran.code, "folder does not exist" in ran.err) == (4, True)


@pytest.mark.skipif(os.name == "nt", reason="permissions and links of POSIX")
def test_an_overwritten_file_keeps_its_permissions_and_a_link_stays(tmp_path: Path) -> None:
    target, link = tmp_path / "private.json", tmp_path / "link.json"
    target.write_text("old")
    target.chmod(0o600)
    link.symlink_to(target)
    with replacing(link, force=True) as stream:
        stream.write(b"new")
    assert link.is_symlink()
    assert (target.read_text(), stat.S_IMODE(target.stat().st_mode)) == ("new", 0o600)
    with replacing(tmp_path / "fresh.json") as stream:
        stream.write(b"x")
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE((tmp_path / "fresh.json").stat().st_mode) == 0o666 & ~mask
