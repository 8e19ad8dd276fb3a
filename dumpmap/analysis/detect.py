"""The conditions behind the findings: each function looks at the facts and says what it found, or nothing.

`dumpmap.analysis.findings` holds the table that names them. Everything that a function compares with is a threshold by
name. A function says what is so and with which numbers; it does not guess at causes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dumpmap.analysis.facts import Facts
from dumpmap.analysis.free import unusable_causes
from dumpmap.analysis.judgement import job_is_short, judge_failure, stack_commit_failed
from dumpmap.analysis.limits import NARROW
from dumpmap.analysis.rules import Severity
from dumpmap.model.heaps import PAGE_HEAP
from dumpmap.model.ntstatus import MSVC_CPP_EXCEPTION
from dumpmap.model.snapshot import Module
from dumpmap.model.types import RegionType
from dumpmap.model.winnt import FLG_HEAP_PAGE_ALLOCS, MemState, MemType, PageProtect
from dumpmap.wording.numbers import address_words, count_words, list_words, percent_words, size_left, size_words

Thresholds = Mapping[str, float]

MAX_ITEMS = 10
"""Longest list in the values of a finding."""

_EXECUTABLE_WRITABLE = int(PageProtect.PAGE_EXECUTE_READWRITE | PageProtect.PAGE_EXECUTE_WRITECOPY)


@dataclass(frozen=True, slots=True)
class Hit:
    """A condition that is met.

    Attributes:
        detail: what was found, in a sentence or two, with its numbers.
        values: the same as plain data.
        severity: where it is less than the table's.
    """

    detail: str
    values: dict[str, Any] = field(default_factory=dict)
    severity: Severity | None = None


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _block(facts: Facts) -> dict[str, Any] | None:
    largest = facts.free.largest if facts.free is not None else None
    return None if largest is None else {"address": f"0x{largest.address:x}", "size": largest.size}


# ---------------------------------------------------------------- recorded failures


def out_of_memory_exception(facts: Facts, t: Thresholds) -> Hit | None:
    """The exception says that memory failed."""
    failure = facts.failure
    if failure is None or failure.limit is None or failure.limit == "stack":
        return None
    judgement = judge_failure(facts, t)
    if judgement is None:
        return None
    requested = f"; {size_words(failure.requested)} was asked for" if failure.requested else ""
    if failure.how == "annotation":
        said = f"the crash reporter recorded a failed allocation ({failure.text}{requested})"
    else:
        said = f"thread {failure.thread_id} raised {failure.text}{requested}"
    verdicts = {
        "address-space": "it was the address space",
        "commit": "it was the commit",
        "neither": "neither axis is short",
        "request": "no process could have had it",
        "unknown": "the input does not tell which limit failed",
    }
    detail = f"{_sentence(said)}. {_sentence(verdicts[judgement.axis])}: {judgement.reason}."
    values = {
        **failure.to_dict(),
        "axis": judgement.axis,
        "strength": judgement.strength,
        "largest_free_block": _block(facts),
        "commit_ratio": _rounded(facts.commit.ratio),
    }
    return Hit(detail, values)


def allocation_request_impossible(facts: Facts, t: Thresholds) -> Hit | None:
    """More was asked for than the address space has."""
    failure, limit = facts.failure, facts.limit
    if failure is None or not failure.requested or limit.size is None or failure.requested < limit.size:
        return None
    return Hit(
        f"{size_words(failure.requested)} (0x{failure.requested:x} bytes) was asked for in an address space of "
        f"{limit.name}. Such a size is rarely meant: look for an overflow or a negative number behind it.",
        {"requested": failure.requested, "limit": limit.size, "limit_source": limit.source},
    )


def stack_commit_failure(facts: Facts, t: Thresholds) -> Hit | None:
    """A stack overflow with room left."""
    failure = facts.failure
    fault = failure.stack if failure is not None else None
    if failure is None or fault is None or fault.reserve is None or fault.headroom is None:
        return None
    if not stack_commit_failed(facts, t):
        return None
    judgement = judge_failure(facts, t)
    contradiction = (
        f" That contradicts what the counters say: {judgement.reason}."
        if judgement is not None and judgement.axis != "commit"
        else ""
    )
    return Hit(
        f"Thread {failure.thread_id} could not grow its stack with {size_left(fault.headroom)} of "
        f"{size_words(fault.reserve)} still to go. A stack that is not at its end fails when the system cannot "
        f"commit another page.{contradiction}",
        _stack_values(facts),
    )


def stack_overflow(facts: Facts, t: Thresholds) -> Hit | None:
    """A stack overflow that is one, or of which nothing more is known."""
    failure = facts.failure
    fault = failure.stack if failure is not None else None
    if failure is None or fault is None or stack_commit_failed(facts, t):
        return None
    if fault.reserve is None or fault.headroom is None:
        left = "how much of its stack was left is not in the input, so a failed commit is not excluded"
    else:
        left = f"{size_left(fault.headroom)} of {size_words(fault.reserve)} were left: it ran to its end"
    return Hit(f"Thread {failure.thread_id} overflowed its stack; {left}.", _stack_values(facts))


def _stack_values(facts: Facts) -> dict[str, Any]:
    failure = facts.failure
    fault = failure.stack if failure is not None else None
    if failure is None or fault is None:
        return {}
    return {
        "thread_id": failure.thread_id,
        "address": None if fault.address is None else f"0x{fault.address:x}",
        "headroom": fault.headroom,
        "reserve": fault.reserve,
        "guaranteed": fault.guaranteed,
        "commit_ratio": _rounded(facts.commit.ratio),
    }


def last_error_out_of_memory(facts: Facts, t: Thresholds) -> Hit | None:
    """A thread's last error means that memory ran out."""
    errors = facts.last_errors
    if not errors:
        return None
    crash = facts.crash_error
    if crash is not None:
        others = f", as have {count_words(len(errors) - 1, 'other thread')}" if len(errors) > 1 else ""
        detail = f"Thread {crash.thread_id}, which crashed, has the last error {crash.text}{others}."
        judgement = judge_failure(facts, t)
        if judgement is not None and (facts.failure is None or facts.failure.limit is None):
            detail += f" {_sentence(judgement.reason)}."
    else:
        first = errors[0]
        detail = (
            f"{_sentence(count_words(len(errors), 'thread'))} {'has' if len(errors) == 1 else 'have'} a last error of "
            f"this kind, such as {first.text} in thread {first.thread_id}. When that happened is not recorded, and "
            "none of them crashed."
        )
    values = {"count": len(errors), "threads": [error.to_dict() for error in errors[:MAX_ITEMS]]}
    return Hit(detail, values, None if crash is not None else "info")


