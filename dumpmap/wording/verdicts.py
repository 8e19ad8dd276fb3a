"""Verdicts in words: the statement of a diagnosis, its signals, and its axes, as JSON and the Python API show them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dumpmap.analysis import diagnosis as analysis
from dumpmap.analysis.cause import Reason, Strength
from dumpmap.analysis.diagnosis import LOW_COMMIT, Diagnosis, diagnose
from dumpmap.analysis.likelier import exceeds_commit, likelier_axis
from dumpmap.analysis.room import available_space
from dumpmap.analysis.rules import RuleSet, VerdictName
from dumpmap.model.sizes import rounded_share
from dumpmap.wording.findings import Finding, finding_of
from dumpmap.wording.holders import holders_text, needs_text
from dumpmap.wording.phrases import (
    bound_text,
    cause_text,
    charge_text,
    counted_text,
    failed_text,
    failure_text,
    heap_limit_text,
    input_noun,
    job_text,
    largest_text,
    left_text,
    room_text,
    space_text,
)
from dumpmap.wording.shortage import known_axes_text, likelier_text, reached_text, recorded_texts, refused_text
from dumpmap.wording.text import list_words, percent_words, sentence, size_left, size_words, sizes_apart

if TYPE_CHECKING:
    from dumpmap.model.region_map import RegionMap

VERDICTS: Mapping[VerdictName, str] = {
    "out-of-address-space": "No free block was large enough, or hardly any address space is free.",
    "out-of-commit": "The system, or the job of the process, could not commit more memory.",
    "out-of-heap-limit": "A runtime reached the limit that it sets for its own heap.",
    "out-of-memory": "A failure for lack of memory is recorded; the input does not show which limit was reached.",
    "address-space-low": "Address space is low; nothing shows that it ran out.",
    "commit-low": "Commit is low; nothing shows that it ran out.",
    "heap-limit-near": "A runtime's heap is near or over its own limit; nothing shows that it ran out.",
    "no-memory-problem-seen": "Nothing in the input points to a shortage of memory when the dump was written.",
    "cannot-tell": "The input does not hold the evidence, or something other than these limits failed.",
}
"""Every verdict and its meaning."""


@dataclass(frozen=True, slots=True)
class Signal:
    """Something that the verdict rests on.

    Attributes:
        id: the finding's id.
        about: the axis, or what else it is about.
        strength: `recorded`, `measured` or `inferred`.
        text: the finding's detail.
        values: its numbers.
    """

    id: str
    about: str
    strength: Strength
    text: str
    values: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "id": self.id,
            "about": self.about,
            "strength": self.strength,
            "text": self.text,
            "values": self.values,
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on a map.

    Attributes:
        verdict: one of `VERDICTS`.
        signals: what led to it.
        sentence: the statement for the engineer.
        address_space: the axis's state (`out`, `low`, `ok`, `unknown`) and figures.
        commit: the same for the commit.
        heap_limit: the same for the limit of a runtime's own heap: `state`, `runtime`, `used`, `limit`, `source`.
    """

    verdict: VerdictName
    signals: tuple[Signal, ...]
    sentence: str
    address_space: dict[str, Any]
    commit: dict[str, Any]
    heap_limit: dict[str, Any] = field(default_factory=lambda: {"state": "unknown", **_NO_HEAP_LIMIT})

    def to_dict(self) -> dict[str, Any]:
        """Plain data, schema `dumpmap.verdict/1`."""
        return {
            "schema": "dumpmap.verdict/1",
            "verdict": self.verdict,
            "sentence": self.sentence,
            "signals": [signal.to_dict() for signal in self.signals],
            "address_space": self.address_space,
            "commit": self.commit,
            "heap_limit": self.heap_limit,
        }


