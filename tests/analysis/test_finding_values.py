"""The numbers of findings, against the figures that their maps were built with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.cases import (
    dotnet,
    heap_and_room,
    heap_with_holes,
    job,
    mapped_files,
    modules,
    program_short,
    refused_commits,
    roomy,
    shares,
    small_allocations,
    stack_fault,
    with_heaps,
    with_threads,
)
from support.scenes import GB, GRANULE, KB, MB, Scene, commit_at, crash, v8_heap

from dumpmap.analysis.diagnosis import diagnose
from dumpmap.api import RegionMap
from dumpmap.model.snapshot import Counters, System

LIMIT = 0x7FFF0000
"""2 GB without the last 64 KB."""

SYSTEM = System(commit_limit=16 * GB, commit_total=15 * GB)
OWN = Counters(private_usage=5 * GB, pagefile_usage=GB)
JOB = Counters(job_private_commit_usage=960 * MB, job_private_commit_limit=GB, pagefile_usage=900 * MB)


def uneven(**facts: object) -> RegionMap:
    """Free blocks of 12, 20 and 8 MB, and two of 512 KB and 1 MB."""
    return Scene().leave(12 * MB, 20 * MB, 8 * MB, 512 * KB, MB, 24 * MB, 7 * MB).map(**facts)


FREE = 12 * MB + 20 * MB + 8 * MB + 512 * KB + MB + 24 * MB + 7 * MB
LARGEST = {"address": hex(0x10000 + 6 * GRANULE + 12 * MB + 20 * MB + 8 * MB + 512 * KB + MB), "size": 24 * MB}
SPACE = {
    "limit": LIMIT,
    "limit_name": "2 GB",
    "limit_source": "memory list",
    "free": FREE,
    "largest_free_block": LARGEST,
    "fragmentation": round(1 - 24 * MB / FREE, 4),
    "used": {"Private Data": LIMIT - GRANULE - FREE},
}


@pytest.mark.parametrize(
    ("finding", "make", "values"),
    [
        ("address-space-fragmented", lambda: Scene().leave(*[16 * MB] * 8, 512 * KB, MB).map(), {
            "fragmentation": round(1 - 16 / 129.5, 4), "free_blocks": 10, "tiny_block_size": 512 * KB,
            "free": 129 * MB + 512 * KB,
        }),
        ("address-space-low", uneven, SPACE),
        ("largest-free-block-small", uneven, SPACE),
        ("address-space-low", lambda: roomy(partial=True, counters=Counters(virtual_size=1900 * MB),
                                            system=System(max_address=LIMIT - 1)), {
            "limit": LIMIT, "limit_name": "2 GB", "limit_source": "SystemMemoryInfo", "virtual_size": 1900 * MB,
        }),
        ("out-of-memory-exception", lambda: uneven(exception=crash(0xC0000017, 30 * MB), system=SYSTEM), {
            "axis": "address-space", "strength": "measured", "code": "0xc0000017", "requested": 30 * MB,
            "thread_id": 7, "commit_ratio": 0.9375, "largest_free_block": LARGEST,
        }),
        ("allocation-request-impossible", lambda: roomy(exception=crash(0xC0000017, LIMIT)), {
            "requested": LIMIT, "limit": LIMIT,
        }),
        ("stack-commit-failure", lambda: stack_fault(900 * KB), {"headroom": 900 * KB, "reserve": MB, "guaranteed": 0}),
        ("stack-overflow", lambda: stack_fault(8 * KB), {"headroom": 8 * KB, "reserve": MB, "guaranteed": 0}),
        ("heap-segment-will-not-fit", lambda: heap_and_room(0xFC0000), {"count": 1}),
        ("gc-segment-will-not-fit", lambda: dotnet(12 * MB), {"segment": 16 * MB, "collector": "workstation"}),
        ("unusable-space", lambda: small_allocations(1100), {"unusable": 1100 * 60 * KB}),
        ("not-large-address-aware", lambda: program_short(40 * MB, aware=False), {"limit": LIMIT, "wow64": True}),
        ("commit-limit-near", lambda: roomy(system=System(commit_limit=16 * GB, commit_total=15 * GB - 512 * MB),
                                            counters=OWN), {
            "system_total": 15 * GB - 512 * MB, "system_limit": 16 * GB, "system_ratio": round(14.5 / 16, 4),
            "process_private": 5 * GB, "process_share": round(5 / 14.5, 4), "job_limit": None,
        }),
        ("commit-limit-reached", lambda: roomy(system=commit_at(1.0)), {"system_ratio": 1.0, "process_share": None}),
        ("job-commit-limit-near", lambda: roomy(counters=JOB), {
            "job_usage": 960 * MB, "job_limit": GB, "reached": False, "process_private": 900 * MB, "source": None,
        }),
        ("job-commit-limit-near", lambda: job(15 * MB), {"job_usage": GB - 15 * MB, "reached": True}),
        ("heap-commit-failures", lambda: refused_commits(3), {"commit_failures": 3, "count": 1}),
        ("runtime-heap-limit-near", lambda: roomy(writer=v8_heap(95 * MB, 100 * MB)), {
            "used": 95 * MB, "limit": 100 * MB, "ratio": 0.95, "runtime": "V8",
        }),
        ("many-threads", lambda: with_threads(201), {
            "threads": 201, "stacks": 201, "stack_reserve": 201 * MB, "limit": LIMIT,
        }),
        ("many-heaps", lambda: with_heaps(101), {"heaps": 101, "reserved": 101 * GRANULE, "committed": 101 * 8 * KB}),
        ("heap-fragmented", lambda: heap_with_holes(25 * MB), {"count": 1}),
        ("file-mapped-repeatedly", lambda: mapped_files(*[("C:\\a", MB)] * 3), {
            "count": 1, "files": [{"file": "C:\\a", "views": 3, "size": 3 * MB}],
        }),
        ("module-loaded-twice", lambda: modules(*[(f"C:\\{copy}\\a.dll", copy << 28) for copy in (1, 2, 3)]), {
            "extra": 4 * MB,
            "modules": [{"name": "a.dll", "bases": ["0x10000000", "0x20000000", "0x30000000"], "size": 2 * MB}],
        }),
        ("type-dominates", lambda: shares(384 * MB, 128 * MB, commit=100 * MB), {
            "type": "Private Data", "size": 384 * MB, "committed": 100 * MB, "share": 0.75,
        }),
        ("reserve-exceeds-commit", lambda: Scene().leave(200 * MB, commit=300 * MB).map(), {
            "reserved": LIMIT - 2 * GRANULE - 500 * MB, "by_type": {"Private Data": LIMIT - 2 * GRANULE - 500 * MB},
        }),
    ],
)  # fmt: skip
def test_the_values_of_a_finding(finding: str, make: Callable[[], RegionMap], values: dict[str, Any]) -> None:
    found = next(hit.values for hit in diagnose(make()).evidence if hit.id == finding)
    assert {name: found[name] for name in values} == values


def test_the_row_of_a_fragmented_heap() -> None:
    # 24 MB at the start and 1 MB behind the third quarter: holes of 51 and 24 MB.
    found = next(hit.values for hit in diagnose(heap_with_holes(25 * MB)).evidence if hit.id == "heap-fragmented")
    (row,) = found["heaps"]
    wanted = {
        "id": 1,
        "address": "0x10000",
        "reserved": 100 * MB,
        "committed": 25 * MB,
        "uncommitted": 75 * MB,
        "uncommitted_ranges": 2,
        "largest_uncommitted": 51 * MB,
        "va_fragmentation": 0.75,
        "fragmentation": round(1 - 51 / 75, 4),
        "segments": 1,
    }
    assert {name: row[name] for name in wanted} == wanted
