"""`dumpmap owners`."""

from __future__ import annotations

from typing import Annotated

import typer

from dumpmap.cli.common import Shown, Target, chosen_format, load, show, usage_errors
from dumpmap.cli.options import ForceOption, FormatOption, InputFile, OutputOption, SnapshotOption, UnitsOption
from dumpmap.views.owner_rows import OwnersBy
from dumpmap.wording.text import Units

ByOption = Annotated[
    OwnersBy,
    typer.Option("--by", help="What a row stands for. `size` lists only groups of equal allocations without an owner."),
]
TypeOption = Annotated[
    list[str] | None, typer.Option("--type", "-t", metavar="TYPE", help="Only memory of this type. Repeatable.")
]
AllOption = Annotated[bool, typer.Option("--all", "-a", help="List every row, and each loaded module.")]


def command(
    file: InputFile,
    by: ByOption = OwnersBy.owner,
    type: TypeOption = None,
    show_all: AllOption = False,
    format: FormatOption = None,
    units: UnitsOption = Units.kb,
    output: OutputOption = None,
    force: ForceOption = False,
    snapshot: SnapshotOption = None,
) -> None:
    """Show who took the memory: runtimes, heaps, modules, and groups of equal allocations.

    VMMap's types say what memory is; owners say whose it is. V8 (Node.js, Electron, Chromium), Java, Go, Python,
    .NET, and Windows heaps are recognized from data in the dump. What has no owner is grouped by size, state, and
    protection.

    ```
    dumpmap owners crash.dmp
    dumpmap owners crash.dmp --by kind --type private-data
    dumpmap owners crash.dmp --format json | jq .owned_share
    ```
    """
    from dumpmap.analysis.owners import find_owners
    from dumpmap.views.filters import parse_types
    from dumpmap.views.owners import owner_document, owner_table, owner_view

    target = Target(chosen_format(format, output), units, output, force)
    with usage_errors():
        types = parse_types(type or [])
    region_map = load(file, snapshot=snapshot)
    owners = find_owners(region_map, types)
    shown = Shown(
        document=lambda: owner_document(region_map, owners),
        table=lambda: owner_table(region_map, owners, by),
        view=lambda: owner_view(region_map, owners, by, show_all=show_all),
    )
    show(shown, target)
