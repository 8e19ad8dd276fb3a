"""Heaps: those that were found in memory and those that the process reported, as one list, and their allocations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from dumpmap.classify.labels import Label, Labels
from dumpmap.model.counts import part_words
from dumpmap.model.heaps import HEAP_STREAM, Heap, HeapInfo, HeapRange
from dumpmap.model.space import AllocationSpace
from dumpmap.model.types import RegionType
from dumpmap.model.values import changed
from dumpmap.model.winnt import MemType

_PRIVATE_OR_UNKNOWN = (int(MemType.MEM_PRIVATE), 0)
_HEAP = int(RegionType.HEAP)


def label_heaps(infos: Sequence[HeapInfo], space: AllocationSpace, labels: Labels) -> tuple[list[Heap], list[str]]:
    """Labels the allocations of every heap.

    Args:
        infos: the heaps of all recognisers.
        space: the allocations.
        labels: gets the labels.

    Returns:
        the heaps and warnings.
    """
    heaps: list[Heap] = []
    warnings: list[str] = []
    # Ranges of one process do not overlap, so together they touch no more allocations than this. Those of a hostile
    # stream can each span the whole space.
    reported_ranges = sum(len(info.ranges) for info in infos if info.is_reported)
    visits = _Budget(len(space) + reported_ranges)
    types = labels.types.data  # a view, for single look-ups
    for heap, report in _merge(infos):
        owned = _claim(heap, space, labels, warnings, visits)
        for part in report.ranges if report is not None else ():
            index = labels.allocation(part.base)
            if index >= 0 and types[index] == _HEAP:
                labels.add_evidence(index, HEAP_STREAM)
        heaps.append(Heap(heap.info, heap.ranges, tuple(sorted(owned)), heap.evidence))
    if visits.left < 0:
        warnings.append("ranges of the heap stream overlap; some of them are not shown to their end")
    return heaps, warnings


@dataclass
class _Budget:
    """How many more allocations may be visited."""

    left: int


def _merge(infos: Sequence[HeapInfo]) -> list[tuple[Heap, HeapInfo | None]]:
    """Joins heaps found in memory with what the process reported of them; returns each with its report."""
    read = [info for info in infos if not info.is_reported]
    reports = [info for info in infos if info.is_reported]
    by_address: dict[int, HeapInfo] = {}
    for report in reports:
        if report.has_handle:
            by_address.setdefault(report.address, report)
    # The process's own numbers count only if the list of heaps has none: two numberings would mislead.
    numbered = any(info.id is not None for info in read)
    merged: list[tuple[Heap, HeapInfo | None]] = []
    matched: set[int] = set()
    for info in read:
        match = by_address.pop(info.address, None)
        if match is None:
            merged.append((Heap(info, _sorted(info.ranges), (), info.evidence), None))
        else:
            matched.add(id(match))
            merged.append((_join(info, match, numbered=numbered), match))
    for report in reports:
        if id(report) not in matched:
            info = replace(report, id=None if numbered else report.id, ranges=())
            merged.append((Heap(info, _sorted(report.ranges), (), HEAP_STREAM), report))
    return merged


def _join(info: HeapInfo, report: HeapInfo, *, numbered: bool) -> Heap:
    """Adds to a heap found in memory what the process reported of it."""
    known = {part.base for part in info.ranges}
    ranges = _sorted((*info.ranges, *(part for part in report.ranges if part.base not in known)))
    evidence = info.evidence if info.ranges else HEAP_STREAM
    number = report.id if info.id is None and not numbered else info.id
    flags = report.flags if info.flags is None and report.flags else info.flags
    if (number, report.name, flags) != (info.id, info.name, info.flags):
        info = changed(info, id=number, name=report.name, flags=flags)
    return Heap(info, ranges, (), evidence)


def _sorted(ranges: Iterable[HeapRange]) -> tuple[HeapRange, ...]:
    return tuple(sorted(ranges, key=lambda part: part.base))


def _claim(
    heap: Heap, space: AllocationSpace, labels: Labels, warnings: list[str], visits: _Budget
) -> set[tuple[int, int]]:
    """Labels the allocations of one heap; returns their (base, size)."""
    owned: set[tuple[int, int]] = set()
    strays = 0
    ranges = heap.ranges
    if not ranges and heap.info.address:
        # The header is not in the input, but the list says that a heap starts here.
        ranges = (HeapRange(heap.info.address, None, "header", heap.info.evidence),)
    kinds, types = space.kinds.data, labels.types.data
    bases, ends = space.quick_ends
    title = heap.title
    # A heap can have thousands of segments with one and the same label.
    alike: dict[tuple[str, str, bool], Label] = {}
    places = space.indices_of([part.base for part in ranges])
    for part, first in zip(ranges, places, strict=True):
        if first < 0:
            strays += 1
            continue
        key = part.role, part.evidence, part.inferred
        label = alike.get(key)
        if label is None:
            label = Label(_kind(heap, part), part.evidence, RegionType.HEAP, title, part.inferred)
            alike[key] = label
        # Only a reported range touches more than one allocation.
        indexes = _allocations_of(part, first, space, visits) if part.evidence == HEAP_STREAM else (first,)
        for index in indexes:
            base, end = bases[index], ends[index]
            if kinds[index] not in _PRIVATE_OR_UNKNOWN:
                # An arena in an image or a section: the place keeps its type and gets the heap's name.
                stop = min(part.base + (part.size or end - part.base), end)
                labels.mark(max(part.base, base), stop, msgspec.structs.replace(label, type=None))
                continue
            if labels.claim(index, label):
                owned.add((base, end - base))
            elif types[index] == _HEAP:
                labels.add_evidence(index, part.evidence)
                owned.add((base, end - base))
    if strays and len(space):
        lie = part_words(strays, len(ranges), "range", "is", "are").replace(" of ", " of its ", 1)
        warnings.append(f"heap at 0x{heap.info.address:x}: {lie} in no allocation of the map")
    return owned


def _allocations_of(part: HeapRange, first: int, space: AllocationSpace, visits: _Budget) -> list[int]:
    """Returns every allocation that a reported range touches; `first` is the one that holds its base."""
    indexes = [first]
    if part.size:
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
