"""The exception in one line: access, address, instruction, thread, and what the map knows of the address."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.scenes import Scene, crash
from synth.minidump import MinidumpBuilder
from synth.process import ProcessBuilder

import dumpmap
from dumpmap.analysis.crash import crashed_thread, find_crash
from dumpmap.analysis.failure import last_errors
from dumpmap.api import RegionMap
from dumpmap.model import ntstatus
from dumpmap.model.snapshot import Module, RecordedHeap, RecordedRange, Thread, UnloadedModule
from dumpmap.model.writer import WriterRecord
from dumpmap.views.exception import exception_document
from dumpmap.wording.crash import crash_line

AV = 0xC0000005
GAME = Module(0x40000000, 0x100000, "C:\\game\\Game.dll")


def scene(bits: int = 32) -> Scene:
    """64 KB of reserved memory at 0x10000 whose first page is committed; the rest is free."""
    made = Scene(bits)
    made.allocate(0x10000, base=0x10000, commit=0x1000)
    return made


def line(code: int, *parameters: int, bits: int = 32, address: int | None = 0x40001234, **facts: object) -> str:
    facts.setdefault("modules", [GAME])
    exception = crash(code, *parameters, thread=9, address=address)
    text = crash_line(scene(bits).map(exception=exception, **facts))
    assert text is not None
    return text


@pytest.mark.parametrize(
    ("parameters", "address", "text"),
    [
        ((0, 0), 0x40001234, "Access violation reading 0x0 at Game.dll+0x1234 in thread 9"),
        ((1, 0x8), 0x40001234, "Access violation writing 0x8 at Game.dll+0x1234 in thread 9"),
        ((8, 0), 0, "Access violation executing 0x0 outside any module in thread 9"),
        (
            (8, 0x10010),
            0x10010,
            "Access violation executing 0x10010 outside any module in thread 9; 0x10010 is committed (Private Data, "
            "Read/Write)",
        ),
        ((7, 0x20), 0x40001234, "Access violation accessing 0x20 at Game.dll+0x1234 in thread 9"),
        ((0, 0x20), 0x50000000, "Access violation reading 0x20 at 0x50000000 outside any module in thread 9"),
        (
            (0, 0x30000),
            0x40001234,
            "Access violation reading 0x30000 at Game.dll+0x1234 in thread 9; 0x30000 is free",
        ),
        (
            (0, 0x12000),
            0x40001234,
            "Access violation reading 0x12000 at Game.dll+0x1234 in thread 9; 0x12000 is reserved, not committed "
            "(Private Data)",
        ),
        (
            (0, 0x90000000),
            0x40001234,
            "Access violation reading 0x90000000 at Game.dll+0x1234 in thread 9; 0x90000000 is outside the address "
            "space",
        ),
        ((), 0x40001234, "Access violation at Game.dll+0x1234 in thread 9"),
        ((0,), 0x40001234, "Access violation at Game.dll+0x1234 in thread 9"),
    ],
)
def test_access_violations(parameters: tuple[int, ...], address: int, text: str) -> None:
    assert line(AV, *parameters, address=address) == text


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (0xC0000017, "0xc0000017 STATUS_NO_MEMORY (an allocation failed) at Game.dll+0x1234 in thread 9"),
        (0xDEADBEEF, "0xdeadbeef at Game.dll+0x1234 in thread 9"),
        (0xBDB30, "0xbdb30 UNREAL_ENSURE (an ensure of Unreal Engine failed; the program continued)"),
    ],
)
def test_other_codes_have_their_name_and_meaning(code: int, text: str) -> None:
    assert line(code).startswith(text)


def test_32_bit_values_are_not_sign_extended() -> None:
    exception = crash(AV, 1, 0xFFFFFFFFFFFFFFF0, thread=9, address=0xFFFFFFFF80001234)
    made = scene().map(exception=exception, modules=[Module(0x80000000, 0x10000, "high.dll")])
    assert crash_line(made) == (
        "Access violation writing 0xfffffff0 at high.dll+0x1234 in thread 9; 0xfffffff0 is outside the address space"
    )
    document = exception_document(made)
    assert document is not None
    assert (document["address"], document["parameters"]) == ("0x80001234", ["0x1", "0xfffffff0"])
    assert (document["access"], document["target"], document["module_offset"]) == ("write", "0xfffffff0", "0x1234")


def test_64_bit_addresses_keep_all_bits() -> None:
    text = line(AV, 0, (1 << 64) - 1, bits=64)
    assert text.startswith("Access violation reading 0xffffffffffffffff at Game.dll+0x1234 in thread 9; ")
    assert text.endswith("Windows records this address for every non-canonical one")


def test_a_partial_map_explains_an_address_that_is_not_canonical_too() -> None:
    text = line(AV, 0, (1 << 64) - 1, bits=64, partial=True)
    assert text.endswith("; Windows records this address for every non-canonical one")


def test_without_modules_no_address_is_outside_of_them() -> None:
    assert line(AV, 0, 0, modules=[]) == "Access violation reading 0x0 at 0x40001234 in thread 9"


def test_an_instruction_in_an_unloaded_module() -> None:
    snapshot = scene().snapshot(exception=crash(AV, 8, 0x50000010, thread=9, address=0x50000010), modules=[GAME])
    gone = UnloadedModule(0x50000000, 0x1000, "C:\\x\\gone.dll")
    text = crash_line(dumpmap.api.map_snapshot(replace(snapshot, unloaded_modules=(gone,))))
    assert text is not None
    assert " at gone.dll+0x10 (unloaded) in thread 9" in text


def test_no_exception_has_no_line() -> None:
    assert crash_line(scene().map()) is None
    assert exception_document(scene().map()) is None


def test_unknown_thread_and_address_are_left_out() -> None:
    made = scene().map(exception=crash(0xDEADBEEF, thread=None))
    assert crash_line(made) == "0xdeadbeef"


def test_a_name_cannot_act_on_a_terminal() -> None:
    threads = [Thread(9, name="a\x1b[31m\nb")]
    assert "\x1b" not in line(AV, 0, 0, threads=threads)
    assert "\n" not in line(AV, 0, 0, threads=threads)


# ---------------------------------------------------------------- heaps and stacks


def test_an_address_past_a_block_of_a_heap() -> None:
    heap = RecordedHeap(id=3, kind="own", address=0x10000, ranges=(RecordedRange(0x10000, 0x10000),))
    text = line(AV, 1, 0x20010, heaps=[heap])
    assert text.endswith("; 0x20010 is free, 16 bytes past the end of a block of heap 3")
    assert line(AV, 1, 0x20000, heaps=[heap]).endswith("is free, just past the end of a block of heap 3")
    assert line(AV, 1, 0x10010, heaps=[heap]).endswith("is committed (heap 3, Read/Write)")
    assert line(AV, 1, 0x12000, heaps=[heap]).endswith("is reserved, not committed (heap 3)")
    assert line(AV, 1, 0x30000, heaps=[heap]).endswith("; 0x30000 is free")


def process_map(sp_of: int | None = None, **how: object) -> tuple[RegionMap, ProcessBuilder]:
    """A process with two threads whose exception record names the first; the context's stack is that of `sp_of`."""
    process = ProcessBuilder("x64").furnish()
    process.add_thread(name="GameThread")
    first = process.threads[0]
    pointer = 0 if sp_of is None else process.threads[sp_of].stack.top - 0x100
    parameters = how.pop("parameters", [0, 0])
    dump = process.to_minidump().exception(first.tid, AV, 0x140001000, parameters, context_sp=pointer)  # type: ignore[arg-type]
    return dumpmap.open(dump.build()), process


