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
        int, typer.Option("--limit", "-n", min=0, help="At most this many allocations in the table.")
    ] = 40,
    format: FormatOption = None,
    units: UnitsOption = Units.kb,
    output: OutputOption = None,
    force: ForceOption = False,
) -> None:
    """Compare two inputs: what each type gained, which allocations came, went, grew or shrank, which findings are new.

    Allocations are matched by address and by what they are (module, thread, heap, mapped file), so one that only
    moved is not counted as gone. CSV carries all changed allocations; JSON everything.

    ```
    dumpmap diff before.dmp after.dmp
    dumpmap diff monday.json.zst friday.json.zst --format json
    ```
    """
    from dumpmap.analysis.diff import diff
    from dumpmap.render.emit import emit
    from dumpmap.views.compare import change_table, diff_blocks

    format = chosen_format(format, output)
    difference = diff(load(before), load(after))
    emit(
        format=format,
        document=difference.to_dict,
        table=lambda: change_table(difference),
        view=lambda: diff_blocks(difference, limit),
        units=units,
        output=output,
        force=force,
    )
