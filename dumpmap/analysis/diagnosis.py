"""The diagnosis: out of address space, out of commit, short of one of them, or neither. Data only, computed once a map.

What the input recorded at the failure decides; what the map and the counters show comes after it. The two axes are
judged apart, and every verdict lists the signals that led to it. `dumpmap.wording` makes the sentences.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal
from weakref import WeakKeyDictionary

from dumpmap.analysis.cause import Cause, Strength, find_cause, job_is_short
from dumpmap.analysis.conditions import (
    Condition,
    Evidence,
    address_space,
    commit,
    failure,
    heaps,
    input,
    process,
)
from dumpmap.analysis.measurements import Measurements, measurements_of
from dumpmap.analysis.rules import DEFAULT_RULES, RULES, SEVERITIES, About, RuleSet, Severity, VerdictName
from dumpmap.model.region_map import RegionMap

CONDITIONS: Mapping[str, Condition] = {
    **failure.CONDITIONS,
    **address_space.CONDITIONS,
    **commit.CONDITIONS,
    **heaps.CONDITIONS,
    **process.CONDITIONS,
    **input.CONDITIONS,
}
"""The condition of every finding."""

State = Literal["out", "low", "ok", "unknown"]

_RECORDED = ("out-of-memory-exception", "stack-commit-failure", "last-error-out-of-memory")
_SIGNALS = (
    *_RECORDED,
    "allocation-request-impossible",
    "stack-overflow",
    "address-space-exhausted",
    "largest-free-block-small",
    "address-space-fragmented",
    "address-space-low",
    "heap-segment-will-not-fit",
    "gc-segment-will-not-fit",
    "commit-limit-reached",
    "commit-limit-near",
    "job-commit-limit-near",
    "cpp-exception-unreadable",
)
"""Findings that a verdict considers, in the order of its signals."""

_CRITICAL_SPACE = ("address-space-exhausted", "largest-free-block-small")
_LOW_SPACE = (*_CRITICAL_SPACE, "address-space-low", "gc-segment-will-not-fit")
LOW_COMMIT = ("job-commit-limit-near", "commit-limit-reached", "commit-limit-near")
"""Findings that mean low commit, the strongest evidence first."""

_PLENTY = 256 << 20
"""A free block of this size shows that there is room even if the list of regions is truncated."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A condition that is met.

    Attributes:
        id: the finding's id.
        about: what the finding is about.
        severity: its severity.
        values: what was found as plain data: sizes are bytes, addresses hex strings.
        subject: objects that the sentence needs beyond the values and the measurements.
    """

    id: str
    about: About
    severity: Severity
    values: dict[str, Any]
    subject: Any = None


@dataclass(frozen=True, slots=True)
class Signal:
    """Something that the verdict rests on.

    Attributes:
        hit: the condition.
        strength: `recorded`, `measured` or `inferred`.
    """

    hit: Hit
    strength: Strength


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The diagnosis of one map.

    Attributes:
        measurements: what it was judged by.
        evidence: every condition that is met, in the catalog's order and with the catalog's severities.
        hits: what to report, most severe first: without disabled findings, and with the severities of the rules.
        cause: the limit that a recorded failure met; None without a failure that is about memory.
        address_space: state of the address space.
        commit: state of the commit.
        verdict: the verdict.
        signals: what led to it.
    """

    measurements: Measurements
    evidence: tuple[Hit, ...]
    hits: tuple[Hit, ...]
    cause: Cause | None
    address_space: State
    commit: State
    verdict: VerdictName
    signals: tuple[Signal, ...]

    def has(self, id: str) -> bool:
        """Whether the condition of a finding is met, reported or not."""
        return any(hit.id == id for hit in self.evidence)


_DIAGNOSES: WeakKeyDictionary[RegionMap, tuple[RuleSet, Diagnosis]] = WeakKeyDictionary()
"""The last diagnosis of each map, with its rules."""


def diagnose(region_map: RegionMap, rules: RuleSet | None = None) -> Diagnosis:
    """Diagnoses a map. A second call with the same rules returns the same diagnosis.

    Args:
        region_map: the map.
        rules: thresholds, severities, and disabled findings; the defaults otherwise. Disabled findings are evidence
            nevertheless.
    """
    rules = rules or DEFAULT_RULES
    known = _DIAGNOSES.get(region_map)
    if known is None or known[0] is not rules:
        known = _DIAGNOSES[region_map] = rules, _diagnose(region_map, rules)
    return known[1]


