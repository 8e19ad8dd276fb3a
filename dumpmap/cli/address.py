"""`dumpmap address`."""

from __future__ import annotations

from typing import Annotated

import typer

from dumpmap.cli.common import Shown, Target, chosen_format, load, show, usage_errors
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
from dumpmap.wording.text import Units

AddressesArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="ADDR...",
        help="Addresses in hexadecimal, with or without 0x, or as module+0x12.",
        show_default=False,
    ),
]

BytesOption = Annotated[
    int,
    typer.Option(
        "--bytes",
        metavar="N",
        min=0,
        max=4096,
        help="Number of captured bytes to show as hexadecimal and text, 4096 at most. 0 shows none.",
    ),
]


def command(
    file: InputFile,
    addresses: AddressesArgument,
    bytes: BytesOption = 32,
    owners: OwnersOption = OwnersFrom.full,
    format: FormatOption = None,
    units: UnitsOption = Units.kb,
    output: OutputOption = None,
    force: ForceOption = False,
    image_path: ImagePathOption = None,
    snapshot: SnapshotOption = None,
) -> None:
    """Show what is at an address: allocation, region, section, thread, or heap, and whether the input has its bytes.

    For private memory that nothing else claims, it also names who holds a pointer to it, and where that pointer lies.

    ```
    dumpmap address crash.dmp 0x7ffe0000
    dumpmap address crash.dmp '00007ff6`12340000' ntdll.dll+0x1000
    dumpmap address crash.dmp 0x7ffe0000 --bytes 256
    ```
    """
    from dumpmap.model.types import RegionType
    from dumpmap.views.address import location_document, location_table, location_view
    from dumpmap.views.filters import parse_address

    target = Target(chosen_format(format, output), units, output, force)
    region_map = load(file, image_path=image_path, snapshot=snapshot)
    with usage_errors():
        wanted = [parse_address(text, region_map) for text in addresses]
    answers = [(address, region_map.at(address)) for address in wanted]
    # What has a kind needs no pointer, and a search takes its time.
    unnamed = any(place and place.type == RegionType.PRIVATE_DATA and not place.kind for _, place in answers)
    region_map = search_pointers(region_map, owners if unnamed else OwnersFrom.structure, image_path)
    shown = Shown(
        document=lambda: location_document(region_map, answers, bytes),
        table=lambda: location_table(region_map, answers),
        view=lambda: location_view(region_map, answers, units, bytes),
    )
    show(shown, target)
