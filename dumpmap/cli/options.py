"""Options that several commands share, each declared once."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dumpmap.model.sizes import ask_for_unit
from dumpmap.wording.text import Units
from dumpmap.writers.formats import Format, PageFormat

InputFile = Annotated[
    str,
    typer.Argument(
        metavar="FILE",
        help="Minidump, JSON snapshot, or VMMap file, optionally as .gz, .zst, or .zip. Name one of several files in "
        "an archive as archive.zip::file.dmp. - reads standard input.",
        show_default=False,
    ),
]
FORMAT_HELP = "Output format. Default: inferred from the file suffix, otherwise table."
FormatOption = Annotated[Format | None, typer.Option("--format", "-f", help=FORMAT_HELP, show_default=False)]
PageFormatOption = Annotated[PageFormat | None, typer.Option("--format", "-f", help=FORMAT_HELP, show_default=False)]
OutputOption = Annotated[
    str | None,
    typer.Option("--output", "-o", metavar="FILE", help="Output file. Default: standard output.", show_default=False),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Overwrite the output file if it exists.")]


def _asked_unit(context: typer.Context, value: Units) -> Units:
    """Without --units, tables have KB as VMMap has, and sentences the unit that suits each size."""
    asked = context.get_parameter_source("units")
    ask_for_unit(value.value if asked is not None and asked.name == "COMMANDLINE" else None)
    return value


UnitsOption = Annotated[
    Units,
    typer.Option(
        "--units",
        callback=_asked_unit,
        help="Unit of sizes in tables, text, and Markdown; from 1 TB up, KB and MB become TB. Limits with a name, such "
        "as 2 GB, keep it. JSON and CSV contain bytes; HTML pages choose units themselves.",
    ),
]
ImagePathOption = Annotated[
    Path | None,
    typer.Option(
        "--image-path",
        metavar="DIR",
        exists=True,
        file_okay=False,
        help="Folder with the program's EXE and DLL files, for what the dump lacks: image sections and class names.",
        show_default=False,
    ),
]
SnapshotOption = Annotated[
    int | None,
    typer.Option(
        "--snapshot",
        metavar="N",
        help="Snapshot number, counted from 1, in a VMMap file with several. Default: the last.",
        show_default=False,
    ),
]
SnapshotFileOption = Annotated[
    str,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Snapshot file: .json, .json.gz, or .json.zst. - writes to standard output.",
        show_default=False,
    ),
]


class FailOn(StrEnum):
    """Severities for a gate."""

    info = "info"
    warning = "warning"
    critical = "critical"


FailOnOption = Annotated[
    FailOn | None,
    typer.Option("--fail-on", help="Exit with 1 if a finding has this severity or a worse one.", show_default=False),
]

KeepTextOption = Annotated[
    bool,
    typer.Option(
        "--keep-text",
        help="Keep comments, and a crash reporter's texts that can hold user data: messages, URLs, names.",
    ),
]

RedactOption = Annotated[
    bool,
    typer.Option(
        "--redact",
        help="Replace names of users and machines, which are known from paths. Excludes --keep-text.",
    ),
]
