"""One file to triage, and which files count as inputs by their name."""

# Paths are strings here: a batch compares, joins, and stores a million of them.
# ruff: noqa: PTH100, PTH116, PTH122

from __future__ import annotations

import os
import stat

import msgspec
from msgspec.structs import replace

from dumpmap.errors import reason_of
from dumpmap.sources.files import MEMBER_MARK
from dumpmap.sources.remote_errors import shown_url
from dumpmap.triage.columns import RowStatus

DUMP_SUFFIXES = frozenset((".dmp", ".mdmp", ".hdmp", ".mmp"))
"""Minidumps and VMMap files. Text formats are recognised by content: most .json and .csv files are something else."""

COMPRESSED_SUFFIXES = frozenset((".gz", ".zst", ".zip"))

GLOB_MARKS = frozenset("*?[")
"""The characters that make a path a glob pattern."""

NO_MATCH = "no file matches this pattern"


class Job(msgspec.Struct, frozen=True):
    """A file to triage, or a place where the search for files failed.

    Attributes:
        key: identifies the file: its absolute path, or its URL without secrets.
        path: the file's name in the results.
        location: what to open: the path as the system returned it, or the URL with its secrets.
        remote: whether `location` is a URL.
        size: in bytes.
        stamp: changes when the file changes: the mtime in ns; for a remote file its ETag or time. None is unknown.
        problem: why the file cannot be opened: a status and a reason.
        member: the file inside a zip archive, if the user named one.
        named: whether the user named this file, or the job represents a pattern that matches nothing. If such a job
            fails, the run has not read what it was asked to read.
        unsure: whether nobody named the file and it is packed: the worker that unpacks it finds out if it is an input.
    """

    key: str
    path: str
    location: str
    remote: bool = False
    size: int | None = None
    stamp: str | None = None
    problem: tuple[RowStatus, str] | None = None
    member: str | None = None
    named: bool = False
    unsure: bool = False


def failed_job(
    location: str, text: str, *, status: RowStatus = "error", remote: bool = False, named: bool = False
) -> Job:
    """Returns a job that only reports a problem."""
    shown = shown_url(location) if remote else safe_text(location)
    key = shown if remote else safe_text(os.path.abspath(location))
    return Job(key, shown, location, remote, problem=(status, text), named=named)


def local_job(path: str) -> Job:
    """Returns the job of one local file, whatever the file is."""
    try:
        info = os.stat(path)
    except OSError as error:
        return failed_job(path, reason_of(error))
    except ValueError as error:  # no file can have this name
        return failed_job(path, str(error))
    if not stat.S_ISREG(info.st_mode):
        return failed_job(path, "not a regular file", status="skipped")
    location = os.path.abspath(path)  # a cluster's worker has another current folder
    return Job(safe_text(location), safe_text(path), location, size=info.st_size, stamp=str(info.st_mtime_ns))


def member_job(text: str) -> Job:
    """Returns the job of a file inside a local zip archive, `x.zip::y.dmp`."""
    path, _, member = text.partition(MEMBER_MARK)
    job = local_job(path)
    return replace(
        job, key=safe_text(f"{job.key}{MEMBER_MARK}{member}"), path=safe_text(text), member=member, named=True
    )


def safe_text(text: str) -> str:
    r"""Returns a path as text that can be stored: bytes that are not valid text become `\xNN`."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def has_dump_suffix(name: str) -> bool:
    """Returns whether a file is an input by its name: `.dmp`, `.DMP.gz`."""
    base, suffix = os.path.splitext(name.lower())
    if suffix in COMPRESSED_SUFFIXES:
        suffix = os.path.splitext(base)[1]
    return suffix in DUMP_SUFFIXES
