"""A batch: from paths to rows, whatever runs the analysis."""

from __future__ import annotations

import datetime as dt
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, product
from numbers import Integral, Real
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, cast

from dumpmap.analysis.rules import SEVERITIES, Severity
from dumpmap.errors import OutputError
from dumpmap.triage.analyse import Outcome, analyse
from dumpmap.triage.cache import Cache, default_path
from dumpmap.triage.columns import COLUMNS, FINDING, GROUPABLE, NAMES, Row
from dumpmap.triage.discovery import Job, discover
from dumpmap.triage.engines import Engine, EngineError, ProcessEngine, SerialEngine
from dumpmap.triage.progress import Progress, State
from dumpmap.triage.selection import ALL, Selection, sort_key
from dumpmap.triage.store import Store, finished_row
from dumpmap.triage.worker import Setup
from dumpmap.wording.text import size_words

if TYPE_CHECKING:
    import pandas as pd

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]

TIME_LIMIT = 60.0
"""Seconds for one file, unless told otherwise."""

MEMORY_LIMIT = 1 << 30
"""Bytes for one file, unless told otherwise."""

LEAST_MEMORY = 64 << 20
"""The smallest limit of memory that is taken: the libraries that read from S3 alone need 50 MB to begin with."""

_LIST_AT_ONCE = 64
_TELL_EVERY = 1.0
_FRAME_CHUNK = 20_000


_NONE = type(None)
_KINDS: tuple[tuple[str, tuple[type, ...], str], ...] = (
    ("jobs", (Integral, _NONE), "a whole number"),
    ("time_limit", (Real, _NONE), "a number of seconds, or None"),
    ("memory_limit", (Integral, _NONE), "a number of bytes, or None"),
    ("cache", (bool, str, os.PathLike), "True, False or a file"),
    ("scheduler", (str, _NONE), "an address"),
    ("storage_options", (Mapping, _NONE), "a mapping"),
)
"""What options may be, and how that is said: a batch of hours is not the place to find out."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a batch runs.

    Attributes:
        jobs: worker processes; by default as many as the process may use processors.
        time_limit: seconds for one file, None for no limit; a worker that takes longer is killed.
        memory_limit: bytes that a worker may take for one file, at least `LEAST_MEMORY`, None for no limit.
        cache: file that keeps results for the next run; True for the user's own, False for none.
        engine: `processes`, `serial` (this process, no limits) or `dask`.
        scheduler: for `dask`: address of the scheduler; None starts a cluster of `jobs` workers on this machine.
        storage_options: for URLs: options of the fsspec file system.
        recursive: look into folders below the named ones.
        hook: `Setup.hook`, for tests.
    """

    jobs: int | None = None
    time_limit: float | None = TIME_LIMIT
    memory_limit: int | None = MEMORY_LIMIT
    cache: bool | str | os.PathLike[str] = True
    engine: Literal["processes", "serial", "dask"] = "processes"
    scheduler: str | None = None
    storage_options: Mapping[str, Any] | None = None
    recursive: bool = True
    hook: str | None = None

    def __post_init__(self) -> None:
        for name, kinds, said in _KINDS:
            value = getattr(self, name)
            if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
                raise TypeError(f"{name} must be {said}, not {value!r}")
        if self.jobs is not None and self.jobs < 1:
            raise ValueError("jobs must be at least 1")
        if self.engine not in ("processes", "serial", "dask"):
            raise ValueError(f"unknown engine {self.engine!r}")
        if self.scheduler is not None and self.engine != "dask":
            raise ValueError("scheduler goes with the engine dask")
        if self.time_limit is not None and not self.time_limit > 0:  # a NaN is not above 0 either
            raise ValueError("time_limit must be above 0 seconds")
        if self.memory_limit is not None and self.memory_limit < LEAST_MEMORY:
            raise ValueError(f"memory_limit must be at least {size_words(LEAST_MEMORY)}, which a worker needs")

    @property
    def workers(self) -> int:
        """Worker processes to start."""
        if self.jobs is not None:
            return self.jobs
        if hasattr(os, "sched_getaffinity"):
            return len(os.sched_getaffinity(0)) or 1
        return os.cpu_count() or 1

    @property
    def setup(self) -> Setup:
        """What the workers are told."""
        return Setup(memory_limit=self.memory_limit, storage_options=self.storage_options, hook=self.hook)