def cpp_exception_unreadable(facts: Facts, t: Thresholds) -> Hit | None:
    """A C++ exception whose type is not in the input."""
    failure = facts.failure
    if failure is None or failure.code != MSVC_CPP_EXCEPTION or failure.types or failure.limit is not None:
        return None
    return Hit(
        f"Thread {failure.thread_id} threw a C++ exception; its type stands in a module's data, which the input does "
        "not hold. It may be std::bad_alloc or anything else.",
        {"thread_id": failure.thread_id, "code": f"0x{failure.code:x}"},
    )


# ---------------------------------------------------------------- address space


def address_space_exhausted(facts: Facts, t: Thresholds) -> Hit | None:
    """Hardly any free space at all."""
    space = facts.measured
    if space is None or space.total >= t["free_total_critical"]:
        return None
    return Hit(_used_up(facts), _space_values(facts))


def address_space_low(facts: Facts, t: Thresholds) -> Hit | None:
    """Little free space."""
    space = facts.measured
    if facts.free is None:
        return _counted_low(facts, t)
    if space is None or space.total < t["free_total_critical"] or space.limit.size is None:
        return None
    low = t["free_total_warning"] if space.limit.narrow else t["wide_free_share"] * space.limit.size
    if space.total >= low:
        return None
    return Hit(_used_up(facts), _space_values(facts))


