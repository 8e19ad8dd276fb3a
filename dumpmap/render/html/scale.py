"""How long the map of the address space draws a run of memory."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dumpmap.render.html.packing import gaps
from dumpmap.views.frames import RowColumns
from dumpmap.views.strip import SCALED_SPACE

_SHORTEST, _LONGEST = 12, 62
"""Exponents of the shortest and the longest length that runs are shortened to."""


def cut_length(allocations: RowColumns, regions: RowColumns, end: int | None) -> int | None:
    """The length in bytes to which the map shortens longer free and reserved runs.

    Committed memory is always drawn to scale. In a 64-bit space a few free and reserved runs are a million times as
    long as everything else together. They are shortened to a power of two with which all such runs take at most three
    quarters of the map.

    Returns:
        None for a space that is drawn to scale as a whole.
    """
    if end is not None and end <= SCALED_SPACE:
        return None
    size = regions.plain("size")
    empty = regions.figures("committed")[0] == 0
    holes = np.array([int(text, 16) for _, text in gaps(allocations)][1:], np.float64)
    return fitting_length(np.concatenate((size[empty].astype(np.float64), holes)), float(size[~empty].sum()))


def fitting_length(runs: npt.NDArray[np.float64], held: float) -> int | None:
    """The length to which longer runs are shortened, so that all take at most three quarters of the map.

    Args:
        runs: the lengths of runs that may be shortened.
        held: the length of everything else.

    Returns:
        a power of two; None if no run has to be shortened.
    """
    if len(runs) == 0:
        return None
    budget = max(3 * held, 1 << 20)
    exponent = _LONGEST
    while exponent > _SHORTEST and float(np.minimum(runs, float(1 << exponent)).sum()) > budget:
        exponent -= 1
    return 1 << exponent if float(runs.max()) > 1 << exponent else None
