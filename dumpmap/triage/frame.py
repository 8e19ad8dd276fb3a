"""Rows as a pandas data frame."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

from dumpmap.triage.columns import COLUMNS, NAMES, TriageRow

if TYPE_CHECKING:
    import pandas as pd

_CHUNK = 20_000


def make_frame(rows: Iterable[TriageRow]) -> pd.DataFrame:
    """Returns rows as a data frame with the data types of `COLUMNS`."""
    import pandas as pd

    rows = iter(rows)
    chunks: list[pd.DataFrame] = []
    while (chunk := list(islice(rows, _CHUNK))) or not chunks:
        columns: dict[str, pd.Series[Any]] = {}
        for column in COLUMNS:
            values: list[Any] = [row[column.name] for row in chunk]
            if column.holds == "texts":
                values = [None if value is None else tuple(value) for value in values]
            if column.holds == "time":
                values = [value and dt.datetime.fromisoformat(value) for value in values]
            columns[column.name] = pd.Series(values, dtype=cast("Any", column.dtype))
        chunks.append(pd.DataFrame(columns, columns=list(NAMES)))
    return pd.concat(chunks, ignore_index=True) if len(chunks) > 1 else chunks[0]