def _counted_low(facts: Facts, t: Thresholds) -> Hit | None:
    """Without a list of regions the counter of virtual memory still says how much is in use, if not in what pieces."""
    used, limit = facts.virtual_size, facts.limit
    if used is None or limit.size is None or not limit.narrow or limit.size - used >= t["free_total_warning"]:
        return None
    return Hit(
        f"By the process's counters {size_words(used)} of {limit.name} are in use, {size_left(limit.size - used)} are "
        "not; in what pieces is not recorded.",
        {"limit": limit.size, "limit_name": limit.name, "limit_source": limit.source, "virtual_size": used},
    )


def _largest(facts: Facts) -> str:
    return "no block is free" if not facts.largest else f"the largest free block is {size_left(facts.largest)}"


def _used_up(facts: Facts) -> str:
    space = facts.measured
    total = space.total if space is not None else 0
    top = [
        f"{percent_words(size / facts.used_total)} {kind.label}"
        for kind, size in list(facts.used.items())[:3]
        if facts.used_total and size / facts.used_total >= 0.05
    ]
    free = f"{size_left(total)} of {facts.limit.name} are free" if total else f"Nothing of {facts.limit.name} is free"
    return f"{free} (source: {facts.limit.source}). In use are {size_words(facts.used_total)}: {list_words(top)}."


def _space_values(facts: Facts) -> dict[str, Any]:
    space = facts.free
    return {
        "limit": facts.limit.size,
        "limit_name": facts.limit.name,
        "limit_source": facts.limit.source,
        "free": space.total if space is not None else None,
        "largest_free_block": _block(facts),
        "fragmentation": _rounded(space.fragmentation) if space is not None else None,
        "used": {kind.label: size for kind, size in facts.used.items()},
    }


def address_space_fragmented(facts: Facts, t: Thresholds) -> Hit | None:
    """Free space is there, in pieces that are too small."""
    space = facts.measured
    if space is None or space.fragmentation is None or facts.largest >= t["largest_free_warning"]:
        return None
    if space.fragmentation < t["fragmentation"] or space.total < t["free_total_critical"]:
        return None
    tiny = f" {size_words(space.tiny)} of it lies in blocks below 1 MB." if space.tiny else ""
    return Hit(
        f"{size_left(space.total)} of {space.limit.name} are free, but in {count_words(space.count, 'block')}, the "
        f"largest of {size_left(facts.largest)}: {percent_words(space.fragmentation)} fragmented.{tiny}",
        {**_space_values(facts), "free_blocks": space.count, "tiny_block_size": space.tiny},
    )


def largest_free_block_small(facts: Facts, t: Thresholds) -> Hit | None:
    """The largest free block is small."""
    space = facts.measured
    if space is None or facts.largest >= t["largest_free_warning"]:
        return None
    critical = facts.largest < t["largest_free_critical"]
    if space.largest is None:
        return Hit(
            f"No free block is left: any allocation fails. The limit is {space.limit.name} (source: "
            f"{space.limit.source}).",
            _space_values(facts),
        )
    return Hit(
        f"The largest free block is {size_left(facts.largest)} at {address_words(space.largest.address)}; any larger "
        f"allocation fails, whatever the free total of {size_left(space.total)}. "
        f"The limit is {space.limit.name} (source: {space.limit.source}).",
        _space_values(facts),
        None if critical else "warning",
    )


def heap_segment_will_not_fit(facts: Facts, t: Thresholds) -> Hit | None:
    """A heap's next segment is larger than the largest free block."""
    space = facts.measured
    if space is None or not facts.map.heaps:
        return None
    largest = facts.largest
    short = [
        (heap, heap.info.next_segment)
        for heap in facts.map.heaps
        if heap.info.next_segment is not None and heap.info.next_segment > largest
    ]
    if not short:
        return None
    short.sort(key=lambda item: -item[1])
    rows = {row.address: row for row in facts.heaps}
    named = [f"{size_words(size)} for {rows[heap.info.address].title}" for heap, size in short]
    return Hit(
        f"{_sentence(_largest(facts))}; the next segments need {list_words(named, 4)}. A heap that "
        "cannot have its segment tries smaller ones, down to what the caller needs.",
        {
            "largest_free_block": _block(facts),
            "count": len(short),
            "heaps": [
                {"id": heap.info.id, "address": f"0x{heap.info.address:x}", "next_segment": size}
                for heap, size in short[:MAX_ITEMS]
            ],
        },
    )


