"""Lines of the `browse` screen as pieces of text with a style; what shows them is in `panes`."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style

from dumpmap.model.types import TYPES, RegionType
from dumpmap.render.bars import CUT, LETTERS, MARKS
from dumpmap.views.browse.items import Flags
from dumpmap.views.browse.levels import Row
from dumpmap.views.strip import Cell
from dumpmap.wording.text import address_text, printable

_FIGURE = 9
_BAR = "█"
_PLAIN = Style.null()
_SELECTED = Style(reverse=True)
_DIM = Style(dim=True)
_STRONG = Style(bold=True)

_ROOM_FOR_COMMITTED = 72
_ROOM_FOR_BAR = 92
_BAR_WIDTH = 12


def fitted(text: str, width: int) -> str:
    """Returns a text in exactly so many columns; one that is too long ends in an ellipsis."""
    text = printable(text)
    if cell_len(text) > width:
        return set_cell_size(text, max(width - 1, 0)) + "…"[: max(width, 0)]
    return set_cell_size(text, max(width, 0))


def type_mark(region_type: RegionType | None, color: bool) -> Segment:
    """The letter of a type, in its colour."""
    if region_type is None:
        return Segment(" ", _PLAIN)
    style = Style(color="#000000", bgcolor=TYPES[region_type].color) if color else _PLAIN
    return Segment(MARKS[region_type], style)


def bar(value: int, largest: int, width: int) -> str:
    """A bar; what is not zero has at least one cell."""
    if value <= 0 or largest <= 0:
        return " " * width
    return (_BAR * max(1, min(width, round(value * width / largest)))).ljust(width)


def row_line(row: Row, *, address_width: int, largest: int, width: int, selected: bool, color: bool) -> list[Segment]:
    """Draws a row of the tree; columns that find no room give way to the label.

    Several ranges have no address of their own, so their label takes its place.
    """
    style = _SELECTED if selected else _PLAIN
    figures = f" {row.size_text:>{_FIGURE}}"
    if width >= _ROOM_FOR_COMMITTED:
        figures += f" {row.committed_text if row.committed else '':>{_FIGURE}}"
    if width >= _ROOM_FOR_BAR:
        figures += f" {bar(abs(row.size), largest, _BAR_WIDTH)}"
    if row.single:
        figures += f" {address_text(row.base, address_width)}"
    mark = type_mark(row.type, color)
    begin = ">" if row.opens else " "
    room = width - 2 - len(figures)
    return [Segment(begin, style), mark, Segment(figures + fitted(f" {row.label}", room), style)]


def heading_line(width: int, sort: str) -> list[Segment]:
    """Draws the headings of the tree's columns."""
    text = f"  {'Size':>{_FIGURE + 1}}"
    if width >= _ROOM_FOR_COMMITTED:
        text += f" {'Committed':>{_FIGURE}}"
    if width >= _ROOM_FOR_BAR:
        text += " " * (_BAR_WIDTH + 1)
    return [Segment(fitted(f"{text} What (by {sort})", width), _DIM)]


def side_line(row: Row, *, largest: int, width: int, selected: bool, color: bool) -> list[Segment]:
    """Draws a type or an owner with its size and a bar."""
    style = _SELECTED if selected else _PLAIN
    bars = max(3, min(_BAR_WIDTH, width - 32))
    name = width - 3 - _FIGURE - bars
    text = f" {fitted(row.label, name)}{row.size_text:>{_FIGURE}} "
    fill = Style(color=TYPES[row.type].color) if color and row.type is not None and not selected else style
    return [type_mark(row.type, color), Segment(text, style), Segment(bar(row.size, largest, bars), fill)]


def title_line(text: str, width: int) -> list[Segment]:
    """Draws a heading."""
    return [Segment(fitted(text, width), _STRONG)]


def text_line(text: str, width: int, *, dim: bool = False) -> list[Segment]:
    """Draws a line of text."""
    return [Segment(fitted(text, width), _DIM if dim else _PLAIN)]


def strip_line(cells: Sequence[Cell], color: bool) -> list[Segment]:
    """Draws the address space."""
    line = []
    for cell in cells:
        if cell.cut:
            line.append(Segment(CUT, _DIM))
        elif color and cell.type is not RegionType.FREE:
            line.append(Segment(_BAR, Style(color=TYPES[cell.type].color)))
        else:
            line.append(Segment(MARKS[cell.type], _PLAIN if cell.type in LETTERS else _DIM))
    return line


def marks_line(marks: Flags, width: int) -> list[Segment]:
    """Draws which cells of the strip are selected."""
    text = "".join("^" if mark else " " for mark in marks.tolist())
    return [Segment(text.ljust(width), _STRONG)]
