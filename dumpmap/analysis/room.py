"""Room in a wide address space that the map does not measure, by the counters or by what the writer recorded."""

from __future__ import annotations

from collections.abc import Mapping

from dumpmap.analysis.measurements import Measurements
from dumpmap.analysis.writer_memory import page_file_available, space_available


def available_page_file(m: Measurements) -> int | None:
    """What the writer recorded as available to commit, in bytes; None if unknown."""
    figure = page_file_available(m.map)
    return None if figure is None else figure.size


def available_space(m: Measurements) -> int | None:
    """What the writer recorded as free address space, in bytes; None if unknown or more than there can be."""
    figure = space_available(m.map, m.limit.size)
    return None if figure is None else figure.size


def wide_space_has_room(m: Measurements, t: Mapping[str, float]) -> bool:
    """Whether a 64-bit address space is far from its end by the counter of virtual memory, or by the writer."""
    used, limit = m.virtual_size, m.limit.size
    if m.map.process.pointer_size != 8 or m.limit.narrow or limit is None or m.bounds is not None:
        return False
    left = limit - used if used is not None else available_space(m)
    return left is not None and left >= t["wide_free_share"] * limit
