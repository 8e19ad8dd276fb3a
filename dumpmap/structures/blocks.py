"""Counts the blocks of an NT heap. Only on demand, because it reads every committed byte of every segment."""

from __future__ import annotations

import sys
from array import array

from dumpmap.model.heaps import NT_HEAP, OLD_NT_HEAP, HeapInfo, HeapRange
from dumpmap.model.memory import Memory
from dumpmap.model.values import value_class
from dumpmap.structures.heap_context import HeapContext
from dumpmap.structures.layout import parts
from dumpmap.structures.layouts import nt_heap as layouts
from dumpmap.structures.nt_segments import HeapSegment, find_old_segment, read_segment
from dumpmap.structures.space import NoSpace

MAX_BLOCKS = 20_000_000
"""Most blocks of one heap that are counted."""

_WINDOW = 0x40000  # bytes read at a time
_ENCODING = parts(layouts.HEAP_8, "EncodeFlagMask", "Encoding")

# Size, Flags and PreviousSize in the eight bytes of an entry, as shifts of one little-endian number; the checksum byte.
_SHIFTS = {
    is_old: tuple(8 * (table[4].offsets[name] - table[4].offsets["Size"]) for name in ("Size", "Flags", "PreviousSize"))
    for is_old, table in ((False, layouts.HEAP_ENTRY), (True, layouts.HEAP_ENTRY_OLD))
}


@value_class(frozen=True, slots=True)
class SizeClass:
    """The blocks of one power of two.

    Attributes:
        limit: blocks of the class have at most this many bytes, and more than half of it.
        busy_count: blocks in use.
        busy_bytes: bytes of them, headers included.
        free_count: free blocks.
        free_bytes: bytes of them.
    """

    limit: int
    busy_count: int
    busy_bytes: int
    free_count: int
    free_bytes: int


@value_class(frozen=True, slots=True)
class BlockStatistics:
    """What the blocks in a heap's segments add up to. Bytes count block headers.

    Attributes:
        classes: by power of two, ascending, without empty classes. Large blocks are not included.
        busy_count: blocks in use. A block that the low-fragmentation front end subdivides counts as one.
        busy_bytes: bytes of them.
        free_count: free blocks.
        free_bytes: bytes of them.
        largest_free: bytes of the largest free block.
        front_end_count: blocks in use that the low-fragmentation front end subdivides.
        front_end_bytes: bytes of them.
        large_count: large blocks, each with an allocation of its own.
        large_bytes: committed bytes of them.
        problems: where counting stopped early, one line each. Empty if every block was counted.
    """

    classes: tuple[SizeClass, ...]
    busy_count: int
    busy_bytes: int
    free_count: int
    free_bytes: int
    largest_free: int
    front_end_count: int
    front_end_bytes: int
    large_count: int
    large_bytes: int
    problems: tuple[str, ...]


def heap_blocks(memory: Memory, heap: HeapInfo) -> BlockStatistics | None:
    """Counts the blocks of a heap by walking its segments.

    Counting of a segment stops at its first inconsistency: a checksum, a previous size, or an end that does not fit.

    Args:
        memory: the process.
        heap: an NT heap as the recogniser found it.

    Returns:
        None for kinds of heap whose blocks cannot be counted.
    """
    # A heap that only a heap stream names has no header that was read, whatever kind it reports.
    if heap.kind not in (NT_HEAP, OLD_NT_HEAP) or not heap.pointer_size:
        return None
    return _Counter(memory, heap).count()


_NONE, _LAST, _LOOK = -1, -2, -3
"""Instead of the size of the block before: there is none; it was the last; and the entry must be looked at."""

_MOST_KNOWN = 1 << 16
"""Different entries that are kept. Blocks of a few sizes follow each other, so most entries are met again."""


class _Entries(dict[int, "tuple[int, int, list[int]]"]):
    """What the entries of blocks say: their size in units, that of the block before, and the counter of such blocks.

    Instead of the size before, an entry that is damaged or ends a run has `_LOOK`.
    """

    def __init__(self, is_old: bool) -> None:
        super().__init__()
        self.key = 0
        self._is_old = is_old
        self._counters: dict[tuple[int, int], list[int]] = {}
        self._allowed = 0

    def __missing__(self, entry: int) -> tuple[int, int, list[int]]:
        size, flags, before = self.fields(entry)
        if not size or flags & layouts.HEAP_ENTRY_LAST or not self.is_sound(entry):
            before = _LOOK
        if len(self) >= _MOST_KNOWN:
            self.clear()
        kind = flags & (layouts.HEAP_ENTRY_BUSY | layouts.HEAP_ENTRY_INTERNAL)
        found = self[entry] = size, before, self._counters.setdefault((size, kind), [0])
        return found

    def fields(self, entry: int) -> tuple[int, int, int]:
        """Returns size, flags, and the size of the block before."""
        size_at, flags_at, previous_at = _SHIFTS[self._is_old]
        plain = entry ^ self.key
        return plain >> size_at & 0xFFFF, plain >> flags_at & 0xFF, plain >> previous_at & 0xFFFF

    def is_sound(self, entry: int) -> bool:
        """Tells whether the checksum is right; old heaps have none."""
        plain = entry ^ self.key
        return self._is_old or not (plain ^ plain >> 8 ^ plain >> 16 ^ plain >> 24) & 0xFF

    def room(self, wanted: int) -> int:
        """Returns how many of so many more blocks may be counted."""
        if self._allowed + wanted > MAX_BLOCKS:  # not all that were allowed need exist
            self._allowed = sum(count for (count,) in self._counters.values())
        room = min(wanted, MAX_BLOCKS - self._allowed)
        self._allowed += room
        return room

    def counts(self) -> tuple[dict[int, int], dict[int, int], dict[int, int]]:
        """Returns by size in units: blocks in use, free blocks, and those of the first that the front end divides."""
        busy: dict[int, int] = {}
        free: dict[int, int] = {}
        front_end: dict[int, int] = {}
        for (size, flags), (count,) in self._counters.items():
            if count:
                counts = busy if flags & layouts.HEAP_ENTRY_BUSY else free
                counts[size] = counts.get(size, 0) + count
                if counts is busy and flags & layouts.HEAP_ENTRY_INTERNAL:
                    front_end[size] = count
        return busy, free, front_end


