"""A map that another tool's file already states: types, kinds and details are taken as they stand there."""

from __future__ import annotations

import re
from dataclasses import replace

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


def is_recorded(regions: Regions) -> bool:
    """Whether the regions come with types of their own."""
    return "recorded_type" in regions.texts


def take_allocations(space: AllocationSpace, labels: Labels) -> None:
    """Labels every allocation as its first region says."""
    regions, first = space.regions, space.first
    column = regions.texts["recorded_type"]
    types = [BY_NAME.get(text.lower(), RegionType.PRIVATE_DATA) for text in column.values]
    codes = column.codes[first]
    table = np.array(types or [RegionType.PRIVATE_DATA], np.uint8)
    labels.types[:] = np.where(codes >= 0, table[np.maximum(codes, 0)], labels.types)
    labels.claimed[:] = True
    for name, target in (("recorded_kind", labels.kinds), ("recorded_details", labels.details)):
        _take(regions.texts.get(name), first, labels, target)


def take_rows(regions: Regions, region: npt.NDArray[np.intp], labels: Labels, kind: I32, details: I32) -> None:
    """Gives single rows their own texts; the first of an allocation has them beside the allocation's."""
    for names, column in (
        (("recorded_kind", "recorded_block_kind"), kind),
        (("recorded_details", "recorded_block_details"), details),
    ):
        for name in names:
            _take(regions.texts.get(name), region, labels, column)


def _take(column: TextColumn | None, index: npt.NDArray[np.intp], labels: Labels, target: I32) -> None:
    """Overwrites the codes in `target` where the file has a text."""
    if column is None or not column.values:
        return
    mapping = np.array([labels.texts.code(text) for text in column.values], np.int32)
    codes = column.codes[index]
    known = codes >= 0
    target[known] = mapping[codes[known]]


def take_parts(snapshot: Snapshot, space: AllocationSpace, labels: Labels) -> tuple[list[Stack], list[Heap]]:
    """Lists the stacks and heaps that the rows name."""
    threads = {thread.id: thread for thread in snapshot.threads}
    stacks = []
    for index in np.flatnonzero(labels.types == RegionType.STACK).tolist():
        match = _THREAD.match(labels.texts.text(int(labels.details[index])))
        if match is not None:
            thread = threads.get(int(match[1])) or Thread(int(match[1]))
            stacks.append(measure_stack(thread, space, index, None, None, "recorded", partial=False))
    heaps, _ = label_heaps(snapshot, ProcessStructures(), space, labels)
    labels.evidence.clear()
    return stacks, [replace(heap, evidence="recorded") for heap in heaps]
