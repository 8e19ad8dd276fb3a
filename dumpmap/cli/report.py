"""`dumpmap report`."""

from __future__ import annotations

from typing import Annotated

import typer

from dumpmap.cli.common import load, usage_errors
from dumpmap.cli.options import (
    ForceOption,
    ImagePathOption,
    InputFile,
    KeepTextOption,
    RedactOption,
    SnapshotOption,
)
from dumpmap.cli.owners_search import OwnersFrom, OwnersOption, search_pointers

PageOption = Annotated[
    str,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Report file: .html. - writes to standard output.",
        show_default=False,
    ),
]


def command(
    file: InputFile,
    output: PageOption,
    keep_text: KeepTextOption = False,
    force: ForceOption = False,
    image_path: ImagePathOption = None,
    redact: RedactOption = False,
    owners: OwnersOption = OwnersFrom.full,
    snapshot: SnapshotOption = None,
) -> None:
    """Write a self-contained HTML report: diagnosis, bars, address space map, and every region with its evidence.

    The report is one file and needs no network. It contains the command line, and the paths and names of modules and
    threads; --redact omits the command line and replaces names of users and machines. It omits comments and texts of
    a crash reporter that can contain user data, unless you pass --keep-text.

    ```
    dumpmap report crash.dmp -o crash.html
    dumpmap report crash.dmp -o crash.html --image-path ./bin --force
    ```
    """
    if redact and keep_text:
        raise typer.BadParameter("--redact removes what --keep-text keeps")
    from dumpmap.writers.output import check_target
    from dumpmap.writers.suffixes import choose_format

    with usage_errors():
        choose_format(output, None, ["html"], "html")
    check_target(output, force=force)
    region_map = load(file, image_path=image_path, snapshot=snapshot, redact=redact)
    region_map = search_pointers(region_map, owners, image_path)
    region_map.to_html(output, keep_text=keep_text, force=force)
