"""Every type of stream that dumpmap knows, in the order in which streams are read.

To add a stream, write its reader and its entry in one module of `dumpmap.parsers.minidump.streams` and add the entry
to that module's `STREAMS`. A new family of streams is a new module there and a new name in `_FAMILIES` here.
`docs/formats.md` lists all entries: run `python -m tests.docs_in_step --write`.
"""

from __future__ import annotations

from dumpmap.parsers.minidump.stream import KnownStream, StreamReader
from dumpmap.parsers.minidump.streams import (
    comments,
    crash_reporters,
    exception,
    function_table,
    handles,
    heap_stream,
    linux,
    listed,
    memory,
    modules,
    stability_report,
    system,
    threads,
    unreal,
)

_FAMILIES = (
    system,  # the architecture first: thread contexts depend on it
    stability_report,  # after the streams of Windows itself, which take precedence
    memory,
    threads,
    modules,
    exception,
    handles,
    comments,
    linux,
    crash_reporters,
    unreal,
    heap_stream,
    function_table,
    listed,
)

KNOWN_STREAMS: tuple[KnownStream, ...] = tuple(entry for family in _FAMILIES for entry in family.STREAMS)
"""All entries, in the order in which streams are read. Streams of one type keep the order of the directory."""

BY_NUMBER: dict[int, KnownStream] = {entry.number: entry for entry in KNOWN_STREAMS}
"""The entry of a stream type."""

READERS: dict[int, StreamReader] = {entry.number: entry.read for entry in KNOWN_STREAMS if entry.read is not None}
"""The reader of a stream type; none for a type that is only listed."""

READING_ORDER: dict[int, int] = {entry.number: rank for rank, entry in enumerate(KNOWN_STREAMS)}
"""The position of a stream type in the order of reading."""


def stream_name(number: int) -> str:
    """Returns the name of a stream type, or its number in hexadecimal if dumpmap does not know it."""
    entry = BY_NUMBER.get(number)
    return f"0x{number:x}" if entry is None else entry.name
