"""What the mutator knows of a minidump: where its counts, entries, and pointers are. It uses nothing of dumpmap."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from synth.minidump import (
    EXCEPTION,
    HANDLE_DATA,
    MEMORY64_LIST,
    MEMORY_INFO_LIST,
    MEMORY_LIST,
    MODULE_LIST,
    SYSTEM_INFO,
    THREAD_EX_LIST,
    THREAD_INFO_LIST,
    THREAD_LIST,
    THREAD_NAMES,
    UNLOADED_MODULE_LIST,
)

Pointer = tuple[int, Literal["string", "location", "rva64"]]
"""Offset in an entry, and what is there: an RVA of a string, a size and an RVA, or an RVA of 64 bits of a string."""


@dataclass(frozen=True, slots=True)
class ListLayout:
    """A stream that is a header and entries of one size.

    Attributes:
        header: bytes before the entries.
        entry: bytes of an entry.
        count_at: offset of the count; None if there is exactly one entry.
        pointers: of an entry.
    """

    header: int
    entry: int
    count_at: int | None = 0
    pointers: tuple[Pointer, ...] = ()


LISTS = {
    THREAD_LIST: ListLayout(4, 48, pointers=((32, "location"), (40, "location"))),
    MODULE_LIST: ListLayout(4, 108, pointers=((20, "string"), (76, "location"), (84, "location"))),
    MEMORY_LIST: ListLayout(4, 16, pointers=((8, "location"),)),
    EXCEPTION: ListLayout(0, 168, None, ((160, "location"),)),
    SYSTEM_INFO: ListLayout(0, 56, None, ((24, "string"),)),
    THREAD_EX_LIST: ListLayout(4, 64, pointers=((32, "location"), (40, "location"), (56, "location"))),
    MEMORY64_LIST: ListLayout(16, 16),
    HANDLE_DATA: ListLayout(16, 32, 8, ((8, "string"), (12, "string"))),
    UNLOADED_MODULE_LIST: ListLayout(12, 24, 8, ((20, "string"),)),
    MEMORY_INFO_LIST: ListLayout(16, 48, 8),
    THREAD_INFO_LIST: ListLayout(12, 64, 8),
    THREAD_NAMES: ListLayout(4, 12, pointers=((4, "rva64"),)),
}


@dataclass(frozen=True, slots=True)
class Part:
    """A stream of a dump: where its directory entry is, its type, and its bytes, as far as they are in the file."""

    at: int
    type: int
    size: int
    rva: int
    layout: ListLayout | None

    def entries(self, data: bytes | bytearray) -> list[int]:
        """Offsets of the entries that the stream counts and that are in the file."""
        if self.layout is None:
            return []
        if self.layout.count_at is None:
            claimed = 1
        else:
            claimed = int.from_bytes(data[self.rva + self.layout.count_at :][:4], "little")
        first = self.rva + self.layout.header
        room = min(self.rva + self.size, len(data)) - first
        return [first + self.layout.entry * n for n in range(max(0, min(claimed, room // self.layout.entry)))]


def parts(data: bytes | bytearray, most: int = 100) -> list[Part]:
    """The first streams that the directory lists."""
    if len(data) < 32:
        return []
    count, directory = struct.unpack_from("<II", data, 8)
    found = []
    for at in range(directory, min(directory + 12 * min(count, most), len(data) - 11), 12):
        number, size, rva = struct.unpack_from("<III", data, at)
        found.append(Part(at, number, size, rva, LISTS.get(number)))
    return found


def lean(data: bytes, entries: int = 4, raw: int = 800) -> bytes:
    """A small dump out of a large one: each stream with its first entries and the beginning of what they point to."""
    streams = [part for part in parts(data) if part.type and part.size]
    out = bytearray(data[:32]) + bytes(12 * len(streams))
    struct.pack_into("<II", out, 8, len(streams), 32)
    for index, part in enumerate(streams):
        stream = (
            _leaned(data, part, out, entries) if part.layout else bytearray(data[part.rva :][: min(part.size, raw)])
        )
        out += bytes(-len(out) % 4)
        struct.pack_into("<III", out, 32 + 12 * index, part.type, len(stream), len(out))
        out += stream
    return bytes(out)


def _leaned(data: bytes, part: Part, out: bytearray, most: int) -> bytearray:
    """The header and the first entries of a list; what they point to goes to the end of `out`."""
    assert part.layout is not None
    places = part.entries(data)[:most]
    stream = bytearray(data[part.rva :][: part.layout.header])
    if part.layout.count_at is not None and len(stream) == part.layout.header:
        struct.pack_into("<I", stream, part.layout.count_at, len(places))
    for place in places:
        entry = bytearray(data[place : place + part.layout.entry])
        for offset, sort in part.layout.pointers:
            _move(data, entry, offset, sort, out)
        stream += entry
    if part.type == MEMORY64_LIST and places:
        struct.pack_into("<Q", stream, 8, len(out))
        for at in range(part.layout.header, len(stream), 16):
            size = min(int.from_bytes(stream[at + 8 : at + 16], "little"), 64)
            struct.pack_into("<Q", stream, at + 8, size)
            out += bytes(size)
    return stream


def _move(data: bytes, entry: bytearray, offset: int, sort: str, out: bytearray) -> None:
    if sort == "location":
        size, rva = struct.unpack_from("<II", entry, offset)
        found = data[rva : rva + min(size, 1300)]
        struct.pack_into("<II", entry, offset, len(found), len(out) if found else 0)
    else:
        form = "<I" if sort == "string" else "<Q"
        (rva,) = struct.unpack_from(form, entry, offset)
        length = min(int.from_bytes(data[rva : rva + 4], "little"), 200) if rva else 0
        found = struct.pack("<I", length) + data[rva + 4 :][: length + 2] if rva else b""
        struct.pack_into(form, entry, offset, len(out) if found else 0)
    out += found + bytes(-len(found) % 4)


def numbers(data: bytes | bytearray) -> Iterator[int]:
    """Offsets of the numbers that decide what is read: header, directory, counts, sizes of entries, and pointers."""
    yield from (8, 12)
    for part in parts(data):
        yield from (part.at, part.at + 4, part.at + 8)
        if part.layout is not None:
            yield from range(part.rva, part.rva + part.layout.header, 4)
            for place in part.entries(data)[:20]:
                yield from (place + offset for offset, _ in part.layout.pointers)
                yield from (place + offset + 4 for offset, sort in part.layout.pointers if sort == "location")
