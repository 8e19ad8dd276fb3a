"""From a path, a buffer, or a file object to a snapshot: unpacking, recognising the format, and choosing the parser."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import BinaryIO, cast

from dumpmap.errors import DumpmapError, FormatError, InputError, reason_of
from dumpmap.model.limits import TEXT
from dumpmap.model.plausible import guarded
from dumpmap.model.snapshot import Container, Snapshot
from dumpmap.parsers.minidump.reader import read_minidump
from dumpmap.parsers.recognition import HEAD, InputFormat, describe_foreign, input_format, is_input
from dumpmap.sources.archive import PACKED, unpack
from dumpmap.sources.files import MEMBER_MARK, BufferSource, ByteSource, open_file
from dumpmap.sources.salvage import CHUNK
from dumpmap.sources.spool import collect

Input = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO
"""What `dumpmap.open` takes: a path, the bytes themselves, or a binary file."""


def open_snapshot(source: Input, *, name: str | None = None, snapshot: int | None = None) -> Snapshot:
    """Opens any supported input.

    Args:
        source: a path or URL (`-` is standard input, `x.zip::y.dmp` a file in an archive), bytes, or a binary file,
            which is read from its current position.
        name: the name of the input in messages if `source` is not a path.
        snapshot: which snapshot of a VMMap file to read, counted from 1. Default: the last.

    Raises:
        DumpmapError: the input cannot be read.
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
            return read_source(open_file(archive, name or text), path=text, snapshot=snapshot, member=member)
        if stat.S_ISFIFO(kind):  # a named pipe, or the shell's <(...)
            with Path(text).open("rb") as pipe:
                return _from_file(pipe, name or text, snapshot)
        if stat.S_ISCHR(kind) or stat.S_ISBLK(kind):
            raise InputError("is a device, not a file", source=text)
        return read_source(open_file(text, name), path=text, snapshot=snapshot)
    if hasattr(source, "read"):
        return _from_file(source, name or getattr(source, "name", None) or "<file>", snapshot)
    raise TypeError(f"expected a path, bytes or a binary file, not {type(source).__name__}")


def _kind_of(path: str) -> int:
    """Returns the mode bits of a path; 0 if there is no such file, which the attempt to open it will report."""
    try:
        return os.stat(path).st_mode  # noqa: PTH116 - pathlib takes longer than the call itself
    except (OSError, ValueError):
        return 0


def _from_file(file: BinaryIO, name: str, snapshot: int | None) -> Snapshot:
    def chunks() -> Iterator[bytes]:
        try:
            while chunk := file.read(CHUNK):
                yield memoryview(chunk).tobytes()  # TypeError for the str of a file in text mode
        except OSError as error:
            raise InputError(f"cannot be read: {reason_of(error)}", source=str(name)) from error

    return read_source(collect(_looked_at(chunks(), str(name)), str(name)), snapshot=snapshot)


def _looked_at(chunks: Iterator[bytes], name: str) -> Iterator[bytes]:
    """Passes on the content of a stream if it begins like an input, and no more of a text than is read of one.

    A stream can be endless, and what is not packed shows by its first bytes whether keeping it makes sense.
    """
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= HEAD:
            break
    found = None if head.startswith(PACKED) else input_format(head[:HEAD])
    if head and found is None and not head.startswith(PACKED):
        raise FormatError(describe_foreign(head[:HEAD], len(head)), source=name)
    total, most = 0, None if found in (None, InputFormat.MINIDUMP) else TEXT.value
    for chunk in chain((head,), chunks):
        total += len(chunk)
        if most is not None and total > most:
            raise FormatError(f"is a text of more than {most:,} bytes; {TEXT.hint}", source=name)
        yield chunk


def read_source(
    source: ByteSource,
    *,
    path: str | None = None,
    snapshot: int | None = None,
    member: str | None = None,
    debug_ids: bool = True,
) -> Snapshot:
    """Reads a snapshot from a byte source, and unpacks one layer of compression.

    Args:
        source: the bytes.
        path: where they come from, for the record.
        snapshot: which snapshot of a VMMap file to read. Default: the last.
        member: which file of a zip archive to read. Default: the only input in it.
        debug_ids: whether to read the identity of each module's debug file from a minidump.

    Raises:
        DumpmapError: the input cannot be read.
    """
    unpacked = unpack(source, is_input, member)
    if unpacked is None:
        return _read(source, path, snapshot, None, debug_ids)
    try:
        result = _read(unpacked.source, path, snapshot, unpacked.container, debug_ids)
    except FormatError as error:
        # A JSON text can end in the middle, for example, because its archive does.
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
        raise InputError(f"has no snapshot {snapshot}; snapshots are counted from 1", source=source.name)
    head = bytes(source.view(0, min(HEAD, source.size)))
    found = input_format(head)
    if found is None:
        raise FormatError(describe_foreign(head, source.size), source=source.name)
    if found is not InputFormat.VMMAP_XML and snapshot not in (None, 1):
        raise InputError(f"has no snapshot {snapshot}; only VMMap's .mmp can hold several", source=source.name)
    if found is InputFormat.MINIDUMP:
        return guarded(_read_minidump(source, path, container, debug_ids))
    return guarded(_read_text(source, found, path, container, snapshot))


def _read_minidump(source: ByteSource, path: str | None, container: Container | None, debug_ids: bool) -> Snapshot:
    result = read_minidump(source, path=path, container=container, debug_ids=debug_ids)
    if result.regions is None and not (result.modules or result.threads or result.captured):
        faults = "; ".join(result.warnings[:2]) or "it has no such stream"
        raise FormatError(
            f"the minidump has no readable regions, modules, threads, or memory: {faults}", source=source.name
        )
    return result


def _read_text(
    source: ByteSource, found: InputFormat, path: str | None, container: Container | None, snapshot: int | None
) -> Snapshot:
    if source.size > TEXT.value:
        raise FormatError(
            f"is a text of {source.size:,} bytes; dumpmap reads texts of up to {TEXT.value:,} bytes; {TEXT.hint}",
            source=source.name,
        )
    data = source.view(0, source.size)
    name = source.name.replace("\\", "/").rsplit("/", 1)[-1]
    try:
        if found is InputFormat.SNAPSHOT_JSON:
            from dumpmap.parsers.snapshot_json.reader import load_snapshot

            return load_snapshot(data, name=name, path=path, container=container)
        if found is InputFormat.VMMAP_XML:
            from dumpmap.parsers.vmmap.mmp import load_mmp

            result = load_mmp(data, name=name, path=path, snapshot_index=snapshot)
        else:
            from dumpmap.parsers.vmmap.text import load_vmmap_csv

            result = load_vmmap_csv(data, name=name, path=path)
    except DumpmapError as error:
        error.source = source.name
        raise
    return replace(result, source=replace(result.source, container=container))
