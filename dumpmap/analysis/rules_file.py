"""The text of a rules file (TOML), which changes thresholds and severities and holds the gates of `check`.

One file may hold everything; each command uses its part:

```toml
disable = ["many-heaps"]              # findings that you do not want
unknown = "fail"                      # a limit on an unknown value: "fail" (default) or "skip"

[thresholds]
largest_free_critical = "16MB"

[severity]
executable-writable-memory = "warning"

[limits]                              # `check`: absolute
"Heap.committed" = "<= 200MB"
largest_free_block = ">= 64MB"

[findings]                            # `check`
forbid = ["largest-free-block-small"]
max_severity = "warning"

[verdict]                             # `check`
forbid = ["out-of-address-space", "out-of-commit"]

[deltas]                              # `check`: against a baseline
"Heap.committed" = "<= +10%"
```
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar, cast

from dumpmap.analysis.gate_figures import find_figure
from dumpmap.analysis.rules import (
    DEFAULT_THRESHOLDS,
    RULE,
    SEVERITIES,
    THRESHOLD,
    VERDICT_NAMES,
    Limit,
    RulesError,
    RuleSet,
    Severity,
    Threshold,
    Unit,
    VerdictName,
)
from dumpmap.model.sizes import parse_number, size_words

_Made = TypeVar("_Made")

_LIMIT = re.compile(r"\s*(<=|>=|==|!=|<|>)\s*(.+?)\s*")

_TABLES = ("disable", "unknown", "thresholds", "severity", "limits", "findings", "verdict", "deltas")


def parse_rules(text: str, *, name: str | None = None) -> RuleSet:
    """Reads the text of a rules file.

    Args:
        text: the TOML.
        name: the file's name, for errors.

    Raises:
        RulesError: it is not TOML, or has an unknown key or an invalid value; the error names the key,
            and all of them if several are wrong.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RulesError(f"not valid TOML: {error}", source=name) from None
    mistakes = _Mistakes()
    rules = _rule_set(document, name, mistakes)
    mistakes.raise_all(name)
    return rules


class _Mistakes:
    """What is wrong in a rules file: all of it, so that nobody has to run a build for each."""

    def __init__(self) -> None:
        self._found: list[RulesError] = []

    def of(self, make: Callable[[], _Made], instead: _Made) -> _Made:
        """Returns what is made, and something else in its place if the file is wrong there."""
        try:
            return make()
        except RulesError as error:
            self._found.append(error)
            return instead

    def raise_all(self, name: str | None) -> None:
        """Raises one error for all mistakes; nothing if there are none."""
        if len(self._found) == 1:
            raise RulesError(self._found[0].problem, source=name, place=self._found[0].place)
        if self._found:
            texts = [f"{error.place}: {error.problem}" for error in self._found]
            raise RulesError(f"{len(texts)} mistakes. {'; '.join(texts)}", source=name)


def _rule_set(document: dict[str, Any], name: str | None, mistakes: _Mistakes) -> RuleSet:
    _known(document, _TABLES, "", mistakes)

    def table(key: str) -> dict[str, Any]:
        return mistakes.of(lambda: _table(document, key), {})

    findings, verdict, changed = table("findings"), table("verdict"), table("severity")
    _known(changed, tuple(RULE), "severity.", mistakes)
    _known(findings, ("forbid", "max_severity"), "findings.", mistakes)
    _known(verdict, ("forbid",), "verdict.", mistakes)
    severity: dict[str, Severity | None] = {
        key: mistakes.of(partial(_choice, value, SEVERITIES, f"severity.{key}"), None) for key, value in changed.items()
    }
    worst = findings.get("max_severity")

    def names(value: Any, known: tuple[str, ...], key: str) -> tuple[str, ...]:
        return tuple(mistakes.of(lambda: _names(value, known, key), []))

    return RuleSet(
        thresholds=_thresholds(table("thresholds"), mistakes),
        severity={key: value for key, value in severity.items() if value is not None},
        disabled=frozenset(names(document.get("disable", []), tuple(RULE), "disable")),
        limits=_limits(table("limits"), "limits", mistakes),
        forbidden_findings=names(findings.get("forbid", []), tuple(RULE), "findings.forbid"),
        max_severity=None
        if worst is None
        else mistakes.of(lambda: _choice(worst, SEVERITIES, "findings.max_severity"), None),
        forbidden_verdicts=cast(
            "tuple[VerdictName, ...]", names(verdict.get("forbid", []), VERDICT_NAMES, "verdict.forbid")
        ),
        deltas=_limits(table("deltas"), "deltas", mistakes),
        unknown=mistakes.of(lambda: _choice(document.get("unknown", "fail"), ("fail", "skip"), "unknown"), "fail"),
        name=name,
    )


# ---------------------------------------------------------------- amounts and limits


