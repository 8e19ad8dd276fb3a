"""Sizes with units: how limits, errors, and sentences write bytes, and how dumpmap reads what people write."""

from __future__ import annotations

import re

_STEPS = ((1 << 60, "EB"), (1 << 50, "PB"), (1 << 40, "TB"), (1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB"))


def size_words(value: int) -> str:
    """Writes a size with the unit that suits it: `18 MB`, `15.8 MB`, `412 MB`."""
    sign, value = ("-" if value < 0 else ""), abs(value)
    for step, name in _STEPS:
        if value >= step:
            scaled = value / step
            whole = scaled >= 100 or value % step == 0
            return f"{sign}{scaled:.0f} {name}" if whole else f"{sign}{scaled:.1f} {name}"
    return f"{sign}{value} bytes"


def size_left(value: int) -> str:
    """Writes how much is left of something: like `size_words`, but rounded down so that it never promises too much.

    For free space, the largest free block, the headroom of a stack, and the commit below a limit.
    """
    for step, name in _STEPS:
        if value >= step:
            tenths = 10 * value // step
            whole = tenths >= 1000 or value % step == 0
            return f"{tenths // 10} {name}" if whole else f"{tenths // 10}.{tenths % 10} {name}"
    return size_words(value)


def size_most(value: int) -> str:
    """Writes an upper bound: like `size_words`, but rounded up so that it never promises too little."""
    for step, name in _STEPS:
        if value >= step:
            tenths = -(-10 * value // step)
            whole = tenths >= 1000 or tenths % 10 == 0
            return f"{-(-tenths // 10)} {name}" if whole else f"{tenths // 10}.{tenths % 10} {name}"
    return size_words(value)


_NUMBER = re.compile(r"(?P<number>\d[\d_,]*(?:\.\d+)?)\s*(?P<unit>bytes|[kmgt]?i?b?)", re.IGNORECASE)
_FACTORS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_LARGEST = 1 << 62
"""Sizes are computed in signed 64-bit numbers, and no process uses a quarter of their range."""


def parse_number(text: str) -> tuple[float, bool] | None:
    """Parses a number with or without a unit of bytes: `65536`, `1,024`, `64KB`, `1.5 GB` (powers of 1024).

    Returns:
        the number, in bytes if it has a unit, and whether it has one; None if the text is something else.
    """
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        return None
    digits = match["number"].replace("_", "").replace(",", "")
    factor = _FACTORS.get(match["unit"][:1].lower(), 1)
    return (float(digits) if "." in digits else int(digits)) * factor, bool(match["unit"])


def parse_size(text: str) -> int:
    """Parses a size: `65536`, `64KB`, `1.5 GB` (powers of 1024), or `0x10000`.

    Raises:
        ValueError: the text is not a size, or the size exceeds any address space.
    """
    if re.fullmatch(r"\s*0x[0-9a-f_]+\s*", text, re.IGNORECASE):
        size = int(text.replace("_", ""), 16)
    else:
        number = parse_number(text)
        if number is None:
            raise ValueError(f"{text!r} is not a size. Use a number such as 65536, 64KB, 1.5GB, or 0x10000")
        size = int(number[0])
    if size > _LARGEST:
        raise ValueError(f"{text!r} exceeds any address space")
    return size
