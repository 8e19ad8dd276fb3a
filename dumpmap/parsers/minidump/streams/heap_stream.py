"""dumpmap's own heap stream: the heaps and ranges that a process reports. See `docs/heap-stream.md`."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from dumpmap.model.snapshot import RecordedHeap, RecordedRange
from dumpmap.parsers.minidump import layout, records
from dumpmap.parsers.minidump.draft import Draft
from dumpmap.parsers.minidump.file import MAX_STRING, NotReadError
from dumpmap.parsers.minidump.stream import KnownStream, StreamData

_HEADER = records.Reader(layout.HEAP_STREAM_HEADER)

HEAP_STREAM_NUMBER = 0x50484D44
"""The stream type, and the signature at the start of the stream: `DMHP`."""

MAX_HEAPS = 1 << 16
"""Most heaps of a heap stream that are read; a warning says so."""

MAX_RANGES = 1 << 18
"""Most ranges of a heap stream that are read; a warning says so."""

MAX_STRINGS = 16 << 20
"""Most bytes of names in a heap stream that are read. Names beyond are left out."""

_UNKNOWN_SIZE = (1 << 64) - 1
_HEAP_KINDS = {
    0: "unknown",
    1: "NT heap",
    2: "Segment heap",
    3: "Page heap",
    4: "Wine heap",
    16: "custom allocator",
}
_RANGE_KINDS = {0: "other", 1: "segment", 2: "large block", 3: "front end", 4: "arena"}


def read_heap_stream(data: StreamData, draft: Draft) -> None:
    """Reads the heap stream."""
    header = data.record(_HEADER)
    if header.Signature != HEAP_STREAM_NUMBER or header.Version < 1:
        raise NotReadError("malformed", "does not begin with the signature and version of a heap stream")
    data.check_header_size(header.SizeOfHeader, _HEADER.size)
    start = data.offset + header.SizeOfHeader
    heaps = data.array(
        layout.HEAP_STREAM_HEAP, start, header.NumberOfHeaps, most=MAX_HEAPS, stride=header.SizeOfHeapEntry
    )
    start += header.NumberOfHeaps * header.SizeOfHeapEntry
    ranges = data.array(
        layout.HEAP_STREAM_RANGE, start, header.NumberOfRanges, most=MAX_RANGES, stride=header.SizeOfRangeEntry
    )
    strings = b""
    if header.StringsSize:
        size = min(header.StringsSize, data.size, MAX_STRINGS)
        strings = bytes(data.file.data(data.offset + header.StringsOffset, size))
    by_heap = _ranges_by_heap(data, ranges)
    names = _Names(strings)
    for address, heap_id, kind, flags, name_offset, _ in heaps.tolist():
        draft.heaps.append(
            RecordedHeap(
                id=heap_id,
                kind=_HEAP_KINDS.get(kind, f"kind {kind}"),
                name=names.at(name_offset),
                address=address or None,
                flags=flags,
                ranges=tuple(by_heap.pop(heap_id, ())),
            )
        )
    orphans = sum(map(len, by_heap.values()))
    if orphans:
        data.note(f"{orphans:,} ranges belong to no heap of the stream")


def _ranges_by_heap(data: StreamData, entries: npt.NDArray[Any]) -> dict[int, list[RecordedRange]]:
    by_heap: dict[int, list[RecordedRange]] = {}
    impossible = 0
    for base, size, committed, heap_id, kind, _, _ in entries.tolist():
        if size == 0 or base + size > 1 << 64:
            impossible += 1
            continue
        known = None if committed == _UNKNOWN_SIZE else committed
        part = RecordedRange(base, size, known, _RANGE_KINDS.get(kind, f"kind {kind}"))
        by_heap.setdefault(heap_id, []).append(part)
    if impossible:
        data.note(f"{impossible:,} ranges have no size or an impossible one")
    return by_heap


class _Names:
    """The names at the end of a heap stream, each decoded once."""

    def __init__(self, strings: bytes) -> None:
        self._strings = strings
        self._names: dict[int, str | None] = {}
        # Names of a real stream do not overlap: all together are no longer than the strings.
        self._room = len(strings) + MAX_STRING

    def at(self, offset: int) -> str | None:
        """Returns the name at an offset; None if there is none."""
        if offset < len(self._strings) and offset not in self._names:
            text = self._strings[offset : offset + min(MAX_STRING, self._room)].split(b"\0", 1)[0]
            self._room -= len(text)
            self._names[offset] = text.decode("utf-8", "replace") or None
        return self._names.get(offset)


STREAMS = (
    KnownStream(
        HEAP_STREAM_NUMBER,
        "DumpmapHeaps",
        "The heaps and arenas that the process itself reports; any program can write this stream.",
        "docs/heap-stream.md",
        "heaps, arenas, and their ranges",
        read_heap_stream,
    ),
)