def open_engine(options: Options, files: int | None = None) -> Engine:
    """Starts what the analysis runs in.

    Args:
        options: how the batch runs.
        files: how many files there are, where that is known: no more workers than that are started.

    Raises:
        EngineError: it cannot be started or reached.
    """
    if options.engine == "serial":
        return SerialEngine(options.setup)
    workers = options.workers if files is None else min(options.workers, max(1, files))
    if options.engine == "dask":
        try:
            from dumpmap.triage.dask_engine import DaskEngine
        except ImportError as error:
            raise EngineError(f'the Dask engine needs another package: pip install "dumpmap[dask]" ({error})') from None

        return DaskEngine(options.setup, workers, options.time_limit, options.scheduler)
    return ProcessEngine(options.setup, workers, options.time_limit)


def open_cache(options: Options, notes: list[str] | None = None) -> Cache | None:
    """Opens the cache of results; where only the default one cannot be used, there is none, and a note says so.

    Raises:
        OutputError: the cache that was named cannot be used.
    """
    if options.cache is False:
        return None
    path = default_path() if options.cache is True else Path(options.cache)
    try:
        return Cache(path, time_limit=options.time_limit, memory_limit=options.memory_limit)
    except OutputError as error:
        if options.cache is not True:
            raise
        if notes is not None:
            notes.append(f"results are not kept for the next run: {error}")
        return None


def path_list(paths: Paths) -> list[str | os.PathLike[str]]:
    """The paths of a call: one or several.

    Raises:
        TypeError: one is not text, nor a path object.
    """
    found = [paths] if isinstance(paths, (str, bytes, os.PathLike)) else list(paths)
    for path in found:
        if not isinstance(path, (str, os.PathLike)) or not isinstance(os.fspath(path), str):
            raise TypeError(f"a path must be a str or a path object of text, not {path!r}")
    return found


# ---------------------------------------------------------------- the loop


@dataclass
class Batch:
    """A batch under way: its files, its cache, and what has become of them."""

    store: Store
    cache: Cache | None = None
    state: State = field(default_factory=State)
    progress: Progress | None = None

    def take(self, job: Job) -> tuple[Outcome, bool] | None:
        """Answers a job without an engine, where that is possible: from the cache, or because it has a problem."""
        known = self.cache.get(job) if self.cache is not None else None
        if known is not None:
            return known, True
        if job.problem is not None:
            return analyse(job), False
        return None

    def finish(self, outcome: Outcome, *, cached: bool) -> Row:
        """Stores an outcome and counts it."""
        kept = cached or (self.cache is not None and self.cache.put(outcome))
        self.store.put(outcome, cached=cached)
        row = finished_row(outcome.path, outcome.data, cached=cached)
        state = self.state
        state.done += 1
        state.cached += cached
        state.kept += kept
        state.errors += row["status"] == "error"
        state.skipped += row["status"] == "skipped"
        state.unreached += outcome.unreached
        state.critical += row["severity"] == "critical"
        state.warning += row["severity"] == "warning"
        state.info += row["severity"] == "info"
        self.tell()
        return row

    def tell(self) -> None:
        """Tells the display."""
        if self.progress is not None:
            self.progress.update(self.state)

    def run(self, jobs: Iterator[Job], engine: Engine) -> Iterator[Row]:
        """Yields rows as files finish."""
        while True:
            while engine.room > 0 and (job := self.store.next_job()) is not None:
                answer = self.take(job)
                if answer is None:
                    engine.submit(job)
                else:
                    yield self.finish(answer[0], cached=answer[1])
            # Files are listed while the workers are busy, so that their number is known soon.
            if not self.state.listed:
                self.list(jobs)
                ready = engine.wait(0.0)
            elif engine.pending:
                ready = engine.wait(_TELL_EVERY)
                self.state.hindrance = None if ready else engine.hindrance
                self.tell()
            else:
                return
            for outcome in ready:
                yield self.finish(outcome, cached=False)

    def list(self, jobs: Iterator[Job]) -> None:
        """Lists some more files."""
        count = 0
        for job in islice(jobs, _LIST_AT_ONCE):
            count += 1
            if self.store.add(job):
                self.state.found += 1
        self.state.listed = count < _LIST_AT_ONCE
        self.tell()


