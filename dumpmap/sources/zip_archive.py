"""Zip archives: the files in them, and the one to read."""

from __future__ import annotations

import contextlib
import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import IO, cast

from dumpmap.errors import FormatError, InputError
from dumpmap.sources.files import MEMBER_MARK, ByteSource
from dumpmap.sources.salvage import CHUNK, HEAD, BrokenError, CutError, beginning_of
from dumpmap.sources.zip_salvage import (
    DEFLATED,
    ENCRYPTED,
    STORED,
    Chunks,
    ZipMember,
    local_header,
    local_members,
    local_opener,
)

MOST_SEARCHED = 10_000
"""An archive with more files is not searched for its only input: the file must be named."""

_LISTED = 5
"""Names that a message lists."""

try:
    from lzma import LZMAError
except ImportError:  # this Python was built without it
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
"""What `zipfile` raises for archives that are damaged, encrypted, or compressed with a method that it does not know."""

_UNPACKING_ERRORS: tuple[type[Exception], ...] = (*_ZIP_ERRORS, OSError)
"""What unpacking a file raises; bz2 has no error of its own."""


def unzip(
    source: ByteSource, is_input: Callable[[bytes], bool], wanted: str | None, notes: list[str]
) -> Iterator[bytes]:
    """Unpacks one file of an archive: the wanted one, the only one, or the only one that is an input.

    Args:
        source: the archive.
        is_input: tells from the first bytes of a file whether it is an input.
        wanted: the name of the file.
        notes: gets a note if one of several files was chosen.

    Raises:
        DumpmapError: there is no such file, or several are inputs.
        DamageError: the archive is cut off or damaged.
    """
    try:
        archive = zipfile.ZipFile(cast("IO[bytes]", _SeekableView(source)))
    except _ZIP_ERRORS as error:
        # The table of contents is at the end. The files of an archive that is cut off can be found without it.
        members = list(islice(local_members(source), MOST_SEARCHED + 1))
        if not members:
            raise FormatError(f"the zip file is damaged or unsupported: {error}", source=source.name) from None
        yield from _choose(members, is_input, wanted, source, notes).open(CHUNK)
        raise CutError("zip", source, "its table of contents") from None
    with archive:
        yield from _choose(_members(archive, source), is_input, wanted, source, notes).open(CHUNK)


def _members(archive: zipfile.ZipFile, source: ByteSource) -> list[ZipMember]:
    return [
        ZipMember(info.filename, _opener(archive, info, source)) for info in archive.infolist() if not info.is_dir()
    ]


def first_of_zip(source: ByteSource, is_input: Callable[[bytes], bool], most_members: int | None) -> bytes:
    """See `archive.first_bytes`. An archive that is cut off shows only its first file: the others cost unpacking."""
    try:
        archive = zipfile.ZipFile(cast("IO[bytes]", _SeekableView(source)))
    except _ZIP_ERRORS:
        return b"".join(map(_head_of, islice(local_members(source), 1)))
    with archive:
        members = _members(archive, source)
        if len(members) > max(1, MOST_SEARCHED if most_members is None else most_members):
            return b""
        heads = map(_head_of, members)
        return next((head for head in heads if len(members) == 1 or is_input(head)), b"")


def _opener(archive: zipfile.ZipFile, info: zipfile.ZipInfo, source: ByteSource) -> Callable[[int], Chunks]:
    def chunks(size: int) -> Chunks:
        done = 0
        try:
            with archive.open(info) as file:
                while out := file.read(size):
                    done += len(out)
                    yield out
            return
        except _UNPACKING_ERRORS as error:
            broken, problem = BrokenError("zip", error), str(error)
        # zipfile gives nothing of a file with a wrong checksum.
        header = local_header(source, info.header_offset)
        if header is None or info.flag_bits & ENCRYPTED or info.compress_type not in (STORED, DEFLATED):
            if done:
                raise broken
            raise FormatError(f"the zip file is damaged or unsupported: {problem}", source=source.name)
        end = header.start + info.compress_size
        for out in local_opener(source, info.filename, info.flag_bits, info.compress_type, header.start, end)(size):
            before, done = done, done - len(out)
            if done < 0:
                yield out[before:]
                done = 0
        raise broken

    return chunks


def _choose(
    members: Sequence[ZipMember],
    is_input: Callable[[bytes], bool],
    wanted: str | None,
    source: ByteSource,
    notes: list[str],
) -> ZipMember:
    """Chooses a file of an archive.

    Raises:
        FormatError: none of the files is an input, or several are.
        InputError: no file has the wanted name, or several have it.
    """
    if wanted is not None:
        named = [one for one in members if one.name == wanted] or [
            one for one in members if one.name.rsplit("/", 1)[-1].lower() == wanted.lower()
        ]
        if len(named) != 1:
            count = "does not contain" if not named else f"contains {len(named)} files"
            raise InputError(f"the zip archive {count} {wanted!r}; it contains {_listed(members)}", source=source.name)
        return named[0]
    if len(members) == 1:
        return members[0]
    text = f"a zip archive of {len(members):,} files"
    if len(members) > MOST_SEARCHED:
        raise FormatError(f"{text}; name the file to read: ARCHIVE{MEMBER_MARK}NAME", source=source.name)
    inputs = [one for one in members if is_input(_head_of(one))]
    if not inputs:
        contents = f": {_listed(members)}" if members else ""
        raise FormatError(f"{text}, but none is a dump or a snapshot{contents}", source=source.name)
    if len(inputs) > 1:
        raise FormatError(
            f"{text} with {len(inputs)} dumps or snapshots; name one, such as ARCHIVE{MEMBER_MARK}{inputs[0].name}: "
            f"{_listed(inputs)}",
            source=source.name,
        )
    notes.append(f"{text}: dumpmap opened {inputs[0].name!r}, the only dump or snapshot in it")
    return inputs[0]


def _listed(members: Sequence[ZipMember]) -> str:
    names = ", ".join(one.name for one in members[:_LISTED])
    return names + (f" and {len(members) - _LISTED:,} more" if len(members) > _LISTED else "")


def _head_of(member: ZipMember) -> bytes:
    """Returns the first bytes of a file in an archive."""
    with contextlib.closing(member.open(HEAD)) as chunks:
        return beginning_of(chunks)


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
