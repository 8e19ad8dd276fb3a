"""The views of triage: its rows and groups as tables, and the parts of its JSON document.

JSON is the contract: it has all columns, and the groups beside the rows. CSV, Parquet, and JSON lines have all columns
of the rows, or the groups instead. The text table and Markdown show a few columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from dumpmap._version import __version__
from dumpmap.model.values import value_class
from dumpmap.triage.columns import BY_NAME, COLUMNS, FINDING, TriageContent, TriageRow, known_values
from dumpmap.triage.groups import TriageGroup
from dumpmap.triage.progress import BatchState
from dumpmap.triage.selection import Selection
from dumpmap.views.table import Column, LowerBound, Table, UpperBound
from dumpmap.wording.text import count_words, part_words, printable

SCHEMA = "dumpmap.triage/1"

_NAMED = 3
"""Undecided dumps that are named."""

_COUNTS = ("found", "done", "cached", "errors", "skipped", "critical", "warning", "info")

VIEW: tuple[Column, ...] = (
    Column("severity"),
    Column("verdict"),
    Column("process", shortens=True),
    Column("arch", optional=2),
    Column("committed", "size"),
    Column("largest_free", "size", "Largest free", left=True),
    Column("exception", optional=1),
    Column("path", "text", "File", shortens=False, below=1),
    Column("detail", "text", "Finding", below=2),
)
"""The columns of the text table and of Markdown."""

GROUP_FIGURES: tuple[Column, ...] = (
    Column("count", "count", "Files"),
    Column("with_critical", "count", "Critical", optional=3),
    Column("with_warnings", "count", "Warning", optional=4),
    Column("unreadable", "count", optional=5),
    Column("most_committed", "size", optional=2),
    Column("most_process_commit", "size", optional=6),
    Column("least_largest_free", "size", "Smallest largest free", optional=1, left=True),
    Column("lower_bound", "flag", shown=False),
    Column("least_lower_bound", "flag", shown=False),
    Column("example", "text", shortens=False, below=1),
)
"""The columns of a group that follow the columns of the grouping; each is a field of `TriageGroup`."""


# ---------------------------------------------------------------- tables for people


def view_table(rows: Iterable[TriageRow], limit: int | None = None) -> tuple[Table, int]:
    """Returns rows as the text table shows them, and how many rows the limit left out."""
    left = iter(rows)
    table = Table(VIEW, [_view_cells(row) for row in islice(left, limit)])
    return table, sum(1 for _ in left)


def _view_cells(row: TriageRow) -> tuple[Any, ...]:
    unread = row["status"] in ("error", "skipped")
    return (
        row["status"] if unread else row["severity"] or "-",
        row["verdict"],
        row["process"],
        row["architecture"],
        bounded_committed(row),
        bounded_largest_free(row),
        row["exception"],
        row["path"],
        row["error"] if unread else row["headline"],
    )


def _bounded(row: TriageRow, name: str) -> int | None:
    """A figure; a map that shows only a part of the memory knows at least so much."""
    value: int | None = row[name]
    return LowerBound(value) if value is not None and row["lower_bound"] else value


def bounded_committed(row: TriageRow) -> int | None:
    """The committed bytes; a `LowerBound` if the map shows only a part of the memory."""
    return _bounded(row, "committed")


def bounded_largest_free(row: TriageRow) -> int | None:
    """The largest free block, or what bounds it."""
    most: int | None = row["largest_free_at_most"]
    bounded = row["largest_free"] is None and most is not None
    return UpperBound(most) if bounded and most is not None else _bounded(row, "largest_free")


def group_table(groups: Sequence[TriageGroup], columns: Sequence[str], limit: int | None = None) -> tuple[Table, int]:
    """Returns groups as a table, and how many groups the limit left out."""
    rows = [
        (*map(_group_cell, group.values), *(_group_figure(group, figure.name) for figure in GROUP_FIGURES))
        for group in groups[:limit]
    ]
    table = Table((*(_group_column(name) for name in columns), *GROUP_FIGURES), rows)
    return table, len(groups) - len(rows)


def _group_figure(group: TriageGroup, name: str) -> Any:
    value = getattr(group, name)
    flag = {"most_committed": "lower_bound", "least_largest_free": "least_lower_bound"}.get(name)
    return LowerBound(value) if value is not None and flag is not None and getattr(group, flag) else value


def _group_column(name: str) -> Column:
    """A column of the grouping. Its values are written as in CSV, so sizes are bytes."""
    # A name with a fixed set of values reads better whole: the table can rather do without a figure.
    column = Column(name, shortens=name == "findings" or not known_values("findings" if name == FINDING else name))
    in_bytes = name != FINDING and BY_NAME[name].holds == "size"
    return replace(column, heading=f"{column.title} (bytes)") if in_bytes else column


def _group_cell(value: Any) -> str:
    """A group's value as CSV writes it, except that the blank for an unknown value would look like an omission."""
    return "-" if value is None else str(csv_value(value))


