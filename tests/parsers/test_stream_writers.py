"""What writers of dumps record: Unreal's crash context, Crashpad's annotations, Mozilla's soft errors."""

from __future__ import annotations

import contextlib
import json
import struct
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.dumps import read, stream, tiny
from synth.minidump import MinidumpBuilder
from synth.writers import CRASHPAD_INFO, ENGINE_OOM, ROOT, UNREAL_CONTEXT, ModuleAnnotations, unreal_xml

from dumpmap.errors import DumpmapError
from dumpmap.model.memory import ExcerptMemory
from dumpmap.model.snapshot import Snapshot
from dumpmap.model.writer import WriterRecord
from dumpmap.parsers.minidump.unreal_message import _text

GARBAGE = b"\x00\x00leftover <FGenericCrashContext> \xff\xfe\x41" * 50


def record_of(dump: MinidumpBuilder | bytes) -> WriterRecord:
    writer = read(dump).writer
    assert writer is not None
    return writer


def unreal(snapshot: Snapshot) -> tuple[str, str | None]:
    found = stream(snapshot, "UnrealCrashContext")
    return found.status, found.absence


# ---------------------------------------------------------------- Unreal Engine


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16", "utf-16-be", "utf-8", "utf-8-sig"])
@pytest.mark.parametrize("tail", [b"", bytes(4096), GARBAGE], ids=["no tail", "zeros", "garbage"])
def test_a_crash_context(encoding: str, tail: bytes) -> None:
    snapshot = read(tiny().unreal_context(unreal_xml(), encoding, tail))
    writer = snapshot.writer
    assert snapshot.warnings == ()
    assert unreal(snapshot) == ("read", None)
    assert writer is not None
    assert (writer.writer, writer.source, writer.crash_type) == ("Unreal Engine 4.24", "UnrealCrashContext", "Assert")
    assert (writer.out_of_memory, writer.requested, writer.alignment) == (True, 8172146688, None)
    assert (writer.message or "").splitlines()[1] == "Ran out of memory allocating 8172146688 bytes with alignment 0"
    assert (writer.product, writer.version, writer.uptime) == ("UE4-Rocks", "++UE4+Release-4.24-CL-0", 3723)
    assert writer.memory["AvailableVirtual"] == 140733512974336
    assert len(writer.memory) == 9
    assert (writer.crashed_thread, writer.thread_names) == (12916, ((12916, "GameThread"), (7, "RHIThread")))
    others = {one.name: one.value for one in writer.annotations}
    assert others["Misc.PrimaryGPUBrand"] == "Some <GPU> & more"
    assert others["RHI.RHIName"] == "D3D11"
    assert "ErrorMessage" not in others
    assert snapshot.process.pid == 10688


def test_threads_without_a_name_get_the_engines_and_others_keep_theirs() -> None:
    dump = tiny().thread(12916).thread(7).thread(10372).thread_name(7, "Render").unreal_context(unreal_xml())
    assert {one.id: one.name for one in read(dump).threads} == {12916: "GameThread", 7: "Render", 10372: None}


def test_who_crashed_stays_apart_where_the_sources_disagree() -> None:
    dump = tiny().thread(12916, stack=(0x10000, bytes(4096))).thread(10372, stack=(0x20000, bytes(4096)))
    snapshot = read(dump.exception(10372, 0x4000, 0, context_sp=0x10800).unreal_context(unreal_xml()))
    assert snapshot.exception is not None
    assert snapshot.writer is not None
    assert (snapshot.exception.thread_id, snapshot.exception.stack_pointer) == (10372, 0x10800)
    assert snapshot.writer.crashed_thread == 12916


def test_figures_that_are_not_filled_in_are_unknown() -> None:
    """As 4.22 wrote them: the totals, and 0 for the rest."""
    values = {
        name: text if "Total" in name or not name.startswith("MemoryStats.") else "0"
        for name, text in ENGINE_OOM.items()
    }
    values["ErrorMessage"] = "Assertion failed: Index >= 0"
    writer = record_of(tiny().unreal_context(unreal_xml(values)))
    assert writer.memory == {"TotalPhysical": 17095987200, "TotalVirtual": 140737488224256}
    assert (writer.out_of_memory, writer.requested, writer.alignment) == (None, None, None)