def iterate(paths: Paths, options: Options | None = None, *, progress: Progress | None = None) -> Iterator[Row]:
    """Triages files and yields their rows as they finish, in no particular order.

    Closing the generator stops the workers.

    Raises:
        EngineError: the workers or the cluster cannot be started or reached.
        OutputError: the cache that was named cannot be used.
    """
    store = Store()
    try:
        yield from _rows(Batch(store, progress=progress), path_list(paths), options or Options(), [])
    finally:
        store.close()


def _rows(batch: Batch, paths: Sequence[str | os.PathLike[str]], options: Options, notes: list[str]) -> Iterator[Row]:
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
    except sqlite3.Error as error:  # the cache's errors end nothing: this is about the temporary file of rows
        raise OutputError(f"rows cannot be kept in a temporary file: {error}") from error
    finally:
        if batch.cache is not None:
            if batch.cache.failure is not None:
                notes.append(f"{batch.cache.path}: results were no longer kept: {batch.cache.failure}")
            batch.cache.close()


def run(
    paths: Paths,
    options: Options | None = None,
    *,
    progress: Progress | None = None,
    on_row: Callable[[Row], None] | None = None,
) -> Result:
    """Triages files.

    Args:
        paths: files, folders, glob patterns and URLs.
        options: how.
        progress: is told how far the batch is.
        on_row: is given each row as its file finishes.

    Returns:
        the result; close it, or use it as a context manager.

    Raises:
        EngineError: the workers or the cluster cannot be started or reached.
        OutputError: the cache that was named cannot be used.
    """
    began = time.monotonic()
    notes: list[str] = []
    batch = Batch(Store(), progress=progress)
    try:
        for row in _rows(batch, path_list(paths), options or Options(), notes):
            if on_row is not None:
                on_row(row)
    except BaseException:
        batch.store.close()
        raise
    return Result(batch.store, batch.state, time.monotonic() - began, tuple(notes))


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
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Reads what ran out in each of many dumps.

    The worker processes import the calling script: it must call this under `if __name__ == "__main__":`.

    Args:
        paths: a file, a folder, a glob pattern or a URL of one of these, or several of them.
        jobs: worker processes; by default as many as the process may use processors.
        time_limit: seconds for one file, None for no limit; a worker that takes longer is killed.
        memory_limit: bytes that a worker may take for one file, at least `LEAST_MEMORY`, None for no limit.
        cache: file that keeps results for the next run; True for the user's own, False for none.
        engine: `processes`, `serial` (this process, no limits) or `dask`.
        scheduler: for `dask`: address of the scheduler; None starts a cluster of `jobs` workers on this machine.
        storage_options: for URLs: options of the fsspec file system.
        recursive: look into folders below the named ones.
        progress: is told how far it is; `RichProgress` draws a bar.

    Returns:
        a frame with one row per file, worst first, and the columns of `dumpmap.triage.COLUMNS`, bytes.

    Raises:
        EngineError: the workers or the cluster cannot be started or reached.
        OutputError: the cache that was named cannot be used.
    """
    options = Options(
        jobs=jobs,
        time_limit=time_limit,
        memory_limit=memory_limit,
        cache=cache,
        engine=engine,
        scheduler=scheduler,
        storage_options=storage_options,
        recursive=recursive,
    )
    with run(paths, options, progress=progress) as result:
        return result.frame()


# ---------------------------------------------------------------- the result


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that have the same values in some columns."""

    values: tuple[Any, ...]
    count: int = 0
    with_critical: int = 0
    with_warnings: int = 0
    unreadable: int = 0
    most_committed: int | None = None
    least_largest_free: int | None = None
    """Of the largest free blocks of the group's processes, the smallest."""
    example: str = ""
    """The path of the worst row."""


