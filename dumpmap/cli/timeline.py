"""`dumpmap timeline`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from dumpmap.cli.common import chosen_format, load
from dumpmap.cli.options import ForceOption, FormatOption, OutputOption, UnitsOption
from dumpmap.wording.text import Units

if TYPE_CHECKING:
    from dumpmap.model.region_map import RegionMap


def command(
    files: Annotated[list[str], typer.Argument(metavar="A B C...", help="Two inputs or more.", show_default=False)],
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="At most this many groups in the table.")] = 20,
    confidence: Annotated[float, typer.Option("--confidence", help="Of the intervals around a rate of growth.")] = 0.95,
    format: FormatOption = None,
    units: UnitsOption = Units.kb,
    output: OutputOption = None,
    force: ForceOption = False,
) -> None:
    """Follow a process over several inputs: how fast each type grows, what keeps growing, when the space is used up.

    CSV carries every value of every series, a row each; JSON everything.

    ```
    dumpmap capture app.exe -o app.json --interval 60 --count 30
    dumpmap timeline app-*.json
    ```
    """
    from dumpmap.analysis.timeline import timeline
    from dumpmap.render.emit import emit
    from dumpmap.views.compare import timeline_blocks, timeline_table

    format = chosen_format(format, output)

    def maps() -> Iterator[RegionMap]:
        for file in files:
            yield load(file)

    if len(files) < 2:
        raise typer.BadParameter("a timeline takes two inputs or more")
    if not 0 < confidence < 1:
        raise typer.BadParameter("the confidence lies between 0 and 1")
    line = timeline(maps(), confidence=confidence)
    emit(
        format=format,
        document=line.to_dict,
        table=lambda: timeline_table(line),
        view=lambda: timeline_blocks(line, limit),
        units=units,
        output=output,
        force=force,
    )
