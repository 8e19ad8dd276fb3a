"""Rows of the map and of tables as the page's JSON holds them: columnar, short, and exact."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from typing import Any, overload

import msgspec
import numpy as np
import numpy.typing as npt

from dumpmap.model.columns import REGION_COLUMNS, RegionColumn
from dumpmap.model.snapshot import I32
from dumpmap.views.frames import RowColumns
from dumpmap.views.table import Column, Table, plain_value
from dumpmap.views.texts import Texts

SIZES = tuple(column.name for column in REGION_COLUMNS if column.holds == "size")
"""Columns of regions that count in units."""

_TEXTS = tuple(column.name for column in REGION_COLUMNS if column.is_text)
_OWN_TEXTS = tuple(column.name for column in REGION_COLUMNS if column.is_text and column.holds != "owner")
_EXACT = 1 << 53
"""JavaScript numbers below this are exact; larger ones are packed as hex."""

_PAGE = 0x1000

_SMALL = 1 << 31

_PIECE = 1 << 14
"""Numbers that are written at a time."""


def size_unit(frames: Iterable[tuple[RowColumns, npt.NDArray[np.bool_] | slice]]) -> int:
    """The unit that all sizes of some rows are whole numbers of: 4096, or 1 where some are no whole pages."""
    sizes = (frame.figures(name)[0][rows] for frame, rows in frames for name in SIZES)
    return 1 if any((values % _PAGE).any() for values in sizes) else _PAGE


class Numbers(Sequence[Any]):
    """A column of whole numbers, null where not known, as an array until it is written.

    Args:
        values: the numbers.
        missing: which are not known; None if all are.
    """

    def __init__(self, values: npt.NDArray[np.integer[Any]], missing: npt.NDArray[np.bool_] | None = None) -> None:
        small = len(values) == 0 or -_SMALL < values.min() <= values.max() < _SMALL
        self._values = values.astype(np.int32, copy=False) if small else values
        self._missing = missing

    def __len__(self) -> int:
        return len(self._values)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        return self._cells(index) if isinstance(index, slice) else self._cells(slice(index, index + 1))[0]

    def _cells(self, rows: slice) -> list[Any]:
        values = self._values[rows]
        cells: list[Any] = values.tolist()
        if self._missing is not None:
            for index in np.flatnonzero(self._missing[rows]).tolist():
                cells[index] = None
        # Only damage makes such sizes, and the addresses that follow must stay exact even then.
        for index in np.flatnonzero(values >= _EXACT).tolist():
            cells[index] = hex(cells[index])
        return cells

    def json_parts(self) -> Iterator[str]:
        """Yields the column as JSON, piece by piece."""
        before = "["
        for start in range(0, len(self), _PIECE):
            cells = self._cells(slice(start, start + _PIECE))
            yield before + msgspec.json.encode(cells).decode()[1:-1]  # in a tenth of the time that json takes
            before = ","
        yield "]" if len(self) else "[]"


class Columns(Mapping[str, Any]):
    """Columns that are made when they are written, so that only one of them takes memory.

    Args:
        makers: what makes each.
    """

    def __init__(self, makers: Mapping[str, Callable[[], Any]]) -> None:
        self._makers = makers

    def __len__(self) -> int:
        return len(self._makers)

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __getitem__(self, name: str) -> Any:
        return self._makers[name]()


def pack_rows(rows: RowColumns, unit: int, kept: npt.NDArray[np.bool_] | None = None) -> dict[str, Callable[[], Any]]:
    """What makes each column of allocations or regions but the address, which follows from the sizes.

    Args:
        rows: the rows.
        unit: what sizes are numbers of.
        kept: which rows to pack; None for all.
    """
    chosen = slice(None) if kept is None else kept

    def texts(name: str) -> Texts:
        column = rows.texts(name)
        return Texts(column.codes[chosen], column.values)

    @cache
    def owners() -> dict[str, Any]:
        return _pack_owners(texts("owner"), texts("owner_module"))

    makers: dict[str, Callable[[], Any]] = {"type": lambda: Numbers(rows.plain("type")[chosen])}
    makers |= {name: partial(pack_figures, rows, name, unit, chosen) for name in SIZES}
    makers |= {name: partial(lambda name: _pack_texts(texts(name)), name) for name in _OWN_TEXTS}
    makers |= {"owner": lambda: owners()["owner"], "owner_module": lambda: owners()["owner_module"]}
    makers["inferred"] = lambda: np.flatnonzero(rows.plain("inferred")[chosen]).tolist()
    return makers


def pack_figures(
    rows: RowColumns, name: str, unit: int = 1, chosen: npt.NDArray[np.bool_] | slice = slice(None)
) -> Numbers | None:
    """A column of numbers, null where not known; None for a column without any known number."""
    values, missing = rows.figures(name)
    values, missing = values[chosen], missing[chosen]
    if missing.all() and len(missing):
        return None
    return Numbers(values // unit, missing if missing.any() else None)


def _pack_owners(owner_column: Texts, module_column: Texts) -> dict[str, Any]:
    """Owners and their modules share one list of codes: an owner rarely has more than one module.

    Both columns name the same owners, so they have the same codes.
    """
    owner, owners = owner_column.by_appearance()
    module, modules = module_column.by_appearance()
    used = owner >= 0
    pairs, place = np.unique(owner[used] * np.int64(max(len(modules), 1)) + module[used], return_inverse=True)
    first, second = np.divmod(pairs, max(len(modules), 1))
    codes = owner.copy()
    codes[used] = place
    return {
        "owner": {
            "values": [owners[code] for code in first.tolist()],
            "codes": Numbers(codes[owner_column.codes]),
        },
        "owner_module": {"values": [modules[code] for code in second.tolist()], "codes_of": "owner"},
    }


def _pack_texts(column: Texts) -> dict[str, Any]:
    places, values = column.by_appearance()
    return {"values": values, "codes": Numbers(places[column.codes])}


def gaps(allocations: RowColumns) -> list[tuple[int, str]]:
    """Where a row does not begin at the end of the one before: (row, bytes between them as hex)."""
    base = allocations.plain("address")
    end = base + allocations.plain("size").astype(np.uint64)
    before = np.concatenate((np.zeros(min(len(base), 1), np.uint64), end[:-1]))
    holes = np.flatnonzero(base != before)
    return [(index, hex(int(base[index] - before[index]))) for index in holes.tolist()]


def informative_blocks(allocations: RowColumns, regions: RowColumns, owner: I32) -> npt.NDArray[np.bool_]:
    """Which blocks the page needs: all except an allocation's only one that repeats it.

    Args:
        allocations: the allocations.
        regions: the regions.
        owner: for each region the row of its allocation.
    """
    shared: npt.NDArray[np.bool_] = np.bincount(owner, minlength=len(allocations))[owner] != 1
    differs = np.zeros(len(regions), np.bool_)
    for name in ("type", "inferred"):
        differs |= regions.plain(name) != allocations.plain(name)[owner]
    for name in _TEXTS:
        differs |= regions.texts(name).distinct().differs(allocations.texts(name).take(owner))
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