def test_the_engine_can_state_that_memory_was_left() -> None:
    values = ENGINE_OOM | {
        "MemoryStats.bIsOOM": "0",
        "MemoryStats.OOMAllocationSize": "0",
        "ErrorMessage": "Unhandled Exception: EXCEPTION_ACCESS_VIOLATION",
        "CrashType": "Crash",
    }
    writer = record_of(tiny().unreal_context(unreal_xml(values)))
    assert (writer.out_of_memory, writer.requested, writer.crash_type) == (False, None, "Crash")


def test_the_message_alone_states_size_and_alignment() -> None:
    message = "Ran out of memory allocating 4096 bytes with alignment 16"
    writer = record_of(tiny().unreal_context(unreal_xml({"ErrorMessage": message, "IsEnsure": "true"})))
    assert (writer.out_of_memory, writer.requested, writer.alignment) == (True, 4096, 16)
    assert (writer.crash_type, writer.writer) == ("Ensure", "Unreal Engine")


@pytest.mark.parametrize(
    ("values", "requested"),
    [("-1", None), ("1e9", None), ("18446744073709551616", None), ("18446744073709551615", (1 << 64) - 1), ("x", None)],
)
def test_numbers_that_are_none(values: str, requested: int | None) -> None:
    changed = {"CrashType": "OutOfMemory", "MemoryStats.OOMAllocationSize": values}
    writer = record_of(tiny().unreal_context(unreal_xml(changed, [(1 << 40, "far", True), (0, "none", True)])))
    assert (writer.requested, writer.out_of_memory) == (requested, True)
    assert (writer.crashed_thread, writer.thread_names) == (None, ())


def test_two_crashed_threads_are_none() -> None:
    assert record_of(tiny().unreal_context(unreal_xml(threads=[(1, "a", True), (2, "b", True)]))).crashed_thread is None


def test_what_precedes_a_cut_is_read() -> None:
    text = unreal_xml()
    snapshot = read(tiny().unreal_context(text[: text.index("<Misc.")]))
    assert unreal(snapshot) == (f"ends before </{ROOT}>", None)
    assert len(snapshot.warnings) == 1
    assert snapshot.writer is not None
    assert snapshot.writer.crash_type == "Assert"


def test_what_precedes_damage_is_read() -> None:
    snapshot = read(tiny().unreal_context(unreal_xml(inner="<broken></other>")))
    assert "the XML is damaged" in unreal(snapshot)[0]
    assert snapshot.writer is not None
    assert snapshot.writer.requested == 8172146688


