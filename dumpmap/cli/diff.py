"""`dumpmap diff`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dumpmap.cli.common import chosen_page_format, load
from dumpmap.cli.options import ForceOption, OutputOption, PageFormatOption, UnitsOption
from dumpmap.wording.text import Units
from dumpmap.writers.formats import PageFormat

if TYPE_CHECKING:
    from dumpmap.api.comparing import Diff
    from dumpmap.model.region_map import RegionMap


def command(
    before: Annotated[str, typer.Argument(metavar="A", help="The earlier input.", show_default=False)],
    after: Annotated[str, typer.Argument(metavar="B", help="The later input.", show_default=False)],
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=0, help="Maximum number of allocations in the table.")
    ] = 40,
    format: PageFormatOption = None,
    units: UnitsOption = Units.kb,
    output: OutputOption = None,
    force: ForceOption = False,
) -> None:
    """Compare two inputs: each type's growth, added, removed, grown, and shrunk allocations, and new findings.

    dumpmap matches allocations by address and by what they are (module, thread, heap, mapped file), so an allocation
    that only moved does not count as removed. CSV holds all changed allocations, JSON everything. Owners are found by
    structure only, without a search for pointers. HTML is one self-contained page with both address spaces; it leaves
    out the texts that `report` leaves out.

    ```
    dumpmap diff before.dmp after.dmp
    dumpmap diff before.dmp after.dmp -o diff.html
    dumpmap diff monday.json.zst friday.json.zst --format json
    ```
    """
    import dumpmap
    from dumpmap.render.emit import emit, sizes_for
    from dumpmap.views.diff import change_table, diff_document, diff_view

    format = chosen_page_format(format, output)
    maps: list[RegionMap] = [load(before), load(after)]
    if format is PageFormat.html:
        from dumpmap.render.html.writer import shareable

        maps = [shareable(region_map) for region_map in maps]
    with sizes_for(format):
        difference = dumpmap.diff(*maps)
    emit(
        format=format,
        document=lambda: diff_document(difference),
        table=lambda: change_table(difference),
        view=lambda: diff_view(difference, limit),
        page=lambda: _page(difference),
        units=units,
        output=output,
        force=force,
    )


def _page(difference: Diff) -> str:
    from dumpmap.render.html.diff import render_diff

    return render_diff(difference)
