"""Numbers as text. The one size formatter and the one address formatter of the program."""

from __future__ import annotations

from enum import StrEnum

MISSING = ""
"""How a value that is not known, or has no meaning here, is shown in a table."""


class Units(StrEnum):
    """How sizes are written in tables; JSON and CSV always carry bytes."""

    bytes = "bytes"
    kb = "kb"
    mb = "mb"
    auto = "auto"


_STEPS = ((1 << 40, "TB"), (1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB"))


def size_text(value: int | None, units: Units = Units.kb) -> str:
    """Writes a size: KB with thousands separators by default, as VMMap does (a part of a KB counts as one)."""
    if value is None:
        return MISSING
    if units is Units.bytes:
        return f"{value:,}"
    if units is Units.kb:
        return f"{-(-value // 1024):,}"
    if units is Units.mb:
        return f"{value / (1 << 20):,.1f}"
    return short_size(value)


def short_size(value: int) -> str:
    """Writes a size with the unit that suits it: `18.3 MB`."""
    sign = "-" if value < 0 else ""
    value = abs(value)
    for step, name in _STEPS:
        if value >= step:
            scaled = value / step
            # 412 MB, 41.2 MB, 4.12 MB would differ in width; one decimal is enough below 100.
            return f"{sign}{scaled:.0f} {name}" if scaled >= 100 or value % step == 0 else f"{sign}{scaled:.1f} {name}"
    return f"{sign}{value} bytes"


def unit_name(units: Units) -> str:
    """The unit to put into a heading; empty where each value carries its own."""
    return {Units.bytes: "bytes", Units.kb: "KB", Units.mb: "MB", Units.auto: ""}[units]


def address_text(value: int | None, width: int = 16) -> str:
    """Writes an address as `0x` and padded hex digits."""
    return MISSING if value is None else f"0x{value:0{width}x}"


def hex_text(value: int | None) -> str:
    """Writes a number as `0x` and as many hex digits as it has."""
    return MISSING if value is None else f"0x{value:x}"


def percent_text(value: float | None) -> str:
    """Writes a share (0 to 1) in percent."""
    return MISSING if value is None else f"{100 * value:.1f} %"
