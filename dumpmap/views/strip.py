"""The strip of the address space: a line of cells, or rows of them, each with the type that fills most of it.

A 32-bit space is drawn to scale. In a larger one, long free and reserved runs are shortened, so that what is used can
be seen; cells with a shortened run are marked.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from dumpmap.analysis.measurements import measurements_of
from dumpmap.model.region_map import RegionMap
from dumpmap.model.snapshot import I64, U64
from dumpmap.model.types import RegionType
from dumpmap.model.values import value_class
from dumpmap.model.winnt import PAGE_SIZE

SCALED_SPACE = 1 << 32
"""A space of at most this size is drawn to scale."""

_EMPTY_SHARE = 1
"""Shortened runs take at most this many times the room of the committed memory."""

_SHORTEST, _LONGEST = 12, 62
"""Exponents of the lengths that runs are shortened to."""

_ROW = 256 << 20
"""Bytes of a row of a 32-bit space."""

_WIDE_ROWS = 4
_MOST_CELLS = 128

Lengths = npt.NDArray[np.float64]
Types = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]


@value_class(frozen=True, slots=True)
class Cell:
    """A cell of the strip: its type, whether a run in it is shortened, and whether it is of the largest free block."""

    type: RegionType
    cut: bool
    largest: bool = False


@value_class(frozen=True, slots=True)
class StripRow:
    """A row of a strip: the address that it starts at, and its cells."""

    address: int
    cells: Sequence[Cell]


class SpaceStrip:
    """The address space of a map as a line.

    Args:
        base: where each part of it begins, ascending.
        size: the bytes of each.
        committed: how many of them are committed.
        type: their `RegionType`.
        end: the end of the space; None if unknown.
    """

    def __init__(self, base: U64, size: I64, committed: I64, type: Types, end: int | None) -> None:
        self._base = base
        self._size = size
        self._committed = committed
        self._type = type
        self._end = end
        self._cells: dict[tuple[int, float | None], list[Cell]] = {}

    @property
    def _is_scaled(self) -> bool:
        return self._end is not None and self._end <= SCALED_SPACE

    @cached_property
    def _drawn(self) -> tuple[Lengths, Flags]:
        """How long each item is drawn, and which are shortened. Committed memory never is."""
        size = self._size.astype(np.float64)
        if self._is_scaled or not len(size):
            return size, np.zeros(len(size), np.bool_)
        committed = self._committed.astype(np.float64)
        empty = size - committed
        budget = max(_EMPTY_SHARE * float(committed.sum()), float(1 << 20))
        exponent = _LONGEST
        while exponent > _SHORTEST and float(np.minimum(empty, float(1 << exponent)).sum()) > budget:
            exponent -= 1
        cut = empty > float(1 << exponent)
        return committed + np.minimum(empty, float(1 << exponent)), cut

    @cached_property
    def _edges(self) -> Lengths:
        return np.concatenate(([0.0], np.cumsum(self._drawn[0])))

    def cells(self, width: int, top: float | None = None) -> list[Cell]:
        """Returns the cells of a strip of some width. It ends at `top`, or with the last part."""
        if (width, top) not in self._cells:
            self._cells[width, top] = self._made(width, top)
        return self._cells[width, top]

    def _made(self, width: int, top: float | None) -> list[Cell]:
        if not len(self._base) or width < 1:
            return [Cell(RegionType.FREE, False)] * max(width, 0)
        at = np.linspace(0.0, float(self._edges[-1]) if top is None else top, width + 1)
        drawn, cut = self._drawn

        def in_cells(chosen: Flags) -> Lengths:
            sums = np.concatenate(([0.0], np.cumsum(np.where(chosen, drawn, 0.0))))
            return np.diff(np.interp(at, self._edges, sums))

        shares = np.zeros((len(RegionType), width))
        for code in np.flatnonzero(np.bincount(self._type)).tolist():
            shares[code] = in_cells(self._type == code)
        types, shortened = shares.argmax(axis=0), in_cells(cut)
        marked = (shortened > shares.sum(axis=0) / 2) | ((types == RegionType.FREE) & (shortened > 0))
        return [Cell(RegionType(code), flag) for code, flag in zip(types.tolist(), marked.tolist(), strict=True)]

    def rows(self, width: int, largest: tuple[int, int] | None) -> list[StripRow]:
        """Returns the strip in rows. In a 32-bit space, each has 256 MB, in a power of two of cells.

        Args:
            width: columns for the cells of a row.
            largest: address and size of the largest free block, whose cells are marked.
        """
        if not len(self._base):
            return []
        count = max(1, min(_MOST_CELLS, width))
        top = None
        rows = _WIDE_ROWS
        if self._is_scaled:
            count = 1 << count.bit_length() - 1
            rows = -(-int(self._edges[-1]) // _ROW)
            top = float(rows * _ROW)
        cells = list(self.cells(rows * count, top))
        if top is not None:
            cells = cells[: math.ceil(self._edges[-1] * len(cells) / top)]
        if largest is not None:
            base, size = np.array(largest[:1], np.uint64), np.array(largest[1:], np.int64)
            places = np.flatnonzero(self.marks(base, size, rows * count, top)[: len(cells)]).tolist()
            free = [place for place in places if cells[place].type == RegionType.FREE]
            if places and not free:  # it fills no cell, but has to be in the picture
                free = places[-1:]
                cells[free[0]] = Cell(RegionType.FREE, cut=not self._is_scaled)
            for place in free:
                cells[place] = replace(cells[place], largest=True)
        starts = range(0, len(cells), count)
        addresses = [
            start // count * _ROW if top else self.start(start, len(cells)) // PAGE_SIZE * PAGE_SIZE for start in starts
        ]
        return [StripRow(at, cells[start : start + count]) for at, start in zip(addresses, starts, strict=True)]

    def marks(self, base: U64, size: I64, width: int, top: float | None = None) -> Flags:
        """Returns the cells that some ranges touch."""
        touched = np.zeros(width + 1, np.int64)
        if not len(base) or not len(self._base) or width < 1:
            return touched[:0] > 0
        total = float(self._edges[-1]) if top is None else top
        ends = base + np.maximum(size, 1).astype(np.uint64) - np.uint64(1)
        first, last = (
            np.clip((self._position(one) * width / total).astype(np.intp), 0, width - 1) for one in (base, ends)
        )
        np.add.at(touched, first, 1)
        np.add.at(touched, last + 1, -1)
        return np.cumsum(touched)[:width] > 0

    def _position(self, addresses: U64) -> Lengths:
        """Where addresses are drawn."""
        place = np.clip(np.searchsorted(self._base, addresses, side="right") - 1, 0, len(self._base) - 1)
        start = self._base[place]
        inside = np.where(addresses > start, addresses - start, 0).astype(np.float64)
        share = np.minimum(inside / np.maximum(self._size[place], 1), 1.0)
        return self._edges[place] + share * self._drawn[0][place]

    def address(self, cell: int, width: int) -> int | None:
        """Returns an address in the middle of a cell; None if the map is empty."""
        return self._address(cell + 0.5, width) if len(self._base) and 0 <= cell < width else None

    def start(self, cell: int, width: int) -> int:
        """Returns the address at which a cell begins."""
        return self._address(float(cell), width)

    def _address(self, place: float, width: int) -> int:
        position = place * float(self._edges[-1]) / width
        part = min(int(np.searchsorted(self._edges, position, side="right")) - 1, len(self._base) - 1)
        share = (position - float(self._edges[part])) / max(float(self._drawn[0][part]), 1.0)
        size = int(self._size[part])
        return int(self._base[part]) + min(int(share * size), size - 1)


def space_strip(region_map: RegionMap) -> SpaceStrip | None:
    """Returns the strip of the space that the process can use; None if parts of it are unknown."""
    if region_map.gaps is None or region_map.end is None:
        return None
    limit = measurements_of(region_map).limit.size
    end = region_map.end if limit is None else min(region_map.end, limit)
    count = len(region_map.pieces.base) + len(region_map.gap_rows[0])
    coarse = Coarse(count, end)
    at = 0
    for base, size, committed, type in _chunks(region_map, end):
        if not len(base):
            continue
        if base[0] != at or (base[1:] != base[:-1] + size[:-1].astype(np.uint64)).any():
            return None
        at = int(base[-1]) + int(size[-1])
        # A range of a damaged list can reach beyond the end.
        size = np.minimum(size, (np.uint64(end) - base).astype(np.int64))
        coarse.add(base, size, np.minimum(committed, size), type)
    return coarse.strip() if at else None


_CHUNK = 1 << 16

Parts = tuple[U64, I64, I64, Types]
"""Base, size, committed bytes, and `RegionType` of neighbours, by address."""


def _chunks(region_map: RegionMap, end: int) -> Iterator[Parts]:
    """Yields all of the space below an end, piece by piece: what is in use, and what is free."""
    pieces, (gap_base, gap_size, gap_type) = region_map.pieces, region_map.gap_rows
    sorted_gaps = np.argsort(gap_base, kind="stable")
    gap_base = gap_base[sorted_gaps]
    gap = 0
    for start in range(0, max(len(pieces.base), 1), _CHUNK):
        used = slice(start, start + _CHUNK)
        last = start + _CHUNK >= len(pieces.base)
        until = len(gap_base) if last else int(np.searchsorted(gap_base, pieces.base[start + _CHUNK]))
        gaps = sorted_gaps[gap:until]
        base = np.concatenate((pieces.base[used], gap_base[gap:until]))
        order = np.argsort(base, kind="stable")
        order = order[base[order] < np.uint64(end)]
        committed = np.concatenate((pieces.committed[used], np.zeros(len(gaps), np.int64)))
        yield (
            base[order],
            np.concatenate((pieces.size[used], gap_size[gaps]))[order],
            committed[order],
            np.concatenate((pieces.type[used], gap_type[gaps]))[order],
        )
        gap = until


_FINE = 1 << 18
"""The parts of a strip that has each of them."""

_COARSE = 1 << 16
"""How many parts a strip has, about, if there are more than `_FINE`: hundreds for each cell."""


class Coarse:
    """Makes a strip of any number of parts. Of too many, neighbours become one.

    A cell shows the type that fills most of it, so it takes no more than a few of them; the columns of a million would
    take a hundred megabytes.

    Args:
        count: how many parts there are.
        end: the end of the space; None if unknown.
    """

    def __init__(self, count: int, end: int | None) -> None:
        self._end = end
        self._each = 1 if count <= _FINE else -(-count // _COARSE)
        self._is_scaled = end is not None and end <= SCALED_SPACE
        self._parts: list[Parts] = []

    def add(self, base: U64, size: I64, committed: I64, type: Types) -> None:
        """Adds neighbours that follow those before."""
        if self._each == 1 or not len(base):
            self._parts.append((base, size, committed, type))
            return
        starts = np.zeros(len(base), np.bool_)
        starts[:: self._each] = True
        # The longest stay apart: a largest free block or a heap's reservation is looked for.
        alone = max(1, len(base) // (8 * self._each))
        longest = np.argpartition(size, -alone)[-alone:]
        starts[longest] = True
        starts[np.minimum(longest + 1, len(base) - 1)] = True
        (first,) = np.nonzero(starts)
        sums = [np.add.reduceat(column, first) for column in (size, committed)]
        weight = size if self._is_scaled else committed * np.int64(1 << 10) + np.minimum(size, 1 << 9)
        found = np.unique(type)
        shares = np.stack([np.add.reduceat(np.where(type == code, weight, 0), first) for code in found])
        self._parts.append((base[first], sums[0], sums[1], found[shares.argmax(axis=0)]))

    def strip(self) -> SpaceStrip:
        """Returns the strip of all that was added."""
        parts = self._parts or [(np.zeros(0, np.uint64), *(np.zeros(0, np.int64),) * 2, np.zeros(0, np.uint8))]
        base, size, committed, type = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        return SpaceStrip(base, size, committed, type, self._end)
