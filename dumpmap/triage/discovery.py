"""Which files to triage: named files, folders, glob patterns, and URLs, as a stream in a fixed order.

A folder yields the files with a dump's suffix, broken or not, and every other file whose first bytes look like an
input. A file that is named, or matched by a pattern, is always included. Folders are walked depth first, each in the
order of its names. Each folder is entered once, so that links cannot form a loop.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dumpmap.triage.jobs import Job
from dumpmap.triage.local_files import discover_local
from dumpmap.triage.remote_files import discover_remote


def discover(
    paths: Iterable[str | os.PathLike[str]],
    *,
    recursive: bool = True,
    storage_options: Mapping[str, Any] | None = None,
    stamps: bool = True,
) -> Iterator[Job]:
    """Finds the files, one by one.

    Args:
        paths: files, folders, glob patterns (`**` matches folders at any depth), and URLs of these.
        recursive: also search the subfolders of named folders.
        storage_options: for URLs: options of the fsspec file system.
        stamps: whether to spend a request per file on `Job.stamp` if the listing lacks it.

    Yields:
        jobs, including one with a `problem` for each named path that does not exist and each folder that cannot be
        read. A file that two paths lead to may come twice.
    """
    visited: set[tuple[int, int]] = set()
    for path in paths:
        text = os.fspath(path)
        if "://" in text:
            yield from discover_remote(text, recursive=recursive, storage_options=storage_options, stamps=stamps)
        else:
            yield from discover_local(text, recursive=recursive, visited=visited)
