"""ThreadList, ThreadExList, ThreadInfoList, ThreadNames: what is read of each thread."""

from __future__ import annotations

import datetime as dt
import struct

import pytest
from support.dumps import map_of, read, stream, tiny
from synth.contexts import build_context
from synth.minidump import THREAD_INFO_LIST, THREAD_LIST, THREAD_NAMES, MinidumpBuilder

from dumpmap.model.snapshot import Snapshot, Thread
from dumpmap.views.stacks import stack_document

ARCHITECTURES = ["x86", "x64", "arm", "arm64"]


def only(snapshot: Snapshot) -> Thread:
    assert len(snapshot.threads) == 1
    return snapshot.threads[0]


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_a_thread_with_teb_stack_and_registers(arch: str) -> None:
    thread = only(
        read(
            tiny(arch).thread(
                77, teb=0x7000_0000, stack=(0x20_0000, b"s" * 256), context_sp=0x20_0010, context_ip=0x40_1234
            )
        )
    )
    assert thread.id == 77
    assert thread.teb == 0x7000_0000
    assert (thread.stack_base, thread.stack_size) == (0x20_0000, 256)
    assert thread.stack_pointer == 0x20_0010
    assert thread.instruction_pointer == 0x40_1234


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_the_stack_of_the_thread_list_is_memory(arch: str) -> None:
    snapshot = read(tiny(arch).thread(1, stack=(0x20_0000, b"stack!")))
    assert snapshot.memory.read(0x20_0000, 6) == b"stack!"
    assert snapshot.memory.read(0x20_0000, 7) is None


def test_a_stack_without_bytes_is_a_range_and_no_memory() -> None:
    snapshot = read(tiny().thread(1, stack_range=(0x20_0000, 0x1000)))
    thread = only(snapshot)
    assert (thread.stack_base, thread.stack_size) == (0x20_0000, 0x1000)
    assert snapshot.memory.read(0x20_0000, 1) is None


def test_thread_ex_list() -> None:
    snapshot = read(tiny().thread_ex(9, teb=0x1000_0000, stack=(0x30_0000, b"abcd"), backing_store=(0x40_0000, b"xy")))
    thread = only(snapshot)
    assert (thread.id, thread.teb, thread.stack_base) == (9, 0x1000_0000, 0x30_0000)
    assert snapshot.memory.read(0x30_0000, 4) == b"abcd"


def test_a_thread_in_both_lists_is_one_thread() -> None:
    snapshot = read(tiny().thread(5, teb=0x1000_0000).thread_ex(5, teb=0x1000_0000).thread(6))
    assert [thread.id for thread in snapshot.threads] == [5, 6]


@pytest.mark.parametrize("size", [0, 16, 60])
def test_a_context_that_is_too_short_gives_no_registers(size: int) -> None:
    thread = only(read(tiny().thread(1, context=bytes(size) or b"", stack=(0x1000, b"x"))))
    assert thread.stack_pointer is None
    assert thread.instruction_pointer is None


@pytest.mark.parametrize(("arch", "least"), [("x86", 204), ("x64", 256), ("arm", 68), ("arm64", 272)])
def test_a_context_has_registers_from_the_size_on_that_holds_both(arch: str, least: int) -> None:
    whole = build_context(arch, sp=0x20_0010, ip=0x40_1234)
    for size, registers in ((least - 1, (None, None)), (least, (0x20_0010, 0x40_1234))):
        thread = only(read(tiny(arch).thread(1, context=whole[:size], stack=(0x1000, b"x"))))
        assert (thread.stack_pointer, thread.instruction_pointer) == registers


@pytest.mark.parametrize(("arch", "least"), [("x86", 204), ("x64", 256), ("arm", 68), ("arm64", 272)])
def test_a_context_that_the_end_of_the_file_cuts(arch: str, least: int) -> None:
    builder, whole = tiny(arch).thread(1, stack=(0x1000, b"x")), build_context(arch, sp=0x20_0010, ip=0x40_1234)
    place = struct.pack("<I", len(builder.build()))
    for size, registers in ((least - 1, (None, None)), (least, (0x20_0010, 0x40_1234))):
        thread = only(read(builder.patch(THREAD_LIST, 4 + 44, place).build() + whole[:size]))
        assert (thread.stack_pointer, thread.instruction_pointer) == registers


def test_a_context_of_another_architecture_is_not_read() -> None:
    thread = only(read(MinidumpBuilder("ia64").system_info().thread(1, context=b"\x11" * 1232)))
    assert thread.stack_pointer is None


def test_a_context_outside_the_file_gives_no_registers() -> None:
    builder = tiny().thread(1, stack=(0x1000, b"x"), context_sp=0x1000)
    snapshot = read(builder.patch(THREAD_LIST, 4 + 44, struct.pack("<I", 0x7FFF_0000)))
    assert only(snapshot).stack_pointer is None


