"""Where the analysis runs: in this process, or in worker processes of this machine (`dask_engine` has the cluster).

An engine takes jobs as long as it has room and hands back outcomes as they come. It keeps no more jobs than it has
room for, so a batch of any length needs the same memory.
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import queue
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.context import BaseContext
from typing import Any, Protocol

from dumpmap.errors import DumpmapError
from dumpmap.triage.analyse import Outcome, failure
from dumpmap.triage.discovery import Job
from dumpmap.triage.worker import EXIT_MEMORY, Diary, Setup, find_hook, perform, start, work
from dumpmap.wording.text import size_words

_LOOK_EVERY = 1.0

AHEAD = 4
"""Jobs per worker that are handed out in advance."""

_LONGEST_TEMPORARY_FOLDER = 107 - len("/pymp-12345678/listener-12345678")

ATTEMPTS = 2
"""How often a file is tried whose worker dies for no reason of ours."""


ENDING_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
"""Names of the signals that ask a program to end; Windows has not all of them."""


_GUARD = (
    'it must be a file that calls dumpmap.triage under `if __name__ == "__main__":` (engine="serial" needs neither)'
)


class EngineError(DumpmapError):
    """The engine cannot work at all: workers do not start, or the cluster is gone."""


class Engine(Protocol):
    """What runs jobs."""

    @property
    def hindrance(self) -> str | None:
        """Why nothing gets done now, where that is known."""
        ...

    @property
    def pending(self) -> int:
        """Jobs handed in whose outcomes were not handed out yet."""
        ...

    @property
    def room(self) -> int:
        """How many more jobs it takes now."""
        ...

    def submit(self, job: Job) -> None:
        """Hands in a job."""
        ...

    def wait(self, timeout: float | None = None) -> list[Outcome]:
        """Returns outcomes that are ready; waits for the first one, at most `timeout` seconds."""
        ...

    def close(self) -> None:
        """Gives up what is pending and ends the workers."""
        ...


def limit_text(limit: float | None, memory: int | None = None) -> str:
    """Says which limit ended a file."""
    if memory is not None:
        return f"stopped: needed more than {size_words(memory)} of memory (the memory limit)"
    return f"stopped: took longer than {limit:g} s (the time limit)"


class SerialEngine:
    """Runs jobs in this process, one at a time, without limits. For debugging, and where no process can be started."""

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


@dataclass
class _Task:
    """A job under way."""

    job: Job
    number: int
    attempt: int = 1


class ProcessEngine:
    """Runs jobs in worker processes; one that exceeds a limit is killed and replaced.

    Args:
        setup: what the workers are told.
        jobs: how many workers.
        time_limit: seconds for one file; None for no limit.
    """

    def __init__(self, setup: Setup, jobs: int, time_limit: float | None) -> None:
        if getattr(multiprocessing.current_process(), "_inheriting", False):
            raise EngineError(f"called by a worker process that imports the calling script; {_GUARD}")
        self._context = process_context()
        self._diary = Diary(self._context)
        self._setup = setup
        self._jobs = jobs
        self._time_limit = time_limit
        self._numbers = itertools.count(1)
        self._tasks: dict[Future[Outcome], _Task] = {}
        self._ready: queue.SimpleQueue[Future[Outcome]] = queue.SimpleQueue()
        self._done_since_start = 0
        self._look_at = time.monotonic() + _LOOK_EVERY
        self._pool = self._new_pool()

    def _new_pool(self) -> Any:
        from pebble import ProcessPool

        self._done_since_start = 0
        self._started = False  # where all results are known, no worker is needed
        return ProcessPool(
            max_workers=self._jobs, initializer=start, initargs=(self._setup, self._diary), context=self._context
        )

    @property
    def hindrance(self) -> None:
        """See `Engine.hindrance`."""

    @property
    def pending(self) -> int:
        """See `Engine.pending`."""
        return len(self._tasks)

    @property
    def room(self) -> int:
        """See `Engine.room`."""
        return self._jobs * AHEAD - len(self._tasks)

    def submit(self, job: Job) -> None:
        """See `Engine.submit`."""
        self._schedule(_Task(job, next(self._numbers)))

    def _schedule(self, task: _Task) -> None:
        if not self._started:
            self._started = True
            with undisturbed():
                _ = self._pool.active  # starts it
        try:
            future = self._pool.schedule(work, args=(task.job, task.number), timeout=self._time_limit)
        except (RuntimeError, OSError, EOFError) as error:  # the pool is broken; `wait` sees to that
            future = Future()
            future.set_exception(BrokenProcessPool(str(error)))
        self._tasks[future] = task
        future.add_done_callback(self._ready.put)

    def wait(self, timeout: float | None = None) -> list[Outcome]:
        """See `Engine.wait`."""
        until = None if timeout is None else time.monotonic() + timeout
        done: list[Outcome] = []
        while not done and self._tasks:
            left = _LOOK_EVERY if until is None else min(_LOOK_EVERY, max(0.0, until - time.monotonic()))
            try:
                finished = [self._ready.get(timeout=left)]
            except queue.Empty:
                now = time.monotonic()
                if now >= self._look_at:
                    self._look_at = now + _LOOK_EVERY
                    done += self._missed()
                if until is not None and now >= until:
                    break
                continue
            while not self._ready.empty():
                finished.append(self._ready.get())
            broken: list[_Task] = []
            for future in finished:
                task = self._tasks.pop(future, None)
                if task is None:
                    continue  # of a pool that was given up
                outcome = self._outcome(future, task, broken)
                if outcome is not None:
                    self._done_since_start += 1
                    done.append(outcome)
            if broken:
                self._restart(broken)
        return done

    def _outcome(self, future: Future[Outcome], task: _Task, broken: list[_Task]) -> Outcome | None:
        """The outcome of a finished task; None where it is tried again."""
        from pebble import ProcessExpired

        error = future.exception()
        if error is None:
            return future.result()
        if isinstance(error, TimeoutError):
            limit = self._time_limit
            return failure(task.job, limit_text(limit), limit="time", seconds=limit)
        if isinstance(error, ProcessExpired):
            if error.exitcode == EXIT_MEMORY:
                return failure(task.job, limit_text(None, self._setup.memory_limit), limit="memory")
            return self._died(task, _exit_text(error.exitcode))
        if isinstance(error, BrokenProcessPool):
            broken.append(task)
            return None
        return failure(task.job, f"internal error: {type(error).__name__}: {error}")

    def _died(self, task: _Task, how: str) -> Outcome | None:
        """What becomes of a task whose worker died for no reason of ours: None where it is tried again."""
        if task.attempt < ATTEMPTS:
            self._schedule(_Task(task.job, next(self._numbers), task.attempt + 1))
            return None
        return failure(task.job, f"its worker process died ({how})")

    def _missed(self) -> list[Outcome]:
        """Looks for tasks whose workers died without the pool's noticing."""
        outcomes = []
        dead = set(self._diary.of_the_dead())
        for future, task in [item for item in self._tasks.items() if item[1].number in dead]:
            if not future.done():
                del self._tasks[future]
                future.cancel()
                outcome = self._died(task, "at once")
                if outcome is not None:
                    outcomes.append(outcome)
        # A pool that breaks gives up the tasks that it has taken over, and forgets those that it has not.
        forgotten = [] if self._pool.active else [future for future in self._tasks if not future.done()]
        if forgotten:
            self._restart([self._tasks.pop(future) for future in forgotten])
        return outcomes

    def _restart(self, broken: list[_Task]) -> None:
        """Starts a new pool where the old one lost its workers between two files, and gives it what was pending."""
        if not self._done_since_start:
            self.close()
            raise EngineError(f"worker processes do not start; they import the calling script: {_GUARD}")
        tasks = [*broken, *self._tasks.values()]
        self._tasks.clear()
        self._stop_pool()
        self._pool = self._new_pool()
        for task in tasks:
            self._schedule(task)

    def close(self) -> None:
        """See `Engine.close`."""
        self._tasks.clear()
        self._stop_pool()

    def _stop_pool(self) -> None:
        # The pool lets go of its semaphores before it ends its workers, one by one. A worker that only just starts
        # would not find them and say so, with a traceback. So they are held until the last one has ended.
        with contextlib.suppress(AttributeError):
            mutex = self._pool._pool_manager.worker_manager.workers_channel.mutex
            held = (mutex.reader_mutex, mutex.writer_mutex)  # noqa: F841
        self._pool.stop()
        self._pool.join()


