"""Upper bounds of the free space of a partial map, and what follows from them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.scenes import GB, GRANULE, KB, MB, TB, TOP_2GB, Scene, commit_at, crash, v8_heap
from synth.minidump import MinidumpBuilder
from typer.testing import CliRunner

from dumpmap.analysis.bounds import FreeBounds
from dumpmap.analysis.measurements import measurements_of
from dumpmap.analysis.process_commit import ProcessCommit, process_commit
from dumpmap.api import RegionMap
from dumpmap.cli.app import whole_app
from dumpmap.model.snapshot import Counters, System
from dumpmap.render.markdown import to_markdown
from dumpmap.triage.map_row import row_of_map
from dumpmap.views.diagnose import diagnosis_view
from dumpmap.views.free import free_document, free_view
from dumpmap.views.summary import largest_free_line, summary_document
from dumpmap.views.triage import view_table
from dumpmap.wording.text import size_most
from dumpmap.wording.verdicts import verdict

TWO_GB = System(max_address=TOP_2GB - 1)


def partial(
    *captured: tuple[int, int], used: int | None = None, wow64: bool | None = False, **facts: object
) -> RegionMap:
    """A 32-bit process with 2 GB of which the input holds only these ranges."""
    counters = Counters(virtual_size=used)
    facts = {"system": TWO_GB, "counters": counters, **facts}
    return Scene().map(partial=True, captured=captured, wow64=wow64, **facts)


def bounds(region_map: RegionMap) -> FreeBounds:
    """The bounds of a map that has some."""
    found = measurements_of(region_map).bounds
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("ranges", "size", "gap"),
    [
        ([(0x10000, TOP_2GB - 0x10000)], 0, (0x10000, 0x10000)),  # nothing is left
        ([(0, TOP_2GB)], 0, None),
        ([(0x10000, TOP_2GB - 0x20000)], GRANULE, (TOP_2GB - GRANULE, TOP_2GB)),
        ([(0x10000, TOP_2GB - 0x20000), (TOP_2GB - 0xFFFF, 1)], 1, None),
        ([(0x20000, TOP_2GB - 0x20000)], GRANULE, (0x10000, 0x20000)),
        ([(0x10000, 0x10001), (0x40000, TOP_2GB - 0x40000)], GRANULE, (0x30000, 0x40000)),
    ],
)
def test_the_widest_gap_at_its_narrowest(ranges: list[tuple[int, int]], size: int, gap: tuple[int, int] | None) -> None:
    largest = bounds(partial(*ranges)).largest
    assert largest is not None
    assert largest.size == size
    assert gap is None or largest.gap == gap


def test_the_widest_gap_between_known_ranges_bounds_the_largest_block() -> None:
    found = bounds(partial((0x10001000, 0x1000), (0x30000000, 0x2000), (0x70000000, 0x1000)))
    assert found.free is None
    assert found.largest is not None
    assert found.largest.to_dict() == {
        "size": 0x70000000 - 0x30010000,  # allocations start at multiples of 64 KB
        "evidence": {
            "source": "known-ranges",
            "limit": TOP_2GB,
            "start": "0x30010000",
            "end": "0x70000000",
            "ranges": 3,
        },
    }


def test_the_ends_of_the_space_are_neighbors_too() -> None:
    low, high = bounds(partial((0x10000000, 0x1000))).largest, bounds(partial((0x70000000, 0x1000))).largest
    assert low is not None
    assert high is not None
    assert low.gap == (0x10010000, TOP_2GB)
    assert high.gap == (0x10000, 0x70000000)


def test_the_virtual_size_bounds_all_free_space() -> None:
    found = bounds(partial((0x10000000, 0x1000), used=1900 * MB))
    assert found.free is not None
    assert found.free.size == TOP_2GB - 1900 * MB
    assert found.largest is found.free
    assert found.free.to_dict()["evidence"] == {
        "source": "virtual-size",
        "limit": TOP_2GB,
        "virtual_size": 1900 * MB,
    }


@pytest.mark.parametrize("wow64", [True, None])
def test_a_process_on_64_bit_windows_may_have_some_of_its_virtual_size_above_4_gb(wow64: bool | None) -> None:
    found = bounds(partial(used=1900 * MB, wow64=wow64))
    assert found.free is not None
    assert found.free.size == TOP_2GB - 1900 * MB + 64 * MB


def test_a_bound_never_exceeds_the_space() -> None:
    for used in (1, 4 * KB):
        found = bounds(partial(used=used, wow64=True)).free
        assert found is not None
        assert found.size == TOP_2GB - GRANULE


def test_ranges_outside_the_limit_and_overlapping_ones_do_no_harm() -> None:
    found = bounds(partial((0x1000, 0x100), (0x20000000, 0x40000000), (0x30000000, 0x1000), (0x7FFF0000, 1 << 40)))
    assert found.largest is not None
    assert found.largest.size == 0x20000000 - 0x10000
    assert 0 <= found.largest.size < TOP_2GB


def test_a_range_above_the_limit_shows_that_the_limit_is_another_one() -> None:
    found = bounds(partial((0x10000000, 0x1000), (0x90000000, 0x1000), used=1900 * MB))
    assert found.largest is not None
    assert found.free is not None
    assert found.free.size == 4 * GB - 1900 * MB
    assert found.largest.gap == (0x10010000, 0x90000000)


@pytest.mark.parametrize(
    "region_map",
    [
        Scene().leave(100 * MB).map(),
        Scene(64).leave(TB).map(partial=True, counters=Counters(virtual_size=GB)),
        Scene().leave(100 * MB).map(partial=True, family="linux"),
    ],
    ids=["measured", "64 bits", "linux"],
)
def test_no_bound_where_it_says_nothing(region_map: RegionMap) -> None:
    assert measurements_of(region_map).bounds is None
    assert summary_document(region_map, [])["free_at_most"] is None
    assert verdict(region_map).address_space["largest_free_block_at_most"] is None


def test_nothing_known_gives_no_bound() -> None:
    region_map = partial()
    assert measurements_of(region_map).bounds == FreeBounds(None, None)
    assert largest_free_line(region_map) == "Largest free block: unknown (the input has no list of memory regions)"


def test_what_the_commands_show() -> None:
    region_map = partial((0x10000000, 0x1000), (0x40000000, 0x1000), used=900 * MB, system=TWO_GB)
    assert largest_free_line(region_map) == (
        "Largest free block: at most 1024 MB (the widest gap between 2 ranges known to be in use, at 0x40010000)"
    )
    shown = to_markdown(free_view(region_map, [], 10))
    assert "Free: at most 1.2 GB (the process's counters show 900 MB of 2 GB in use)" in shown
    assert "Largest block: at most 1024 MB (the widest gap between 2 ranges known to be in use" in shown
    document = free_document(region_map, [], 10)
    assert document["free"] is None
    assert document["free_at_most"]["size"] == TOP_2GB - 900 * MB
    assert document["largest_free_block_at_most"]["evidence"]["source"] == "known-ranges"
    text = to_markdown(diagnosis_view(region_map, verdict(region_map), []))
    assert "at most 1.2 GB free of 2 GB, largest block at most 1024 MB" in text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (MB, "1 MB"),
        (MB + 1, "1.1 MB"),
        (1023 * MB + 1, "1024 MB"),
        (1536 * MB, "1.5 GB"),
        (TOP_2GB, "2 GB"),
        (150 * MB + 1, "151 MB"),
    ],
)
def test_an_upper_bound_is_rounded_up(size: int, text: str) -> None:
    assert size_most(size) == text


# ---------------------------------------------------------------- verdicts


@pytest.mark.parametrize(
    ("used", "facts", "name"),
    [
        (38 * MB, {}, "no-memory-problem-seen"),
        (1023 * MB, {}, "no-memory-problem-seen"),
        (1025 * MB, {}, "cannot-tell"),
        (1840 * MB, {}, "cannot-tell"),
        (1900 * MB, {}, "address-space-low"),
        (None, {}, "cannot-tell"),
        # an uncertain limit counts as 2 GB
        (1023 * MB, {"system": System(), "wow64": True}, "no-memory-problem-seen"),
        (1025 * MB, {"system": System(), "wow64": True}, "cannot-tell"),
    ],
)
def test_a_32_bit_process_is_judged_by_its_virtual_size(used: int | None, facts: dict[str, object], name: str) -> None:
    region_map = partial(used=used, **facts)  # type: ignore[arg-type]
    judged = verdict(region_map)
    assert judged.verdict == name, judged.sentence
    if name == "no-memory-problem-seen":
        assert "the process's counters show" in judged.sentence
        assert judged.address_space["state"] == "ok"
    found = [finding.id for finding in region_map.findings()]
    assert ("dump-too-small" in found) == (name == "cannot-tell")


def test_known_ranges_that_leave_no_large_block_keep_the_verdict_open() -> None:
    cuts = [(0x10000 + index * 200 * MB, 0x1000) for index in range(11)]
    assert verdict(partial(*cuts, used=100 * MB)).verdict == "cannot-tell"


def test_short_commit_outranks_room() -> None:
    system = System(max_address=TOP_2GB - 1, commit_limit=GB, commit_total=1000 * MB)
    assert verdict(partial(used=100 * MB, system=system)).verdict == "commit-low"


def test_a_request_above_the_bound_ran_out_of_address_space() -> None:
    cuts = [(0x10000 + index * 200 * MB, 0x1000) for index in range(11)]
    judged = verdict(partial(*cuts, exception=crash(0xC0000017, 256 * MB), system=TWO_GB))
    assert judged.verdict == "out-of-address-space"
    assert judged.sentence.startswith(
        "Out of address space: 256 MB was requested, and the largest free block is at most 200 MB."
    )
    judged = verdict(partial(*cuts, exception=crash(0xC0000017, 100 * MB), system=TWO_GB))
    assert judged.verdict == "out-of-memory"
    assert "Address space: the largest free block is at most 200 MB, in an address space of 2 GB;" in judged.sentence
    assert "More likely (inferred): address space" in judged.sentence


def test_a_heap_near_its_limit_is_said_although_the_list_of_regions_is_missing() -> None:
    region_map = Scene(64).map(partial=True, writer=v8_heap(95 * MB, 100 * MB))
    assert verdict(region_map).verdict == "heap-limit-near"


# ---------------------------------------------------------------- the commit of the process


@pytest.mark.parametrize(
    ("counters", "wanted"),
    [
        (Counters(private_usage=3 * GB, pagefile_usage=2 * GB), ProcessCommit(3 * GB, "private-usage")),
        (Counters(private_usage=0, pagefile_usage=2 * GB), ProcessCommit(2 * GB, "pagefile-usage")),
        (Counters(private_usage=0, pagefile_usage=0), None),
        (Counters(), None),
    ],
)
def test_the_commit_of_a_process_with_a_partial_map(counters: Counters, wanted: ProcessCommit | None) -> None:
    region_map = Scene().map(partial=True, counters=counters, captured=[(0x10000, 0x1000)])
    assert process_commit(region_map) == wanted
    row = row_of_map(region_map, "a.dmp", 1)
    assert row["process_commit"] == (None if wanted is None else wanted.size)
    assert row["process_commit_source"] == (None if wanted is None else wanted.source)


def test_a_complete_list_of_regions_has_the_commit_itself() -> None:
    scene = Scene().leave(600 * MB, commit=100 * MB)
    found = process_commit(scene.map())
    assert found == ProcessCommit(scene.map().total.committed or 0, "regions")
    assert found.size >= 100 * MB


def test_triage_finds_a_partial_dump_by_its_commit(tmp_path: Path) -> None:
    path = tmp_path / "large.dmp"
    builder = (
        MinidumpBuilder("x86")
        .system_info()
        .module(0x400000, 0x10000, "C:\\app\\app.exe")
        .process_vm_counters(private_usage=1700 * MB, pagefile_usage=1700 * MB)
    )
    path.write_bytes(builder.build())
    arguments = ["-q", "triage", str(path), "--where", "process_commit>1.5GB", "--format", "json", "--no-cache"]
    result = CliRunner().invoke(whole_app(), arguments)
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)["rows"]
    assert [(row["process_commit"], row["process_commit_source"]) for row in rows] == [(1700 * MB, "private-usage")]


def test_the_writer_of_the_dump_and_the_commit_do_not_disturb_each_other() -> None:
    region_map = Scene(64).map(partial=True, system=commit_at(0.5), counters=Counters(virtual_size=GB))
    assert verdict(region_map).verdict == "no-memory-problem-seen"


# ---------------------------------------------------------------- counters that the map contradicts


def test_a_counter_below_what_the_regions_commit_is_not_believed() -> None:
    scene = Scene().leave(600 * MB, commit=600 * MB)
    region_map = scene.map(
        counters=Counters(private_usage=5 * MB, job_private_commit_usage=6 * MB, job_private_commit_limit=8 * GB),
        system=System(commit_total=500 * MB, commit_limit=24 * GB),
    )
    private = region_map.total.private or 0
    assert private >= 600 * MB
    assert process_commit(region_map) == ProcessCommit(private, "private-regions")
    commit = measurements_of(region_map).commit
    assert (commit.process, commit.total, commit.least, commit.job_usage) == (private, private, True, private)
    assert "the system's commit charge is at least 2.4 % of its limit" in verdict(region_map).sentence
    (note,) = [note for note in region_map.notes if "counters" in note]
    assert note == (
        "the counters state 5 MB of private bytes, but the regions commit 600 MB privately: dumpmap uses the regions"
    )
    assert not region_map.warnings
    row = row_of_map(region_map, "a.dmp", 1)
    assert (row["process_commit"], row["process_commit_source"]) == (private, "private-regions")


@pytest.mark.parametrize("counted", [590 * MB, 600 * MB, 5 * GB])
def test_a_counter_that_the_regions_allow_is_believed(counted: int) -> None:
    region_map = Scene().leave(600 * MB, commit=600 * MB).map(counters=Counters(private_usage=counted))
    assert process_commit(region_map) == ProcessCommit(counted, "private-usage")
    assert not [note for note in region_map.notes if "counters" in note]


@pytest.mark.parametrize("used", [0, 40 * MB])
def test_a_virtual_size_below_the_known_ranges_does_not_acquit(used: int) -> None:
    ranges = [(0x10000000 + index * 0x1000000, 0xF00000) for index in range(4)]
    region_map = partial(*ranges, used=used)
    assert bounds(region_map).free is None
    judged = verdict(region_map)
    assert (judged.verdict, judged.address_space["state"]) == ("cannot-tell", "unknown")
    assert "0 bytes" not in judged.sentence
    assert any("virtual size of 40 MB" in note for note in region_map.notes) == bool(used)
    assert verdict(partial(*ranges, used=80 * MB)).verdict == "no-memory-problem-seen"


# ---------------------------------------------------------------- figures of a part, and figures that are compared


def test_a_partial_map_gives_sizes_and_no_shares_of_the_whole() -> None:
    cuts = ((0x10000000, 3 * MB), (0x40000000, 64 * KB))
    judged = verdict(partial(*cuts, used=TOP_2GB - 100 * MB))
    assert judged.verdict == "address-space-low"
    assert "Known so far: 3.1 MB Unknown, of 3.1 MB that the dump shows." in judged.sentence
    assert "%" not in judged.sentence.replace("the system's commit", "")
    whole = verdict(Scene().leave(100 * MB).map(system=TWO_GB))
    assert "In use: 100 % Private Data" in whole.sentence


@pytest.mark.parametrize(
    ("requested", "gap", "words"),
    [
        (int(1.25 * GB), int(1.14 * GB), "1.25 GB was requested, and the largest free block is at most 1.14 GB"),
        (int(1.149 * GB), int(1.11 * GB), "1.15 GB was requested, and the largest free block is at most 1.11 GB"),
        (int(1.5 * GB), int(1.1 * GB), "1.5 GB was requested, and the largest free block is at most 1.1 GB"),
    ],
)
def test_a_comparison_has_the_digits_that_show_it(requested: int, gap: int, words: str) -> None:
    gap -= gap % GRANULE
    region_map = partial((0x10000, TOP_2GB - 0x10000 - gap), exception=crash(0xC0000017, requested))
    assert words in verdict(region_map).sentence


def test_a_triage_row_has_the_bounds_and_marks_them() -> None:
    region_map = partial((0x40000000, 64 * KB), used=TOP_2GB - 700 * MB)
    row = row_of_map(region_map, "a.dmp", 1)
    assert (row["lower_bound"], row["committed"], row["largest_free"]) == (True, 64 * KB, None)
    assert (row["largest_free_at_most"], row["free_at_most"]) == (700 * MB, 700 * MB)
    text = to_markdown([view_table([row])[0]])
    assert ">= 64 " in text
    assert f"&lt;= {700 * 1024:,} " in text
    whole = row_of_map(Scene().leave(300 * MB, 100 * MB).map(), "b.dmp", 1)
    assert (whole["lower_bound"], whole["largest_free_at_most"], whole["free_at_most"]) == (False, 300 * MB, 400 * MB)


def test_a_limit_that_nothing_proves_bounds_the_free_space_as_such() -> None:
    region_map = partial((0x40000000, 64 * KB), used=GB, wow64=None, system=System())
    text = to_markdown(free_view(region_map, [], 1))
    assert "the process's counters show 1 GB of at most 4 GB in use" in text
