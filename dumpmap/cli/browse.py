"""`dumpmap browse`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from dumpmap.cli.common import load
from dumpmap.cli.options import ImagePathOption, InputFile, SnapshotOption
from dumpmap.cli.owners_search import OwnersFrom, OwnersOption, search_pointers
from dumpmap.wording.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dumpmap.analysis.changes import Changes
    from dumpmap.api import RegionMap

AfterArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[FILE]", help="A later input: browse its map and what changed since the first.", show_default=False
    ),
]

PlainOption = Annotated[
    bool,
    typer.Option(
        "--plain",
        help="Read commands line by line and write plain text, for screen readers and pipes. Needs no Textual.",
    ),
]


def command(
    file: InputFile,
    after: AfterArgument = None,
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
    dumpmap browse monday.dmp friday.dmp
    echo f | dumpmap browse crash.dmp --plain
    ```
    """
    if plain:
        if "-" in (file, after):
            raise typer.BadParameter("--plain reads its commands from standard input; FILE cannot be -")
    else:
        _require_screen()
    changes: Changes | None = None
    notes: Sequence[str] = ()
    region_map = load(file, image_path=image_path, snapshot=snapshot)
    if after is not None:
        from dumpmap.api import diff

        later = load(after, image_path=image_path)
        difference = diff(region_map, later)
        region_map, changes, notes = later, difference.changes, difference.notes
    region_map = search_pointers(region_map, owners, image_path)
    if plain:
        _prompt(region_map, changes, notes)
    else:
        from dumpmap.render.browse.app import run_app

        run_app(region_map, changes, " ".join(notes))


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


def _prompt(region_map: RegionMap, changes: Changes | None, notes: Sequence[str]) -> None:
    from dumpmap.render.browse.prompt import Prompt
    from dumpmap.views.browse.navigation import Navigator
    from dumpmap.writers.output import standard_output

    def write(text: str) -> None:
        with standard_output() as stdout:
            stdout.write(text)

    for note in notes:
        write(f"Note: {printable(note)}\n")
    Prompt(Navigator(region_map, changes), region_map.findings(), write).run(sys.stdin)
