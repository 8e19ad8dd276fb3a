"""`dumpmap diff`."""

from __future__ import annotations

from typing import Annotated

import typer

from dumpmap.cli.common import chosen_format, load
from dumpmap.cli.options import ForceOption, FormatOption, OutputOption, UnitsOption
from dumpmap.wording.text import Units


def command(
    before: Annotated[str, typer.Argument(metavar="A", help="The earlier input.", show_default=False)],
    after: Annotated[str, typer.Argument(metavar="B", help="The later input.", show_default=False)],
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=0, help="Maximum number of allocations in the table.")
    ] = 40,
    format: FormatOption = None,
    units: UnitsOption = Units.kb,
    output: OutputOption = None,
    force: ForceOption = False,
) -> None:
    """Compare two inputs: each type's growth, added, removed, grown, and shrunk allocations, and new findings.

    dumpmap matches allocations by address and by what they are (module, thread, heap, mapped file), so an allocation
    that only moved does not count as removed. CSV holds all changed allocations, JSON everything. Owners are found by
    structure only, without a search for pointers.

    ```
    dumpmap diff before.dmp after.dmp
    dumpmap diff monday.json.zst friday.json.zst --format json
    ```
    """
    import dumpmap
    from dumpmap.render.emit import emit
    from dumpmap.views.diff import change_table, diff_document, diff_view

    format = chosen_format(format, output)
    difference = dumpmap.diff(load(before), load(after))
    emit(
        format=format,
        document=lambda: diff_document(difference),
        table=lambda: change_table(difference),
        view=lambda: diff_view(difference, limit),
        units=units,
        output=output,
        force=force,
    )
