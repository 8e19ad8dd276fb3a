"""A sparse model of one process's address space: allocations, page runs and bytes.

Memory that was never written reads as zeros and costs nothing, so a process with gigabytes of
committed memory still makes a small dump.
"""

from __future__ import annotations

import struct
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from dataclasses import dataclass, field

from .minidump import (
    MEM_COMMIT,
    MEM_FREE,
    MEM_PRIVATE,
    MEM_RESERVE,
    PAGE_GUARD,
    PAGE_NOACCESS,
    PAGE_READWRITE,
)

PAGE = 0x1000
GRANULARITY = 0x10000

_UNSIGNED = {1: "<B", 2: "<H", 4: "<I", 8: "<Q"}


@dataclass(frozen=True)
class Region:
    """One run of pages with equal attributes, as VirtualQuery returns it. `end` is exclusive."""

    base: int
    size: int
    state: int
    protect: int
    type: int
    allocation_base: int
    allocation_protect: int

    @property
    def end(self) -> int:
        """First address behind the region."""
        return self.base + self.size


@dataclass
class _Run:
    start: int
    end: int
    state: int
    protect: int


@dataclass
class Allocation:
    """One reservation and the state of its pages."""

    base: int
    size: int
    type: int
    protect: int
    runs: list[_Run] = field(default_factory=list)

    @property
    def end(self) -> int:
        """First address behind the allocation."""
        return self.base + self.size

    def change(self, start: int, end: int, state: int, protect: int) -> None:
        """Sets the state and protection of whole pages from `start` up to `end`."""
        kept: list[_Run] = []
        for run in self.runs:
            if run.start < start:
                kept.append(_Run(run.start, min(run.end, start), run.state, run.protect))
            if run.end > end:
                kept.append(_Run(max(run.start, end), run.end, run.state, run.protect))
        kept.append(_Run(start, end, state, protect))
        kept.sort(key=lambda run: run.start)
        self.runs = kept

    def regions(self) -> Iterator[Region]:
        """Yields the regions of the allocation, equal neighbours joined."""
        joined: list[_Run] = []
        for run in self.runs:
            last = joined[-1] if joined else None
            if last and (last.state, last.protect) == (run.state, run.protect):
                last.end = run.end
            else:
                joined.append(_Run(run.start, run.end, run.state, run.protect))
        for run in joined:
            size = run.end - run.start
            place = (run.start, size, run.state, run.protect)
            yield Region(*place, self.type, self.base, self.protect)

    def committed(self) -> int:
        """Returns the committed bytes."""
        return sum(run.end - run.start for run in self.runs if run.state == MEM_COMMIT)


