"""Finds every heap of a process and what belongs to it."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from operator import itemgetter

from dumpmap.model.heaps import (
    HEAP_EVIDENCE,
    HEAP_KINDS,
    HEAP_ROLES,
    NT_HEAP,
    OLD_NT_HEAP,
    UNKNOWN_HEAP,
    WINE_HEAP,
    HeapInfo,
    HeapRange,
    HeapSurvey,
)
from dumpmap.model.memory import Memory
from dumpmap.model.process import Peb
from dumpmap.model.winnt import PAGE_SIZE
from dumpmap.structures.bounds import MAX_HEAPS, is_page
from dumpmap.structures.heap_context import Budget, HeapContext, left_out
from dumpmap.structures.layouts.nt_heap import HEAP_SEGMENT, HEAP_SIGNATURE, SEGMENT_SIGNATURE
from dumpmap.structures.layouts.page_heap import DPH_HEAP_ROOT_SIGNATURE, FLG_HEAP_PAGE_ALLOCS
from dumpmap.structures.layouts.segment_heap import SEGMENT_HEAP_SIGNATURE
from dumpmap.structures.nt_heap import (
    read_nt_heap,
    read_old_nt_heap,
    read_old_segment,
    read_segment,
    segment_owners,
    segment_range,
)
from dumpmap.structures.page_heap import read_page_heap
from dumpmap.structures.segment_heap import read_segment_heap
from dumpmap.structures.space import Space
from dumpmap.structures.wine_heap import other_wine_heaps, read_wine_heap

__all__ = ["HEAP_EVIDENCE", "HEAP_KINDS", "HEAP_ROLES", "HeapInfo", "HeapRange", "HeapSurvey", "find_heaps"]

_SIGNATURE_OFFSET = {size: layout.offsets["SegmentSignature"] for size, layout in HEAP_SEGMENT.items()}
_SIGNATURES = [value.to_bytes(4, "little") for value in (SEGMENT_SIGNATURE, HEAP_SIGNATURE, SEGMENT_HEAP_SIGNATURE)]

# Whose claim stands where two heaps claim the same memory: what carries a signature of its own comes first.
_CLAIM_ORDER = {"segment": 0, "header": 0, "page heap": 1, "front end": 2, "large block": 3}


def find_heaps(memory: Memory, pebs: Sequence[Peb], space: Space, os_build: int | None) -> HeapSurvey:
    """Finds the heaps of a process: by the lists in its PEBs, then by signatures for what no list names.

    Args:
        memory: the process.
        pebs: its PEBs, one of each width at most.
        space: its allocations.
        os_build: build number of Windows, None if unknown.
    """
    search = _Search(memory, space, os_build)
    if not pebs and not search.can_scan:
        return HeapSurvey((), (), None, ())
    for peb in pebs:
        search.read_list(peb)
    search.scan(any(peb.nt_global_flag & FLG_HEAP_PAGE_ALLOCS for peb in pebs))
    heaps, warnings = search.finish()
    missing = search.missing()
    captured = all(peb.heaps is not None for peb in pebs) if pebs else None
    return HeapSurvey(heaps, warnings, captured, missing)


def _sorted(ranges: Iterable[HeapRange]) -> tuple[HeapRange, ...]:
    return tuple(sorted(ranges, key=lambda range_: range_.base))


class _Search:
    """The heaps found so far."""

    def __init__(self, memory: Memory, space: Space, os_build: int | None) -> None:
        self._memory = memory
        self._allocations = space.private_allocations()
        self._space = space
        budget = Budget()
        self._contexts = {
            size: HeapContext(memory, space, self._allocations, size, os_build, budget=budget) for size in (4, 8)
        }
        self._heaps: dict[tuple[int, int], HeapInfo] = {}
        # What a PEB lists but whose bytes are not those of a heap; segments elsewhere may still vouch for it.
        self._doubtful: dict[tuple[int, int], HeapInfo] = {}
        self._warnings: list[str] = []
        self._missing: list[str] = []

    # --- by the PEB's list --------------------------------------------------------------------------------------------

    def read_list(self, peb: Peb) -> None:
        """Reads every heap that a PEB names."""
        size = peb.pointer_size
        missing = 0
        if peb.heaps is None and peb.number_of_heaps > min(MAX_HEAPS, peb.maximum_number_of_heaps):
            self._warnings.append(
                f"PEB {peb.address:#x}: it claims {peb.number_of_heaps} heaps in a list with room for "
                f"{peb.maximum_number_of_heaps}; the list is not read"
            )
        elif peb.heaps is None:
            self._missing.append(
                f"PEB {peb.address:#x}: the list of its {peb.number_of_heaps} heaps is not in the dump"
            )
        for index, address in enumerate(peb.heaps or ()):
            if not is_page(address, size):
                self._warnings.append(
                    f"PEB {peb.address:#x}: entry {index + 1} of its heap list is no heap: {address:#x}"
                )
            elif (size, address) in self._heaps:
                self._warnings.append(f"PEB {peb.address:#x}: entry {index + 1} of its heap list repeats {address:#x}")
            else:
                missing += self._read_named(peb, address, index + 1, "heap-list")
        # Where page heap is on, and under Wine, the default heap is not in the list.
        default = size, peb.process_heap
        if is_page(peb.process_heap, size) and default not in self._heaps and default not in self._doubtful:
            missing += self._read_named(peb, peb.process_heap, None, "peb")
            self._read_wine_ring(peb)
        if missing:
            self._missing.append(f"PEB {peb.address:#x}: the headers of {missing} of its heaps are not in the dump")

    def missing(self) -> tuple[str, ...]:
        """Returns what of the list was not captured."""
        return tuple(self._missing)

    def _read_named(self, peb: Peb, address: int, index: int | None, evidence: str) -> bool:
        """Reads one heap that a PEB names; tells whether only its header is missing."""
        size = peb.pointer_size
        context = self._contexts[size]
        label = f"heap {address:#x}" if index is None else f"heap {index} ({address:#x})"
        heap = self._read(context, address, label, evidence)
        is_missing = False
        if heap is None:
            header = self._memory.read(address + _SIGNATURE_OFFSET[size], 4)
            if header is not None and not self._is_damaged_heap(context, address):
                self._warnings.append(f"{label}: there is no heap, {header.hex()} stands where its signature should")
                self._doubtful[size, address] = HeapInfo(
                    id=index,
                    address=address,
                    pointer_size=size,
                    kind=NT_HEAP,
                    is_default=address == peb.process_heap,
                    ranges=(HeapRange(address, None, "header", evidence),),
                    evidence=evidence,
                )
                return False
            own = context.place(HeapRange(address, None, "header", evidence), PAGE_SIZE)
            if own is None:
                self._warnings.append(f"{label}: no memory there")
                return False
            is_missing = header is None
            if is_missing and index is None and peb.heaps:
                self._warnings.append(f"{label}: the PEB names it its default heap but does not list it, left out")
                return False
            kind = UNKNOWN_HEAP if is_missing else NT_HEAP
            heap = HeapInfo(None, address, size, kind, ranges=(own,), evidence=evidence)
            if not is_missing:
                self._warnings.append(f"{label}: its header is damaged, only its own allocation is shown")
        # A header carries its place in the list, for when the list itself was not captured.
        known = index if peb.heaps is not None or heap.id is None or heap.id > peb.number_of_heaps else heap.id
        self._add(replace(heap, id=known, is_default=address == peb.process_heap))
        return is_missing

    def _read_wine_ring(self, peb: Peb) -> None:
        """Wine's PEB lists no heap; its heaps are on a ring that the default heap is part of."""
        size = peb.pointer_size
        heap = self._heaps.get((size, peb.process_heap))
        if heap is None or heap.kind != WINE_HEAP:
            return
        context = self._contexts[size]
        for address in other_wine_heaps(context, heap.address):
            other = read_wine_heap(context, address, f"heap {address:#x}", "heap-list")
            if other is not None and (size, address) not in self._heaps:
                self._add(other)

    def _is_damaged_heap(self, context: HeapContext, address: int) -> bool:
        """A header with a segment's signature that names itself is a heap's, whatever else is wrong with it."""
        return address in segment_owners(context, address)[:1]

    def _read(
        self, context: HeapContext, address: int, label: str, evidence: str, *, is_scan: bool = False
    ) -> HeapInfo | None:
        """Reads a heap of any kind."""
        heap = (
            read_nt_heap(context, address, label, evidence)
            or read_segment_heap(context, address, label, evidence, needs_contexts=is_scan)
            or read_old_nt_heap(context, address, label, evidence, needs_segment=is_scan)
            or read_wine_heap(context, address, label, evidence)
        )
        if heap is not None:
            return heap
        page_heap = read_page_heap(context, address, label, evidence)
        if page_heap is None:
            return None
        normal = page_heap.normal_heap
        if normal is not None and (context.pointer_size, normal) not in self._heaps:
            behind = read_nt_heap(context, normal, f"heap {normal:#x}", "heap-segment")
            if behind is not None:
                self._add(replace(behind, id=None))
        return page_heap.heap

    def _add(self, heap: HeapInfo) -> None:
        key = heap.pointer_size, heap.address
        known = self._heaps.get(key)
        # The NT heap behind a page heap can come before the list entry that names it.
        self._heaps[key] = heap if known is None or heap.id is not None else known

    @property
    def can_scan(self) -> bool:
        """Whether there are allocations to look at."""
        return len(self._allocations) > 0

    # --- by signatures ------------------------------------------------------------------------------------------------

    def scan(self, has_page_heaps: bool) -> None:
        """Looks at the start of every private allocation for heaps and segments that no list names."""
        if not self.can_scan:
            return
        for size, offset in _SIGNATURE_OFFSET.items():
            hits = self._memory.find(self._allocations, offset, _SIGNATURES)
            self._take_hits(self._contexts[size], hits)
        if has_page_heaps:
            pattern = DPH_HEAP_ROOT_SIGNATURE.to_bytes(4, "little")
            for address in self._memory.find(self._allocations, PAGE_SIZE, [pattern]):
                self._take_page_heap(int(address))

    def _take_hits(self, context: HeapContext, hits: dict[int, bytes]) -> None:
        size = context.pointer_size
        covered = {range_.base for heap in self._heaps.values() for range_ in heap.ranges}
        strays: dict[int, list[int]] = {}
        for address in sorted(map(int, hits)):
            if address in covered or not is_page(address, size):
                continue
            heap = self._read(context, address, f"heap {address:#x}", "heap-signature", is_scan=True)
            if heap is not None:
                self._add(replace(heap, id=None))
                covered.update(range_.base for range_ in heap.ranges)
                continue
            owner = next((owner for owner in segment_owners(context, address) if owner != address), None)
            if owner is not None:
                strays.setdefault(owner, []).append(address)
        for owner, addresses in strays.items():
            self._take_strays(context, owner, [address for address in addresses if address not in covered])

    def _take_strays(self, context: HeapContext, owner: int, addresses: list[int]) -> None:
        """Adds segments that a list did not lead to, to the heap that they name."""
        size = context.pointer_size
        ranges = []
        for address in addresses:
            segment = read_segment(context, address, owner)
            if isinstance(segment, str):
                segment = read_old_segment(context, address, owner)
            range_ = None if isinstance(segment, str) else segment_range(context, segment, "heap-signature")
            if range_ is not None:
                ranges.append(range_)
        if not ranges:
            return
        heap = self._heaps.get((size, owner))
        if heap is None:
            header = self._memory.read(owner + _SIGNATURE_OFFSET[size], 4)
            doubtful = self._doubtful.get((size, owner))
            if doubtful is not None and context.starts_private_memory(owner):
                self._heaps[size, owner] = replace(doubtful, ranges=_sorted((*doubtful.ranges, *ranges)))
                return
            if header is not None:
                self._warnings.append(
                    f"heap {owner:#x}: {len(ranges)} segments (first: {ranges[0].base:#x}) name it, but it is none"
                )
                return
            # Nothing but its segments speaks for the heap's own memory.
            if context.starts_private_memory(owner):
                ranges.append(HeapRange(owner, None, "header", "heap-signature", inferred=True))
            heap = HeapInfo(None, owner, size, UNKNOWN_HEAP, evidence="heap-signature")
        elif heap.kind not in (NT_HEAP, OLD_NT_HEAP, UNKNOWN_HEAP):
            return
        self._heaps[size, owner] = replace(heap, ranges=_sorted((*heap.ranges, *ranges)))

    def _take_page_heap(self, address: int) -> None:
        for context in self._contexts.values():
            if (context.pointer_size, address) in self._heaps:
                return
        for context in reversed(self._contexts.values()):
            found = read_page_heap(context, address, f"heap {address:#x}", "heap-signature")
            # Only the right width finds the ordinary heap behind it.
            if found is not None and found.normal_heap is not None:
                self._add(found.heap)
                return

    # --- the result ---------------------------------------------------------------------------------------------------

    def finish(self) -> tuple[tuple[HeapInfo, ...], tuple[str, ...]]:
        """Returns the heaps without doubly claimed memory, and every warning."""
        heaps = list(self._heaps.values())
        claims = [
            (range_.base, self._end(range_), place, range_)
            for place, heap in enumerate(heaps)
            for range_ in heap.ranges
        ]
        claims.sort(key=itemgetter(0, 1))
        if any(before[1] > after[0] for before, after in pairwise(claims)):
            self._refuse_overlaps(heaps, claims)
        listed = [heap for heap in heaps if heap.evidence in ("heap-list", "peb")]
        others = [heap for heap in heaps if heap.evidence not in ("heap-list", "peb")]
        warnings = (*self._warnings, *(warning for heap in heaps for warning in heap.warnings))
        return (*listed, *others), warnings

    def _end(self, range_: HeapRange) -> int:
        """Returns where a range ends (exclusive)."""
        if range_.size is not None:
            return range_.base + range_.size
        allocation = self._space.allocation(range_.base)
        return range_.base + 1 if allocation is None else sum(allocation)

    def _refuse_overlaps(self, heaps: list[HeapInfo], claims: list[tuple[int, int, int, HeapRange]]) -> None:
        """Takes ranges away from `heaps` (in place) until no two share memory.

        Args:
            heaps: every heap.
            claims: start, end, place of the heap in `heaps`, and range.
        """
        claims.sort(key=lambda claim: (_CLAIM_ORDER[claim[3].role], claim[2], claim[0]))
        taken: list[tuple[int, int]] = []
        refused: dict[int, list[HeapRange]] = {}
        for start, end, place, range_ in claims:
            index = bisect_left(taken, (start, 0))
            ends_before = index == 0 or taken[index - 1][1] <= start
            if ends_before and (index == len(taken) or end <= taken[index][0]):
                insort(taken, (start, end))
            else:
                refused.setdefault(place, []).append(range_)
        for place, ranges in refused.items():
            heap, gone = heaps[place], {id(range_) for range_ in ranges}
            heaps[place] = replace(heap, ranges=tuple(kept for kept in heap.ranges if id(kept) not in gone))
            bases = [range_.base for range_ in ranges]
            self._warnings.append(left_out(f"heap {heap.address:#x}", ranges[0].role, bases, "inside another range"))
