"""Phrases that findings and verdicts share, made from measurements. A clause has no capital and no full stop."""

from __future__ import annotations

from collections.abc import Mapping

from dumpmap.analysis.bounds import Bound
from dumpmap.analysis.cause import Cause, Reason
from dumpmap.analysis.failure import Failure, LastError
from dumpmap.analysis.heap_limits import HeapLimit
from dumpmap.analysis.heaps import HeapRow
from dumpmap.analysis.measurements import Measurements
from dumpmap.analysis.room import available_space
from dumpmap.analysis.writer_memory import LARGEST_BLOCK
from dumpmap.model import ntstatus
from dumpmap.model.types import RegionType
from dumpmap.wording.text import list_words, percent_words, size_left, size_most, size_words, sizes_apart

_INPUT_NOUNS = {"minidump": "dump", "live": "capture", "vmmap": "VMMap file"}


def input_noun(m: Measurements) -> str:
    """What the input is: `dump`, `capture`, `VMMap file`."""
    return _INPUT_NOUNS.get(m.map.snapshot.source.kind, "input")


def heap_title(row: HeapRow) -> str:
    """Names a heap: `heap 1`, `heap 1 (frames)`, `the heap at 0x140000`, `the process heap`."""
    if row.is_default and row.id is None:
        return "the process heap"
    text = f"the heap at 0x{row.address:x}" if row.id is None else f"heap {row.id}"
    return text if row.name is None else f"{text} ({row.name})"


# ---------------------------------------------------------------- failures


def failure_text(failure: Failure) -> str:
    """Writes an exception: `exception 0xc0000017 STATUS_NO_MEMORY`."""
    if failure.code is None:
        return "the recorded failure"
    text = f"exception 0x{failure.code:x}" + (f" {failure.name}" if failure.name else "")
    if failure.types:
        text += f" ({failure.types[0]})"
    if failure.hresult is not None:
        known = ntstatus.hresult(failure.hresult)
        text += f" with HRESULT 0x{failure.hresult:x}" + (f" ({known.meaning})" if known else "")
    if failure.inner_status is not None:
        known = ntstatus.ntstatus(failure.inner_status)
        text += f" caused by 0x{failure.inner_status:x}" + (f" {known.name}" if known else "")
    return text


def last_error_text(error: LastError) -> str:
    """Writes a last error: `1455 ERROR_COMMITMENT_LIMIT`."""
    known = ntstatus.win32_error(error.error)
    if known is not None and known.limit is not None:
        return f"{error.error} {known.name}"
    status = ntstatus.ntstatus(error.status or 0)
    return f"{error.error} (status 0x{error.status or 0:x}{' ' + status.name if status else ''})"


def failed_text(m: Measurements, cause: Cause | None) -> str:
    """Writes what failed: the exception, or the last error of the thread that crashed."""
    failure, error = m.failure, m.crash_error
    if failure is not None and failure.limit is not None:
        size = f" for a request of {size_words(failure.requested)}" if failure.requested else ""
        size = "" if cause is not None and states_request(cause) else size
        if failure.how == "writer":
            return writer_text(m, failure.requested if size else None)
        if failure.how == "annotation":
            return f"the crash reporter recorded a failed allocation ({failure_text(failure)}){size}"
        return f"thread {failure.thread_id} raised {failure_text(failure)}{size}"
    if error is None:
        return ""
    return f"thread {error.thread_id}, which crashed, has the last error {last_error_text(error)}"


def writer_text(m: Measurements, requested: int | None) -> str:
    """Writes what the writer recorded: `Unreal Engine 4.24 recorded a failed allocation of 7.6 GB in thread 12916`."""
    writer, failure = m.map.snapshot.writer, m.failure
    who = "the writer of the dump" if writer is None else writer.writer
    what = f"a failed allocation of {size_words(requested)}" if requested else "that memory ran out"
    thread = None if failure is None else failure.thread_id
    return f"{who} recorded {what}" + ("" if thread is None else f" in {thread_text(m, thread)}")


