"""Numbers as text, first in sentences and then in tables. The only formatters of sizes, shares, and addresses."""

from __future__ import annotations

from enum import StrEnum

from dumpmap.model.counts import count_words, part_words
from dumpmap.model.sizes import OWN_UNIT, size_left, size_most, size_words, sizes_apart, unit_is_asked

__all__ = [
    "MISSING",
    "Units",
    "address_text",
    "address_words",
    "cell_size",
    "count_words",
    "duration_words",
    "exact_size",
    "has_own_unit",
    "hex_text",
    "kb_text",
    "list_words",
    "more_text",
    "part_words",
    "percent_text",
    "percent_words",
    "printable",
    "rate_words",
    "short_size",
    "size_left",
    "size_most",
    "size_text",
    "size_words",
    "sizes_apart",
    "unit_name",
    "unit_text",
]

# ---------------------------------------------------------------- in sentences


def percent_words(share: float) -> str:
    """Writes a share (1 is all) in percent: `61 %`; below 10 and from 99 to 101 with a decimal.

    Only all of it is `100 %`, and only nothing is `0 %`. A use can exceed its limit: `104 %`.
    """
    percent = 100 * share
    if 100 < percent < 101:
        return f"{percent:.1f} %" if percent >= 100.05 else "over 100 %"
    if 0 < percent < 0.05:
        return "<0.1 %"
    if 99 < percent < 100:
        return f"{min(999, round(1000 * share)) / 10:.1f} %"
    return f"{percent:.1f} %" if abs(percent) < 10 and round(percent, 1) != round(percent) else f"{percent:.0f} %"


def duration_words(seconds: int) -> str:
    """Writes a duration in its two largest units: `3 d 4 h`, `2 h 5 min`, `12 s`."""
    for unit, size, smaller, part in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if seconds >= size:
            rest = seconds % size // part
            return f"{seconds // size:,} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{seconds} s"


_FEWEST = 5
"""Files that a rate needs: fewer say more about the start than about the pace."""


def rate_words(files: int, seconds: float) -> str:
    """Returns how many files were done per second; empty if they are too few, or the time too short, to say."""
    rate = round(files / seconds) if files >= _FEWEST and seconds >= 1 else 0
    return f"{count_words(rate, 'file')}/s" if rate else ""


def list_words(items: list[str], limit: int = 5) -> str:
    """Joins words with commas and `and`; beyond `limit` it says how many it leaves out."""
    if len(items) > limit:
        return ", ".join(items[:limit]) + f", and {len(items) - limit} more"
    return " and ".join(items) if len(items) < 3 else ", ".join(items[:-1]) + ", and " + items[-1]


def address_words(value: int) -> str:
    """Writes an address without padding: `0x13d0000`."""
    return f"0x{value:x}"


def sentence(text: str) -> str:
    """Makes the first letter a capital."""
    return text[:1].upper() + text[1:]


def whole_sentence(text: str) -> str:
    """Makes the first letter a capital, and ends a text that has no end with a full stop."""
    return sentence(text) + ("" if text.endswith((".", "!", "?")) else ".")


# ---------------------------------------------------------------- in tables

MISSING = ""
"""How a table shows a value that is unknown or has no meaning there."""

short_size = size_words


class Units(StrEnum):
    """How tables write sizes; JSON and CSV always carry bytes."""

    bytes = "bytes"
    kb = "kb"
    mb = "mb"
    auto = "auto"


def size_text(value: int | None, units: Units = Units.kb, *, left: bool = False) -> str:
    """Writes a size: KB with thousands separators by default, as VMMap does (a part of a KB counts as one).

    Args:
        value: bytes; None is unknown.
        units: the unit.
        left: whether the value is how much is left of something; it is then rounded down.
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
    return size_left(value) if left else size_words(value)


def has_own_unit(value: int, units: Units) -> bool:
    """Returns whether a size carries its own unit in a table of KB or MB: from 1 TB up, nobody reads the digits."""
    return abs(value) >= OWN_UNIT and units in (Units.kb, Units.mb)


def unit_text(value: int, units: Units, *, left: bool = False) -> str:
    """Writes a size with its unit; what is left of something is rounded down."""
    return f"{cell_size(value, units, left=left)} {'' if has_own_unit(value, units) else unit_name(units)}".rstrip()


def cell_size(value: int, units: Units, *, left: bool = False) -> str:
    """Writes a size for a table whose heading has the unit; a size with its own unit is written as in sentences."""
    return size_text(value, Units.auto if has_own_unit(value, units) else units, left=left)


def kb_text(value: int) -> str:
    """Writes a size in KB as tables do by default, or in the unit that a person asked for."""
    return size_words(value) if has_own_unit(value, Units.kb) or unit_is_asked() else f"{size_text(value)} KB"


def exact_size(value: int) -> str:
    """Writes how much is left of something in KB and in the unit that suits it: `18,432 KB (18 MB)`."""
    left = size_left(value)
    return left if has_own_unit(value, Units.kb) or unit_is_asked() else f"{size_text(value, left=True)} KB ({left})"


def unit_name(units: Units) -> str:
    """The unit for a column heading; empty if each value carries its own."""
    return {Units.bytes: "bytes", Units.kb: "KB", Units.mb: "MB", Units.auto: ""}[units]


def address_text(value: int | None, width: int = 16) -> str:
    """Writes an address as `0x` and padded hex digits."""
    return MISSING if value is None else f"0x{value:0{width}x}"


def hex_text(value: int | None) -> str:
    """Writes a number as `0x` and as many hex digits as it has."""
    return MISSING if value is None else f"0x{value:x}"


def percent_text(value: float | None) -> str:
    """Writes a share (0 to 1) in percent, as sentences do."""
    return MISSING if value is None else percent_words(value)


def more_text(count: int) -> str:
    """Says how many rows a limit left out."""
    return f"... and {count:,} more; --limit shows them"


def more_in_document_text(count: int) -> str:
    """Says the same to a reader of the Python API."""
    return f"... and {count:,} more; to_dict() has them all"


_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters and marks that Unicode counts as printable although nobody sees them."""


def printable(text: str) -> str:
    """Replaces characters that would act on a terminal instead of being shown: names in a dump can be anybody's.

    These are control characters, escape sequences, line and paragraph separators, marks that turn the writing
    direction, and letters without a width or an image. `dumpmap.render` applies it to all that it draws.
    """
    return text if text.isprintable() and _INVISIBLE.isdisjoint(text) else "".join(map(_shown, text))


def _shown(character: str) -> str:
    visible = character.isprintable() and character not in _INVISIBLE
    return character if visible else "\N{REPLACEMENT CHARACTER}"
