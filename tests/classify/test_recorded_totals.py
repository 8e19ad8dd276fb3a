"""The totals of a recorded process: regions, committed and reserved bytes by type, free space."""

from __future__ import annotations

import pytest
from support.recorded import COMPLETE, DUMPS, PLAIN, number, region_map, truth

import dumpmap
from dumpmap.model.region_map import FreeBlock
from dumpmap.model.types import RegionType

GRANULARITY = 0x10000
SPACE_TYPES = ("Image", "Mapped File", "Shareable", "Heap", "Managed Heap", "Stack", "Private Data")


@pytest.mark.parametrize("name", COMPLETE)
def test_regions_allocations_and_the_end_of_the_space(name: str) -> None:
    m, totals = region_map(name), truth(name)["totals"]
    assert m.snapshot.regions is not None
    assert len(m.snapshot.regions) == totals["regions"]
    assert len(m.space) == totals["allocations"]
    assert m.end == number(totals["end"])


@pytest.mark.parametrize("name", COMPLETE)
def test_committed_and_reserved_bytes(name: str) -> None:
    m, totals = region_map(name), truth(name)["totals"]
    used = sum(line.size or 0 for line in m.summary_lines if line.name in SPACE_TYPES)
    assert used == totals["committed"] + totals["reserved"]
    assert used == totals["private"] + totals["mapped"] + totals["image"]
    assert m.total.committed == totals["committed"]
    assert m.total.size == used + (m.line(RegionType.UNUSABLE).size or 0)


@pytest.mark.parametrize("name", COMPLETE)
def test_bytes_by_the_kind_of_memory(name: str) -> None:
    summary, totals = region_map(name).summary(), truth(name)["totals"]
    private = ["Heap", "Managed Heap", "Stack", "Private Data"]
    assert summary.loc["Image", "size"] == totals["image"]
    assert summary.loc["Image", "committed"] == totals["image_committed"]
    assert summary.loc["Shareable", "size"] == totals["mapped"]
    assert summary.loc["Shareable", "committed"] == totals["mapped_committed"]
    assert summary.loc["Shareable", "private"] == 0
    assert int(summary.loc[private, "size"].sum()) == totals["private"]
    assert int(summary.loc[private, "committed"].sum()) == totals["private_committed"]
    assert int(summary.loc[private, "private"].sum()) == totals["private_committed"]


@pytest.mark.parametrize("name", COMPLETE)
def test_free_space_and_its_unusable_part_add_up_to_what_virtual_query_calls_free(name: str) -> None:
    m, totals = region_map(name), truth(name)["totals"]
    free, unusable = m.line(RegionType.FREE), m.line(RegionType.UNUSABLE)
    assert (free.size or 0) + (unusable.size or 0) == totals["free"]
    assert m.free_blocks is not None
    assert free.size == sum(block.size for block in m.free_blocks)
    assert free.blocks == len(m.free_blocks)


@pytest.mark.parametrize("name", COMPLETE)
def test_largest_free_block(name: str) -> None:
    gap = truth(name)["totals"]["largest_free_gap"]
    address, size = number(gap["address"]), gap["size"]
    start = -(-address // GRANULARITY) * GRANULARITY
    wanted = FreeBlock(start, address + size - start)
    m = region_map(name)
    assert m.summary().loc["Free", "largest"] == wanted.size
    # What is left of the exhausted process are its first 64 KB, which Windows gives to nobody.
    assert m.largest_free_block == (wanted if wanted.address else None)


@pytest.mark.parametrize("name", COMPLETE)
def test_the_rows_fill_the_space_without_gap_or_overlap(name: str) -> None:
    m = region_map(name)
    for frame in (m.allocations, m.regions):
        at = 0
        for address, size in zip(frame["address"].tolist(), frame["size"].tolist(), strict=True):
            assert address == at
            at += size
        assert at == m.end


@pytest.mark.parametrize("name", COMPLETE)
def test_process_and_system_facts(name: str) -> None:
    m, wanted = region_map(name), truth(name)["process"]
    assert m.process.pid == wanted["pid"]
    assert m.process.architecture == wanted["architecture"]
    assert m.process.pointer_size == wanted["pointer_size"]
    assert bool(m.process.wow64) == wanted["wow64"]
    assert m.process.command_line == wanted["command_line"]
    assert m.process.os.version == wanted["windows"]
    assert m.system.page_size == wanted["page_size"]
    assert m.system.allocation_granularity == wanted["allocation_granularity"]
    assert m.system.min_address == number(wanted["min_address"])
    assert m.system.max_address == number(wanted["max_address"])
    assert m.warnings == ()


@pytest.mark.parametrize("name", COMPLETE)
def test_the_exception_of_the_dump(name: str) -> None:
    exception, wanted = region_map(name).snapshot.exception, truth(name)["exception"]
    if wanted is None:
        assert exception is None
        return
    assert exception is not None
    assert exception.code == number(wanted["code"])
    assert exception.address == number(wanted["address"])
    assert exception.thread_id == wanted["tid"]
    assert list(exception.parameters) == [number(value) for value in wanted["parameters"]]


@pytest.mark.parametrize("name", COMPLETE)
def test_thread_names(name: str) -> None:
    names = {thread.id: thread.name for thread in region_map(name).snapshot.threads}
    assert names == {thread["tid"]: thread["name"] for thread in truth(name)["threads"]}


@pytest.mark.parametrize("name", PLAIN)
def test_without_a_memory_list_free_space_is_unknown(name: str) -> None:
    m = region_map(name)
    summary = m.summary()
    assert m.completeness == "partial"
    assert m.end is None
    assert m.free_blocks is None
    assert m.largest_free_block is None
    assert summary.loc[["Free", "Unusable", "Shareable", "Mapped File"]].isna().all(axis=None)
    assert "Unknown" in summary.index


def test_a_dump_with_all_private_memory_is_full_and_its_twin_without_is_not() -> None:
    assert region_map("layout-x64-private").completeness == "full"
    assert region_map("layout-x64").completeness == "map"


def test_both_dumps_of_one_moment_give_one_map() -> None:
    one, other = region_map("layout-x64"), region_map("layout-x64-private")
    assert one.summary().equals(other.summary())
    # Only the dump with all private memory has the TEB that an ended thread left under Wine.
    ended = other.allocations["details"].str.contains("ended").fillna(False)
    left = ended | ended.shift(fill_value=False)
    assert other.allocations[left]["owner"].tolist() == ["Wine", "Wine"]
    frames = [found.allocations[~left].drop(columns="evidence") for found in (one, other)]
    assert frames[0].equals(frames[1])


def test_every_recorded_dump_has_its_truth() -> None:
    assert len(DUMPS) >= 10
    for name in DUMPS:
        assert truth(name)["process"]["pid"]


def test_compression_does_not_matter() -> None:
    assert dumpmap.open(DUMPS["layout-x64"]).snapshot.source.container == "gzip"
    assert dumpmap.open(DUMPS["layout-x64-private"]).snapshot.source.container == "zstd"
    assert dumpmap.open(DUMPS["layout-x86-plain"]).snapshot.source.container is None
