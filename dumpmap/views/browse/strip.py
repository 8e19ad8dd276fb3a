"""The strip of the address space: one line of cells, each with the type that fills most of it.

A 32-bit space is drawn to scale. In a larger one, long free and reserved runs are shortened, so that what is used can
be seen; cells with a shortened run are marked.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from dumpmap.model.snapshot import I64, U64
from dumpmap.model.types import RegionType
from dumpmap.views.browse.items import Flags, Items

_SCALED_SPACE = 1 << 32
_EMPTY_SHARE = 1
"""Shortened runs take at most this many times the room of the committed memory."""

_SHORTEST, _LONGEST = 12, 62
"""Exponents of the lengths that runs are shortened to."""

Lengths = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of the strip: its type, and whether a run in it is shortened."""

    type: RegionType
    cut: bool


class SpaceStrip:
    """The address space of a map as a line.

    Args:
        items: the memory of the map.
    """

    def __init__(self, items: Items) -> None:
        self._items = items
        self._end = items.map.end
        self._cells: dict[int, list[Cell]] = {}

    @cached_property
    def _drawn(self) -> tuple[Lengths, Flags]:
        """How long each item is drawn, and which are shortened. Committed memory never is."""
        size = self._items.size.astype(np.float64)
        if (self._end is not None and self._end <= _SCALED_SPACE) or not len(size):
            return size, np.zeros(len(size), np.bool_)
        committed = self._items.committed.astype(np.float64)
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

    def cells(self, width: int) -> list[Cell]:
        """Returns the cells of a strip of some width."""
        if width not in self._cells:
            self._cells[width] = self._made(width)
        return self._cells[width]

    def _made(self, width: int) -> list[Cell]:
        if not len(self._items) or width < 1:
            return [Cell(RegionType.FREE, False)] * max(width, 0)
        at = np.linspace(0.0, float(self._edges[-1]), width + 1)
        drawn, cut = self._drawn

        def in_cells(chosen: Flags) -> Lengths:
            sums = np.concatenate(([0.0], np.cumsum(np.where(chosen, drawn, 0.0))))
            return np.diff(np.interp(at, self._edges, sums))

        shares = np.zeros((len(RegionType), width))
        for code in np.unique(self._items.type).tolist():
            shares[code] = in_cells(self._items.type == code)
        types, shortened = shares.argmax(axis=0), in_cells(cut)
        marked = (shortened > shares.sum(axis=0) / 2) | ((types == RegionType.FREE) & (shortened > 0))
        return [Cell(RegionType(code), flag) for code, flag in zip(types.tolist(), marked.tolist(), strict=True)]

    def marks(self, base: U64, size: I64, width: int) -> Flags:
        """Returns the cells that some ranges touch."""
        touched = np.zeros(width + 1, np.int64)
        if not len(base) or not len(self._items) or width < 1:
            return touched[:0] > 0
        total = float(self._edges[-1])
        ends = base + np.maximum(size, 1).astype(np.uint64) - np.uint64(1)
        first, last = (
            np.clip((self._position(one) * width / total).astype(np.intp), 0, width - 1) for one in (base, ends)
        )
        np.add.at(touched, first, 1)
        np.add.at(touched, last + 1, -1)
        return np.cumsum(touched)[:width] > 0

    def _position(self, addresses: U64) -> Lengths:
        """Where addresses are drawn."""
        place = np.clip(np.searchsorted(self._items.base, addresses, side="right") - 1, 0, len(self._items) - 1)
        start = self._items.base[place]
        inside = np.where(addresses > start, addresses - start, 0).astype(np.float64)
        share = np.minimum(inside / np.maximum(self._items.size[place], 1), 1.0)
        return self._edges[place] + share * self._drawn[0][place]

    def address(self, cell: int, width: int) -> int | None:
        """Returns an address in the middle of a cell; None if the map is empty."""
        if not len(self._items) or not 0 <= cell < width:
            return None
        position = (cell + 0.5) * float(self._edges[-1]) / width
        place = min(int(np.searchsorted(self._edges, position, side="right")) - 1, len(self._items) - 1)
        share = (position - float(self._edges[place])) / max(float(self._drawn[0][place]), 1.0)
        size = int(self._items.size[place])
        return int(self._items.base[place]) + min(int(share * size), size - 1)
