"""Imports what a worker needs. The process that workers are forked from loads this once."""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import sys
from pathlib import Path

import dumpmap.analysis.verdict
import dumpmap.classify.partial
import dumpmap.classify.pipeline
import dumpmap.parsers.minidump.reader
import dumpmap.structures.nt_heap
import dumpmap.structures.recognisers.windows_heaps
import dumpmap.triage.worker  # noqa: F401


def _remove_socket() -> None:
    """Removes the fork server's socket and its folder, which the main process does unless it was killed."""
    from multiprocessing import forkserver

    address = getattr(getattr(forkserver, "_forkserver", None), "_forkserver_address", None)
    if isinstance(address, str) and not address.startswith("\0"):
        socket = Path(address)
        with contextlib.suppress(OSError):
            socket.unlink(missing_ok=True)
            if socket.parent.name.startswith("pymp-"):
                socket.parent.rmdir()


# Only the fork server itself has no parent that multiprocessing knows of; workers end without this anyway.
if sys.platform.startswith("linux") and multiprocessing.parent_process() is None:
    atexit.register(_remove_socket)
