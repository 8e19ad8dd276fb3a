"""`dumpmap snapshot`."""

from __future__ import annotations

from typing import Annotated

import typer

from dumpmap.cli.common import load, usage_errors
from dumpmap.cli.options import ForceOption, InputFile, KeepTextOption, SnapshotFileOption, SnapshotOption
from dumpmap.cli.owners_search import OwnersFrom, OwnersOption, search_pointers
from dumpmap.writers.formats import SnapshotFormat

ToOption = Annotated[
    SnapshotFormat | None,
    typer.Option("--to", help="Compression. Default: inferred from the file suffix.", show_default=False),
]


def command(
    file: InputFile,
    output: SnapshotFileOption,
    to: ToOption = None,
    keep_text: KeepTextOption = False,
    owners: OwnersOption = OwnersFrom.full,
    force: ForceOption = False,
    snapshot: SnapshotOption = None,
) -> None:
    """Reduce an input to a JSON snapshot with only the memory that the map needs.

    The snapshot gives the same map and the same owners with the same evidence. It is small enough for a test fixture or
    an email. It omits messages, URLs, paths, and script lines of a crash reporter, which can contain user data.

    ```
    dumpmap snapshot crash.dmp -o crash.json.zst
    dumpmap summary crash.json.zst
    dumpmap snapshot crash.dmp -o - | jq .process
    ```
    """
    from dumpmap.writers.output import check_target
    from dumpmap.writers.snapshot_file import choose_compression, save_snapshot

    with usage_errors():
        chosen = choose_compression(output, to)
    check_target(output, force=force, binary=chosen is not SnapshotFormat.json)
    region_map = load(file, snapshot=snapshot, record=True)
    search_pointers(region_map, owners)
    save_snapshot(
        region_map,
        output,
        recording=region_map.recording,
        to=chosen,
        keep_text=keep_text,
        pointers=owners is OwnersFrom.full,
        force=force,
    )
