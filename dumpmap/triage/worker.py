"""The worker process: set up once, then file after file, under a limit of memory that ends it.

Time is the pool's to limit: it ends a worker from outside. Memory is limited from inside, in two ways, because either
alone has a gap. On Linux the kernel refuses the allocation that goes over the limit, at once; elsewhere, and for what
that does not count, a thread looks at what the process holds. Both end the worker: after running out of memory its
state is not worth keeping. The thread also ends a worker whose parent is gone.
"""

from __future__ import annotations

import ctypes
import errno
import importlib
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.context import BaseContext
from typing import Any

from dumpmap.triage.analyse import Outcome, analyse
from dumpmap.triage.discovery import Job

EXIT_MEMORY = 86
"""Exit code of a worker that reached its limit of memory."""

EXIT_ORPHAN = 87
"""Exit code of a worker whose parent is gone."""

_LOOK_EVERY = 0.02
_PARENT_EVERY = 1.0


@dataclass(frozen=True, slots=True)
class Setup:
    """What every worker is told once.

    Attributes:
        memory_limit: bytes that a worker may take for one file; None for no limit.
        storage_options: for URLs: options of the fsspec file system.
        hook: `module:function`, called with each job before it is analysed. For tests: it makes a file misbehave.
    """

    memory_limit: int | None = None
    storage_options: Mapping[str, Any] | None = None
    hook: str | None = None


class _State:
    """What a worker process knows."""

    setup = Setup()
    hook: Callable[[Job], None] | None = None
    watchdog: Watchdog | None = None
    diary: Diary | None = None


def start(setup: Setup, diary: Diary | None = None) -> None:
    """Prepares a worker process: its imports are made, its limits are set."""
    from dumpmap.triage import preload  # noqa: F401

    _State.setup = setup
    _State.hook = find_hook(setup.hook)
    _State.diary = diary
    _State.watchdog = Watchdog(setup.memory_limit)
    _State.watchdog.start()


def find_hook(hook: str | None) -> Callable[[Job], None] | None:
    """Imports a `Setup.hook`."""
    if hook is None:
        return None
    module, _, name = hook.partition(":")
    found: Callable[[Job], None] = getattr(importlib.import_module(module), name)
    return found


def work(job: Job, number: int) -> Outcome:
    """Analyses one file in a worker process; `number` is the task's."""
    if _State.diary is not None:
        _State.diary.note(number)
    watchdog = _State.watchdog
    if watchdog is None:
        return perform(job, _State.setup, _State.hook)
    watchdog.begin()
    try:
        return perform(job, _State.setup, _State.hook)
    except MemoryError:
        os._exit(EXIT_MEMORY)
    except OSError as error:
        if error.errno == errno.ENOMEM:
            os._exit(EXIT_MEMORY)
        raise
    finally:
        watchdog.end()


def perform(job: Job, setup: Setup, hook: Callable[[Job], None] | None = None) -> Outcome:
    """Analyses one file, after the hook if there is one."""
    if hook is not None:
        hook(job)
    return analyse(job, storage_options=setup.storage_options)


class Diary:
    """What each worker is working on, in memory that outlives it: made by the main process, handed to every worker.

    The pool learns from messages which worker has which task. A worker that dies with its first message still under way
    is missed: the pool would wait for that task for ever. The main process finds the task's number here.

    Each entry is a process id, 0 for none, and the number of a task. A worker takes the entry that its process id leads
    to, or the next free one; ids that start at the same moment differ by little, so no two want the same.
    """

    ENTRIES = 1024

    def __init__(self, context: BaseContext) -> None:
        self._entries = context.RawArray(ctypes.c_uint64, 2 * self.ENTRIES)

    def note(self, number: int) -> None:
        """Notes the number of the task that begins."""
        own = os.getpid()
        for step in range(self.ENTRIES):
            entry = 2 * ((own + step) % self.ENTRIES)
            if self._entries[entry] in (0, own):
                self._entries[entry + 1] = number
                self._entries[entry] = own
                return

    def of_the_dead(self) -> Iterator[int]:
        """Yields, once, the number of the last task of each worker that is no longer there."""
        alive = {0, *(child.pid for child in multiprocessing.active_children())}
        for index, pid in enumerate(self._entries[::2]):
            if pid not in alive:
                number = self._entries[2 * index + 1]
                self._entries[2 * index] = 0
                yield number


