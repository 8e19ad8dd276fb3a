"""One result in the format that was asked for, on standard output or in a file."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from io import StringIO
from typing import Any

from dumpmap.render.tables import Format, to_csv, to_json, to_markdown, to_rich
from dumpmap.views.table import Table
from dumpmap.wording.text import Units
from dumpmap.writers.output import is_standard_output, write_text


def render_rich(renderables: Sequence[Any], *, color: bool, width: int | None) -> str:
    """Draws rich renderables as text; without colour, lines have no trailing blanks."""
    from rich.console import Console

    buffer = StringIO()
    console = Console(
        file=buffer,
        force_terminal=color,
        no_color=not color,
        color_system="truecolor" if color else None,
        width=width or 10_000,
        highlight=False,
        markup=False,
        emoji=False,
    )
    for renderable in renderables:
        console.print(renderable, crop=False)
    text = buffer.getvalue()
    return text if color else "\n".join(line.rstrip() for line in text.split("\n"))


def terminal(output: str | None = None) -> tuple[bool, int | None]:
    """Whether an output takes colour, and its width in columns.

    A pipe gets no colour and lines as long as they need to be; COLUMNS sets the width anywhere, NO_COLOR turns colour
    off everywhere. A file is as wide as it needs to be.

    Args:
        output: a file; standard output where None or `-`.
    """
    if output is not None and not is_standard_output(output):
        return False, None
    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    color = is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    columns = os.environ.get("COLUMNS", "")
    if columns.isdigit() and int(columns) > 0:
        return color, int(columns)
    return color, shutil.get_terminal_size().columns if is_terminal else None


def emit(
    *,
    format: Format,
    document: Any,
    table: Table,
    view: Sequence[Any] | None = None,
    markdown: str | None = None,
    units: Units = Units.kb,
    output: str | None = None,
    force: bool = False,
) -> None:
    """Writes one result in the format that was asked for.

    Args:
        format: which of the following to use.
        document: what JSON carries.
        table: what CSV carries, and the text table and Markdown where nothing richer is given.
        view: rich renderables for the text table.
        markdown: the Markdown text.
        units: of sizes in text and Markdown.
        output: a file; standard output where None or `-`.
        force: overwrite the file.

    Raises:
        OutputError: it cannot be written.
    """
    if format is Format.json:
        text = to_json(document)
    elif format is Format.csv:
        text = to_csv(table)
    elif format is Format.markdown:
        text = markdown if markdown is not None else to_markdown(table, units)
    else:
        color, width = terminal(output)
        text = render_rich(view if view is not None else [to_rich(table, units)], color=color, width=width)
    write_text(text, output, force=force)
