"""Mutations that know a little of what formats are made of: counts, sizes, offsets, and texts."""

from __future__ import annotations

import random

_NUMBERS = (0, 1, 2, 7, 8, 0x7F, 0x80, 0xFF, 0x1000, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 1 << 63, (1 << 64) - 1)
_TOKENS = (
    b"[",
    b"]",
    b"{",
    b"}",
    b'"',
    b"null",
    b"-1",
    b"18446744073709551615",
    b"1e999",
    b"\r",
    b"\0",
    b"<",
    b">",
    b"&",
)


def mutated(data: bytes, generator: random.Random, others: list[bytes]) -> bytes:
    """Returns a changed copy of one to eight mutations; `others` give pieces."""
    changed = bytearray(data)
    for _ in range(generator.choice((1, 1, 1, 2, 3, 8))):
        if not changed:
            break
        _mutate(changed, generator, others)
    return bytes(changed)


def _mutate(data: bytearray, generator: random.Random, others: list[bytes]) -> None:
    # Headers and tables are at the beginning of most formats.
    reach = generator.choice((64, 1024, len(data), len(data)))
    at = generator.randrange(min(reach, len(data)))
    match generator.randrange(8):
        case 0:
            data[at] ^= 1 << generator.randrange(8)
        case 1:
            data[at] = generator.randrange(256)
        case 2:
            size = generator.choice((1, 2, 4, 8))
            value = (generator.choice(_NUMBERS) + generator.choice((-1, 0, 1))) % (1 << 8 * size)
            data[at : at + size] = value.to_bytes(size, "little")
        case 3:
            del data[at : at + generator.choice((1, 4, 100))]
        case 4:
            data[at:at] = generator.choice(_TOKENS)
        case 5:
            other = generator.choice(others)
            start = generator.randrange(len(other))
            size = generator.choice((4, 16, 64, 400))
            data[at : at + size] = other[start : start + size]
        case 6:
            size = generator.choice((4, 12, 48, 200))
            data[at:at] = data[at : at + size] * generator.choice((1, 2, 5))
        case _:
            if generator.random() < 0.2:
                del data[at:]
            else:
                size = generator.choice((4, 16))
                data[at : at + size] = generator.choice((b"\0", b"\xff")) * size
