"""The builder against the Windows SDK's numbers, read back with `struct` and nothing else."""

from __future__ import annotations

import itertools
import struct
from pathlib import Path

import pytest

from . import layouts
from . import minidump as md
from .contexts import CONTEXTS, build_context
from .images import Section
from .minidump import MinidumpBuilder, StreamHeap, StreamRange
from .process import ProcessBuilder
from .space import GRANULARITY, PAGE, AddressSpace

Directory = list[tuple[int, int, int]]

PROCESSES = [
    ("x86", 2600, False),
    ("x64", 3790, False),
    ("x86", 7601, False),
    ("x64", 7601, False),
    ("x86", 7601, True),
    ("x64", 7601, True),
    ("x64", 9600, False),
    ("x86", 14393, True),
    ("x64", 19045, False),
    ("x86", 19045, True),
    ("x64", 19045, True),
    ("x86", 26100, True),
    ("arm64", 26100, False),
]


def directory(dump: bytes) -> Directory:
    """Returns (type, size, rva) of each stream, from the header on."""
    signature, _, count, rva = struct.unpack_from("<IIII", dump)
    assert signature == 0x504D444D
    return [struct.unpack_from("<III", dump, rva + 12 * index) for index in range(count)]


def stream(dump: bytes, stream_type: int, index: int = 0) -> bytes:
    """Returns the bytes of the index-th stream of a type."""
    found = [(size, rva) for kind, size, rva in directory(dump) if kind == stream_type]
    size, rva = found[index]
    assert rva + size <= len(dump)
    return dump[rva : rva + size]


def text_at(dump: bytes, rva: int) -> str:
    """Returns the MINIDUMP_STRING at an RVA."""
    (length,) = struct.unpack_from("<I", dump, rva)
    assert dump[rva + 4 + length : rva + 6 + length] == b"\0\0"
    return dump[rva + 4 : rva + 4 + length].decode("utf-16-le")


def test_header_is_32_bytes_and_the_directory_follows() -> None:
    dump = MinidumpBuilder("x64", flags=0x802, timestamp=77).system_info().misc_info().build()
    assert struct.unpack_from("<IIIIIIQ", dump) == (0x504D444D, 0xA793, 2, 32, 0, 77, 0x802)
    assert [entry[0] for entry in directory(dump)] == [7, 15]


def test_streams_are_aligned_and_inside_the_file() -> None:
    dump = MinidumpBuilder().system_info().thread(1).comment_a("x").memory(0x1000, b"abc").build()
    for _, size, rva in directory(dump):
        assert rva % 8 == 0
        assert rva + size <= len(dump)


@pytest.mark.parametrize(
    ("arch", "size", "sp_at"),
    [("x86", 716, 0xC4), ("x64", 1232, 0x98), ("arm64", 912, 0x100), ("arm", 416, 0x38)],
)
def test_context_sizes_and_stack_pointer(arch: str, size: int, sp_at: int) -> None:
    record = build_context(arch, sp=0x12345670, ip=0x400000)
    assert len(record) == size
    assert record[sp_at : sp_at + 4] == bytes.fromhex("70563412")
    flags_at = 0x30 if arch == "x64" else 0
    family = {"x86": 0x10000, "x64": 0x100000, "arm": 0x200000, "arm64": 0x400000}[arch]
    assert struct.unpack_from("<I", record, flags_at)[0] & family


def test_context_of_an_unknown_architecture_is_refused() -> None:
    with pytest.raises(ValueError, match="no CONTEXT"):
        build_context("ia64")
    assert "ia64" not in CONTEXTS


def test_system_info_is_56_bytes() -> None:
    dump = MinidumpBuilder("x86").system_info(build=7601, major=6, minor=1, service_pack="SP 1").build()
    body = stream(dump, 7)
    assert len(body) == 56
    architecture, _, _, processors, _, major, minor, build, platform, rva = struct.unpack_from("<HHHBBIIIII", body)
    assert (architecture, processors, major, minor, build, platform) == (0, 4, 6, 1, 7601, 2)
    assert text_at(dump, rva) == "SP 1"


