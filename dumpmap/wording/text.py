"""Numbers as text. The one size formatter and the one address formatter of the program."""

from __future__ import annotations

from enum import StrEnum

from dumpmap.wording.numbers import percent_words, size_left
from dumpmap.wording.numbers import size_words as short_size

__all__ = [
    "MISSING",
    "Units",
    "address_text",
    "hex_text",
    "more_text",
    "percent_text",
    "printable",
    "short_size",
    "size_left",
    "size_text",
    "unit_name",
]

MISSING = ""
"""How a value that is not known, or has no meaning here, is shown in a table."""


class Units(StrEnum):
    """How sizes are written in tables; JSON and CSV always carry bytes."""

    bytes = "bytes"
    kb = "kb"
    mb = "mb"
    auto = "auto"


def size_text(value: int | None, units: Units = Units.kb, *, left: bool = False) -> str:
    """Writes a size: KB with thousands separators by default, as VMMap does (a part of a KB counts as one).

    Args:
        value: bytes; None is not known.
        units: the unit.
        left: it is how much is left of something: it is rounded down, never to promise more than there is.
    """
    if value is None:
        return MISSING
    if units is Units.bytes:
        return f"{value:,}"
    if units is Units.kb:
        return f"{value // 1024 if left else -(-value // 1024):,}"
    if units is Units.mb:
        tenths = 10 * value >> 20 if left else round(10 * value / (1 << 20))
        return f"{tenths / 10:,.1f}"
    return size_left(value) if left else short_size(value)


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
    """Writes a share (0 to 1) in percent, in tables as in sentences."""
    return MISSING if value is None else percent_words(value)


def more_text(count: int) -> str:
    """Says how many rows a limit left out."""
    return f"... and {count:,} more; --limit shows them"


def printable(text: str) -> str:
    """Replaces what would act on a terminal instead of being shown: names in a dump can be anybody's.

    Control characters, escape sequences, line and paragraph separators and marks that turn the writing direction.
    """
    return text if text.isprintable() else "".join(map(_shown, text))


def _shown(character: str) -> str:
    return character if character.isprintable() else "\N{REPLACEMENT CHARACTER}"
