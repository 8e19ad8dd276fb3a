"""The rows of one run, on disk, so that memory does not grow with their number."""

from __future__ import annotations

import pickle
import sqlite3
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice

from dumpmap.triage.columns import TriageRow
from dumpmap.triage.conditions import known_column
from dumpmap.triage.jobs import Job
from dumpmap.triage.outcome import Outcome, finish
from dumpmap.triage.rows import unpack
from dumpmap.triage.selection import ALL, Selection

_JOBS_AT_ONCE = 256


class Store:
    """The files of one run and their packed rows, in a temporary database that disappears with the process."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -2048", "temp_store = FILE"):
            self._database.execute(f"PRAGMA {pragma}")
        self._database.execute(
            "CREATE TABLE files (id INTEGER PRIMARY KEY, key TEXT UNIQUE, path TEXT, job BLOB, "
            "rank INTEGER, cached INTEGER, data BLOB)"
        )
        # Only this process reads it and nothing needs to last: one endless transaction saves the cost of many.
        self._database.execute("BEGIN")
        self._jobs: deque[Job] = deque()
        self._last_id = 0

    def add(self, job: Job) -> bool:
        """Adds a file; returns False if it is there already."""
        cursor = self._database.execute(
            "INSERT OR IGNORE INTO files (key, path, job) VALUES (?, ?, ?)", (job.key, job.path, pickle.dumps(job))
        )
        return cursor.rowcount == 1

    def next_job(self) -> Job | None:
        """Returns the next of the added files, in their order, or None."""
        if not self._jobs:
            found = self._database.execute(
                "SELECT id, job FROM files WHERE id > ? ORDER BY id LIMIT ?", (self._last_id, _JOBS_AT_ONCE)
            ).fetchall()
            if not found:
                return None
            self._last_id = found[-1][0]
            self._jobs.extend(pickle.loads(data) for _, data in found)  # noqa: S301 - `add` wrote it
        return self._jobs.popleft()

    def put(self, outcome: Outcome) -> None:
        """Stores the packed row of an added file."""
        self._database.execute(
            "UPDATE files SET rank = ?, cached = ?, data = ?, job = NULL WHERE key = ?",
            (outcome.rank, outcome.cached, outcome.data, outcome.key),
        )

    def forget(self, key: str) -> None:
        """Removes a file, so that it can be added again."""
        self._database.execute("DELETE FROM files WHERE key = ?", (key,))

    def __len__(self) -> int:
        (count,) = self._database.execute("SELECT count(data) FROM files").fetchone()
        return int(count)

    def rows(self, selection: Selection = ALL) -> Iterator[TriageRow]:
        """Yields the selected rows: by severity, the worst first, then by path, unless the selection sorts them.

        Each row is unpacked once, or twice if the selection sorts: memory holds only the sort keys.
        """
        kept = ((number, row) for number, row in self._unpacked() if selection.keeps(row))
        if selection.sort_column is None:
            yield from (row for _, row in islice(kept, selection.top))
            return
        name = known_column(selection.sort_column).name
        keys = ((number, row[name]) for number, row in kept)
        for number, _ in selection.order(keys, lambda pair: pair[1]):
            path, cached, data = self._database.execute(
                "SELECT path, cached, data FROM files WHERE id = ?", (number,)
            ).fetchone()
            yield finish(unpack(data), path, cached=bool(cached))

    def count(self, selection: Selection) -> int:
        """Returns how many rows pass the selection's filters."""
        return sum(selection.keeps(row) for _, row in self._unpacked()) if selection.filters else len(self)

    def count_undecided(self, selection: Selection) -> int:
        """Returns of how many rows a bound or an unknown figure does not tell whether they pass the filters."""
        return sum(1 for _ in self.undecided(selection))

    def undecided(self, selection: Selection) -> Iterator[str]:
        """Yields the paths of those rows."""
        if selection.compares:
            yield from (row["path"] for _, row in self._unpacked() if selection.judge(row) is None)

    def _unpacked(self) -> Iterator[tuple[int, TriageRow]]:
        """Yields the number and the row of every finished file, the worst first."""
        cursor = self._database.execute(
            "SELECT id, path, cached, data FROM files WHERE data IS NOT NULL ORDER BY rank, path, key"
        )
        for number, path, cached, data in cursor:
            yield number, finish(unpack(data), path, cached=bool(cached))

    def close(self) -> None:
        """Removes everything."""
        with suppress(sqlite3.Error):
            self._database.close()
