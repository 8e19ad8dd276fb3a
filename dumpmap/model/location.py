"""What is at one address of a region map."""

from __future__ import annotations

import operator
from bisect import bisect_right
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from dumpmap.model.heaps import UNKNOWN_HEAP
from dumpmap.model.protection import protection_text
from dumpmap.model.types import RegionType
from dumpmap.model.values import value_class
from dumpmap.model.winnt import MemState

if TYPE_CHECKING:
    from dumpmap.model.heaps import Heap
    from dumpmap.model.region_map import RegionMap
    from dumpmap.model.stacks import Stack


@value_class(frozen=True, slots=True)
class Location:
    """What is at an address. Sizes are bytes.

    Attributes:
        address: the address.
        type: type of memory.
        kind: finer name inside the type.
        details: module, file, thread, or heap that the memory belongs to.
        evidence: what established the type.
        inferred: whether the label was inferred rather than recorded.
        allocation: base of the allocation; None, as its size and the offset, where a partial map shows captured bytes
            and not the allocation around them.
        allocation_size: its size.
        block: start of the region.
        block_size: its size.
        state: `Committed`, `Reserved`, or `Free`.
        protection: page protection, in VMMap's words.
        offset: distance from the allocation's base.
        module: path of the module there.
        section: section of the module.
        thread_id: thread whose stack it is.
        heap: heap that the memory belongs to.
        in_file: number of bytes from this address on that the input contains.
    """

    address: int
    type: RegionType
    kind: str
    details: str
    evidence: str
    inferred: bool
    allocation: int | None
    allocation_size: int | None
    block: int
    block_size: int
    state: str
    protection: str
    offset: int | None
    module: str | None
    section: str | None
    thread_id: int | None
    heap: str | None
    in_file: int


def locate(region_map: RegionMap, address: int) -> Location | None:
    """Returns what is at an address; None outside the address space and where a partial map knows nothing."""
    if isinstance(address, bool):
        raise TypeError("an address must be an integer, not a bool")
    address = operator.index(address)  # NumPy's integers are addresses too
    in_file = _bytes_from(region_map, address)
    b = region_map.block_columns
    index = -1
    if 0 <= address < 1 << 64:
        index = int(np.searchsorted(b.base, np.uint64(address), side="right")) - 1
    if index < 0 or address >= int(b.base[index]) + int(b.size[index]):
        return _free_at(region_map, address, in_file)
    owner = int(b.allocation[index])
    base, size = int(region_map.allocation_columns.base[owner]), int(region_map.allocation_columns.size[owner])
    region_type = RegionType(int(b.type[index]))
    kind, whole_kind = region_map.texts[b.kind[index]], region_map.texts[region_map.allocation_columns.kind[owner]]
    details = region_map.texts[b.details[index]] or region_map.texts[region_map.allocation_columns.details[owner]]
    module = _module_at(region_map, address)
    stack = next((stack for stack in region_map.stacks if stack.base <= address < stack.end), None)
    heap = next((h for h in region_map.heaps if any(start <= address < start + n for start, n in h.allocations)), None)
    protect, state = b.protection_at(index)
    whole = _shows_allocation(region_map, region_type, address, stack, heap)
    return Location(
        address=address,
        type=region_type,
        kind=kind,
        details=details,
        evidence=region_map.texts[b.evidence[index]],
        inferred=bool(b.inferred[index]),
        allocation=base if whole else None,
        allocation_size=size if whole else None,
        block=int(b.base[index]),
        block_size=int(b.size[index]),
        state="Committed" if state == MemState.MEM_COMMIT else "Reserved",
        protection=protection_text(protect, state),
        offset=address - base if whole else None,
        module=module,
        section=kind if module is not None and kind != whole_kind else None,
        thread_id=stack.thread_id if stack else None,
        heap=heap.title if heap else None,
        in_file=in_file,
    )


def _shows_allocation(
    region_map: RegionMap, type_: RegionType, address: int, stack: Stack | None, heap: Heap | None
) -> bool:
    """Whether the map knows where the allocation begins and ends, and not only which of its bytes were captured.

    Without a list of regions, the module list, a TEB, a heap's header, or a runtime's own structures must say it.
    """
    if not region_map.partial or type_ == RegionType.IMAGE:
        return True
    if stack is not None:
        return stack.reserve is not None
    if heap is not None:
        return heap.info.kind != UNKNOWN_HEAP
    return any(part.base <= address < part.base + part.size for part in region_map.structures.ranges)


def _bytes_from(region_map: RegionMap, address: int) -> int:
    """How many of the process's bytes the input contains from an address on."""
    captured: Iterable[tuple[int, int]] = region_map.snapshot.captured
    if not captured:  # the memory's own ranges are sorted, and there can be a million
        ranges = region_map.snapshot.memory.ranges()
        place = bisect_right(ranges, address, key=operator.itemgetter(0)) - 1
        captured = ranges[place : place + 1] if place >= 0 else ()
    return next((start + size - address for start, size in captured if start <= address < start + size), 0)


def _module_at(region_map: RegionMap, address: int) -> str | None:
    for module in region_map.snapshot.modules:
        if module.base <= address < module.base + module.size:
            return module.path
    return None


def _free_at(region_map: RegionMap, address: int, in_file: int) -> Location | None:
    base, size, types = region_map.gap_rows
    if not 0 <= address < 1 << 64:
        return None
    wanted = np.uint64(address)
    hits = np.flatnonzero((base <= wanted) & (wanted - base < size.astype(np.uint64))).tolist()
    if not hits:
        return None
    start, length, free_type = int(base[hits[0]]), int(size[hits[0]]), RegionType(int(types[hits[0]]))
    return Location(
        address=address,
        type=free_type,
        kind="",
        details="",
        evidence="gap",
        inferred=False,
        allocation=start,
        allocation_size=length,
        block=start,
        block_size=length,
        state="Free",
        protection="",
        offset=address - start,
        module=None,
        section=None,
        thread_id=None,
        heap=None,
        in_file=in_file,
    )
