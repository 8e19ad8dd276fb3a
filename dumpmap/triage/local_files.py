"""The files to triage on this machine: a named file, a folder, a glob pattern, a file in a zip archive."""

# Paths are strings here: a batch compares, joins, and stores a million of them.
# ruff: noqa: PTH112, PTH113, PTH116, PTH118, PTH206

from __future__ import annotations

import fnmatch
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from itertools import chain, islice

from msgspec.structs import replace

from dumpmap.errors import reason_of
from dumpmap.parsers.recognition import first_look
from dumpmap.sources.files import MEMBER_MARK
from dumpmap.triage.jobs import (
    GLOB_MARKS,
    NO_MATCH,
    Job,
    failed_job,
    has_dump_suffix,
    local_job,
    member_job,
)

NAMES_IN_MEMORY = 50_000
"""The names of a folder with more entries are sorted on disk."""

Visited = set[tuple[int, int]]
"""The folders that were entered, by device and inode."""


def discover_local(text: str, *, recursive: bool, visited: Visited) -> Iterator[Job]:
    """Yields the files of a path or a pattern."""
    if os.path.isdir(text):
        yield from _walk(text, recursive=recursive, visited=visited, named=True)
    elif MEMBER_MARK in text and not os.path.lexists(text) and os.path.isfile(text.partition(MEMBER_MARK)[0]):
        yield member_job(text)
    elif GLOB_MARKS.intersection(text) and not os.path.lexists(text):
        yield from _discover_glob(text, recursive=recursive, visited=visited)
    else:
        yield replace(local_job(text), named=True)


def found_job(path: str) -> Job | None:
    """Returns the job of a file in a folder if it is an input: by its suffix, or else by its first bytes.

    A packed file is unpacked by no process but a worker, under its limits: the job says that it is unsure.
    """
    if has_dump_suffix(path):
        return local_job(path)
    look = first_look(path) if os.path.isfile(path) else False
    if look is False:
        return None
    job = local_job(path)
    return job if look else replace(job, unsure=True)


# ---------------------------------------------------------------- folders


def _walk(root: str, *, recursive: bool, visited: Visited, named: bool = False) -> Iterator[Job]:
    """Yields the files in a folder and its subfolders."""
    if not _enter(root, visited):
        return
    stack = [(root, sorted_names(root))]
    while stack:
        folder, names = stack[-1]
        try:
            name = next(names, None)
        except OSError as error:
            yield failed_job(folder, reason_of(error), named=named and folder == root)
            name = None
        if name is None:
            stack.pop()
            continue
        path = os.path.join(folder, name)
        try:
            mode = os.stat(path).st_mode
        except OSError:
            mode = 0
        if stat.S_ISDIR(mode):
            if recursive and _enter(path, visited):
                stack.append((path, sorted_names(path)))
        elif (job := found_job(path)) is not None:
            yield job


def _enter(folder: str, visited: Visited) -> bool:
    """Records that a folder is entered; returns False if it was entered before."""
    try:
        info = os.stat(folder)
    except OSError:
        return True  # listing the folder reports the error
    identity = (info.st_dev, info.st_ino)
    if identity in visited:
        return False
    visited.add(identity)
    return True


def sorted_names(folder: str) -> Iterator[str]:
    """Yields the names in a folder in order, in bounded memory.

    Raises:
        OSError: the folder cannot be read.
    """
    with os.scandir(folder) as entries:
        names = [entry.name for entry in islice(entries, NAMES_IN_MEMORY)]
        rest = (os.fsencode(entry.name) for entry in entries)
        first = next(rest, None)
        # An unnamed database is a temporary file that SQLite removes, however the program ends.
        database = None if first is None else sqlite3.connect("", isolation_level=None, check_same_thread=False)
        if database is not None:
            database.execute("PRAGMA journal_mode = OFF")
            database.execute("CREATE TABLE names (name BLOB PRIMARY KEY) WITHOUT ROWID")
            database.execute("BEGIN")
            insert = "INSERT OR IGNORE INTO names VALUES (?)"
            database.executemany(insert, ((name,) for name in chain(map(os.fsencode, names), (first,), rest)))
            database.execute("COMMIT")
            names = []
    if database is None:
        yield from sorted(names, key=os.fsencode)
        return
    with closing(database):
        for (name,) in database.execute("SELECT name FROM names ORDER BY name"):
            yield os.fsdecode(name)


# ---------------------------------------------------------------- glob patterns


def _discover_glob(pattern: str, *, recursive: bool, visited: Visited) -> Iterator[Job]:
    reached = False
    closed: dict[str, Job] = {}
    for path in _expand(pattern):
        if isinstance(path, Job):
            closed[path.key] = path
        elif not os.path.isdir(path):
            reached = True
            yield local_job(path)
        elif "**" in pattern:  # the pattern itself covers what is in the folder
            reached = True
        else:
            jobs = _walk(path, recursive=recursive, visited=visited)
            first = next(jobs, None)
            if first is not None and first.location == path:
                closed[first.key] = first
                continue
            reached = True
            if first is not None:
                yield first
            yield from jobs
    for job in closed.values():
        yield replace(job, named=not reached)
    if not reached and not closed:
        yield failed_job(pattern, NO_MATCH, named=True)


def _expand(pattern: str) -> Iterator[str | Job]:
    """Yields the paths that match a glob pattern, in order; `**` matches any number of folders.

    A folder that cannot be listed becomes a job that reports the error; it may come twice.
    """
    drive, rest = os.path.splitdrive(pattern)
    if os.altsep:
        rest = rest.replace(os.altsep, os.sep)
    root = drive + os.sep if rest.startswith(os.sep) else drive
    parts: list[str] = []
    for part in rest.split(os.sep):
        if part and not (part == "**" and parts[-1:] == ["**"]):
            parts.append(part)
    yield from _match(root, parts, set())


def _match(folder: str, parts: list[str], above: Visited) -> Iterator[str | Job]:
    """Yields the paths below `folder` that match `parts`, one pattern per level."""
    if not parts:
        yield folder
        return
    part, rest = parts[0], parts[1:]
    if part == "**":
        yield from _match_any_depth(folder, parts, above)
    elif GLOB_MARKS.intersection(part):
        for name in _names(folder):
            if isinstance(name, Job):
                yield name
                continue
            hidden = name.startswith(".") and not part.startswith(".")
            if not hidden and fnmatch.fnmatch(name, part):
                path = os.path.join(folder, name)
                if not rest or os.path.isdir(path):
                    yield from _match(path, rest, above)
    else:
        path = os.path.join(folder, part)
        try:
            os.lstat(path)
        except PermissionError as error:
            yield failed_job(path, reason_of(error))
        except (OSError, ValueError):
            return
        else:
            yield from _match(path, rest, above)


def _match_any_depth(folder: str, parts: list[str], above: Visited) -> Iterator[str | Job]:
    """Yields the matches of `parts`, whose first is `**`, in a folder and all its subfolders."""
    yield from _match(folder, parts[1:] or ["*"], above)
    here: Visited = set(above)
    # A link to a parent folder would never end.
    if not _enter(folder or os.curdir, here):
        return
    for name in _names(folder):
        if isinstance(name, Job):
            yield name
            continue
        below = os.path.join(folder, name)
        if not name.startswith(".") and os.path.isdir(below):
            yield from _match(below, parts, here)


def _names(folder: str) -> Iterator[str | Job]:
    try:
        yield from sorted_names(folder or os.curdir)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        yield failed_job(folder or os.curdir, reason_of(error))
