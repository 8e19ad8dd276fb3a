"""Figures of a row that are bounds or unknown: a dump that shows only a part of the memory has at least its sums.

A comparison with a bound has three outcomes, as in `dumpmap check`: it holds, it does not, or the dump does not tell.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from math import inf
from typing import Any

from dumpmap.model.types import RegionType
from dumpmap.model.values import value_class
from dumpmap.model.winnt import ALLOCATION_GRANULARITY
from dumpmap.triage.columns import TYPE_COLUMNS, TriageRow

COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

LOWER_BOUNDS = frozenset(
    ("total_size", "committed", "private", "largest_free", "regions", "top_owner_size", "top_owner_committed")
) | frozenset(name for region_type, _, name in TYPE_COLUMNS if region_type != RegionType.PAGE_TABLE)
"""Columns whose figure is a lower bound where the row's `lower_bound` is true. Page tables have a counter."""

_AT_MOST = {"largest_free": ("largest_free_at_most", 0), "free_size": ("free_at_most", ALLOCATION_GRANULARITY)}
"""Columns that another one bounds from above, and how much more they count: the first 64 KB, as VMMap does."""

_MAPPED = ("ok", "partial")
_MAY_BE_ABSENT = frozenset(
    ("oom_size", "fragmentation", "top_owner_size", "top_owner_committed", "owned_share", "bytes_read")
)
"""Figures that are blank where there is nothing to measure: no failed allocation, free block, owner, or network."""

_SHARES = ("fragmentation", "owned_share")
"""Shares of the whole, which a part does not have."""


@value_class(frozen=True, slots=True)
class Comparison:
    """A comparison with a number.

    Attributes:
        sign: `=`, `<`, `<=`, `>` or `>=`.
        figure: what to compare with.
        negated: whether the comparison must not hold.
    """

    sign: str
    figure: float
    negated: bool

    def judge(self, low: float, high: float) -> bool | None:
        """Judges a value between two bounds; None if it depends on where between them it lies."""
        if self.sign == "=":
            inside = low <= self.figure <= high
            holds = None if inside and low != high else inside
        else:
            compare = COMPARE[self.sign]
            ends = {compare(low, self.figure), compare(high, self.figure)}
            holds = ends.pop() if len(ends) == 1 else None
        return holds if holds is None or not self.negated else not holds


def bounds_of(row: TriageRow, name: str) -> tuple[float, float] | None:
    """Returns the bounds of a figure; None if it is exact, or if the row has no map or no such thing to measure."""
    value = row[name]
    if value is None and (row["status"] not in _MAPPED or name in _MAY_BE_ABSENT):
        return None
    if name in _SHARES:
        return (0.0, 1.0) if value is None or row["lower_bound"] else None
    other, more = _AT_MOST.get(name, (None, 0)) if row["lower_bound"] else (None, 0)
    most = None if other is None else row[other]
    if value is not None and (name not in LOWER_BOUNDS or not row["lower_bound"]):
        return None
    return (value or 0, inf if most is None else most + more)