def verdict(region_map: RegionMap, rules: RuleSet | None = None, *, findings: list[Finding] | None = None) -> Verdict:
    """Judges a map.

    Args:
        region_map: the map.
        rules: thresholds; the defaults otherwise. Disabled findings are evidence nevertheless.
        findings: the result of `find` for the same map and rules, to reuse its texts.
    """
    diagnosis = diagnose(region_map, rules)
    made = {finding.id: finding for finding in findings or ()}
    return Verdict(
        verdict=diagnosis.verdict,
        signals=tuple(_signal(signal, diagnosis, made) for signal in diagnosis.signals),
        sentence=verdict_sentence(diagnosis),
        address_space=_address_space(diagnosis),
        commit={"state": diagnosis.commit, **diagnosis.measurements.commit.to_dict()},
        heap_limit=_heap_limit(diagnosis),
    )


def _signal(signal: analysis.Signal, diagnosis: Diagnosis, made: Mapping[str, Finding]) -> Signal:
    hit = signal.hit
    finding = made.get(hit.id) or finding_of(hit, diagnosis)
    return Signal(hit.id, hit.about, signal.strength, finding.detail, finding.values)


_NO_HEAP_LIMIT: dict[str, Any] = {
    **dict.fromkeys(("runtime", "used", "limit", "ratio")),
    "includes_garbage": False,
    **dict.fromkeys(("location", "source")),
}


def _heap_limit(diagnosis: Diagnosis) -> dict[str, Any]:
    heap = diagnosis.measurements.heap_limit
    return {"state": diagnosis.heap_limit, **(_NO_HEAP_LIMIT if heap is None else heap.to_dict())}


def _address_space(diagnosis: Diagnosis) -> dict[str, Any]:
    m = diagnosis.measurements
    space, failure, bounds = m.free, m.failure, m.bounds
    largest = space.largest if space is not None else None
    return {
        "state": diagnosis.address_space,
        "limit": m.limit.size,
        "limit_name": m.limit.name,
        "limit_source": m.limit.source,
        "limit_at_most": m.limit.at_most,
        "large_address_aware": m.limit.large_address_aware,
        "complete": m.whole,
        "used": m.used_total if space is not None else None,
        "used_by_counter": m.virtual_size if space is None else None,
        "available_by_writer": available_space(m) if space is None else None,
        "free": space.total if space is not None else None,
        "largest_free_block": None if largest is None else {"address": f"0x{largest.address:x}", "size": largest.size},
        "free_at_most": None if bounds is None or bounds.free is None else bounds.free.to_dict(),
        "largest_free_block_at_most": None if bounds is None or bounds.largest is None else bounds.largest.to_dict(),
        "fragmentation": None if space is None else rounded_share(space.fragmentation),
        "requested": failure.requested if failure is not None else None,
    }


# ---------------------------------------------------------------- the statement


def verdict_sentence(d: Diagnosis) -> str:
    """Makes the statement of a diagnosis: the verdict with its reason, then what the engineer asks next."""
    parts = _STATEMENTS[d.verdict](d)
    if d.has("input-damaged"):
        parts.append(f"Parts of the {input_noun(d.measurements)} could not be read.")
    return " ".join(part for part in parts if part)


def verdict_lead(d: Diagnosis) -> str:
    """Makes the first sentence of the statement: the verdict with its reason."""
    return next(part for part in _STATEMENTS[d.verdict](d) if part)


def _out_of_address_space(d: Diagnosis) -> list[str]:
    m, cause = d.measurements, d.cause
    text = room_text(m)
    if cause is not None and (cause.strength != "inferred" or cause.reason is Reason.REQUEST_ABOVE_BOUND):
        text = cause_text(m, cause)
        if m.free is not None and m.free.total:
            text += f"; {'' if m.whole else 'at least '}{size_left(m.free.total)} is free in total"
    return [
        f"Out of address space{', not memory' if d.commit == 'ok' else ''}: {text}.",
        "No failed allocation is recorded." if cause is None else "",
        needs_text(m),
        holders_text(m),
        _commit_beside(d),
    ]


def _address_space_low(d: Diagnosis) -> list[str]:
    m = d.measurements
    return [
        f"Address space is low, but nothing shows that it ran out: {room_text(m)}.",
        needs_text(m),
        holders_text(m),
        _commit_beside(d),
    ]


