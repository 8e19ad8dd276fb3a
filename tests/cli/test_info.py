"""What `info` says of the input."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from support.cli import run
from synth.minidump import MinidumpBuilder
from synth.process import ProcessBuilder


@pytest.mark.parametrize(
    ("code", "text", "name"),
    [
        (0xC0000017, "0xc0000017 STATUS_NO_MEMORY (an allocation failed)", "STATUS_NO_MEMORY"),
        (0xDEADBEEF, "0xdeadbeef", None),
    ],
)
def test_the_exception_is_named_with_its_thread_and_place(
    tmp_path: Path, code: int, text: str, name: str | None
) -> None:
    process = ProcessBuilder("x86", 19045).furnish()
    thread = process.threads[0].tid
    path = tmp_path / "crash.dmp"
    path.write_bytes(process.to_minidump(full=False).exception(thread, code, 0x401000, [4096]).build())
    out = run("info", str(path)).out
    assert re.search(rf"^Exception +{re.escape(text)} at .*0x1000 in thread {thread}", out, re.M)
    assert "Exception code" not in out
    document = json.loads(run("info", str(path), "--format", "json").out)
    assert (document["exception"]["code"], document["exception"]["name"]) == (f"0x{code:x}", name)


def test_handles_are_counted_by_type(tmp_path: Path) -> None:
    dump = MinidumpBuilder("x64").system_info().module(0x400000, 0x1000, "a.exe")
    for number in range(3):
        dump.handle(4 * number + 4, "Event")
    dump.handle(0x40, "File", "C:\\x").handle(0x44, "Bad\x1bname")
    path = tmp_path / "handles.dmp"
    path.write_bytes(dump.build())
    out = run("-q", "info", str(path)).out
    assert re.search(r"^Handle types +Event 3, Bad\ufffdname 1, File 1$", out, re.M)


def test_many_types_of_handles_are_cut_off(tmp_path: Path) -> None:
    dump = MinidumpBuilder("x64").system_info().module(0x400000, 0x1000, "a.exe")
    for number in range(30):
        dump.handle(4 * number + 4, f"Type{number:02}")
    path = tmp_path / "handles.dmp"
    path.write_bytes(dump.build())
    assert "Type19 1, and 10 more types" in run("-q", "info", str(path)).out


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (19045, "Windows 10 22H2 (build 19045)"),
        (22631, "Windows 11 23H2 (build 22631)"),
        (20348, "Windows Server 2022 (build 20348)"),
        (17763, "windows 10.0.17763"),
        (99999, "windows 10.0.99999"),
    ],
)
def test_a_release_is_named_where_its_build_is_unambiguous(tmp_path: Path, build: int, text: str) -> None:
    path = tmp_path / "os.dmp"
    path.write_bytes(MinidumpBuilder("x64").system_info(build=build).module(0x400000, 0x1000, "a.exe").build())
    assert re.search(rf"^System +{re.escape(text)}", run("-q", "info", str(path)).out, re.M)
    assert text in run("-q", "summary", str(path)).out.splitlines()[0]
