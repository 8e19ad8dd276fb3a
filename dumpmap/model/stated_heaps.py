"""What the headers of heaps state beyond what was captured, for maps without a list of regions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from dumpmap.model.heaps import Heap

if TYPE_CHECKING:
    from dumpmap.model.region_map import RegionMap


class StatedSurplus(msgspec.Struct, frozen=True):
    """What the headers of heaps count beyond the memory that the map shows. Sizes are bytes.

    Attributes:
        heaps: number of heaps whose headers count more than the map shows.
        size: address space beyond what the map shows.
        committed: committed bytes beyond what the map shows.
        stated_size: all address space that the headers of these heaps count.
        stated_committed: all committed bytes that they count.
    """

    heaps: int
    size: int
    committed: int
    stated_size: int
    stated_committed: int


def stated_surplus(region_map: RegionMap) -> StatedSurplus | None:
    """Returns what heap headers state beyond a partial map; None if they state nothing more, or the map is whole."""
    if not region_map.partial:
        return None
    stated = [(heap, heap.info.stated) for heap in region_map.heaps]
    known = [(heap, one) for heap, one in stated if one is not None]
    if not known:
        return None
    count = size = committed = all_size = all_committed = 0
    for (_, one), (walked, walked_committed) in zip(
        known, _walked(region_map, [heap for heap, _ in known]), strict=True
    ):
        more, more_committed = max(0, one.reserved - walked), max(0, one.committed - walked_committed)
        if not more and not more_committed:
            continue
        count += 1
        size, committed = size + more, committed + more_committed
        all_size, all_committed = all_size + one.reserved, all_committed + one.committed
    return StatedSurplus(count, size, committed, all_size, all_committed) if count else None


def _walked(region_map: RegionMap, heaps: Sequence[Heap]) -> list[tuple[int, int]]:
    """Address space and committed bytes that the map shows of each heap."""
    space, pieces = region_map.space, region_map.pieces
    sums = np.zeros(len(space), np.int64)
    np.add.at(sums, pieces.allocation, pieces.committed)
    found = []
    for heap in heaps:
        indexes = [space.index_of(base) for base, _ in heap.allocations]
        found.append(
            (sum(size for _, size in heap.allocations), sum(int(sums[index]) for index in indexes if index >= 0))
        )
    return found