def test_the_thread_of_record_and_stack_agree() -> None:
    made, process = process_map(0)
    found = find_crash(made)
    assert found is not None
    assert (found.thread, found.threads_disagree) == (process.threads[0].tid, False)
    assert "exception record" not in (crash_line(made) or "")


def test_the_stack_of_the_context_outranks_the_thread_of_the_record() -> None:
    made, process = process_map(-1)
    first, last = process.threads[0].tid, process.threads[-1].tid
    text = crash_line(made) or ""
    assert f" in thread {last} (GameThread, by its stack; the exception record names thread {first})" in text
    document = exception_document(made)
    assert document is not None
    assert (document["thread_id"], document["stack_thread_id"]) == (first, last)
    assert document["thread_name"] == "GameThread"


def test_a_guard_page_of_a_stack() -> None:
    _, process = process_map()
    thread = process.threads[0]
    made, _ = process_map(0, parameters=[1, thread.stack.guard_base + 8])
    assert f"is in a guard page (stack of thread {thread.tid})" in (crash_line(made) or "")
    document = exception_document(made)
    assert document is not None
    region = document["target_region"]
    assert (region["state"], region["guard"], region["type"]) == ("committed", True, "Stack")
    assert (region["kind"], region["thread_id"]) == ("Guard", thread.tid)


