"""Which limit a failed allocation ran into, as far as the evidence goes.

Codes that name the limit decide. Others only say that memory failed; then the size asked for against the largest free
block does, then the state of the commit, then how little address space is left. Where neither axis is short the answer
is `neither`: heaps, garbage collectors, JavaScript engines and jobs have limits of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from dumpmap.analysis.free import fits
from dumpmap.analysis.measurements import Measurements
from dumpmap.model.ntstatus import MemoryLimit
from dumpmap.wording.numbers import percent_words, size_left, size_words

Axis = Literal["address-space", "commit", "neither", "request", "unknown"]
Strength = Literal["recorded", "measured", "inferred"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """The limit that a failed allocation ran into.

    Attributes:
        axis: which one; `request` where no process could have had that size, so that it ran into none of them.
        strength: `recorded` (the input says so), `measured` (the size asked for against what is there) or `inferred`
            (what is short in the map or the counters).
        reason: why, as the rest of a sentence.
    """

    axis: Axis
    strength: Strength
    reason: str


def stack_commit_failed(m: Measurements, thresholds: Mapping[str, float]) -> bool:
    """Whether a stack overflow lies so far from the stack's end that its growth must have failed for want of commit."""
    fault = m.failure.stack if m.failure is not None else None
    if fault is None or fault.headroom is None:
        return False
    return fault.headroom - fault.guaranteed >= thresholds["stack_headroom"]


def judge_failure(m: Measurements, thresholds: Mapping[str, float]) -> Judgement | None:
    """Judges the recorded failure; None where the input records none that is about memory.

    A last error counts only for the thread that crashed, and only where the exception itself does not speak of memory.
    """
    failure = m.failure
    if failure is not None and failure.limit == "stack":
        return _judge_stack(m, thresholds) if stack_commit_failed(m, thresholds) else None
    if failure is not None and failure.limit is not None:
        return _judge(m, thresholds, failure.limit, failure.requested)
    error = m.crash_error
    return None if error is None else _judge(m, thresholds, error.limit, None)


def _judge_stack(m: Measurements, thresholds: Mapping[str, float]) -> Judgement:
    """A stack with room left fails for want of commit, unless the commit is known and has plenty."""
    reason, commit = "a stack with room left could not be given another page", m.commit
    job_near = commit.job_ratio is not None and commit.job_ratio >= thresholds["job_warning"]
    if commit.ratio is None or commit.ratio >= thresholds["commit_warning"] or job_near:
        return Judgement("commit", "inferred", reason)
    job = "the job's limit is not near" if commit.job_ratio is not None else "no limit of a job is recorded"
    return Judgement(
        "neither",
        "inferred",
        f"{reason}, as where a commit fails, but the system's commit is at {percent_words(commit.ratio)} of its limit "
        f"and {job}",
    )


def _judge(m: Measurements, thresholds: Mapping[str, float], limit: MemoryLimit, requested: int | None) -> Judgement:
    if limit == "commit":
        return Judgement("commit", "recorded", "the code names the commit limit")
    asked = _judge_size(m, requested) if requested else None
    if asked is not None:
        return asked
    short = _short_commit(m, thresholds, "commit_reached")
    space = m.measured
    if space is not None and m.largest < thresholds["largest_free_critical"] and not requested:
        return Judgement(
            "address-space",
            "inferred",
            f"{_largest(m)}; {_not_said(requested)}",
        )
    if short is not None:
        return Judgement("commit", "inferred", short)
    if space is not None and m.largest < thresholds["largest_free_critical"]:
        return Judgement(
            "address-space",
            "inferred",
            f"{_largest(m)}, and allocators ask for more than their callers do",
        )
    near = _short_commit(m, thresholds, "commit_warning")
    if near is not None:
        return Judgement("commit", "inferred", near)
    if space is not None and space.limit.narrow and m.largest < thresholds["largest_free_warning"]:
        return Judgement(
            "address-space",
            "inferred",
            f"{_largest(m)}; {_not_said(requested)}",
        )
    return _neither(m, requested)


def _largest(m: Measurements) -> str:
    return "no block is free" if not m.largest else f"the largest free block is {size_left(m.largest)}"


def _not_said(requested: int | None) -> str:
    return "how much was asked for is not recorded" if not requested else f"{size_words(requested)} was asked for"


def _judge_size(m: Measurements, requested: int) -> Judgement | None:
    limit = m.limit.size
    if limit is not None and requested >= limit:
        return Judgement(
            "request",
            "measured",
            f"{size_words(requested)} was asked for, more than the whole address space of {m.limit.name}",
        )
    space = m.measured
    if space is None:
        return None
    fit = fits(space, requested)
    if fit is None or fit.fits is not False:
        return None
    had = f"the largest block that could be had is {size_left(fit.largest)}" if fit.largest else "no block could be had"
    return Judgement("address-space", "measured", f"{size_words(requested)} was asked for, and {had}")


def job_is_short(m: Measurements, thresholds: Mapping[str, float]) -> bool:
    """Whether the job's limit counts as reached."""
    left, ratio = m.commit.job_left, m.commit.job_ratio
    if left is None or ratio is None:
        return False
    return left < thresholds["job_headroom_critical"] and ratio >= thresholds["job_warning"]


def _short_commit(m: Measurements, thresholds: Mapping[str, float], level: str) -> str | None:
    commit = m.commit
    if job_is_short(m, thresholds) and commit.job_left is not None:
        return f"the job's commit limit leaves {size_left(commit.job_left)}"
    if commit.ratio is not None and commit.left is not None and commit.ratio >= thresholds[level]:
        return f"the system's commit is at {percent_words(commit.ratio)} of its limit, {size_left(commit.left)} left"
    return None


def _neither(m: Measurements, requested: int | None) -> Judgement:
    unknown = []
    if m.measured is None:
        unknown.append("the free address space")
    if m.commit.ratio is None:
        unknown.append("the system's commit")
    if unknown:
        return Judgement(
            "unknown", "inferred", f"{' and '.join(unknown)} {'is' if len(unknown) == 1 else 'are'} not known"
        )
    ratio = percent_words(m.commit.ratio or 0)
    room = f"{size_words(requested)} would fit" if requested else f"the largest free block is {size_left(m.largest)}"
    return Judgement(
        "neither",
        "measured",
        f"{room} and the system's commit is at {ratio} of its limit; another limit failed (a heap's, a garbage "
        "collector's, a job's), or the memory was free again when the dump was written",
    )
