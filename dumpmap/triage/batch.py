"""A batch: from paths to rows, whatever runs the analysis."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from dumpmap.errors import OutputError
from dumpmap.model.pointers import OwnerSearch
from dumpmap.triage.analyse import analyse
from dumpmap.triage.cache import Cache
from dumpmap.triage.columns import TriageRow
from dumpmap.triage.discovery import discover
from dumpmap.triage.engines import Engine
from dumpmap.triage.jobs import Job
from dumpmap.triage.options import MEMORY_LIMIT, TIME_LIMIT, Paths, TriageOptions, path_list
from dumpmap.triage.outcome import Outcome
from dumpmap.triage.progress import BatchState, Progress
from dumpmap.triage.resources import open_cache, open_engine
from dumpmap.triage.result import TriageResult
from dumpmap.triage.rows import RANKS
from dumpmap.triage.store import Store

if TYPE_CHECKING:
    import pandas as pd

_LIST_AT_ONCE = 64
_UPDATE_EVERY = 1.0


@dataclass
class Batch:
    """A batch under way: its files, its cache, and its state.

    It counts, caches, and stores packed rows: only who asks for `Outcome.row` pays for unpacking one.
    """

    store: Store
    cache: Cache | None = None
    state: BatchState = field(default_factory=BatchState)
    progress: Progress | None = None

    def answer(self, job: Job) -> Outcome | None:
        """Returns the outcome of a job that needs no engine: its result is cached, or it has a problem."""
        known = self.cache.get(job) if self.cache is not None else None
        if known is None and job.problem is not None:
            return analyse(job)
        return known

    def finish(self, outcome: Outcome) -> Iterator[Outcome]:
        """Stores an outcome, counts it, and yields it; a file that is no input leaves no trace."""
        if outcome.foreign:
            self.state.found -= 1
            self.report()
            return
        kept = outcome.cached or (self.cache is not None and self.cache.put(outcome))
        self.store.put(outcome)
        state, rank = self.state, RANKS[outcome.rank]
        state.done += 1
        state.cached += outcome.cached
        state.kept += kept
        state.errors += rank == "error"
        state.skipped += rank == "skipped"
        state.unreached += outcome.unreached
        state.critical += rank == "critical"
        state.warning += rank == "warning"
        state.info += rank == "info"
        self.report()
        yield outcome

    def report(self) -> None:
        """Updates the display of progress."""
        if self.progress is not None:
            self.progress.update(self.state)

    def run(self, jobs: Iterator[Job], engine: Engine) -> Iterator[Outcome]:
        """Yields outcomes as files finish."""
        while True:
            while engine.room > 0 and (job := self.store.next_job()) is not None:
                answer = self.answer(job)
                if answer is None:
                    engine.submit(job)
                else:
                    yield from self.finish(answer)
            # List files while the workers are busy, so that their total is known soon.
            if not self.state.listed:
                self.list(jobs)
                ready = engine.wait(0.0)
            elif engine.pending:
                ready = engine.wait(_UPDATE_EVERY)
                self.state.hindrance = None if ready else engine.hindrance
                self.report()
            else:
                return
            for outcome in ready:
                yield from self.finish(outcome)

    def list(self, jobs: Iterator[Job]) -> None:
        """Lists some more files."""
        count = 0
        for job in islice(jobs, _LIST_AT_ONCE):
            count += 1
            if self.store.add(job):
                self.state.found += 1
        self.state.listed = count < _LIST_AT_ONCE
        self.report()


def iterate(
    paths: Paths, options: TriageOptions | None = None, *, progress: Progress | None = None
) -> Iterator[TriageRow]:
    """Triages files and yields their rows as they finish, in no particular order.

    Closing the generator stops the workers.

    Raises:
        EngineError: the workers cannot start, or the cluster cannot be reached.
        OutputError: the cache that the options name cannot be used.
    """
    store = Store()
    try:
        outcomes = _outcomes(Batch(store, progress=progress), path_list(paths), options or TriageOptions(), [])
        with closing(outcomes):
            for outcome in outcomes:
                yield outcome.row
    finally:
        store.close()


def _outcomes(
    batch: Batch, paths: Sequence[str | os.PathLike[str]], options: TriageOptions, notes: list[str]
) -> Generator[Outcome, None, None]:
    batch.cache = open_cache(options, notes)
    try:
        jobs = discover(
            paths,
            recursive=options.recursive,
            storage_options=options.storage_options,
            stamps=batch.cache is not None,
        )
        while not batch.state.listed and batch.state.found < options.workers:
            batch.list(jobs)
        engine = open_engine(options, batch.state.found if batch.state.listed else None)
        try:
            yield from batch.run(jobs, engine)
        finally:
            engine.close()
    except sqlite3.Error as error:  # the cache handles its own errors: this is the temporary file of rows
        raise OutputError(f"cannot write rows to a temporary file: {error}") from error
    finally:
        if batch.cache is not None:
            if batch.cache.failure is not None:
                notes.append(f"{batch.cache.path}: cannot keep further results: {batch.cache.failure}")
            batch.cache.close()


def run(
    paths: Paths,
    options: TriageOptions | None = None,
    *,
    progress: Progress | None = None,
    on_row: Callable[[TriageRow], None] | None = None,
) -> TriageResult:
    """Triages files.

    Args:
        paths: files, folders, glob patterns, and URLs.
        options: how the batch runs.
        progress: the display of progress.
        on_row: called with each row as its file finishes.

    Returns:
        the result; close it, or use it as a context manager.

    Raises:
        EngineError: the workers cannot start, or the cluster cannot be reached.
        OutputError: the cache that the options name cannot be used.
    """
    began = time.monotonic()
    notes: list[str] = []
    batch = Batch(Store(), progress=progress)
    try:
        for outcome in _outcomes(batch, path_list(paths), options or TriageOptions(), notes):
            if on_row is not None:
                on_row(outcome.row)
    except BaseException:
        batch.store.close()
        raise
    return TriageResult(batch.store, batch.state, time.monotonic() - began, tuple(notes))


def triage(
    paths: Paths,
    *,
    jobs: int | None = None,
    time_limit: float | None = TIME_LIMIT,
    memory_limit: int | None = MEMORY_LIMIT,
    cache: bool | str | os.PathLike[str] = True,
    engine: Literal["processes", "serial", "dask"] = "processes",
    scheduler: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
    recursive: bool = True,
    owners: OwnerSearch = "structure",
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Finds what ran out in each of many dumps.

    The worker processes import the calling script: it must call this under `if __name__ == "__main__":`.

    Args:
        paths: a file, a folder, a glob pattern, or a URL of one of these, or several of them.
        jobs: number of worker processes. Default: the number of processors that this process may use.
        time_limit: seconds for one file; None for no limit. A worker that takes longer is killed.
        memory_limit: bytes that a worker may take for one file, at least `LEAST_MEMORY`; None for no limit.
        cache: the file that keeps results for the next run; True for the user's own cache, False for none.
        engine: `processes`, `serial` (in this process, without limits), or `dask`.
        scheduler: for `dask`: the scheduler's address; None starts a cluster of `jobs` workers on this machine.
        storage_options: for URLs: options of the fsspec file system.
        recursive: whether to search the subfolders of the named folders.
        owners: `structure`, or `full` to search each dump's memory for pointers too, which takes longer.
        progress: the display of progress; `RichProgress` draws a bar.

    Returns:
        a frame with one row per file, the worst first, and the columns of `dumpmap.triage.COLUMNS`; sizes are bytes.

    Raises:
        EngineError: the workers cannot start, or the cluster cannot be reached.
        OutputError: the cache that was named cannot be used.
    """
    options = TriageOptions(
        jobs=jobs,
        time_limit=time_limit,
        memory_limit=memory_limit,
        cache=cache,
        engine=engine,
        scheduler=scheduler,
        storage_options=storage_options,
        recursive=recursive,
        owners=owners,
    )
    with run(paths, options, progress=progress) as result:
        return result.frame()
