"""Function tables: ranges of generated code, and what damage costs."""

from __future__ import annotations

import struct

import pytest
from support.dumps import map_of, read, snapshot_json, stream, tiny
from synth.minidump import FUNCTION_TABLE, MEM_COMMIT, MEM_PRIVATE, PAGE_EXECUTE_READWRITE

from dumpmap.model.snapshot import CodeRange
from dumpmap.parsers.snapshot_json.reader import load_snapshot

JIT = 0x7FF0_0000_0000


def test_tables_are_read_with_their_callbacks() -> None:
    snapshot = read(tiny().function_tables((JIT, JIT + 0x4000, 0x1800_1000), (JIT + 0x10000, JIT + 0x11000, 0)))
    assert snapshot.generated_code == (CodeRange(JIT, 0x4000, 0x1800_1000), CodeRange(JIT + 0x10000, 0x1000, None))
    assert stream(snapshot, "FunctionTable").status == "read"
    again = load_snapshot(snapshot_json(snapshot, []), name="a.json")
    assert again.generated_code == snapshot.generated_code


@pytest.mark.parametrize("native_size", [0, 0x20, 0x58, 0x100])
def test_native_descriptors_of_any_size(native_size: int) -> None:
    snapshot = read(tiny().function_tables((JIT, JIT + 1, 5), (JIT + 16, JIT + 32, 6), native_size=native_size))
    assert [part.base for part in snapshot.generated_code] == [JIT, JIT + 16]
    known = [5, 6] if native_size >= 0x58 else [None, None]
    assert [part.callback for part in snapshot.generated_code] == known


def test_a_native_descriptor_of_another_table_gives_no_callback() -> None:
    snapshot = read(tiny().function_tables((JIT, JIT + 16, 5), native_minimum=JIT + 1))
    assert snapshot.generated_code == (CodeRange(JIT, 16, None),)


@pytest.mark.parametrize("native_type", [0, 1, 3])
def test_a_table_that_is_not_by_callback_has_none(native_type: int) -> None:
    # A public dump has text in that place, which other data left there.
    text = int.from_bytes("\\ele".encode("utf-16-le"), "little")
    snapshot = read(tiny().function_tables((JIT, JIT + 16, text), native_type=native_type))
    assert snapshot.generated_code == (CodeRange(JIT, 16, None),)


@pytest.mark.parametrize("entries", [2, 0xFFFFFFFF])
@pytest.mark.parametrize("count", [3, 0xFFFFFFFF])
def test_a_stream_that_claims_too_much(entries: int, count: int) -> None:
    data = struct.pack("<6I", 24, 32, 0, 12, count, 0) + struct.pack("<3Q2I", JIT, JIT + 16, JIT, entries, 0)
    snapshot = read(tiny().raw_stream(FUNCTION_TABLE, data))
    assert len(snapshot.generated_code) == 1
    assert "1 fit" in stream(snapshot, "FunctionTable").status


@pytest.mark.parametrize("native", [0, 0x1C, 0x58])
@pytest.mark.parametrize("less", [0, 1])
def test_tables_fit_to_the_last_byte(native: int, less: int) -> None:
    header = struct.pack("<6I", 24, 32, native, 12, 2, 4) + bytes(4)
    tables = [struct.pack("<3Q2I", base, base + 16, base, 1, 8) + bytes(native + 12 + 8) for base in (JIT, JIT + 64)]
    data = header + tables[0] + tables[1][: 32 + native - less]  # entries and padding of the last one are not read
    snapshot = read(tiny().raw_stream(FUNCTION_TABLE, data))
    assert [part.base for part in snapshot.generated_code] == [JIT, JIT + 64][: 2 - less]
    assert ("1 fit" in stream(snapshot, "FunctionTable").status) is bool(less)


@pytest.mark.parametrize("data", [bytes(23), bytes(24), b"\xff" * 64, struct.pack("<6I", 24, 8, 0, 12, 1, 0)])
def test_zeros_and_damage_name_nothing(data: bytes) -> None:
    snapshot = read(tiny().raw_stream(FUNCTION_TABLE, data))
    assert snapshot.generated_code == ()
    assert stream(snapshot, "FunctionTable").absence == "malformed"


def test_tables_that_cover_nothing_are_noted() -> None:
    snapshot = read(tiny().function_tables((0, 0, 0), (JIT + 16, JIT, 0)))
    assert snapshot.generated_code == ()
    assert "2 tables cover no addresses" in stream(snapshot, "FunctionTable").status


def test_generated_code_names_what_nothing_else_names() -> None:
    dump = tiny().module(0x1800_0000, 0x10000, "C:\\x\\jit.dll")
    for base, size in ((0x1800_0000, 0x10000), (JIT, 0x10000), (JIT + 0x100000, 0x10000)):
        dump.region(base, size, MEM_COMMIT, PAGE_EXECUTE_READWRITE, MEM_PRIVATE)
    dump.function_tables(
        (0x1800_0000, 0x1800_1000, 0x1800_1000),
        (JIT, JIT + 0xC000, 0x1800_1000),
        (JIT + 0x100000, JIT + 0x101000, 0),
    )
    region_map = map_of(dump)
    rows = {row.address: row for row in region_map.allocations.itertuples()}
    assert (rows[JIT].kind, rows[JIT].details, rows[JIT].type) == ("JIT code", "jit.dll", "Private Data")
    assert "function-table" in str(rows[JIT].evidence)
    assert rows[0x1800_0000].kind != "JIT code"
    assert rows[JIT + 0x100000].kind == ""  # a small part of it is no reason to name all of it
    named = region_map.regions[region_map.regions["kind"] == "JIT code"]
    assert {(JIT, 0xC000), (JIT + 0x100000, 0x1000)} <= set(zip(named["address"], named["size"], strict=True))


def test_captured_bytes_of_a_dump_without_regions() -> None:
    dump = tiny().memory(JIT + 0x100, bytes(64)).memory(JIT + 0x900000, bytes(64))
    dump.function_tables((JIT, JIT + 0x1000, 0))
    kinds = {row.address: row.kind for row in map_of(dump).allocations.itertuples()}
    assert kinds == {JIT + 0x100: "JIT code", JIT + 0x900000: ""}


def test_tables_that_overlap_everything_end_quickly() -> None:
    dump = tiny()
    for index in range(500):
        dump.memory(JIT + index * 0x1000, bytes(16))
    dump.function_tables(*((JIT + index, JIT + 0x800000, 0) for index in range(500)), entries=0, native_size=0)
    region_map = map_of(dump)
    assert (region_map.allocations["kind"] == "JIT code").all()


def test_a_count_that_does_not_fit_is_not_said_to_be_read() -> None:
    (warning,) = read(tiny().function_tables((JIT, JIT + 16, 5), count=0xFFFFFFFF)).warnings
    assert "claims 4,294,967,295 entries, 1 fit" in warning
    assert "are read" not in warning