def thread_text(m: Measurements, thread_id: int) -> str:
    """Names a thread: `thread 12916 (GameThread)`."""
    snapshot = m.map.snapshot
    name = None if snapshot.writer is None else dict(snapshot.writer.thread_names).get(thread_id)
    name = name or m.map.thread_names.get(thread_id)
    return f"thread {thread_id}" + (f" ({name})" if name else "")


def states_request(cause: Cause) -> bool:
    """Whether the clause of a cause already names the size of the request."""
    return bool(cause.requested) and cause.reason in (
        Reason.REQUEST_TOO_LARGE,
        Reason.REQUEST_DOES_NOT_FIT,
        Reason.REQUEST_ABOVE_BOUND,
        Reason.REQUEST_ABOVE_RECORD,
        Reason.LITTLE_ROOM,
        Reason.NOTHING_SHORT,
    )


def cause_text(m: Measurements, cause: Cause) -> str:
    """The clause that says why a failure is put down to an axis, or to none."""
    match cause.reason:
        case Reason.CODE_NAMES_COMMIT:
            return "the code names the commit limit"
        case Reason.HEAP_LIMIT_RECORDED | Reason.HEAP_LIMIT_NEAR:
            return heap_limit_text(m.heap_limit) if m.heap_limit is not None else "a runtime reached its own limit"
        case Reason.JOB_LIMIT:
            return f"{left_text(cause.room or 0)} below the job's commit limit"
        case Reason.NOT_SHORT_BY_RECORD:
            return f"{space_text(m)}, and {charge_text(m)}"
        case Reason.SYSTEM_COMMIT:
            return f"{charge_text(m)}, and {left_text(cause.room or 0)}"
        case Reason.STACK_NOT_EXTENDED:
            return "a stack with room left did not get another page"
        case Reason.STACK_DESPITE_COMMIT:
            return f"a stack with room left did not get another page, but {enough_commit_text(m)}"
        case Reason.NOT_RECORDED:
            return _missing_text(m, cause)
        case _:
            return _room_clause(m, cause)


def _missing_text(m: Measurements, cause: Cause) -> str:
    """The clause of a cause that no evidence decides: what the input lacks, or has and does not decide it."""
    names = {"address-space": "the free address space", "commit": "the system's commit charge"}
    recorded = _recorded_space(m) if "address-space" in cause.missing else ""
    missing = " or ".join(names[axis] for axis in cause.missing if not recorded or axis != "address-space")
    lacks = f"the {input_noun(m)} does not record {missing}" if missing else ""
    return ", and ".join(filter(None, (recorded and f"{recorded}, which does not decide it", lacks)))


def _recorded_space(m: Measurements) -> str:
    """What the writer recorded of the free address space; empty if nothing."""
    if m.bounds is not None and m.bounds.recorded is not None:
        return recorded_room_text(m.bounds.recorded, size_most(m.bounds.recorded.size))
    available = available_space(m) if m.free is None else None
    return "" if available is None else f"the writer recorded {size_words(available)} of address space as available"