def _out_of_commit(d: Diagnosis) -> list[str]:
    m, cause = d.measurements, d.cause
    fault = m.failure.stack if m.failure is not None and d.has("stack-commit-failure") else None
    if cause is None:
        opening = f"Out of commit: {job_text(m)}. No failed allocation is recorded."
    elif fault is not None and m.failure is not None:
        left = f"{size_left(fault.headroom or 0)} of {size_words(fault.reserve or 0)}"
        opening = f"Out of commit: thread {m.failure.thread_id} could not grow its stack although {left} was left."
    else:
        apart = ", not address space" if d.address_space == "ok" else ""
        opening = f"Out of commit{apart}: {failed_text(m, cause)}, and {cause_text(m, cause)}."
    states_charge = cause is not None and cause.reason is Reason.SYSTEM_COMMIT
    charge = "" if m.commit.ratio is None or states_charge else f"{sentence(charge_text(m))}."
    return [opening, charge, _space_beside(d)]


def _out_of_heap_limit(d: Diagnosis) -> list[str]:
    m, cause, heap = d.measurements, d.cause, d.measurements.heap_limit
    if cause is None or heap is None:
        return []
    apart = ", not address space or commit" if d.address_space == d.commit == "ok" else ""
    failed = "" if cause.strength == "recorded" else f"{sentence(failed_text(m, cause))}; the cause is inferred."
    return [f"Out of heap space{apart}: {reached_text(heap)}.", failed, _commit_beside(d), _space_beside(d)]


def _heap_limit_near(d: Diagnosis) -> list[str]:
    m = d.measurements
    text = "" if m.heap_limit is None else heap_limit_text(m.heap_limit)
    where = "over" if m.heap_limit is not None and m.heap_limit.over else "near"
    return [f"A heap is {where} its own limit, but nothing shows that it ran out: {text}.", _commit_beside(d)]


def _out_of_memory(d: Diagnosis) -> list[str]:
    m, cause = d.measurements, d.cause
    if cause is None:
        return []
    failed = failed_text(m, cause)
    if cause.axis == "request":
        return [f"Out of memory: {failed}. No process could have satisfied the request: {cause_text(m, cause)}."]
    if cause.axis == "neither":
        return [f"Out of memory: {failed}, but neither address space nor commit is short: {cause_text(m, cause)}."]
    likelier = likelier_axis(m, cause)
    return [
        f"Out of memory: {failed}, but the {input_noun(m)} does not show which limit was reached.",
        known_axes_text(m),
        "" if likelier is None else likelier_text(likelier),
    ]


def _commit_low(d: Diagnosis) -> list[str]:
    m, commit = d.measurements, d.measurements.commit
    if d.has(LOW_COMMIT[0]):
        text = job_text(m)
    else:
        total, limit = sizes_apart((commit.total or 0, "nearest"), (commit.limit or 0, "nearest"))
        least = "at least " if commit.least else ""
        charge = f"{least}{total} of {limit} ({percent_words(commit.ratio or 0)})"
        text = f"the system has committed {charge}, and {left_text(commit.left or 0)}"
    share = ""
    if commit.process is not None and commit.process_share is not None:
        share = f"This process holds {size_words(commit.process)} of it ({percent_words(commit.process_share)})."
    return [f"Commit is low, but nothing shows that it ran out: {text}.", share, _space_beside(d)]


def _no_memory_problem_seen(d: Diagnosis) -> list[str]:
    m, failure = d.measurements, d.measurements.failure
    space, commit = m.free, m.commit
    found, excepted, parts = "No memory problem found", [], []
    if failure is not None and failure.limit == "stack":
        excepted.append(f"the stack overflow in thread {failure.thread_id}")
    elif failure is not None:
        found += f" that explains {failure_text(failure)}"
    if m.heap_commit_failures:
        excepted.append("commits that Windows refused")
    if excepted:
        found += f" apart from {list_words(excepted)}"
    if space is not None:
        parts.append(f"{largest_text(m)} of {m.limit.words}" if m.largest else largest_text(m))
    elif m.virtual_size is not None:
        parts.append(counted_text(m))
    elif space_text(m):
        parts.append(space_text(m))
    if commit.ratio is not None:
        parts.append(charge_text(m))
    elif m.windows:
        parts.append("the system's commit charge is not recorded")
    return [f"{found}: {', and '.join(parts)}.", refused_text(m)]


