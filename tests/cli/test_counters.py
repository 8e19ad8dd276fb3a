"""Counters and lower bounds in `summary`, `info`, and `triage`."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest
from support.cli import run
from synth.minidump import MEM_COMMIT, MEM_PRIVATE, MinidumpBuilder

from dumpmap.wording.text import duration_words

GB = 1 << 30


def counted(*, partial: bool = True) -> MinidumpBuilder:
    """A 64-bit dump with counters, an exception, and times; without a list of regions if it is partial."""
    dump = MinidumpBuilder("x64", timestamp=0x65A00000).system_info(build=19045)
    dump.module(0x7FF600000000, 0x90000000, "C:\\game\\UnityPlayer.dll", version=(1, 2, 3, 4))
    dump.thread(9184, context_sp=0).thread_name(9184, "GameThread")
    dump.exception(9184, 0xC0000005, 0x7FF6007021FD, [0, 0])
    dump.misc_info(times=(0x65A00000 - 7500, 3661, 65))
    dump.process_vm_counters(private_usage=3 * GB, peak_pagefile_usage=4 * GB, virtual_size=1 << 40)
    dump.system_memory_info()
    if not partial:
        dump.region(0x60000, 0x1000, MEM_COMMIT, 4, MEM_PRIVATE)
    return dump


@pytest.fixture
def partial(tmp_path: Path) -> str:
    path = tmp_path / "partial.dmp"
    path.write_bytes(counted().build())
    return str(path)


@pytest.mark.parametrize("command", ["summary", "info"])
def test_the_counters_are_shown(command: str, partial: str) -> None:
    out = run("-q", command, partial, COLUMNS="80").out
    assert "Private bytes    3 GB (peak 4 GB)" in out
    assert "Working set      48 MB (peak 64 MB)" in out
    assert "Virtual size     1 TB\n" in out
    assert "System commit    8 GB of 20 GB (40 %, peak 10 GB)" in out
    assert "Physical memory  4 GB available of 15.9 GB" in out
    assert "Uptime           2 h 5 min" in out
    assert "CPU time         1 h 2 min (1 h 1 min user, 1 min 5 s kernel)" in out
    assert "Windows 10 22H2 (build 19045)" in out
    words = " ".join(out.split())
    # `summary` has one line of 80 columns for it.
    name = "" if command == "summary" else " (GameThread)"
    assert f"Access violation reading 0x0 at UnityPlayer.dll+0x7021fd in thread 9184{name}" in words
    assert all(len(line) <= 80 for line in out.splitlines())


def test_a_dump_without_counters_has_no_block(tmp_path: Path) -> None:
    path = tmp_path / "bare.dmp"
    path.write_bytes(MinidumpBuilder("x64").system_info().module(0x400000, 0x1000, "a.exe").build())
    for command in ("summary", "info"):
        out = run("-q", command, str(path)).out
        assert "Private bytes" not in out
        assert "Uptime" not in out


def test_a_start_after_the_dump_gives_no_uptime(tmp_path: Path) -> None:
    path = tmp_path / "odd.dmp"
    dump = MinidumpBuilder("x64", timestamp=0x65A00000).system_info().module(0x400000, 0x1000, "a.exe")
    path.write_bytes(dump.misc_info(times=(0x65A00001, 0, 0)).build())
    out = run("-q", "summary", str(path)).out
    assert "Uptime" not in out
    assert "CPU time  0 s (0 s user, 0 s kernel)" in out


def test_totals_of_a_partial_map_are_lower_bounds_everywhere(partial: str) -> None:
    text = run("-q", "summary", partial, COLUMNS="80").out
    assert "\nTotal, at least" in text
    assert re.search(r"^Committed +at least 2\.2 GB", text, re.MULTILINE)
    assert "Total, at least" in run("-q", "summary", partial, "--format", "markdown").out
    rows = {row["type"]: row for row in csv.DictReader(io.StringIO(run("-q", "summary", partial, "-f", "csv").out))}
    assert (rows["Total"]["lower_bound"], rows["Image"]["lower_bound"]) == ("true", "true")
    assert (rows["Free"]["lower_bound"], rows["Private Data"]["lower_bound"]) == ("false", "false")
    document = json.loads(run("-q", "summary", partial, "-f", "json").out)
    assert {"total.size", "total.committed", "Image.size"} <= set(document["lower_bounds"])
    assert "Free.size" not in document["lower_bounds"]
    assert ">= " in run("-q", "triage", partial, COLUMNS="80").out


def test_totals_of_a_whole_map_are_no_bounds(tmp_path: Path) -> None:
    path = tmp_path / "whole.dmp"
    dump = counted(partial=False).region(0x61000, 0x7FFFFFF8F000, 0x10000, 1, 0)
    path.write_bytes(dump.build())
    assert "at least" not in run("-q", "summary", str(path), COLUMNS="80").out
    document = json.loads(run("-q", "summary", str(path), "-f", "json").out)
    assert document["lower_bounds"] == []
    assert "true" not in run("-q", "summary", str(path), "-f", "csv").out
    assert ">= " not in run("-q", "triage", str(path), COLUMNS="80").out


def test_the_exception_line_is_a_column_of_triage(partial: str) -> None:
    (row,) = csv.DictReader(io.StringIO(run("-q", "triage", partial, "-f", "csv").out))
    assert row["exception_line"] == (
        "Access violation reading 0x0 at UnityPlayer.dll+0x7021fd in thread 9184 (GameThread)"
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3661, "1 h 1 min"), (3600, "1 h"), (90000, "1 d 1 h"), (86400, "1 d")],
)
def test_durations(seconds: int, text: str) -> None:
    assert duration_words(seconds) == text
