"""`dumpmap snapshot`."""

from __future__ import annotations

from typing import Annotated

import typer

from dumpmap.cli.common import load, usage_errors
from dumpmap.cli.options import (
    ForceOption,
    InputFile,
    KeepTextOption,
    RedactOption,
    SnapshotFileOption,
    SnapshotOption,
)
from dumpmap.cli.owners_search import OwnersFrom, OwnersOption, search_pointers
from dumpmap.writers.formats import SnapshotFormat

ToOption = Annotated[
    SnapshotFormat | None,
    typer.Option("--to", help="Compression. Default: inferred from the file suffix.", show_default=False),
]
CommandLineOption = Annotated[
    bool, typer.Option("--command-line", help="Keep the command line, which can contain secrets.")
]


def command(
    file: InputFile,
    output: SnapshotFileOption,
    to: ToOption = None,
    keep_text: KeepTextOption = False,
    command_line: CommandLineOption = False,
    redact: RedactOption = False,
    owners: OwnersOption = OwnersFrom.full,
    force: ForceOption = False,
    snapshot: SnapshotOption = None,
) -> None:
    """Reduce an input to a JSON snapshot with only the memory that the map needs.

    The snapshot gives the same map and the same owners with the same evidence. It is small enough for a test fixture
    or an email. It contains paths and names of modules and threads; --redact replaces names of users and machines. It
    omits the command line, unless you pass --command-line, and comments and texts of a crash reporter that can
    contain user data, unless you pass --keep-text.

    ```
    dumpmap snapshot crash.dmp -o crash.json.zst
    dumpmap summary crash.json.zst
    dumpmap snapshot crash.dmp -o - | jq .process
    ```
    """
    from dumpmap.writers.output import check_target
    from dumpmap.writers.snapshot_file import choose_compression, save_snapshot

    if redact and keep_text:
        raise typer.BadParameter("--redact removes what --keep-text keeps")
    with usage_errors():
        chosen = choose_compression(output, to)
    check_target(output, force=force, binary=chosen is not SnapshotFormat.json)
    region_map = load(file, snapshot=snapshot, record=True)
    region_map = search_pointers(region_map, owners)
    save_snapshot(
        region_map,
        output,
        recording=region_map.recording,
        to=chosen,
        keep_text=keep_text,
        command_line=command_line,
        redact=redact,
        pointers=owners is OwnersFrom.full,
        force=force,
    )
