"""Conditions on heaps: whether they can grow, how many there are, and how much space they hold without using it."""

from __future__ import annotations

from dumpmap.analysis.conditions import MAX_ITEMS, Condition, Evidence, Found, block_values
from dumpmap.model.heaps import PAGE_HEAP
from dumpmap.model.types import RegionType


def heap_segment_will_not_fit(e: Evidence) -> Found | None:
    """A heap's next segment exceeds the largest free block. The subject is those heaps, largest need first."""
    m = e.m
    # Rows of heaps take time: they are made only if a heap needs more than there is.
    if m.measured is None or all((heap.info.next_segment or 0) <= m.largest for heap in m.map.heaps):
        return None
    short = [row for row in m.heaps if row.next_segment is not None and row.next_segment > m.largest]
    short.sort(key=lambda row: -(row.next_segment or 0))
    heaps = [
        {"id": row.id, "address": f"0x{row.address:x}", "next_segment": row.next_segment} for row in short[:MAX_ITEMS]
    ]
    return Found({"largest_free_block": block_values(m), "count": len(short), "heaps": heaps}, subject=short)


def gc_segment_will_not_fit(e: Evidence) -> Found | None:
    """The garbage collector's next segment exceeds the largest free block."""
    m, segment = e.m, e.m.collector_segment
    if m.measured is None or segment is None:
        return None
    size = int(e.t["gc_segment"]) if segment.collector == "workstation" else segment.size
    if m.largest >= size:
        return None
    return Found({"largest_free_block": block_values(m), "segment": size, "collector": segment.collector})


def many_heaps(e: Evidence) -> Found | None:
    """Many heaps."""
    count = len(e.m.map.heaps)
    if count <= e.t["many_heaps"]:
        return None
    reserved, committed = sum(row.reserved for row in e.m.heaps), sum(row.committed for row in e.m.heaps)
    return Found({"heaps": count, "reserved": reserved, "committed": committed})


def page_heap_on(e: Evidence) -> Found | None:
    """Page heap is on. The subject is whether NtGlobalFlag says so."""
    flags = [peb.nt_global_flag for peb in e.m.map.structures.pebs]
    flagged = any(peb.has_page_heap for peb in e.m.map.structures.pebs)
    count = sum(heap.info.kind == PAGE_HEAP for heap in e.m.map.heaps)
    if not flagged and not count:
        return None
    values = {"nt_global_flag": [f"0x{flag:x}" for flag in flags], "page_heaps": count}
    return Found(values, None if e.m.limit.narrow else "info", flagged)


def heap_fragmented(e: Evidence) -> Found | None:
    """A heap's reservation has large uncommitted holes. The subject is those heaps, largest holes first."""
    m, t, least = e.m, e.t, e.t["heap_fragmentation_size"]
    if m.map.partial or m.used.get(RegionType.HEAP, 0) < least:
        return None
    found = [
        row
        for row in m.heaps
        if row.reserved >= least
        and row.uncommitted_ranges > 1
        and row.va_fragmentation is not None
        and row.va_fragmentation >= t["heap_fragmentation"]
    ]
    if not found:
        return None
    found.sort(key=lambda row: -row.uncommitted)
    values = {"count": len(found), "heaps": [row.to_dict() for row in found[:MAX_ITEMS]]}
    return Found(values, None if m.limit.narrow else "info", found)


CONDITIONS: dict[str, Condition] = {
    "heap-segment-will-not-fit": heap_segment_will_not_fit,
    "gc-segment-will-not-fit": gc_segment_will_not_fit,
    "many-heaps": many_heaps,
    "page-heap-on": page_heap_on,
    "heap-fragmented": heap_fragmented,
}
