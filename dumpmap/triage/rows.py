"""Rows: an empty one, its rank in the table, and its packed form."""

from __future__ import annotations

import msgspec

from dumpmap.analysis.rules import SEVERITIES
from dumpmap.triage.columns import NAMES, RowStatus, TriageRow

RANKS = (*SEVERITIES, "no finding", "error", "skipped")
"""What a row's rank stands for: the severity of its worst finding, or why it has none. The table starts with rank 0."""

_EMPTY: TriageRow = dict.fromkeys(NAMES)


def empty_row(path: str, status: RowStatus, *, size: int | None = None, error: str | None = None) -> TriageRow:
    """Returns a row that holds nothing but the outcome."""
    row = dict(_EMPTY)
    row.update(path=path, size=size, status=status, error=error, cached=False)
    return row


def rank_of(row: TriageRow) -> int:
    """Returns the row's place in the table, an index into `RANKS`."""
    status = row["status"]
    if status in ("error", "skipped"):
        return RANKS.index(status)
    severity = row["severity"]
    return RANKS.index(severity if severity in SEVERITIES else "no finding")


def pack(row: TriageRow) -> bytes:
    """Returns a row as JSON: its values only, in the order of the columns."""
    return msgspec.json.encode(list(row.values()))


def unpack(data: bytes) -> TriageRow:
    """Returns the row that `pack` packed.

    Raises:
        ValueError: the data is damaged, or a row with other columns.
    """
    return dict(zip(NAMES, msgspec.json.decode(data), strict=True))
