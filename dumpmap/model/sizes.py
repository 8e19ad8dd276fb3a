"""Sizes with units: how limits, errors, and sentences write bytes, and how dumpmap reads what people write."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from typing import Literal

_STEPS = ((1 << 60, "EB"), (1 << 50, "PB"), (1 << 40, "TB"), (1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB"))


Rounding = Literal["nearest", "down", "up"]

_UNITS = {"bytes": (1, "bytes"), "kb": (1 << 10, "KB"), "mb": (1 << 20, "MB")}
OWN_UNIT = 1 << 40
"""From here up a size in KB or MB has its own unit: nobody reads that many digits."""


class _Asked:
    """The unit that a person asked for, and whether what is being written is for people."""

    unit: tuple[int, str] | None = None
    now = False


def ask_for_unit(name: str | None) -> None:
    """Chooses for this process the unit of all sizes that people read: `bytes`, `kb`, `mb`; else each has its own."""
    _Asked.unit = _UNITS.get(name or "")


def unit_is_asked() -> bool:
    """Returns whether what is being written is for a person who asked for a unit."""
    return _Asked.now and _Asked.unit is not None


@contextlib.contextmanager
def for_people() -> Iterator[None]:
    """Writes sizes in the unit that was asked for; outside, sentences for programs and files keep their units."""
    before, _Asked.now = _Asked.now, True
    try:
        yield
    finally:
        _Asked.now = before


def rounded_share(share: float | None) -> float | None:
    """Rounds a share to four digits, as plain data carries it: only all of it is 1, and only nothing is 0."""
    if share is None or share in (0, 1):
        return share
    rounded = round(share, 4)
    return 0.9999 if rounded == 1 > share else 0.0001 if rounded == 0 < share else rounded


def size_words(value: int) -> str:
    """Writes a size with the unit that suits it: `18 MB`, `15.8 MB`, `412 MB`."""
    return f"-{_size(-value, 'nearest', 1)[0]}" if value < 0 else _size(value, "nearest", 1)[0]


def size_left(value: int) -> str:
    """Writes how much is left of something: like `size_words`, but rounded down so that it never promises too much.

    For free space, the largest free block, the headroom of a stack, and the commit below a limit.
    """
    return size_words(value) if value < 0 else _size(value, "down", 1)[0]


def size_most(value: int) -> str:
    """Writes an upper bound: like `size_words`, but rounded up so that it never promises too little."""
    return size_words(value) if value < 0 else _size(value, "up", 1)[0]


def sizes_apart(*sizes: tuple[int, Rounding]) -> list[str]:
    """Writes sizes that a sentence compares, with as many decimals as it takes to see which of them is larger.

    Args:
        sizes: each in bytes, not negative, and how it is rounded: `nearest`, `down` for what is left, `up` for an
            upper bound.
    """
    exact = [value for value, _ in sizes]
    for decimals in range(1, _MOST_DECIMALS + 1):
        written = [_size(value, rounding, decimals) for value, rounding in sizes]
        if _order(exact) == _order([shown for _, shown in written]):
            return [text for text, _ in written]
    return [f"{value:,} {'byte' if value == 1 else 'bytes'}" for value in exact]


_MOST_DECIMALS = 4


def _order(values: Sequence[float]) -> list[int]:
    """Returns the rank of each value; equal ones have the same."""
    ranks = {value: rank for rank, value in enumerate(sorted(set(values)))}
    return [ranks[value] for value in values]


def _size(value: int, rounding: Rounding, decimals: int) -> tuple[str, float]:
    """Writes a size; three digits before the point take one decimal less. Returns also the number of bytes it shows.

    In a unit that a person asked for, sizes have the digits of the tables: one decimal in MB, and none in KB, where a
    part counts as one.
    """
    asked = _Asked.unit if _Asked.now else None
    if asked is not None and asked[0] == 1:
        return f"{value:,} {'byte' if value == 1 else 'bytes'}", value
    fixed = asked if value < OWN_UNIT else None
    if fixed == _UNITS["kb"] and decimals == 1 and rounding == "nearest":
        rounding = "up"
    for step, name in _STEPS if fixed is None else (fixed,):
        if value >= step or fixed is not None:
            fewer = step == 1 << 10 if fixed is not None else value >= 100 * step
            factor = 10 ** (decimals - 1 if fewer else decimals)
            count, rest = divmod(value * factor, step)
            # A tie goes to the even digit, as Python writes a float.
            count += rest > 0 if rounding == "up" else rounding == "nearest" and 2 * rest + count % 2 > step
            whole = value % step == 0 or (rounding == "up" and count % factor == 0)
            part = "" if whole or factor == 1 else f".{count % factor:0{len(str(factor)) - 1}d}"
            number = f"{count // factor:,}" if fixed is not None else str(count // factor)
            return f"{number}{part} {name}", count * step / factor
    return ("1 byte" if value == 1 else f"{value} bytes"), value


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
