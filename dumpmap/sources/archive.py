"""Inputs that are packed: gzip, zstd, and zip archives; unpacked in one go, within bounds.

A download or a copy that was cut off, or a few damaged bytes, cost what lies behind them: what could be unpacked before
is read, because a dump's streams lie at its beginning, and a warning says where the file ends.
"""

from __future__ import annotations

import contextlib
import io
import mmap
import os
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import IO, cast

from dumpmap.errors import FormatError, InputError
from dumpmap.model.snapshot import Container
from dumpmap.sources.files import BufferSource, ByteSource

MAX_DECOMPRESSED = 64 << 30
"""No compressed input is unpacked beyond this many bytes; $DUMPMAP_MAX_DECOMPRESSED overrides it."""

IN_MEMORY = 64 << 20
"""What unpacks to more than this goes to a temporary file."""

CHUNK = 1 << 20

MEMBER_MARK = "::"
"""What stands between an archive's path and the name of a file in it."""

_HEAD = 4096
"""How much of an archive's file is looked at to tell whether it is an input."""

_SLICE = 4096
"""How much of a damaged file is fed to a decoder at a time; what it leaves is copied with every byte it gives."""

_LEAST_FED = 64 << 10
"""And of any other file, however little is wanted of what it gives."""

_LOOKED_AT = 10_000
"""In a larger archive nobody searches for the one input; it has to be named."""

try:
    from lzma import LZMAError
except ImportError:  # a Python that was built without it
    _LZMA_ERRORS: tuple[type[Exception], ...] = ()
else:
    _LZMA_ERRORS = (LZMAError,)

_ZIP_ERRORS: tuple[type[Exception], ...] = (
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
    ValueError,
    EOFError,
    IndexError,
    struct.error,
    zlib.error,
    *_LZMA_ERRORS,
)
"""What `zipfile` raises for archives that are damaged, encrypted, or packed in a way that it does not know."""

_UNPACKING_ERRORS: tuple[type[Exception], ...] = (*_ZIP_ERRORS, OSError)
"""And for a file in one: bz2 has no error of its own."""

_PEEKED = 256 << 10
"""How much of a packed file is read to see how its content begins: zstd gives whole blocks, of up to 128 KB."""

_Chunks = Generator[bytes, None, None]

_LISTED = 5
"""Names that a message lists."""

_STORED, _DEFLATED = 0, 8
_ENCRYPTED, _SIZES_BEHIND, _UTF8 = 1, 8, 0x800
_LOCAL = struct.Struct("<4sHHHHHLLLHH")
_UNKNOWN_SIZE = 0xFFFF_FFFF
_ZIP64 = 1
"""Zip's constants, by APPNOTE.TXT sections 4.3.7, 4.4.4, 4.4.5 and 4.5.3."""


@dataclass(frozen=True)
class Unpacked:
    """What was in a packed file.

    Attributes:
        source: the bytes; its name is still that of the packed file.
        container: how it was packed.
        warnings: what is wrong with the packed file.
        notes: which of several files was taken.
    """

    source: ByteSource
    container: Container
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class _DamageError(Exception):
    """The packed file ends, or makes no sense, before its end; what was unpacked before stands.

    Attributes:
        nothing: what to say where nothing was.
    """

    def __init__(self, problem: str, nothing: str) -> None:
        super().__init__(problem)
        self.nothing = nothing


class _CutError(_DamageError):
    """The packed file ends before its content does."""

    def __init__(self, kind: str, source: ByteSource, missing: str = "its content does") -> None:
        where = f"ends at byte {source.size:,}"
        super().__init__(
            f"the {kind} file is cut off: it {where}, before {missing}",
            f"{kind} file that unpacks to nothing: empty or cut off (it {where})",
        )


class _BrokenError(_DamageError):
    """The packed file has wrong bytes in it."""

    def __init__(self, kind: str, error: Exception, place: int | None = None) -> None:
        # zlib puts its own name for the caller before the reason: `incorrect data check`.
        reason = str(error).rpartition(": ")[2] or type(error).__name__
        where = "" if place is None else f" before byte {place:,}"
        super().__init__(f"the {kind} file is damaged{where} ({reason})", f"damaged {kind} file: {reason}")


