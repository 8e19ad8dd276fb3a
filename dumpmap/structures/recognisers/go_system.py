"""What the Go runtime took from the system for itself, and what its collector states.

Each part has its own proof; what has none is not claimed. Source: golang/go, src/runtime/malloc.go (persistent chunks),
mheap.go (spans, mark bits), mgcscavenge.go (scavenge index), mgcpacer.go (collector).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from dumpmap.model.memory import unrecorded
from dumpmap.model.values import value_class
from dumpmap.model.winnt import ALLOCATION_GRANULARITY, PAGE_SIZE
from dumpmap.structures.bounds import round_up
from dumpmap.structures.recognisers.go_heap import GO_PAGE, ArenaList, GoReader, PageCounts, PageSummaries
from dumpmap.structures.recognisers.protocol import Context
from dumpmap.structures.recognisers.words import Run, word, words

CHUNK = 256 << 10
"""Bytes of a persistent chunk."""

BITS = 64 << 10
"""Bytes of a block of mark bits."""

MAX_LINKS = 1 << 18
"""Links of lists that are followed. A process with 16 GB of persistent chunks has 65,536 of them."""

MAX_ROOTS = 4096
"""Variables that point to the start of allocations of one size; later ones are not looked at."""

MAX_TUPLES = 16
"""Groups of variables that are checked because they may be the lists of mark bits, those with the most blocks first."""

MAX_STATES = 64
"""Places that are searched for the collector's sums because they look like its first variables."""

NO_LIMIT = (1 << 63) - 1
"""Memory limit of a program that has none."""

_HEAP_MINIMUM = 4 << 20
"""Smallest heap before a collection at GOGC=100; it scales with GOGC."""

_MAX_PERCENT = 1_000_000

_STATE = 0x200
"""Bytes behind the memory limit that can hold the collector's sums; Go 1.27 uses 0x120."""

_INDEX_ENTRIES = (1, 8)
"""Bytes of a scavenge index for each entry of its slice: Go 1.19 and 1.20, and later versions."""

_MAX_METADATA = 1 << 20

_BUCKETS = 179_999
"""Entries of the hash table of profiles."""

_SAMPLE = 64
"""Spans that are searched for a pointer to mark bits."""

_SPAN = 0xA0
"""Bytes of what the runtime keeps of a span."""


@value_class(frozen=True, slots=True)
class Collector:
    """What the collector's state holds. Bytes.

    Attributes:
        limit: GOMEMLIMIT; None if the program has none.
        in_use: spans that hold objects.
        released: free pages that were given back to the system.
        free: other free pages.
    """

    limit: int | None
    in_use: int
    released: int
    free: int


