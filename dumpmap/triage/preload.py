"""Imports what a worker needs. The process that forks the workers imports this module once."""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import sys
from pathlib import Path

import dumpmap.classify
import dumpmap.parsers.minidump.reader
import dumpmap.triage.worker
import dumpmap.wording.verdicts  # noqa: F401


def _remove_socket() -> None:
    """Removes the fork server's socket and its folder, in case the main process was killed before it could."""
    from multiprocessing import forkserver

    address = getattr(getattr(forkserver, "_forkserver", None), "_forkserver_address", None)
    if isinstance(address, str) and not address.startswith("\0"):
        socket = Path(address)
        with contextlib.suppress(OSError):
            socket.unlink(missing_ok=True)
            if socket.parent.name.startswith("pymp-"):
                socket.parent.rmdir()


# Of these processes only the fork server has no parent in multiprocessing's view; workers skip exit handlers.
if sys.platform.startswith("linux") and multiprocessing.parent_process() is None:
    atexit.register(_remove_socket)
