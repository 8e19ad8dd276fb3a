"""ModuleList and UnloadedModuleList."""

from __future__ import annotations

import struct

import pytest
from support.dumps import map_of, read, stream, tiny
from synth.minidump import MODULE_LIST, UNLOADED_MODULE_LIST, nb10, rsds


def test_a_module_with_everything() -> None:
    snapshot = read(
        tiny().module(
            0x7FF6_1234_0000,
            0x5000,
            "C:\\app\\größe.exe",
            timestamp=0x5F001122,
            checksum=0xABCD,
            version=(1, 2, 3, 4),
            codeview=rsds("d:\\build\\app.pdb", guid=bytes(range(16)), age=0x1F),
        )
    )
    (module,) = snapshot.modules
    assert module.base == 0x7FF6_1234_0000
    assert module.size == 0x5000
    assert module.path == "C:\\app\\größe.exe"
    assert module.name == "größe.exe"
    assert module.timestamp == 0x5F001122
    assert module.checksum == 0xABCD
    assert module.version == "1.2.3.4"
    # A GUID's first three fields are little-endian: 03020100-0504-0706-0809-...
    assert module.debug_id == "030201000504070608090A0B0C0D0E0F1F"
    assert module.debug_file == "d:\\build\\app.pdb"


@pytest.mark.parametrize("codeview", [b"", nb10("old.pdb"), b"RSDS", b"RSDSshort", rsds("x")[:24]])
def test_other_debug_records_are_none_or_harmless(codeview: bytes) -> None:
    (module,) = read(tiny().module(0x40_0000, 0x1000, "a.exe", codeview=codeview)).modules
    assert module.debug_file is None


def test_a_version_record_that_is_none_is_no_version() -> None:
    (module,) = read(tiny().module(0x40_0000, 0x1000, "a.exe")).modules
    assert module.version is None


def test_the_program_is_the_first_exe_of_the_list() -> None:
    snapshot = read(
        tiny().module(0x1000_0000, 0x1000, "C:\\w\\ntdll.dll").module(0x40_0000, 0x1000, "C:\\app\\Program.EXE")
    )
    assert snapshot.process.name == "Program.EXE"
    assert snapshot.process.path == "C:\\app\\Program.EXE"


def test_a_module_without_a_name() -> None:
    builder = tiny().module(0x40_0000, 0x1000, "a.exe").patch(MODULE_LIST, 4 + 20, struct.pack("<I", 0))
    (module,) = read(builder).modules
    assert module.path == ""


@pytest.mark.parametrize("rva", [0x7FFF_FFFF, 0xFFFF_FFFF])
def test_a_name_outside_the_file(rva: int) -> None:
    builder = tiny().module(0x40_0000, 0x1000, "a.exe").patch(MODULE_LIST, 4 + 20, struct.pack("<I", rva))
    (module,) = read(builder).modules
    assert module.path == ""


def test_a_name_that_is_cut_off_keeps_its_start() -> None:
    builder = tiny().module(0x40_0000, 0x1000, "abcdef.exe").raw_stream(0xFFFF, b"")
    data = bytearray(builder.build())
    at = data.index("abcdef.exe".encode("utf-16-le"))
    struct.pack_into("<I", data, at - 4, 0x7FFF_FFFF)
    (module,) = read(bytes(data)).modules
    assert module.path == "abcdef.exe"


def test_a_name_of_broken_utf_16_is_decoded_with_replacement() -> None:
    (module,) = read(tiny().module(0x40_0000, 0x1000, "a\udc00b.exe")).modules
    assert module.path == "a\ufffdb.exe"


def test_a_module_beyond_the_address_space_is_left_out() -> None:
    snapshot = read(tiny().module((1 << 64) - 0x1000, 0x2000, "high.dll").module(0x40_0000, 0x1000, "a.exe"))
    assert [module.name for module in snapshot.modules] == ["a.exe"]
    assert "1 modules lie outside the address space" in stream(snapshot, "ModuleList").status


def test_a_module_that_ends_at_the_top_of_the_address_space() -> None:
    (module,) = read(tiny().module((1 << 64) - 0x1000, 0x1000, "top.dll")).modules
    assert module.base + module.size == 1 << 64


@pytest.mark.parametrize("count", [3, 0x7FFFFFFF])
def test_a_count_that_lies_gives_the_modules_that_fit(count: int) -> None:
    builder = tiny().module(0x40_0000, 0x1000, "a.exe").module(0x50_0000, 0x1000, "b.dll").lie_count(MODULE_LIST, count)
    snapshot = read(builder)
    assert [module.name for module in snapshot.modules] == ["a.exe", "b.dll"]
    assert stream(snapshot, "ModuleList").status == f"claims {count:,} entries, 2 fit"


def test_a_size_that_cuts_the_list_off() -> None:
    builder = tiny().module(0x40_0000, 0x1000, "a.exe").module(0x50_0000, 0x1000, "b.dll")
    snapshot = read(builder.lie(MODULE_LIST, size=4 + 108 + 50))
    assert [module.name for module in snapshot.modules] == ["a.exe"]


def test_a_list_aligned_to_8_bytes() -> None:
    builder = tiny().module(0x40_0000, 0x1000, "a.exe").module(0x50_0000, 0x1000, "b.dll").pad_list(MODULE_LIST)
    snapshot = read(builder)
    assert [(module.base, module.name) for module in snapshot.modules] == [(0x40_0000, "a.exe"), (0x50_0000, "b.dll")]


def test_unloaded_modules() -> None:
    snapshot = read(tiny().unloaded_module(0x6000_0000, 0x2000, "gone.dll", timestamp=99))
    (module,) = snapshot.unloaded_modules
    assert (module.base, module.size, module.path, module.timestamp) == (0x6000_0000, 0x2000, "gone.dll", 99)


@pytest.mark.parametrize(("header_size", "entry_size"), [(24, 24), (12, 32), (100, 60)])
def test_larger_headers_and_entries_of_unloaded_modules(header_size: int, entry_size: int) -> None:
    builder = tiny().unloaded_module(0x6000_0000, 0x2000, "a.dll").unloaded_module(0x7000_0000, 0x3000, "b.dll")
    snapshot = read(builder.list_layout(UNLOADED_MODULE_LIST, header_size=header_size, entry_size=entry_size))
    assert [module.path for module in snapshot.unloaded_modules] == ["a.dll", "b.dll"]
    assert snapshot.warnings == ()


@pytest.mark.parametrize("header_size", [0, 4, 0xFFFFFFFF])
def test_a_header_size_that_cannot_be(header_size: int) -> None:
    builder = tiny().unloaded_module(0x6000_0000, 0x2000, "a.dll")
    snapshot = read(builder.patch(UNLOADED_MODULE_LIST, 0, struct.pack("<I", header_size)))
    assert stream(snapshot, "UnloadedModuleList").status == f"SizeOfHeader is {header_size:,}"


def test_the_same_module_twice_is_shown_once() -> None:
    builder = tiny().module(0x40_0000, 0x1000, "a.exe").module(0x40_0000, 0x1000, "a.exe")
    m = map_of(builder)
    assert len(m.allocations) == 1
