"""`dumpmap snapshot`."""

from __future__ import annotations

from typing import Annotated

import typer

from dumpmap.cli.common import load
from dumpmap.cli.options import ForceOption, InputFile, SnapshotOption
from dumpmap.writers.formats import SnapshotFormat


def command(
    file: InputFile,
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The snapshot: .json, .json.gz or .json.zst. - is standard output.",
            show_default=False,
        ),
    ],
    to: Annotated[
        SnapshotFormat | None,
        typer.Option("--to", help="The compression, where the suffix does not tell it.", show_default=False),
    ] = None,
    force: ForceOption = False,
    snapshot: SnapshotOption = None,
) -> None:
    """Reduce any input to a JSON snapshot: what the map needs, and no other bytes of the process.

    The snapshot gives the same map, to the last evidence, and is small enough to be a fixture or to be sent around.

    ```
    dumpmap snapshot crash.dmp -o crash.json.zst
    dumpmap summary crash.json.zst
    dumpmap snapshot crash.dmp -o - | jq .process
    ```
    """
    from dumpmap.writers.output import check_target
    from dumpmap.writers.snapshot_file import save_snapshot, snapshot_format_of
    from dumpmap.writers.suffixes import check_name

    try:
        if to is not None:
            check_name(output, to, "--to")
        chosen = to or snapshot_format_of(output)
    except ValueError as error:
        hint = "; or say which with --to" if to is None else ""
        raise typer.BadParameter(f"{error}{hint}") from None
    check_target(output, force=force, binary=chosen is not SnapshotFormat.json)
    save_snapshot(load(file, snapshot=snapshot).snapshot, output, to=chosen, force=force)
