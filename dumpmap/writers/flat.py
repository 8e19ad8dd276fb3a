"""Flat tables of regions for other programs: JSON lines and Parquet."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from dumpmap.errors import OutputError
from dumpmap.model.columns import REGION_COLUMNS
from dumpmap.views.cells import json_rows
from dumpmap.views.table import Table

if TYPE_CHECKING:
    import pandas as pd


def write_json_lines(table: Table, stream: BinaryIO) -> None:
    """Writes a table as JSON lines: one object per row, addresses as `0x` hex, sizes in bytes."""
    for rows in json_rows(table, "{", ", ", "}\n"):
        stream.write("".join(rows).encode())


def need_pyarrow(target: str) -> None:
    """Checks that Parquet can be written.

    Raises:
        OutputError: pyarrow is not installed.
    """
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise OutputError('Parquet needs pyarrow: run pip install "dumpmap[parquet]"', source=target) from None


def write_parquet(frame: pd.DataFrame, stream: BinaryIO) -> None:
    """Writes a frame of regions as Parquet. Addresses stay unsigned 64-bit; texts are dictionary-encoded."""
    texts = [column.name for column in REGION_COLUMNS if column.is_text]
    frame.astype(dict.fromkeys(texts, "category")).to_parquet(stream, engine="pyarrow", index=False)
