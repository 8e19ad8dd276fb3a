"""Where a result goes: standard output or a file. Existing files are kept unless `force` is set."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from dumpmap.errors import OutputError, reason_of
from dumpmap.writers.inputs import is_input

_STDOUT = "standard output"

_EXISTS = "already exists. Use --force to overwrite it"

STANDARD_OUTPUT = "-"
"""The output name for standard output; as an input name it means standard input."""

_IN_MEMORY = 64 << 20
"""Output to standard output is collected in memory up to this size, then in a temporary file."""


def is_standard_output(path: str | os.PathLike[str]) -> bool:
    """Returns whether an output name means standard output."""
    return os.fspath(path) == STANDARD_OUTPUT


def check_target(path: str | os.PathLike[str], *, force: bool = False, binary: bool = False) -> None:
    """Checks an output before the work starts.

    Args:
        path: a file, or `-` for standard output.
        force: whether the file may be overwritten.
        binary: whether the output is binary, which a terminal cannot show.

    Raises:
        OutputError: the file exists and `force` is not set, it is a folder or an input, its folder cannot be searched,
            or a terminal would get binary data.
    """
    target = Path(path)
    if is_standard_output(path):
        if binary and sys.stdout is not None and sys.stdout.isatty():
            raise OutputError(
                "is a terminal, which cannot show this binary format. Name a file or use a pipe", source=_STDOUT
            )
        return
    try:
        if target.is_dir():
            raise OutputError("is a folder", source=str(path))
        if not target.parent.is_dir():
            raise OutputError("cannot be written: its folder does not exist", source=str(path))
        # A device such as /dev/stdout is written to, not overwritten.
        if target.is_file():
            if is_input(target):
                raise OutputError("is an input of this command. Choose another output", source=str(path))
            if not force:
                raise OutputError(_EXISTS, source=str(path))
    except OSError as error:  # a folder that may not be searched
        raise OutputError(f"cannot be written: {reason_of(error)}", source=str(path)) from error


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str], *, force: bool = False, binary: bool = False) -> Iterator[BinaryIO]:
    """Opens a binary file that appears only when it is complete.

    The file is written without a name, or under a temporary one in the same folder, and gets its name at the end, so a
    failure keeps the previous file. On Linux, nothing is left of it if the process is killed. An existing file keeps
    its permissions; if the path is a symbolic link, its target is replaced and the link stays. Standard output (`-`)
    also receives complete output only.

    Args:
        path: the file, or `-` for standard output.
        force: overwrite the file.
        binary: see `check_target`.

    Raises:
        OutputError: the file exists and `force` is not set, or it cannot be written.
    """
    target = Path(path)
    check_target(path, force=force, binary=binary)
    try:
        if is_standard_output(path):
            with _spool() as spool:
                yield spool
                spool.seek(0)
                with _standard_output() as stdout:
                    if not hasattr(stdout, "buffer"):
                        raise OutputError("accepts only text because it was replaced. Name a file", source=_STDOUT)
                    shutil.copyfileobj(spool, stdout.buffer)
            return
        if target.exists() and not target.is_file():  # /dev/stdout and its like cannot be replaced
            with _spool() as spool:
                yield spool
                spool.seek(0)
                with target.open("wb") as device:
                    shutil.copyfileobj(spool, device)
            return
        target = Path(os.path.realpath(target))
        with _unnamed(target.parent) as stream:
            if stream is not None:
                yield stream
                stream.flush()
                with _beside(target) as temporary:
                    _name(stream, temporary)
                    _publish(temporary, target, force=force)
                return
        with _beside(target) as temporary:
            with _private(temporary) as stream:
                yield stream
            _publish(temporary, target, force=force)
    except FileExistsError:
        raise OutputError(_EXISTS, source=str(path)) from None
    except OSError as error:
        name = _STDOUT if is_standard_output(path) else str(path)
        raise OutputError(f"cannot be written: {reason_of(error)}", source=name) from error


@contextlib.contextmanager
def _unnamed(folder: Path) -> Iterator[BinaryIO | None]:
    """Opens a file without a name, of which nothing is left if the process is killed; None where there are none."""
    flag = getattr(os, "O_TMPFILE", 0)
    handle = None
    if flag and Path("/proc/self/fd").is_dir():
        with contextlib.suppress(OSError):  # not every file system has them
            handle = os.open(folder, flag | os.O_RDWR | os.O_CLOEXEC, 0o600)
    if handle is None:
        yield None
        return
    with os.fdopen(handle, "w+b") as stream:
        yield stream


@contextlib.contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """Chooses a temporary name in the target's folder; no file of that name is left if the block fails."""
    temporary = target.with_name(f".{target.name[:200]}.{os.urandom(4).hex()}.part")
    try:
        yield temporary
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _name(stream: BinaryIO, path: Path) -> None:
    """Gives a file without a name one, or a copy of it where that fails."""
    try:
        # Only with a folder's handle does Python follow the link, which leads to the file itself.
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.link(f"/proc/self/fd/{stream.fileno()}", path.name, src_dir_fd=folder, dst_dir_fd=folder)
        finally:
            os.close(folder)
    except OSError:
        stream.seek(0)
        with _private(path) as copy:
            shutil.copyfileobj(stream, copy)


