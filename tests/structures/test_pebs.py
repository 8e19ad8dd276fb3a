"""PEBs: the heap list, names of regions, and what is missing or lies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.structures import load, memory_of, survey_process
from synth import layouts as synth_layouts
from synth.heaps import nt_heap, write_heap_array
from synth.process import ProcessBuilder

from dumpmap.model.kinds import NAMED_KINDS
from dumpmap.model.memory import RecordingMemory
from dumpmap.model.process import Peb
from dumpmap.structures.pe import read_image
from dumpmap.structures.peb import find_cfg_bitmaps, find_pebs, read_peb
from dumpmap.structures.teb import read_tebs

BUILDS = [("x86", 2600), ("x64", 3790), ("x86", 6002), ("x64", 7601), ("x64", 9600), ("x64", 14393), ("x86", 19045)]

# The test data's word for a region: the kind that names it.
KINDS = {
    "process parameters": "Process parameters",
    "ApiSet map": "API set map",
    "CSR shared memory": "CSR shared memory",
    "NLS tables": "NLS tables",
    "GDI handle table": "GDI handle table",
    "shim data": "Shim data",
    "process activation context": "Process activation context",
    "system activation context": "System activation context",
    "WER data": "WER data",
    "silo shared data": "Silo shared data",
    "telemetry coverage map": "Telemetry coverage map",
    "leap-second data": "Leap-second data",
    "CFG bitmap": "CFG bitmap",
    "user shared data": "User shared data",
    "desktop heap": "Desktop heap",
}


def peb_of(process: ProcessBuilder) -> Peb:
    peb = read_peb(memory_of(process), process.peb, process.pointer_size)
    assert peb is not None
    return peb


@pytest.mark.parametrize(("arch", "build"), BUILDS)
def test_fields(arch: str, build: int) -> None:
    process = ProcessBuilder(arch, build).furnish()
    heaps = [nt_heap(process) for _ in range(3)]
    array = write_heap_array(process)
    process.set_peb("NtGlobalFlag", 0x02000000).set_peb("SessionId", 7)
    process.set_peb("HeapSegmentReserve", 0x100000).set_peb("HeapSegmentCommit", 0x2000)
    peb = peb_of(process)
    assert (peb.address, peb.pointer_size) == (process.peb, process.pointer_size)
    assert peb.image_base == process.modules[0].base
    assert peb.ldr == process.module("ntdll.dll").sections[".data"][0] + 0x1C0
    assert peb.heaps == tuple(heap.address for heap in heaps)
    assert (peb.number_of_heaps, peb.maximum_number_of_heaps, peb.heap_array_address) == (3, 16, array)
    assert peb.process_heap == heaps[0].address
    assert peb.os_version == (*synth_layouts.os_version(build), build)
    assert (peb.nt_global_flag, peb.session_id) == (0x02000000, 7)
    assert (peb.heap_segment_reserve, peb.heap_segment_commit) == (0x100000, 0x2000)
    assert peb.process_parameters == process.named["process parameters"]


def test_the_heap_array_in_a_heap_block() -> None:
    process = ProcessBuilder("x64", 19045).furnish()
    heaps = [nt_heap(process) for _ in range(27)]
    write_heap_array(process, heap_block_of=heaps[0])
    peb = peb_of(process)
    assert peb.heaps == tuple(heap.address for heap in heaps)
    assert peb.maximum_number_of_heaps == 32


@pytest.mark.parametrize(
    ("count", "maximum", "captured"),
    [(3, 16, False), (17, 16, True), (1001, 2000, True), (0xFFFFFFFF, 0xFFFFFFFF, True)],
)
def test_a_heap_list_that_is_missing_or_lies_is_none(count: int, maximum: int, captured: bool) -> None:
    process = ProcessBuilder("x86", 19045).furnish()
    nt_heap(process)
    write_heap_array(process, count=count, maximum=maximum, array_captured=captured)
    peb = peb_of(process)
    assert peb.heaps is None
    assert peb.number_of_heaps == count


def test_the_strings_are_read_only_when_asked_for() -> None:
    process = ProcessBuilder("x64", 19045).furnish()
    process.add_process_parameters(image="C:\\caf\xe9\\app.exe", command_line="app --password secret \U0001f511")
    recording = RecordingMemory(memory_of(process))
    silent = read_peb(recording, process.peb, 8, read_parameters=False)
    assert silent is not None
    assert (silent.image_path, silent.command_line) == (None, None)
    secret = "secret".encode("utf-16-le")
    assert all(secret not in data for _, data in recording.excerpts())
    spoken = read_peb(recording, process.peb, 8)
    assert spoken is not None
    assert spoken.image_path == "C:\\caf\xe9\\app.exe"
    assert spoken.command_line == "app --password secret \U0001f511"
    assert replace(spoken, image_path=None, command_line=None) == silent


def test_strings_that_lie() -> None:
    process = ProcessBuilder("x86", 7601).furnish()
    parameters = process.named["process parameters"]
    process.number(parameters + 0x40, 0xFFFF, 2)  # CommandLine.Length
    process.number(parameters + 0x38, 0, 2)  # ImagePathName.Length
    peb = peb_of(process)
    assert (peb.image_path, peb.command_line) == ("", None)
    process.set_peb("ProcessParameters", 0xFFFFFFF0)
    peb = peb_of(process)
    assert (peb.image_path, peb.command_line) == (None, None)


def test_strings_of_parameters_that_are_not_normalized_are_offsets() -> None:
    process = ProcessBuilder("x64", 7601).furnish()
    parameters = process.named["process parameters"]
    plain = peb_of(process)
    for at in (0x68, 0x78):
        process.pointer(parameters + at, process.read_pointer(parameters + at) - parameters)
    process.number(parameters + 8, 0, 4)
    assert peb_of(process) == plain


@pytest.mark.parametrize(("arch", "build"), [*BUILDS, ("x64", 22000), ("x64", 26100), ("x86", 17763)])
def test_named_regions(arch: str, build: int) -> None:
    process = ProcessBuilder(arch, build).furnish()
    if build >= 6000:
        process.add_wer_data()
    if build >= 10240:
        process.add_silo_data()
    if build >= 16299:
        process.add_telemetry_map()
    if build >= 15063:
        process.add_desktop_heap(process.threads[0])
    if build >= 9600:
        process.add_cfg_bitmap()
    found = {region.address: region for region in survey_process(process).named}
    expected = {KINDS[name]: address for name, address in process.named.items() if name in KINDS}
    if build >= 22000:
        del expected["NLS tables"]  # no pointer names them any more
    for kind, address in expected.items():
        assert found[address].kind == kind
    extra = {region.kind for address, region in found.items() if address not in expected.values()}
    assert extra <= {"NLS tables"}  # its three pointers lead into one view
    assert {region.kind for region in found.values()} <= {info.name for info in NAMED_KINDS}
    assert all("." in region.field or region.field == "KUSER_SHARED_DATA" for region in found.values())


def test_fields_that_older_releases_use_otherwise_name_nothing() -> None:
    process = ProcessBuilder("x86", 2600).furnish()
    process.set_peb("ApiSetMap", 0x00350000)  # FreeList on XP
    process.set_peb("SharedData", 0x00360000)  # ReadOnlySharedMemoryHeap
    named = {region.kind for region in peb_of(process).named}
    assert not named & {"API set map", "Silo shared data"}


def test_pointers_into_the_kernel_or_nowhere_name_nothing() -> None:
    process = ProcessBuilder("x64", 19045).furnish()
    for field in ("ApiSetMap", "pShimData", "GdiSharedHandleTable"):
        process.set_peb(field, 0xFFFF8000_00000000)
    process.set_peb("ActivationContextData", 0x10)
    named = {region.kind for region in peb_of(process).named}
    assert not named & {"API set map", "Shim data", "GDI handle table", "Process activation context"}


@pytest.mark.parametrize("build", [9600, 14393, 15063, 18363, 19041, 26100])
@pytest.mark.parametrize(("arch", "wow64"), [("x64", False), ("x86", False), ("x86", True), ("x64", True)])
def test_the_cfg_bitmap(arch: str, wow64: bool, build: int) -> None:
    process = ProcessBuilder(arch, build, wow64).furnish()
    address = process.add_cfg_bitmap()
    memory = memory_of(process)
    ntdll = process.module("ntdll.dll")
    image = read_image(memory, ntdll.base)
    assert image is not None
    (region,) = find_cfg_bitmaps(memory, ntdll.base, image)
    assert (region.address, region.kind) == (address, "CFG bitmap")
    assert region.field == "LdrSystemDllInitBlock." + ("Wow64CfgBitMap" if wow64 else "CfgBitMap")
    # A size that does not reach the fields, and a start-up block of Windows 8, which has none.
    for size in (0, 0x60, 0x100000):
        process.number(ntdll.exports["LdrSystemDllInitBlock"], size, 4)
        assert find_cfg_bitmaps(memory_of(process), ntdll.base, image) == ()


def test_what_is_no_peb() -> None:
    process = ProcessBuilder("x64", 19045).furnish()
    memory = memory_of(process)
    assert read_peb(memory, process.threads[0].teb, 8) is None
    assert read_peb(memory, process.peb + 8, 8) is None
    assert read_peb(memory, 0, 8) is None
    assert read_peb(memory, process.peb, 4) is None
    process.drop_page(process.peb)
    assert read_peb(memory_of(process), process.peb, 8) is None


def test_threads_vote_for_the_peb() -> None:
    process = ProcessBuilder("x64", 19045).furnish()
    threads = [process.threads[0], *(process.add_thread() for _ in range(4))]
    process.set_teb(threads[0], "ProcessEnvironmentBlock", process.modules[0].base)
    process.set_teb(threads[1], "ProcessEnvironmentBlock", 0x1234)
    memory = memory_of(process)
    tebs = [teb for thread in threads for teb in read_tebs(memory, thread.teb, thread.tid, 8)]
    (peb,) = find_pebs(memory, tebs)
    assert peb.address == process.peb
    assert find_pebs(memory, []) == ()
    (known,) = find_pebs(memory, [], [(process.peb, 8), (process.peb, 4)])
    assert known == peb
    assert any("name another" in warning for warning in survey_process(process).warnings)


@pytest.mark.corpus
def test_real_pebs(corpus: Path) -> None:
    electron = load(corpus / "electron_node-minidump__windows.dmp").survey(read_parameters=True)
    (peb,) = electron.pebs
    assert peb.os_version == (10, 0, 14393)
    assert peb.image_path is not None
    assert peb.image_path.endswith("\\electron.exe")
    assert peb.command_line is not None
    assert "--type=renderer" in peb.command_line
    assert (peb.number_of_heaps, peb.heaps) == (4, None)
    assert (peb.heap_segment_reserve, peb.heap_segment_commit) == (0x100000, 0x2000)
    assert {region.kind for region in peb.named} >= {"API set map", "CSR shared memory", "NLS tables", "Shim data"}
    newest = load(corpus / "google_breakpad__tiny-exe-with-cet-xsave.dmp").survey()
    kinds = {region.kind for region in newest.named}
    assert "NLS tables" not in kinds
    assert "Desktop heap" in kinds
    old = load(corpus / "google_syzygy__notepad-small-64bit.dmp").survey()
    assert [peb.os_version for peb in old.pebs] == [(6, 1, 7601)]
    assert "Shim data" not in {region.kind for region in old.named}


@pytest.mark.corpus
def test_a_dump_with_a_peb_and_no_heap_bytes_says_so(corpus: Path) -> None:
    found = load(corpus / "electron_node-minidump__windows.dmp").survey()
    assert found.heap_list_captured is False
    assert any("its heap list is not in the dump (NumberOfHeaps: 4)" in lack for lack in found.notes)
    (heap,) = found.heaps
    assert (heap.address, heap.is_default, heap.kind) == (0x1A8DC360000, True, "unknown (header not in dump)")


def test_both_pebs_of_a_recorded_wow64_process(fixtures: Path) -> None:
    narrow, wide = load(fixtures / "layout-wow64.dmp.gz").survey().pebs
    assert (narrow.pointer_size, wide.pointer_size) == (4, 8)
    assert narrow.address == wide.address + 0x1000
    assert narrow.heaps == wide.heaps == ()  # Wine keeps no list


@pytest.mark.parametrize(("votes", "found"), [((0, 1, 1), 1), ((1, 0, 0), 0), ((0, 1), 0), ((1, 0), 1), ((), 1)])
def test_the_threads_vote_and_other_candidates_come_after_theirs(votes: tuple[int, ...], found: int) -> None:
    process = ProcessBuilder("x64", 19045).furnish()
    other = process.allocate(0x1000)
    process.write(other, process.read(process.peb, 0x1000))
    places = (other, process.peb)
    (teb, *_) = read_tebs(memory_of(process), process.threads[0].teb, None, 8)
    tebs = [replace(teb, peb=places[vote]) for vote in votes]
    (peb,) = find_pebs(memory_of(process), tebs, [(process.peb, 8), (process.peb, 8), (other, 8)])
    assert peb.address == places[found]
