"""Documents as JSON and tables as CSV: what other programs read. Sizes are bytes, addresses are `0x` hex."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

from dumpmap.views.cells import Records, Script, TableTexts, json_rows, pieces
from dumpmap.views.table import Column, Table, plain_value
from dumpmap.writers.csv_cells import csv_cell


def to_csv(table: Table) -> str:
    """Returns a table as CSV: a header line, and blanks for what is not known."""
    return "".join(csv_parts(table))


def csv_parts(table: Table) -> Iterator[str]:
    """Yields a table as CSV, piece by piece."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow([column.name for column in table.columns])
    yield text.getvalue()
    texts = TableTexts(table.columns, Script(_csv_text, "0x{:x}".format))
    alone = len(table.columns) == 1
    for piece in pieces(table):
        lines = list(map(",".join, zip(*map(texts.of, range(len(piece)), piece), strict=True)))
        if alone:  # an empty line would be no row
            lines = [line or '""' for line in lines]
        yield "\n".join([*lines, ""])


def _csv_text(value: Any, column: Column) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow([_csv_value(value, column), ""])
    return text.getvalue().removesuffix(",\n")


def _csv_value(value: Any, column: Column) -> Any:
    plain = plain_value(value, column)
    if plain is None:
        return ""
    if isinstance(plain, bool):
        return "true" if plain else "false"
    return csv_cell(plain)


def to_json(document: Any) -> str:
    """Returns a document as JSON text with one line break at its end."""
    return "".join(json_parts(document))


def json_parts(document: Any) -> Iterator[str]:
    """Yields a document as JSON text; `Records` in it piece by piece."""
    if not isinstance(document, dict) or not any(isinstance(value, Records) for value in document.values()):
        yield _json(document) + "\n"
        return
    before = "{\n "
    for name, value in document.items():
        yield f"{before}{_json(name)}: "
        before = ",\n "
        if isinstance(value, Records):
            yield from _record_parts(value.table)
        else:
            yield _json(value).replace("\n", "\n ")  # a line break inside a text is escaped
    yield "\n}\n"


def _record_parts(table: Table) -> Iterator[str]:
    before = "[\n  "
    for rows in json_rows(table, "{\n   ", ",\n   ", "\n  }"):
        yield before + ",\n  ".join(rows)
        before = ",\n  "
    yield "\n ]" if len(table.rows) else "[]"


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False)
