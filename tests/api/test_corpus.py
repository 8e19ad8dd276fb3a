"""The public dump corpus: a map of every file, or one line that says why not."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from support.hostile import within

import dumpmap
from dumpmap.api import RegionMap
from dumpmap.model.types import RegionType
from dumpmap.model.writer import WriterRecord

pytestmark = pytest.mark.corpus

MICRODUMP = "not a minidump: a Breakpad microdump (text in a system log), which holds no memory map"
NOTHING = "the minidump has no readable regions, modules, threads, or memory: "

REFUSED = {
    "google_breakpad__microdump-arm.dmp": MICRODUMP,
    "google_breakpad__microdump-arm64.dmp": MICRODUMP,
    "google_breakpad__microdump-mips32.dmp": MICRODUMP,
    "google_breakpad__microdump-mips64.dmp": MICRODUMP,
    "google_breakpad__microdump-multiple.dmp": MICRODUMP,
    "google_breakpad__microdump-withcrashreason.dmp": MICRODUMP,
    "google_breakpad__microdump-x86.dmp": MICRODUMP,
    "radareorg_radare2-testbins__npe_r_mdmp.c-364_1.mdmp": "minidump is cut off before the stream directory",
    "radareorg_radare2-testbins__npe_w_bin_mdmp.c-111_1.mdmp": NOTHING
    + "directory at 0x400: claims 1,791 entries, 285 fit; "
    + "SystemInfo: has 4 bytes, needs at least 56 (stream at 0x0)",
    "radareorg_radare2-testbins__trunc_memory64.dmp": NOTHING
    + "Memory64List: 1 of 1 memory ranges reach beyond the end of the file: 4,702,111,234,474,983,424 of their bytes "
    + "are missing (stream at 0x2c); the dump has no SystemInfo stream: architecture and system are unknown",
    "rust-minidump_rust-minidump__invalid-range.dmp": NOTHING
    + "LinuxMaps: has no line of /proc/PID/maps (stream at 0x0); "
    + "the file ends at 0x114, before the end of: 0xa793504d, 0x3000000, 0x10a0a",
    "rust-minidump_rust-minidump__invalid-record-count.dmp": NOTHING
    + "the file ends at 0xeb, before the end of: MozMacosCrashInfo, 0x1e000000, 0x4d21af, 0x2300, 0xaff0ffff, ...; "
    + "the dump has no SystemInfo stream: architecture and system are unknown",
}
"""File to the message that it must be refused with; all others must give a map."""


@cache
def opened(path: Path) -> RegionMap | str:
    """The map of a file, or the message that it is refused with."""
    with within(20):
        try:
            return dumpmap.open(path)
        except dumpmap.DumpmapError as error:
            return error.problem


def maps(corpus: Path) -> Iterator[tuple[str, RegionMap]]:
    """Every map with its file's name."""
    for path in dumps(corpus):
        m = opened(path)
        if not isinstance(m, str):
            yield path.name, m


def map_of(path: Path) -> RegionMap:
    m = opened(path)
    assert not isinstance(m, str), m
    return m


def dumps(corpus: Path) -> list[Path]:
    return sorted(path for path in corpus.iterdir() if path.suffix in (".dmp", ".mdmp"))


def test_the_corpus_is_the_one_that_these_tests_were_written_for(corpus: Path) -> None:
    assert len(dumps(corpus)) == 76
    assert set(REFUSED) <= {path.name for path in dumps(corpus)}


def test_exactly_these_files_are_refused_with_exactly_these_messages(corpus: Path) -> None:
    refused = {path.name: found for path in dumps(corpus) if isinstance(found := opened(path), str)}
    assert refused == REFUSED


def test_every_map_adds_up(corpus: Path) -> None:
    for name, m in maps(corpus):
        frame = m.regions
        known = [line for line in m.summary_lines[1:] if line.size is not None and line.name != "Page Table"]
        assert sum(line.size or 0 for line in known) == int(frame["size"].sum()), name
        if m.end is None:
            assert m.completeness == "partial", name
            assert m.largest_free_block is None, name
        else:
            assert int(frame["size"].sum()) == m.end, name


