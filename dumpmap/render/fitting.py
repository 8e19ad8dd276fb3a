"""Tables on a terminal, drawn for the room there is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from dumpmap.render.folding import folded, longest_number, shortened, width_of
from dumpmap.views.cells import Piece, Script, TableTexts, pieces
from dumpmap.views.table import Column, Table, cell_text
from dumpmap.wording.text import Units

_LEAST_TEXT = 12
"""A text column is at least this wide, unless its texts are shorter."""

_SHORTENED = (
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
"""Text columns whose cells may be shortened. All other cells are shown whole, however narrow the terminal."""

_LEAST_COLUMNS = 2
"""However narrow the terminal, it shows so many columns."""

_BETWEEN = 2
"""Blanks between two columns."""


class FittedTable:
    """A table that fits its terminal, each row on one line.

    rich narrows every column when room is short, and `1,668,672` cut to `1,668,` is a wrong number. This class shortens
    texts to their `room` first, then moves the columns with `below` under their row, then omits optional columns and
    names them. On a terminal that is narrower than that, texts are shortened further, and then the last columns give
    way, too: two of them always stay. Only prose and what is under a row are folded.
    """

    def __init__(self, table: Table, units: Units) -> None:
        self._table = table
        self._units = units

    def __rich_console__(self, console: Any, options: Any) -> Any:
        for part in self.parts(console, options):
            yield from part

    def parts(self, console: Any, options: Any) -> Iterator[Iterable[Any]]:
        """Yields what rich draws, in parts that end with a line: a long table is drawn piece by piece."""
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
            if candidates:
                left_out.append(fields.pop(-min(candidates)[2]))
            elif any(field.narrow() for field in fields):
                continue
            elif len(fields) > _LEAST_COLUMNS:
                left_out.append(fields.pop())
            else:
                break
        widths = _widths(fields, options.max_width)
        wide = options.update(width=max(options.max_width, _total(widths)))
        drawing = _Drawing(self._table, self._units, console, wide, fields, widths, below)
        yield drawing.head()
        yield from drawing.rows()
        names = [field.column.label for field in reversed(left_out) if not field.empty]
        if names:
            yield [Text(f"No room for {', '.join(names)}. Use a wider terminal or --format csv", style="dim")]


class _Field:
    """A column, ready to be drawn.

    Attributes:
        index: its place in the table.
        column: the column.
        heading: its heading, with the unit.
        shrinks: whether its texts may be shortened or, if they are prose, folded.
        empty: whether all of them are empty.
        least: the least width: a heading is folded at its blanks, a text shortened outside of its numbers, and a figure
            never.
        whole: the width at which all of it is shown.
    """

    def __init__(self, index: int, column: Column, heading: str, widest: int, number: int) -> None:
        self.index = index
        self.column = column
        self.heading = heading
        shortens = column.name in _SHORTENED if column.shortens is None else column.shortens
        self.shrinks = column.holds == "text" and (shortens or column.prose)
        self.empty = widest == 0
        self._number = number
        self._words = max(map(len, heading.split()))
        self.least = max(self._words, min(widest, max(column.room, number)) if self.shrinks else widest)
        self.whole = max(len(heading), widest)

    def narrow(self) -> bool:
        """Shortens the texts as far as they may be; returns whether that made the column narrower."""
        least = max(self._words, _LEAST_TEXT, self._number)
        narrower = self.shrinks and least < self.least
        if narrower:
            self.least = least
        return narrower


def _texts_of(table: Table, units: Units) -> TableTexts:
    """Returns what writes the cells of a table."""
    address = f"0x{{:0{table.address_width}x}}".format
    script = Script(lambda value, column: cell_text(value, column, units, table.address_width), address)
    return TableTexts(table.columns, script)


def _fields(table: Table, units: Units) -> list[_Field]:
    """Returns the columns to show, without flags that no row has."""
    texts = _texts_of(table, units)
    widest, longest = [0] * len(table.columns), [0] * len(table.columns)
    set_flags: set[int] = set()
    for piece in pieces(table):
        for index, (column, cells) in enumerate(zip(table.columns, piece, strict=True)):
            if column.shown:
                different = set(texts.of(index, cells))
                widest[index] = max(widest[index], *map(width_of, different))
                if column.holds == "text":
                    longest[index] = max(longest[index], *map(longest_number, different))
                if column.holds == "flag" and any(cells):
                    set_flags.add(index)
    return [
        _Field(index, column, column.heading_in(units), widest[index], longest[index])
        for index, column in enumerate(table.columns)
        if column.shown and (column.holds != "flag" or index in set_flags)
    ]


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _BETWEEN * (len(widths) - 1)


def _widths(fields: Sequence[_Field], room: int) -> list[int]:
    """Returns the width of each column. Spare room goes to texts first, then to headings."""
    widths = [field.least for field in fields]
    spare = room - _total(widths)
    for texts in (True, False):
        wanting = [place for place, field in enumerate(fields) if field.shrinks == texts and field.whole > field.least]
        # The narrowest first: it leaves what it does not need to the others.
        wanting.sort(key=lambda place: fields[place].whole)
        for number, place in enumerate(wanting):
            more = max(0, min(fields[place].whole - widths[place], spare // (len(wanting) - number)))
            widths[place] += more
            spare -= more
    return widths


_MISFIT = "\0"
"""Stands before a text that lines of their own would not show. What is shown never contains it."""


class _Drawing:
    """Draws a table. The texts of `below` go under each row, and so do their headings.

    It draws rows as lines; rich draws those with prose to fold, which takes many times longer.
    """

    def __init__(
        self,
        table: Table,
        units: Units,
        console: Any,
        options: Any,
        fields: Sequence[_Field],
        widths: Sequence[int],
        below: Sequence[_Field],
    ) -> None:
        from dumpmap.model.types import BY_NAME, TYPES

        self._table, self._fields, self._widths, self._below = table, fields, widths, below
        self._console, self._options = console, options
        self._texts = _texts_of(table, units)
        self._styles = {name: console.get_style(TYPES[type_].color) for name, type_ in BY_NAME.items()}
        room = {field.column.name: width for field, width in zip(fields, widths, strict=True)}

        def padded(value: Any, column: Column) -> str:
            text = cell_text(value, column, units, table.address_width)
            return _padded(text, column, room[column.name])

        self._padded = TableTexts(table.columns, Script(padded))

    def head(self) -> Iterator[Any]:
        """Yields the title, the headings, and a line."""
        from rich.segment import Segment
        from rich.text import Text

        if self._table.title is not None:
            yield from self._console.render(Text(self._table.title, style="table.title"), self._options)
        headings = [Text(field.heading, style="table.header") for field in self._fields]
        yield from self._console.render(_row(self._fields, self._widths, headings, "bottom"), self._options)
        yield from self._under([field.heading for field in self._below])
        width = self._options.max_width if self._below else _total(self._widths)
        yield Segment("─" * width + "\n")

    def rows(self) -> Iterator[list[Any]]:
        """Yields the rows, piece by piece."""
        colored = next((place for place, field in enumerate(self._fields) if field.column.name == "type"), None)
        if self._console.color_system is None:
            colored = None
        for piece in pieces(self._table):
            columns = [self._padded.of(field.index, piece[field.index]) for field in self._fields]
            part: list[Any] = []
            if self._below or colored is not None:
                for row, texts in enumerate(zip(*columns, strict=True)):
                    part += self._folded(piece, row) if _MISFIT in "".join(texts) else self._line(texts, colored)
                    part += self._under(
                        [self._texts.of(field.index, [piece[field.index][row]])[0] for field in self._below]
                    )
            else:
                part += self._lines(piece, columns)
            yield part

    def _lines(self, piece: Piece, columns: list[list[str]]) -> Iterator[Any]:
        """Yields rows without colour and with nothing under them: as one text, unless prose must be folded."""
        from rich.segment import Segment

        between = " " * _BETWEEN
        lines = list(map(between.join, zip(*columns, strict=True)))
        text = "\n".join([*lines, ""])
        if _MISFIT not in text:
            yield Segment(text)
            return
        for row, line in enumerate(lines):
            if _MISFIT in line:
                yield from self._folded(piece, row)
            else:
                yield Segment(f"{line}\n")

    def _line(self, texts: Sequence[str], colored: int | None) -> Iterator[Any]:
        """Yields a row whose texts all fit."""
        from rich.segment import Segment

        between = " " * _BETWEEN
        if colored is None:
            yield Segment(between.join(texts) + "\n")
            return
        before = between.join([*texts[:colored], ""])
        text = texts[colored].rstrip(" ")
        after = between.join([texts[colored][len(text) :], *texts[colored + 1 :]])
        yield Segment(before)
        yield Segment(text, self._styles.get(text.lower()))
        yield Segment(f"{after}\n")

    def _folded(self, piece: Piece, row: int) -> Iterator[Any]:
        """Yields a row with prose that must be folded."""
        from rich.text import Text

        cells = []
        for field, width in zip(self._fields, self._widths, strict=True):
            (text,) = self._texts.of(field.index, [piece[field.index][row]])
            color = self._styles.get(text.lower()) if field.column.name == "type" else None
            lines = folded(text, width) if field.column.prose else [shortened(text, width)]
            cells.append(Text("\n".join(lines), style=color or ""))
        yield from self._console.render(_row(self._fields, self._widths, cells, "top"), self._options)

    def _under(self, texts: Iterable[str]) -> Iterator[Any]:
        """Yields what is under a row, whole: on one line if it fits."""
        from rich.segment import Segment

        blanks = " " * _BETWEEN
        room = self._options.max_width - _BETWEEN
        lines: list[str] = []
        for text in filter(None, texts):
            longer = f"{lines[-1]}{blanks}{text}" if lines else text
            if width_of(longer) <= room:
                lines[-1:] = [longer]
            else:
                lines += folded(text, room)
        if lines:
            yield Segment("".join(f"{blanks}{line}\n" for line in lines))


def _padded(text: str, column: Column, width: int) -> str:
    """Returns a text as wide as its column; prose that has no room there begins with `_MISFIT`."""
    text = text if column.prose else shortened(text, width)
    own = width_of(text)
    if own > width or not text.isprintable():
        return _MISFIT
    blanks = " " * (width - own)
    return blanks + text if column.numeric else text + blanks


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
