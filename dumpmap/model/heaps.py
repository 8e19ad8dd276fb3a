"""What is known of a heap after it was walked."""

from __future__ import annotations

from dataclasses import dataclass

NT_HEAP = "NT heap"
OLD_NT_HEAP = "NT heap (old)"
SEGMENT_HEAP = "Segment heap"
PAGE_HEAP = "Page heap"
WINE_HEAP = "Wine heap"
UNKNOWN_HEAP = "unknown (header not in dump)"

HEAP_KINDS = (NT_HEAP, OLD_NT_HEAP, SEGMENT_HEAP, PAGE_HEAP, WINE_HEAP, UNKNOWN_HEAP)
"""Every kind that a `HeapInfo` can have."""

HEAP_ROLES = ("header", "segment", "large block", "front end", "page heap")
"""Every role that a `HeapRange` can have."""

HEAP_EVIDENCE = ("heap-list", "heap-segment", "heap-large-block", "heap-front-end", "heap-signature", "peb")
"""Every evidence that a heap or a range can rest on.

- `heap-list`: an entry of PEB.ProcessHeaps; under Wine, of the ring that joins all heaps.
- `heap-segment`: the heap's own list of segments, with the segment's header checked.
- `heap-large-block`: the heap's own list or tree of large blocks.
- `heap-front-end`: the heap's pointer to its low-fragmentation front end.
- `heap-signature`: bytes at the start of an allocation that are a heap's or a segment's; no list led there.
- `peb`: PEB.ProcessHeap, where the list was not captured.
"""


@dataclass(frozen=True, slots=True)
class HeapRange:
    """A run of address space that belongs to a heap.

    Attributes:
        base: its first byte; the allocation that holds it belongs to the heap.
        size: bytes; None: take the whole allocation.
        role: one of `HEAP_ROLES`.
        evidence: one of `HEAP_EVIDENCE`.
        inferred: established by a guess, not by a recorded fact.
        reserved: bytes of address space that the heap itself counts, None if it does not say.
        committed: bytes that the heap itself counts as committed, None if it does not say.
        uncommitted: (address, size) of the holes in it that the heap knows of, in bytes.
    """

    base: int
    size: int | None
    role: str
    evidence: str
    inferred: bool = False
    reserved: int | None = None
    committed: int | None = None
    uncommitted: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class HeapInfo:
    """One heap. Sizes are bytes.

    Attributes:
        id: position in PEB.ProcessHeaps plus 1, as VMMap shows it; None for a heap that is not in the list.
        address: the heap's handle.
        pointer_size: 4 or 8; a WoW64 process has heaps of both.
        kind: one of `HEAP_KINDS`.
        flags: HEAP_* creation flags, None if the header was not read.
        heap_class: who made it ("process", "private", "GDI", ...), None if not known.
        lfh: has an active low-fragmentation front end; None if not known.
        is_default: it is PEB.ProcessHeap.
        ranges: what belongs to it, by address.
        segment_reserve: the heap's own SegmentReserve field, None where the kind has none.
        next_segment: bytes of address space that it will ask for when it grows, None where the kind does not grow so.
        counters: its own totals by name, None if not read; a cross-check only.
        total_free_size: bytes in its free blocks, None if not read.
        evidence: what says that it is a heap.
        warnings: contradictions in it, one line each.
    """

    id: int | None
    address: int
    pointer_size: int
    kind: str
    flags: int | None = None
    heap_class: str | None = None
    lfh: bool | None = None
    is_default: bool = False
    ranges: tuple[HeapRange, ...] = ()
    segment_reserve: int | None = None
    next_segment: int | None = None
    counters: dict[str, int] | None = None
    total_free_size: int | None = None
    evidence: str = "heap-list"
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HeapSurvey:
    """Every heap of a process.

    Attributes:
        heaps: those of the 32-bit list first, each list in its order, then those that no list names.
        warnings: contradictions, one line each, those of the single heaps included.
        list_captured: the heap list of every PEB was read; None where there is no PEB.
        missing: what of the lists was not captured, one line each: a lack of the input, not damage.
    """

    heaps: tuple[HeapInfo, ...] = ()
    warnings: tuple[str, ...] = ()
    list_captured: bool | None = None
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Heap:
    """A heap of the process. Sizes are bytes.

    Attributes:
        info: what was read of its structures, or what the heap stream says in the same form.
        name: the name that the heap stream gives it.
        ranges: every range that belongs to it and lies in an allocation of the map, by address.
        allocations: (base, size) of the allocations labelled as this heap, by address.
        evidence: what says that it is a heap: `heap-list`, `peb`, `heap-signature`, `heap-stream`.
    """

    info: HeapInfo
    name: str | None
    ranges: tuple[HeapRange, ...]
    allocations: tuple[tuple[int, int], ...]
    evidence: str

    @property
    def title(self) -> str:
        """How the heap is called in details: VMMap's words, then the name."""
        # VMMap numbers heaps by the PEB's list; one that is not in it is called by its address.
        text = f"Heap 0x{self.info.address:x}" if self.info.id is None else f"Heap ID: {self.info.id}"
        if self.info.lfh:
            text += " [LOW FRAGMENTATION]"
        return text if self.name is None else f"{text} ({self.name})"
