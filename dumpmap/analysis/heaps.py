"""Heaps as rows: what each reserves, commits, and leaves uncommitted, and how much it requests next.

Reserved and committed bytes come from the map's own regions, not from the heap's counters: the allocations of a heap
are its reservation, their committed regions its commit, and the reserved runs in between its uncommitted ranges.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dumpmap.model.heaps import HEAP_STREAM, Heap
from dumpmap.model.region_map import RegionMap
from dumpmap.model.sizes import rounded_share
from dumpmap.model.snapshot import I64, U64
from dumpmap.model.values import value_class
from dumpmap.model.winnt import MemState

if TYPE_CHECKING:
    from dumpmap.structures.blocks import BlockStatistics

HEAP_FLAGS: tuple[tuple[int, str], ...] = (
    (0x00000001, "HEAP_NO_SERIALIZE"),
    (0x00000002, "HEAP_GROWABLE"),
    (0x00000004, "HEAP_GENERATE_EXCEPTIONS"),
    (0x00000008, "HEAP_ZERO_MEMORY"),
    (0x00000010, "HEAP_REALLOC_IN_PLACE_ONLY"),
    (0x00000020, "HEAP_TAIL_CHECKING_ENABLED"),
    (0x00000040, "HEAP_FREE_CHECKING_ENABLED"),
    (0x00000080, "HEAP_DISABLE_COALESCE_ON_FREE"),
    (0x00010000, "HEAP_CREATE_ALIGN_16"),
    (0x00020000, "HEAP_CREATE_ENABLE_TRACING"),
    (0x00040000, "HEAP_CREATE_ENABLE_EXECUTE"),
    (0x01000000, "HEAP_SKIP_VALIDATION_CHECKS"),
    (0x02000000, "HEAP_VALIDATE_ALL_ENABLED"),
    (0x04000000, "HEAP_VALIDATE_PARAMETERS_ENABLED"),
    (0x08000000, "HEAP_LOCK_USER_ALLOCATED"),
    (0x10000000, "HEAP_CAPTURE_STACK_BACKTRACES"),
    (0x40000000, "HEAP_FLAG_PAGE_ALLOCS"),
)
"""Bits of a heap's flags, by the names of winnt.h and ntrtl.h; bits 12 to 15 are the heap's class."""

_CLASS_BITS = 0xF000


@value_class(frozen=True, slots=True)
class HeapRow:
    """One heap. Sizes are bytes; None is unknown.

    Attributes:
        id: position in the PEB's list plus 1, as VMMap shows it, or the id that a heap stream gives.
        address: the heap's handle.
        bits: 32 or 64.
        kind: such as `NT heap` or `Segment heap`.
        name: the name that a heap stream gives it.
        heap_class: who created it, such as `process` or `private`.
        is_default: whether it is the process heap.
        flags: creation flags.
        flag_names: their names; unknown bits as one hex number.
        lfh: whether its low-fragmentation front end is active.
        segments: ranges that are segments (or arenas).
        large_blocks: ranges that are single large blocks.
        allocations: allocations of the map that belong to it.
        reserved: address space of those.
        committed: committed bytes of those.
        uncommitted: reserved, but not committed bytes of those.
        uncommitted_ranges: runs of such bytes.
        largest_uncommitted: the largest run.
        fragmentation: 1 - largest run / all uncommitted bytes: DebugDiag's heap fragmentation.
        va_fragmentation: 1 - committed / virtual bytes: `!heap -s`'s virtual address fragmentation. Virtual bytes are
            the reserved ones without the heap's large uncommitted ranges, if its counters give them.
        next_segment: what it requests when it grows.
        free: bytes in its free blocks, as its header counts them.
        stated_reserved: address space that its header counts, captured or not.
        stated_committed: committed bytes that its header counts.
        stated_segments: segments that its header counts.
        commit_failures: how often Windows refused to commit memory for it, as its header counts.
        evidence: what shows that it is a heap.
        inferred: whether any of its ranges is a guess.
    """

    id: int | None
    address: int
    bits: int | None
    kind: str
    name: str | None
    heap_class: str | None
    is_default: bool
    flags: int | None
    flag_names: tuple[str, ...]
    lfh: bool | None
    segments: int
    large_blocks: int
    allocations: int
    reserved: int
    committed: int
    uncommitted: int
    uncommitted_ranges: int
    largest_uncommitted: int
    fragmentation: float | None
    va_fragmentation: float | None
    next_segment: int | None
    free: int | None
    stated_reserved: int | None
    stated_committed: int | None
    stated_segments: int | None
    commit_failures: int | None
    evidence: str
    inferred: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain data, columns `HEAP_COLUMNS`."""
        row: dict[str, Any] = {column: getattr(self, column) for column in HEAP_COLUMNS}
        row["address"] = f"0x{self.address:x}"
        row["flags"] = None if self.flags is None else f"0x{self.flags:x}"
        row["flag_names"] = list(self.flag_names)
        for column in ("fragmentation", "va_fragmentation"):
            row[column] = rounded_share(row[column])
        return row