BOMB = (
    '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    f"<{ROOT}><RuntimeProperties><CrashType>&b;</CrashType></RuntimeProperties></{ROOT}>"
)
HOSTILE = {
    "bomb": BOMB,
    "external": f'<!DOCTYPE x SYSTEM "file:///etc/passwd"><{ROOT}><RuntimeProperties><A>x</A></RuntimeProperties></{ROOT}>',
    "entity": f"<{ROOT}><RuntimeProperties><A>&undefined;</A></RuntimeProperties></{ROOT}>",
    "late doctype": f'<{ROOT}><!DOCTYPE x [<!ENTITY a "b">]><RuntimeProperties><A>&a;</A></RuntimeProperties></{ROOT}>',
    "deep": f"<{ROOT}>" + "<a>" * 100_000 + "</a>" * 100_000 + f"</{ROOT}>",
    "no values": f"<{ROOT}></{ROOT}>",
    "another root": "<html><body>hello</body></html>",
    "a closing tag": f"</{ROOT}>",
    "an open tag": f"<{ROOT} " + "a" * 100_000,
    "one letter": "<",
    "zeros": "\0" * 1000,
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-8"])
def test_hostile_text_is_malformed_and_costs_only_itself(name: str, encoding: str) -> None:
    snapshot = read(tiny().thread(5).unreal_context(HOSTILE[name], encoding))
    assert unreal(snapshot)[1] == "malformed"
    assert snapshot.writer is None
    assert len(snapshot.warnings) == 1
    assert len(snapshot.warnings[0]) < 200
    assert [one.id for one in snapshot.threads] == [5]


def test_huge_contexts_are_bounded() -> None:
    many = {f"Value{index}": "x" * 20_000 for index in range(100)}
    threads = [(index, "n" * 1000, False) for index in range(1, 9000)]
    start = time.perf_counter()
    writer = record_of(
        tiny().unreal_context(unreal_xml(many, threads, inner="<x>" + "y" * 3_000_000 + "</x>"), "utf-8")
    )
    assert time.perf_counter() - start < 10
    assert len(writer.annotations) <= 512
    assert all(len(one.value or "") <= 8192 for one in writer.annotations)
    assert len(writer.thread_names) <= 4096
    assert all(len(name) <= 256 for _, name in writer.thread_names)


def test_a_long_message_costs_nothing_behind_it() -> None:
    snapshot = read(tiny().unreal_context(unreal_xml({**ENGINE_OOM, "ErrorMessage": "E" * 5_000_000})))
    assert snapshot.warnings == ()
    writer = snapshot.writer
    assert writer is not None
    assert (writer.out_of_memory, writer.requested) == (True, 8_172_146_688)
    assert writer.message is not None
    assert len(writer.message) == 8192
    assert writer.message.endswith("E... (5,000,000 letters)")


def test_a_context_beyond_the_bound_names_the_bound() -> None:
    snapshot = read(tiny().unreal_context(unreal_xml({"ErrorMessage": "E" * 17_000_000}), "utf-8"))
    assert "has no </FGenericCrashContext> in the first 16 MB, and dumpmap reads no more" in snapshot.warnings[0]


def test_control_characters_do_not_reach_the_record() -> None:
    context = unreal_xml().replace("Assertion failed", "Asser\x01tion\x1b[2J failed\ufffe")
    writer = record_of(tiny().unreal_context(context))
    assert (writer.message or "").startswith("Assertion[2J failed: false")


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 6000), noise=st.binary(max_size=8))
def test_any_prefix_with_any_tail_ends_in_a_result(cut: int, noise: bytes) -> None:
    data = unreal_xml().encode("utf-16-le")[:cut] + noise
    snapshot = read(tiny().raw_stream(UNREAL_CONTEXT, data))
    assert stream(snapshot, "UnrealCrashContext").status


# ---------------------------------------------------------------- the message behind an exception

MESSAGE = "Assertion failed: Index >= 0 [Line: 7]\r\nRan out of memory allocating 4096 bytes with alignment 16"


def asserted(text: bytes, *, code: int = 0x4000, arch: str = "x64", text_at: int = 0x10100) -> MinidumpBuilder:
    """A thread whose stack has the engine's FAssertInfo and the text that it points to."""
    stack = bytearray(0x400)
    struct.pack_into("<Q" if arch == "x64" else "<I", stack, 0x80, text_at)
    stack[0x100 : 0x100 + len(text)] = text
    dump = tiny(arch).thread(3, stack=(0x10000, bytes(stack)))
    return dump.exception(3, code, 0x400000, [0x10080])


@pytest.mark.parametrize("arch", ["x64", "x86"])
@pytest.mark.parametrize(("code", "crash_type"), [(0x4000, "Assert"), (0xBDB2E, "Ensure"), (0xBDB30, "Ensure")])
def test_the_message_of_an_assertion(arch: str, code: int, crash_type: str) -> None:
    writer = record_of(asserted(MESSAGE.encode("utf-16-le"), code=code, arch=arch))
    assert (writer.writer, writer.source, writer.crash_type) == ("Unreal Engine", "Exception", crash_type)
    assert writer.message == MESSAGE.replace("\r\n", "\n")
    assert (writer.out_of_memory, writer.requested, writer.alignment) == (True, 4096, 16)


def test_an_assertion_about_something_else() -> None:
    assert record_of(asserted("Assertion failed: x".encode("utf-16-le"))).out_of_memory is None


def test_the_crash_context_comes_first() -> None:
    writer = record_of(asserted(MESSAGE.encode("utf-16-le")).unreal_context(unreal_xml()))
    assert writer.requested == 8172146688


@pytest.mark.parametrize(
    "dump",
    [
        asserted("Hello, this is another program".encode("utf-16-le")),
        asserted(MESSAGE.encode("utf-16-le"), code=0xC0000005),
        asserted(MESSAGE.encode("utf-16-le"), text_at=0),
        asserted(MESSAGE.encode("utf-16-le"), text_at=(1 << 64) - 8),
        asserted(b"\xff" * 0x300),
        tiny().thread(3).exception(3, 0x4000, 0, []),
        tiny().thread(3).exception(3, 0x4000, 0, [(1 << 64) - 1]),
    ],
    ids=range(7),
)
def test_other_exceptions_have_no_message(dump: MinidumpBuilder) -> None:
    assert read(dump).writer is None


