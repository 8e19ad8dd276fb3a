"""Results of an earlier run, read from every format that triage writes, and files that are none."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from support.batches import batch
from support.triage import partial_dump, small_dump, starved_dump

from dumpmap.cli.app import run as run_command
from dumpmap.errors import InputError
from dumpmap.render.triage import write_result, write_rows
from dumpmap.triage import Options, Row, read_result, run

Capture = pytest.CaptureFixture[str]

FORMATS = ("csv", "jsonl", "json", "parquet")


def command(capsys: Capture, *arguments: str) -> tuple[int, str, str]:
    """Runs `dumpmap triage`: the exit code, the output, and the messages."""
    capsys.readouterr()
    code = run_command(["triage", *arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


def written(rows: list[Row], path: Path) -> Path:
    """Writes rows to a file in the format of its name."""
    write_rows(rows, path.suffix[1:], path, force=True)
    return path


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    """Rows of a run, of dumps with and without findings, and of a file that is none."""
    folder = tmp_path_factory.mktemp("dumps")
    (folder / "=good, and \u00fc.dmp").write_bytes(small_dump(name="+shop.exe", pid=7))
    (folder / "starved.dmp").write_bytes(starved_dump())
    (folder / "part.dmp").write_bytes(partial_dump())
    (folder / "empty.dmp").write_bytes(b"")
    with run(folder, Options(engine="serial", cache=False)) as result:
        return list(result.rows())


def as_earlier(rows: list[Row]) -> list[Row]:
    """Rows as they come back: from an earlier run."""
    return [{**row, "cached": True} for row in rows]


@pytest.mark.parametrize("format", FORMATS)
def test_rows_come_back_as_they_were(rows: list[Row], format: str, tmp_path: Path) -> None:
    with read_result(written(rows, tmp_path / f"rows.{format}")) as result:
        assert list(result.rows()) == as_earlier(rows)
        state = result.state
        assert (state.found, state.done, state.cached, state.errors, state.critical) == (4, 4, 4, 1, 1)
        assert result.exit_code(fail_on="critical") == 1


@pytest.mark.parametrize("format", FORMATS)
def test_thousands_of_rows_come_back(format: str, tmp_path: Path) -> None:
    made = batch(2_500)
    with read_result(written(made, tmp_path / f"rows.{format}")) as result:
        found = {row["path"]: row for row in result.rows()}
    assert found == {row["path"]: row for row in as_earlier(made)}


@pytest.mark.parametrize("format", FORMATS)
def test_the_page_is_that_of_the_run(format: str, tmp_path: Path, capsys: Capture) -> None:
    made = sorted(batch(200), key=lambda row: str(row["path"]))
    with read_result(written(made, tmp_path / "first.jsonl")) as first:
        expected = io.StringIO()
        write_result(first, "html", expected)
    file = written(made, tmp_path / f"rows.{format}")
    code, _, said = command(capsys, "--from", str(file), "-o", str(tmp_path / "x.html"))
    assert code == 0, said
    assert (tmp_path / "x.html").read_text("utf-8") == expected.getvalue()


def test_filters_and_groups_apply(rows: list[Row], tmp_path: Path, capsys: Capture) -> None:
    file = str(written(rows, tmp_path / "rows.parquet"))
    _, out, _ = command(capsys, "--from", file, "--where", "status=error", "--format", "jsonl")
    assert [json.loads(line)["status"] for line in out.splitlines()] == ["error"]
    _, out, _ = command(capsys, "--from", file, "--group-by", "status", "--format", "json")
    assert {group["status"]: group["count"] for group in json.loads(out)["groups"]} == {
        "ok": 2,
        "partial": 1,
        "error": 1,
    }
    assert command(capsys, "--from", file, "--fail-on", "critical")[0] == 1


def test_the_last_row_of_a_path_counts(rows: list[Row], tmp_path: Path) -> None:
    first, last = {**rows[0], "pid": 1}, {**rows[0], "pid": 2}
    with read_result(written([first, *rows[1:], last], tmp_path / "rows.jsonl")) as result:
        assert result.state.found == len(rows)
        assert [row["pid"] for row in result.rows() if row["path"] == rows[0]["path"]] == [2]


def test_other_versions_have_other_columns(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("path,status,committed,colour\na.dmp,ok,4096,red\n", "utf-8")
    with read_result(path) as result:
        (row,) = result.rows()
    assert (row["path"], row["committed"], row["verdict"]) == ("a.dmp", 4096, None)
    assert "colour" not in row


BAD: dict[str, tuple[str, bytes, str]] = {
    "missing": ("none.csv", b"", "no such file"),
    "suffix": ("rows.txt", b"path,status\n", "must end in .csv"),
    "empty": ("rows.csv", b"", "no column path"),
    "rows": ("rows.csv", b"path,stat", "has no rows"),
    "groups": ("rows.csv", b"process,count\na.exe,3\n", "no column path"),
    "number": (
        "rows.csv",
        b"path,status,committed\na,ok,many\n",
        "committed is 'many', not a number of bytes (line 2)",
    ),
    "huge": ("rows.csv", b"path,status,committed\na,ok,%d\n" % (1 << 63), "not a number of bytes (line 2)"),
    "cells": ("rows.csv", b"path,status\na\n", "1 cells for 2 columns (line 2)"),
    "status": ("rows.csv", b"path,status\na,good\n", "unknown status 'good' (line 2)"),
    "blank": ("rows.csv", b"path,status\n,ok\n", "path is blank (line 2)"),
    "verdict": ("rows.csv", b"path,status,verdict\na,ok,fine\n", "unknown verdict 'fine' (line 2)"),
    "time": ("rows.csv", b"path,status,captured_at\na,ok,today\n", "captured_at is 'today'"),
    "flag": ("rows.csv", b"path,status,wow64\na,ok,2\n", "wow64 is '2', not true or false"),
    "bytes": ("rows.csv", b"path,status\n\xff\xfe,ok\n", "damaged, or not what its name says"),
    "line": ("rows.jsonl", b'{"path": "a", "status": "ok"}\nno\n', "not a JSON object (line 2)"),
    "list": ("rows.jsonl", b"[1]\n", "not a JSON object (line 1)"),
    "type": ("rows.jsonl", b'{"path": 1, "status": "ok"}\n', "path is '1', not a text (line 1)"),
    "part": ("rows.jsonl", b'{"path": "a", "status": "ok", "committed": 1.5}\n', "committed is '1.5'"),
    "infinite": ("rows.jsonl", b'{"path": "a", "status": "ok", "fragmentation": NaN}\n', "fragmentation is 'nan'"),
    "document": ("rows.json", b'{"rows": []}', "not one of triage"),
    "cut": ("rows.json", b'{"schema": "dumpmap.triage/1", "rows": [', "damaged, or not what its name says"),
    "deep": ("rows.json", b"[" * 100_000, "damaged, or not what its name says"),
    "parquet": ("rows.parquet", b"PAR1 and more", "not a Parquet file, or damaged"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_one_line(case: str, tmp_path: Path, capsys: Capture) -> None:
    name, data, expected = BAD[case]
    path = tmp_path / name
    if case != "missing":
        path.write_bytes(data)
    with pytest.raises(InputError) as raised:
        read_result(path)
    assert expected in str(raised.value)
    code, _, said = command(capsys, "--from", str(path), "-o", str(tmp_path / "x.html"))
    assert code == 3
    assert said.count("\n") == 1
    assert said.startswith(f"dumpmap: {path}: ")
    assert not (tmp_path / "x.html").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "give PATH..., or --from FILE"),
        (["x.dmp", "--from", "rows.csv"], "PATH does not apply"),
        (["--from", "rows.csv", "--jobs", "2"], "--jobs does not apply"),
        (["--from", "rows.csv", "--watch"], "--watch does not apply"),
        (["--from", "rows.csv", "--engine", "serial"], "--engine does not apply"),
    ],
)
def test_what_contradicts_itself_is_wrong_usage(arguments: list[str], expected: str, capsys: Capture) -> None:
    code, _, said = command(capsys, *arguments)
    assert code == 2
    assert expected in said


def test_a_result_is_not_written_over_itself(rows: list[Row], tmp_path: Path, capsys: Capture) -> None:
    file = written(rows, tmp_path / "rows.csv")
    before = file.read_bytes()
    assert command(capsys, "--from", str(file), "-o", str(file), "--force")[0] == 2
    assert file.read_bytes() == before


def test_a_file_without_rows_has_not_passed(tmp_path: Path, capsys: Capture) -> None:
    written([], tmp_path / "rows.jsonl")
    code, _, said = command(capsys, "--from", str(tmp_path / "rows.jsonl"), "--fail-on", "critical")
    assert code == 3
    assert "has no rows" in said


def test_damage_anywhere_ends_in_rows_or_in_one_error(rows: list[Row], tmp_path: Path) -> None:
    for format in FORMATS:
        whole = written(rows, tmp_path / f"whole.{format}").read_bytes()
        for at in range(0, len(whole), max(1, len(whole) // 60)):
            for damaged in (whole[:at], whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :]):
                path = tmp_path / f"damaged.{format}"
                path.write_bytes(damaged)
                found: Any = None
                try:
                    with read_result(path) as result:
                        found = list(result.rows())
                except InputError as error:
                    found = str(error)
                assert found is not None
