"""`dumpmap summary`."""

from __future__ import annotations

from dumpmap.cli.common import Shown, Target, chosen_format, load, show
from dumpmap.cli.options import (
    ForceOption,
    FormatOption,
    ImagePathOption,
    InputFile,
    OutputOption,
    SnapshotOption,
    UnitsOption,
)
from dumpmap.cli.owners_search import OwnersFrom, OwnersOption, search_pointers
from dumpmap.wording.text import Units


def command(
    file: InputFile,
    owners: OwnersOption = OwnersFrom.structure,
    format: FormatOption = None,
    units: UnitsOption = Units.kb,
    output: OutputOption = None,
    force: ForceOption = False,
    image_path: ImagePathOption = None,
    snapshot: SnapshotOption = None,
) -> None:
    """Show what uses the address space, by type, as VMMap does.

    The output begins with the verdict and the exception. Bars show the address space, committed and private memory, and
    the working set if the input records it; the strip shows the whole address space, 256 MB a row in a 32-bit process.
    Then come the table of types, the largest free block, the largest owners of private memory, and one line per
    finding.

    ```
    dumpmap summary crash.dmp
    dumpmap summary crash.dmp --owners full
    dumpmap summary crash.dmp.zst --format json | jq .largest_free_block.size
    dumpmap summary capture.json -o summary.md
    ```
    """
    from dumpmap.views.summary import summary_document, summary_table, summary_view

    target = Target(chosen_format(format, output), units, output, force)
    region_map = search_pointers(load(file, image_path=image_path, snapshot=snapshot), owners, image_path)

    shown = Shown(
        document=lambda: summary_document(region_map, region_map.findings()),
        table=lambda: summary_table(region_map),
        view=lambda: summary_view(region_map, region_map.findings()),
    )
    show(shown, target)
