"""Free space against what can be counted by hand, and `fits` against giving the space out block by block."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.scenes import FIXTURES, GB, GRANULE, KB, MB, TOP_4GB, Scene, cut_list, recorded
from synth.process import ProcessBuilder
from typer.testing import CliRunner, Result

import dumpmap
from dumpmap.analysis.free import fits, free_space
from dumpmap.analysis.free_blocks import free_report, histogram, largest_blocks, unusable_causes
from dumpmap.api import map_snapshot
from dumpmap.cli.app import whole_app
from dumpmap.model.snapshot import SummaryRow, System
from dumpmap.model.types import RegionType
from dumpmap.render.markdown import to_markdown
from dumpmap.views.diagnose import diagnosis_view
from dumpmap.views.free import fit_text, free_view
from dumpmap.views.summary import largest_free_line
from dumpmap.wording.findings import find
from dumpmap.wording.text import Units
from dumpmap.wording.verdicts import verdict
from dumpmap.writers.snapshot_file import save_snapshot


def test_totals_of_a_fragmented_space() -> None:
    space = free_space(Scene().leave(18 * MB, 4 * MB, 512 * KB).map())
    assert space is not None
    assert space.total == 18 * MB + 4 * MB + 512 * KB
    assert space.count == 3
    assert space.largest is not None
    assert (space.largest.address, space.largest.size) == (0x20000, 18 * MB)
    assert space.tiny == 512 * KB
    assert space.tiny_count == 1
    assert space.fragmentation == pytest.approx(1 - 18 * MB / space.total)
    assert space.complete


def test_a_space_without_any_free_block_has_no_fragmentation() -> None:
    scene = Scene()
    scene.allocate(scene.top, base=0)
    space = free_space(scene.map())
    assert space is not None
    assert (space.total, space.count, space.largest, space.fragmentation) == (0, 0, None, None)
    assert histogram(space) == []
    fit = fits(space, 4096)
    assert fit is not None
    assert not fit.fits
    assert fit.largest == 0


def test_a_partial_map_has_no_free_space() -> None:
    region_map = Scene().leave(MB).map(partial=True)
    assert free_space(region_map) is None
    assert fits(region_map, MB) is None
    assert free_report(region_map) is None
    assert largest_blocks(region_map) == []
    assert unusable_causes(region_map) == []


def test_histogram_counts_every_block_once_and_leaves_no_gap() -> None:
    space = free_space(Scene().leave(64 * KB, 192 * KB, MB, MB, 17 * MB).map())
    assert space is not None
    rows = histogram(space)
    assert sum(row["count"] for row in rows) == space.count
    assert sum(row["bytes"] for row in rows) == space.total
    assert all(before["max_bytes"] == after["min_bytes"] for before, after in pairwise(rows))
    by_start = {row["min_bytes"]: row for row in rows}
    assert by_start[64 * KB] == {"min_bytes": 64 * KB, "max_bytes": 128 * KB, "count": 1, "bytes": 64 * KB}
    assert by_start[MB]["count"] == 2
    assert by_start[16 * MB] == {"min_bytes": 16 * MB, "max_bytes": 32 * MB, "count": 1, "bytes": 17 * MB}


def test_neighbours_of_the_largest_blocks() -> None:
    scene = Scene()
    scene.allocate(0x20000, base=0x10000)
    scene.allocate(MB, base=0x1000000, commit=0)
    blocks = largest_blocks(scene.map(), 2)
    assert [block.address for block in blocks] == [0x1100000, 0x30000]
    assert blocks[0].after is None
    assert blocks[0].before is not None
    assert blocks[0].before.address == 0x1000000
    assert blocks[1].before is not None
    assert blocks[1].after is not None
    assert (blocks[1].before.address, blocks[1].before.size) == (0x10000, 0x20000)
    assert (blocks[1].after.address, blocks[1].after.type) == (0x1000000, "Private Data")
    assert largest_blocks(scene.map(), 0) == []


def test_unusable_space_is_attributed_to_its_causes() -> None:
    scene = Scene()
    for index in range(20):
        scene.allocate(4 * KB, base=0x100000 + index * GRANULE)
    scene.allocate(60 * KB, base=0x400000)
    causes = unusable_causes(scene.map())
    assert [(cause.size, cause.count, cause.unusable) for cause in causes] == [
        (4 * KB, 20, 20 * 60 * KB),
        (60 * KB, 1, 4 * KB),
    ]
    space = free_space(scene.map())
    assert space is not None
    assert space.unusable == sum(cause.unusable for cause in causes)


def test_the_crash_reporters_own_reserve_does_not_count() -> None:
    scene = Scene().leave(18 * MB, 12 * MB)
    # In the middle of the larger block: it is split in two.
    annotations = {"BreakpadReserveAddress": str(0x20000 + 4 * MB), "BreakpadReserveSize": str(6 * MB)}
    with_reserve = free_space(scene.map(annotations=annotations))
    assert with_reserve is not None
    assert with_reserve.reserve == (0x20000 + 4 * MB, 6 * MB)
    assert sorted(with_reserve.size.tolist()) == [4 * MB, 8 * MB, 12 * MB]
    assert with_reserve.base.tolist() == sorted(with_reserve.base.tolist())
    assert with_reserve.largest is not None
    assert with_reserve.largest.size == 12 * MB


@pytest.mark.parametrize(
    "annotations",
    [
        {},
        {"BreakpadReserveAddress": "0x20000"},
        {"BreakpadReserveAddress": "nonsense", "BreakpadReserveSize": "5"},
        {"BreakpadReserveAddress": "0", "BreakpadReserveSize": "0"},
        {"BreakpadReserveAddress": str(1 << 63), "BreakpadReserveSize": "4096"},
        {"BreakpadReserveAddress": "0x70000000", "BreakpadReserveSize": "0x1000"},  # where nothing is free
    ],
)
def test_a_reserve_that_is_none_changes_nothing(annotations: dict[str, str]) -> None:
    space = free_space(Scene().leave(18 * MB).map(annotations=annotations))
    assert space is not None
    assert space.total == 18 * MB


def test_a_32_bit_process_in_a_64_bit_dump_is_judged_by_its_own_space() -> None:
    process = ProcessBuilder("x64", wow64=True, large_address_aware=False).furnish()
    region_map = dumpmap.open(process.to_minidump().build())
    assert region_map.end is not None
    assert region_map.end > 1 << 32
    space = free_space(region_map)
    assert space is not None
    assert space.largest is not None
    assert space.largest.address + space.largest.size <= 1 << 32
    assert space.total < 4 * GB
    assert region_map.largest_free_block == space.largest
    assert (region_map.line(RegionType.FREE).largest or 0) > 1 << 40
    assert largest_free_line(region_map).endswith(" within the 2 GB that the process can use")


def test_a_cut_off_list_of_regions_is_not_complete() -> None:
    scene = Scene()
    scene.allocate(MB, base=0x100000)
    whole = scene.map(system=System(max_address=0x7FFEFFFF))
    cut = scene.map(system=System(max_address=0x7FFEFFFF), end=0x200000)
    damaged = map_snapshot(replace(scene.snapshot(), regions_complete=False))
    assert [space.complete for space in map(free_space, (whole, cut, damaged)) if space is not None] == [
        True,
        False,
        False,
    ]


def test_a_vmmap_file_states_its_free_space_in_its_summary() -> None:
    scene = Scene(top=TOP_4GB)
    scene.allocate(64 * MB, base=0x10000)
    snapshot = scene.snapshot(kind="vmmap", end=0x10000 + 64 * MB)
    summary = (
        SummaryRow("Total", {"size": 64 * MB + 8 * KB}),
        SummaryRow("Page Table", {"size": 8 * KB}),
        SummaryRow("Free", {"size": TOP_4GB - 64 * MB, "largest": TOP_4GB - 64 * MB - 0x10000}),
    )
    space = free_space(map_snapshot(replace(snapshot, recorded_summary=summary)))
    assert space is not None
    assert space.limit.size == TOP_4GB
    assert space.limit.source == "recorded summary"
    assert space.total == TOP_4GB - 64 * MB - 64 * KB  # the first 64 KB are free, but Windows reserves them
    assert space.complete


# ---------------------------------------------------------------- fits


def test_fits_gives_out_whole_granules() -> None:
    region_map = Scene().leave(MB).map()
    fit = fits(region_map, 4 * KB)
    assert fit is not None
    assert (fit.fits, fit.count, fit.address, fit.largest) == (True, 16, 0x20000, MB)
    fit = fits(region_map, 65 * KB)
    assert fit is not None
    assert fit.count == 8
    fit = fits(region_map, MB)
    assert fit is not None
    assert fit.count == 1
    fit = fits(region_map, MB + 1)
    assert fit is not None
    assert (fit.fits, fit.count, fit.address) == (False, 0, None)


def test_the_last_one_in_a_block_needs_no_whole_granule() -> None:
    scene = Scene()
    scene.allocate(0x10000, base=0x10000)
    # 68 KB free: one granule, and a page behind it.
    scene.allocate(scene.top - 0x31000, base=0x31000)
    fit = fits(scene.map(), 4 * KB)
    assert fit is not None
    assert fit.count == 2


def test_the_first_64_kb_are_not_given_out() -> None:
    scene = Scene()
    scene.allocate(scene.top - 0x10000, base=0x10000)
    region_map = scene.map()
    assert region_map.largest_free_block is None
    assert region_map.line(RegionType.FREE).largest == 64 * KB
    fit = fits(region_map, 4 * KB)
    assert fit is not None
    assert not fit.fits


@pytest.mark.parametrize(("size", "alignment"), [(0, GRANULE), (-1, GRANULE), (MB, 0), (MB, 100), (MB, 0x18000)])
def test_wrong_questions_are_refused(size: int, alignment: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        fits(Scene().leave(MB).map(), size, alignment)


@settings(deadline=None)
@given(
    blocks=st.lists(st.integers(1, 40), min_size=1, max_size=8),
    size=st.integers(1, 12 * GRANULE),
    alignment=st.sampled_from([0x1000, 0x10000, 0x40000]),
)
def test_fits_agrees_with_giving_the_space_out(blocks: list[int], size: int, alignment: int) -> None:
    space = free_space(Scene().leave(*(block * GRANULE for block in blocks)).map())
    assert space is not None
    fit = fits(space, size, alignment)
    assert fit is not None
    count, first = 0, None
    for base, length in zip(space.base.tolist(), space.size.tolist(), strict=True):
        at = -(-max(base, 0x10000) // alignment) * alignment
        while at + -(-size // 0x1000) * 0x1000 <= base + length:
            count += 1
            first = at if first is None else first
            at = -(-(at + size) // alignment) * alignment
    assert (fit.count, fit.address, fit.fits) == (count, first, count > 0)


def test_the_recorded_largest_block_is_the_programs_own() -> None:
    for name in ("fragment-x86", "exhaust-x86", "layout-x86", "layout-x64"):
        truth = json.loads((FIXTURES / f"{name}.truth.json").read_text("utf-8"))["totals"]
        space = free_space(recorded(name))
        assert space is not None
        # VirtualQuery counts from the end of the allocation before, an allocation can begin at the next 64 KB only.
        address = int(truth["largest_free"]["address"], 16)
        if address == 0:  # only the 64 KB that Windows reserves are left
            assert (name, space.largest, truth["largest_free"]["size"]) == ("exhaust-x86", None, 64 * KB)
            continue
        assert space.largest is not None
        assert space.largest.address == -(-address // GRANULE) * GRANULE, name
        assert space.largest.size == address + truth["largest_free"]["size"] - space.largest.address, name
        # VirtualQuery counts the first 64 KB as free, but Windows reserves them.
        assert space.total + space.unusable == truth["free"] - 64 * KB, name


def test_the_first_64_kb_are_no_free_block() -> None:
    region_map = Scene().leave(0).map()
    space = free_space(region_map)
    assert space is not None
    assert (space.total, space.count, space.largest, space.fragmentation) == (0, 0, None, None)
    full = "Largest free block: none, the address space is full except for the first 64 KB, which Windows reserves"
    assert largest_free_line(region_map) == full
    lines = to_markdown(free_view(region_map, [fit for fit in [fits(region_map, 4096)] if fit], 5))
    assert "Free: 0 bytes of 2 GB" in lines
    assert "does not fit; no allocation fits" in lines
    assert "Fragmentation: none" in lines
    assert "- **Address space**: out, 0 bytes free of 2 GB\n" in to_markdown(
        diagnosis_view(region_map, verdict(region_map), []), Units.kb
    )
    sentence = verdict(region_map).sentence
    assert sentence.startswith("Out of address space: none of the 2 GB is free.")
    small = {finding.id: finding for finding in find(region_map)}["largest-free-block-small"]
    assert small.detail.startswith("No free block is left in the 2 GB address space: every new allocation fails.")
    # On Linux the first pages are guarded otherwise.
    other = free_space(Scene().leave(0).map(family="linux"))
    assert other is not None
    assert other.total == 64 * KB


def test_of_a_list_that_is_cut_off_free_space_is_the_least_there_is() -> None:
    region_map = cut_list()
    space = free_space(region_map)
    assert space is not None
    assert not space.complete
    small, large = fits(region_map, 16 * MB), fits(region_map, 64 * MB)
    assert small is not None
    assert large is not None
    assert (small.fits, small.complete) == (True, False)
    assert (large.fits, large.address, large.largest) == (None, None, 18 * MB)
    huge = fits(region_map, 8 * GB)
    assert huge is not None
    assert huge.fits is False  # more than any such space has
    text = to_markdown(free_view(region_map, [small, large], 5))
    assert "Largest block: at least 18 MB" in text
    assert "Free: at least 401" in text
    assert "Fragmentation: unknown" in text
    assert "16 MB aligned to 64 KB: fits at least " in text
    assert "64 MB aligned to 64 KB: unknown. The list of memory regions is cut off" in text
    assert largest_free_line(region_map).startswith("Largest free block: at least 18,432 KB")
    judged = verdict(region_map)
    assert "largest block at least 18 MB" in to_markdown(diagnosis_view(region_map, judged, []))
    assert "fragmented" not in to_markdown(diagnosis_view(region_map, judged, []))


def run(*arguments: str) -> Result:
    """Runs the command line."""
    return CliRunner().invoke(whole_app(), list(arguments))


def test_the_free_command_on_a_list_that_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "cut.json"
    save_snapshot(cut_list(), path)
    assert run("free", str(path), "--fit", "16MB").exit_code == 0
    result = run("free", str(path), "--fit", "64MB")
    assert result.exit_code == 1
    assert "64 MB aligned to 64 KB: unknown." in " ".join(result.stdout.split())


def test_align_is_for_fit_only_and_csv_has_its_answers_beside_it() -> None:
    name = str(FIXTURES / "fragment-x86.dmp.gz")
    wrong = run("free", name, "--align", "1MB")
    assert wrong.exit_code == 2
    assert "--align" in wrong.stderr
    assert run("free", name, "--fit", "1MB", "--align", "1MB").exit_code == 0
    result = run("free", name, "--fit", "64MB", "--format", "csv")
    assert result.exit_code == 1
    assert "64 MB aligned to 64 KB: does not fit" in result.stderr
    assert result.stdout.startswith("min_bytes,")
    assert "fit" not in result.stdout


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (1, "1 byte aligned to 64 KB: fits 16 times, first at 0x20000"),
        (MB, "1 MB aligned to 64 KB: fits once, first at 0x20000"),
        (2 * MB, "2 MB aligned to 64 KB: does not fit; the largest allocation that fits is 1 MB"),
    ],
)
def test_answers_read_well(size: int, text: str) -> None:
    region_map = Scene().leave(MB).map()
    fit = fits(region_map, size)
    assert fit is not None
    assert fit_text(fit) == text
    assert "Free: 1 MB of 2 GB in 1 block" in to_markdown(free_view(region_map, [], 5))


def test_the_report_is_plain_data() -> None:
    report = free_report(recorded("fragment-x86"), 3)
    assert report is not None
    assert report["schema"] == "dumpmap.free/1"
    assert len(report["largest_blocks"]) == 3
    assert json.loads(json.dumps(report)) == report
