"""Groups of allocations that a timeline follows: a module, a heap, a file, a kind, all allocations of one size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from dumpmap.analysis.changes import Index
from dumpmap.analysis.part_sums import Known
from dumpmap.analysis.subjects import Naming, namings_of
from dumpmap.model.region_map import RegionMap
from dumpmap.model.types import RegionType
from dumpmap.model.values import value_class


@value_class(frozen=True, slots=True)
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


def sum_by_group(
    region_map: RegionMap, metrics: Sequence[str], known: Sequence[Known] = ()
) -> dict[Group, dict[str, int]]:
    """Sums the metrics, and counts the allocations (`count`), by group.

    Args:
        region_map: the map.
        metrics: columns of its allocations.
        known: other maps whose groups an allocation gets that they have too. The first one that has it decides.
    """
    columns = region_map.allocation_columns
    groups, codes = _grouped(region_map)
    if known:
        groups, codes = _as_known(groups, codes, known)
    sums: dict[Group, dict[str, int]] = {}
    totals = {
        metric: np.bincount(codes, weights=getattr(columns, metric).astype(np.float64), minlength=len(groups)).tolist()
        for metric in metrics
    }
    for code, count in enumerate(np.bincount(codes, minlength=len(groups)).tolist()):
        if count:
            sums[groups[code]] = {**{metric: int(totals[metric][code]) for metric in metrics}, "count": count}
    return sums


def _grouped(region_map: RegionMap) -> tuple[list[Group], Index]:
    """Returns the groups of a map, each once, and for every allocation the index of its own."""
    columns = region_map.allocation_columns
    if len(columns.base) == 0:
        return [], np.zeros(0, np.intp)
    namings, inverse = namings_of(region_map)
    named = [group_of(naming) for naming in namings]
    # Anonymous memory is grouped by size: a leak is many allocations of one size. On Linux sizes change.
    by_size = region_map.process.os.family == "windows"
    anonymous = np.array([group is None for group in named], np.bool_)[inverse]
    sizes = np.where(anonymous & by_size, columns.size, 0)
    distinct, size_code = np.unique(sizes, return_inverse=True)
    pairs, position = np.unique(inverse * len(distinct) + size_code, return_inverse=True)
    places: dict[Group, int] = {}
    codes = []
    for pair in pairs.tolist():
        code, size = pair // len(distinct), int(distinct[pair % len(distinct)])
        group = named[code]
        if group is None:
            group = Group(namings[code].type, "size", size=size) if size else Group(namings[code].type, "rest")
        codes.append(places.setdefault(group, len(places)))
    return list(places), np.array(codes, np.intp)[position]


def _as_known(own: list[Group], own_codes: Index, known: Sequence[Known]) -> tuple[list[Group], Index]:
    """Gives the allocations that other maps have too the groups that they have there."""
    places = {group: place for place, group in enumerate(own)}
    codes = own_codes.copy()
    left = np.ones(len(codes), np.bool_)
    for one in known:
        groups, theirs = _grouped(one.map)
        numbers = np.array([places.setdefault(group, len(places)) for group in groups], np.intp)
        mine = np.concatenate((one.pairs.a, one.pairs.further_a))
        fresh = left[mine]
        codes[mine[fresh]] = numbers[theirs[np.concatenate((one.pairs.b, one.pairs.further_b))[fresh]]]
        left[mine] = False
    # What no other map has goes with the rest of its group, if that is one group there as well.
    mine, theirs = np.divmod(np.unique(own_codes[~left] * len(places) + codes[~left]), len(places))
    single = np.bincount(mine, minlength=len(own)) == 1
    single &= np.array([group.by in ("name", "stacks") for group in own], np.bool_)
    goes_with = np.arange(len(own))
    goes_with[mine] = np.where(single[mine], theirs, mine)
    codes[left] = goes_with[own_codes[left]]
    return list(places), codes
