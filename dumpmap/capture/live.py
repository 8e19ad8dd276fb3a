"""Finds and opens the process that a user names, on Windows and on Linux."""

from __future__ import annotations

import sys
from collections.abc import Callable

from dumpmap.capture.facts import LiveProcess, ProcessExitedError
from dumpmap.errors import CaptureError

_LISTED = 10
"""Processes of one name that an error lists."""


def open_process(target: int | str) -> LiveProcess:
    """Opens a running process.

    Args:
        target: a process id, also as text, or the name of a program. On Windows, case and `.exe` do not matter.

    Raises:
        CaptureError: there is no such process, there are several, or it cannot be captured.
        ValueError: `target` is neither an id nor a name.
    """
    open_pid: Callable[[int], LiveProcess]
    find: Callable[[str], list[tuple[int, str]]]
    if sys.platform == "win32":
        from dumpmap.capture.windows import WindowsProcess, find_processes

        open_pid, find = WindowsProcess, find_processes
    elif sys.platform == "linux":
        from dumpmap.capture.linux import LinuxProcess, find_processes

        open_pid, find = LinuxProcess, find_processes
    else:
        raise CaptureError("live capture works on Windows and Linux only", source=str(target))
    text = str(target).strip()
    if text.isdecimal() and text.isascii():
        if int(text) > 0xFFFF_FFFF:
            raise ValueError(f"{text} is not a process id")
        return open_pid(int(text))
    if not text or text.startswith("-") or isinstance(target, int):
        raise ValueError(f"{target!r} is neither a process id nor a name")
    found = find(text)
    if not found:
        raise ProcessExitedError("no process has this name", source=text)
    if len(found) > 1:
        ids = ", ".join(str(pid) for pid, _ in found[:_LISTED]) + (", ..." if len(found) > _LISTED else "")
        raise CaptureError(f"{len(found)} processes have this name; pass one of their ids: {ids}", source=text)
    return open_pid(found[0][0])