def gc_segment_will_not_fit(facts: Facts, t: Thresholds) -> Hit | None:
    """The garbage collector's next segment is larger than the largest free block."""
    space, segment = facts.measured, facts.gc_segments
    if space is None or segment is None:
        return None
    size, collector = segment
    if collector == "workstation":
        size = int(t["gc_segment"])
    if facts.largest >= size:
        return None
    return Hit(
        f"{_sentence(_largest(facts))}; the {collector} garbage collector of a 32-bit process "
        f"reserves {size_words(size)} at a time, and OutOfMemoryException follows if it cannot.",
        {"largest_free_block": _block(facts), "segment": size, "collector": collector},
    )


def unusable_space(facts: Facts, t: Thresholds) -> Hit | None:
    """Much space lost before 64 KB boundaries."""
    space = facts.free
    if space is None or not space.limit.narrow or space.limit.size is None:
        return None
    if space.unusable < t["unusable_share"] * space.limit.size:
        return None
    causes = unusable_causes(facts.map, MAX_ITEMS)
    first = (
        f" Most of it lies behind {count_words(causes[0].count, 'allocation')} of {size_words(causes[0].size)} "
        f"({causes[0].kind or causes[0].type})."
        if causes
        else ""
    )
    return Hit(
        f"{size_words(space.unusable)} lie between the ends of allocations and the next 64 KB boundary, where nothing "
        f"can begin.{first}",
        {"unusable": space.unusable, "causes": [cause.to_dict() for cause in causes]},
    )


def not_large_address_aware(facts: Facts, t: Thresholds) -> Hit | None:
    """A 32-bit program is short of address space and could have twice as much."""
    limit, process = facts.limit, facts.map.process
    if process.pointer_size != 4 or limit.large_address_aware is not False or facts.measured is None:
        return None
    if facts.largest >= t["largest_free_warning"] and facts.measured.total >= t["free_total_warning"]:
        return None
    gain = "4 GB" if process.wow64 else "4 GB on 64-bit Windows"
    return Hit(
        f"The program is not marked large address aware, so it has {limit.name}; marked, it would have {gain} "
        "(/LARGEADDRESSAWARE, if its code is fit for it).",
        {"large_address_aware": False, "limit": limit.size, "wow64": process.wow64},
    )


# ---------------------------------------------------------------- commit


def commit_limit_reached(facts: Facts, t: Thresholds) -> Hit | None:
    """The system's commit is at its limit."""
    ratio = facts.commit.ratio
    if ratio is None or ratio < t["commit_reached"]:
        return None
    judgement = judge_failure(facts, t)
    proven = judgement is not None and judgement.axis == "commit"
    return Hit(_commit_text(facts, proven), facts.commit.to_dict(), None if proven else "warning")


def commit_limit_near(facts: Facts, t: Thresholds) -> Hit | None:
    """The system's commit is near its limit."""
    ratio = facts.commit.ratio
    if ratio is None or not t["commit_warning"] <= ratio < t["commit_reached"]:
        return None
    return Hit(_commit_text(facts, False), facts.commit.to_dict())


def _commit_text(facts: Facts, proven: bool) -> str:
    commit = facts.commit
    text = (
        f"The system has committed {percent_words(commit.ratio or 0)} of its limit of {size_words(commit.limit or 0)}; "
        f"{size_left(commit.left or 0)} are left."
    )
    if commit.process is not None and commit.process_share is not None:
        text += f" This process holds {size_words(commit.process)} of it ({percent_words(commit.process_share)})."
    if not proven:
        text += " That is no proof of a failure: a page file that Windows manages grows before the limit is final."
    return text


