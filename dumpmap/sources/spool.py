"""Content of unknown length, such as an unpacked file or standard input, as a byte source."""

from __future__ import annotations

import contextlib
import mmap
import os
from collections.abc import Iterator
from typing import IO, cast

from dumpmap.errors import FormatError, InputError
from dumpmap.sources.files import BufferSource
from dumpmap.sources.salvage import DamageError

MAX_DECOMPRESSED = 64 << 30
"""A compressed input is not unpacked beyond this many bytes; $DUMPMAP_MAX_DECOMPRESSED overrides it."""

IN_MEMORY = 64 << 20
"""What unpacks to more than this goes to a temporary file."""


def collect(chunks: Iterator[bytes], name: str, warnings: list[str] | None = None) -> BufferSource:
    """Collects chunks in memory, or in a temporary file if they are large.

    Args:
        chunks: the content. `DamageError` ends it.
        name: the name of the input in messages.
        warnings: gets what is wrong with the packed file.

    Raises:
        DumpmapError: the content is too large, nothing could be unpacked, or the temporary file cannot be written.
    """
    import tempfile

    limit, total = size_limit(), 0
    spool = cast("IO[bytes]", tempfile.SpooledTemporaryFile(max_size=IN_MEMORY))  # noqa: SIM115 - closed below
    try:
        try:
            for chunk in chunks:
                total += len(chunk)
                if total > limit:
                    raise FormatError(
                        f"unpacks to more than {limit:,} bytes; set $DUMPMAP_MAX_DECOMPRESSED to allow more",
                        source=name,
                    )
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


def size_limit() -> int:
    """Returns how many bytes an input can unpack to."""
    try:
        return int(os.environ.get("DUMPMAP_MAX_DECOMPRESSED", ""))
    except ValueError:
        return MAX_DECOMPRESSED
