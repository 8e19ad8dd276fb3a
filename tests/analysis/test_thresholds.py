"""Every threshold just below, at, and just above the figure of a map that was built to have exactly this figure.

The map stays, the threshold moves: so each comparison is met on both sides and at the value itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from support.cases import (
    dotnet,
    heap_with_holes,
    job,
    mapped_files,
    modules,
    program_short,
    roomy,
    shares,
    small_allocations,
    stack_fault,
    with_heaps,
    with_threads,
)
from support.scenes import GB, GRANULE, KB, MB, TB, Scene, commit_at, crash, program, v8_heap
from synth.minidump import MEM_IMAGE, PAGE_READONLY

from dumpmap.analysis.diagnosis import diagnose
from dumpmap.analysis.rules import DEFAULT_THRESHOLDS, THRESHOLD, THRESHOLDS, RuleSet
from dumpmap.api import RegionMap, map_snapshot
from dumpmap.model.snapshot import Counters, System

END_2GB, END_128TB = 0x7FFF0000, 0x7FFFFFFF0000
"""Where the address space of a process ends: the last 64 KB below 2 GB and 128 TB belong to no program."""


@dataclass(frozen=True)
class Row:
    """A map, its figure, and what is said while the threshold is just below, at, and just above the figure."""

    threshold: str
    figure: float
    make: Callable[[], RegionMap]
    about: str
    outcomes: tuple[str | None, str | None, str | None]


def blocks(size: int, count: int, **facts: object) -> RegionMap:
    """A 32-bit process with so many free blocks of this size."""
    return Scene().leave(*[size] * count).map(**facts)


def program_with(free: int) -> RegionMap:
    """A program that is not large address aware, and one free block."""
    scene = Scene()
    scene.allocate(0x400000 - 0x10000, base=0x10000)
    scene.allocate(0x10000, base=0x400000, protect=PAGE_READONLY, type=MEM_IMAGE)
    scene.allocate(scene.top - 0x410000 - free, base=0x410000 + free)
    module, header = program(32, aware=False)
    return scene.map(modules=[module], memory=[(0x400000, header)], wow64=True)


def counted(virtual_size: int) -> RegionMap:
    """A 32-bit process without a list of regions, of which the counter of virtual memory is known."""
    return roomy(partial=True, counters=Counters(virtual_size=virtual_size), system=System(max_address=END_2GB - 1))


def twice() -> RegionMap:
    """A module of 2 MB that is loaded twice."""
    return modules(("C:\\one\\common.dll", 0x10000000), ("C:\\two\\common.dll", 0x20000000))


FINDINGS = (
    Row(
        "largest_free_warning",
        40 * MB,
        lambda: blocks(40 * MB, 10),
        "largest-free-block-small",
        (None, None, "warning"),
    ),
    Row(
        "largest_free_warning",
        40 * MB,
        lambda: blocks(40 * MB, 10),
        "address-space-fragmented",
        (None, None, "warning"),
    ),
    Row(
        "largest_free_warning",
        40 * MB,
        lambda: blocks(40 * MB, 10),
        "reserve-exceeds-commit",
        ("info", "info", "warning"),
    ),
    Row(
        "largest_free_warning",
        80 * MB,
        lambda: program_short(80 * MB, aware=False),
        "not-large-address-aware",
        (None, None, "info"),
    ),
    Row(
        "largest_free_critical",
        40 * MB,
        lambda: blocks(40 * MB, 10),
        "largest-free-block-small",
        ("warning", "warning", "critical"),
    ),
    Row("free_total_warning", 150 * MB, lambda: blocks(150 * MB, 1), "address-space-low", (None, None, "warning")),
    Row(
        "free_total_warning",
        100 * MB,
        lambda: counted(END_2GB - 100 * MB),
        "address-space-low",
        (None, None, "warning"),
    ),
    Row(
        "free_total_warning", 100 * MB, lambda: program_with(100 * MB), "not-large-address-aware", (None, None, "info")
    ),
    Row(
        "free_total_critical",
        150 * MB,
        lambda: blocks(150 * MB, 1),
        "address-space-exhausted",
        (None, None, "critical"),
    ),
    Row(
        "free_total_critical", 150 * MB, lambda: blocks(150 * MB, 1), "address-space-low", ("warning", "warning", None)
    ),
    Row(
        "free_total_critical",
        360 * MB,
        lambda: blocks(18 * MB, 20),
        "address-space-fragmented",
        ("warning", "warning", None),
    ),
    Row(
        "wide_free_share",
        6 * TB / END_128TB,
        lambda: Scene(64).leave(6 * TB).map(),
        "address-space-low",
        (None, None, "warning"),
    ),
    Row("fragmentation", 3 / 4, lambda: blocks(16 * MB, 4), "address-space-fragmented", ("warning", "warning", None)),
    Row(
        "unusable_share",
        60 * MB / END_2GB,
        lambda: small_allocations(1024),
        "unusable-space",
        ("warning", "warning", None),
    ),
    Row(
        "commit_warning",
        3 / 4,
        lambda: roomy(system=commit_at(0.75)),
        "commit-limit-near",
        ("warning", "warning", None),
    ),
    Row(
        "commit_reached",
        15 / 16,
        lambda: roomy(system=commit_at(15 / 16)),
        "commit-limit-near",
        (None, None, "warning"),
    ),
    Row(
        "commit_reached",
        15 / 16,
        lambda: roomy(system=commit_at(15 / 16)),
        "commit-limit-reached",
        ("warning", "warning", None),
    ),
    Row("job_warning", 3 / 4, lambda: job(256 * MB), "job-commit-limit-near", ("warning", "warning", None)),
    Row(
        "job_headroom_critical",
        90 * MB,
        lambda: job(90 * MB),
        "job-commit-limit-near",
        ("warning", "warning", "critical"),
    ),
    Row(
        "heap_limit_warning",
        3 / 4,
        lambda: roomy(writer=v8_heap(75 * MB, 100 * MB)),
        "runtime-heap-limit-near",
        ("warning", "warning", None),
    ),
    Row("gc_segment", 40 * MB, lambda: dotnet(40 * MB), "gc-segment-will-not-fit", (None, None, "warning")),
    Row("many_threads", 10, lambda: with_threads(10), "many-threads", ("warning", None, None)),
    Row(
        "stack_share",
        256 * MB / END_2GB,
        lambda: with_threads(4, 64 * MB),
        "many-threads",
        ("warning", "warning", None),
    ),
    Row(
        "stack_headroom",
        100 * KB,
        lambda: stack_fault(100 * KB),
        "stack-commit-failure",
        ("critical", "critical", None),
    ),
    Row("stack_headroom", 100 * KB, lambda: stack_fault(100 * KB), "stack-overflow", (None, None, "critical")),
    Row(
        "stack_headroom",
        80 * KB,
        lambda: stack_fault(100 * KB, 20 * KB),
        "stack-commit-failure",
        ("critical", "critical", None),
    ),
    Row("many_heaps", 10, lambda: with_heaps(10), "many-heaps", ("info", None, None)),
    Row("heap_fragmentation", 3 / 4, lambda: heap_with_holes(25 * MB), "heap-fragmented", ("warning", "warning", None)),
    Row(
        "heap_fragmentation_size",
        100 * MB,
        lambda: heap_with_holes(40 * MB),
        "heap-fragmented",
        ("warning", "warning", None),
    ),
    Row("type_share", 3 / 4, lambda: shares(384 * MB, 128 * MB), "type-dominates", ("info", None, None)),
    Row("type_size", 512 * MB, lambda: shares(384 * MB, 128 * MB), "type-dominates", ("info", "info", None)),
    Row(
        "reserve_share",
        (END_2GB - GB - 2 * GRANULE) / END_2GB,
        lambda: blocks(GB, 1),
        "reserve-exceeds-commit",
        ("info", "info", None),
    ),
    Row(
        "repeated_size",
        2 * MB,
        lambda: mapped_files(("C:\\a", MB), ("C:\\a", MB)),
        "file-mapped-repeatedly",
        ("info", "info", None),
    ),
    Row("repeated_size", 2 * MB, twice, "module-loaded-twice", ("info", "info", None)),
)


def rules(name: str, figure: float) -> list[RuleSet]:
    """Rules whose threshold is just below, at, and just above a figure."""
    step = 1e-9 if THRESHOLD[name].unit == "share" else 1
    return [RuleSet(thresholds={**DEFAULT_THRESHOLDS, name: figure + change}) for change in (-step, 0, step)]


@pytest.mark.parametrize("row", FINDINGS, ids=lambda row: f"{row.threshold}: {row.about}")
def test_a_finding_turns_at_the_exact_value_of_its_threshold(row: Row) -> None:
    region_map = row.make()
    found = [
        next((hit.severity for hit in diagnose(region_map, one).evidence if hit.id == row.about), None)
        for one in rules(row.threshold, row.figure)
    ]
    assert tuple(found) == row.outcomes


def test_every_threshold_is_met_at_its_value() -> None:
    assert {row.threshold for row in FINDINGS} == {threshold.name for threshold in THRESHOLDS}


# ---------------------------------------------------------------- the cause of a failure

NO_MEMORY = 0xC0000017


def failed(*parameters: int, free: tuple[int, ...] = (600 * MB,), **facts: object) -> RegionMap:
    """A process that ended with STATUS_NO_MEMORY."""
    return Scene().leave(*free).map(exception=crash(NO_MEMORY, *parameters), **facts)


def stuck(commit: float, job_used: int | None = None) -> RegionMap:
    """A stack with 900 KB left that did not grow, with this commit of the system and of a job of 1 GB."""
    counters = Counters(job_private_commit_usage=job_used, job_private_commit_limit=None if job_used is None else GB)
    return map_snapshot(replace(stack_fault(900 * KB).snapshot, system=commit_at(commit), counters=counters))


JOB_90_LEFT = Counters(job_private_commit_usage=GB - 90 * MB, job_private_commit_limit=GB)
FORTY = (40 * MB,) * 10

CAUSES = (
    Row(
        "largest_free_critical",
        40 * MB,
        lambda: failed(free=FORTY, system=commit_at(0.97)),
        "cause",
        ("commit", "commit", "address-space"),
    ),
    Row("largest_free_warning", 40 * MB, lambda: failed(free=FORTY), "cause", ("unknown", "unknown", "address-space")),
    Row(
        "commit_reached",
        15 / 16,
        lambda: failed(4096, free=(18 * MB,) * 10, system=commit_at(15 / 16)),
        "cause",
        ("commit", "commit", "address-space"),
    ),
    Row(
        "commit_warning", 3 / 4, lambda: failed(4096, system=commit_at(0.75)), "cause", ("commit", "commit", "neither")
    ),
    Row(
        "job_headroom_critical",
        90 * MB,
        lambda: failed(4096, counters=JOB_90_LEFT),
        "cause",
        ("unknown", "unknown", "commit"),
    ),
    Row(
        "heap_limit_warning",
        3 / 4,
        lambda: failed(writer=v8_heap(75 * MB, 100 * MB, is_oom=True)),
        "cause",
        ("heap-limit", "heap-limit", "unknown"),
    ),
    Row("commit_warning", 3 / 4, lambda: stuck(0.75), "cause", ("commit", "commit", "neither")),
    Row("job_warning", 3 / 4, lambda: stuck(0.25, 768 * MB), "cause", ("commit", "commit", "neither")),
)


@pytest.mark.parametrize("row", CAUSES, ids=lambda row: f"{row.threshold}: {row.outcomes}")
def test_a_cause_turns_at_the_exact_value_of_a_threshold(row: Row) -> None:
    region_map = row.make()
    causes = [diagnose(region_map, one).cause for one in rules(row.threshold, row.figure)]
    assert tuple(cause and cause.axis for cause in causes) == row.outcomes


def wide_counted(virtual_size: int) -> RegionMap:
    """A 64-bit process without a list of regions."""
    counters = Counters(virtual_size=virtual_size)
    return Scene(64).leave(TB).map(partial=True, system=commit_at(0.5), counters=counters)


VERDICTS = (
    Row(
        "wide_free_share",
        32 * TB / END_128TB,
        lambda: wide_counted(END_128TB - 32 * TB),
        "verdict",
        ("no-memory-problem-seen", "no-memory-problem-seen", "cannot-tell"),
    ),
    Row(
        "fragmentation",
        3 / 4,
        lambda: counted(END_2GB - GB),
        "verdict",
        ("no-memory-problem-seen", "no-memory-problem-seen", "cannot-tell"),
    ),
    Row(
        "fragmentation",
        1 / 3,
        lambda: counted(END_2GB - 384 * MB),
        "verdict",
        ("no-memory-problem-seen", "no-memory-problem-seen", "cannot-tell"),
    ),
)


@pytest.mark.parametrize("row", VERDICTS, ids=lambda row: f"{row.threshold}: {row.figure:.2f}")
def test_a_verdict_turns_at_the_exact_value_of_a_threshold(row: Row) -> None:
    region_map = row.make()
    assert tuple(diagnose(region_map, one).verdict for one in rules(row.threshold, row.figure)) == row.outcomes


@pytest.mark.parametrize(("free", "state"), [(256 * MB, "ok"), (256 * MB - GRANULE, "unknown")])
def test_a_cut_list_shows_enough_room_from_256_mb_on(free: int, state: str) -> None:
    scene = Scene()
    scene.allocate(GRANULE, base=0x10000)
    scene.allocate(GRANULE, base=0x20000 + free)
    region_map = scene.map(end=0x30000 + free, system=System(max_address=END_2GB - 1))
    assert diagnose(region_map).address_space == state
