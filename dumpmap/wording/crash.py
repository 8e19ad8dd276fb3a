"""The exception of an input in one line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dumpmap.analysis.crash import Crash, Target, find_crash
from dumpmap.model import ntstatus
from dumpmap.model.fast_fail import fast_fail_name
from dumpmap.model.heaps import Heap
from dumpmap.model.ntstatus import exception_code, exception_text
from dumpmap.model.region_map import RegionMap
from dumpmap.model.snapshot import ExceptionRecord
from dumpmap.model.stacks import Stack
from dumpmap.model.winnt import ALLOCATION_GRANULARITY
from dumpmap.wording.text import address_words, printable, sentence, size_words

if TYPE_CHECKING:
    from dumpmap.model.writer import WriterRecord

_ACCESS_WORDS = {"read": "reading", "write": "writing", "execute": "executing", None: "accessing"}

_HEADS = {
    ntstatus.STATUS_ACCESS_VIOLATION: "Access violation",
    ntstatus.STATUS_IN_PAGE_ERROR: "In-page error",
    ntstatus.STATUS_GUARD_PAGE_VIOLATION: "Guard page violation",
    ntstatus.STATUS_STACK_OVERFLOW: "Stack overflow",
}

_NON_CANONICAL = (1 << 64) - 1
"""What Windows records instead of an address that is not canonical."""


def crash_line(region_map: RegionMap) -> str | None:
    """Writes the exception in one line; None if the input has none.

    `Access violation reading 0x0 at UnityPlayer.dll+0x7021fd in thread 9184 (GameThread)`
    """
    return next(_lines(region_map), None)


def crash_lines(region_map: RegionMap) -> list[str]:
    """Writes the exception in one line, and the same with less and less for where there is little room.

    What lies at the accessed address goes first, then the meaning of the code and the name of the thread, then the
    thread. The list is empty if the input has no exception.
    """
    return list(dict.fromkeys(_lines(region_map)))


def _lines(region_map: RegionMap) -> Iterator[str]:
    crash = find_crash(region_map)
    if crash is None:
        return
    exception, target = region_map.snapshot.exception, _target_text(crash)
    what, where = _what(crash, exception), _where(crash)
    thread = _thread(crash, region_map.snapshot.writer)
    yield _line(what + where + thread + (f"; {target}" if target else ""))
    yield _line(what + where + thread)
    code = _what(crash, exception, meaning=False)
    yield _line(code + where + thread.partition(" (")[0])
    yield _line(code + where)
    yield _line(code)


def _line(text: str) -> str:
    return printable(sentence(text))


def _what(crash: Crash, exception: ExceptionRecord | None, *, meaning: bool = True) -> str:
    head = _HEADS.get(crash.code) if crash.family == "windows" else None
    text = head or exception_text(crash.code, crash.family)
    if crash.address is None and not meaning:
        return text
    if crash.address is None:
        known = None if head else exception_code(crash.code, crash.family)
        if known is not None and known.value == ntstatus.STATUS_STACK_BUFFER_OVERRUN and exception is not None:
            reason = exception.parameters[0] if exception.parameters else -1
            name = fast_fail_name(reason)
            if reason >= 0:
                return f"{text} (fail fast with {name or f'reason {reason}'})"
        if known is None:
            return text
        return f"{text}: {known.meaning}" if text.endswith(")") else f"{text} ({known.meaning})"
    return f"{text} {_ACCESS_WORDS[crash.access]} {address_words(crash.address)}"


def _where(crash: Crash) -> str:
    if crash.instruction is None:
        return ""
    if crash.module is not None:
        gone = " (unloaded)" if crash.unloaded else ""
        return f" at {crash.module}+0x{crash.module_offset or 0:x}{gone}"
    outside = " outside any module" if crash.modules_known else ""
    if outside and crash.access == "execute" and crash.instruction == crash.address:
        return outside
    return f" at {address_words(crash.instruction)}{outside}"


def _thread(crash: Crash, writer: WriterRecord | None) -> str:
    """The thread, and who names another one: the exception record, or the writer of the dump."""
    if crash.thread is None:
        return ""
    name = [crash.thread_name] if crash.thread_name else []
    if crash.threads_disagree:
        name.append(f"by its stack; the exception record names thread {crash.thread_id}")
    if writer is not None and writer.crashed_thread not in (None, crash.thread):
        known = dict(writer.thread_names).get(writer.crashed_thread or 0)
        name.append(f"{writer.writer} names thread {writer.crashed_thread}" + (f", {known}" if known else ""))
    return f" in thread {crash.thread}" + (f" ({', '.join(name)})" if name else "")


# ---------------------------------------------------------------- the accessed address


def _target_text(crash: Crash) -> str:
    """What lies at the accessed address; empty where that is not known or goes without saying."""
    target, address = crash.target, crash.address
    if address == _NON_CANONICAL and crash.family == "windows":
        return "Windows records this address for every non-canonical one"
    if target is None or address is None or address < ALLOCATION_GRANULARITY:
        return ""
    where = address_words(address)
    if target.state in ("free", "outside", None):
        parts = [text for text in (_STATES.get(target.state or "", ""), _past_text(target)) if text]
        return f"{where} is {', '.join(parts)}" if parts else ""
    owner = _owner_text(target)
    if target.guard:
        return f"{where} is in a guard page ({owner})"
    if target.state == "reserved":
        return f"{where} is reserved, not committed ({owner})"
    protection = f", {target.protection}" if target.protection else ""
    return f"{where} is committed ({owner}{protection})"


_STATES = {"free": "free", "outside": "outside the address space"}


def _owner_text(target: Target) -> str:
    if target.stack is not None:
        return f"stack of thread {target.stack.thread_id}"
    if target.heap is not None:
        return _heap_text(target.heap)
    label = "" if target.type is None else target.type.label
    return f"{label}, {target.module}" if target.module else label


def _past_text(target: Target) -> str:
    """Where the address is relative to a stack or heap next to it."""
    if target.past is None or target.distance is None:
        return ""
    distance = size_words(abs(target.distance)) if target.distance else "just"
    if isinstance(target.past, Stack):
        side = "past the end of" if target.distance >= 0 else "below"
        return f"{distance} {side} the stack of thread {target.past.thread_id}"
    return f"{distance} past the end of a block of {_heap_text(target.past)}"


def _heap_text(heap: Heap) -> str:
    return f"the heap at 0x{heap.info.address:x}" if heap.info.id is None else f"heap {heap.info.id}"
