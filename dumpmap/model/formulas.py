"""What a spreadsheet would run: cells of CSV files that begin like a formula, and the apostrophe that makes them texts.

Excel, LibreOffice, and Google Sheets take a cell for a formula, quoted or not, if it begins with one of a few
characters. An apostrophe before it makes it a text.
"""

from __future__ import annotations

import re

_FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
"""How a formula begins, also in the wide forms of East Asia. Apostrophes of the text in front stay distinct."""


def is_formula(text: str) -> bool:
    """Tells whether a text needs an apostrophe, because it begins like a formula, or like one with apostrophes."""
    return _FORMULA.match(text) is not None


def as_text(text: str) -> str:
    """Returns a cell that every spreadsheet shows as the text."""
    return f"'{text}" if is_formula(text) else text


def from_cell(cell: str) -> str:
    """Returns the text of a cell that `as_text` made."""
    return cell[1:] if cell.startswith("'") and is_formula(cell) else cell
