"""The address space as the structure readers see it, whatever it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Space(Protocol):
    """The allocations of a process. A dump without a memory map answers empty, None, and 0."""

    def private_allocations(self) -> Sequence[int]:
        """Returns the bases of the MEM_PRIVATE allocations whose first region is committed, ascending.

        There may be a million, and `Memory.find` takes them as they are, so this may be an array of 64-bit integers.
        """
        ...

    def large_private_allocations(self, size: int) -> Sequence[tuple[int, int]]:
        """Returns base and size of the MEM_PRIVATE allocations of at least `size` bytes, ascending."""
        ...

    def allocation(self, address: int) -> tuple[int, int] | None:
        """Returns base and size (bytes, reserved and committed) of the allocation that holds `address`."""
        ...

    def committed(self, base: int, size: int) -> int:
        """Returns how many bytes in [base, base + size) are committed."""
        ...

    def committed_places(self, alignment: int, limit: int, offset: int = 0) -> Sequence[int]:
        """Returns the committed private addresses that lie `offset` bytes behind multiples of `alignment`, ascending.

        `alignment` is a power of two, and there are at most `limit` addresses.
        """
        ...


class NoSpace:
    """The space of a dump without a memory map."""

    def private_allocations(self) -> Sequence[int]:
        """See `Space.private_allocations`."""
        return ()

    def large_private_allocations(self, size: int) -> Sequence[tuple[int, int]]:
        """See `Space.large_private_allocations`."""
        return ()

    def allocation(self, address: int) -> tuple[int, int] | None:
        """See `Space.allocation`."""
        return None

    def committed(self, base: int, size: int) -> int:
        """See `Space.committed`."""
        return 0

    def committed_places(self, alignment: int, limit: int, offset: int = 0) -> Sequence[int]:
        """See `Space.committed_places`."""
        return ()
