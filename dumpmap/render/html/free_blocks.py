"""Free blocks by size, as rows with two bars each."""

from __future__ import annotations

from dumpmap.analysis.free import FreeSpace
from dumpmap.analysis.free_blocks import histogram
from dumpmap.model.values import value_class
from dumpmap.wording.text import short_size

_MANY_SIZES = 16
"""Beyond this many sizes the table leaves out those that no block has."""


@value_class(frozen=True, slots=True)
class SizeBand:
    """Free blocks of one range of sizes.

    Attributes:
        title: the range.
        blocks: how many there are.
        size: their bytes together.
        at_least: free blocks of the range's lower size or larger.
        blocks_width: thousandths of the band with the most blocks.
        size_width: thousandths of the band with the most bytes.
    """

    title: str
    blocks: int
    size: int
    at_least: int
    blocks_width: float
    size_width: float


def size_bands(space: FreeSpace) -> list[SizeBand]:
    """Free blocks by size, smallest first."""
    rows = histogram(space)
    most = max((row["count"] for row in rows), default=1)
    largest = max((row["bytes"] for row in rows), default=1)
    result: list[SizeBand] = []
    left = space.count
    for row in rows:
        if row["count"] == 0 and len(rows) > _MANY_SIZES:
            continue
        title = f"{short_size(row['min_bytes'])} – {short_size(row['max_bytes'])}"  # noqa: RUF001
        shares = (round(1000 * row["count"] / most, 2), round(1000 * row["bytes"] / largest, 2))
        result.append(SizeBand(title, row["count"], row["bytes"], left, *shares))
        left -= row["count"]
    return result
