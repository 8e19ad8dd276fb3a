"""`dumpmap snapshot`."""

from __future__ import annotations

from typing import Annotated

import typer

from dumpmap.cli.common import load
from dumpmap.cli.options import ForceOption, InputFile, SnapshotOption


def command(
    file: InputFile,
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="FILE", help="The snapshot: .json, .json.gz or .json.zst.", show_default=False
        ),
    ],
    force: ForceOption = False,
    snapshot: SnapshotOption = None,
) -> None:
    """Reduce any input to a JSON snapshot: what the map needs, and no other bytes of the process.

    The snapshot gives the same map, to the last evidence, and is small enough to be a fixture or to be sent around.

    ```
    dumpmap snapshot crash.dmp -o crash.json.zst
    dumpmap summary crash.json.zst
    ```
    """
    from dumpmap.render.snapshot_file import save_snapshot

    save_snapshot(load(file, snapshot=snapshot).snapshot, output, force=force)
