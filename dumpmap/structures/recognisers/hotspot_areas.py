"""The memory of a Java virtual machine beside the Java heap: code, card table, classes."""

from __future__ import annotations

from collections.abc import Iterator

from dumpmap.structures.bounds import is_user_address
from dumpmap.structures.recognisers.hotspot_collectors import Part
from dumpmap.structures.recognisers.hotspot_tables import VmTables
from dumpmap.structures.recognisers.protocol import Context

CODE, CODE_SEGMENTS, CARDS = "Java code heap", "Java code segment map", "Java card table"
METASPACE, ARCHIVE = "Java metaspace", "Java class-data archive"

MAX_CODE_HEAPS = 16
MAX_LOADERS = 4096
MAX_CLASSES = 200_000

BARRIERS = ("G1BarrierSet", "CardTableBarrierSet")
"""Classes of barriers that use a card table."""


def code_parts(tables: VmTables) -> Iterator[Part]:
    """The code heaps: what the compilers generate."""
    for heap in _code_heaps(tables):
        for member, kind in (("_memory", CODE), ("_segmap", CODE_SEGMENTS)):
            place = tables.place(heap, "CodeHeap", member)
            bounds = None if place is None else tables.virtual_space(place)
            if bounds is not None:
                yield *bounds, kind


def _code_heaps(tables: VmTables) -> tuple[int, ...]:
    """The addresses of the code heaps: since JDK 9 a list, before one."""
    heaps = tables.static("CodeCache", "_heaps")
    if not heaps:
        one = tables.static("CodeCache", "_heap")
        return (one,) if one else ()
    array = "GrowableArrayBase" if "GrowableArrayBase" in tables.fields else "GenericGrowableArray"
    count = tables.value(heaps, array, "_len", size=4) or 0
    data = tables.value(heaps, "GrowableArray<int>", "_data")
    listed = tables.words(data, min(count, MAX_CODE_HEAPS)) if data else ()
    return tuple(heap for heap in listed if heap)


def card_parts(tables: VmTables) -> Iterator[Part]:
    """The card table, of a collector whose barrier uses one: other barriers have something else in its place."""
    barrier = tables.static("BarrierSet", "_barrier_set")
    if not barrier or not tables.is_a(barrier, BARRIERS):
        return
    table = tables.value(barrier, "CardTableBarrierSet", "_card_table")
    if not table:
        return
    start, size = tables.value(table, "CardTable", "_byte_map"), tables.value(table, "CardTable", "_byte_map_size")
    if start and size and is_user_address(start, 8) and is_user_address(start + size - 1, 8):
        yield start, start + size, CARDS


def metaspace_parts(context: Context, tables: VmTables) -> Iterator[Part]:
    """The archive of classes, and the allocations that hold the classes of all class loaders and their constants."""
    low, high = (tables.static("MetaspaceObj", f"_shared_metaspace_{end}") or 0 for end in ("base", "top"))
    if 0 < low < high and context.space.allocation(low) is not None and is_user_address(high - 1, 8):
        yield low, high, ARCHIVE
    found: dict[int, int] = {}
    for klass in _classes(tables):
        for address in (klass, tables.value(klass, "InstanceKlass", "_constants")):
            if not address or low <= address < high or not is_user_address(address, 8):
                continue
            allocation = context.space.allocation(address)
            if allocation is not None and not low <= allocation[0] < high:
                found[allocation[0]] = allocation[1]
    for base, size in sorted(found.items()):
        yield base, base + size, METASPACE


def _classes(tables: VmTables) -> Iterator[int]:
    """Yields each Klass of each class loader once; a damaged chain may lead back into itself."""
    loaders: set[int] = set()
    classes: set[int] = set()
    loader = tables.static("ClassLoaderDataGraph", "_head")
    while loader and loader not in loaders and len(loaders) < MAX_LOADERS:
        loaders.add(loader)
        klass = tables.value(loader, "ClassLoaderData", "_klasses")
        while klass and klass not in classes and len(classes) < MAX_CLASSES:
            classes.add(klass)
            yield klass
            klass = tables.value(klass, "Klass", "_next_link")
        loader = tables.value(loader, "ClassLoaderData", "_next")
