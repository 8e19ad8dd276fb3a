"""Texts that are folded at their blanks, and inside a word only where that leaves numbers whole.

`0x00007ff6` and `12340000` on two lines are two wrong addresses.
"""

from __future__ import annotations

import re
from typing import Any

_NUMBER = re.compile(r"0x[0-9a-fA-F]+|\d[\d.,]*")

_BLANK = re.compile(r"(?<!\d) | (?!(?:bytes|KB|MB|GB|TB|%)(?!\w))")
"""A blank to fold at: not the one between a figure and its unit."""

LONGEST_NUMBER = 26
"""As long as the largest 64-bit number with separators. What is longer is an identifier."""


def width_of(text: str) -> int:
    """Returns the terminal columns that a text takes; East Asian letters take two."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def shortened(text: str, width: int) -> str:
    """Returns a text in at most so many columns; one that is too long loses whole words and ends in an ellipsis."""
    if width_of(text) <= width:
        return text
    return folded(text, max(width - 1, 1))[0].rstrip(" ,;:(") + "…"


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
