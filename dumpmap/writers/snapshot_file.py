"""Reducing an input to a JSON snapshot: the facts, and exactly those bytes that the map was built from."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO, Generic, TypeVar, cast

from dumpmap.classify import classify
from dumpmap.model.memory import Excerpt, ExcerptMemory, RecordingMemory
from dumpmap.model.region_map import RegionMap
from dumpmap.model.snapshot import Snapshot
from dumpmap.wording.findings import find
from dumpmap.writers.formats import SnapshotFormat
from dumpmap.writers.output import check_target, is_standard_output, replacing
from dumpmap.writers.snapshot_json import write_snapshot

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Ready(Generic[_T]):
    """A function that returns what was worked out already."""

    value: _T

    def __call__(self) -> _T:
        return self.value


class _Held(ExcerptMemory):
    """The bytes that a map was built from; it still tells which the input holds."""

    def __init__(self, excerpts: Iterable[Excerpt], ranges: Sequence[tuple[int, int]]) -> None:
        super().__init__(excerpts)
        self._ranges = list(ranges)

    def ranges(self) -> list[tuple[int, int]]:
        """See `Memory.ranges`."""
        return list(self._ranges)


def self_contained(region_map: RegionMap) -> RegionMap:
    """Returns the same map without the file behind it: everything worked out, and the bytes that this took.

    What reads more of the process's memory, as block statistics of heaps do, finds nothing there.
    """
    snapshot = region_map.snapshot
    memory = _Held(needed_excerpts(snapshot), snapshot.memory.ranges())
    return replace(
        region_map,
        snapshot=replace(snapshot, memory=memory),
        space=replace(region_map.space),  # without what it keeps for itself
        make_allocations=_Ready(region_map.allocation_columns),
        make_blocks=_Ready(region_map.block_columns),
    )


def snapshot_format_of(path: str | os.PathLike[str]) -> SnapshotFormat:
    """Tells from a file name how a snapshot is compressed; on standard output it is not.

    Raises:
        ValueError: the name does not end like a snapshot's.
    """
    if is_standard_output(path):
        return SnapshotFormat.json
    name = os.fspath(path).lower()
    chosen = next((one for one in SnapshotFormat if name.endswith(f".{one.value}")), None)
    if chosen is None:
        known = ", ".join(f".{one.value}" for one in SnapshotFormat)
        raise ValueError(f"{os.fspath(path)}: the name of a snapshot ends in {known}")
    return chosen


def needed_excerpts(snapshot: Snapshot) -> list[Excerpt]:
    """Returns the bytes that classification and diagnosis read, found out by doing both."""
    recording = RecordingMemory(snapshot.memory)
    find(classify(replace(snapshot, memory=recording)))
    return recording.excerpts()


def save_snapshot(
    snapshot: Snapshot, path: str | os.PathLike[str], *, to: SnapshotFormat | None = None, force: bool = False
) -> None:
    """Writes a reduced snapshot.

    Args:
        snapshot: what to write.
        path: the file, or `-` for standard output.
        to: how it is compressed; by the file's suffix where None.
        force: overwrite the file.

    Raises:
        OutputError: the file exists and `force` is not given, or it cannot be written.
        ValueError: the suffix does not tell how it is to be compressed.
    """
    chosen = to or snapshot_format_of(path)
    binary = chosen is not SnapshotFormat.json
    check_target(path, force=force, binary=binary)
    excerpts = needed_excerpts(snapshot)
    if snapshot.source.memory_size is None:
        held = sum(size for _, size in snapshot.memory.ranges())
        snapshot = replace(snapshot, source=replace(snapshot.source, memory_size=held))
    with replacing(path, force=force, binary=binary) as file:
        if chosen is SnapshotFormat.gzip:
            # No name and no time inside: the same snapshot gives the same bytes.
            with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
                write_snapshot(cast("BinaryIO", packed), snapshot, excerpts)
        elif chosen is SnapshotFormat.zstd:
            import zstandard

            with zstandard.ZstdCompressor(level=9).stream_writer(file, closefd=False) as writer:
                write_snapshot(cast("BinaryIO", writer), snapshot, excerpts)
        else:
            write_snapshot(file, snapshot, excerpts)
