"""What the writer of a dump recorded of free address space and page file, and what follows from it."""

from __future__ import annotations

import pytest
from support.scenes import GB, MB, TOP_2GB, TOP_4GB
from synth.minidump import MinidumpBuilder
from synth.writers import ENGINE_OOM, unreal_xml

import dumpmap
from dumpmap.analysis.gate_figures import FIGURES
from dumpmap.analysis.limits import address_limit
from dumpmap.analysis.measurements import measurements_of
from dumpmap.analysis.process_commit import process_commit
from dumpmap.api import RegionMap
from dumpmap.render.markdown import to_markdown
from dumpmap.triage.map_row import row_of_map
from dumpmap.views.counters import counter_rows
from dumpmap.views.diagnose import diagnosis_view
from dumpmap.views.free import free_view
from dumpmap.views.info import info_view
from dumpmap.views.modules import module_view
from dumpmap.wording.findings import find
from dumpmap.wording.verdicts import verdict

TOTAL_2GB, TOTAL_3GB, TOTAL_4GB, TOTAL_128TB = 2_147_352_576, 3_221_094_400, 4_294_836_224, 140_737_488_224_256
"""GlobalMemoryStatusEx's ullTotalVirtual: the space without its first and last 64 KB."""


def base(arch: str = "x86") -> MinidumpBuilder:
    dump = MinidumpBuilder(arch).system_info(build=19045)
    dump.module(0x400000, 0x1000, "C:\\App\\App.exe").thread(4, context_ip=0x400100)
    return dump.exception(4, 0x80000003, 0x400100)


def mozilla(arch: str = "x86", **figures: object) -> RegionMap:
    return dumpmap.open(base(arch).crashpad_info(*((name, str(value)) for name, value in figures.items())).build())


def unreal(arch: str = "x86", **figures: object) -> RegionMap:
    values = {**ENGINE_OOM, "ErrorMessage": "x", **{f"MemoryStats.{name}": str(one) for name, one in figures.items()}}
    return dumpmap.open(base(arch).unreal_context(unreal_xml(values)).build())


def shown(region_map: RegionMap) -> str:
    found = find(region_map)
    return to_markdown(diagnosis_view(region_map, verdict(region_map), found))


def test_a_request_above_the_recorded_largest_block_proves_the_address_space() -> None:
    region_map = mozilla(
        OOMAllocationSize=100 * MB,
        AvailableVirtualMemory=50_000_000,
        LargestFreeVMBlock=hex(MB),
        TotalVirtualMemory=TOTAL_4GB,
    )
    judged = verdict(region_map)
    assert judged.verdict == "out-of-address-space"
    (signal,) = [one for one in judged.signals if one.id == "writer-recorded-out-of-memory"]
    assert (signal.strength, signal.values["strength"], signal.values["axis"]) == (
        "recorded",
        "recorded",
        "address-space",
    )
    assert "100 MB was requested, and Crashpad recorded a largest free block of 1 MB when the dump was written" in (
        judged.sentence
    )
    assert "does not record the free address space" not in shown(region_map)
    assert judged.address_space["largest_free_block_at_most"] == {
        "size": MB,
        "evidence": {"source": "writer", "limit": TOP_4GB, "name": "LargestFreeVMBlock", "writer": "Crashpad"},
    }
    assert judged.address_space["free_at_most"]["size"] == 50_000_000


def test_all_that_is_available_bounds_the_largest_block_too() -> None:
    region_map = mozilla(OOMAllocationSize=MB, AvailableVirtualMemory=50_000_000, LargestFreeVMBlock=GB)
    judged = verdict(region_map)
    assert judged.verdict == "out-of-memory"
    assert judged.address_space["largest_free_block_at_most"]["size"] == 50_000_000
    row = row_of_map(region_map, "a.dmp", 1)
    assert (row["largest_free_at_most"], row["free_at_most"]) == (50_000_000, 50_000_000)
    result = to_markdown(free_view(region_map, [], 10))
    assert (
        "Largest block: at most 47.7 MB (AvailableVirtualMemory, which Crashpad recorded when the dump was written)"
        in (result)
    )


@pytest.mark.parametrize("block", ["0", "0x200000000", "none"])
def test_a_block_that_cannot_be_is_ignored(block: str) -> None:
    region_map = mozilla(OOMAllocationSize=100 * MB, LargestFreeVMBlock=block)
    assert verdict(region_map).verdict == "out-of-memory"
    bounds = measurements_of(region_map).bounds
    assert bounds is not None
    assert bounds.recorded is None


def test_a_wide_space_counts_only_little_room() -> None:
    little = mozilla("x64", OOMAllocationSize=16 * MB, LargestFreeVMBlock=MB)
    assert verdict(little).verdict == "out-of-address-space"
    plenty = mozilla("x64", OOMAllocationSize=16 * MB, AvailableVirtualMemory=140_000_000_000_000)
    assert measurements_of(plenty).bounds is None
    assert verdict(plenty).verdict == "out-of-memory"


