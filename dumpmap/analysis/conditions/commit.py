"""Conditions on the commit: the system's charge against its limit, and the job's."""

from __future__ import annotations

from dumpmap.analysis.cause import job_is_short
from dumpmap.analysis.conditions import MAX_ITEMS, Condition, Evidence, Found


def commit_limit_reached(e: Evidence) -> Found | None:
    """The system's commit is at its limit."""
    ratio = e.m.commit.ratio
    if ratio is None or ratio < e.t["commit_reached"]:
        return None
    proven = e.cause is not None and e.cause.axis == "commit"
    return Found(e.m.commit.to_dict(), None if proven else "warning", proven)


def commit_limit_near(e: Evidence) -> Found | None:
    """The system's commit is near its limit."""
    ratio = e.m.commit.ratio
    if ratio is None or not e.t["commit_warning"] <= ratio < e.t["commit_reached"]:
        return None
    return Found(e.m.commit.to_dict())


def job_commit_limit_near(e: Evidence) -> Found | None:
    """The job's commit is near its limit, or at it."""
    ratio = e.m.commit.job_ratio
    if ratio is None or ratio < e.t["job_warning"]:
        return None
    reached = job_is_short(e.m, e.t)
    return Found({**e.m.commit.to_dict(), "reached": reached}, None if reached else "warning")


def heap_commit_failures(e: Evidence) -> Found | None:
    """Windows refused to commit memory for a heap. The subject is those heaps, most refusals first."""
    if not e.m.heap_commit_failures:
        return None
    stated = [(heap, heap.info.stated) for heap in e.m.map.heaps]
    refused = [(heap, one.commit_failures) for heap, one in stated if one is not None and one.commit_failures]
    refused.sort(key=lambda item: -item[1])
    heaps = [
        {"id": heap.info.id, "address": f"0x{heap.info.address:x}", "commit_failures": count}
        for heap, count in refused[:MAX_ITEMS]
    ]
    values = {"commit_failures": e.m.heap_commit_failures, "count": len(refused), "heaps": heaps}
    return Found(values, subject=[heap for heap, _ in refused])


CONDITIONS: dict[str, Condition] = {
    "commit-limit-reached": commit_limit_reached,
    "commit-limit-near": commit_limit_near,
    "job-commit-limit-near": job_commit_limit_near,
    "heap-commit-failures": heap_commit_failures,
}
