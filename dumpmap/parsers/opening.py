"""From a path, a buffer or a file object to a snapshot: sniffing, unwrapping, choosing the parser.

The format is told by content, never by suffix. What dumpmap does not read is named in one line, because "not a
minidump" does not help somebody who was sent a kernel dump.
"""

from __future__ import annotations

import contextlib
import io
import mmap
import os
import re
import stat
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, BinaryIO, cast

from dumpmap.errors import DumpmapError, FormatError, InputError
from dumpmap.parsers.minidump import read_minidump
from dumpmap.parsers.source import BufferSource, ByteSource, map_file
from dumpmap.snapshot import Snapshot

Input = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO
"""What `dumpmap.open` takes: a path, the bytes themselves, or a binary file."""

MAX_DECOMPRESSED = 64 << 30
"""No compressed input is unpacked beyond this many bytes; $DUMPMAP_MAX_DECOMPRESSED overrides it."""

IN_MEMORY = 64 << 20
"""What unpacks to more than this goes to a temporary file."""

MAX_TEXT = 4 << 30
"""Longest JSON, XML or CSV that is read."""

_CHUNK = 1 << 20
_HEAD = 4096

_FOREIGN: tuple[tuple[bytes, str], ...] = (
    (b"PAGEDU64", "a 64-bit Windows kernel memory dump; dumpmap reads user-mode minidumps"),
    (b"PAGEDUMP", "a 32-bit Windows kernel memory dump; dumpmap reads user-mode minidumps"),
    (b"PAGE", "a Windows kernel memory dump; dumpmap reads user-mode minidumps"),
    (b"USERDUMP", "an old-style user dump (USERDUMP); convert it to a minidump with WinDbg's .dump /ma"),
    (b"HIBR", "a Windows hibernation file"),
    (b"hibr", "a Windows hibernation file"),
    (b"MZ", "a Windows program, not a dump of one"),
    (b"Microsoft C/C++ MSF", "a PDB symbol file"),
    (b"\xcf\xfa\xed\xfe", "a Mach-O file"),
    (b"\xca\xfe\xba\xbe", "a Mach-O universal file or a Java class"),
    (b"JAVA PROFILE", "a Java heap dump"),
    (b"MDMP"[::-1], "a minidump header in reverse byte order; the file is damaged or from a big-endian system"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it first"),
    (b"Rar!", "a RAR archive; unpack it first"),
    (b"\xfd7zXZ", "an xz archive; unpack it first"),
    (b"BZh", "a bzip2 archive; unpack it first"),
    (b"MSCF", "a cabinet archive; unpack it first"),
    (b"PAR1", "a Parquet file"),
    (b"SQLite format 3", "an SQLite database"),
)
"""How files begin that are mistaken for minidumps, and what they are."""


def open_snapshot(source: Input, *, name: str | None = None, snapshot: int | None = None) -> Snapshot:
    """Opens any supported input.

    Args:
        source: a path (`-` is standard input), bytes, or a binary file that is read from where it stands.
        name: what to call it in messages, where `source` is not a path.
        snapshot: which snapshot of a VMMap file that holds several, counted from 1; the last by default.

    Raises:
        DumpmapError: it cannot be read.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        return read_source(BufferSource(name or "<bytes>", source), snapshot=snapshot)
    if isinstance(source, (str, os.PathLike)):
        text = os.fspath(source)
        if text == "-":
            if sys.stdin is None:
                raise InputError("is closed", source="standard input")
            return _from_file(cast("BinaryIO", sys.stdin.buffer), name or "<stdin>", snapshot)
        if "://" in text:
            from dumpmap.parsers.remote import remote_source

            return read_source(remote_source(text), path=text, snapshot=snapshot)
        kind = _kind_of(text)
        if stat.S_ISFIFO(kind):  # a named pipe, or the shell's <(...)
            with Path(text).open("rb") as pipe:
                return _from_file(pipe, name or text, snapshot)
        if stat.S_ISCHR(kind) or stat.S_ISBLK(kind):
            raise InputError("is a device, not a file", source=text)
        return read_source(map_file(text, name), path=text, snapshot=snapshot)
    if hasattr(source, "read"):
        return _from_file(source, name or getattr(source, "name", None) or "<file>", snapshot)
    raise TypeError(f"expected a path, bytes or a binary file, not {type(source).__name__}")


def _kind_of(path: str) -> int:
    """The mode bits of a path; 0 where there is nothing, which opening it will say."""
    try:
        return os.stat(path).st_mode  # noqa: PTH116 - pathlib takes longer than the call itself
    except (OSError, ValueError):
        return 0


def _from_file(file: BinaryIO, name: str, snapshot: int | None) -> Snapshot:
    def chunks() -> Iterator[bytes]:
        while chunk := file.read(_CHUNK):
            yield memoryview(chunk).tobytes()  # a text file's chunk is no buffer: TypeError

    return read_source(_collect(chunks(), str(name)), snapshot=snapshot)


def read_source(source: ByteSource, *, path: str | None = None, snapshot: int | None = None) -> Snapshot:
    """Reads a snapshot out of a byte source, unwrapping one layer of compression.

    Raises:
        DumpmapError: it cannot be read.
    """
    source, container = _unwrap(source)
    if container is not None and source.size == 0:
        raise FormatError(f"{container} file that unpacks to nothing: empty or cut off", source=source.name)
    if snapshot is not None and snapshot < 1:
        raise InputError(f"has no snapshot {snapshot}; they are counted from 1", source=source.name)
    head = bytes(source.view(0, min(_HEAD, source.size)))
    if head.startswith(b"MDMP"):
        _one_snapshot(source, snapshot)
        read = read_minidump(source, path=path, container=container)
        if read.regions is None and not (read.modules or read.threads or read.captured):
            raise FormatError(
                "minidump without anything to make a map of: " + ("; ".join(read.warnings[:2]) or "no such stream"),
                source=source.name,
            )
        return read
    text = _text_head(head)
    if text is not None:
        result = _read_text(source, text, path, container, snapshot)
        if result is not None:
            return result
    raise FormatError(describe_foreign(head, source.size), source=source.name)


def _one_snapshot(source: ByteSource, snapshot: int | None) -> None:
    if snapshot not in (None, 1):
        raise InputError(f"has no snapshot {snapshot}; only VMMap's .mmp can hold several", source=source.name)


def _text_head(head: bytes) -> str | None:
    """The start of a text file, or None for a binary one."""
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if head.startswith(mark):
            return head[: len(head) & ~1].decode(encoding, "replace")
    if b"\0" in head:
        return None
    return head.decode("utf-8", "replace")


def _read_text(
    source: ByteSource, text: str, path: str | None, container: str | None, snapshot: int | None
) -> Snapshot | None:
    start = text.lstrip()
    is_json = start.startswith("{")
    is_xml = start.startswith("<")
    # VMMap's CSV and TXT begin with the process; without that line, with the heading of one of its tables.
    is_csv = re.match(r'"?(Process:|(Type|Address)"?\s*[,;\t ]\s*"?(Size|Type))', start) is not None
    if not (is_json or is_xml or is_csv):
        return None
    if not is_xml:
        _one_snapshot(source, snapshot)
    if source.size > MAX_TEXT:
        raise FormatError(f"text of {source.size} bytes is longer than dumpmap reads", source=source.name)
    data = source.view(0, source.size)
    name = source.name.replace("\\", "/").rsplit("/", 1)[-1]
    try:
        if is_json:
            from dumpmap.parsers.snapshot_json import load_snapshot

            return load_snapshot(data, name=name, path=path, container=container)
        from dumpmap.parsers import vmmap

        if is_xml:
            result = vmmap.load_mmp(data, name=name, path=path, snapshot_index=snapshot)
        else:
            result = vmmap.load_vmmap_csv(data, name=name, path=path)
    except DumpmapError as error:
        error.source = source.name
        raise
    return replace(result, source=replace(result.source, container=container))


def describe_foreign(head: bytes, size: int) -> str:
    """Says in one line what a file is that dumpmap does not read, by its first bytes."""
    if size == 0:
        return "empty file"
    for magic, meaning in _FOREIGN:
        if head.startswith(magic):
            return f"not a minidump: {meaning}"
    if head.startswith(b"\x7fELF"):
        kind = int.from_bytes(head[16:18], "little") if len(head) >= 18 else 0
        what = "an ELF core dump (Linux)" if kind == 4 else "an ELF file (Linux program or library)"
        return f"not a minidump: {what}"
    if b"google-breakpad" in head or b"MICRODUMP" in head:
        return "not a minidump: a Breakpad microdump (text in a system log), which holds no memory map"
    if head.count(0) == len(head):
        return "not a minidump: begins with zeros only, as a download or a copy that was cut short does"
    if b"\0" not in head and all(byte >= 32 or byte in b"\t\r\n\x1b" for byte in head[:512]):
        return "not a minidump: a text file"
    return f"not a format that dumpmap reads (begins with {head[:8].hex(' ')})"


# ---------------------------------------------------------------- compression


def _limit() -> int:
    try:
        return int(os.environ.get("DUMPMAP_MAX_DECOMPRESSED", ""))
    except ValueError:
        return MAX_DECOMPRESSED


def _unwrap(source: ByteSource) -> tuple[ByteSource, str | None]:
    """Decompresses a gzip, zstd or single-member zip file; anything else is returned as it is."""
    head = bytes(source.view(0, min(4, source.size)))
    if head[:2] == b"\x1f\x8b":
        return _collect(_gunzip(source), source.name), "gzip"
    if head == b"\x28\xb5\x2f\xfd":
        return _collect(_unzstd(source), source.name), "zstd"
    if head == b"PK\x03\x04":
        return _collect(_unzip(source), source.name), "zip"
    return source, None


def _input_chunks(source: ByteSource) -> Iterator[bytes]:
    for offset in range(0, source.size, _CHUNK):
        yield bytes(source.view(offset, min(_CHUNK, source.size - offset)))


def _collect(chunks: Iterator[bytes], name: str) -> BufferSource:
    """Gathers unpacked chunks in memory, or in a temporary file once they are many."""
    limit, total = _limit(), 0
    spool = cast("IO[bytes]", tempfile.SpooledTemporaryFile(max_size=IN_MEMORY))  # noqa: SIM115 - closed below
    try:
        for chunk in chunks:
            total += len(chunk)
            if total > limit:
                raise FormatError(f"unpacks to more than {limit} bytes ($DUMPMAP_MAX_DECOMPRESSED)", source=name)
            spool.write(chunk)
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


def _gunzip(source: ByteSource) -> Iterator[bytes]:
    """Unpacks gzip members; what could be unpacked of a cut-off file is kept, as a truncated dump still has a map."""
    decoder = zlib.decompressobj(wbits=31)
    got_any = False
    for chunk in _input_chunks(source):
        data = chunk
        while data:
            if decoder.eof:
                if not data.startswith(b"\x1f\x8b"):
                    return  # padding after the last member
                decoder = zlib.decompressobj(wbits=31)
            try:
                out = decoder.decompress(data, _CHUNK)
            except zlib.error as error:
                if got_any:
                    return
                raise FormatError(f"damaged gzip file: {error}", source=source.name) from None
            got_any = got_any or bool(out)
            yield out
            data = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
    while not decoder.eof:
        out = decoder.decompress(decoder.unconsumed_tail, _CHUNK)
        if not out:
            return
        yield out


def _unzstd(source: ByteSource) -> Iterator[bytes]:
    import zstandard

    # A frame may ask for a huge window: 2 GiB would be taken before a byte is read.
    decoder = zstandard.ZstdDecompressor(max_window_size=1 << 27)
    raw = _ChunkReader(_input_chunks(source))
    got_any = False
    try:
        with decoder.stream_reader(cast("IO[bytes]", raw), read_across_frames=True) as reader:
            while out := reader.read(_CHUNK):
                got_any = True
                yield out
    except zstandard.ZstdError as error:
        if not got_any:
            raise FormatError(f"damaged zstd file: {error}", source=source.name) from None


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


def _unzip(source: ByteSource) -> Iterator[bytes]:
    try:
        with zipfile.ZipFile(cast("IO[bytes]", _SeekableView(source))) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            if len(members) != 1:
                raise FormatError(
                    f"a zip archive of {len(members)} files; dumpmap reads one with a single file", source=source.name
                )
            with archive.open(members[0]) as file:
                while out := file.read(_CHUNK):
                    yield out
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, zlib.error, EOFError) as error:
        raise FormatError(f"damaged or unsupported zip file: {error}", source=source.name) from None
