"""Where a result goes: standard output or a file, never over an existing file unless told to."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from dumpmap.errors import OutputError

_STDOUT = "standard output"

STANDARD_OUTPUT = "-"
"""The output's name that means standard output, as it means standard input for an input."""

_IN_MEMORY = 64 << 20
"""What is longer waits in a temporary file until it is complete and can go to standard output."""


def is_standard_output(path: str | os.PathLike[str]) -> bool:
    """Whether an output's name means standard output."""
    return os.fspath(path) == STANDARD_OUTPUT


def check_target(path: str | os.PathLike[str], *, force: bool = False, binary: bool = False) -> None:
    """Tells early, before the work is done, that an output will not be written.

    Args:
        path: a file, or `-` for standard output.
        force: whether the file may be overwritten.
        binary: whether what will be written is no text: a terminal cannot show it.

    Raises:
        OutputError: it exists and `force` is not given, it is a folder, or a terminal would get binary data.
    """
    target = Path(path)
    if is_standard_output(path):
        if binary and sys.stdout is not None and sys.stdout.isatty():
            raise OutputError("is a terminal, and this format is no text; name a file or use a pipe", source=_STDOUT)
        return
    if target.is_dir():
        raise OutputError("is a folder", source=str(path))
    if not target.parent.is_dir():
        raise OutputError("cannot be written: its folder does not exist", source=str(path))
    # A device such as /dev/stdout is written to, not overwritten.
    if target.is_file() and not force:
        raise OutputError("already exists; --force overwrites it", source=str(path))


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str], *, force: bool = False, binary: bool = False) -> Iterator[BinaryIO]:
    """Opens a binary file that appears only when it is complete.

    It is written under another name beside its place and moved there at the end, so a failure leaves what was there.
    Standard output (`-`) gets nothing before everything is there either.

    Args:
        path: the file, or `-` for standard output.
        force: overwrite the file.
        binary: whether what is written is no text; see `check_target`.

    Raises:
        OutputError: it exists and `force` is not given, or it cannot be written.
    """
    target = Path(path)
    check_target(path, force=force, binary=binary)
    if is_standard_output(path):
        with _spool() as spool:
            yield spool
            spool.seek(0)
            with _standard_output() as stdout:
                if not hasattr(stdout, "buffer"):
                    raise OutputError("was replaced by something that takes text only; name a file", source=_STDOUT)
                shutil.copyfileobj(spool, stdout.buffer)
        return
    try:
        if target.exists() and not target.is_file():  # /dev/stdout and its like cannot be replaced
            with _spool() as spool:
                yield spool
                spool.seek(0)
                with target.open("wb") as device:
                    shutil.copyfileobj(spool, device)
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


def _spool() -> BinaryIO:
    """A place to make a file that goes where nobody can seek, as some writers do."""
    return cast("BinaryIO", tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY))


def silence() -> None:
    """Sends what is left in standard output's buffer nowhere, so that nothing complains at the end."""
    with contextlib.suppress(OSError, ValueError, AttributeError):  # an output that is no file has nothing left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def _standard_output() -> Iterator[TextIO]:
    """Standard output, flushed at the end; a reader that has gone is no error, all else that fails is.

    Raises:
        OutputError: it cannot be written.
    """
    if sys.stdout is None:
        raise OutputError("is closed", source=_STDOUT)
    try:
        yield sys.stdout
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has gone (`| head`): not an error, and no message at the interpreter's exit either.
        silence()
    except OSError as error:
        silence()
        raise OutputError(f"cannot be written: {error.strerror or error}", source=_STDOUT) from error


def write_text(text: str, output: str | None, *, force: bool = False) -> None:
    """Writes a finished text to a file, or to standard output where `output` is None or `-`.

    Raises:
        OutputError: it cannot be written.
    """
    if output is None or is_standard_output(output):
        with _standard_output() as stdout:
            try:
                stdout.write(text)
            except UnicodeEncodeError:
                stdout.buffer.write(text.encode("utf-8", "replace"))
        return
    with replacing(output, force=force) as stream:
        stream.write(text.encode("utf-8", "replace"))
