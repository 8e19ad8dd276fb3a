"""What findings and gates are measured against: thresholds, each with its source, and the TOML that changes them.

A rules file may hold everything at once; each command uses its part:

```toml
disable = ["many-heaps"]              # findings that are not wanted
unknown = "fail"                      # a limit on a value that the input cannot know: "fail" (default) or "skip"

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

import operator
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, Literal, get_args

from dumpmap.errors import DumpmapError
from dumpmap.wording.numbers import percent_words, size_words

Severity = Literal["critical", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""Most severe first."""

_KB, _MB, _GB = 1 << 10, 1 << 20, 1 << 30

Unit = Literal["bytes", "share", "count"]


class RulesError(DumpmapError, ValueError):
    """A rules file is not valid; `place` is the key.

    It is what the user wrote for the program, not an input to analyse: the command line answers with wrong usage.
    """

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Threshold:
    """A number that rules compare with.

    Attributes:
        name: its key in `[thresholds]`.
        default: its value; bytes, a share from 0 to 1, or a count.
        unit: which of the three.
        meaning: what it decides.
        source: where the number comes from.
    """

    name: str
    default: float
    unit: Unit
    meaning: str
    source: str


_OWN = "own choice; no source gives a number"

THRESHOLDS: tuple[Threshold, ...] = (
    Threshold(
        "largest_free_warning",
        64 * _MB,
        "bytes",
        "a largest free block below this is small",
        "Ian Voyce on VMMap (2009), Tess Ferrandez (2006): 64 MB was what the garbage collector reserved at a time",
    ),
    Threshold(
        "largest_free_critical",
        32 * _MB,
        "bytes",
        "a largest free block below this leaves no room to go on",
        "own choice: two of the largest segments that an NT heap was seen to ask for (15.8 MB)",
    ),
    Threshold(
        "free_total_warning",
        200 * _MB,
        "bytes",
        "free address space below this is little",
        "Visual Studio turns features off at 200 MB free (dotnet/roslyn, low-memory handling)",
    ),
    Threshold(
        "free_total_critical",
        64 * _MB,
        "bytes",
        "free address space below this is used up",
        "own choice: as much as one block should have (`largest_free_warning`)",
    ),
    Threshold(
        "wide_free_share",
        0.05,
        "share",
        "of an address space above 4 GB, less than this share free is little",
        _OWN,
    ),
    Threshold(
        "fragmentation",
        0.75,
        "share",
        "1 - largest free block / free space; from this on the free space is in pieces",
        "definition: DebugDiag and WinDbg's `!heap -s`; the number is an own choice, DebugDiag's is not published",
    ),
    Threshold(
        "unusable_share",
        0.03,
        "share",
        "of an address space up to 4 GB, this share lost behind small allocations is much",
        "that 4 KB allocations waste the rest of 64 KB: Benjamin Smedberg (2013); the number is an own choice",
    ),
    Threshold(
        "commit_warning",
        0.90,
        "share",
        "system commit charge / commit limit; from this on it is near its limit",
        "Friedman and Pentakalos: 90 % may be too late already",
    ),
    Threshold(
        "commit_reached",
        0.95,
        "share",
        "system commit charge / commit limit; from this on the limit counts as reached",
        "95 % as in dyad's out-of-memory signals",
    ),
    Threshold(
        "job_warning",
        0.90,
        "share",
        "private commit of the process's job / the job's limit; from this on it is near its limit",
        "as for the system's; a job's limit does not grow (Raymond Chen, 2022-02-04, on reading it from a dump)",
    ),
    Threshold(
        "job_headroom_critical",
        16 * _MB,
        "bytes",
        "less than this left below the job's limit counts as reached",
        "own choice: one large heap segment",
    ),
    Threshold(
        "gc_segment",
        16 * _MB,
        "bytes",
        "what the .NET workstation collector reserves at a time in 32 bits; the server collector asks for more",
        "Microsoft's garbage collection fundamentals: workstation 16 MB; server 64, 32 or 16 MB by processors",
    ),
    Threshold(
        "many_threads",
        200,
        "count",
        "more threads than this are many",
        "msos warns above 200",
    ),
    Threshold(
        "stack_share",
        0.20,
        "share",
        "of an address space up to 4 GB, this share reserved for stacks is much",
        "2,000 threads of 1 MB fill 2 GB (Raymond Chen, 2005-07-29); the share is an own choice",
    ),
    Threshold(
        "stack_headroom",
        64 * _KB,
        "bytes",
        "a stack overflow farther than this from the stack's end was no overflow",
        "that such a fault means a failed commit: Raymond Chen, 2022-02-04; the distance is an own choice",
    ),
    Threshold("many_heaps", 100, "count", "more heaps than this are many", _OWN),
    Threshold(
        "heap_fragmentation",
        0.50,
        "share",
        "uncommitted part of a heap's reservation (`!heap -s`: virtual address fragmentation) that is much",
        "definition: WinDbg's `!heap -s`; the number is an own choice",
    ),
    Threshold(
        "heap_fragmentation_size",
        64 * _MB,
        "bytes",
        "a heap that reserves less is not judged by its fragmentation",
        _OWN,
    ),
    Threshold(
        "type_share",
        0.50,
        "share",
        "a type that holds more than this share of the memory in use dominates",
        _OWN,
    ),
    Threshold(
        "type_size",
        256 * _MB,
        "bytes",
        "memory in use below this is too little to speak of a dominating type",
        _OWN,
    ),
    Threshold(
        "reserve_share",
        0.25,
        "share",
        "of an address space up to 4 GB, this share reserved but not committed is much",
        _OWN,
    ),
    Threshold(
        "repeated_size",
        _MB,
        "bytes",
        "a file mapped again, or a module loaded again, is told from this total on",
        _OWN,
    ),
)
"""Every number that a rule compares with."""

