"""Conditions on the recorded failure: the exception, its stack, and the last errors of threads."""

from __future__ import annotations

from typing import Any

from dumpmap.analysis.cause import stack_commit_failed
from dumpmap.analysis.conditions import MAX_ITEMS, Condition, Evidence, Found, block_values
from dumpmap.analysis.failure import Failure, StackFault
from dumpmap.analysis.likelier import likelier_axis
from dumpmap.analysis.measurements import Measurements
from dumpmap.model.ntstatus import MSVC_CPP_EXCEPTION
from dumpmap.model.sizes import rounded_share


def out_of_memory_exception(e: Evidence) -> Found | None:
    """The exception says that memory failed."""
    failure, cause = e.m.failure, e.cause
    if failure is None or failure.limit is None or failure.limit == "stack" or cause is None:
        return None
    if failure.how != "exception":  # the finding below reports it
        return None
    return Found(
        {
            **failure.to_dict(),
            "axis": cause.axis,
            "strength": cause.strength,
            "largest_free_block": block_values(e.m),
            "commit_ratio": rounded_share(e.m.commit.ratio),
        }
    )


def writer_recorded_out_of_memory(e: Evidence) -> Found | None:
    """The writer of the dump recorded that memory ran out. The subject is the axis that is likelier."""
    failure, cause, writer = e.m.failure, e.cause, e.m.map.snapshot.writer
    if failure is None or failure.how == "exception" or cause is None:
        return None
    if cause.axis == "heap-limit":  # `runtime-heap-limit-reached` reports it
        return None
    likelier = likelier_axis(e.m, cause)
    return Found(
        {
            "writer": None if writer is None else writer.writer,
            "crash_type": None if writer is None else writer.crash_type,
            "thread_id": failure.thread_id,
            "requested": failure.requested,
            "axis": cause.axis,
            "strength": cause.strength,
            "likelier": None if likelier is None else likelier.axis,
        },
        subject=likelier,
    )


def allocation_request_impossible(e: Evidence) -> Found | None:
    """The request exceeds the whole address space."""
    failure, limit = e.m.failure, e.m.limit
    if failure is None or not failure.requested or limit.size is None or failure.requested < limit.size:
        return None
    return Found({"requested": failure.requested, "limit": limit.size, "limit_source": limit.source})


def stack_commit_failure(e: Evidence) -> Found | None:
    """A stack overflow with room left on the stack."""
    failure, fault = e.m.failure, _fault(e.m)
    if failure is None or fault is None or fault.reserve is None or fault.headroom is None:
        return None
    return Found(_stack_values(e.m, failure, fault)) if stack_commit_failed(e.m, e.t) else None


def stack_overflow(e: Evidence) -> Found | None:
    """A stack overflow near the end of the stack, or at an unknown distance from it."""
    failure, fault = e.m.failure, _fault(e.m)
    if failure is None or fault is None or stack_commit_failed(e.m, e.t):
        return None
    return Found(_stack_values(e.m, failure, fault))


def _fault(m: Measurements) -> StackFault | None:
    return m.failure.stack if m.failure is not None else None


def _stack_values(m: Measurements, failure: Failure, fault: StackFault) -> dict[str, Any]:
    return {
        "thread_id": failure.thread_id,
        "address": None if fault.address is None else f"0x{fault.address:x}",
        "headroom": fault.headroom,
        "reserve": fault.reserve,
        "guaranteed": fault.guaranteed,
        "commit_ratio": rounded_share(m.commit.ratio),
    }


def last_error_out_of_memory(e: Evidence) -> Found | None:
    """A thread's last error means that memory ran out."""
    errors = e.m.last_errors
    if not errors:
        return None
    values = {"count": len(errors), "threads": [error.to_dict() for error in errors[:MAX_ITEMS]]}
    return Found(values, None if e.m.crash_error is not None else "info")


def cpp_exception_unreadable(e: Evidence) -> Found | None:
    """A C++ exception whose type the input does not hold."""
    failure = e.m.failure
    if failure is None or failure.code != MSVC_CPP_EXCEPTION or failure.types or failure.limit is not None:
        return None
    return Found({"thread_id": failure.thread_id, "code": f"0x{failure.code:x}"})


CONDITIONS: dict[str, Condition] = {
    "writer-recorded-out-of-memory": writer_recorded_out_of_memory,
    "out-of-memory-exception": out_of_memory_exception,
    "allocation-request-impossible": allocation_request_impossible,
    "stack-commit-failure": stack_commit_failure,
    "stack-overflow": stack_overflow,
    "last-error-out-of-memory": last_error_out_of_memory,
    "cpp-exception-unreadable": cpp_exception_unreadable,
}
