"""Conditions on a column: what `--where` accepts."""

from __future__ import annotations

import datetime as dt
import difflib
import fnmatch
import re
from collections.abc import Callable
from typing import Any

from dumpmap.model.sizes import parse_size
from dumpmap.model.values import value_class
from dumpmap.triage.bounded import COMPARE, Comparison, bounds_of
from dumpmap.triage.columns import BY_NAME, FINDING, TriageColumn, TriageRow, column_hint, known_values

Test = Callable[[Any], bool]
"""Returns whether a value passes."""

_CONDITION = re.compile(r"\s*(\w+)\s*(!=|!~|<=|>=|==|=|<|>|~)(.*)", re.DOTALL)
_NUMBERS = ("size", "count", "share", "seconds")
_FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@value_class(frozen=True, slots=True)
class Condition:
    """A condition on one column.

    Attributes:
        text: the condition as the user wrote it.
        column: the column's name.
        holds: returns whether the condition is true of a value.
        comparison: the comparison with a number; None if it is no such condition.
    """

    text: str
    column: str
    holds: Test
    comparison: Comparison | None = None

    def judge(self, row: TriageRow) -> bool | None:
        """Returns whether the condition is true of a row; None if a bound or an unknown figure does not tell."""
        bounds = None if self.comparison is None else bounds_of(row, self.column)
        if self.comparison is None or bounds is None:
            return self.holds(row[self.column])
        return self.comparison.judge(*bounds)


def known_column(name: str) -> TriageColumn:
    """Returns the column with a name; `finding` is another name for `findings`.

    Raises:
        ValueError: there is no such column.
    """
    column = BY_NAME.get("findings" if name == FINDING else name)
    if column is None:
        raise ValueError(f"there is no column {name!r}; {column_hint(name)}")
    return column


def parse_condition(text: str) -> Condition:
    """Reads a condition: `verdict=out-of-commit`, `committed>=1.5GB`, `process~*shop*`, `exception!=`.

    Text comparisons ignore case. `~` finds a part of a text, or matches the whole text against a glob pattern. For a
    column with a fixed set of values, such as verdicts and findings, `=` and `!=` accept only those values.

    Raises:
        ValueError: the condition is malformed, the column does not exist, or the value does not fit the column.
    """
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise ValueError(
            f"{text!r} is not a condition. Write COLUMN=VALUE, or use !=, <, <=, >, >=, ~, or !~ instead of ="
        )
    name, sign, wanted = match[1], match[2], match[3].strip()
    column = known_column(name)
    negated = sign.startswith("!")
    sign = sign.lstrip("!").replace("==", "=")
    comparison = None
    try:
        test = _test(column, sign, wanted)
        if wanted and column.holds in _NUMBERS:
            comparison = Comparison(sign, _figure(column, wanted), negated)
    except ValueError as error:
        raise ValueError(f"{text}: {error}") from None
    return Condition(text, column.name, (lambda value: not test(value)) if negated else test, comparison)


def _test(column: TriageColumn, sign: str, wanted: str) -> Test:
    """Returns the test of a value, without the negation."""
    if not wanted:
        if sign != "=":
            raise ValueError(f"{sign} needs a value")
        return lambda value: value is None or value == []
    if sign == "~":
        if column.holds not in ("text", "texts", "time"):
            raise ValueError(f"~ works on text, and {column.name} is not a text column")
        return _any_of(_pattern(wanted))
    if column.holds in ("text", "texts"):
        return _text_test(column, sign, wanted)
    if column.holds == "flag":
        if sign != "=" or wanted.lower() not in _FLAGS:
            raise ValueError(f"{column.name} is a flag. Write {column.name}=true or {column.name}=false")
        return lambda value: value is _FLAGS[wanted.lower()]
    if column.holds == "time":
        return _time_test(sign, wanted)
    figure = _figure(column, wanted)
    compare = COMPARE[sign]
    return lambda value: value is not None and compare(value, figure)


def _text_test(column: TriageColumn, sign: str, wanted: str) -> Test:
    if sign != "=":
        raise ValueError(f"{sign} works on numbers and times, and {column.name} is a text column")
    folded = wanted.casefold()
    _check_value(column.name, folded)
    return _any_of(lambda value: value.casefold() == folded)


def _check_value(name: str, wanted: str) -> None:
    """Rejects a text that no row can have in a column: with a typo, the empty result would look like good news."""
    known = known_values(name)
    if known and wanted not in known:
        what = FINDING if name == "findings" else name
        near = difflib.get_close_matches(wanted, known, 1)
        meant = f"did you mean {near[0]}? " if near else ""
        raise ValueError(f"there is no {what} {wanted!r}; {meant}the values are {', '.join(known)}")


def _any_of(test: Callable[[str], bool]) -> Test:
    """Returns a test that a text passes, or a list with at least one text that does."""

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


def _figure(column: TriageColumn, wanted: str) -> float:
    if column.holds == "size":
        return parse_size(wanted)
    text = wanted.replace(",", "").replace("_", "")
    try:
        if column.holds == "count":
            return int(text, 16) if text.lower().startswith("0x") else int(text)
        return float(text.removesuffix("%")) / 100 if text.endswith("%") else float(text)
    except ValueError:
        raise ValueError(f"{wanted!r} is not a number") from None


def _time_test(sign: str, wanted: str) -> Test:
    """Compares times. A date without a time means the whole day, in UTC like the rows."""
    try:
        moment = dt.datetime.fromisoformat(wanted)
    except ValueError:
        raise ValueError(f"{wanted!r} is not a time. Write 2026-01-31 or 2026-01-31T12:00:00Z") from None
    compare = COMPARE[sign]
    if len(wanted) == len("2026-01-31"):
        day = moment.date()
        return lambda value: value is not None and compare(dt.datetime.fromisoformat(value).date(), day)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return lambda value: value is not None and compare(dt.datetime.fromisoformat(value), moment)
