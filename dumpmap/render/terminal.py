"""Views on a terminal, drawn with rich."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from typing import Any

from dumpmap.render.bars import ENDLESS, drawing
from dumpmap.render.fitting import FittedTable
from dumpmap.render.folding import FoldedText, shortened, width_of
from dumpmap.views.blocks import (
    Bars,
    Blank,
    Block,
    Entry,
    Facts,
    Heading,
    Lines,
    OneLine,
    Paragraph,
    Remark,
    Statements,
    Strip,
    Style,
)
from dumpmap.views.table import Table
from dumpmap.wording.text import Units, printable
from dumpmap.writers.color import has_color
from dumpmap.writers.output import is_standard_output

_STYLES: dict[Style, str] = {
    "plain": "",
    "strong": "bold",
    "muted": "dim",
    "critical": "bold red",
    "warning": "yellow",
    "info": "cyan",
    "good": "green",
}


def terminal(output: str | None = None) -> tuple[bool, int | None]:
    """Returns whether an output takes colour, and its width in columns.

    A pipe gets no colour and lines as long as they need to be; COLUMNS sets the width anywhere. A file is as wide as
    it needs to be.

    Args:
        output: a file; standard output where None or `-`.
    """
    if output is not None and not is_standard_output(output):
        return False, None
    columns = os.environ.get("COLUMNS", "")
    if columns.isdigit() and int(columns) > 0:
        return has_color(), int(columns)
    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    return has_color(), shutil.get_terminal_size().columns if is_terminal else None


def to_text(blocks: Iterable[Block], units: Units = Units.kb, *, color: bool = False, width: int | None = None) -> str:
    """Returns a view as text. Without colour, lines have no trailing blanks; without a width, none is folded."""
    return "".join(text_parts(blocks, units, color=color, width=width))


def text_parts(
    blocks: Iterable[Block], units: Units = Units.kb, *, color: bool = False, width: int | None = None
) -> Iterator[str]:
    """Yields a view as text; long tables piece by piece."""
    from rich.console import Console
    from rich.segment import Segments

    buffer = StringIO()
    console = Console(
        file=buffer,
        force_terminal=color,
        no_color=not color,
        color_system="truecolor" if color else None,
        width=width or ENDLESS,
        highlight=False,
        markup=False,
        emoji=False,
    )
    for renderable in to_rich(blocks, units):
        parts = (
            map(Segments, renderable.parts(console, console.options))
            if isinstance(renderable, FittedTable)
            else (renderable,)
        )
        for part in parts:
            console.print(part, crop=False)
            text = buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
            yield text if color else "\n".join([line.rstrip() for line in text.split("\n")])


def to_rich(blocks: Iterable[Block], units: Units = Units.kb) -> Iterator[Any]:
    """Yields rich renderables, for a notebook or a program with a console of its own."""
    for block in blocks:
        yield from _drawn(block, units)


def _drawn(block: Block, units: Units) -> Iterator[Any]:
    from rich.padding import Padding
    from rich.text import Text

    match block:
        case Table():
            yield FittedTable(block, units)
        case Blank():
            yield _text("")
        case Heading():
            yield _text(block.text, "bold")
        case Paragraph() | OneLine():
            style = _STYLES[block.style]
            yield _prose(block.text, style) if isinstance(block, Paragraph) else _FittedLine(block.texts, style)
        case Lines():
            for item in block.items:
                yield Padding(_prose(item), (0, 0, 0, block.indent), expand=False)
        case Remark():
            yield _grid([(_text(block.label), _prose(block.text))], gap=1, style="dim")
        case Facts():
            yield _grid(
                [(_text(fact.label, "bold"), _prose(fact.text, _STYLES[fact.style])) for fact in block.rows],
                gap=2,
            )
        case Statements():
            yield _grid([(_severity(row.severity), _prose(row.text)) for row in block.rows], gap=1, least=8)
        case Entry():
            head = Text.assemble((printable(block.title), "bold"), (printable(f"  [{block.id}]"), "dim"))
            yield _grid([(_severity(block.severity), head)], gap=2)
            yield Padding(_prose(block.text), (0, 0, 0, 2), expand=False)
        case Bars() | Strip():
            yield drawing(block)


def _text(text: str, style: str = "") -> Any:
    """Every text of a view passes here, or `_prose`: names in a dump can be anybody's."""
    from rich.text import Text

    return Text(printable(text), style=style)


def _prose(text: str, style: str = "") -> FoldedText:
    """A text that keeps a figure and its unit on one line."""
    return FoldedText(printable(text), style)


def _severity(severity: Style) -> Any:
    from rich.text import Text

    # The label's style must not be that of the whole line.
    label = Text()
    label.append(severity, style=_STYLES[severity])
    return label


def _grid(rows: Sequence[tuple[Any, Any]], *, gap: int, least: int | None = None, style: str = "") -> Any:
    """Labels and texts; a folded text stays in its own column."""
    from rich.table import Table as RichTable

    grid = RichTable.grid(padding=(0, gap))
    grid.add_column(no_wrap=True, min_width=least, style=style)
    grid.add_column(overflow="fold", style=style)
    for row in rows:
        grid.add_row(*row)
    return grid


class _FittedLine:
    """The longest form of a text that has room in one line."""

    def __init__(self, texts: Sequence[str], style: str) -> None:
        self._texts = [printable(text) for text in texts]
        self._style = style

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Any]:
        fitting = (text for text in self._texts if width_of(text) <= options.max_width)
        yield _text(next(fitting, shortened(self._texts[-1], options.max_width)), self._style)
