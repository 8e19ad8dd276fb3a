"""The analysis in worker processes on this machine, each file under a time and a memory limit.

A task has several small files: a message for each costs the main process more than all else that it does for a file,
and only one process can hand out work. Limits hold for each file nevertheless. Memory is limited in the worker, file by
file. A task of several files that takes long, needs too much memory, or kills its worker is taken apart: each of its
files becomes a task of its own, under the limits of a file.
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import queue
import time
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any

from dumpmap.errors import reason_of
from dumpmap.triage.engines import EngineError
from dumpmap.triage.jobs import Job
from dumpmap.triage.outcome import Outcome, failure
from dumpmap.triage.processes import exit_text, process_context, startable, undisturbed
from dumpmap.triage.worker import EXIT_MEMORY, Diary, Setup, start, work
from dumpmap.wording.text import size_words

AHEAD = 4
"""Tasks per worker that are handed out in advance."""

BUNDLE = 16
"""Most files of a task."""

BUNDLE_SIZE = 1 << 20
"""Bytes of the largest file that shares a task. It takes milliseconds."""

BUNDLE_TIME = 2.0
"""Seconds for a task of several files."""

ATTEMPTS = 2
"""How often to try a file whose worker dies for a reason other than a limit."""

_LOOK_EVERY = 1.0
_PAUSE = 0.2

_UNKNOWN_EXIT = 255
"""What multiprocessing gives as the exit code of a worker whose fork server is gone."""

_GUARD = (
    'it must be a file that calls dumpmap.triage under `if __name__ == "__main__":` (engine="serial" needs neither)'
)


def time_text(limit: float | None) -> str:
    """Returns the error of a file that exceeded the time limit."""
    return f"exceeded the time limit of {limit:g} s"


def memory_text(limit: int) -> str:
    """Returns the error of a file that exceeded the memory limit."""
    return f"exceeded the memory limit of {size_words(limit)}"


@dataclass
class _Task:
    """Jobs under way, in one worker."""

    jobs: list[Job]
    number: int
    attempt: int = 1


_Running = Future[list[Outcome]]


class _Roster(dict[int, Any]):
    """pebble's table of workers. It remembers the first that pebble drops: how they ended says why a start failed."""

    _MOST = 16

    def __init__(self) -> None:
        super().__init__()
        self.ended: list[Any] = []

    def pop(self, pid: int, default: Any = None) -> Any:
        worker = super().pop(pid, default)
        if worker is not None and len(self.ended) < self._MOST:
            self.ended.append(worker)
        return worker


