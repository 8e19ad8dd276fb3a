"""Long packed content that repeats itself, made of what one of its parts packs to: in no time, however long it is."""

from __future__ import annotations

import bz2
import struct
import zlib

_BLOCK, _END = 0x3141_5926_5359, 0x1772_4538_5090
"""What a block of bzip2 begins with, and what follows the last one."""

_REFLECTED = 0xEDB8_8320
"""The polynomial of CRC-32, its highest power in the lowest bit."""


def repeated_bzip2(part: bytes, times: int) -> bytes:
    """Packs a part that fills at most one block, as one stream with that block many times.

    Blocks are not aligned to bytes. Behind the last one are its mark, the checksum of the whole, and up to 7 bits.
    """
    packed = bz2.compress(part)
    bits = int.from_bytes(packed, "big")
    spare = next(spare for spare in range(8) if bits >> (spare + 32) & (1 << 48) - 1 == _END)
    size = 8 * len(packed) - 32 - 80 - spare
    block = bits >> (80 + spare) & (1 << size) - 1
    assert block >> (size - 48) == _BLOCK
    checksum, stream = 0, bits >> (8 * len(packed) - 32)
    for _ in range(times):
        checksum = (checksum << 1 & 0xFFFF_FFFF | checksum >> 31) ^ (block >> (size - 80) & 0xFFFF_FFFF)
        stream = stream << size | block
    length = 32 + size * times + 80
    spare = -length % 8
    return ((stream << 80 | _END << 32 | checksum) << spare).to_bytes((length + spare) // 8, "big")


def repeated_gzip(head: bytes, part: bytes, times: int, tail: bytes) -> bytes:
    """Packs a head, a part many times, and a tail, as one stream: nothing in it refers to what is before its part."""
    deflate = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    first = deflate.compress(head) + deflate.flush(zlib.Z_FULL_FLUSH)
    again = deflate.compress(part) + deflate.flush(zlib.Z_FULL_FLUSH)
    last = deflate.compress(tail) + deflate.flush()
    checksum = zlib.crc32(head)
    step, after = _power(8 * len(part)), zlib.crc32(part)
    for _ in range(times):
        checksum = _product(checksum, step) ^ after
    checksum = zlib.crc32(tail, checksum)
    size = len(head) + len(part) * times + len(tail)
    start = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    return start + first + again * times + last + struct.pack("<II", checksum, size & 0xFFFF_FFFF)


def _product(one: int, other: int) -> int:
    """Multiplies two polynomials of CRC-32."""
    product = 0
    for power in range(32):
        if one >> (31 - power) & 1:
            product ^= other
        other = other >> 1 ^ (_REFLECTED if other & 1 else 0)
    return product


def _power(exponent: int) -> int:
    """The polynomial of one term with an exponent."""
    result, factor = 1 << 31, 1 << 30
    while exponent:
        if exponent & 1:
            result = _product(result, factor)
        factor, exponent = _product(factor, factor), exponent >> 1
    return result
