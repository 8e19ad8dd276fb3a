"""The files that a command reads, which none of its outputs replaces."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_INPUTS: set[tuple[int, int]] = set()
"""Device and number of each."""


def keep_input(path: str | os.PathLike[str]) -> None:
    """Protects a file that the command reads: no output replaces it, even if it is forced to."""
    with contextlib.suppress(OSError, ValueError):  # an address of a remote file, say
        _INPUTS.add(_identity(path))


def is_input(path: str | os.PathLike[str]) -> bool:
    """Tells whether the command reads this file, by whatever name.

    Raises:
        OSError: there is no such file.
    """
    return _identity(path) in _INPUTS


def forget_inputs() -> None:
    """Ends the protection: another command begins."""
    _INPUTS.clear()


def _identity(path: str | os.PathLike[str]) -> tuple[int, int]:
    status = Path(path).stat()
    return status.st_dev, status.st_ino
