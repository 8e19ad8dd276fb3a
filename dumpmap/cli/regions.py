"""`dumpmap regions`."""

from __future__ import annotations

from typing import Annotated

import typer

from dumpmap.cli.common import VERBOSITY, chosen_format, load, say
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
from dumpmap.writers.formats import Format


def command(
    file: InputFile,
    blocks: Annotated[
        bool, typer.Option("--blocks", "-b", help="One row per region or image section instead of per allocation.")
    ] = False,
    type: Annotated[list[str] | None, typer.Option("--type", "-t", help="Only this type; repeatable.")] = None,
    kind: Annotated[
        list[str] | None, typer.Option("--kind", help="Only kinds with this in them, or a pattern: 'TE*'.")
    ] = None,
    state: Annotated[list[str] | None, typer.Option("--state", help="committed, reserved or free.")] = None,
    protect: Annotated[
        list[str] | None,
        typer.Option(
            "--protect", help="Only this protection: Read/Write, PAGE_READWRITE, rw, erw, 0x4; or guard, nocache."
        ),
    ] = None,
    module: Annotated[
        list[str] | None, typer.Option("--module", "-m", help="Only this file name, or a pattern: 'ms*.dll'.")
    ] = None,
    min_size: Annotated[
        str | None, typer.Option("--min-size", metavar="SIZE", help="At least this large: 64KB.")
    ] = None,
    at: Annotated[str | None, typer.Option("--at", metavar="ADDR", help="Only what holds this address.")] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            "--sort",
            "-s",
            metavar="COLUMN",
            help="Sort by a column, figures largest first; -COLUMN is descending, +COLUMN ascending.",
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=0, help="At most this many rows.")] = None,
    evidence: Annotated[
        bool, typer.Option("--evidence", "-e", help="Show in the table what each label rests on.")
    ] = False,
    format: FormatOption = None,
    units: UnitsOption = Units.kb,
    output: OutputOption = None,
    force: ForceOption = False,
    image_path: ImagePathOption = None,
    snapshot: SnapshotOption = None,
) -> None:
    """List the allocations, or with --blocks the regions and sections in them, free space included.

    ```
    dumpmap regions crash.dmp --type heap --sort size --limit 10
    dumpmap regions crash.dmp --blocks --module ntdll.dll
    dumpmap regions crash.dmp --protect rwx --type private-data
    dumpmap regions crash.dmp --blocks --protect guard --sort +size
    dumpmap regions crash.dmp --blocks -o regions.csv
    ```
    """
    from dumpmap.model.sizes import parse_size
    from dumpmap.render.emit import emit
    from dumpmap.views.documents import head
    from dumpmap.views.filters import (
        Filter,
        parse_address,
        parse_protections,
        parse_states,
        parse_types,
        sort_rows,
    )
    from dumpmap.views.frames import allocation_frame, region_frame
    from dumpmap.views.table import to_records
    from dumpmap.views.views import nothing_text, region_blocks, region_table

    format = chosen_format(format, output)
    try:
        types, states = parse_types(type or []), parse_states(state or [])
        protections = parse_protections(protect or [])
        smallest = parse_size(min_size) if min_size else 0
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    region_map = load(file, image_path=image_path, snapshot=snapshot)
    try:
        chosen = Filter(
            types=types,
            kinds=tuple(kind or ()),
            states=states,
            protections=protections,
            modules=tuple(module or ()),
            min_size=smallest,
            at=parse_address(at, region_map) if at else None,
        )
        found = chosen.apply(region_map, region_frame(region_map) if blocks else allocation_frame(region_map))
        found = sort_rows(found, sort)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    frame = found if limit is None else found.head(limit)
    for_people = format in (Format.table, Format.markdown)
    table = region_table(region_map, frame, evidence=evidence, owners=for_people)
    left_out, nothing = len(found) - len(frame), nothing_text(chosen, blocks=blocks)
    if found.empty and not for_people and VERBOSITY.level >= 0:
        say(f"{file}: {nothing}")  # a table for programs has no place for it
    emit(
        format=format,
        document=lambda: {**head("dumpmap.regions/1", region_map), "blocks": blocks, "regions": to_records(table)},
        table=lambda: table,
        view=lambda: region_blocks(table, left_out, nothing),
        units=units,
        output=output,
        force=force,
    )