def test_the_space_below_and_above_a_stack() -> None:
    made = scene()
    made.allocate(0x10000, base=0x200000, commit=0x10000)
    threads = [Thread(5, stack_base=0x200000, stack_size=0x10000)]

    def told(address: int) -> tuple[str, dict[str, object]]:
        exception = crash(AV, 1, address, thread=5)
        opened = made.map(exception=exception, threads=threads)
        return crash_line(opened) or "", exception_document(opened)["target_region"]["past"]  # type: ignore[index]

    text, past = told(0x1FFFF0)
    assert text.endswith("; 0x1ffff0 is free, 16 bytes below the stack of thread 5")
    assert past == {"what": "stack", "thread_id": 5, "heap": None, "distance": -16}
    assert told(0x210000)[0].endswith("; 0x210000 is free, just past the end of the stack of thread 5")
    assert told(0x300000)[1] is None


# ---------------------------------------------------------------- partial and hostile inputs


def test_a_partial_map_says_only_what_it_knows() -> None:
    unknown = line(AV, 0, 0x12345000, partial=True)
    assert unknown == "Access violation reading 0x12345000 at Game.dll+0x1234 in thread 9"
    known = line(AV, 1, 0x40002000, partial=True)
    assert known.endswith("; 0x40002000 is committed (Image, Game.dll)")


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("value", [0, 1, 0x7FFFFFFF, 0x80000000, (1 << 32) - 1, 1 << 63, (1 << 64) - 1])
@pytest.mark.parametrize("how", [0, 1, 8, (1 << 64) - 1])
def test_any_parameters_give_a_line(bits: int, value: int, how: int) -> None:
    for code in (AV, 0xC0000006, 0x80000001, 0xC00000FD, 0):
        made = scene(bits).map(exception=crash(code, how, value, thread=9, address=value), modules=[GAME])
        assert crash_line(made)
        assert exception_document(made) is not None


def test_an_exception_stream_of_zeros() -> None:
    dump = MinidumpBuilder("x64").system_info().module(0x40000000, 0x1000, "a.dll").raw_stream(6, bytes(168))
    assert crash_line(dumpmap.open(dump.build())) == "0x0"


def test_a_signal_has_the_address_of_its_access() -> None:
    exception = crash(11, thread=9, address=0x40, instruction_pointer=0x40000010)
    made = Scene(64).map(exception=exception, family="linux", modules=[Module(0x40000000, 0x1000, "/lib/libx.so")])
    assert crash_line(made) == "Signal 11 (SIGSEGV) accessing 0x40 at libx.so+0x10 in thread 9"


def test_an_abort_on_macos_is_a_crash_not_0() -> None:
    snapshot = Scene(64).snapshot(exception=crash(0, 10, thread=9, address=0x40000010), modules=[GAME])
    system = replace(snapshot.process.os, family="macos")
    made = dumpmap.api.map_snapshot(replace(snapshot, process=replace(snapshot.process, os=system)))
    assert crash_line(made) == "Mach exception 10 (EXC_CRASH): abnormal process exit at Game.dll+0x10 in thread 9"


