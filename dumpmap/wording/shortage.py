"""Sentences about a runtime's limit, and about a shortage of memory whose limit the input does not show."""

from __future__ import annotations

from collections.abc import Iterator

from dumpmap.analysis.bounds import Bound
from dumpmap.analysis.heap_limits import HeapLimit
from dumpmap.analysis.likelier import Because, Likelier
from dumpmap.analysis.limits import limit_name
from dumpmap.analysis.measurements import Measurements
from dumpmap.analysis.process_commit import process_commit
from dumpmap.analysis.room import available_page_file, available_space
from dumpmap.wording.phrases import charge_text, heap_limit_text, space_text
from dumpmap.wording.text import address_words, count_words, size_left, size_words, sizes_apart

_LONGEST_LOCATION = 80
_HARDLY_FULL = 0.1

_AXIS_NAMES = {
    "address-space": "address space",
    "commit": "commit",
    "heap-limit": "the limit of a heap, a runtime, or a job",
}


def reached_text(heap: HeapLimit) -> str:
    """That a heap reached its limit: `the V8 heap reached its own limit: it uses ...; V8 gave up at "..."`."""
    text = f"the {heap.runtime} heap reached its own limit"
    if heap.used is not None or heap.limit is not None:
        text = heap_limit_text(heap)
    if heap.location:
        text += f'; {heap.runtime} gave up at "{heap.location[:_LONGEST_LOCATION]}"'
    # A request larger than the rest of the heap fails early, but not in an empty heap.
    if heap.ratio is not None and heap.ratio < _HARDLY_FULL:
        text += "; these figures do not look full, so they may be those of another heap or another moment"
    return text


def likelier_text(likelier: Likelier) -> str:
    """The sentence that names the likelier axis and marks it as inferred."""
    return f"More likely (inferred): {_AXIS_NAMES[likelier.axis]}, because {_because(likelier)}."


def _because(likelier: Likelier) -> str:
    match likelier.because:
        case Because.MORE_THAN_COMMIT_LEFT:
            return f"the request{_exceeds(likelier)} that was left of the system's commit limit"
        case Because.MORE_THAN_PAGE_FILE:
            return f"the request{_exceeds(likelier)} that the writer recorded as available"
        case Because.WIDE_SPACE:
            return "a 64-bit process hardly ever runs out of address space"
        case Because.LARGE_IN_A_NARROW_SPACE:
            return "a 32-bit process seldom has a free block for so large a request"
        case Because.COMMIT_NOT_SHORT:
            return "the system's commit is not short, and the process has little address space"
        case Because.ALL_ENOUGH:
            return "neither address space nor commit is likely to be short"


def _exceeds(likelier: Likelier) -> str:
    """Compares the request, whose size the sentence before names, with the room; with decimals, it names both."""
    requested, room = likelier.requested or 0, likelier.room or 0
    asked, left = sizes_apart((requested, "nearest"), (room, "down"))
    return f" exceeds the {left}" if asked == size_words(requested) else f" of {asked} exceeds the {left}"


def bound_reason(bound: Bound) -> str:
    """Why there is at most so much: the evidence of an upper bound."""
    if bound.gap is not None:
        known = count_words(bound.ranges or 0, "range")
        return f"the widest gap between {known} known to be in use, at {address_words(bound.gap[0])}"
    if bound.figure is not None:
        return f"{bound.figure.name}, which {bound.figure.writer} recorded when the dump was written"
    used, _ = sizes_apart((bound.virtual_size or 0, "nearest"), (bound.limit, "nearest"))
    most = "at most " if bound.limit_at_most else ""
    return f"the process's counters show {used} of {most}{limit_name(bound.limit)} in use"


def known_axes_text(m: Measurements) -> str:
    """What is known of each axis, in one sentence."""
    space = space_text(m) or "not recorded"
    return f"Address space: {space}; commit: {_known_commit(m)}; heap limit: {_known_heap(m)}."


def _known_commit(m: Measurements) -> str:
    available = available_page_file(m)
    if m.commit.ratio is not None:
        return charge_text(m)
    process = "" if m.commit.process is None else f"the process commits {size_words(m.commit.process)}, and "
    system = "the system's commit charge is not recorded" if process else "not recorded"
    return process + (system if available is None else page_file_text(available))


def recorded_texts(m: Measurements) -> Iterator[str]:
    """Yields what the writer of the dump recorded of the process's and the machine's memory, if no counter says it."""
    writer, available = m.map.snapshot.writer, available_page_file(m)
    if writer is None or m.free is not None:
        return
    if m.virtual_size is None and available_space(m) is not None:
        yield space_text(m)
    if m.commit.ratio is None and available is not None:
        yield page_file_text(available)
    committed = process_commit(m.map)
    if committed is not None and committed.source == "writer":
        yield f"by the same record, the process commits {size_words(committed.size)}"
    if writer.out_of_memory is False:
        yield f"{writer.writer} recorded that memory did not run out"


def refused_text(m: Measurements) -> str:
    """The sentence that heaps were refused memory; empty if none was."""
    count = m.heap_commit_failures
    if not count:
        return ""
    return f"At an unknown time, Windows refused to commit memory for heaps {count_words(count, 'time')}."


def page_file_text(available: int) -> str:
    """What the writer of the dump recorded as available to commit."""
    return f"the writer recorded {size_left(available)} of physical memory and page file as available"


def _known_heap(m: Measurements) -> str:
    return "not recorded" if m.heap_limit is None else heap_limit_text(m.heap_limit)