THRESHOLD = {threshold.name: threshold for threshold in THRESHOLDS}
"""Threshold by its name."""

_DEFAULTS: Mapping[str, float] = {threshold.name: threshold.default for threshold in THRESHOLDS}


# ---------------------------------------------------------------- limits of `check`

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}
_SIZE = re.compile(r"(?P<sign>[+-]?)\s*(?P<number>\d[\d_,]*(?:\.\d+)?)\s*(?P<unit>%|bytes|b|[kmgt]i?b)?", re.IGNORECASE)
_FACTORS = {"": 1, "b": 1, "bytes": 1, "kb": _KB, "mb": _MB, "gb": _GB, "tb": 1 << 40}
_LIMIT = re.compile(r"\s*(<=|>=|==|!=|<|>)\s*(.+?)\s*")


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit on a figure: `<= 200MB`.

    Attributes:
        text: as it was written.
        comparison: `<=`, `>=`, `==`, `!=`, `<` or `>`.
        value: bytes or a count; of a percentage the number of percent.
        percent: whether `value` is a percentage.
    """

    text: str
    comparison: str
    value: float
    percent: bool = False

    def holds(self, actual: float) -> bool:
        """Whether `actual` keeps the limit."""
        return _OPERATORS[self.comparison](actual, self.value)

    def holds_from(self, least: float) -> bool | None:
        """Whether a figure that is `least` or more keeps the limit; None where that depends on how much more."""
        if self.comparison in (">=", ">"):
            return True if self.holds(least) else None
        if self.comparison in ("<=", "<"):
            return None if self.holds(least) else False
        return self.comparison == "!=" if least > self.value else None


def parse_amount(value: Any, key: str) -> tuple[float, bool]:
    """Reads an amount: `65536`, `"64KB"`, `"1.5 GB"`, `"+10%"`; units are powers of 1024.

    Returns:
        the number (bytes, a count, or percent) and whether it is a percentage.

    Raises:
        RulesError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise RulesError(f"{value!r} is not a number or a size", place=key)
    if isinstance(value, (int, float)):
        return value, False
    match = _SIZE.fullmatch(value.strip())
    if match is None:
        raise RulesError(f"{value!r} is not a number or a size; write 65536, 64KB, 1.5GB or 10%", place=key)
    unit = (match["unit"] or "").lower().replace("i", "")
    digits = match["number"].replace("_", "").replace(",", "")
    number: float = float(digits) if "." in digits else int(digits)
    if match["sign"] == "-":
        number = -number
    if unit == "%":
        return number, True
    scaled = number * _FACTORS[unit]
    return (int(scaled) if scaled == int(scaled) else scaled), False


