"""Packed inputs: gzip, zstd, and zip archives, recognised by their first bytes and unpacked in one go, within bounds.

If a packed file is cut off or damaged, dumpmap reads what it can unpack before that place and adds a warning: the
streams of a dump are at its beginning.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from dumpmap.errors import FormatError, InputError
from dumpmap.model.snapshot import Container
from dumpmap.sources.compressed import gunzip, stated_size, unzstd
from dumpmap.sources.files import BufferSource, ByteSource
from dumpmap.sources.salvage import HEAD, as_far_as_possible, beginning_of
from dumpmap.sources.spool import collect

PACKED = _GZIP, _ZSTD, _ZIP = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK\x03\x04"
"""The first bytes of packed files."""

_PEEKED = 256 << 10
"""How much of a packed file is read for the first bytes of its content: zstd gives whole blocks of up to 128 KB."""


@dataclass(frozen=True)
class Unpacked:
    """The content of a packed file.

    Attributes:
        source: the bytes, under the name of the packed file.
        container: how they were packed.
        warnings: what is wrong with the packed file.
        notes: which of several files was chosen.
    """

    source: ByteSource
    container: Container
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def unpack(source: ByteSource, is_input: Callable[[bytes], bool], member: str | None = None) -> Unpacked | None:
    """Unpacks one layer; returns None for a file that is not packed.

    Args:
        source: the file.
        is_input: tells from the first bytes whether a file in an archive is an input.
        member: the file of an archive to unpack. Default: the only input in it.

    Raises:
        DumpmapError: nothing could be unpacked, or the content is too large.
    """
    head = bytes(source.view(0, min(4, source.size)))
    warnings: list[str] = []
    notes: list[str] = []
    container: Container
    if head == _ZIP:
        from dumpmap.sources.zip_archive import unzip

        container, chunks = "zip", unzip(source, is_input, member, notes)
    elif member is not None:
        raise InputError(f"is not a zip archive, so it cannot contain {member!r}", source=source.name)
    elif head[:2] == _GZIP:
        container, chunks = "gzip", as_far_as_possible(partial(gunzip, source))
    elif head == _ZSTD:
        container, chunks = "zstd", as_far_as_possible(partial(unzstd, source))
    else:
        return None
    stated = stated_size(source, container)
    unpacked = collect(chunks, source.name, warnings, packed=source.size, stated=stated)
    if unpacked.size == 0:
        raise FormatError(f"the {container} file unpacks to nothing: it is empty or cut off", source=source.name)
    return Unpacked(unpacked, container, tuple(warnings), tuple(notes))


def first_bytes(
    source: ByteSource, is_input: Callable[[bytes], bool], *, most_members: int | None = None
) -> bytes | None:
    """Returns the first bytes that `unpack` would give, and unpacks little more than these.

    If a zip archive contains several inputs, which `unpack` refuses, they are those of the first one.

    Args:
        source: the file.
        is_input: see `unpack`.
        most_members: a zip archive with more files is not searched. Default: as in `unpack`.

    Returns:
        up to 4 KB, none if nothing can be unpacked; None for a file that is not packed.
    """
    head = bytes(source.view(0, min(4, source.size)))
    if head == _ZIP:
        from dumpmap.sources.zip_archive import first_of_zip

        return first_of_zip(source, is_input, most_members)
    part = BufferSource(source.name, source.view(0, min(source.size, _PEEKED)))
    if head[:2] == _GZIP:
        return beginning_of(as_far_as_possible(partial(gunzip, part), HEAD))
    if head == _ZSTD:
        return beginning_of(as_far_as_possible(partial(unzstd, part), HEAD))
    return None
