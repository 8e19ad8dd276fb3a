"""The gate for continuous integration: a map against the limits of a rules file, as data.

Rules come from a rules file (tables `[limits]`, `[findings]`, `[verdict]`, `[deltas]`). Each rule has one outcome. A
limit on a figure that the input cannot know is not kept, unless the file says `unknown = "skip"`: a gate that could not
look must not pass in silence. A sum over an incomplete map is a lower bound: it can break an upper limit and keep a
lower one, and proves nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from dumpmap.analysis.diagnosis import Diagnosis, diagnose
from dumpmap.analysis.gate_figures import Measured, measure
from dumpmap.analysis.rules import SEVERITIES, Limit, RuleSet, Severity
from dumpmap.model.region_map import RegionMap
from dumpmap.model.values import value_class


@value_class(frozen=True, slots=True)
class LimitOutcome:
    """The outcome of a rule in `[limits]`.

    Attributes:
        figure: the figure's name.
        limit: the limit.
        measured: the figure.
        ok: whether the limit is kept; None where the input does not show it.
    """

    figure: str
    limit: Limit
    measured: Measured
    ok: bool | None


@value_class(frozen=True, slots=True)
class DeltaOutcome:
    """The outcome of a rule in `[deltas]`.

    Attributes:
        figure: the figure's name.
        limit: the limit of its change.
        before: the figure of the baseline, None where it is unknown.
        after: the figure of the map, None where it is unknown.
        ok: whether the limit is kept; None where it is unknown.
        missing: what there is not to compare with: a `baseline`, or the figure in the `baseline's input` or in the
            `input`.
    """

    figure: str
    limit: Limit
    before: float | None
    after: float | None
    ok: bool | None
    missing: Literal["baseline", "figure in the baseline", "figure in the input"] | None = None

    @property
    def change(self) -> float | None:
        """The figure's change."""
        return None if self.before is None or self.after is None else self.after - self.before


@value_class(frozen=True, slots=True)
class FindingOutcome:
    """The outcome of one id in `findings.forbid`; `severity` is None where the map does not have the finding."""

    id: str
    severity: Severity | None

    @property
    def ok(self) -> bool:
        """Whether the map does not have the finding."""
        return self.severity is None


@value_class(frozen=True, slots=True)
class SeverityOutcome:
    """The outcome of `findings.max_severity`.

    Attributes:
        limit: the worst severity that is allowed.
        worst: the worst that there is.
        above: ids and severities of findings that are worse than the limit.
    """

    limit: Severity
    worst: Severity | None
    above: tuple[tuple[str, Severity], ...]

    @property
    def ok(self) -> bool:
        """Whether no finding is worse than the limit."""
        return not self.above


@value_class(frozen=True, slots=True)
class VerdictOutcome:
    """The outcome of `verdict.forbid`."""

    verdict: str
    forbidden: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether the verdict is not forbidden."""
        return self.verdict not in self.forbidden


Outcome = LimitOutcome | DeltaOutcome | FindingOutcome | SeverityOutcome | VerdictOutcome


def check_gates(region_map: RegionMap, rules: RuleSet, baseline: RegionMap | None = None) -> Iterator[Outcome]:
    """Checks a map against the gates of a rules file, in the file's order of tables.

    Args:
        region_map: the map.
        rules: the rules.
        baseline: what `[deltas]` compare with; without one they fail.
    """
    yield from _limits(region_map, rules)
    # A diagnosis takes longer than figures do.
    if rules.forbidden_findings or rules.max_severity:
        yield from _findings(diagnose(region_map, rules), rules)
    if rules.forbidden_verdicts:
        yield VerdictOutcome(diagnose(region_map, rules).verdict, rules.forbidden_verdicts)
    yield from _deltas(region_map, baseline, rules)


def _limits(region_map: RegionMap, rules: RuleSet) -> Iterator[LimitOutcome]:
    for name, limit in rules.limits.items():
        measured = measure(region_map, name)
        ok = None
        if measured.value is not None:
            scaled = measured.value * 100 if limit.percent else measured.value
            ok = limit.holds_from(scaled) if measured.least else limit.holds(scaled)
        yield LimitOutcome(name, limit, measured, ok)


def _findings(diagnosis: Diagnosis, rules: RuleSet) -> Iterator[FindingOutcome | SeverityOutcome]:
    severities = {hit.id: hit.severity for hit in diagnosis.hits}
    for name in rules.forbidden_findings:
        yield FindingOutcome(name, severities.get(name))
    if rules.max_severity is not None:
        # `max_severity = "warning"` allows warnings, and nothing worse.
        allowed = SEVERITIES.index(rules.max_severity)
        above = tuple(item for item in severities.items() if SEVERITIES.index(item[1]) < allowed)
        yield SeverityOutcome(rules.max_severity, next(iter(severities.values()), None), above)


def _deltas(region_map: RegionMap, baseline: RegionMap | None, rules: RuleSet) -> Iterator[DeltaOutcome]:
    for name, limit in rules.deltas.items():
        if baseline is None:
            yield DeltaOutcome(name, limit, None, None, ok=False, missing="baseline")
            continue
        # What an incomplete map lacks can exist nevertheless, so two lower bounds have no difference.
        before, after = measure(baseline, name).exact, measure(region_map, name).exact
        if before is None or after is None:
            where: Literal["figure in the baseline", "figure in the input"] = (
                "figure in the baseline" if before is None else "figure in the input"
            )
            yield DeltaOutcome(name, limit, before, after, ok=None, missing=where)
            continue
        yield DeltaOutcome(name, limit, before, after, limit.holds(_amount(before, after, limit)))


def _amount(before: float, after: float, limit: Limit) -> float:
    """The change in the limit's unit."""
    change = after - before
    if not limit.percent:
        return change
    if before:
        return 100 * change / before
    # From nothing to something is more than any percentage.
    return 0.0 if change == 0 else float("inf") if change > 0 else float("-inf")
