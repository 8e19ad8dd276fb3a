"""The command, in this process: what it refuses, what it shows, what it returns."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.triage import partial_dump, remarks, small_dump, starved_dump

from dumpmap.cli.app import run
from dumpmap.cli.signals import Ended
from dumpmap.cli.triage_run import say_ended
from dumpmap.triage import Options, State


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    dumps = tmp_path / "dumps"
    dumps.mkdir()
    for index in range(3):
        (dumps / f"good-{index}.dmp").write_bytes(small_dump(name=f"shop{index}.exe", pid=index + 1))
    (dumps / "starved.dmp").write_bytes(starved_dump())
    (dumps / "part.dmp").write_bytes(partial_dump())
    (dumps / "empty.dmp").write_bytes(b"")
    monkeypatch.setenv("DUMPMAP_CACHE", str(tmp_path / "cache.sqlite"))
    return dumps


def triage(folder: Path, *options: str) -> int:
    """Runs the command; what follows the folder may be more paths."""
    return run(["triage", str(folder), "--engine", "serial", *options])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--memory-limit", "1KB"], "--memory-limit must be at least 64 MB"),
        (["--memory-limit", "much"], "not a size"),
        (["--time-limit", "-1"], "--time-limit must be above 0"),
        (["--time-limit", "nan"], "--time-limit must be above 0"),
        (["--where", "nonsense=1"], "there is no column 'nonsense'; dumpmap explain --all lists the columns"),
        (["--where", "process"], "is not a condition"),
        (["--sort", "nonsense"], "there is no column 'nonsense'"),
        (["--group-by", "nonsense"], "cannot group by 'nonsense'; dumpmap explain --all lists the columns"),
        (["--group-by", "Proces"], "cannot group by 'Proces'; did you mean process"),
        (["--group-by", "process", "--sort", "pid"], "groups have no column 'pid'; their columns are process, count"),
        (["--group-by", ","], "--group-by needs at least one column"),
        (["--top", "0"], "invalid value for '--top': it must be at least 1. "),
        (["--limit", "-1"], "invalid value for '--limit' / '-n': it must be at least 0. "),
        (["--severity", "bad"], "--severity"),
        (["--watch", "--sort", "pid"], "--watch never ends"),
        (["--watch", "--format", "csv"], "--watch only writes JSON lines"),
        (["--watch", "--format", "table"], "--watch only writes JSON lines"),
        (["--format", "csv", "-o", "x.json"], "x.json: the suffix means json, but --format is csv."),
        (
            ["-o", "x.pdf"],
            "x.pdf: the suffix means pdf, which this command does not write. Supported suffixes: .txt, .csv, .json, ",
        ),
        (["--watch", "-o", "x.jsonl"], "--watch only writes JSON lines"),
        (["--watch", "--fail-on", "critical"], "--watch never ends"),
        (["--watch", "--limit", "3"], "--watch never ends"),
        (["--scheduler", "tcp://x:1"], "--scheduler requires --engine dask"),
        (["--no-cache", "--cache", "x"], "--cache and --no-cache exclude each other"),
        (["--storage-option", "key"], "is not KEY=VALUE"),
        (["--format", "parquet"], "Parquet needs --output"),
    ],
)
def test_wrong_usage_is_one_line(
    folder: Path, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["triage", str(folder), *options]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert len(err.splitlines()) == 1


def test_the_suffix_tells_the_format(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert triage(folder) == 0  # the rows of later runs are this one's
    for name, format in [("a.csv", "csv"), ("a.jsonl", "jsonl"), ("a.md", "markdown"), ("a.txt", "table")]:
        assert triage(folder, "-o", str(tmp_path / name), "--where", "process~shop", "--sort", "pid") == 0
        capsys.readouterr()
        assert triage(folder, "--format", format, "--where", "process~shop", "--sort", "pid") == 0
        assert (tmp_path / name).read_text("utf-8") == capsys.readouterr().out
    pytest.importorskip("pyarrow")
    assert triage(folder, "-o", str(tmp_path / "a.parquet")) == 0
    assert (tmp_path / "a.parquet").read_bytes().startswith(b"PAR1")


def test_only_the_selected_rows_are_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert triage(folder, "--where", "process~shop", "--sort", "-pid", "--top", "2", "--format", "csv") == 0
    out, err = capsys.readouterr()
    assert [line["pid"] for line in csv.DictReader(io.StringIO(out))] == ["3", "2"]
    assert "6 files, 1 critical, 1 unreadable" in err
    assert "3 of them selected" in err


def test_rows_are_selected_as_they_come(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert triage(folder, "--severity", "warning", "--format", "jsonl") == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["process"] == "starved.exe"


def test_a_sorted_stream_waits_for_the_end(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert triage(folder, "--sort", "-pid", "--format", "jsonl") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["pid"] for line in lines] == [5, 3, 2, 1, None, None]


def test_the_gates_see_all_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert triage(folder, "--where", "process~shop", "--fail-on", "critical") == 1
    assert triage(folder, "--where", "process~shop", "--strict") == 3
    (folder / "starved.dmp").unlink()
    assert triage(folder, "--fail-on", "warning") == 0
    assert triage(folder, "--fail-on", "info") == 1
    assert "starved" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("nothing.dmp", "no such file or directory"),
        ("*.nothing", "no file matches this pattern"),
        ("**/*.nothing", "no file matches this pattern"),
        ("memory://nothing-of-this-name/x.dmp", "no such file"),
        ("memory://nothing-of-this-name/*.dmp", "no file matches this pattern"),
    ],
)
def test_what_is_named_must_be_there(folder: Path, named: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    if "://" in named:
        pytest.importorskip("fsspec")
    else:
        named = str(folder / named)
    assert triage(folder, named, "--format", "jsonl") == 3
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(rows) == 7
    assert [row["error"] for row in rows if row["path"] == named] == [said]


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("closed", "permission denied"),
        ("closed/*.dmp", "permission denied"),
        ("secret.dmp", "permission denied"),
        ("gopher://example/x.dmp", "gopher"),
        ("http://127.0.0.1:{port}/", ""),
        ("http://127.0.0.1:{port}/*.dmp", ""),
        ("http://127.0.0.1:{port}/x.dmp", ""),
    ],
)
def test_what_is_named_must_open(
    folder: Path, named: str, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder.parent / "closed").mkdir()
    (folder.parent / "secret.dmp").write_bytes(small_dump())
    list_folder, open_file = os.scandir, open

    def refuse_folder(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return list_folder(path)

    def refuse_file(path: Any, *options: Any, **more: Any) -> object:
        if str(path).endswith("secret.dmp"):
            raise PermissionError(13, "Permission denied")
        return open_file(path, *options, **more)

    monkeypatch.setattr(os, "scandir", refuse_folder)
    monkeypatch.setattr("builtins.open", refuse_file)
    if "://" in named:
        pytest.importorskip("aiohttp")
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            path = named.format(port=closed.getsockname()[1])
    else:
        path = str(folder.parent / named)
    assert triage(folder, path, "--no-cache", "--format", "jsonl") == 3
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (error,) = [row["error"] for row in rows if row["path"].startswith(path.removesuffix("*.dmp").rstrip("/"))]
    assert said in error
    assert "no file matches" not in error


def test_a_broken_dump_that_is_named_is_only_a_row(folder: Path) -> None:
    assert run(["triage", str(folder / "empty.dmp"), "--engine", "serial"]) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
def test_what_is_skipped_is_counted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("one.dmp", "two.dmp"):
        os.mkfifo(folder / name)
    assert triage(folder, "--format", "json") == 0
    out, err = capsys.readouterr()
    assert "8 files, 1 critical, 1 unreadable, 2 skipped;" in err
    assert json.loads(out)["counts"]["skipped"] == 2
    assert run(["triage", str(folder / "one.dmp"), "--engine", "serial"]) == 3


def test_a_broken_link_in_a_folder_is_only_a_row(folder: Path) -> None:
    (folder / "link.dmp").symlink_to(folder / "nothing.dmp")
    assert triage(folder) == 0


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        (0, "dumpmap: interrupted after 3 of 9 files; 0 results are kept\n"),
        (2, "dumpmap: interrupted after 3 of 9 files; 2 results are kept; run the same command again to continue\n"),
    ],
)
def test_who_interrupts_is_told_what_is_kept(kept: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    state = State(found=9, listed=True, done=3, kept=kept)
    assert say_ended(Ended(signal.SIGINT), state, Options()) == 130
    assert capsys.readouterr().err == said


def test_secrets_of_what_was_named_are_not_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("fsspec")
    assert run(["triage", "gopher://someone:s3/cret@host/x.dmp", "--engine", "serial", "--no-cache"]) == 3
    (folder / "empty").mkdir()
    memory = f"file://{folder / 'empty'}?token=s3cret"
    assert run(["triage", str(folder / "empty"), memory, "--engine", "serial", "--no-cache"]) == 3
    out, err = capsys.readouterr()
    assert "gopher" in out
    assert "empty?token=..." in out
    for secret in ("someone", "s3", "/cret"):
        assert secret not in out + err


def test_nothing_found_is_no_success(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert triage(tmp_path, "--no-cache") == 3
    assert f"found no dumps in {tmp_path}" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("format", ["table", "csv", "json", "jsonl"])
def test_an_output_that_cannot_be_written(folder: Path, format: str) -> None:
    command = [sys.executable, "-m", "dumpmap", "-q", "triage", str(folder), "--engine", "serial", "-f", format]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 4
    assert done.stderr == "dumpmap: standard output: cannot be written: no space left on device\n"


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipes")
def test_who_leaves_the_pipe_ends_the_run(folder: Path) -> None:
    for index in range(2000):
        (folder / f"more-{index}.dmp").hardlink_to(folder / "good-0.dmp")
    command = [sys.executable, "-m", "dumpmap", "triage", str(folder), "--no-cache", "-f", "jsonl"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
        assert process.wait(60) == 0
    assert remarks(said) == ""


def test_names_are_written_whatever_the_terminal_takes(folder: Path) -> None:
    (folder / "\N{SNOWMAN}.dmp").write_bytes(small_dump())
    command = [sys.executable, "-m", "dumpmap", "triage", str(folder), "--engine", "serial"]
    for format in ("table", "csv", "jsonl"):
        done = subprocess.run(
            [*command, "-f", format], capture_output=True, check=True, env={**os.environ, "PYTHONIOENCODING": "ascii"}
        )
        assert "\N{SNOWMAN}.dmp" in done.stdout.decode()


def test_parquet_goes_through_a_pipe(folder: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    command = [sys.executable, "-m", "dumpmap", "triage", str(folder), "--engine", "serial", "-f", "parquet", "-o", "-"]
    done = subprocess.run(command, capture_output=True, check=True)
    assert pq.read_table(io.BytesIO(done.stdout)).num_rows == 6


def test_groups_of_findings(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert triage(folder, "--group-by", "finding", "--where", "finding!=", "--format", "jsonl") == 0
    groups = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {group["finding"]: group["count"] for group in groups}["dump-too-small"] >= 1
    assert all(group["finding"] for group in groups)


def test_a_row_says_what_diagnose_says(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert triage(folder, "--severity", "critical", "--format", "jsonl") == 0
    row = json.loads(capsys.readouterr().out)
    assert run(["diagnose", str(folder / "starved.dmp"), "--format", "json"]) == 0
    diagnosis = json.loads(capsys.readouterr().out)
    assert row["sentence"] == diagnosis["sentence"]
    assert (row["verdict"], row["largest_free"]) == (
        diagnosis["verdict"],
        diagnosis["address_space"]["largest_free_block"]["size"],
    )


def test_a_long_name_of_the_temporary_folder(folder: Path, tmp_path: Path) -> None:
    # A fork server's socket would have a name that is too long there.
    temporary = tmp_path / ("t" * 90)
    temporary.mkdir()
    command = [sys.executable, "-m", "dumpmap", "triage", str(folder), "--no-cache", "-j", "2", "-f", "csv"]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr
    assert "internal" not in done.stdout


def test_no_folder_for_temporary_files(folder: Path, tmp_path: Path) -> None:
    """As in a container whose root is read-only."""
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, tempfile\n"
        "def refuse(): raise FileNotFoundError(2, 'No usable temporary directory found')\n"
        "tempfile.tempdir, tempfile._get_default_tempdir = None, refuse\n"
        "from dumpmap.cli import app\n"
        "if __name__ == '__main__':\n"
        f"    sys.exit(app.run(['-q', 'triage', {str(folder)!r}, '--no-cache', '-j', '2', '-f', 'csv']))\n",
        "utf-8",
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "internal" not in done.stdout


def test_the_output_is_no_input(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dump = folder / "good-0.dmp"
    before = dump.read_bytes()
    assert triage(dump, "-o", str(dump), "--force", "-f", "table", "--no-cache") == 2
    assert dump.read_bytes() == before
    assert triage(folder, "", "--no-cache") == 2
    assert "PATH is empty" in capsys.readouterr().err


def test_a_closed_standard_error(folder: Path) -> None:
    command = f"'{sys.executable}' -m dumpmap triage '{folder}' --no-cache -j 1 -f csv 2>&-"
    done = subprocess.run(["sh", "-c", command], stdout=subprocess.PIPE, text=True, check=False, timeout=120)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 7
