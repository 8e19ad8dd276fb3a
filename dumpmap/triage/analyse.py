"""From one file to one row. Runs in a worker; whatever a file contains, no exception leaves this module."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Mapping
from typing import Any

from dumpmap.errors import DumpmapError, FormatError, reason_of
from dumpmap.model.pointers import OwnerSearch
from dumpmap.model.region_map import RegionMap
from dumpmap.parsers.opening import read_source
from dumpmap.parsers.recognition import begins_like_input
from dumpmap.sources.files import ByteSource, open_file
from dumpmap.sources.remote import remote_source
from dumpmap.triage.columns import TriageRow
from dumpmap.triage.jobs import Job
from dumpmap.triage.map_row import one_line, row_of_map
from dumpmap.triage.outcome import Outcome, no_input, outcome_of
from dumpmap.triage.rows import empty_row


def analyse(
    job: Job, *, storage_options: Mapping[str, Any] | None = None, owners: OwnerSearch = "structure"
) -> Outcome:
    """Analyses one file.

    Args:
        job: the file.
        storage_options: for a URL: options of the fsspec file system.
        owners: how owners are found.

    Returns:
        its outcome; the row says what is wrong with the file.

    Raises:
        MemoryError: the file needs more memory than there is.
    """
    if job.problem is not None:
        status, text = job.problem
        return outcome_of(job, empty_row(job.path, status, size=job.size, error=text), unreached=job.named)
    if job.unsure and not begins_like_input(job.location):
        return no_input(job)
    began = time.perf_counter()
    opened = _Opened(job.size, job.stamp)
    row, lasting = _row(job, opened, storage_options, owners)
    row["seconds"] = round(time.perf_counter() - began, 6)
    lasting = lasting and not _changed(job, opened)
    return outcome_of(job, row, stamp=opened.stamp, lasting=lasting, unreached=job.named and not opened.done)


class _Opened:
    """The file as it was opened.

    Attributes:
        size: its size then.
        stamp: its `Job.stamp` then.
        done: whether it could be opened.
    """

    def __init__(self, size: int | None, stamp: str | None) -> None:
        self.size = size
        self.stamp = stamp
        self.done = False

    def open(self, job: Job, storage_options: Mapping[str, Any] | None) -> ByteSource:
        """Opens the file. It may have changed since it was found."""
        source: ByteSource
        if job.remote:
            source = remote_source(job.location, storage_options)
            self.size = source.size
            self.stamp = getattr(source, "stamp", None) or self.stamp
        else:
            source = local = open_file(job.location, job.path)
            if local.status is not None:
                self.size, self.stamp = local.status.st_size, str(local.status.st_mtime_ns)
        self.done = True
        return source


def _row(
    job: Job, opened: _Opened, storage_options: Mapping[str, Any] | None, owners: OwnerSearch
) -> tuple[TriageRow, bool]:
    """Returns the row of a file, and whether the same file would give the same row again."""
    try:
        source = opened.open(job, storage_options)
        row = row_of_map(_classified(source, job, owners), job.path, opened.size)
        if job.remote:
            row["bytes_read"] = getattr(source, "bytes_read", None)
        return row, True
    except DumpmapError as error:
        if _lacks_memory(error):
            raise MemoryError from error
        error.source = None
        # Damaged content stays damaged; a file that could not be reached may be there next time.
        text, lasting = str(error), isinstance(error, FormatError)
    except OSError as error:
        if error.errno == errno.ENOMEM:
            raise MemoryError from error
        text, lasting = reason_of(error), False
    except MemoryError:
        raise
    except Exception as error:  # a bug in dumpmap costs one row, not the batch
        text, lasting = f"internal error: {type(error).__name__}: {error}", False
    return empty_row(job.path, "error", size=opened.size, error=one_line(text)), lasting


def _classified(source: ByteSource, job: Job, owners: OwnerSearch) -> RegionMap:
    from dumpmap.classify import classify

    region_map = classify(read_source(source, path=job.path, member=job.member, debug_ids=False), sections=False)
    if owners == "structure":
        return region_map
    from dumpmap.analysis.pointers import with_pointers

    return with_pointers(region_map)


def _changed(job: Job, opened: _Opened) -> bool:
    """Returns whether a local file changed while it was read: its row may match neither state."""
    if job.remote:
        return False
    try:
        info = os.stat(job.location)  # noqa: PTH116
    except OSError:
        return True
    return (info.st_size, str(info.st_mtime_ns)) != (opened.size, opened.stamp)


def _lacks_memory(error: BaseException | None) -> bool:
    """Returns whether a lack of memory caused an error that reports something else, such as a damaged file."""
    while error is not None:
        # zstandard has one class for all errors; only zstd's own text tells them apart.
        if isinstance(error, MemoryError) or "Allocation error : not enough memory" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False
