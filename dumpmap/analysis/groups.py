"""Groups of allocations that a timeline follows: a module, a heap, a file, a kind, all allocations of one size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dumpmap.analysis.subjects import Naming, namings_of
from dumpmap.model.region_map import RegionMap
from dumpmap.model.types import RegionType


@dataclass(frozen=True, slots=True)
class Group:
    """Allocations of one type that belong together.

    Attributes:
        type: their type.
        by: what they have in common: a `name` (of a module, heap, file, or kind), being `stacks` of the kind `name`,
            a `size`, or nothing (`rest`).
        name: the name; empty for stacks of no kind.
        size: the size, for anonymous memory on Windows.
    """

    type: RegionType
    by: Literal["name", "stacks", "size", "rest"]
    name: str = ""
    size: int = 0


def group_of(naming: Naming) -> Group | None:
    """Returns the group that allocations with this naming belong to; None for anonymous memory."""
    subject = naming.subject.name if naming.subject is not None else ""
    if naming.type == RegionType.STACK:
        return Group(naming.type, "stacks", naming.kind)
    if naming.type in (RegionType.IMAGE, RegionType.MAPPED_FILE):
        name = subject
    elif naming.type == RegionType.HEAP:
        name = subject or naming.kind
    elif naming.type == RegionType.MANAGED_HEAP:
        name = naming.kind or subject
    else:
        return Group(naming.type, "name", naming.kind) if naming.kind else None
    return Group(naming.type, "name", name) if name else Group(naming.type, "rest")


def sum_by_group(region_map: RegionMap, metrics: Sequence[str]) -> dict[Group, dict[str, int]]:
    """Sums the metrics, and counts the allocations (`count`), by group; in one pass over the columns."""
    columns = region_map.allocation_columns
    if len(columns.base) == 0:
        return {}
    namings, inverse = namings_of(region_map)
    named = [group_of(naming) for naming in namings]
    # Anonymous memory is grouped by size: a leak is many allocations of one size. On Linux sizes change.
    by_size = region_map.process.os.family == "windows"
    anonymous = np.array([group is None for group in named], np.bool_)[inverse]
    sizes = np.where(anonymous & by_size, columns.size, 0)
    distinct, size_code = np.unique(sizes, return_inverse=True)
    pairs, position = np.unique(inverse * len(distinct) + size_code, return_inverse=True)
    sums = {
        metric: np.bincount(position, weights=getattr(columns, metric).astype(np.float64), minlength=len(pairs))
        for metric in metrics
    }
    counts = np.bincount(position, minlength=len(pairs))
    groups: dict[Group, dict[str, int]] = {}
    for index, pair in enumerate(pairs.tolist()):
        code, size = pair // len(distinct), int(distinct[pair % len(distinct)])
        known = named[code]
        if known is None:
            known = Group(namings[code].type, "size", size=size) if size else Group(namings[code].type, "rest")
        group = groups.setdefault(known, {**dict.fromkeys(metrics, 0), "count": 0})
        for metric in metrics:
            group[metric] += int(sums[metric][index])
        group["count"] += int(counts[index])
    return groups
