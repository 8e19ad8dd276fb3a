"""Triage of dumps as they arrive."""

# Paths are strings here, as in `discovery`.
# ruff: noqa: PTH112, PTH113, PTH118, PTH100

from __future__ import annotations

import os
import queue
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from dumpmap.errors import InputError
from dumpmap.parsers.recognition import begins_like_input
from dumpmap.triage.analyse import Outcome
from dumpmap.triage.batch import Batch, Options, Paths, open_cache, open_engine, path_list
from dumpmap.triage.columns import Row
from dumpmap.triage.discovery import Job, discover, has_dump_suffix, local_job
from dumpmap.triage.progress import Progress
from dumpmap.triage.store import Store

SETTLE = 2.0
"""Seconds that a file must stay as it is before it counts as complete."""

POLL = 5.0
"""Seconds between two looks at a folder where the system does not tell of changes."""

_TICK = 0.2
_SCAN_AT_ONCE = 256


@dataclass(slots=True)
class _Arrival:
    """A file that may still be written to."""

    job: Job
    since: float


def watch(
    paths: Paths,
    options: Options | None = None,
    *,
    stop: threading.Event | None = None,
    existing: bool = True,
    settle: float = SETTLE,
    poll: float | None = None,
    progress: Progress | None = None,
) -> Iterator[Row]:
    """Triages dumps in folders, and goes on with those that arrive.

    A file is triaged once its size and time have not changed for `settle` seconds, and again when it changes later.
    Setting `stop` or closing the generator ends it; what is under way when `stop` is set is finished first.

    Args:
        paths: folders on this machine; files of theirs are told as `discover` does.
        options: how to triage.
        stop: ends the watch when set.
        existing: also triage what is there already.
        settle: seconds that a file must stay as it is.
        poll: look at the folders every so many seconds, instead of being told of changes; for network shares. Where
            `watchfiles` is not installed that is done every `POLL` seconds.
        progress: is told how far it is; `State.listed` stays False.

    Yields:
        rows, as files finish.

    Raises:
        InputError: a path is not a folder.
    """
    folders = [os.fspath(path) for path in path_list(paths)]
    for folder in folders:
        if not Path(folder).is_dir():
            raise InputError("is not a folder that can be watched", source=folder)
    options = options or Options()
    stop = stop or threading.Event()
    batch = Batch(Store(), progress=progress)
    watcher = _Watcher(folders, options, settle, poll)
    try:
        batch.cache = open_cache(options)
        engine = open_engine(options)
        try:
            watcher.start(existing=existing)
            while not stop.is_set() or engine.pending:
                for job in watcher.settled(0 if stop.is_set() else engine.room):
                    batch.state.found += batch.store.add(job)
                    answer = batch.take(job)
                    if answer is None:
                        engine.submit(job)
                    else:
                        yield _finish(batch, answer[0], cached=answer[1])
                if not engine.pending:
                    stop.wait(_TICK)
                for outcome in engine.wait(_TICK):
                    yield _finish(batch, outcome, cached=False)
        finally:
            engine.close()
    finally:
        watcher.close()
        batch.store.close()
        if batch.cache is not None:
            batch.cache.close()


def _finish(batch: Batch, outcome: Outcome, *, cached: bool) -> Row:
    row = batch.finish(outcome, cached=cached)
    batch.store.forget(outcome.key)  # it may change and come again
    return row


class _Watcher:
    """Finds the files that have arrived and are complete.

    What the folders hold is found by looking at all of it: once, or again and again. Where `watchfiles` is there, the
    system tells of what changes in between.
    """

    def __init__(self, folders: list[str], options: Options, settle: float, poll: float | None) -> None:
        self._folders = folders
        self._recursive = options.recursive
        self._settle = settle
        self._poll = poll
        self._arrivals: dict[str, _Arrival] = {}
        self._scan: Iterator[Job] | None = None
        self._next_scan: float | None = None
        self._first = True
        self._told: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._ended = threading.Event()
        self._listening: dict[str, tuple[int, int] | None] = {}
        self._next_check = 0.0
        self._known = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._known.execute("PRAGMA journal_mode = OFF")
        self._known.execute("CREATE TABLE known (key TEXT PRIMARY KEY, size INTEGER, stamp TEXT) WITHOUT ROWID")

    def start(self, *, existing: bool) -> None:
        """Begins to watch, before anything is looked at, so that nothing falls in between."""
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
        """Listens to every folder, and again to one that was made anew: the system tells of the old one."""
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
        """Passes on what the system tells of a folder; runs in a thread of its own."""
        from watchfiles import Change
        from watchfiles import watch as changes

        top = os.path.abspath(folder)
        # Every file counts, even one called like an editor's backup: the filter is ours.
        with suppress(OSError):  # removed again before it began
            for batch in changes(
                top, watch_filter=None, stop_event=self._ended, rust_timeout=500, recursive=self._recursive, step=50
            ):
                for change, path in batch:
                    if change is Change.deleted:
                        if path == top:  # the next folder of its name may even have its inode
                            self._listening[folder] = None
                    else:
                        self._told.put(os.path.join(folder, os.path.relpath(path, top)))

    def settled(self, room: int) -> list[Job]:
        """Returns up to `room` files that are complete and that were not returned like this before."""
        self._take_told()
        now = time.monotonic()
        if self._poll is None and now >= self._next_check:
            self._check_folders(now)
        ready: list[Job] = []
        for key in list(self._arrivals):
            if len(ready) >= room:
                return ready
            self._look(key, now, ready)
        if self._scan is None and self._next_scan is not None and now >= self._next_scan:
            self._begin_scan()
        if self._scan is not None:
            self._go_on_scanning(self._scan, now, room, ready)
        return ready

    def _take_told(self) -> None:
        while not self._told.empty():
            path = self._told.get()
            if os.path.isdir(path):
                # A folder that was moved here comes without a word about what is in it.
                self._begin_scan()
            elif has_dump_suffix(path) or (os.path.isfile(path) and begins_like_input(path)):
                self._arrive(local_job(path))

    def _arrive(self, job: Job) -> None:
        if job.problem is None and not self._is_known(job):
            before = self._arrivals.get(job.key)
            if before is None or (before.job.size, before.job.stamp) != (job.size, job.stamp):
                self._arrivals[job.key] = _Arrival(job, time.monotonic())

    def _look(self, key: str, now: float, ready: list[Job]) -> None:
        """Looks at a file that may be complete."""
        arrival = self._arrivals[key]
        if now - arrival.since < self._settle:
            return
        job = replace(local_job(arrival.job.location), path=arrival.job.path)
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
            # What nobody had written to for long enough before we began is complete.
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
