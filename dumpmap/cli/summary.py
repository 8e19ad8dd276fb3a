"""`dumpmap summary`."""

from __future__ import annotations

from dumpmap.cli.common import chosen_format, load
from dumpmap.cli.options import (
    ForceOption,
    FormatOption,
    ImagePathOption,
    InputFile,
    OutputOption,
    SnapshotOption,
    UnitsOption,
)
from dumpmap.wording.text import Units


def command(
    file: InputFile,
    format: FormatOption = None,
    units: UnitsOption = Units.kb,
    output: OutputOption = None,
    force: ForceOption = False,
    image_path: ImagePathOption = None,
    snapshot: SnapshotOption = None,
) -> None:
    """Show what took the address space, type by type, as VMMap does.

    Bars for committed and private memory (and the working set, where the input knows it), the table of types, the
    largest free block, and the findings in a line each.

    ```
    dumpmap summary crash.dmp
    dumpmap summary crash.dmp.zst --format json | jq .largest_free_block.size
    dumpmap summary capture.json -o summary.md
    ```
    """
    from dumpmap.render.emit import emit
    from dumpmap.views.documents import summary_document
    from dumpmap.views.summary import summary_blocks
    from dumpmap.views.views import summary_table

    format = chosen_format(format, output)
    region_map = load(file, image_path=image_path, snapshot=snapshot)
    emit(
        format=format,
        document=lambda: summary_document(region_map, region_map.findings()),
        table=lambda: summary_table(region_map),
        view=lambda: summary_blocks(region_map, region_map.findings()),
        units=units,
        output=output,
        force=force,
    )
