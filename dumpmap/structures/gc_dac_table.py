"""Finds the heaps of a collector that has no `GcDacVars`: by the runtime's table for debuggers, and by content.

A runtime for Windows carries a table of the addresses of its variables, the resource COREXTERNALDATAACCESSRESOURCE, in
the order of dacvars.h of its own build. The order differs between builds and is not published for the .NET Framework.
Every variable is therefore recognised by its content:

1. Segments: each begins with a header that agrees with itself and, to the page, with the memory map.
2. The table of generations: four records of equal size, whose first segments and first objects agree with each other
   and with these headers. It lies among the runtime's variables or, of a server collector, in each of its heaps.
3. `g_card_table`, `g_lowest_address` and `g_highest_address`, which follow each other in the table and include
   every segment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from itertools import chain, islice, pairwise

from dumpmap.model.managed_heaps import DAC_TABLE
from dumpmap.model.memory import Memory, unrecorded
from dumpmap.model.process import PeImage
from dumpmap.model.values import value_class
from dumpmap.model.winnt import PAGE_SIZE
from dumpmap.structures.bounds import is_user_address, round_up
from dumpmap.structures.gc_dac_vars import MAX_HEAPS, Ranges
from dumpmap.structures.gc_roots import GcRoots, HeapRoots, pointer_at
from dumpmap.structures.gc_segments import Segment, read_segment
from dumpmap.structures.layout import Layout
from dumpmap.structures.layouts import gc as layouts
from dumpmap.structures.pe import debug_timestamp
from dumpmap.structures.resources import find_resource
from dumpmap.structures.space import Space

RESOURCE, RT_RCDATA = "COREXTERNALDATAACCESSRESOURCE", 10

MAX_TABLE = 0x4000
"""Plausible size of the table in bytes. Those that were seen have 800 and 852."""

MAX_ALLOCATIONS = 65_536
"""Most private allocations whose first bytes are looked at."""

MAX_SEGMENTS = 4096
"""Most segments that are collected, and most of one chain. Even a server collector's large heap has a few hundred."""

MAX_GC_HEAP = 0x4000
"""Bytes of a server collector's heap object that are searched. It has 8 KB in .NET Core 2.1."""

MAX_CARD_HEADER = 0x100
"""Plausible size of what precedes the card table in its allocation. It is 0x40 in .NET Core 2.1 and 3.1."""

_HEADER_WORDS = 6  # numGlobals, numVptrs, timestamp, and three that are 0
_GENERATIONS = layouts.OLD_GENERATION_COUNT
_RECORD_SIZES = range(0x20, 0x608, 4)


def read_dac_table(memory: Memory, base: int, image: PeImage) -> tuple[int, ...] | str:
    """Reads the addresses of the variables in the table for debuggers, in its order.

    Returns:
        the addresses, or why there is no valid table, in a few words.
    """
    place = find_resource(memory, base, image, RT_RCDATA, RESOURCE)
    if place is None:
        return "it has no table for debuggers in the dump"
    address, size = place
    data = memory.read(address, size) if _HEADER_WORDS * 4 < size <= MAX_TABLE else None
    if data is None:
        return "its table for debuggers is not in the dump or has an implausible size"
    words = [int.from_bytes(data[at : at + 4], "little") for at in range(0, len(data) - 3, 4)]
    globals_count, classes_count, timestamp, *zeros = words[:_HEADER_WORDS]
    if any(zeros) or _HEADER_WORDS + globals_count + classes_count != len(words):
        return "its table for debuggers has no valid header"
    if timestamp not in (image.timestamp, debug_timestamp(memory, base, image)):
        return "its table for debuggers belongs to another build"
    entries = words[_HEADER_WORDS : _HEADER_WORDS + globals_count]
    if any(entry >= image.size_of_image for entry in entries):
        return "its table for debuggers points outside its module"
    return tuple(base + entry for entry in entries)


