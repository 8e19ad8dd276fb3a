"""Zip archives without a readable table of contents: files are found by the header before each of them.

The table is at the end of an archive, so an archive that is cut off has none. Constants: APPNOTE.TXT, sections 4.3.7,
4.4.4, 4.4.5, and 4.5.3.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Generator, Iterator

from dumpmap.errors import FormatError
from dumpmap.model.limits import DECOMPRESSED
from dumpmap.model.values import value_class
from dumpmap.sources.files import ByteSource
from dumpmap.sources.salvage import DamageError, Pace, as_far_as_possible, chunks_of
from dumpmap.sources.zip_methods import DEFLATED, STORED, SUPPORTED, Budget, unpacked

Chunks = Generator[bytes, None, None]

ENCRYPTED = 1
_SIZES_BEHIND, _UTF8 = 8, 0x800
_LOCAL = struct.Struct("<4sHHHHHLLLHH")
_UNKNOWN_SIZE = 0xFFFF_FFFF
_ZIP64 = 1


@value_class(frozen=True, slots=True)
class ZipMember:
    """A file in an archive.

    Attributes:
        name: its name.
        open: unpacks it, the given number of bytes at a time, within a budget if it is only looked at.
    """

    name: str
    open: Callable[[int, Budget | None], Chunks]


@value_class(frozen=True, slots=True)
class LocalHeader:
    """The header before a file in an archive. The size is None if it is in a descriptor after the file."""

    name: str
    flags: int
    method: int
    start: int
    size: int | None


def local_header(source: ByteSource, at: int) -> LocalHeader | None:
    """Reads the header at an offset; None if there is no header."""
    if not 0 <= at <= source.size - _LOCAL.size:
        return None
    fields = _LOCAL.unpack(source.view(at, _LOCAL.size))
    magic, _, flags, method, _, _, _, size, whole_size, name_size, extra_size = fields
    start = at + _LOCAL.size + name_size + extra_size
    if magic != b"PK\x03\x04" or start > source.size:
        return None
    name = bytes(source.view(at + _LOCAL.size, name_size)).decode("utf-8" if flags & _UTF8 else "cp437", "replace")
    if size == _UNKNOWN_SIZE:
        size = _zip64_size(bytes(source.view(start - extra_size, extra_size)), whole_size == _UNKNOWN_SIZE)
    return LocalHeader(name, flags, method, start, None if flags & _SIZES_BEHIND else size)


def local_members(source: ByteSource) -> Iterator[ZipMember]:
    """Yields the files of an archive from its beginning, by the header before each file."""
    at, budget = 0, DECOMPRESSED.value
    while (header := local_header(source, at)) is not None:
        end = None if header.size is None else header.start + header.size
        if not header.name.endswith("/"):
            opener = local_opener(source, header.name, header.flags, header.method, header.start, end)
            yield ZipMember(header.name, opener)
        if end is None:
            if header.method != DEFLATED or header.flags & ENCRYPTED:
                return
            end, unpacked = _end_of_deflated(source, header.start, budget)
            budget -= unpacked
        at = end


def _zip64_size(extra: bytes, whole_size_first: bool) -> int:
    at = 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<HH", extra, at)
        place = at + 4 + (8 if whole_size_first else 0)
        if kind == _ZIP64 and place + 8 <= min(at + 4 + size, len(extra)):
            return int.from_bytes(extra[place : place + 8], "little")
        at += 4 + size
    return _UNKNOWN_SIZE


def local_opener(
    source: ByteSource, name: str, flags: int, method: int, start: int, end: int | None
) -> Callable[[int, Budget | None], Chunks]:
    """Returns a function that unpacks a file at a known place, as far as it is good."""

    def chunks(size: int, budget: Budget | None = None) -> Chunks:
        if flags & ENCRYPTED:
            raise FormatError(f"{name!r} in the zip archive is encrypted; unpack it first", source=source.name)
        if method not in SUPPORTED:
            raise FormatError(
                f"{name!r} in the zip archive is compressed with method {method}; unpack it first", source=source.name
            )
        if method == STORED:
            yield from chunks_of(source, start, end, size)
        else:
            yield from as_far_as_possible(
                lambda pace: (out for out, _ in unpacked(source, method, start, end, pace, budget)), size
            )

    return chunks


def _end_of_deflated(source: ByteSource, start: int, budget: int) -> tuple[int, int]:
    """Finds the header after a file whose size is in a descriptor after it.

    Returns:
        the offset of the header, or the end of the archive if there is none; and how many bytes were unpacked to find
        it, no more than `budget`.
    """
    end, total = start, 0
    try:
        for out, place in unpacked(source, DEFLATED, start, None, Pace()):
            end, total = place, total + len(out)
            if total > budget:
                return source.size, total
    except DamageError:
        return source.size, total
    # A descriptor of 12 or 20 bytes follows, with or without a signature before it.
    for behind in (16, 24, 12, 20):
        if end + behind + 4 <= source.size and bytes(source.view(end + behind, 4)) in (b"PK\x03\x04", b"PK\x01\x02"):
            return end + behind, total
    return source.size, total
