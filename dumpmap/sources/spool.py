"""Content of unknown length, such as an unpacked file or standard input, as a byte source."""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Iterator
from typing import IO, cast

from dumpmap.errors import FormatError, InputError, reason_of
from dumpmap.model.limits import DECOMPRESSED, RATIO
from dumpmap.sources.files import BufferSource
from dumpmap.sources.salvage import DamageError

IN_MEMORY = 32 << 20
"""What unpacks to more than this goes to a temporary file."""

MAX_ANY_RATIO = 1 << 30
"""Content of so many bytes is unpacked whatever its packed size; beyond it, $DUMPMAP_MAX_RATIO applies."""


class _Content:
    """Where content goes: into one buffer of the size that it states, or into memory, or into a temporary file."""

    def __init__(self, stated: int) -> None:
        import tempfile

        self._spool = cast("IO[bytes]", tempfile.SpooledTemporaryFile(max_size=IN_MEMORY))  # noqa: SIM115
        self._buffer = bytearray(stated if stated <= IN_MEMORY else 0)
        self._filled = 0

    def write(self, chunk: bytes) -> None:
        """Adds a chunk."""
        start, self._filled = self._filled, self._filled + len(chunk)
        if self._filled <= len(self._buffer):
            self._buffer[start : self._filled] = chunk
            return
        if self._buffer:  # there is more than was stated
            self._spool.write(memoryview(self._buffer)[:start])
            self._buffer = bytearray()
        self._spool.write(chunk)

    def source(self, name: str) -> BufferSource:
        """Returns everything."""
        if self._buffer:
            return BufferSource(name, memoryview(self._buffer)[: self._filled])
        if self._filled <= IN_MEMORY:
            self._spool.seek(0)
            return BufferSource(name, self._spool.read())
        self._spool.flush()
        return BufferSource(name, mmap.mmap(self._spool.fileno(), 0, access=mmap.ACCESS_READ))

    def close(self) -> None:
        """Deletes the temporary file. The mapping or the copy outlives it."""
        self._spool.close()


def collect(
    chunks: Iterator[bytes],
    name: str,
    warnings: list[str] | None = None,
    *,
    packed: int | None = None,
    stated: int = 0,
) -> BufferSource:
    """Collects chunks in memory, or in a temporary file if they are large.

    Args:
        chunks: the content. `DamageError` ends it.
        name: the name of the input in messages.
        warnings: gets what is wrong with the packed file.
        packed: the size of the packed file; None if the content is not packed.
        stated: the size of the content by the packed file, which may lie; 0 if it does not say. Content of this size
            is unpacked into one buffer.

    Raises:
        DumpmapError: the content is too large, nothing could be unpacked, or the temporary file cannot be written.
    """
    total, limit, bound = 0, DECOMPRESSED.value, DECOMPRESSED
    if packed is not None and (room := max(MAX_ANY_RATIO, packed * RATIO.value)) < limit:
        limit, bound = room, RATIO
    content = _Content(stated)
    try:
        try:
            for chunk in chunks:
                total += len(chunk)
                if total > limit:
                    what = "has" if packed is None else "unpacks to"
                    raise FormatError(f"{what} more than {limit:,} bytes; {bound.hint}", source=name)
                content.write(chunk)
        except DamageError as damage:
            if total == 0:
                raise FormatError(damage.nothing, source=name) from None
            if warnings is not None:
                warnings.append(f"{damage}; dumpmap unpacked the {total:,} bytes before that")
        return content.source(name)
    except OSError as error:
        what = "kept in" if packed is None else "unpacked to"
        raise InputError(f"cannot be {what} a temporary file: {reason_of(error)}", source=name) from error
    finally:
        # The mapping or the copy outlives the file.
        with contextlib.suppress(OSError):
            content.close()
