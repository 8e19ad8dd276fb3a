"""What a batch needs before its first file: the engine, and the cache."""

from __future__ import annotations

from pathlib import Path

from dumpmap.errors import OutputError
from dumpmap.triage.cache import Cache, default_path
from dumpmap.triage.engines import Engine, EngineError, SerialEngine
from dumpmap.triage.options import TriageOptions
from dumpmap.triage.process_engine import ProcessEngine


def open_engine(options: TriageOptions, files: int | None = None) -> Engine:
    """Starts the engine.

    Args:
        options: how the batch runs.
        files: the number of files, if known: the engine starts no more workers than that.

    Raises:
        EngineError: the engine cannot start, or the cluster cannot be reached.
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


def open_cache(options: TriageOptions, notes: list[str] | None = None) -> Cache | None:
    """Opens the result cache. If the default cache cannot be used, the batch runs without one and notes it.

    Args:
        options: how the batch runs.
        notes: takes the note.

    Raises:
        OutputError: the cache that the user named cannot be used.
    """
    if options.cache is False:
        return None
    path = default_path() if options.cache is True else Path(options.cache)
    try:
        return Cache(path, time_limit=options.time_limit, memory_limit=options.memory_limit, owners=options.owners)
    except OutputError as error:
        if options.cache is not True:
            raise
        if notes is not None:
            notes.append(f"results are not kept for the next run: {error}")
        return None
