"""`dumpmap modules`."""

from __future__ import annotations

from typing import Annotated

import typer

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
from dumpmap.wording.text import Units

ThirdPartyOption = Annotated[
    bool,
    typer.Option(
        "--third-party",
        help="Show only modules that are not Microsoft's, by the company in their version resource or, without it, by "
        "their path. Modules with neither are named below the table.",
    ),
]


def command(
    file: InputFile,
    third_party: ThirdPartyOption = False,
    format: FormatOption = None,
    units: UnitsOption = Units.kb,
    output: OutputOption = None,
    force: ForceOption = False,
    image_path: ImagePathOption = None,
    snapshot: SnapshotOption = None,
) -> None:
    """List the loaded modules by address, with their versions and their committed and private memory.

    The version is the file's. Product version and company come from the version resource, if the input contains it.

    ```
    dumpmap modules crash.dmp
    dumpmap modules crash.dmp --third-party
    dumpmap modules crash.dmp --format csv
    ```
    """
    from dumpmap.views.modules import module_document, module_table, module_view

    target = Target(chosen_format(format, output), units, output, force)
    region_map = load(file, image_path=image_path, snapshot=snapshot)
    shown = Shown(
        document=lambda: module_document(region_map, third_party=third_party),
        table=lambda: module_table(region_map, third_party=third_party),
        view=lambda: module_view(region_map, third_party=third_party),
    )
    show(shown, target)
