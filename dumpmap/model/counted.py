"""Counters of a process against what its map shows: a counter that the map contradicts is not filled in properly.

Windows charges a process for every private byte that it commits. Other systems that run Windows programs, such as Wine,
fill in counters of their own host, which count touched pages and miss most of the committed ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dumpmap.model.region_map import RegionMap

_SLACK_SHARE = 1 / 16
_SLACK = 1 << 20
"""The writer reads counters and regions one after the other, while the process can go on."""


def private_commit(region_map: RegionMap) -> int | None:
    """Returns what a Windows process commits privately by a complete list of regions; None without one."""
    if region_map.process.os.family != "windows" or region_map.partial or not region_map.snapshot.regions_complete:
        return None
    return region_map.total.private


def is_contradicted(counter: int, least: int | None) -> bool:
    """Whether a counter is clearly below what is known to be the least."""
    return least is not None and least > counter + max(_SLACK, counter * _SLACK_SHARE)


def commit_counter(region_map: RegionMap) -> int | None:
    """Returns the counter of the process's private commit, right or wrong; None if nobody filled it in."""
    # A process that runs commits something, so 0 is not filled in.
    return region_map.counters.private_usage or region_map.counters.pagefile_usage or None


def contradicted_commit(region_map: RegionMap) -> int | None:
    """Returns what the process commits privately by its map if the counter denies it; None if it does not."""
    counter = commit_counter(region_map)
    if counter is None:
        return None
    least = private_commit(region_map)
    return least if is_contradicted(counter, least) else None


def virtual_size(region_map: RegionMap) -> int | None:
    """Returns the counter of the address space in use; None if it is not filled in, or if more is known to be in use.

    A process has no more private commit than address space.
    """
    used = region_map.counters.virtual_size
    if not used:
        return None
    least = max(region_map.known_size, commit_counter(region_map) or 0)
    return None if is_contradicted(used, least) else used
