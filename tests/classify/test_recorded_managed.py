"""Managed heaps of real .NET runtimes: the recorded dumps beside what their programs said of themselves."""

from __future__ import annotations

import dataclasses
import json
import os
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from support.recorded import DUMPS
from support.structures import managed_heaps

import dumpmap
from dumpmap.api import RegionMap, map_snapshot
from dumpmap.model.managed_heaps import (
    BOOKKEEPING,
    FREE_REGION,
    FROZEN,
    GENERATION_KINDS,
    RESERVE,
    ManagedHeap,
    ManagedRange,
)
from dumpmap.model.memory import ExcerptMemory, RecordingMemory
from dumpmap.model.process import ProcessStructures

FOLDER = Path(__file__).parents[1] / "fixtures" / "managed"
NAMES = sorted(path.name.removesuffix(".dmp.gz") for path in FOLDER.glob("*.dmp.gz"))
HOLDS_OBJECTS = {*GENERATION_KINDS, FROZEN}


@cache
def opened(name: str) -> RegionMap:
    return dumpmap.open(FOLDER / f"{name}.dmp.gz")


@cache
def truth(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.truth.json").read_text(encoding="utf-8"))
    return found


def heap_of(name: str) -> ManagedHeap:
    (heap,) = managed_heaps(opened(name).structures)
    return heap


def range_at(heap: ManagedHeap, address: int) -> ManagedRange:
    return next(part for part in heap.ranges if part.base <= address < part.base + part.size)


def committed(region_map: RegionMap, base: int, end: int) -> int:
    return region_map.space.committed(base, end - base)


def test_there_are_workstation_and_server_of_both_builds() -> None:
    told = {(heap.server, heap.regions, heap.version) for heap in map(heap_of, NAMES)}
    assert told == {(server, *form) for server in (False, True) for form in ((False, "1.0"), (True, "2.4"))}


@pytest.mark.parametrize("name", NAMES)
def test_every_object_lies_where_its_age_says(name: str) -> None:
    heap, region_map = heap_of(name), opened(name)
    rows = region_map.regions.set_index("address")
    for purpose, generation, address, size, allocation in truth(name)["objects"]:
        part = range_at(heap, address)
        assert part.kind == GENERATION_KINDS[generation], purpose
        assert address + size <= part.base + part.size
        assert region_map.space.allocation(part.base) == region_map.space.allocation(allocation)
        row = rows.loc[part.base]
        assert (row["type"], row["kind"]) == ("Managed Heap", part.kind)
        assert "gc-dac-vars" in row["evidence"]
        assert not row["inferred"]


@pytest.mark.parametrize("name", NAMES)
def test_objects_are_as_many_as_the_runtime_counts(name: str) -> None:
    heap, told = heap_of(name), truth(name)
    # GetTotalMemory leaves out what is free between objects; frozen objects are on top.
    assert told["total_memory"] <= heap.object_bytes <= told["total_memory"] * 1.01 + 0x20000
    for generation, size in enumerate(told["generation_sizes"]):
        kind = GENERATION_KINDS[generation]
        assert sum(part.size for part in heap.ranges if part.kind == kind) >= (size if generation in (1, 2) else 0)


@pytest.mark.parametrize("name", NAMES)
def test_what_holds_objects_is_committed_and_reserve_is_not(name: str) -> None:
    region_map, heap = opened(name), heap_of(name)
    for part in heap.ranges:
        bytes_committed = committed(region_map, part.base, part.base + part.size)
        if part.kind in HOLDS_OBJECTS or part.kind == FREE_REGION:
            assert bytes_committed == part.size, part
        elif part.kind == RESERVE:
            assert bytes_committed == 0, part


@pytest.mark.parametrize("name", NAMES)
def test_every_committed_byte_of_its_allocations_is_told(name: str) -> None:
    region_map, heap = opened(name), heap_of(name)
    told: dict[int, int] = {}
    for part in heap.ranges:
        allocation = region_map.space.allocation(part.base)
        assert allocation is not None
        assert part.base + part.size <= sum(allocation)
        size = committed(region_map, part.base, part.base + part.size)
        told[allocation[0]] = told.get(allocation[0], 0) + size
    for base, size in told.items():
        allocation = region_map.space.allocation(base)
        assert allocation is not None
        assert size == committed(region_map, base, sum(allocation))
    row = region_map.summary().loc["Managed Heap"]
    assert row["committed"] == row["private"] == sum(told.values())
    assert row["size"] == sum(part.size for part in heap.ranges)


@pytest.mark.parametrize("name", NAMES)
def test_bookkeeping_is_found_where_the_runtime_tells_it(name: str) -> None:
    # The server collectors of 2.1 and 3.1 name nothing in that memory.
    count = sum(part.kind == BOOKKEEPING for part in heap_of(name).ranges)
    assert count == (0 if name in ("managed-2.1-server", "managed-3.1-server") else 1)


@pytest.mark.parametrize("name", NAMES)
def test_a_recording_gives_the_same_map(name: str) -> None:
    snapshot = opened(name).snapshot
    recording = RecordingMemory(snapshot.memory)
    first = map_snapshot(snapshot, memory=recording, read_parameters=False)
    again = map_snapshot(snapshot, memory=ExcerptMemory(recording.excerpts()))
    without = tuple(dataclasses.replace(peb, image_path=None, command_line=None) for peb in again.structures.pebs)
    assert again.structures.pebs == without, "the strings of the process parameters are not recorded"
    again = map_snapshot(snapshot, memory=ExcerptMemory(recording.excerpts()), read_parameters=False)
    assert again.structures == first.structures
    assert again.regions.equals(opened(name).regions)
    assert again.summary().equals(opened(name).summary())


@pytest.mark.parametrize("name", NAMES)
def test_without_sections_the_sums_are_the_same(name: str) -> None:
    assert map_snapshot(opened(name).snapshot, sections=False).summary().equals(opened(name).summary())


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_noted_as_not_told(name: str) -> None:
    region_map = opened(name)
    assert not [note for note in region_map.notes if ".NET" in note]
    assert not [line for line in (*region_map.warnings, *region_map.notes) if "managed" in line]


# ---------------------------------------------------------------- without GcDacVars

TABLE_NAMES = [name for name in NAMES if not name.startswith("managed-10")]
"""Runtimes that have the table for debuggers of the .NET Framework."""


@cache
def without_variables(name: str) -> ProcessStructures:
    """The process as it would be read if its collector did not list its variables."""
    snapshot = opened(name).snapshot  # not below: other tests share the map
    with mock.patch("dumpmap.structures.recognisers.dotnet._by_variables", return_value="left out"):
        return map_snapshot(snapshot).structures


@pytest.mark.parametrize("name", TABLE_NAMES)
def test_the_table_for_debuggers_leads_to_the_same_ranges(name: str) -> None:
    (heap,) = managed_heaps(without_variables(name))
    assert (heap.evidence, heap.inferred) == ("dac-table", True)
    known = heap_of(name)
    ranges = [part for part in heap.ranges if part.kind != BOOKKEEPING]
    assert ranges == [part for part in known.ranges if part.kind != BOOKKEEPING]
    # The table also leads to the bookkeeping memory of a server collector, which GcDacVars does not name.
    (cards,) = [part for part in heap.ranges if part.kind == BOOKKEEPING]
    assert known.server or cards in known.ranges


@pytest.mark.parametrize("name", [name for name in TABLE_NAMES if "server" in name])
def test_bookkeeping_that_is_not_published_is_found_by_its_header(name: str) -> None:
    found = [part for one in opened(name).structures.found for part in one.ranges]
    (part,) = [part for part in found if part.evidence == "clr-card-table"]
    assert (part.owner, part.type, part.inferred) == (".NET", None, False)
    (by_table,) = [one for one in managed_heaps(without_variables(name))[0].ranges if one.kind == BOOKKEEPING]
    assert (part.base, part.size) == (by_table.base, by_table.size)
    rows = opened(name).regions
    assert set(rows[rows["kind"] == part.kind]["type"]) == {"Private Data"}


@pytest.mark.parametrize("name", TABLE_NAMES)
def test_objects_of_known_age_lie_between_its_borders(name: str) -> None:
    (heap,) = managed_heaps(without_variables(name))
    for purpose, generation, address, size, _ in truth(name)["objects"]:
        part = range_at(heap, address)
        assert (part.kind, address + size <= part.base + part.size) == (GENERATION_KINDS[generation], True), purpose


@pytest.mark.parametrize("name", TABLE_NAMES)
def test_a_runtime_whose_table_is_not_captured(name: str) -> None:
    snapshot = opened(name).snapshot
    (runtime,) = opened(name).structures.runtimes
    image = opened(name).structures.images[runtime.base]
    (section,) = [section for section in image.sections if section.name == ".rsrc"]
    low = runtime.base + section.address
    parts = [(at, snapshot.memory.read(at, size) or b"") for at, size in snapshot.memory.ranges()]
    kept = [part for part in parts if not low <= part[0] < low + section.size]
    assert len(kept) < len(parts)
    with mock.patch("dumpmap.structures.recognisers.dotnet._by_variables", return_value="left out"):
        region_map = map_snapshot(snapshot, memory=ExcerptMemory(kept))
    assert managed_heaps(region_map.structures) == ()
    assert any("no table for debuggers in the dump" in note for note in region_map.notes)


def negative() -> list[Path]:
    corpus = Path(os.environ.get("DUMPMAP_CORPUS", "no-such-folder"))
    return [*DUMPS.values(), *sorted(corpus.glob("*.*dmp"))]


def test_dumps_without_a_runtime_have_no_managed_heap() -> None:
    for path in negative():
        try:
            region_map = dumpmap.open(path)
        except dumpmap.DumpmapError:
            continue
        assert managed_heaps(region_map.structures) == (), path
        assert region_map.structures.runtimes == (), path
        assert not (region_map.regions["type"] == "Managed Heap").any(), path
