"""Heaps that the process itself reported: in a heap stream, to a live capture, or in another tool's file."""

from __future__ import annotations

from collections.abc import Iterator

from dumpmap.model.evidence import EvidenceInfo
from dumpmap.model.heaps import HEAP_STREAM, HeapInfo, HeapRange, RecordedHeap
from dumpmap.model.kinds import KindInfo
from dumpmap.model.recognised import Found, LabelledRange
from dumpmap.model.types import RegionType
from dumpmap.structures.recognisers.protocol import Context

MANAGED_HEAP = "managed-heap"

_SOURCE = "The heap stream."

KINDS: tuple[KindInfo, ...] = (
    KindInfo("custom allocator", RegionType.HEAP, "Memory of an allocator that reported itself.", _SOURCE),
    KindInfo("custom allocator arena", RegionType.HEAP, "An arena of such an allocator.", _SOURCE),
    KindInfo("Heap arena", RegionType.HEAP, "An arena of a heap that did not report its kind.", _SOURCE),
)

EVIDENCE: tuple[EvidenceInfo, ...] = (
    EvidenceInfo(HEAP_STREAM, "The process itself reported it in a heap stream."),
    EvidenceInfo(MANAGED_HEAP, "The input lists it as memory of a managed runtime."),
)


def find(context: Context) -> Found:
    """Takes the reports as they are. Classification merges reported heaps with those found in memory."""
    return Found(
        heaps=tuple(_heap(heap) for heap in context.reported_heaps),
        ranges=tuple(part for heap in context.reported_managed_heaps for part in _managed(heap)),
    )


def _heap(heap: RecordedHeap) -> HeapInfo:
    return HeapInfo(
        id=heap.id,
        address=heap.address or min((part.base for part in heap.ranges), default=0),
        pointer_size=0,
        kind=heap.kind,
        flags=heap.flags,
        ranges=tuple(
            HeapRange(
                base=part.base,
                size=part.size,
                role=part.kind,
                evidence=HEAP_STREAM,
                reserved=part.size,
                committed=part.committed,
            )
            for part in heap.ranges
        ),
        evidence=HEAP_STREAM,
        name=heap.name,
        has_handle=heap.address is not None,
    )


def _managed(heap: RecordedHeap) -> Iterator[LabelledRange]:
    for part in heap.ranges:
        yield LabelledRange(
            base=part.base,
            size=part.size,
            kind=part.kind or heap.kind,
            evidence=MANAGED_HEAP,
            type=RegionType.MANAGED_HEAP,
            details=heap.name or "",
            committed=part.size if part.committed is None else part.committed,
            whole_kind=heap.kind,
            takes_allocation=True,
        )
