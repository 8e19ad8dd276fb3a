"""The address spaces of two maps on one axis, for strips that lie above each other.

The axis has an edge wherever a run begins or ends in either map. Between two edges both maps are of one kind each, so
a place means the same address in both strips. In a large space, what neither map holds committed is shortened.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dumpmap.model.region_map import RegionMap
from dumpmap.model.snapshot import I64, U64
from dumpmap.model.values import value_class
from dumpmap.render.html.packing import Numbers
from dumpmap.render.html.scale import fitting_length
from dumpmap.views.frames import coded_frame
from dumpmap.views.strip import SCALED_SPACE
from dumpmap.views.texts import Texts

_PAGE = 0x1000


@value_class(frozen=True, slots=True)
class _Runs:
    """The runs of one map: neighbours of one type and state are one run."""

    start: U64
    end: U64
    type: npt.NDArray[np.int64]
    committed: I64


def pack_strips(maps: Sequence[RegionMap]) -> dict[str, Any]:
    """Returns the axis and the runs of each map.

    `edges` are the distances between the edges, in units of `unit`; `drawn` is what each piece is shortened to, in the
    same units, where it is. A run is its first and its last edge, its type, and its committed share in percent.
    """
    sides = [_runs(region_map) for region_map in maps]
    edges = np.unique(np.concatenate([part for side in sides for part in (side.start, side.end)]))
    ends = [region_map.end for region_map in maps]
    cut = _cut(sides, edges) if any(end is None or end > SCALED_SPACE for end in ends) else None
    sizes = np.diff(edges)
    unit = 1 if (edges % _PAGE).any() else _PAGE
    return {
        "unit": unit,
        "first": hex(int(edges[0])) if len(edges) else "0x0",
        "edges": Numbers((sizes // np.uint64(unit)).astype(np.int64)),
        "cut": cut,
        "held": np.flatnonzero(_held(sides, edges)).tolist() if cut is not None else [],
        "sides": {name: _pack(side, edges) for name, side in zip("ab", sides, strict=True)},
    }


def _runs(region_map: RegionMap) -> _Runs:
    frame = coded_frame(region_map, blocks=True)
    start = frame["address"].to_numpy(np.uint64)
    size = frame["size"].to_numpy(np.int64)
    committed = frame["committed"].to_numpy(np.int64, na_value=0)
    kind = Texts.of(frame["type"]).codes.astype(np.int64)
    if len(start) == 0:
        return _Runs(start, start, kind, committed)
    end = start + size.astype(np.uint64)
    state = np.where(committed == 0, 0, np.where(committed >= size, 1, 2))
    # What is committed in part stays alone: its share is its own.
    joined = (start[1:] == end[:-1]) & (kind[1:] == kind[:-1]) & (state[1:] == state[:-1]) & (state[1:] < 2)
    first = np.flatnonzero(np.concatenate(([True], ~joined)))
    last = np.concatenate((first[1:], [len(start)])) - 1
    return _Runs(start[first], end[last], kind[first], np.add.reduceat(committed, first))


def _held(sides: Sequence[_Runs], edges: U64) -> npt.NDArray[np.bool_]:
    """Which pieces either map holds committed memory in."""
    held = np.zeros(max(0, len(edges) - 1), np.bool_)
    for side in sides:
        if len(side.start) == 0:
            continue
        run = np.searchsorted(side.start, edges[:-1], side="right").astype(np.intp) - 1
        at = np.maximum(run, 0)
        held |= (run >= 0) & (edges[:-1] < side.end[at]) & (side.committed[at] > 0)
    return held


def _cut(sides: Sequence[_Runs], edges: U64) -> int | None:
    held, sizes = _held(sides, edges), np.diff(edges).astype(np.float64)
    return fitting_length(sizes[~held], float(sizes[held].sum()))


def _pack(side: _Runs, edges: U64) -> dict[str, Any]:
    size = (side.end - side.start).astype(np.float64)
    share = np.ceil(100 * side.committed / np.maximum(size, 1)).astype(np.int64)
    return {
        "from": Numbers(np.searchsorted(edges, side.start).astype(np.int64)),
        "to": Numbers(np.searchsorted(edges, side.end).astype(np.int64)),
        "type": Numbers(side.type),
        "held": Numbers(np.minimum(share, 100)),
    }