def _cannot_tell(d: Diagnosis) -> list[str]:
    m, cause, noun = d.measurements, d.cause, input_noun(d.measurements)
    if cause is None:
        return _not_recorded(d)
    text = cause_text(m, cause)
    if cause.reason is Reason.REQUEST_TOO_LARGE:
        return [f"The allocation could not have succeeded in any process: {text}. The size is wrong, not the memory."]
    if cause.reason is Reason.STACK_DESPITE_COMMIT:
        return [f"The cause is unclear: {text}."]
    failed = sentence(failed_text(m, cause))
    if cause.axis == "neither":
        return [f"{failed}, but neither address space nor commit is short: {text}."]
    return [f"{failed}, but the {noun} does not show which limit was the cause: {text}."]


def _not_recorded(d: Diagnosis) -> list[str]:
    """The input has no complete list of regions, and the counters alone do not decide."""
    m, failure, noun = d.measurements, d.measurements.failure, input_noun(d.measurements)
    if failure is None:
        question = "the process is short of memory"
    elif failure.limit == "stack":
        question = f"memory caused the stack overflow in thread {failure.thread_id}"
    else:
        question = f"memory caused {failure_text(failure)}"
    missing = "it has no list of memory regions" if m.free is None else "its list of memory regions is truncated"
    parts = [f"The {noun} does not say whether {question}: {missing}."]
    if m.virtual_size is not None:
        parts.append(f"{sentence(counted_text(m))}.")
    if m.commit.ratio is not None:
        parts.append(f"{sentence(charge_text(m))}, so commit is not short.")
    parts.append(refused_text(m))
    parts += [f"{sentence(text)}." for text in recorded_texts(m)]
    if m.free is None and m.virtual_size is None and available_space(m) is None:
        parts.append("Nor does it record how much address space is in use.")
    if m.bounds is not None and m.bounds.largest is not None:
        parts.append(f"{sentence(bound_text(m))}.")
    return parts


_STATEMENTS = {
    "out-of-address-space": _out_of_address_space,
    "out-of-commit": _out_of_commit,
    "out-of-heap-limit": _out_of_heap_limit,
    "out-of-memory": _out_of_memory,
    "address-space-low": _address_space_low,
    "commit-low": _commit_low,
    "heap-limit-near": _heap_limit_near,
    "no-memory-problem-seen": _no_memory_problem_seen,
    "cannot-tell": _cannot_tell,
}


# ---------------------------------------------------------------- what the engineer asks next


def _commit_beside(d: Diagnosis) -> str:
    m = d.measurements
    if m.commit.ratio is None:
        return "The system's commit charge is not recorded."
    as_well = ", so commit is short as well" if d.commit in ("low", "out") else ""
    if exceeds_commit(m, d.cause) and not any(map(d.has, LOW_COMMIT)):
        as_well = ", and less is left than was requested"
    return f"{sentence(charge_text(m))}{as_well}."


def _space_beside(d: Diagnosis) -> str:
    m = d.measurements
    if m.free is None:
        if m.bounds is not None and m.bounds.largest is not None:
            return f"{sentence(bound_text(m))}."
        if d.address_space == "ok":
            return f"Address space is not short: {space_text(m)}."
        narrow = m.map.process.pointer_size == 4
        return f"The {input_noun(m)} does not record how much address space is free." if narrow else ""
    if d.address_space == "ok":
        return f"Address space is not short: {largest_text(m)}."
    return f"Address space is short as well: {room_text(m)}." if d.address_space in ("low", "out") else ""