def test_the_page_file_gives_the_commit_axis() -> None:
    region_map = mozilla("x64", OOMAllocationSize=MB, TotalPageFile=20 * GB, AvailablePageFile=50 * MB)
    judged = verdict(region_map)
    assert judged.verdict == "out-of-commit"
    assert (judged.commit["system_total"], judged.commit["system_limit"]) == (20 * GB - 50 * MB, 20 * GB)
    assert judged.commit["source"] == "writer"
    assert "by the writer of the dump" in judged.sentence
    assert verdict(mozilla("x64", TotalPageFile=GB, AvailablePageFile=2 * GB)).commit["source"] is None


@pytest.mark.parametrize(("requested", "state"), [(8 * GB, "low"), (4 * GB, "ok")])
def test_commit_with_less_left_than_was_requested_is_not_ok(requested: int, state: str) -> None:
    region_map = mozilla("x64", OOMAllocationSize=requested, TotalPageFile=20 * GB, AvailablePageFile=5 * GB)
    judged, text = verdict(region_map), shown(region_map)
    assert judged.commit["state"] == state
    assert ("More likely (inferred): commit, " in judged.sentence) == (state == "low")
    assert ("less left than was requested" in text) == (state == "low")


def test_a_request_above_both_limits_calls_neither_enough() -> None:
    region_map = mozilla(
        OOMAllocationSize=100 * MB, LargestFreeVMBlock=hex(MB), TotalPageFile=200 * MB, AvailablePageFile=74 * MB
    )
    judged = verdict(region_map)
    assert (judged.verdict, judged.commit["state"]) == ("out-of-address-space", "low")
    assert "not memory" not in judged.sentence
    assert "at 63 % of its limit, by the writer of the dump, and less is left than was requested." in judged.sentence


def test_a_commit_just_below_its_limit_has_one_share_everywhere() -> None:
    region_map = mozilla("x64", OOMAllocationSize=MB, TotalPageFile=20 * GB, AvailablePageFile=65536)
    assert verdict(region_map).commit["system_ratio"] == 0.9999
    text = shown(region_map)
    assert "99.9 %" in text
    assert "100 %" not in text


@pytest.mark.parametrize(
    ("arch", "total", "available", "kind"),
    [
        ("x86", TOTAL_2GB, 100_000_000, "address space"),
        ("x86", TOTAL_4GB, 100_000_000, "address space"),
        ("x86", 20 * GB, 100_000_000, "physical memory and page file"),
        ("x86", 2_500_000_000, 100_000_000, "address space or page file: the sizes do not tell"),
        ("x64", 20 * GB, 100_000_000, "physical memory and page file"),
    ],
)
def test_unreal_virtual_memory_is_told_by_the_size_of_its_total(
    arch: str, total: int, available: int, kind: str
) -> None:
    region_map = unreal(
        arch, TotalPhysical=16 * GB, TotalVirtual=total, AvailableVirtual=available, OOMAllocationSize=256 * MB
    )
    text = to_markdown(info_view(region_map))
    assert text.count(f"({kind})") == 2
    judged = verdict(region_map)
    assert (judged.verdict == "out-of-address-space") is (kind == "address space")
    if kind == "address space":
        assert "recorded 95.4 MB of free address space when the dump was written" in judged.sentence


def test_a_machine_with_little_memory_does_not_decide_the_kind() -> None:
    region_map = unreal(
        TotalPhysical=2 * GB - MB, TotalVirtual=2 * GB - MB, AvailableVirtual=MB, OOMAllocationSize=2 * MB
    )
    assert verdict(region_map).verdict == "out-of-memory"


def test_the_commit_of_the_process_by_the_writer() -> None:
    region_map = unreal("x64", UsedVirtual=1_500_000_000)
    found = process_commit(region_map)
    assert found is not None
    assert (found.size, found.source) == (1_500_000_000, "writer")
    row = row_of_map(region_map, "a.dmp", 1)
    assert (row["process_commit"], row["process_commit_source"]) == (1_500_000_000, "writer")
    judged = verdict(region_map)
    assert judged.commit["process_private"] == 1_500_000_000
    assert "commit: the process commits 1.4 GB" in judged.sentence
    assert "commit: not recorded" not in judged.sentence
    assert ("Process commit", "1.4 GB, by the writer of the dump") in counter_rows(region_map)


def test_counters_come_before_the_writer() -> None:
    values = {**ENGINE_OOM, "MemoryStats.UsedVirtual": "1500000000"}
    dump = base("x64").process_vm_counters(private_usage=GB, pagefile_usage=GB).unreal_context(unreal_xml(values))
    region_map = dumpmap.open(dump.build())
    found = process_commit(region_map)
    assert found is not None
    assert (found.size, found.source) == (GB, "private-usage")
    assert "Process commit" not in dict(counter_rows(region_map))