@pytest.mark.parametrize(("version", "size"), [(1, 24), (2, 44), (3, 232), (4, 832), (5, 1364)])
def test_misc_info_sizes(version: int, size: int) -> None:
    dump = MinidumpBuilder().misc_info(version, pid=42, times=(1, 2, 3), cookie=9).build()
    body = stream(dump, 15)
    assert len(body) == size
    assert struct.unpack_from("<III", body) == (size, 0x203 if version == 5 else 3, 42)


def test_misc_info_texts_stand_where_the_sdk_has_them() -> None:
    dump = MinidumpBuilder().misc_info(5, build_string="10.0.1", timezone=(1, -60, "CET", "CEST"))
    body = stream(dump.build(), 15)
    assert body[44 + 16 + 4 :].startswith("CET\0".encode("utf-16-le"))
    assert body[232:].startswith("10.0.1\0".encode("utf-16-le"))


def test_thread_records_are_48_and_64_bytes() -> None:
    data = bytes(range(256)) * 2
    builder = MinidumpBuilder("x64").thread(7, teb=0x1000, stack=(0x5000, data), context_ip=0xCAFE)
    dump = builder.thread_ex(8, stack=(0x7000, b"abcd"), backing_store=(0x9000, b"xy")).build()
    body = stream(dump, 3)
    assert len(body) == 4 + 48
    count, tid, _, _, _, teb, start, size, rva, context_size, context_rva = struct.unpack("<IIIIIQQIIII", body)
    assert (count, tid, teb, start, size) == (1, 7, 0x1000, 0x5000, 512)
    assert dump[rva : rva + size] == data
    context = dump[context_rva : context_rva + context_size]
    assert (len(context), *struct.unpack_from("<Q", context, 0x98)) == (1232, 0x5000)
    assert struct.unpack_from("<Q", context, 0xF8) == (0xCAFE,)
    extended = stream(dump, 8)
    assert len(extended) == 4 + 64
    start, size, rva = struct.unpack_from("<QII", extended, 4 + 48)
    assert (start, dump[rva : rva + size]) == (0x9000, b"xy")


def test_stack_and_memory_list_share_their_bytes() -> None:
    dump = MinidumpBuilder().thread(1, stack=(0x5000, b"s" * 64)).memory(0x5000, b"s" * 64).build()
    stack_rva = struct.unpack_from("<I", stream(dump, 3), 4 + 36)[0]
    assert struct.unpack("<IQII", stream(dump, 5)) == (1, 0x5000, 64, stack_rva)


def test_stack_range_of_a_full_dump_has_no_rva() -> None:
    dump = MinidumpBuilder().thread(1, stack_range=(0x5000, 0x1000)).build()
    assert struct.unpack_from("<QII", stream(dump, 3), 4 + 24) == (0x5000, 0x1000, 0)


def test_module_record_is_108_bytes() -> None:
    codeview = md.rsds("a.pdb", age=3)
    builder = MinidumpBuilder().module(
        0x400000, 0x5000, "C:\\a.exe", timestamp=5, checksum=6, version=(1, 2, 3, 4), codeview=codeview
    )
    dump = builder.build()
    body = stream(dump, 4)
    assert len(body) == 4 + 108
    base, size, checksum, timestamp, name = struct.unpack_from("<QIIII", body, 4)
    assert (base, size, checksum, timestamp, text_at(dump, name)) == (0x400000, 0x5000, 6, 5, "C:\\a.exe")
    assert struct.unpack_from("<IIII", body, 4 + 24) == (0xFEEF04BD, 0x10000, 0x10002, 0x30004)
    size, rva = struct.unpack_from("<II", body, 4 + 24 + 52)
    assert dump[rva : rva + size] == codeview
    assert codeview[:4] == b"RSDS"
    assert codeview.endswith(b"a.pdb\0")


def test_sized_lists_state_and_keep_their_sizes() -> None:
    builder = MinidumpBuilder().unloaded_module(0x1000, 0x2000, "old.dll", timestamp=3)
    dump = builder.thread_info(9, start_address=0x77, kernel_time=5).build()
    unloaded = stream(dump, 14)
    assert struct.unpack_from("<III", unloaded) == (12, 24, 1)
    assert len(unloaded) == 12 + 24
    assert text_at(dump, struct.unpack_from("<I", unloaded, 12 + 20)[0]) == "old.dll"
    info = stream(dump, 17)
    assert struct.unpack_from("<III", info) == (12, 64, 1)
    assert len(info) == 12 + 64
    fields = struct.unpack_from("<IIII6Q", info, 12)
    assert (fields[0], fields[6], fields[8]) == (9, 5, 0x77)