class GoSystem:
    """Finds what the runtime of one Go program took for itself."""

    def __init__(self, context: Context, reader: GoReader, runs: Sequence[Run]) -> None:
        """`runs` are the words of the program's variables."""
        self._memory = context.memory
        self._space = context.space
        self._reader = reader
        self._width = reader.widths.pointer
        self._links = MAX_LINKS
        self._roots: dict[int, list[tuple[int, int]]] = {}
        for base, values in runs:
            for index, value in enumerate(values):
                if value and value % ALLOCATION_GRANULARITY == 0:
                    allocation = self._space.allocation(value)
                    if allocation is None or allocation[0] != value:
                        continue
                    places = self._roots.setdefault(allocation[1], [])
                    if len(places) < MAX_ROOTS:
                        places.append((base + index * self._width, value))

    def _is_block(self, address: int, size: int) -> bool:
        return self._space.allocation(address) == (address, size)

    def _linked(self, first: int, size: int, link: int) -> list[int] | None:
        """Follows a list of allocations of one size; None if it does not end as it should."""
        found: dict[int, None] = {}
        block: int | None = first
        while block:
            self._links -= 1
            if block in found or self._links < 0 or not self._is_block(block, size):
                return None
            found[block] = None
            block = word(unrecorded(self._memory), block + link, self._width)
        return list(found) if block == 0 else None

    # ------------------------------------------------------------ chunks, mark bits

    def persistent_chunks(self, arenas: ArenaList) -> list[int]:
        """Returns the chunks for what is never freed: the longest list that holds the list of arenas.

        A variable points to the newest chunk, and each chunk to the one before it.
        """
        best: list[int] = []
        best_at = 0
        for pointer, at in {pointer: at for at, pointer in reversed(self._roots.get(CHUNK, []))}.items():
            chunks = self._linked(pointer, CHUNK, 0)
            if chunks and len(chunks) > len(best) and any(0 <= arenas.array - chunk < CHUNK for chunk in chunks):
                best, best_at = chunks, at
        for address in (best_at, *best):
            self._memory.read(address, self._width)
        return best

    def mark_bits(self, spans: int) -> list[int]:
        """Returns the blocks of mark bits: four lists in successive variables (free, next, current, previous).

        A block begins with how much of it is used and with a link to another one, and spans point into it.
        """
        candidates: dict[int, list[int]] = {}
        for at, _ in self._roots.get(BITS, ()):
            for first in range(at - 3 * self._width, at + 1, self._width):
                blocks = self._bit_lists(first)
                if blocks:
                    candidates[first] = blocks
        ordered = sorted(candidates.items(), key=lambda candidate: (-len(candidate[1]), candidate[0]))
        for first, blocks in ordered[:MAX_TUPLES]:
            if self._has_span(spans, blocks):
                self._memory.read(first, 4 * self._width)
                for block in blocks:
                    self._memory.read(block, 2 * self._width)
                return blocks
        return []

    def _has_span(self, spans: int, blocks: Sequence[int]) -> bool:
        """Tells whether one of the first spans points into a block."""
        for at, table in words(self._memory, spans, spans + _SAMPLE * self._width, self._width):
            for index, span in enumerate(table):
                for base, values in words(self._memory, span, span + _SPAN, self._width):
                    for number, value in enumerate(values):
                        if any(0 < value - block < BITS for block in blocks):
                            self._memory.read(at + index * self._width, self._width)
                            self._memory.read(base + number * self._width, self._width)
                            return True
        return False

    def _bit_lists(self, at: int) -> list[int]:
        found: dict[int, None] = {}
        used = 0
        for number in range(4):
            first = word(unrecorded(self._memory), at + number * self._width, self._width)
            if first is None:
                return []
            blocks = self._linked(first, BITS, self._width)
            if blocks is None or not found.keys().isdisjoint(blocks):
                return []
            found.update(dict.fromkeys(blocks))
            for block in blocks:
                position = word(unrecorded(self._memory), block, self._width)
                if position is None or position % 8 or position > BITS - 2 * self._width:
                    return []
                used += number > 0 and position > 0
        return list(found) if used else []

    def profile_tables(self, chunks: Sequence[int]) -> list[tuple[int, int]]:
        """Returns the hash tables of profiles: of one odd size, with entries that lie in persistent chunks."""
        size = round_up(_BUCKETS * self._width, PAGE_SIZE)
        found = {}
        for at, table in self._roots.get(size, ()):
            entry = self._first_entry(table, chunks)
            if entry is not None and table not in found:
                found[table] = size
                self._memory.read(at, self._width)
                self._memory.read(entry, self._width)
        return list(found.items())

    def _first_entry(self, table: int, chunks: Sequence[int]) -> int | None:
        """Where the first entry of a table is; None if there is none, or it lies in no chunk."""
        for base, values in words(self._memory, table, table + _BUCKETS * self._width, self._width):
            for index, value in enumerate(values):
                if value:
                    known = any(0 < value - chunk < CHUNK for chunk in chunks)
                    return base + index * self._width if known else None
        return None

    # ------------------------------------------------------------ tables behind `mheap_.pages`

    def span_table(self, tail: Mapping[int, int], chunks: Sequence[int]) -> tuple[int, int] | None:
        """Returns the list of all spans: it fills its allocation, and its spans lie in persistent chunks."""
        for at, pointer, count in self._reader.slices(tail):
            size = round_up(tail[at + 2 * self._width] * self._width, PAGE_SIZE)
            if not self._is_block(pointer, size):
                continue
            ends = [word(unrecorded(self._memory), pointer + i * self._width, self._width) for i in (0, count - 1)]
            if all(span and any(0 <= span - chunk < CHUNK for chunk in chunks) for span in ends):
                for address, words_read in ((at, 3), (pointer, 1), (pointer + (count - 1) * self._width, 1)):
                    self._memory.read(address, words_read * self._width)
                return pointer, size
        return None

    def scavenge_index(self, tail: Mapping[int, int], summaries: PageSummaries) -> tuple[int, int] | None:
        """Returns the index of pages that can be given back: a slice that fills a reservation of its own."""
        for at, pointer in tail.items():
            capacity = tail.get(at + 2 * self._width, 0)
            if capacity < 1 << 10 or capacity & capacity - 1 or pointer in summaries.levels:
                continue
            for entry in _INDEX_ENTRIES:
                if tail[at + self._width] <= capacity and self._is_block(pointer, entry * capacity):
                    self._memory.read(at, 3 * self._width)
                    return pointer, entry * capacity
        return None

    def arena_metadata(self, arenas: ArenaList) -> list[tuple[int, int]]:
        """Returns the metadata of arenas where it lies outside chunks: up to Go 1.21, and in 32-bit programs.

        Each arena's has an allocation of its own, or all lie in one, at equal distances. If the map has an entry for
        only one of several listed arenas, that entry agrees with nothing.
        """
        entries = sorted(arenas.metadata)
        if len(entries) == 1 and arenas.unproved:
            return []
        found = [self._space.allocation(entry) for entry in entries]
        steps = {high - low for low, high in pairwise(entries)}
        if len(set(found)) == len(entries):
            sizes = {part[1] for part in found if part is not None}
            alone = all(part is not None and part[0] == entry for part, entry in zip(found, entries, strict=True))
            size = sizes.pop() if alone and len(sizes) == 1 else 0
            return [(entry, size) for entry in entries] if 0 < size <= _MAX_METADATA else []
        # A chunk is too small for its metadata to fill it; a reservation for it is not.
        step = steps.pop() if len(steps) == 1 and len(set(found)) == 1 else 0
        if found[0] is None or not GO_PAGE <= step <= _MAX_METADATA or found[0][1] <= CHUNK:
            return []
        return [(entries[0], step * len(entries))]

    # ------------------------------------------------------------ the collector

    def collector(self, runs: Sequence[Run], pages: PageCounts) -> Collector | None:
        """Finds the state of the collector (since Go 1.19).

        It begins with GOGC, the memory limit, and the smallest heap, which follows from GOGC. Its sums of memory in use
        and free must agree with the bitmaps. Pages that a processor has put aside count as free in the sums, but as in
        use in the bitmaps.

        Args:
            runs: the program's variables as 64-bit words; in a 32-bit program, too, the state consists of such.
            pages: what the bitmaps say.
        """
        left = MAX_STATES
        for base, values in runs:
            for index in range(len(values) - 2):
                if not 0 < values[index + 1] <= NO_LIMIT or not _is_minimum(values[index], values[index + 2]):
                    continue
                left -= 1
                if left < 0:
                    return None
                for place in range(index + 3, min(index + _STATE // 8, len(values) - 2)):
                    in_use, released, free = values[place : place + 3]
                    if _agree(in_use, released, free, pages):
                        limit = values[index + 1]
                        # In one piece: a snapshot is searched in pieces, too.
                        self._memory.read(base + index * 8, (place + 3 - index) * 8)
                        return Collector(limit if limit < NO_LIMIT else None, in_use, released, free)
        return None


def _is_minimum(percent: int, minimum: int) -> bool:
    """Tells whether a word holds GOGC, for which `minimum` is the smallest heap. -1 switches the collector off."""
    percent &= 0xFFFFFFFF  # the other half is padding, or another variable
    if percent > _MAX_PERCENT and percent != 0xFFFFFFFF:
        return False
    signed = percent if percent != 0xFFFFFFFF else (1 << 64) - 1
    return minimum == (_HEAP_MINIMUM * signed & (1 << 64) - 1) // 100 and minimum > 0


def _agree(in_use: int, released: int, free: int, pages: PageCounts) -> bool:
    if in_use % GO_PAGE or released % PAGE_SIZE or free % PAGE_SIZE:
        return False
    total = (pages.used + pages.free) * GO_PAGE
    return 0 < in_use <= pages.used * GO_PAGE and pages.free * GO_PAGE <= released + free <= total - in_use
