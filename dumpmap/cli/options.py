"""Options that several commands share, each said once."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dumpmap.wording.text import Units
from dumpmap.writers.formats import Format

InputFile = Annotated[
    str,
    typer.Argument(
        metavar="FILE",
        help="A minidump, a JSON snapshot or a VMMap file, or .gz, .zst or .zip of it (one of several in an archive: "
        "x.zip::y.dmp); - reads standard input.",
        show_default=False,
    ),
]
FORMAT_HELP = "How to write the result; unless told, as the output's suffix says, else as a table."
FormatOption = Annotated[Format | None, typer.Option("--format", "-f", help=FORMAT_HELP, show_default=False)]
OutputOption = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Write to this file instead of standard output (-).",
        show_default=False,
    ),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Overwrite the output file if it exists.")]
UnitsOption = Annotated[Units, typer.Option("--units", help="Units of sizes in tables; JSON and CSV carry bytes.")]
ImagePathOption = Annotated[
    Path | None,
    typer.Option(
        "--image-path",
        metavar="DIR",
        exists=True,
        file_okay=False,
        help="Folder with the program's EXE and DLL files; gives image sections where the dump lacks the headers.",
        show_default=False,
    ),
]
SnapshotOption = Annotated[
    int | None,
    typer.Option("--snapshot", metavar="N", help="Which snapshot of a VMMap file with several; the last by default."),
]


class FailOn(StrEnum):
    """Severities that a gate can be set to."""

    info = "info"
    warning = "warning"
    critical = "critical"


FailOnOption = Annotated[
    FailOn | None,
    typer.Option("--fail-on", help="Exit with 1 if there is a finding of this severity or worse.", show_default=False),
]
