"""`dumpmap report`."""

from __future__ import annotations

from typing import Annotated

import typer

from dumpmap.cli.common import load
from dumpmap.cli.options import ForceOption, ImagePathOption, InputFile, SnapshotOption


def command(
    file: InputFile,
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="FILE", help="The page: an .html file. - is standard output.", show_default=False
        ),
    ],
    force: ForceOption = False,
    image_path: ImagePathOption = None,
    snapshot: SnapshotOption = None,
) -> None:
    """Write a self-contained page: bars, findings, the map of the address space, and every region with its evidence.

    The page needs no network and can be sent as one file.

    ```
    dumpmap report crash.dmp -o crash.html
    ```
    """
    from dumpmap.writers.output import check_target
    from dumpmap.writers.suffixes import choose_format

    try:
        choose_format(output, None, ["html"], "html")
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    check_target(output, force=force)
    load(file, image_path=image_path, snapshot=snapshot).to_html(output, force=force)
