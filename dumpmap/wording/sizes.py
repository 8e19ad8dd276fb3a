"""Sizes as people write them."""

from __future__ import annotations

import re

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?", re.IGNORECASE)
_FACTORS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_LARGEST = 1 << 62
"""Sizes are computed in signed 64-bit numbers, and no process uses a quarter of their range."""


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
        raise ValueError(f"{text!r} is not a size. Write 65536, 64KB, 1.5GB, or 0x10000")
    else:
        factor = _FACTORS[match[2].lower()]
        size = int(float(match[1]) * factor) if "." in match[1] else int(match[1]) * factor
    if size > _LARGEST:
        raise ValueError(f"{text!r} is larger than any address space")
    return size
