"""Outputs of many rows: made piece by piece, the same as at once, and no row that is not shown is made."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from support.cli_inputs import FIXTURES
from typer.testing import CliRunner

from dumpmap.cli.app import whole_app
from dumpmap.render.markdown import markdown_parts
from dumpmap.render.plain import csv_parts, json_parts
from dumpmap.render.terminal import text_parts
from dumpmap.views import cells
from dumpmap.views.cells import ColumnRows, Piece, Records
from dumpmap.views.table import Column, Table, to_records
from dumpmap.views.texts import Texts
from dumpmap.writers.output import write_parts

X64 = str(FIXTURES / "layout-x64.dmp.gz")

COLUMNS = (
    Column("address", "address"),
    Column("type"),
    Column("size", "size"),
    Column("private", "size", optional=1),
    Column("inferred", "flag"),
    Column("details"),
)
NAMES = ["", "a, b", 'say "x"', "=1+1", "100 %s", "日本語", "line\nbreak", "\ud800"]


def large(count: int) -> Table:
    """A table whose rows follow from their numbers."""

    def piece(start: int, stop: int) -> Piece:
        rows = range(start, stop)
        return [
            [0x10000 * row for row in rows],
            ["Heap" if row % 3 else "Image" for row in rows],
            [4096 * (row % 50) for row in rows],
            [None if row % 5 == 0 else row % 1000 for row in rows],
            [row % 7 == 0 for row in rows],
            [NAMES[row % 7] for row in rows],
        ]

    return Table(COLUMNS, ColumnRows(count, piece))


@pytest.mark.parametrize("arguments", [[], ["--blocks"], ["--blocks", "--evidence", "--owners", "structure"]])
@pytest.mark.parametrize("format", ["table", "csv", "json", "markdown"])
def test_the_size_of_pieces_does_not_show(format: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def output() -> str:
        ran = CliRunner().invoke(whole_app(), ["-q", "regions", X64, *arguments, "--format", format])
        assert ran.exit_code == 0, ran.output
        return ran.output

    whole = output()
    monkeypatch.setattr(cells, "PIECE", 7)
    assert output() == whole


def test_rows_as_columns_read_as_the_same_rows() -> None:
    table = large(100)
    rows = list(table.rows)
    assert len(rows) == len(table.rows) == 100
    assert rows[8] == (0x80000, "Heap", 0x8000, 8, False, "a, b")
    assert [table.rows[index] for index in range(-100, 0)] == rows
    assert list(table.rows[3:9:2]) == rows[3:9:2]
    as_list = Table(COLUMNS, rows)
    for parts in (csv_parts, lambda one: json_parts({"a": 1, "rows": Records(one)}), lambda one: text_parts([one])):
        assert "".join(parts(table)) == "".join(parts(as_list))


def test_csv_reads_back() -> None:
    table = large(40)
    read = list(csv.DictReader(io.StringIO("".join(csv_parts(table)), newline="")))
    assert [row["address"] for row in read] == [hex(0x10000 * row) for row in range(40)]
    assert [row["private"] for row in read[:6]] == ["", "1", "2", "3", "4", ""]
    assert [row["details"] for row in read[:7]] == [*NAMES[:3], "'=1+1", *NAMES[4:6], "line break"]
    assert NAMES[6] == "line\nbreak"
    assert [row["inferred"] for row in read[:2]] == ["true", "false"]


@pytest.mark.parametrize("count", [0, 1, 40])
def test_json_is_what_the_library_writes(count: int) -> None:
    table = large(count)
    document = {"schema": "a", "nested": {"b": [1, "x\ny"]}, "rows": Records(table)}
    expected = json.dumps({**document, "rows": to_records(table)}, indent=1, ensure_ascii=False) + "\n"
    assert "".join(json_parts(document)) == expected


def test_a_region_without_details_shows_those_of_its_allocation_however_many_there_are() -> None:
    names = [f"name {number}" for number in range(100)]
    own = Texts.of(pd.Series(pd.Categorical(["", "name 7", ""] * 50, categories=["", *names])))
    others = Texts.of(pd.Series(pd.Categorical([f"other {row}" for row in range(150)])))
    shown = own.or_else(others).objects().tolist()
    assert shown == [text or f"other {row}" for row, text in enumerate(["", "name 7", ""] * 50)]


def test_an_empty_cell_in_the_only_column_is_a_row() -> None:
    text = "".join(csv_parts(Table((Column("a"),), [[""], ["x"], [None]])))
    assert list(csv.reader(io.StringIO(text))) == [["a"], [""], ["x"], [""]]


def test_values_that_are_equal_but_not_the_same_keep_their_texts() -> None:
    table = Table((Column("a"),), [[1], [True], ["1"], [None], [1.0]])
    assert "".join(csv_parts(table)).split() == ["a", "1", "True", "1", '""', "1.0"]


@pytest.mark.parametrize("make", [csv_parts, lambda t: markdown_parts([t]), lambda t: text_parts([t], width=100)])
def test_memory_does_not_grow_with_the_rows(make: object) -> None:
    def peak(count: int) -> int:
        parts: Iterator[str] = make(large(count))  # type: ignore[operator]
        tracemalloc.start()
        for _ in parts:
            pass
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    assert peak(8 * cells.PIECE) < 1.5 * peak(2 * cells.PIECE)


def test_a_limit_makes_only_the_rows_that_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    original = ColumnRows.pieces

    def pieces(self: ColumnRows) -> Iterator[Piece]:
        for piece in original(self):
            made.append(len(piece[0]))
            yield piece

    monkeypatch.setattr(ColumnRows, "pieces", pieces)
    ran = CliRunner().invoke(whole_app(), ["-q", "regions", X64, "--blocks", "--limit", "3", "--format", "csv"])
    assert ran.output.count("\n") == 4
    assert made == [3]


def test_a_file_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    def parts() -> Iterator[str]:
        yield "first"
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_parts(parts(), str(tmp_path / "out"))
    assert list(tmp_path.iterdir()) == []
