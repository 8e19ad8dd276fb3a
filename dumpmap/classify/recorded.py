"""Takes types, kinds, and details from another tool's file (VMMap) as they are."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from dumpmap.classify.heaps import label_heaps
from dumpmap.classify.labels import Labels
from dumpmap.classify.stacks import measure_stack
from dumpmap.model.heaps import Heap
from dumpmap.model.process import ProcessStructures
from dumpmap.model.snapshot import I32, Regions, Snapshot, TextColumn, Thread
from dumpmap.model.space import AllocationSpace
from dumpmap.model.stacks import Stack
from dumpmap.model.types import BY_NAME, RegionType

_THREAD = re.compile(r"Thread ID: (\d{1,10})\b")


def take_allocations(space: AllocationSpace, labels: Labels) -> None:
    """Labels every allocation after its first region."""
    regions, first = space.regions, space.first
    column = regions.texts["recorded_type"]
    types = [BY_NAME.get(text.lower(), RegionType.PRIVATE_DATA) for text in column.values]
    codes = column.codes[first]
    table = np.array(types or [RegionType.PRIVATE_DATA], np.uint8)
    labels.types[:] = np.where(codes >= 0, table[np.maximum(codes, 0)], labels.types)
    labels.claimed[:] = True
    for name, target in (("recorded_kind", labels.kinds), ("recorded_details", labels.details)):
        _take(regions.texts.get(name), first, labels, target)


def take_rows(regions: Regions, region: I32, labels: Labels, kind: I32, details: I32) -> None:
    """Gives single rows their own texts. The first row of an allocation has its own beside the allocation's."""
    for names, column in (
        (("recorded_kind", "recorded_block_kind"), kind),
        (("recorded_details", "recorded_block_details"), details),
    ):
        for name in names:
            _take(regions.texts.get(name), region, labels, column)


def _take(column: TextColumn | None, index: npt.NDArray[np.integer[Any]], labels: Labels, target: I32) -> None:
    """Overwrites the codes in `target` where the file has a text."""
    if column is None or not column.values:
        return
    mapping = np.array([labels.texts.code(text) for text in column.values], np.int32)
    codes = column.codes[index]
    known = codes >= 0
    target[known] = mapping[codes[known]]


def take_parts(
    snapshot: Snapshot, structures: ProcessStructures, space: AllocationSpace, labels: Labels
) -> tuple[list[Stack], list[Heap]]:
    """Lists the stacks and heaps that the rows name."""
    threads = {thread.id: thread for thread in snapshot.threads}
    stacks = []
    for index in np.flatnonzero(labels.types == RegionType.STACK).tolist():
        match = _THREAD.match(labels.texts.text(int(labels.details[index])))
        if match is not None:
            thread = threads.get(int(match[1])) or Thread(int(match[1]))
            stacks.append(measure_stack(thread, space, index, None, None, "recorded", partial=False))
    heaps, _ = label_heaps(structures.heaps, space, labels)
    labels.evidence.clear()
    return stacks, [replace(heap, evidence="recorded") for heap in heaps]
