"""Tables of any content: their columns and cells. `dumpmap.render` draws them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from dumpmap.model.types import RegionType
from dumpmap.model.values import value_class
from dumpmap.wording.text import (
    Units,
    address_text,
    cell_size,
    has_own_unit,
    hex_text,
    percent_text,
    printable,
    short_size,
    size_most,
    unit_name,
)

Content = Literal["text", "size", "short", "address", "count", "number", "hex", "percent", "flag"]
"""What a column holds. A count has thousands separators, a number (such as an ID) has none; a short size has its own
unit."""


class LowerBound(int):
    """A size of which only a part is known: people read `>=` in front of it, and JSON and CSV have the number."""


class UpperBound(int):
    """A size of which only an upper bound is known: people read `<=` in front of it."""


class LeftOver(int):
    """How much is left of something, such as free space, in a column of sizes in use: it is rounded down."""


@value_class(frozen=True, slots=True)
class Column:
    """A column: its name in CSV and JSON, what it holds, and its heading for people."""

    name: str
    holds: Content = "text"
    heading: str | None = None
    shown: bool = True
    """Whether text and Markdown show it; CSV and JSON always do."""
    optional: int = 0
    """A narrow table omits the column with the highest number first, and never one with 0."""
    left: bool = False
    """Whether a size is the rest of something, such as headroom, and so rounded down."""
    shortens: bool | None = None
    """Whether a narrow table may shorten the texts, with an ellipsis; None for the default of the column's name."""
    room: int = 12
    """Optional columns leave before the texts of this one are shortened to less."""
    prose: bool = False
    """Whether the texts are sentences, which a narrow table folds and never shortens."""
    help: str = ""
    """What the column says, where no other reference has it."""
    below: int = 0
    """A narrow table puts columns with a number on lines under their row, in ascending order."""

    @property
    def title(self) -> str:
        """The heading."""
        return self.heading or self.name.replace("_", " ").capitalize()

    @property
    def label(self) -> str:
        """The heading, with the figure whose change it is."""
        figure = self.name.removesuffix("_delta").replace("_", " ").capitalize()
        return self.title if self.title[0].isalpha() else f"{figure} {self.title}"

    @property
    def numeric(self) -> bool:
        """Whether it is right-aligned."""
        return self.holds in ("size", "short", "count", "percent")

    def heading_in(self, units: Units) -> str:
        """Returns the heading, with the unit if the column holds sizes."""
        unit = unit_name(units) if self.holds == "size" else ""
        return f"{self.title} ({unit})" if unit else self.title


@value_class(frozen=True, slots=True)
class Table:
    """Rows under columns. None is an unknown value."""

    columns: tuple[Column, ...]
    rows: Sequence[Sequence[Any]]
    address_width: int = 16
    title: str | None = None


def left_over(types: Sequence[str], sizes: Sequence[Any]) -> list[Any]:
    """Marks the sizes of free space, given the type of each row."""
    free = RegionType.FREE.label
    return [LeftOver(size) if name == free else size for name, size in zip(types, sizes, strict=True)]


def shown_columns(table: Table) -> Table:
    """Returns a table without the columns that only CSV and JSON have."""
    kept = [index for index, column in enumerate(table.columns) if column.shown]
    rows = [[row[index] for index in kept] for row in table.rows]
    return replace(table, columns=tuple(table.columns[index] for index in kept), rows=rows)


def cell_text(value: Any, column: Column, units: Units, address_width: int) -> str:
    """Returns a value as text for people."""
    if value is None:
        return ""
    if column.holds == "size":
        size = int(value)
        if isinstance(value, UpperBound):
            own = has_own_unit(size, units) or units is Units.auto
            return f"<= {size_most(size) if own else cell_size(size, units)}"
        least = ">= " if isinstance(value, LowerBound) else ""
        return least + cell_size(size, units, left=column.left or isinstance(value, LeftOver))
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
    """Returns a value for JSON: addresses as hex strings, other values unchanged."""
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
    """Returns the rows as dictionaries for JSON."""
    return [
        {column.name: plain_value(value, column) for column, value in zip(table.columns, row, strict=True)}
        for row in table.rows
    ]
