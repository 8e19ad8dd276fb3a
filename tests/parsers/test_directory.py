"""The header and the directory: what is refused, what is survived."""

from __future__ import annotations

import os
import struct

import pytest
from support.dumps import read, stream, tiny
from synth.minidump import (
    MEM_COMMIT,
    MEM_PRIVATE,
    MEMORY_INFO_LIST,
    MODULE_LIST,
    PAGE_READWRITE,
    SYSTEM_INFO,
    THREAD_LIST,
    MinidumpBuilder,
)

import dumpmap
from dumpmap.errors import FormatError, InputError
from dumpmap.parsers.opening import open_snapshot


def small() -> MinidumpBuilder:
    return tiny().thread(1).module(0x40_0000, 0x1000, "a.exe")


@pytest.mark.parametrize("size", [4, 16, 31])
def test_a_header_that_is_cut_off(size: int) -> None:
    with pytest.raises(FormatError, match="cut off inside the minidump header"):
        dumpmap.open(small().build()[:size])


@pytest.mark.parametrize("size", [32, 33, 43])
def test_a_file_that_ends_before_the_directory(size: int) -> None:
    with pytest.raises(FormatError, match="cut off before the stream directory"):
        dumpmap.open(small().build()[:size])


def test_a_directory_that_is_cut_off_gives_the_entries_that_are_whole() -> None:
    builder = small()
    data = bytearray(builder.build())
    # The directory is moved to the end of the file and the file cut inside its last entry.
    directory = data[32 : 32 + 36]
    struct.pack_into("<I", data, 12, len(data))
    snapshot = read(bytes(data + directory[:30]))
    assert [found.name for found in snapshot.source.streams] == ["SystemInfo", "ThreadList"]
    assert any("claims 3 entries, 2 fit" in warning for warning in snapshot.warnings)


def test_no_streams() -> None:
    with pytest.raises(FormatError, match="minidump has no streams"):
        dumpmap.open(MinidumpBuilder().build())


@pytest.mark.parametrize("count", [4096, 4097, 0xFFFFFFFF])
def test_a_stream_count_that_lies(count: int) -> None:
    snapshot = read(small().header_lie(stream_count=count))
    names = [found.name for found in snapshot.source.streams]
    assert names[:3] == ["SystemInfo", "ThreadList", "ModuleList"]
    assert snapshot.warnings


@pytest.mark.parametrize("rva", [0x7FFFFFFF, 0xFFFFFFFF, 1 << 20])
def test_a_directory_outside_the_file(rva: int) -> None:
    with pytest.raises(FormatError, match="cut off before the stream directory"):
        dumpmap.open(small().header_lie(directory_rva=rva).build())


def test_a_directory_that_is_the_header_itself() -> None:
    with pytest.raises(FormatError):
        dumpmap.open(small().header_lie(directory_rva=0).build())


def test_another_signature_is_not_a_minidump() -> None:
    with pytest.raises(FormatError, match="not a format that dumpmap reads"):
        dumpmap.open(small().header_lie(signature=0x12345678).build())


def test_a_version_that_is_not_a_minidumps_is_said_and_read() -> None:
    snapshot = read(MinidumpBuilder(version=0x1111).system_info().thread(1))
    assert any("version 0x1111" in warning for warning in snapshot.warnings)
    assert len(snapshot.threads) == 1


def test_the_high_half_of_the_version_is_the_writers_own() -> None:
    assert read(MinidumpBuilder(version=0x1234A793).system_info().thread(1)).warnings == ()


@pytest.mark.parametrize("rva", [0, 32, 0x7FFFFFFF, 0xFFFFFFFF])
@pytest.mark.parametrize("number", [SYSTEM_INFO, THREAD_LIST, MODULE_LIST])
def test_a_stream_at_a_false_place_costs_only_itself(number: int, rva: int) -> None:
    snapshot = read(small().lie(number, rva=rva))
    others = {SYSTEM_INFO, THREAD_LIST, MODULE_LIST} - {number}
    for found in snapshot.source.streams:
        if found.type in others:
            assert found.status == "read"


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFFFFF])
def test_a_stream_that_claims_to_be_larger_than_the_file(size: int) -> None:
    snapshot = read(small().lie(MODULE_LIST, size=size))
    assert [module.name for module in snapshot.modules] == ["a.exe"]


def test_a_listed_stream_beyond_the_end_is_said() -> None:
    snapshot = read(small().raw_stream(18, b"x" * 8).lie(18, size=1 << 20))
    assert any("before the end of: HandleOperationList" in warning for warning in snapshot.warnings)


def test_of_two_streams_of_one_type_the_first_counts() -> None:
    builder = small().new_stream(MODULE_LIST).module(0x50_0000, 0x1000, "b.dll")
    snapshot = read(builder)
    assert [module.name for module in snapshot.modules] == ["a.exe"]
    assert snapshot.source.streams[-1].status == "not read: a second stream of this type"
    assert any("second stream" in warning for warning in snapshot.warnings)


@pytest.mark.parametrize("count", [2, 3, 9])
def test_a_list_that_is_named_many_times_is_one_warning(count: int) -> None:
    builder = small()
    for _ in range(count - 1):
        builder.new_stream(MODULE_LIST).module(0x50_0000, 0x1000, "b.dll")
    snapshot = read(builder)
    assert sum("second stream" in warning for warning in snapshot.warnings) == 1
    assert [found.status for found in snapshot.source.streams if found.type == MODULE_LIST] == [
        "read",
        *["not read: a second stream of this type"] * (count - 1),
    ]


def test_of_two_memory_info_lists_the_first_counts() -> None:
    builder = tiny().region(0x1_0000, 0x1000, MEM_COMMIT, PAGE_READWRITE, MEM_PRIVATE).new_stream(MEMORY_INFO_LIST)
    builder.region(0x9_0000, 0x1000, MEM_COMMIT, PAGE_READWRITE, MEM_PRIVATE)
    snapshot = read(builder)
    assert snapshot.regions is not None
    assert snapshot.regions.base.tolist() == [0x1_0000]


def test_a_second_stream_is_read_where_the_first_cannot_be() -> None:
    builder = small().new_stream(MODULE_LIST).module(0x50_0000, 0x1000, "b.dll").lie(MODULE_LIST, rva=0xFFFFFFFF)
    assert [module.name for module in read(builder).modules] == ["b.dll"]


def test_streams_are_read_in_the_order_that_they_need_each_other() -> None:
    builder = MinidumpBuilder("x86").thread(1, context_sp=0x12_0000, stack=(0x12_0000, b"x")).thread_name(1, "late")
    snapshot = read(builder.system_info())
    assert snapshot.threads[0].stack_pointer == 0x12_0000
    assert [found.name for found in snapshot.source.streams] == ["ThreadList", "ThreadNames", "SystemInfo"]


def test_every_stream_keeps_its_place_size_and_status() -> None:
    builder = small()
    snapshot = read(builder)
    found = stream(snapshot, "ModuleList")
    assert (found.offset, found.size) == (builder.offset_of(MODULE_LIST), builder.size_of(MODULE_LIST))
    assert found.status == "read"


def test_a_dump_with_nothing_to_make_a_map_of_is_refused_in_one_line() -> None:
    with pytest.raises(FormatError, match="the minidump has no readable regions, modules, threads, or memory"):
        dumpmap.open(tiny().build())


def test_a_device_is_no_file() -> None:
    with pytest.raises(InputError, match="is a device, not a file"):
        open_snapshot(os.devnull)
