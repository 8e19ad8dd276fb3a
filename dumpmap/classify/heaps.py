"""Heaps: what the structure readers found and what the process reported, as one list, and their allocations."""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec
import numpy as np

from dumpmap.classify.labels import Label, Labels
from dumpmap.model.heaps import Heap, HeapInfo, HeapRange
from dumpmap.model.process import ProcessStructures
from dumpmap.model.snapshot import RecordedHeap, Snapshot
from dumpmap.model.space import AllocationSpace
from dumpmap.model.types import RegionType
from dumpmap.model.winnt import MemType

_PRIVATE_OR_UNKNOWN = (int(MemType.MEM_PRIVATE), 0)


def label_heaps(
    snapshot: Snapshot, structures: ProcessStructures, space: AllocationSpace, labels: Labels
) -> tuple[list[Heap], list[str]]:
    """Labels the allocations of every heap.

    Returns:
        the heaps and warnings.
    """
    heaps: list[Heap] = []
    warnings: list[str] = []
    by_address: dict[int | None, RecordedHeap] = {}
    for heap in snapshot.heaps:
        by_address.setdefault(heap.address, heap)
    merged: list[tuple[HeapInfo, RecordedHeap | None]] = []
    matched: set[int] = set()
    for info in structures.heaps:
        match = by_address.pop(info.address, None)
        if match is not None:
            matched.add(id(match))
        merged.append((info, match))
    merged.extend((_from_recorded(heap), heap) for heap in snapshot.heaps if id(heap) not in matched)
    # Ranges of one process do not overlap, so together they touch no more than this; those of a hostile stream can
    # each span the whole space.
    visits = _Budget(len(space) + sum(len(heap.ranges) for heap in snapshot.heaps))
    # The stream's own numbers are taken where there are no others: two numberings side by side would mislead.
    numbered = any(info.id is not None for info in structures.heaps)
    for info, recorded in merged:
        if info.id is None and recorded is not None and not numbered:
            info = replace(info, id=recorded.id)
        ranges = list(info.ranges)
        if recorded is not None:
            known = {part.base for part in ranges}
            ranges.extend(part for part in _recorded_ranges(recorded) if part.base not in known)
            if info.flags is None and recorded.flags:
                info = replace(info, flags=recorded.flags)
        found = Heap(
            info=info,
            name=recorded.name if recorded else None,
            ranges=tuple(sorted(ranges, key=lambda part: part.base)),
            allocations=(),
            evidence="heap-stream" if recorded is not None and not info.ranges else info.evidence,
        )
        owned = _claim(found, space, labels, warnings, visits)
        for part in recorded.ranges if recorded is not None else ():
            index = labels.allocation(part.base)
            if index >= 0 and int(labels.types[index]) == RegionType.HEAP:
                labels.add_evidence(index, "heap-stream")
        heaps.append(replace(found, allocations=tuple(sorted(owned))))
    if visits.left < 0:
        warnings.append("ranges of the heap stream overlap one another; not all of them could be followed to their end")
    return heaps, warnings


@dataclass
class _Budget:
    """How many more allocations may be looked at."""

    left: int


def _from_recorded(heap: RecordedHeap) -> HeapInfo:
    return HeapInfo(
        id=None,
        address=heap.address or (min((part.base for part in heap.ranges), default=0)),
        pointer_size=0,
        kind=heap.kind,
        flags=heap.flags,
        evidence="heap-stream",
    )


def _recorded_ranges(heap: RecordedHeap) -> list[HeapRange]:
    return [
        HeapRange(
            base=part.base,
            size=part.size,
            role=part.kind,
            evidence="heap-stream",
            reserved=part.size,
            committed=part.committed,
        )
        for part in heap.ranges
    ]


def _claim(
    heap: Heap, space: AllocationSpace, labels: Labels, warnings: list[str], visits: _Budget
) -> set[tuple[int, int]]:
    """Labels the allocations of one heap; returns their (base, size)."""
    owned: set[tuple[int, int]] = set()
    strays = 0
    ranges = heap.ranges
    if not ranges and heap.info.address:
        # The header is not in the input, but the list says that a heap begins here.
        ranges = (HeapRange(heap.info.address, None, "header", heap.info.evidence),)
    kinds, bases, ends = space.kinds.data, space.bases.data, space.ends.data
    title, heap_type = heap.title, int(RegionType.HEAP)
    # A heap can have thousands of segments, and all of them are labelled alike.
    alike: dict[tuple[str, str, bool], Label] = {}
    for part in ranges:
        indexes = _allocations_of(part, space, visits)
        if not indexes:
            strays += 1
            continue
        key = part.role, part.evidence, part.inferred
        label = alike.get(key)
        if label is None:
            label = Label(_kind(heap, part), part.evidence, RegionType.HEAP, title, part.inferred)
            alike[key] = label
        for index in indexes:
            base, end = bases[index], ends[index]
            if kinds[index] not in _PRIVATE_OR_UNKNOWN:
                # An arena in an image or a section: its place stays what it is and carries the heap's name.
                stop = min(part.base + (part.size or end - part.base), end)
                labels.mark(max(part.base, base), stop, msgspec.structs.replace(label, type=None))
                continue
            if labels.claim(index, label):
                owned.add((base, end - base))
            elif labels.types[index] == heap_type:
                labels.add_evidence(index, part.evidence)
                owned.add((base, end - base))
    if strays and len(space):
        warnings.append(
            f"heap at 0x{heap.info.address:x}: {strays} of its {len(ranges)} ranges lie in no allocation of the map"
        )
    return owned


def _allocations_of(part: HeapRange, space: AllocationSpace, visits: _Budget) -> list[int]:
    """Every allocation that the range touches; more than one only for ranges that the process reported."""
    first = space.index_of(part.base)
    if first < 0:
        return []
    indexes = [first]
    if part.evidence == "heap-stream" and part.size:
        stop = int(np.searchsorted(space.bases, np.uint64(min(part.base + part.size, (1 << 64) - 1)), side="left"))
        visits.left -= stop - first
        if visits.left >= 0:
            indexes += range(first + 1, stop)
    return indexes


def _kind(heap: Heap, part: HeapRange) -> str:
    """`NT heap segment`, `Segment heap large block`, ...: the heap's kind and the range's role."""
    kind = heap.info.kind
    if kind.startswith("unknown"):
        kind = "Heap"
    kind = kind.removesuffix(" (old)")
    if part.role in ("header", "page heap", "other") or part.role == "":
        return kind
    return f"{kind} {part.role}"
