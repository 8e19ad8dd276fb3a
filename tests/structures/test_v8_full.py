"""A recorded Node.js that ran out of JavaScript heap: V8 stops below its limit, which is in the bytes of its Heap."""

from __future__ import annotations

import json
import struct
from functools import cache
from pathlib import Path
from typing import Any

import dumpmap
from dumpmap.api import RegionMap
from dumpmap.structures.recognisers.v8 import Isolate

FOLDER = Path(__file__).parents[1] / "fixtures" / "runtimes"
LIMITED = ("old space", "code space", "large object space", "trusted space")
"""The spaces of the old generation, which --max-old-space-size limits."""

HEAP_BYTES = 16 << 10


@cache
def full() -> tuple[RegionMap, Isolate, dict[str, Any]]:
    """The map, its only isolate, and what V8 printed."""
    region_map = dumpmap.open(FOLDER / "full-node-22.dmp.gz")
    (isolate,) = region_map.structures.facts_of(Isolate)
    return region_map, isolate, json.loads((FOLDER / "full-node-22.truth.json").read_text(encoding="utf-8"))


def test_the_process_died_of_its_heap_limit() -> None:
    _, _, truth = full()
    assert truth["fatal_error"] == "Reached heap limit Allocation failed - JavaScript heap out of memory"
    assert truth["max_old_space_size"] == 64 << 20


def test_the_old_space_fills_the_limit() -> None:
    _, isolate, truth = full()
    assert isolate.version == truth["version"].partition("-")[0]
    sizes: dict[str, int] = {}
    for space in isolate.spaces:
        sizes[space.name] = sizes.get(space.name, 0) + space.committed
    # V8 let the old generation grow once more than the limit while it collected, and then gave up.
    limit = truth["max_old_space_size"]
    assert 0.98 * limit < sizes["old space"] <= limit
    assert limit <= sum(sizes[name] for name in LIMITED) < 1.15 * limit
    stated = {row["space_name"].replace("_", " "): row["space_size"] for row in truth["spaces"]}
    assert sizes["new space"] == stated["new space"]
    assert sizes["code space"] == stated["code space"]
    assert sizes["trusted space"] == stated["trusted space"]
    # The last statistics are from shortly before the end.
    assert stated["old space"] < sizes["old space"]


def test_the_fields_of_the_heap_are_in_the_dump() -> None:
    region_map, isolate, truth = full()
    fields = region_map.snapshot.memory.read(isolate.heap, HEAP_BYTES)
    assert fields is not None
    numbers = struct.unpack(f"<{HEAP_BYTES // 8}Q", fields)
    assert truth["max_old_space_size"] in numbers