def test_thread_name_is_12_bytes_with_a_64_bit_rva() -> None:
    dump = MinidumpBuilder().thread_name(5, "worker").thread_name(6, "\N{SNOWMAN}").build()
    body = stream(dump, 24)
    assert len(body) == 4 + 2 * 12
    names = [struct.unpack_from("<IQ", body, 4 + 12 * index) for index in range(2)]
    assert [(tid, text_at(dump, rva)) for tid, rva in names] == [(5, "worker"), (6, "\N{SNOWMAN}")]


def test_memory_info_list_has_a_header_of_16_bytes() -> None:
    builder = MinidumpBuilder().region(0, 0x10000, md.MEM_FREE, md.PAGE_NOACCESS, 0)
    builder.region(0x10000, 0x1000, md.MEM_COMMIT, 0x104, md.MEM_PRIVATE, allocation_protect=4)
    body = stream(builder.build(), 16)
    assert struct.unpack_from("<IIQ", body) == (16, 48, 2)
    assert len(body) == 16 + 2 * 48
    assert struct.unpack_from("<QQIIQIIII", body, 16) == (0, 0, 0, 0, 0x10000, 0x10000, 1, 0, 0)
    second = (0x10000, 0x10000, 4, 0, 0x1000, 0x1000, 0x104, 0x20000, 0)
    assert struct.unpack_from("<QQIIQIIII", body, 64) == second


def test_larger_headers_and_entries_are_filled_with_junk() -> None:
    builder = MinidumpBuilder().region(0x10000, 0x1000, md.MEM_COMMIT, 4, md.MEM_PRIVATE)
    body = stream(builder.list_layout(16, header_size=24, entry_size=64).build(), 16)
    assert struct.unpack_from("<IIQ", body) == (24, 64, 1)
    assert len(body) == 24 + 64
    assert body[16:24] == body[24 + 48 :][:8] == b"\xee" * 8
    assert struct.unpack_from("<Q", body, 24) == (0x10000,)


def test_exception_stream_is_168_bytes() -> None:
    dump = MinidumpBuilder("x86").exception(3, 0xC0000005, 0x401000, (1, 0xDEAD), context_sp=0x500).build()
    body = stream(dump, 6)
    assert len(body) == 168
    assert struct.unpack_from("<IIIIQQII", body) == (3, 0, 0xC0000005, 0, 0, 0x401000, 2, 0)
    assert struct.unpack_from("<QQ", body, 40) == (1, 0xDEAD)
    size, rva = struct.unpack_from("<II", body, 160)
    assert size == 716
    assert struct.unpack_from("<I", dump, rva + 0xC4) == (0x500,)


def test_handle_descriptors_are_32_or_40_bytes() -> None:
    one = stream(MinidumpBuilder().handle(4, "File", "\\x", version=1).build(), 12)
    assert struct.unpack_from("<IIII", one) == (16, 32, 1, 0)
    assert len(one) == 48
    dump = MinidumpBuilder().handle(4, "File", None, infos=[(1, b"ab"), (2, b"cd")]).build()
    two = stream(dump, 12)
    assert struct.unpack_from("<IIII", two) == (16, 40, 1, 0)
    assert len(two) == 56
    value, type_name, object_name = struct.unpack_from("<QII", two, 16)
    assert (value, text_at(dump, type_name), object_name) == (4, "File", 0)
    first = struct.unpack_from("<I", two, 16 + 32)[0]
    following, kind, size = struct.unpack_from("<III", dump, first)
    assert (kind, size, dump[first + 12 : first + 14]) == (1, 2, b"ab")
    assert struct.unpack_from("<III", dump, following) == (0, 2, 2)


