"""The rows in every format. JSON is the contract; it has all columns and the groups, the rest are views.

Text tables and Markdown show a few columns, CSV, Parquet and JSON all of them. Where groups are asked for, every format
but JSON, which has both, shows the groups instead of the rows.
"""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import io
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from enum import StrEnum
from itertools import islice
from typing import IO, Any

from dumpmap._version import __version__
from dumpmap.errors import OutputError
from dumpmap.render.markdown import to_markdown
from dumpmap.render.terminal import to_text
from dumpmap.triage.batch import Group, Result, group_rows
from dumpmap.triage.columns import BY_NAME, COLUMNS, FINDING, Kind, Row, known_values
from dumpmap.triage.progress import State
from dumpmap.triage.selection import ALL, Selection
from dumpmap.views.table import Column, Table
from dumpmap.wording.text import Units
from dumpmap.writers.output import replacing, silence

SCHEMA = "dumpmap.triage/1"

_COUNTS = ("found", "done", "cached", "errors", "skipped", "critical", "warning", "info")
_PARQUET_CHUNK = 10_000


class TriageFormat(StrEnum):
    """Output formats of triage."""

    table = "table"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"
    markdown = "markdown"
    parquet = "parquet"


VIEW: tuple[Column, ...] = (
    Column("severity"),
    Column("verdict"),
    Column("process", folds=True),
    Column("arch", optional=2),
    Column("committed", "size"),
    Column("largest_free", "size", "Largest free", left=True),
    Column("exception", optional=1),
    Column("path", "text", "File", folds=False, below=1),
    Column("detail", "text", "Finding", below=2),
)
"""Columns of the text table and of Markdown."""

GROUP_FIGURES: tuple[Column, ...] = (
    Column("count", "count", "Files"),
    Column("with_critical", "count", "Critical", optional=3),
    Column("with_warnings", "count", "Warning", optional=4),
    Column("unreadable", "count", optional=5),
    Column("most_committed", "size", optional=2),
    Column("least_largest_free", "size", "Smallest largest free", optional=1, left=True),
    Column("example", "text", folds=False, below=1),
)
"""What is said of a group, after the columns that rows are grouped by."""


def view_table(rows: Iterable[Row], *, title: str | None = None) -> Table:
    """Rows as the text table shows them."""
    return Table(VIEW, [_view_cells(row) for row in rows], title=title)


def _view_cells(row: Row) -> tuple[Any, ...]:
    unread = row["status"] in ("error", "skipped")
    return (
        row["status"] if unread else row["severity"] or "-",
        row["verdict"],
        row["process"],
        row["architecture"],
        row["committed"],
        row["largest_free"],
        row["exception"],
        row["path"],
        row["error"] if unread else row["headline"],
    )


def _group_column(name: str) -> Column:
    """A column that rows are grouped by; a value stands for a group as CSV writes it, a size in bytes."""
    column = Column(name, folds=not _is_settled(name))
    in_bytes = name != FINDING and BY_NAME[name].kind == "size"
    return replace(column, heading=f"{column.title} (bytes)") if in_bytes else column


def group_table(groups: Iterable[Group], columns: Sequence[str]) -> Table:
    """Groups as a table."""
    rows = [
        (*map(_group_cell, group.values), *(getattr(group, figure.name) for figure in GROUP_FIGURES))
        for group in groups
    ]
    # A name that is one of few is better read whole: a figure can be done without sooner.
    return Table((*(_group_column(name) for name in columns), *GROUP_FIGURES), rows)


def _is_settled(name: str) -> bool:
    return bool(known_values("findings" if name == FINDING else name)) and name != "findings"


def _group_cell(value: Any) -> str:
    """What a group stands for, as CSV writes it; CSV's blank, for what is not known, would look like an omission."""
    return "-" if value is None else str(_csv_value(value))


def group_record(group: Group, columns: Sequence[str]) -> dict[str, Any]:
    """A group for JSON: the values it stands for, then its figures."""
    values = (list(value) if isinstance(value, tuple) else value for value in group.values)
    figures = {figure.name: getattr(group, figure.name) for figure in GROUP_FIGURES}
    return {**dict(zip(columns, values, strict=True)), **figures}


