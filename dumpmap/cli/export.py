"""`dumpmap export`."""

from __future__ import annotations

from typing import Annotated

import typer

from dumpmap.cli.common import load
from dumpmap.cli.options import ForceOption, ImagePathOption, InputFile, SnapshotOption
from dumpmap.writers.formats import ExportFormat


def command(
    file: InputFile,
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The file; its suffix tells the format. - is standard output.",
            show_default=False,
        ),
    ],
    to: Annotated[
        ExportFormat | None,
        typer.Option("--to", help="The format, where the suffix does not tell it.", show_default=False),
    ] = None,
    allocations: Annotated[
        bool, typer.Option("--allocations", help="Flat tables: one row per allocation instead of per region.")
    ] = False,
    force: ForceOption = False,
    image_path: ImagePathOption = None,
    snapshot: SnapshotOption = None,
) -> None:
    """Write the map as a file for another tool: VMMap (.mmp, .csv, .txt), Parquet, JSON lines, Markdown, flat CSV.

    The .mmp and .csv follow VMMap's own files as far as they are known; docs/vmmap.md says how far that is.

    ```
    dumpmap export crash.dmp -o crash.mmp
    dumpmap export crash.dmp -o regions.parquet
    dumpmap export crash.dmp -o regions.csv --to csv
    dumpmap export crash.dmp -o - --to jsonl | grep '"Heap"'
    ```
    """
    from dumpmap.writers.export import BINARY, export, format_of
    from dumpmap.writers.output import check_target
    from dumpmap.writers.suffixes import check_name

    try:
        if to is not None:
            check_name(output, to, "--to")
        chosen = to or format_of(output)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    check_target(output, force=force, binary=chosen in BINARY)
    region_map = load(file, image_path=image_path, snapshot=snapshot)
    export(region_map, output, to=chosen, blocks=not allocations, force=force)
