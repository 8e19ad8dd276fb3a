"""Exception, HandleData, Breakpad's, Crashpad's and Linux's streams, the heap stream, and streams nobody knows."""

from __future__ import annotations

import struct

import pytest
from support.dumps import map_of, read, stream, tiny
from synth.minidump import (
    EXCEPTION,
    HANDLE_DATA,
    HEAP_STREAM,
    LINUX_MAPS,
    MEM_COMMIT,
    MEM_PRIVATE,
    PAGE_READWRITE,
    MinidumpBuilder,
    StreamHeap,
    StreamRange,
)

CRASHPAD_INFO = 0x43500001
BREAKPAD_INFO = 0x47670001
LINUX_STATUS = 0x47670004
LINUX_CMDLINE = 0x47670006

# ---------------------------------------------------------------- exception


@pytest.mark.parametrize("arch", ["x86", "x64", "arm", "arm64"])
def test_an_exception(arch: str) -> None:
    snapshot = read(
        tiny(arch).exception(
            42, 0xC0000005, 0x40_1000, (1, 0xDEAD), flags=1, context_sp=0x12_F000, context_ip=0x40_1000
        )
    )
    found = snapshot.exception
    assert found is not None
    assert (found.thread_id, found.code, found.flags, found.address) == (42, 0xC0000005, 1, 0x40_1000)
    assert found.parameters == (1, 0xDEAD)
    assert (found.stack_pointer, found.instruction_pointer) == (0x12_F000, 0x40_1000)


def test_more_parameters_than_fit() -> None:
    snapshot = read(tiny().exception(1, 0xE06D7363, 0, range(15), parameter_count=0xFFFFFFFF))
    assert snapshot.exception is not None
    assert snapshot.exception.parameters == tuple(range(15))
    assert "15 fit" in stream(snapshot, "Exception").status


def test_an_exception_of_no_thread_without_a_context() -> None:
    snapshot = read(tiny().exception(0, 0x80000003, 0, context=b""))
    assert snapshot.exception is not None
    assert snapshot.exception.thread_id is None
    assert snapshot.exception.stack_pointer is None


def test_a_cut_off_exception_costs_only_itself() -> None:
    builder = tiny().thread(1).exception(1, 0xC0000005, 0)
    data = builder.build()
    snapshot = read(data[: builder.offset_of(EXCEPTION) + 100])
    assert snapshot.exception is None
    assert stream(snapshot, "Exception").absence == "unreadable"
    assert len(snapshot.threads) == 1


# ---------------------------------------------------------------- handles


@pytest.mark.parametrize("version", [1, 2])
def test_handles_are_counted_by_type(version: int) -> None:
    builder = tiny()
    for number, kind in enumerate(["File", "File", "Event", None, "Key", "File"]):
        builder.handle(4 * (number + 1), kind, f"\\Device\\{number}", version=version)
    snapshot = read(builder)
    assert snapshot.handle_count == 6
    assert snapshot.handle_types == {"File": 3, "Event": 1, "unknown": 1, "Key": 1}


def test_handles_with_object_information() -> None:
    snapshot = read(tiny().handle(4, "Mutant", infos=[(1, b"abcd"), (2, b"efgh")]))
    assert snapshot.handle_types == {"Mutant": 1}


@pytest.mark.parametrize(("header_size", "entry_size"), [(16, 32), (24, 40), (16, 64), (100, 48)])
def test_larger_headers_and_entries_of_handles(header_size: int, entry_size: int) -> None:
    builder = tiny().handle(4, "File", version=1).handle(8, "Event", version=1)
    snapshot = read(builder.list_layout(HANDLE_DATA, header_size=header_size, entry_size=entry_size))
    assert snapshot.handle_types == {"File": 1, "Event": 1}
    assert snapshot.warnings == ()


@pytest.mark.parametrize("count", [3, 0xFFFFFFFF])
def test_a_handle_count_that_lies(count: int) -> None:
    snapshot = read(tiny().handle(4, "File").handle(8, "Event").lie_count(HANDLE_DATA, count))
    assert snapshot.handle_count == 2
    assert stream(snapshot, "HandleData").status == f"claims {count:,} entries, 2 fit"


