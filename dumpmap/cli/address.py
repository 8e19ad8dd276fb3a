"""`dumpmap address`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dumpmap.cli.common import chosen_format, load
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


def command(
    file: InputFile,
    addresses: Annotated[
        list[str],
        typer.Argument(metavar="ADDR...", help="Hex, with or without 0x; or module+0x12.", show_default=False),
    ],
    format: FormatOption = None,
    units: UnitsOption = Units.kb,
    output: OutputOption = None,
    force: ForceOption = False,
    image_path: ImagePathOption = None,
    snapshot: SnapshotOption = None,
) -> None:
    """Say what is at an address: allocation, region, section, thread or heap, and whether its bytes are in the file.

    ```
    dumpmap address crash.dmp 0x7ffe0000
    dumpmap address crash.dmp 00007ff6`12340000 ntdll.dll+0x1000
    ```
    """
    from dumpmap.render.emit import emit
    from dumpmap.views.documents import head, location_document
    from dumpmap.views.filters import parse_address
    from dumpmap.views.views import location_blocks, location_table
    from dumpmap.wording.text import hex_text

    format = chosen_format(format, output)
    region_map = load(file, image_path=image_path, snapshot=snapshot)
    try:
        wanted = [parse_address(text, region_map) for text in addresses]
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    answers = [(address, region_map.at(address)) for address in wanted]

    def document() -> dict[str, Any]:
        return {
            **head("dumpmap.address/1", region_map),
            "addresses": [
                {"address": hex_text(address), "found": None if location is None else location_document(location)}
                for address, location in answers
            ],
        }

    emit(
        format=format,
        document=document,
        table=lambda: location_table(region_map, answers),
        view=lambda: location_blocks(region_map, answers, units),
        units=units,
        output=output,
        force=force,
    )
