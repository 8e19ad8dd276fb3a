"""Finds the ranges of code that a .NET runtime registers: code heaps of the JIT compiler, and stubs.

Since .NET 8 a map with several levels leads to the ranges; its address and their layout are in the contract
descriptor. Before, they are a list, whose head is a variable in the table for debuggers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dumpmap.model.memory import Memory, unrecorded
from dumpmap.model.values import value_class
from dumpmap.model.winnt import PAGE_SIZE
from dumpmap.structures.bounds import is_user_address
from dumpmap.structures.contract import Contract
from dumpmap.structures.gc_roots import pointer_at
from dumpmap.structures.layouts import clr as layouts
from dumpmap.structures.space import Space

MAX_RANGES = 65_536
"""Most ranges of code that are followed, and most nodes of the map."""

MAX_OFFSET = 0x1000
"""Plausible offset of a field."""

_SECTION_FIELDS = ("RangeBegin", "RangeEndOpen", "Flags", "HeapList", "R2RModule")
_FRAGMENT_FIELDS = ("RangeBegin", "RangeEndOpen", "RangeSection", "Next")
_NODE_FIELDS = ("StartAddress", "EndAddress", "MapBase")


@value_class(frozen=True, slots=True)
class CodeRange:
    """A range that the runtime registered. `stubs` tells stubs from the code of methods."""

    base: int
    end: int
    stubs: bool


@value_class(frozen=True, slots=True)
class _Reader:
    memory: Memory
    space: Space
    width: int

    def pointer(self, address: int) -> int:
        """The pointer at `address`; 0 if there is none."""
        if not is_user_address(address, self.width):
            return 0
        return pointer_at(self.memory.read(address, self.width)) or 0

    def fields(self, address: int, offsets: dict[str, int], names: tuple[str, ...]) -> list[int]:
        """The pointers at the offsets of these fields."""
        return [self.pointer(address + offsets[name]) for name in names]

    def code_range(self, section: Sequence[int], node: Sequence[int], stub_flag: int) -> CodeRange | None:
        """A range if all of it agrees: it lies in one allocation, and the code heap's node lies in it."""
        begin, end, flags, heap_list, module = section
        allocation = self.space.allocation(begin) if is_user_address(begin, self.width) else None
        if allocation is None or not begin < end <= sum(allocation) or module:
            return None
        if flags & layouts.RANGE_CODE_HEAP and heap_list:
            start, used, base = node
            # What precedes the range in its first page is the heap's own head.
            good = allocation[0] <= base == begin & -PAGE_SIZE and begin <= start <= used <= end
            return CodeRange(base, end, stubs=False) if good else None
        return CodeRange(begin, end, stubs=True) if flags & stub_flag and not heap_list else None


def ranges_by_map(memory: Memory, space: Space, contract: Contract) -> list[CodeRange]:
    """Finds the ranges by the map that a contract descriptor names."""
    types = contract.types
    names = ("RangeSectionFragment", "RangeSection", "CodeHeapListNode")
    fragment, section, node = (types.get(name, {}) for name in names)
    top = contract.addresses.get("ExecutionManagerCodeRangeMapAddress", 0)
    for known, wanted in ((fragment, _FRAGMENT_FIELDS), (section, _SECTION_FIELDS), (node, _NODE_FIELDS)):
        if any(not 0 <= known.get(name, -1) <= MAX_OFFSET for name in wanted):
            return []
    reader = _Reader(memory, space, contract.pointer_size)
    found: dict[int, CodeRange] = {}
    top += types.get("RangeSectionMap", {}).get("TopLevelData", 0)
    for low, first in _leaves(reader, top):
        for place in _chain(reader, first, fragment["Next"]):
            begin, end, address, _ = reader.fields(place, fragment, _FRAGMENT_FIELDS)
            if not address or begin >= low + (1 << layouts.MAP_CHUNK_BITS[reader.width]) or end <= low:
                break
            values = reader.fields(address, section, _SECTION_FIELDS)
            values[2] &= 0xFFFFFFFF  # the flags are 32 bits wide
            heap = reader.fields(values[3], node, _NODE_FIELDS) if values[3] else []
            code = reader.code_range(values, heap, layouts.RANGE_STUBS)
            if code is not None and values[:2] == [begin, end]:
                found[code.base] = code
    return _disjoint(found)


def _leaves(reader: _Reader, top: int) -> Iterator[tuple[int, int]]:
    """Yields the lowest address and the first fragment of every entry of the map's lowest level."""
    width = reader.width
    waiting = [(top, 0, layouts.MAP_LEVELS[width] - 1)]
    seen: set[int] = set()
    for table, low, level in waiting:
        for index, entry in _entries(reader, table):
            if entry in seen or len(seen) >= MAX_RANGES:
                continue
            address = low | index << (layouts.MAP_CHUNK_BITS[width] + 8 * level)
            if level:
                seen.add(entry)
                waiting.append((entry, address, level - 1))
            else:
                yield address, entry


def _entries(reader: _Reader, table: int) -> Iterator[tuple[int, int]]:
    """Yields index and value of the entries of a level that are not null. The lowest bit is a flag."""
    width = reader.width
    data = unrecorded(reader.memory).read(table, layouts.MAP_ENTRIES * width) if is_user_address(table, width) else None
    for index in range(layouts.MAP_ENTRIES):
        if data is None or any(data[index * width : (index + 1) * width]):
            entry = reader.pointer(table + index * width) & ~1
            if entry:
                yield index, entry


def _chain(reader: _Reader, first: int, next_at: int) -> Iterator[int]:
    seen: set[int] = set()
    while first and first not in seen and len(seen) < MAX_RANGES:
        seen.add(first)
        yield first
        first = reader.pointer(first + next_at) & ~1


def ranges_by_list(memory: Memory, space: Space, head: int, pointer_size: int) -> list[CodeRange]:
    """Finds the code heaps in the list that begins with the pointer at `head`."""
    layout = layouts.RANGE_SECTION_OLD[pointer_size]
    reader = _Reader(memory, space, pointer_size)
    found: dict[int, CodeRange] = {}
    for place in _chain(reader, reader.pointer(head), layout.offsets["Next"]):
        fields = layout.part("RangeBegin", "RangeEndOpen", "Flags", "HeapList").read(memory, place)
        if fields is None or not fields[0] < fields[1]:
            break
        offsets = layouts.CODE_HEAP_LIST_NODE[pointer_size].offsets
        node = reader.fields(fields[3], offsets, _NODE_FIELDS) if fields[2] & layouts.RANGE_CODE_HEAP else []
        code = reader.code_range((*fields, 0), node, 0)
        if code is not None:
            found[code.base] = code
    return _disjoint(found)


def _disjoint(found: dict[int, CodeRange]) -> list[CodeRange]:
    kept: list[CodeRange] = []
    for base in sorted(found):
        if not kept or kept[-1].end <= base:
            kept.append(found[base])
    return kept
