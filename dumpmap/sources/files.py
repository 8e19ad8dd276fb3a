"""Where the bytes of an input come from: a mapped file, a buffer, or something remote.

Parsers see one thing, a `ByteSource`: a name, a size, and exact views of byte ranges. A view is never shorter than
asked for; what lies beyond the end is an error, so no parser can mistake a cut-off file for zeros.
"""

from __future__ import annotations

import io
import mmap
import os
import stat
from collections.abc import Sequence
from typing import Protocol

from dumpmap.errors import InputError

SMALL = 256 << 10
"""A file of at most this many bytes is read at once."""


LARGE = 256 << 20
"""From this size on a mapped file is read sparingly: pages that nobody asked for are not brought in."""


class TruncatedError(InputError):
    """A range reaches beyond the end of the input."""


class ByteSource(Protocol):
    """An input of known size with random access."""

    name: str
    size: int

    def view(self, offset: int, size: int) -> memoryview:
        """Returns exactly `size` bytes at `offset`.

        Raises:
            TruncatedError: the range is not wholly inside the input.
        """
        ...

    def views(self, ranges: Sequence[tuple[int, int]]) -> list[memoryview]:
        """Returns the (offset, size) ranges, each as `view` does; a remote source fetches them together."""
        ...


class BufferSource:
    """Bytes in memory, or a file mapped into it.

    Attributes:
        status: of the file when it was opened; None for bytes that came from no file.
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
                f"needs bytes 0x{offset:x} to 0x{offset + size:x}, the file has 0x{self.size:x}", source=self.name
            )
        return self._data[offset : offset + size]

    def views(self, ranges: Sequence[tuple[int, int]]) -> list[memoryview]:
        """See `ByteSource.views`."""
        return [self.view(offset, size) for offset, size in ranges]


class MappedSource(BufferSource):
    """A file mapped into memory.

    Scattered small reads, a signature search say, go past the mapping: through it each would bring in a cluster of
    pages around it, which for a dump of many gigabytes adds up to gigabytes.
    """

    def __init__(self, name: str, file: io.FileIO) -> None:
        mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        super().__init__(name, mapping)
        self._file = file
        # Windows has none of these, there the mapping serves all; macOS lacks the last.
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
                return super().views(ranges)  # cut off meanwhile, or beyond the end: its error says where
            result.append(memoryview(data))
        return result


def map_file(path: str | os.PathLike[str], name: str | None = None) -> BufferSource:
    """Maps a local file; nothing is read before it is looked at.

    Raises:
        InputError: the file cannot be opened.
    """
    name = name or os.fspath(path)
    try:
        file = open(path, "rb", buffering=0)  # noqa: PTH123, SIM115 - faster than pathlib; kept open by the source
        # Reading a small file costs less than mapping it, and an empty one cannot be mapped.
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
