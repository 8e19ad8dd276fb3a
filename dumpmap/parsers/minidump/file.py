"""Bounded access to the bytes of a minidump. Every count, size, and RVA is checked against the file before use."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from struct import Struct
from typing import Any

import numpy as np
import numpy.typing as npt

from dumpmap.model.snapshot import Absence
from dumpmap.parsers.minidump import records
from dumpmap.sources.files import ByteSource, TruncatedError

MAX_STRING = 0x10000
"""Longest string that is read, in bytes: twice the maximum of a UNICODE_STRING that holds a path."""

MAX_STRINGS = 32 << 20
"""Most bytes of all strings together that are read; strings beyond are cut."""

_FIRST_READ = 300
"""Bytes of a string that the first read covers: a path of 148 letters."""

_unpack_length = Struct("<I").unpack_from

_Decoder = Callable[[memoryview, str, bool], tuple[str, int]]
"""A decoder of `codecs`. A direct call costs a quarter of `str(data, encoding)`, and a dump has many names."""


class NotReadError(Exception):
    """A part of the dump could not be read. Never leaves the minidump parser.

    Attributes:
        absence: why.
        reason: the same in words, for people.
    """

    def __init__(self, absence: Absence, reason: str) -> None:
        super().__init__(reason)
        self.absence = absence
        self.reason = reason


class DumpFile:
    """The bytes of a minidump.

    Attributes:
        size: size of the file in bytes.
        debug_ids: whether to read the CodeView record of each module.
    """

    def __init__(self, source: ByteSource, debug_ids: bool) -> None:
        self.view = source.view
        self.size = source.size
        self.debug_ids = debug_ids
        self._texts: dict[tuple[int, int], str | None] = {}
        # Strings of a real file do not overlap. A hostile file can point a million records at one long string.
        self._room_for_texts = min(source.size, MAX_STRINGS) + MAX_STRING

    def data(self, rva: int, size: int) -> memoryview:
        """Returns exactly `size` bytes at `rva`.

        Raises:
            NotReadError: the file ends before.
        """
        try:
            return self.view(rva, size)
        except TruncatedError as error:
            raise NotReadError("unreadable", error.problem) from None

    def record(self, reader: records.Reader, rva: int, *, limit: int) -> Any:
        """Reads one record at `rva` from a part of the file that has `limit` bytes.

        Raises:
            NotReadError: the record does not fit.
        """
        if limit < reader.size:
            raise NotReadError("malformed", f"has {limit:,} bytes, needs at least {reader.size:,}")
        return reader.parse(self.data(rva, reader.size))

    def array(
        self, dtype: np.dtype[Any], rva: int, count: int, *, limit: int, stride: int | None = None
    ) -> npt.NDArray[Any]:
        """Reads up to `count` records at `rva`: those that end before `limit` and before the end of the file.

        Raises:
            NotReadError: an entry is smaller than the record.
        """
        stride = stride or dtype.itemsize
        if stride < dtype.itemsize:
            raise NotReadError("malformed", f"has entries of {stride:,} bytes, needs at least {dtype.itemsize:,}")
        room = max(0, min(limit, self.size) - rva)
        # The last entry can be without the fields that a newer writer appended to the others.
        fits = 0 if room < dtype.itemsize else (room - dtype.itemsize) // stride + 1
        count = min(count, fits)
        if count == 0:
            return np.empty(0, dtype)
        data = self.data(rva, (count - 1) * stride + dtype.itemsize)
        if stride == dtype.itemsize:
            return np.frombuffer(data, dtype)
        raw = np.frombuffer(data, np.uint8)
        rows = np.lib.stride_tricks.as_strided(raw, (count, dtype.itemsize), (stride, 1))
        return np.ascontiguousarray(rows).view(dtype).reshape(count)

    def text(self, rva: int) -> str | None:
        """Reads a MINIDUMP_STRING, a byte count and UTF-16; None if `rva` is 0 or lies outside the file."""
        return self._counted_text(rva, codecs.utf_16_le_decode, 2) if rva else None

    def utf8(self, rva: int) -> str | None:
        """Reads a Crashpad MinidumpUTF8String, a byte count and UTF-8; None if `rva` lies outside the file."""
        return self._counted_text(rva, codecs.utf_8_decode, 1)

    def _counted_text(self, rva: int, decode: _Decoder, unit: int) -> str | None:
        key = rva, unit
        if key in self._texts:
            return self._texts[key]
        # Most strings are short: one read gets the length and the text.
        taken = self.size - rva
        if taken > _FIRST_READ:
            taken = _FIRST_READ
        elif taken < 4:
            self._texts[key] = None
            return None
        data = self.view(rva, taken)
        (length,) = _unpack_length(data)
        if length > taken - 4 or length > self._room_for_texts:
            length = min(length, MAX_STRING, self.size - rva - 4, self._room_for_texts)
            data = self.view(rva, 4 + length)
        self._room_for_texts -= length
        text = decode(data[4 : 4 + length - length % unit], "replace", True)[0]
        if "\0" in text:
            text = text.partition("\0")[0]
        self._texts[key] = text
        return text
