"""Counts the blocks of an NT heap. Only on demand, because it reads every committed byte of every segment."""

from __future__ import annotations

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


class _Counter:
    """The counts of one heap."""

    def __init__(self, memory: Memory, heap: HeapInfo) -> None:
        self._memory = memory
        self._heap = heap
        self._is_old = heap.kind == OLD_NT_HEAP
        self._unit = layouts.ENTRY_UNIT[heap.pointer_size]
        self._context = HeapContext(memory, NoSpace(), (), heap.pointer_size, None)
        self._problems: list[str] = []
        # By size in units: blocks in use, free blocks.
        self._busy: dict[int, int] = {}
        self._free: dict[int, int] = {}
        self._front_end: dict[int, int] = {}
        self._left = MAX_BLOCKS

    def count(self) -> BlockStatistics:
        """Counts everything."""
        key = 0
        if not self._is_old:
            encoding = _ENCODING[self._heap.pointer_size].read(self._memory, self._heap.address)
            if encoding is None:
                self._problems.append(f"heap {self._heap.address:#x}: its header is not in the dump")
                return self._result()
            key = encoding[1] if encoding[0] & layouts.ENCODE_HEADERS else 0
        for range_ in self._heap.ranges:
            if range_.role == "segment":
                problem = self._count_segment(range_, key)
                if problem:
                    self._problems.append(f"segment {range_.base:#x}: {problem}")
        return self._result()

    def _count_segment(self, range_: HeapRange, key: int) -> str | None:
        segment = self._read_segment(range_.base)
        if isinstance(segment, str):
            return f"its header is invalid ({segment})"
        if segment.uncommitted and not range_.uncommitted:
            return "its uncommitted ranges are unknown"
        position = segment.first_entry
        for hole, size in (*range_.uncommitted, (segment.last_entry, 0)):
            if position < hole:
                problem = self._count_run(position, min(hole, segment.last_entry), key)
                if problem:
                    return problem
            position = hole + size
        return None

    def _read_segment(self, base: int) -> HeapSegment | str:
        if not self._is_old:
            return read_segment(self._context, base, self._heap.address)
        return find_old_segment(self._context, self._heap.address, base)

    def _count_run(self, start: int, end: int, key: int) -> str | None:
        """Counts the blocks that fill [start, end) exactly."""
        unit, is_old, memory = self._unit, self._is_old, self._memory
        size_at, flags_at, previous_at = _SHIFTS[is_old]
        previous = -1
        is_last = False
        position = window = start
        data = b""
        while position < end:
            # Sizes are multiples of the unit, so a header never straddles two windows.
            offset = position - window
            if offset >= len(data):
                window, offset = position, 0
                data = memory.read(window, min(_WINDOW, end - window)) or memory.read(window, unit) or b""
                if not data:
                    return f"the bytes at {position:#x} are not in the dump"
            entry = int.from_bytes(data[offset + unit - 8 : offset + unit], "little") ^ key
            if not is_old and (entry ^ entry >> 8 ^ entry >> 16 ^ entry >> 24) & 0xFF:
                return f"the block at {position:#x} has a wrong checksum"
            size = entry >> size_at & 0xFFFF
            flags = entry >> flags_at & 0xFF
            if not size or position + size * unit > end or is_last:
                return f"the block at {position:#x} does not fit"
            if previous >= 0 and entry >> previous_at & 0xFFFF != previous:
                return f"the block at {position:#x} states another size for the block before it"
            if not self._left:
                return f"more than {MAX_BLOCKS} blocks"
            self._left -= 1
            if flags & layouts.HEAP_ENTRY_BUSY:
                self._busy[size] = self._busy.get(size, 0) + 1
                if flags & layouts.HEAP_ENTRY_INTERNAL:
                    self._front_end[size] = self._front_end.get(size, 0) + 1
            else:
                self._free[size] = self._free.get(size, 0) + 1
            is_last = bool(flags & layouts.HEAP_ENTRY_LAST)
            previous = size
            position += size * unit
        return None

    def _result(self) -> BlockStatistics:
        unit = self._unit
        classes: dict[int, list[int]] = {}
        for column, counts in ((0, self._busy), (2, self._free)):
            for units, count in counts.items():
                limit = 1 << (units * unit - 1).bit_length()
                row = classes.setdefault(limit, [0, 0, 0, 0])
                row[column] += count
                row[column + 1] += count * units * unit
        large = [range_ for range_ in self._heap.ranges if range_.role == "large block"]
        return BlockStatistics(
            classes=tuple(SizeClass(limit, *classes[limit]) for limit in sorted(classes)),
            busy_count=sum(self._busy.values()),
            busy_bytes=sum(units * count for units, count in self._busy.items()) * unit,
            free_count=sum(self._free.values()),
            free_bytes=sum(units * count for units, count in self._free.items()) * unit,
            largest_free=max(self._free, default=0) * unit,
            front_end_count=sum(self._front_end.values()),
            front_end_bytes=sum(units * count for units, count in self._front_end.items()) * unit,
            large_count=len(large),
            large_bytes=sum(range_.committed or 0 for range_ in large),
            problems=tuple(self._problems),
        )
