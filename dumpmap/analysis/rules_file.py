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
from collections.abc import Mapping
from typing import Any

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
)
from dumpmap.model.sizes import parse_number, size_words

_LIMIT = re.compile(r"\s*(<=|>=|==|!=|<|>)\s*(.+?)\s*")

_TABLES = ("disable", "unknown", "thresholds", "severity", "limits", "findings", "verdict", "deltas")


def parse_rules(text: str, *, name: str | None = None) -> RuleSet:
    """Reads the text of a rules file.

    Args:
        text: the TOML.
        name: the file's name, for errors.

    Raises:
        RulesError: it is not TOML, or has an unknown key or an invalid value; the error names the key.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RulesError(f"not valid TOML: {error}", source=name) from None
    try:
        return _rule_set(document, name)
    except RulesError as error:
        raise RulesError(error.problem, source=name, place=error.place) from None


def _rule_set(document: dict[str, Any], name: str | None) -> RuleSet:
    _known(document, _TABLES, "")
    severity: dict[str, Severity] = {}
    for key, value in _table(document, "severity").items():
        _known({key: value}, tuple(RULE), "severity.")
        severity[key] = _choice(value, SEVERITIES, f"severity.{key}")
    findings = _table(document, "findings")
    _known(findings, ("forbid", "max_severity"), "findings.")
    verdict = _table(document, "verdict")
    _known(verdict, ("forbid",), "verdict.")
    worst = findings.get("max_severity")
    return RuleSet(
        thresholds=_thresholds(_table(document, "thresholds")),
        severity=severity,
        disabled=frozenset(_names(document.get("disable", []), tuple(RULE), "disable")),
        limits=_limits(document, "limits"),
        forbidden_findings=tuple(_names(findings.get("forbid", []), tuple(RULE), "findings.forbid")),
        max_severity=None if worst is None else _choice(worst, SEVERITIES, "findings.max_severity"),
        forbidden_verdicts=tuple(_names(verdict.get("forbid", []), VERDICT_NAMES, "verdict.forbid")),
        deltas=_limits(document, "deltas"),
        unknown=_choice(document.get("unknown", "fail"), ("fail", "skip"), "unknown"),
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


def _limits(document: Mapping[str, Any], table: str) -> dict[str, Limit]:
    limits = {}
    for key, value in _table(document, table).items():
        place = f'{table}."{key}"' if "." in key else f"{table}.{key}"
        unit = find_figure(key, place).unit
        limits[key] = limit = parse_limit(value, place)
        _check_unit(limit.text.removeprefix(limit.comparison), unit, place)
        if table == "limits" and limit.percent and unit != "share":
            raise RulesError("a limit in percent applies to a change: move it to [deltas]", place=place)
    return limits


# ---------------------------------------------------------------- thresholds

_ORDER = (
    ("largest_free_critical", "largest_free_warning"),
    ("free_total_critical", "free_total_warning"),
    ("commit_warning", "commit_reached"),
)
"""Pairs whose first must not exceed the second: a critical state lies beyond the state that warns of it."""


def _thresholds(changed: Mapping[str, Any]) -> dict[str, float]:
    thresholds = dict(DEFAULT_THRESHOLDS)
    for key, value in changed.items():
        _known({key: value}, tuple(THRESHOLD), "thresholds.")
        thresholds[key] = _threshold(THRESHOLD[key], value)
    for lower, upper in _ORDER:
        if thresholds[lower] > thresholds[upper]:
            key, other = (lower, upper) if lower in changed else (upper, lower)
            default = "" if other in changed else f", which is {_default_text(THRESHOLD[other])} by default"
            raise RulesError(f"{lower} must not exceed {upper}{default}", place=f"thresholds.{key}")
    return thresholds


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


def _known(table: Mapping[str, Any], names: tuple[str, ...], prefix: str) -> None:
    for key in table:
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
