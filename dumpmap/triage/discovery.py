"""Which files to triage: named files, folders, globs and URLs, as a stream in a fixed order.

A folder yields the files that are inputs by their suffix, broken or not, and any other file that begins like an input.
What is named, or matched by a glob, is always taken. Folders are walked depth first, each in the order of its names; a
folder is entered once, so links cannot lead in circles; a folder's names are sorted on disk where they are many.
"""

# Paths are strings here: a million of them are compared, joined and stored.
# ruff: noqa: PTH100, PTH112, PTH113, PTH116, PTH118, PTH122, PTH206

from __future__ import annotations

import errno
import fnmatch
import os
import sqlite3
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any

from dumpmap.errors import DumpmapError
from dumpmap.parsers.recognition import begins_like_input
from dumpmap.sources.file_systems import file_system
from dumpmap.sources.files import MEMBER_MARK
from dumpmap.sources.remote_errors import reason, shown_url
from dumpmap.sources.web import HEADS_AT_ONCE, stamp_of, web_infos
from dumpmap.triage.columns import Status

DUMP_SUFFIXES = frozenset((".dmp", ".mdmp", ".hdmp", ".mmp"))
"""Minidumps and VMMap files. Text formats are told by how they begin: most .json and .csv files are something else."""

COMPRESSED_SUFFIXES = frozenset((".gz", ".zst", ".zip"))

NAMES_IN_MEMORY = 50_000
"""A folder with more entries has its names sorted on disk."""

WEB_DEPTH = 16
"""A web server's folders are entered so deep: it may list a link to a folder above as a folder, again and again."""

_GLOB = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Job:
    """A file to triage, or a place where looking for files failed.

    Attributes:
        key: what tells it from every other file: its absolute path, or its URL without secrets.
        path: how it is called in the results.
        location: what to open: the path as the system gave it, or the URL with its secrets.
        remote: whether that is a URL.
        size: in bytes.
        member: which file of a zip archive is meant, where that was said.
        stamp: changes when the file does: mtime in ns; for a remote file its ETag or time. None is not known.
        problem: why it is not to be opened: a status and a reason.
        named: whether somebody named it, or it stands for a pattern that leads nowhere: if it cannot be opened or
            listed, the run has not looked at what it was to look at.
    """

    key: str
    path: str
    location: str
    remote: bool = False
    size: int | None = None
    stamp: str | None = None
    problem: tuple[Status, str] | None = None
    member: str | None = None
    named: bool = False


def _failed(location: str, text: str, *, status: Status = "error", remote: bool = False, named: bool = False) -> Job:
    shown = shown_url(location) if remote else safe_text(location)
    key = shown if remote else safe_text(os.path.abspath(location))
    return Job(key, shown, location, remote, problem=(status, text), named=named)


def discover(
    paths: Iterable[str | os.PathLike[str]],
    *,
    recursive: bool = True,
    storage_options: Mapping[str, Any] | None = None,
    stamps: bool = True,
) -> Iterator[Job]:
    """Finds the files, one by one.

    Args:
        paths: files, folders, glob patterns (`**` crosses folders), URLs of the same.
        recursive: also look into folders below the named ones.
        storage_options: for URLs: options of the fsspec file system.
        stamps: whether `Job.stamp` is worth a request per file, where a listing does not have it.

    Yields:
        jobs; one with a `problem` for what is named but not there, and for a folder that cannot be read. The same
        file may come twice where two paths lead to it.
    """
    visited: set[tuple[int, int]] = set()
    for path in paths:
        text = os.fspath(path)
        if "://" in text:
            yield from _discover_remote(text, recursive=recursive, storage_options=storage_options, stamps=stamps)
        else:
            yield from _discover_local(text, recursive=recursive, visited=visited)