def test_a_message_without_an_end_is_bounded() -> None:
    text = ("Assertion failed: " + "x" * 20_000).encode("utf-16-le")
    dump = tiny().thread(3, stack=(0x10000, struct.pack("<Q", 0x10010) + bytes(8) + text))
    message = record_of(dump.exception(3, 0x4000, 0, [0x10000])).message or ""
    assert 4096 <= len(message) <= 4096 + 64


# ---------------------------------------------------------------- Crashpad

V8 = (
    ("electron.v8-oom.is_heap_oom", b"1"),
    ("electron.v8-oom.location", b"Reached heap limit"),
    ("electron.v8-oom.detail", b"Allocation failed"),
    ("electron.v8-oom.heap.used", b"4164542836"),
    ("electron.v8-oom.heap.total", b"4200000000"),
    ("electron.v8-oom.heap.limit", b"4294967296"),
    ("electron.v8-oom.heap.total_available", b"100000"),
    ("ptype", b"renderer"),
)


def v8(*more: tuple[str, bytes], given: tuple[tuple[str, bytes], ...] = V8) -> MinidumpBuilder:
    objects = tuple((name, 1, value) for name, value in (*given, *more))
    return (
        tiny()
        .module(0x400000, 0x1000, "C:\\App\\App.exe")
        .crashpad_info(("prod", "Electron"), ("ver", "31.2.0"), modules=[ModuleAnnotations(0, objects=objects)])
    )


def test_v8_ran_out_of_its_heap() -> None:
    writer = record_of(v8())
    assert (writer.writer, writer.source, writer.out_of_memory) == ("Crashpad", "CrashpadInfo", True)
    assert (writer.product, writer.version, writer.process_type) == ("Electron", "31.2.0", "renderer")
    heap = writer.heap_limit
    assert heap is not None
    assert (heap.runtime, heap.used, heap.total, heap.limit) == ("V8", 4164542836, 4200000000, 4294967296)
    assert (heap.available, heap.is_oom, heap.location) == (100000, True, "Reached heap limit")
    assert (heap.detail, heap.source) == ("Allocation failed", "CrashpadInfo, electron.v8-oom.*")
    assert writer.requested is None
    assert {one.module for one in writer.annotations} == {None, "App.exe"}


def test_the_keys_of_blink() -> None:
    writer = record_of(v8(given=(("v8-oom-location", b"CALL_AND_RETRY_LAST"), ("oom-size", b"0"))))
    assert writer.heap_limit is not None
    assert (writer.heap_limit.location, writer.heap_limit.source) == (
        "CALL_AND_RETRY_LAST",
        "CrashpadInfo, v8-oom-location",
    )
    assert (writer.heap_limit.used, writer.heap_limit.is_oom) == (None, None)
    assert (writer.out_of_memory, writer.requested) == (True, None)


def test_figures_beside_a_limit_of_zero_are_not_filled_in() -> None:
    zeros = tuple((name, b"0") for name, _ in V8 if "heap.u" in name or "heap.l" in name)
    heap = record_of(v8(given=(("electron.v8-oom.location", b"x"), *zeros))).heap_limit
    assert heap is not None
    assert (heap.used, heap.limit) == (None, None)


def test_the_allocator_of_chromium() -> None:
    given = (("oom-size", b"0x100000"), ("page-allocator-mapped-size", b"2000000000"))
    writer = record_of(v8(given=given))
    assert (writer.requested, writer.out_of_memory, writer.heap_limit) == (0x100000, True, None)
    assert writer.memory == {"page-allocator-mapped-size": 2000000000}


def test_annotations_that_say_nothing_about_memory() -> None:
    writer = record_of(v8(given=(("gpu-vendor", b"0x10de"),)))
    assert (writer.out_of_memory, writer.requested, writer.heap_limit, writer.memory) == (None, None, None, {})


