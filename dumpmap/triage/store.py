"""The rows of one run, on disk, so that their number does not matter."""

from __future__ import annotations

import pickle
import sqlite3
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice

from dumpmap.triage.analyse import Outcome, unpack
from dumpmap.triage.columns import Row
from dumpmap.triage.discovery import Job
from dumpmap.triage.selection import ALL, Selection, known_column

_JOBS_AT_ONCE = 256


class Store:
    """The files of one run and their rows, in a temporary database that vanishes with the process."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -2048", "temp_store = FILE"):
            self._database.execute(f"PRAGMA {pragma}")
        self._database.execute(
            "CREATE TABLE files (id INTEGER PRIMARY KEY, key TEXT UNIQUE, path TEXT, job BLOB, "
            "rank INTEGER, cached INTEGER, data BLOB)"
        )
        # Nobody else sees it and nothing of it is kept: one transaction that never ends saves writing each change.
        self._database.execute("BEGIN")
        self._jobs: deque[Job] = deque()
        self._last_id = 0

    def add(self, job: Job) -> bool:
        """Notes a file; False where it is there already."""
        cursor = self._database.execute(
            "INSERT OR IGNORE INTO files (key, path, job) VALUES (?, ?, ?)", (job.key, job.path, pickle.dumps(job))
        )
        return cursor.rowcount == 1

    def next_job(self) -> Job | None:
        """Takes the next of the files that were added, in their order."""
        if not self._jobs:
            found = self._database.execute(
                "SELECT id, job FROM files WHERE id > ? ORDER BY id LIMIT ?", (self._last_id, _JOBS_AT_ONCE)
            ).fetchall()
            if not found:
                return None
            self._last_id = found[-1][0]
            self._jobs.extend(pickle.loads(data) for _, data in found)  # noqa: S301 - written above
        return self._jobs.popleft()

    def put(self, outcome: Outcome, *, cached: bool) -> None:
        """Stores the row of a file that was added."""
        self._database.execute(
            "UPDATE files SET rank = ?, cached = ?, data = ?, job = NULL WHERE key = ?",
            (outcome.rank, cached, outcome.data, outcome.key),
        )

    def forget(self, key: str) -> None:
        """Removes a file, so that it can be added again."""
        self._database.execute("DELETE FROM files WHERE key = ?", (key,))

    def __len__(self) -> int:
        (count,) = self._database.execute("SELECT count(data) FROM files").fetchone()
        return int(count)

    def rows(self, selection: Selection = ALL) -> Iterator[Row]:
        """Yields the rows that are selected: by severity, the worst first, then by path, unless another order is."""
        cursor = self._database.execute(
            "SELECT id, path, cached, data FROM files WHERE data IS NOT NULL ORDER BY rank, path, key"
        )
        found = ((number, finished_row(path, data, cached=bool(cached))) for number, path, cached, data in cursor)
        kept = ((number, row) for number, row in found if selection.keeps(row))
        if selection.sort_column is None:
            yield from (row for _, row in islice(kept, selection.top))
            return
        # Only what is compared is held in memory, not the rows.
        name = known_column(selection.sort_column).name
        keys = ((number, row[name]) for number, row in kept)
        for number, _ in selection.order(keys, lambda pair: pair[1]):
            path, cached, data = self._database.execute(
                "SELECT path, cached, data FROM files WHERE id = ?", (number,)
            ).fetchone()
            yield finished_row(path, data, cached=bool(cached))

    def close(self) -> None:
        """Forgets everything."""
        with suppress(sqlite3.Error):
            self._database.close()


def finished_row(path: str, data: bytes, *, cached: bool) -> Row:
    """A stored row, with what is of this run in it."""
    row = unpack(data)
    row["path"] = path
    row["cached"] = cached
    return row
