"""Documents as JSON and tables as CSV: what other programs read. Sizes are bytes, addresses are `0x` hex."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from dumpmap.views.table import Column, Table, plain_value
from dumpmap.writers.csv_cells import csv_cell


def to_csv(table: Table) -> str:
    """Returns a table as CSV: a header line, and blanks for what is not known."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([column.name for column in table.columns])
    for row in table.rows:
        writer.writerow([_csv_value(value, column) for column, value in zip(table.columns, row, strict=True)])
    return text.getvalue()


def _csv_value(value: Any, column: Column) -> Any:
    plain = plain_value(value, column)
    if plain is None:
        return ""
    if isinstance(plain, bool):
        return "true" if plain else "false"
    return csv_cell(plain)


def to_json(document: Any) -> str:
    """Returns a document as JSON text with one line break at its end."""
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
