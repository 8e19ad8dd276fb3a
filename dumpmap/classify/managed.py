"""Managed heaps: the ranges that a garbage collector's own structures lead to, and those that the input lists."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import numpy as np

from dumpmap.classify.labels import Label, Labels
from dumpmap.model.managed_heaps import BOOKKEEPING, ManagedHeap
from dumpmap.model.process import ProcessStructures
from dumpmap.model.snapshot import Snapshot
from dumpmap.model.space import AllocationSpace
from dumpmap.model.types import RegionType
from dumpmap.model.winnt import MemType

_CORE = "coreclr.dll"
_FRAMEWORK = frozenset(("clr.dll", "mscorwks.dll", "mscorsvr.dll"))
_RUNTIMES = frozenset((_CORE, *_FRAMEWORK, "clrgc.dll", "libcoreclr.so", "clrjit.dll"))
"""Modules whose presence means that there is a managed heap, found or not."""

_WHOLE = "GC heap"
_PRIVATE_OR_UNKNOWN = (int(MemType.MEM_PRIVATE), 0)


def has_unread_runtime(snapshot: Snapshot, structures: ProcessStructures, names: set[str]) -> bool:
    """Whether a .NET runtime is loaded and nothing tells what its managed heap is."""
    if snapshot.managed_heaps or structures.managed_heaps:
        return False
    return bool(structures.runtimes or _RUNTIMES & names)


def managed_notes(snapshot: Snapshot, structures: ProcessStructures, names: set[str]) -> list[str]:
    """What a reader of the map has to know of managed memory that is not told apart."""
    if has_unread_runtime(snapshot, structures, names):
        why = "; the .NET Framework does not publish where it is" if _FRAMEWORK & names else ""
        return [f"a .NET runtime is loaded; its managed heap is not told apart and counts as Private Data{why}"]
    if structures.managed_heaps and _FRAMEWORK & names:
        return ["the .NET Framework is loaded too; its managed heap is not told apart and counts as Private Data"]
    return []


def label_managed_heaps(
    snapshot: Snapshot, structures: ProcessStructures, space: AllocationSpace, labels: Labels
) -> None:
    """Labels managed heaps: as the input lists them, then as the collectors' structures have them."""
    for heap in snapshot.managed_heaps:
        for part in heap.ranges:
            index = labels.allocation(part.base)
            if index < 0:
                continue
            end = min(part.base + part.size, int(labels.ends[index]))
            label = Label(part.kind or heap.kind, "managed-heap", RegionType.MANAGED_HEAP, heap.name or "")
            labels.mark(part.base, end, label)
            labels.claim(index, msgspec.structs.replace(label, kind=heap.kind))
    for found in structures.managed_heaps:
        _label(found, space, labels)


def _label(heap: ManagedHeap, space: AllocationSpace, labels: Labels) -> None:
    """Labels the ranges of one collector, each for exactly what it covers, and the allocations that they fill.

    A collector may take a part of an allocation only: of a reservation it uses what is aligned. The row of an
    allocation becomes a managed heap where that is most of it; what the collector does not count stays Private Data
    either way.
    """
    by_allocation: dict[int, list[tuple[int, int, str]]] = {}
    kinds, bases, ends = space.kinds.data, space.bases.data, space.ends.data
    if not len(space):
        return
    for part in heap.ranges:
        low, high = part.base, part.base + part.size
        first = max(0, int(np.searchsorted(space.bases, np.uint64(low), side="right")) - 1)
        for index in range(first, int(np.searchsorted(space.bases, np.uint64(high), side="left"))):
            start, end = max(low, bases[index]), min(high, ends[index])
            # What an earlier rule has named is not the collector's, whatever it says.
            if start >= end or labels.claimed[index] or kinds[index] not in _PRIVATE_OR_UNKNOWN:
                continue
            details = heap.module if part.heap is None else f"{heap.module}, heap {part.heap}"
            label = Label(part.kind, heap.evidence, RegionType.MANAGED_HEAP, details, heap.inferred)
            labels.mark(start, end, label)
            by_allocation.setdefault(index, []).append((start, end, part.kind))
    for index, parts in by_allocation.items():
        base, end = bases[index], ends[index]
        if 2 * sum(stop - start for start, stop, _ in parts) <= end - base:
            continue
        kind = BOOKKEEPING if all(kind == BOOKKEEPING for _, _, kind in parts) else _WHOLE
        label = Label(kind, heap.evidence, RegionType.MANAGED_HEAP, heap.module, heap.inferred)
        if not labels.claim(index, label):
            continue
        rest = Label("", "memory-info", RegionType.PRIVATE_DATA)
        edges = [(base, base), *((start, stop) for start, stop, _ in parts), (end, end)]
        for (_, before), (after, _) in pairwise(edges):
            labels.mark(before, after, rest)
