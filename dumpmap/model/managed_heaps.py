"""What is known of a managed heap: where its structures are, and the ranges that they lead to."""

from __future__ import annotations

from dataclasses import dataclass

from dumpmap.structures.layout import Layout

DAC_VARS = "gc-dac-vars"
CONTRACT = "contract-descriptor"

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

GC_KINDS = (*GENERATION_KINDS, FROZEN, FREE_REGION, RESERVE, BOOKKEEPING)
"""Every kind of a `ManagedRange`."""


@dataclass(frozen=True, slots=True)
class ManagedRange:
    """Memory of a garbage collector. Bytes; never more than the collector itself counts.

    Attributes:
        base: its first byte.
        size: its bytes.
        kind: one of `GC_KINDS`.
        heap: number of the heap where there are several (server), else None.
    """

    base: int
    size: int
    kind: str
    heap: int | None = None


@dataclass(frozen=True, slots=True)
class ManagedHeap:
    """The managed heap of one runtime.

    Attributes:
        module: file name of the module that the runtime lives in.
        module_base: where that is loaded.
        evidence: `gc-dac-vars` or `contract-descriptor`: which structure led to it.
        version: of that structure, as it says itself.
        server: whether it is a server collector, with a heap for each of some processors.
        regions: whether it is made of regions (since .NET 7, 64-bit), else of segments.
        heap_count: heaps of a server collector, else 1.
        ranges: sorted, not overlapping.
        object_bytes: from the start of each segment's objects to their end: live ones, dead ones and gaps.
        inferred: the process was amid a collection, so that its structures need not fit together.
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


@dataclass(frozen=True, slots=True)
class ManagedSurvey:
    """The managed heaps of a process.

    Attributes:
        heaps: one of each runtime whose collector could be read.
        runtimes: names of the modules that hold a runtime, read or not.
        missing: what was not captured, one line each.
        warnings: contradictions, one line each.
    """

    heaps: tuple[ManagedHeap, ...] = ()
    runtimes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HeapRoots:
    """Where the structures of one heap of a collector begin.

    Attributes:
        index: its number, None for a workstation collector.
        generation_table: address of the first `generation`.
        ephemeral: address of the segment that holds the youngest generations, 0 if unknown.
        alloc_allocated: end of the youngest generation's objects, 0 if unknown.
        free_chains: first segments of chains of regions that hold no objects.
    """

    index: int | None
    generation_table: int
    ephemeral: int
    alloc_allocated: int
    free_chains: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class GcRoots:
    """Where the structures of a collector begin and how they are laid out: what both sources boil down to.

    Attributes:
        evidence: which source.
        version: of that source's structure.
        pointer_size: 4 or 8.
        generation_size: bytes from one `generation` to the next.
        generation_count: generations of each heap.
        start_segment: offset in a `generation` of the pointer to its first segment.
        allocation_start: offset of the pointer to its first object; None where generations do not share segments.
        segment: layout of `heap_segment`.
        heaps: one or, of a server collector, several.
        server: whether it is a server collector.
        regions: made of regions or of segments; None if it does not say.
        bookkeeping: address of the first `card_table_info`, 0 if unknown.
        card_table: its layout.
        card_table_size: distance from the header of a further block to what points to it, 0 if unknown.
        mark_array: address in the bookkeeping memory of an old collector, which does not give its start; else 0.
        free_chains: first segments of chains of free regions that belong to no heap.
        invalid_count: not 0 while a collection changes the structures; None if it is not known.
    """

    evidence: str
    version: str
    pointer_size: int
    generation_size: int
    generation_count: int
    start_segment: int
    allocation_start: int | None
    segment: Layout
    heaps: tuple[HeapRoots, ...]
    server: bool
    regions: bool | None
    bookkeeping: int
    card_table: Layout
    card_table_size: int = 0
    mark_array: int = 0
    free_chains: tuple[int, ...] = ()
    invalid_count: int | None = None


def pointer_at(data: bytes | None) -> int | None:
    """Decodes a pointer or number that was read, None where it was not there."""
    return None if data is None else int.from_bytes(data, "little")