# ---------------------------------------------------------------- codes


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (0xC0000264, "STATUS_RESOURCE_NOT_OWNED"),
        (0xC0000091, "STATUS_FLOAT_OVERFLOW"),
        (0x4000, "UNREAL_ASSERT"),
        (0x8000, "UNREAL_GPU_CRASH"),
        (0xC000, "UNREAL_OUT_OF_MEMORY"),
        (0xBDB20, "UNREAL_ENSURE"),
        (0xBDB3F, "UNREAL_ENSURE"),
    ],
)
def test_codes_have_names(value: int, name: str) -> None:
    code = ntstatus.exception_code(value)
    assert code is not None
    assert code.name == name


def test_codes_are_stated_once() -> None:
    codes = [code.value for code in (*ntstatus.NTSTATUS, *ntstatus.SOFTWARE_EXCEPTIONS)]
    assert len(set(codes)) == len(codes)
    assert ntstatus.exception_code(0xBDB40) is None
    assert ntstatus.exception_code(0xBDB30, "linux") is None


def test_the_last_error_of_the_thread_whose_stack_the_context_uses() -> None:
    process = ProcessBuilder("x64").furnish()
    process.add_thread()
    crashed, writer = process.threads[0], process.threads[1]
    process.set_teb(crashed, "LastErrorValue", 8)
    dump = process.to_minidump()
    dump.exception(writer.tid, 0xC0000005, 0x140001000, [1, 0], context_sp=crashed.stack.sp)
    region_map = dumpmap.open(dump.build())
    assert crashed_thread(region_map) == crashed.tid
    assert [(error.thread_id, error.crashing) for error in last_errors(region_map)] == [(crashed.tid, True)]


def test_a_writer_that_names_another_thread_is_quoted() -> None:
    """As in a public dump: an assertion is raised on a thread that writes the dump for the one that crashed."""
    record = WriterRecord("Unreal Engine 4.24", crashed_thread=12916, thread_names=((12916, "GameThread"),))
    assert line(0x4000, writer=record).endswith(" in thread 9 (Unreal Engine 4.24 names thread 12916, GameThread)")
    assert line(0x4000, writer=replace(record, crashed_thread=9)).endswith(" in thread 9")
    assert line(0x4000, writer=replace(record, crashed_thread=None)).endswith(" in thread 9")


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (0xC0000264, "STATUS_RESOURCE_NOT_OWNED"),
        (0xC000070A, "STATUS_THREADPOOL_HANDLE_EXCEPTION"),
        (0xC000071C, "STATUS_INVALID_THREAD"),
        (0xC0000604, "STATUS_DYNAMIC_CODE_BLOCKED"),
        (0xC0000185, "STATUS_IO_DEVICE_ERROR"),
        (0xC0000251, "STATUS_BAD_DLL_ENTRYPOINT"),
    ],
)
def test_codes_that_exceptions_carry_have_names(code: int, name: str) -> None:
    assert name in line(code)


@pytest.mark.parametrize(
    ("address", "state", "base"),
    [
        (0xFFFF, "free", None),
        (0x10000, "committed", 0x10000),
        (0x10FFF, "committed", 0x10000),
        (0x11000, "reserved", 0x11000),
        (0x1FFFF, "reserved", 0x11000),
        (0x20000, "free", None),
    ],
)
def test_the_region_of_an_accessed_address(address: int, state: str, base: int | None) -> None:
    found = find_crash(scene().map(exception=crash(AV, 0, address, thread=9), modules=[GAME]))
    assert found is not None
    assert found.target is not None
    assert found.target.state == state
    assert base is None or (found.target.base, found.target.size) == (base, 0x1000 if base == 0x10000 else 0xF000)


@pytest.mark.parametrize(
    ("address", "module"),
    [(0x3FFFFFFF, None), (0x40000000, "Game.dll"), (0x400FFFFF, "Game.dll"), (0x40100000, None)],
)
def test_the_module_of_the_instruction(address: int, module: str | None) -> None:
    text = line(AV, 0, 0x10000, address=address)
    assert ("Game.dll" in text) is (module is not None)
