"""Numbers of 32 and 64 bits in what is read: the largest that counts, and the first that does not."""

from __future__ import annotations

import pytest
from support.dumps import map_of, read, stream, tiny
from synth.minidump import MEM_COMMIT, MEM_FREE, MEM_PRIVATE, PAGE_READWRITE
from synth.writers import unreal_xml

from dumpmap.analysis.free import _reporter_reserve
from dumpmap.model.location import locate
from dumpmap.parsers.linux_maps import parse_line, parse_maps, rows
from dumpmap.parsers.minidump.streams.stability_report import _pages

TOP = 1 << 64


@pytest.mark.parametrize(
    ("text", "pid"),
    [("4294967295", 0xFFFFFFFF), ("4294967296", None), ("1", 1), ("0", None), ("x", None)],
)
def test_the_process_of_a_crash_context(text: str, pid: int | None) -> None:
    assert read(tiny().unreal_context(unreal_xml({"ProcessId": text, "GameName": "x"}))).process.pid == pid


@pytest.mark.parametrize(("thread", "named"), [(0xFFFFFFFF, True), (0x100000000, False), (1, True), (0, False)])
def test_the_threads_of_a_crash_context(thread: int, named: bool) -> None:
    text = unreal_xml({"GameName": "x"}, [(thread, "main", True)])
    writer = read(tiny().unreal_context(text)).writer
    assert writer is not None
    assert writer.thread_names == (((thread, "main"),) if named else ())
    assert writer.crashed_thread == (thread if named else None)


@pytest.mark.parametrize(
    ("pages", "size"),
    [(0, 0), (1, 4096), (0xFFFFFFFF, 0xFFFFFFFF << 12), (0x100000000, None), (None, None)],
)
def test_pages_of_a_stability_report(pages: int | None, size: int | None) -> None:
    assert _pages(pages) == size


@pytest.mark.parametrize(("base", "size", "kept"), [(TOP - 0x1000, 0x1000, True), (TOP - 0xFFF, 0x1000, False)])
def test_a_module_ends_with_the_address_space(base: int, size: int, kept: bool) -> None:
    snapshot = read(tiny().module(base, size, "a.dll").module(0x400000, 0x1000, "b.exe"))
    assert [module.name for module in snapshot.modules] == (["a.dll", "b.exe"] if kept else ["b.exe"])
    assert ("1 modules lie outside the address space" in stream(snapshot, "ModuleList").status) is not kept


@pytest.mark.parametrize(
    ("line", "good"),
    [
        ("ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]", True),
        ("fffffffffffff000-ffffffffffffffff r--p 00000000 00:00 0", True),
        ("fffffffffffff000-10000000000000000 r--p 00000000 00:00 0", True),
        ("fffffffffffff000-10000000000000001 r--p 00000000 00:00 0", False),
        ("1000-1000 r--p 00000000 00:00 0", False),
        ("1000-1001 r--p 00000000 00:00 0", True),
        ("2000-1000 r--p 00000000 00:00 0", False),
    ],
)
def test_a_mapping_of_linux(line: str, good: bool) -> None:
    found = parse_line(line)
    assert (found is not None) is good


@pytest.mark.parametrize(
    ("address", "size", "good"),
    [
        ("1", "1", True),
        ("0", "1", False),
        ("1", "0", False),
        ("-1", "5", False),
        (hex((1 << 63) - 2), "1", True),
        (hex((1 << 63) - 1), "1", False),
        ("x", "1", False),
    ],
)
def test_what_the_crash_reporter_had_reserved(address: str, size: str, good: bool) -> None:
    found = _reporter_reserve({"BreakpadReserveAddress": address, "BreakpadReserveSize": size})
    assert (found is not None) is good
    assert _reporter_reserve({"BreakpadReserveAddress": address}) is None


def test_places_at_both_ends_of_the_address_space() -> None:
    last = 0x7FFF_FFFF_0000
    builder = tiny().region(0, 0x10000, MEM_FREE, 0, 0).region(0x10000, 0x1000, MEM_COMMIT, PAGE_READWRITE, MEM_PRIVATE)
    region_map = map_of(builder.region(0x11000, last - 0x11000, MEM_FREE, 0, 0))
    found = {
        place: locate(region_map, place) for place in (-1, 0, 0xFFFF, 0x10000, 0x10FFF, 0x11000, last - 1, last, TOP)
    }
    assert found[-1] is None
    assert found[last] is None
    assert found[TOP] is None
    kinds = {place: one.type.label for place, one in found.items() if one is not None}
    assert kinds[0x10000] == kinds[0x10FFF] == "Private Data"
    assert kinds[0] == kinds[0xFFFF] == "Free"
    assert kinds[0x11000] == "Unusable"
    assert kinds[last - 1] == "Free"


def test_mappings_of_one_file_that_touch_are_one_allocation() -> None:
    text = """\
00010000-00020000 r--p 00000000 08:01 5 /lib/a.so
00020000-00030000 r-xp 00010000 08:01 5 /lib/a.so
00031000-00032000 rw-p 00021000 08:01 5 /lib/a.so
00032000-00033000 rw-p 00000000 08:01 6 /lib/b.so
00033000-00034000 rw-p 00000000 00:00 0
00034000-00035000 rw-p 00000000 00:00 0
00035000-00036000 ---p 00000000 00:00 0
"""
    mappings, bad = parse_maps(text)
    assert bad == 0
    found, _ = rows(mappings)
    bases = [0x10000, 0x10000, 0x31000, 0x32000, 0x33000, 0x34000, 0x35000]
    assert [allocation for _, allocation, *_ in found] == bases
    assert [state == MEM_COMMIT for *_, state, _, _ in found] == [True] * 6 + [False]