@pytest.mark.parametrize(("offset", "value", "problem"), [(0, 8, "SizeOfHeader is 8"), (4, 16, "entries of 16 bytes")])
def test_handle_sizes_that_cannot_be(offset: int, value: int, problem: str) -> None:
    builder = tiny().handle(4, "File").patch(HANDLE_DATA, offset, struct.pack("<I", value))
    snapshot = read(builder)
    assert snapshot.handle_count is None
    assert problem in stream(snapshot, "HandleData").status


# ---------------------------------------------------------------- Breakpad, Crashpad, Linux


def test_breakpads_requesting_thread() -> None:
    assert read(tiny().breakpad_info(1, 2)).annotations == {"requesting_thread": "2"}
    assert read(tiny().breakpad_info(1)).annotations == {}


def crashpad(*, count: int | None = None, entries: tuple[tuple[str, str], ...] = (("a", "1"), ("ä", "ö"))) -> bytes:
    """A dump with a CrashpadInfo stream; its records lie behind the stream itself."""
    builder = tiny().raw_stream(CRASHPAD_INFO, bytes(52)).raw_stream(0xABCD, bytes(4096))
    data = bytearray(builder.build())
    at = builder.offset_of(0xABCD)
    dictionary = at
    struct.pack_into("<I", data, dictionary, len(entries) if count is None else count)
    strings = dictionary + 4 + 8 * len(entries)
    for index, entry in enumerate(entries):
        rvas = []
        for text in entry:
            encoded = text.encode()
            struct.pack_into("<I", data, strings, len(encoded))
            data[strings + 4 : strings + 4 + len(encoded)] = encoded
            rvas.append(strings)
            strings += 4 + len(encoded) + 1
        struct.pack_into("<II", data, dictionary + 4 + 8 * index, *rvas)
    info = builder.offset_of(CRASHPAD_INFO)
    struct.pack_into("<III", data, info, 1, 0, 0)
    struct.pack_into("<II", data, info + 36, 4 + 8 * len(entries), dictionary)
    return bytes(data)


def test_crashpads_simple_annotations() -> None:
    assert read(crashpad()).annotations == {"a": "1", "ä": "ö"}


def test_a_crashpad_count_that_lies() -> None:
    snapshot = read(crashpad(count=0xFFFFFFFF))
    assert snapshot.annotations == {"a": "1", "ä": "ö"}
    assert "2 fit" in stream(snapshot, "CrashpadInfo").status


def test_crashpad_without_annotations() -> None:
    snapshot = read(tiny().raw_stream(CRASHPAD_INFO, bytes(52)))
    assert snapshot.annotations == {}
    assert snapshot.warnings == ()


MAPS = """\
08048000-0804c000 r-xp 00000000 08:01 1234 /usr/bin/app
0804c000-0804d000 rw-p 00004000 08:01 1234 /usr/bin/app
09000000-09100000 rw-p 00000000 00:00 0 [heap]
b7000000-b7800000 ---p 00000000 00:00 0
b7800000-b7900000 rw-s 00000000 00:05 77 /dev/shm/segment
b7900000-b7a00000 r--p 00000000 08:01 99 /usr/share/data file.bin
bf000000-bf100000 rw-p 00000000 00:00 0 [stack]
"""


def linux(maps: str = MAPS) -> MinidumpBuilder:
    return MinidumpBuilder("x86").system_info(platform_id=0x8201).linux_maps(maps)


def test_linux_maps_make_a_map() -> None:
    m = map_of(linux())
    assert m.completeness == "map"
    frame = m.allocations.set_index("address")
    assert frame.loc[0x0804_8000]["type"] == "Image"
    assert frame.loc[0x0804_8000]["size"] == 0x5000
    assert frame.loc[0x0900_0000]["type"] == "Heap"
    assert frame.loc[0xB700_0000]["committed"] == 0
    assert frame.loc[0xB780_0000]["type"] == "Shareable"
    assert frame.loc[0xB790_0000]["type"] == "Mapped File"
    assert frame.loc[0xB790_0000]["details"] == "/usr/share/data file.bin"
    assert frame.loc[0xBF00_0000]["type"] == "Stack"
    assert m.system.allocation_granularity == 0x1000


