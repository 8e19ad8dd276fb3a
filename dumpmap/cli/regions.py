"""`dumpmap regions`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dumpmap.cli.common import (
    VERBOSITY,
    Shown,
    Target,
    chosen_format,
    listed_columns,
    load,
    say,
    show,
    usage_errors,
)
from dumpmap.cli.completion import kind_names, region_columns, region_groups, state_names, type_names
from dumpmap.cli.options import (
    ForceOption,
    FormatOption,
    ImagePathOption,
    InputFile,
    OutputOption,
    SnapshotOption,
    UnitsOption,
)
from dumpmap.cli.owners_search import ShownOwnersOption, search_pointers
from dumpmap.wording.text import Units
from dumpmap.writers.formats import Format

if TYPE_CHECKING:
    from dumpmap.model.region_map import RegionMap
    from dumpmap.views.filters import Filter

BlocksOption = Annotated[
    bool, typer.Option("--blocks", "-b", help="One row per region or image section instead of per allocation.")
]
TypeOption = Annotated[
    list[str] | None,
    typer.Option("--type", "-t", metavar="TYPE", autocompletion=type_names, help="Type to show. Repeatable."),
]
KindOption = Annotated[
    list[str] | None,
    typer.Option(
        "--kind",
        metavar="KIND",
        autocompletion=kind_names,
        help="Kind to show: a part of its name, or a pattern such as 'TE*'. Repeatable.",
    ),
]
StateOption = Annotated[
    list[str] | None,
    typer.Option(
        "--state",
        metavar="STATE",
        autocompletion=state_names,
        help="State to show: committed, reserved, or free. Repeatable.",
    ),
]
ProtectOption = Annotated[
    list[str] | None,
    typer.Option(
        "--protect",
        metavar="PROTECTION",
        help="Protection to show: Read/Write, PAGE_READWRITE, rw, erw, or 0x4; or a modifier: guard or nocache. "
        "Repeatable.",
    ),
]
ModuleOption = Annotated[
    list[str] | None,
    typer.Option(
        "--module", "-m", metavar="NAME", help="File name to show, or a pattern such as 'ms*.dll'. Repeatable."
    ),
]
OwnerOption = Annotated[
    list[str] | None,
    typer.Option(
        "--owner",
        metavar="OWNER",
        help="Owner to show: a part of its name or module, a pattern, or its instance; none for memory without an "
        "owner. Repeatable.",
    ),
]
GroupByOption = Annotated[
    list[str] | None,
    typer.Option(
        "--group-by",
        "-g",
        metavar="COLUMNS",
        autocompletion=region_groups,
        help="Count and sum up the rows by one column or several, separated by commas: type, owner, kind, size, "
        "protection, state, module. Repeatable.",
    ),
]
MinSizeOption = Annotated[
    str | None, typer.Option("--min-size", metavar="SIZE", help="Smallest size to show, such as 64KB.")
]
AtOption = Annotated[
    str | None, typer.Option("--at", metavar="ADDR", help="Address that the row must contain, or module+0x12.")
]
SortOption = Annotated[
    str | None,
    typer.Option(
        "--sort",
        "-s",
        metavar="COLUMN",
        autocompletion=region_columns,
        help="Column to sort by: figures descending, other columns ascending. -COLUMN sorts descending, +COLUMN "
        "ascending. Default: address.",
    ),
]
LimitOption = Annotated[int | None, typer.Option("--limit", "-n", metavar="N", min=0, help="Maximum number of rows.")]
AllOption = Annotated[
    bool, typer.Option("--all", help="Also list short captured runs of unknown use. Default: one line for all of them.")
]
NoPagerOption = Annotated[
    bool,
    typer.Option(
        "--no-pager",
        help="Write a long list to the terminal at once. Default: show it in the program that PAGER names, or in less.",
    ),
]
EvidenceOption = Annotated[bool, typer.Option("--evidence", "-e", help="Show the evidence for each label.")]


def command(
    file: InputFile,
    group_by: GroupByOption = None,
    sort: SortOption = None,
    limit: LimitOption = None,
    blocks: BlocksOption = False,
    type: TypeOption = None,
    kind: KindOption = None,
    state: StateOption = None,
    protect: ProtectOption = None,
    module: ModuleOption = None,
    owner: OwnerOption = None,
    min_size: MinSizeOption = None,
    at: AtOption = None,
    owners: ShownOwnersOption = None,
    evidence: EvidenceOption = False,
    all: AllOption = False,
    no_pager: NoPagerOption = False,
    format: FormatOption = None,
    units: UnitsOption = Units.kb,
    output: OutputOption = None,
    force: ForceOption = False,
    image_path: ImagePathOption = None,
    snapshot: SnapshotOption = None,
) -> None:
    """List the allocations, free space included; with --blocks list the regions and sections in them.

    ```
    dumpmap regions crash.dmp --group-by type,size --sort -size --limit 10
    dumpmap regions crash.dmp --type heap --sort -size --limit 10
    dumpmap regions crash.dmp --blocks --module ntdll.dll
    dumpmap regions crash.dmp --protect rwx --type private-data
    dumpmap regions crash.dmp --blocks --protect guard --sort +size
    dumpmap regions crash.dmp --owner V8 --group-by kind,protection
    dumpmap regions crash.dmp --blocks -o regions.csv
    ```
    """
    from dumpmap.views.filters import parse_filter
    from dumpmap.views.regions import choose_regions, chosen_document, chosen_table, chosen_view, nothing_text

    target = Target(chosen_format(format, output), units, output, force, pager=not no_pager)
    with usage_errors():
        chosen = parse_filter(type, kind, state, protect, module, min_size, owner)
    region_map = search_pointers(load(file, image_path=image_path, snapshot=snapshot), owners, image_path)
    if group_by:
        with usage_errors():
            groups = _groups(region_map, chosen.containing(at, region_map), group_by, blocks, sort, limit)
        show(groups, target)
        return
    with usage_errors():
        rows = choose_regions(
            region_map,
            chosen.containing(at, region_map),
            blocks=blocks,
            sort=sort,
            limit=limit,
            evidence=evidence,
            owners=owners is not None or owner is not None or (sort or "").lstrip("+-").startswith("owner"),
            every=all,
        )
    if rows.empty and target.format in (Format.json, Format.csv) and VERBOSITY.level >= 0:
        say(f"{file}: {nothing_text(rows)}")
    shown = Shown(
        document=lambda: chosen_document(rows),
        table=lambda: chosen_table(rows),
        view=lambda: chosen_view(rows),
    )
    show(shown, target)


def _groups(
    region_map: RegionMap, chosen: Filter, group_by: list[str], blocks: bool, sort: str | None, limit: int | None
) -> Shown:
    from dumpmap.views.region_groups import group_document, group_regions, group_table, group_view

    groups = group_regions(region_map, chosen, listed_columns(group_by), blocks=blocks, sort=sort, limit=limit)
    return Shown(
        document=lambda: group_document(groups),
        table=lambda: group_table(groups),
        view=lambda: group_view(groups),
    )