def process_context() -> BaseContext:
    """How worker processes are started: safe beside threads, and warm where the system allows it."""
    # The server is reached by a socket among the temporary files, and the name of a socket has at most 107 bytes.
    if not sys.platform.startswith("linux") or len(os.fsencode(tempfile.gettempdir())) > _LONGEST_TEMPORARY_FOLDER:
        return multiprocessing.get_context("spawn")
    # A server that has made all imports forks the workers: a replacement for a killed one is there in milliseconds.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", "dumpmap.triage.preload"])
    return context


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Has signals wait that would raise an exception: a pool that is half started cannot be stopped."""
    caught: list[int] = []
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for name in ENDING_SIGNALS:
            number = int(getattr(signal, name, 0))
            if number and callable(signal.getsignal(number)):
                before[number] = signal.signal(number, lambda number, _: caught.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if caught:
            signal.raise_signal(caught[0])


def start_helpers() -> None:
    """Starts multiprocessing's helper processes, so that a signal that ends the program gets not a word out of them.

    The resource tracker removes the pool's semaphores where the program is killed, as it should, and would warn of a
    leak, which tells a user nothing. The fork server makes imports for a second, and Ctrl-C would show where it was.
    They are the whole program's, so it is not for a library to call this.
    """
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        return
    from multiprocessing import forkserver, resource_tracker

    # What is blocked while they start, and this option of -W, is handed on to them.
    option = "ignore:resource_tracker:UserWarning"
    sys.warnoptions.append(option)
    try:
        with _blocked(signal.SIGINT, signal.SIGHUP):
            resource_tracker.ensure_running()  # it lets SIGINT in again
        if process_context().get_start_method() == "forkserver":
            with _blocked(signal.SIGINT, signal.SIGHUP):
                forkserver.ensure_running()
    finally:
        sys.warnoptions.remove(option)


@contextlib.contextmanager
def _blocked(*numbers: signal.Signals) -> Iterator[None]:
    """Has signals wait; for processes that are started meanwhile, for ever."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _exit_text(code: int | None) -> str:
    if code is None:
        return "no exit code"
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return f"{name}; the system ends processes so when memory is short" if name == "SIGKILL" else name
    return f"exit code {code}"


EngineFactory = Callable[[], Engine]
