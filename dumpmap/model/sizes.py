"""Sizes with the unit that suits them: how names of limits, errors, and sentences write bytes."""

from __future__ import annotations

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
