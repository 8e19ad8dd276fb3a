"""Reading a minidump: the header, the directory, and each stream by itself.

A stream that cannot be read costs only that stream: it becomes a warning, its entry in `Source.streams` says what is
wrong, and the others are read. A list that claims more entries than fit gives those that fit. The streams that dumpmap
knows are in `dumpmap.parsers.minidump.registry`, the layouts in `dumpmap.parsers.minidump.layout`.
"""

from __future__ import annotations

from typing import Any, cast

from dumpmap.errors import FormatError
from dumpmap.model.counts import count_words
from dumpmap.model.snapshot import Absence, Container, Snapshot, Source, Stream
from dumpmap.model.times import from_unix
from dumpmap.parsers.minidump import layout, records
from dumpmap.parsers.minidump.assembly import snapshot_of
from dumpmap.parsers.minidump.draft import Draft
from dumpmap.parsers.minidump.file import DumpFile, NotReadError
from dumpmap.parsers.minidump.registry import READERS, READING_ORDER, stream_name
from dumpmap.parsers.minidump.stream import StreamData, StreamReader
from dumpmap.sources.files import ByteSource

MAX_STREAMS = 4096
"""Most entries of the directory that are read; real writers use a few dozen."""

MAX_TRIES = 3
"""Of several streams of one type, the first that can be read counts. No more than this many are tried."""

_SECOND = "not read: a second stream of this type"
_HEADER = records.Reader(layout.HEADER)


def read_minidump(
    source: ByteSource, *, path: str | None = None, container: Container | None = None, debug_ids: bool = True
) -> Snapshot:
    """Reads a minidump.

    Args:
        source: the bytes of the file, decompressed.
        path: where the file is, for the record.
        container: how the file was packed, for the record.
        debug_ids: whether to read the CodeView record of each module, which names its debug file. The map needs none.

    Raises:
        FormatError: the file is not a minidump, or its directory of streams cannot be read.
    """
    file = DumpFile(source, debug_ids)
    try:
        header = file.record(_HEADER, 0, limit=file.size)
    except NotReadError:
        raise FormatError("cut off inside the minidump header", source=source.name, place="offset 0x0") from None
    if header.Signature != layout.MINIDUMP_SIGNATURE:
        raise FormatError("not a minidump", source=source.name, place="offset 0x0")
    draft = Draft()
    version = header.Version & 0xFFFF
    if version != layout.MINIDUMP_VERSION:
        draft.warnings.append(f"header: has version 0x{version:x}; a minidump has 0x{layout.MINIDUMP_VERSION:x}")
    streams = _read_directory(file, source.name, header, draft)
    streams = _read_streams(file, streams, draft)
    _check_truncation(file, streams, draft)
    about = Source(
        kind="minidump",
        name=source.name.replace("\\", "/").rsplit("/", 1)[-1],
        path=path,
        size=file.size,
        captured_at=from_unix(header.TimeDateStamp),
        flags=header.Flags,
        streams=tuple(streams),
        container=container,
    )
    return snapshot_of(draft, about, source)


def _read_directory(file: DumpFile, name: str, header: Any, draft: Draft) -> list[Stream]:
    count = header.NumberOfStreams
    if count > MAX_STREAMS:
        draft.warnings.append(f"directory: claims {count:,} streams; only the first {MAX_STREAMS:,} are read")
        count = MAX_STREAMS
    place = f"directory at 0x{header.StreamDirectoryRva:x}"
    try:
        entries = file.array(layout.DIRECTORY, header.StreamDirectoryRva, count, limit=file.size)
    except NotReadError as error:  # the file was longer when it was opened
        raise FormatError(f"minidump {error.reason}", source=name, place=place) from None
    if len(entries) == 0:
        reason = "has no streams" if count == 0 else "is cut off before the stream directory"
        raise FormatError(f"minidump {reason}", source=name, place=place)
    if len(entries) < count:
        draft.warnings.append(f"{place}: claims {count_words(count, 'entry', 'entries')}, {len(entries):,} fit")
    streams = []
    for number, size, rva in entries.tolist():
        if number:  # 0 is UnusedStream: a slot that the writer did not need
            streams.append(Stream(number, stream_name(number), rva, size))
    return streams


def _read_streams(file: DumpFile, streams: list[Stream], draft: Draft) -> list[Stream]:
    """Reads the streams in the order of the registry; returns them with their statuses."""
    done = list(streams)
    tries: dict[int, int] = {}
    readable = [index for index, stream in enumerate(streams) if stream.type in READERS]
    for index in sorted(readable, key=lambda index: READING_ORDER[streams[index].type]):
        stream = streams[index]
        tried = tries.get(stream.type, 0)
        status, absence = "empty", cast("Absence | None", "absent")
        if stream.size:
            if tried < MAX_TRIES:
                status, absence = _read_stream(READERS[stream.type], file, stream, draft)
                tries[stream.type] = tried + 1 if absence else MAX_TRIES
            else:
                # As MiniDumpReadDumpStream does. Besides, a directory can name one long list four thousand times.
                status, absence = _SECOND, None
                tries[stream.type] = tried + 1
            if status != "read" and tried <= MAX_TRIES:
                draft.warnings.append(f"{stream.name}: {status} (stream at 0x{stream.offset:x})")
        done[index] = Stream(stream.type, stream.name, stream.offset, stream.size, status, absence)
    return done


def _read_stream(read: StreamReader, file: DumpFile, stream: Stream, draft: Draft) -> tuple[str, Absence | None]:
    """Reads one stream; returns its status and, if nothing could be read, why."""
    data = StreamData(file, stream)
    try:
        read(data, draft)
    except NotReadError as error:
        return error.reason, error.absence
    except (ValueError, OverflowError) as error:  # a field outside what its type can hold
        return f"not readable: {error}", "malformed"
    return "; ".join(data.problems) or "read", None


def _check_truncation(file: DumpFile, streams: list[Stream], draft: Draft) -> None:
    unread = [
        stream.name for stream in streams if stream.offset + stream.size > file.size and stream.status == "listed"
    ]
    if unread:
        names = ", ".join(unread[:5]) + (", ..." if len(unread) > 5 else "")
        draft.warnings.append(f"the file ends at 0x{file.size:x}, before the end of: {names}")