@value_class(frozen=False, slots=True)
class _Segments:
    """The segments of a process, by address. Only those that pass every check are kept by a recording."""

    memory: Memory
    space: Space
    layout: Layout
    known: dict[int, Segment] = field(default_factory=dict)

    def at(self, address: int) -> Segment | None:
        """The segment with a header at `address`, if its memory follows that header and is committed as it states."""
        segment = self.known.get(address)
        if segment is None and len(self.known) < MAX_SEGMENTS:
            found = read_segment(unrecorded(self.memory), self.space, self.layout, address)
            if isinstance(found, Segment) and self._is_exact(found):
                read_segment(self.memory, self.space, self.layout, address)
                segment = self.known[address] = found
        return segment

    def _is_exact(self, segment: Segment) -> bool:
        """Whether objects follow the header, and committed memory ends where it says."""
        if not 0 < segment.mem - segment.address <= PAGE_SIZE or segment.is_read_only:
            return False
        end = segment.committed
        return end == segment.reserved or self.space.committed(end, PAGE_SIZE) == 0

    def collect(self, addresses: Sequence[int]) -> None:
        """Keeps the segments at these addresses and those that follow them without a gap."""
        for address in chain(addresses, islice(self.space.private_allocations(), MAX_ALLOCATIONS)):
            seen: set[int] = set()
            segment = self.at(int(address))
            while segment is not None and segment.address not in seen:
                seen.add(segment.address)
                segment = self.at(segment.reserved)

    def chain(self, first: int) -> list[Segment] | None:
        """The chain of segments that may be collected, without the read-only ones; None if it is not all valid."""
        found: list[Segment] = []
        seen: set[int] = set()
        address = first
        while address:
            if address in seen or len(seen) >= MAX_SEGMENTS:
                return None
            seen.add(address)
            segment = self.at(address)
            if segment is not None:
                found.append(segment)
                address = segment.next
                continue
            frozen = read_segment(self.memory, self.space, self.layout, address)
            if not isinstance(frozen, Segment) or not frozen.is_read_only:
                return None
            address = frozen.next
        return found


@value_class(frozen=True, slots=True)
class _Generations:
    """Where a table of generations has the first segment of generation 0, and the size of its records."""

    address: int
    stride: int
    ephemeral: Segment
    segments: tuple[Segment, ...]


@value_class(frozen=False, slots=True)
class _Finder:
    """One search with one layout of segments."""

    memory: Memory
    segments: _Segments
    entries: Sequence[int]
    variables: Ranges

    @property
    def width(self) -> int:
        return self.segments.layout.pointer_size

    def value(self, address: int) -> int:
        """The pointer at `address`; 0 if its bytes are missing."""
        return pointer_at(self.memory.read(address, self.width)) or 0

    def generations(self, ranges: Ranges) -> _Generations | None:
        """Finds a table of generations in these ranges of addresses."""
        patterns = {address.to_bytes(self.width, "little"): address for address in self.segments.known}
        for start, end in ranges:
            addresses = range(round_up(start, self.width), end - self.width + 1, self.width)
            found = self.memory.find(addresses, 0, patterns) if len(addresses) else {}
            places = {address: patterns[data] for address, data in found.items()}
            for first, stride in _records(places, self.width):
                table = self.check(first, stride, places)
                if table is not None:
                    return table
        return None

    def check(self, first: int, stride: int, places: Mapping[int, int]) -> _Generations | None:
        """Checks the records of a possible table: their first segments, and their first objects."""
        segments = self.segments
        # The chain of generation 2 may begin with a segment of frozen objects, whose header is elsewhere.
        small = segments.chain(self.value(first + 2 * stride))
        large = segments.chain(places[first + 3 * stride])
        ephemeral = segments.at(places[first])
        if not small or not large or ephemeral not in small or large[0] in small:
            return None
        objects = [self.value(first + number * stride + self.width) for number in range(_GENERATIONS)]
        zero, one, two, three = objects
        if two != small[0].mem or three != large[0].mem or not ephemeral.mem <= one <= zero <= ephemeral.committed:
            return None
        return _Generations(first, stride, ephemeral, (*small, *large))

    def heap_generations(self, heap: int) -> _Generations | None:
        """Finds the table of generations in a server collector's heap object."""
        allocation = self.segments.space.allocation(heap) if is_user_address(heap, self.width) else None
        if allocation is None or heap % self.width:
            return None
        return self.generations([(heap, min(heap + MAX_GC_HEAP, sum(allocation)))])

    def server_heaps(self) -> tuple[list[int], _Generations] | None:
        """Finds the heaps of a server collector: their addresses, in order, and the generations of the first."""
        addresses = self.listed_heaps() or self.named_heaps()
        found = self.heap_generations(addresses[0]) if addresses else None
        return None if found is None else (addresses, found)

    def listed_heaps(self) -> list[int]:
        """The heaps that the runtime lists: their count and their array, side by side in the table for debuggers."""
        look = unrecorded(self.memory)
        for pair in pairwise(self.entries):
            for count_at, array_at in (pair, pair[::-1]):
                count = pointer_at(look.read(count_at, 4)) or 0
                array = pointer_at(look.read(array_at, self.width)) or 0
                if not 0 < count <= MAX_HEAPS or not is_user_address(array, self.width):
                    continue
                addresses = _pointers(look.read(array, count * self.width), self.width)
                if addresses and self.heap_generations(addresses[0]) is not None:
                    for address, size in ((count_at, 4), (array_at, self.width), (array, count * self.width)):
                        self.memory.read(address, size)
                    return addresses
        return []

    def named_heaps(self) -> list[int]:
        """The heaps that segments name, in the order of their first segments."""
        at = self.segments.layout.offsets.get("Heap")
        if at is None:
            return []
        named = dict.fromkeys(self.value(address + at) for address in sorted(self.segments.known))
        return [heap for heap in islice(named, MAX_HEAPS) if self.heap_generations(heap) is not None]

    def card_table(self, table: _Generations) -> int | None:
        """Start of the card table; 0 if it is not where it must be; None if no entries bear the segments out.

        Three neighbours in the table for debuggers name the cards and the range that they are for, which includes
        every segment.
        """
        low_end = min(segment.start for segment in table.segments)
        high_end = max(segment.reserved for segment in table.segments)
        found = None
        for cards_at, low_at, high_at in zip(self.entries, self.entries[1:], self.entries[2:], strict=False):
            low, high = self.value(low_at), self.value(high_at)
            if not 0 < low <= low_end < high_end <= high or (low | high) % PAGE_SIZE:
                continue
            found = 0
            # The byte of address 0 may lie before address 0.
            start = (self.value(cards_at) + (low >> layouts.CARD_SHIFT[self.width] & ~3)) % (1 << 8 * self.width)
            allocation = self.segments.space.allocation(start)
            if allocation is not None and 0 < start - allocation[0] <= MAX_CARD_HEADER:
                return start
        return found

    def alloc_allocated(self, ephemeral: Segment) -> int:
        """End of the youngest objects: the entry before the one of the ephemeral segment; 0 if there is none."""
        for before, entry in pairwise(self.entries):
            value = self.value(before)
            if self.value(entry) == ephemeral.address and ephemeral.mem <= value <= ephemeral.committed:
                return value
        return 0


