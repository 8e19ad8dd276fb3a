"""Walks from the roots of a garbage collector to its memory: every segment or region of every generation.

The order is that of the collector's own enumeration for debuggers. In a heap of segments, the chain of generation 2
holds all segments of small objects, and one of them, the ephemeral segment, ends with generations 1 and 0. In a heap of
regions, each generation has a chain of its own.
"""

from __future__ import annotations

from dataclasses import field
from itertools import pairwise

from dumpmap.model.managed_heaps import (
    BOOKKEEPING,
    FREE_REGION,
    FROZEN,
    GENERATION_KINDS,
    RESERVE,
    ManagedHeap,
    ManagedRange,
)
from dumpmap.model.memory import Memory
from dumpmap.model.values import value_class
from dumpmap.model.winnt import ALLOCATION_GRANULARITY, PAGE_SIZE
from dumpmap.structures.bounds import USER_LIMIT, round_up
from dumpmap.structures.gc_roots import GcRoots, HeapRoots, pointer_at
from dumpmap.structures.gc_segments import Segment, read_segment
from dumpmap.structures.space import Space

MAX_SEGMENTS = 65_536
"""Most segments or regions of one runtime that are followed. The runtime's own reader uses the same limit."""

MAX_BOOKKEEPING = 32
"""Most blocks of bookkeeping memory that are followed. There is one, or two while it grows."""

_LEAST_COVERED = 16
"""Bytes of heap that a byte of bookkeeping memory covers at least. Recorded 64-bit collectors have 110."""

_SOH = (2,)
_BY_SEGMENTS = (2, 3, 4)
_BY_REGIONS = (2, 1, 0, 3, 4)


@value_class(frozen=False, slots=True)
class _Walk:
    """One walk and its results."""

    memory: Memory
    space: Space
    roots: GcRoots
    has_map: bool
    seen: set[int] = field(default_factory=set)
    ranges: list[ManagedRange] = field(default_factory=list)
    missing: int = 0
    refused: list[str] = field(default_factory=list)
    object_bytes: int = 0

    def value(self, address: int) -> int | None:
        return pointer_at(self.memory.read(address, self.roots.pointer_size))

    def add(self, base: int, end: int, kind: str, heap: int | None) -> None:
        if end > base:
            self.ranges.append(ManagedRange(base, end - base, kind, heap))

    def chain(self, address: int, *, free: bool = False) -> list[Segment]:
        """Follows a chain of segments up to the first that is missing or invalid.

        Args:
            address: of the first.
            free: the segments hold no objects, so their end of objects means nothing.
        """
        segments = []
        while address and len(self.seen) < MAX_SEGMENTS:
            if address in self.seen:
                self.refused.append(f"segment {address:#x} appears twice")
                break
            self.seen.add(address)
            space = self.space if self.has_map else None
            segment = read_segment(self.memory, space, self.roots.segment, address, free=free)
            if segment is None:
                self.missing += 1
                break
            if isinstance(segment, str):
                self.refused.append(f"segment {address:#x}: {segment}")
                break
            segments.append(segment)
            address = segment.next
        return segments

    def take(self, segment: Segment, kind: str, heap: int | None, borders: tuple[tuple[int, str], ...] = ()) -> None:
        """Adds a segment's memory: generations, cut at their borders, then reserved memory."""
        kind = FROZEN if segment.is_read_only else kind
        base = segment.start
        for border, following in borders:
            self.add(base, border, kind, heap)
            base, kind = border, following
        self.add(base, segment.committed, kind, heap)
        self.add(segment.committed, segment.reserved, RESERVE, heap)
        self.object_bytes += segment.allocated - segment.mem

    def generation(self, heap: HeapRoots, number: int) -> tuple[int, int]:
        """First segment and first object of a generation; 0 if unknown."""
        table = heap.generation_table + number * self.roots.generation_size
        start = self.value(table + self.roots.start_segment) or 0
        if self.roots.allocation_start is None:
            return start, 0
        return start, self.value(table + self.roots.allocation_start) or 0

    def heap(self, heap: HeapRoots) -> bool:
        """Adds one heap; returns whether it consists of regions."""
        generations = [self.generation(heap, number) for number in range(self.roots.generation_count)]
        regions = self.roots.regions
        if regions is None:
            regions = generations[0][0] != generations[1][0]
        for number in _BY_REGIONS if regions else _BY_SEGMENTS:
            if number >= len(generations):
                continue
            first = generations[number][0]
            if not first:
                self.missing += 1
                continue
            for segment in self.chain(first):
                if segment.address == heap.ephemeral and segment.allocated < heap.alloc_allocated <= segment.committed:
                    self.object_bytes += heap.alloc_allocated - segment.allocated
                borders: tuple[tuple[int, str], ...] = ()
                if not regions and number in _SOH and segment.address == heap.ephemeral:
                    one, zero = generations[1][1], generations[0][1]
                    if segment.mem <= one <= zero <= segment.committed:
                        borders = ((one, GENERATION_KINDS[1]), (zero, GENERATION_KINDS[0]))
                    else:
                        self.refused.append(f"segment {segment.address:#x}: generations 0 and 1 do not start in it")
                self.take(segment, GENERATION_KINDS[number], heap.index, borders)
        for first in heap.free_chains:
            self.free_regions(first, heap.index)
        return regions

    def free_regions(self, first: int, heap: int | None) -> None:
        """Adds regions that hold no objects at the moment."""
        for segment in self.chain(first, free=True):
            self.add(segment.start, segment.committed, FREE_REGION, heap)
            self.add(segment.committed, segment.reserved, RESERVE, heap)

    def bookkeeping(self, regions: bool) -> None:
        """Adds the blocks of bookkeeping memory and, in a heap of regions, the unused rest of its range."""
        roots = self.roots
        address = roots.bookkeeping or self.old_bookkeeping()
        seen: set[int] = set()
        while address and address not in seen and len(seen) < MAX_BOOKKEEPING:
            seen.add(address)
            names = ("Recount", "Size", "NextCardTable")
            values = roots.card_table.part(*names).values(self.memory, address)
            if not values:
                self.missing += 1
                break
            size = values["Size"]
            if not roots.card_table.size < size <= self.bookkeeping_room(address):
                self.refused.append(f"bookkeeping block {address:#x}: its size is {size:#x}")
                break
            self.add(address, round_up(address + size, PAGE_SIZE), BOOKKEEPING, None)
            if regions and len(seen) == 1:
                self.reserve(address)
            following = values["NextCardTable"]
            address = following - roots.card_table_size if following > roots.card_table_size else 0

    def bookkeeping_room(self, address: int) -> int:
        """Returns the most bytes that a block of bookkeeping memory can have."""
        if self.has_map:
            allocation = self.space.allocation(address)
            return 0 if allocation is None else sum(allocation) - address
        values = self.roots.card_table.part("LowestAddress", "HighestAddress").values(self.memory, address)
        covered = values["HighestAddress"] - values["LowestAddress"] if values else 0
        most = max(covered, 0) // _LEAST_COVERED + ALLOCATION_GRANULARITY
        return min(most, USER_LIMIT[self.roots.pointer_size] - address)

    def old_bookkeeping(self) -> int:
        """Start of the memory that contains the mark array, if it starts as bookkeeping memory does; else 0."""
        allocation = self.space.allocation(self.roots.mark_array) if self.roots.mark_array else None
        if allocation is None or "MarkArray" not in self.roots.card_table.offsets:
            return 0
        base, size = allocation
        names = ("LowestAddress", "HighestAddress", "MarkArray", "Size")
        values = self.roots.card_table.part(*names).values(self.memory, base)
        if not values or not base < values["MarkArray"] < base + values["Size"] <= base + size:
            return 0
        covered = all(values["LowestAddress"] <= range_.base < values["HighestAddress"] for range_ in self.ranges)
        return base if covered else 0

    def reserve(self, bookkeeping: int) -> None:
        """Adds the parts of the range that all regions come from which no region takes."""
        names = ("LowestAddress", "HighestAddress")
        values = self.roots.card_table.part(*names).values(self.memory, bookkeeping)
        if not self.has_map or not values:
            return
        lowest, highest = values["LowestAddress"], values["HighestAddress"]
        allocation = self.space.allocation(lowest)
        if allocation is None or not lowest < highest <= sum(allocation) or (lowest | highest) % PAGE_SIZE:
            return
        inside = sorted((range_.base, range_.base + range_.size) for range_ in self.ranges)
        inside = [(max(base, lowest), min(end, highest)) for base, end in inside if base < highest and end > lowest]
        # A range without a region in it is not the range of the regions.
        if not inside:
            return
        for (_, end), (base, _) in pairwise([(lowest, lowest), *inside, (highest, highest)]):
            self.add(end, base, RESERVE, None)

    def disjoint(self) -> tuple[ManagedRange, ...]:
        """The ranges, sorted, without those that overlap an earlier one."""
        kept: list[ManagedRange] = []
        for range_ in sorted(self.ranges, key=lambda range_: (range_.base, range_.size)):
            if kept and range_.base < kept[-1].base + kept[-1].size:
                self.refused.append(f"{range_.kind} at {range_.base:#x} overlaps {kept[-1].kind}")
            else:
                kept.append(range_)
        return tuple(kept)


