"""The verdict in one line: its name, and the figures that decide it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dumpmap.wording.text import percent_words, size_left, size_most, size_words, sizes_apart

if TYPE_CHECKING:
    from dumpmap.analysis.diagnosis import Diagnosis
    from dumpmap.analysis.measurements import Measurements


def verdict_line(d: Diagnosis) -> str:
    """Writes the verdict with its figures in about 60 letters: `out-of-commit: 9 MB left below the job's limit`."""
    m, name = d.measurements, d.verdict
    if name in ("out-of-heap-limit", "heap-limit-near"):
        reason = _heap(m)
    elif name in ("out-of-commit", "commit-low"):
        reason = _commit(m)
    elif name == "out-of-memory":
        reason = _requested(m)
    elif name == "cannot-tell" and not m.whole:
        reason = "no list of memory regions" if m.free is None else "list of regions is cut off"
    elif name == "out-of-address-space":
        # What fragments a space is one figure; what was asked of it is the other.
        reason = ", ".join(filter(None, (_requested(m), _room(m))))
    else:
        reason = _room(m)
    return f"{name}: {reason}" if reason else name


def _requested(m: Measurements) -> str:
    failure = m.failure
    return f"{size_words(failure.requested)} requested" if failure is not None and failure.requested else ""


def _room(m: Measurements) -> str:
    """The largest free block, or what is known in its place."""
    limit = m.limit.words
    if m.free is not None:
        if not m.largest:
            return f"{'0 bytes' if m.whole else 'no block known to be'} free of {limit}"
        return f"largest free block {'' if m.whole else 'at least '}{size_left(m.largest)} of {limit}"
    if m.virtual_size is not None and m.limit.size is not None:
        used, space = sizes_apart((m.virtual_size, "nearest"), (m.limit.size, "nearest"))
        return f"{used} of {space} in use"
    if m.bounds is not None and m.bounds.largest is not None:
        return f"largest free block at most {size_most(m.bounds.largest.size)}"
    return ""


def _commit(m: Measurements) -> str:
    commit = m.commit
    job_is_nearer = commit.job_ratio is not None and commit.job_ratio >= (commit.ratio or 0)
    if job_is_nearer and commit.job_left is not None:
        return f"{size_left(max(commit.job_left, 0))} left below the job's limit"
    if commit.ratio is not None and commit.limit is not None:
        least = "at least " if commit.least else ""
        return f"{least}{percent_words(commit.ratio)} of {size_words(commit.limit)} committed"
    return "commit charge not recorded"


def _heap(m: Measurements) -> str:
    heap = m.heap_limit
    if heap is None:
        return ""
    if heap.used is None or heap.limit is None:
        return f"{heap.runtime} heap" + ("" if heap.limit is None else f", limit {size_words(heap.limit)}")
    used, limit = sizes_apart((heap.used, "nearest"), (heap.limit, "nearest"))
    return f"{heap.runtime} heap uses {used} of {limit}"
