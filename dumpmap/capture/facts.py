"""What a capture collects before it becomes a document: plain values, one shape for every operating system."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any, Protocol

from dumpmap.capture.regions import RegionTable
from dumpmap.errors import CaptureError
from dumpmap.model.memory import Excerpt


class ProcessExitedError(CaptureError):
    """The process is not there any more. Ends a series without spoiling what was captured before."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a capture does and takes.

    Attributes:
        freeze: stop the process while it is looked at. The map is then that of one moment.
        memory: read the bytes that the map is made from: headers, TEBs, PEBs and heap structures.
        working_set: ask for every committed page whether it is resident.
        command_line: include the command line, which can hold a user's secrets.
    """

    freeze: bool = False
    memory: bool = True
    working_set: bool = True
    command_line: bool = False


@dataclass(slots=True)
class Facts:
    """Everything that was learned about one process at one moment.

    The dictionaries have the keys of the JSON snapshot and hold its values, but for addresses, which are integers.
    A missing key is unknown.
    """

    captured_at: dt.datetime
    process: dict[str, Any]
    system: dict[str, Any] = field(default_factory=dict)
    counters: dict[str, int | None] = field(default_factory=dict)
    regions: RegionTable = field(default_factory=RegionTable)
    modules: list[dict[str, Any]] = field(default_factory=list)
    threads: list[dict[str, Any]] = field(default_factory=list)
    peb: int | None = None
    wow64_peb: int | None = None
    handle_count: int | None = None
    memory: list[Excerpt] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


class LiveProcess(Protocol):
    """A running process, opened for looking at. Stays the same process even if its id is given to another."""

    @property
    def pid(self) -> int:
        """Its id."""
        ...

    @property
    def label(self) -> str:
        """What messages call it: `name (id)`."""
        ...

    def is_running(self) -> bool:
        """Tells whether it still runs."""
        ...

    def capture(self, options: Options) -> Facts:
        """Looks at it once.

        Raises:
            ProcessExitedError: it is gone.
            CaptureError: it cannot be looked at.
        """
        ...

    def close(self) -> None:
        """Lets go of it."""
        ...
