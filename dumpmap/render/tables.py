"""Tables of any content in every format: rich text, CSV, JSON, Markdown.

A table says once what its columns are; each format draws it its own way. In CSV and JSON sizes are bytes and addresses
`0x` hex; only the text table and Markdown follow the units that were asked for.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from dumpmap.render.text import Units, address_text, hex_text, percent_text, printable, size_text, unit_name

Kind = Literal["text", "size", "address", "count", "number", "hex", "percent", "flag"]
"""What a column holds. A count has thousands separators, a number (an id, say) has none."""


class Format(StrEnum):
    """Output formats of every command."""

    table = "table"
    json = "json"
    csv = "csv"
    markdown = "markdown"


class ExportFormat(StrEnum):
    """What `export` writes."""

    mmp = "mmp"
    vmmap_csv = "vmmap-csv"
    vmmap_txt = "vmmap-txt"
    csv = "csv"
    jsonl = "jsonl"
    parquet = "parquet"
    markdown = "markdown"
    text = "text"


class SnapshotFormat(StrEnum):
    """How a JSON snapshot is compressed: what its file's name ends in."""

    json = "json"
    gzip = "json.gz"
    zstd = "json.zst"


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name in CSV and JSON, what it holds, and its heading where it is shown to a person."""

    name: str
    kind: Kind = "text"
    heading: str | None = None
    shown: bool = True
    """Whether the text table and Markdown show it; CSV and JSON always do."""
    left: bool = False
    """Whether a size is how much is left of something: such are rounded down."""

    @property
    def title(self) -> str:
        """The heading."""
        return self.heading or self.name.replace("_", " ").capitalize()

    @property
    def numeric(self) -> bool:
        """Whether it is set flush right."""
        return self.kind in ("size", "count", "percent")


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under columns. A None value is not known."""

    columns: tuple[Column, ...]
    rows: Sequence[Sequence[Any]]
    address_width: int = 16
    title: str | None = None


def cell_text(value: Any, column: Column, units: Units, address_width: int) -> str:
    """Writes a value for a person to read."""
    if value is None:
        return ""
    if column.kind == "size":
        return size_text(int(value), units, left=column.left)
    if column.kind == "address":
        return address_text(int(value), address_width)
    if column.kind == "hex":
        return hex_text(int(value))
    if column.kind == "percent":
        return percent_text(float(value))
    if column.kind == "count":
        return f"{int(value):,}"
    if column.kind == "flag":
        return "yes" if value else ""
    return printable(str(value))


def plain_value(value: Any, column: Column) -> Any:
    """A value for JSON: addresses as hex strings, everything else as it is."""
    if value is None:
        return None
    if column.kind in ("address", "hex"):
        return f"0x{int(value):x}"
    if column.kind in ("size", "count", "number"):
        return int(value)
    if column.kind == "percent":
        return float(value)
    if column.kind == "flag":
        return bool(value)
    return str(value)


def to_records(table: Table) -> list[dict[str, Any]]:
    """The rows as dictionaries for JSON."""
    return [
        {column.name: plain_value(value, column) for column, value in zip(table.columns, row, strict=True)}
        for row in table.rows
    ]


def to_csv(table: Table) -> str:
    """The table as CSV: a header line, addresses in hex, sizes in bytes, blank where not known."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([column.name for column in table.columns])
    for row in table.rows:
        writer.writerow([_csv_value(value, column) for column, value in zip(table.columns, row, strict=True)])
    return text.getvalue()


def _csv_value(value: Any, column: Column) -> Any:
    plain = plain_value(value, column)
    if plain is None:
        return ""
    if isinstance(plain, bool):
        return "true" if plain else "false"
    return plain


def to_markdown(table: Table, units: Units) -> str:
    """The table as GitHub-flavoured Markdown."""
    shown = [index for index, column in enumerate(table.columns) if column.shown]
    columns = [table.columns[index] for index in shown]
    lines = [
        _markdown_line(_heading(column, units) for column in columns),
        _markdown_line("---:" if column.numeric else "---" for column in columns),
    ]
    for row in table.rows:
        cells = (
            cell_text(row[index], table.columns[index], units, table.address_width)
            .replace("|", "\\|")
            .replace("\n", " ")
            for index in shown
        )
        lines.append(_markdown_line(cells))
    return "\n".join(lines) + "\n"


def _markdown_line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _heading(column: Column, units: Units) -> str:
    unit = unit_name(units) if column.kind == "size" else ""
    return f"{column.title} ({unit})" if unit else column.title


def to_json(document: Any) -> str:
    """A document as JSON text, one line break at its end."""
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


_LEAST_TEXT = 12
"""Columns that a text column keeps where room is short."""

_SHRINKING = ("details", "path", "evidence", "meaning", "detail", "status", "name", "kind", "message", "file")
"""Text columns whose cells may be folded; every other cell is shown whole, however narrow the terminal."""


class _NeverCropped:
    """A rich table that is drawn wider than the terminal rather than with cropped figures.

    rich takes from every column where room is short, and `1,668,672` cut to `1,668,` is a wrong number.
    """

    def __init__(self, table: Any, least: int) -> None:
        self._table = table
        self._least = least

    def __rich_console__(self, console: Any, options: Any) -> Any:
        yield from console.render(self._table, options.update(width=max(options.max_width, self._least)))


def to_rich(table: Table, units: Units) -> Any:
    """The table as a rich renderable. Flags that no row has are left out."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    from dumpmap.types import BY_NAME, TYPES

    rich = RichTable(box=box.SIMPLE_HEAD, title=table.title, title_justify="left", pad_edge=False, show_edge=False)
    shown = [
        index
        for index, column in enumerate(table.columns)
        if column.shown and (column.kind != "flag" or any(row[index] for row in table.rows))
    ]
    cells = [
        [cell_text(row[index], table.columns[index], units, table.address_width) for index in shown]
        for row in table.rows
    ]
    least = 0
    for place, index in enumerate(shown):
        column = table.columns[index]
        heading = _heading(column, units)
        widest = max((len(row[place]) for row in cells), default=0)
        shrinks = column.kind == "text" and column.name in _SHRINKING
        # A heading may be folded at its blanks, a figure never.
        fixed = max(widest, max(map(len, heading.split())))
        least += (min(fixed, _LEAST_TEXT) if shrinks else fixed) + 3
        rich.add_column(
            heading,
            justify="right" if column.numeric else "left",
            min_width=None if shrinks else fixed,
            overflow="fold",
        )
    for row in cells:
        # Text, not markup: a module may be called `[red]`.
        rich.add_row(
            *(
                Text(text, style=TYPES[BY_NAME[text.lower()]].color)
                if table.columns[index].name == "type" and text.lower() in BY_NAME
                else Text(text)
                for index, text in zip(shown, row, strict=True)
            )
        )
    return _NeverCropped(rich, least)
