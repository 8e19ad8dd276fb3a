"""One result in the format that was asked for, on standard output or in a file."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from dumpmap.model.sizes import for_people
from dumpmap.views.blocks import View
from dumpmap.views.table import Table
from dumpmap.wording.text import Units
from dumpmap.writers.formats import Format, PageFormat
from dumpmap.writers.output import is_standard_output, write_parts


def emit(
    *,
    format: Format | PageFormat,
    document: Callable[[], Any],
    table: Callable[[], Table],
    view: Callable[[], View] | None = None,
    page: Callable[[], str] | None = None,
    units: Units = Units.kb,
    output: str | None = None,
    force: bool = False,
    pager: bool = False,
) -> None:
    """Writes one result. Only what the format needs is made.

    Args:
        format: which of the following to write.
        document: makes the JSON document.
        table: makes the CSV table; also the text and the Markdown if there is no `view`.
        view: makes the blocks for text and Markdown.
        page: makes the HTML page of a command that writes one.
        units: of sizes in text and Markdown.
        output: a file; standard output where None or `-`.
        force: overwrite the file.
        pager: show a long text on a terminal in the pager.

    Raises:
        OutputError: the output cannot be written.
    """
    if page is not None and format == PageFormat.html:
        # Made before the file is opened, so that a page that fails does not replace one that did not.
        write_parts(iter([page()]), output, force=force)
        return
    plain = Format(format)
    with sizes_for(plain):
        parts = _parts(plain, document, table, view, units, output)
        if pager and plain is Format.table and (output is None or is_standard_output(output)):
            from dumpmap.render.pager import paged

            parts = paged(parts)
        write_parts(parts, output, force=force)


def sizes_for(format: Format | PageFormat) -> contextlib.AbstractContextManager[None]:
    """Writes sizes in the unit that was asked for if the format is for people."""
    return for_people() if format in (Format.table, Format.markdown) else contextlib.nullcontext()


def _parts(
    format: Format,
    document: Callable[[], Any],
    table: Callable[[], Table],
    view: Callable[[], View] | None,
    units: Units,
    output: str | None,
) -> Iterator[str]:
    if format is Format.json:
        from dumpmap.render.plain import json_parts

        return json_parts(document())
    if format is Format.csv:
        from dumpmap.render.plain import csv_parts

        return csv_parts(table())
    blocks = view() if view is not None else [table()]
    if format is Format.markdown:
        from dumpmap.render.markdown import markdown_parts

        return markdown_parts(blocks, units)
    from dumpmap.render.terminal import terminal, text_parts

    color, width = terminal(output)
    return text_parts(blocks, units, color=color, width=width)