def job_commit_limit_near(facts: Facts, t: Thresholds) -> Hit | None:
    """The job's commit is near its limit."""
    commit = facts.commit
    ratio = commit.job_ratio
    if ratio is None or commit.job_usage is None or commit.job_limit is None or ratio < t["job_warning"]:
        return None
    reached = job_is_short(facts, t)
    return Hit(
        f"The process's job has committed {size_words(commit.job_usage)} of the {size_words(commit.job_limit)} that it "
        f"may ({percent_words(ratio)}). A job's limit does not grow.",
        {**facts.commit.to_dict(), "reached": reached},
        None if reached else "warning",
    )


# ---------------------------------------------------------------- the process


def many_threads(facts: Facts, t: Thresholds) -> Hit | None:
    """Many threads, or much space for their stacks."""
    stacks = facts.used.get(RegionType.STACK, 0)
    limit = facts.limit
    much = limit.narrow and limit.exact and limit.size is not None and stacks >= t["stack_share"] * limit.size
    if facts.thread_count <= t["many_threads"] and not much:
        return None
    share = f", {percent_words(stacks / limit.size)} of the address space" if limit.narrow and limit.size else ""
    return Hit(
        f"{count_words(facts.thread_count, 'thread')}; their stacks reserve {size_words(stacks)}{share}.",
        {"threads": facts.thread_count, "stacks": len(facts.map.stacks), "stack_reserve": stacks, "limit": limit.size},
        None if limit.narrow else "info",
    )


def many_heaps(facts: Facts, t: Thresholds) -> Hit | None:
    """Many heaps."""
    count = len(facts.map.heaps)
    if count <= t["many_heaps"]:
        return None
    reserved, committed = sum(row.reserved for row in facts.heaps), sum(row.committed for row in facts.heaps)
    return Hit(
        f"{count_words(count, 'heap')}; they reserve {size_words(reserved)} and commit {size_words(committed)}. Free "
        "memory of one heap is of no use to another.",
        {"heaps": count, "reserved": reserved, "committed": committed},
    )


def page_heap_on(facts: Facts, t: Thresholds) -> Hit | None:
    """Page heap is on."""
    flags = [peb.nt_global_flag for peb in facts.map.structures.pebs]
    flagged = any(flag & FLG_HEAP_PAGE_ALLOCS for flag in flags)
    heaps = [heap for heap in facts.map.heaps if heap.info.kind == PAGE_HEAP]
    if not flagged and not heaps:
        return None
    said = "by NtGlobalFlag in the PEB" if flagged else f"by the structures of {count_words(len(heaps), 'heap')}"
    return Hit(
        f"Page heap is on ({said}): every block takes pages of its own and one that cannot be accessed, so the process "
        "needs many times the memory it would need without.",
        {"nt_global_flag": [f"0x{flag:x}" for flag in flags], "page_heaps": len(heaps)},
        None if facts.limit.narrow else "info",
    )


def heap_fragmented(facts: Facts, t: Thresholds) -> Hit | None:
    """A heap's reservation is largely uncommitted holes."""
    least = t["heap_fragmentation_size"]
    if facts.map.partial or facts.used.get(RegionType.HEAP, 0) < least:
        return None
    found = [
        row
        for row in facts.heaps
        if row.reserved >= least
        and row.uncommitted_ranges > 1
        and row.va_fragmentation is not None
        and row.va_fragmentation >= t["heap_fragmentation"]
    ]
    if not found:
        return None
    found.sort(key=lambda row: -row.uncommitted)
    first = found[0]
    return Hit(
        f"{_sentence(first.title)} reserves {size_words(first.reserved)} and commits {size_words(first.committed)}: "
        f"{size_words(first.uncommitted)} lie uncommitted in {first.uncommitted_ranges:,} ranges, the largest of "
        f"{size_words(first.largest_uncommitted)} ({percent_words(first.fragmentation or 0)} fragmented as DebugDiag "
        f"counts, {percent_words(first.va_fragmentation or 0)} as !heap -s)."
        + (f" {_sentence(count_words(len(found) - 1, 'other heap'))} alike." if len(found) > 1 else ""),
        {"count": len(found), "heaps": [row.to_dict() for row in found[:MAX_ITEMS]]},
        None if facts.limit.narrow else "info",
    )


