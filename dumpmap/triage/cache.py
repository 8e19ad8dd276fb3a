"""Results of earlier runs, kept in an SQLite file.

The key of a result is the path, size, and time of the file, and the version of the tool. Every result is a transaction
of its own in write-ahead mode: finished results survive a kill, several runs can share a file, and nothing waits for a
disk.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import time
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

from dumpmap._version import __version__
from dumpmap.errors import OutputError, reason_of
from dumpmap.model.pointers import OwnerSearch
from dumpmap.triage.columns import NAMES, ROW_VERSION
from dumpmap.triage.jobs import Job
from dumpmap.triage.outcome import Limit, Outcome
from dumpmap.triage.rows import unpack

TOOL = f"{__version__}/{ROW_VERSION}/{zlib.crc32(','.join(NAMES).encode()):08x}"
"""What made a result: the version of dumpmap, of the rows' meaning, and the columns."""

KEEP_DAYS = 180
"""Older results are deleted."""

_SCHEMA_VERSION = 2
_SCHEMA = """
CREATE TABLE IF NOT EXISTS results (
    key TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    stamp TEXT NOT NULL,
    tool TEXT NOT NULL,
    rank INTEGER NOT NULL,
    data BLOB NOT NULL,
    checksum INTEGER NOT NULL,
    time_limit REAL,
    memory_limit INTEGER,
    saved_at REAL NOT NULL
) WITHOUT ROWID
"""


def default_path() -> Path:
    """Returns the default place of the cache: `$DUMPMAP_CACHE`, or a file in the user's cache folder."""
    given = os.environ.get("DUMPMAP_CACHE")
    if given:
        return Path(given)
    home = Path.home()
    if sys.platform == "win32":
        folder = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "dumpmap" / "Cache"
    elif sys.platform == "darwin":
        folder = home / "Library" / "Caches" / "dumpmap"
    else:
        named = Path(os.environ.get("XDG_CACHE_HOME", ""))  # the specification says to ignore a relative path
        folder = (named if named.is_absolute() else home / ".cache") / "dumpmap"
    return folder / "triage.sqlite"


def _make_private(path: Path) -> None:
    """Creates the file for its owner alone: rows hold names of processes and users, and messages of programs."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _checksum(*values: object) -> int:
    """Returns a checksum over everything that a result consists of."""
    # SQLite returns a whole number from a column of fractions as a fraction.
    same = [float(value) if isinstance(value, int) else value for value in values]
    return zlib.crc32(repr(same).encode("utf-8", "surrogatepass"))


class Cache:
    """Results of earlier runs.

    Args:
        path: the SQLite file; created if it does not exist.
        time_limit: of this run, in seconds. A file that exceeded a tighter limit in an earlier run is tried again.
        memory_limit: of this run, in bytes; likewise.
        owners: how this run finds owners. Rows of a run that did it in the other way do not count.

    Attributes:
        failure: why the cache is no longer used, if it failed after it was opened: such a failure must not cost hours
            of work. None while it works.

    Raises:
        OutputError: the file cannot be used.
    """

    def __init__(
        self,
        path: Path,
        *,
        time_limit: float | None = None,
        memory_limit: int | None = None,
        owners: OwnerSearch = "structure",
    ) -> None:
        self.path = path
        self.failure: str | None = None
        # A row of one search does not answer for the other.
        self._tool = TOOL if owners == "structure" else f"{TOOL}/{owners}"
        self._limits: dict[Limit, float | None] = {"time": time_limit, "memory": memory_limit}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _make_private(path)
            self._database = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
            try:
                self._prepare()
            except sqlite3.Error:
                self._database.close()  # its locks would make the next one wait
                raise
        except (OSError, sqlite3.Error) as error:
            raise OutputError(
                f"cannot use this file as the result cache: {reason_of(error)}", source=str(path)
            ) from error

    def _prepare(self) -> None:
        database = self._database
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version == 1:  # without checksums
            database.execute("DROP TABLE IF EXISTS results")
            version = 0
        if version not in (0, _SCHEMA_VERSION):
            raise sqlite3.DatabaseError(f"it has layout version {version}, dumpmap needs version {_SCHEMA_VERSION}")
        if version == 0 and database.execute("SELECT 1 FROM sqlite_master WHERE name != 'results'").fetchone():
            raise sqlite3.DatabaseError("it is another program's database")
        # A network share may not support write-ahead mode; SQLite then keeps the older, slower journal.
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        if version == 0:
            database.execute(_SCHEMA)
            database.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
        database.execute("DELETE FROM results WHERE saved_at < ?", (time.time() - KEEP_DAYS * 86400,))

    def get(self, job: Job) -> Outcome | None:
        """Returns the result of a file that has not changed since, or None."""
        if job.problem is not None or job.size is None or job.stamp is None:
            return None
        found = self._execute(
            "SELECT rank, data, time_limit, memory_limit, checksum FROM results "
            "WHERE key = ? AND size = ? AND stamp = ? AND tool = ?",
            (job.key, job.size, job.stamp, self._tool),
        )
        if not found:
            return None
        rank, data, time_limit, memory_limit, checksum = found[0]
        # SQLite does not notice changed bytes, and any type fits into any column.
        try:
            if checksum != _checksum(job.key, job.size, job.stamp, rank, data, time_limit, memory_limit):
                return None
            row = unpack(data)
        except (ValueError, TypeError):
            return None
        earlier: tuple[tuple[Limit, float | None], ...] = (("time", time_limit), ("memory", memory_limit))
        limit: Limit | None = None
        for name, value in earlier:
            if value is None:
                continue
            limit, now = name, self._limits[name]
            if now is None or now > value:
                return None
        return Outcome(
            job.key,
            job.path,
            rank,
            data,
            job.size,
            job.stamp,
            lasting=True,
            limit=limit,
            cached=True,
            unpacked=row,
        )

    def put(self, outcome: Outcome) -> bool:
        """Keeps a result if another analysis would give the same; returns whether it was kept."""
        if not outcome.lasting or outcome.size is None or outcome.stamp is None:
            return False
        kept = (
            outcome.rank,
            outcome.data,
            self._limits["time"] if outcome.limit == "time" else None,
            self._limits["memory"] if outcome.limit == "memory" else None,
        )
        checksum = _checksum(outcome.key, outcome.size, outcome.stamp, *kept)
        self._execute(
            "INSERT OR REPLACE INTO results "
            "(key, size, stamp, tool, rank, data, time_limit, memory_limit, checksum, saved_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (outcome.key, outcome.size, outcome.stamp, self._tool, *kept, checksum, time.time()),
        )
        return self.failure is None

    def _execute(self, statement: str, values: tuple[object, ...]) -> list[Any]:
        """Executes a statement, unless the file has failed before."""
        if self.failure is not None:
            return []
        try:
            return self._database.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            self.failure = str(error)
            return []

    def __len__(self) -> int:
        (count,) = self._database.execute("SELECT count(*) FROM results").fetchone()
        return int(count)

    def close(self) -> None:
        """Closes the file."""
        with suppress(sqlite3.Error):
            self._database.close()
