"""Where the structures of a .NET garbage collector begin: what `GcDacVars` and the contract descriptor boil down to."""

from __future__ import annotations

from dumpmap.model.values import value_class
from dumpmap.structures.layout import Layout


@value_class(frozen=True, slots=True)
class HeapRoots:
    """Where the structures of one heap of a collector begin.

    Attributes:
        index: its number; None for a workstation collector.
        generation_table: address of the first `generation`.
        ephemeral: address of the segment that holds the youngest generations; 0 if unknown.
        alloc_allocated: end of the youngest generation's objects; 0 if unknown.
        free_chains: first segments of the chains of regions that hold no objects.
    """

    index: int | None
    generation_table: int
    ephemeral: int
    alloc_allocated: int
    free_chains: tuple[int, ...] = ()


@value_class(frozen=True, slots=True)
class GcRoots:
    """Where the structures of a collector begin and how they are laid out.

    Attributes:
        evidence: the word for which of the two sources it comes from.
        version: the source's own version.
        pointer_size: 4 or 8.
        generation_size: bytes from one `generation` to the next.
        generation_count: generations of each heap.
        start_segment: offset in a `generation` of the pointer to its first segment.
        allocation_start: offset of the pointer to its first object; None where generations do not share segments.
        segment: layout of `heap_segment`.
        heaps: one or, of a server collector, several.
        server: it is a server collector.
        regions: the heap consists of regions, not of segments; None if the source does not say.
        bookkeeping: address of the first `card_table_info`; 0 if unknown.
        card_table: the layout of a `card_table_info`.
        card_table_size: distance from the header of a further block to the address that points to it; 0 if unknown.
        mark_array: an address in the bookkeeping memory of an old collector, which does not record its start; else 0.
        free_chains: first segments of the chains of free regions that belong to no heap.
        invalid_count: not 0 while a collection changes the structures; None if unknown.
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
    """Decodes a pointer or number that was read; None where the bytes are missing."""
    return None if data is None else int.from_bytes(data, "little")