def file_mapped_repeatedly(facts: Facts, t: Thresholds) -> Hit | None:
    """One file in several views."""
    space = facts.map.space
    column = space.regions.texts.get("file")
    if not facts.windows or column is None or not column.values or len(space) == 0:
        return None
    codes = column.codes[space.first]
    mapped = (space.regions.type[space.first] == MemType.MEM_MAPPED) & (codes >= 0)
    sizes = (space.ends - space.bases).astype(np.float64)[mapped]
    codes = codes[mapped]
    counts = np.bincount(codes, minlength=len(column.values))
    totals = np.bincount(codes, weights=sizes, minlength=len(column.values))
    found = np.flatnonzero((counts > 1) & (totals >= t["repeated_size"]))
    if len(found) == 0:
        return None
    found = found[np.argsort(-totals[found], kind="stable")]
    files = [
        {"file": column.values[code], "views": int(counts[code]), "size": int(totals[code])}
        for code in found[:MAX_ITEMS].tolist()
    ]
    first = files[0]
    return Hit(
        f"{count_words(len(found), 'file')} mapped more than once: {first['file']} in {first['views']:,} views of "
        f"{size_words(int(totals[found[0]]))} together" + (", and others." if len(found) > 1 else "."),
        {"count": len(found), "files": files},
    )


def module_loaded_twice(facts: Facts, t: Thresholds) -> Hit | None:
    """One module loaded more than once, or also mapped as data."""
    copies = facts.map.mapped_copies
    modules: dict[tuple[str, bool], list[Module]] = {}
    for module in facts.map.snapshot.modules if facts.windows else ():
        # Of a 32-bit process on 64-bit Windows both widths of some system modules are there, by design.
        high = bool(facts.map.process.wow64) and module.base >= NARROW
        modules.setdefault((module.name.lower(), high), []).append(module)
    twice = [found for found in modules.values() if len(found) > 1 and len({module.base for module in found}) > 1]
    extra = sum(sum(sorted(module.size for module in found)[:-1]) for found in twice)
    if copies:
        sizes = {module.name.lower(): module.size for module in facts.map.snapshot.modules}
        extra += sum(sizes.get(copy.module.lower(), 0) for copy in copies)
    if extra < t["repeated_size"]:
        return None
    parts = []
    if twice:
        names = [found[0].name for found in twice]
        parts.append(f"{count_words(len(twice), 'module')} loaded more than once ({list_words(names, 3)})")
    if copies:
        parts.append(
            f"{count_words(len(copies), 'module')} also mapped as data ({list_words([c.module for c in copies], 3)})"
        )
    return Hit(
        f"{' and '.join(parts)}: {size_words(extra)} of address space more than once.",
        {
            "extra": extra,
            "modules": [
                {"name": found[0].name, "bases": [f"0x{module.base:x}" for module in found], "size": found[0].size}
                for found in twice[:MAX_ITEMS]
            ],
            "mapped_as_data": [
                {"module": copy.module, "address": f"0x{copy.address:x}"} for copy in copies[:MAX_ITEMS]
            ],
        },
    )


def executable_writable_memory(facts: Facts, t: Thresholds) -> Hit | None:
    """Private memory that is writable and executable at once."""
    if facts.map.partial:  # without a list of regions no protection is known
        return None
    blocks, regions = facts.map.pieces, facts.map.space.regions
    found = np.flatnonzero(blocks.protect & _EXECUTABLE_WRITABLE)
    if len(found) == 0:
        return None
    private = regions.type[blocks.region[found]] == MemType.MEM_PRIVATE
    found = found[private & (blocks.state[found] == MemState.MEM_COMMIT)]
    if len(found) == 0:
        return None
    size = int(blocks.size[found].sum())
    order = found[np.argsort(-blocks.size[found], kind="stable")][:MAX_ITEMS]
    return Hit(
        f"{size_words(size)} of private memory in {count_words(len(found), 'region')} can be written and executed at "
        "once: generated code, or injected.",
        {
            "size": size,
            "count": len(found),
            "regions": [
                {
                    "address": f"0x{int(blocks.base[index]):x}",
                    "size": int(blocks.size[index]),
                    "type": RegionType(int(blocks.type[index])).label,
                }
                for index in order.tolist()
            ],
        },
    )