class Watchdog(threading.Thread):
    """Ends its own process when that holds too much memory during a file, or when its parent is gone.

    Nothing is limited between files: the process could hold a lock of the pool then. Nor while the thread itself
    starts: a thread that gets no memory for its first step leaves the one that started it waiting for ever.
    """

    def __init__(self, memory_limit: int | None) -> None:
        super().__init__(name="dumpmap-watchdog", daemon=True)
        self._limit = memory_limit
        self._busy = False
        self._lock = threading.Lock()
        self._parent = multiprocessing.parent_process()
        self._base = 0
        self._data = DataLimit()

    def start(self) -> None:
        """Starts to watch. What the process holds now is what it may always hold."""
        super().start()
        self._base = held_memory()
        if self._limit is not None:
            self._data = DataLimit.beyond_now(self._limit)

    def begin(self) -> None:
        """A file begins."""
        with self._lock:
            self._busy = True
        self._data.set()

    def end(self) -> None:
        """The file has ended."""
        self._data.lift()
        with self._lock:
            self._busy = False

    def run(self) -> None:
        """Looks, again and again."""
        look_at_parent = 0.0
        while True:
            time.sleep(_LOOK_EVERY)
            with self._lock:
                if not self._busy:
                    continue
                if self._limit is not None and held_memory() - self._base > self._limit:
                    os._exit(EXIT_MEMORY)
                now = time.monotonic()
                if now >= look_at_parent:
                    look_at_parent = now + _PARENT_EVERY
                    if self._parent is not None and not self._parent.is_alive():
                        os._exit(EXIT_ORPHAN)


def held_memory() -> int:
    """Bytes that only this process holds; mapped files, which the system can drop, are not among them."""
    if sys.platform.startswith("linux"):
        fields = _status_fields("RssAnon", "RssShmem")
        if fields:
            return sum(fields)
    import psutil

    info = psutil.Process().memory_info()
    return int(getattr(info, "private", info.rss))  # only Windows tells the private bytes


def _status_fields(*names: str) -> list[int]:
    """Figures of Linux about this process, in bytes."""
    wanted = tuple(f"{name}:" for name in names)
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:  # noqa: PTH123
        return [int(line.split()[1]) << 10 for line in status if line.startswith(wanted)]


@dataclass(frozen=True, slots=True)
class DataLimit:
    """How much private memory Linux gives the process at most.

    Attributes:
        during: `RLIMIT_DATA` while a file is analysed; None where there is none.
        otherwise: the one that the process came with.
    """

    during: tuple[int, int] | None = None
    otherwise: tuple[int, int] | None = None

    @classmethod
    def beyond_now(cls, size: int) -> DataLimit:
        """So many bytes more than the process holds now."""
        if not sys.platform.startswith("linux"):
            return cls()
        import resource

        held = _status_fields("VmData")
        if not held:
            return cls()
        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        ceilings = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]
        wanted = min([held[0] + size, sys.maxsize, *ceilings])
        return cls((wanted, hard), (soft, hard))

    def set(self) -> None:
        """From here on it holds."""
        self._put(self.during)

    def lift(self) -> None:
        """From here on the process's own limit holds again."""
        self._put(self.otherwise)

    @staticmethod
    def _put(limits: tuple[int, int] | None) -> None:
        if limits is not None:
            import resource

            resource.setrlimit(resource.RLIMIT_DATA, limits)
