"""Pieces of the address space: regions, cut where a part of one has a type or name of its own.

A map keeps of its pieces only what their regions do not tell. The rest is computed when somebody asks for it: for a
million regions that takes milliseconds, and keeping it would take 50 MB.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from dumpmap.model.snapshot import I32, I64, U32, U64, Regions
from dumpmap.model.winnt import PAGE_WRITABLE, MemState, MemType

# Of the columns' own type: comparing an array with a member of an enum takes four times as long.
_COMMIT, _WRITABLE = np.uint32(MemState.MEM_COMMIT), np.uint32(PAGE_WRITABLE)
_PRIVATE, _IMAGE = np.uint32(MemType.MEM_PRIVATE), np.uint32(MemType.MEM_IMAGE)

_Number = TypeVar("_Number", bound=np.generic)


def committed_of(regions: Regions) -> I64:
    """Returns the committed bytes of every region, as VMMap measures them."""
    sizes = regions.size.view(np.int64) * (regions.state == _COMMIT)
    return _override(sizes, regions, "committed")


def private_of(regions: Regions, committed: I64) -> I64:
    """Returns VMMap's Private of every region: all committed private memory, and the writable pages of images.

    Args:
        regions: the regions.
        committed: their `committed_of`.
    """
    writable = (regions.protect & _WRITABLE) != 0
    private = (regions.type == _PRIVATE) | ((regions.type == _IMAGE) & writable)
    return _override(committed * private, regions, "private")


def _override(values: I64, regions: Regions, name: str) -> I64:
    """Replaces figures by those that the source itself states."""
    stated = regions.numbers.get(name)
    return values if stated is None else np.where(stated >= 0, stated, values)


@dataclass(frozen=True)
class Pieces:
    """The regions, cut where a part of one has a type or name of its own, sorted by address."""

    regions: Regions
    """The regions in use."""
    base: U64
    size: I64
    region: I32
    """Index of the region that the piece is a part of."""
    allocation: I32
    first: npt.NDArray[np.bool_]
    """Whether the piece is the first of its region. VMMap counts these as blocks."""
    type: npt.NDArray[np.uint8]

    @property
    def state(self) -> U32:
        """MEM_COMMIT or MEM_RESERVE."""
        return self._of_regions(self.regions.state)

    @property
    def protect(self) -> U32:
        """Page protection."""
        return self._of_regions(self.regions.protect)

    @property
    def committed(self) -> I64:
        """Committed bytes."""
        return self._shares(committed_of(self.regions), every=True)

    @property
    def private(self) -> I64:
        """Committed bytes that no other process can see."""
        return self.committed_and_private()[1]

    def committed_and_private(self) -> tuple[I64, I64]:
        """Both at once, which takes little longer than one."""
        committed = committed_of(self.regions)
        private = private_of(self.regions, committed)
        return self._shares(committed, every=True), self._shares(private, every=False)

    @property
    def blocks(self) -> I64:
        """Number of VMMap's blocks that the piece represents: 1 or 0, or the number in a VMMap file."""
        stated = self.regions.numbers.get("blocks")
        if stated is None:
            return self.first.astype(np.int64)
        counts = self._of_regions(stated)
        return np.where(self.first, np.where(counts >= 0, counts, 1), 0)

    def protection_at(self, index: int) -> tuple[int, int]:
        """Returns page protection and state of one piece."""
        region = int(self.region[index])
        return int(self.regions.protect[region]), int(self.regions.state[region])

    def of_allocation(self, index: int) -> tuple[int, int]:
        """Returns the first piece of an allocation, and the first one behind it."""
        # Numbers of another type would make NumPy convert the whole column.
        first, last = np.searchsorted(self.allocation, np.array((index, index + 1), self.allocation.dtype)).tolist()
        return first, last

    def _of_regions(self, values: npt.NDArray[_Number]) -> npt.NDArray[_Number]:
        """Gives every piece the value of its region."""
        return values if len(self.base) == len(self.regions) else values[self.region]

    def _shares(self, of_regions: I64, *, every: bool) -> I64:
        """Gives every piece the figure of its region, and a part of a region what of that it has committed itself.

        Figures that the source states apply to whole regions.

        Args:
            of_regions: the figures.
            every: whether also parts of a region whose figure is 0 have one.
        """
        values = self._of_regions(of_regions)
        if values is not of_regions:
            (cut,) = np.nonzero(self.size != self.regions.size.view(np.int64)[self.region])
            has = self.regions.state[self.region[cut]] == _COMMIT
            if not every:
                has &= values[cut] > 0
            values[cut] = np.where(has, self.size[cut], 0)
        return values


@dataclass(frozen=True)
class BlockColumns(Pieces):
    """The pieces with their names: one row per region or section."""

    kind: I32
    details: I32
    evidence: I32
    inferred: npt.NDArray[np.bool_]