def test_an_impossible_size_beside_a_record_is_out_of_memory() -> None:
    judged = verdict(unreal("x64", OOMAllocationSize=(1 << 64) - 1))
    assert judged.verdict == "out-of-memory"
    assert "No process could have satisfied the request: 16.0 EB was requested" in judged.sentence


def test_an_empty_heap_at_its_limit_gets_a_remark() -> None:
    heap = {"electron.v8-oom.location": "Reached heap limit", "electron.v8-oom.heap.limit": 4 * GB}
    low = verdict(mozilla("x64", **{**heap, "electron.v8-oom.heap.used": MB}))
    full = verdict(mozilla("x64", **{**heap, "electron.v8-oom.heap.used": 4 * GB - MB}))
    assert (low.verdict, full.verdict) == ("out-of-heap-limit", "out-of-heap-limit")
    assert "these figures do not look full" in low.sentence
    assert "look full" not in full.sentence


def test_what_partition_alloc_had_mapped_is_said() -> None:
    assert "PartitionAlloc had mapped 16 GB when it gave up" in shown(
        mozilla("x64", **{"page-allocator-mapped-size": 16 * GB})
    )


def test_a_gate_knows_the_recorded_figures() -> None:
    figures = {one.name: one for one in FIGURES}
    cramped, engine = mozilla(OOMAllocationSize=100 * MB, LargestFreeVMBlock=hex(MB)), unreal("x64", UsedVirtual=GB)
    assert figures["largest_free_block_at_most"].value(measurements_of(cramped)) == MB
    assert figures["process_commit"].value(measurements_of(engine)) == GB


def test_without_a_third_partys_module_a_sentence_says_so() -> None:
    text = to_markdown(
        module_view(dumpmap.open(MinidumpBuilder("x64").system_info().thread(4).build()), third_party=True)
    )
    assert "No module is known to be a third party's" in text


@pytest.mark.parametrize(
    ("arch", "total", "size"),
    [
        ("x86", TOTAL_2GB, TOP_2GB),
        ("x86", TOTAL_3GB, 3 * GB - 0x10000),
        ("x86", TOTAL_4GB, TOP_4GB),
        ("x64", TOTAL_128TB, (128 << 40) - 0x10000),
    ],
)
def test_a_total_of_address_space_by_the_writer_is_the_limit(arch: str, total: int, size: int) -> None:
    for region_map, name in (
        (mozilla(arch, TotalVirtualMemory=total), "TotalVirtualMemory"),
        (unreal(arch, TotalPhysical=16 * GB, TotalVirtual=total), "TotalVirtual"),
    ):
        limit = address_limit(region_map)
        assert (limit.size, limit.source, limit.exact) == (size, f"the writer's {name}", True)
        assert verdict(region_map).address_space["limit_source"] == f"the writer's {name}"


def test_a_total_that_no_address_space_has_is_no_limit() -> None:
    for total in (0, 20 * GB, 2_500_000_000, TOTAL_128TB):
        assert address_limit(mozilla(TotalVirtualMemory=total)).source == "pointer size"
    assert address_limit(unreal(TotalPhysical=16 * GB, TotalVirtual=20 * GB)).source == "pointer size"
    assert address_limit(mozilla("x64", TotalVirtualMemory=TOTAL_4GB)).source == "Windows version"


@pytest.mark.parametrize(("block", "free"), [(MB, None), (None, 900 * MB)])
def test_a_recorded_figure_that_does_not_decide_is_not_called_missing(block: int | None, free: int | None) -> None:
    region_map = mozilla(
        OOMAllocationSize=MB,
        TotalVirtualMemory=TOTAL_2GB,
        LargestFreeVMBlock=block or 0,
        AvailableVirtualMemory=free or 0,
    )
    judged, text = verdict(region_map), shown(region_map)
    assert judged.verdict == "out-of-memory"
    assert "does not record the free address space" not in text
    assert "The limit that failed is unknown: Crashpad recorded " in text
    assert "which does not decide it, and the dump does not record the system's commit charge." in text


@pytest.mark.parametrize(("block", "low"), [(32 * MB - 1, True), (32 * MB, False), (64 << 10, True)])
def test_little_room_by_the_writer_is_low_without_a_failure(block: int, low: bool) -> None:
    region_map = mozilla(AvailableVirtualMemory=200 * MB, LargestFreeVMBlock=block, TotalVirtualMemory=TOTAL_2GB)
    judged = verdict(region_map)
    assert judged.verdict == ("address-space-low" if low else "cannot-tell")
    if low:
        assert judged.address_space["state"] == "low"
        assert [one.id for one in find(region_map) if one.id.startswith("address-space")] == ["address-space-low"]
        assert "Crashpad recorded a largest free block of " in shown(region_map)
        assert "0 bytes" not in shown(region_map)
