"""Content of unknown length, such as an unpacked file or standard input, as a byte source."""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Iterator
from typing import IO, cast

from dumpmap.errors import FormatError, InputError
from dumpmap.model.limits import DECOMPRESSED, RATIO
from dumpmap.sources.files import BufferSource
from dumpmap.sources.salvage import DamageError

IN_MEMORY = 32 << 20
"""What unpacks to more than this goes to a temporary file."""

MAX_ANY_RATIO = 1 << 30
"""Content of so many bytes is unpacked whatever its packed size; beyond it, $DUMPMAP_MAX_RATIO applies."""


def collect(
    chunks: Iterator[bytes], name: str, warnings: list[str] | None = None, *, packed: int | None = None
) -> BufferSource:
    """Collects chunks in memory, or in a temporary file if they are large.

    Args:
        chunks: the content. `DamageError` ends it.
        name: the name of the input in messages.
        warnings: gets what is wrong with the packed file.
        packed: the size of the packed file; None if the content is not packed.

    Raises:
        DumpmapError: the content is too large, nothing could be unpacked, or the temporary file cannot be written.
    """
    import tempfile

    total, limit, bound = 0, DECOMPRESSED.value, DECOMPRESSED
    if packed is not None and (room := max(MAX_ANY_RATIO, packed * RATIO.value)) < limit:
        limit, bound = room, RATIO
    spool = cast("IO[bytes]", tempfile.SpooledTemporaryFile(max_size=IN_MEMORY))  # noqa: SIM115 - closed below
    try:
        try:
            for chunk in chunks:
                total += len(chunk)
                if total > limit:
                    raise FormatError(f"unpacks to more than {limit:,} bytes; {bound.hint}", source=name)
                spool.write(chunk)
        except DamageError as damage:
            if total == 0:
                raise FormatError(damage.nothing, source=name) from None
            if warnings is not None:
                warnings.append(f"{damage}; dumpmap unpacked the {total:,} bytes before that")
        if total <= IN_MEMORY:
            spool.seek(0)
            return BufferSource(name, spool.read())
        spool.flush()
        return BufferSource(name, mmap.mmap(spool.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError as error:
        raise InputError(f"cannot be unpacked to a temporary file: {error.strerror or error}", source=name) from error
    finally:
        # The mapping or the copy outlives the file.
        with contextlib.suppress(OSError):
            spool.close()
