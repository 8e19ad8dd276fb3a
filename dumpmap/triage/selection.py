"""Which rows are shown, and in which order: `--where`, `--severity`, `--sort` and `--top`.

What is not selected was analysed and is kept all the same. None is "not known": only `COLUMN=` with nothing behind it
and `COLUMN!=...` hold for it.
"""

from __future__ import annotations

import datetime as dt
import difflib
import fnmatch
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

from dumpmap.analysis.rules import SEVERITIES, Severity
from dumpmap.triage.columns import BY_NAME, FINDING, NAMES, Column, Row, known_values

_Item = TypeVar("_Item")

_CONDITION = re.compile(r"\s*(\w+)\s*(!=|!~|<=|>=|==|=|<|>|~)(.*)", re.DOTALL)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def known_column(name: str) -> Column:
    """The column of a name; `finding` is another for `findings`.

    Raises:
        ValueError: there is none.
    """
    column = BY_NAME.get("findings" if name == FINDING else name)
    if column is None:
        raise ValueError(f"there is no column {name!r}; the columns are {', '.join(NAMES)}")
    return column


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition on one column.

    Attributes:
        text: as it was written.
        column: the column's name.
        holds: tells whether it holds for a value.
    """

    text: str
    column: str
    holds: Callable[[Any], bool]


def parse_condition(text: str) -> Condition:
    """Reads a condition: `verdict=out-of-commit`, `committed>=1.5GB`, `process~*shop*`, `exception!=`.

    Texts are compared without regard to case. `~` looks for a part of a text, or matches a glob pattern with all of it.
    Where the values of a column are settled, such as verdicts and findings, `=` and `!=` take these only.

    Raises:
        ValueError: it is none, there is no such column, or the value does not suit it.
    """
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a condition; write COLUMN=VALUE, or with !=, <, <=, >, >=, ~ or !~")
    name, sign, wanted = match[1], match[2], match[3].strip()
    column = known_column(name)
    negated = sign.startswith("!")
    try:
        test = _test(column, sign.lstrip("!").replace("==", "="), wanted)
    except ValueError as error:
        raise ValueError(f"{text}: {error}") from None
    return Condition(text, column.name, (lambda value: not test(value)) if negated else test)


def _test(column: Column, sign: str, wanted: str) -> Callable[[Any], bool]:
    """The test of a value, without the negation."""
    if not wanted:
        if sign != "=":
            raise ValueError(f"a value is missing behind {sign}")
        return lambda value: value is None or value == []
    if sign == "~":
        if column.kind not in ("text", "texts", "time"):
            raise ValueError(f"~ is for texts, and {column.name} is none")
        return _any_of(_pattern(wanted))
    if column.kind in ("text", "texts"):
        if sign != "=":
            raise ValueError(f"{sign} is for figures, and {column.name} is a text")
        folded = wanted.casefold()
        _check_value(column.name, folded)
        return _any_of(lambda value: value.casefold() == folded)
    if column.kind == "flag":
        if sign != "=" or wanted.lower() not in _FLAGS:
            raise ValueError(f"{column.name} is true or false")
        return lambda value: value is _FLAGS[wanted.lower()]
    if column.kind == "time":
        return _time_test(sign, wanted)
    figure = _figure(column, wanted)
    compare = _COMPARE[sign]
    return lambda value: value is not None and compare(value, figure)


def _check_value(name: str, wanted: str) -> None:
    """Refuses a text that no row can have in a column: a slip of the pen would look like a good result."""
    known = known_values(name)
    if known and wanted not in known:
        what = FINDING if name == "findings" else name
        near = difflib.get_close_matches(wanted, known, 1)
        meant = f"did you mean {near[0]}? " if near else ""
        raise ValueError(f"there is no {what} {wanted!r}; {meant}they are {', '.join(known)}")


def _any_of(test: Callable[[str], bool]) -> Callable[[Any], bool]:
    """Holds for a text that passes, and for a list with one that does."""

    def holds(value: Any) -> bool:
        if isinstance(value, list):
            return any(map(test, value))
        return value is not None and test(value)

    return holds


def _pattern(wanted: str) -> Callable[[str], bool]:
    folded = wanted.casefold()
    if set("*?[").isdisjoint(folded):
        return lambda value: folded in value.casefold()
    expression = re.compile(fnmatch.translate(folded))
    return lambda value: expression.match(value.casefold()) is not None


def _figure(column: Column, wanted: str) -> float:
    if column.kind == "size":
        from dumpmap.views.filters import parse_size

        return parse_size(wanted)
    text = wanted.replace(",", "").replace("_", "")
    try:
        if column.kind == "count":
            return int(text, 16) if text.lower().startswith("0x") else int(text)
        return float(text.removesuffix("%")) / 100 if text.endswith("%") else float(text)
    except ValueError:
        raise ValueError(f"{wanted!r} is not a number") from None


def _time_test(sign: str, wanted: str) -> Callable[[Any], bool]:
    """Compares times; a date stands for the whole day, in UTC like the rows."""
    try:
        moment = dt.datetime.fromisoformat(wanted)
    except ValueError:
        raise ValueError(f"{wanted!r} is not a time; write 2026-01-31 or 2026-01-31T12:00:00Z") from None
    compare = _COMPARE[sign]
    if len(wanted) == len("2026-01-31"):
        day = moment.date()
        return lambda value: value is not None and compare(dt.datetime.fromisoformat(value).date(), day)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return lambda value: value is not None and compare(dt.datetime.fromisoformat(value), moment)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows are shown, in which order.

    Attributes:
        where: conditions that all have to hold.
        severity: the worst finding is at least this severe.
        sort: a column, with `-` before it for descending, with `+` or nothing for ascending; None leaves the usual
            order, the worst first. What is not known comes last either way.
        top: at most so many, from the beginning of that order.
    """

    where: tuple[Condition, ...] = ()
    severity: Severity | None = None
    sort: str | None = None
    top: int | None = None

    def __post_init__(self) -> None:
        if self.severity not in (None, *SEVERITIES):
            raise ValueError(f"unknown severity {self.severity!r}")
        if self.top is not None and self.top < 1:
            raise ValueError("top must be at least 1")

    @property
    def filters(self) -> bool:
        """Whether it may leave out rows for what they are."""
        return bool(self.where) or self.severity is not None

    @property
    def sort_column(self) -> str | None:
        """The column to sort by, without its sign."""
        return None if self.sort is None else re.sub(r"^\s*[-+]?", "", self.sort).strip()

    def keeps(self, row: Row) -> bool:
        """Whether a row is among those that are shown."""
        if self.severity is not None:
            found = row["severity"]
            if found is None or SEVERITIES.index(found) > SEVERITIES.index(self.severity):
                return False
        return all(condition.holds(row[condition.column]) for condition in self.where)

    def order(self, items: Iterable[_Item], value: Callable[[_Item], Any]) -> Iterator[_Item]:
        """Puts items into the order that is asked for, and cuts them.

        Args:
            items: in the usual order.
            value: gives an item's value of the column to sort by.
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
            known.sort(key=operator.itemgetter(0), reverse=self.sort.strip().startswith("-"))
            items = [*(item for _, item in known), *unknown]
        return islice(items, self.top)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
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
    """Makes a selection of what a user wrote.

    Args:
        where: a condition, or several, as `parse_condition` takes them.
        severity: see `Selection`.
        sort: see `Selection`; where there are groups, a column of theirs.
        top: see `Selection`.
        group_by: what is grouped by, if anything.
        figures: the other columns of groups.

    Raises:
        ValueError: a condition or a column is none.
    """
    conditions = [where] if isinstance(where, str) else where
    selection = Selection(tuple(map(parse_condition, conditions)), severity, sort, top)
    name = selection.sort_column
    if name is not None and group_by:
        if name not in (*group_by, *figures):
            raise ValueError(f"groups have no column {name!r}; theirs are {', '.join((*group_by, *figures))}")
    elif name is not None:
        known_column(name)
    return selection


def sort_key(value: Any, column: str | None = None) -> Any:
    """What a value of a column is compared by; None where it is not known."""
    if value is None:
        return None
    if column == "severity":
        return SEVERITIES.index(value)  # the worst first, as in the usual order
    if isinstance(value, (list, tuple)):
        return tuple(text.casefold() for text in value)
    return value.casefold() if isinstance(value, str) else value
