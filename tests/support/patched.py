"""Memory with some bytes changed or added, to let a recorded process lie."""

from __future__ import annotations

import struct
from collections.abc import Collection, Sequence

from dumpmap.api import RegionMap, map_snapshot
from dumpmap.model.memory import ExcerptMemory, Memory, SimpleMemory, find_by_reading


class PatchedMemory(SimpleMemory):
    """Another memory with patches over it.

    Args:
        inner: the other memory.
        patches: bytes by address.
    """

    def __init__(self, inner: Memory, patches: dict[int, bytes]) -> None:
        self._inner = inner
        excerpts = [(base, inner.read(base, size) or b"") for base, size in inner.ranges()]
        # Of excerpts that disagree the one that starts lower wins, so what is patched must go first.
        for address, patch in patches.items():
            excerpts = [part for base, data in excerpts for part in _without(base, data, address, len(patch))]
        self._memory = ExcerptMemory([*excerpts, *patches.items()])

    def read(self, address: int, size: int) -> bytes | None:
        return self._memory.read(address, size)

    def find(self, addresses: Sequence[int], offset: int, patterns: Collection[bytes]) -> dict[int, bytes]:
        return find_by_reading(self, addresses, offset, patterns)

    def ranges(self) -> Sequence[tuple[int, int]]:
        return self._memory.ranges()


def _without(base: int, data: bytes, address: int, size: int) -> list[tuple[int, bytes]]:
    before, after = max(0, address - base), max(0, address + size - base)
    return [part for part in ((base, data[:before]), (base + after, data[after:])) if part[1]]


def patched_map(region_map: RegionMap, patches: dict[int, bytes]) -> RegionMap:
    """Maps the same process once more with other bytes."""
    snapshot = region_map.snapshot
    return map_snapshot(snapshot, memory=PatchedMemory(snapshot.memory, patches))


def word(value: int) -> bytes:
    """A 64-bit word."""
    return struct.pack("<Q", value)
