"""What a region map holds of a .NET garbage collector: its heap, and the kinds of its memory."""

from __future__ import annotations

from dumpmap.model.values import value_class

DAC_VARS = "gc-dac-vars"
CONTRACT = "contract-descriptor"
DAC_TABLE = "dac-table"
"""The words of evidence for a managed heap: which structure of the runtime led to it."""

GENERATION_KINDS = (
    "GC heap, generation 0",
    "GC heap, generation 1",
    "GC heap, generation 2",
    "GC large object heap",
    "GC pinned object heap",
)
"""Kinds of the generations, by the collector's own numbers."""

FROZEN = "GC frozen heap"
FREE_REGION = "GC free region"
RESERVE = "GC reserve"
BOOKKEEPING = "GC bookkeeping"
WHOLE = "GC heap"
"""Kind of an allocation that the ranges of a collector fill."""


@value_class(frozen=True, slots=True)
class ManagedRange:
    """Memory of a garbage collector. Sizes are bytes and never exceed what the collector itself counts.

    Attributes:
        base: its first byte.
        size: its bytes.
        kind: one of the kinds above.
        heap: number of the heap in a server collector, else None.
    """

    base: int
    size: int
    kind: str
    heap: int | None = None


@value_class(frozen=True, slots=True)
class ManagedHeap:
    """The managed heap of one runtime.

    Attributes:
        module: file name of the module that holds the runtime.
        module_base: where that module is loaded.
        evidence: `gc-dac-vars`, `contract-descriptor` or `dac-table`: the structure that led to the heap.
        version: the structure's own version.
        server: the collector is a server collector, with one heap for each of several processors.
        regions: the heap consists of regions (64-bit, .NET 7 and later); otherwise of segments.
        heap_count: number of heaps of a server collector, else 1.
        ranges: sorted, not overlapping.
        object_bytes: bytes from the first object of each segment to the end of its objects: live objects, dead
            objects, and gaps.
        inferred: a collection was in progress, so the collector's structures may be inconsistent; or the way to the
            heap is not confirmed for this runtime.
    """

    module: str
    module_base: int
    evidence: str
    version: str
    server: bool
    regions: bool
    heap_count: int
    ranges: tuple[ManagedRange, ...]
    object_bytes: int
    inferred: bool = False
