"""The result of triage in every format."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import IO, Any, TypedDict, Unpack

from dumpmap.model.choices import check_choice
from dumpmap.render.markdown import to_markdown
from dumpmap.triage.columns import TriageRow
from dumpmap.triage.groups import Grouping, TriageGroup
from dumpmap.triage.progress import BatchState
from dumpmap.triage.result import TriageResult
from dumpmap.triage.selection import ALL, Selection
from dumpmap.views.table import Table
from dumpmap.views.triage import group_records, group_table, json_head, json_tail, row_records, view_table
from dumpmap.wording.text import Units
from dumpmap.writers import records as writers
from dumpmap.writers.formats import TriageFormat
from dumpmap.writers.output import replacing

_PAGE_GROUPS = 1000
"""Groups that a page lists."""


class TextStyle(TypedDict, total=False):
    """How the text table and Markdown look.

    Attributes:
        limit: the maximum number of rows. Default: no limit.
        units: the units of sizes. Default: KB.
        color: whether the text table has colours. Default: no.
        width: the width of the text table in columns. Default: as wide as its content.
    """

    limit: int | None
    units: Units
    color: bool
    width: int | None


def write_result(
    result: TriageResult,
    format: TriageFormat | str,
    target: str | os.PathLike[str] | IO[Any],
    *,
    group_by: Sequence[str] = (),
    selection: Selection = ALL,
    force: bool = False,
    **style: Unpack[TextStyle],
) -> None:
    """Writes a finished batch.

    Args:
        result: the batch.
        format: the format.
        target: a file, `-` for standard output, or a stream: of text, for Parquet of bytes.
        group_by: columns to group by.
        selection: which rows to write, and their order; with groups, the order and the maximum number apply to these.
        force: overwrite the file.
        style: `limit`, `units`, `color`, and `width`: see `TextStyle`.

    Raises:
        OutputError: the file exists and `force` is not given, or it cannot be written.
        ValueError: the format is unknown, or a column cannot be grouped by.
    """
    rows = result.rows(replace(selection, sort=None, top=None) if group_by else selection)
    counted = format in (TriageFormat.json, TriageFormat.html)
    undecided = result.count_undecided(selection) if counted else None
    write_rows(
        rows,
        format,
        target,
        group_by=group_by,
        selection=selection,
        state=result.state,
        undecided=undecided,
        force=force,
        **style,
    )


def write_rows(
    rows: Iterable[TriageRow],
    format: TriageFormat | str,
    target: str | os.PathLike[str] | IO[Any],
    *,
    group_by: Sequence[str] = (),
    selection: Selection = ALL,
    state: BatchState | None = None,
    undecided: int | None = None,
    force: bool = False,
    **style: Unpack[TextStyle],
) -> None:
    """Writes rows; every format except the text table, Markdown, and HTML is written as the rows come.

    JSON and HTML carry the groups beside the rows, every other format instead of the rows.

    Args:
        rows: the rows, filtered and in order.
        format: the format.
        target: a file, `-` for standard output, or a stream: of text, for Parquet of bytes.
        group_by: columns to group by.
        selection: how the rows were chosen, for JSON and HTML; with groups, their order and maximum number.
        state: the numbers of files, for JSON.
        undecided: of how many rows a bound does not tell whether they are selected, for JSON and HTML.
        force: overwrite the file.
        style: `limit`, `units`, `color`, and `width`: see `TextStyle`.

    Raises:
        OutputError: the file exists and `force` is not given, or it cannot be written.
        ValueError: the format or the units are unknown, or a column cannot be grouped by.
    """
    check_choice("format", format, TriageFormat)
    check_choice("units", style.get("units", Units.kb), Units)
    format = TriageFormat(format)
    grouping = Grouping(group_by) if group_by else None
    with _opened(target, force=force, text=format is not TriageFormat.parquet) as stream:
        if format is TriageFormat.html:
            _write_page(rows, grouping, selection, undecided, stream)
        elif format is TriageFormat.json:
            _write_json(rows, grouping, selection, json_head(state, selection, undecided), stream)
        elif grouping is None:
            _write_rows(rows, format, style, stream)
        else:
            for row in rows:
                grouping.add(row)
            _write_groups(grouping.chosen(selection), group_by, format, style, stream)


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


def _write_page(
    rows: Iterable[TriageRow], grouping: Grouping | None, selection: Selection, undecided: int | None, stream: IO[Any]
) -> None:
    from dumpmap.render.html.triage import render_triage

    counted = rows if grouping is None else _counted(rows, grouping)
    conditions = [condition.text for condition in selection.where]
    if selection.severity is not None:
        conditions.append(f"severity: {selection.severity} or worse")
    stream.write(
        render_triage(
            counted,
            conditions=conditions,
            undecided=undecided or 0,
            groups=None
            if grouping is None
            else lambda: group_table(grouping.chosen(selection), grouping.columns, _PAGE_GROUPS)[0],
        )
    )


def _counted(rows: Iterable[TriageRow], grouping: Grouping) -> Iterator[TriageRow]:
    """Yields rows and counts them."""
    for row in rows:
        grouping.add(row)
        yield row


def _write_json(
    rows: Iterable[TriageRow],
    grouping: Grouping | None,
    selection: Selection,
    head: dict[str, Any],
    stream: IO[Any],
) -> None:
    """Writes rows and groups in one pass over the rows."""

    def tail() -> Iterator[tuple[str, Any]]:
        groups = None if grouping is None else grouping.chosen(selection)
        yield from json_tail(groups, () if grouping is None else grouping.columns).items()

    writers.write_json(head, rows if grouping is None else _counted(rows, grouping), tail(), stream)


def _write_rows(rows: Iterable[TriageRow], format: TriageFormat, style: TextStyle, stream: IO[Any]) -> None:
    if format in _RECORD_WRITERS:
        _RECORD_WRITERS[format](row_records(rows), stream)
    else:
        table, more = view_table(rows, style.get("limit"))
        stream.write(_drawn(table, more, format, style))


def _write_groups(
    groups: Sequence[TriageGroup], columns: Sequence[str], format: TriageFormat, style: TextStyle, stream: IO[Any]
) -> None:
    if format in _RECORD_WRITERS:
        _RECORD_WRITERS[format](group_records(groups, columns), stream)
    else:
        table, more = group_table(groups, columns, style.get("limit"))
        stream.write(_drawn(table, more, format, style))


_RECORD_WRITERS = {
    TriageFormat.csv: writers.write_csv,
    TriageFormat.jsonl: writers.write_json_lines,
    TriageFormat.parquet: writers.write_parquet,
}


def _drawn(table: Table, more: int, format: TriageFormat, style: TextStyle) -> str:
    units = style.get("units", Units.kb)
    if format is TriageFormat.markdown:
        text = to_markdown([table], units)
    else:
        from dumpmap.render.terminal import to_text

        text = to_text([table], units, color=style.get("color", False), width=style.get("width"))
    return text + (f"\n... and {more:,} more\n" if more else "")