class Result:
    """The rows of a finished batch, on disk until it is closed.

    Attributes:
        state: how many files there were, by what became of them.
        seconds: how long the batch took.
        notes: what a user has to know about the run itself.
    """

    def __init__(self, store: Store, state: State, seconds: float, notes: tuple[str, ...] = ()) -> None:
        self._store = store
        self.state = state
        self.seconds = seconds
        self.notes = notes

    def __len__(self) -> int:
        return self.state.done

    def rows(self, selection: Selection = ALL) -> Iterator[Row]:
        """Yields the rows that are selected: by severity, the worst first, then by path, unless another order is."""
        return self._store.rows(selection)

    def groups(self, columns: str | Sequence[str], selection: Selection = ALL) -> list[Group]:
        """Counts the rows that have the same values in `columns`; the largest group first.

        Args:
            columns: a column's name, or several; `finding`: a row counts under each of its findings.
            selection: which rows are counted; its order and number are those of the groups.

        Raises:
            ValueError: a column cannot be grouped by.
        """
        columns = [columns] if isinstance(columns, str) else columns
        groups = group_rows(self.rows(replace(selection, sort=None, top=None)), columns)
        name = selection.sort_column

        def value(group: Group) -> Any:
            return group.values[columns.index(name)] if name in columns else getattr(group, name or "")

        return list(selection.order(groups, value))

    def frame(self) -> pd.DataFrame:
        """The rows as a data frame."""
        return make_frame(self.rows())

    def exit_code(self, *, fail_on: Severity | None = None, strict: bool = False) -> int:
        """What the command line returns: see `exit_code`."""
        return exit_code(self.state, fail_on=fail_on, strict=strict)

    def close(self) -> None:
        """Removes the rows."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def exit_code(state: State, *, fail_on: Severity | None = None, strict: bool = False) -> int:
    """What the command line returns.

    Args:
        state: of a finished batch.
        fail_on: 1 when a finding is at least this severe.
        strict: 3 when a file could not be read.

    Returns:
        3 also where something that was named could not be opened or listed at all. 3 goes before `fail_on`, whose
        answer is then incomplete.
    """
    if fail_on not in (None, *SEVERITIES):
        raise ValueError(f"unknown severity {fail_on!r}")
    if state.unreached or (strict and state.errors):
        return 3
    severe = SEVERITIES[: SEVERITIES.index(fail_on) + 1] if fail_on is not None else ()
    return int(any(getattr(state, severity) for severity in severe))


def group_rows(rows: Iterable[Row], columns: Sequence[str]) -> list[Group]:
    """Counts rows that have the same values in `columns`; the largest group first.

    The rows come worst first, so that a group's example is its worst. Under `finding` a row counts once per finding.

    Raises:
        ValueError: a column cannot be grouped by.
    """
    check_groupable(columns)
    groups: dict[tuple[Any, ...], Group] = {}
    for row in rows:
        for values in product(*(_group_values(row, name) for name in columns)):
            group = groups.get(values) or Group(values, example=row["path"])
            groups[values] = replace(
                group,
                count=group.count + 1,
                with_critical=group.with_critical + (row["severity"] == "critical"),
                with_warnings=group.with_warnings + (row["severity"] == "warning"),
                unreadable=group.unreadable + (row["status"] == "error"),
                most_committed=_of_known(max, group.most_committed, row["committed"]),
                least_largest_free=_of_known(min, group.least_largest_free, row["largest_free"]),
            )
    # What is not known comes behind what is; it can be compared with nothing.
    return sorted(
        groups.values(),
        key=lambda group: (-group.count, [(value is None, sort_key(value)) for value in group.values]),
    )


def check_groupable(columns: Sequence[str]) -> None:
    """Refuses what rows cannot be grouped by.

    Raises:
        ValueError: a name is no column's.
    """
    for name in columns:
        if name not in GROUPABLE:
            raise ValueError(f"cannot group by {name!r}; these can be: {', '.join(GROUPABLE)}")


def _group_values(row: Row, name: str) -> tuple[Any, ...]:
    """The groups of one column that a row belongs to: one, but for findings. No finding is None, as where unknown."""
    if name == FINDING:
        return tuple(row["findings"] or (None,))
    value = row[name]
    return ((tuple(value) or None) if isinstance(value, list) else value,)


def _of_known(choose: Callable[[int, int], int], one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return choose(one, other)


def make_frame(rows: Iterable[Row]) -> pd.DataFrame:
    """Rows as a data frame with the columns' types."""
    import pandas as pd

    rows = iter(rows)
    chunks: list[pd.DataFrame] = []
    while (chunk := list(islice(rows, _FRAME_CHUNK))) or not chunks:
        columns: dict[str, pd.Series[Any]] = {}
        for column in COLUMNS:
            values: list[Any] = [row[column.name] for row in chunk]
            if column.kind == "texts":
                values = [None if value is None else tuple(value) for value in values]
            if column.kind == "time":
                values = [value and dt.datetime.fromisoformat(value) for value in values]
            columns[column.name] = pd.Series(values, dtype=cast("Any", column.dtype))
        chunks.append(pd.DataFrame(columns, columns=list(NAMES)))
    return pd.concat(chunks, ignore_index=True) if len(chunks) > 1 else chunks[0]
