"""Sizes as text: how people write them, and how names of limits, errors, and sentences do."""

from __future__ import annotations

import re

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?", re.IGNORECASE)
_FACTORS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_LARGEST = 1 << 62
"""Sizes are computed in signed 64-bit numbers, and no process uses a quarter of their range."""

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


def parse_size(text: str) -> int:
    """Reads a size: `65536`, `64KB`, `1.5 GB` (powers of 1024), `0x10000`.

    Raises:
        ValueError: the text is not a size, or the size exceeds any address space.
    """
    cleaned = text.strip().replace(",", "").replace("_", "")
    match = _SIZE.fullmatch(cleaned)
    if re.fullmatch(r"0x[0-9a-f]+", cleaned, re.IGNORECASE):
        size = int(cleaned, 16)
    elif match is None:
        raise ValueError(f"{text!r} is not a size; write 65536, 64KB, 1.5GB or 0x10000")
    else:
        factor = _FACTORS[match[2].lower()]
        size = int(float(match[1]) * factor) if "." in match[1] else int(match[1]) * factor
    if size > _LARGEST:
        raise ValueError(f"{text!r} is more than any address space has")
    return size