def _pointers(data: bytes | None, width: int) -> list[int]:
    steps = range(0, len(data or b""), width)
    return [int.from_bytes(data[at : at + width], "little") for at in steps] if data else []


def _records(places: Mapping[int, int], width: int) -> Iterator[tuple[int, int]]:
    """Yields address and size of possible records: generations 0 and 1 share a segment, and there are four records."""
    for first, segment in places.items():
        for size in _RECORD_SIZES:
            if size % width == 0 and places.get(first + size) == segment and first + 3 * size in places:
                yield first, size


def table_roots(memory: Memory, space: Space, base: int, image: PeImage, variables: Ranges) -> GcRoots | str:
    """Finds the structures of the heaps of the runtime that is loaded at `base`.

    Returns:
        the roots, or why there are none, in a few words.
    """
    entries = read_dac_table(memory, base, image)
    if isinstance(entries, str):
        return entries
    if space.allocation(base) is None:
        return "the input has no memory map to check its segments against"
    inside = [entry for entry in entries if any(start <= entry < end for start, end in variables)]
    for forms in (layouts.HEAP_SEGMENT, layouts.HEAP_SEGMENT_OLD):
        segments = _Segments(memory, space, forms[image.pointer_size])
        finder = _Finder(memory, segments, inside, variables)
        look = unrecorded(memory)
        segments.collect([pointer_at(look.read(entry, finder.width)) or 0 for entry in inside])
        roots = _roots(finder) if segments.known else None
        if roots is not None:
            return roots
    return "its table for debuggers leads to no generations"


def _roots(finder: _Finder) -> GcRoots | None:
    """The roots that one search finds; None if not every check passes."""
    table = finder.generations(finder.variables)
    server = None if table is not None else finder.server_heaps()
    if server is not None:
        addresses, table = server
    if table is None:
        return None
    cards = finder.card_table(table)
    if cards is None:
        return None
    if server is None:
        allocated = finder.alloc_allocated(table.ephemeral)
        heaps = [HeapRoots(None, table.address, table.ephemeral.address, allocated)]
    else:
        offset = table.address - addresses[0]
        heaps = [
            HeapRoots(index, heap + offset, finder.value(heap + offset), 0)
            for index, heap in enumerate(addresses)
            if heap
        ]
    return GcRoots(
        evidence=DAC_TABLE,
        version=f"{len(finder.entries)} variables",
        pointer_size=finder.width,
        generation_size=table.stride,
        generation_count=_GENERATIONS,
        start_segment=0,
        allocation_start=finder.width,
        segment=finder.segments.layout,
        heaps=tuple(heaps),
        server=server is not None,
        regions=False,
        bookkeeping=0,
        card_table=layouts.CARD_TABLE_INFO_OLD[finder.width],
        mark_array=cards,
    )