def summary_line(state: State) -> str:
    """What has become of the files, in one line."""
    parts = [f"{state.found:,} file{'' if state.found == 1 else 's'}"]
    for count, text in (
        (state.critical, "critical"),
        (state.warning, "with warnings"),
        (state.errors, "unreadable"),
        (state.skipped, "skipped"),
        (state.cached, "known from an earlier run"),
    ):
        if count:
            parts.append(f"{count:,} {text}")
    return ", ".join(parts)


# ---------------------------------------------------------------- writing


def write_result(
    result: Result,
    format: TriageFormat | str,
    target: str | os.PathLike[str] | IO[Any],
    *,
    group_by: Sequence[str] = (),
    selection: Selection = ALL,
    force: bool = False,
    limit: int | None = None,
    units: Units = Units.kb,
    color: bool = False,
    width: int | None = None,
) -> None:
    """Writes a finished batch.

    Args:
        result: the batch.
        format: how.
        target: a file, `-` for standard output, or a stream: of text, for Parquet of bytes.
        group_by: columns to group by.
        selection: which rows, and their order; where there are groups, the order and the number are theirs.
        force: overwrite the file.
        limit: show at most this many rows in the text table and in Markdown.
        units: of sizes in these two.
        color: whether the text table is coloured.
        width: of the text table, in columns.

    Raises:
        OutputError: it exists and `force` is not given, or it cannot be written.
        ValueError: a column cannot be grouped by.
    """
    write_rows(
        result.rows(replace(selection, sort=None, top=None) if group_by else selection),
        format,
        target,
        groups=result.groups(group_by, selection) if group_by else None,
        group_by=group_by,
        selection=selection,
        state=result.state,
        force=force,
        limit=limit,
        units=units,
        color=color,
        width=width,
    )


def write_rows(
    rows: Iterable[Row],
    format: TriageFormat | str,
    target: str | os.PathLike[str] | IO[Any],
    *,
    groups: Sequence[Group] | None = None,
    group_by: Sequence[str] = (),
    selection: Selection = ALL,
    state: State | None = None,
    force: bool = False,
    limit: int | None = None,
    units: Units = Units.kb,
    color: bool = False,
    width: int | None = None,
) -> None:
    """Writes rows in any format; all but the text table and Markdown are written as the rows come.

    Args:
        rows: the rows, in the order to write them.
        format: how.
        target: a file, `-` for standard output, or a stream: of text, for Parquet of bytes.
        groups: groups of the rows, for JSON beside them, for every other format in their place.
        group_by: the columns of the groups.
        selection: what the rows and groups were chosen by, for JSON.
        state: how many files there were, for JSON.
        force: overwrite the file.
        limit: show at most this many rows in the text table and in Markdown.
        units: of sizes in these two.
        color: whether the text table is coloured.
        width: of the text table, in columns.

    Raises:
        OutputError: it exists and `force` is not given, or it cannot be written.
    """
    format = TriageFormat(format)
    if groups is None and group_by:
        kept = list(rows)
        rows, groups = kept, group_rows(kept, group_by)
    with _opened(target, force=force, text=format is not TriageFormat.parquet) as stream:
        if format is TriageFormat.json:
            _write_json(rows, stream, groups, group_by, state, selection)
        elif format is TriageFormat.jsonl:
            for record in _records(rows, groups, group_by)[1]:
                write_json_line(record, stream)
        elif format is TriageFormat.csv:
            _write_csv(rows, stream, groups, group_by)
        elif format is TriageFormat.parquet:
            _write_parquet(rows, stream, groups, group_by)
        else:
            table, more = _shown(rows, groups, group_by, limit)
            if format is TriageFormat.markdown:
                text = to_markdown([table], units)
            else:
                text = to_text([table], units, color=color, width=width)
            stream.write(text)
            if more:
                stream.write(f"\n... and {more:,} more\n")


@contextlib.contextmanager
def _opened(target: str | os.PathLike[str] | IO[Any], *, force: bool, text: bool) -> Iterator[IO[Any]]:
    if isinstance(target, (str, os.PathLike)):
        with replacing(target, force=force, binary=not text) as stream:
            if not text:
                yield stream
                return
            lines = io.TextIOWrapper(stream, encoding="utf-8", newline="", write_through=True)
            yield lines
            lines.detach()
    else:
        yield target


