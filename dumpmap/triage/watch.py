"""Triage of dumps as they arrive in a folder."""

# Paths are strings here, as in `local_files`.
# ruff: noqa: PTH100, PTH112, PTH118

from __future__ import annotations

import os
import queue
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

from msgspec.structs import replace

from dumpmap.errors import InputError
from dumpmap.model.values import value_class
from dumpmap.triage.batch import Batch
from dumpmap.triage.columns import TriageRow
from dumpmap.triage.discovery import discover
from dumpmap.triage.engines import Engine
from dumpmap.triage.jobs import Job, local_job
from dumpmap.triage.local_files import found_job
from dumpmap.triage.options import Paths, TriageOptions, path_list
from dumpmap.triage.outcome import Outcome
from dumpmap.triage.progress import Progress
from dumpmap.triage.resources import open_cache, open_engine
from dumpmap.triage.store import Store

SETTLE = 2.0
"""Seconds without a change after which a file counts as complete."""

POLL = 5.0
"""Seconds between two scans of a folder where the system does not report changes."""

_TICK = 0.2
_SCAN_AT_ONCE = 256


@value_class(frozen=False, slots=True)
class _Arrival:
    """A file that another program may still be writing."""

    job: Job
    since: float


def watch(
    paths: Paths,
    options: TriageOptions | None = None,
    *,
    stop: threading.Event | None = None,
    existing: bool = True,
    settle: float = SETTLE,
    poll: float | None = None,
    progress: Progress | None = None,
) -> Iterator[TriageRow]:
    """Triages the dumps in folders, and then those that arrive.

    A file is triaged once its size and time have not changed for `settle` seconds, and again if it changes later. To
    end the watch, set `stop` (files under way are finished first) or close the generator.

    Args:
        paths: folders on this machine; `discover` says which of their files count.
        options: how to triage.
        stop: ends the watch when set.
        existing: whether to triage the dumps that are already there.
        settle: seconds without a change after which a file counts as complete.
        poll: seconds between two scans of the folders, for network shares; None relies on the system's change
            notifications, or scans every `POLL` seconds if `watchfiles` is not installed.
        progress: the display of progress; `BatchState.listed` stays False.

    Yields:
        rows, as files finish.

    Raises:
        InputError: a path is not a folder.
    """
    folders = [os.fspath(path) for path in path_list(paths)]
    for folder in folders:
        if not Path(folder).is_dir():
            raise InputError("cannot watch this path: not a folder", source=folder)
    options = options or TriageOptions()
    batch = Batch(Store(), progress=progress)
    watcher = _Watcher(folders, options, settle, poll)
    try:
        batch.cache = open_cache(options)
        with closing(open_engine(options)) as engine:
            watcher.start(existing=existing)
            for outcome in _outcomes(batch, watcher, engine, stop or threading.Event()):
                yield outcome.row
    finally:
        watcher.close()
        batch.store.close()
        if batch.cache is not None:
            batch.cache.close()


def _outcomes(batch: Batch, watcher: _Watcher, engine: Engine, stop: threading.Event) -> Iterator[Outcome]:
    while not stop.is_set() or engine.pending:
        for job in watcher.settled(0 if stop.is_set() else engine.room):
            batch.state.found += batch.store.add(job)
            answer = batch.answer(job)
            if answer is None:
                engine.submit(job)
            else:
                yield from _finish(batch, answer)
        if not engine.pending:
            stop.wait(_TICK)
        for outcome in engine.wait(_TICK):
            yield from _finish(batch, outcome)


def _finish(batch: Batch, outcome: Outcome) -> Iterator[Outcome]:
    yield from batch.finish(outcome)
    batch.store.forget(outcome.key)  # the file may change and come again