class _Pace:
    """How much is unpacked at a time: much, but byte by byte behind what an attempt that failed had got."""

    def __init__(self, good: int | None = None, chunk: int = CHUNK) -> None:
        self.done = 0
        self.slice = max(chunk, _LEAST_FED) if good is None else _SLICE
        self._chunk = chunk
        self._good = good

    @property
    def step(self) -> int:
        """How much to unpack next."""
        if self._good is None:
            return self._chunk
        left = self._good - self.done
        return min(left, CHUNK) if left > 0 else 1


def _as_far_as_possible(unpacking: Callable[[_Pace], Iterator[bytes]], chunk: int = CHUNK) -> Iterator[bytes]:
    """Unpacks, and where bytes are wrong once more byte by byte: a step that fails gives nothing at all."""
    pace = _Pace(chunk=chunk)
    try:
        for out in unpacking(pace):
            pace.done += len(out)
            yield out
    except _BrokenError:
        good = pace.done
    else:
        return
    pace = _Pace(good)
    for out in unpacking(pace):
        pace.done += len(out)
        if pace.done > good:
            yield out[good - pace.done :]


def unpack(source: ByteSource, is_input: Callable[[bytes], bool], member: str | None = None) -> Unpacked | None:
    """Unpacks one layer; None for a file that is not packed.

    Args:
        source: the file.
        is_input: tells from the first bytes whether a file in an archive is an input.
        member: which file of an archive; the only input in it where None.

    Raises:
        DumpmapError: nothing could be unpacked, or it is too much.
    """
    head = bytes(source.view(0, min(4, source.size)))
    warnings: list[str] = []
    notes: list[str] = []
    container: Container
    if head[:4] == b"PK\x03\x04":
        container, chunks = "zip", _unzip(source, is_input, member, notes)
    elif member is not None:
        raise InputError(f"is no zip archive, and so has no {member!r} in it", source=source.name)
    elif head[:2] == b"\x1f\x8b":
        container, chunks = "gzip", _as_far_as_possible(partial(_gunzip, source))
    elif head == b"\x28\xb5\x2f\xfd":
        container, chunks = "zstd", _as_far_as_possible(partial(_unzstd, source))
    else:
        return None
    unpacked = collect(chunks, source.name, warnings)
    if unpacked.size == 0:
        raise FormatError(f"{container} file that unpacks to nothing: empty or cut off", source=source.name)
    return Unpacked(unpacked, container, tuple(warnings), tuple(notes))


def first_bytes(
    source: ByteSource, is_input: Callable[[bytes], bool], *, most_members: int = _LOOKED_AT
) -> bytes | None:
    """The first bytes of what `unpack` would give, at the price of little more than these.

    Of a zip archive with several inputs in it, which `unpack` refuses, they are the first one's.

    Args:
        source: the file.
        is_input: see `unpack`.
        most_members: a zip archive of more files is not searched for the only input in it.

    Returns:
        up to 4 KB, none where nothing can be unpacked; None for a file that is not packed.
    """
    head = bytes(source.view(0, min(4, source.size)))
    if head == b"PK\x03\x04":
        return _first_of_zip(source, is_input, most_members)
    part = BufferSource(source.name, source.view(0, min(source.size, _PEEKED)))
    if head[:2] == b"\x1f\x8b":
        return _beginning(_as_far_as_possible(partial(_gunzip, part), _HEAD))
    if head == b"\x28\xb5\x2f\xfd":
        return _beginning(_as_far_as_possible(partial(_unzstd, part), _HEAD))
    return None


def _beginning(chunks: Iterator[bytes]) -> bytes:
    """The first bytes of what is unpacked; what cannot be unpacked has none."""
    head = b""
    with contextlib.suppress(FormatError, _DamageError):
        for chunk in chunks:
            head += chunk
            if len(head) >= _HEAD:
                break
    return head[:_HEAD]


