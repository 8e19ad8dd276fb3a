"""Reading /proc: the directory of one process, and the texts about the machine.

Sources: the Linux manual pages proc_pid_status(5), proc_pid_stat(5) and proc_meminfo(5).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from dumpmap.capture.facts import ProcessExitedError
from dumpmap.errors import CaptureError, reason_of

assert sys.platform == "linux"  # noqa: S101 - tells the type checker as well

PROC = Path("/proc")


class ProcDirectory:
    """The open directory of one process. It never becomes that of another: once the process is gone, it is empty.

    Args:
        pid: the process.

    Attributes:
        label: what messages call the process.

    Raises:
        CaptureError: there is no such process.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.label = str(pid)
        try:
            self._descriptor = os.open(PROC / str(pid), os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            raise ProcessExitedError("no such process", source=self.label) from None
        except OSError as error:
            raise CaptureError(reason_of(error), source=self.label) from None

    def close(self) -> None:
        """Closes the directory."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def read(self, name: str) -> bytes:
        """Reads one file, in as few reads as possible.

        Raises:
            ProcessExitedError: the process is gone.
            CaptureError: this user has no right to read it.
        """
        try:
            with os.fdopen(os.open(name, os.O_RDONLY, dir_fd=self._descriptor), "rb", buffering=0) as file:
                return file.readall()
        except (FileNotFoundError, ProcessLookupError):
            raise ProcessExitedError("the process has exited", source=self.label) from None
        except PermissionError:
            raise CaptureError(
                f"access denied: only the owner of the process and root can read /proc/{self.pid}/{name}",
                source=self.label,
            ) from None
        except OSError as error:
            raise CaptureError(f"cannot read /proc/{self.pid}/{name}: {reason_of(error)}", source=self.label) from None

    def text(self, name: str) -> str:
        """Reads one file as text; see `read`."""
        return decode(self.read(name))

    def text_or_none(self, name: str) -> str | None:
        """Reads one file as text; None if that fails."""
        try:
            return self.text(name)
        except CaptureError:
            return None

    def start_of_program(self, size: int) -> bytes:
        """Reads the first bytes of the process's program; fewer, or none, if that fails."""
        try:
            with os.fdopen(os.open("exe", os.O_RDONLY, dir_fd=self._descriptor), "rb") as file:
                return file.read(size)
        except OSError:
            return b""

    def link(self, name: str) -> str | None:
        """Returns the target of a symbolic link, None if it cannot be read."""
        try:
            return decode(os.fsencode(os.readlink(name, dir_fd=self._descriptor)))
        except OSError:
            return None

    def names(self, directory: str) -> list[str] | None:
        """Lists a subdirectory, None if that fails."""
        try:
            descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY, dir_fd=self._descriptor)
        except OSError:
            return None
        try:
            return os.listdir(descriptor)  # noqa: PTH208 - a Path cannot list a descriptor
        except OSError:
            return None
        finally:
            os.close(descriptor)

    def thread_ids(self) -> list[int]:
        """Lists the threads."""
        return sorted(map(int, self.names("task") or ()))

    def stat(self, thread: int | None = None) -> tuple[str, list[str]]:
        """Reads `stat` of the process or of one of its threads.

        Returns:
            the command name, and the fields from `state` on (field 3 of the manual page is the first).
        """
        text = self.text("stat" if thread is None else f"task/{thread}/stat")
        # The name is in parentheses and can contain any character, parentheses and spaces included.
        name, _, rest = text.partition("(")[2].rpartition(")")
        return name, rest.split()


def read_or_empty(path: str) -> str:
    """Reads a text about the machine, empty if that fails."""
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""


def sizes(text: str) -> dict[str, int]:
    """Reads the `Name: 123 kB` lines of a text, in bytes."""
    found = {}
    for line in text.splitlines():
        key, _, value = line.partition(":")
        words = value.split()
        if len(words) == 2 and words[1] == "kB" and words[0].isdecimal():
            found[key] = int(words[0]) * 1024
    return found


def decode(data: bytes) -> str:
    """Decodes a text of /proc. File names are bytes; JSON cannot carry those that are not UTF-8."""
    return data.decode("utf-8", "replace")
