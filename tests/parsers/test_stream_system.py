"""SystemInfo, MiscInfo, SystemMemoryInfo, ProcessVmCounters and comments."""

from __future__ import annotations

import datetime as dt
import struct

import pytest
from support.dumps import read, stream, tiny
from synth.minidump import MISC_INFO, PROCESS_VM_COUNTERS, SYSTEM_INFO, SYSTEM_MEMORY_INFO, MinidumpBuilder


@pytest.mark.parametrize(
    ("arch", "name", "pointer_size"),
    [("x86", "x86", 4), ("x64", "x64", 8), ("arm", "arm", 4), ("arm64", "arm64", 8), ("ia64", "ia64", 8)],
)
def test_architecture_and_pointer_size(arch: str, name: str, pointer_size: int) -> None:
    process = read(MinidumpBuilder(arch).system_info()).process
    assert (process.architecture, process.pointer_size) == (name, pointer_size)


@pytest.mark.parametrize(
    ("platform", "family"),
    [
        (2, "windows"),
        (0x8000, "unix"),
        (0x8101, "macos"),
        (0x8102, "ios"),
        (0x8201, "linux"),
        (0x8202, "solaris"),
        (0x8203, "android"),
        (0x8204, "ps3"),
        (0x8205, "nacl"),
        (0x8206, "fuchsia"),
    ],
)
def test_the_family_of_the_system(platform: int, family: str) -> None:
    assert read(MinidumpBuilder().system_info(platform_id=platform)).process.os.family == family


@pytest.mark.parametrize("platform", [0, 1, 3, 0x8001, 0x8103, 0x8207])
def test_an_unknown_system_is_other(platform: int) -> None:
    assert read(MinidumpBuilder().system_info(platform_id=platform)).process.os.family == "other"


def test_breakpads_own_number_of_arm64() -> None:
    process = read(MinidumpBuilder("arm64").system_info(architecture=0x8003)).process
    assert (process.architecture, process.pointer_size) == ("arm64", 8)


def test_a_32_bit_process_that_says_so_is_wow64() -> None:
    process = read(MinidumpBuilder("x86").system_info(architecture=10)).process
    assert (process.architecture, process.pointer_size, process.wow64) == ("x86", 4, True)


def test_an_unknown_architecture_is_a_warning_and_not_fatal() -> None:
    snapshot = read(MinidumpBuilder().system_info(architecture=0x1234))
    assert snapshot.process.architecture == "unknown"
    assert "unknown processor architecture 4660" in snapshot.warnings[0]


def test_version_service_pack_and_processors() -> None:
    snapshot = read(
        MinidumpBuilder("x86").system_info(major=6, minor=1, build=7601, service_pack="Service Pack 1", processors=12)
    )
    assert snapshot.process.os.version == "6.1.7601"
    assert snapshot.process.os.build == 7601
    assert snapshot.process.os.service_pack == "Service Pack 1"
    assert snapshot.system.processors == 12


@pytest.mark.parametrize(
    ("number", "product"), [(1, "workstation"), (2, "domain-controller"), (3, "server"), (0, None), (200, None)]
)
def test_what_the_system_was_sold_as(number: int, product: str | None) -> None:
    assert read(MinidumpBuilder().system_info(product_type=number)).process.os.product_type == product
    linux = read(MinidumpBuilder().system_info(product_type=number, platform_id=0x8201))
    assert linux.process.os.product_type is None


def test_a_dump_without_system_info_says_so() -> None:
    snapshot = read(MinidumpBuilder().misc_info())
    assert snapshot.process.architecture == "unknown"
    assert snapshot.process.os.family == "other"
    assert any("no SystemInfo" in warning for warning in snapshot.warnings)


def test_a_cut_off_system_info_costs_only_itself() -> None:
    data = tiny().misc_info().build()
    builder = tiny()
    data = builder.build()[: builder.offset_of(SYSTEM_INFO) + 20]
    snapshot = read(data)
    assert snapshot.process.architecture == "unknown"
    assert "needs bytes" in stream(snapshot, "SystemInfo").status


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5])
def test_misc_info_of_every_version(version: int) -> None:
    snapshot = read(tiny().misc_info(version, pid=4711, times=(1_700_000_000, 12, 5)))
    assert snapshot.process.pid == 4711
    assert snapshot.process.created_at == dt.datetime.fromtimestamp(1_700_000_000, dt.UTC)
    assert (snapshot.process.user_time, snapshot.process.kernel_time) == (12, 5)
    assert stream(snapshot, "MiscInfo").status == "read"


def test_misc_info_without_flags_says_nothing() -> None:
    snapshot = read(tiny().misc_info(5, pid=None))
    assert snapshot.process.pid is None
    assert snapshot.process.created_at is None


def test_misc_info_that_is_too_short() -> None:
    snapshot = read(tiny().raw_stream(MISC_INFO, bytes(20)))
    assert "needs at least 24" in stream(snapshot, "MiscInfo").status


