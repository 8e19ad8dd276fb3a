"""Cells of CSV files that only show what they say.

A spreadsheet takes them as text and does not run them as a formula: `dumpmap.model.formulas`. A terminal, or the log of
a CI system, gets no control characters and no further lines.

Other programs can ask for the values as they are: `dumpmap --raw`.
"""

from __future__ import annotations

from typing import Any

from dumpmap.model.formulas import as_text
from dumpmap.wording.text import printable


class _Mode:
    raw = False


def keep_raw(raw: bool) -> None:
    """Chooses for this process whether texts stay as they are."""
    _Mode.raw = raw


def csv_cell(value: Any) -> Any:
    """Returns a value for a CSV file; texts that a spreadsheet would run get an apostrophe in front."""
    if not isinstance(value, str) or _Mode.raw:
        return value
    text = as_text(value)
    return text if text.isascii() and text.isprintable() else printable(" ".join(text.splitlines()))
