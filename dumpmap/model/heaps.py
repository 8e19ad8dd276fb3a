"""Heaps: what a process reports of them, and what is known of them after they were walked.

Only the standard library is used here: the live capture runs the readers of heaps on a bare Python.
"""

from __future__ import annotations

from dumpmap.model.values import value_class

NT_HEAP = "NT heap"
OLD_NT_HEAP = "NT heap (old)"
SEGMENT_HEAP = "Segment heap"
PAGE_HEAP = "Page heap"
WINE_HEAP = "Wine heap"
UNKNOWN_HEAP = "unknown (header not in dump)"

HEAP_KINDS = (NT_HEAP, OLD_NT_HEAP, SEGMENT_HEAP, PAGE_HEAP, WINE_HEAP, UNKNOWN_HEAP)
"""Every kind of a `HeapInfo` that was read from process memory. A heap stream may name others."""

HEAP_ROLES = ("header", "segment", "large block", "front end", "page heap")
"""Every role of a `HeapRange` that was read from process memory. A heap stream may name others."""

HEAP_STREAM = "heap-stream"
"""Evidence of what the process itself reported."""


@value_class(frozen=True, slots=True)
class RecordedRange:
    """A range of a heap, as the process itself reported it. Sizes are bytes."""

    base: int
    size: int
    committed: int | None = None
    kind: str = "other"
    """`segment`, `large block`, `front end`, `arena`, or `other`; for a managed heap its generation or name."""


@value_class(frozen=True, slots=True)
class RecordedHeap:
    """A heap that the process itself reported, in a heap stream or to a live capture."""

    id: int
    kind: str = "unknown"
    name: str | None = None
    address: int | None = None
    flags: int | None = None
    ranges: tuple[RecordedRange, ...] = ()


@value_class(frozen=True, slots=True)
class HeapRange:
    """A run of address space that belongs to a heap. Sizes are bytes.

    Attributes:
        base: its first byte. The allocation that holds it belongs to the heap.
        size: its bytes; None for the whole allocation.
        role: one of `HEAP_ROLES`, or what a heap stream calls it.
        evidence: the word for what proves it.
        inferred: established by a guess, not by a recorded fact.
        reserved: address space that the heap itself counts; None if it does not say.
        committed: committed bytes that the heap itself counts; None if it does not say.
        uncommitted: (address, size) of each hole that the heap records.
    """

    base: int
    size: int | None
    role: str
    evidence: str
    inferred: bool = False
    reserved: int | None = None
    committed: int | None = None
    uncommitted: tuple[tuple[int, int], ...] = ()


@value_class(frozen=True, slots=True)
class StatedHeap:
    """What the header of a heap counts itself, whether or not the counted memory was captured. Sizes are bytes.

    Attributes:
        reserved: address space that it reserves (TotalMemoryReserved).
        committed: committed bytes of that (TotalMemoryCommitted).
        segments: number of its segments.
        commit_failures: how often Windows refused to commit memory for it; None if unknown.
    """

    reserved: int
    committed: int
    segments: int
    commit_failures: int | None


@value_class(frozen=True, slots=True)
class HeapInfo:
    """One heap. Sizes are bytes.

    Attributes:
        id: position in PEB.ProcessHeaps plus 1, as VMMap shows it; for a heap from a heap stream, the stream's own
            number. None for a heap that no list names.
        address: the heap's handle; the lowest address of its ranges where it has no handle.
        pointer_size: 4 or 8, and a WoW64 process has heaps of both; 0 where it is unknown.
        kind: one of `HEAP_KINDS`, or what a heap stream calls it.
        flags: HEAP_* creation flags; None if the header was not read.
        heap_class: creator of the heap ("process", "private", "GDI", ...); None if unknown.
        lfh: the low-fragmentation front end is active; None if unknown.
        is_default: the heap is PEB.ProcessHeap.
        ranges: what belongs to it, by address.
        segment_reserve: the heap's SegmentReserve field; None where the kind has none.
        next_segment: address space that the heap requests when it grows; None where the kind does not grow that way.
        counters: the heap's own totals by name, for cross-checks only; None if they were not read.
        total_free_size: bytes in its free blocks; None if not read.
        evidence: the word for what proves that it is a heap.
        warnings: contradictions in it, one line each.
        notes: what of it was not captured, one line each.
        name: the name that a heap stream gives it.
        has_handle: `address` is a handle.
        normal_heap: address of the NT heap that a page heap keeps for what page heap does not serve; None if unknown.
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
    notes: tuple[str, ...] = ()
    name: str | None = None
    has_handle: bool = True
    normal_heap: int | None = None

    @property
    def stated(self) -> StatedHeap | None:
        """What the header of an NT heap counts itself; None if it was not captured or its layout is not certain."""
        counters = self.counters
        if counters is None or "TotalMemoryReserved" not in counters:
            return None
        return StatedHeap(
            reserved=counters["TotalMemoryReserved"],
            committed=counters["TotalMemoryCommitted"],
            segments=counters["TotalSegments"],
            commit_failures=counters.get("CommitFailures"),
        )

    @property
    def is_reported(self) -> bool:
        """Whether nothing but the process's own report proves the heap."""
        return self.evidence == HEAP_STREAM


@value_class(frozen=True, slots=True)
class Heap:
    """A heap of a region map. Sizes are bytes.

    Attributes:
        info: what was read of its structures, or what the process reported. Its `ranges` are those found in memory.
        ranges: every range that belongs to it, reported ones included, by address.
        allocations: (base, size) of the allocations that are labelled as this heap, by address.
        evidence: the word for what proves that it is a heap.
    """

    info: HeapInfo
    ranges: tuple[HeapRange, ...]
    allocations: tuple[tuple[int, int], ...]
    evidence: str

    @property
    def name(self) -> str | None:
        """The name that a heap stream gives the heap."""
        return self.info.name

    @property
    def title(self) -> str:
        """How details call the heap: VMMap's words, then the name."""
        # VMMap numbers heaps by the PEB's list. A heap that is not in the list goes by its address.
        text = f"Heap 0x{self.info.address:x}" if self.info.id is None else f"Heap ID: {self.info.id}"
        if self.info.lfh:
            text += " [LOW FRAGMENTATION]"
        return text if self.name is None else f"{text} ({self.name})"
