"""The process as heap readers see it, and how a heap's claim on memory becomes a range."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import field
from typing import TypeVar

from dumpmap.model.heaps import HeapRange
from dumpmap.model.memory import Memory
from dumpmap.model.values import changed, value_class
from dumpmap.model.winnt import ALLOCATION_GRANULARITY
from dumpmap.structures.bounds import MAX_NODES, MAX_SEGMENTS, round_up
from dumpmap.structures.space import Space
from dumpmap.structures.walk import NOT_CAPTURED, ListWalk, Visit, walk_list

NO_MEMORY = "no memory there"

T = TypeVar("T")


def left_out(label: str, what: str, bases: list[int], reason: str) -> str:
    """Words one warning for all parts of a heap that are skipped for the same reason."""
    if len(bases) == 1:
        return f"{label}: {what} {bases[0]:#x} is skipped ({reason})"
    return f"{label}: {len(bases):,} {what}s are skipped ({reason}; first: {bases[0]:#x})"


@value_class(frozen=False, slots=True)
class Remarks:
    """What a reader has to say about one heap.

    Attributes:
        label: how remarks call the heap.
        warnings: damage and contradictions, a sentence each.
        notes: what was not captured, a sentence each.
    """

    label: str
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def warn(self, problem: str) -> None:
        """Adds damage or a contradiction."""
        self.warnings.append(f"{self.label}: {problem}")

    def note(self, lack: str) -> None:
        """Adds what was not captured."""
        self.notes.append(f"{self.label}: {lack}")

    def left_out(self, what: str, bases: list[int], reason: str) -> None:
        """Warns of the parts of the heap that are skipped for one reason."""
        self.warnings.append(left_out(self.label, what, bases, reason))

    def of_walk(self, what: str, walk: ListWalk[T]) -> None:
        """Takes what a walk over one of the heap's lists met."""
        for problem in walk.problems:
            self.warn(f"{what} {problem}")
        for lack in walk.missing[:1]:  # from behind, the walk can meet a second place in the same list
            self.note(f"{what} {lack}")


@value_class(frozen=False, slots=True)
class Budget:
    """How many nodes of lists and trees the search for heaps may still visit, in all heaps together.

    Without it, a thousand heaps of a hostile dump could share one long list.
    """

    left: int = MAX_NODES


@value_class(frozen=False, slots=True)
class HeapContext:
    """One process, seen at one pointer size.

    Attributes:
        memory: its bytes.
        space: its allocations.
        private: `space.private_allocations()`.
        pointer_size: 4 or 8.
        os_build: build number of Windows; None if unknown.
        segment_heap_key: the key that signs the page segments of segment heaps, once one is known. All heaps of one
            ntdll share it.
        budget: both pointer sizes share it.
    """

    memory: Memory
    space: Space
    private: Sequence[int]
    pointer_size: int
    os_build: int | None
    segment_heap_key: int | None = None
    budget: Budget = field(default_factory=Budget)

    def pointer(self, address: int) -> int | None:
        """Reads one pointer."""
        data = self.memory.read(address, self.pointer_size)
        return None if data is None else int.from_bytes(data, "little")

    def starts_private_memory(self, address: int) -> bool:
        """Tells whether a private allocation starts at `address`, with its first page committed.

        Every part of a heap starts one. Otherwise a pointer to bytes that were not captured proves nothing.
        """
        index = bisect_left(self.private, address)
        return index < len(self.private) and int(self.private[index]) == address

    @property
    def has_map(self) -> bool:
        """Whether the allocations are known. If not, an address that is in none proves nothing."""
        return len(self.private) > 0

    def why_unread(self, address: int, *, starts: bool = False) -> str:
        """Returns why bytes of a heap at `address` could not be read: missing in the input, or not in the process.

        Args:
            address: where they should be.
            starts: whether such a part of a heap starts an allocation.
        """
        if self.has_map and self.space.allocation(address) is None:
            return NO_MEMORY
        if self.has_map and starts and not self.starts_private_memory(address):
            return "no allocation starts there"
        return NOT_CAPTURED

    def walk(self, head: int, flink: int, blink: int, visit: Visit[T]) -> ListWalk[T]:
        """Walks a list within the budget. See `walk_list`."""
        walk = walk_list(head, flink, blink, visit, min(MAX_SEGMENTS, self.budget.left))
        self.budget.left -= len(walk.nodes)
        return walk

    def place(self, claim: HeapRange, size: int) -> HeapRange | None:
        """Fits a heap's claim to the allocations.

        Args:
            claim: the range, with the base that the heap states and no size.
            size: bytes from the base on that the heap counts.

        Returns:
            The whole allocation (size None) if the claim starts one. Part of it if the claim starts inside it. If the
            allocations are unknown, the claim with the size that Windows must have reserved. None if they are known
            and none is there.
        """
        allocation = self.space.allocation(claim.base)
        if allocation is None:
            return None if self.has_map else changed(claim, size=round_up(size, ALLOCATION_GRANULARITY))
        base, whole = allocation
        if base == claim.base:
            return claim
        return changed(claim, size=min(size, base + whole - claim.base))