def _check_unit(value: Any, unit: Unit, key: str) -> None:
    """Refuses an amount that is none of a unit: bytes of what is a count or a share, a share of more than all."""
    if unit == "bytes":
        return
    text = value.strip() if isinstance(value, str) else value
    match = _SIZE.fullmatch(text) if isinstance(text, str) else None
    suffix = (match["unit"] or "") if match is not None else ""
    if suffix not in ("", "%"):
        what = "a count: write a number without a unit" if unit == "count" else "a share: write 0.9 or 90%"
        raise RulesError(f"{value!r} is a size, but this is {what}", place=key)
    number, percent = parse_amount(value, key)
    if unit == "share" and not percent and abs(number) > 1:
        raise RulesError(f"{value!r} is no share; write 0.9 or 90%", place=key)


def parse_limit(value: Any, key: str) -> Limit:
    """Reads a limit: an operator and an amount.

    Raises:
        RulesError: it is none.
    """
    match = _LIMIT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise RulesError(f'{value!r} is not a limit; write an operator and an amount, as in "<= 200MB"', place=key)
    number, percent = parse_amount(match[2], key)
    return Limit(" ".join(f"{match[1]} {match[2]}".split()), match[1], number, percent)


# ---------------------------------------------------------------- the set


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Thresholds and gates, as the defaults have them or a rules file changes them.

    Attributes:
        thresholds: every threshold by name.
        severity: findings whose severity is not the table's.
        disabled: findings that are not looked for.
        limits: `check`: limits on figures.
        forbidden_findings: `check`: findings that must not be there.
        max_severity: `check`: the worst severity that a finding may have.
        forbidden_verdicts: `check`: verdicts that must not be given.
        deltas: `check`: limits on the change of figures against a baseline.
        unknown: `check`: what a limit on a value that the input cannot know does, `fail` or `skip`.
        name: the file it was read from.
    """

    thresholds: Mapping[str, float] = field(default_factory=lambda: dict(_DEFAULTS))
    severity: Mapping[str, Severity] = field(default_factory=dict)
    disabled: frozenset[str] = frozenset()
    limits: Mapping[str, Limit] = field(default_factory=dict)
    forbidden_findings: tuple[str, ...] = ()
    max_severity: Severity | None = None
    forbidden_verdicts: tuple[str, ...] = ()
    deltas: Mapping[str, Limit] = field(default_factory=dict)
    unknown: Literal["fail", "skip"] = "fail"
    name: str | None = None

    @property
    def has_gates(self) -> bool:
        """Whether there is anything for `check` to check."""
        return bool(
            self.limits or self.forbidden_findings or self.max_severity or self.forbidden_verdicts or self.deltas
        )


DEFAULT_RULES = RuleSet()


def load_rules(path: str | PathLike[str]) -> RuleSet:
    """Reads a rules file.

    Raises:
        RulesError: it cannot be read, is not TOML, or has a key or value that means nothing; the error names the key.
    """
    name = str(path)
    try:
        text = Path(path).read_text("utf-8")
    except OSError as error:
        raise RulesError(error.strerror or "cannot be read", source=name) from None
    except UnicodeDecodeError:
        raise RulesError("not UTF-8 text", source=name) from None
    return parse_rules(text, name=name)


def parse_rules(text: str, *, name: str | None = None) -> RuleSet:
    """Reads the text of a rules file. See `load_rules`."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RulesError(f"not valid TOML: {error}", source=name) from None
    try:
        return _rule_set(document, name)
    except RulesError as error:
        raise RulesError(error.problem, source=name, place=error.place) from None