def summary_line(state: BatchState) -> str:
    """Returns what became of the files, in one line."""
    parts = [count_words(state.found, "file")]
    for count, text in (
        (state.critical, "critical"),
        (state.warning, "with warnings"),
        (state.errors, "unreadable"),
        (state.skipped, "skipped"),
        (state.cached, "cached"),
    ):
        if count:
            parts.append(f"{count:,} {text}")
    return ", ".join(parts)


# ---------------------------------------------------------------- records for programs


@value_class(frozen=True, slots=True)
class Records:
    """What CSV, Parquet, and JSON lines carry: rows, or groups.

    Attributes:
        columns: the name of each column, and what it holds.
        records: the values of all columns, in that order.
    """

    columns: dict[str, TriageContent]
    records: Iterable[dict[str, Any]]


def row_records(rows: Iterable[TriageRow]) -> Records:
    """Returns rows as records."""
    return Records({column.name: column.holds for column in COLUMNS}, rows)


def group_records(groups: Iterable[TriageGroup], columns: Sequence[str]) -> Records:
    """Returns groups as records."""
    holds: dict[str, TriageContent] = {name: "text" if name == FINDING else BY_NAME[name].holds for name in columns}
    for figure in GROUP_FIGURES:
        holds[figure.name] = "flag" if figure.holds == "flag" else "text" if figure.holds == "text" else "count"
    return Records(holds, (_group_record(group, columns) for group in groups))


def _group_record(group: TriageGroup, columns: Sequence[str]) -> dict[str, Any]:
    values = (list(value) if isinstance(value, tuple) else value for value in group.values)
    figures = {figure.name: getattr(group, figure.name) for figure in GROUP_FIGURES}
    return {**dict(zip(columns, values, strict=True)), **figures}


def csv_value(value: Any) -> Any:
    """Returns a value as CSV writes it: blank if unknown, lists joined with commas."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return ", ".join(value) if isinstance(value, (list, tuple)) else value


def undecided_line(undecided: int, found: int, paths: Iterable[str]) -> str:
    """Returns how many files the conditions do not decide, in one line, with the names of the first of them."""
    figures = "its figures are" if undecided == 1 else "their figures are"
    dumps = part_words(undecided, found, "dump", "is", "are")
    names = [printable(path) for path in islice(paths, _NAMED)]
    more = f", and {undecided - len(names):,} more" if undecided > len(names) else ""
    return f"{dumps} undecided and left out: {figures} unknown or only bounds ({', '.join(names)}{more})"


def json_head(state: BatchState | None, selection: Selection, undecided: int | None = None) -> dict[str, Any]:
    """Returns the members of the JSON document that precede `rows`."""
    return {
        "schema": SCHEMA,
        "tool": f"dumpmap {__version__}",
        "counts": None if state is None else {name: getattr(state, name) for name in _COUNTS},
        "selection": {**selection.to_dict(), "undecided": undecided},
    }


def json_tail(groups: Iterable[TriageGroup] | None, columns: Sequence[str]) -> dict[str, Any]:
    """Returns the members of the JSON document that follow `rows`."""
    records = None if groups is None else list(group_records(groups, columns).records)
    return {"group_by": list(columns), "groups": records}
