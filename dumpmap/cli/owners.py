"""`dumpmap owners`."""

from __future__ import annotations

from typing import Annotated

import typer

from dumpmap.cli.common import Shown, Target, chosen_format, load, show, usage_errors
from dumpmap.cli.completion import type_names
from dumpmap.cli.options import (
    ForceOption,
    FormatOption,
    ImagePathOption,
    InputFile,
    OutputOption,
    SnapshotOption,
    UnitsOption,
)
from dumpmap.cli.owners_search import OwnersFrom, OwnersOption, search_pointers
from dumpmap.views.owner_rows import OwnersBy, OwnersSort
from dumpmap.wording.text import Units

ByOption = Annotated[
    OwnersBy,
    typer.Option(
        "--by",
        help="What a row stands for. `size` lists only groups of equal allocations without an owner. JSON always has "
        "each owner with its parts.",
    ),
]
SortOption = Annotated[
    OwnersSort, typer.Option("--sort", "-s", help="Figure to sort by: address space, or committed memory.")
]
TypeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--type", "-t", metavar="TYPE", autocompletion=type_names, help="Only memory of this type. Repeatable."
    ),
]
AllOption = Annotated[bool, typer.Option("--all", "-a", help="List every row, and each loaded module.")]


def command(
    file: InputFile,
    by: ByOption = OwnersBy.owner,
    sort: SortOption = OwnersSort.size,
    type: TypeOption = None,
    show_all: AllOption = False,
    owners: OwnersOption = OwnersFrom.full,
    format: FormatOption = None,
    units: UnitsOption = Units.kb,
    output: OutputOption = None,
    force: ForceOption = False,
    image_path: ImagePathOption = None,
    snapshot: SnapshotOption = None,
) -> None:
    """Show who took the memory: runtimes, heaps, modules, and groups of equal allocations.

    VMMap's types say what memory is; owners say whose it is. V8 (Node.js, Electron, Chromium), Java, Go, Python, .NET,
    mimalloc, PartitionAlloc, and Windows heaps are recognized from data in the dump. For the rest, the module or object
    that holds a pointer to an allocation is named and marked as inferred. What has no owner is grouped by size, state,
    and protection.

    ```
    dumpmap owners crash.dmp
    dumpmap owners crash.dmp --sort committed --type private-data
    dumpmap owners crash.dmp --by kind --type private-data
    dumpmap owners crash.dmp --format json | jq .owned_share
    ```
    """
    from dumpmap.analysis.owners import find_owners
    from dumpmap.model.types import RegionType
    from dumpmap.views.filters import parse_types
    from dumpmap.views.owner_records import owner_document, owner_table
    from dumpmap.views.owners import owner_view

    target = Target(chosen_format(format, output), units, output, force)
    with usage_errors():
        types = parse_types(type or [])
    region_map = load(file, image_path=image_path, snapshot=snapshot)
    private = not types or RegionType.PRIVATE_DATA in types
    region_map = search_pointers(region_map, owners if private else OwnersFrom.structure, image_path)
    found = find_owners(region_map, types)
    shown = Shown(
        document=lambda: owner_document(region_map, found, sort),
        table=lambda: owner_table(region_map, found, by, sort),
        view=lambda: owner_view(region_map, found, by, sort=sort, show_all=show_all, types=types),
    )
    show(shown, target)
