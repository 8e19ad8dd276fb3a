"""A .NET runtime's memory beside its managed heap: loader heaps, ranges of code, and handle tables."""

from __future__ import annotations

from dataclasses import dataclass

from .minidump import PAGE_EXECUTE_READ
from .process import ProcessBuilder
from .space import PAGE

SEGMENT = 0x10000

# Offsets that a contract may state; here they are none that a real runtime has.
MAP_TYPES = {
    "RangeSectionMap": {"TopLevelData": 0x10},
    "RangeSectionFragment": {"RangeSection": 0, "Next": 8, "RangeBegin": 0x18, "RangeEndOpen": 0x20},
    "RangeSection": {"Flags": 0, "RangeBegin": 0x10, "RangeEndOpen": 0x18, "R2RModule": 0x20, "HeapList": 0x28},
    "CodeHeapListNode": {"MapBase": 8, "StartAddress": 0x10, "EndAddress": 0x18},
}


@dataclass
class RuntimeMemory:
    """Adds such memory to a process. Objects go to a heap of their own; addresses of variables come from outside."""

    process: ProcessBuilder

    def __post_init__(self) -> None:
        self.width = self.process.pointer_size
        self._next = self.process.allocate(0x40000)

    def object(self, size: int) -> int:
        """Room for an object; returns its address."""
        address = self._next
        self._next += (size + 15) & ~15
        return address

    def words(self, address: int, *values: int) -> None:
        """Writes pointers one after the other."""
        for index, value in enumerate(values):
            self.process.pointer(address + index * self.width, value)

    # --- loader heaps --------------------------------------------------------------------------

    def loader_heap(
        self, address: int, blocks: int = 2, *, distance: int = 1, in_place: bool = False
    ) -> list[tuple[int, int]]:
        """Writes a loader heap's object; returns its blocks, the current one first.

        Args:
            address: of the object.
            blocks: how many it has. The current one is committed for two pages.
            distance: how many words before the next free byte the first block is named. With 1, the object is that of
                .NET Core 2.1, else that of .NET 10.
            in_place: whether each block begins with its own description.
        """
        found: list[tuple[int, int]] = []
        node = 0
        for number in range(blocks):
            base = self.process.allocate(SEGMENT, commit=2 * PAGE)
            self.block = base if in_place else self.object(4 * self.width)
            self.words(self.block, node, base, SEGMENT)
            self.process.number(self.block + 3 * self.width, number % 2, 4)
            node = self.block
            found.insert(0, (base, SEGMENT))
        current = found[0][0]
        self.words(address, 0, node)
        free = address + (1 + distance) * self.width
        self.words(free, current + 0x1238, current + 2 * PAGE, current + SEGMENT)
        self.total = free + (6 if distance == 1 else -1) * self.width
        self.process.pointer(self.total, blocks * 2 * PAGE)
        return found

    # --- code ----------------------------------------------------------------------------------

    def code_heap(self) -> tuple[int, int]:
        """A code heap; returns its base and its end."""
        base = self.process.allocate(0x20000, commit=0x4000, protect=PAGE_EXECUTE_READ)
        return base, base + 0x20000

    def code_list(self, head: int, heaps: int = 2) -> list[tuple[int, int]]:
        """Writes the list of ranges as it was before .NET 8: an image first, then code heaps, which it returns."""
        place = 0
        found = []
        for _ in range(heaps):
            base, end = self.code_heap()
            node = base + 4 * self.width  # the node is in the heap that it describes
            self.words(node, 0, self.object(16), base + 0x70, base + 0x2000, base, self.object(64))
            section = self.object(9 * self.width)
            self.words(section, node, end, self.object(16), place, 0)
            self.process.number(section + 5 * self.width, 2, 4)
            self.words(section + 6 * self.width, node)
            found.append((base, end))
            place = section
        image = self.process.modules[0]
        section = self.object(9 * self.width)
        self.words(section, image.base, image.base + image.size, self.object(16), place, section)
        self.process.number(section + 5 * self.width, 4, 4)
        self.process.pointer(head, section)
        self.sections = [section, place]
        return sorted(found)

    def code_map(self, top: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Writes the map of ranges (64-bit); returns the code heaps and the ranges of stubs."""
        heap, stubs = self.code_heap(), self.code_heap()
        self.map_range(top, *heap, flags=2)
        self.map_range(top, *stubs, flags=4)
        image = self.process.modules[0]
        self.map_range(top, image.base, image.base + 0x4000, flags=0, module=self.object(16))
        return [heap], [stubs]

    def map_range(self, top: int, base: int, end: int, *, flags: int, module: int = 0) -> int:
        """Registers a range in the map; returns the address of its RangeSection."""
        section, node = self.object(0x40), 0
        if flags & 2:
            node = self.object(0x30)
            for name, value in (("MapBase", base), ("StartAddress", base + 0x40), ("EndAddress", base + 0x3000)):
                self.process.pointer(node + MAP_TYPES["CodeHeapListNode"][name], value)
        fields = {"RangeBegin": base, "RangeEndOpen": end, "R2RModule": module, "HeapList": node}
        for name, value in fields.items():
            self.process.pointer(section + MAP_TYPES["RangeSection"][name], value)
        self.process.number(section + MAP_TYPES["RangeSection"]["Flags"], flags, 4)
        fragment = self.object(0x28)
        for name, value in (("RangeSection", section), ("RangeBegin", base), ("RangeEndOpen", end)):
            self.process.pointer(fragment + MAP_TYPES["RangeSectionFragment"][name], value)
        for chunk in range(base >> 17, (end + (1 << 17) - 1) >> 17):
            table = top
            for level in (4, 3, 2, 1):
                place = table + 8 * (chunk >> 8 * level & 0xFF)
                table = self.process.read_pointer(place) & ~1
                if not table:
                    table = self.process.allocate(PAGE)
                    self.process.pointer(place, table | 1)  # the lowest bit is a flag
            place = table + 8 * (chunk & 0xFF)
            if not self.process.read_pointer(place):
                self.process.pointer(place, fragment)
        return section

    # --- handles -------------------------------------------------------------------------------

    def handle_table(self, table_map: int, segments: int = 2, *, types: int = 12, lock: int = 0) -> list[int]:
        """Writes a map with one handle table; returns its segments.

        Args:
            table_map: address of the map.
            segments: how many the table has.
            types: HANDLE_MAX_INTERNAL_TYPES.
            lock: bytes of a lock before the pointer to the first segment.
        """
        w = self.width
        table, slots, bucket, buckets = (self.object(size) for size in (0x200, 4 * w, 2 * w, 10 * w))
        found = [self.process.allocate(SEGMENT, commit=2 * PAGE) for _ in range(segments)]
        # 7,680 or 15,360 handles: 120 or 240 blocks of 64, with 4 + 1 + 8 + 3 bytes for each.
        tail = (1920 if w == 8 else 3840) + 6 * types
        for segment, following in zip(found, [*found[1:], 0], strict=True):
            self.words(segment + tail, following, table)
        first = 4 * types + lock
        self.words(table + first + -first % w, found[0])
        self.words(slots, table)
        self.words(bucket, slots)
        self.words(buckets, 0, bucket)
        self.words(table_map, buckets, 0)
        self.process.number(table_map + 2 * w, 10, 4)
        self.tail, self.table = tail, table
        return sorted(found)
