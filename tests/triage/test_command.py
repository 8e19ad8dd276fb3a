"""The command, in this process: what it refuses, what it shows, what it returns."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from dumpmap.cli.app import run

from .support import partial_dump, small_dump, starved_dump


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
    return run(["triage", str(folder), "--engine", "serial", *options])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--memory-limit", "1KB"], "--memory-limit must be at least 64 MB"),
        (["--memory-limit", "much"], "not a size"),
        (["--time-limit", "-1"], "--time-limit must be above 0"),
        (["--time-limit", "nan"], "--time-limit must be above 0"),
        (["--where", "nonsense=1"], "there is no column 'nonsense'; the columns are path, size, status"),
        (["--where", "process"], "is not a condition"),
        (["--sort", "nonsense"], "there is no column 'nonsense'"),
        (["--group-by", "nonsense"], "cannot group by 'nonsense'; these can be: path, size, status"),
        (["--group-by", "process", "--sort", "pid"], "groups have no column 'pid'; theirs are process, count"),
        (["--group-by", ","], "--group-by names no column"),
        (["--top", "0"], "--top"),
        (["--severity", "bad"], "--severity"),
        (["--watch", "--sort", "pid"], "--watch has no end"),
        (["--watch", "--format", "csv"], "--watch writes JSON lines"),
        (["--watch", "-o", "x.jsonl"], "--watch writes JSON lines"),
        (["--watch", "--fail-on", "critical"], "--watch has no end"),
        (["--watch", "--limit", "3"], "--watch has no end"),
        (["--scheduler", "tcp://x:1"], "--scheduler goes with --engine dask"),
        (["--no-cache", "--cache", "x"], "contradict"),
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


def test_only_the_selected_rows_are_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert triage(folder, "--where", "process~shop", "--sort", "-pid", "--top", "2", "--format", "csv") == 0
    out, err = capsys.readouterr()
    assert [line["pid"] for line in csv.DictReader(io.StringIO(out))] == ["3", "2"]
    assert "6 files, 1 critical, 1 unreadable" in err
    assert "3 of these are selected" in err


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
    assert "starved" not in capsys.readouterr().out


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
