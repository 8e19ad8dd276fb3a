"""Files that are compressed as a whole: gzip and zstd."""

from __future__ import annotations

import contextlib
import io
import zlib
from collections.abc import Iterator
from typing import IO, cast

from dumpmap.sources.files import ByteSource
from dumpmap.sources.salvage import BrokenError, CutError, Pace, chunks_of


def gunzip(source: ByteSource, pace: Pace) -> Iterator[bytes]:
    """Unpacks a gzip file, all of its members.

    Raises:
        DamageError: the file is cut off or damaged.
    """
    decoder = zlib.decompressobj(wbits=31)
    place = 0
    try:
        for chunk in chunks_of(source, size=pace.slice):
            data = chunk
            place += len(chunk)
            while data:
                if decoder.eof:
                    if not data.startswith(b"\x1f\x8b"):
                        return  # padding after the last member
                    decoder = zlib.decompressobj(wbits=31)
                yield decoder.decompress(data, pace.step)
                data = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
        while not decoder.eof:
            out = decoder.decompress(decoder.unconsumed_tail, pace.step)
            if not out:
                raise CutError("gzip", source)
            yield out
    except zlib.error as error:
        raise BrokenError("gzip", error, place) from None


def unzstd(source: ByteSource, pace: Pace) -> Iterator[bytes]:
    """Unpacks a zstd file, all of its frames.

    Raises:
        DamageError: the file is cut off or damaged.
    """
    import zstandard

    # A frame can ask for a huge window: the decoder would allocate 2 GiB before it reads a byte.
    decoder = zstandard.ZstdDecompressor(max_window_size=1 << 27)
    frames = ZstdFrames()
    raw = _ChunkReader(frames.watch(chunks_of(source, size=pace.slice)))
    try:
        with decoder.stream_reader(cast("IO[bytes]", raw), read_across_frames=True) as reader:
            while out := reader.read(pace.step):
                yield out
    except zstandard.ZstdError as error:
        if not frames.foreign or not pace.done:  # data after the last frame is padding
            raise BrokenError("zstd", error, frames.place) from None
    # To the decoder, the end of the file is the end of the data.
    if frames.unfinished:
        raise CutError("zstd", source)


def stated_size(source: ByteSource, container: str) -> int:
    """Returns the size that the content of a file has by its own word; 0 if it does not say.

    It is that of the first frame of a zstd file, and of the last member of a gzip file, modulo 4 GiB.
    """
    if container == "gzip":
        return int.from_bytes(source.view(source.size - 4, 4), "little") if source.size >= 4 else 0
    if container == "zstd":
        import zstandard

        with contextlib.suppress(zstandard.ZstdError):
            size = zstandard.frame_content_size(bytes(source.view(0, min(source.size, 18))))
            return max(size, 0)  # -1 if it is not stated
    return 0


class ZstdFrames:
    """Follows the frames of a zstd file while they pass by, to find out whether the last one is complete.

    Format: RFC 8878, sections 3.1.1 (frames and blocks) and 3.1.2 (skippable frames).

    Attributes:
        place: bytes of the packed file that have passed by.
        foreign: whether a frame is followed by something that is not a frame.
    """

    def __init__(self) -> None:
        self.place = 0
        self.foreign = False
        self._step = self._frame
        self._skip = 0
        self._rest = b""
        self._checksum = 0

    @property
    def unfinished(self) -> bool:
        """Whether the file ends inside a frame."""
        return not self.foreign and (self._skip > 0 or self._rest != b"" or self._step != self._frame)

    def watch(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Passes chunks on."""
        for chunk in chunks:
            self.place += len(chunk)
            self._follow(self._rest + chunk)
            yield chunk

    def _follow(self, data: bytes) -> None:
        at, self._rest = self._skip, b""
        while not self.foreign and at < len(data):
            advance = self._step(data[at : at + 18])
            if advance == 0:  # a header that continues in the next chunk
                self._skip, self._rest = 0, data[at:]
                return
            at += advance
        self._skip = at - len(data)

    def _frame(self, head: bytes) -> int:
        if len(head) < 8:
            return 0
        magic = int.from_bytes(head[:4], "little")
        if magic & 0xFFFF_FFF0 == 0x184D_2A50:
            return 8 + int.from_bytes(head[4:8], "little")
        if magic != 0xFD2F_B528:
            self.foreign = True
            return 0
        flags = head[4]
        single = flags >> 5 & 1
        self._checksum = 4 if flags & 4 else 0
        self._step = self._block
        return 5 + (1 - single) + (0, 1, 2, 4)[flags & 3] + (single, 2, 4, 8)[flags >> 6]

    def _block(self, head: bytes) -> int:
        if len(head) < 3:
            return 0
        value = int.from_bytes(head[:3], "little")
        size = 1 if value >> 1 & 3 == 1 else value >> 3
        if value & 1:
            self._step = self._frame
            size += self._checksum
        return 3 + size


class _ChunkReader(io.RawIOBase):
    """A readable file over chunks."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        if not self._rest:
            self._rest = next(self._chunks, b"")
        take = len(self._rest) if size < 0 else size
        data, self._rest = self._rest[:take], self._rest[take:]
        return data
