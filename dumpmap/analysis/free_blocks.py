"""The free blocks one by one: by size, with their neighbours, and what makes space unusable. Sizes are bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dumpmap.analysis.free import FreeSpace, free_space
from dumpmap.analysis.limits import address_limit
from dumpmap.model.region_map import RegionMap
from dumpmap.model.types import RegionType
from dumpmap.model.values import value_class


def histogram(space: FreeSpace) -> list[dict[str, int]]:
    """Counts free blocks by power of two.

    Returns:
        rows of `min_bytes` (inclusive), `max_bytes` (exclusive), `count`, `bytes`, without a gap from the smallest to
        the largest size there is.
    """
    if space.count == 0:
        return []
    # Exact for every size below 2**53: frexp gives the exponent itself.
    exponents = np.frexp(space.size.astype(np.float64))[1] - 1
    low = int(exponents.min())
    slots = exponents - low
    counts = np.bincount(slots)
    order = np.argsort(slots, kind="stable")
    edges = np.concatenate(([0], np.cumsum(counts)))
    running = np.concatenate((np.zeros(1, np.int64), np.cumsum(space.size[order])))
    sums = running[edges[1:]] - running[edges[:-1]]
    return [
        {"min_bytes": 1 << (low + slot), "max_bytes": 1 << (low + slot + 1), "count": int(count), "bytes": int(total)}
        for slot, (count, total) in enumerate(zip(counts.tolist(), sums.tolist(), strict=True))
    ]


@value_class(frozen=True, slots=True)
class Neighbour:
    """The allocation beside a free block."""

    address: int
    size: int
    type: str
    kind: str
    details: str

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "address": f"0x{self.address:x}",
            "size": self.size,
            "type": self.type,
            "kind": self.kind,
            "details": self.details,
        }


@value_class(frozen=True, slots=True)
class FreeNeighbours:
    """A free block and the allocations before and after it; None at an end of the address space."""

    address: int
    size: int
    before: Neighbour | None
    after: Neighbour | None

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "address": f"0x{self.address:x}",
            "size": self.size,
            "before": None if self.before is None else self.before.to_dict(),
            "after": None if self.after is None else self.after.to_dict(),
        }


def largest_blocks(region_map: RegionMap, count: int = 10, space: FreeSpace | None = None) -> list[FreeNeighbours]:
    """The largest free blocks with their neighbours: largest first, blocks of one size by address."""
    space = space or free_space(region_map)
    if space is None or count <= 0:
        return []
    picked = np.lexsort((space.base, -space.size))[:count]
    bases = region_map.allocation_columns.base
    at = np.searchsorted(bases, space.base[picked])
    blocks = []
    for address, size, after in zip(space.base[picked].tolist(), space.size[picked].tolist(), at.tolist(), strict=True):
        blocks.append(
            FreeNeighbours(
                address=address,
                size=size,
                before=_neighbour(region_map, after - 1),
                after=_neighbour(region_map, after),
            )
        )
    return blocks


def _neighbour(region_map: RegionMap, index: int) -> Neighbour | None:
    columns = region_map.allocation_columns
    if not 0 <= index < len(columns.base):
        return None
    return Neighbour(
        address=int(columns.base[index]),
        size=int(columns.size[index]),
        type=RegionType(int(columns.type[index])).label,
        kind=region_map.texts[columns.kind[index]],
        details=region_map.texts[columns.details[index]],
    )


@value_class(frozen=True, slots=True)
class UnusableCause:
    """Allocations of one type, kind, and size, and the unusable space after them."""

    type: str
    kind: str
    size: int
    count: int
    unusable: int

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "type": self.type,
            "kind": self.kind,
            "size": self.size,
            "count": self.count,
            "unusable": self.unusable,
        }


def unusable_causes(region_map: RegionMap, count: int = 10) -> list[UnusableCause]:
    """Groups the allocations that unusable space follows, the most expensive groups first.

    Many small VirtualAlloc calls are the usual cause: one of 4 KB makes 60 KB unusable.
    """
    gaps = region_map.gaps
    if gaps is None or len(gaps.unusable_base) == 0:
        return []
    columns = region_map.allocation_columns
    owner = np.searchsorted(columns.base, gaps.unusable_base, side="right") - 1
    real = owner >= 0
    owner, lost = owner[real], gaps.unusable_size[real].astype(np.int64)
    if len(owner) == 0:
        return []
    limit = address_limit(region_map).size
    if limit is not None:
        inside = columns.base[owner] < limit
        owner, lost = owner[inside], lost[inside]
    groups, inverse = _group(columns.type[owner], columns.kind[owner], columns.size[owner])
    counts = np.bincount(inverse, minlength=len(groups))
    totals = np.bincount(inverse, weights=lost.astype(np.float64), minlength=len(groups)).astype(np.int64)
    causes = []
    for group in np.argsort(-totals, kind="stable")[: max(0, count)].tolist():
        first = owner[groups[group]]
        causes.append(
            UnusableCause(
                type=RegionType(int(columns.type[first])).label,
                kind=region_map.texts[columns.kind[first]],
                size=int(columns.size[first]),
                count=int(counts[group]),
                unusable=int(totals[group]),
            )
        )
    return causes


def _group(*columns: npt.NDArray[Any]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Groups equal rows; returns the first row of each group, and each row's group."""
    codes = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        values, inverse = np.unique(column, return_inverse=True)
        codes = np.unique(codes * len(values) + inverse, return_inverse=True)[1].astype(np.int64)
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    return first, inverse


def free_report(region_map: RegionMap, blocks: int = 10) -> dict[str, Any] | None:
    """Everything about a map's free space as plain data (schema `dumpmap.free/1`); None for a partial map."""
    space = free_space(region_map)
    if space is None:
        return None
    return {
        "schema": "dumpmap.free/1",
        **space.to_dict(),
        "histogram": histogram(space),
        "largest_blocks": [block.to_dict() for block in largest_blocks(region_map, blocks, space)],
        "unusable_causes": [cause.to_dict() for cause in unusable_causes(region_map, blocks)],
    }
