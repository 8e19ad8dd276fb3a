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
from dumpmap.sources.zip_methods import Budget
from dumpmap.sources.zip_salvage import Chunks, ZipMember, local_header, local_members, local_opener

MOST_SEARCHED = 10_000
"""An archive with more files is not searched for its only input: the file must be named."""

MAX_TABLE = 8 << 20
"""A zip archive with a longer table of contents is refused: it has some hundred thousand files."""

_LISTED = 5
_LONGEST_NAME = 120
"""Names that a message lists."""

_ZIP_ERRORS: tuple[type[Exception], ...] = (
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
    ValueError,
    EOFError,
    IndexError,
    OverflowError,
    struct.error,
)
"""What `zipfile` raises for a table of contents that is damaged."""


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
        yield from _choose(members, is_input, wanted, source, notes).open(CHUNK, None)
        raise CutError("zip", source, "its table of contents") from None
    with archive:
        yield from _choose(_members(archive, source), is_input, wanted, source, notes).open(CHUNK, None)


def _members(archive: zipfile.ZipFile, source: ByteSource) -> list[ZipMember]:
    return [
        ZipMember(info.filename, _opener(info, source))
        for info in archive.infolist()
        if not info.filename.endswith("/")
    ]


def first_of_zip(source: ByteSource, is_input: Callable[[bytes], bool], most_members: int | None) -> bytes:
    """See `archive.first_bytes`. An archive that is cut off shows only its first file: the others cost unpacking."""
    try:
        archive = zipfile.ZipFile(cast("IO[bytes]", _SeekableView(source)))
    except _ZIP_ERRORS:
        return b"".join(_head_of(member, Budget(source)) for member in islice(local_members(source), 1))
    with archive:
        members = _members(archive, source)
        if len(members) > max(1, MOST_SEARCHED if most_members is None else most_members):
            return b""
        budget = Budget(source)
        heads = (_head_of(member, budget) for member in members)
        return next((head for head in heads if len(members) == 1 or is_input(head)), b"")


def _opener(info: zipfile.ZipInfo, source: ByteSource) -> Callable[[int, Budget | None], Chunks]:
    def chunks(size: int, budget: Budget | None = None) -> Chunks:
        header = local_header(source, info.header_offset)
        if header is None:
            raise FormatError(
                f"the zip file is damaged: {info.filename!r} is not where it should be", source=source.name
            )
        end = min(header.start + info.compress_size, source.size)
        checksum = 0
        for out in local_opener(source, info.filename, info.flag_bits, info.compress_type, header.start, end)(
            size, budget
        ):
            checksum = zlib.crc32(out, checksum)
            yield out
        if checksum != info.CRC:
            raise BrokenError("zip", ValueError(f"wrong checksum of {info.filename!r}"))

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
            count = "does not contain" if not named else f"contains {len(named):,} files"
            raise InputError(f"the zip archive {count} {wanted!r}; it contains {_listed(members)}", source=source.name)
        return named[0]
    if len(members) == 1:
        return members[0]
    text = f"a zip archive of {len(members):,} files"
    if len(members) > MOST_SEARCHED:
        raise FormatError(f"{text}; name the file to read: ARCHIVE{MEMBER_MARK}NAME", source=source.name)
    budget = Budget(source)
    inputs = [one for one in members if is_input(_head_of(one, budget))]
    if not inputs:
        contents = f": {_listed(members)}" if members else ""
        raise FormatError(f"{text}, but none is a dump or a snapshot{contents}", source=source.name)
    if len(inputs) > 1:
        example = f"ARCHIVE{MEMBER_MARK}{_shown(inputs[0].name)}"
        raise FormatError(
            f"{text} with {len(inputs):,} dumps or snapshots; name one, such as {example}: {_listed(inputs)}",
            source=source.name,
        )
    notes.append(f"{text}: dumpmap opened {inputs[0].name!r}, the only dump or snapshot in it")
    return inputs[0]


def _listed(members: Sequence[ZipMember]) -> str:
    names = ", ".join(_shown(one.name) for one in members[:_LISTED])
    return names + (f" and {len(members) - _LISTED:,} more" if len(members) > _LISTED else "")


def _shown(name: str) -> str:
    """Returns a name for a message, which is one line: a damaged archive has any bytes in its names."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in name[:_LONGEST_NAME])


def _head_of(member: ZipMember, budget: Budget) -> bytes:
    """Returns the first bytes of a file in an archive.

    Raises:
        LookingError: the budget is spent.
    """
    with contextlib.closing(member.open(HEAD, budget)) as chunks:
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
        if size > MAX_TABLE:
            raise FormatError(
                f"the zip archive has a table of contents of {size:,} bytes; dumpmap reads up to {MAX_TABLE:,}. "
                "Unpack it first",
                source=self._source.name,
            )
        left = max(0, self._source.size - self._at)
        take = left if size < 0 else min(size, left)
        data = bytes(self._source.view(self._at, take)) if take else b""
        self._at += take
        return data
