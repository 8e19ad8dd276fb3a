"""The analysis on a Dask cluster, through Dask's own client.

A Dask task cannot be killed. So each thread of a Dask worker keeps its own worker process, as on one machine, and the
limits apply there too. Files travel in small bundles, because the scheduler spends about as much time on a task as the
analysis of a small dump takes. If a worker is lost, its bundle runs again elsewhere.
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

from dumpmap.triage.engines import EngineError
from dumpmap.triage.jobs import Job
from dumpmap.triage.outcome import Outcome, failure
from dumpmap.triage.process_engine import ProcessEngine
from dumpmap.triage.worker import Setup

BUNDLE = 8
"""Files per task."""

MAX_LOSSES = 100
"""How many results may be lost in transit; a cluster that loses more would never finish."""

RETRIES = 3
"""How often Dask repeats a failed task."""

CONNECT_TIMEOUT = 20
"""Seconds to wait for a scheduler."""

IDLE = 30
"""Seconds without files after which a Dask worker ends its processes."""

SCHEDULER_GONE = "the Dask scheduler is gone; finished results are kept for the next run"

_POLL = 0.02
_DASK: Any = distributed  # it has no types
_COUNT_EVERY = 5.0


class DaskEngine:
    """Runs jobs on a Dask cluster.

    Args:
        setup: what every worker needs.
        jobs: number of workers, if the engine starts the cluster.
        time_limit: seconds for one file; None for no limit.
        scheduler: the address of a running scheduler; None starts a cluster on this machine.

    Raises:
        EngineError: the cluster cannot be reached or started.
    """

    def __init__(self, setup: Setup, jobs: int, time_limit: float | None, scheduler: str | None) -> None:
        self._setup, self._time_limit = setup, time_limit
        self._cluster: Any = None
        self._quiet = contextlib.ExitStack()
        self._quiet.enter_context(_quiet())
        try:
            if scheduler is None:
                # Even without a dashboard, a scheduler has a web server for its health: on any free port.
                scratch = tempfile.TemporaryDirectory(prefix="dumpmap-dask-", ignore_cleanup_errors=True)
                self._quiet.callback(scratch.cleanup)
                self._cluster = _DASK.LocalCluster(
                    n_workers=jobs,
                    threads_per_worker=1,
                    security=_own_security(),
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
            text = " ".join(str(error).split())
            raise EngineError(f"cannot use the Dask cluster: {text}", source=scheduler) from error
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
        # As many bundles in advance as run: no worker waits while a result travels.
        return 2 * BUNDLE * max(1, self._threads) - self.pending

    def _count(self) -> None:
        """Counts the cluster's threads: workers come and go."""
        now = time.monotonic()
        if now - self._counted > _COUNT_EVERY:
            self._counted = now
            with self._reached(), contextlib.suppress(OSError, ValueError):
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
        with self._reached():
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

    @contextlib.contextmanager
    def _reached(self) -> Iterator[None]:
        """Says that the scheduler is gone where the client, which has lost it, raises whatever it does then."""
        try:
            yield
        except Exception as error:
            if self._client.status == "running":
                raise
            raise EngineError(SCHEDULER_GONE) from error

    def wait(self, timeout: float | None = None) -> list[Outcome]:
        """See `Engine.wait`."""
        self._send()
        until = None if timeout is None else time.monotonic() + timeout
        done: list[Outcome] = []
        while not done and self._bundles:
            while not self._completed.has_ready():
                if self._client.status in ("closed", "closing"):
                    raise EngineError(SCHEDULER_GONE)
                if until is not None and time.monotonic() >= until:
                    return done
                time.sleep(_POLL)
            with self._reached():
                batch = self._completed.next_batch(block=False)
            for future, result in batch:
                done += self._outcomes(future, result)
        return done

    def _outcomes(self, future: Any, result: Any) -> list[Outcome]:
        bundle = self._bundles.pop(future)
        if isinstance(result, list):  # a result that arrived counts, even if its worker was lost afterwards
            outcomes: list[Outcome] = result
            return outcomes
        if future.status in ("cancelled", "lost"):
            if self._client.status != "running":
                raise EngineError(SCHEDULER_GONE)
            # The worker was lost with the result before the client fetched it.
            self._losses += 1
            if self._losses > MAX_LOSSES:
                raise EngineError("the Dask cluster keeps losing results; finished results are kept for the next run")
            self._start(bundle)
            return []
        if len(bundle) > 1:  # one of the files is the cause; the others get a row
            for job in bundle:
                self._start([job])
            return []
        error = result[1] if isinstance(result, tuple) else result
        return [failure(bundle[0], f"failed on the cluster: {' '.join(f'{type(error).__name__}: {error}'.split())}")]

    def close(self) -> None:
        """See `Engine.close`."""
        with contextlib.suppress(Exception):  # a lost cluster cannot cancel
            self._client.cancel(list(self._bundles), force=True)
        self._bundles.clear()
        self._open.clear()
        if self._cluster is not None:
            # Dask waits for its workers to end, and these wait for their processes.
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
    """Keeps Dask's log off the terminal, unless debugging: what matters becomes a row or an error of dumpmap."""
    if os.environ.get("DUMPMAP_DEBUG") == "1":
        yield
        return
    # Dask sets separate levels for the loggers of its modules.
    names = {*_LOGGERS, *(name for name in logging.root.manager.loggerDict if name.startswith("distributed."))}
    before = {logging.getLogger(name): logging.getLogger(name).level for name in names}
    for logger in before:
        logger.setLevel(_LOG_LEVEL)
    try:
        yield
    finally:
        for logger, level in before.items():
            logger.setLevel(level)


