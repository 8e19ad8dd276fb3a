"""Findings about many things: all are counted, ten are listed, the largest first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.cases import mapped_files, modules, roomy
from support.scenes import MB, Scene, map_of, with_errors
from synth.minidump import PAGE_EXECUTE_READWRITE

from dumpmap.analysis.diagnosis import diagnose
from dumpmap.api import RegionMap
from dumpmap.model.snapshot import RecordedHeap, RecordedRange


def files(count: int) -> RegionMap:
    """Files that have two views each; each file is larger than the one before."""
    return mapped_files(*[(f"C:\\{index}", (1 + index) * MB) for index in range(count) for _ in range(2)])


def twice(count: int) -> RegionMap:
    """Modules that are loaded twice each."""
    return modules(
        *[(f"C:\\{copy}\\m{index}.dll", (1 + copy * 100 + index) << 24) for index in range(count) for copy in (0, 1)]
    )


def executable(count: int) -> RegionMap:
    """Regions that are writable and executable; each is larger than the one before."""
    scene = Scene()
    for index in range(count):
        scene.allocate((1 + index) * 0x10000, protect=PAGE_EXECUTE_READWRITE)
    return scene.map()


def heaps(count: int) -> RegionMap:
    """Heaps with two holes each."""
    scene, found = Scene(64), []
    for index in range(count):
        size = (64 + index) * MB
        base = scene.allocate(size, commit=MB)
        scene.commit(base + size // 2, MB)
        ranges = (RecordedRange(base, size, 2 * MB, "segment"),)
        found.append(RecordedHeap(1 + index, "NT heap", address=base, ranges=ranges))
    return scene.map(heaps=found)


def damaged(count: int) -> RegionMap:
    """An input with warnings."""
    return roomy(warnings=[f"warning {index}" for index in range(count)])


def failed(count: int) -> RegionMap:
    """Threads whose last error means that memory ran out."""
    return map_of(with_errors(*[(8, 0)] * count))


def sizes(rows: list[dict[str, Any]], unit: int) -> list[int]:
    return [row["size"] // unit for row in rows]


@pytest.mark.parametrize("count", [9, 10, 11])
@pytest.mark.parametrize(
    ("finding", "make", "key"),
    [
        ("file-mapped-repeatedly", files, "files"),
        ("executable-writable-memory", executable, "regions"),
        ("heap-fragmented", heaps, "heaps"),
        ("input-damaged", damaged, "warnings"),
        ("last-error-out-of-memory", failed, "threads"),
        ("module-loaded-twice", twice, "modules"),
    ],
)
def test_ten_are_listed(finding: str, make: Callable[[int], RegionMap], key: str, count: int) -> None:
    values = next(hit.values for hit in diagnose(make(count)).evidence if hit.id == finding)
    assert len(values[key]) == min(count, 10)
    if finding == "module-loaded-twice":
        assert values["extra"] == count * 2 * MB
    else:
        assert values["count"] == count


def test_the_largest_come_first() -> None:
    values = {hit.id: hit.values for make in (files, executable, heaps) for hit in diagnose(make(12)).evidence}
    assert sizes(values["file-mapped-repeatedly"]["files"], 2 * MB) == list(range(12, 2, -1))
    assert sizes(values["executable-writable-memory"]["regions"], 0x10000) == list(range(12, 2, -1))
    assert values["executable-writable-memory"]["size"] == sum(range(1, 13)) * 0x10000
    assert [row["reserved"] // MB for row in values["heap-fragmented"]["heaps"]] == list(range(75, 65, -1))
