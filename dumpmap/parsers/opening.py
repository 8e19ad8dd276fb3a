"""From a path, a buffer or a file object to a snapshot: sniffing, unwrapping, choosing the parser.

The format is told by content, never by suffix. What dumpmap does not read is named in one line, because "not a
minidump" does not help somebody who was sent a kernel dump.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, cast

from dumpmap.errors import DumpmapError, FormatError, InputError
from dumpmap.model.snapshot import Container, Snapshot
from dumpmap.parsers.minidump.reader import read_minidump
from dumpmap.sources.archive import CHUNK, MEMBER_MARK, collect, first_bytes, unpack
from dumpmap.sources.files import BufferSource, ByteSource, map_file

Input = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO
"""What `dumpmap.open` takes: a path, the bytes themselves, or a binary file."""

MAX_TEXT = 4 << 30
"""Longest JSON, XML or CSV that is read."""

_HEAD = 4096

# VMMap's CSV and TXT begin with the process; without that line, with the heading of one of its tables.
_VMMAP_TEXT = re.compile(r'"?(Process:|(Type|Address)"?\s*[,;\t ]\s*"?(Size|Type))')

# What a file must show besides that where nobody says that it is an input: reports of crashes on macOS begin with
# `Process:`, and `<root>` is the root of many an XML file.
_VMMAP_TITLE = re.compile(r'"Process:|Process:.*\s+PID:')
_VMMAP_HEADINGS = ("Type", "Size", "Committed")
_VMMAP_XML = re.compile(r"(<\?xml[^>]*>\s*)?<root\b.*<(Snapshots?|Region)\b", re.DOTALL)

_PACKED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK\x03\x04")

MOST_MEMBERS = 256
"""A zip archive of more files is not searched for an input, unless it is named."""

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
        source: a path (`-` is standard input, `x.zip::y.dmp` a file in an archive), bytes, or a binary file that is
            read from where it stands.
        name: what to call it in messages, where `source` is not a path.
        snapshot: which snapshot of a VMMap file that holds several, counted from 1; the last by default.

    Raises:
        DumpmapError: it cannot be read.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        return read_source(BufferSource(name or "<bytes>", source), snapshot=snapshot)
    if isinstance(source, (str, os.PathLike)):
        text = os.fspath(source)
        if not text:
            raise InputError("the name of the input is empty")
        if text == "-":
            if sys.stdin is None:
                raise InputError("is closed", source="standard input")
            return _from_file(cast("BinaryIO", sys.stdin.buffer), name or "<stdin>", snapshot)
        if "://" in text:
            from dumpmap.sources.remote import remote_source

            remote = remote_source(text)
            return read_source(remote, path=remote.name, snapshot=snapshot)
        kind = _kind_of(text)
        if not kind and MEMBER_MARK in text:
            archive, _, member = text.partition(MEMBER_MARK)
            return read_source(map_file(archive, name or text), path=text, snapshot=snapshot, member=member)
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
        while chunk := file.read(CHUNK):
            yield memoryview(chunk).tobytes()  # a text file's chunk is no buffer: TypeError

    return read_source(collect(chunks(), str(name)), snapshot=snapshot)


def read_source(
    source: ByteSource,
    *,
    path: str | None = None,
    snapshot: int | None = None,
    member: str | None = None,
    debug_ids: bool = True,
) -> Snapshot:
    """Reads a snapshot out of a byte source, unwrapping one layer of compression.

    Args:
        source: the bytes.
        path: where they come from, for the record.
        snapshot: which snapshot of a VMMap file that holds several.
        member: which file of a zip archive; the only input in it where None.
        debug_ids: whether to read which debug file belongs to each module of a minidump.

    Raises:
        DumpmapError: it cannot be read.
    """
    unpacked = unpack(source, is_input, member)
    if unpacked is None:
        return _read(source, path, snapshot, None, debug_ids)
    try:
        result = _read(unpacked.source, path, snapshot, unpacked.container, debug_ids)
    except FormatError as error:
        # A JSON text that ends in the middle, say, does so because its archive does.
        error.problem = "; ".join([error.problem, *unpacked.notes, *unpacked.warnings])
        raise
    if not unpacked.warnings and not unpacked.notes:
        return result
    return replace(
        result,
        source=replace(result.source, notes=unpacked.notes),
        warnings=(*unpacked.warnings, *result.warnings),
    )


def _read(
    source: ByteSource, path: str | None, snapshot: int | None, container: Container | None, debug_ids: bool
) -> Snapshot:
    if snapshot is not None and snapshot < 1:
        raise InputError(f"has no snapshot {snapshot}; they are counted from 1", source=source.name)
    head = bytes(source.view(0, min(_HEAD, source.size)))
    if head.startswith(b"MDMP"):
        _one_snapshot(source, snapshot)
        read = read_minidump(source, path=path, container=container, debug_ids=debug_ids)
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


def begins_like_input(path: str) -> bool:
    """Whether a local file that nobody named begins like an input, packed or not. Little of it is read.

    A zip archive of several files is searched if it is called `.zip` or has no suffix at all: programs and
    documents are zip archives, too.
    """
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - faster than pathlib
            head = file.read(_HEAD)
        if not head.startswith(_PACKED):
            return is_input(head)
        suffix = os.path.splitext(path)[1].lower()  # noqa: PTH122
        members = MOST_MEMBERS if suffix in (".zip", "") else 1
        return is_input(first_bytes(map_file(path), is_input, most_members=members) or b"")
    except Exception:  # whatever is wrong with it, nobody asked for this file
        return False


def is_input(head: bytes) -> bool:
    """Whether the beginning of a file is an input's; other JSON, CSV, text and XML files are not."""
    if head.startswith(b"MDMP"):
        return True
    text = _text_head(head)
    if text is None:
        return False
    start = text.lstrip()
    if start.startswith("{"):
        return '"dumpmap-snapshot"' in start
    if start.startswith("<"):
        return _VMMAP_XML.match(start) is not None
    if _VMMAP_TEXT.match(start) is None:
        return False
    return _VMMAP_TITLE.match(start) is not None or any(
        all(heading in line for heading in _VMMAP_HEADINGS) for line in start.splitlines()
    )


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
    source: ByteSource, text: str, path: str | None, container: Container | None, snapshot: int | None
) -> Snapshot | None:
    start = text.lstrip()
    is_json = start.startswith("{")
    is_xml = start.startswith("<")
    is_csv = _VMMAP_TEXT.match(start) is not None
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
            from dumpmap.parsers.snapshot_json.reader import load_snapshot

            return load_snapshot(data, name=name, path=path, container=container)
        if is_xml:
            from dumpmap.parsers.vmmap.mmp import load_mmp

            result = load_mmp(data, name=name, path=path, snapshot_index=snapshot)
        else:
            from dumpmap.parsers.vmmap.text import load_vmmap_csv

            result = load_vmmap_csv(data, name=name, path=path)
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
