"""What the collectors of HotSpot keep beside the Java heap: mark bitmaps, mark stacks, and tables of block offsets.

The tables of jvm.dll name the objects of the collector, but not all of their fields. Here the rest is found inside
these objects by what it says about itself: a pointer back to the heap, the size of the heap, the exported vtable of
the class, and a base and size that are those of an allocation. The order of the fields was read in recorded
processes of JDK 11, 17, 21, and 25, and compared with public source (openjdk/jdk: src/hotspot/share/gc/g1/
g1RegionToSpaceMapper.cpp, g1PageBasedVirtualSpace.hpp, g1ConcurrentMark.hpp, gc/shared/markBitMap.hpp).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from dumpmap.structures.recognisers.hotspot_collectors import Part, g1_region
from dumpmap.structures.recognisers.hotspot_tables import VmTables
from dumpmap.structures.recognisers.protocol import Context

MARK_BITMAP, SIDE_TABLE, MARK_STACK = "Java mark bitmap", "Java G1 side table", "Java G1 mark stack"
BLOCK_OFFSETS = "Java block offset table"

_MAPPERS = ("G1RegionsLargerThanCommitSizeMapper", "G1RegionsSmallerThanCommitSizeMapper")
_RATIOS = ((64, MARK_BITMAP), (512, SIDE_TABLE))
"""Bytes of the heap for each byte of a table: one bit for each 8-byte object start, one byte for each card."""

_SHENANDOAH_RATIO = 32
"""The same for the bitmaps of Shenandoah, which mark in two strengths."""

_GRANULE = 0x10000
_MAPPER_WORDS, _MARK_WORDS, _MANAGER_WORDS, _HEAP_WORDS = 8, 48, 64, 512
_CHUNK = 8192
"""A chunk of the mark stack: 1,023 entries and the next one's address."""

_MAX_BUCKETS = 32


def side_parts(context: Context, tables: VmTables, heap: int, kind: str, reserved: tuple[int, int]) -> Iterator[Part]:
    """Yields what the collector of the heap object at `heap`, of class `kind`, keeps beside its heap."""
    if kind == "G1CollectedHeap":
        yield from _mapped(context, tables, heap, kind, reserved)
        yield from _mark_stack(context, tables, heap, kind)
    elif kind in ("SerialHeap", "GenCollectedHeap"):
        yield from _block_offsets(tables, heap, kind)
    elif kind.startswith("Shenandoah"):
        yield from _bitmaps(context, tables, heap, kind, reserved)


def _mapped(context: Context, tables: VmTables, heap: int, kind: str, reserved: tuple[int, int]) -> Iterator[Part]:
    """The tables that grow with the heap. The manager of the regions points to a mapper for each of them."""
    manager_type = "G1HeapRegionManager" if g1_region(tables) == "G1HeapRegion" else "HeapRegionManager"
    manager = tables.place(heap, kind, "_hrm")
    if manager is None:
        return
    vtables = {tables.export(f"??_7{name}@@6B@") for name in _MAPPERS} - {None}
    size = min(tables.sizes.get(manager_type, 0) // 8, _MANAGER_WORDS)
    for mapper in dict.fromkeys(tables.words(manager, size)):
        if tables.peek(mapper) not in vtables:
            continue
        for low, high in pairwise(tables.words(mapper, _MAPPER_WORDS)):
            allocation = context.space.allocation(low) if low < high else None
            if allocation != (low, high - low):
                continue
            for ratio, name in _RATIOS:
                if 0 <= high - low - reserved[1] // ratio < _GRANULE:
                    yield low, high, name


def _mark_stack(context: Context, tables: VmTables, heap: int, kind: str) -> Iterator[Part]:
    """The stack of objects that concurrent marking has yet to visit: the object that points back to the heap has it."""
    size = min(tables.sizes.get(kind, 0) // 8, _HEAP_WORDS)
    for mark in dict.fromkeys(tables.words(heap, size)):
        if tables.peek(mark + 8) != heap:
            continue
        words = tables.words(mark, _MARK_WORDS)
        for index in range(2, len(words) - 5):
            parts = list(_one_block(context, *words[index : index + 3])) or list(
                _buckets(context, tables, words[index : index + 6])
            )
            if parts:
                yield from parts
                return


def _one_block(context: Context, most: int, base: int, chunks: int) -> Iterator[Part]:
    """Up to JDK 22: the greatest number of chunks, where they are, and how many they are."""
    if 0 < chunks <= most < 1 << 32 and context.space.allocation(base) == (base, chunks * _CHUNK):
        yield base, base + chunks * _CHUNK, MARK_STACK


def _buckets(context: Context, tables: VmTables, words: tuple[int, ...]) -> Iterator[Part]:
    """Since JDK 23: the least and greatest number of chunks, how many there are, and buckets of them.

    Each bucket holds as many chunks as all before it.
    """
    least, most, chunks, count, _, array = words
    if not (0 < least <= chunks <= most < 1 << 32 and 0 < count <= _MAX_BUCKETS):
        return
    parts, found, size = [], 0, least
    for base in tables.words(array, count):
        if base:
            if context.space.allocation(base) != (base, size * _CHUNK):
                return
            parts.append((base, base + size * _CHUNK, MARK_STACK))
            found += size
        size = max(found, least)
    if found == chunks:
        yield from parts


def _bitmaps(context: Context, tables: VmTables, heap: int, kind: str, reserved: tuple[int, int]) -> Iterator[Part]:
    """The mark bitmaps of Shenandoah: start and words of each are in the heap object, and fill an allocation."""
    for base, words in pairwise(tables.words(heap, min(tables.sizes.get(kind, 0) // 8, _HEAP_WORDS))):
        size = 8 * words
        if 0 <= size - reserved[1] // _SHENANDOAH_RATIO < _GRANULE and context.space.allocation(base) == (base, size):
            yield base, base + size, MARK_BITMAP


def _block_offsets(tables: VmTables, heap: int, kind: str) -> Iterator[Part]:
    """The table that finds the start of an object in the old generation of a Serial heap."""
    old = tables.value(heap, kind, "_old_gen")
    table = tables.value(old, "TenuredGeneration", "_bts") if old else None
    for name in ("BlockOffsetSharedArray", "SerialBlockOffsetTable"):
        place = tables.place(table, name, "_vs") if table else None
        bounds = None if place is None else tables.virtual_space(place)
        if bounds is not None:
            yield *bounds, BLOCK_OFFSETS
            return
