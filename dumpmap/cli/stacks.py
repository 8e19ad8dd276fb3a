"""`dumpmap stacks`."""

from __future__ import annotations

from dumpmap.cli.common import load
from dumpmap.cli.options import (
    ForceOption,
    FormatOption,
    ImagePathOption,
    InputFile,
    OutputOption,
    SnapshotOption,
    UnitsOption,
)
from dumpmap.render.tables import Format
from dumpmap.render.text import Units


def command(
    file: InputFile,
    format: FormatOption = Format.table,
    units: UnitsOption = Units.kb,
    output: OutputOption = None,
    force: ForceOption = False,
    image_path: ImagePathOption = None,
    snapshot: SnapshotOption = None,
) -> None:
    """List every thread's stack: reserve, commit, guard pages, and what is left to grow into.

    ```
    dumpmap stacks crash.dmp
    dumpmap stacks crash.dmp --format csv | sort -t, -k7 -n
    ```
    """
    from dumpmap.render.documents import head
    from dumpmap.render.output import emit
    from dumpmap.render.tables import to_records
    from dumpmap.render.views import stack_table

    region_map = load(file, image_path=image_path, snapshot=snapshot)
    table = stack_table(region_map)
    document = {**head("dumpmap.stacks/1", region_map), "stacks": to_records(table)}
    emit(format=format, document=document, table=table, units=units, output=output, force=force)