def _own_security() -> Any:
    """Returns TLS with a certificate made for this run and kept in memory.

    A scheduler runs what its clients send. Without TLS, every user of this machine could connect to it.
    """
    return _DASK.Security.temporary()


def _check_address(scheduler: str) -> None:
    """Rejects a malformed address: a Dask client would need a minute for that.

    Raises:
        ValueError: the address is malformed.
    """
    from distributed.comm import addressing, registry

    scheme, _ = addressing.parse_address(scheduler)
    registry.get_backend(scheme)
    if scheme in ("tcp", "tls"):
        addressing.get_address_host_port(scheduler)


def _check_scheduler(address: str) -> None:
    """Checks that a scheduler answers: a Dask client would wait for ever for an answer from another program.

    Raises:
        OSError: nothing answers, or another program does.
    """

    async def ask() -> Any:
        security = _DASK.Security().get_connection_args("client")
        async with _DASK.core.rpc(address, connection_args=security) as scheduler:
            return await scheduler.identity()

    answers: list[Any] = []

    def run() -> None:
        try:
            answers.append(asyncio.run(asyncio.wait_for(ask(), CONNECT_TIMEOUT)))
        except Exception as error:  # whatever comes instead of an answer
            answers.append(error)

    # In its own thread: the caller may run in an event loop, as notebooks do.
    asking = threading.Thread(target=run, daemon=True)
    asking.start()
    asking.join(CONNECT_TIMEOUT + 1)
    answer = answers[0] if answers else TimeoutError()
    if isinstance(answer, TimeoutError) and not str(answer):
        raise OSError(f"no scheduler answered within {CONNECT_TIMEOUT} s")
    if isinstance(answer, Exception):
        raise OSError(str(answer) or type(answer).__name__) from answer
    if answer.get("type") != "Scheduler":
        raise OSError(f"the address belongs to a {answer.get('type')}, not to a scheduler")


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
                # A nanny starts its worker as a daemon, which must not have children. These end with the worker: they
                # notice that their parent is gone.
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
        """Ends the worker process, unless it is busy."""
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
    """Analyses some files in the Dask worker."""
    if not hasattr(_SLOTS, "slot"):
        _SLOTS.slot = _Slot()
        _ALL_SLOTS.append(_SLOTS.slot)
    slot: _Slot = _SLOTS.slot
    return slot.run(jobs, setup, time_limit)


def end_processes() -> None:
    """Ends the worker processes of this Dask worker."""
    for slot in _ALL_SLOTS:
        slot.end()
