"""Equal values of columns, with the places where they stand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


def runs(codes: npt.NDArray[Any]) -> Iterator[tuple[int, npt.NDArray[np.intp]]]:
    """Yields each code with the places where it stands."""
    order = np.argsort(codes, kind="stable")
    values, starts = np.unique(codes[order], return_index=True)
    yield from zip(values.tolist(), np.split(order, starts[1:]), strict=True)


def runs_of_rows(keys: Sequence[npt.NDArray[Any]]) -> Iterator[tuple[list[int], npt.NDArray[np.intp]]]:
    """Yields each distinct row of some columns with the places where it stands; the last column counts most."""
    if len(keys[0]) == 0:
        return
    order = np.lexsort(keys)
    differs = np.zeros(len(order) - 1, np.bool_)
    for key in keys:
        ordered = key[order]
        differs |= ordered[1:] != ordered[:-1]
    starts = np.flatnonzero(differs) + 1
    firsts = order[np.append(0, starts)]
    rows = zip(*(key[firsts].tolist() for key in keys), strict=True)
    for row, members in zip(rows, np.split(order, starts), strict=True):
        yield list(row), members
