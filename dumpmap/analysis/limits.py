"""How large a process's address space can be, and the evidence for it.

A 32-bit process has 2 GB; 3 GB where it is large address aware and 32-bit Windows was started so; 4 GB where it is
large address aware on 64-bit Windows. A 64-bit one has 8 TB up to Windows 8 and 128 TB from 8.1 on, or 2 GB if its
program is not large address aware.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dumpmap.analysis.writer_memory import space_total
from dumpmap.model.file_names import file_key
from dumpmap.model.region_map import RegionMap
from dumpmap.model.sizes import size_words
from dumpmap.model.values import value_class
from dumpmap.model.winnt import ALLOCATION_GRANULARITY

_GB, _TB = 1 << 30, 1 << 40
_CLASSES = ((2 * _GB, "2 GB"), (3 * _GB, "3 GB"), (4 * _GB, "4 GB"), (8 * _TB, "8 TB"), (128 * _TB, "128 TB"))
_SLACK = 4 << 20
"""Windows reserves the highest 64 KB, or a few times as much: 0x7fff0000 still is 2 GB."""

_END_SLACK = 1 << 20
"""How far below the highest address a list of regions may end and still count as complete."""

_BORDER = ALLOCATION_GRANULARITY
"""What a total of address space leaves out at the start: the first 64 KB, which nobody can allocate."""

_BUILD_8_1 = 9600

_BUILD_XP = 2600
"""Windows XP. It and what came before it exist for 32 bits only; the XP for x64 has the build 3790."""

SMALLEST_LIMIT = 2 * _GB - 0x10000
"""The least that a Windows process has."""

NARROW = 4 * _GB
"""Address spaces up to this size run out; larger ones practically never do."""


@value_class(frozen=True, slots=True)
class AddressLimit:
    """The size of an address space.

    Attributes:
        size: its end (exclusive); None if unknown.
        name: in round figures: `2 GB`.
        source: the evidence: `recorded summary`, `memory list`, `large-address-aware flag`, `SystemMemoryInfo`,
            `known ranges`, `the writer's TotalVirtualMemory` or `TotalVirtual`, `Windows version`, `pointer size`.
        exact: whether it is the end itself, not only an upper bound.
        reached: whether the list of regions reaches it.
        large_address_aware: the flag in the program's header; None if the input does not hold the header.
        windows: whether the process ran on Windows.
    """

    size: int | None
    name: str
    source: str
    exact: bool
    reached: bool
    large_address_aware: bool | None
    windows: bool

    @property
    def narrow(self) -> bool:
        """Whether the space is 4 GB or less."""
        return self.size is not None and self.size <= NARROW

    @property
    def at_most(self) -> bool:
        """Whether the size is inferred and only an upper bound: nothing in the input proves it."""
        return not self.exact and self.size is not None and (self.narrow or self.windows)

    @property
    def words(self) -> str:
        """The size in round figures, as an upper bound if it is one: `2 GB`, `at most 4 GB`."""
        return f"at most {self.name}" if self.at_most else self.name

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "size": self.size,
            "name": self.name,
            "source": self.source,
            "exact": self.exact,
            "large_address_aware": self.large_address_aware,
        }


def limit_name(size: int) -> str:
    """Writes a limit in round figures: `2 GB`."""
    return next((name for value, name in _CLASSES if abs(value - size) <= _SLACK), "") or size_words(size)


def address_limit(region_map: RegionMap) -> AddressLimit:
    """Finds how large the address space is; evidence of the process itself comes before evidence of its system.

    The highest address in SystemMemoryInfo belongs to the program that wrote the dump: a writer of another width, or
    one whose large-address-aware flag differs, has another address space.
    """
    process, end = region_map.process, region_map.end
    windows = process.os.family == "windows"
    narrow = process.pointer_size == 4
    aware = large_address_aware(region_map) if windows else None
    found = _find(region_map, aware) if windows else None
    if found is None and narrow:
        found = NARROW, "pointer size", False
    elif found is None and process.pointer_size == 8:
        found = 1 << 47, "pointer size", False
    if found is None:
        return AddressLimit(None, "unknown", "nothing", False, False, aware, windows)
    size, source, exact = found
    reached = end is not None and (end + _END_SLACK >= size or not windows or source == "recorded summary")
    reached = reached and region_map.snapshot.regions_complete
    return AddressLimit(size, limit_name(size), source, exact, reached, aware, windows)


def _find(region_map: RegionMap, aware: bool | None) -> tuple[int, str, bool] | None:
    """Tries the evidence that only Windows has; returns size, source, and whether it is exact."""
    process, end = region_map.process, region_map.end
    narrow = process.pointer_size == 4
    if not narrow and aware is False:
        return 2 * _GB - 0x10000, "large-address-aware flag", True
    recorded = _recorded_size(region_map)
    if recorded is not None:
        return recorded, "recorded summary", True
    if (
        end is not None
        and (not narrow or end <= NARROW)
        and _plausible_end(end, narrow)
        and region_map.snapshot.regions_complete
    ):
        return end, "memory list", True
    if narrow and aware is False:
        return 2 * _GB - 0x10000, "large-address-aware flag", True
    if narrow and aware and process.wow64:
        return NARROW - 0x10000, "large-address-aware flag", True
    if narrow and region_map.partial and _shows_4gb(region_map):
        return NARROW - 0x10000, "known ranges", True
    return _find_by_system(region_map, aware)


def _find_by_system(region_map: RegionMap, aware: bool | None) -> tuple[int, str, bool] | None:
    """Tries what is known of the system or of the writer of the dump; returns the same."""
    process, highest = region_map.process, region_map.system.max_address
    narrow = process.pointer_size == 4
    if highest is not None and (not narrow or highest < NARROW):
        return highest + 1, "SystemMemoryInfo", True
    written = space_total(region_map)
    if written is not None and _possible_total(region_map, written.size + _BORDER):
        return written.size + _BORDER, f"the writer's {written.name}", True
    if narrow and aware:
        # A dump does not record whether 32-bit Windows was started with 3 GB.
        return 3 * _GB - 0x10000, "large-address-aware flag", False
    if narrow and (process.wow64 is False or (process.os.build or _BUILD_XP + 1) <= _BUILD_XP):
        return 3 * _GB - 0x10000, "Windows version", False
    if not narrow and process.os.build:
        top = 128 * _TB if process.os.build >= _BUILD_8_1 else 8 * _TB
        return top - 0x10000, "Windows version", True
    return None


def _possible_total(region_map: RegionMap, size: int) -> bool:
    """Whether a space of this size is one that the process can have: 32-bit Windows does not give 4 GB."""
    narrow = region_map.process.pointer_size == 4
    return _plausible_end(size, narrow) and not (
        narrow and region_map.process.wow64 is False and size > 3 * _GB + _SLACK
    )


def _shows_4gb(region_map: RegionMap) -> bool:
    """Whether a partial map of a 32-bit process has a range where only 64-bit Windows gives address space.

    Above 3 GB, no other Windows does. Above 2 GB, 64-bit Windows does if the program is large address aware, and then
    up to 4 GB.
    """
    bases = region_map.pieces.base
    start = 2 * _GB if region_map.process.wow64 else 3 * _GB
    return bool(np.count_nonzero((bases >= np.uint64(start)) & (bases < np.uint64(NARROW))))


def _recorded_size(region_map: RegionMap) -> int | None:
    """The size by the summary of a VMMap file, which has the totals in use and free but does not list free space."""
    rows = {row.type: row.values.get("size") for row in region_map.snapshot.recorded_summary}
    total, free, page_table = rows.get("Total"), rows.get("Free"), rows.get("Page Table")
    return None if total is None or free is None else total - (page_table or 0) + free


def _plausible_end(end: int, narrow: bool) -> bool:
    """A complete list ends at one of the ends that user space can have."""
    return any(abs(value - end) <= _SLACK for value, _ in (_CLASSES[:3] if narrow else _CLASSES[3:]))


def large_address_aware(region_map: RegionMap) -> bool | None:
    """Reads the large-address-aware flag of the program; None if the input does not hold its header."""
    images = region_map.structures.images
    if not images:
        return None
    width = region_map.process.pointer_size
    for peb in region_map.structures.pebs:
        if peb.pointer_size == width and peb.image_base in images:
            return images[peb.image_base].large_address_aware
    name = (region_map.process.name or "").lower()
    for module in region_map.snapshot.modules:
        image = images.get(module.base)
        if image is not None and not image.is_dll and (not name or file_key(module.path) == name):
            return image.large_address_aware
    return None
