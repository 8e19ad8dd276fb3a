"""One file to one row. Runs in a worker; nothing a file contains gets an exception out of here."""

from __future__ import annotations

import datetime as dt
import errno
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from dumpmap.errors import DumpmapError, FormatError
from dumpmap.model.region_map import RegionMap
from dumpmap.model.snapshot import Module
from dumpmap.model.types import RegionType
from dumpmap.parsers.opening import read_source
from dumpmap.sources.files import ByteSource, map_file
from dumpmap.sources.remote import remote_source
from dumpmap.triage.columns import NAMES, TYPE_COLUMNS, Row, empty_row, severity_rank
from dumpmap.triage.diagnosis import diagnosis_columns, exception_name
from dumpmap.triage.discovery import Job, os_reason

Limit = Literal["time", "memory"]

_TYPE_COLUMNS = tuple(
    (region_type, tuple((figure, name) for kind, figure, name in TYPE_COLUMNS if kind == region_type))
    for region_type in RegionType
)
"""Each type once, with its figures and their columns."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A file's row, packed for the way between processes and into the stores.

    Attributes:
        key: `Job.key`.
        path: `Job.path`.
        rank: `columns.severity_rank` of the row.
        data: the row's values as JSON.
        size: size of the file as it was analysed.
        stamp: its `Job.stamp` then.
        lasting: whether the same file would give the same row again.
        limit: which limit ended the analysis.
        unreached: whether the file was named, and could not be opened at all.
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

    @property
    def row(self) -> Row:
        """The row itself."""
        return unpack(self.data)


def pack(row: Row) -> bytes:
    """A row as JSON: its values only, in the order of the columns."""
    return msgspec.json.encode(list(row.values()))


def unpack(data: bytes) -> Row:
    """The row that `pack` packed."""
    return dict(zip(NAMES, msgspec.json.decode(data), strict=True))


def outcome_of(
    job: Job,
    row: Row,
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
        rank=severity_rank(row),
        data=pack(row),
        size=row["size"],
        stamp=stamp,
        lasting=lasting and stamp is not None,
        limit=limit,
        unreached=unreached,
    )


def failure(job: Job, problem: str, *, limit: Limit | None = None, seconds: float | None = None) -> Outcome:
    """The outcome of a file that took its worker with it; a limit is reached again by whoever tries again."""
    row = empty_row(job.path, "error", size=job.size, error=problem)
    row["seconds"] = None if seconds is None else round(seconds, 6)
    return outcome_of(job, row, stamp=job.stamp, lasting=limit is not None, limit=limit)


def analyse(job: Job, *, storage_options: Mapping[str, Any] | None = None) -> Outcome:
    """Analyses one file.

    Args:
        job: the file.
        storage_options: for a URL: options of the fsspec file system.

    Returns:
        its outcome; what is wrong with the file is in the row.
    """
    if job.problem is not None:
        status, text = job.problem
        return outcome_of(job, empty_row(job.path, status, size=job.size, error=text), unreached=job.named)
    began = time.perf_counter()
    size, stamp = job.size, job.stamp
    lasting, opened = True, False
    try:
        if job.remote:
            source: ByteSource = remote_source(job.location, storage_options)
            size = source.size
            stamp = getattr(source, "stamp", None) or stamp  # it may have changed since it was found
        else:
            source = local = map_file(job.location, job.path)
            if local.status is not None:  # it may have grown since it was found
                size, stamp = local.status.st_size, str(local.status.st_mtime_ns)
        opened = True
        row = make_row(_classified(source, job), job.path, size)
        if job.remote:
            row["bytes_read"] = getattr(source, "bytes_read", None)
    except DumpmapError as error:
        if _lacks_memory(error):
            raise MemoryError from error
        error.source = None
        row = empty_row(job.path, "error", size=size, error=_one_line(str(error)))
        # What is wrong with the content stays wrong; a file that could not be reached may be there next time.
        lasting = isinstance(error, FormatError)
    except OSError as error:
        if error.errno == errno.ENOMEM:
            raise MemoryError from error
        row = empty_row(job.path, "error", size=size, error=_one_line(os_reason(error)))
        lasting = False
    except MemoryError:
        raise
    except Exception as error:  # a fault of dumpmap's own costs one row, not the batch
        text = _one_line(f"internal error: {type(error).__name__}: {error}")
        row = empty_row(job.path, "error", size=size, error=text)
        lasting = False
    row["seconds"] = round(time.perf_counter() - began, 6)
    lasting = lasting and not _changed(job, size, stamp)
    return outcome_of(job, row, stamp=stamp, lasting=lasting, unreached=job.named and not opened)


def _classified(source: ByteSource, job: Job) -> RegionMap:
    from dumpmap.classify import classify

    return classify(read_source(source, path=job.path, member=job.member, debug_ids=False), sections=False)


def _changed(job: Job, size: int | None, stamp: str | None) -> bool:
    """Whether a local file changed while it was read: its row may be of neither state."""
    if job.remote:
        return False
    try:
        info = os.stat(job.location)  # noqa: PTH116
    except OSError:
        return True
    return (info.st_size, str(info.st_mtime_ns)) != (size, stamp)


def _lacks_memory(error: BaseException | None) -> bool:
    """Whether memory was short below an error that says something else, such as a damaged file."""
    while error is not None:
        # zstandard has one class for all errors, and zstd's own words for them.
        if isinstance(error, MemoryError) or "Allocation error : not enough memory" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _one_line(text: str) -> str:
    return " ".join(text.split())[:1000]


# ---------------------------------------------------------------- from a map to a row


def make_row(region_map: RegionMap, path: str, size: int | None) -> Row:
    """Takes the figures of a row out of a region map."""
    snapshot, process, counters, system = (
        region_map.snapshot,
        region_map.process,
        region_map.counters,
        region_map.system,
    )
    row = empty_row(path, "partial" if region_map.partial or snapshot.warnings else "ok", size=size)
    main = _main_module(region_map)
    total = region_map.total
    row.update(
        warnings=len(region_map.warnings),
        warning=_one_line(region_map.warnings[0]) if region_map.warnings else None,
        completeness=region_map.completeness,
        format=snapshot.source.kind,
        container=snapshot.source.container,
        process=process.name or None,
        version=(main.version or None) if main else None,
        pid=process.pid,
        architecture=process.architecture,
        wow64=process.wow64,
        os=" ".join(filter(None, (process.os.family, process.os.version))) or None,
        os_build=process.os.build,
        captured_at=_time_text(snapshot.source.captured_at),
        **diagnosis_columns(region_map),
        total_size=total.size,
        committed=total.committed,
        private=total.private,
        threads=len(snapshot.threads) or None,
        heaps=len(region_map.heaps) if region_map.heaps or region_map.heap_list_captured else None,
        modules=len(snapshot.modules) or None,
        regions=None if region_map.partial else len(region_map.space.regions),
        private_usage=counters.private_usage,
        working_set=counters.working_set,
        peak_working_set=counters.peak_working_set,
        pagefile_usage=counters.pagefile_usage,
        virtual_size=counters.virtual_size,
        commit_total=system.commit_total,
        commit_limit=system.commit_limit,
        physical_total=system.physical_total,
        physical_available=system.physical_available,
    )
    if snapshot.exception is not None:
        row["exception_code"] = f"0x{snapshot.exception.code:08x}"
        row["exception"] = exception_name(snapshot.exception, process.os.family)
    for region_type, columns in _TYPE_COLUMNS:
        line = region_map.line(region_type)
        for figure, name in columns:
            row[name] = getattr(line, figure)
    return row


def _main_module(region_map: RegionMap) -> Module | None:
    """The module of the program itself."""
    name = (region_map.process.name or "").lower()
    return next((module for module in region_map.snapshot.modules if module.name.lower() == name), None)


def _time_text(value: dt.datetime | None) -> str | None:
    return None if value is None else value.astimezone(dt.UTC).replace(tzinfo=None).isoformat() + "Z"