def test_system_memory_info_is_492_bytes() -> None:
    dump = MinidumpBuilder("x64").system_memory_info(
        physical_pages=111, available_pages=222, committed_pages=333, commit_limit_pages=444
    )
    body = stream(dump.build(), 21)
    assert len(body) == 492
    assert struct.unpack_from("<HH", body) == (1, 0xF)
    assert struct.unpack_from("<6I", body, 4)[1:3] == (0x1000, 111)
    assert struct.unpack_from("<QQ", body, 4 + 24) == (0x10000, 0x7FFFFFFEFFFF)
    assert struct.unpack_from("<3Q", body, 4 + 52 + 60) == (222, 333, 444)
    assert struct.unpack_from("<3I", body, 4 + 52 + 60 + 32 + 32 + 12) == (222, 333, 444)


def test_vm_counters_are_80_or_152_bytes_and_no_prefix_of_each_other() -> None:
    one = stream(MinidumpBuilder().process_vm_counters(1, private_usage=5, working_set=6).build(), 22)
    assert (len(one), *struct.unpack_from("<H", one)) == (80, 1)
    assert struct.unpack_from("<Q", one, 16) == (6,)
    assert struct.unpack_from("<Q", one, 72) == (5,)
    two = stream(MinidumpBuilder().process_vm_counters(2, private_usage=5, virtual_size=6).build(), 22)
    assert (len(two), *struct.unpack_from("<HH", two)) == (152, 2, 0xF)
    assert struct.unpack_from("<QQ", two, 80) == (6, 5)


def test_comments_breakpad_info_and_maps() -> None:
    builder = MinidumpBuilder().comment_a("hi").comment_w("ho").breakpad_info(requesting_thread=4)
    dump = builder.linux_maps("00400000-00401000 r-xp 0 0 0 /bin/x\n").build()
    assert stream(dump, 10) == b"hi\0"
    assert stream(dump, 11) == b"h\0o\0\0\0"
    assert stream(dump, 0x47670001) == struct.pack("<III", 2, 0, 4)
    assert stream(dump, 0x47670009).startswith(b"00400000-")


def test_memory64_lies_at_the_end_in_order() -> None:
    builder = MinidumpBuilder().memory64(0x1000, b"a" * 10).memory64(0x3000, b"b" * 20).comment_a("x")
    dump = builder.build()
    count, base_rva, *ranges = struct.unpack("<QQQQQQ", stream(dump, 9))
    assert (count, ranges) == (2, [0x1000, 10, 0x3000, 20])
    assert dump[base_rva:] == b"a" * 10 + b"b" * 20
    assert builder.memory64_offset_of(0x3000) == base_rva + 10


def test_holes_are_written_as_holes(tmp_path: Path) -> None:
    builder = MinidumpBuilder().memory64(0x1000, b"head").memory64_hole(0x10000, 8 << 30)
    path = builder.memory64(0x500000000, b"tail").write(tmp_path / "big.dmp")
    assert path.stat().st_size == builder.size > 8 << 30
    assert getattr(path.stat(), "st_blocks", 0) * 512 < 1 << 20
    with path.open("rb") as file:
        file.seek(builder.memory64_offset_of(0x500000000))
        assert file.read() == b"tail"


def test_heap_stream_layout() -> None:
    heaps = [StreamHeap(0x20000, 1, name="arena"), StreamHeap(0x30000, 2, kind=16)]
    ranges = [StreamRange(0x20000, 0x10000, 1, committed=0x3000), StreamRange(0x90000, 0x1000, 2, kind=4)]
    body = stream(MinidumpBuilder().heap_stream(heaps, ranges).build(), 0x50484D44)
    assert struct.unpack_from("<IHHIIIIII", body) == (0x50484D44, 1, 32, 32, 2, 40, 2, 176, 6)
    assert struct.unpack_from("<QIIIIQ", body, 32) == (0x20000, 1, 1, 0, 0, 0)
    assert struct.unpack_from("<QIIIIQ", body, 64) == (0x30000, 2, 16, 0, 0xFFFFFFFF, 0)
    assert struct.unpack_from("<QQQIIII", body, 96) == (0x20000, 0x10000, 0x3000, 1, 1, 0, 0)
    assert struct.unpack_from("<QQQIIII", body, 136) == (0x90000, 0x1000, 2**64 - 1, 2, 4, 0, 0)
    assert body[176:] == b"arena\0"