class ProcessEngine:
    """Runs jobs in worker processes; a worker that exceeds a limit is killed and replaced.

    Args:
        setup: what every worker needs.
        jobs: the number of workers.
        time_limit: seconds for one file; None for no limit.

    Raises:
        EngineError: the system refuses what workers need to start.
    """

    def __init__(self, setup: Setup, jobs: int, time_limit: float | None) -> None:
        if getattr(multiprocessing.current_process(), "_inheriting", False):
            raise EngineError(f"a worker process that imports the calling script has started a batch; {_GUARD}")
        self._context = process_context()
        with startable(jobs):
            self._diary = Diary(self._context)
        self._setup = setup
        self._jobs = jobs
        self._time_limit = time_limit
        self._numbers = itertools.count(1)
        self._tasks: dict[_Running, _Task] = {}
        self._ready: queue.SimpleQueue[_Running] = queue.SimpleQueue()
        self._bundle: list[Job] = []  # not yet handed out
        self._most = BUNDLE
        self._pending = 0
        self._done_since_start = 0
        self._look_at = time.monotonic() + _LOOK_EVERY
        self._failed_starts = 0
        self._roster = _Roster()
        self._pool = self._new_pool()

    def _new_pool(self) -> Any:
        from pebble import ProcessPool

        self._done_since_start = 0
        self._started = False  # a batch whose results are all cached needs no worker
        pool = ProcessPool(
            max_workers=self._jobs, initializer=start, initargs=(self._setup, self._diary), context=self._context
        )
        self._roster = _Roster()
        with contextlib.suppress(AttributeError):
            pool._pool_manager.worker_manager.workers = self._roster
        return pool

    @property
    def hindrance(self) -> None:
        """See `Engine.hindrance`."""

    @property
    def pending(self) -> int:
        """See `Engine.pending`."""
        return self._pending

    @property
    def room(self) -> int:
        """See `Engine.room`."""
        return self._jobs * AHEAD * BUNDLE - self._pending

    def submit(self, job: Job) -> None:
        """See `Engine.submit`."""
        self._pending += 1
        if job.remote or job.member is not None or job.size is None or job.size > BUNDLE_SIZE:
            self._schedule([job])
        else:
            self._bundle.append(job)
            self._hand_out()

    def _hand_out(self) -> None:
        """Hands out the bundle if it is large enough: so large that each worker has its share of what is left."""
        if len(self._bundle) >= max(1, min(self._most, self._pending // (self._jobs * AHEAD))):
            jobs, self._bundle = self._bundle, []
            if jobs:
                self._schedule(jobs)

    def _schedule(self, jobs: list[Job], attempt: int = 1) -> None:
        task = _Task(jobs, next(self._numbers), attempt)
        limit = self._time_limit
        if len(jobs) > 1:
            limit = BUNDLE_TIME if limit is None else min(limit, BUNDLE_TIME)
        if not self._started:
            self._start()
        try:
            future = self._pool.schedule(work, args=(task.jobs, task.number), timeout=limit)
        except (RuntimeError, OSError, EOFError) as error:  # the pool is broken; `wait` handles that
            future = Future()
            future.set_exception(BrokenProcessPool(str(error)))
        self._tasks[future] = task
        future.add_done_callback(self._ready.put)

    def _start(self) -> None:
        """Starts the workers; tries again if that fails, because the fork server of before may have been killed."""
        cause: Exception | None = None
        for _ in range(ATTEMPTS):
            self._started = True
            try:
                with undisturbed():
                    _ = self._pool.active  # starts it
            except (BrokenProcessPool, OSError, EOFError) as error:
                cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
                self._stop_pool()
                self._pool = self._new_pool()
            else:
                return
            time.sleep(_PAUSE)  # until the system knows that the fork server is gone
        self._started = False
        if self._context.get_start_method() == "forkserver" and isinstance(cause, (ConnectionError, EOFError)):
            raise EngineError("cannot start worker processes: the process that forks them was ended, twice")
        raise EngineError(f"cannot start worker processes: {(cause and reason_of(cause)) or 'no reason given'}")

    def wait(self, timeout: float | None = None) -> list[Outcome]:
        """See `Engine.wait`."""
        until = None if timeout is None else time.monotonic() + timeout
        done: list[Outcome] = []
        while not done and self._pending:
            self._hand_out()
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
            done += self._outcomes(finished)
        self._pending -= len(done)
        return done

    def _outcomes(self, finished: list[_Running]) -> list[Outcome]:
        """Returns the outcomes of finished tasks; tries again those that are worth it."""
        done: list[Outcome] = []
        broken: list[_Task] = []
        for future in finished:
            task = self._tasks.pop(future, None)
            if task is None:
                continue  # it belongs to a pool that was given up
            outcomes = self._of_task(future, task, broken)
            self._done_since_start += len(outcomes)
            done += outcomes
        return done + self._restart(broken) if broken else done

    def _of_task(self, future: _Running, task: _Task, broken: list[_Task]) -> list[Outcome]:
        """Returns the outcomes of a finished task; none if its files are tried again."""
        from pebble import ProcessExpired

        error = future.exception()
        if error is None:
            return future.result()
        if isinstance(error, BrokenProcessPool):
            broken.append(task)
            return []
        if isinstance(error, ProcessExpired) and error.exitcode != EXIT_MEMORY:
            return self._died(task, exit_text(error.exitcode))
        if len(task.jobs) > 1:
            return self._take_apart(task, slow=isinstance(error, TimeoutError))
        (job,) = task.jobs
        if isinstance(error, TimeoutError):
            limit = self._time_limit
            return [failure(job, time_text(limit), limit="time", seconds=limit)]
        if isinstance(error, ProcessExpired):
            return [failure(job, memory_text(self._setup.memory_limit or 0), limit="memory")]
        return [failure(job, f"internal error: {type(error).__name__}: {error}")]

    def _take_apart(self, task: _Task, *, slow: bool = False) -> list[Outcome]:
        """Makes tasks of one file each: only alone does a file show what it does to its worker."""
        if slow:  # perhaps all files here are
            self._most = max(1, self._most // 2)
        for job in task.jobs:
            self._schedule([job])
        return []

    def _died(self, task: _Task, how: str) -> list[Outcome]:
        """Handles a task whose worker died for a reason other than a limit; no outcomes if it is tried again."""
        if len(task.jobs) > 1:
            return self._take_apart(task)
        if task.attempt < ATTEMPTS:
            self._schedule(task.jobs, task.attempt + 1)
            return []
        return [failure(task.jobs[0], f"the worker process died ({how})")]

    def _missed(self) -> list[Outcome]:
        """Finds tasks whose workers died unnoticed by the pool."""
        outcomes: list[Outcome] = []
        dead = set(self._diary.of_the_dead())
        for future, task in [item for item in self._tasks.items() if item[1].number in dead]:
            if not future.done():
                del self._tasks[future]
                future.cancel()
                outcomes += self._died(task, "at once")
        # A pool that breaks gives up the tasks it has taken over, and forgets those it has not.
        forgotten = [] if self._pool.active else [future for future in self._tasks if not future.done()]
        if forgotten:
            outcomes += self._restart([self._tasks.pop(future) for future in forgotten])
        return outcomes

    def _restart(self, broken: list[_Task]) -> list[Outcome]:
        """Replaces a pool that lost its workers, and resubmits what was pending.

        Returns:
            the outcomes of tasks whose workers died in them and that are not tried again.
        """
        tasks = [*broken, *self._tasks.values()]
        dead = set(self._diary.of_the_dead())
        died = [task for task in tasks if task.number in dead]
        if not self._done_since_start and not died:
            self._failed_starts += 1
            how = self._how_killed()
            if how is None:
                self.close()
                raise EngineError(f"cannot start worker processes; they import the calling script: {_GUARD}")
            if self._failed_starts >= ATTEMPTS:
                self.close()
                raise EngineError(f"cannot start worker processes: the first ones died before their first file ({how})")
        codes = [worker.exitcode for worker in (*self._roster.ended, *self._roster.values()) if worker.exitcode]
        how = exit_text(codes[0]) if codes else "at once"
        self._tasks.clear()
        self._stop_pool()
        self._pool = self._new_pool()
        for task in tasks:
            if task not in died:
                self._schedule(task.jobs, task.attempt)
        return [outcome for task in died for outcome in self._died(task, how)]

    def _how_killed(self) -> str | None:
        """Returns what killed one of the first workers; None if none was killed: then they could not even import."""
        codes = [worker.exitcode for worker in (*self._roster.ended, *self._roster.values())]
        killed = next((code for code in codes if code is not None and code < 0), None)
        if killed is not None:
            return exit_text(killed)
        if self._context.get_start_method() == "forkserver" and _UNKNOWN_EXIT in codes:
            return "the process that forks them was ended"
        return None

    def close(self) -> None:
        """See `Engine.close`."""
        self._tasks.clear()
        self._bundle.clear()
        self._pending = 0
        self._stop_pool()

    def _stop_pool(self) -> None:
        # The pool releases its semaphores before it ends its workers, one by one. A worker that is still starting
        # would miss them and print a traceback. So they are held until the last worker has ended.
        with contextlib.suppress(AttributeError):
            mutex = self._pool._pool_manager.worker_manager.workers_channel.mutex
            held = (mutex.reader_mutex, mutex.writer_mutex)  # noqa: F841
        self._pool.stop()
        self._pool.join()
