"""Every kind of exception beside every record of a writer: what counts as the recorded failure."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from synth.minidump import MinidumpBuilder
from synth.writers import ENGINE_OOM, unreal_xml

import dumpmap
from dumpmap.wording.verdicts import verdict

Add = Callable[[MinidumpBuilder], object]

EXCEPTIONS: dict[str, tuple[int, list[int]] | None] = {
    "access violation": (0xC0000005, [0, 0]),
    "breakpoint": (0x80000003, []),
    "fail fast": (0xC0000409, [7]),
    "stack overflow": (0xC00000FD, [1, 0x30000]),
    "Unreal assert": (0x4000, []),
    "Unreal ensure": (0xBDB30, []),
    "C++ of unknown type": (0xE06D7363, [0x19930520, 1, 2, 3]),
    ".NET, other": (0xE0434352, [0x80131509]),
    "simulated": (0x0517A7ED, []),
    "none": None,
}
"""Exceptions that do not concern memory by themselves."""

MEMORY_EXCEPTIONS: dict[str, tuple[int, list[int], str]] = {
    "STATUS_NO_MEMORY": (0xC0000017, [4096], "out-of-memory"),
    "STATUS_COMMITMENT_LIMIT": (0xC000012D, [], "out-of-commit"),
    "Unreal out of memory": (0xC000, [], "out-of-memory"),
    "Chromium": (0xE0000008, [0], "out-of-memory"),
    ".NET OutOfMemoryException": (0xE0434352, [0x8007000E], "out-of-memory"),
}


def unreal(crash_type: str = "Crash", message: str = "Unhandled Exception: 0xc0000005", **figures: str) -> Add:
    values = {name: text for name, text in ENGINE_OOM.items() if "OOM" not in name}
    values |= {"CrashType": crash_type, "ErrorMessage": message}
    values |= {f"MemoryStats.{name}": text for name, text in figures.items()}
    return lambda builder: builder.unreal_context(unreal_xml(values))


def crashpad(*annotations: tuple[str, str]) -> Add:
    return lambda builder: builder.crashpad_info(*annotations)


def comment(text: str) -> Add:
    return lambda builder: builder.comment_w(text)


SIZE = 8_172_146_688

OUT_OF_MEMORY: dict[str, tuple[Add, int | None]] = {
    "Unreal: flag and size": (unreal(bIsOOM="1", OOMAllocationSize=str(SIZE)), SIZE),
    "Unreal: flag": (unreal(bIsOOM="1"), None),
    "Unreal: size": (unreal(OOMAllocationSize=str(SIZE)), SIZE),
    "Unreal: size beside a flag of 0": (unreal(bIsOOM="0", OOMAllocationSize=str(SIZE)), SIZE),
    "Unreal: crash type": (unreal("OutOfMemory"), None),
    "Unreal: message": (unreal(message=f"Ran out of memory allocating {SIZE} bytes with alignment 0"), SIZE),
    "PartitionAlloc: size": (crashpad(("oom-size", "1048576")), 1048576),
    "PartitionAlloc: gave up": (crashpad(("page-allocator-mapped-size", "43487285248")), None),
    "Mozilla: size": (crashpad(("OOMAllocationSize", "1048576")), 1048576),
    "Mozilla: reason": (crashpad(("MozCrashReason", "[unhandlable oom] Tenured allocation")), None),
    "V8: other place": (crashpad(("v8-oom-location", "CodeRange setup: allocate virtual memory")), None),
    "ProcDump: trigger": (
        comment("*** procdump -ma -e app.exe\n*** Unhandled exception: E0434352.System.OutOfMemoryException"),
        None,
    ),
}
"""Records of a failure for lack of memory, with the size that they state."""

HEAP_LIMIT: dict[str, Add] = {
    "Electron": crashpad(("electron.v8-oom.is_heap_oom", "1"), ("electron.v8-oom.location", "Reached heap limit")),
    "Blink": crashpad(("v8-oom-location", "Ineffective mark-compacts near heap limit")),
}

NOTHING: dict[str, Add] = {
    "no record": lambda builder: builder,
    "Unreal: zeros": unreal(bIsOOM="0", OOMAllocationSize="0"),
    "Unreal: no figures": unreal(),
    "PartitionAlloc: size 0": crashpad(("oom-size", "0")),
    "Mozilla: size 0": crashpad(("OOMAllocationSize", "0")),
    "Mozilla: other reason": crashpad(("MozCrashReason", "MOZ_RELEASE_ASSERT(mRoom)")),
    "ProcDump: commit threshold": comment("*** procdump -m 1000 app.exe\n*** Process exceeded 1000 MB commit usage"),
    "ProcDump: filter": comment("*** procdump -e 1 -f System.OutOfMemoryException app.exe\n*** Manual dump"),
}


def judge(exception: tuple[int, list[int]] | None, add: Add) -> tuple[str, set[str], int | None]:
    """The verdict, the findings, and the size of the request of a dump without a list of regions."""
    builder = MinidumpBuilder("x64").system_info().thread(1).module(0x400000, 0x10000, "C:\\app\\app.exe")
    if exception is not None:
        builder.exception(1, exception[0], 0x400100, exception[1])
    add(builder)
    judged = verdict(region_map := dumpmap.open(builder.build()))
    findings = {finding.id: finding for finding in region_map.findings()}
    recorded = findings.get("writer-recorded-out-of-memory") or findings.get("out-of-memory-exception")
    return judged.verdict, set(findings), None if recorded is None else recorded.values["requested"]


WRITER, EXCEPTION, LIMIT = "writer-recorded-out-of-memory", "out-of-memory-exception", "runtime-heap-limit-reached"


@pytest.mark.parametrize("record", OUT_OF_MEMORY)
@pytest.mark.parametrize("exception", EXCEPTIONS)
def test_the_writers_record_counts_where_the_exception_does_not_concern_memory(exception: str, record: str) -> None:
    add, size = OUT_OF_MEMORY[record]
    found, findings, requested = judge(EXCEPTIONS[exception], add)
    assert found == "out-of-memory"
    assert WRITER in findings
    assert EXCEPTION not in findings
    assert requested == size


@pytest.mark.parametrize("record", [*OUT_OF_MEMORY, *NOTHING])
@pytest.mark.parametrize("exception", MEMORY_EXCEPTIONS)
def test_an_exception_that_names_memory_keeps_its_own_finding(exception: str, record: str) -> None:
    code, parameters, wanted = MEMORY_EXCEPTIONS[exception]
    add, size = OUT_OF_MEMORY[record] if record in OUT_OF_MEMORY else (NOTHING[record], None)
    found, findings, requested = judge((code, parameters), add)
    assert found == wanted
    assert EXCEPTION in findings
    assert WRITER not in findings
    assert requested == (4096 if exception == "STATUS_NO_MEMORY" else size)


@pytest.mark.parametrize("record", HEAP_LIMIT)
@pytest.mark.parametrize("exception", [*EXCEPTIONS, *MEMORY_EXCEPTIONS])
def test_a_recorded_heap_limit_outranks_what_does_not_name_another(exception: str, record: str) -> None:
    raised = MEMORY_EXCEPTIONS[exception][:2] if exception in MEMORY_EXCEPTIONS else EXCEPTIONS[exception]
    found, findings, _ = judge(raised, HEAP_LIMIT[record])
    if exception == "STATUS_COMMITMENT_LIMIT":
        assert found == "out-of-commit"
    else:
        assert found == "out-of-heap-limit"
        assert LIMIT in findings
    assert WRITER not in findings


@pytest.mark.parametrize("record", NOTHING)
@pytest.mark.parametrize("exception", EXCEPTIONS)
def test_what_records_no_failure_proves_nothing(exception: str, record: str) -> None:
    found, findings, _ = judge(EXCEPTIONS[exception], NOTHING[record])
    assert found == "cannot-tell"
    assert not findings & {WRITER, EXCEPTION, LIMIT}