def parse_amount(value: Any, key: str) -> tuple[float, bool]:
    """Reads an amount: `65536`, `"64KB"`, `"1.5 GB"`, `"+10%"`; units are powers of 1024.

    Returns:
        the number (bytes, a count, or percent) and whether it is a percentage.

    Raises:
        RulesError: it is not an amount.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise RulesError(f"{value!r} is not a number or a size", place=key)
    if isinstance(value, (int, float)):
        return value, False
    parsed = _unsigned(value)
    percent = value.rstrip().endswith("%")
    if parsed is None or (percent and parsed[1]):
        raise RulesError(f"{value!r} is not a number or a size; write 65536, 64KB, 1.5GB or 10%", place=key)
    number = -parsed[0] if value.lstrip().startswith("-") else parsed[0]
    return (int(number) if number == int(number) and not percent else number), percent


def _unsigned(value: str) -> tuple[float, bool] | None:
    """Parses an amount without its sign and its percent sign; see `parse_number`."""
    text = value.strip().removesuffix("%")
    return parse_number(text[1:] if text[:1] in ("+", "-") else text)


def _check_unit(value: Any, unit: Unit, key: str) -> None:
    """Refuses an amount of another unit: bytes for a count or a share, a share above 1."""
    if unit == "bytes":
        return
    parsed = _unsigned(value) if isinstance(value, str) else None
    if parsed is not None and parsed[1]:
        wanted = "count: write a number without a unit" if unit == "count" else "share: write 0.9 or 90%"
        raise RulesError(f"{value!r} is a size; this key needs a {wanted}", place=key)
    number, percent = parse_amount(value, key)
    if unit == "share" and not percent and abs(number) > 1:
        raise RulesError(f"{value!r} is not a share; write 0.9 or 90%", place=key)


def parse_limit(value: Any, key: str) -> Limit:
    """Reads a limit: an operator and an amount.

    Raises:
        RulesError: it is not a limit.
    """
    match = _LIMIT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise RulesError(f'{value!r} is not a limit; write an operator and an amount, as in "<= 200MB"', place=key)
    number, percent = parse_amount(match[2], key)
    return Limit(" ".join(f"{match[1]} {match[2]}".split()), match[1], number, percent)


def _limits(table: Mapping[str, Any], name: str, mistakes: _Mistakes) -> dict[str, Limit]:
    limits = {key: mistakes.of(partial(_limit, name, key, value), None) for key, value in table.items()}
    return {key: limit for key, limit in limits.items() if limit is not None}


def _limit(table: str, key: str, value: Any) -> Limit | None:
    place = f'{table}."{key}"' if "." in key else f"{table}.{key}"
    unit = find_figure(key, place).unit
    limit = parse_limit(value, place)
    _check_unit(limit.text.removeprefix(limit.comparison), unit, place)
    if table == "limits" and limit.percent and unit != "share":
        raise RulesError("a limit in percent applies to a change: move it to [deltas]", place=place)
    return limit


# ---------------------------------------------------------------- thresholds

_ORDER = (
    ("largest_free_critical", "largest_free_warning"),
    ("free_total_critical", "free_total_warning"),
    ("commit_warning", "commit_reached"),
)
"""Pairs whose first must not exceed the second: a critical state lies beyond the state that warns of it."""


def _thresholds(changed: Mapping[str, Any], mistakes: _Mistakes) -> dict[str, float]:
    thresholds = dict(DEFAULT_THRESHOLDS)
    _known(changed, tuple(THRESHOLD), "thresholds.", mistakes)
    for key in [key for key in changed if key in THRESHOLD]:
        thresholds[key] = mistakes.of(partial(_threshold, THRESHOLD[key], changed[key]), thresholds[key])
    mistakes.of(partial(_check_order, changed, thresholds), None)
    return thresholds


def _check_order(changed: Mapping[str, Any], thresholds: Mapping[str, float]) -> None:
    for lower, upper in _ORDER:
        if thresholds[lower] > thresholds[upper]:
            key, other = (lower, upper) if lower in changed else (upper, lower)
            default = "" if other in changed else f", which is {_default_text(THRESHOLD[other])} by default"
            raise RulesError(f"{lower} must not exceed {upper}{default}", place=f"thresholds.{key}")


def _threshold(threshold: Threshold, value: Any) -> float:
    key = f"thresholds.{threshold.name}"
    _check_unit(value, threshold.unit, key)
    number, percent = parse_amount(value, key)
    if threshold.unit == "share":
        share = number / 100 if percent else number
        if not 0 <= share <= 1:
            raise RulesError(f"{value!r} is not a share; write 0.9 or 90%", place=key)
        return share
    if percent or number < 0:
        raise RulesError(f"{value!r} is not a {'size' if threshold.unit == 'bytes' else 'count'}", place=key)
    return number


def _default_text(threshold: Threshold) -> str:
    return size_words(int(threshold.default)) if threshold.unit == "bytes" else f"{threshold.default:.0%}"


# ---------------------------------------------------------------- keys and names


def _known(table: Mapping[str, Any], names: tuple[str, ...], prefix: str, mistakes: _Mistakes) -> None:
    for key in table:
        mistakes.of(partial(_check_key, key, names, prefix), None)


def _check_key(key: str, names: tuple[str, ...], prefix: str) -> None:
    if key not in names:
        shown = f"known keys are {', '.join(names)}" if len(names) <= 12 else "docs/diagnosis.md lists all keys"
        raise RulesError(f"unknown key; {shown}", place=f"{prefix}{key}")


def _table(document: Mapping[str, Any], key: str) -> dict[str, Any]:
    table = document.get(key, {})
    if not isinstance(table, dict):
        raise RulesError("must be a table", place=key)
    return table


def _choice(value: Any, choices: tuple[Any, ...], key: str) -> Any:
    if value not in choices:
        raise RulesError(f"{value!r} is not one of {', '.join(choices)}", place=key)
    return value


def _names(value: Any, names: tuple[str, ...], key: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise RulesError("must be a list of names", place=key)
    for item in value:
        if item not in names:
            raise RulesError(f"unknown name {item!r}; known names are {', '.join(names)}", place=key)
    return value