def test_system_memory_info() -> None:
    system = read(
        tiny().system_memory_info(
            physical_pages=0x100,
            available_pages=0x40,
            committed_pages=0x80,
            commit_limit_pages=0x200,
            peak_commitment_pages=0x90,
            minimum_address=0x10000,
            maximum_address=0x7FFFFFFEFFFF,
            processors=6,
        )
    ).system
    assert system.page_size == 0x1000
    assert system.allocation_granularity == 0x10000
    assert (system.min_address, system.max_address) == (0x10000, 0x7FFFFFFEFFFF)
    assert (system.physical_total, system.physical_available) == (0x100000, 0x40000)
    assert (system.commit_total, system.commit_limit, system.commit_peak) == (0x80000, 0x200000, 0x90000)
    assert system.processors == 6


@pytest.mark.parametrize("flags", [0, 1, 4, 0xFFFD])
def test_commit_is_unknown_where_the_flag_does_not_say_it_is_there(flags: int) -> None:
    system = read(tiny().system_memory_info(flags=flags)).system
    assert system.physical_total is not None
    assert system.commit_limit is None
    assert system.commit_total is None
    assert system.physical_available is None


@pytest.mark.parametrize("page_size", [0, 3, 100, 0xFFFFFFFF])
def test_a_page_size_that_cannot_be_is_refused(page_size: int) -> None:
    snapshot = read(tiny().system_memory_info(page_size=page_size))
    assert stream(snapshot, "SystemMemoryInfo").status == f"page size is {page_size:,}"
    assert snapshot.system.page_size == 0x1000
    assert snapshot.system.commit_limit is None


def test_process_vm_counters_2() -> None:
    counters = read(
        tiny().process_vm_counters(
            2,
            peak_working_set=1 << 20,
            working_set=2 << 20,
            pagefile_usage=3 << 20,
            peak_pagefile_usage=4 << 20,
            peak_virtual_size=5 << 20,
            virtual_size=6 << 20,
            private_usage=7 << 20,
            private_working_set=8 << 20,
            shared_commit=9 << 20,
        )
    ).counters
    assert counters.peak_working_set == 1 << 20
    assert counters.working_set == 2 << 20
    assert counters.pagefile_usage == 3 << 20
    assert counters.peak_pagefile_usage == 4 << 20
    assert counters.peak_virtual_size == 5 << 20
    assert counters.virtual_size == 6 << 20
    assert counters.private_usage == 7 << 20
    assert counters.private_working_set == 8 << 20
    assert counters.shared_commit_usage == 9 << 20
    assert counters.job_private_commit_limit is None


def test_process_vm_counters_1_is_no_prefix_of_version_2() -> None:
    counters = read(tiny().process_vm_counters(1, private_usage=77 << 12, working_set=5 << 12)).counters
    assert counters.private_usage == 77 << 12
    assert counters.working_set == 5 << 12
    assert counters.virtual_size is None
    assert counters.peak_virtual_size is None


def test_counters_whose_flags_are_clear_are_unknown() -> None:
    counters = read(tiny().process_vm_counters(2, flags=0x1)).counters
    assert counters.working_set is not None
    assert counters.private_usage is None
    assert counters.virtual_size is None
    assert counters.private_working_set is None


def test_job_limits() -> None:
    builder = tiny().process_vm_counters(2, flags=0x1F)
    job = struct.pack("<5Q", 11, 22, 33, 44, (1 << 64) - 1)
    counters = read(builder.patch(PROCESS_VM_COUNTERS, 112, job)).counters
    assert counters.job_private_commit_usage == 22
    assert counters.job_peak_private_commit_usage == 33
    assert counters.job_private_commit_limit == 44
    assert counters.job_total_commit_limit is None, "all ones mean that there is no limit"


def test_counters_of_an_unknown_revision_are_left_alone() -> None:
    snapshot = read(tiny().process_vm_counters(2).patch(PROCESS_VM_COUNTERS, 0, b"\x03\0"))
    assert stream(snapshot, "ProcessVmCounters").status == "unknown revision 3"
    assert snapshot.counters.private_usage is None


def test_cut_off_counters_cost_only_themselves() -> None:
    builder = tiny().system_memory_info().process_vm_counters(2)
    data = builder.build()
    snapshot = read(data[: builder.offset_of(PROCESS_VM_COUNTERS) + 100])
    assert snapshot.system.commit_limit is not None
    assert snapshot.counters.private_usage is None
    assert "needs bytes" in stream(snapshot, "ProcessVmCounters").status


def test_comments_in_both_encodings() -> None:
    snapshot = read(tiny().comment_a("taken by tool é").comment_w("größer ♥"))
    assert snapshot.comments == ("taken by tool é", "größer ♥")


def test_a_comment_that_is_no_text_is_decoded_with_replacement() -> None:
    assert read(tiny().comment_a(b"\xff\xfeabc\0")).comments == ("\ufffd\ufffdabc",)


def test_an_empty_comment_is_none() -> None:
    assert read(tiny().comment_a("")).comments == ()


def test_times_and_flags_of_the_header() -> None:
    source = read(MinidumpBuilder(flags=0x1806, timestamp=1_600_000_000).system_info()).source
    assert source.captured_at == dt.datetime.fromtimestamp(1_600_000_000, dt.UTC)
    assert source.flags == 0x1806


def test_the_memory_info_stream_is_named_as_the_sdk_names_it() -> None:
    builder = tiny().system_memory_info()
    snapshot = read(builder)
    found = stream(snapshot, "SystemMemoryInfo")
    assert (found.type, found.offset, found.size) == (21, builder.offset_of(SYSTEM_MEMORY_INFO), 492)
