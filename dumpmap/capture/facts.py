"""What a capture collects before it becomes a document: plain values, in one shape for every operating system."""

from __future__ import annotations

import datetime as dt
from dataclasses import field
from typing import Any, Protocol

from dumpmap.capture.regions import RegionTable
from dumpmap.errors import CaptureError
from dumpmap.model.memory import Excerpt
from dumpmap.model.values import value_class


class ProcessExitedError(CaptureError):
    """The process does not exist any more. It ends a series but keeps the captures before it."""


@value_class(frozen=True, slots=True)
class CaptureOptions:
    """What a capture does and includes.

    Attributes:
        freeze: stop the process during the capture, so that the map shows one moment.
        memory: read the bytes that the map needs: headers, TEBs, PEBs and heap structures.
        working_set: read which committed pages are resident.
        command_line: include the command line, which can contain secrets.
    """

    freeze: bool = False
    memory: bool = True
    working_set: bool = True
    command_line: bool = False


@value_class(frozen=False, slots=True)
class LiveFacts:
    """The facts about one process at one moment.

    The dictionaries have the keys and values of the JSON snapshot, except that addresses are integers. A missing key
    is unknown.
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
    """An open, running process. It stays the same process even if its id is reused."""

    @property
    def pid(self) -> int:
        """Its id."""
        ...

    @property
    def label(self) -> str:
        """Its name in messages: `name (id)`."""
        ...

    def is_running(self) -> bool:
        """Returns whether it still runs."""
        ...

    def capture(self, options: CaptureOptions) -> LiveFacts:
        """Captures it once.

        Raises:
            ProcessExitedError: it has exited.
            CaptureError: it cannot be captured.
        """
        ...

    def close(self) -> None:
        """Closes it."""
        ...
