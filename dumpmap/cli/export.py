"""`dumpmap export`."""

from __future__ import annotations

from typing import Annotated

import typer

from dumpmap.cli.common import load, note, usage_errors
from dumpmap.cli.options import ForceOption, ImagePathOption, InputFile, SnapshotOption
from dumpmap.writers.formats import BINARY_FORMATS, ExportFormat

ExportFileOption = Annotated[
    str,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Output file. Its suffix selects the format. - writes to standard output.",
        show_default=False,
    ),
]
ToOption = Annotated[
    ExportFormat | None,
    typer.Option("--to", help="Format. Default: inferred from the file suffix.", show_default=False),
]
AllocationsOption = Annotated[
    bool, typer.Option("--allocations", help="One row per allocation instead of per region in flat tables.")
]


def command(
    file: InputFile,
    output: ExportFileOption,
    to: ToOption = None,
    allocations: AllocationsOption = False,
    force: ForceOption = False,
    image_path: ImagePathOption = None,
    snapshot: SnapshotOption = None,
) -> None:
    """Export the map for another tool: VMMap (.mmp, .csv, .txt), Parquet, JSON lines, Markdown, or flat CSV.

    The suffixes .mmp, .csv, and .txt mean VMMap's own files as far as these are known; see docs/vmmap.md. For one row
    per region or allocation in CSV, pass --to csv.

    ```
    dumpmap export crash.dmp -o crash.mmp
    dumpmap export crash.dmp -o regions.parquet
    dumpmap export crash.dmp -o regions.csv --to csv
    dumpmap export crash.dmp -o - --to jsonl | grep '"Heap"'
    ```
    """
    from dumpmap.render.export import export
    from dumpmap.writers.output import check_target
    from dumpmap.writers.suffixes import choose_format

    with usage_errors():
        chosen = choose_format(output, to, list(ExportFormat), option="--to")
    check_target(output, force=force, binary=chosen in BINARY_FORMATS)
    if chosen is ExportFormat.vmmap_csv and to is None:
        note(f"{output}: writing VMMap's CSV; pass --to csv for one row per region")
    region_map = load(file, image_path=image_path, snapshot=snapshot)
    export(region_map, output, chosen, blocks=not allocations, force=force)
