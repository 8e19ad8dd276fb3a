"""Cells of CSV files that a spreadsheet shows as text and does not run as a formula: `dumpmap.model.formulas`.

Other programs can ask for the values as they are: `dumpmap --raw`.
"""

from __future__ import annotations

from typing import Any

from dumpmap.model.formulas import as_text


class _Mode:
    raw = False


def keep_raw(raw: bool) -> None:
    """Chooses for this process whether texts stay as they are."""
    _Mode.raw = raw


def csv_cell(value: Any) -> Any:
    """Returns a value for a CSV file; texts that a spreadsheet would run get an apostrophe in front."""
    return as_text(value) if isinstance(value, str) and not _Mode.raw else value
