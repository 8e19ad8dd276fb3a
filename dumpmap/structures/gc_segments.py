"""Reads the segments of a garbage collector, and checks each for consistency and against the memory map."""

from __future__ import annotations

from typing import NamedTuple

from dumpmap.model.memory import Memory
from dumpmap.model.winnt import PAGE_SIZE
from dumpmap.structures.bounds import USER_LIMIT, is_user_address
from dumpmap.structures.layout import Layout
from dumpmap.structures.layouts.gc import SEGMENT_READ_ONLY
from dumpmap.structures.space import Space

_FIELDS = ("Mem", "Allocated", "Committed", "Reserved", "Next", "Flags")


class Segment(NamedTuple):
    """One segment or region. `start` is where its memory begins, before its first object."""

    address: int
    start: int
    mem: int
    allocated: int
    committed: int
    reserved: int
    flags: int
    next: int

    @property
    def is_read_only(self) -> bool:
        """It holds frozen objects, which are never collected or moved."""
        return bool(self.flags & SEGMENT_READ_ONLY)


def read_segment(
    memory: Memory, space: Space | None, layout: Layout, address: int, *, free: bool = False
) -> Segment | str | None:
    """Reads a segment.

    Args:
        memory: the process.
        space: its allocations; None if the input has no memory map.
        layout: of `heap_segment`. That of an old runtime has no flags.
        address: of the segment.
        free: it holds no objects, so its end of objects means nothing.

    Returns:
        the segment, what is wrong with it in a few words, or None if it was not captured.
    """
    size = layout.pointer_size
    if not is_user_address(address, size) or address % size:
        return "not a valid address"
    names = _FIELDS if "Flags" in layout.offsets else _FIELDS[:-1]
    fields = layout.part(*names).read(memory, address)
    if fields is None:
        return None
    mem, allocated, committed, reserved, following, flags = (*fields, 0)[: len(_FIELDS)]
    if free:
        allocated = mem
    if not (is_user_address(mem, size) and mem <= allocated <= committed <= reserved < USER_LIMIT[size]):
        return "its addresses are not in ascending order"
    if flags & SEGMENT_READ_ONLY:
        start = (mem - size) & -PAGE_SIZE  # a segment of frozen objects begins with an object header
    elif 0 < mem - address <= PAGE_SIZE:
        start = address & -PAGE_SIZE  # its own header precedes its objects
    else:
        start = mem & -PAGE_SIZE
    if committed % PAGE_SIZE or reserved % PAGE_SIZE:
        return "it does not end at a page boundary"
    if space is not None:
        allocation = space.allocation(start)
        if allocation is None or reserved > sum(allocation):
            return "it is not in an allocation"
        if space.committed(start, committed - start) != committed - start:
            return "it is committed less far than it states"
    return Segment(address, start, mem, allocated, committed, reserved, flags, following)
