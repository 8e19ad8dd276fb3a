"""The allocations that differ between two maps, as columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dumpmap.model.region_map import RegionMap
from dumpmap.model.snapshot import I64
from dumpmap.model.types import RegionType
from dumpmap.model.values import value_class

Status = Literal["added", "removed", "grown", "shrunk", "changed", "moved"]
STATUSES: tuple[Status, ...] = ("added", "removed", "grown", "shrunk", "changed", "moved")
"""Every status of a change.

- `grown`, `shrunk`: by size; at the same size by committed bytes; if both are the same, by private bytes.
- `changed`: the same figures, but another type, kind, description, protection, or number of regions.
- `moved`: nothing but the address.
"""

MATCHES = ("", "base", "identity", "same place", "shape")
"""How the two sides of a change were matched: not at all, or one of the ways in `dumpmap.analysis.matching`."""

CHANGE_COLUMNS = (
    "status",
    "match",
    "type",
    "kind",
    "details",
    "address_a",
    "address_b",
    "size_a",
    "size_b",
    "size_delta",
    "committed_a",
    "committed_b",
    "committed_delta",
    "private_a",
    "private_b",
    "private_delta",
)
"""Columns of the table of changes; `_a` is missing for what was added, `_b` for what was removed."""

Index = npt.NDArray[np.intp]
NONE = -1
"""The index of an allocation that a map does not have."""


@value_class(frozen=True, slots=True)
class Change:
    """One allocation that is not the same in both maps. Sizes are bytes; None where the side does not have it."""

    status: Status
    match: str
    type: str
    kind: str
    details: str
    address_a: int | None
    address_b: int | None
    size_a: int | None
    size_b: int | None
    size_delta: int
    committed_a: int | None
    committed_b: int | None
    committed_delta: int
    private_a: int | None
    private_b: int | None
    private_delta: int

    def to_dict(self) -> dict[str, Any]:
        """Returns plain data, keys `CHANGE_COLUMNS`."""
        row: dict[str, Any] = {column: getattr(self, column) for column in CHANGE_COLUMNS}
        for side in ("address_a", "address_b"):
            row[side] = None if row[side] is None else f"0x{row[side]:x}"
        return row


@dataclass(frozen=True, eq=False, repr=False)
class Changes:
    """All changes, columnar.

    Attributes:
        map_a: the first map.
        map_b: the second map.
        figures_a: size, committed, and private bytes of the first map's allocations.
        figures_b: the same of the second map.
        status: index into `STATUSES`.
        match: index into `MATCHES`.
        a: index of the allocation in the first map, -1 for what was added.
        b: index of the allocation in the second map, -1 for what was removed.
        unchanged: the number of allocations that are the same in both.
    """

    map_a: RegionMap
    map_b: RegionMap
    figures_a: Mapping[str, I64]
    figures_b: Mapping[str, I64]
    status: npt.NDArray[np.uint8]
    match: npt.NDArray[np.uint8]
    a: Index
    b: Index
    unchanged: int

    def __len__(self) -> int:
        return len(self.status)

    def _delta(self, column: str) -> I64:
        return take(self.figures_b[column], self.b) - take(self.figures_a[column], self.a)

    @cached_property
    def size_delta(self) -> I64:
        """Change of size."""
        return self._delta("size")

    @cached_property
    def committed_delta(self) -> I64:
        """Change of committed bytes."""
        return self._delta("committed")

    @cached_property
    def private_delta(self) -> I64:
        """Change of private bytes."""
        return self._delta("private")

    def count(self, status: Status) -> int:
        """Returns the number of changes that have a status."""
        return int(np.count_nonzero(self.status == STATUSES.index(status)))

    def counts(self) -> dict[str, int]:
        """Returns the number of changes by status, and under `same` the number of allocations that did not change."""
        return {**{status: self.count(status) for status in STATUSES}, "same": self.unchanged}

    def order(self) -> Index:
        """Sorts the changes that matter most first: by committed bytes, then by size, then by address."""
        address = np.where(
            self.b >= 0,
            take(self.map_b.allocation_columns.base.astype(np.int64), self.b),
            take(self.map_a.allocation_columns.base.astype(np.int64), self.a),
        )
        return np.lexsort((address, -np.abs(self.size_delta), -np.abs(self.committed_delta)))

    def rows(self, limit: int | None = None, statuses: Sequence[Status] | None = None) -> Iterator[Change]:
        """Yields the changes, those that matter most first.

        Args:
            limit: the largest number of changes; all by default.
            statuses: only changes with one of these.
        """
        order = self.order()
        if statuses is not None:
            wanted = np.array([STATUSES.index(status) for status in statuses], np.uint8)
            order = order[np.isin(self.status[order], wanted)]
        for index in order[:limit].tolist():
            yield self.row(index)

    def row(self, index: int) -> Change:
        """Returns one change."""
        a, b = int(self.a[index]), int(self.b[index])
        region_map, at = (self.map_b, b) if b >= 0 else (self.map_a, a)
        columns = region_map.allocation_columns

        def side(figures: Mapping[str, I64], position: int, column: str) -> int | None:
            return None if position < 0 else int(figures[column][position])

        base_a, base_b = self.map_a.allocation_columns.base, self.map_b.allocation_columns.base
        return Change(
            status=STATUSES[self.status[index]],
            match=MATCHES[self.match[index]],
            type=RegionType(int(columns.type[at])).label,
            kind=region_map.texts[columns.kind[at]],
            details=region_map.texts[columns.details[at]],
            address_a=None if a < 0 else int(base_a[a]),
            address_b=None if b < 0 else int(base_b[b]),
            size_a=side(self.figures_a, a, "size"),
            size_b=side(self.figures_b, b, "size"),
            size_delta=int(self.size_delta[index]),
            committed_a=side(self.figures_a, a, "committed"),
            committed_b=side(self.figures_b, b, "committed"),
            committed_delta=int(self.committed_delta[index]),
            private_a=side(self.figures_a, a, "private"),
            private_b=side(self.figures_b, b, "private"),
            private_delta=int(self.private_delta[index]),
        )


def take(values: npt.NDArray[Any], index: Index, missing: int = 0) -> I64:
    """Takes values by index; -1 gives `missing`."""
    if len(values) == 0:
        return np.full(len(index), missing, np.int64)
    return np.where(index >= 0, values[np.maximum(index, 0)], missing).astype(np.int64)
