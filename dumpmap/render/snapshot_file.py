"""Reducing an input to a JSON snapshot: the facts, and exactly those bytes that the map was built from."""

from __future__ import annotations

import gzip
import os
from dataclasses import replace
from typing import BinaryIO, cast

from dumpmap.analysis.findings import find
from dumpmap.classify import classify
from dumpmap.errors import OutputError
from dumpmap.memory import Excerpt, RecordingMemory
from dumpmap.render.output import replacing
from dumpmap.render.snapshot_json import write_snapshot
from dumpmap.snapshot import Snapshot

SUFFIXES = (".json", ".json.gz", ".json.zst")


def needed_excerpts(snapshot: Snapshot) -> list[Excerpt]:
    """Returns the bytes that classification and diagnosis read, found out by doing both."""
    recording = RecordingMemory(snapshot.memory)
    find(classify(replace(snapshot, memory=recording)))
    return recording.excerpts()


def save_snapshot(snapshot: Snapshot, path: str | os.PathLike[str], *, force: bool = False) -> None:
    """Writes a reduced snapshot; the suffix says whether it is compressed.

    Raises:
        OutputError: the suffix is none of `SUFFIXES`, the file exists and `force` is not given, or it cannot be
            written.
    """
    name = os.fspath(path)
    suffix = next((suffix for suffix in reversed(SUFFIXES) if name.lower().endswith(suffix)), None)
    if suffix is None:
        raise OutputError(f"a snapshot's name ends in {', '.join(SUFFIXES)}", source=name)
    excerpts = needed_excerpts(snapshot)
    if snapshot.source.memory_size is None:
        held = sum(size for _, size in snapshot.memory.ranges())
        snapshot = replace(snapshot, source=replace(snapshot.source, memory_size=held))
    with replacing(path, force=force) as file:
        if suffix == ".json.gz":
            # No name and no time inside: the same snapshot gives the same bytes.
            with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
                write_snapshot(cast("BinaryIO", packed), snapshot, excerpts)
        elif suffix == ".json.zst":
            import zstandard

            with zstandard.ZstdCompressor(level=9).stream_writer(file, closefd=False) as writer:
                write_snapshot(cast("BinaryIO", writer), snapshot, excerpts)
        else:
            write_snapshot(file, snapshot, excerpts)
