"""Long text on a terminal, one screen at a time, in the pager that the user prefers."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import IO

_DEFAULT = "less"
_LESS = "FRX"
"""Options for less unless LESS is set: leave a short text on the screen, show colours, and do not clear the screen."""


def pager_command() -> list[str] | None:
    """Returns the pager; None for none: no terminal, an empty PAGER, `PAGER=cat`, or a program that does not exist."""
    on_terminal = all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))
    if not on_terminal or os.environ.get("TERM") == "dumb":
        return None
    try:
        command = shlex.split(os.environ.get("PAGER", _DEFAULT), posix=os.name != "nt")
    except ValueError:  # a quotation mark without its end
        return None
    if not command or command[0] == "cat":
        return None
    program = shutil.which(command[0])
    return None if program is None else [program, *command[1:]]


def paged(parts: Iterable[str], height: int | None = None) -> Iterator[str]:
    """Shows a text in the pager, and yields it where no pager is needed.

    Args:
        parts: the text. It is read as the pager asks for more, so the first screen of a long text is there at once.
        height: lines that are shown without the pager; those of the terminal if None.
    """
    command = pager_command()
    if command is None:
        yield from parts
        return
    room = (shutil.get_terminal_size().lines if height is None else height) - 1  # the prompt needs a line
    parts, first, lines = iter(parts), [], 0
    for part in parts:
        first.append(part)
        lines += part.count("\n")
        if lines >= room:
            break
    if lines < room:
        yield from first
    else:
        _show(command, chain(first, parts))


def _show(command: list[str], parts: Iterable[str]) -> None:
    """Writes a text to the pager and waits until the user leaves it, with Ctrl-C for the pager alone."""
    environment = {**os.environ, "LESS": os.environ.get("LESS", _LESS)}
    process = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, text=True, encoding="utf-8")
    try:
        if process.stdin is not None:
            _feed(process.stdin, parts)
    finally:
        while process.poll() is None:
            with contextlib.suppress(KeyboardInterrupt):
                process.wait()


def _feed(stream: IO[str], parts: Iterable[str]) -> None:
    try:
        with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):  # the user has seen enough
            stream.writelines(parts)
    finally:
        with contextlib.suppress(BrokenPipeError):
            stream.close()
