"""Searches memory for pointers to allocations.

An allocation is found by its base. That is a multiple of 64 KB, so nearly every other word is ruled out by its low 16
bits, and a search runs at the speed of memory. Interior pointers would hit anything.

A lone base can be a number that happens to look like it, or the end of the allocation before. A *pair* is the base
and, within two words, the size of the allocation, its committed size, or its end. Many owners keep both.

A pair can be chance, too, where words have 32 bits. Pixels, fixed-point numbers, and flags are words with one byte that
is not zero, and among 255 such values, a base soon finds a size and even an end. So one of the two words must be
fuller. Of words that end in 16 zero bits there are 2^16. In a million of them, evenly distributed, 20 allocations meet
a false pair in one process of 18: 10^6 words, 20 bases, four neighbours, and three values of each make 2.4 * 10^8
chances of 2^-32. Real data has few such words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dumpmap.model.memory import Memory
from dumpmap.model.values import value_class
from dumpmap.model.winnt import ALLOCATION_GRANULARITY

U64 = npt.NDArray[np.uint64]
Index = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]

Progress = Callable[[int, int], None]
"""Called with the bytes that are done and the bytes in all."""

CHUNK = 1 << 20
"""Bytes that are read at a time."""

NEAR = 2
"""How many words away from the base its size or end may lie."""

MAX_HITS = 200_000
"""Most hits that one search takes. A real process has some thousands."""

Words = npt.NDArray[Any]

_WORDS: dict[int, np.dtype[Any]] = {4: np.dtype("<u4"), 8: np.dtype("<u8")}


@value_class(frozen=True, slots=True)
class Targets:
    """Allocations to look for, sorted by base. All arrays have one length, and sizes are bytes.

    Attributes:
        bases: first byte.
        sizes: reserved and committed bytes.
        committed: committed bytes.
        before: size of the allocation that ends exactly where this one begins; 0 if there is none. A pointer to this
            base may then be the end of that allocation.
        lone: whether a base alone, without size or end beside it, counts.
    """

    bases: U64
    sizes: U64
    committed: U64
    before: U64
    lone: Mask

    def __len__(self) -> int:
        return len(self.bases)


class Hit(NamedTuple):
    """Pointers to one target in one piece of memory.

    Attributes:
        target: index of the target.
        address: address of the first pointer.
        pair: whether its size or end lies beside it.
        hits: how many such pointers it stands for.
    """

    target: int
    address: int
    pair: bool
    hits: int


class PointerScan:
    """A search through several ranges of memory, with one limit for all of them.

    Args:
        memory: the process.
        targets: what to look for.
        limit: most bytes to search.
        progress: told after every chunk how much is done.
        total: bytes that are to be searched, for `progress`.

    Attributes:
        searched: bytes that were searched.
        missing: bytes that are not in the input.
        complete: False after a limit was met.
    """

    def __init__(
        self, memory: Memory, targets: Targets, limit: int, progress: Progress | None = None, total: int = 0
    ) -> None:
        self._memory = memory
        self._targets = targets
        self._limit = limit
        self._progress = progress
        self._total = total
        self._hits = 0
        ranges = memory.ranges()
        self._starts = np.array([start for start, _ in ranges], np.uint64)
        self._ends = np.array([start + size for start, size in ranges], np.uint64)
        self.searched = self.missing = 0
        self.complete = True

    def search(
        self, base: int, size: int, pointer_size: int, keep: int = 1, targets: Targets | None = None
    ) -> Iterator[Hit]:
        """Yields pointers to targets in [base, base + size).

        Args:
            base: start of the range; a multiple of `pointer_size`.
            size: its bytes.
            pointer_size: 4 or 8.
            keep: how many hits to yield for a target and a chunk of memory; the last one counts all others.
            targets: what to look for, if it differs from the rest of the search.
        """
        targets = targets or self._targets
        captured = 0
        for start, end in self._captured(base, base + size):
            captured += end - start
            for at in range(start, end, CHUNK):
                stop = min(at + CHUNK, end)
                if self.searched + stop - at > self._limit or self._hits >= MAX_HITS:
                    self.complete = False
                    return
                yield from self._chunk(at, stop, (start, end), pointer_size, keep, targets)
                self.searched += stop - at
                if self._progress is not None:
                    self._progress(self.searched, self._total)
        self.missing += size - captured

    def _captured(self, low: int, high: int) -> Iterator[tuple[int, int]]:
        """Yields the parts of a range that the input has."""
        first = max(0, int(np.searchsorted(self._starts, np.uint64(low), side="right")) - 1)
        for index in range(first, len(self._starts)):
            start, end = max(low, int(self._starts[index])), min(high, int(self._ends[index]))
            if int(self._starts[index]) >= high:
                return
            if start < end:
                yield start, end

    def _chunk(
        self, at: int, stop: int, bounds: tuple[int, int], pointer_size: int, keep: int, targets: Targets
    ) -> Iterator[Hit]:
        """Searches one chunk. It is read with a few words on both sides, where these are captured."""
        at += -at % pointer_size
        margin = NEAR * pointer_size
        low, high = max(at - margin, bounds[0] + -bounds[0] % pointer_size), min(stop + margin, bounds[1])
        data = self._memory.read(low, high - low) if high - low >= pointer_size else None
        if data is None:
            return
        words = np.frombuffer(data, _WORDS[pointer_size], (high - low) // pointer_size)
        place = _places(words, targets.bases)
        place = place[(place >= (at - low) // pointer_size) & (place < (stop - low) // pointer_size)]
        if not len(place):
            return
        values = words[place].astype(np.uint64)
        target = np.minimum(np.searchsorted(targets.bases, values), len(targets) - 1)
        exact = targets.bases[target] == values
        place, target = place[exact], target[exact]
        pair, counts = _judged(words, place, target, targets)
        for index, where, is_pair, count in _reduced(place[counts], target[counts], pair[counts], keep):
            self._hits += 1
            yield Hit(index, low + where * pointer_size, is_pair, count)


def _places(words: Words, bases: U64) -> Index:
    """Returns where words are that could be a base: multiples of 64 KB between the first and the last target."""
    low = words.view("<u2")[:: words.itemsize // 2]
    first, last = int(bases[0]), int(bases[-1])
    top = (1 << 8 * words.itemsize) - 1
    if first > top:
        return np.empty(0, np.intp)
    possible = low == 0
    possible &= words >= words.dtype.type(first)
    possible &= words <= words.dtype.type(min(last, top))
    return np.flatnonzero(possible)


def _judged(words: Words, place: Index, target: Index, known: Targets) -> tuple[Mask, Mask]:
    """Tells which hits are pairs, and which count at all.

    Where another allocation ends at the base, the bounds of that one look like a pointer to this one. Ends are kept
    beside their start or size, as in the bounds of a stack, so a word beside it that belongs to the other
    allocation rules a hit out. The target's own end is still a proof.

    In words of 32 bits, base and the word beside it must not both be plain numbers.
    """
    base, size, committed = known.bases[target], known.sizes[target], known.committed[target]
    before = known.before[target]
    end, start = base + size, base - before
    chance = _plain(base) & (words.itemsize == 4)
    own_end, own_size, foreign = (np.zeros(len(place), np.bool_) for _ in range(3))
    for step in (*range(-NEAR, 0), *range(1, NEAR + 1)):
        beside = place + step
        inside = (beside >= 0) & (beside < len(words))
        value = words[np.where(inside, beside, 0)].astype(np.uint64)
        counts = inside & ~(chance & _plain(value))
        own_end |= counts & (value == end)
        own_size |= counts & ((value == size) | ((value == committed) & (committed > 0)))
        foreign |= inside & (before > 0) & ((value == before) | ((value >= start) & (value < base)))
    pair = own_end | (own_size & ~foreign)
    return pair, pair | (known.lone[target] & ~foreign)


def _plain(values: U64) -> Mask:
    """Tells which numbers have all their bits within eight places, as a byte has that is shifted to somewhere."""
    lowest = values & (~values + np.uint64(1))
    plain: Mask = values // np.maximum(lowest, np.uint64(1)) < np.uint64(256)
    return plain


def _reduced(place: Index, target: Index, pair: Mask, keep: int) -> Iterator[tuple[int, int, bool, int]]:
    """Yields the first hits of each target, pairs apart from others, with the number of hits they stand for."""
    key = target * 2 + pair
    order = np.argsort(key, kind="stable")
    key, place = key[order], place[order]
    values, starts, counts = np.unique(key, return_index=True, return_counts=True)
    for value, start, count in zip(values.tolist(), starts.tolist(), counts.tolist(), strict=True):
        shown = min(count, keep)
        for number in range(shown):
            stands_for = 1 if number + 1 < shown else count - shown + 1
            yield value // 2, int(place[start + number]), bool(value % 2), stands_for


def joined(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Joins (base, size) ranges, sorted by base, that touch."""
    parts: list[tuple[int, int]] = []
    for base, size in ranges:
        if parts and parts[-1][0] + parts[-1][1] == base:
            parts[-1] = parts[-1][0], parts[-1][1] + size
        else:
            parts.append((base, size))
    return parts


def without(ranges: Sequence[tuple[int, int]], left_out: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Returns (base, size) ranges without what lies in others, which are (start, end). Both are sorted."""
    parts = []
    for base, size in ranges:
        at, stop = base, base + size
        for start, end in left_out:
            if start < stop and at < end:
                if at < start:
                    parts.append((at, start - at))
                at = max(at, end)
        if at < stop:
            parts.append((at, stop - at))
    return parts


def may_stand_alone(bases: U64, after_stack: Mask, *, narrow: bool) -> Mask:
    """Tells which bases count as pointers alone, without size or end beside them.

    Above 4 GB no other number looks like one by chance. Below, it must not look like a constant: above 16 MB and no
    multiple of 1 MB. The end of a stack is noted in many places, so what follows a stack never counts.

    Args:
        bases: of the allocations.
        after_stack: whether a stack ends there.
        narrow: the process is a 32-bit one.
    """
    alone: Mask = bases >= np.uint64(1 << 32)
    if not narrow:
        alone = alone | ((bases >= np.uint64(1 << 24)) & (bases % np.uint64(16 * ALLOCATION_GRANULARITY) != 0))
    return alone & ~after_stack
