"""The analysis on a Dask cluster, through Dask's own client.

A Dask task cannot be killed, so each thread of a Dask worker keeps a worker process of its own, the same as on one
machine: the limits hold there too. Files travel in small bundles, because the scheduler's work per task is of the same
size as the analysis of a small dump; a bundle whose worker is lost runs again elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import os
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import distributed

from dumpmap.triage.analyse import Outcome, failure
from dumpmap.triage.discovery import Job
from dumpmap.triage.engines import EngineError, ProcessEngine
from dumpmap.triage.worker import Setup

BUNDLE = 8
"""Files per task."""

MAX_LOSSES = 100
"""So many times a result may be lost on its way; a cluster that loses more will not end."""

RETRIES = 3
"""How often Dask runs a task again that failed."""

CONNECT_TIMEOUT = 20
"""Seconds to reach a scheduler."""

IDLE = 30
"""Seconds after which a Dask worker ends the processes that it has no more files for."""

_POLL = 0.02
_DASK: Any = distributed  # it has no types
_COUNT_EVERY = 5.0


class DaskEngine:
    """Runs jobs on a Dask cluster.

    Args:
        setup: what the workers are told.
        jobs: workers of the cluster, where one is started here.
        time_limit: seconds for one file; None for no limit.
        scheduler: the address of a running cluster's scheduler; None starts a cluster on this machine.

    Raises:
        EngineError: there is no such cluster, or none can be started.
    """

    def __init__(self, setup: Setup, jobs: int, time_limit: float | None, scheduler: str | None) -> None:
        self._setup, self._time_limit = setup, time_limit
        self._cluster: Any = None
        self._quiet = contextlib.ExitStack()
        self._quiet.enter_context(_quiet())
        try:
            if scheduler is None:
                # No dashboard; but a scheduler has a web server for its health in any case: on whatever port is free.
                scratch = tempfile.TemporaryDirectory(prefix="dumpmap-dask-", ignore_cleanup_errors=True)
                self._quiet.callback(scratch.cleanup)
                self._cluster = _DASK.LocalCluster(
                    n_workers=jobs,
                    threads_per_worker=1,
                    local_directory=scratch.name,
                    dashboard_address="127.0.0.1:0",
                    scheduler_kwargs={"dashboard": False},
                    silence_logs=_LOG_LEVEL,
                )
            else:
                _check_address(scheduler)
                _check_scheduler(scheduler)
            self._client: Any = _DASK.Client(self._cluster or scheduler, timeout=CONNECT_TIMEOUT, set_as_default=False)
        except BaseException as error:
            if self._cluster is not None:
                self._cluster.close()
            self._quiet.close()
            if not isinstance(error, (OSError, ValueError, RuntimeError)):
                raise
            raise EngineError(f"no Dask cluster: {' '.join(str(error).split())}", source=scheduler) from error
        self._losses = 0
        self._bundles: dict[Any, list[Job]] = {}
        self._open: list[Job] = []
        self._completed: Any = _DASK.as_completed(loop=self._client.loop, with_results=True, raise_errors=False)
        self._threads = jobs
        self._counted = float("-inf")

    @property
    def hindrance(self) -> str | None:
        """See `Engine.hindrance`."""
        self._count()
        return None if self._threads else "the Dask cluster has no workers"

    @property
    def pending(self) -> int:
        """See `Engine.pending`."""
        return len(self._open) + sum(map(len, self._bundles.values()))

    @property
    def room(self) -> int:
        """See `Engine.room`."""
        self._count()
        # As many bundles again as run: no worker waits while a result travels.
        return 2 * BUNDLE * max(1, self._threads) - self.pending

    def _count(self) -> None:
        """Counts the cluster's threads: workers come and go."""
        now = time.monotonic()
        if now - self._counted > _COUNT_EVERY:
            self._counted = now
            with contextlib.suppress(OSError, ValueError):
                self._threads = sum(self._client.nthreads().values())

    def submit(self, job: Job) -> None:
        """See `Engine.submit`."""
        self._open.append(job)
        if len(self._open) >= BUNDLE:
            self._send()

    def _send(self) -> None:
        if self._open:
            bundle, self._open = self._open, []
            self._start(bundle)

    def _start(self, bundle: list[Job]) -> None:
        future = self._client.submit(
            run_bundle,
            bundle,
            self._setup,
            self._time_limit,
            pure=False,
            retries=RETRIES,
            key=f"dumpmap-triage-{uuid.uuid4().hex}",
        )
        self._bundles[future] = bundle
        self._completed.add(future)

    def wait(self, timeout: float | None = None) -> list[Outcome]:
        """See `Engine.wait`."""
        self._send()
        until = None if timeout is None else time.monotonic() + timeout
        done: list[Outcome] = []
        while not done and self._bundles:
            while not self._completed.has_ready():
                if self._client.status in ("closed", "closing"):
                    raise EngineError("the Dask scheduler is gone; what is finished is kept for the next run")
                if until is not None and time.monotonic() >= until:
                    return done
                time.sleep(_POLL)
            for future, result in self._completed.next_batch(block=False):
                done += self._outcomes(future, result)
        return done

    def _outcomes(self, future: Any, result: Any) -> list[Outcome]:
        bundle = self._bundles.pop(future)
        if isinstance(result, list):  # what came counts, even where its worker was lost since
            outcomes: list[Outcome] = result
            return outcomes
        if future.status in ("cancelled", "lost"):
            if self._client.status != "running":
                raise EngineError("the Dask scheduler is gone; what is finished is kept for the next run")
            # The worker was lost with the result before it could be fetched.
            self._losses += 1
            if self._losses > MAX_LOSSES:
                raise EngineError("the Dask cluster loses its results; what is finished is kept for the next run")
            self._start(bundle)
            return []
        if len(bundle) > 1:  # one of them is to blame, the others are not
            for job in bundle:
                self._start([job])
            return []
        error = result[1] if isinstance(result, tuple) else result
        return [failure(bundle[0], f"failed on the cluster: {' '.join(f'{type(error).__name__}: {error}'.split())}")]

    def close(self) -> None:
        """See `Engine.close`."""
        with contextlib.suppress(Exception):  # a cluster that is gone cannot cancel
            self._client.cancel(list(self._bundles), force=True)
        self._bundles.clear()
        self._open.clear()
        if self._cluster is not None:
            # Dask waits for its workers to end, and they for their processes.
            with contextlib.suppress(Exception):
                self._client.run(end_processes, wait=False)
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()
        self._quiet.close()


