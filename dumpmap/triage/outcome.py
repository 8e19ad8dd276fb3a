"""The outcome of one file: its row, packed once in the worker, with what the batch needs beside it."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec.structs import replace

from dumpmap.triage.columns import TriageRow
from dumpmap.triage.jobs import Job
from dumpmap.triage.rows import empty_row, pack, rank_of, unpack

Limit = Literal["time", "memory"]


class Outcome(msgspec.Struct, frozen=True):
    """A file's row, packed for transfer between processes and for storage.

    The batch counts, caches, and stores an outcome without unpacking its row.

    Attributes:
        key: `Job.key`.
        path: `Job.path`.
        rank: the place of the row in the table, an index into `rows.RANKS`.
        data: the row, packed by `rows.pack`.
        size: size of the file at the time of the analysis.
        stamp: its `Job.stamp` at that time.
        lasting: whether another analysis of the same file would give the same row.
        limit: the limit that ended the analysis.
        unreached: whether the user named this file and dumpmap could not open it at all.
        cached: whether the outcome comes from the cache.
        foreign: whether a packed file that nobody named holds no input: it gets no row.
        unpacked: the row, where something has unpacked it already.
    """

    key: str
    path: str
    rank: int
    data: bytes
    size: int | None = None
    stamp: str | None = None
    lasting: bool = False
    limit: Limit | None = None
    unreached: bool = False
    cached: bool = False
    foreign: bool = False
    unpacked: TriageRow | None = None

    @property
    def row(self) -> TriageRow:
        """The row, unpacked."""
        return finish(unpack(self.data) if self.unpacked is None else self.unpacked, self.path, cached=self.cached)


def finish(row: TriageRow, path: str, *, cached: bool) -> TriageRow:
    """Sets the two values of an unpacked row that belong to this run: the path, and whether the row was cached."""
    row["path"] = path
    row["cached"] = cached
    return row


def outcome_of(
    job: Job,
    row: TriageRow,
    *,
    stamp: str | None = None,
    lasting: bool = False,
    limit: Limit | None = None,
    unreached: bool = False,
) -> Outcome:
    """Packs a row."""
    return Outcome(
        key=job.key,
        path=job.path,
        rank=rank_of(row),
        data=pack(row),
        size=row["size"],
        stamp=stamp,
        lasting=lasting and stamp is not None,
        limit=limit,
        unreached=unreached,
    )


def no_input(job: Job) -> Outcome:
    """Returns the outcome of a file that turned out to be no input."""
    return replace(outcome_of(job, empty_row(job.path, "skipped", size=job.size)), foreign=True)


def failure(job: Job, problem: str, *, limit: Limit | None = None, seconds: float | None = None) -> Outcome:
    """Returns the outcome of a file that ended its worker. A file that reached a limit would reach it again."""
    row = empty_row(job.path, "error", size=job.size, error=problem)
    row["seconds"] = None if seconds is None else round(seconds, 6)
    return outcome_of(job, row, stamp=job.stamp, lasting=limit is not None, limit=limit)