def safe_text(text: str) -> str:
    r"""A path as text that can be stored: bytes that are no valid name become `\xNN`."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def local_job(path: str) -> Job:
    """The job of one local file, whatever it is."""
    try:
        info = os.stat(path)
    except OSError as error:
        return _failed(path, os_reason(error))
    except ValueError as error:  # a name that no file can have
        return _failed(path, str(error))
    if not stat.S_ISREG(info.st_mode):
        return _failed(path, "not a regular file", status="skipped")
    location = os.path.abspath(path)  # a worker of a cluster has another current folder
    return Job(safe_text(location), safe_text(path), location, size=info.st_size, stamp=str(info.st_mtime_ns))


def _member_job(text: str) -> Job:
    """The job of a file in a local zip archive, `x.zip::y.dmp`."""
    path, _, member = text.partition(MEMBER_MARK)
    job = local_job(path)
    return replace(
        job, key=safe_text(f"{job.key}{MEMBER_MARK}{member}"), path=safe_text(text), member=member, named=True
    )


def os_reason(error: OSError) -> str:
    """Says in a few words why a file could not be read."""
    if error.errno == errno.ELOOP:
        return "a link that leads to itself"
    text = error.strerror or str(error)
    return text[:1].lower() + text[1:]


# ---------------------------------------------------------------- what a file is, by its name


def has_dump_suffix(name: str) -> bool:
    """Whether a file is an input by its name: `.dmp`, `.DMP.gz`."""
    base, suffix = os.path.splitext(name.lower())
    if suffix in COMPRESSED_SUFFIXES:
        suffix = os.path.splitext(base)[1]
    return suffix in DUMP_SUFFIXES


# ---------------------------------------------------------------- local


def _discover_local(text: str, *, recursive: bool, visited: set[tuple[int, int]]) -> Iterator[Job]:
    if os.path.isdir(text):
        yield from _walk(text, recursive=recursive, visited=visited, named=True)
    elif MEMBER_MARK in text and not os.path.lexists(text) and os.path.isfile(text.partition(MEMBER_MARK)[0]):
        yield _member_job(text)
    elif _GLOB.intersection(text) and not os.path.lexists(text):
        yield from _discover_glob(text, recursive=recursive, visited=visited)
    else:
        yield replace(local_job(text), named=True)


def _discover_glob(pattern: str, *, recursive: bool, visited: set[tuple[int, int]]) -> Iterator[Job]:
    reached = False
    closed: dict[str, Job] = {}
    for path in _expand(pattern):
        if isinstance(path, Job):
            closed[path.key] = path
        elif not os.path.isdir(path):
            reached = True
            yield local_job(path)
        elif "**" in pattern:  # that reaches into folders itself
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
        yield _failed(pattern, "no file matches", named=True)


def _walk(root: str, *, recursive: bool, visited: set[tuple[int, int]], named: bool = False) -> Iterator[Job]:
    """Yields a folder's files and those below it."""
    if not _enter(root, visited):
        return
    stack = [(root, sorted_names(root))]
    while stack:
        folder, names = stack[-1]
        try:
            name = next(names, None)
        except OSError as error:
            yield _failed(folder, os_reason(error), named=named and folder == root)
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
        elif has_dump_suffix(name) or (stat.S_ISREG(mode) and begins_like_input(path)):
            yield local_job(path)


def _enter(folder: str, visited: set[tuple[int, int]]) -> bool:
    """Notes that a folder is entered; False where it was before."""
    try:
        info = os.stat(folder)
    except OSError:
        return True  # listing it will say what is wrong
    identity = (info.st_dev, info.st_ino)
    if identity in visited:
        return False
    visited.add(identity)
    return True


def sorted_names(folder: str) -> Iterator[str]:
    """Yields a folder's names in order, in bounded memory.

    Raises:
        OSError: it cannot be read.
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


def _expand(pattern: str) -> Iterator[str | Job]:
    """Yields what a glob pattern matches, in order; `**` stands for any number of folders.

    A folder that cannot be looked into is a job that says so; it may come twice.
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


def _match(folder: str, parts: list[str], above: set[tuple[int, int]]) -> Iterator[str | Job]:
    """Yields the paths below `folder` that match `parts`, one pattern per level."""
    if not parts:
        yield folder
        return
    part, rest = parts[0], parts[1:]
    if part == "**":
        yield from _match(folder, rest or ["*"], above)
        here: set[tuple[int, int]] = set(above)
        # A link back to a folder above would be followed for ever.
        if not _enter(folder or os.curdir, here):
            return
        for name in _names(folder):
            if isinstance(name, Job):
                yield name
                continue
            below = os.path.join(folder, name)
            if not name.startswith(".") and os.path.isdir(below):
                yield from _match(below, parts, here)
    elif _GLOB.intersection(part):
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
            yield _failed(path, os_reason(error))
        except (OSError, ValueError):
            return
        else:
            yield from _match(path, rest, above)


