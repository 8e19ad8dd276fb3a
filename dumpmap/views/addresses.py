"""Addresses in data frames as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dumpmap.analysis.changes import CHANGE_COLUMNS
from dumpmap.model.columns import ALLOCATION, REGION_COLUMNS
from dumpmap.wording.text import address_text

if TYPE_CHECKING:
    import pandas as pd

ADDRESS_COLUMNS = (
    ALLOCATION.name,
    *(column.name for column in REGION_COLUMNS if column.holds == "address"),
    *(name for name in CHANGE_COLUMNS if name.startswith("address_")),
)
"""The columns of frames that hold addresses."""

_NARROW = 1 << 32


def hex_addresses(frame: pd.DataFrame, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Returns a copy of a frame to look at: addresses are texts such as `0x7ff612340000`, padded to one width.

    Frames hold addresses as unsigned numbers, to compute with, and pandas shows numbers in decimal. The texts sort as
    the numbers do.

    Args:
        frame: a frame of a map, of a difference, or of owners, or a part of one.
        columns: the columns to change. Default: those of dumpmap's frames that hold addresses.

    Returns:
        the copy; changed columns are texts, and what is missing stays missing.

    Raises:
        ValueError: the frame does not have a column, or the column does not hold unsigned or whole numbers.
    """
    import pandas as pd

    names = [name for name in ADDRESS_COLUMNS if name in frame.columns] if columns is None else list(columns)
    for name in names:
        if name not in frame.columns or not pd.api.types.is_integer_dtype(frame[name].dtype):
            raise ValueError(f"{name!r} is not a column of whole numbers in this frame")
    values = {name: [None if pd.isna(value) else int(value) for value in frame[name].array] for name in names}
    wide = any(value is not None and value >= _NARROW for column in values.values() for value in column)
    texts = {
        name: pd.array(
            [None if value is None else address_text(value, 16 if wide else 8) for value in column], dtype="string"
        )
        for name, column in values.items()
    }
    return frame.assign(**texts)
