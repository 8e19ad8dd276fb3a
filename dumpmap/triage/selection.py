"""Which rows to show, and in which order: `--where`, `--severity`, `--sort`, and `--top`.

A selection changes neither what is analysed nor what is cached. For an unknown value (None), only `COLUMN=` with no
value, `COLUMN!=...`, and `COLUMN!~...` are true. A comparison with a bound or with the unknown figure of a map, `!=`
included, is undecided: such rows are counted, named, and not shown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from operator import itemgetter
from typing import Any, TypeVar

from dumpmap.analysis.rules import SEVERITIES, Severity
from dumpmap.model.values import value_class
from dumpmap.triage.columns import TriageRow
from dumpmap.triage.conditions import Condition, known_column, parse_condition

_Item = TypeVar("_Item")


@value_class(frozen=True, slots=True)
class Selection:
    """Which rows to show, and in which order.

    Attributes:
        where: conditions; all of them must be true.
        severity: the worst finding is at least this severe.
        sort: a column; a leading `-` means descending, `+` or nothing ascending. None means by severity, the worst
            first. Unknown values come last either way.
        top: the maximum number, from the beginning of that order.
    """

    where: tuple[Condition, ...] = ()
    severity: Severity | None = None
    sort: str | None = None
    top: int | None = None

    def __post_init__(self) -> None:
        if self.severity not in (None, *SEVERITIES):
            raise ValueError(f"unknown severity {self.severity!r}; the severities are {', '.join(SEVERITIES)}")
        if self.top is not None and self.top < 1:
            raise ValueError("top must be at least 1")

    @property
    def filters(self) -> bool:
        """Whether the selection can leave out rows because of their values."""
        return bool(self.where) or self.severity is not None

    @property
    def compares(self) -> bool:
        """Whether the selection compares a number, which can be a bound or unknown."""
        return any(condition.comparison is not None for condition in self.where)

    @property
    def sort_column(self) -> str | None:
        """The column to sort by, without its sign."""
        return None if self.sort is None else re.sub(r"^\s*[-+]?", "", self.sort).strip()

    def judge(self, row: TriageRow) -> bool | None:
        """Returns whether a row passes the filters; None if that depends on what nobody knows."""
        if self.severity is not None:
            found = row["severity"]
            if found is None or SEVERITIES.index(found) > SEVERITIES.index(self.severity):
                return False
        judged = {condition.judge(row) for condition in self.where}
        return False if False in judged else None if None in judged else True

    def keeps(self, row: TriageRow) -> bool:
        """Returns whether a row passes the filters for certain."""
        return self.judge(row) is True

    def order(self, items: Iterable[_Item], value: Callable[[_Item], Any]) -> Iterator[_Item]:
        """Sorts items and cuts them to the maximum number.

        Args:
            items: in the default order.
            value: returns an item's value in the column to sort by.
        """
        if self.sort is not None:
            known: list[tuple[Any, _Item]] = []
            unknown: list[_Item] = []
            for item in items:
                key = sort_key(value(item), self.sort_column)
                if key is None:
                    unknown.append(item)
                else:
                    known.append((key, item))
            known.sort(key=itemgetter(0), reverse=self.sort.strip().startswith("-"))
            items = [*(item for _, item in known), *unknown]
        return islice(items, self.top)

    def to_dict(self) -> dict[str, Any]:
        """Returns the selection as plain data, for JSON."""
        return {
            "where": [condition.text for condition in self.where],
            "severity": self.severity,
            "sort": self.sort,
            "top": self.top,
        }


ALL = Selection()
"""Every row, the worst first."""


def select(
    where: str | Sequence[str] = (),
    *,
    severity: Severity | None = None,
    sort: str | None = None,
    top: int | None = None,
    group_by: Sequence[str] = (),
    figures: Sequence[str] = (),
) -> Selection:
    """Makes a selection from what a user wrote.

    Args:
        where: a condition, or several, in the syntax of `parse_condition`.
        severity: see `Selection`.
        sort: see `Selection`; with groups, one of the groups' columns.
        top: see `Selection`.
        group_by: the columns to group by, if any.
        figures: the other columns of the groups.

    Raises:
        ValueError: a condition is malformed, or a column does not exist.
    """
    conditions = [where] if isinstance(where, str) else where
    selection = Selection(tuple(map(parse_condition, conditions)), severity, sort, top)
    name = selection.sort_column
    if name is not None and group_by:
        if name not in (*group_by, *figures):
            raise ValueError(f"groups have no column {name!r}; their columns are {', '.join((*group_by, *figures))}")
    elif name is not None:
        known_column(name)
    return selection


def sort_key(value: Any, column: str | None = None) -> Any:
    """Returns what to compare a column's values by; None for an unknown value."""
    if value is None:
        return None
    if column == "severity":
        return SEVERITIES.index(value)  # the worst first, as in the default order
    if isinstance(value, (list, tuple)):
        return tuple(text.casefold() for text in value)
    return value.casefold() if isinstance(value, str) else value