def _names(folder: str) -> Iterator[str | Job]:
    try:
        yield from sorted_names(folder or os.curdir)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        yield _failed(folder or os.curdir, os_reason(error))


# ---------------------------------------------------------------- remote


def _discover_remote(
    url: str, *, recursive: bool, storage_options: Mapping[str, Any] | None, stamps: bool
) -> Iterator[Job]:
    """Yields the files of a URL. A folder's listing is kept in memory, one at a time: fsspec has no other."""
    try:
        fs, path = file_system(url, storage_options)
        fs.invalidate_cache()  # an earlier listing of this process may be out of date
        yield from _remote_files(fs, path, url, recursive=recursive, stamps=stamps)
    except DumpmapError as error:
        yield _failed(url, error.problem, remote=True, named=True)
    except Exception as error:  # every file system raises its own library's errors
        yield _failed(url, reason(error, url), remote=True, named=True)


def _remote_files(fs: Any, path: str, url: str, *, recursive: bool, stamps: bool) -> Iterator[Job]:
    web = "http" in fs.protocol
    # In a web URL `?` begins the query, and only a folder's own URL ends in a slash: asking a web server for a listing
    # of what is a file would download it.
    if _GLOB.intersection(path) - (frozenset("?") if web else frozenset()):
        if not web:  # a file may be called so
            with suppress(FileNotFoundError):
                info = fs.info(path)
                if info["type"] == "file":
                    yield replace(_remote_job(fs, path, info), named=True)
                    return
        found = fs.glob(path, detail=True)
        yield from _remote_jobs(fs, {name: found[name] for name in found if found[name]["type"] != "directory"}, stamps)
        if not found:
            # fsspec takes a folder that cannot be listed for one with nothing in it.
            first = min(path.find(mark) for mark in _GLOB if mark in path)
            with suppress(FileNotFoundError):
                fs.ls(path[: path.rfind("/", 0, first) + 1], detail=False)
            yield _failed(url, "no file matches", remote=True, named=True)
    elif web and not url.endswith("/"):
        yield replace(_remote_job(fs, path, fs.info(path)), named=True)
    else:
        info = {"type": "directory"} if web else fs.info(path)
        if info["type"] == "directory":
            yield from _remote_walk(fs, path, recursive=recursive, stamps=stamps)
        else:
            yield replace(_remote_job(fs, path, info), named=True)


def _remote_walk(fs: Any, path: str, *, recursive: bool, stamps: bool) -> Iterator[Job]:
    pending = [path]
    seen = {path.rstrip("/")}
    web = "http" in fs.protocol
    top = path.rstrip("/").count("/")
    while pending:
        folder = pending.pop()
        if web and folder.rstrip("/").count("/") - top > WEB_DEPTH:
            yield _failed(fs.unstrip_protocol(folder), f"not looked into: over {WEB_DEPTH} folders deep", remote=True)
            continue
        try:
            entries = {entry["name"]: entry for entry in fs.ls(folder, detail=True)}
        except Exception as error:  # every file system raises its own library's errors
            place = fs.unstrip_protocol(folder)
            yield _failed(place, reason(error, place), remote=True, named=folder == path)
            continue
        below = []
        files = {}
        for name in sorted(entries):
            entry = entries[name]
            if entry["type"] == "directory":
                if recursive and name.rstrip("/") not in seen:
                    seen.add(name.rstrip("/"))
                    below.append(name)
            elif has_dump_suffix(name.partition("?")[0] if web else name):
                files[name] = entry
        yield from _remote_jobs(fs, files, stamps)
        pending += reversed(below)


def _remote_jobs(fs: Any, files: Mapping[str, Mapping[str, Any]], stamps: bool) -> Iterator[Job]:
    """Yields the files of a listing in the order of their names."""
    names = sorted(files)
    if "http" not in fs.protocol or not stamps:
        yield from (_remote_job(fs, name, files[name]) for name in names)
        return
    for start in range(0, len(names), HEADS_AT_ONCE):
        some = names[start : start + HEADS_AT_ONCE]
        for name, info in zip(some, web_infos(fs, some), strict=True):
            yield _remote_job(fs, name, {**files[name], **info})


def _remote_job(fs: Any, path: str, info: Mapping[str, Any]) -> Job:
    url = fs.unstrip_protocol(path)
    shown = shown_url(url, found=True)
    size = info.get("size")
    return Job(shown, shown, url, remote=True, size=None if size is None else int(size), stamp=stamp_of(info))
