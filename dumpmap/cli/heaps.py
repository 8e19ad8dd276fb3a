"""`dumpmap heaps`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dumpmap.cli.common import Shown, Target, chosen_format, load, show
from dumpmap.cli.options import ForceOption, FormatOption, InputFile, OutputOption, SnapshotOption, UnitsOption
from dumpmap.wording.text import Units
from dumpmap.writers.formats import Format

if TYPE_CHECKING:
    from dumpmap.views.table import Table

SegmentsOption = Annotated[
    bool, typer.Option("--segments", "-s", help="Also list the segments, large blocks, and front end of each heap.")
]
BlocksOption = Annotated[
    bool, typer.Option("--blocks", "-b", help="Also count busy and free blocks by size. Needs a full dump.")
]


def command(
    file: InputFile,
    segments: SegmentsOption = False,
    blocks: BlocksOption = False,
    format: FormatOption = None,
    units: UnitsOption = Units.kb,
    output: OutputOption = None,
    force: ForceOption = False,
    snapshot: SnapshotOption = None,
) -> None:
    """List the heaps: size, fragmentation, and the size of the next segment that each requests.

    Fragmentation is DebugDiag's (1 - largest uncommitted range / all uncommitted bytes); VA fragmentation is WinDbg's
    `!heap -s` (1 - committed / virtual). CSV contains one table: the heaps, the segments, or the blocks.

    ```
    dumpmap heaps crash.dmp
    dumpmap heaps crash.dmp --segments
    dumpmap heaps full.dmp --blocks --format csv
    ```
    """
    from dumpmap.views.heaps import count_blocks, heap_document, heap_table, heap_view, range_table

    target = Target(chosen_format(format, output), units, output, force)
    if target.format is Format.csv and segments and blocks:
        raise typer.BadParameter("CSV contains one table: choose --segments or --blocks, or another --format")
    region_map = load(file, snapshot=snapshot)
    counts = count_blocks(region_map) if blocks else None

    def table() -> Table:
        if counts is not None:
            return counts.table
        return range_table(region_map) if segments else heap_table(region_map)

    shown = Shown(
        document=lambda: heap_document(region_map, segments=segments, blocks=counts),
        table=table,
        view=lambda: heap_view(region_map, segments=segments, blocks=counts),
    )
    show(shown, target)
