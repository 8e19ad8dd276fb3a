"""The parts of a Java heap, one reader per collector of HotSpot."""

from __future__ import annotations

from collections.abc import Iterable

from dumpmap.structures.recognisers.hotspot_tables import VmTables

MAX_REGIONS = 1 << 17
"""Regions of one G1 heap; HotSpot aims at 2,048."""

MAX_NODES = 64
"""NUMA nodes."""

SHENANDOAH_STATES = {
    "empty_committed": "free",
    "regular": "regular",
    "humongous_start": "humongous",
    "humongous_cont": "humongous",
    "pinned_humongous_start": "humongous",
    "cset": "collection set",
    "pinned": "pinned",
    "pinned_cset": "pinned",
    "trash": "trash",
}
"""States of a region that is committed, as HotSpot's tables name them, and their labels."""

EPSILON = "Epsilon"

YOUNG_SPACES = (("_eden_space", "eden"), ("_from_space", "survivor"), ("_to_space", "survivor"))
"""Fields of the spaces of a young generation, named alike by Serial and Parallel, and their labels."""


Part = tuple[int, int, str]
"""start, end, and kind of a part of the Java heap."""


Parts = tuple[list[Part], int | None]


def z_parts(tables: VmTables, heap: int, kind: str) -> Parts:
    """What a Z heap uses; which of the views of its section hold objects is not read.

    Up to JDK 24 the page allocator has one counter, and since then one for each NUMA node.
    """
    whole = tables.place(heap, kind, "_heap")
    pages = None if whole is None else tables.place(whole, "ZHeap", "_page_allocator")
    if pages is None:
        return [], None
    used = tables.value(pages, "ZPageAllocator", "_used")
    first, size = tables.place(pages, "ZPageAllocator", "_partitions"), tables.sizes.get("ZPartition")
    if used is None and first is not None and size:
        nodes = min(tables.static("ZNUMA", "_count", size=4) or 1, MAX_NODES)
        counters = [tables.value(first + index * size, "ZPartition", "_used") for index in range(nodes)]
        used = None if None in counters else sum(counter or 0 for counter in counters)
    return [], used


def epsilon_parts(tables: VmTables, heap: int, kind: str) -> Parts:
    """The one space of an Epsilon heap."""
    space = tables.value(heap, kind, "_space")
    return _space_parts(tables, "ContiguousSpace", [(space, EPSILON)])


def shenandoah_parts(tables: VmTables, heap: int, kind: str) -> Parts:
    """The regions of a Shenandoah heap, by their states."""
    array, count = tables.value(heap, kind, "_regions"), tables.value(heap, kind, "_num_regions")
    if not array or not count or count > MAX_REGIONS:
        return [], None
    constants = {name: tables.constants.get(f"ShenandoahHeapRegion::_{name}") for name in SHENANDOAH_STATES}
    names = {value: SHENANDOAH_STATES[name] for name, value in constants.items()}
    parts, used = [], 0
    for region in tables.words(array, count):
        bottom, end, top = (tables.value(region, "ShenandoahHeapRegion", name) for name in ("_bottom", "_end", "_top"))
        state = tables.value(region, "ShenandoahHeapRegion", "_state", size=4)
        if bottom and end and top and bottom <= top <= end and state in names:
            parts.append((bottom, end, f"Java heap, Shenandoah {names[state]}"))
            used += top - bottom
    return parts, used


def g1_region(tables: VmTables) -> str:
    """Returns the name that the class of a region has in this version."""
    return "G1HeapRegion" if "G1HeapRegion" in tables.fields else "HeapRegion"


def g1_parts(tables: VmTables, heap: int, kind: str) -> Parts:
    """The regions of a G1 heap; a null entry of its table is a region that is not committed."""
    region_type = g1_region(tables)
    manager_type = "G1HeapRegionManager" if region_type == "G1HeapRegion" else "HeapRegionManager"
    manager = tables.place(heap, kind, "_hrm")
    table = None if manager is None else tables.place(manager, manager_type, "_regions")
    base = None if table is None else tables.value(table, "G1HeapRegionTable", "_base")
    count = None if table is None else tables.value(table, "G1HeapRegionTable", "_length")
    if not base or not count or count > MAX_REGIONS:
        return [], None
    names = _g1_tags(tables, region_type)
    parts, used = [], 0
    for index in range(count):
        region = tables.word(base + 8 * index)
        if not region:
            continue
        bottom, end = tables.value(region, region_type, "_bottom"), tables.value(region, region_type, "_end")
        top = tables.value(region, region_type, "_top")
        place = tables.place(region, region_type, "_type")
        tag = None if place is None else tables.value(place, f"{region_type}Type", "_tag", size=4)
        if bottom is None or end is None or top is None or not bottom <= top <= end or tag not in names:
            continue
        parts.append((bottom, end, f"Java heap, G1 {names[tag]}"))
        used += top - bottom
    return parts, used


def _g1_tags(tables: VmTables, region_type: str) -> dict[int | None, str]:
    """Names of the tags of a region, by the constants of this version."""
    names: dict[int | None, str] = {}
    for suffix, name in (
        ("FreeTag", "free"),
        ("EdenTag", "eden"),
        ("SurvTag", "survivor"),
        ("StartsHumongousTag", "humongous"),
        ("ContinuesHumongousTag", "humongous"),
    ):
        value = tables.constants.get(f"{region_type}Type::{suffix}")
        if value is not None:
            names[value] = name
    old = tables.constants.get(f"{region_type}Type::OldMask")
    archive = tables.constants.get(f"{region_type}Type::ArchiveMask", 0)
    if old:
        # OldTag is the mask or the mask and a flag for pinned regions; archive regions have one bit more.
        for value in range(old, 2 * old):
            names.setdefault(value, "old")
    if archive:
        for value in range(archive, 2 * archive):
            names.setdefault(value, "archive")
    return names


def serial_parts(tables: VmTables, heap: int, kind: str) -> Parts:
    """The generations of a Serial heap."""
    young, old = tables.value(heap, kind, "_young_gen"), tables.value(heap, kind, "_old_gen")
    spaces: list[tuple[int | None, str]] = []
    if young:
        spaces += [(tables.value(young, "DefNewGeneration", name), label) for name, label in YOUNG_SPACES]
    if old:
        spaces.append((tables.value(old, "TenuredGeneration", "_the_space"), "old"))
    return _space_parts(tables, "ContiguousSpace", spaces)


def parallel_parts(tables: VmTables, heap: int, kind: str) -> Parts:
    """The generations of a Parallel heap."""
    young, old = tables.static(kind, "_young_gen"), tables.static(kind, "_old_gen")
    spaces: list[tuple[int | None, str]] = []
    if young:
        spaces += [(tables.value(young, "PSYoungGen", name), label) for name, label in YOUNG_SPACES]
    if old:
        spaces.append((tables.value(old, "PSOldGen", "_object_space"), "old"))
    return _space_parts(tables, "MutableSpace", spaces)


def _space_parts(tables: VmTables, type_name: str, spaces: Iterable[tuple[int | None, str]]) -> Parts:
    """The parts of a heap made of contiguous spaces, each given by its address and label.

    A space that was not read, or whose bounds are out of order, is left out.
    """
    parts: list[Part] = []
    used = 0
    for space, label in spaces:
        if not space:
            continue
        bottom, end = tables.value(space, type_name, "_bottom"), tables.value(space, type_name, "_end")
        top = tables.value(space, type_name, "_top")
        if bottom and end and top and bottom <= top <= end:
            parts.append((bottom, end, f"Java heap, {label}"))
            used += top - bottom
    return parts, used