def _shown(
    rows: Iterable[Row], groups: Sequence[Group] | None, group_by: Sequence[str], limit: int | None
) -> tuple[Table, int]:
    """The table to draw, and how many rows are left out of it."""
    if groups is not None:
        return group_table(groups[:limit], group_by), 0 if limit is None else max(0, len(groups) - limit)
    left = iter(rows)
    table = view_table(islice(left, limit))
    return table, sum(1 for _ in left)


def _write_json(
    rows: Iterable[Row],
    stream: IO[Any],
    groups: Sequence[Group] | None,
    group_by: Sequence[str],
    state: State | None,
    selection: Selection,
) -> None:
    counts = None if state is None else {name: getattr(state, name) for name in _COUNTS}
    records = None if groups is None else [group_record(group, group_by) for group in groups]
    stream.write(f'{{"schema": {_json(SCHEMA)},\n"tool": {_json(f"dumpmap {__version__}")},\n')
    stream.write(f'"counts": {_json(counts)},\n"selection": {_json(selection.to_dict())},\n"rows": [')
    separator = "\n"
    for row in rows:
        stream.write(separator + _json(row))
        separator = ",\n"
    stream.write(f'\n],\n"group_by": {_json(list(group_by))},\n"groups": {_json(records)}}}\n')


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def write_json_line(row: Row, stream: IO[Any]) -> None:
    """Writes a row as a line of JSON, and sees to it that a reader gets it now."""
    stream.write(_json(row) + "\n")
    stream.flush()


def print_json_line(row: Row) -> None:
    """Writes a row as a line of JSON to standard output, in UTF-8 whatever a terminal would take.

    Raises:
        OutputError: it cannot be written.
        BrokenPipeError: whoever read it has gone, so there is no point in going on.
    """
    if sys.stdout is None:
        raise OutputError("is closed", source="standard output")
    try:
        sys.stdout.buffer.write(f"{_json(row)}\n".encode("utf-8", "replace"))
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        silence()
        raise OutputError(f"cannot be written: {error.strerror or error}", source="standard output") from error


def _records(
    rows: Iterable[Row], groups: Sequence[Group] | None, group_by: Sequence[str]
) -> tuple[dict[str, Kind], Iterable[dict[str, Any]]]:
    """What CSV and Parquet carry: the columns and what they hold, and the rows or the groups."""
    if groups is None:
        return {column.name: column.kind for column in COLUMNS}, rows
    kinds: dict[str, Kind] = {name: "text" if name == FINDING else BY_NAME[name].kind for name in group_by}
    for figure in GROUP_FIGURES:
        kinds[figure.name] = "text" if figure.holds == "text" else "count"
    return kinds, (group_record(group, group_by) for group in groups)


def _write_csv(rows: Iterable[Row], stream: IO[Any], groups: Sequence[Group] | None, group_by: Sequence[str]) -> None:
    kinds, records = _records(rows, groups, group_by)
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(kinds)
    for record in records:
        writer.writerow(map(_csv_value, record.values()))


def _csv_value(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return ", ".join(value) if isinstance(value, (list, tuple)) else value


def _write_parquet(
    rows: Iterable[Row], stream: IO[Any], groups: Sequence[Group] | None, group_by: Sequence[str]
) -> None:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise OutputError('writing Parquet needs another package: pip install "dumpmap[parquet]"') from None
    types: dict[Kind, Any] = {
        "text": pa.string(),
        "texts": pa.list_(pa.string()),
        "size": pa.int64(),
        "count": pa.int64(),
        "share": pa.float64(),
        "seconds": pa.float64(),
        "flag": pa.bool_(),
        "time": pa.timestamp("us", "UTC"),
    }
    kinds, records = _records(rows, groups, group_by)
    schema = pa.schema([(name, types[kind]) for name, kind in kinds.items()])
    times = [name for name, kind in kinds.items() if kind == "time"]
    left = iter(records)
    with pq.ParquetWriter(stream, schema) as writer:
        while chunk := [dict(record) for record in islice(left, _PARQUET_CHUNK)]:
            for record in chunk:
                for name in times:
                    record[name] = record[name] and dt.datetime.fromisoformat(record[name])
            writer.write_table(pa.Table.from_pylist(chunk, schema))
