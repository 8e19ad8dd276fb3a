"""How the files in a zip archive are packed: decoders that give no more bytes than they are asked for.

Python's `zipfile` unpacks at once whatever a piece of bzip2 or LZMA holds: 45 bytes can be 45 MB.
Numbers of methods and the header of LZMA: APPNOTE.TXT, sections 4.4.5 and 5.8.8.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any, Protocol

from dumpmap.errors import FormatError, InputError
from dumpmap.sources.files import MEMBER_MARK, ByteSource
from dumpmap.sources.salvage import BrokenError, Pace, chunks_of

STORED, DEFLATED, BZIP2, LZMA = 0, 8, 12, 14

MAX_DICTIONARY = 128 << 20
"""A file packed with LZMA that needs a larger dictionary is refused: its header alone would allocate 4 GiB."""

MAX_LOOKED_AT = 1 << 30
"""So many packed bytes of all files in an archive are unpacked to find the only input in it. The file must be named
if that is not enough."""

_COST_OF_BLOCK = 8 << 20
"""What a look at a bzip2 file counts: it unpacks a block of 900 KB, however little is wanted of it."""


class LookingError(InputError):
    """The files of an archive take too much work to look at. Unlike `FormatError`, it is not one file's fault."""


class Budget:
    """What a search through the files of an archive can unpack, of all of them together."""

    def __init__(self, source: ByteSource) -> None:
        self._left = MAX_LOOKED_AT
        self._name = source.name

    def spend(self, size: int) -> None:
        """Counts packed bytes.

        Raises:
            LookingError: there were too many.
        """
        self._left -= size
        if self._left < 0:
            raise LookingError(
                "the files of the zip archive take too much unpacking to be searched; name the file to read: "
                f"ARCHIVE{MEMBER_MARK}NAME",
                source=self._name,
            )


class _Decoder(Protocol):
    """Unpacks one stream. `waiting` bytes of its input are not part of what it gave."""

    @property
    def eof(self) -> bool: ...

    @property
    def waiting(self) -> int: ...

    def give(self, data: bytes, most: int) -> bytes:
        """Takes input and gives up to `most` bytes; none if it needs more input."""
        ...


class _Deflate:
    def __init__(self) -> None:
        self._stream = zlib.decompressobj(wbits=-15)

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def waiting(self) -> int:
        return len(self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail)

    def give(self, data: bytes, most: int) -> bytes:
        tail = self._stream.unconsumed_tail
        return self._stream.decompress(tail + data if tail else data, most)


class _Buffered:
    """A decoder of `bz2` or `lzma`: it keeps what it has not used."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    @property
    def eof(self) -> bool:
        return bool(self._stream.eof)

    @property
    def waiting(self) -> int:
        return len(self._stream.unused_data) if self._stream.eof else 0

    def give(self, data: bytes, most: int) -> bytes:
        out: bytes = self._stream.decompress(data, most)
        return out


class _Lzma:
    """LZMA begins with a version, the size of the filter's properties, and these."""

    eof = False
    waiting = 0

    def __init__(self) -> None:
        self._head = b""
        self._stream: _Buffered | None = None

    def give(self, data: bytes, most: int) -> bytes:
        if self._stream is None:
            self._head += data
            size = 4 + int.from_bytes(self._head[2:4], "little")
            if len(self._head) < max(9, size):
                return b""
            self._stream, data = _Buffered(_lzma_stream(self._head[4:size])), self._head[size:]
        out = self._stream.give(data, most)
        self.eof, self.waiting = self._stream.eof, self._stream.waiting
        return out


def _lzma_stream(properties: bytes) -> Any:
    import lzma

    if len(properties) != 5 or properties[0] >= 9 * 5 * 5:
        raise ValueError("its LZMA properties are impossible")
    dictionary = int.from_bytes(properties[1:], "little")
    if dictionary > MAX_DICTIONARY:
        raise ValueError(f"it needs an LZMA dictionary of {dictionary:,} bytes")
    rest, lc = divmod(properties[0], 9)
    pb, lp = divmod(rest, 5)
    filters = [{"id": lzma.FILTER_LZMA1, "dict_size": max(dictionary, 4096), "lc": lc, "lp": lp, "pb": pb}]
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters)


def _bzip2() -> _Decoder:
    import bz2

    return _Buffered(bz2.BZ2Decompressor())


_DECODERS = {DEFLATED: _Deflate, BZIP2: _bzip2, LZMA: _Lzma}

SUPPORTED = (STORED, *_DECODERS)
"""The methods that dumpmap unpacks."""


def unpacked(
    source: ByteSource, method: int, start: int, end: int | None, pace: Pace, budget: Budget | None = None
) -> Iterator[tuple[bytes, int]]:
    """Unpacks a file; yields bytes, and the offset after the packed data that they came from.

    Args:
        source: the archive.
        method: how the file is packed, one of `SUPPORTED` except `STORED`.
        start: where its data begins.
        end: where they end; None if that is not known.
        pace: how much to unpack at a time.
        budget: what counts the packed bytes of a search.

    Raises:
        DamageError: the data is damaged.
    """
    place = start
    try:
        decoder = _DECODERS[method]()
        if budget is not None and method == BZIP2:
            budget.spend(_COST_OF_BLOCK)
        for chunk in chunks_of(source, start, end, pace.slice):
            if budget is not None:
                budget.spend(len(chunk))
            place += len(chunk)
            out = decoder.give(chunk, pace.step)
            while out:
                yield out, place - decoder.waiting
                out = b"" if decoder.eof else decoder.give(b"", pace.step)
            if decoder.eof:
                return
    except ImportError as error:  # this Python was built without the method
        raise FormatError(f"cannot unpack the zip archive: {error}", source=source.name) from None
    except (zlib.error, OSError, ValueError, EOFError, _lzma_error()) as error:
        raise BrokenError("zip", error, place) from None


def _lzma_error() -> type[Exception]:
    """Returns the error of `lzma`, where it is in use."""
    import sys

    loaded = sys.modules.get("lzma")
    return EOFError if loaded is None else loaded.LZMAError