def _private(path: Path) -> BinaryIO:
    """Creates a file that only its owner can read."""
    return open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600))


def _publish(temporary: Path, target: Path, *, force: bool) -> None:
    """Gives a file its name: unless it is forced to, not one that another program has taken meanwhile."""
    temporary.chmod(_mode(target))
    if force:
        temporary.replace(target)
    else:
        from dumpmap.capture.output import publish

        publish(temporary, target)


def _mode(target: Path) -> int:
    """Returns the permissions of an existing file; otherwise the usual ones, because the file was created private."""
    with contextlib.suppress(OSError):
        return stat.S_IMODE(target.stat().st_mode)
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _spool() -> BinaryIO:
    """Opens a seekable buffer, which some writers need, for an output that cannot seek."""
    return cast("BinaryIO", tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY))


def silence() -> None:
    """Discards the rest of standard output's buffer, so that the interpreter's exit reports no error."""
    with contextlib.suppress(OSError, ValueError, AttributeError):  # an output that is not a file has no rest
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def standard_output() -> Iterator[TextIO]:
    """Opens standard output and flushes it at the end.

    Raises:
        OutputError: it cannot be written.
        BrokenPipeError: its reader has gone, so there is no point in going on.
    """
    if sys.stdout is None:
        raise OutputError("is closed", source=_STDOUT)
    try:
        yield sys.stdout
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        silence()
        raise OutputError(f"cannot be written: {reason_of(error)}", source=_STDOUT) from error


@contextlib.contextmanager
def _standard_output() -> Iterator[TextIO]:
    """Opens standard output for a whole result. A reader that has gone (`| head`) is not an error.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        with standard_output() as stdout:
            yield stdout
    except BrokenPipeError:
        silence()


def write_text(text: str, output: str | None, *, force: bool = False) -> None:
    """Writes a finished text to a file, or to standard output where `output` is None or `-`.

    Raises:
        OutputError: it cannot be written.
    """
    write_parts(iter((text,)), output, force=force)


def write_parts(parts: Iterator[str], output: str | None, *, force: bool = False) -> None:
    """Writes a text, part by part, to a file, or to standard output where `output` is None or `-`.

    Raises:
        OutputError: it cannot be written.
    """
    if output is None or is_standard_output(output):
        if sys.stdout is not None and not _takes_everything(sys.stdout):
            parts = iter(("".join(parts),))  # it is in one encoding from the beginning to the end
        first = next(parts, "")  # a failure before it leaves standard output as it is
        with _standard_output() as stdout:
            for part in chain((first,), parts):
                try:
                    stdout.write(part)
                except UnicodeEncodeError:
                    stdout.flush()
                    stdout.buffer.write(part.encode("utf-8", "replace"))
        return
    with replacing(output, force=force) as stream:
        for part in parts:
            stream.write(part.encode("utf-8", "replace"))


def _takes_everything(stream: TextIO) -> bool:
    return (getattr(stream, "encoding", None) or "").lower().replace("-", "") == "utf8"
