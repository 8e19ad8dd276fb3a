"""`dumpmap heaps`."""

from __future__ import annotations

from typing import Annotated

import typer

from dumpmap.cli.common import chosen_format, load
from dumpmap.cli.options import ForceOption, FormatOption, InputFile, OutputOption, SnapshotOption, UnitsOption
from dumpmap.wording.text import Units
from dumpmap.writers.formats import Format


def command(
    file: InputFile,
    segments: Annotated[
        bool, typer.Option("--segments", "-s", help="Also list each heap's segments, large blocks and front end.")
    ] = False,
    blocks: Annotated[
        bool, typer.Option("--blocks", "-b", help="Also count busy and free blocks by size; needs a full dump.")
    ] = False,
    format: FormatOption = None,
    units: UnitsOption = Units.kb,
    output: OutputOption = None,
    force: ForceOption = False,
    snapshot: SnapshotOption = None,
) -> None:
    """List the heaps: size, fragmentation, and the next segment each will ask for.

    Fragmentation is DebugDiag's (1 - largest uncommitted range / all uncommitted bytes), VA fragmentation WinDbg's
    `!heap -s` (1 - committed / virtual). CSV is one table: the heaps, or what --segments or --blocks ask for.

    ```
    dumpmap heaps crash.dmp
    dumpmap heaps crash.dmp --segments
    dumpmap heaps full.dmp --blocks --format csv
    ```
    """
    from dumpmap.render.emit import emit
    from dumpmap.views.heaps import block_table, heap_document, heap_table, heaps_view, range_table
    from dumpmap.views.table import Table

    format = chosen_format(format, output)
    if format is Format.csv and segments and blocks:
        raise typer.BadParameter("CSV is one table: take --segments or --blocks, or another --format")
    region_map = load(file, snapshot=snapshot)
    statistics = block_table(region_map) if blocks else None

    def table() -> Table:
        if statistics is not None:
            return statistics.table
        return range_table(region_map) if segments else heap_table(region_map)

    emit(
        format=format,
        document=lambda: heap_document(region_map, segments=segments, blocks=statistics),
        table=table,
        view=lambda: heaps_view(region_map, segments=segments, blocks=statistics),
        units=units,
        output=output,
        force=force,
    )