class _Watcher:
    """Finds the files that have arrived and are complete.

    It scans the folders: once if the system reports changes (through `watchfiles`), else again and again.
    """

    def __init__(self, folders: list[str], options: TriageOptions, settle: float, poll: float | None) -> None:
        self._folders = folders
        self._recursive = options.recursive
        self._settle = settle
        self._poll = poll
        self._arrivals: dict[str, _Arrival] = {}
        self._scan: Iterator[Job] | None = None
        self._next_scan: float | None = None
        self._first = True
        self._reported: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._ended = threading.Event()
        self._listening: dict[str, tuple[int, int] | None] = {}
        self._next_check = 0.0
        self._known = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._known.execute("PRAGMA journal_mode = OFF")
        self._known.execute("CREATE TABLE known (key TEXT PRIMARY KEY, size INTEGER, stamp TEXT) WITHOUT ROWID")

    def start(self, *, existing: bool) -> None:
        """Starts to listen before the first scan, so that no file is missed in between."""
        if self._poll is None:
            try:
                import watchfiles  # noqa: F401
            except ImportError:
                self._poll = POLL
            else:
                self._check_folders(time.monotonic())
        if not existing:
            for job in discover(self._folders, recursive=self._recursive):
                self._know(job)
        self._begin_scan()

    def _check_folders(self, now: float) -> None:
        """Listens to every folder, and again to a folder that was recreated: the system reports only the old one."""
        self._next_check = now + POLL
        for folder in self._folders:
            try:
                info = os.stat(folder)  # noqa: PTH116
            except OSError:
                self._listening[folder] = None
                continue
            identity = (info.st_dev, info.st_ino)
            before = self._listening.get(folder, identity)
            if folder not in self._listening or before != identity:
                threading.Thread(target=self._listen, args=(folder,), daemon=True).start()
            if before != identity:
                self._begin_scan()
            self._listening[folder] = identity

    def _begin_scan(self) -> None:
        self._scan = discover(self._folders, recursive=self._recursive)
        self._next_scan = None

    def _listen(self, folder: str) -> None:
        """Passes on the changes that the system reports for a folder; runs in its own thread."""
        from watchfiles import Change
        from watchfiles import watch as changes

        top = os.path.abspath(folder)
        # watchfiles must not filter: a dump may have the name of an editor's backup.
        with suppress(OSError):  # the folder was removed before the listening began
            for batch in changes(
                top, watch_filter=None, stop_event=self._ended, rust_timeout=500, recursive=self._recursive, step=50
            ):
                for change, path in batch:
                    if change is Change.deleted:
                        if path == top:  # the next folder with this name may even have its inode
                            self._listening[folder] = None
                    else:
                        self._reported.put(os.path.join(folder, os.path.relpath(path, top)))

    def settled(self, room: int) -> list[Job]:
        """Returns up to `room` complete files that were not returned in this state before."""
        self._take_reported()
        now = time.monotonic()
        if self._poll is None and now >= self._next_check:
            self._check_folders(now)
        ready: list[Job] = []
        for key in list(self._arrivals):
            if len(ready) >= room:
                return ready
            self._check(key, now, ready)
        if self._scan is None and self._next_scan is not None and now >= self._next_scan:
            self._begin_scan()
        if self._scan is not None:
            self._go_on_scanning(self._scan, now, room, ready)
        return ready

    def _take_reported(self) -> None:
        while not self._reported.empty():
            path = self._reported.get()
            if os.path.isdir(path):
                # The system reports a folder that was moved here, but not its files.
                self._begin_scan()
            elif (job := found_job(path)) is not None:
                self._arrive(job)

    def _arrive(self, job: Job) -> None:
        if job.problem is None and not self._is_known(job):
            before = self._arrivals.get(job.key)
            if before is None or (before.job.size, before.job.stamp) != (job.size, job.stamp):
                self._arrivals[job.key] = _Arrival(job, time.monotonic())

    def _check(self, key: str, now: float, ready: list[Job]) -> None:
        """Checks whether a file is complete."""
        arrival = self._arrivals[key]
        if now - arrival.since < self._settle:
            return
        job = replace(local_job(arrival.job.location), path=arrival.job.path, unsure=arrival.job.unsure)
        if (job.size, job.stamp) != (arrival.job.size, arrival.job.stamp):
            del self._arrivals[key]
            self._arrive(job)
            return
        del self._arrivals[key]
        self._know(job)
        ready.append(job)

    def _go_on_scanning(self, scan: Iterator[Job], now: float, room: int, ready: list[Job]) -> None:
        for _ in range(_SCAN_AT_ONCE):
            if len(ready) >= room:
                return
            job = next(scan, None)
            if job is None:
                self._scan, self._first = None, False
                self._next_scan = None if self._poll is None else now + self._poll
                return
            # A file that nobody changed for long enough before the watch began is complete.
            old = job.stamp is not None and time.time() - int(job.stamp) / 1e9 >= self._settle
            if not (self._first and old):
                self._arrive(job)
            elif not self._is_known(job):
                self._know(job)
                ready.append(job)

    def _is_known(self, job: Job) -> bool:
        found = self._known.execute("SELECT size, stamp FROM known WHERE key = ?", (job.key,)).fetchone()
        return found is not None and tuple(found) == (job.size, job.stamp)

    def _know(self, job: Job) -> None:
        self._known.execute("INSERT OR REPLACE INTO known VALUES (?, ?, ?)", (job.key, job.size, job.stamp))

    def close(self) -> None:
        """Stops watching."""
        self._ended.set()
        self._known.close()
