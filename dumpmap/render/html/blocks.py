"""The blocks of a view for a notebook cell: what `diff`, `timeline`, and `diagnose` show, as HTML without scripts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dumpmap.model.types import TYPES, parse_type
from dumpmap.render.html.assets import template
from dumpmap.views.blocks import Block
from dumpmap.views.table import Column, Table, cell_text
from dumpmap.wording.text import Units, printable
from dumpmap.writers.snapshot_json import clean_text


def blocks_fragment(blocks: Iterable[Block], units: Units = Units.kb) -> str:
    """Returns blocks as HTML with inline styles. The template escapes every text."""
    parts = [
        (type(block).__name__, block, _table(block, units) if isinstance(block, Table) else None) for block in blocks
    ]
    return clean_text(template("blocks.html").render(parts=parts, printable=printable))


def _table(table: Table, units: Units) -> dict[str, Any]:
    """Returns the shown columns of a table, and its cells as texts, names of types with their colour."""
    shown = [(index, column) for index, column in enumerate(table.columns) if column.shown]
    return {
        "columns": [
            {"title": column.heading_in(units), "numeric": column.numeric, "folds": _folds(column)}
            for _, column in shown
        ],
        "rows": [
            [_cell(row[index], column, units, table.address_width) for index, column in shown] for row in table.rows
        ],
    }


def _folds(column: Column) -> bool:
    """Whether a cell can have several lines: words of a type, an address, and a size stay together."""
    return column.holds == "text" and column.name not in ("type", "status", "metric")


def _cell(value: Any, column: Column, units: Units, address_width: int) -> dict[str, Any]:
    text = cell_text(value, column, units, address_width)
    named = parse_type(text) if column.name == "type" else None
    return {"text": text, "color": None if named is None else TYPES[named].color}