def walk_heaps(
    memory: Memory, space: Space, roots: GcRoots, module: str, module_base: int, *, inferred: bool = False
) -> tuple[ManagedHeap | None, list[str], list[str]]:
    """Walks all heaps of a collector.

    Args:
        memory: the process.
        space: its allocations. If they are known, a segment must lie in one and be committed as far as it states.
        roots: where to begin.
        module: file name of the runtime's module.
        module_base: where that is loaded.
        inferred: whether the roots are a guess, not a recorded fact.

    Returns:
        the heap (None if no segment could be read), what was not captured or not settled, and what contradicts itself.
    """
    walk = _Walk(memory, space, roots, has_map=len(space.private_allocations()) > 0)
    label = f"managed heap of {module}"
    regions = [walk.heap(heap) for heap in roots.heaps]
    missing = [f"{label}: {_count(walk.missing, 'segment')} not in the dump"] if walk.missing else []
    if not walk.ranges:
        reason = f" ({walk.refused[0]})" if walk.refused else ""
        return None, missing, [f"{label}: all of its segments are invalid{reason}"] if walk.refused else []
    for first in roots.free_chains:
        walk.free_regions(first, None)
    walk.bookkeeping(regions[0])
    ranges = walk.disjoint()
    warnings = []
    if walk.refused:
        warnings.append(f"{label}: {_count(len(walk.refused), 'part')} skipped ({walk.refused[0]})")
    collecting = bool(roots.invalid_count)
    if collecting:
        missing.append(f"{label}: a collection was in progress, so the generations may be wrong")
    found = ManagedHeap(
        module=module,
        module_base=module_base,
        evidence=roots.evidence,
        version=roots.version,
        server=roots.server,
        regions=regions[0],
        heap_count=len(roots.heaps),
        ranges=ranges,
        object_bytes=walk.object_bytes,
        inferred=inferred or collecting,
    )
    return found, missing, warnings


def _count(number: int, noun: str) -> str:
    return f"1 {noun} is" if number == 1 else f"{number:,} {noun}s are"