def type_dominates(facts: Facts, t: Thresholds) -> Hit | None:
    """One type holds most of the memory in use: of the address space where that is small, else of what is committed."""
    if facts.map.partial or not facts.used:
        return None
    narrow = facts.limit.narrow
    parts = facts.used if narrow else {kind: facts.map.line(kind).committed or 0 for kind in facts.used}
    total = sum(parts.values())
    kind = max(parts, key=lambda one: parts[one])
    if total < t["type_size"] or parts[kind] <= t["type_share"] * total:
        return None
    size, committed, share = facts.used[kind], facts.map.line(kind).committed, parts[kind] / total
    words = f", {size_words(committed)} of it committed" if narrow and committed is not None else ""
    return Hit(
        f"{kind.label} takes {size_words(parts[kind])}{words}: {percent_words(share)} of the "
        f"{'address space in use' if narrow else 'committed memory'}.",
        {"type": kind.label, "size": size, "committed": committed, "share": round(share, 4)},
    )


def reserve_exceeds_commit(facts: Facts, t: Thresholds) -> Hit | None:
    """Much is reserved that is not committed."""
    space = facts.free
    if space is None or not space.limit.narrow or space.limit.size is None:
        return None
    total = facts.map.total
    if total.committed is None or facts.limit.size is None:
        return None
    lines = {kind: facts.map.line(kind) for kind in facts.used if kind not in (RegionType.UNUSABLE,)}
    reserved = {
        kind: line.size - line.committed
        for kind, line in lines.items()
        if line.size is not None and line.committed is not None
    }
    if facts.map.end is not None and facts.limit.size < facts.map.end:
        return None  # the lines count what lies above the process's own limit too
    waste = sum(reserved.values())
    if waste < t["reserve_share"] * space.limit.size:
        return None
    first = max(reserved, key=lambda kind: reserved[kind])
    short = facts.measured is not None and facts.largest < t["largest_free_warning"]
    return Hit(
        f"{size_words(waste)} of {space.limit.name} are reserved and not committed, most of it "
        f"{first.label} ({size_words(reserved[first])}): address space that nothing else can have.",
        {"reserved": waste, "by_type": {kind.label: size for kind, size in reserved.items() if size}},
        None if short else "info",
    )


# ---------------------------------------------------------------- the input


def dump_too_small(facts: Facts, t: Thresholds) -> Hit | None:
    """There is no list of regions."""
    if not facts.map.partial:
        return None
    from dumpmap.wording.advice import advise

    advice = advise(facts.map)
    how = f" To have them: {advice[0].how}." if advice else ""
    flags = facts.map.snapshot.source.flags
    return Hit(
        "The input has no list of memory regions, so free space, the largest free block and most totals cannot be "
        f"known.{how}",
        {
            "flags": None if flags is None else f"0x{flags:x}",
            "missing": [{"what": item.missing, "adds": item.adds, "how": item.how} for item in advice],
        },
    )


def input_damaged(facts: Facts, t: Thresholds) -> Hit | None:
    """The input could not be read in full."""
    warnings = facts.map.snapshot.warnings
    if not warnings:
        return None
    more = f" ({len(warnings) - 1} more)" if len(warnings) > 1 else ""
    return Hit(
        f"Parts of the input could not be read, and what follows from them is missing: {warnings[0]}{more}.",
        {"count": len(warnings), "warnings": list(warnings[:MAX_ITEMS])},
    )


def input_contradictory(facts: Facts, t: Thresholds) -> Hit | None:
    """Facts of the input contradict each other."""
    known = set(facts.map.snapshot.warnings)
    warnings = [warning for warning in facts.map.warnings if warning not in known]
    if not warnings:
        return None
    more = f" ({len(warnings) - 1} more)" if len(warnings) > 1 else ""
    return Hit(
        f"{_sentence(warnings[0])}{more}.",
        {"count": len(warnings), "warnings": warnings[:MAX_ITEMS]},
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
