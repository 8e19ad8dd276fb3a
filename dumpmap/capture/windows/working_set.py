"""Which pages of a process are resident, by region."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator, Sequence

from dumpmap.capture.regions import NOTHING_RESIDENT, WorkingSet
from dumpmap.capture.windows.api import WindowsApi
from dumpmap.capture.windows.layouts import ADDRESS_CODE
from dumpmap.model.winnt import MemState, RegionRow

MAX_PAGES = 1 << 28
"""Committed pages for which a capture reads the residency (1 TiB, about half a minute). The rest stays unknown."""

BATCH = 1 << 16
"""Pages in one call of QueryWorkingSetEx: a buffer of 1 MB."""

# Bits of PSAPI_WORKING_SET_EX_BLOCK.
_VALID = 0x1
_SHARE_COUNT = 0xE
_SEVERAL = 0x4
_SHARED = 0x8000
_LOCKED = 0x40_0000


def working_sets(api: WindowsApi, handle: int, rows: Sequence[RegionRow]) -> list[WorkingSet | None]:
    """Returns the resident bytes of each region, None for those beyond `MAX_PAGES`.

    Raises:
        ApiError: Windows does not answer.
    """
    page = api.system().page_size
    result: list[WorkingSet | None] = [NOTHING_RESIDENT] * len(rows)
    addresses: array[int] = array(ADDRESS_CODE)
    parts: list[tuple[int, int]] = []

    def ask() -> None:
        words = api.working_set(handle, addresses)
        position = 0
        for index, count in parts:
            found = _resident(words[position : position + count], page)
            result[index] = _sum(result[index] or NOTHING_RESIDENT, found)
            position += count
        parts.clear()
        del addresses[:]

    for index, position, pages in _committed(rows, page, result):
        while pages:
            count = min(pages, BATCH - len(addresses))
            addresses.extend(range(position, position + count * page, page))
            parts.append((index, count))
            position += count * page
            pages -= count
            if len(addresses) == BATCH:
                ask()
    if parts:
        ask()
    return result


def _committed(rows: Sequence[RegionRow], page: int, result: list[WorkingSet | None]) -> Iterator[tuple[int, int, int]]:
    """Yields index, address and pages of the committed regions; sets the result of those beyond `MAX_PAGES` to None."""
    total = 0
    for index, row in enumerate(rows):
        if row[4] != MemState.MEM_COMMIT:
            continue
        pages = row[3] // page
        if total + pages > MAX_PAGES:
            result[index] = None
            continue
        total += pages
        yield index, row[0], pages


def _resident(words: Sequence[int], page: int) -> WorkingSet:
    """Adds up PSAPI_WORKING_SET_EX_BLOCKs, in bytes. Any number of pages has only a few different ones."""
    total = private = shareable = shared = locked = 0
    for word, count in Counter(words).items():
        if not word & _VALID:
            continue
        size = count * page
        total += size
        if word & _SHARED:
            shareable += size
            if (word & _SHARE_COUNT) >= _SEVERAL:
                shared += size
        else:
            private += size
        if word & _LOCKED:
            locked += size
    return total, private, shareable, shared, locked


def _sum(one: WorkingSet, other: WorkingSet) -> WorkingSet:
    total, private, shareable, shared, locked = (first + second for first, second in zip(one, other, strict=True))
    return total, private, shareable, shared, locked
