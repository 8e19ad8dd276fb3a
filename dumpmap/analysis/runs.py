"""Equal values of columns, with the places where they stand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt


def runs(codes: npt.NDArray[Any]) -> Iterator[tuple[int, npt.NDArray[np.intp]]]:
    """Yields each code with the places where it stands."""
    order = np.argsort(codes, kind="stable")
    values, starts = np.unique(codes[order], return_index=True)
    yield from zip(values.tolist(), np.split(order, starts[1:]), strict=True)


def runs_of_rows(keys: npt.NDArray[np.int64]) -> Iterator[tuple[list[int], npt.NDArray[np.intp]]]:
    """Yields each distinct column of `keys` with the places where it stands."""
    if keys.shape[1] == 0:
        return
    order = np.lexsort(keys)
    ordered = keys[:, order]
    starts = np.flatnonzero((ordered[:, 1:] != ordered[:, :-1]).any(axis=0)) + 1
    for start, members in zip([0, *starts.tolist()], np.split(order, starts), strict=True):
        yield ordered[:, start].tolist(), members
