"""Short cuts from a synthetic dump to what is read out of it."""

from __future__ import annotations

import io
from collections.abc import Iterable

import msgspec
from synth.minidump import MinidumpBuilder

import dumpmap
from dumpmap.api import RegionMap
from dumpmap.model.memory import Excerpt
from dumpmap.model.snapshot import Snapshot, Stream
from dumpmap.parsers.minidump.reader import read_minidump
from dumpmap.sources.files import BufferSource
from dumpmap.writers.snapshot_json import write_snapshot


def read(dump: MinidumpBuilder | bytes) -> Snapshot:
    """Parses a dump."""
    data = dump if isinstance(dump, bytes) else dump.build()
    return read_minidump(BufferSource("test.dmp", data))


def map_of(dump: MinidumpBuilder | bytes) -> RegionMap:
    """Parses and classifies a dump."""
    return dumpmap.open(dump if isinstance(dump, bytes) else dump.build())


def stream(snapshot: Snapshot, name: str) -> Stream:
    """The first stream of a name."""
    return next(found for found in snapshot.source.streams if found.name == name)


def tiny(arch: str = "x64") -> MinidumpBuilder:
    """A dump that says what it ran on and nothing else."""
    return MinidumpBuilder(arch).system_info()


def snapshot_json(snapshot: Snapshot, excerpts: Iterable[Excerpt], *, indent: int | None = None) -> bytes:
    """The JSON file of a snapshot; with `indent` as an editor lays it out."""
    file = io.BytesIO()
    write_snapshot(file, snapshot, excerpts)
    return file.getvalue() if indent is None else msgspec.json.format(file.getvalue(), indent=indent) + b"\n"
