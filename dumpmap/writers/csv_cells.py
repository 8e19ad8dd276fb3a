"""Cells of CSV files that a spreadsheet shows as text and does not run as a formula.

A cell that begins with one of these characters is a formula to Excel, LibreOffice, and Google Sheets, quoted or not. An
apostrophe before it makes it a text. Other programs can ask for the values as they are: `dumpmap --raw`.
"""

from __future__ import annotations

from typing import Any

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class _Mode:
    raw = False


def keep_raw(raw: bool) -> None:
    """Chooses for this process whether texts stay as they are."""
    _Mode.raw = raw


def csv_cell(value: Any) -> Any:
    """Returns a value for a CSV file; texts that a spreadsheet would run get an apostrophe in front."""
    if isinstance(value, str) and value.startswith(_FORMULA) and not _Mode.raw:
        return f"'{value}"
    return value
