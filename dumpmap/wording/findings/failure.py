"""Findings about the recorded failure: the exception, its stack, and the last errors of threads."""

from __future__ import annotations

from dumpmap.analysis.diagnosis import Diagnosis, Hit
from dumpmap.wording.explanation import Explanation
from dumpmap.wording.phrases import cause_text, enough_commit_text, failed_text, input_noun, last_error_text
from dumpmap.wording.shortage import likelier_text
from dumpmap.wording.text import count_words, sentence, size_left, size_words

_LONGEST_MESSAGE = 200

_AXES = {
    "address-space": "The address space was the cause",
    "commit": "The commit limit was the cause",
    "heap-limit": "The limit of a runtime's own heap was the cause",
    "neither": "Neither address space nor commit is short",
    "request": "No process could have satisfied the request",
    "unknown": "The limit that failed is unknown",
}


def _out_of_memory_exception(hit: Hit, d: Diagnosis) -> str:
    if d.cause is None:
        return ""
    failed = sentence(failed_text(d.measurements, d.cause))
    return f"{failed}. {_AXES[d.cause.axis]}: {cause_text(d.measurements, d.cause)}."


def _writer_recorded_out_of_memory(hit: Hit, d: Diagnosis) -> str:
    m, writer = d.measurements, d.measurements.map.snapshot.writer
    if d.cause is None:
        return ""
    parts = [f"{sentence(failed_text(m, d.cause))}. {_AXES[d.cause.axis]}: {cause_text(m, d.cause)}."]
    if hit.subject is not None and d.cause.axis == "unknown":
        parts.append(likelier_text(hit.subject))
    mapped = None if writer is None else writer.memory.get("page-allocator-mapped-size")
    if mapped is not None:
        parts.append(f"Chromium's PartitionAlloc had mapped {size_words(mapped)} when it gave up.")
    if writer is not None and writer.message:
        message = " ".join(writer.message.split())
        cut = message if len(message) <= _LONGEST_MESSAGE else message[:_LONGEST_MESSAGE] + "..."
        parts.append(f'The message: "{cut}".')
    return " ".join(parts)


def _allocation_request_impossible(hit: Hit, d: Diagnosis) -> str:
    size = hit.values["requested"]
    return (
        f"{size_words(size)} (0x{size:x} bytes) was requested, more than the whole address space of "
        f"{d.measurements.limit.words}. Such a size is rarely intended: look for an overflow or a negative number."
    )


def _stack_commit_failure(hit: Hit, d: Diagnosis) -> str:
    values = hit.values
    text = (
        f"Thread {values['thread_id']} could not grow its stack although {size_left(values['headroom'])} of "
        f"{size_words(values['reserve'])} was left. Far from its end, a stack fails to grow only if the system cannot "
        "commit another page."
    )
    if d.cause is not None and d.cause.axis != "commit":
        text += f" The counters contradict that: {enough_commit_text(d.measurements)}."
    return text


def _stack_overflow(hit: Hit, d: Diagnosis) -> str:
    values = hit.values
    thread = f"Thread {values['thread_id']} overflowed its stack"
    if values["reserve"] is None or values["headroom"] is None:
        return (
            f"{thread}. The {input_noun(d.measurements)} does not show how much of the stack was left, so a failed "
            "commit is possible too."
        )
    return (
        f"{thread}: {size_left(values['headroom'])} of {size_words(values['reserve'])} was left. The thread ran out of "
        "its own stack, not of the memory of the process."
    )


def _last_error_out_of_memory(hit: Hit, d: Diagnosis) -> str:
    m, count = d.measurements, hit.values["count"]
    crash = m.crash_error
    if crash is None:
        first = m.last_errors[0]
        return (
            f"{count_words(count, 'thread has', 'threads have')} a last error that means out of memory, for example "
            f"{last_error_text(first)} in thread {first.thread_id}. No such thread crashed, and the errors may be old."
        )
    others = f", as {count_words(count - 1, 'other thread does', 'other threads do')}" if count > 1 else ""
    text = f"Thread {crash.thread_id}, which crashed, has the last error {last_error_text(crash)}{others}."
    if d.cause is not None and (m.failure is None or m.failure.limit is None):
        text += f" {sentence(cause_text(m, d.cause))}."
    return text


