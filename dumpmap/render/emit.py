"""One result in the format that was asked for, on standard output or in a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dumpmap.views.blocks import View
from dumpmap.views.table import Table
from dumpmap.wording.text import Units
from dumpmap.writers.formats import Format
from dumpmap.writers.output import write_text


def emit(
    *,
    format: Format,
    document: Callable[[], Any],
    table: Callable[[], Table],
    view: Callable[[], View] | None = None,
    units: Units = Units.kb,
    output: str | None = None,
    force: bool = False,
) -> None:
    """Writes one result. Only what the format needs is made.

    Args:
        format: which of the following to write.
        document: makes the JSON document.
        table: makes the CSV table; also the text and the Markdown if there is no `view`.
        view: makes the blocks for text and Markdown.
        units: of sizes in text and Markdown.
        output: a file; standard output where None or `-`.
        force: overwrite the file.

    Raises:
        OutputError: the output cannot be written.
    """
    write_text(_text(format, document, table, view, units, output), output, force=force)


def _text(
    format: Format,
    document: Callable[[], Any],
    table: Callable[[], Table],
    view: Callable[[], View] | None,
    units: Units,
    output: str | None,
) -> str:
    if format is Format.json:
        from dumpmap.render.plain import to_json

        return to_json(document())
    if format is Format.csv:
        from dumpmap.render.plain import to_csv

        return to_csv(table())
    blocks = view() if view is not None else [table()]
    if format is Format.markdown:
        from dumpmap.render.markdown import to_markdown

        return to_markdown(blocks, units)
    from dumpmap.render.terminal import terminal, to_text

    color, width = terminal(output)
    return to_text(blocks, units, color=color, width=width)
