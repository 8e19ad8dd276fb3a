"""What a stream is to the parser: an entry of the registry, and the bytes that its reader gets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from dumpmap.model.counts import count_words
from dumpmap.model.limits import Limit
from dumpmap.model.snapshot import Stream
from dumpmap.model.values import value_class
from dumpmap.parsers.minidump import records
from dumpmap.parsers.minidump.draft import Draft
from dumpmap.parsers.minidump.file import DumpFile, NotReadError


class StreamData:
    """One stream of a dump while it is read.

    Attributes:
        file: the whole dump. RVAs inside a stream are offsets in it.
        offset: where the stream begins in the file.
        size: its size as the directory states it; it can reach beyond the end of the file.
        end: where it ends in the file, exclusive.
        problems: what was found wrong, in words; the rest of the stream was read nevertheless.
    """

    __slots__ = ("end", "file", "offset", "problems", "size")

    def __init__(self, file: DumpFile, stream: Stream) -> None:
        self.file = file
        self.offset = stream.offset
        self.size = stream.size
        self.end = stream.offset + stream.size
        self.problems: list[str] = []

    def note(self, problem: str) -> None:
        """Notes that a part of the stream is wrong or missing."""
        self.problems.append(problem)

    def start(self, most: int) -> bytes:
        """Returns the bytes of the stream that are in the file, no more than `most` of them."""
        return bytes(self.file.data(self.offset, max(0, min(self.size, most, self.file.size - self.offset))))

    def record(self, reader: records.Reader) -> Any:
        """Reads the record at the start of the stream.

        Raises:
            NotReadError: the stream is too short, or the file is cut off.
        """
        return self.file.record(reader, self.offset, limit=self.size)

    def array(
        self,
        dtype: np.dtype[Any],
        rva: int,
        count: int,
        *,
        most: int | Limit,
        limit: int | None = None,
        stride: int | None = None,
    ) -> npt.NDArray[Any]:
        """Reads `count` records at `rva`; notes it if not all of them fit, or if there are too many.

        Args:
            dtype: a record.
            rva: where the first record is in the file.
            count: how many records the stream claims to have.
            most: how many are read.
            limit: where the last record ends at the latest. Default: the end of the stream.
            stride: bytes from one record to the next. Default: the size of a record.

        Raises:
            NotReadError: the stride is smaller than a record.
        """
        bound = most if isinstance(most, int) else most.value
        wanted = min(count, bound)
        entries = self.file.array(dtype, rva, wanted, limit=self.end if limit is None else limit, stride=stride)
        if len(entries) < wanted:
            self.note(f"claims {count_words(count, 'entry', 'entries')}, {len(entries):,} fit")
        elif wanted < count:
            how = "" if isinstance(most, int) else f"; {most.hint}"
            self.note(f"claims {count_words(count, 'entry', 'entries')}; dumpmap reads the first {bound:,}{how}")
        return entries

    def counted(self, dtype: np.dtype[Any], most: Limit) -> npt.NDArray[Any]:
        """Reads a list that begins with a 32-bit count, up to `most` records.

        Raises:
            NotReadError: the file is cut off before the count ends.
        """
        count = int.from_bytes(self.file.data(self.offset, 4), "little")
        start = self.offset + 4
        # Breakpad aligns the entries of such a list to 8 bytes where the writer's compiler did.
        if self.size == 8 + count * dtype.itemsize:
            start += 4
        return self.array(dtype, start, count, most=most)

    def described(
        self, dtype: np.dtype[Any], header: records.Reader, most: Limit, *, limit: int | None = None
    ) -> npt.NDArray[Any]:
        """Reads a list whose header states its own size, the size of an entry, and the number of entries.

        Args:
            dtype: an entry.
            header: the header of the list.
            most: how many entries are read.
            limit: where the last entry ends at the latest. Default: the end of the stream.

        Raises:
            NotReadError: a size in the header is impossible, or the file is cut off.
        """
        head = self.record(header)
        self.check_header_size(head.SizeOfHeader, header.size)
        start = self.offset + head.SizeOfHeader
        return self.array(dtype, start, head.NumberOfEntries, most=most, limit=limit, stride=head.SizeOfEntry)

    def check_header_size(self, stated: int, least: int) -> None:
        """Checks a SizeOfHeader field.

        Raises:
            NotReadError: the header cannot have that size.
        """
        if not least <= stated <= self.size:
            raise NotReadError("malformed", f"SizeOfHeader is {stated:,}")


StreamReader = Callable[[StreamData, Draft], None]
"""Reads one stream and adds what it says to the draft.

It notes on the stream what it could not read, and raises `NotReadError` if it could read nothing.
"""


@value_class(frozen=True, slots=True)
class KnownStream:
    """A type of stream: everything that dumpmap knows about it.

    Attributes:
        number: the stream type, as the directory of a dump states it.
        name: the SDK's name without its `Stream` ending, or the writer's own.
        feeds: what dumpmap takes from it, as a short phrase; empty if it is only listed.
        doc: what the stream holds, in one sentence.
        reference: the name of the structure or file that documents it.
        read: reads it; None for a stream that is only listed.
    """

    number: int
    name: str
    doc: str
    reference: str
    feeds: str = ""
    read: StreamReader | None = None