def test_mozillas_annotations_feed_the_diagnosis_too() -> None:
    keys = (
        ("OOMAllocationSize", b"1048576"),
        ("AvailableVirtualMemory", b"140000000000000"),
        ("AvailablePageFile", b"4096"),
        ("LargestFreeVMBlock", b"0x1f4000"),
        ("SystemMemoryUsePercentage", b"93"),
        ("MozCrashReason", b"out of memory: 0x0000000000100000 bytes requested"),
        ("UptimeTS", b"61.5"),
    )
    snapshot = read(v8(given=keys))
    writer = snapshot.writer
    assert writer is not None
    assert snapshot.annotations["OOMAllocationSize"] == "1048576"
    assert (writer.requested, writer.out_of_memory, writer.uptime) == (1048576, True, 61)
    assert writer.memory == {
        "AvailableVirtualMemory": 140000000000000,
        "AvailablePageFile": 4096,
        "LargestFreeVMBlock": 0x1F4000,
    }
    assert (writer.message or "").startswith("out of memory: 0x")


def test_all_three_kinds_of_module_annotations() -> None:
    modules = [
        ModuleAnnotations(0, ("first", "zweite ö", ""), (("a", "1"), ("", "nameless")), (("raw", 0x8001, b"\1\2"),)),
        ModuleAnnotations(9, simple=(("b", "2"),)),
    ]
    dump = tiny().module(0x400000, 0x1000, "C:\\App\\App.exe").crashpad_info(("a", "client"), modules=modules)
    found = [(one.module, one.name, one.value) for one in record_of(dump).annotations]
    assert found == [
        (None, "a", "client"),
        ("App.exe", "", "first"),
        ("App.exe", "", "zweite ö"),
        ("App.exe", "a", "1"),
        ("App.exe", "raw", "0102"),
        ("module 9", "b", "2"),
    ]
    assert read(dump).annotations == {"a": "client"}


def test_empty_annotations_are_no_record() -> None:
    assert read(tiny().crashpad_info()).writer is None
    assert read(tiny().crashpad_info(modules=[ModuleAnnotations(0)])).writer is None


def test_counts_that_lie_are_cut_to_what_fits() -> None:
    builder = v8()
    data = bytearray(builder.build())
    rva = struct.unpack_from("<I", data, builder.offset_of(CRASHPAD_INFO) + 48)[0]
    struct.pack_into("<I", data, rva, 0xFFFFFFFF)
    snapshot = read(bytes(data))
    assert "1 fit" in stream(snapshot, "CrashpadInfo").status
    assert snapshot.writer is not None
    assert snapshot.writer.heap_limit is not None


def test_module_annotations_outside_the_file_cost_only_themselves() -> None:
    builder = v8()
    data = bytearray(builder.build())
    rva = struct.unpack_from("<I", data, builder.offset_of(CRASHPAD_INFO) + 48)[0]
    struct.pack_into("<I", data, rva + 12, 0x7FFFFFFF)
    snapshot = read(bytes(data))
    found = stream(snapshot, "CrashpadInfo")
    assert found.absence is None
    assert "annotations of App.exe" in found.status
    assert snapshot.writer is not None
    assert (snapshot.writer.product, snapshot.writer.heap_limit) == ("Electron", None)


def test_huge_annotations_are_bounded() -> None:
    text = b"x" * 60_000
    objects = tuple((f"key{index}", 1, text) for index in range(30))
    simple = tuple((f"k{index}", "v") for index in range(6000))
    modules = [ModuleAnnotations(0, objects=objects), ModuleAnnotations(1, simple=simple)]
    snapshot = read(tiny().crashpad_info(modules=modules))
    assert snapshot.writer is not None
    assert len(snapshot.writer.annotations) == 4096
    assert max(len(one.value or "") for one in snapshot.writer.annotations) == 8192
    assert "more than 4,096 annotations" in stream(snapshot, "CrashpadInfo").status


@settings(max_examples=60, deadline=None)
@given(offset=st.integers(0, 1200), value=st.integers(0, 255), cut=st.integers(0, 400))
def test_damaged_annotations_end_in_a_result(offset: int, value: int, cut: int) -> None:
    data = bytearray(v8().build())
    data[min(offset, len(data) - 1)] = value
    with contextlib.suppress(DumpmapError):
        read(bytes(data[: len(data) - cut]))


# ---------------------------------------------------------------- Mozilla


