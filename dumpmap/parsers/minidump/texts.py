"""Texts and numbers that a program wrote for people: cleaned, bounded, and read only if they are what they claim."""

from __future__ import annotations

import re

LONGEST_TEXT = 8192
"""Letters of a text that are kept; a stack of V8 in an annotation has up to 5,000."""

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_DIGITS = re.compile(r"0[xX][0-9a-fA-F]{1,16}|[0-9]{1,20}")
_LARGEST = (1 << 64) - 1


def clean(text: str, limit: int = LONGEST_TEXT) -> str:
    """Returns a text without control characters and blanks around it, no longer than `limit`; line breaks stay."""
    return _CONTROL.sub("", text[:limit].replace("\r\n", "\n")).strip()


def number(text: str | None) -> int | None:
    """Reads an unsigned number of up to 64 bits, decimal or with 0x; None for anything else."""
    text = (text or "").strip()
    if not _DIGITS.fullmatch(text):
        return None
    value = int(text, 16) if text[:2] in ("0x", "0X") else int(text)
    return value if value <= _LARGEST else None


def positive(text: str | None) -> int | None:
    """Reads a number like `number`; None for 0, which writers use for what they do not know."""
    return number(text) or None


def seconds(text: str | None) -> int | None:
    """Reads whole seconds from a decimal number with or without a fraction."""
    return number((text or "").strip().partition(".")[0])


def flag(text: str | None) -> bool | None:
    """Reads `0`, `1`, `false`, or `true`; None for anything else."""
    return {"1": True, "true": True, "0": False, "false": False}.get((text or "").strip().lower())
