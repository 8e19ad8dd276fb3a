"""Texts that are folded or shortened at their blanks, and inside a word only where that leaves numbers whole.

`0x00007ff6` and `12340000` on two lines are two wrong addresses.
"""

from __future__ import annotations

import re
from typing import Any

_NUMBER = re.compile(r"0x[0-9a-fA-F]+|\d[\d.,]*")

_BLANK = re.compile(r"(?<!\d) | (?!(?:bytes|KB|MB|GB|TB|%)(?!\w))")
"""A blank to fold at: not the one between a figure and its unit."""

_PATH = re.compile(r"(?:^|\s)(?:/|\\\\|[A-Za-z]:[\\/])")
"""An absolute path in a text with blanks. Its end says more than its middle."""

_RAGGED = 4
"""A shortened text ends with a part of a word rather than before so many columns and a blank."""

_LOOSE_END = re.compile(r"(?:[ ,;:(/+]|\b(?:at|in|of|and|or))+$")
"""What says nothing at the end of a shortened text."""

LONGEST_NUMBER = 26
"""As long as the largest 64-bit number with separators. What is longer is an identifier."""


def width_of(text: str) -> int:
    """Returns the terminal columns that a text takes; East Asian letters take two."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def shortened(text: str, width: int) -> str:
    """Returns a text in at most so many columns.

    One that is too long gets an ellipsis: a path, and a name without blanks, in its middle; others at their end.
    """
    if width_of(text) <= width:
        return text
    keep = max(width - 1, 1)
    if " " not in text or _PATH.search(text):
        last = re.split(r"(?=[\\/])", text)[-1]
        end = last if last != text and width_of(last) < keep else _end(text, keep // 2, keep)
        return f"{_start(text, keep - width_of(end))}…{end}"
    words = folded(text, keep)[0]
    rest = _BLANK.split(text[len(words) :].lstrip(" "))[0]
    if keep - width_of(words) > _RAGGED and not _NUMBER.search(rest):
        words = _start(text, keep)
    return _LOOSE_END.sub("", words) + "…"


def _start(text: str, width: int) -> str:
    """Returns as much of the start of a text as has room without a part of a number."""
    end = len(text)
    while end and width_of(text[:end]) > width:
        end -= 1
    cut = next((number for number in _NUMBER.finditer(text) if number.start() < end < number.end()), None)
    return text[: end if cut is None else cut.start()]


def _end(text: str, width: int, most: int) -> str:
    """Returns as much of the end of a text as has room without a part of a number, of which `most` columns may be."""
    start = 0
    while start < len(text) and width_of(text[start:]) > width:
        start += 1
    cut = next((number for number in _NUMBER.finditer(text) if number.start() < start < number.end()), None)
    if cut is not None:
        start = cut.start() if width_of(text[cut.start() :]) <= most else cut.end()
    return text[start:]


def longest_number(text: str) -> int:
    """Returns the width below which a text cannot be folded without cutting a number."""
    return max((min(len(number), LONGEST_NUMBER) for number in _NUMBER.findall(text)), default=0)


def folded(text: str, width: int) -> list[str]:
    """Folds a text into lines of at most `width` columns."""
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in _BLANK.split(paragraph):
            longer = f"{line} {word}" if line else word
            if width_of(longer) <= width:
                line = longer
                continue
            if line:
                lines.append(line)
            *whole, line = _pieces(word, width)
            lines += whole
        lines.append(line)
    return lines


def _pieces(word: str, width: int) -> list[str]:
    """Cuts a word that is too long for a line, outside of its numbers if that is possible."""
    pieces = []
    while width_of(word) > width:
        most = 1
        while most < len(word) and width_of(word[: most + 1]) <= width:
            most += 1
        inside = next((number for number in _NUMBER.finditer(word) if number.start() < most < number.end()), None)
        cut = inside.start() if inside is not None and inside.start() > 0 else most
        pieces.append(word[:cut])
        word = word[cut:]
    return [*pieces, word]


class FoldedText:
    """A text for rich that is folded as `folded` does."""

    def __init__(self, text: str, style: str = "") -> None:
        self._text = text
        self._style = style

    def __rich_console__(self, console: Any, options: Any) -> Any:
        from rich.text import Text

        yield Text("\n".join(folded(self._text, options.max_width)), style=self._style)

    def __rich_measure__(self, console: Any, options: Any) -> Any:
        from rich.measure import Measurement

        widest = max(map(width_of, self._text.split("\n")))
        return Measurement(min(widest, options.max_width), min(widest, options.max_width))
