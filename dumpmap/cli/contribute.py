"""`dumpmap contribute`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dumpmap.cli.common import load, usage_errors
from dumpmap.cli.options import ForceOption, InputFile, SnapshotOption

if TYPE_CHECKING:
    from dumpmap.views.contribution import ContributionFile

ContributionOption = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="File to write: .json, .json.gz, or .json.zst. The text beside it has the suffix .txt.",
    ),
]


def command(
    file: InputFile,
    output: ContributionOption = Path("contribution.json.gz"),
    force: ForceOption = False,
    snapshot: SnapshotOption = None,
) -> None:
    """Write a file that you can share to improve dumpmap: the structures of a dump, with a text that lists its content.

    The file is a redacted snapshot without names of threads and folders, and without the content of heaps and stacks.
    The text lists everything that the file holds, down to the names and texts in it. dumpmap sends nothing.
    Read the text, then attach both files to an issue if you are allowed to.

    ```
    dumpmap contribute crash.dmp
    dumpmap contribute crash.dmp -o for-dumpmap.json.gz
    ```
    """
    from dumpmap.writers.contribution import save_contribution
    from dumpmap.writers.output import check_target, write_parts
    from dumpmap.writers.snapshot_file import choose_compression

    with usage_errors():
        choose_compression(output)
    if str(output) == "-":
        raise typer.BadParameter("it writes two files; name the first of them")
    text = text_path(output)
    check_target(output, force=force)
    check_target(text, force=force)
    region_map = load(file, snapshot=snapshot, record=True)
    save_contribution(region_map, output, recording=region_map.recording, force=force)

    from dumpmap.api import open_map
    from dumpmap.render.terminal import text_parts
    from dumpmap.views.contribution import contribution_view

    written = _file(output)
    write_parts(text_parts(contribution_view(open_map(output), written)), str(text), force=force)
    typer.echo(f"Wrote {output} ({written.size:,} bytes) and {text}, which lists what is in it. Nothing was sent.")


def text_path(output: Path) -> Path:
    """Returns where the text belongs: contribution.txt beside contribution.json.gz."""
    name = output.name
    return output.with_name(name[: name.lower().rindex(".json")] + ".txt")


def _file(path: Path) -> ContributionFile:
    import hashlib

    from dumpmap.views.contribution import ContributionFile

    data = path.read_bytes()
    return ContributionFile(path.name, len(data), hashlib.sha256(data).hexdigest())
