"""Which limit a failed allocation met, as far as the evidence goes.

A code that names the limit decides. Other codes say only that memory failed; then the requested size against the
largest free block decides, then the state of the commit, then how little address space is left. If neither axis is
short, the answer is `neither`: heaps, garbage collectors, JavaScript engines, and jobs have limits of their own. Where
the limit of a runtime's heap is recorded as reached, that record decides before anything is inferred.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Literal

from dumpmap.analysis.free import fits
from dumpmap.analysis.measurements import Measurements
from dumpmap.analysis.room import wide_space_has_room
from dumpmap.model.ntstatus import MemoryLimit
from dumpmap.model.values import value_class

Axis = Literal["address-space", "commit", "heap-limit", "neither", "request", "unknown"]
Strength = Literal["recorded", "measured", "inferred"]

Thresholds = Mapping[str, float]


class Reason(Enum):
    """Why the failure is put down to an axis."""

    CODE_NAMES_COMMIT = auto()
    """The exception or error code names the commit limit."""
    REQUEST_TOO_LARGE = auto()
    """The request exceeds the whole address space."""
    REQUEST_DOES_NOT_FIT = auto()
    """No free block can hold the request; `room` is the largest size that would fit."""
    REQUEST_ABOVE_BOUND = auto()
    """The map is partial, but no free block can be as large as the request; `room` is the bound."""
    REQUEST_ABOVE_RECORD = auto()
    """The writer recorded less free address space, or a smaller largest block; `room` is that figure."""
    HEAP_LIMIT_RECORDED = auto()
    """The writer recorded that a runtime reached its own limit."""
    HEAP_LIMIT_NEAR = auto()
    """A runtime's heap is near its own limit."""
    LITTLE_ROOM = auto()
    """The largest free block is small."""
    LITTLE_ROOM_FOR_ALLOCATORS = auto()
    """The request would fit, but the largest free block is too small for what an allocator reserves for it."""
    JOB_LIMIT = auto()
    """The job's commit limit is reached; `room` is what it leaves."""
    SYSTEM_COMMIT = auto()
    """The system's commit is near its limit."""
    STACK_NOT_EXTENDED = auto()
    """A stack with room left did not get another page."""
    STACK_DESPITE_COMMIT = auto()
    """The same, although the counters show enough commit."""
    NOTHING_SHORT = auto()
    """Both axes have room."""
    NOT_SHORT_BY_RECORD = auto()
    """Nothing is short by the counters or by what the writer recorded; the address space is not measured."""
    NOT_RECORDED = auto()
    """The input does not show the state of an axis; `missing` names it."""


@value_class(frozen=True, slots=True)
class Cause:
    """The limit that a failed allocation met.

    Attributes:
        axis: which one; `request` if no process could have had that size, so that it met none of them.
        strength: `recorded` (the input says so), `measured` (the request against what is there) or `inferred` (what is
            short in the map or the counters).
        reason: why.
        requested: bytes of the request; None if not recorded.
        room: for some reasons, the bytes that were left; see `Reason`.
        missing: the axes whose state the input does not show.
    """

    axis: Axis
    strength: Strength
    reason: Reason
    requested: int | None = None
    room: int | None = None
    missing: tuple[Literal["address-space", "commit"], ...] = ()


def find_cause(m: Measurements, t: Thresholds) -> Cause | None:
    """Finds the cause of the recorded failure; None if the input records no failure that is about memory.

    A last error counts only for the thread that crashed, and only if the exception itself does not concern memory.
    """
    failure = m.failure
    if failure is not None and failure.limit == "stack":
        return _stack_cause(m, t) if stack_commit_failed(m, t) else None
    if failure is not None and failure.limit is not None:
        return _cause(m, t, failure.limit, failure.requested)
    error = m.crash_error
    return None if error is None else _cause(m, t, error.limit, None)


def stack_commit_failed(m: Measurements, t: Thresholds) -> bool:
    """Whether a stack overflow is so far from the stack's end that its growth must have failed for want of commit."""
    fault = m.failure.stack if m.failure is not None else None
    if fault is None or fault.headroom is None:
        return False
    return fault.headroom - fault.guaranteed >= t["stack_headroom"]


def job_is_short(m: Measurements, t: Thresholds) -> bool:
    """Whether the job's limit counts as reached."""
    left, ratio = m.commit.job_left, m.commit.job_ratio
    if left is None or ratio is None:
        return False
    return left < t["job_headroom_critical"] and ratio >= t["job_warning"]