class AddressSpace:
    """Allocations from `bottom` up to `top`, and what was written into them.

    Args:
        pointer_size: 4 or 8; what `pointer` writes.
        top: first address behind the user part of the space.
        start: where the search for a free place begins.
    """

    def __init__(self, pointer_size: int, top: int, start: int = 0x100000) -> None:
        self.pointer_size = pointer_size
        self.top = top
        self._cursor = start
        self._bases: list[int] = []
        self._allocations: dict[int, Allocation] = {}
        self._pages: dict[int, bytearray] = {}
        self._dropped: set[int] = set()

    # --- allocations -----------------------------------------------------------------------

    def allocate(
        self,
        size: int,
        *,
        base: int | None = None,
        commit: int | None = None,
        protect: int = PAGE_READWRITE,
        type: int = MEM_PRIVATE,
        align: int = GRANULARITY,
    ) -> int:
        """Reserves an allocation, commits its front, and returns its base.

        Args:
            size: bytes; rounded up to pages.
            base: address; None takes the next free aligned one.
            commit: bytes to commit from the base; None commits all, 0 only reserves.
            protect: AllocationProtect, and the protection of committed pages.
            type: MEM_PRIVATE, MEM_MAPPED or MEM_IMAGE.
            align: alignment of a searched base.

        Raises:
            ValueError: if the range is not free or not page aligned.
        """
        size = round_up(size, PAGE)
        if base is None:
            base = self.find_free(size, self._cursor, align)
            self._cursor = base + size
        self._check_free(base, size)
        allocation = Allocation(base, size, type, protect)
        allocation.change(base, base + size, MEM_RESERVE, 0)
        self._allocations[base] = allocation
        insort(self._bases, base)
        committed = size if commit is None else round_up(commit, PAGE)
        if committed:
            allocation.change(base, base + committed, MEM_COMMIT, protect)
        return base

    def find_free(self, size: int, start: int, align: int = GRANULARITY) -> int:
        """Returns the lowest aligned free address from `start` on that has `size` free bytes."""
        candidate = round_up(start, align)
        for base in self._bases[max(0, bisect_right(self._bases, candidate) - 1) :]:
            allocation = self._allocations[base]
            if allocation.base >= candidate + size:
                break
            if allocation.end > candidate:
                candidate = round_up(allocation.end, align)
        if candidate + size > self.top:
            raise ValueError(f"no free range of {size:#x} bytes from {start:#x}")
        return candidate

    def _check_free(self, base: int, size: int) -> None:
        if base % PAGE or base + size > self.top:
            raise ValueError(f"{base:#x} + {size:#x} is not a page range of this space")
        index = bisect_right(self._bases, base)
        before = self._allocations[self._bases[index - 1]] if index else None
        after = self._bases[index] if index < len(self._bases) else self.top
        if (before and before.end > base) or after < base + size:
            raise ValueError(f"{base:#x} + {size:#x} overlaps another allocation")

    def allocation_at(self, address: int) -> Allocation:
        """Returns the allocation that contains `address`; KeyError if there is none."""
        index = bisect_right(self._bases, address)
        if index:
            allocation = self._allocations[self._bases[index - 1]]
            if address < allocation.end:
                return allocation
        raise KeyError(f"{address:#x} is free")

    def _change(self, address: int, size: int, state: int, protect: int | None) -> None:
        allocation = self.allocation_at(address)
        start, end = round_down(address, PAGE), round_up(address + size, PAGE)
        if end > allocation.end:
            raise ValueError(f"{address:#x} + {size:#x} leaves its allocation")
        allocation.change(start, end, state, allocation.protect if protect is None else protect)

    def commit(self, address: int, size: int, protect: int | None = None) -> None:
        """Commits the pages of a range; the protection is the allocation's unless given."""
        self._change(address, size, MEM_COMMIT, protect)

    def protect(self, address: int, size: int, protect: int) -> None:
        """Changes the protection of committed pages."""
        self._change(address, size, MEM_COMMIT, protect)

    def decommit(self, address: int, size: int) -> None:
        """Turns the pages of a range back into reserved ones and forgets their bytes."""
        self._change(address, size, MEM_RESERVE, 0)
        for page in _pages(address, size):
            self._pages.pop(page, None)

    def free(self, base: int) -> None:
        """Frees a whole allocation by its base."""
        allocation = self._allocations.pop(base)
        self._bases.remove(base)
        for page in [page for page in self._pages if base <= page < allocation.end]:
            del self._pages[page]

    def regions(self, limit: int | None = None) -> list[Region]:
        """Returns the regions from 0 up to `limit` (by default the top), free ones included."""
        limit = self.top if limit is None else limit
        found: list[Region] = []
        position = 0
        for base in self._bases:
            allocation = self._allocations[base]
            if allocation.base >= limit:
                break
            if allocation.base > position:
                found.append(_free(position, allocation.base))
            found.extend(allocation.regions())
            position = allocation.end
        if position < limit:
            found.append(_free(position, limit))
        return found

    # --- bytes -----------------------------------------------------------------------------

    def write(self, address: int, data: bytes) -> None:
        """Writes bytes into committed memory, whatever its protection."""
        self._require_committed(address, len(data))
        for page in _pages(address, len(data)):
            content = self._pages.setdefault(page, bytearray(PAGE))
            start = max(address, page)
            end = min(address + len(data), page + PAGE)
            content[start - page : end - page] = data[start - address : end - address]

    def _require_committed(self, address: int, size: int) -> None:
        allocation = self.allocation_at(address)
        position = address
        for run in allocation.runs:
            if run.start <= position < run.end and run.state == MEM_COMMIT:
                position = run.end
        if position < address + size:
            raise ValueError(f"{address:#x} + {size:#x} is not all committed")

    def read(self, address: int, size: int) -> bytes:
        """Returns committed bytes; what was never written is zero."""
        self._require_committed(address, size)
        out = bytearray()
        for page in _pages(address, size):
            content = self._pages.get(page, bytes(PAGE))
            start, end = max(address, page), min(address + size, page + PAGE)
            out += content[start - page : end - page]
        return bytes(out)

    def number(self, address: int, value: int, width: int) -> None:
        """Writes an unsigned little-endian number of 1, 2, 4 or 8 bytes, cut to that width."""
        self.write(address, struct.pack(_UNSIGNED[width], value & (1 << 8 * width) - 1))

    def pointer(self, address: int, value: int, size: int | None = None) -> None:
        """Writes a pointer of `size` bytes, by default that of the space."""
        self.number(address, value, size or self.pointer_size)

    def read_number(self, address: int, width: int) -> int:
        """Reads an unsigned little-endian number."""
        return int.from_bytes(self.read(address, width), "little")

    def read_pointer(self, address: int, size: int | None = None) -> int:
        """Reads a pointer."""
        return self.read_number(address, size or self.pointer_size)

    # --- what a dump captures --------------------------------------------------------------

    def drop_page(self, address: int) -> None:
        """Keeps the page that contains `address` out of the captured memory."""
        self._dropped.add(round_down(address, PAGE))

    def drop_range(self, address: int, size: int) -> None:
        """Keeps all pages of a range out of the captured memory."""
        self._dropped.update(_pages(address, size))

    def is_dropped(self, address: int) -> bool:
        """Says whether the page that contains `address` was dropped."""
        return round_down(address, PAGE) in self._dropped

    def captured(self, *, zeros: bool = False, limit: int | None = None) -> list[tuple[int, bytes]]:
        """Returns what a full dump holds: (address, bytes) in ascending order, runs joined.

        Args:
            zeros: also the committed pages that were never written.
            limit: leave out everything at or above this address.
        """
        written = sorted(self._pages)
        runs: list[tuple[int, bytearray]] = []
        for region in self.regions(limit):
            if not _is_readable(region):
                continue
            first = bisect_left(written, region.base)
            pages = written[first : bisect_left(written, region.end)]
            for page in range(region.base, region.end, PAGE) if zeros else pages:
                if page in self._dropped:
                    continue
                content = self._pages.get(page, bytes(PAGE))
                if runs and runs[-1][0] + len(runs[-1][1]) == page:
                    runs[-1][1].extend(content)
                else:
                    runs.append((page, bytearray(content)))
        return [(address, bytes(content)) for address, content in runs]


def round_up(value: int, step: int) -> int:
    """Returns the next multiple of `step` at or above `value`."""
    return -(-value // step) * step


def round_down(value: int, step: int) -> int:
    """Returns the multiple of `step` at or below `value`."""
    return value // step * step


def _pages(address: int, size: int) -> range:
    return range(round_down(address, PAGE), address + size, PAGE)


def _free(start: int, end: int) -> Region:
    return Region(start, end - start, MEM_FREE, PAGE_NOACCESS, 0, 0, 0)


def _is_readable(region: Region) -> bool:
    """Says whether a dump writer can read the region: not guard pages, not no-access ones."""
    blocked = region.protect & PAGE_GUARD or region.protect == PAGE_NOACCESS
    return region.state == MEM_COMMIT and not blocked
