"""The files to triage behind a URL: one file, a folder, or a glob pattern, as far as fsspec supports it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from msgspec.structs import replace

from dumpmap.errors import DumpmapError
from dumpmap.sources.file_systems import file_system
from dumpmap.sources.remote_errors import reason, shown_url
from dumpmap.sources.web import HEADS_AT_ONCE, stamp_of, web_infos
from dumpmap.triage.jobs import GLOB_MARKS, NO_MATCH, Job, failed_job, has_dump_suffix

WEB_DEPTH = 16
"""How deep to search a web server's folders: its listing may show a link to a parent folder as a subfolder."""


def discover_remote(
    url: str, *, recursive: bool, storage_options: Mapping[str, Any] | None, stamps: bool
) -> Iterator[Job]:
    """Yields the files of a URL. One folder's listing at a time is kept in memory: fsspec has no streaming listing."""
    try:
        fs, path = file_system(url, storage_options)
        fs.invalidate_cache()  # an earlier listing in this process may be out of date
        yield from _remote_files(fs, path, url, recursive=recursive, stamps=stamps)
    except DumpmapError as error:
        yield failed_job(url, error.problem, remote=True, named=True)
    except Exception as error:  # every file system raises the errors of its own library
        yield failed_job(url, reason(error, url), remote=True, named=True)


def _remote_files(fs: Any, path: str, url: str, *, recursive: bool, stamps: bool) -> Iterator[Job]:
    web = "http" in fs.protocol
    # In a web URL `?` starts the query, and only a folder's URL ends in a slash: to ask a web server for the listing
    # of a file would download the file.
    if GLOB_MARKS.intersection(path) - (frozenset("?") if web else frozenset()):
        yield from _remote_glob(fs, path, url, web=web, stamps=stamps)
    elif web and not url.endswith("/"):
        yield replace(_remote_job(fs, path, fs.info(path)), named=True)
    else:
        info = {"type": "directory"} if web else fs.info(path)
        if info["type"] == "directory":
            yield from _remote_walk(fs, path, recursive=recursive, stamps=stamps)
        else:
            yield replace(_remote_job(fs, path, info), named=True)


def _remote_glob(fs: Any, path: str, url: str, *, web: bool, stamps: bool) -> Iterator[Job]:
    if not web:  # a file may have this very name
        with suppress(FileNotFoundError):
            info = fs.info(path)
            if info["type"] == "file":
                yield replace(_remote_job(fs, path, info), named=True)
                return
    found = fs.glob(path, detail=True)
    yield from _remote_jobs(fs, {name: found[name] for name in found if found[name]["type"] != "directory"}, stamps)
    if not found:
        # fsspec treats a folder that it cannot list as an empty one; listing it here raises the error.
        first = min(path.find(mark) for mark in GLOB_MARKS if mark in path)
        with suppress(FileNotFoundError):
            fs.ls(path[: path.rfind("/", 0, first) + 1], detail=False)
        yield failed_job(url, NO_MATCH, remote=True, named=True)


def _remote_walk(fs: Any, path: str, *, recursive: bool, stamps: bool) -> Iterator[Job]:
    pending = [path]
    seen = {path.rstrip("/")}
    web = "http" in fs.protocol
    top = path.rstrip("/").count("/")
    while pending:
        folder = pending.pop()
        if web and folder.rstrip("/").count("/") - top > WEB_DEPTH:
            problem = f"not searched: more than {WEB_DEPTH} folders deep"
            yield failed_job(fs.unstrip_protocol(folder), problem, remote=True)
            continue
        try:
            entries = {entry["name"]: entry for entry in fs.ls(folder, detail=True)}
        except Exception as error:  # every file system raises the errors of its own library
            place = fs.unstrip_protocol(folder)
            yield failed_job(place, reason(error, place), remote=True, named=folder == path)
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
