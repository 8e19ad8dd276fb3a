"""The strip of the address space: one line of cells, each with the type that fills most of it.

A 32-bit space is drawn to scale. In a larger one, long free and reserved runs are shortened, so that what is used can
be seen; cells with a shortened run are marked.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from dumpmap.model.region_map import RegionMap
from dumpmap.model.snapshot import I64, U64
from dumpmap.model.types import RegionType
from dumpmap.views.browse.items import Flags

_SCALED_SPACE = 1 << 32
_EMPTY_SHARE = 3
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
    """The address space of a map as a line."""

    def __init__(self, region_map: RegionMap) -> None:
        rows = region_map.block_columns
        gap_base, gap_size, gap_type = region_map.gap_rows
        base = np.concatenate((rows.base, gap_base))
        order = np.argsort(base, kind="stable")
        self._base: U64 = base[order]
        self._size: I64 = np.concatenate((rows.size, gap_size))[order]
        self._type = np.concatenate((rows.type, gap_type))[order]
        self._empty = np.concatenate((rows.committed == 0, np.ones(len(gap_base), np.bool_)))[order]
        self._end = region_map.end
        self._cells: dict[int, list[Cell]] = {}

    @cached_property
    def _drawn(self) -> tuple[Lengths, Flags]:
        """How long each run is drawn, and which are shortened."""
        size = self._size.astype(np.float64)
        if (self._end is not None and self._end <= _SCALED_SPACE) or not len(size):
            return size, np.zeros(len(size), np.bool_)
        budget = max(_EMPTY_SHARE * float(size[~self._empty].sum()), float(1 << 20))
        exponent = _LONGEST
        empty = size[self._empty]
        while exponent > _SHORTEST and float(np.minimum(empty, float(1 << exponent)).sum()) > budget:
            exponent -= 1
        cut = self._empty & (size > float(1 << exponent))
        return np.where(cut, float(1 << exponent), size), cut

    @cached_property
    def _edges(self) -> Lengths:
        return np.concatenate(([0.0], np.cumsum(self._drawn[0])))

    def cells(self, width: int) -> list[Cell]:
        """Returns the cells of a strip of some width."""
        if width not in self._cells:
            self._cells[width] = self._made(width)
        return self._cells[width]

    def _made(self, width: int) -> list[Cell]:
        if not len(self._base) or width < 1:
            return [Cell(RegionType.FREE, False)] * max(width, 0)
        at = np.linspace(0.0, float(self._edges[-1]), width + 1)
        drawn, cut = self._drawn
        shares = np.zeros((len(RegionType), width))
        for code in np.unique(self._type).tolist():
            sums = np.concatenate(([0.0], np.cumsum(np.where(self._type == code, drawn, 0.0))))
            shares[code] = np.diff(np.interp(at, self._edges, sums))
        middles = (self._edges[:-1] + self._edges[1:])[cut] / 2
        places = np.clip(np.searchsorted(at, middles, side="right") - 1, 0, width - 1)
        marked = np.bincount(places, minlength=width) > 0
        return [
            Cell(RegionType(code), flag)
            for code, flag in zip(shares.argmax(axis=0).tolist(), marked.tolist(), strict=True)
        ]

    def marks(self, base: U64, size: I64, width: int) -> Flags:
        """Returns the cells that some ranges touch."""
        touched = np.zeros(width + 1, np.int64)
        if not len(base) or not len(self._base) or width < 1:
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
        place = np.clip(np.searchsorted(self._base, addresses, side="right") - 1, 0, len(self._base) - 1)
        start = self._base[place]
        inside = np.where(addresses > start, addresses - start, 0).astype(np.float64)
        share = np.minimum(inside / np.maximum(self._size[place], 1), 1.0)
        return self._edges[place] + share * self._drawn[0][place]

    def address(self, cell: int, width: int) -> int | None:
        """Returns an address in the middle of a cell; None if the map is empty."""
        if not len(self._base) or not 0 <= cell < width:
            return None
        position = (cell + 0.5) * float(self._edges[-1]) / width
        place = min(int(np.searchsorted(self._edges, position, side="right")) - 1, len(self._base) - 1)
        share = (position - float(self._edges[place])) / max(float(self._drawn[0][place]), 1.0)
        size = int(self._size[place])
        return int(self._base[place]) + min(int(share * size), size - 1)