def _stack_cause(m: Measurements, t: Thresholds) -> Cause:
    """A stack with room left fails for want of commit, unless the counters show enough commit."""
    commit = m.commit
    job_near = commit.job_ratio is not None and commit.job_ratio >= t["job_warning"]
    if commit.ratio is None or commit.ratio >= t["commit_warning"] or job_near:
        return Cause("commit", "inferred", Reason.STACK_NOT_EXTENDED)
    return Cause("neither", "inferred", Reason.STACK_DESPITE_COMMIT)


def _cause(m: Measurements, t: Thresholds, limit: MemoryLimit, requested: int | None) -> Cause:
    if limit == "commit":
        return Cause("commit", "recorded", Reason.CODE_NAMES_COMMIT, requested)
    share = t["heap_limit_warning"]
    if m.heap_limit is not None and m.heap_limit.proves_failure(share):
        return Cause("heap-limit", "recorded", Reason.HEAP_LIMIT_RECORDED, requested)
    space = m.measured
    cramped = space is not None and m.largest < t["largest_free_critical"]
    found = _by_size(m, requested) if requested else None
    if found is None and _runtime_raised(m, share):
        found = Cause("heap-limit", "inferred", Reason.HEAP_LIMIT_NEAR, requested)
    if found is None and cramped and not requested:
        found = Cause("address-space", "inferred", Reason.LITTLE_ROOM)
    if found is None:
        found = _by_commit(m, t, "commit_reached", requested)
    if found is None and cramped:
        found = Cause("address-space", "inferred", Reason.LITTLE_ROOM_FOR_ALLOCATORS, requested)
    if found is None:
        found = _by_commit(m, t, "commit_warning", requested)
    if found is None and space is not None and space.limit.narrow and m.largest < t["largest_free_warning"]:
        found = Cause("address-space", "inferred", Reason.LITTLE_ROOM, requested)
    if found is None and m.heap_limit is not None and m.heap_limit.is_near(share):
        found = Cause("heap-limit", "inferred", Reason.HEAP_LIMIT_NEAR, requested)
    return found or _neither(m, t, requested)


def _runtime_raised(m: Measurements, share: float) -> bool:
    """Whether .NET itself raised the exception while its heap is near its own limit."""
    heap, failure = m.heap_limit, m.failure
    managed = failure is not None and failure.hresult is not None
    return managed and heap is not None and heap.runtime.startswith(".NET") and heap.is_near(share)


def _by_size(m: Measurements, requested: int) -> Cause | None:
    limit = m.limit.size
    if limit is not None and requested >= limit:
        return Cause("request", "measured", Reason.REQUEST_TOO_LARGE, requested)
    recorded, bound = (None, None) if m.bounds is None else (m.bounds.recorded, m.bounds.largest)
    if recorded is not None and requested > recorded.size:
        return Cause("address-space", "recorded", Reason.REQUEST_ABOVE_RECORD, requested, recorded.size)
    if bound is not None and requested > bound.size:
        return Cause("address-space", "inferred", Reason.REQUEST_ABOVE_BOUND, requested, bound.size)
    fit = fits(m.measured, requested) if m.measured is not None else None
    if fit is None or fit.fits is not False:
        return None
    return Cause("address-space", "measured", Reason.REQUEST_DOES_NOT_FIT, requested, fit.largest)


def _by_commit(m: Measurements, t: Thresholds, level: str, requested: int | None) -> Cause | None:
    commit = m.commit
    if job_is_short(m, t):
        return Cause("commit", "inferred", Reason.JOB_LIMIT, requested, commit.job_left)
    if commit.ratio is not None and commit.ratio >= t[level]:
        return Cause("commit", "inferred", Reason.SYSTEM_COMMIT, requested, commit.left)
    return None


def _neither(m: Measurements, t: Thresholds, requested: int | None) -> Cause:
    missing: list[Literal["address-space", "commit"]] = []
    if m.measured is None and not (m.free is None and wide_space_has_room(m, t)):
        missing.append("address-space")
    if m.commit.ratio is None:
        missing.append("commit")
    if missing:
        return Cause("unknown", "inferred", Reason.NOT_RECORDED, requested, missing=tuple(missing))
    if m.measured is None:
        return Cause("unknown", "inferred", Reason.NOT_SHORT_BY_RECORD, requested)
    return Cause("neither", "measured", Reason.NOTHING_SHORT, requested)