def test_lines_that_are_no_mappings_are_counted() -> None:
    snapshot = read(linux(MAPS + "nonsense\n08-09\n"))
    assert stream(snapshot, "LinuxMaps").status == "2 lines are not in the format of /proc/PID/maps"
    assert snapshot.regions is not None


@pytest.mark.parametrize("end", ["\n", "\r\n", " \t\n", "\n\n"])
def test_the_lines_of_maps_can_end_in_many_ways(end: str) -> None:
    snapshot = read(linux(MAPS.replace("\n", end)))
    assert stream(snapshot, "LinuxMaps").status == "read"
    assert snapshot.regions is not None
    assert snapshot.regions.base.tolist() == read(linux()).regions.base.tolist()  # type: ignore[union-attr]
    assert snapshot.regions.texts["file"].values[-1] == "[stack]"
    assert "/usr/share/data file.bin" in snapshot.regions.texts["file"].values


@pytest.mark.parametrize("mark", ["\r", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"])
def test_a_name_in_maps_ends_at_whatever_ends_a_line(mark: str) -> None:
    snapshot = read(linux(f"00400000-00401000 r-xp 00000000 08:01 1 /bin/x{mark}y\n"))
    assert stream(snapshot, "LinuxMaps").status == "1 line is not in the format of /proc/PID/maps"
    assert snapshot.regions is not None
    assert snapshot.regions.texts["file"].values == ("/bin/x",)


@pytest.mark.parametrize("line", ["00402000-00401000", "00401000-00401000", "00401000-10000000000000001"])
def test_mappings_that_cannot_be_are_counted(line: str) -> None:
    snapshot = read(linux(f"{MAPS}{line} r-xp 00000000 08:01 1 /bin/x\n"))
    assert stream(snapshot, "LinuxMaps").status == "1 line is not in the format of /proc/PID/maps"
    assert snapshot.regions is not None
    assert len(snapshot.regions) == MAPS.count("\n")


def test_maps_text_that_is_cut_off() -> None:
    builder = linux()
    data = builder.build()
    snapshot = read(data[: builder.offset_of(LINUX_MAPS) + 100])
    assert snapshot.regions is not None
    assert len(snapshot.regions) == 1
    assert not snapshot.regions_complete


def test_maps_without_a_mapping() -> None:
    snapshot = read(linux("\n\n"))
    assert snapshot.regions is None
    assert stream(snapshot, "LinuxMaps").status == "has no line of /proc/PID/maps"


def test_the_kernels_page_is_not_user_space() -> None:
    m = map_of(
        MinidumpBuilder("x64")
        .system_info(platform_id=0x8201)
        .linux_maps(
            "00400000-00401000 r-xp 00000000 08:01 1 /bin/x\n"
            "ffffffffff600000-ffffffffff601000 r-xp 00000000 00:00 0 [vsyscall]\n"
        )
    )
    assert m.end == 0x40_1000
    assert len(m.space) == 1


def test_linux_status_and_command_line() -> None:
    status = b"Name:\tapp\nPid:\t321\nVmPeak:\t  2048 kB\nVmSize:\t  1024 kB\n"
    status += b"VmRSS:\t 512 kB\nVmHWM:\t600 kB\nVmPTE:\t 40 kB\n"
    snapshot = read(linux().raw_stream(LINUX_STATUS, status).raw_stream(LINUX_CMDLINE, b"/usr/bin/app\0--x\0"))
    assert snapshot.process.pid == 321
    assert snapshot.process.name == "app"
    assert snapshot.process.command_line == "/usr/bin/app --x"
    assert snapshot.counters.virtual_size == 1 << 20
    assert snapshot.counters.peak_virtual_size == 2 << 20
    assert snapshot.counters.working_set == 512 << 10
    assert snapshot.counters.peak_working_set == 600 << 10
    assert snapshot.counters.page_table == 40 << 10


@pytest.mark.parametrize(
    ("value", "size"),
    [("5 kB", 5 << 10), ("12 kB", 12 << 10), ("   7  kB", 7 << 10), (" kB", None), ("x kB", None), ("5 MB", None)],
)
def test_counters_of_linux_are_in_kilobytes(value: str, size: int | None) -> None:
    snapshot = read(linux().raw_stream(LINUX_STATUS, f"VmSize:\t{value}\nVmRSS:\t9 kB\n".encode()))
    assert (snapshot.counters.virtual_size, snapshot.counters.working_set) == (size, 9 << 10)


def test_an_absurd_number_in_linux_status_is_harmless() -> None:
    status = b"Pid:\t" + b"9" * 5000 + b"\nVmSize:\t" + b"9" * 5000 + b" kB\n"
    snapshot = read(linux().raw_stream(LINUX_STATUS, status))
    assert snapshot.regions is not None
    assert snapshot.process.pid is None or snapshot.process.pid > 0


# ---------------------------------------------------------------- the heap stream


def heaps(*extra: StreamRange) -> MinidumpBuilder:
    return tiny().heap_stream(
        [
            StreamHeap(0x10_0000, 1, kind=1, flags=2, name="größe"),
            StreamHeap(0x20_0000, 2, kind=16),
            StreamHeap(0, 9, 99),
        ],
        [
            StreamRange(0x10_0000, 0x1_0000, 1, committed=0x4000),
            StreamRange(0x20_0000, 0x2_0000, 2, kind=4),
            StreamRange(0x30_0000, 0x1000, 2, committed=0x1000, kind=77),
            *extra,
        ],
    )


def test_the_heap_stream() -> None:
    one, two, three = read(heaps()).heaps
    assert (one.id, one.address, one.kind, one.flags, one.name) == (1, 0x10_0000, "NT heap", 2, "größe")
    assert [(part.base, part.size, part.committed, part.kind) for part in one.ranges] == [
        (0x10_0000, 0x1_0000, 0x4000, "segment")
    ]
    assert (two.kind, two.name) == ("custom allocator", None)
    assert [(part.committed, part.kind) for part in two.ranges] == [(None, "arena"), (0x1000, "kind 77")]
    assert (three.kind, three.address, three.ranges) == ("kind 99", None, ())


def test_ranges_of_no_heap_and_impossible_ranges_are_said() -> None:
    builder = heaps(StreamRange(0x50_0000, 0x1000, 5), StreamRange(0x60_0000, 0, 1), StreamRange((1 << 64) - 8, 16, 1))
    status = stream(read(builder), "DumpmapHeaps").status
    assert "1 ranges belong to no heap" in status
    assert "2 ranges have no size or an impossible one" in status


@pytest.mark.parametrize(
    ("offset", "value", "kept"),
    [
        (8, 16, 0),  # SizeOfHeapEntry too small
        (12, 0xFFFFFFFF, 0),  # NumberOfHeaps
        (20, 0xFFFFFFFF, 3),  # NumberOfRanges
        (24, 0xFFFFFFF0, 0),  # StringsOffset
        (28, 0xFFFFFFFF, 0),  # StringsSize
        (0, 0, 0),  # Signature
        (6, 8, 0),  # SizeOfHeader, 16 bits
    ],
)
def test_numbers_of_the_heap_stream_that_lie(offset: int, value: int, kept: int) -> None:
    width = "<H" if offset == 6 else "<I"
    snapshot = read(heaps().patch(HEAP_STREAM, offset, struct.pack(width, value)))
    assert len(snapshot.heaps) >= kept
    assert stream(snapshot, "DumpmapHeaps").status != "read"
    assert snapshot.warnings


def test_heap_stream_entries_of_a_later_version() -> None:
    head = struct.pack("<IHHIIIIII", HEAP_STREAM, 2, 40, 48, 1, 56, 1, 0, 0) + b"\xee" * 8
    heap = struct.pack("<QIIIIQ", 0x10_0000, 7, 1, 0, 0xFFFFFFFF, 0) + b"\xee" * 16
    part = struct.pack("<QQQIIII", 0x10_0000, 0x1000, 0x1000, 7, 1, 0, 0) + b"\xee" * 16
    (found,) = read(tiny().raw_stream(HEAP_STREAM, head + heap + part)).heaps
    assert (found.id, found.address) == (7, 0x10_0000)
    assert [(part.base, part.size) for part in found.ranges] == [(0x10_0000, 0x1000)]


def test_heap_stream_ranges_become_heap() -> None:
    builder = heaps().region(0x10_0000, 0x1_0000, MEM_COMMIT, PAGE_READWRITE, MEM_PRIVATE)
    m = map_of(builder)
    row = m.allocations.set_index("address").loc[0x10_0000]
    assert row["type"] == "Heap"
    assert row["details"] == "Heap ID: 1 (größe)"
    assert "heap-stream" in row["evidence"]


# ---------------------------------------------------------------- anything else


@pytest.mark.parametrize("number", [0x1234, 0x8000, 0xFFF0, 0x43500002, 0xFFFFFFFF, 1, 2, 18, 19, 20, 23])
def test_streams_that_say_nothing_of_the_map_are_listed(number: int) -> None:
    snapshot = read(tiny().raw_stream(number, b"x" * 10))
    found = snapshot.source.streams[-1]
    assert (found.type, found.size, found.status) == (number, 10, "listed")
    assert snapshot.warnings == ()


def test_a_stream_without_a_name_is_shown_by_its_number() -> None:
    assert read(tiny().raw_stream(0x10101, b"x")).source.streams[-1].name == "0x10101"


def test_wines_own_stream_is_named() -> None:
    assert read(tiny().raw_stream(0xFFF0, b"x")).source.streams[-1].name == "WineElfModuleList"


def test_unused_directory_entries_are_left_out() -> None:
    snapshot = read(tiny().raw_stream(0, b"").raw_stream(0, b"").thread(1))
    assert [found.name for found in snapshot.source.streams] == ["SystemInfo", "ThreadList"]


@pytest.mark.parametrize(
    "number", [3, 4, 5, 6, 7, 9, 14, 15, 16, 17, 21, 22, 24, HEAP_STREAM, CRASHPAD_INFO, BREAKPAD_INFO]
)
def test_an_empty_stream_is_empty_and_no_fault(number: int) -> None:
    snapshot = read(MinidumpBuilder().thread(1).raw_stream(number, b""))
    found = next(found for found in reversed(snapshot.source.streams) if found.type == number)
    assert (found.status, found.absence) == ("empty", "absent")


@pytest.mark.parametrize(
    "number", [3, 4, 5, 6, 7, 9, 12, 14, 15, 16, 17, 21, 22, 24, HEAP_STREAM, CRASHPAD_INFO, BREAKPAD_INFO]
)
@pytest.mark.parametrize("size", [1, 3, 5, 11])
def test_a_stream_of_a_few_bytes_is_a_warning_at_most(number: int, size: int) -> None:
    snapshot = read(MinidumpBuilder().memory(0x1000, b"x").raw_stream(number, b"\xff" * size))
    assert snapshot.source.streams[-1].status not in ("read", "listed")
    assert snapshot.source.streams[-1].name in " ".join(snapshot.warnings)


@pytest.mark.parametrize("number", [3, 4, 5, 6, 7, 8, 9, 12, 14, 15, 16, 17, 21, 22, 24, HEAP_STREAM, CRASHPAD_INFO])
@pytest.mark.parametrize("fill", [0x00, 0x7F, 0xFF])
def test_a_stream_of_one_byte_repeated_never_raises(number: int, fill: int) -> None:
    map_of(MinidumpBuilder().system_info().memory(0x1000, b"x").raw_stream(number, bytes([fill]) * 600))