@value_class(frozen=True, slots=True)
class HeapRangeRow:
    """A range of a heap: a segment, a large block, the front end. Sizes are bytes, from the map's regions.

    Attributes:
        heap: the heap's id.
        heap_address: the heap's handle.
        address: its start.
        size: its size: the heap's own figure, else the allocation's.
        role: such as `segment`, `large block`, or `front end`.
        allocation: base of the allocation that holds it; None if the map has none there.
        committed: committed bytes in it.
        uncommitted_ranges: reserved runs in it.
        largest_uncommitted: the largest of them.
        evidence: what shows that it belongs to the heap.
        inferred: whether that is a guess.
    """

    heap: int | None
    heap_address: int
    address: int
    size: int
    role: str
    allocation: int | None
    committed: int
    uncommitted_ranges: int
    largest_uncommitted: int
    evidence: str
    inferred: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain data, columns `RANGE_COLUMNS`."""
        row: dict[str, Any] = {column: getattr(self, column) for column in RANGE_COLUMNS}
        row["heap_address"], row["address"] = f"0x{self.heap_address:x}", f"0x{self.address:x}"
        row["allocation"] = None if self.allocation is None else f"0x{self.allocation:x}"
        return row


HEAP_COLUMNS = tuple(field.name for field in fields(HeapRow))
"""Columns of the table of heaps, in order."""

RANGE_COLUMNS = tuple(field.name for field in fields(HeapRangeRow))
"""Columns of the table of heap ranges, in order."""


def flag_names(flags: int | None) -> tuple[str, ...]:
    """Decodes a heap's flags; the class bits are not flags, bits without a name become one hex number."""
    if flags is None:
        return ()
    names = [name for bit, name in HEAP_FLAGS if flags & bit]
    rest = flags & ~_CLASS_BITS & ~sum(bit for bit, _ in HEAP_FLAGS)
    return (*names, f"0x{rest:x}") if rest else tuple(names)


@dataclass(frozen=True)
class _Spans:
    """Figures of many address ranges, measured on the regions in one pass."""

    committed: I64
    runs: I64
    largest: I64
    uncommitted: I64


def _measure(region_map: RegionMap, bases: U64, ends: U64) -> _Spans:
    """Measures the committed bytes and reserved runs in ranges; ranges may overlap and need no order."""
    regions = region_map.space.regions
    count = len(bases)
    nothing = np.zeros(count, np.int64)
    if count == 0 or len(regions) == 0:
        return _Spans(nothing, nothing, nothing, nothing)
    region_ends = regions.base + regions.size
    first = np.searchsorted(region_ends, bases, side="right")
    last = np.searchsorted(regions.base, ends, side="left")
    lengths = np.maximum(last - first, 0)
    total = int(lengths.sum())
    if total == 0:
        return _Spans(nothing, nothing, nothing, nothing)
    # A flat list of (range, region) pairs.
    owner = np.repeat(np.arange(count), lengths)
    starts = np.cumsum(lengths) - lengths
    region = np.arange(total) - np.repeat(starts - first, lengths)
    low = np.maximum(regions.base[region], bases[owner])
    high = np.minimum(region_ends[region], ends[owner])
    size = (high - low).astype(np.int64)
    is_committed = regions.state[region] == MemState.MEM_COMMIT
    committed = np.bincount(owner, weights=np.where(is_committed, size, 0), minlength=count).astype(np.int64)
    reserved = ~is_committed
    # Reserved regions that touch are one run.
    begins = reserved.copy()
    begins[1:] &= ~(reserved[:-1] & (owner[1:] == owner[:-1]) & (high[:-1] == low[1:]))
    run = np.cumsum(begins)[reserved] - 1
    run_count = int(begins.sum())
    run_size = np.bincount(run, weights=size[reserved], minlength=run_count).astype(np.int64)
    run_owner = owner[begins]
    largest = np.zeros(count, np.int64)
    np.maximum.at(largest, run_owner, run_size)
    runs = np.bincount(run_owner, minlength=count)
    uncommitted = np.bincount(run_owner, weights=run_size, minlength=count).astype(np.int64)
    return _Spans(committed, runs, largest, uncommitted)


