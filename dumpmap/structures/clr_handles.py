"""Finds the handle tables of a .NET runtime: the segments that hold its GC handles."""

from __future__ import annotations

from collections.abc import Iterator

from dumpmap.model.memory import Memory, unrecorded
from dumpmap.structures.bounds import is_user_address
from dumpmap.structures.gc_dac_vars import MAX_HEAPS
from dumpmap.structures.gc_roots import pointer_at
from dumpmap.structures.layouts import clr as layouts
from dumpmap.structures.space import Space

MAX_MAPS = 64
"""Most maps of handle tables that are followed. One has room for ten tables, and each further one for twice as many."""

MAX_BUCKETS = 4096
"""Most handle tables of a runtime. There is one for each application domain."""

MAX_SEGMENTS = 16_384
"""Most segments that are followed: 1 GiB of handles."""


def handle_segments(memory: Memory, space: Space, table_map: int, pointer_size: int) -> list[int]:
    """Finds the segments of all handle tables; each names its table, which names it or its predecessor.

    Args:
        memory: the process.
        space: its allocations.
        table_map: address of `g_HandleTableMap`.
        pointer_size: 4 or 8.
    """
    found: dict[int, None] = {}
    for table in _tables(memory, table_map, pointer_size):
        segment = _first_segment(memory, space, table, pointer_size)
        while segment and segment not in found and len(found) < MAX_SEGMENTS:
            following = _next_of(memory, space, segment, table, pointer_size)
            if following is None:
                break
            found[segment] = None
            segment = following
    return sorted(found)


def _tables(memory: Memory, table_map: int, width: int) -> Iterator[int]:
    """Yields the addresses of the handle tables."""
    seen: set[int] = set()
    first = 0
    while table_map and table_map not in seen and len(seen) < MAX_MAPS:
        seen.add(table_map)
        fields = layouts.HANDLE_TABLE_MAP[width].part("Buckets", "Next", "MaxIndex").read(memory, table_map)
        if fields is None:
            return
        buckets, following, last = fields
        for index in range(max(0, min(last, MAX_BUCKETS) - first)):
            bucket = _pointer(memory, buckets + index * width, width)
            tables = _pointer(memory, bucket, width)
            for slot in range(MAX_HEAPS if tables else 0):
                table = _pointer(memory, tables + slot * width, width)
                if not table or not is_user_address(table, width) or table % width:
                    break  # there is one for each heap of the collector
                yield table
        first, table_map = last, following


def _pointer(memory: Memory, address: int, width: int) -> int:
    return (pointer_at(memory.read(address, width)) or 0) if is_user_address(address, width) else 0


def _first_segment(memory: Memory, space: Space, table: int, width: int) -> int:
    """The first segment of a table, found by the segment that names this table; 0 if there is none."""
    look = unrecorded(memory)
    for word in layouts.HANDLE_TABLE_WORDS:
        if word * 4 % width:
            continue
        segment = _pointer(look, table + word * 4, width)
        if segment % layouts.HANDLE_SEGMENT_SIZE == 0 and _next_of(look, space, segment, table, width) is not None:
            return _pointer(memory, table + word * 4, width)
    return 0


def _next_of(memory: Memory, space: Space, segment: int, table: int, width: int) -> int | None:
    """The segment after this one; None if this is no segment of the table."""
    allocation = space.allocation(segment) if is_user_address(segment, width) else None
    if allocation is None or allocation != (segment, layouts.HANDLE_SEGMENT_SIZE):
        return None
    for types in layouts.HANDLE_TYPES:
        place = segment + layouts.HANDLE_SEGMENT_ARRAYS[width] + 6 * types
        if pointer_at(unrecorded(memory).read(place + width, width)) == table:
            memory.read(place + width, width)
            return pointer_at(memory.read(place, width))
    return None
