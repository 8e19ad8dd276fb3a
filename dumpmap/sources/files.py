"""The bytes of an input: a file, a buffer, or a remote file.

Parsers see a `ByteSource`: a name, a size, and exact views of byte ranges. A view is never shorter than the range; a
range beyond the end is an error, so no parser can mistake a cut-off file for zeros.
"""

from __future__ import annotations

import contextlib
import errno
import io
import mmap
import os
import stat
from collections.abc import Sequence
from typing import Protocol

from dumpmap.errors import InputError, reason_of

MEMBER_MARK = "::"
"""Separates the path of an archive from the name of a file in it."""

SMALL = 2 << 20
"""A file of at most this many bytes is read at once: the search for heaps reads at hundreds of places."""

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

    def gather(self, offsets: Sequence[int], size: int) -> bytes:
        """Returns `size` bytes from each of the offsets, joined. There can be a million, and they ascend.

        Raises:
            TruncatedError: a range reaches beyond the input.
        """
        ...


def _check_ascending(source: ByteSource, offsets: Sequence[int], size: int) -> None:
    if len(offsets) and (offsets[0] < 0 or offsets[-1] + size > source.size):
        raise _truncated(source, offsets[-1], size)


def _truncated(source: ByteSource, offset: int, size: int) -> TruncatedError:
    return TruncatedError(
        f"needs bytes 0x{offset:x} to 0x{offset + size:x}, but the file has 0x{source.size:x} bytes",
        source=source.name,
    )


class BufferSource:
    """Bytes in memory, or a file of our own mapped into it.

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
        # In the function itself, as in the other class: a small dump is read in a hundred places.
        if offset < 0 or size < 0 or offset + size > self.size:
            raise _truncated(self, offset, size)
        return self._data[offset : offset + size]

    def views(self, ranges: Sequence[tuple[int, int]]) -> list[memoryview]:
        """See `ByteSource.views`."""
        return [self.view(offset, size) for offset, size in ranges]

    def gather(self, offsets: Sequence[int], size: int) -> bytes:
        """See `ByteSource.gather`."""
        _check_ascending(self, offsets, size)
        data = self._data
        return b"".join([data[offset : offset + size] for offset in offsets])


class FileSource:
    """A file that is read range by range, without a mapping.

    Another process can cut off a mapped file at any time, and the next look at the lost pages would end this process
    (SIGBUS). A read says how much is left.

    Attributes:
        status: the status of the file when it was opened.
    """

    def __init__(self, name: str, file: io.FileIO, status: os.stat_result) -> None:
        self.name = name
        self.size = status.st_size
        self.status: os.stat_result | None = status
        self._file, self._handle = file, file.fileno()
        if self.size > LARGE and hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._handle, 0, 0, os.POSIX_FADV_RANDOM)

    def view(self, offset: int, size: int) -> memoryview:
        """See `ByteSource.view`."""
        if offset < 0 or size < 0 or offset + size > self.size:
            raise _truncated(self, offset, size)
        data = self._read(offset, size)
        while len(data) < size:  # Linux reads at most 2 GiB at once
            more = self._read(offset + len(data), size - len(data))
            if not more:
                raise TruncatedError(
                    f"was cut off at 0x{offset + len(data):x} while dumpmap was reading it", source=self.name
                )
            data += more
        return memoryview(data)

    def _read(self, offset: int, size: int) -> bytes:
        try:
            return os.pread(self._handle, size, offset)
        except OSError as error:  # a damaged disk, or a server that has gone
            raise InputError(f"cannot be read at 0x{offset:x}: {reason_of(error)}", source=self.name) from error

    def views(self, ranges: Sequence[tuple[int, int]]) -> list[memoryview]:
        """See `ByteSource.views`."""
        return [self.view(offset, size) for offset, size in ranges]

    def gather(self, offsets: Sequence[int], size: int) -> bytes:
        """See `ByteSource.gather`. A read of a few bytes is complete unless the file has become shorter."""
        _check_ascending(self, offsets, size)
        read, handle, data = os.pread, self._handle, b""
        with contextlib.suppress(OSError):  # reading the ranges one by one then says where it fails
            data = b"".join([read(handle, size, offset) for offset in offsets])
        return data if len(data) == len(offsets) * size else b"".join(self.views([(at, size) for at in offsets]))


class MappedSource(BufferSource):
    """A file mapped into memory, on Windows: there, nobody can cut off a mapped file."""

    def __init__(self, name: str, file: io.FileIO, status: os.stat_result) -> None:
        super().__init__(name, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        self.status = status
        self._file = file


LocalSource = BufferSource | FileSource
"""What `open_file` returns."""

_OPEN: type[FileSource] | type[MappedSource] = FileSource if hasattr(os, "pread") else MappedSource


def open_file(path: str | os.PathLike[str], name: str | None = None) -> LocalSource:
    """Opens a local file. Of a large one, nothing is read before it is used.

    Raises:
        InputError: the file cannot be opened.
    """
    name = name or os.fspath(path)
    try:
        file = open(path, "rb", buffering=0)  # noqa: PTH123, SIM115 - faster than pathlib; kept open by the source
        # To read a small file at once costs less than many reads, and an empty file cannot be mapped.
        status = os.fstat(file.fileno())
        if stat.S_ISREG(status.st_mode) and status.st_size <= SMALL:
            with file:
                data = file.read(status.st_size + 1)
                if len(data) != status.st_size:  # it grows, or is a file of /proc, which states no size
                    data += file.readall()
                source = BufferSource(name, data)
            source.status = status
            return source
        try:
            if not stat.S_ISREG(status.st_mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            return _OPEN(name, file, status)
        except BaseException:
            file.close()
            raise
    except (OSError, ValueError) as error:
        raise InputError(reason_of(error), source=name) from error