def test_several_empty_and_raw_streams() -> None:
    builder = MinidumpBuilder().thread(1).new_stream(3).thread(2).raw_stream(0xFFF0, b"").raw_stream(99, b"z")
    dump = builder.build()
    assert [entry[0] for entry in directory(dump)] == [3, 3, 0xFFF0, 99]
    assert [struct.unpack_from("<II", stream(dump, 3, index)) for index in (0, 1)] == [(1, 1), (1, 2)]
    assert (stream(dump, 0xFFF0), stream(dump, 99)) == (b"", b"z")


def test_lies_patches_and_offsets() -> None:
    builder = MinidumpBuilder().thread(1).comment_a("good").lie(3, size=0xFFFFFFFF, rva=0x80000000)
    builder.patch(10, 1, b"00").lie_count(3, 0xFFFFFFFF).header_lie(stream_count=1000)
    dump = builder.build()
    assert struct.unpack_from("<I", dump, 8) == (1000,)
    entry = struct.unpack_from("<III", dump, builder.directory_offset_of(3))
    assert entry == (3, 0xFFFFFFFF, 0x80000000)
    assert struct.unpack_from("<I", dump, builder.offset_of(3)) == (0xFFFFFFFF,)
    assert dump[builder.offset_of(10) :][: builder.size_of(10)] == b"g00d\0"
    with pytest.raises(KeyError):
        builder.offset_of(4)


def test_build_twice_gives_the_same_file() -> None:
    builder = ProcessBuilder("x64").furnish().to_minidump()
    assert builder.build() == builder.build()


# --- address space -----------------------------------------------------------------------------


def test_regions_split_join_and_leave_gaps() -> None:
    space = AddressSpace(8, 0x200000)
    base = space.allocate(0x10000, base=0x20000, commit=0x2000)
    space.commit(base + 0x2000, 0x1000)
    space.protect(base, PAGE, md.PAGE_READONLY)
    runs = [(r.base, r.size, r.state, r.protect) for r in space.regions()]
    assert runs == [
        (0, 0x20000, md.MEM_FREE, 1),
        (0x20000, 0x1000, md.MEM_COMMIT, 2),
        (0x21000, 0x2000, md.MEM_COMMIT, 4),
        (0x23000, 0xD000, md.MEM_RESERVE, 0),
        (0x30000, 0x1D0000, md.MEM_FREE, 1),
    ]


def test_allocations_are_aligned_and_never_overlap() -> None:
    space = AddressSpace(4, 0x1000000)
    bases = [space.allocate(0x1001) for _ in range(3)]
    assert all(base % GRANULARITY == 0 for base in bases)
    with pytest.raises(ValueError, match="overlaps"):
        space.allocate(0x1000, base=bases[0] + 0x1000)
    with pytest.raises(KeyError):
        space.allocation_at(bases[0] + 0x2000)


def test_writes_need_committed_memory_and_cross_pages() -> None:
    space = AddressSpace(8, 0x1000000)
    base = space.allocate(0x4000, commit=0x2000)
    space.write(base + 0xFFE, b"abcd")
    assert space.read(base + 0xFFC, 8) == b"\0\0abcd\0\0"
    with pytest.raises(ValueError, match="not all committed"):
        space.write(base + 0x1FFE, b"abcd")


def test_captured_memory_skips_dropped_guarded_and_untouched_pages() -> None:
    space = AddressSpace(8, 0x1000000)
    base = space.allocate(0x6000)
    for page in (0, 1, 2, 4):
        space.write(base + page * PAGE, bytes([page + 1]))
    space.drop_page(base + PAGE + 5)
    space.protect(base + 4 * PAGE, PAGE, md.PAGE_READWRITE | md.PAGE_GUARD)
    captured = space.captured()
    assert [(a - base, len(d), d[0]) for a, d in captured] == [(0, PAGE, 1), (2 * PAGE, PAGE, 3)]
    whole = space.captured(zeros=True)
    assert [(a - base, len(d)) for a, d in whole] == [(0, PAGE), (2 * PAGE, 2 * PAGE), (5 * PAGE, PAGE)]