def _room_clause(m: Measurements, cause: Cause) -> str:
    """The clause of a cause that compares a request with the room in the address space."""
    requested = "" if not cause.requested else f"{size_words(cause.requested)} was requested"
    match cause.reason:
        case Reason.REQUEST_TOO_LARGE:
            asked, limit = sizes_apart((cause.requested or 0, "nearest"), (m.limit.size or 0, "nearest"))
            limit = m.limit.words if asked == size_words(cause.requested or 0) else limit
            return f"{asked} was requested, more than the whole address space of {limit}"
        case Reason.REQUEST_DOES_NOT_FIT if cause.room:
            asked, room = sizes_apart((cause.requested or 0, "nearest"), (cause.room, "down"))
            return f"{asked} was requested, and the largest allocation that fits is {room}"
        case Reason.REQUEST_DOES_NOT_FIT:
            return f"{requested}, and no free block can hold it"
        case Reason.REQUEST_ABOVE_BOUND:
            asked, room = sizes_apart((cause.requested or 0, "nearest"), (cause.room or 0, "up"))
            return f"{asked} was requested, and the largest free block is at most {room}"
        case Reason.REQUEST_ABOVE_RECORD if m.bounds is not None and m.bounds.recorded is not None:
            asked, room = sizes_apart((cause.requested or 0, "nearest"), (cause.room or 0, "nearest"))
            return f"{asked} was requested, and {recorded_room_text(m.bounds.recorded, room)}"
        case Reason.LITTLE_ROOM:
            return f"{largest_text(m)}, and {requested or 'the size of the request is not recorded'}"
        case Reason.LITTLE_ROOM_FOR_ALLOCATORS:
            return f"{largest_text(m)}, and allocators reserve more than their callers request"
        case _:
            room = f"{size_words(cause.requested)} would fit" if cause.requested else largest_text(m)
            return (
                f"{room}, and {charge_text(m)}; another limit failed (of a heap, a garbage collector, or a job), or "
                "memory was freed before the dump was written"
            )


# ---------------------------------------------------------------- the axes


def largest_text(m: Measurements, size: str | None = None) -> str:
    """The largest free block: `the largest free block is 18 MB`; `size` is its size where a sentence compares it."""
    if not m.largest:
        return "no block is free" if m.whole else "no block is known to be free"
    return f"the largest free block is {'' if m.whole else 'at least '}{size or size_left(m.largest)}"


def room_text(m: Measurements) -> str:
    """How much of the address space is free, and in what pieces."""
    space, limit = m.free, m.limit.words
    least = "" if m.whole else "at least "
    if space is None and m.bounds is not None and (m.bounds.free is not None or m.bounds.recorded is not None):
        recorded = m.bounds.recorded
        if recorded is not None and (m.virtual_size is None or recorded is m.bounds.largest):
            return f"{bound_text(m)}; {recorded_room_text(recorded, size_most(recorded.size))}"
        return f"{bound_text(m)}; {counted_text(m)}"
    if space is None:
        used = f"; {counted_text(m)}" if m.virtual_size is not None else ""
        return f"the {input_noun(m)} does not record how much is free{used}"
    if space.largest is None or space.total == 0:
        return f"none of the {limit} is {'known to be ' if least else ''}free"
    free = f"{least}{size_left(space.total)} of {limit} is free"
    if space.count == 1 or space.total == space.largest.size:
        return f"{free}, in one block"
    link = "but" if (space.fragmentation or 0) >= 0.5 else "and"
    return f"{free}, {link} the largest block is {least}{size_left(space.largest.size)}"


def bound_text(m: Measurements) -> str:
    """The upper bounds of a partial map: `at most 1.2 GB of 2 GB is free, and the largest block is at most 900 MB`."""
    bounds = m.bounds
    if bounds is None or bounds.largest is None:
        return ""
    largest = f"at most {size_most(bounds.largest.size)}"
    if bounds.free is None:
        return f"the largest free block is {largest}, in an address space of {m.limit.words}{_inferred(m)}"
    free = f"at most {size_most(bounds.free.size)} of {m.limit.words} is free"
    return free if bounds.largest is bounds.free else f"{free}, and the largest block is {largest}"


def recorded_room_text(bound: Bound, size: str) -> str:
    """What the writer recorded of the free address space: `Crashpad recorded a largest free block of 1 MB ...`."""
    figure = bound.figure
    if figure is None:
        return f"the writer recorded {size}"
    what = f"a largest free block of {size}" if figure.name == LARGEST_BLOCK else f"{size} of free address space"
    return f"{figure.writer} recorded {what} when the dump was written"