def _rule_set(document: dict[str, Any], name: str | None) -> RuleSet:
    # Imported here: the tables that give the known names are made of what this module defines.
    from dumpmap.analysis.figures import check_figure, figure_unit
    from dumpmap.wording.findings import RULE
    from dumpmap.wording.verdicts import VERDICTS

    known_keys = ("disable", "unknown", "thresholds", "severity", "limits", "findings", "verdict", "deltas")
    _known(document, known_keys, "")
    thresholds = dict(_DEFAULTS)
    for key, value in _table(document, "thresholds").items():
        _known({key: value}, tuple(THRESHOLD), "thresholds.")
        thresholds[key] = _threshold(THRESHOLD[key], value)
    _check_order(thresholds, _table(document, "thresholds"))
    severity: dict[str, Severity] = {}
    for key, value in _table(document, "severity").items():
        _known({key: value}, tuple(RULE), "severity.")
        severity[key] = _choice(value, SEVERITIES, f"severity.{key}")
    findings = _table(document, "findings")
    _known(findings, ("forbid", "max_severity"), "findings.")
    verdict = _table(document, "verdict")
    _known(verdict, ("forbid",), "verdict.")
    limits: dict[str, dict[str, Limit]] = {}
    for table in ("limits", "deltas"):
        limits[table] = {}
        for key, value in _table(document, table).items():
            place = f'{table}."{key}"' if "." in key else f"{table}.{key}"
            check_figure(key, place)
            limits[table][key] = limit = parse_limit(value, place)
            _check_unit(limit.text.removeprefix(limit.comparison), figure_unit(key), place)
            if table == "limits" and limits[table][key].percent and figure_unit(key) != "share":
                raise RulesError("a limit in percent makes sense for a change only: put it into [deltas]", place=place)
    worst = findings.get("max_severity")
    return RuleSet(
        thresholds=thresholds,
        severity=severity,
        disabled=frozenset(_names(document.get("disable", []), tuple(RULE), "disable")),
        limits=limits["limits"],
        forbidden_findings=tuple(_names(findings.get("forbid", []), tuple(RULE), "findings.forbid")),
        max_severity=None if worst is None else _choice(worst, SEVERITIES, "findings.max_severity"),
        forbidden_verdicts=tuple(_names(verdict.get("forbid", []), tuple(VERDICTS), "verdict.forbid")),
        deltas=limits["deltas"],
        unknown=_choice(document.get("unknown", "fail"), ("fail", "skip"), "unknown"),
        name=name,
    )


def _known(table: Mapping[str, Any], names: tuple[str, ...], prefix: str) -> None:
    for key in table:
        if key not in names:
            shown = ", ".join(names) if len(names) <= 12 else "see the documentation for all of them"
            raise RulesError(f"unknown key; known are: {shown}", place=f"{prefix}{key}")


def _table(document: Mapping[str, Any], key: str) -> dict[str, Any]:
    table = document.get(key, {})
    if not isinstance(table, dict):
        raise RulesError("must be a table", place=key)
    return table


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


_ORDER = (
    ("largest_free_critical", "largest_free_warning"),
    ("free_total_critical", "free_total_warning"),
    ("commit_warning", "commit_reached"),
)
"""Pairs of which the first must not be above the second: a critical state lies beyond the one that warns of it."""


def _check_order(thresholds: Mapping[str, float], changed: Mapping[str, Any]) -> None:
    for lower, upper in _ORDER:
        if thresholds[lower] > thresholds[upper]:
            key, other = (lower, upper) if lower in changed else (upper, lower)
            raise RulesError(
                f"{lower} must not be above {upper}"
                + (
                    ""
                    if other in changed
                    else f", which is {_amount_text(THRESHOLD[other])} unless this file changes it"
                ),
                place=f"thresholds.{key}",
            )


def _amount_text(threshold: Threshold) -> str:
    return size_words(int(threshold.default)) if threshold.unit == "bytes" else percent_words(threshold.default)


def _choice(value: Any, choices: tuple[Any, ...], key: str) -> Any:
    if value not in choices:
        raise RulesError(f"{value!r} is none of {', '.join(choices)}", place=key)
    return value


def _names(value: Any, names: tuple[str, ...], key: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise RulesError("must be a list of names", place=key)
    for item in value:
        if item not in names:
            raise RulesError(f"{item!r} is not known; known are: {', '.join(names)}", place=key)
    return value
