"""What a heap writer wrote. Tests compare it with what a walker finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .process import ProcessBuilder
from .space import PAGE, round_up


@dataclass(frozen=True)
class HeapAllocation:
    """One allocation of a heap; sizes in bytes, as the region list states them.

    Attributes:
        base: base of the allocation.
        size: bytes of the whole allocation.
        committed: committed bytes in it.
        role: "segment", "large", "front end", "heap" (the block with the header of a segment heap)
            or "page heap".
        address: the structure that leads to it; not always the base.
    """

    base: int
    size: int
    committed: int
    role: str
    address: int


@dataclass(frozen=True)
class HeapBlock:
    """One heap entry of an NT heap: its address, sizes in bytes, and whether it is in use."""

    address: int
    size: int
    busy: bool
    requested: int


@dataclass
class HeapTruth:
    """A heap and all that belongs to it.

    Attributes:
        heap_id: position in the PEB's array + 1; 0 if it is not listed there.
        address: the heap's address, as the PEB lists it.
        kind: "nt", "nt-old", "segment", "page" or "wine".
        bits: 32 or 64.
        flags: Flags, class bits included.
        low_fragmentation: whether a low-fragmentation front end is on.
        allocations: every allocation, in the order in which it was made.
        uncommitted: (base, size) of the ranges that the heap knows as uncommitted.
        blocks: heap entries in the order of a walk, by segment.
        lists: address of the head, then of the nodes, of every list by its name.
        fields: addresses of header fields, for tests that change one.
    """

    heap_id: int
    address: int
    kind: str
    bits: int
    flags: int = 0
    low_fragmentation: bool = False
    allocations: list[HeapAllocation] = field(default_factory=list)
    uncommitted: list[tuple[int, int]] = field(default_factory=list)
    blocks: list[HeapBlock] = field(default_factory=list)
    lists: dict[str, list[int]] = field(default_factory=dict)
    fields: dict[str, int] = field(default_factory=dict)
    _room_end: int = field(default=0, repr=False)

    @property
    def reserved(self) -> int:
        """Bytes of all allocations."""
        return sum(allocation.size for allocation in self.allocations)

    @property
    def committed(self) -> int:
        """Committed bytes of all allocations."""
        return sum(allocation.committed for allocation in self.allocations)

    def take_room(self, size: int) -> int:
        """Returns the address of `size` bytes of heap memory that nothing else uses.

        It is inside a busy block of the heap, on pages of its own: whoever drops those from the
        dump drops no header with them.

        Raises:
            ValueError: if no block has so much left.
        """
        unit = self.bits // 4
        for block in self.blocks:
            start = max(round_up(block.address + unit, PAGE), self._room_end)
            if block.busy and start + size + unit <= block.address + block.size:
                self._room_end = round_up(start + unit + size, PAGE)
                return start + unit
        raise ValueError(f"the heap has no block with {size:#x} bytes left")

    def with_role(self, role: str) -> list[HeapAllocation]:
        """Returns the allocations of one role."""
        return [allocation for allocation in self.allocations if allocation.role == role]

    def add(self, process: ProcessBuilder, address: int, role: str) -> None:
        """Records the allocation that contains `address`, as it is in the process now."""
        allocation = process.allocation_at(address)
        sizes = (allocation.base, allocation.size, allocation.committed())
        self.allocations.append(HeapAllocation(*sizes, role, address))


def register(process: ProcessBuilder, bits: int, address: int, listed: bool) -> int:
    """Appends a heap to the list that the PEB will name; returns its id, 0 if not listed."""
    if not listed:
        return 0
    process.heaps[bits].append(address)
    return len(process.heaps[bits])


def link_list(process: ProcessBuilder, head: int, nodes: Sequence[int], width: int) -> list[int]:
    """Writes a circular LIST_ENTRY list and returns head and nodes."""
    ring = [head, *nodes]
    for index, entry in enumerate(ring):
        process.pointer(entry, ring[(index + 1) % len(ring)], width)
        process.pointer(entry + width, ring[index - 1], width)
    return ring
