"""Impossible values in a file: every command gives a result or one line of its own, and a batch loses no other row."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from support.bombs import REGIONS_HEAD, SNAPSHOT_HEAD
from support.cli import run
from support.dumps import tiny
from synth.minidump import MEM_COMMIT, MEM_PRIVATE, PROCESS_VM_COUNTERS, SYSTEM_MEMORY_INFO, MinidumpBuilder

import dumpmap

LARGEST = (1 << 64) - 1
ROWS = REGIONS_HEAD.decode() + '["0x10000","0x10000",4,4096,"commit",4,"private"]]}'


def small() -> MinidumpBuilder:
    return tiny().region(0x10000, 0x1000, MEM_COMMIT, 4, MEM_PRIVATE)


def snapshot(*members: str) -> bytes:
    return SNAPSHOT_HEAD + ",".join((ROWS, *members)).encode() + b"}"


def ranges(base: str, size: int) -> str:
    return f'"heaps":[{{"id":1,"kind":"NT heap","ranges":[{{"base":"{base}","size":{size}}}]}}]'


CASES: dict[str, bytes] = {
    "counters.dmp": small()
    .raw_stream(PROCESS_VM_COUNTERS, struct.pack("<HHI", 2, 0x1F, 0xFFFF_FFFF) + b"\xff" * 160)
    .build(),
    "system.dmp": small().raw_stream(SYSTEM_MEMORY_INFO, struct.pack("<HHII", 1, 0xF, 1, 4096) + b"\xff" * 480).build(),
    "counters.json": snapshot(f'"counters":{{"private_usage":{LARGEST},"working_set":{LARGEST}}}'),
    "system.json": snapshot(f'"system":{{"commit_limit":{LARGEST},"page_size":{LARGEST}}}'),
    "handles.json": snapshot(f'"handle_count":{LARGEST},"handle_types":{{"File":{LARGEST}}}'),
    "captured.json": SNAPSHOT_HEAD + b'"captured":[["0x0",9223372036854775808],["0x8000000000000000",1]]}',
    "heap-end.json": snapshot(ranges("0xfffffffffffff000", 4096)),
    "heap-beyond.json": snapshot(ranges("0xffffffffffffffff", LARGEST)),
    "year-1.json": snapshot('"captured_at":"0001-01-01T00:00:00+14:00"'),
    "year-9999.json": snapshot('"captured_at":"9999-12-31T23:59:59-14:00"'),
}

COMMANDS = (
    ["summary", "--format", "json"],
    ["regions", "--blocks"],
    ["heaps", "--blocks"],
    ["info"],
    ["report", "-o", "o.html"],
    ["snapshot", "-o", "o.json"],
    ["export", "-o", "o.mmp"],
    ["export", "-o", "o.parquet"],
)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name, data in CASES.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "good.dmp").write_bytes(small().build())
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_no_command_fails_in_its_own_way(name: str, files: Path) -> None:
    for command, *options in COMMANDS:
        output = [str(files / one) if one.startswith("o.") else one for one in options]
        ran = run(command, str(files / name), *output)
        assert ran.code in (0, 3, 4), (command, ran.err)
        assert all(line.startswith("dumpmap: ") for line in ran.err.splitlines())


def test_a_bad_number_costs_no_table(files: Path) -> None:
    frame = dumpmap.triage([str(files)], jobs=1, cache=False)
    statuses = dict(zip(frame["path"].map(lambda path: Path(path).name), frame["status"], strict=True))
    assert statuses.keys() == {*CASES, "good.dmp"}
    assert statuses["good.dmp"] == "ok"
    ran = run("triage", str(files), "--no-cache", "-o", str(files / "o.parquet"))
    assert (files / "o.parquet").stat().st_size > 0, ran.err


def test_impossible_counters_are_unknown_and_said() -> None:
    m = dumpmap.open(CASES["counters.dmp"])
    assert m.snapshot.counters.private_usage is None
    (warning,) = m.warnings
    assert warning.startswith("counters: impossible and left out: private_usage, working_set, ")


def test_impossible_figures_of_the_system_keep_their_defaults() -> None:
    m = dumpmap.open(CASES["system.json"])
    assert (m.snapshot.system.commit_limit, m.snapshot.system.page_size) == (None, 4096)


@pytest.mark.parametrize(("build", "kept"), [(LARGEST, None), (1 << 63, None), ((1 << 63) - 1, (1 << 63) - 1)])
def test_an_impossible_number_of_the_process_costs_no_row(build: int, kept: int | None, tmp_path: Path) -> None:
    facts = f'"process":{{"pid":{build},"os":{{"build":{build}}}}},'
    text = snapshot('"comments":[]').replace(b'"process":{"pid":1},', facts.encode())
    assert facts.encode() in text
    process = dumpmap.open(text).snapshot.process
    assert (process.pid, process.os.build) == (kept, kept)
    (tmp_path / "x.json").write_bytes(text)
    (row,) = dumpmap.triage([str(tmp_path)], jobs=1, cache=False).to_dict("records")
    assert row["status"] == ("ok" if kept else "partial")
    assert row["os_build"] == kept


@pytest.mark.parametrize("size", [LARGEST // 2, LARGEST // 2 + 1])
def test_the_largest_number_that_counts_as_possible(size: int) -> None:
    m = dumpmap.open(snapshot(f'"counters":{{"private_usage":{size}}}'))
    assert m.snapshot.counters.private_usage == (size if size == LARGEST // 2 else None)


def test_a_time_beyond_the_calendar_names_its_field() -> None:
    with pytest.raises(dumpmap.DumpmapError, match=r"outside the years 1 to 9999 \(captured_at\)"):
        dumpmap.open(CASES["year-1.json"])


def test_ranges_beyond_the_address_space_are_left_out() -> None:
    m = dumpmap.open(snapshot(ranges("0xfffffffffffff000", 4096)))
    assert m.snapshot.heaps[0].ranges == ()
    assert "1 heap range lies outside any address space, left out" in m.warnings


def test_soft_errors_that_nest_deeply_cost_only_their_stream() -> None:
    for depth in range(100, 1100, 7):
        text = b"[" * depth + b"]" * depth
        assert len(dumpmap.open(small().raw_stream(0x4D7A0004, text).build()).snapshot.regions or ()) == 1
