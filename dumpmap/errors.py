"""The errors that a bad input can cause. Each carries the parts of a one-line message.

Only the standard library is used here: the live capture runs this module on a bare Python.
"""

from __future__ import annotations

import errno


class DumpmapError(Exception):
    """A problem outside the program: a bad input, a process, an output. Never a programming error.

    Attributes:
        source: the file or the process, or None.
        problem: the problem, and what to do about it.
        place: where in the file or structure, or None.
        exit_code: the exit code of the command line.
    """

    exit_code = 3

    def __init__(self, problem: str, *, source: str | None = None, place: str | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.source = source
        self.place = place

    def __str__(self) -> str:
        text = self.problem if self.place is None else f"{self.problem} ({self.place})"
        return text if self.source is None else f"{self.source}: {text}"

    def __reduce__(self) -> tuple[object, ...]:
        # Errors travel between worker processes; the default pickling loses keyword arguments.
        return _rebuild, (type(self), self.problem, self.source, self.place)


def _rebuild(kind: type[DumpmapError], problem: str, source: str | None, place: str | None) -> DumpmapError:
    return kind(problem, source=source, place=place)


class InputError(DumpmapError):
    """The input could not be read at all: it is missing, access is denied, or reading it failed."""


class FormatError(InputError):
    """The input has no format that dumpmap reads, or is too damaged to use."""


class SnapshotError(FormatError):
    """A JSON snapshot does not follow its schema; `place` is the path of the bad field."""


class CaptureError(DumpmapError):
    """A live process could not be captured."""


class OutputError(DumpmapError):
    """The result could not be written."""

    exit_code = 4


def reason_of(error: Exception) -> str:
    """Returns in a few words why the system could not do something."""
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return "symbolic link loop"
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return reason[:1].lower() + reason[1:]
