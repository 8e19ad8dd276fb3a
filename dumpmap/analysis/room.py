"""Room in a wide address space that the map does not measure, by the counters or by what the writer recorded."""

from __future__ import annotations

from collections.abc import Mapping

from dumpmap.analysis.measurements import Measurements

_WIDE = 1 << 40
"""More available address space than this is the address space itself, not a page file."""


def available_page_file(m: Measurements) -> int | None:
    """What the writer recorded as available to commit, in bytes; None if unknown.

    Unreal Engine's AvailableVirtual is free address space in some versions and available page file in others: only the
    address space of a 64-bit process exceeds a terabyte.
    """
    writer = m.map.snapshot.writer
    if writer is None or m.limit.narrow:
        return None
    value = writer.memory.get("AvailablePageFile", writer.memory.get("AvailableVirtual"))
    return value if value is not None and value < _WIDE else None


def available_space(m: Measurements) -> int | None:
    """What the writer recorded as free address space, in bytes; None if unknown or more than there can be."""
    writer, limit = m.map.snapshot.writer, m.limit.size
    if writer is None:
        return None
    value = writer.memory.get("AvailableVirtualMemory", writer.memory.get("AvailableVirtual"))
    if value is None or (limit is not None and value > limit):
        return None
    return value if value >= _WIDE or "AvailableVirtualMemory" in writer.memory else None


def wide_space_has_room(m: Measurements, t: Mapping[str, float]) -> bool:
    """Whether a 64-bit address space is far from its end by the counter of virtual memory, or by the writer."""
    used, limit = m.virtual_size, m.limit.size
    if m.map.process.pointer_size != 8 or m.limit.narrow or limit is None:
        return False
    left = limit - used if used is not None else available_space(m)
    return left is not None and left >= t["wide_free_share"] * limit
