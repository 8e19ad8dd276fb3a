"""Managed heaps in a map: what carries the label, what does not, and what is said where nothing is told."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from synth.framework import Framework
from synth.managed import Runtime
from synth.process import ProcessBuilder

import dumpmap
from dumpmap.api import RegionMap


def build(**options: Any) -> Runtime:
    process = ProcessBuilder("x64", 19045).furnish()
    process.add_thread()
    return Runtime(process, **options)


def open_map(runtime: Runtime, **options: Any) -> RegionMap:
    return dumpmap.open(runtime.process.to_minidump(zeros=True, **options).build())


def managed(region_map: RegionMap) -> pd.DataFrame:
    rows = region_map.regions
    return rows[rows["type"] == "Managed Heap"]


@pytest.mark.parametrize("form", ["10", "3.1", "contract"])
@pytest.mark.parametrize("server", [False, True])
def test_rows_are_the_ranges(form: str, server: bool) -> None:
    runtime = build(form=form, server=server, regions=form != "3.1")
    rows = managed(open_map(runtime))
    covered: dict[tuple[str, str], int] = {}
    records: list[dict[Any, Any]] = rows.to_dict("records")
    for row in records:
        key = row["kind"], row["details"]
        covered[key] = covered.get(key, 0) + row["size"]
    expected: dict[tuple[str, str], int] = {}
    for base, end, kind, heap in runtime.ranges():
        key = kind, "coreclr.dll" if heap is None else f"coreclr.dll, heap {heap}"
        expected[key] = expected.get(key, 0) + end - base
    assert covered == expected
    source = "contract-descriptor" if form == "contract" else "gc-dac-vars"
    assert all(source in text.split("+") for text in rows["evidence"])
    assert not rows["inferred"].any()


def test_what_the_collector_does_not_count_stays_private_data() -> None:
    runtime = build()
    region_map = open_map(runtime)
    allocation = runtime.range - 0x8000
    row = region_map.allocations.set_index("address").loc[allocation]
    assert (row["type"], row["kind"]) == ("Managed Heap", "GC heap")
    first = region_map.regions.set_index("address").loc[allocation]
    assert (first["type"], first["size"]) == ("Private Data", 0x8000)
    size = region_map.summary().loc["Managed Heap", "size"]
    assert size == sum(end - base for base, end, _, _ in runtime.ranges())


def test_a_small_part_of_an_allocation_does_not_name_it() -> None:
    runtime = build(regions=False)
    process = runtime.process
    arena = process.allocate(0x400000, commit=0x100000)
    segment = arena + 0x20000
    runtime.write_segment(
        segment, Mem=segment + 0x1000, Allocated=segment + 0x2000, Committed=arena + 0x30000, Reserved=arena + 0x30000
    )
    runtime.write_segment(runtime.heaps[0].segments[3], Next=segment)
    region_map = open_map(runtime)
    assert region_map.allocations.set_index("address").loc[arena, "type"] == "Private Data"
    row = region_map.regions.set_index("address").loc[segment]
    assert (row["type"], row["size"], row["kind"]) == ("Managed Heap", 0x10000, "GC large object heap")


def test_a_heap_is_no_part_of_a_stack() -> None:
    runtime = build(regions=False)
    stack = runtime.process.threads[0].stack
    segment = runtime.heaps[0].segments[3]
    runtime.write_segment(segment, Mem=stack.limit, Allocated=stack.limit, Committed=stack.top, Reserved=stack.top)
    region_map = open_map(runtime)
    assert region_map.allocations.set_index("address").loc[stack.base, "type"] == "Stack"
    assert not managed(region_map)["address"].between(stack.base, stack.top - 1).any()


def test_a_runtime_that_cannot_be_read_leaves_the_row_blank() -> None:
    runtime = build(single_file=True)
    runtime.process.drop_range(runtime.data, 0x6000)
    region_map = open_map(runtime, counters=False)
    assert region_map.summary().loc["Managed Heap"].isna().all()
    assert any("its managed heap could not be located" in note for note in region_map.notes)
    assert any("GcDacVars" in note for note in region_map.notes)


def test_a_framework_that_cannot_be_read_leaves_the_row_blank() -> None:
    process = ProcessBuilder("x64", 19045).furnish()
    process.add_module("C:\\Windows\\Microsoft.NET\\Framework64\\v4.0.30319\\clr.dll")
    region_map = dumpmap.open(process.to_minidump().build())
    assert region_map.summary().loc["Managed Heap"].isna().all()
    assert any("clr.dll: its managed heap could not be located" in note for note in region_map.notes)
    assert any("it counts as Private Data" in note for note in region_map.notes)


def test_the_framework_is_a_managed_heap_that_is_inferred() -> None:
    framework = Framework(ProcessBuilder("x64", 19045).furnish())
    region_map = dumpmap.open(framework.process.to_minidump().build())
    rows = managed(region_map)
    assert rows["inferred"].all()
    assert set(rows["kind"]) >= {"GC heap, generation 2", "GC large object heap", "GC bookkeeping"}
    told = sum(end - base for base, end, _, _ in framework.ranges())
    assert region_map.summary().loc["Managed Heap", "size"] == told


def test_amid_a_collection_every_range_is_inferred() -> None:
    rows = managed(open_map(build(invalid=3)))
    assert len(rows)
    assert rows["inferred"].all()


@pytest.mark.parametrize("regions", [False, True])
def test_a_partial_map_shows_what_the_structures_prove(regions: bool) -> None:
    runtime = build(regions=regions)
    region_map = open_map(runtime, memory_info=False)
    assert region_map.completeness == "partial"
    rows = managed(region_map)
    told = sum(end - base for base, end, kind, _ in runtime.ranges() if kind.startswith("GC heap"))
    assert rows["size"][rows["kind"].str.startswith("GC heap")].sum() == told
