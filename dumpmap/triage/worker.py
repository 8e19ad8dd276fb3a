"""The worker process: set up once, then file after file, under a memory limit that ends it.

The pool limits time: it kills a worker from outside. Memory is limited from inside, in two ways, because each alone has
a gap. On Linux, the kernel refuses the allocation that exceeds the limit, at once. Elsewhere, and for memory that the
kernel does not count, a thread checks what the process holds. Both end the worker: after it ran out of memory, its
state is not worth keeping. The thread also ends a worker whose parent is gone.
"""

from __future__ import annotations

import ctypes
import errno
import gc
import importlib
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.context import BaseContext
from typing import Any

from dumpmap.model.pointers import OwnerSearch
from dumpmap.model.values import value_class
from dumpmap.triage.analyse import analyse
from dumpmap.triage.jobs import Job
from dumpmap.triage.outcome import Outcome

EXIT_MEMORY = 86
"""Exit code of a worker that reached its memory limit."""

EXIT_ORPHAN = 87
"""Exit code of a worker whose parent is gone."""

_OBJECTS = 50_000
"""Objects between two searches for unused cycles. Python's default is 700."""

_LOOK_EVERY = 0.02
_PARENT_EVERY = 1.0


@value_class(frozen=True, slots=True)
class Setup:
    """What every worker needs, sent once.

    Attributes:
        memory_limit: bytes that a worker may take for one file; None for no limit.
        storage_options: for URLs: options of the fsspec file system.
        owners: how owners are found.
        hook: `module:function`, called with each job before its analysis. Tests use it to make a file misbehave.
    """

    memory_limit: int | None = None
    storage_options: Mapping[str, Any] | None = None
    owners: OwnerSearch = "structure"
    hook: str | None = None


class _Worker:
    """This process as a worker."""

    setup = Setup()
    hook: Callable[[Job], None] | None = None
    watchdog: Watchdog | None = None
    diary: Diary | None = None


def start(setup: Setup, diary: Diary | None = None) -> None:
    """Prepares a worker process: makes its imports and sets its limits."""
    from dumpmap.triage import preload  # noqa: F401

    # A row leaves no cycles behind, and the searches for them took a thirtieth of its time.
    gc.freeze()
    gc.set_threshold(_OBJECTS)
    _Worker.setup = setup
    _Worker.hook = find_hook(setup.hook)
    _Worker.diary = diary
    _Worker.watchdog = Watchdog(setup.memory_limit)
    _Worker.watchdog.start()


def find_hook(hook: str | None) -> Callable[[Job], None] | None:
    """Imports a `Setup.hook` and returns its function."""
    if hook is None:
        return None
    module, _, name = hook.partition(":")
    found: Callable[[Job], None] = getattr(importlib.import_module(module), name)
    return found


def work(jobs: Sequence[Job], number: int) -> list[Outcome]:
    """Analyses the files of a task in a worker process, each under the limit of memory; `number` is the task's."""
    if _Worker.diary is not None:
        _Worker.diary.note(number)
    return [_work(job) for job in jobs]


def _work(job: Job) -> Outcome:
    watchdog = _Worker.watchdog
    if watchdog is None:
        return perform(job, _Worker.setup, _Worker.hook)
    watchdog.begin()
    try:
        return perform(job, _Worker.setup, _Worker.hook)
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
    return analyse(job, storage_options=setup.storage_options, owners=setup.owners)


class Diary:
    """What each worker is working on, in memory that outlives the worker; the main process makes it and shares it.

    The pool learns from messages which worker has which task. It misses a worker that dies before its first message
    arrives, and would wait for that task for ever. The main process finds the task's number here.

    Each entry is a process ID, 0 for none, and the number of a task. A worker takes the entry that its process ID leads
    to, or the next free one. IDs of processes that start together are close, so no two workers want the same entry.
    """

    ENTRIES = 1024

    def __init__(self, context: BaseContext) -> None:
        self._entries = context.RawArray(ctypes.c_uint64, 2 * self.ENTRIES)

    def note(self, number: int) -> None:
        """Records the number of the task that begins."""
        own = os.getpid()
        for step in range(self.ENTRIES):
            entry = 2 * ((own + step) % self.ENTRIES)
            if self._entries[entry] in (0, own):
                self._entries[entry + 1] = number
                self._entries[entry] = own
                return

    def of_the_dead(self) -> Iterator[int]:
        """Yields, once, the number of the last task of each worker that is gone."""
        alive = {0, *(child.pid for child in multiprocessing.active_children())}
        for index, pid in enumerate(self._entries[::2]):
            if pid not in alive:
                number = self._entries[2 * index + 1]
                self._entries[2 * index] = 0
                yield number


class Watchdog(threading.Thread):
    """Ends its own process if that holds too much memory during a file, or if its parent is gone.

    Between files there is no limit: the process may hold a lock of the pool. Nor is there one while the thread itself
    starts: a thread that gets no memory for its first step leaves the thread that started it waiting for ever.
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
        """Starts to watch. The process may always hold what it holds now."""
        super().start()
        self._base = held_memory()
        if self._limit is not None:
            self._data = DataLimit.beyond_now(self._limit)

    def begin(self) -> None:
        """Called when a file begins."""
        with self._lock:
            self._busy = True
        self._data.set()

    def end(self) -> None:
        """Called when the file has ended."""
        self._data.lift()
        with self._lock:
            self._busy = False

    def run(self) -> None:
        """Checks the process at regular intervals."""
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
    """Returns the bytes that only this process holds, without mapped files, which the system can drop."""
    if sys.platform.startswith("linux"):
        fields = _status_fields("RssAnon", "RssShmem")
        if fields:
            return sum(fields)
    import psutil

    info = psutil.Process().memory_info()
    return int(getattr(info, "private", info.rss))  # only Windows reports private bytes


def _status_fields(*names: str) -> list[int]:
    """Returns what Linux reports about this process, in bytes."""
    wanted = tuple(f"{name}:" for name in names)
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:  # noqa: PTH123
        return [int(line.split()[1]) << 10 for line in status if line.startswith(wanted)]


@value_class(frozen=True, slots=True)
class DataLimit:
    """The limit of the process's private memory on Linux.

    Attributes:
        during: `RLIMIT_DATA` during the analysis of a file; None for no limit.
        otherwise: the limit that the process started with.
    """

    during: tuple[int, int] | None = None
    otherwise: tuple[int, int] | None = None

    @classmethod
    def beyond_now(cls, size: int) -> DataLimit:
        """Returns a limit of `size` bytes more than the process holds now."""
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
        """Applies the limit."""
        self._put(self.during)

    def lift(self) -> None:
        """Restores the process's own limit."""
        self._put(self.otherwise)

    @staticmethod
    def _put(limits: tuple[int, int] | None) -> None:
        if limits is not None:
            import resource

            resource.setrlimit(resource.RLIMIT_DATA, limits)
