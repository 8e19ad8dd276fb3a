"""Tables on a terminal, drawn for the room there is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from dumpmap.render.folding import FoldedText, folded, longest_number, width_of
from dumpmap.views.table import Column, Table, cell_text
from dumpmap.wording.text import Units

_LEAST_TEXT = 12
"""A text column is at least this wide, unless its texts are shorter."""

_SHRINKING = (
    "details",
    "path",
    "evidence",
    "meaning",
    "detail",
    "status",
    "name",
    "kind",
    "message",
    "file",
    "before",
    "after",
)
"""Text columns whose cells may be folded. All other cells are shown whole, however narrow the terminal."""

_LEAST_COLUMNS = 2
"""However narrow the terminal, it shows so many columns."""

_BETWEEN = 2
"""Blanks between two columns."""


class FittedTable:
    """A table that fits its terminal.

    rich narrows every column when room is short, and `1,668,672` cut to `1,668,` is a wrong number. This class folds
    texts first, then moves the columns with `below` under their row, then omits optional columns and names them. On a
    terminal that is narrower than that, the last columns give way, too: two of them always stay.
    """

    def __init__(self, table: Table, units: Units) -> None:
        self._table = table
        self._units = units

    def __rich_console__(self, console: Any, options: Any) -> Any:
        from rich.text import Text

        fields = _fields(self._table, self._units)
        below: list[_Field] = []
        if _total([field.least for field in fields]) > options.max_width:
            below = sorted((field for field in fields if field.column.below), key=lambda field: field.column.below)
            fields = [field for field in fields if not field.column.below]
        left_out: list[_Field] = []
        while _total([field.least for field in fields]) > options.max_width:
            # Omit empty columns first, then those with the highest number, then those on the right.
            spare = [(not field.empty, -field.column.optional, -place) for place, field in enumerate(fields)]
            candidates = [key for key, field in zip(spare, fields, strict=True) if field.column.optional]
            if not candidates and len(fields) <= _LEAST_COLUMNS:
                break
            left_out.append(fields.pop(-min(candidates)[2] if candidates else -1))
        widths = _widths(fields, options.max_width)
        width = max(options.max_width, _total(widths))
        wide = options.update(width=width)
        yield from _draw(console, wide, fields, widths, below, self._table.title, len(self._table.rows))
        names = [field.column.title for field in reversed(left_out) if not field.empty]
        if names:
            yield Text(f"No room for {', '.join(names)}. Use a wider terminal or --format csv", style="dim")


class _Field:
    """A column with its texts, ready to be drawn.

    Attributes:
        column: the column.
        heading: its heading, with the unit.
        cells: its texts.
        shrinks: whether these may be folded.
        empty: whether all of them are empty.
        least: the least width: a heading is folded at its blanks, a text outside of its numbers, and a figure never.
        whole: the width at which nothing is folded.
    """

    def __init__(self, column: Column, heading: str, cells: list[str]) -> None:
        widest = max(map(width_of, cells), default=0)
        self.column = column
        self.heading = heading
        self.cells = cells
        folds = column.name in _SHRINKING if column.folds is None else column.folds
        self.shrinks = column.holds == "text" and folds
        self.empty = widest == 0
        least = widest
        if self.shrinks and widest > _LEAST_TEXT:
            least = max(_LEAST_TEXT, max(map(longest_number, cells)))
        self.least = max(least, *map(len, heading.split()))
        self.whole = max(len(heading), widest)


def _fields(table: Table, units: Units) -> list[_Field]:
    """Returns the columns to show, without flags that no row has."""
    return [
        _Field(
            column,
            column.heading_in(units),
            [cell_text(row[index], column, units, table.address_width) for row in table.rows],
        )
        for index, column in enumerate(table.columns)
        if column.shown and (column.holds != "flag" or any(row[index] for row in table.rows))
    ]


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _BETWEEN * (len(widths) - 1)


def _widths(fields: Sequence[_Field], room: int) -> list[int]:
    """Returns the width of each column. Spare room goes to texts first, then to headings."""
    widths = [field.least for field in fields]
    spare = room - _total(widths)
    for texts in (True, False):
        wanting = [place for place, field in enumerate(fields) if field.shrinks == texts]
        # The narrowest first: it leaves what it does not need to the others.
        wanting.sort(key=lambda place: fields[place].whole)
        for number, place in enumerate(wanting):
            more = max(0, min(fields[place].whole - widths[place], spare // (len(wanting) - number)))
            widths[place] += more
            spare -= more
    return widths


def _draw(
    console: Any,
    options: Any,
    fields: Sequence[_Field],
    widths: Sequence[int],
    below: Sequence[_Field],
    title: str | None,
    rows: int,
) -> Iterator[Any]:
    """Draws the table. The texts of `below` go under each row, and so do their headings.

    This function draws rows whose texts all fit; rich folds the others, which takes many times longer.
    """
    from rich.padding import Padding
    from rich.segment import Segment
    from rich.text import Text

    from dumpmap.model.types import BY_NAME, TYPES

    def under(texts: Iterable[str]) -> Iterator[Any]:
        line = "  ".join(filter(None, texts))
        if line and line.isprintable() and width_of(line) <= options.max_width - _BETWEEN:
            yield Segment(f"{' ' * _BETWEEN}{line}\n")
        elif line:
            yield from console.render(Padding(FoldedText(line), (0, 0, 0, _BETWEEN), expand=False), options)

    if title is not None:
        yield from console.render(Text(title, style="table.title"), options)
    headings = [Text(field.heading, style="table.header") for field in fields]
    yield from console.render(_row(fields, widths, headings, "bottom"), options)
    yield from under([field.heading for field in below])
    yield Segment("─" * (options.max_width if below else _total(widths)) + "\n")
    styles = {name: console.get_style(TYPES[region_type].color) for name, region_type in BY_NAME.items()}
    for row in range(rows):
        texts = [field.cells[row] for field in fields]
        colors = [
            styles.get(text.lower()) if field.column.name == "type" else None
            for field, text in zip(fields, texts, strict=True)
        ]
        if all(text.isprintable() and width_of(text) <= width for text, width in zip(texts, widths, strict=True)):
            for place, (field, width, text, color) in enumerate(zip(fields, widths, texts, colors, strict=True)):
                blanks = " " * (width - width_of(text))
                if field.column.numeric:
                    yield Segment(blanks)
                    blanks = ""
                yield Segment(text, color)
                yield Segment(blanks + ("\n" if place == len(fields) - 1 else " " * _BETWEEN))
        else:
            cells = [
                Text("\n".join(folded(text, width)), style=color or "")
                for text, width, color in zip(texts, widths, colors, strict=True)
            ]
            yield from console.render(_row(fields, widths, cells, "top"), options)
        yield from under([field.cells[row] for field in below])


def _row(fields: Sequence[_Field], widths: Sequence[int], cells: Iterable[Any], vertical: Any) -> Any:
    """Returns one row as a grid of its own."""
    from rich.table import Table as RichTable

    grid = RichTable.grid(padding=(0, _BETWEEN, 0, 0))
    for field, width in zip(fields, widths, strict=True):
        grid.add_column(
            justify="right" if field.column.numeric else "left", width=width, overflow="fold", vertical=vertical
        )
    grid.add_row(*cells)
    return grid
