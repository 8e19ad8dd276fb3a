"""Rows that have the same values in some columns, counted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from dumpmap.model.values import value_class
from dumpmap.triage.columns import FINDING, GROUPABLE, TriageRow, column_hint
from dumpmap.triage.selection import Selection, sort_key


@value_class(frozen=True, slots=True)
class TriageGroup:
    """Rows that have the same values in the columns of a grouping.

    Attributes:
        values: these values.
        count: how many rows there are.
        with_critical: how many have a critical finding.
        with_warnings: how many have a warning as their worst finding.
        unreadable: how many could not be read.
        most_committed: the largest number of committed bytes.
        most_process_commit: the largest commit of a process, which partial dumps know too.
        least_largest_free: the smallest of the rows' largest free blocks.
        lower_bound: whether one of the rows has at least its committed bytes, so that the largest number is a lower
            bound too.
        least_lower_bound: the same for the smallest of the largest free blocks.
        example: the path of the worst row.
    """

    values: tuple[Any, ...]
    count: int = 0
    with_critical: int = 0
    with_warnings: int = 0
    unreadable: int = 0
    most_committed: int | None = None
    most_process_commit: int | None = None
    least_largest_free: int | None = None
    lower_bound: bool = False
    least_lower_bound: bool = False
    example: str = ""


class Grouping:
    """Counts rows as they come, the worst first, so that the example of a group is its worst row.

    Args:
        columns: what to group by. Under `finding`, a row counts once per finding.

    Raises:
        ValueError: a column cannot be grouped by.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        check_groupable(columns)
        self.columns = columns
        self._groups: dict[tuple[Any, ...], TriageGroup] = {}

    def add(self, row: TriageRow) -> None:
        """Counts a row."""
        for values in product(*(_group_values(row, name) for name in self.columns)):
            group = self._groups.get(values) or TriageGroup(values, example=row["path"])
            self._groups[values] = replace(
                group,
                count=group.count + 1,
                with_critical=group.with_critical + (row["severity"] == "critical"),
                with_warnings=group.with_warnings + (row["severity"] == "warning"),
                unreadable=group.unreadable + (row["status"] == "error"),
                most_committed=_of_known(max, group.most_committed, row["committed"]),
                most_process_commit=_of_known(max, group.most_process_commit, row["process_commit"]),
                least_largest_free=_of_known(min, group.least_largest_free, row["largest_free"]),
                lower_bound=group.lower_bound or bool(row["lower_bound"] and row["committed"] is not None),
                least_lower_bound=group.least_lower_bound
                or bool(row["lower_bound"] and row["largest_free"] is not None),
            )

    def groups(self) -> list[TriageGroup]:
        """Returns the groups so far, the largest first."""
        # Unknown values come after known ones; they compare with nothing.
        return sorted(
            self._groups.values(),
            key=lambda group: (-group.count, [(value is None, sort_key(value)) for value in group.values]),
        )

    def chosen(self, selection: Selection) -> list[TriageGroup]:
        """Returns the groups so far in the order of a selection, and no more than its maximum number."""
        name = selection.sort_column

        def value(group: TriageGroup) -> Any:
            return group.values[self.columns.index(name)] if name in self.columns else getattr(group, name or "")

        return list(selection.order(self.groups(), value))


def group_rows(rows: Iterable[TriageRow], columns: Sequence[str]) -> list[TriageGroup]:
    """Counts rows that have the same values in `columns`; the largest group comes first.

    Args:
        rows: the worst first.
        columns: see `Grouping`.

    Raises:
        ValueError: a column cannot be grouped by.
    """
    grouping = Grouping(columns)
    for row in rows:
        grouping.add(row)
    return grouping.groups()


def check_groupable(columns: Sequence[str]) -> None:
    """Checks that rows can be grouped by some columns.

    Raises:
        ValueError: a name is not a column's.
    """
    for name in columns:
        if name not in GROUPABLE:
            raise ValueError(f"cannot group by {name!r}; {column_hint(name)}")


def _group_values(row: TriageRow, name: str) -> tuple[Any, ...]:
    """Returns the groups of one column that a row belongs to: one, except for findings. No finding is None."""
    if name == FINDING:
        return tuple(row["findings"] or (None,))
    value = row[name]
    return ((tuple(value) or None) if isinstance(value, list) else value,)


def _of_known(choose: Callable[[int, int], int], one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return choose(one, other)
