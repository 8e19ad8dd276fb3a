"""What `check` reports: the outcome of each rule, with a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from dumpmap.analysis.check import (
    DeltaOutcome,
    FindingOutcome,
    LimitOutcome,
    Outcome,
    SeverityOutcome,
    VerdictOutcome,
    check_gates,
)
from dumpmap.analysis.gate_figures import find_figure
from dumpmap.analysis.rules import Limit, RuleSet
from dumpmap.model.region_map import RegionMap
from dumpmap.model.values import value_class
from dumpmap.wording.findings import find
from dumpmap.wording.text import list_words, percent_words, size_words
from dumpmap.wording.verdicts import verdict


@value_class(frozen=True, slots=True)
class RuleResult:
    """The result of one rule.

    Attributes:
        rule: its key in the rules file, as `limits."Heap.committed"`.
        ok: whether it is kept.
        actual: the figure (bytes, a count, a share), the worst severity, the verdict, or what was found; None where it
            is unknown.
        limit: as the rules file has it.
        message: one sentence.
        skipped: whether it could not be checked and the rules file lets that pass.
    """

    rule: str
    ok: bool
    actual: float | str | None
    limit: str
    message: str
    skipped: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Returns plain data."""
        return {
            "rule": self.rule,
            "ok": self.ok,
            "skipped": self.skipped,
            "actual": self.actual,
            "limit": self.limit,
            "message": self.message,
        }


def check(
    region_map: RegionMap, rules: RuleSet, baseline: RegionMap | None = None, *, allow_missing: bool = False
) -> list[RuleResult]:
    """Checks a map against the gates of a rules file.

    Args:
        region_map: the map.
        rules: the rules.
        baseline: what `[deltas]` compare with; without one they fail.
        allow_missing: let them pass without a baseline, as on a first run.

    Returns:
        a result per rule, in the file's order of tables.
    """
    skip = rules.unknown == "skip"
    results = [_result(outcome, region_map, rules, skip=skip) for outcome in check_gates(region_map, rules, baseline)]
    if baseline is not None or not allow_missing:
        return results
    return [
        replace(result, ok=True, skipped=True) if result.rule.startswith("deltas.") else result for result in results
    ]


def passed(results: Iterable[RuleResult]) -> bool:
    """Whether every rule is kept."""
    return all(result.ok for result in results)


def tally_text(results: Sequence[RuleResult]) -> str:
    """Writes how many rules were met, for an input that broke none."""
    skipped = sum(result.skipped for result in results)
    met = len(results) - skipped
    if not skipped:
        return "the rule is met" if met == 1 else f"all {met} rules are met"
    left_out = f"{skipped} could not be checked"
    if not met:
        return f"no rule was checked: {left_out}"
    return f"{'1 rule is' if met == 1 else f'{met} rules are'} met, {left_out}"


def _result(outcome: Outcome, region_map: RegionMap, rules: RuleSet, *, skip: bool) -> RuleResult:
    match outcome:
        case LimitOutcome():
            return _limit_result(outcome, skip=skip)
        case DeltaOutcome():
            return _delta_result(outcome, skip=skip)
        case FindingOutcome():
            message = f"{outcome.id} is absent"
            if outcome.severity is not None:
                finding = next(one for one in find(region_map, rules) if one.id == outcome.id)
                message = f"{outcome.severity}: {finding.detail}"
            actual = outcome.severity or "absent"
            return RuleResult(f"findings.forbid: {outcome.id}", outcome.ok, actual, "absent", message)
        case SeverityOutcome():
            return _severity_result(outcome)
        case VerdictOutcome():
            limit = f"none of {', '.join(outcome.forbidden)}"
            message = f"verdict {outcome.verdict}: {verdict(region_map, rules).sentence}"
            return RuleResult("verdict.forbid", outcome.ok, outcome.verdict, limit, message)


def _limit_result(outcome: LimitOutcome, *, skip: bool) -> RuleResult:
    rule, name, limit, measured = _rule_name("limits", outcome.figure), outcome.figure, outcome.limit, outcome.measured
    if measured.value is None:
        return RuleResult(rule, skip, None, limit.text, f"{name} is unknown in this input", skip)
    figure = ("at least " if measured.least else "") + _figure_text(name, measured.value)
    if outcome.ok is None:
        message = f"{name} is {figure}, but this input does not show whether it is {limit.text}"
        return RuleResult(rule, skip, None, limit.text, message, skip)
    return RuleResult(rule, outcome.ok, measured.value, limit.text, f"{name} is {figure}{_against(outcome.ok, limit)}")


def _delta_result(outcome: DeltaOutcome, *, skip: bool) -> RuleResult:
    rule, name, limit = _rule_name("deltas", outcome.figure), outcome.figure, outcome.limit
    if outcome.missing == "baseline":
        return RuleResult(rule, False, None, limit.text, f"{name} has no baseline to compare with")
    before, after, change = outcome.before, outcome.after, outcome.change
    if before is None or after is None or change is None:
        where = "the baseline" if outcome.missing == "figure in the baseline" else "this input"
        return RuleResult(rule, skip, None, limit.text, f"{name} is unknown in {where}", skip)
    sign = "+" if change >= 0 else "-"
    share = f" ({100 * change / before:+.1f} %)" if before else ""
    message = (
        f"{name} went from {_figure_text(name, before)} to {_figure_text(name, after)}: "
        f"{sign}{_figure_text(name, abs(change))}{share}{_against(bool(outcome.ok), limit)}"
    )
    return RuleResult(rule, bool(outcome.ok), change, limit.text, message)


def _severity_result(outcome: SeverityOutcome) -> RuleResult:
    if outcome.ok:
        message = f"no finding is worse than {outcome.limit}"
    else:
        worse = [f"{name} ({severity})" for name, severity in outcome.above]
        message = f"worse than {outcome.limit}: {list_words(worse)}"
    return RuleResult("findings.max_severity", outcome.ok, outcome.worst or "none", outcome.limit, message)


def _figure_text(name: str, value: float) -> str:
    unit = find_figure(name).unit
    if unit == "bytes":
        return f"{size_words(int(value))} ({int(value):,} bytes)" if abs(value) >= 1024 else size_words(int(value))
    return percent_words(value) if unit == "share" else f"{value:,.0f}"


def _against(ok: bool, limit: Limit) -> str:
    return f", within {limit.text}" if ok else f", but must be {limit.text}"


def _rule_name(table: str, name: str) -> str:
    return f'{table}."{name}"' if "." in name else f"{table}.{name}"
