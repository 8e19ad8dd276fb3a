"""Numbers in sentences. Tables format their own; details of findings and the verdict's sentence are text already."""

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
