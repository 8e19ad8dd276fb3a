"""Reduces an input to a JSON snapshot: the facts, and exactly the bytes that the map was built from."""

from __future__ import annotations

import gzip
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import BinaryIO, Generic, TypeVar, cast

from msgspec.structs import replace as replace_members

from dumpmap.analysis.diagnosis import diagnose
from dumpmap.analysis.pointers import pointer_owners
from dumpmap.classify import classify
from dumpmap.model.memory import Excerpt, ExcerptMemory, RecordingMemory
from dumpmap.model.personal import names_in, redacted
from dumpmap.model.region_map import RegionMap
from dumpmap.model.snapshot import Thread
from dumpmap.model.values import value_class
from dumpmap.writers.formats import SnapshotFormat
from dumpmap.writers.output import check_target, is_standard_output, replacing
from dumpmap.writers.snapshot_json import write_snapshot
from dumpmap.writers.snapshot_texts import without_texts
from dumpmap.writers.suffixes import choose_format

_T = TypeVar("_T")


@value_class(frozen=True, slots=True)
class _Ready(Generic[_T]):
    """A function that returns a value that is already known."""

    value: _T

    def __call__(self) -> _T:
        return self.value


class HeldMemory(ExcerptMemory):
    """The bytes that a map was built from. It still knows which ranges the input has."""

    def __init__(self, excerpts: Sequence[Excerpt], ranges: Sequence[tuple[int, int]]) -> None:
        super().__init__(excerpts)
        self.excerpts = list(excerpts)
        self._ranges = list(ranges)

    def ranges(self) -> Sequence[tuple[int, int]]:
        """See `Memory.ranges`."""
        return list(self._ranges)


def self_contained(region_map: RegionMap, recording: RecordingMemory | None = None) -> RegionMap:
    """Returns the same map without its input: all values computed, and the bytes that this took.

    Functions that read more process memory, such as block statistics of heaps, find nothing there.

    Args:
        region_map: the map.
        recording: as for `needed_excerpts`.
    """
    snapshot = region_map.snapshot
    memory = HeldMemory(needed_excerpts(region_map, recording), snapshot.memory.ranges())
    return replace(
        region_map,
        snapshot=replace(snapshot, memory=memory),
        space=replace(region_map.space),  # without its cached values
        make_allocations=_Ready(region_map.allocation_columns),
        make_blocks=_Ready(region_map.block_columns),
    )


def choose_compression(path: str | os.PathLike[str], given: SnapshotFormat | None = None) -> SnapshotFormat:
    """Returns how to compress a snapshot; standard output is not compressed by default.

    Raises:
        ValueError: see `choose_format`.
    """
    default = SnapshotFormat.json if is_standard_output(path) else None
    return choose_format(path, given, list(SnapshotFormat), default, "--to")


def needed_excerpts(region_map: RegionMap, recording: RecordingMemory | None = None) -> list[Excerpt]:
    """Returns the bytes that classification and diagnosis read.

    Args:
        region_map: the map.
        recording: what its classification read; None to classify again and record.
    """
    snapshot = region_map.snapshot
    if isinstance(snapshot.memory, HeldMemory):
        return snapshot.memory.excerpts
    if recording is None:
        recording = RecordingMemory(snapshot.memory)
        region_map = classify(snapshot, memory=recording)
    diagnose(replace(region_map, snapshot=replace(snapshot, memory=recording)))
    return recording.excerpts()


def _threads(region_map: RegionMap) -> tuple[Thread, ...]:
    """Returns the threads, those marked whose TEB is none: a snapshot does not carry what lies there instead."""
    refused = region_map.structures.refused_tebs
    threads = region_map.snapshot.threads
    return tuple(replace_members(thread, teb_refused=True) if thread.teb in refused else thread for thread in threads)


def save_snapshot(
    region_map: RegionMap,
    path: str | os.PathLike[str],
    *,
    recording: RecordingMemory | None = None,
    to: SnapshotFormat | None = None,
    keep_text: bool = False,
    command_line: bool = False,
    redact: bool = False,
    pointers: bool = True,
    force: bool = False,
) -> None:
    """Writes a reduced snapshot.

    Args:
        region_map: the map.
        path: the file, or `-` for standard output.
        recording: as for `needed_excerpts`.
        to: the compression; None to take it from the file's suffix.
        keep_text: keep comments, and texts of a crash reporter that can hold user data; see `without_texts`.
        command_line: keep the command line, which can contain secrets.
        redact: replace names of users and machines, also in kept texts; see `dumpmap.model.personal`.
        pointers: search for pointers and keep the results, because the snapshot lacks the memory to search.
        force: overwrite the file.

    Raises:
        OutputError: the file exists and `force` is not set, or it cannot be written.
        ValueError: the suffix is not that of a snapshot, or both `keep_text` and `redact` are given.
    """
    if redact and keep_text:
        raise ValueError("redact removes what keep_text keeps")
    chosen = choose_compression(path, to)
    binary = chosen is not SnapshotFormat.json
    check_target(path, force=force, binary=binary)
    snapshot, excerpts = region_map.snapshot, needed_excerpts(region_map, recording)
    # The recording does not hold the strings of the process parameters.
    process = region_map.process
    stated = replace(snapshot.process, path=process.path, command_line=process.command_line if command_line else None)
    snapshot = replace(snapshot, process=stated, threads=_threads(region_map))
    if pointers:
        snapshot = replace(snapshot, pointer_owners=pointer_owners(region_map))
    if not keep_text:
        snapshot = without_texts(snapshot)
    if redact:
        snapshot = redacted(snapshot, names_in(snapshot, (process.command_line,)))
    if snapshot.source.memory_size is None:
        held = snapshot.memory.held()
        snapshot = replace(snapshot, source=replace(snapshot.source, memory_size=held))
    with replacing(path, force=force, binary=binary) as file:
        if chosen is SnapshotFormat.gzip:
            # No name and no time inside: equal snapshots give equal bytes.
            with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
                write_snapshot(cast("BinaryIO", packed), snapshot, excerpts)
        elif chosen is SnapshotFormat.zstd:
            import zstandard

            with zstandard.ZstdCompressor(level=9).stream_writer(file, closefd=False) as writer:
                write_snapshot(cast("BinaryIO", writer), snapshot, excerpts)
        else:
            write_snapshot(file, snapshot, excerpts)