def test_soft_errors() -> None:
    text = json.dumps([{"InitErrors": [{"StopProcessFailed": {"Stop": 1}}]}, "NoThreads"])
    writer = record_of(tiny().soft_errors(text + "\0\0"))
    assert writer.writer == "Mozilla minidump-writer"
    assert writer.soft_errors == ('{"InitErrors":[{"StopProcessFailed":{"Stop":1}}]}', "NoThreads")
    assert writer.out_of_memory is None


def test_no_soft_errors_are_no_record() -> None:
    assert read(tiny().soft_errors("[]")).writer is None


@pytest.mark.parametrize(
    "text", ["{", b"\xff\xfe\x00", "[" * 100_000, "[1", "NaN", "\0\0", "[" + "1," * 600_000 + "1]"], ids=range(7)
)
def test_soft_errors_that_are_not_json(text: str | bytes) -> None:
    snapshot = read(tiny().soft_errors(text))
    assert snapshot.writer is None
    assert stream(snapshot, "MozSoftErrors").absence == "malformed"


def test_many_soft_errors_are_bounded() -> None:
    writer = record_of(tiny().soft_errors(json.dumps(["x" * 900] * 1000)))
    assert len(writer.soft_errors) == 256


def test_no_streams_of_writers_no_record() -> None:
    assert read(tiny().comment_a("*** procdump -ma app.exe")).writer is None


def test_an_assertion_that_breakpad_recorded() -> None:
    record = read(tiny().breakpad_assertion("p != 0", "run", "C:\\src\\a.cpp", 42)).writer
    assert record is not None
    assert (record.writer, record.source, record.crash_type) == ("Breakpad", "BreakpadAssertionInfo", None)
    assert record.message == "p != 0 (run, C:\\src\\a.cpp:42)"
    record = read(tiny().breakpad_assertion("", "", "", 0, kind=2)).writer
    assert record is not None
    assert (record.crash_type, record.message) == ("Pure virtual call", None)


@pytest.mark.parametrize(
    ("texts", "line", "message"),
    [
        (("p", "run", "a.cpp"), 1, "p (run, a.cpp:1)"),
        (("p", "run", ""), 1, "p (run)"),
        (("p", "", "a.cpp"), 1, "p (a.cpp:1)"),
        (("p", "", ""), 1, "p"),
        (("", "run", "a.cpp"), 1, "run, a.cpp:1"),
        (("", "run", ""), 0, "run"),
        (("", "", "a.cpp"), 0, "a.cpp:0"),
    ],
)
def test_the_parts_of_an_assertion_that_are_there(texts: tuple[str, str, str], line: int, message: str) -> None:
    record = read(tiny().breakpad_assertion(*texts, line)).writer
    assert record is not None
    assert record.message == message


def test_zeros_are_no_assertion() -> None:
    snapshot = read(tiny().breakpad_assertion("", "", "", 0))
    assert snapshot.writer is None
    assert stream(snapshot, "BreakpadAssertionInfo").status == "read"


@pytest.mark.parametrize("size", [0, 1, 775])
def test_an_assertion_that_is_cut_off_is_malformed(size: int) -> None:
    snapshot = read(tiny().raw_stream(0x47670002, b"a" * size))
    assert snapshot.writer is None


def test_the_crash_context_outranks_breakpads_assertion() -> None:
    both = tiny().breakpad_assertion("x", "", "", 0).unreal_context(unreal_xml())
    record = read(both).writer
    assert record is not None
    assert record.source == "UnrealCrashContext"


@pytest.mark.parametrize("address", [0x10000, 0x10042, 0x100C2])
@pytest.mark.parametrize(
    ("letters", "behind", "read"),
    [
        (0, 200, 0),
        (1, 0, 1),
        (63, 0, 63),
        (64, 0, 64),
        (200, 0, 200),
        (200, 300, 200),
        (4096, 0, 4096),
        (5000, 0, 4096),
    ],
)
def test_a_text_is_read_in_steps_up_to_its_end(address: int, letters: int, behind: int, read: int) -> None:
    text = "".join(chr(0x61 + number % 26) for number in range(letters))
    data = text.encode("utf-16-le") + b"\0\0" + bytes(range(1, 256))[:behind]
    assert _text(ExcerptMemory([(address, data)]), address) == text[:read]
    # Without a zero the text ends with what is captured.
    if letters:
        assert _text(ExcerptMemory([(address, data[: 2 * letters])]), address) == text[:read]
    assert _text(ExcerptMemory([(0, bytes(4))]), 0) == ""
