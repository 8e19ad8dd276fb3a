"""`dumpmap stacks`."""

from __future__ import annotations

from dumpmap.cli.common import chosen_format, load, show_rows
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
    """List every thread's stack: reserve, commit, guard pages, and what is left to grow into.

    ```
    dumpmap stacks crash.dmp
    dumpmap stacks crash.dmp --format csv | sort -t, -k7 -n
    ```
    """
    from dumpmap.views.views import stack_table

    format = chosen_format(format, output)
    region_map = load(file, image_path=image_path, snapshot=snapshot)
    show_rows("stacks", region_map, stack_table(region_map), format=format, units=units, output=output, force=force)
