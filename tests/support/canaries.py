"""Search of outputs for texts that must not be in them."""

from __future__ import annotations

import base64
import contextlib
import gzip
import re
import zlib
from collections.abc import Iterator

import zstandard


def readings(data: bytes, depth: int = 0) -> Iterator[bytes]:
    """Yields a file's content as it is, and what is packed or encoded in it."""
    yield data
    if depth > 3:
        return
    if data[:2] == b"\x1f\x8b":
        yield from readings(gzip.decompress(data), depth + 1)
    if data[:4] == b"\x28\xb5\x2f\xfd":
        yield from readings(zstandard.ZstdDecompressor().decompressobj().decompress(data), depth + 1)
    for text in re.findall(rb"[A-Za-z0-9+/]{16,}={0,2}", data):
        for skipped in range(4):  # four letters are three bytes; a word before them can belong to it
            part = text[skipped:]
            yield base64.b64decode(part[: len(part) // 4 * 4])
        with contextlib.suppress(ValueError, zlib.error):
            yield from readings(zlib.decompress(base64.b64decode(text), 47), depth + 1)
