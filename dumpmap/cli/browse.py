"""`dumpmap browse`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from dumpmap.cli.common import load
from dumpmap.cli.options import ImagePathOption, InputFile, SnapshotOption
from dumpmap.cli.owners_search import OwnersFrom, OwnersOption, search_pointers

if TYPE_CHECKING:
    from dumpmap.api import RegionMap

PlainOption = Annotated[
    bool,
    typer.Option(
        "--plain",
        help="Read commands line by line and write plain text, for screen readers and pipes. Needs no Textual.",
    ),
]


def command(
    file: InputFile,
    plain: PlainOption = False,
    owners: OwnersOption = OwnersFrom.structure,
    image_path: ImagePathOption = None,
    snapshot: SnapshotOption = None,
) -> None:
    """Walk through the map in the terminal: from types and owners down to regions, the largest first.

    Enter opens a row, Backspace goes back, and ? shows all keys. The screen needs the package Textual
    (`pip install "dumpmap[tui]"`); --plain does not.

    ```
    dumpmap browse crash.dmp
    echo f | dumpmap browse crash.dmp --plain
    ```
    """
    if plain:
        if file == "-":
            raise typer.BadParameter("--plain reads its commands from standard input; FILE cannot be -")
    else:
        _require_screen()
    region_map = search_pointers(load(file, image_path=image_path, snapshot=snapshot), owners, image_path)
    if plain:
        _prompt(region_map)
    else:
        from dumpmap.render.browse.app import run_app

        run_app(region_map)


def _require_screen() -> None:
    """Stops before the input is read if the browser cannot be shown.

    Raises:
        OutputError: Textual is not installed.
        BadParameter: there is no terminal.
    """
    from importlib.util import find_spec

    from dumpmap.errors import OutputError

    if find_spec("textual") is None:
        raise OutputError('browse needs another package: pip install "dumpmap[tui]". browse --plain works without it')
    if not all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout)):
        raise typer.BadParameter("browse needs a terminal. Use --plain in a pipe")


def _prompt(region_map: RegionMap) -> None:
    from dumpmap.render.browse.prompt import Prompt
    from dumpmap.views.browse.navigation import Navigator

    def write(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    Prompt(Navigator(region_map), region_map.findings(), write).run(sys.stdin)
