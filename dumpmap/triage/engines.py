"""Where the analysis runs: what every engine offers, and the engine that works in this process.

`process_engine` has the worker processes, `dask_engine` the cluster. An engine accepts jobs as long as it has room and
returns outcomes as they become ready. It holds no more jobs than it has room for, so a batch of any length needs the
same memory.
"""

from __future__ import annotations

from typing import Protocol

from dumpmap.errors import DumpmapError
from dumpmap.triage.jobs import Job
from dumpmap.triage.outcome import Outcome, failure
from dumpmap.triage.worker import Setup, find_hook, perform


class EngineError(DumpmapError):
    """The engine cannot work at all: its workers do not start, or the cluster is gone."""


class Engine(Protocol):
    """What runs jobs."""

    @property
    def hindrance(self) -> str | None:
        """What keeps the engine from working, if it knows."""
        ...

    @property
    def pending(self) -> int:
        """The number of submitted jobs whose outcomes are still missing."""
        ...

    @property
    def room(self) -> int:
        """The number of jobs that the engine accepts now."""
        ...

    def submit(self, job: Job) -> None:
        """Submits a job."""
        ...

    def wait(self, timeout: float | None = None) -> list[Outcome]:
        """Returns the outcomes that are ready; waits for the first one, at most `timeout` seconds."""
        ...

    def close(self) -> None:
        """Drops pending jobs and ends the workers."""
        ...


class SerialEngine:
    """Runs jobs in this process, one at a time, without limits: for debugging, and where no process can start."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._hook = find_hook(setup.hook)
        self._done: list[Outcome] = []

    @property
    def hindrance(self) -> None:
        """See `Engine.hindrance`."""

    @property
    def pending(self) -> int:
        """See `Engine.pending`."""
        return len(self._done)

    @property
    def room(self) -> int:
        """See `Engine.room`."""
        return 1 - len(self._done)

    def submit(self, job: Job) -> None:
        """See `Engine.submit`."""
        try:
            self._done.append(perform(job, self._setup, self._hook))
        except MemoryError:
            self._done.append(failure(job, "not enough memory for this file"))

    def wait(self, timeout: float | None = None) -> list[Outcome]:
        """See `Engine.wait`."""
        del timeout
        done, self._done = self._done, []
        return done

    def close(self) -> None:
        """See `Engine.close`."""
