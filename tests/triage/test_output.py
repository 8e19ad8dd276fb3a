"""The rows in every format."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from pathlib import Path
from typing import Any

import pytest
from support.triage import partial_dump, small_dump, starved_dump

from dumpmap.errors import OutputError
from dumpmap.render.triage import write_result, write_rows
from dumpmap.triage import Options, Result, Row, group_rows, run
from dumpmap.triage.columns import FINDING, GROUPABLE, NAMES
from dumpmap.triage.rows import empty_row
from dumpmap.views.explain import every_topic
from dumpmap.views.triage import GROUP_FIGURES, row_records, summary_line
from dumpmap.writers.formats import TriageFormat
from dumpmap.writers.records import write_json_lines


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    dumps = tmp_path_factory.mktemp("dumps")
    for index in range(3):
        (dumps / f"good-{index}.dmp").write_bytes(small_dump(name="shop.exe", pid=index + 1))
    (dumps / "starved.dmp").write_bytes(starved_dump())
    (dumps / "part.dmp").write_bytes(partial_dump())
    (dumps / "empty.dmp").write_bytes(b"")
    return dumps


@pytest.fixture
def result(folder: Path) -> Any:
    with run(folder, Options(engine="serial", cache=False)) as finished:
        yield finished


def text_of(result: Result, format: str, **options: Any) -> str:
    out = io.StringIO()
    write_result(result, format, out, **options)
    return out.getvalue()


def test_json(result: Result) -> None:
    document = json.loads(text_of(result, "json"))
    assert document["schema"] == "dumpmap.triage/1"
    assert document["counts"] == {
        "found": 6,
        "done": 6,
        "cached": 0,
        "errors": 1,
        "skipped": 0,
        "critical": 1,
        "warning": 0,
        "info": 4,
    }
    assert [list(row) for row in document["rows"]] == [list(NAMES)] * 6
    assert document["rows"][0]["findings"][0]
    assert document["groups"] is None
    assert document["selection"] == {
        "where": [],
        "severity": None,
        "sort": None,
        "top": None,
        "undecided": 0,
    }


def test_json_with_groups(result: Result) -> None:
    document = json.loads(text_of(result, "json", group_by=["process", "status"]))
    assert len(document["rows"]) == 6
    assert document["group_by"] == ["process", "status"]
    first = document["groups"][0]
    assert (first["process"], first["status"], first["count"]) == ("shop.exe", "ok", 3)
    assert list(first) == ["process", "status", *(figure.name for figure in GROUP_FIGURES)]


def test_json_lines(result: Result) -> None:
    rows = [json.loads(line) for line in text_of(result, "jsonl").splitlines()]
    assert rows == list(result.rows())


def test_json_lines_as_files_finish(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    seen = []
    with path.open("w", encoding="utf-8") as stream:

        def write(row: Row) -> None:
            write_json_lines(row_records([row]), stream)
            seen.append(len(path.read_text().splitlines()))

        run(folder, Options(engine="serial", cache=False), on_row=write).close()
    assert seen == [1, 2, 3, 4, 5, 6]


def test_csv(result: Result) -> None:
    rows = list(csv.DictReader(io.StringIO(text_of(result, "csv"))))
    assert list(rows[0]) == list(NAMES)
    assert rows[0]["cached"] == "false"
    assert rows[-1]["committed"] == ""
    assert rows[0]["findings"].split(", ")
    assert int(rows[0]["committed"]) > 0


def test_csv_of_groups(result: Result) -> None:
    rows = list(csv.DictReader(io.StringIO(text_of(result, "csv", group_by=["verdict"]))))
    assert sum(int(row["count"]) for row in rows) == 6


def test_parquet(result: Result, tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    write_result(result, "parquet", tmp_path / "rows.parquet")
    table = pq.read_table(tmp_path / "rows.parquet")
    assert table.column_names == list(NAMES)
    rows = table.to_pylist()
    assert isinstance(rows[0]["captured_at"], dt.datetime)
    assert rows[0]["findings"] == next(result.rows())["findings"]
    buffer = io.BytesIO()
    write_result(result, "parquet", buffer, group_by=["process"])
    assert "most_committed" in pq.read_table(io.BytesIO(buffer.getvalue())).column_names


def test_parquet_of_nothing() -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    buffer = io.BytesIO()
    write_rows([], "parquet", buffer)
    assert pq.read_table(io.BytesIO(buffer.getvalue())).column_names == list(NAMES)


def test_table(result: Result) -> None:
    lines = text_of(result, "table").splitlines()
    assert lines[0].split()[:3] == ["Severity", "Verdict", "Process"]
    assert lines[2].startswith("critical")
    assert "starved.exe" in lines[2]
    assert lines[-1].startswith("error")
    assert "empty file" in lines[-1]
    assert all(line == line.rstrip() for line in lines)


def test_table_says_what_it_leaves_out(result: Result) -> None:
    text = text_of(result, "table", limit=2)
    assert "... and 4 more" in text
    assert "empty.dmp" not in text
    assert text_of(result, "table", limit=0).splitlines()[2:] == ["", "... and 6 more"]


def test_table_of_groups(result: Result) -> None:
    lines = text_of(result, "table", group_by=["process"]).splitlines()
    assert lines[0].split()[:2] == ["Process", "Files"]
    assert "shop.exe" in lines[2]
    assert "... and 2 more" in text_of(result, "table", group_by=["process"], limit=2)


def test_markdown(result: Result) -> None:
    lines = text_of(result, "markdown").splitlines()
    assert lines[0].startswith("| Severity | Verdict | Process |")
    assert len(lines) == 8


def test_a_file_is_not_overwritten(result: Result, tmp_path: Path) -> None:
    for format in TriageFormat:
        path = tmp_path / f"rows.{format}"
        write_result(result, format, path)
        written = path.read_bytes()
        assert written
        with pytest.raises(OutputError, match="already exists"):
            write_result(result, format, path)
        write_result(result, format, path, force=True)
        assert path.read_bytes() == written


def test_a_place_that_cannot_be_written(result: Result, tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        write_result(result, "json", tmp_path / "no" / "rows.json")
    with pytest.raises(OutputError, match="folder"):
        write_result(result, "json", tmp_path)


def test_nothing_is_left_of_a_failed_write(tmp_path: Path) -> None:
    def rows() -> Any:
        yield empty_row("a", "ok")
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        write_rows(rows(), "json", tmp_path / "rows.json")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_format_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="xlsx"):
        write_rows([], "xlsx", tmp_path / "x")


def test_what_cannot_be_grouped_by(result: Result) -> None:
    with pytest.raises(ValueError, match=r"^cannot group by 'nonsense'; dumpmap explain --all lists the columns$"):
        result.groups(["nonsense"])
    with pytest.raises(ValueError, match=r"'findin'; did you mean finding or findings\? dumpmap explain --all lists"):
        result.groups(["findin"])


@pytest.mark.parametrize("name", GROUPABLE)
def test_explain_lists_every_column_of_a_row(name: str) -> None:
    listed = {topic.name for topic in every_topic() if topic.sort == "column"}
    assert name in listed | {FINDING}


@pytest.mark.parametrize("name", GROUPABLE)
def test_any_column_can_be_grouped_by(result: Result, name: str) -> None:
    assert sum(group.count for group in result.groups([name])) >= 6
    for format in TriageFormat:
        write_result(result, format, io.BytesIO() if format is TriageFormat.parquet else io.StringIO(), group_by=[name])


def test_a_file_counts_under_each_of_its_findings() -> None:
    rows: list[Row] = []
    for findings in (["a", "b"], ["b"], [], None):
        row = empty_row(f"{len(rows)}", "ok")
        row["findings"] = findings
        rows.append(row)
    groups = {group.values: (group.count, group.example) for group in group_rows(rows, ["finding"])}
    assert groups == {("b",): (2, "0"), (None,): (2, "2"), ("a",): (1, "0")}
    lists = {group.values: group.count for group in group_rows(rows, ["findings"])}
    assert lists == {(("a", "b"),): 1, (("b",),): 1, (None,): 2}
    for name in ("finding", "findings"):
        out = io.StringIO()
        write_rows(rows, "table", out, group_by=[name])
        assert [line.split()[:2] for line in out.getvalue().splitlines() if line.startswith(("-", " "))] == [["-", "2"]]


def test_groups_tell_what_is_not_known_from_what_is_not_so() -> None:
    rows: list[Row] = []
    for wow64, build in [(True, 1), (False, 0), (None, None), (False, 10_000)]:
        row = empty_row(f"{len(rows)}", "ok")
        row.update(wow64=wow64, os_build=build)
        rows.append(row)
    shown = {}
    for format in ("table", "markdown", "csv", "json", "jsonl"):
        out = io.StringIO()
        write_rows(rows, format, out, group_by=["wow64", "os_build"])
        shown[format] = out.getvalue()
    table = [line.split()[:3] for line in shown["table"].splitlines()[2:]]
    assert table == [["false", "0", "1"], ["false", "10000", "1"], ["true", "1", "1"], ["-", "-", "1"]]
    markdown = [[cell.strip() for cell in line.split("|")[1:4]] for line in shown["markdown"].splitlines()[2:]]
    assert markdown == table
    assert [line.split(",")[:3] for line in shown["csv"].splitlines()[1:]] == [*table[:3], ["", "", "1"]]
    wanted = [(False, 0), (False, 10_000), (True, 1), (None, None)]
    for groups in (json.loads(shown["json"])["groups"], [json.loads(line) for line in shown["jsonl"].splitlines()]):
        assert [(group["wow64"], group["os_build"]) for group in groups] == wanted
    pq = pytest.importorskip("pyarrow.parquet")
    buffer = io.BytesIO()
    write_rows(rows, "parquet", buffer, group_by=["wow64", "os_build"])
    found = pq.read_table(io.BytesIO(buffer.getvalue())).to_pylist()
    assert [(group["wow64"], group["os_build"]) for group in found] == wanted


def test_groups_count_and_sort() -> None:
    rows: list[Row] = []
    for process, severity, committed in [("a", "critical", 5), ("a", "warning", 9), ("b", None, None), ("a", None, 1)]:
        row = empty_row(f"{process}{len(rows)}", "ok")
        row.update(process=process, severity=severity, committed=committed, largest_free=committed)
        rows.append(row)
    rows.append(empty_row("bad", "error", error="x"))
    first, second, third = group_rows(rows, ["process"])
    assert (first.values, first.count, first.with_critical, first.with_warnings) == (("a",), 3, 1, 1)
    assert (first.most_committed, first.least_largest_free, first.example) == (9, 1, "a0")
    assert (third.values, third.unreadable) == ((None,), 1)
    assert (second.values, second.most_committed) == (("b",), None)


def wide_rows() -> list[Row]:
    """Rows with long values: what a table of 80 columns has no room for."""
    rows: list[Row] = []
    for index in range(3):
        row = empty_row(f"s3://bucket-of-dumps/2026/11/22/{index:032x}.dmp.zst", "ok")
        row.update(process="Company.Product.Service.Host.exe", architecture="arm64", severity="critical")
        row.update(verdict="no-memory-problem-seen", committed=(1 << 40) - 1, largest_free=(1 << 47) - 1)
        row.update(
            exception="STATUS_STACK_BUFFER_OVERRUN", headline="The largest free block is small", version="1.2.3.4"
        )
        row.update(findings=["heap-segment-will-not-fit"])
        rows.append(row)
    rows.append(empty_row("bad.dmp", "error", error="not a minidump: a text file"))
    return rows


def drawn(width: int | None, **how: Any) -> list[str]:
    out = io.StringIO()
    write_rows(wide_rows(), "table", out, width=width, **how)
    return out.getvalue().splitlines()


def test_the_table_fits_80_columns() -> None:
    lines = drawn(80)
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    assert lines[2].split() == ["Severity", "Verdict", "Process", "(KB)", "(KB)"]
    assert lines[3].split() == ["File", "Finding"]
    # Nothing of these is cut or folded; a file stands on a line of its own, what was found behind it.
    for whole in ("critical", "no-memory-problem-seen", "1,073,741,824", "127 TB"):
        assert text.count(whole) == 3, whole
    for row in wide_rows()[:3]:
        at = next(index for index, line in enumerate(lines) if row["path"] in line)
        assert lines[at].startswith("  s3://")
        assert row["headline"] in " ".join(" ".join(lines[at : at + 2]).split())
    assert "  bad.dmp  not a minidump: a text file" in lines
    assert lines[-1] == "No room for Exception, Arch. Use a wider terminal or --format csv"


@pytest.mark.parametrize(
    ("columns", "left_out"),
    [
        (["process"], ""),
        (["process", "verdict"], "Warning, Unreadable"),
        (["verdict"], ""),
        (["finding"], "Unreadable"),
        (["findings", "version", "verdict"], "Critical, Warning, Unreadable"),
    ],
)
def test_the_table_of_groups_fits_80_columns(columns: list[str], left_out: str) -> None:
    lines = drawn(80, group_by=columns)
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("  s3://bucket-of-dumps/2026/11/22/000") for line in lines)
    said = " ".join(lines)
    assert (f"No room for {left_out}. Use a wider terminal or --format csv" if left_out else "Unreadable") in said


def test_a_path_that_is_wider_than_the_table_is_folded() -> None:
    path = f"/dumps/{'x' * 150}.dmp"
    out = io.StringIO()
    write_rows([empty_row(path, "ok")], "table", out, width=80)
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert path in "".join(line.strip() for line in lines)


def test_what_has_room_shows_everything_in_one_line() -> None:
    titles = "Severity Verdict Process Arch Committed (KB) Largest free (KB) Exception File Finding"
    for width in (None, 250):
        lines = drawn(width)
        assert len(lines) == 2 + len(wide_rows())
        assert " ".join(lines[0].split()) == titles
        assert "Example" in drawn(width, group_by=["process"])[0]


def test_names_cannot_break_a_table() -> None:
    row = empty_row("a|b.dmp", "ok")
    row.update(process="[red]x|y\n", headline="`", verdict="no")
    out = io.StringIO()
    write_rows([row], "markdown", out)
    assert out.getvalue().count("\n") == 3
    write_rows([row], "table", out)
    assert "[red]x|y" in out.getvalue()


def test_the_line_about_all(result: Result) -> None:
    assert summary_line(result.state) == "6 files, 1 critical, 1 unreadable"