def heap_rows(region_map: RegionMap) -> list[HeapRow]:
    """Makes a row per heap, in the map's order of heaps."""
    heaps = region_map.heaps
    if not heaps:
        return []
    counts = [len(heap.allocations) for heap in heaps]
    parts = [part for heap in heaps for part in heap.allocations]
    bases = np.array([base for base, _ in parts], np.uint64)
    sizes = np.array([size for _, size in parts], np.int64)
    spans = _measure(region_map, bases, bases + sizes.astype(np.uint64))
    owner = np.repeat(np.arange(len(heaps)), counts)

    def total(values: npt.NDArray[Any]) -> list[int]:
        sums = np.bincount(owner, weights=values.astype(np.float64), minlength=len(heaps))
        return [int(value) for value in sums.tolist()]

    largest = np.zeros(len(heaps), np.int64)
    np.maximum.at(largest, owner, spans.largest)
    reserved, committed = total(sizes), total(spans.committed)
    uncommitted, runs = total(spans.uncommitted), total(spans.runs)
    return [
        _row(
            heap, counts[index], reserved[index], committed[index], uncommitted[index], runs[index], int(largest[index])
        )
        for index, heap in enumerate(heaps)
    ]


def _row(
    heap: Heap, allocations: int, reserved: int, committed: int, uncommitted: int, runs: int, largest: int
) -> HeapRow:
    info = heap.info
    virtual = reserved - (info.counters or {}).get("TotalMemoryLargeUCR", 0)
    if virtual < max(committed, 1):
        virtual = reserved  # the heap's own counter contradicts the map
    roles = [part.role for part in heap.ranges]
    stated = info.stated
    return HeapRow(
        id=info.id,
        address=info.address,
        bits=info.pointer_size * 8 or None,
        kind=info.kind,
        name=heap.name,
        heap_class=info.heap_class,
        is_default=info.is_default,
        flags=info.flags,
        flag_names=flag_names(info.flags),
        lfh=info.lfh,
        segments=sum(role in ("segment", "header", "arena") for role in roles),
        large_blocks=roles.count("large block"),
        allocations=allocations,
        reserved=reserved,
        committed=committed,
        uncommitted=uncommitted,
        uncommitted_ranges=runs,
        largest_uncommitted=largest,
        fragmentation=1 - largest / uncommitted if uncommitted else None,
        va_fragmentation=1 - committed / virtual if virtual else None,
        next_segment=info.next_segment,
        free=info.total_free_size,
        stated_reserved=None if stated is None else stated.reserved,
        stated_committed=None if stated is None else stated.committed,
        stated_segments=None if stated is None else stated.segments,
        commit_failures=None if stated is None else stated.commit_failures,
        evidence=heap.evidence,
        inferred=any(part.inferred for part in heap.ranges),
    )


def heap_range_rows(region_map: RegionMap, heap: Heap | None = None) -> list[HeapRangeRow]:
    """Makes a row per range of one heap, or of all heaps, by heap and address."""
    wanted = region_map.heaps if heap is None else (heap,)
    pairs = [(one, part) for one in wanted for part in one.ranges]
    places = []
    for _, part in pairs:
        found = region_map.space.allocation(part.base)
        size = part.size
        if found is not None:
            # A partial map knows less of a heap without its header than the heap must have reserved.
            clips = size is None or (region_map.partial and part.evidence != HEAP_STREAM)
            rest = found[0] + found[1] - part.base
            size = min(rest, size or rest) if clips else size
        size = size or 0
        places.append((part.base, part.base + size, found))
    bases = np.array([low for low, _, _ in places], np.uint64)
    ends = np.array([high for _, high, _ in places], np.uint64)
    spans = _measure(region_map, bases, ends)
    return [
        HeapRangeRow(
            heap=one.info.id,
            heap_address=one.info.address,
            address=part.base,
            size=high - low,
            role=part.role,
            allocation=None if found is None else found[0],
            committed=int(spans.committed[index]),
            uncommitted_ranges=int(spans.runs[index]),
            largest_uncommitted=int(spans.largest[index]),
            evidence=part.evidence,
            inferred=part.inferred,
        )
        for index, ((one, part), (low, high, found)) in enumerate(zip(pairs, places, strict=True))
    ]


@value_class(frozen=True, slots=True)
class HeapBlocks:
    """The block statistics of one heap.

    Attributes:
        heap: the heap.
        statistics: the counts; None for a kind of heap whose blocks cannot be walked.
    """

    heap: Heap
    statistics: BlockStatistics | None


def heap_blocks(region_map: RegionMap) -> list[HeapBlocks]:
    """Counts the blocks of every heap. On demand only: it reads every committed byte of every segment."""
    from dumpmap.structures import blocks

    memory = region_map.snapshot.memory
    return [HeapBlocks(heap, blocks.heap_blocks(memory, heap.info)) for heap in region_map.heaps]
