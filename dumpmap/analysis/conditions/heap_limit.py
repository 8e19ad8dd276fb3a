"""Conditions on the limit that a runtime sets for its own heap."""

from __future__ import annotations

from dumpmap.analysis.conditions import Condition, Evidence, Found


def runtime_heap_limit_reached(e: Evidence) -> Found | None:
    """A recorded failure met the limit of a runtime's heap."""
    heap, cause = e.m.heap_limit, e.cause
    if heap is None or cause is None or cause.axis != "heap-limit":
        return None
    return Found({**heap.to_dict(), "strength": cause.strength})


def runtime_heap_limit_near(e: Evidence) -> Found | None:
    """A runtime's heap is near its limit, and no failure is put down to it. The subject is that heap."""
    if e.cause is not None and e.cause.axis == "heap-limit":
        return None
    near = [heap for heap in e.m.heap_limits if heap.is_near(e.t["heap_limit_warning"])]
    return Found(near[0].to_dict(), subject=near[0]) if near else None


CONDITIONS: dict[str, Condition] = {
    "runtime-heap-limit-reached": runtime_heap_limit_reached,
    "runtime-heap-limit-near": runtime_heap_limit_near,
}
