"""The catalog of the diagnosis: its findings, verdicts, and thresholds, and the set of rules that changes them.

A finding is one row here, one condition in `dumpmap.analysis.conditions`, and one explanation in
`dumpmap.wording.findings`. This module is data only; `dumpmap.analysis.rules_file` reads a rules file.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Literal, get_args

from dumpmap.errors import DumpmapError
from dumpmap.model.values import value_class

Severity = Literal["critical", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""Most severe first."""

About = Literal["address-space", "commit", "heap-limit", "process", "input"]
"""What a finding is about. The first three are the axes, and no finding mixes them."""

VerdictName = Literal[
    "out-of-address-space",
    "out-of-commit",
    "out-of-heap-limit",
    "out-of-memory",
    "address-space-low",
    "commit-low",
    "heap-limit-near",
    "no-memory-problem-seen",
    "cannot-tell",
]
VERDICT_NAMES: tuple[VerdictName, ...] = get_args(VerdictName)

Unit = Literal["bytes", "share", "count"]

_KB, _MB = 1 << 10, 1 << 20


class RulesError(DumpmapError, ValueError):
    """A rules file is not valid; `place` is the key.

    The user wrote the file for dumpmap, it is not an input to analyse: the command line reports wrong usage.
    """

    exit_code = 2


@value_class(frozen=True, slots=True)
class Rule:
    """A finding of the catalog.

    Attributes:
        id: its name.
        severity: the highest severity that it can have.
        about: what it is about.
    """

    id: str
    severity: Severity
    about: About


RULES: tuple[Rule, ...] = (
    Rule("runtime-heap-limit-reached", "critical", "heap-limit"),
    Rule("writer-recorded-out-of-memory", "critical", "process"),
    Rule("out-of-memory-exception", "critical", "process"),
    Rule("stack-commit-failure", "critical", "commit"),
    Rule("stack-overflow", "critical", "process"),
    Rule("allocation-request-impossible", "warning", "address-space"),
    Rule("address-space-exhausted", "critical", "address-space"),
    Rule("largest-free-block-small", "critical", "address-space"),
    Rule("address-space-fragmented", "warning", "address-space"),
    Rule("address-space-low", "warning", "address-space"),
    Rule("heap-segment-will-not-fit", "warning", "address-space"),
    Rule("gc-segment-will-not-fit", "warning", "address-space"),
    Rule("commit-limit-reached", "critical", "commit"),
    Rule("commit-limit-near", "warning", "commit"),
    Rule("job-commit-limit-near", "critical", "commit"),
    Rule("runtime-heap-limit-near", "warning", "heap-limit"),
    Rule("heap-commit-failures", "warning", "commit"),
    Rule("last-error-out-of-memory", "warning", "process"),
    Rule("many-threads", "warning", "address-space"),
    Rule("unusable-space", "warning", "address-space"),
    Rule("page-heap-on", "warning", "process"),
    Rule("heap-fragmented", "warning", "address-space"),
    Rule("reserve-exceeds-commit", "warning", "address-space"),
    Rule("not-large-address-aware", "info", "address-space"),
    Rule("many-heaps", "info", "process"),
    Rule("module-loaded-twice", "info", "process"),
    Rule("file-mapped-repeatedly", "info", "process"),
    Rule("type-dominates", "info", "process"),
    Rule("executable-writable-memory", "info", "process"),
    Rule("cpp-exception-unreadable", "info", "input"),
    Rule("dump-too-small", "info", "input"),
    Rule("input-damaged", "warning", "input"),
    Rule("input-contradictory", "info", "input"),
)
"""Every finding, in the order in which findings of one severity are listed."""

RULE: Mapping[str, Rule] = {rule.id: rule for rule in RULES}
"""Rule by id."""


@value_class(frozen=True, slots=True)
class Threshold:
    """A number that conditions compare with.

    Attributes:
        name: its key in `[thresholds]`.
        default: its value: bytes, a share from 0 to 1, or a count.
        unit: which of the three.
    """

    name: str
    default: float
    unit: Unit


THRESHOLDS: tuple[Threshold, ...] = (
    Threshold("largest_free_warning", 64 * _MB, "bytes"),
    Threshold("largest_free_critical", 32 * _MB, "bytes"),
    Threshold("free_total_warning", 200 * _MB, "bytes"),
    Threshold("free_total_critical", 64 * _MB, "bytes"),
    Threshold("wide_free_share", 0.05, "share"),
    Threshold("fragmentation", 0.75, "share"),
    Threshold("unusable_share", 0.03, "share"),
    Threshold("commit_warning", 0.90, "share"),
    Threshold("commit_reached", 0.95, "share"),
    Threshold("job_warning", 0.90, "share"),
    Threshold("job_headroom_critical", 16 * _MB, "bytes"),
    Threshold("heap_limit_warning", 0.90, "share"),
    Threshold("gc_segment", 16 * _MB, "bytes"),
    Threshold("many_threads", 200, "count"),
    Threshold("stack_share", 0.20, "share"),
    Threshold("stack_headroom", 64 * _KB, "bytes"),
    Threshold("many_heaps", 100, "count"),
    Threshold("heap_fragmentation", 0.50, "share"),
    Threshold("heap_fragmentation_size", 64 * _MB, "bytes"),
    Threshold("type_share", 0.50, "share"),
    Threshold("type_size", 256 * _MB, "bytes"),
    Threshold("reserve_share", 0.25, "share"),
    Threshold("repeated_size", _MB, "bytes"),
)
"""Every number that a condition compares with."""

THRESHOLD: Mapping[str, Threshold] = {threshold.name: threshold for threshold in THRESHOLDS}
"""Threshold by name."""

DEFAULT_THRESHOLDS: Mapping[str, float] = {threshold.name: threshold.default for threshold in THRESHOLDS}

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}


@value_class(frozen=True, slots=True)
class Limit:
    """A limit on a figure: `<= 200MB`.

    Attributes:
        text: as the user wrote it.
        comparison: `<=`, `>=`, `==`, `!=`, `<` or `>`.
        value: bytes or a count; for a percentage, the number of percent.
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


@value_class(frozen=True, slots=True)
class RuleSet:
    """Thresholds and gates: the defaults, or as a rules file changes them.

    Attributes:
        thresholds: every threshold by name.
        severity: severities that replace those of the catalog.
        disabled: findings that are not reported.
        limits: `check`: limits on figures.
        forbidden_findings: `check`: findings that a map must not have.
        max_severity: `check`: the worst severity that a finding may have.
        forbidden_verdicts: `check`: verdicts that a map must not have.
        deltas: `check`: limits on the change of figures against a baseline.
        unknown: `check`: whether a limit on an unknown value fails or is skipped.
        name: the file that the rules come from.
    """

    thresholds: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT_THRESHOLDS))
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
