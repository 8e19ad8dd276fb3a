"""What `info` says of the input."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from support.cli import run
from support.dumps import tiny
from synth.minidump import MinidumpBuilder
from synth.process import ProcessBuilder
from synth.writers import ModuleAnnotations, unreal_xml

import dumpmap
from dumpmap.wording.systems import system_text


@pytest.mark.parametrize(
    ("code", "text", "name"),
    [
        (0xC0000017, "0xc0000017 STATUS_NO_MEMORY (an allocation failed)", "STATUS_NO_MEMORY"),
        (0xDEADBEEF, "0xdeadbeef", None),
        (
            0xC0000409,
            "0xc0000409 STATUS_STACK_BUFFER_OVERRUN (fail fast with FAST_FAIL_FATAL_APP_EXIT)",
            "STATUS_STACK_BUFFER_OVERRUN",
        ),
    ],
)
def test_the_exception_is_named_with_its_thread_and_place(
    tmp_path: Path, code: int, text: str, name: str | None
) -> None:
    process = ProcessBuilder("x86", 19045).furnish()
    thread = process.threads[0].tid
    path = tmp_path / "crash.dmp"
    path.write_bytes(
        process.to_minidump(full=False).exception(thread, code, 0x401000, [7 if code == 0xC0000409 else 4096]).build()
    )
    out = run("info", str(path)).out
    assert re.search(rf"^Exception +{re.escape(text)} at .*0x1000 in thread {thread}", out, re.M)
    assert "Exception code" not in out
    document = json.loads(run("info", str(path), "--format", "json").out)
    assert (document["exception"]["code"], document["exception"]["name"]) == (f"0x{code:x}", name)


def test_what_unreal_recorded(tmp_path: Path) -> None:
    dump = tiny().thread(12916, stack=(0x10000, bytes(4096))).thread(10372, stack=(0x20000, bytes(4096)))
    dump.exception(10372, 0x4000, 0, context_sp=0x10800).unreal_context(unreal_xml(), tail=b"garbage")
    path = tmp_path / "game.dmp"
    path.write_bytes(dump.build())
    text = run("-q", "info", str(path), COLUMNS="200").out
    section = text[text.index("What the writer recorded") :]
    for line in (
        "Written by         Unreal Engine 4.24",
        "Crash type         Assert",
        "Out of memory      yes",
        "Requested          8,172,146,688 bytes (7.6 GB)",
        "Crashed thread     12916 (GameThread); the exception names thread 10372, and its stack pointer lies in the "
        "stack of thread 12916",
        "AvailableVirtual   128 TB (address space)",
        "Misc.PrimaryGPUBrand",
    ):
        assert line in section
    document = json.loads(run("-q", "info", str(path), "--format", "json").out)
    assert document["writer"]["requested"] == 8172146688
    assert {"id": 12916, "name": "GameThread"} in document["writer"]["thread_names"]


def test_the_heap_limit_of_v8(tmp_path: Path) -> None:
    objects = tuple(
        (f"electron.v8-oom.{name}", 1, value)
        for name, value in (
            ("location", b"Reached heap limit"),
            ("heap.used", b"4164542836"),
            ("heap.limit", b"4294967296"),
            ("stack", b"\x1b[2Jevil\r\n" * 200),
        )
    )
    path = tmp_path / "app.dmp"
    path.write_bytes(tiny().thread(1).crashpad_info(modules=[ModuleAnnotations(0, objects=objects)]).build())
    text = run("-q", "info", str(path), COLUMNS="200").out
    assert (
        "Heap limit     V8: 4,164,542,836 bytes (3.9 GB) used of 4,294,967,296 bytes (4 GB), 97 %; Reached heap limit"
    ) in text
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 200


def test_an_input_without_a_record_has_no_section(fixtures: Path) -> None:
    path = str(fixtures / "layout-x86-plain.dmp")
    assert "What the writer recorded" not in run("-q", "info", path).out
    assert json.loads(run("-q", "info", path, "--format", "json").out)["writer"] is None


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
        (17763, "Windows 10 1809 (build 17763)"),
        (99999, "Windows 10.0.99999"),
    ],
)
def test_a_release_is_named(tmp_path: Path, build: int, text: str) -> None:
    path = tmp_path / "os.dmp"
    path.write_bytes(MinidumpBuilder("x64").system_info(build=build).module(0x400000, 0x1000, "a.exe").build())
    assert re.search(rf"^System +{re.escape(text)}", run("-q", "info", str(path)).out, re.M)
    assert re.search(rf"^a\.exe  .*{re.escape(text)}", run("-q", "summary", str(path)).out, re.M)


@pytest.mark.parametrize(
    ("build", "product", "text"),
    [
        (17763, 1, "Windows 10 1809 (build 17763)"),
        (17763, 3, "Windows Server 2019 (build 17763)"),
        (26100, 2, "Windows Server 2025 (build 26100)"),
        (26100, 1, "Windows 11 24H2 (build 26100)"),
        (17763, 0, "Windows 10.0.17763"),
        (19045, 3, "Windows 10 22H2 (build 19045)"),
        (20348, 1, "Windows Server 2022 (build 20348)"),
    ],
)
def test_the_type_of_product_tells_a_client_from_a_server(build: int, product: int, text: str) -> None:
    dump = MinidumpBuilder("x64").system_info(build=build, product_type=product).module(0x400000, 0x1000, "a.exe")
    assert system_text(dumpmap.open(dump.build()).process.os) == text


def test_the_program_that_only_unreal_names(tmp_path: Path) -> None:
    dump = MinidumpBuilder("x64").system_info().thread(12916, stack=(0x10000, bytes(4096)))
    path = tmp_path / "game.dmp"
    path.write_bytes(dump.unreal_context(unreal_xml()).build())
    name = "Rocks-Win64-Shipping (named by Unreal Engine 4.24)"
    assert re.search(rf"^{re.escape(name)}  ", run("-q", "summary", str(path)).out, re.M)
    assert re.search(rf"^Process +{re.escape(name)}$", run("-q", "info", str(path)).out, re.M)
    (row,) = json.loads(run("-q", "triage", str(path), "-f", "json").out)["rows"]
    assert row["process"] == "Rocks-Win64-Shipping"
    # The fact of the dump itself stays unknown, and a snapshot keeps the writer's word.
    assert json.loads(run("-q", "info", str(path), "-f", "json").out)["process"]["name"] is None
    snapshot = tmp_path / "game.json"
    assert run("-q", "snapshot", str(path), "-o", str(snapshot)).code == 0
    assert re.search(rf"^{re.escape(name)}  ", run("-q", "summary", str(snapshot)).out, re.M)
    # A module list is no one's word.
    path.write_bytes(dump.module(0x400000, 0x1000, "C:\\x\\real.exe").build())
    assert re.search(r"^real\.exe  ", run("-q", "summary", str(path)).out, re.M)


@pytest.mark.parametrize(("name", "original"), [("layout-x64", True), ("layout-x86", False)])
def test_a_dump_that_had_all_memory_is_not_to_be_taken_again(name: str, original: bool, fixtures: Path) -> None:
    out = run("-q", "info", str(fixtures / f"{name}.dmp.gz")).out
    assert ("open the original dump" in out) is original
    assert ("procdump -ma" in out) is not original


@pytest.mark.parametrize(
    ("build", "minor", "pack", "text"),
    [
        (7601, 1, "Service Pack 1", "Windows 7 SP1 (build 7601)"),
        (7600, 1, "Beta 2", "Windows 7 (build 7600) Beta 2"),
    ],
)
def test_a_service_pack_is_said_once(tmp_path: Path, build: int, minor: int, pack: str, text: str) -> None:
    path = tmp_path / "old.dmp"
    dump = MinidumpBuilder("x64").system_info(major=6, minor=minor, build=build, service_pack=pack, product_type=1)
    path.write_bytes(dump.module(0x400000, 0x1000, "C:\\a.exe").build())
    assert re.search(rf"^System +{re.escape(text)}$", run("info", str(path)).out, re.M)


def test_the_lines_of_a_comment_stay_apart_and_bounded(tmp_path: Path) -> None:
    path = tmp_path / "a.dmp"
    path.write_bytes(tiny().thread(1).comment_w("\r\n*** procdump -m 5000 app.exe\r\n*** Process exceeded\r\n").build())
    shown = run("-q", "info", str(path), COLUMNS="200").out
    assert "*** procdump -m 5000 app.exe / *** Process exceeded\n" in shown
    path.write_bytes(tiny().thread(1).comment_a(b"bad\x1b[31m" + b"A" * 50_000).build())
    shown = run("-q", "info", str(path), COLUMNS="200").out
    assert "A... (50,008 letters; --format json shows all)" in shown
    assert max(map(len, shown.splitlines())) < 1200


def test_counters_of_0_are_not_filled_in(tmp_path: Path) -> None:
    path = tmp_path / "a.dmp"
    path.write_bytes(tiny().thread(1).process_vm_counters(virtual_size=0, peak_virtual_size=0).build())
    assert "Virtual size" not in run("-q", "info", str(path)).out


def test_a_system_is_named_once(tmp_path: Path) -> None:
    dump = tmp_path / "linux.dmp"
    dump.write_bytes(
        MinidumpBuilder("x64")
        .system_info(platform_id=0x8201, build=0, major=0, service_pack="Linux 4.4.0-38 x86_64")
        .linux_maps("00400000-00401000 r-xp 00000000 08:01 1 /bin/x\n")
        .build()
    )
    assert re.findall(r"^System +(.*?) *$", run("info", str(dump)).out, re.MULTILINE) == ["Linux 4.4.0-38 x86_64"]
