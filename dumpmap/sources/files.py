"""The bytes of an input: a mapped file, a buffer, or a remote file.

Parsers see a `ByteSource`: a name, a size, and exact views of byte ranges. A view is never shorter than the range; a
range beyond the end is an error, so no parser can mistake a cut-off file for zeros.
"""

from __future__ import annotations

import io
import mmap
import os
import stat
from collections.abc import Sequence
from typing import Protocol

from dumpmap.errors import InputError

MEMBER_MARK = "::"
"""Separates the path of an archive from the name of a file in it."""

SMALL = 256 << 10
"""A file of at most this many bytes is read at once."""

LARGE = 256 << 20
"""From this size on, the system must not read pages of a mapped file ahead."""


class TruncatedError(InputError):
    """A range reaches beyond the end of the input."""


class ByteSource(Protocol):
    """An input of known size with random access."""

    name: str
    size: int

    def view(self, offset: int, size: int) -> memoryview:
        """Returns exactly `size` bytes at `offset`.

        Raises:
            TruncatedError: the range reaches beyond the input.
        """
        ...

    def views(self, ranges: Sequence[tuple[int, int]]) -> list[memoryview]:
        """Returns several (offset, size) ranges as `view` does. A remote source fetches them together."""
        ...


class BufferSource:
    """Bytes in memory, or a file mapped into it.

    Attributes:
        status: the status of the file when it was opened; None for bytes that are not from a file.
    """

    status: os.stat_result | None = None

    def __init__(self, name: str, data: bytes | bytearray | memoryview | mmap.mmap) -> None:
        self.name = name
        self._data = memoryview(data).cast("B")
        self.size = len(self._data)

    def view(self, offset: int, size: int) -> memoryview:
        """See `ByteSource.view`."""
        if offset < 0 or size < 0 or offset + size > self.size:
            raise TruncatedError(
                f"needs bytes 0x{offset:x} to 0x{offset + size:x}, but the file has 0x{self.size:x} bytes",
                source=self.name,
            )
        return self._data[offset : offset + size]

    def views(self, ranges: Sequence[tuple[int, int]]) -> list[memoryview]:
        """See `ByteSource.views`."""
        return [self.view(offset, size) for offset, size in ranges]


class MappedSource(BufferSource):
    """A file mapped into memory.

    Scattered small reads, such as a search for signatures, bypass the mapping: each would bring in the pages around it,
    which adds up to gigabytes in a large dump.
    """

    def __init__(self, name: str, file: io.FileIO) -> None:
        mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        super().__init__(name, mapping)
        self._file = file
        # Windows has none of these: there, all reads use the mapping. macOS lacks the last.
        self._pread = getattr(os, "pread", None)
        if self.size > LARGE:
            if hasattr(mmap, "MADV_RANDOM"):
                mapping.madvise(mmap.MADV_RANDOM)
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)

    def views(self, ranges: Sequence[tuple[int, int]]) -> list[memoryview]:
        """See `ByteSource.views`."""
        if self._pread is None or self.size <= LARGE:
            return super().views(ranges)
        handle, read = self._file.fileno(), self._pread
        result = []
        for offset, size in ranges:
            data = read(handle, size, offset)
            if len(data) != size:
                return super().views(
                    ranges
                )  # the file was cut off meanwhile, or the range is wrong: the error says where
            result.append(memoryview(data))
        return result


def map_file(path: str | os.PathLike[str], name: str | None = None) -> BufferSource:
    """Maps a local file. Nothing is read before it is used.

    Raises:
        InputError: the file cannot be opened.
    """
    name = name or os.fspath(path)
    try:
        file = open(path, "rb", buffering=0)  # noqa: PTH123, SIM115 - faster than pathlib; kept open by the source
        # To read a small file costs less than to map it, and an empty file cannot be mapped.
        status = os.fstat(file.fileno())
        if stat.S_ISREG(status.st_mode) and status.st_size <= SMALL:
            with file:
                source = BufferSource(name, file.readall())
        else:
            try:
                source = MappedSource(name, file)
            except BaseException:
                file.close()
                raise
        source.status = status
        return source
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InputError(reason[:1].lower() + reason[1:], source=name) from error
