"""The diagnosis: which limit was reached or is near, or none. Data only, computed once a map.

What the input recorded at the failure decides; what the map and the counters show comes after it. The three axes are
judged apart, and every verdict lists the signals that led to it. `dumpmap.wording` makes the sentences.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, Literal, NamedTuple
from weakref import WeakKeyDictionary

from dumpmap.analysis.cause import Cause, Strength, find_cause, job_is_short
from dumpmap.analysis.conditions import (
    Condition,
    Evidence,
    address_space,
    commit,
    failure,
    heap_limit,
    heaps,
    input,
    process,
)
from dumpmap.analysis.likelier import exceeds_commit
from dumpmap.analysis.limits import SMALLEST_LIMIT
from dumpmap.analysis.measurements import Measurements, measurements_of
from dumpmap.analysis.room import wide_space_has_room
from dumpmap.analysis.rules import DEFAULT_RULES, RULES, SEVERITIES, About, RuleSet, Severity, VerdictName
from dumpmap.model.region_map import RegionMap
from dumpmap.model.values import value_class

CONDITIONS: Mapping[str, Condition] = {
    **failure.CONDITIONS,
    **address_space.CONDITIONS,
    **commit.CONDITIONS,
    **heap_limit.CONDITIONS,
    **heaps.CONDITIONS,
    **process.CONDITIONS,
    **input.CONDITIONS,
}
"""The condition of every finding."""

State = Literal["out", "low", "ok", "unknown"]

_RECORDED = (
    "runtime-heap-limit-reached",
    "writer-recorded-out-of-memory",
    "out-of-memory-exception",
    "stack-commit-failure",
    "last-error-out-of-memory",
)
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
    "heap-commit-failures",
    "runtime-heap-limit-near",
    "cpp-exception-unreadable",
)
"""Findings that a verdict considers, in the order of its signals."""

_CRITICAL_SPACE = ("address-space-exhausted", "largest-free-block-small")
_LOW_SPACE = (*_CRITICAL_SPACE, "address-space-low", "gc-segment-will-not-fit")
LOW_COMMIT = ("job-commit-limit-near", "commit-limit-reached", "commit-limit-near")
"""Findings that mean low commit, the strongest evidence first."""

_PLENTY = 256 << 20
"""A free block of this size shows that there is room even if the list of regions is truncated."""

_TOLD_APART = ("dump-too-small",)
"""Findings that matter only beside a verdict that does not name the limit."""

_OPEN_VERDICTS: tuple[VerdictName, ...] = ("cannot-tell", "out-of-memory")


@value_class(frozen=True, slots=True)
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


@value_class(frozen=True, slots=True)
class Signal:
    """Something that the verdict rests on.

    Attributes:
        hit: the condition.
        strength: `recorded`, `measured` or `inferred`.
    """

    hit: Hit
    strength: Strength


@value_class(frozen=True, slots=True)
class Diagnosis:
    """The diagnosis of one map.

    Attributes:
        measurements: what it was judged by.
        evidence: every condition that is met, in the catalog's order and with the catalog's severities.
        hits: what to report, most severe first: without disabled findings, and with the severities of the rules.
        cause: the limit that a recorded failure met; None without a failure that is about memory.
        address_space: state of the address space.
        commit: state of the commit.
        heap_limit: state of the limits of runtimes.
        verdict: the verdict.
        signals: what led to it.
    """

    measurements: Measurements
    evidence: tuple[Hit, ...]
    hits: tuple[Hit, ...]
    cause: Cause | None
    address_space: State
    commit: State
    heap_limit: State
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
    states = _states(m, t, cause, {hit.id: hit for hit in evidence})
    verdict = _verdict(m, cause, states)
    if verdict not in _OPEN_VERDICTS:
        evidence = tuple(hit for hit in evidence if hit.id not in _TOLD_APART)
    return Diagnosis(
        measurements=m,
        evidence=evidence,
        hits=_reported(evidence, rules),
        cause=cause,
        address_space=states.address_space,
        commit=states.commit,
        heap_limit=states.heap_limit,
        verdict=verdict,
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


class _States(NamedTuple):
    """The state of each axis."""

    address_space: State
    commit: State
    heap_limit: State


def _states(m: Measurements, t: Mapping[str, float], cause: Cause | None, found: Mapping[str, Hit]) -> _States:
    """The states of the axes; a failure that is put down to an axis means that it ran out."""
    axis = cause.axis if cause is not None else None
    return _States(
        "out" if axis == "address-space" else _space_state(m, t, found),
        "out" if axis == "commit" else _commit_state(m, t, cause, found),
        "out" if axis == "heap-limit" else _heap_limit_state(m, t, found),
    )


def _space_state(m: Measurements, t: Mapping[str, float], found: Mapping[str, Hit]) -> State:
    if m.free is None:
        if "address-space-low" in found:
            return "low"
        return "ok" if _far_in_a_narrow_space(m, t) or wide_space_has_room(m, t) else "unknown"
    if any(found[id].severity == "critical" for id in _CRITICAL_SPACE if id in found):
        return "out"
    if any(id in found for id in _LOW_SPACE):
        return "low"
    # A truncated list of regions can still show a block that is large enough.
    return "ok" if m.measured is not None or m.largest >= _PLENTY else "unknown"


def _commit_state(m: Measurements, t: Mapping[str, float], cause: Cause | None, found: Collection[str]) -> State:
    if job_is_short(m, t):
        return "out"
    if any(id in found for id in LOW_COMMIT) or exceeds_commit(m, cause):
        return "low"
    return "unknown" if m.commit.ratio is None else "ok"


def _heap_limit_state(m: Measurements, t: Mapping[str, float], found: Collection[str]) -> State:
    if "runtime-heap-limit-near" in found:
        return "low"
    known = m.heap_limit is not None and m.heap_limit.is_known_below(t["heap_limit_warning"])
    return "ok" if known else "unknown"


# ---------------------------------------------------------------- the verdict

_OF_AXIS: Mapping[str, VerdictName] = {
    "address-space": "out-of-address-space",
    "commit": "out-of-commit",
    "heap-limit": "out-of-heap-limit",
}


def _verdict(m: Measurements, cause: Cause | None, states: _States) -> VerdictName:
    if cause is not None:
        return _OF_AXIS.get(cause.axis) or ("out-of-memory" if _failed_for_memory(m, cause) else "cannot-tell")
    if states.address_space == "out":
        return "out-of-address-space"
    if states.commit == "out":
        return "out-of-commit"
    if states.address_space == "low":
        return "address-space-low"
    if states.commit == "low":
        return "commit-low"
    if states.heap_limit == "low":
        return "heap-limit-near"
    # A wide space that is not measured has room almost always: that acquits only beside the commit.
    acquitted = m.free is not None or m.limit.narrow or states.commit == "ok"
    return "no-memory-problem-seen" if states.address_space == "ok" and acquitted else "cannot-tell"


def _failed_for_memory(m: Measurements, cause: Cause) -> bool:
    """Whether the failure that ended the process is recorded as one for want of memory.

    A last error is not: it may be old. A request that no process could satisfy is a fault of its size, unless the
    writer states that memory ran out, and a stack that could not grow may have another reason.
    """
    failure = m.failure
    recorded = failure is not None and failure.limit is not None and failure.limit != "stack"
    stated = failure is not None and failure.how == "writer"
    return recorded and (cause.axis in ("neither", "unknown") or (cause.axis == "request" and stated))


def _far_in_a_narrow_space(m: Measurements, t: Mapping[str, float]) -> bool:
    """Whether so much of a 32-bit space is free by the counter that a large block is left even in fragments.

    `fragmentation` is 1 - largest block / free space, so at that threshold the largest block is the rest of the free
    space. An uncertain limit counts as the smallest one that it can be.
    """
    used, size = m.virtual_size, m.limit.size
    if not used or size is None or not m.windows or not m.limit.narrow:
        return False
    limit = size if m.limit.exact else min(size, SMALLEST_LIMIT)
    bound = m.bounds.largest if m.bounds is not None else None
    if bound is not None and bound.size < _PLENTY:
        return False
    return (limit - used) * (1 - t["fragmentation"]) >= _PLENTY


def _signals(evidence: tuple[Hit, ...], cause: Cause | None) -> tuple[Signal, ...]:
    found = {hit.id: hit for hit in evidence}
    return tuple(Signal(found[id], _strength(id, cause)) for id in _SIGNALS if id in found)


def _strength(id: str, cause: Cause | None) -> Strength:
    if id not in _RECORDED:
        return "measured"
    return cause.strength if id == "stack-commit-failure" and cause is not None else "recorded"
