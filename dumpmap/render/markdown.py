"""Views and tables as GitHub-flavoured Markdown, to paste into a ticket."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from dumpmap.views.blocks import Blank, Block, Entry, Facts, Heading, Lines, OneLine, Paragraph, Remark, Statements
from dumpmap.views.cells import Script, TableTexts, pieces
from dumpmap.views.table import Column, Table, cell_text
from dumpmap.wording.text import Units, printable


def to_markdown(blocks: Iterable[Block], units: Units = Units.kb) -> str:
    """Returns a view as Markdown: one blank line between blocks, one line break at the end."""
    return "".join(markdown_parts(blocks, units))


def markdown_parts(blocks: Iterable[Block], units: Units = Units.kb) -> Iterator[str]:
    """Yields a view as Markdown; long tables piece by piece."""
    before: Block | None = None
    for block in blocks:
        parts = table_parts(block, units) if isinstance(block, Table) else iter((_markdown(block, units),))
        part = next(parts)
        if part:
            one_list = isinstance(before, Entry) and isinstance(block, Entry)
            yield ("" if before is None else "\n" if one_list else "\n\n") + part
            yield from parts
            before = block
    yield "\n"


def _markdown(block: Block, units: Units) -> str:
    match block:
        case Heading():
            return f"### {markdown_text(block.text)}"
        case Paragraph() | OneLine():
            text = markdown_text(block.text if isinstance(block, Paragraph) else block.texts[0])
            return text if block.style == "plain" else f"**{text}**"
        case Lines():
            return "\n".join(f"- {markdown_text(item)}" for item in block.items)
        case Remark():
            return f"> **{markdown_text(block.label)}** {markdown_text(block.text)}"
        case Facts():
            return "\n".join(f"- **{markdown_text(fact.label)}**: {markdown_text(fact.text)}" for fact in block.rows)
        case Statements():
            return "\n".join(f"- **{row.severity}**: {markdown_text(row.text)}" for row in block.rows)
        case Entry():
            return f"- **{block.severity}** {markdown_text(block.title)} (`{block.id}`): {markdown_text(block.text)}"
        case Blank():
            return ""
        case _:  # bars: the table below them has their figures
            return ""


def markdown_text(text: str) -> str:
    """Returns a text that Markdown shows as it is: no HTML, no link, no image, and no second line.

    Backticks, asterisks, and underscores stay: dumpmap's own sentences use them, and at worst they change the font.
    """
    return _ACTIVE.sub(_escaped, printable(text))


_ACTIVE = re.compile(r"\\+(?=[\[<|&])|[\[<]|&(?=[#A-Za-z])")
"""What begins a link or HTML, and backslashes that would undo the escape before it."""


def _escaped(match: re.Match[str]) -> str:
    found = match[0]
    if found[0] == "\\":
        return found * 2
    return {"<": "&lt;", "&": "&amp;", "[": "\\["}[found]


def table_parts(table: Table, units: Units) -> Iterator[str]:
    """Yields a table as Markdown, piece by piece, without a line break at its end."""
    shown = [index for index, column in enumerate(table.columns) if column.shown]
    columns = [table.columns[index] for index in shown]
    lines = [
        _line(column.heading_in(units) for column in columns),
        _line("---:" if column.numeric else "---" for column in columns),
    ]
    yield "\n".join(lines)

    def cell(value: Any, column: Column) -> str:
        return markdown_text(cell_text(value, column, units, table.address_width)).replace("|", "\\|")

    texts = TableTexts(table.columns, Script(cell))
    for piece in pieces(table):
        rows = zip(*(texts.of(index, piece[index]) for index in shown), strict=True)
        yield "".join([f"\n{_line(row)}" for row in rows])


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