def heap_limit_text(heap: HeapLimit) -> str:
    """A runtime's heap against its limit: `the V8 heap uses 3.9 GB of its limit of 4 GB (97 %)`."""
    name = f"the {heap.runtime} heap"
    if heap.used is not None and heap.limit is not None:
        share = f" ({percent_words(heap.ratio)})" if heap.ratio is not None else ""
        garbage = ", garbage included" if heap.garbage else ""
        used, limit = sizes_apart((heap.used, "nearest"), (heap.limit, "nearest"))
        of = ", over its limit of" if heap.over else " of its limit of"
        return f"{name} uses {used}{of} {limit}{share}{garbage}"
    if heap.limit is not None:
        return f"{name} has a limit of {size_words(heap.limit)}; how much of it is in use is not recorded"
    return (
        f"{name} uses {size_words(heap.used)}, and its limit is not recorded"
        if heap.used
        else (f"the figures of {name} are not recorded")
    )


def counted_text(m: Measurements) -> str:
    """What the process's counters show in use."""
    return f"the process's counters show {of_limit_words(m, m.virtual_size or 0)} in use"


def of_limit_words(m: Measurements, size: int) -> str:
    """Writes a part of the address space beside its limit: `1.96 GB of 2 GB`."""
    if m.limit.size is None:
        return size_words(size)
    part, _ = sizes_apart((size, "nearest"), (m.limit.size, "nearest"))
    return f"{part} of {m.limit.words}{_inferred(m)}"


def _inferred(m: Measurements) -> str:
    """What a limit that nothing proves is inferred from."""
    return f" (inferred from the {m.limit.source})" if m.limit.at_most else ""


def space_text(m: Measurements) -> str:
    """What is known of the free address space: measured, bounded, counted, or recorded by the writer; else empty."""
    if m.free is not None:
        return largest_text(m)
    if m.bounds is not None and m.bounds.largest is not None:
        return bound_text(m)
    if m.virtual_size is not None:
        return counted_text(m)
    return _recorded_space(m)


def used_text(m: Measurements, names: Mapping[RegionType, str] | None = None) -> str:
    """What holds most of the address space in use: `61 % Private Data, 12 % Image, and 5 % Heap`.

    A map that shows only a part knows no shares of the whole: `2.9 MB Image and 64 KB Stack, of 3 MB`.
    """
    total = m.used_total
    if not m.whole:
        known = [f"{size_words(size)} {(names or {}).get(one, one.label)}" for one, size in list(m.used.items())[:3]]
        return f"{list_words(known)}, of {size_words(total)}" if known else ""
    shares = [
        f"{percent_words(size / total)} {(names or {}).get(region_type, region_type.label)}"
        for region_type, size in list(m.used.items())[:3]
        if total and size / total >= 0.05
    ]
    return list_words(shares)


def limit_evidence(m: Measurements) -> str:
    """The sentence that names the evidence for the size of the address space."""
    return f"Evidence for the limit of {m.limit.words}: {m.limit.source}."


def charge_text(m: Measurements) -> str:
    """The system's commit: `the system's commit charge is at 97 % of its limit`."""
    least = " least" if m.commit.least else ""
    source = ", by the writer of the dump" if m.commit.source == "writer" else ""
    return f"the system's commit charge is at{least} {percent_words(m.commit.ratio or 0)} of its limit{source}"


def enough_commit_text(m: Measurements) -> str:
    """That the counters show enough commit."""
    job = "the job is not near its limit" if m.commit.job_ratio is not None else "no job limit is recorded"
    return f"{charge_text(m)}, and {job}"


def left_text(size: int) -> str:
    """What is left of a limit: `491 MB is left`, `nothing is left`."""
    return f"{size_left(size)} is left" if size > 0 else "nothing is left"


def job_text(m: Measurements) -> str:
    """The job's commit: `the process's job has committed 1,014 MB of its limit of 1 GB (99 %)`."""
    used, limit, ratio = m.commit.job_usage or 0, m.commit.job_limit or 0, m.commit.job_ratio or 0
    used_words, limit_words = sizes_apart((used, "nearest"), (limit, "nearest"))
    return f"the process's job has committed {used_words} of its limit of {limit_words} ({percent_words(ratio)})"
