"""The regions of a live process in plain Python, and the questions that the structure readers ask about them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import field
from itertools import accumulate, islice

from dumpmap.model.values import value_class
from dumpmap.model.winnt import MemState, MemType, PageProtect, RegionRow

WorkingSet = tuple[int, int, int, int, int]
"""Resident bytes of a region: all, private, shareable, shared, locked; the order of `WORKING_SET_COLUMNS`."""

WORKING_SET_COLUMNS = ("total_ws", "private_ws", "shareable_ws", "shared_ws", "locked_ws")

NOTHING_RESIDENT: WorkingSet = (0, 0, 0, 0, 0)


@value_class(frozen=False, slots=True)
class RegionTable:
    """Regions in order of address, with the file and the working set of each.

    Attributes:
        rows: the regions; they do not overlap, and free ones may be left out.
        files: the file behind each mapping, one for each row.
        working_sets: one for each row, None if it is unknown; None altogether without `CaptureOptions.working_set`.
    """

    rows: list[RegionRow] = field(default_factory=list)
    files: list[str | None] = field(default_factory=list)
    working_sets: list[WorkingSet | None] | None = None


class RegionSpace:
    """The allocations of a region list: the `dumpmap.structures.space.Space` of a live capture.

    It groups regions exactly as the classifier does, so that both ask for the same bytes.
    """

    def __init__(self, rows: Iterable[RegionRow]) -> None:
        self._rows = [row for row in rows if row[4] != MemState.MEM_FREE]
        self._bases = [row[0] for row in self._rows]
        self._committed = [0, *accumulate(row[3] if row[4] == MemState.MEM_COMMIT else 0 for row in self._rows)]
        self._allocations: list[int] = []
        self._ends: list[int] = []
        self._private: list[int] = []
        self._mapped: list[int] = []
        allocation, end = -1, -1
        for row in self._rows:
            if row[1] == allocation and row[0] == end:
                end = self._ends[-1] = row[0] + row[3]
                continue
            allocation, end = row[1], row[0] + row[3]
            self._allocations.append(row[0])
            self._ends.append(end)
            if row[6] == MemType.MEM_PRIVATE and row[4] == MemState.MEM_COMMIT:
                self._private.append(row[0])
            elif row[6] == MemType.MEM_MAPPED:
                self._mapped.append(row[0])

    def private_allocations(self) -> Sequence[int]:
        """See `Space.private_allocations`."""
        return self._private

    def large_private_allocations(self, size: int) -> Sequence[tuple[int, int]]:
        """See `Space.large_private_allocations`."""
        sizes = ((base, end - base) for base, end in zip(self._allocations, self._ends, strict=True))
        large = [(base, each) for base, each in sizes if each >= size]
        return [part for part in large if self._rows[bisect_left(self._bases, part[0])][6] == MemType.MEM_PRIVATE]

    def mapped_allocations(self) -> Sequence[int]:
        """Returns the bases of the MEM_MAPPED allocations."""
        return self._mapped

    def allocation(self, address: int) -> tuple[int, int] | None:
        """See `Space.allocation`."""
        index = bisect_right(self._allocations, address) - 1
        if index < 0 or address >= self._ends[index]:
            return None
        return self._allocations[index], self._ends[index] - self._allocations[index]

    def committed(self, base: int, size: int) -> int:
        """See `Space.committed`."""
        return self._committed_below(base + size) - self._committed_below(base)

    def committed_places(self, alignment: int, limit: int, offset: int = 0) -> Sequence[int]:
        """See `Space.committed_places`."""
        places: list[int] = []
        for row in self._rows:
            if row[4] == MemState.MEM_COMMIT and row[6] == MemType.MEM_PRIVATE and len(places) < limit:
                first = -(-(row[0] - offset) // alignment) * alignment + offset
                places += islice(range(first, row[0] + row[3], alignment), limit - len(places))
        return places

    def readable(self, address: int, size: int) -> bool:
        """Returns whether every byte in [address, address + size) can be read without touching a guard page."""
        end = address + size
        while address < end:
            index = self._find(address)
            if index is None:
                return False
            row = self._rows[index]
            if row[4] != MemState.MEM_COMMIT or row[5] & _UNREADABLE or not row[5]:
                return False
            address = row[0] + row[3]
        return True

    def _find(self, address: int) -> int | None:
        index = bisect_right(self._bases, address) - 1
        if index < 0 or address >= self._rows[index][0] + self._rows[index][3]:
            return None
        return index

    def _committed_below(self, address: int) -> int:
        index = bisect_right(self._bases, address) - 1
        if index < 0:
            return 0
        row = self._rows[index]
        inside = min(address - row[0], row[3]) if row[4] == MemState.MEM_COMMIT else 0
        return self._committed[index] + inside


_UNREADABLE = PageProtect.PAGE_NOACCESS | PageProtect.PAGE_GUARD