# --- processes ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("arch", "build", "wow64"), PROCESSES)
def test_regions_cover_the_space_without_gap(arch: str, build: int, wow64: bool) -> None:
    process = ProcessBuilder(arch, build, wow64).furnish()
    regions = process.regions(process.limit)
    assert regions[0].base == 0
    assert regions[-1].end == process.limit
    assert all(a.end == b.base for a, b in itertools.pairwise(regions))
    assert all(region.size % PAGE == 0 for region in regions)
    dumped = stream(process.to_minidump().build(), 16)
    assert struct.unpack_from("<IIQ", dumped) == (16, 48, len(regions))


@pytest.mark.parametrize(("arch", "build", "wow64"), PROCESSES)
def test_tebs_point_at_themselves_their_stack_and_peb(arch: str, build: int, wow64: bool) -> None:
    process = ProcessBuilder(arch, build, wow64).furnish()
    thread = process.add_thread(name="second")
    width = process.pointer_size
    wide = width == 8

    def field(name: str) -> int:
        return process.read_pointer(thread.teb + layouts.TEB[name][wide])

    assert field("Self") == thread.teb
    assert field("UniqueThread") == thread.tid
    assert field("ProcessEnvironmentBlock") == process.peb
    assert field("DeallocationStack") == thread.stack.base
    assert field("StackBase") == thread.stack.top
    assert field("StackLimit") == thread.stack.limit
    states = [(r.state, r.protect) for r in process.regions() if thread.stack.base <= r.base < thread.stack.top]
    assert states == [(md.MEM_RESERVE, 0), (md.MEM_COMMIT, 0x104), (md.MEM_COMMIT, 4)]


def test_wow64_tebs_find_each_other_by_the_rules_of_their_windows() -> None:
    for build, offset in ((7601, 0), (9600, 0), (10240, 0x2000), (19045, 0x2000), (26100, 0x2000)):
        process = ProcessBuilder("x64", build, wow64=True).furnish()
        thread = process.threads[0]
        assert thread.teb64 is not None
        assert thread.teb32 == thread.teb64 + 0x2000 == thread.teb
        assert process.read_number(thread.teb64, 8) == thread.teb32
        assert process.read_number(thread.teb32 + 0xF70, 4) == thread.teb64
        assert process.read_number(thread.teb64 + 0x180C, 4) == offset
        assert process.read_number(thread.teb32 + 0xFDC, 4) == -offset % 2**32
        assert process.read_number(thread.teb64 + 0x60, 8) == process.peb64
        assert process.read_number(thread.teb32 + 0x30, 4) == process.peb32
        assert process.peb32 is not None
        assert process.peb64 is not None
        assert process.peb32 - process.peb64 == (-PAGE if build < 10240 else PAGE)


def test_dump_of_a_wow64_process_depends_on_its_writer() -> None:
    for arch, teb_of, processor in (("x86", "teb32", 0), ("x64", "teb64", 9)):
        process = ProcessBuilder(arch, 19045, wow64=True).furnish()
        dump = process.to_minidump().build()
        assert struct.unpack_from("<H", stream(dump, 7)) == (processor,)
        teb = struct.unpack_from("<Q", stream(dump, 3), 4 + 16)[0]
        assert teb == getattr(process.threads[0], teb_of)


def test_since_1703_peb_and_tebs_share_one_reservation() -> None:
    old, new = (ProcessBuilder("x64", build).furnish() for build in (14393, 15063))
    for process, shared in ((old, False), (new, True)):
        peb = process.allocation_at(process.peb)
        teb = process.allocation_at(process.threads[0].teb)
        assert (peb is teb) == shared
        assert (peb.base == process.peb) != shared


