"""The search for Windows heaps: by the lists in the PEBs, then by signatures for what no list names."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from operator import itemgetter

from dumpmap.model.counts import count_words
from dumpmap.model.heaps import NT_HEAP, OLD_NT_HEAP, UNKNOWN_HEAP, WINE_HEAP, HeapInfo, HeapRange
from dumpmap.model.memory import attempt
from dumpmap.model.process import Peb
from dumpmap.model.values import changed
from dumpmap.model.winnt import PAGE_SIZE
from dumpmap.structures.bounds import MAX_HEAPS, is_page
from dumpmap.structures.heap_context import Budget, HeapContext, left_out
from dumpmap.structures.heap_families import PAGE_HEAPS, SCAN_SIGNATURES, SIGNATURE_OFFSET, read_heap
from dumpmap.structures.recognisers.protocol import Context

# Which claim counts where two heaps claim the same memory: first whatever carries a signature of its own.
_CLAIM_ORDER = {"segment": 0, "header": 0, "page heap": 1, "front end": 2, "large block": 3}


def _sorted(ranges: Iterable[HeapRange]) -> tuple[HeapRange, ...]:
    return tuple(sorted(ranges, key=lambda range_: range_.base))


def _other_owner(context: HeapContext, address: int) -> int | None:
    """Returns the heap that the header of a segment names, unless the segment itself is that heap."""
    # Imported late, here and below: the memory of a small dump has no heaps.
    from dumpmap.structures.nt_segments import segment_owners

    return next((owner for owner in segment_owners(context, address) if owner != address), None)


class HeapSearch:
    """The heaps found so far.

    Attributes:
        notes: what of the lists was not captured, a sentence each: a lack of the input, not damage.
    """

    def __init__(self, context: Context) -> None:
        self._memory = context.memory
        self._allocations = context.private_allocations
        self._space = context.space
        budget = Budget()
        self._contexts = {
            size: HeapContext(context.memory, context.space, self._allocations, size, context.os_build, budget=budget)
            for size in (4, 8)
        }
        self._heaps: dict[tuple[int, int], HeapInfo] = {}
        # What a PEB lists but whose bytes are not those of a heap. Segments elsewhere may still confirm it.
        self._doubtful: dict[tuple[int, int], HeapInfo] = {}
        self._warnings: list[str] = []
        self.notes: list[str] = []

    # --- by the PEB's list --------------------------------------------------------------------------------------------

    def read_list(self, peb: Peb) -> None:
        """Reads every heap that a PEB names."""
        size = peb.pointer_size
        missing = 0
        if peb.heaps is None and peb.number_of_heaps > min(MAX_HEAPS, peb.maximum_number_of_heaps):
            self._warnings.append(
                f"PEB {peb.address:#x}: it claims {peb.number_of_heaps:,} heaps, but its list has room for "
                f"{peb.maximum_number_of_heaps:,}; the list is ignored"
            )
        elif peb.heaps is None:
            self.notes.append(
                f"PEB {peb.address:#x}: its heap list is not in the dump (NumberOfHeaps: {peb.number_of_heaps:,})"
            )
        for index, address in enumerate(peb.heaps or ()):
            if not is_page(address, size):
                self._warnings.append(
                    f"PEB {peb.address:#x}: entry {index + 1} of its heap list is not a heap: {address:#x}"
                )
            elif (size, address) in self._heaps:
                self._warnings.append(f"PEB {peb.address:#x}: entry {index + 1} of its heap list repeats {address:#x}")
            else:
                missing += self._read_named(peb, address, index + 1, "heap-list")
        # With page heap on, and under Wine, the list lacks the default heap.
        default = size, peb.process_heap
        if is_page(peb.process_heap, size) and default not in self._heaps and default not in self._doubtful:
            missing += self._read_named(peb, peb.process_heap, None, "peb")
            self._read_wine_ring(peb)
        if missing:
            heaps = "the header of 1 heap is" if missing == 1 else f"the headers of {missing} heaps are"
            self.notes.append(f"PEB {peb.address:#x}: {heaps} not in the dump")

    def _read_named(self, peb: Peb, address: int, index: int | None, evidence: str) -> bool:
        """Reads one heap that a PEB names; returns whether only its header is missing."""
        context = self._contexts[peb.pointer_size]
        label = f"heap {address:#x}" if index is None else f"heap {index} ({address:#x})"
        heap = self._read(context, address, label, evidence)
        is_missing = False
        if heap is None:
            header = self._memory.read(address + SIGNATURE_OFFSET[peb.pointer_size], 4)
            is_missing = header is None
            if header is not None and not self._is_damaged_heap(context, address):
                self._doubt(peb, address, index, evidence, f"{label}: no heap signature (found {header.hex()})")
                return False
            heap = self._without_header(context, peb, address, label, evidence, index, is_missing=is_missing)
            if heap is None:
                return False
        # A header states its place in the list, which helps if the list itself was not captured.
        known = index if peb.heaps is not None or heap.id is None or heap.id > peb.number_of_heaps else heap.id
        is_default = address == peb.process_heap
        same = heap.id == known and heap.is_default == is_default
        self._add(heap if same else changed(heap, id=known, is_default=is_default))
        return is_missing

    def _doubt(self, peb: Peb, address: int, index: int | None, evidence: str, problem: str) -> None:
        """Keeps what a PEB lists although its bytes are not those of a heap."""
        self._warnings.append(problem)
        self._doubtful[peb.pointer_size, address] = HeapInfo(
            id=index,
            address=address,
            pointer_size=peb.pointer_size,
            kind=NT_HEAP,
            is_default=address == peb.process_heap,
            ranges=(HeapRange(address, None, "header", evidence),),
            evidence=evidence,
        )

    def _without_header(
        self,
        context: HeapContext,
        peb: Peb,
        address: int,
        label: str,
        evidence: str,
        index: int | None,
        *,
        is_missing: bool,
    ) -> HeapInfo | None:
        """Makes a heap of its own allocation alone, where its header is missing or damaged."""
        own = context.place(HeapRange(address, None, "header", evidence), PAGE_SIZE)
        if own is None:
            self._warnings.append(f"{label}: no memory at this address")
            return None
        if is_missing and index is None and peb.heaps:
            # With page heap on, this is so in every process.
            self.notes.append(f"{label}: the PEB's default heap is not in its heap list; it is skipped")
            return None
        kind = UNKNOWN_HEAP if is_missing else NT_HEAP
        if not is_missing:
            self._warnings.append(f"{label}: damaged header; only the heap's own allocation is in the map")
        return HeapInfo(None, address, context.pointer_size, kind, ranges=(own,), evidence=evidence)

    def _read_wine_ring(self, peb: Peb) -> None:
        """Wine's PEB lists no heaps. They form a ring that the default heap is part of."""
        size = peb.pointer_size
        heap = self._heaps.get((size, peb.process_heap))
        if heap is None or heap.kind != WINE_HEAP:
            return
        # Imported late: only processes under Wine need it.
        from dumpmap.structures.wine_heap import other_wine_heaps, read_wine_heap

        context = self._contexts[size]
        for address in other_wine_heaps(context, heap.address):
            other = read_wine_heap(context, address, f"heap {address:#x}", "heap-list")
            if other is not None and (size, address) not in self._heaps:
                self._add(other)

    def _is_damaged_heap(self, context: HeapContext, address: int) -> bool:
        """A header with a segment's signature that names itself belongs to a heap, whatever else is wrong with it."""
        from dumpmap.structures.nt_segments import segment_owners

        owners = attempt(self._memory, lambda: segment_owners(context, address)[:1] or None)
        return address in (owners or ())

    def _read(
        self, context: HeapContext, address: int, label: str, evidence: str, *, is_scan: bool = False
    ) -> HeapInfo | None:
        """Reads a heap of any family, and adds the NT heap behind a page heap."""
        heap = read_heap(context, address, label, evidence, is_scan=is_scan)
        behind = None if heap is None else heap.normal_heap
        if behind is not None and (context.pointer_size, behind) not in self._heaps:
            normal = read_heap(context, behind, f"heap {behind:#x}", "heap-segment")
            if normal is not None and normal.kind == NT_HEAP:
                self._add(replace(normal, id=None))
        return heap

    def _add(self, heap: HeapInfo) -> None:
        key = heap.pointer_size, heap.address
        known = self._heaps.get(key)
        # The NT heap behind a page heap can come before the list entry that names it.
        self._heaps[key] = heap if known is None or heap.id is not None else known

    # --- by signatures ------------------------------------------------------------------------------------------------

    def scan(self, has_page_heaps: bool) -> None:
        """Searches the start of every private allocation for heaps and segments that no list names."""
        if not len(self._allocations):
            return
        found = self._memory.find_each(self._allocations, list(SIGNATURE_OFFSET.values()), SCAN_SIGNATURES)
        for size, hits in zip(SIGNATURE_OFFSET, found, strict=True):
            self._take_hits(self._contexts[size], hits)
        if has_page_heaps:
            for address in self._memory.find(self._allocations, PAGE_SIZE, PAGE_HEAPS.patterns):
                self._take_page_heap(int(address))

    def _take_hits(self, context: HeapContext, hits: dict[int, bytes]) -> None:
        if not hits:
            return
        covered = {range_.base for heap in self._heaps.values() for range_ in heap.ranges}
        strays: dict[int, list[int]] = {}
        for address in sorted(map(int, hits)):
            if address in covered or not is_page(address, context.pointer_size):
                continue
            heap = self._read(context, address, f"heap {address:#x}", "heap-signature", is_scan=True)
            if heap is not None:
                self._add(heap if heap.id is None else replace(heap, id=None))
                covered.update(range_.base for range_ in heap.ranges)
                continue
            owner = attempt(self._memory, partial(_other_owner, context, address))
            if owner is not None:
                strays.setdefault(owner, []).append(address)
        for owner, addresses in strays.items():
            self._take_strays(context, owner, [address for address in addresses if address not in covered])

    def _take_strays(self, context: HeapContext, owner: int, addresses: list[int]) -> None:
        """Adds segments that no list led to, to the heap that they name."""
        from dumpmap.structures.nt_segments import read_old_segment, read_segment, segment_range

        ranges = []
        for address in addresses:
            segment = read_segment(context, address, owner)
            if isinstance(segment, str):
                segment = read_old_segment(context, address, owner)
            range_ = None if isinstance(segment, str) else segment_range(context, segment, "heap-signature", {})
            if range_ is not None:
                ranges.append(range_)
        if ranges:
            self._give(context, owner, ranges)

    def _give(self, context: HeapContext, owner: int, ranges: list[HeapRange]) -> None:
        """Gives segments to the heap at `owner`, if there is or may be one."""
        size = context.pointer_size
        heap = self._heaps.get((size, owner))
        if heap is None:
            header = self._memory.read(owner + SIGNATURE_OFFSET[size], 4)
            doubtful = self._doubtful.get((size, owner))
            if doubtful is not None and context.starts_private_memory(owner):
                self._heaps[size, owner] = replace(doubtful, ranges=_sorted((*doubtful.ranges, *ranges)))
                return
            if header is not None:
                self._warnings.append(
                    f"heap {owner:#x}: not a heap, but {count_words(len(ranges), 'segment names', 'segments name')} it "
                    f"(first: {ranges[0].base:#x})"
                )
                return
            # Only the segments are evidence of the heap's own memory.
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
            label = f"heap {address:#x}"
            found = attempt(
                self._memory,
                partial(PAGE_HEAPS.read, context, address, label, "heap-signature", is_scan=True),
            )
            # Only with the right width is the NT heap behind it found.
            if found is not None and found.normal_heap is not None:
                self._add(found)
                return

    # --- the result ---------------------------------------------------------------------------------------------------

    def finish(self) -> tuple[tuple[HeapInfo, ...], tuple[str, ...]]:
        """Returns the heaps, without memory that two of them claim, and every warning."""
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
            self._warnings.append(left_out(f"heap {heap.address:#x}", ranges[0].role, bases, "overlaps another range"))
