"""Rows of the map and of tables as the page's JSON holds them: columnar, short, and exact."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dumpmap.model.columns import REGION_COLUMNS, RegionColumn
from dumpmap.views.table import Column, Table, plain_value

if TYPE_CHECKING:
    import pandas as pd

SIZES = tuple(column.name for column in REGION_COLUMNS if column.holds == "size")
"""Columns of regions that count in units."""

_TEXTS = tuple(column.name for column in REGION_COLUMNS if column.is_text)
_OWN_TEXTS = tuple(column.name for column in REGION_COLUMNS if column.is_text and column.holds != "owner")
_EXACT = 1 << 53
"""JavaScript numbers below this are exact; larger ones are packed as hex."""

_PAGE = 0x1000


def size_unit(frames: Iterable[pd.DataFrame]) -> int:
    """The unit that all sizes are whole numbers of: 4096, or 1 where some are no whole pages."""
    sizes = [frame[name].to_numpy(np.int64, na_value=0) for frame in frames for name in SIZES]
    return 1 if any((values % _PAGE).any() for values in sizes) else _PAGE


def pack_rows(frame: pd.DataFrame, unit: int) -> dict[str, Any]:
    """All columns of allocations or regions but the address, which follows from the sizes."""
    columns: dict[str, Any] = {"type": frame["type"].cat.codes.tolist()}
    for name in SIZES:
        columns[name] = pack_numbers(frame[name], unit)
    for name in _OWN_TEXTS:
        columns[name] = _pack_texts(frame[name])
    columns |= _pack_owners(frame)
    columns["inferred"] = np.flatnonzero(frame["inferred"].to_numpy(np.bool_)).tolist()
    return columns


def pack_numbers(column: pd.Series[Any], unit: int = 1) -> list[Any] | None:
    """A column of numbers, null where not known; None for a column without any known number."""
    missing = column.isna().to_numpy(np.bool_)
    if missing.all() and len(missing):
        return None
    values = column.to_numpy(np.int64, na_value=0) // unit
    result: list[Any] = values.tolist()
    for index in np.flatnonzero(missing).tolist():
        result[index] = None
    # Only damage makes such sizes, and the addresses that follow must stay exact even then.
    for index in np.flatnonzero(values >= _EXACT).tolist():
        result[index] = hex(result[index])
    return result


def _pack_owners(frame: pd.DataFrame) -> dict[str, Any]:
    """Owners and their modules share one list of codes: an owner rarely has more than one module."""
    import pandas as pd

    owner, owners = pd.factorize(frame["owner"].to_numpy(object))
    module, modules = pd.factorize(frame["owner_module"].to_numpy(object))
    pairs, codes = np.unique(owner * max(len(modules), 1) + module, return_inverse=True)
    first, second = np.divmod(pairs, max(len(modules), 1))
    return {
        "owner": {"values": owners[first].tolist(), "codes": codes.tolist()},
        "owner_module": {"values": modules[second].tolist(), "codes_of": "owner"},
    }


def _pack_texts(column: pd.Series[Any]) -> dict[str, Any]:
    import pandas as pd

    codes, values = pd.factorize(column.to_numpy(object))
    return {"values": values.tolist(), "codes": codes.tolist()}


def gaps(allocations: pd.DataFrame) -> list[tuple[int, str]]:
    """Where a row does not begin at the end of the one before: (row, bytes between them as hex)."""
    base = allocations["address"].to_numpy(np.uint64)
    end = base + allocations["size"].to_numpy(np.int64).astype(np.uint64)
    before = np.concatenate((np.zeros(min(len(base), 1), np.uint64), end[:-1]))
    holes = np.flatnonzero(base != before)
    return [(index, hex(int(base[index] - before[index]))) for index in holes.tolist()]


def informative_blocks(
    allocations: pd.DataFrame, regions: pd.DataFrame, owner: npt.NDArray[np.intp]
) -> npt.NDArray[np.bool_]:
    """Which blocks the page needs: all except an allocation's only one that repeats it.

    Args:
        allocations: the allocations.
        regions: the regions.
        owner: for each region the row of its allocation.
    """
    shared: npt.NDArray[np.bool_] = np.bincount(owner, minlength=len(allocations))[owner] != 1
    differs = np.zeros(len(regions), np.bool_)
    for name in ("type", *_TEXTS, "inferred"):
        column, of_owner = regions[name].to_numpy(), allocations[name].to_numpy()[owner]
        differs |= np.asarray(column != of_owner, np.bool_)
    return shared | differs


def pack_region_column(column: RegionColumn) -> dict[str, Any]:
    """A heading of the allocations. What evidence means is in the page, so its cells are more than text."""
    holds: str = column.holds
    if column.name in _TEXTS:
        holds = "evidence" if column.name == "evidence" else "text"
    return {"name": column.name, "title": column.title, "holds": holds, "help": column.help}


def pack_table(table: Table, children: Sequence[Sequence[Sequence[Any]]] | None = None) -> dict[str, Any]:
    """A table of few rows, by rows; `children` are the rows under each row."""

    def pack(rows: Iterable[Sequence[Any]]) -> list[list[Any]]:
        return [[_pack_value(value, column) for column, value in zip(table.columns, row, strict=True)] for row in rows]

    columns = [
        {"name": column.name, "title": column.title, "holds": column.holds, "left": column.left}
        for column in table.columns
    ]
    return {
        "columns": columns,
        "rows": pack(table.rows),
        "children": None if children is None else [pack(rows) for rows in children],
    }


def _pack_value(value: Any, column: Column) -> Any:
    plain = plain_value(value, column)
    return hex(plain) if isinstance(plain, int) and abs(plain) >= _EXACT else plain
