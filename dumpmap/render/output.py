"""Where a result goes: standard output or a file, never over an existing file unless told to."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path
from typing import Any, BinaryIO

from dumpmap.errors import OutputError
from dumpmap.render.tables import Format, Table, to_csv, to_json, to_markdown, to_rich
from dumpmap.render.text import Units


def check_target(path: str | os.PathLike[str], *, force: bool = False) -> None:
    """Tells early, before the work is done, that a file will not be written.

    Raises:
        OutputError: it exists and `force` is not given, or it is a folder.
    """
    target = Path(path)
    if os.fspath(path) == "-":
        raise OutputError("cannot be standard output; name a file", source="-")
    if target.is_dir():
        raise OutputError("is a folder", source=str(path))
    # A device such as /dev/stdout is written to, not overwritten.
    if target.is_file() and not force:
        raise OutputError("already exists; --force overwrites it", source=str(path))


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str], *, force: bool = False) -> Iterator[BinaryIO]:
    """Opens a binary file that appears only when it is complete.

    It is written under another name beside its place and moved there at the end, so a failure leaves what was there.

    Raises:
        OutputError: it exists and `force` is not given, or it cannot be written.
    """
    target = Path(path)
    check_target(target, force=force)
    try:
        if target.exists() and not target.is_file():  # /dev/stdout and its like cannot be replaced
            with target.open("wb") as device:
                yield device
            return
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as stream:
                yield stream
            # mkstemp makes files private; a report is as readable as any other file.
            mask = os.umask(0)
            os.umask(mask)
            temporary.chmod(0o666 & ~mask)
            temporary.replace(target)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
    except OSError as error:
        raise OutputError(f"cannot be written: {error.strerror or error}", source=str(path)) from error


def _silence() -> None:
    """Sends what is left in standard output's buffer nowhere, so that nothing complains at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def write_text(text: str, output: str | None, *, force: bool = False) -> None:
    """Writes a finished text to a file, or to standard output where `output` is None or `-`.

    Raises:
        OutputError: it cannot be written.
    """
    if output is None or output == "-":
        if sys.stdout is None:
            raise OutputError("is closed", source="standard output")
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except BrokenPipeError:
            # The reader has gone (`| head`): not an error, and no message at the interpreter's exit either.
            _silence()
        except UnicodeEncodeError:
            sys.stdout.buffer.write(text.encode("utf-8", "replace"))
            sys.stdout.flush()
        except OSError as error:
            _silence()
            raise OutputError(f"cannot be written: {error.strerror or error}", source="standard output") from error
        return
    with replacing(output, force=force) as stream:
        stream.write(text.encode("utf-8", "replace"))


def render_rich(renderables: Sequence[Any], *, color: bool, width: int | None) -> str:
    """Draws rich renderables as text; without colour, lines have no trailing blanks."""
    from rich.console import Console

    buffer = StringIO()
    console = Console(
        file=buffer,
        force_terminal=color,
        no_color=not color,
        color_system="truecolor" if color else None,
        width=width or 10_000,
        highlight=False,
        markup=False,
        emoji=False,
    )
    for renderable in renderables:
        console.print(renderable, crop=False)
    text = buffer.getvalue()
    return text if color else "\n".join(line.rstrip() for line in text.split("\n"))


def terminal() -> tuple[bool, int | None]:
    """Whether standard output takes colour, and its width in columns.

    A pipe gets no colour and lines as long as they need to be; COLUMNS sets the width anywhere, NO_COLOR turns colour
    off everywhere.
    """
    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    color = is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    columns = os.environ.get("COLUMNS", "")
    if columns.isdigit() and int(columns) > 0:
        return color, int(columns)
    return color, shutil.get_terminal_size().columns if is_terminal else None


def emit(
    *,
    format: Format,
    document: Any,
    table: Table,
    view: Sequence[Any] | None = None,
    markdown: str | None = None,
    units: Units = Units.kb,
    output: str | None = None,
    force: bool = False,
) -> None:
    """Writes one result in the format that was asked for.

    Args:
        format: which of the following to use.
        document: what JSON carries.
        table: what CSV carries, and the text table and Markdown where nothing richer is given.
        view: rich renderables for the text table.
        markdown: the Markdown text.
        units: of sizes in text and Markdown.
        output: a file; standard output where None.
        force: overwrite the file.

    Raises:
        OutputError: it cannot be written.
    """
    if format is Format.json:
        text = to_json(document)
    elif format is Format.csv:
        text = to_csv(table)
    elif format is Format.markdown:
        text = markdown if markdown is not None else to_markdown(table, units)
    else:
        color, width = terminal() if output in (None, "-") else (False, None)
        text = render_rich(view if view is not None else [to_rich(table, units)], color=color, width=width)
    write_text(text, output, force=force)