def test_every_map_knows_its_system_and_modules(corpus: Path) -> None:
    for name, m in maps(corpus):
        assert m.process.architecture in ("x86", "x64", "arm", "arm64"), name
        assert m.process.os.family in ("windows", "linux", "macos", "ios"), name
        assert m.snapshot.modules, name
        assert m.line(RegionType.IMAGE).size, name


def test_windows_and_mac_dumps_show_a_stack_of_every_thread(corpus: Path) -> None:
    for name, m in maps(corpus):
        if m.process.os.family != "linux":
            assert {stack.thread_id for stack in m.stacks} == {thread.id for thread in m.snapshot.threads}, name


def test_the_one_with_a_memory_list(corpus: Path) -> None:
    m = map_of(corpus / "google_breakpad__tiny-exe-with-cet-xsave.dmp")
    assert m.snapshot.regions is not None
    assert len(m.snapshot.regions) == 557
    assert len(m.snapshot.modules) == 25
    assert m.completeness == "map"
    assert m.warnings == ()


def test_its_rows_add_up_to_the_whole_user_space_exactly(corpus: Path) -> None:
    m = map_of(corpus / "google_breakpad__tiny-exe-with-cet-xsave.dmp")
    assert m.end == 0x7FFFFFFF0000, "128 TB less the last 64 KB, as 64-bit Windows has it"
    sizes = {line.name: line.size or 0 for line in m.summary_lines[1:]}
    assert sum(sizes.values()) == m.end
    rest = sum(size for name, size in sizes.items() if name not in ("Free", "Unusable"))
    assert sizes["Free"] + sizes["Unusable"] + rest == m.end
    assert m.total.size == m.end - sizes["Free"]
    assert sizes["Free"] > 0
    assert sizes["Unusable"] > 0


def test_its_guard_pages_are_seen_as_guard(corpus: Path) -> None:
    m = map_of(corpus / "google_breakpad__tiny-exe-with-cet-xsave.dmp")
    frame = m.regions
    guarded = frame[frame["protection"].str.endswith("/Guard")]
    raw = m.snapshot.regions
    assert raw is not None
    assert len(guarded) == int(((raw.protect & 0x100) != 0).sum())
    assert len(guarded) > 0
    stacks = guarded[guarded["type"] == "Stack"]
    assert set(stacks["kind"]) == {"Guard"}
    for stack in m.stacks:
        assert stack.guard


def test_linux_dumps_with_maps_have_a_whole_map(corpus: Path) -> None:
    m = map_of(corpus / "google_breakpad__linux_null_dereference.dmp")
    assert m.completeness == "map"
    assert m.system.allocation_granularity == 0x1000
    assert m.line(RegionType.UNUSABLE).size == 0
    assert m.line(RegionType.STACK).size
    assert set(m.allocations["evidence"].str.split("+").str[0]) == {"linux-maps", "gap"}


def test_what_the_writers_recorded(corpus: Path) -> None:
    def writer(name: str) -> WriterRecord:
        record = dumpmap.open(corpus / name).snapshot.writer
        assert record is not None
        return record

    record = writer("google_breakpad__minidump_crashpad_annotation.dmp")
    values = {(one.module, one.name): one.value for one in record.annotations}
    assert (record.writer, record.product, record.version) == ("Crashpad", "xcuitest", "1")
    assert values[("ios_crash_xcuitests", "exceptionName")] == "NSRangeException"
    assert values[("ios_crash_xcuitests", "CounterAnnotation")] == "01000000"
    assert record.out_of_memory is None
    record = writer("rust-minidump_rust-minidump__simple-crashpad.dmp")
    assert [(one.module, one.name, one.value) for one in record.annotations] == [
        (None, "hello", "world"),
        ("libsystem_c.dylib", "", "abort() called"),
        ("dyld", "", "dyld2 mode"),
    ]
    record = writer("rust-minidump_rust-minidump__linux-mini.dmp")
    assert record.writer == "Mozilla minidump-writer"
    assert record.soft_errors[1] == '{"SuspendThreadsErrors":[{"PtraceAttachError":[1234,"EPERM"]}]}'