_LOG_LEVEL = logging.CRITICAL
_LOGGERS = ("distributed", "distributed.client", "tornado.application", "asyncio")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps Dask's log off the terminal: what matters of it becomes a row or an error of ours. Not for debugging."""
    if os.environ.get("DUMPMAP_DEBUG") == "1":
        yield
        return
    # Dask gives loggers of its modules levels of their own.
    names = {*_LOGGERS, *(name for name in logging.root.manager.loggerDict if name.startswith("distributed."))}
    before = {logging.getLogger(name): logging.getLogger(name).level for name in names}
    for logger in before:
        logger.setLevel(_LOG_LEVEL)
    try:
        yield
    finally:
        for logger, level in before.items():
            logger.setLevel(level)


def _check_address(scheduler: str) -> None:
    """Refuses what is no address: a client that was given one would not end for a minute.

    Raises:
        ValueError: it is none.
    """
    from distributed.comm import addressing, registry

    scheme, _ = addressing.parse_address(scheduler)
    registry.get_backend(scheme)
    if scheme in ("tcp", "tls"):
        addressing.get_address_host_port(scheduler)


def _check_scheduler(address: str) -> None:
    """Asks whether a scheduler is there: a client would wait for ever for what is no scheduler to answer.

    Raises:
        OSError: nothing is there, or something else.
    """

    async def ask() -> Any:
        security = _DASK.Security().get_connection_args("client")
        async with _DASK.core.rpc(address, connection_args=security) as scheduler:
            return await scheduler.identity()

    answers: list[Any] = []

    def run() -> None:
        try:
            answers.append(asyncio.run(asyncio.wait_for(ask(), CONNECT_TIMEOUT)))
        except Exception as error:  # whatever came instead of an answer
            answers.append(error)

    # In a thread of its own: the caller may be in an event loop, as notebooks are.
    asking = threading.Thread(target=run, daemon=True)
    asking.start()
    asking.join(CONNECT_TIMEOUT + 1)
    answer = answers[0] if answers else TimeoutError()
    if isinstance(answer, TimeoutError) and not str(answer):
        raise OSError(f"what is there does not answer as a scheduler does, for {CONNECT_TIMEOUT} s")
    if isinstance(answer, Exception):
        raise OSError(str(answer) or type(answer).__name__) from answer
    if answer.get("type") != "Scheduler":
        raise OSError(f"what is there is no scheduler but a {answer.get('type')}")


# ---------------------------------------------------------------- in the Dask worker


class _Slot:
    """The worker process of one thread of a Dask worker."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._engine: ProcessEngine | None = None
        self._settings: tuple[Setup, float | None] | None = None
        self._timer: threading.Timer | None = None

    def run(self, jobs: list[Job], setup: Setup, time_limit: float | None) -> list[Outcome]:
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            if self._engine is not None and self._settings != (setup, time_limit):
                self._end()
            if self._engine is None:
                # A nanny starts its worker as a daemon, which must not have children. These end with it: they see that
                # their parent is gone.
                with contextlib.suppress(AssertionError):
                    multiprocessing.current_process().daemon = False
                self._engine, self._settings = ProcessEngine(setup, 1, time_limit), (setup, time_limit)
            engine, outcomes = self._engine, []
            try:
                for job in jobs:
                    engine.submit(job)
                while engine.pending:
                    outcomes += engine.wait()
            except BaseException:
                self._end()
                raise
            self._timer = threading.Timer(IDLE, self._idle)
            self._timer.daemon = True
            self._timer.start()
            return outcomes

    def _idle(self) -> None:
        with self._lock:
            if self._timer is threading.current_thread():
                self._end()

    def end(self) -> None:
        """Ends the worker process, unless it is at work."""
        if self._lock.acquire(blocking=False):
            try:
                self._end()
            finally:
                self._lock.release()

    def _end(self) -> None:
        if self._engine is not None:
            self._engine.close()
            self._engine = None


_SLOTS = threading.local()
_ALL_SLOTS: list[_Slot] = []


def run_bundle(jobs: list[Job], setup: Setup, time_limit: float | None) -> list[Outcome]:
    """Analyses some files, in the Dask worker."""
    if not hasattr(_SLOTS, "slot"):
        _SLOTS.slot = _Slot()
        _ALL_SLOTS.append(_SLOTS.slot)
    slot: _Slot = _SLOTS.slot
    return slot.run(jobs, setup, time_limit)


def end_processes() -> None:
    """Ends the worker processes of this Dask worker."""
    for slot in _ALL_SLOTS:
        slot.end()
