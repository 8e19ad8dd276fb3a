"""Tables piece by piece: rows of any number as columns of texts, without an object for every row.

A table of a million rows has few different texts and sizes. Each is written once, and a piece of the table is put
together from what is written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, overload

from dumpmap.model.values import value_class
from dumpmap.views.table import Column, LeftOver, Table, plain_value

PIECE = 1 << 13
"""Rows of a piece."""

_MOST_KNOWN = 1 << 14
"""Texts that are kept for a column: sizes can all differ."""

_SINGULAR = (str, type(None))
"""Types whose values equal no value of another type."""

Piece = list[list[Any]]
"""The cells of a piece, by column."""


class ColumnRows(Sequence[Sequence[Any]]):
    """Rows that exist as columns only, and are made when they are looked at.

    Args:
        count: how many there are.
        cells: returns the cells of all columns from a row to another (exclusive).
    """

    def __init__(self, count: int, cells: Callable[[int, int], Piece]) -> None:
        self._count = count
        self._cells = cells

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Sequence[Any]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Sequence[Any]]: ...
    def __getitem__(self, index: int | slice) -> Sequence[Any]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(self._count))]
        place = range(self._count)[index]
        return tuple(column[0] for column in self._cells(place, place + 1))

    def __iter__(self) -> Iterator[Sequence[Any]]:
        for piece in self.pieces():
            yield from zip(*piece, strict=True)

    def pieces(self) -> Iterator[Piece]:
        """Yields all rows, piece by piece."""
        for start in range(0, self._count, PIECE):
            yield self._cells(start, min(start + PIECE, self._count))


def pieces(table: Table) -> Iterator[Piece]:
    """Yields the rows of a table, piece by piece, each as its columns."""
    if isinstance(table.rows, ColumnRows):
        yield from table.rows.pieces()
        return
    rows = iter(table.rows)
    while chunk := list(islice(rows, PIECE)):
        yield [list(column) for column in zip(*chunk, strict=True)]


@value_class(frozen=True, slots=True)
class Script:
    """How the cells of a table are written.

    Attributes:
        cell: writes one cell.
        address: writes one address; None to write it like other cells.
    """

    cell: Callable[[Any, Column], str]
    address: Callable[[int], str] | None = None


class _Written(dict[Any, str]):
    """The texts of a column's values so far."""

    def __init__(self, write: Callable[[Any, Column], str], column: Column) -> None:
        super().__init__()
        self._write, self._column = write, column

    def __missing__(self, value: Any) -> str:
        if len(self) >= _MOST_KNOWN:
            self.clear()
        text = self[value] = self._write(value, self._column)
        return text


class TableTexts:
    """Writes the cells of a table, piece by piece.

    Args:
        columns: the columns.
        script: how.
    """

    def __init__(self, columns: Sequence[Column], script: Script) -> None:
        self._columns = columns
        self._script = script
        self._written = [_Written(script.cell, column) for column in columns]
        self._left = [_Written(script.cell, column) for column in columns]

    def of(self, index: int, cells: Sequence[Any]) -> list[str]:
        """Returns the texts of some cells of one column."""
        column, script = self._columns[index], self._script
        first = cells[0]
        if first is cells[-1] and type(first) in _SINGULAR and cells.count(first) == len(cells):
            return [self._written[index][first]] * len(cells)
        types = set(map(type, cells))
        if script.address is not None and column.holds == "address" and types == {int}:
            return list(map(script.address, cells))
        if types == {int, LeftOver}:
            written, left = self._written[index], self._left[index]
            return [left[value] if type(value) is LeftOver else written[value] for value in cells]
        # Values of one type only: 1, 1.0, and True are the same key.
        if len(types - {type(None)}) <= 1 and types <= {int, str, bool, type(None)}:
            return list(map(self._written[index].__getitem__, cells))
        return [script.cell(value, column) for value in cells]


def json_cell(value: Any, column: Column) -> str:
    """Writes a cell as JSON."""
    return json.dumps(plain_value(value, column), ensure_ascii=False)


_JSON = Script(json_cell, '"0x{:x}"'.format)


def json_rows(table: Table, before: str, between: str, after: str) -> Iterator[list[str]]:
    """Yields the rows of a table as JSON objects, piece by piece.

    Args:
        table: the table.
        before: what comes before the first member of each row.
        between: what comes between two members.
        after: what comes after the last member.
    """
    names = (json.dumps(column.name, ensure_ascii=False).replace("%", "%%") for column in table.columns)
    row = before + between.join(f"{name}: %s" for name in names) + after
    texts = TableTexts(table.columns, _JSON)
    for piece in pieces(table):
        yield list(map(row.__mod__, zip(*map(texts.of, range(len(piece)), piece), strict=True)))


@value_class(frozen=True, slots=True)
class Records:
    """The rows of a table as a member of a JSON document, written piece by piece."""

    table: Table
