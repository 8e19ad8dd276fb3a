"""`dumpmap timeline`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dumpmap.cli.common import chosen_page_format, load
from dumpmap.cli.options import ForceOption, OutputOption, PageFormatOption, UnitsOption
from dumpmap.wording.text import Units

if TYPE_CHECKING:
    from dumpmap.wording.timeline import NamedGrowth


def command(
    files: Annotated[list[str], typer.Argument(metavar="A B C...", help="Two or more inputs.", show_default=False)],
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=0, help="Maximum number of groups in the table.")
    ] = 20,
    confidence: Annotated[
        float,
        typer.Option(
            "--confidence", metavar="SHARE", help="Confidence of the intervals around growth rates, between 0 and 1."
        ),
    ] = 0.95,
    format: PageFormatOption = None,
    units: UnitsOption = Units.kb,
    output: OutputOption = None,
    force: ForceOption = False,
) -> None:
    """Follow a process over several inputs: how fast each type grows, what keeps growing, when space runs out.

    CSV holds every value of every series, one per row, JSON everything. Owners are found by structure only, without a
    search for pointers. HTML is one self-contained page with charts by type and by owner.

    ```
    dumpmap capture app.exe -o app.json --interval 60 --count 30
    dumpmap timeline app-*.json
    dumpmap timeline app-*.json -o app.html
    ```
    """
    import dumpmap
    from dumpmap.render.emit import emit, sizes_for
    from dumpmap.views.timeline import timeline_document, timeline_view, value_table

    format = chosen_page_format(format, output)
    if len(files) < 2:
        raise typer.BadParameter("a timeline needs at least two inputs")
    if not 0 < confidence < 1:
        raise typer.BadParameter("--confidence must be above 0 and below 1")
    with sizes_for(format):
        growth = dumpmap.timeline(map(load, files), confidence=confidence)
    emit(
        format=format,
        document=lambda: timeline_document(growth),
        table=lambda: value_table(growth),
        view=lambda: timeline_view(growth, limit),
        page=lambda: _page(growth),
        units=units,
        output=output,
        force=force,
    )


def _page(growth: NamedGrowth) -> str:
    from dumpmap.render.html.timeline import render_timeline

    return render_timeline(growth)
