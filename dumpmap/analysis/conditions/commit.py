"""Conditions on the commit: the system's charge against its limit, and the job's."""

from __future__ import annotations

from dumpmap.analysis.cause import job_is_short
from dumpmap.analysis.conditions import Condition, Evidence, Found


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


CONDITIONS: dict[str, Condition] = {
    "commit-limit-reached": commit_limit_reached,
    "commit-limit-near": commit_limit_near,
    "job-commit-limit-near": job_commit_limit_near,
}