def _cpp_exception_unreadable(hit: Hit, d: Diagnosis) -> str:
    return (
        f"Thread {hit.values['thread_id']} threw a C++ exception ({hit.values['code']}) of unknown type. The "
        f"{input_noun(d.measurements)} does not hold the module data with the type; it may be std::bad_alloc or any "
        "other."
    )


EXPLANATIONS = {
    "out-of-memory-exception": Explanation(
        title="An allocation failed and ended the process",
        meaning="The exception that caused the dump says that memory failed. The input records this; dumpmap does not "
        "infer it, so it outweighs everything that the map shows afterwards. Some codes name the limit that failed. "
        "For the others, dumpmap finds the limit from the size of the request, the largest free block, and the commit "
        "counters.",
        why="The process ended because of memory. The axis decides what helps: a process out of address space gains "
        "nothing from more RAM, and a system out of commit nothing from a 64-bit build.",
        confirm="`dumpmap diagnose FILE` shows the axis with its evidence. `dumpmap free FILE --fit SIZE` tests "
        "whether the request would fit. In WinDbg, `.exr -1` shows the exception record; for STATUS_NO_MEMORY "
        "and 0xE0000008, its first parameter is the size.",
        advice="Read the axis and the size of the request. Address space: find what holds it, and check whether a "
        "64-bit build or the large-address-aware flag is possible. Commit: look at the system and the job, not at this "
        "process alone. Neither: look for a limit of the allocator itself.",
        when="The exception code is STATUS_NO_MEMORY, STATUS_COMMITMENT_LIMIT, STATUS_FATAL_MEMORY_EXHAUSTION, or "
        "Chromium's 0xE0000008; or it is a .NET exception with an out-of-memory HRESULT, a C++ exception of type "
        "std::bad_alloc or a derived type, or an in-page error caused by one of these.",
        source="Breakpad and rust-minidump (codes and Chromium's parameter); Mozilla Socorro's out-of-memory rules; "
        "RtlAllocateHeap as published by ReactOS for the size in STATUS_NO_MEMORY's parameter; Raymond Chen, "
        "2010-07-30, on the type of a C++ exception.",
        detail=_out_of_memory_exception,
    ),
    "writer-recorded-out-of-memory": Explanation(
        title="The writer of the dump recorded that memory ran out",
        meaning="The program that wrote the dump knew why the process ended: an engine or a crash reporter recorded a "
        "failure for lack of memory in a stream or an annotation of its own. dumpmap does not infer it. The record "
        "seldom names the limit, so dumpmap looks for it in the size of the request, the counters, and the map.",
        why="The process ended because of memory, even if the exception code says only that an assertion failed.",
        confirm="`dumpmap diagnose FILE` shows the three axes with their evidence, and `dumpmap info FILE` shows what "
        "the writer recorded.",
        advice="Read the size of the request and the axes. If the limit is not recorded, capture a dump with a list of "
        "memory regions and the system's counters; `dumpmap info FILE` says how.",
        when="The writer of the dump recorded that memory ran out: Unreal Engine with `bIsOOM`, with the size of an "
        "allocation that failed, or with the crash type `OutOfMemory`; a crash reporter with the size of a failed "
        "allocation or a message about it; ProcDump with System.OutOfMemoryException as its trigger. The exception "
        "itself does not concern memory, and no runtime reached its own limit.",
        source="Unreal Engine's crash context (WindowsPlatformCrashContext.cpp); Crashpad's and Mozilla's annotations.",
        detail=_writer_recorded_out_of_memory,
    ),
    "stack-commit-failure": Explanation(
        title="A stack could not grow although it had room",
        meaning="A stack grows page by page, and the system commits each page. If it cannot, Windows raises the same "
        "exception as for a stack that reaches its end. Far from the end, the exception means that the system was out "
        "of commit, unless its counters show that enough was left.",
        why="The exception looks like endless recursion, but the code of the thread is not at fault.",
        confirm="`dumpmap stacks FILE` shows the stack's reserve, commit, and headroom. `dumpmap summary FILE --format "
        "json` has the commit charge and limit under `system`. In WinDbg, `k` shows a short call stack instead of a "
        "recursion.",
        advice="Treat it as out of commit: look at the system's commit charge and limit, and at the job's.",
        when="The exception is STATUS_STACK_OVERFLOW, and the fault is {stack_headroom} or more above the stack's "
        "lowest address, not counting what the thread reserved with SetThreadStackGuarantee.",
        source="Raymond Chen, 2022-02-04; Microsoft on thread stack size.",
        detail=_stack_commit_failure,
    ),
    "stack-overflow": Explanation(
        title="A thread overflowed its stack",
        meaning="A thread used up the address space of its own stack, by deep or endless recursion or by large local "
        "variables.",
        why="It ended the process, but it is not a shortage of memory: more memory changes nothing.",
        confirm="`dumpmap stacks FILE` shows the reserve and headroom of every stack. In WinDbg, `k` on the thread "
        "shows the recursion.",
        advice="Look at the calls of the thread. If the input does not show how much of the stack was left, capture a "
        "dump with a list of memory regions.",
        when="The exception is STATUS_STACK_OVERFLOW, and the fault is near the stack's end or the input does not "
        "show how far from it.",
        source="Microsoft on thread stack size.",
        detail=_stack_overflow,
    ),
    "allocation-request-impossible": Explanation(
        title="A request exceeds the address space",
        meaning="The failed allocation could not have succeeded in an empty process.",
        why="The size is wrong, not the memory: no amount of memory satisfies this request.",
        confirm="`dumpmap diagnose FILE` shows the size in bytes; a value such as 0xFFFFFFF0 is a negative number. In "
        "WinDbg, `.exr -1` shows it as a parameter of the exception, and `k` shows who requested it.",
        advice="Find where the size comes from: an overflow, a negative number, or a corrupt length field.",
        when="The input records the size of the request, and it is not below the size of the address space.",
        source="simple arithmetic.",
        detail=_allocation_request_impossible,
    ),
    "last-error-out-of-memory": Explanation(
        title="A thread's last error means out of memory",
        meaning="The last function that failed on the thread failed for lack of memory. A last error stays until the "
        "next one, so on a thread that did not crash it may be old.",
        why="On the thread that crashed, this is strong evidence even if the exception is an access violation: the "
        "code may have used the null pointer of a failed allocation.",
        confirm="In WinDbg, `!gle -all` shows the last error and status of every thread; `~N s` and `k` show what the "
        "thread was doing.",
        advice="Look for an allocation in the crashing thread whose result the code does not check.",
        when="The last error of the thread that crashed is 8, 14, 1454, or 1455.",
        lower="The severity is info if only other threads have such a last error, or nothing crashed.",
        source="Mozilla Socorro's rules on the last error of the crashing thread.",
        detail=_last_error_out_of_memory,
    ),
    "cpp-exception-unreadable": Explanation(
        title="The input does not hold the type of the C++ exception",
        meaning="An uncaught C++ exception ended the process. Its type is in the data of a module, which the input "
        "does not hold.",
        why="Without the type, dumpmap cannot distinguish std::bad_alloc, a memory problem, from any other exception.",
        confirm="In WinDbg with the module's symbols and image, `.exr -1` and `!analyze -v` may show the type: the "
        "debugger reads the missing data from the image file.",
        advice="Capture a dump with full memory or with data segments (MiniDumpWithDataSegs).",
        when="The exception is 0xE06D7363, and the input does not hold its type information.",
        source="Raymond Chen, 2010-07-30.",
        detail=_cpp_exception_unreadable,
    ),
}
