"""Conditions on the address space: how much is free, in what pieces, and what holds the rest."""

from __future__ import annotations

from typing import Any

from dumpmap.analysis.conditions import MAX_ITEMS, Condition, Evidence, Found, block_values
from dumpmap.analysis.free_blocks import unusable_causes
from dumpmap.analysis.measurements import Measurements
from dumpmap.model.sizes import rounded_share
from dumpmap.model.types import RegionType


def address_space_exhausted(e: Evidence) -> Found | None:
    """Hardly any free space at all."""
    space = e.m.measured
    if space is None or space.total >= e.t["free_total_critical"]:
        return None
    return Found(_space_values(e.m))


def address_space_low(e: Evidence) -> Found | None:
    """Little free space."""
    m, t, space = e.m, e.t, e.m.measured
    if m.free is None:
        return _counted_low(e)
    if space is None or space.total < t["free_total_critical"] or space.limit.size is None:
        return None
    low = t["free_total_warning"] if space.limit.narrow else t["wide_free_share"] * space.limit.size
    return Found(_space_values(m)) if space.total < low else None


def _counted_low(e: Evidence) -> Found | None:
    """Without a list of regions, the counter of virtual memory and the writer's record still say how much is left."""
    used, limit, bounds = e.m.virtual_size, e.m.limit, e.m.bounds
    if limit.size is None or not limit.narrow:
        return None
    values = {"limit": limit.size, "limit_name": limit.name, "limit_source": limit.source, "virtual_size": used}
    recorded = None if bounds is None else bounds.recorded
    if recorded is not None and recorded.size < e.t["largest_free_critical"]:
        return Found({**values, "largest_free_at_most": recorded.size})
    if used is None or limit.size - used >= e.t["free_total_warning"]:
        return None
    return Found(values)


def _space_values(m: Measurements) -> dict[str, Any]:
    space = m.free
    return {
        "limit": m.limit.size,
        "limit_name": m.limit.name,
        "limit_source": m.limit.source,
        "free": space.total if space is not None else None,
        "largest_free_block": block_values(m),
        "fragmentation": rounded_share(space.fragmentation) if space is not None else None,
        "used": {region_type.label: size for region_type, size in m.used.items()},
    }


def address_space_fragmented(e: Evidence) -> Found | None:
    """Enough space is free, in pieces that are too small."""
    m, t, space = e.m, e.t, e.m.measured
    if space is None or space.fragmentation is None or m.largest >= t["largest_free_warning"]:
        return None
    if space.fragmentation < t["fragmentation"] or space.total < t["free_total_critical"]:
        return None
    return Found({**_space_values(m), "free_blocks": space.count, "tiny_block_size": space.tiny})


def largest_free_block_small(e: Evidence) -> Found | None:
    """The largest free block is small."""
    m = e.m
    if m.measured is None or m.largest >= e.t["largest_free_warning"]:
        return None
    return Found(_space_values(m), None if m.largest < e.t["largest_free_critical"] else "warning")


def unusable_space(e: Evidence) -> Found | None:
    """Much space is lost before 64 KB boundaries. The subject is the list of causes."""
    space = e.m.free
    if space is None or not space.limit.narrow or space.limit.size is None:
        return None
    if space.unusable < e.t["unusable_share"] * space.limit.size:
        return None
    causes = unusable_causes(e.m.map, MAX_ITEMS)
    return Found({"unusable": space.unusable, "causes": [cause.to_dict() for cause in causes]}, subject=causes)


def not_large_address_aware(e: Evidence) -> Found | None:
    """A 32-bit program is short of address space and could have twice as much."""
    m, t, limit, process = e.m, e.t, e.m.limit, e.m.map.process
    if process.pointer_size != 4 or limit.large_address_aware is not False or m.measured is None:
        return None
    if m.largest >= t["largest_free_warning"] and m.measured.total >= t["free_total_warning"]:
        return None
    return Found({"large_address_aware": False, "limit": limit.size, "wow64": process.wow64})


def reserve_exceeds_commit(e: Evidence) -> Found | None:
    """Much is reserved that is not committed. The subject is what each type reserves beyond its commit."""
    m, space = e.m, e.m.free
    if space is None or not space.limit.narrow or space.limit.size is None or m.map.total.committed is None:
        return None
    if m.map.end is not None and space.limit.size < m.map.end:
        return None  # the summary's rows also count what lies above the process's own limit
    reserved = {
        region_type: line.size - line.committed
        for region_type, line in ((one, m.map.line(one)) for one in m.used if one != RegionType.UNUSABLE)
        if line.size is not None and line.committed is not None
    }
    total = sum(reserved.values())
    if total < e.t["reserve_share"] * space.limit.size:
        return None
    short = m.measured is not None and m.largest < e.t["largest_free_warning"]
    by_type = {region_type.label: size for region_type, size in reserved.items() if size}
    return Found({"reserved": total, "by_type": by_type}, None if short else "info", reserved)


CONDITIONS: dict[str, Condition] = {
    "address-space-exhausted": address_space_exhausted,
    "address-space-low": address_space_low,
    "address-space-fragmented": address_space_fragmented,
    "largest-free-block-small": largest_free_block_small,
    "unusable-space": unusable_space,
    "not-large-address-aware": not_large_address_aware,
    "reserve-exceeds-commit": reserve_exceeds_commit,
}