def collect(chunks: Iterator[bytes], name: str, warnings: list[str] | None = None) -> BufferSource:
    """Gathers chunks in memory, or in a temporary file once they are many.

    Args:
        chunks: the content. What cannot be had of a packed file ends it.
        name: what messages call it.
        warnings: gets what is wrong with the packed file.

    Raises:
        DumpmapError: it is too much, or could not be kept.
    """
    limit, total = _limit(), 0
    spool = cast("IO[bytes]", tempfile.SpooledTemporaryFile(max_size=IN_MEMORY))  # noqa: SIM115 - closed below
    try:
        try:
            for chunk in chunks:
                total += len(chunk)
                if total > limit:
                    raise FormatError(f"unpacks to more than {limit} bytes ($DUMPMAP_MAX_DECOMPRESSED)", source=name)
                spool.write(chunk)
        except _DamageError as damage:
            if total == 0:
                raise FormatError(damage.nothing, source=name) from None
            if warnings is not None:
                warnings.append(f"{damage}; {total:,} bytes could be unpacked")
        if total <= IN_MEMORY:
            spool.seek(0)
            return BufferSource(name, spool.read())
        spool.flush()
        return BufferSource(name, mmap.mmap(spool.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError as error:
        raise InputError(f"cannot be unpacked: {error.strerror or error}", source=name) from error
    finally:
        # The mapping, or the copy, outlives the file.
        with contextlib.suppress(OSError):
            spool.close()


def _limit() -> int:
    try:
        return int(os.environ.get("DUMPMAP_MAX_DECOMPRESSED", ""))
    except ValueError:
        return MAX_DECOMPRESSED


def _chunks(source: ByteSource, start: int = 0, end: int | None = None, size: int = CHUNK) -> Iterator[bytes]:
    stop = source.size if end is None else min(end, source.size)
    for offset in range(start, stop, size):
        yield bytes(source.view(offset, min(size, stop - offset)))


# ---------------------------------------------------------------- gzip


def _gunzip(source: ByteSource, pace: _Pace) -> Iterator[bytes]:
    """Unpacks gzip members, one after the other."""
    decoder = zlib.decompressobj(wbits=31)
    place = 0
    try:
        for chunk in _chunks(source, size=pace.slice):
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
                raise _CutError("gzip", source)
            yield out
    except zlib.error as error:
        raise _BrokenError("gzip", error, place) from None


# ---------------------------------------------------------------- zstd


def _unzstd(source: ByteSource, pace: _Pace) -> Iterator[bytes]:
    import zstandard

    # A frame may ask for a huge window: 2 GiB would be taken before a byte is read.
    decoder = zstandard.ZstdDecompressor(max_window_size=1 << 27)
    frames = _Frames()
    raw = _ChunkReader(frames.watch(_chunks(source, size=pace.slice)))
    try:
        with decoder.stream_reader(cast("IO[bytes]", raw), read_across_frames=True) as reader:
            while out := reader.read(pace.step):
                yield out
    except zstandard.ZstdError as error:
        if not frames.foreign or not pace.done:  # what lies behind the last frame is padding
            raise _BrokenError("zstd", error, frames.place) from None
    # The decoder takes the end of the file for the end of the data.
    if frames.unfinished:
        raise _CutError("zstd", source)


class _Frames:
    """Follows a zstd file's frames while they pass by, to know whether the last one is whole.

    The format: RFC 8878, sections 3.1.1 (frames and blocks) and 3.1.2 (skippable frames).
    """

    def __init__(self) -> None:
        self.place = 0
        self.foreign = False
        """Whether something that is no frame lies behind one."""
        self._step = self._frame
        self._skip = 0
        self._rest = b""
        self._checksum = 0

    @property
    def unfinished(self) -> bool:
        """Whether more should have come."""
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
            if advance == 0:  # a header that goes on in the next chunk
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


# ---------------------------------------------------------------- zip


@dataclass(frozen=True, slots=True)
class _Member:
    """A file in an archive: its name, and a way to unpack it, so many bytes at a time."""

    name: str
    open: Callable[[int], _Chunks]


def _unzip(
    source: ByteSource, is_input: Callable[[bytes], bool], wanted: str | None, notes: list[str]
) -> Iterator[bytes]:
    """Unpacks one file of an archive: the one that is wanted, the only one, or the only one that is an input."""
    try:
        archive = zipfile.ZipFile(cast("IO[bytes]", _SeekableView(source)))
    except _ZIP_ERRORS as error:
        # The table of contents stands at the end: of an archive that is cut off, what lies before can be read.
        members = list(islice(_local_members(source), _LOOKED_AT + 1))
        if not members:
            raise FormatError(f"damaged or unsupported zip file: {error}", source=source.name) from None
        yield from _choose(members, is_input, wanted, source, notes).open(CHUNK)
        raise _CutError("zip", source, "its table of contents") from None
    with archive:
        yield from _choose(_members(archive, source), is_input, wanted, source, notes).open(CHUNK)


def _members(archive: zipfile.ZipFile, source: ByteSource) -> list[_Member]:
    return [_Member(info.filename, _opener(archive, info, source)) for info in archive.infolist() if not info.is_dir()]


def _first_of_zip(source: ByteSource, is_input: Callable[[bytes], bool], most_members: int) -> bytes:
    """See `first_bytes`. Of an archive that is cut off only the first file counts: what follows costs unpacking it."""
    try:
        archive = zipfile.ZipFile(cast("IO[bytes]", _SeekableView(source)))
    except _ZIP_ERRORS:
        return b"".join(map(_head_of, islice(_local_members(source), 1)))
    with archive:
        members = _members(archive, source)
        if len(members) > max(1, most_members):
            return b""
        heads = map(_head_of, members)
        return next((head for head in heads if len(members) == 1 or is_input(head)), b"")


def _opener(archive: zipfile.ZipFile, info: zipfile.ZipInfo, source: ByteSource) -> Callable[[int], _Chunks]:
    def chunks(size: int) -> _Chunks:
        done = 0
        try:
            with archive.open(info) as file:
                while out := file.read(size):
                    done += len(out)
                    yield out
            return
        except _UNPACKING_ERRORS as error:
            broken, problem = _BrokenError("zip", error), str(error)
        # zipfile gives nothing of a part whose checksum is wrong.
        header = _local_header(source, info.header_offset)
        if header is None or info.flag_bits & _ENCRYPTED or info.compress_type not in (_STORED, _DEFLATED):
            if done:
                raise broken
            raise FormatError(f"damaged or unsupported zip file: {problem}", source=source.name)
        end = header.start + info.compress_size
        for out in _local_opener(source, info.filename, info.flag_bits, info.compress_type, header.start, end)(size):
            before, done = done, done - len(out)
            if done < 0:
                yield out[before:]
                done = 0
        raise broken

    return chunks


def _choose(
    members: Sequence[_Member],
    is_input: Callable[[bytes], bool],
    wanted: str | None,
    source: ByteSource,
    notes: list[str],
) -> _Member:
    """Picks a file of an archive.

    Raises:
        FormatError: none of them is an input, or several are.
        InputError: there is none of the wanted name.
    """
    if wanted is not None:
        named = [one for one in members if one.name == wanted] or [
            one for one in members if one.name.rsplit("/", 1)[-1].lower() == wanted.lower()
        ]
        if len(named) != 1:
            count = "has no" if not named else f"has {len(named)}"
            raise InputError(f"the zip archive {count} {wanted!r}; it has {_listed(members)}", source=source.name)
        return named[0]
    if len(members) == 1:
        return members[0]
    text = f"a zip archive of {len(members):,} files"
    if len(members) > _LOOKED_AT:
        raise FormatError(f"{text}; name the one to read, as in FILE{MEMBER_MARK}NAME", source=source.name)
    inputs = [one for one in members if is_input(_head_of(one))]
    if not inputs:
        contents = f": {_listed(members)}" if members else ""
        raise FormatError(f"{text}, none of them a dump or a snapshot{contents}", source=source.name)
    if len(inputs) > 1:
        raise FormatError(
            f"{text}, {len(inputs)} of them dumps or snapshots; name one, as in FILE{MEMBER_MARK}{inputs[0].name}: "
            f"{_listed(inputs)}",
            source=source.name,
        )
    notes.append(f"{text}: {inputs[0].name!r} was read, the only dump or snapshot among them")
    return inputs[0]


def _listed(members: Sequence[_Member]) -> str:
    names = ", ".join(one.name for one in members[:_LISTED])
    return names + (f" and {len(members) - _LISTED:,} more" if len(members) > _LISTED else "")


def _head_of(member: _Member) -> bytes:
    """The first bytes of a file in an archive."""
    with contextlib.closing(member.open(_HEAD)) as chunks:
        return _beginning(chunks)


@dataclass(frozen=True, slots=True)
class _LocalHeader:
    """What stands before a file in an archive; the size is None where it stands behind it."""

    name: str
    flags: int
    method: int
    start: int
    size: int | None


def _local_header(source: ByteSource, at: int) -> _LocalHeader | None:
    """Reads the header at an offset; None where there is none."""
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
    return _LocalHeader(name, flags, method, start, None if flags & _SIZES_BEHIND else size)


def _local_members(source: ByteSource) -> Iterator[_Member]:
    """Goes through an archive from its beginning, by the header that stands before each file."""
    at, budget = 0, _limit()
    while (header := _local_header(source, at)) is not None:
        end = None if header.size is None else header.start + header.size
        if not header.name.endswith("/"):
            opener = _local_opener(source, header.name, header.flags, header.method, header.start, end)
            yield _Member(header.name, opener)
        if end is None:
            if header.method != _DEFLATED or header.flags & _ENCRYPTED:
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


def _local_opener(
    source: ByteSource, name: str, flags: int, method: int, start: int, end: int | None
) -> Callable[[int], _Chunks]:
    def inflated(pace: _Pace) -> Iterator[bytes]:
        return (out for out, _ in _inflate(source, start, end, pace))

    def chunks(size: int) -> _Chunks:
        if flags & _ENCRYPTED:
            raise FormatError(f"damaged zip file, and {name!r} in it is encrypted", source=source.name)
        if method == _STORED:
            yield from _chunks(source, start, end, size)
        elif method == _DEFLATED:
            yield from _as_far_as_possible(inflated, size)
        else:
            raise FormatError(
                f"damaged zip file, and {name!r} in it is packed by method {method}, which needs a whole one",
                source=source.name,
            )

    return chunks


def _inflate(source: ByteSource, start: int, end: int | None, pace: _Pace) -> Iterator[tuple[bytes, int]]:
    """Unpacks raw deflated data; yields bytes, and the offset behind what they came from."""
    decoder = zlib.decompressobj(wbits=-15)
    place = start
    try:
        for chunk in _chunks(source, start, end, pace.slice):
            data = chunk
            place += len(chunk)
            while data and not decoder.eof:
                out = decoder.decompress(data, pace.step)
                data = decoder.unconsumed_tail
                yield out, place - len(decoder.unused_data if decoder.eof else data)
            if decoder.eof:
                return
        while out := decoder.decompress(decoder.unconsumed_tail, pace.step):
            yield out, place
    except zlib.error as error:
        raise _BrokenError("zip", error, place) from None


def _end_of_deflated(source: ByteSource, start: int, budget: int) -> tuple[int, int]:
    """Where the next file's header stands, behind a file whose size stands behind it; the archive's end if nowhere.

    Returns:
        the place, and how many bytes had to be unpacked to find it; no more than `budget`.
    """
    end, total = start, 0
    try:
        for out, place in _inflate(source, start, None, _Pace()):
            end, total = place, total + len(out)
            if total > budget:
                return source.size, total
    except _DamageError:
        return source.size, total
    # A descriptor of 12 or 20 bytes follows, with a signature before it or without.
    for behind in (16, 24, 12, 20):
        if end + behind + 4 <= source.size and bytes(source.view(end + behind, 4)) in (b"PK\x03\x04", b"PK\x01\x02"):
            return end + behind, total
    return source.size, total


class _SeekableView(io.RawIOBase):
    """A byte source as a seekable file, for `zipfile`."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._source.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def read(self, size: int = -1, /) -> bytes:
        left = max(0, self._source.size - self._at)
        take = left if size < 0 else min(size, left)
        data = bytes(self._source.view(self._at, take)) if take else b""
        self._at += take
        return data
