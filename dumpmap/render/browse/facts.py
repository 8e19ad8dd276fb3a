"""The details of `browse` in few lines: facts stand beside each other where there is room."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dumpmap.render.folding import folded, width_of
from dumpmap.render.terminal import to_text
from dumpmap.views.blocks import Block, Fact, Facts
from dumpmap.wording.text import Units, printable

_COLUMN = 38
"""The least width of a column of facts."""

_GAP = 2


def detail_lines(blocks: Iterable[Block], width: int) -> list[str]:
    """Returns blocks as lines of at most `width` columns, without empty lines."""
    lines: list[str] = []
    for block in blocks:
        if isinstance(block, Facts):
            lines += _fact_lines(block.rows, width)
        else:
            lines += [line for line in to_text([block], Units.auto, width=width).split("\n") if line]
    return lines


def _fact_lines(facts: Sequence[Fact], width: int) -> list[str]:
    """Fills columns from left to right; a fact that is wider than a column has lines of its own."""
    count = max(1, (width + _GAP) // (_COLUMN + _GAP))
    column = (width - _GAP * (count - 1)) // count
    lines: list[str] = []
    cells: list[str] = []

    def end_line() -> None:
        if cells:
            lines.append((" " * _GAP).join(cells).rstrip())
            cells.clear()

    for fact in facts:
        text = printable(f"{fact.label}: {fact.text}")
        if width_of(text) > column:
            end_line()
            lines += folded(text, width)
            continue
        cells.append(text + " " * (column - width_of(text)))
        if len(cells) == count:
            end_line()
    end_line()
    return lines