def test_thread_names_and_infos_are_joined_by_thread_id() -> None:
    created = dt.datetime(2024, 5, 6, 7, 8, 9, tzinfo=dt.UTC)
    ticks = int((created - dt.datetime(1601, 1, 1, tzinfo=dt.UTC)).total_seconds()) * 10_000_000
    snapshot = read(
        tiny()
        .thread_name(2, "render ♥")
        .thread_info(2, create_time=ticks, start_address=0x7FF6_0000_1000)
        .thread_info(1, dump_flags=0x4)
        .thread(1, suspend_count=3)
        .thread(2)
    )
    one, two = snapshot.threads
    assert (one.name, one.exited, one.suspend_count, one.created_at) == (None, True, 3, None)
    assert (two.name, two.exited, two.start_address, two.created_at) == ("render ♥", False, 0x7FF6_0000_1000, created)


def test_a_thread_name_with_its_rva_above_4_gib_is_left_out() -> None:
    builder = tiny().thread(1).thread_name(1, "main").patch(THREAD_NAMES, 4 + 4, struct.pack("<Q", 1 << 40))
    assert only(read(builder)).name is None


def test_a_name_of_a_thread_that_is_not_listed_is_no_thread() -> None:
    assert [thread.id for thread in read(tiny().thread(1).thread_name(99, "gone")).threads] == [1]


def test_a_time_beyond_the_calendar_is_unknown() -> None:
    assert only(read(tiny().thread(1).thread_info(1, create_time=(1 << 64) - 1))).created_at is None


@pytest.mark.parametrize("name", [THREAD_LIST, THREAD_NAMES])
def test_lists_aligned_to_8_bytes_by_some_writers(name: int) -> None:
    builder = tiny().thread(0x11, teb=0x2000).thread(0x22, teb=0x3000).thread_name(0x22, "two").pad_list(name)
    snapshot = read(builder)
    assert [(thread.id, thread.teb, thread.name) for thread in snapshot.threads] == [
        (0x11, 0x2000, None),
        (0x22, 0x3000, "two"),
    ]
    assert snapshot.warnings == ()


@pytest.mark.parametrize(("header_size", "entry_size"), [(12, 64), (16, 64), (12, 72), (40, 200)])
def test_larger_headers_and_entries_of_thread_info(header_size: int, entry_size: int) -> None:
    builder = tiny().thread(1).thread(2).thread_info(1, start_address=0x1111).thread_info(2, start_address=0x2222)
    snapshot = read(builder.list_layout(THREAD_INFO_LIST, header_size=header_size, entry_size=entry_size))
    assert [thread.start_address for thread in snapshot.threads] == [0x1111, 0x2222]
    assert snapshot.warnings == ()


def test_entries_of_thread_info_that_are_too_small_are_refused() -> None:
    snapshot = read(tiny().thread(1).thread_info(1).list_layout(THREAD_INFO_LIST, entry_size=32))
    assert "needs at least 64" in stream(snapshot, "ThreadInfoList").status


@pytest.mark.parametrize("count", [3, 1000, 0xFFFFFFFF])
def test_a_count_that_lies_gives_the_threads_that_fit(count: int) -> None:
    snapshot = read(tiny().thread(1).thread(2).lie_count(THREAD_LIST, count))
    assert [thread.id for thread in snapshot.threads] == [1, 2]
    assert stream(snapshot, "ThreadList").status == f"claims {count:,} entries, 2 fit"
    assert any("ThreadList" in warning for warning in snapshot.warnings)


def test_a_count_that_is_too_small_is_believed() -> None:
    assert [thread.id for thread in read(tiny().thread(1).thread(2).lie_count(THREAD_LIST, 1)).threads] == [1]


def test_a_thread_list_of_no_threads_is_fine() -> None:
    snapshot = read(tiny().empty_list(THREAD_LIST))
    assert snapshot.threads == ()
    assert snapshot.warnings == ()


def test_two_threads_of_one_id_are_one() -> None:
    snapshot = read(tiny().thread(1, teb=0x1000).thread(1, teb=0x2000))
    assert len(snapshot.threads) == 1


def test_a_captured_stack_has_no_base_and_shows_what_is_in_use() -> None:
    dump = tiny().thread(7, stack=(0x7F_0000_1000, bytes(0x800)), context_sp=0x7F_0000_1100)
    (row,) = stack_document(map_of(dump))["stacks"]
    assert (row["base"], row["reserve"], row["headroom"]) == (None, None, None)
    assert (row["end"], row["committed"], row["in_use"]) == ("0x7f00001800", 0x800, 0x700)