class _Counter:
    """The counts of one heap."""

    def __init__(self, memory: Memory, heap: HeapInfo) -> None:
        self._memory = memory
        self._heap = heap
        self._is_old = heap.kind == OLD_NT_HEAP
        self._unit = layouts.ENTRY_UNIT[heap.pointer_size]
        self._context = HeapContext(memory, NoSpace(), (), heap.pointer_size, None)
        self._problems: list[str] = []
        self._known = _Entries(self._is_old)

    def count(self) -> BlockStatistics:
        """Counts everything."""
        if not self._is_old:
            encoding = _ENCODING[self._heap.pointer_size].read(self._memory, self._heap.address)
            if encoding is None:
                self._problems.append(f"heap {self._heap.address:#x}: its header is not in the dump")
                return self._result()
            self._known.key = encoding[1] if encoding[0] & layouts.ENCODE_HEADERS else 0
        for range_ in self._heap.ranges:
            if range_.role == "segment":
                problem = self._count_segment(range_)
                if problem:
                    self._problems.append(f"segment {range_.base:#x}: {problem}")
        return self._result()

    def _count_segment(self, range_: HeapRange) -> str | None:
        segment = self._read_segment(range_.base)
        if isinstance(segment, str):
            return f"its header is invalid ({segment})"
        if segment.uncommitted and not range_.uncommitted:
            return "its uncommitted ranges are unknown"
        position = segment.first_entry
        for hole, size in (*range_.uncommitted, (segment.last_entry, 0)):
            if position < hole:
                problem = self._count_run(position, min(hole, segment.last_entry))
                if problem:
                    return problem
            position = hole + size
        return None

    def _read_segment(self, base: int) -> HeapSegment | str:
        if not self._is_old:
            return read_segment(self._context, base, self._heap.address)
        return find_old_segment(self._context, self._heap.address, base)

    def _count_run(self, start: int, end: int) -> str | None:
        """Counts the blocks that fill [start, end) exactly."""
        unit, known = self._unit, self._known
        window = position = start
        words = array("Q")
        previous = _NONE
        while position < end:
            # Sizes are multiples of the unit, so a header never straddles two windows.
            index = (position - window) // unit
            if index >= len(words):
                window, index = position, 0
                words = self._headers(window, end)
                if not words:
                    return f"the bytes at {position:#x} are not in the dump"
            stop = min(len(words), index + known.room(len(words) - index))
            while index < stop:
                size, before, count = known[words[index]]
                if before != previous:  # or the entry needs a look: few do
                    break
                count[0] += 1
                index += size
                previous = size
            position = window + index * unit
            if index < len(words):
                size, before, count = known[words[index]]
                problem = self._problem(position, end, words[index], previous)
                if problem:
                    return problem
                count[0] += 1
                position += size * unit
                previous = _LAST if known.fields(words[index])[1] & layouts.HEAP_ENTRY_LAST else size
            elif position > end:
                known[words[index - size]][2][0] -= 1
                return f"the block at {position - size * unit:#x} does not fit"
        return None

    def _headers(self, window: int, end: int) -> array[int]:
        """Reads the last eight bytes of each unit from `window` on: of those where a block begins, its entry."""
        data = self._memory.read(window, min(_WINDOW, end - window)) or self._memory.read(window, self._unit) or b""
        words = array("Q", data + bytes(-len(data) % self._unit))
        if sys.byteorder == "big":
            words.byteswap()
        return words[self._unit // 8 - 1 :: self._unit // 8]

    def _problem(self, position: int, end: int, entry: int, previous: int) -> str | None:
        """Says why a block cannot be where it is; None if it can."""
        size, _, before = self._known.fields(entry)
        if not self._known.is_sound(entry):
            return f"the block at {position:#x} has a wrong checksum"
        if not size or position + size * self._unit > end or previous == _LAST:
            return f"the block at {position:#x} does not fit"
        if previous not in (_NONE, before):
            return f"the block at {position:#x} states another size for the block before it"
        return None if self._known.room(1) else f"more than {MAX_BLOCKS:,} blocks"

    def _result(self) -> BlockStatistics:
        unit = self._unit
        busy, free, front_end = self._known.counts()
        classes: dict[int, list[int]] = {}
        for column, counts in ((0, busy), (2, free)):
            for units, count in counts.items():
                limit = 1 << (units * unit - 1).bit_length()
                row = classes.setdefault(limit, [0, 0, 0, 0])
                row[column] += count
                row[column + 1] += count * units * unit
        large = [range_ for range_ in self._heap.ranges if range_.role == "large block"]
        return BlockStatistics(
            classes=tuple(SizeClass(limit, *classes[limit]) for limit in sorted(classes)),
            busy_count=sum(busy.values()),
            busy_bytes=sum(units * count for units, count in busy.items()) * unit,
            free_count=sum(free.values()),
            free_bytes=sum(units * count for units, count in free.items()) * unit,
            largest_free=max(free, default=0) * unit,
            front_end_count=sum(front_end.values()),
            front_end_bytes=sum(units * count for units, count in front_end.items()) * unit,
            large_count=len(large),
            large_bytes=sum(range_.committed or 0 for range_ in large),
            problems=tuple(self._problems),
        )