def test_modules_have_real_headers_and_one_region_per_protection() -> None:
    for arch, magic in (("x86", 0x10B), ("x64", 0x20B)):
        process = ProcessBuilder(arch)
        module = process.add_module("a.dll", exports={"Zed": 0x1010, "Alpha": 0x1000})
        header = process.read(module.base, PAGE)
        assert header[:2] == b"MZ"
        (pe_at,) = struct.unpack_from("<I", header, 0x3C)
        assert header[pe_at : pe_at + 4] == b"PE\0\0"
        sections, optional_size = (struct.unpack_from("<H", header, pe_at + at)[0] for at in (6, 20))
        assert struct.unpack_from("<H", header, pe_at + 24) == (magic,)
        assert struct.unpack_from("<I", header, pe_at + 24 + 56) == (module.size,)
        table = pe_at + 24 + optional_size
        names = [header[table + 40 * i :][:8].rstrip(b"\0") for i in range(sections)]
        assert names == [b".text", b".rdata", b".data", b".rsrc", b".reloc"]
        directory_at = pe_at + 24 + (112 if magic == 0x20B else 96)
        rva, _ = struct.unpack_from("<II", header, directory_at)
        count, functions, name_table = struct.unpack("<III", process.read(module.base + rva + 24, 12))
        assert count == 2
        first_name = process.read_number(module.base + name_table, 4)
        assert process.read(module.base + first_name, 6) == b"Alpha\0"
        assert process.read_number(module.base + functions, 4) == 0x1000
        protections = [r.protect for r in process.regions() if r.allocation_base == module.base]
        assert protections == [0x02, 0x20, 0x02, 0x04, 0x02]


def test_sections_can_leave_holes() -> None:
    process = ProcessBuilder("x86")
    module = process.add_module("b.dll", sections=[Section(".a", 0x10), Section(".b", 0x10, rva=0x5000)])
    states = [r.state for r in process.regions() if r.allocation_base == module.base]
    assert states == [md.MEM_COMMIT, md.MEM_RESERVE, md.MEM_COMMIT]


@pytest.mark.parametrize(("arch", "build", "wow64"), PROCESSES)
def test_peb_names_regions_by_the_offset_tables(arch: str, build: int, wow64: bool) -> None:
    process = ProcessBuilder(arch, build, wow64).furnish()
    wide = process.pointer_size == 8

    def field(offset32: int, offset64: int) -> int:
        return process.read_pointer(process.peb + (offset64 if wide else offset32))

    assert field(0x4C, 0x88) == process.named["CSR shared memory"]
    assert field(0x94, 0xF8) == process.named["GDI handle table"]
    assert field(0x38, 0x68) == process.named.get("ApiSet map", 0)
    assert field(0x10, 0x20) == process.named["process parameters"]
    assert field(0x1F8, 0x2F8) == process.named["process activation context"]
    assert field(0x200, 0x308) == process.named["system activation context"]
    assert field(0x58, 0xA0) == (0 if build >= 22000 else process.named["NLS tables"])
    assert process.read_number(process.peb + (0x120 if wide else 0xAC), 2) == build & 0xFFFF


def test_process_parameters_hold_the_command_line() -> None:
    for arch, at in (("x86", 0x40), ("x64", 0x70)):
        process = ProcessBuilder(arch).add_peb()
        address = process.add_process_parameters(command_line="app --x", environment={"A": "b"})
        length = process.read_number(address + at, 2)
        text = process.read_pointer(address + at + process.pointer_size)
        assert process.read(text, length).decode("utf-16-le") == "app --x"


def test_cfg_bitmap_is_recorded_by_ntdll() -> None:
    for build, at in ((9600, 0x60), (15063, 0xB0), (19045, 0xB8)):
        process = ProcessBuilder("x64", build).furnish()
        bitmap = process.add_cfg_bitmap()
        block = process.module("ntdll.dll").exports["LdrSystemDllInitBlock"]
        assert process.read_number(block + at, 8) == bitmap
        assert process.read_number(block, 4) >= at + 24
        assert process.allocation_at(bitmap).size == 2 << 40


def test_small_dump_holds_stacks_tebs_and_pebs_only() -> None:
    process = ProcessBuilder("x64").furnish()
    dump = process.to_minidump(full=False, memory_info=False).build()
    assert not {9, 16} & {entry[0] for entry in directory(dump)}
    body = stream(dump, 5)
    starts = {struct.unpack_from("<Q", body, 4 + 16 * i)[0] for i in range(len(body) // 16)}
    thread = process.threads[0]
    assert starts == {thread.stack.sp, thread.teb, process.peb}


def test_counters_agree_with_the_regions() -> None:
    process = ProcessBuilder("x64").furnish()
    body = stream(process.to_minidump().build(), 22)
    used = sum(r.size for r in process.regions() if r.state != md.MEM_FREE)
    assert struct.unpack_from("<QQ", body, 80) == (used, process.private_bytes())
