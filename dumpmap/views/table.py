"""Tables of any content: what their columns are, and what a cell means. Drawing them is `dumpmap.render`'s work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dumpmap.wording.text import (
    Units,
    address_text,
    hex_text,
    percent_text,
    printable,
    short_size,
    size_text,
    unit_name,
)

Content = Literal["text", "size", "short", "address", "count", "number", "hex", "percent", "flag"]
"""What a column holds. A count has thousands separators, a number (such as an ID) has none; a short size has its own
unit."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name in CSV and JSON, what it holds, and its heading where it is shown to a person."""

    name: str
    holds: Content = "text"
    heading: str | None = None
    shown: bool = True
    """Whether the text table and Markdown show it; CSV and JSON always do."""
    optional: int = 0
    """Where room is short, the text table leaves out columns of the highest number first; those of 0 never."""
    left: bool = False
    """Whether a size is how much is left of something: such are rounded down."""
    folds: bool | None = None
    """Whether a text may be folded where room is short; None leaves it to the name, see `_SHRINKING`."""
    below: int = 0
    """Where room is short, texts with a number stand on lines of their own under their row, in the order of these."""

    @property
    def title(self) -> str:
        """The heading."""
        return self.heading or self.name.replace("_", " ").capitalize()

    @property
    def numeric(self) -> bool:
        """Whether it is set flush right."""
        return self.holds in ("size", "short", "count", "percent")

    def heading_in(self, units: Units) -> str:
        """Returns the heading, with the unit if the column holds sizes."""
        unit = unit_name(units) if self.holds == "size" else ""
        return f"{self.title} ({unit})" if unit else self.title


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
    if column.holds == "size":
        return size_text(int(value), units, left=column.left)
    if column.holds == "short":
        return short_size(int(value))
    if column.holds == "address":
        return address_text(int(value), address_width)
    if column.holds == "hex":
        return hex_text(int(value))
    if column.holds == "percent":
        return percent_text(float(value))
    if column.holds == "count":
        return f"{int(value):,}"
    if column.holds == "flag":
        return "yes" if value else ""
    return printable(str(value))


def plain_value(value: Any, column: Column) -> Any:
    """A value for JSON: addresses as hex strings, everything else as it is."""
    if value is None:
        return None
    if column.holds in ("address", "hex"):
        return f"0x{int(value):x}"
    if column.holds in ("size", "short", "count", "number"):
        return int(value)
    if column.holds == "percent":
        return float(value)
    if column.holds == "flag":
        return bool(value)
    return str(value)


def to_records(table: Table) -> list[dict[str, Any]]:
    """The rows as dictionaries for JSON."""
    return [
        {column.name: plain_value(value, column) for column, value in zip(table.columns, row, strict=True)}
        for row in table.rows
    ]
