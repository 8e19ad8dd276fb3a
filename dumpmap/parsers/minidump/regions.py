"""Makes a list of regions from a file into one that the classifier can trust."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dumpmap.model.snapshot import Regions
from dumpmap.model.winnt import MemState

_FREE = int(MemState.MEM_FREE)
"""A plain number: comparing an array with one takes a third of the time that an enum member takes."""


def checked_regions(regions: Regions) -> tuple[Regions, list[str]]:
    """Sorts the regions and drops impossible ones: those that are empty, leave the address space, or overlap.

    It corrects allocation bases above their regions.

    Of two regions that overlap, the one that starts lower stays; of two that start together, the first in the list.

    Returns:
        the clean regions, and one warning for each kind of fault.
    """
    warnings = []
    impossible = regions.base + regions.size <= regions.base
    if np.count_nonzero(impossible):
        first = int(regions.base[impossible.argmax()])
        warnings.append(
            f"{int(impossible.sum()):,} regions have no size or an impossible one, the first at 0x{first:x}"
        )
        regions = regions.take(~impossible)
    if not np.count_nonzero(regions.base[1:] < (regions.base + regions.size)[:-1]):  # nearly always
        return _with_own_bases(regions, warnings), warnings
    if np.count_nonzero(regions.base[1:] < regions.base[:-1]):
        warnings.append("the regions are not sorted by address")
        regions = regions.take(np.argsort(regions.base, kind="stable"))
    ends = regions.base + regions.size
    if np.count_nonzero(regions.base[1:] < ends[:-1]):
        keep = np.ones(len(regions), np.bool_)
        # This walk must be exact: a region that is dropped no longer overlaps the next one.
        reach = 0
        for index in range(len(regions)):
            start = int(regions.base[index])
            if start < reach:
                keep[index] = False
            else:
                reach = int(ends[index])
        first = int(regions.base[(~keep).argmax()])
        warnings.append(
            f"{int((~keep).sum()):,} regions overlap one before them and are left out, the first at 0x{first:x}"
        )
        regions = regions.take(keep)
    return _with_own_bases(regions, warnings), warnings


def _with_own_bases(regions: Regions, warnings: list[str]) -> Regions:
    """Corrects allocation bases above their regions: the allocation begins with the first of its regions.

    No map can show such a base, and a snapshot cannot hold it: the map of a snapshot would differ from the dump's.
    """
    wrong = (regions.allocation_base > regions.base) & (regions.state != _FREE)
    if not np.count_nonzero(wrong):
        return regions
    warnings.append(f"{int(wrong.sum()):,} regions start before their allocation; their allocation bases are corrected")
    starts = np.ones(len(regions), np.bool_)
    starts[1:] = (
        (regions.allocation_base[1:] != regions.allocation_base[:-1])
        | (regions.base[1:] != (regions.base + regions.size)[:-1])
        | (regions.state[:-1] == _FREE)
    )
    first = np.flatnonzero(starts)[np.cumsum(starts) - 1]
    return replace(regions, allocation_base=np.where(wrong, regions.base[first], regions.allocation_base))
