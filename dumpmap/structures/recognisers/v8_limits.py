"""The limits that V8 sets for the heap of an isolate, found in its Heap by how they relate to each other.

No two releases of V8 keep the limits at the same place. Their order, though, stays for years, and their values depend
on each other: a limit for all memory that a heap keeps alive is twice the limit of the old generation, in both the
least and the greatest size; the old generation starts at half of its limit or less; the limit of a semispace is a
power of two that no semispace exceeds. A place is believed only if it is the only one where all of this holds, so the
configured value need not be known. Up to V8 13.6 the Heap holds the limits, later an object that points back to it.

The orders were read in recorded processes of V8 9.4, 10.2, 11.3, 12.4, 13.6, and 14.6, whose limits were set to
different values for each isolate, and compared with public source (v8/v8: src/heap/heap.h, heap-controller.h, heap.cc
for `GlobalMemorySizeFromV8Size` and `MaxReserved`).
"""

from __future__ import annotations

from collections.abc import Sequence

from dumpmap.model.values import value_class
from dumpmap.structures.words import Words

PAGE = 0x40000
"""V8 rounds what is configured to pages of 256 KiB."""

GLOBAL_RATIO = 2
"""Memory that a heap keeps alive, C++ objects included, may be this many times its old generation."""

NEAR_WORDS, FAR_WORDS = 48, 320
"""Words of the Heap that are searched: for the limits themselves, and for the object that holds them."""

SEMISPACE_WORDS = 16
"""Words of a Heap without the other limits that are searched for those of semispaces."""

THREE_SEMISPACE_SIZES = (13, 0)
"""Since this version V8 keeps the greatest, least, and initial size of a semispace; before, no least one."""

_BESIDE = 9
"""Words of the object that holds the limits."""


@value_class(frozen=True, slots=True)
class V8Limits:
    """The limits of one isolate's heap, in bytes.

    Attributes:
        old_generation: what the old generation may take at most; `--max-old-space-size` sets it.
        semispace: what one semispace may take at most; None where two readings are possible.
    """

    old_generation: int
    semispace: int | None

    @property
    def heap_size(self) -> int | None:
        """The `heap_size_limit` of `v8.getHeapStatistics()`: two semispaces, new large objects, the old generation."""
        return None if self.semispace is None else self.old_generation + 3 * self.semispace


def read_limits(
    memory: Words, heap: int, version: tuple[int, ...] | None, semispaces: Sequence[int]
) -> V8Limits | None:
    """Reads the limits of the Heap at `heap`; None where no single place proves to hold them.

    Args:
        memory: the process.
        heap: address of the isolate's Heap.
        version: V8's version; None if unknown.
        semispaces: the committed bytes of each semispace that is known.
    """
    least = max(semispaces, default=0)
    near = memory.unrecorded.read(heap, NEAR_WORDS)
    places = [place for place in range(4, len(near) - 5) if _holds(near, place, _Order(1, 2, 3, 5))]
    if len(places) == 1:
        memory.read(heap, NEAR_WORDS)
        return V8Limits(near[places[0]], _semispace(near, places[0] - 1, version, least))
    if places:
        return None
    far = memory.unrecorded.read(heap, FAR_WORDS)
    found = {place: limit for place in set(far) if (limit := _beside(memory.unrecorded, place, heap))}
    if len(found) != 1:
        return None
    ((place, limit),) = found.items()
    memory.read(heap, FAR_WORDS)
    memory.read(place, _BESIDE)
    sizes = {far[start] for start in range(SEMISPACE_WORDS) if _are_semispace_sizes(far[start : start + 3], least)}
    return V8Limits(limit, sizes.pop() if len(sizes) == 1 else None)


@value_class(frozen=True, slots=True)
class _Order:
    """Where the other limits are, in words from that of the old generation. The least size is the word before.

    Attributes:
        least: the least size of all memory.
        most: the limit of all memory.
        configured: the limit that was configured; the near-heap-limit callback can raise the other one.
        initial: where the old generation starts.
    """

    least: int
    most: int
    configured: int
    initial: int


def _holds(words: Sequence[int], place: int, order: _Order) -> bool:
    """Tells whether the limit of the old generation may stand at `place`."""
    limit, least = words[place], words[place - 1]
    configured, initial = words[place + order.configured], words[place + order.initial]
    return (
        0 < configured <= limit < 1 << 47
        and configured % PAGE == 0
        and least <= limit
        and words[place + order.least] == GLOBAL_RATIO * least
        and words[place + order.most] == GLOBAL_RATIO * limit
        and 0 < 2 * initial <= configured
    )


def _semispace(words: Sequence[int], end: int, version: tuple[int, ...] | None, least: int) -> int | None:
    """The limit of a semispace, whose sizes end before `end`."""
    counts = (2, 3) if version is None else (3,) if version[:2] >= THREE_SEMISPACE_SIZES else (2,)
    found = [words[end - count] for count in counts if _are_semispace_sizes(words[end - count : end], least)]
    return found[0] if len(found) == 1 else None


def _are_semispace_sizes(words: Sequence[int], least: int) -> bool:
    """Tells whether these may be the greatest size of a semispace, and the least and initial ones."""
    most = words[0]
    return (
        most >= max(least, PAGE)
        and most & (most - 1) == 0
        and most < 1 << 40
        and all(0 < size <= most and size % PAGE == 0 for size in words[1:])
    )


def _beside(memory: Words, address: int, heap: int) -> int | None:
    """Reads the object at `address` as the one that holds the limits; returns that of the old generation."""
    words = memory.read(address, _BESIDE) if memory.is_pointer(address) else ()
    # The Heap, a name for tracing, the configured limit, the initial size, a flag, then as in older versions.
    if not words or words[0] != heap or not _holds(words, 6, _Order(1, 2, -4, -3)):
        return None
    return words[6]