def _diagnose(region_map: RegionMap, rules: RuleSet) -> Diagnosis:
    m, t = measurements_of(region_map), rules.thresholds
    cause = find_cause(m, t)
    evidence = _hits(Evidence(m, t, cause))
    space_state, commit_state = _states(m, t, cause, {hit.id: hit for hit in evidence})
    return Diagnosis(
        measurements=m,
        evidence=evidence,
        hits=_reported(evidence, rules),
        cause=cause,
        address_space=space_state,
        commit=commit_state,
        verdict=_verdict(m, t, cause, space_state, commit_state),
        signals=_signals(evidence, cause),
    )


def _hits(evidence: Evidence) -> tuple[Hit, ...]:
    hits = []
    for rule in RULES:
        found = CONDITIONS[rule.id](evidence)
        if found is not None:
            hits.append(Hit(rule.id, rule.about, found.severity or rule.severity, found.values, found.subject))
    return tuple(hits)


def _reported(evidence: tuple[Hit, ...], rules: RuleSet) -> tuple[Hit, ...]:
    wanted = [
        replace(hit, severity=rules.severity[hit.id]) if hit.id in rules.severity else hit
        for hit in evidence
        if hit.id not in rules.disabled
    ]
    return tuple(sorted(wanted, key=lambda hit: SEVERITIES.index(hit.severity)))


# ---------------------------------------------------------------- the axes


def _states(
    m: Measurements, t: Mapping[str, float], cause: Cause | None, found: Mapping[str, Hit]
) -> tuple[State, State]:
    """The states of address space and commit; a failure that is put down to an axis means that it ran out."""
    axis = cause.axis if cause is not None else None
    return (
        "out" if axis == "address-space" else _space_state(m, found),
        "out" if axis == "commit" else _commit_state(m, t, found),
    )


def _space_state(m: Measurements, found: Mapping[str, Hit]) -> State:
    if m.free is None:
        return "low" if "address-space-low" in found else "unknown"
    if any(found[id].severity == "critical" for id in _CRITICAL_SPACE if id in found):
        return "out"
    if any(id in found for id in _LOW_SPACE):
        return "low"
    # A truncated list of regions can still show a block that is large enough.
    return "ok" if m.measured is not None or m.largest >= _PLENTY else "unknown"


def _commit_state(m: Measurements, t: Mapping[str, float], found: Collection[str]) -> State:
    if job_is_short(m, t):
        return "out"
    if any(id in found for id in LOW_COMMIT):
        return "low"
    return "unknown" if m.commit.ratio is None else "ok"


# ---------------------------------------------------------------- the verdict


def _verdict(
    m: Measurements, t: Mapping[str, float], cause: Cause | None, space_state: State, commit_state: State
) -> VerdictName:
    if cause is not None and cause.axis not in ("address-space", "commit"):
        return "cannot-tell"
    if cause is not None:
        return "out-of-address-space" if cause.axis == "address-space" else "out-of-commit"
    if space_state == "out":
        return "out-of-address-space"
    if commit_state == "out":
        return "out-of-commit"
    if space_state == "low":
        return "address-space-low"
    if commit_state == "low":
        return "commit-low"
    if space_state == "ok":
        return "no-memory-problem-seen"
    # Without a list of regions, the counter of virtual memory is enough if it is far from the end of a wide space; in
    # a narrow one the pieces matter.
    wide = m.map.process.pointer_size == 8 and not m.limit.narrow
    roomy = wide and commit_state == "ok" and _far_from_the_end(m, t)
    return "no-memory-problem-seen" if roomy else "cannot-tell"


def _far_from_the_end(m: Measurements, t: Mapping[str, float]) -> bool:
    used, limit = m.virtual_size, m.limit.size
    return used is not None and limit is not None and limit - used >= t["wide_free_share"] * limit


def _signals(evidence: tuple[Hit, ...], cause: Cause | None) -> tuple[Signal, ...]:
    found = {hit.id: hit for hit in evidence}
    return tuple(Signal(found[id], _strength(id, cause)) for id in _SIGNALS if id in found)


def _strength(id: str, cause: Cause | None) -> Strength:
    if id not in _RECORDED:
        return "measured"
    return cause.strength if id == "stack-commit-failure" and cause is not None else "recorded"
