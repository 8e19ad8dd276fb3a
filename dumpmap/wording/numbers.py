"""Numbers in sentences, for the analysis, whose findings and verdicts are text already, and for what shows them."""

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
    """Writes how much is left of something, like `size_words` but rounded down, never to promise more than there is.

    For what is free, the largest free block, the headroom of a stack, the commit below a limit.
    """
    for step, name in _STEPS:
        if value >= step:
            tenths = 10 * value // step
            whole = tenths >= 1000 or value % step == 0
            return f"{tenths // 10} {name}" if whole else f"{tenths // 10}.{tenths % 10} {name}"
    return size_words(value)


def percent_words(share: float) -> str:
    """Writes a share (0 to 1) in percent: `61 %`; small ones with a decimal."""
    percent = 100 * share
    return f"{percent:.1f} %" if abs(percent) < 10 and round(percent, 1) != round(percent) else f"{percent:.0f} %"


def count_words(count: int, one: str, many: str | None = None) -> str:
    """Writes a count with its noun: `1 heap`, `12 heaps`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def list_words(items: list[str], limit: int = 5) -> str:
    """Joins words with commas and `and`; beyond `limit` says how many are left out."""
    if len(items) > limit:
        return ", ".join(items[:limit]) + f" and {len(items) - limit} more"
    return " and ".join(items) if len(items) < 3 else ", ".join(items[:-1]) + " and " + items[-1]


def address_words(value: int) -> str:
    """Writes an address without padding: `0x13d0000`."""
    return f"0x{value:x}"
