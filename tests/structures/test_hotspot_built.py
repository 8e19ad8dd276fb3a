"""HotSpot's objects laid out by hand: each bound of what is read of them, with no virtual machine around."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import pytest
from support.structures import MEM_COMMIT, MEM_PRIVATE, MapSpace

from dumpmap.model.memory import ExcerptMemory
from dumpmap.structures.recognisers import hotspot_areas, hotspot_side
from dumpmap.structures.recognisers.hotspot import COLLECTORS, JavaMachine, _mem_region, _read_machine
from dumpmap.structures.recognisers.hotspot_collectors import (
    MAX_REGIONS,
    epsilon_parts,
    g1_parts,
    parallel_parts,
    serial_parts,
    shenandoah_parts,
    z_parts,
)
from dumpmap.structures.recognisers.hotspot_tables import VmField, VmTables, read_array, read_name
from dumpmap.structures.recognisers.hotspot_threads import _list, _Objects, _stream_fields
from dumpmap.structures.recognisers.protocol import Context, LoadedModule

HEAP, OTHER, LAST = 0x100000, 0x200000, 0x7FFF_FFFF_FFFF


class Machine:
    """Objects of a virtual machine: each type has its fields one after the other, behind the vtable."""

    def __init__(self) -> None:
        self.bytes: dict[int, int] = {}
        self.fields: dict[str, dict[str, VmField]] = {}
        self.sizes: dict[str, int] = {}
        self.constants: dict[str, int] = {}
        self.exports: dict[str, int | None] = {}

    def put(self, address: int, *words: int) -> int:
        """Writes words of 64 bits."""
        self.bytes.update(enumerate(struct.pack(f"<{len(words)}Q", *words), address))
        return address

    def object(self, type_name: str, address: int, **values: int) -> int:
        """Writes the fields of an object; a type gets the fields that it is first seen with."""
        known = self.fields.setdefault(type_name, {})
        for name, value in values.items():
            field = known.setdefault(name, VmField(8 * len(known) + 8, 0, False))
            self.put(address + field.offset, value)
        return address

    def static(self, type_name: str, name: str, value: int) -> None:
        """Writes a static field."""
        place = 0xF000_0000 + 8 * len(self.bytes)
        self.put(place, value)
        self.fields.setdefault(type_name, {})[name] = VmField(0, place, True)

    @property
    def tables(self) -> VmTables:
        chunks: list[tuple[int, bytearray]] = []
        for address in sorted(self.bytes):
            if not chunks or address != chunks[-1][0] + len(chunks[-1][1]):
                chunks.append((address, bytearray()))
            chunks[-1][1].append(self.bytes[address])
        memory = ExcerptMemory([(address, bytes(data)) for address, data in chunks])
        tables = VmTables(memory, 0, None, self.fields, {}, self.sizes, self.constants)  # type: ignore[arg-type]
        tables._exports.update(self.exports)
        return tables


def context(tables: VmTables, *allocations: tuple[int, int]) -> Context:
    """A process with these allocations: base and size."""
    space = MapSpace((base, size, base, MEM_COMMIT, MEM_PRIVATE) for base, size in allocations)
    return Context(tables.memory, space, "windows", 19045, 8)


# ---------------------------------------------------------------- collectors


SPACES = [  # bottom, top, end; whether it counts
    ((0x10000, 0x10000, 0x20000), True),
    ((0x10000, 0x20000, 0x20000), True),
    ((0x10000, 0x20001, 0x20000), False),
    ((0x10000, 0xFFFF, 0x20000), False),
    ((0, 0x10000, 0x20000), False),
]


@pytest.mark.parametrize(("bounds", "good"), SPACES)
def test_a_space_is_used_from_its_bottom_to_its_top(bounds: tuple[int, int, int], good: bool) -> None:
    bottom, top, end = bounds
    machine = Machine()
    for collector, space in (("ContiguousSpace", 0x5000), ("MutableSpace", 0x6000)):
        machine.object(collector, space, _bottom=bottom, _top=top, _end=end)
        machine.object(collector, space + 0x100, _bottom=0x40000, _top=0x40010, _end=0x50000)
    machine.object("EpsilonHeap", HEAP, _space=0x5000)
    machine.object("SerialHeap", HEAP + 0x1000, _young_gen=0x7000, _old_gen=0x7100)
    machine.object("DefNewGeneration", 0x7000, _eden_space=0x5000, _from_space=0, _to_space=0x5100)
    machine.object("TenuredGeneration", 0x7100, _the_space=0x5100)
    machine.static("ParallelScavengeHeap", "_young_gen", 0x7200)
    machine.static("ParallelScavengeHeap", "_old_gen", 0x7300)
    machine.object("PSYoungGen", 0x7200, _eden_space=0x6100, _from_space=0x6000, _to_space=0)
    machine.object("PSOldGen", 0x7300, _object_space=0x6100)
    tables, used = machine.tables, top - bottom if good else 0

    def part(label: str) -> list[tuple[int, int, str]]:
        return [(bottom, end, f"Java heap, {label}")] if good else []

    def other(label: str) -> list[tuple[int, int, str]]:
        return [(0x40000, 0x50000, f"Java heap, {label}")]

    assert epsilon_parts(tables, HEAP, "EpsilonHeap") == (part("Epsilon"), used)
    young = [*part("eden"), *other("survivor"), *other("old")]
    assert serial_parts(tables, HEAP + 0x1000, "SerialHeap") == (young, used + 0x20)
    young = [*other("eden"), *part("survivor"), *other("old")]
    assert parallel_parts(tables, HEAP, "ParallelScavengeHeap") == (young, used + 0x20)


G1_CONSTANTS = {
    # JDK 17, src/hotspot/share/gc/g1/heapRegionType.hpp
    "FreeTag": 0,
    "EdenTag": 2,
    "SurvTag": 3,
    "StartsHumongousTag": 12,
    "ContinuesHumongousTag": 13,
    "OldMask": 16,
    "ArchiveMask": 32,
}


def g1(regions: Sequence[tuple[int, int, int, int]], *, name: str = "HeapRegion", count: int | None = None) -> Machine:
    """A G1 heap: bottom, top, end, and tag of each region; a bottom of 0 is no region."""
    machine = Machine()
    machine.constants = {f"{name}Type::{tag}": value for tag, value in G1_CONSTANTS.items()}
    machine.object(f"{name}Type", 0, _tag=0)
    machine.object("G1CollectedHeap", HEAP, _hrm=0)
    manager = HEAP + 8
    machine.object(f"{name}Manager", manager, _regions=0)
    table = manager + 8
    length = len(regions) if count is None else count
    machine.object("G1HeapRegionTable", table, _base=0x30000 if length else 0, _length=length)
    for index, (bottom, top, end, tag) in enumerate(regions):
        place = 0x40000 + 0x100 * index
        machine.put(0x30000 + 8 * index, place if bottom else 0)
        if bottom:
            machine.object(name, place, _bottom=bottom, _top=top, _end=end, _type=0)
            machine.put(place + machine.fields[name]["_type"].offset + 8, tag | 0xABCD_0000_0000)
    return machine


@pytest.mark.parametrize("name", ["HeapRegion", "G1HeapRegion"])
@pytest.mark.parametrize(
    ("tag", "kind"),
    [
        (0, "free"),
        (1, None),
        (2, "eden"),
        (3, "survivor"),
        (4, None),
        (12, "humongous"),
        (13, "humongous"),
        (15, None),
        (16, "old"),
        (24, "old"),  # pinned
        (31, "old"),
        (32, "archive"),
        (48, "archive"),  # open
        (57, "archive"),  # closed
        (63, "archive"),
        (64, None),
        (0x100_0002, None),  # a tag has four bytes
    ],
)
def test_the_tags_of_g1(name: str, tag: int, kind: str | None) -> None:
    machine = g1([(0x80000, 0x80400, 0x90000, tag)], name=name)
    parts, used = g1_parts(machine.tables, HEAP, "G1CollectedHeap")
    assert parts == ([] if kind is None else [(0x80000, 0x90000, f"Java heap, G1 {kind}")])
    assert used == (0 if kind is None else 0x400)


def test_the_regions_of_g1() -> None:
    machine = g1(
        [
            (0x80000, 0x90000, 0x90000, 16),  # full
            (0, 0, 0, 0),  # not committed
            (0x90000, 0x90000, 0xA0000, 0),  # empty
            (0xA0000, 0xB0001, 0xB0000, 16),
            (0xB0000, 0xAFFFF, 0xC0000, 16),
            (0xC0000, 0xC0010, 0xD0000, 2),
        ]
    )
    parts, used = g1_parts(machine.tables, HEAP, "G1CollectedHeap")
    assert [part[0] for part in parts] == [0x80000, 0x90000, 0xC0000]
    assert used == 0x10010


@pytest.mark.parametrize("count", [0, MAX_REGIONS + 1])
def test_counts_of_regions_that_no_heap_has(count: int) -> None:
    assert g1_parts(g1([], count=count).tables, HEAP, "G1CollectedHeap") == ([], None)
    machine = Machine()
    machine.object("ShenandoahHeap", HEAP, _regions=0x30000, _num_regions=count)
    assert shenandoah_parts(machine.tables, HEAP, "ShenandoahHeap") == ([], None)
    machine.object("ShenandoahHeap", HEAP, _regions=0, _num_regions=1)
    assert shenandoah_parts(machine.tables, HEAP, "ShenandoahHeap") == ([], None)


def test_the_most_regions_are_none_where_they_are_not_captured() -> None:
    machine = Machine()
    machine.object("ShenandoahHeap", HEAP, _regions=0x30000, _num_regions=MAX_REGIONS)
    assert shenandoah_parts(machine.tables, HEAP, "ShenandoahHeap") == ([], 0)
    assert g1_parts(g1([], count=MAX_REGIONS).tables, HEAP, "G1CollectedHeap") == ([], 0)


@pytest.mark.parametrize(("bounds", "good"), SPACES)
def test_the_regions_of_shenandoah(bounds: tuple[int, int, int], good: bool) -> None:
    bottom, top, end = bounds
    machine = Machine()
    machine.constants = {"ShenandoahHeapRegion::_regular": 2, "ShenandoahHeapRegion::_trash": 9}
    machine.object("ShenandoahHeap", HEAP, _regions=0x30000, _num_regions=3)
    machine.put(0x30000, 0x40000, 0x41000, 0x42000)
    machine.object("ShenandoahHeapRegion", 0x40000, _bottom=bottom, _top=top, _end=end, _state=2)
    machine.object("ShenandoahHeapRegion", 0x41000, _bottom=0x90000, _top=0x90008, _end=0xA0000, _state=9)
    machine.object("ShenandoahHeapRegion", 0x42000, _bottom=0xA0000, _top=0xA0008, _end=0xB0000, _state=7)
    parts, used = shenandoah_parts(machine.tables, HEAP, "ShenandoahHeap")
    trash = (0x90000, 0xA0000, "Java heap, Shenandoah trash")
    assert parts == ([(bottom, end, "Java heap, Shenandoah regular"), trash] if good else [trash])
    assert used == 8 + (top - bottom if good else 0)


@pytest.mark.parametrize(("nodes", "used"), [(None, 5), (0, 5), (1, 5), (2, 12), (3, None), (1 << 31, None)])
def test_a_z_heap_has_a_counter_for_each_node(nodes: int | None, used: int | None) -> None:
    machine = Machine()
    machine.fields = {
        "ZCollectedHeap": {"_heap": VmField(16, 0, False)},
        "ZHeap": {"_page_allocator": VmField(8, 0, False)},
    }
    pages = HEAP + 24
    machine.fields["ZPageAllocator"] = {"_partitions": VmField(64, 0, False)}
    machine.sizes["ZPartition"] = 48
    for index, counter in enumerate((5, 7)):
        machine.object("ZPartition", pages + 64 + 48 * index, _used=counter)
    if nodes is not None:
        machine.static("ZNUMA", "_count", nodes)
    assert z_parts(machine.tables, HEAP, "ZCollectedHeap") == ([], used)
    machine.object("ZPageAllocator", pages, _used=11)  # up to JDK 24
    assert z_parts(machine.tables, HEAP, "ZCollectedHeap") == ([], 11)


# ---------------------------------------------------------------- beside the heap


@pytest.mark.parametrize(
    ("low", "high", "good"),
    [
        (0x10000, 0x10001, True),
        (0x20000, 0x20000, False),
        (0xFFFF, 0x20000, False),
        (0x10000, LAST + 1, True),
        (0x10000, LAST + 2, False),
        (0, 0x20000, False),
    ],
)
def test_a_reservation_lies_in_the_user_space(low: int, high: int, good: bool) -> None:
    machine = Machine()
    machine.object("VirtualSpace", 0x5000, _low_boundary=low, _high_boundary=high)
    assert machine.tables.virtual_space(0x5000) == ((low, high) if good else None)


@pytest.mark.parametrize(("count", "found"), [(0, 0), (1, 1), (16, 16), (17, 16)])
def test_no_more_than_16_code_heaps_are_read(count: int, found: int) -> None:
    machine = Machine()
    machine.static("CodeCache", "_heaps", 0x5000)
    machine.object("GrowableArrayBase", 0x5000, _len=count)
    machine.fields["GrowableArray<int>"] = {"_data": VmField(16, 0, False)}
    machine.put(0x5010, 0x6000)
    machine.object("CodeHeap", 0, _memory=0)
    machine.object("VirtualSpace", 0, _low_boundary=0, _high_boundary=0)
    for index in range(17):
        heap = 0x7000 + 0x100 * index
        machine.put(0x6000 + 8 * index, heap)
        machine.object(
            "VirtualSpace", heap + 8, _low_boundary=0x10000 * (index + 1), _high_boundary=0x10000 * (index + 2)
        )
    parts = list(hotspot_areas.code_parts(machine.tables))
    assert parts == [(0x10000 * (index + 1), 0x10000 * (index + 2), "Java code heap") for index in range(found)]


@pytest.mark.parametrize(
    ("start", "size", "good"),
    [
        (0x10000, 1, True),
        (0xFFFF, 1, False),
        (0x10000, 0, False),
        (0, 0x20000, False),
        (LAST, 1, True),
        (LAST, 2, False),
    ],
)
@pytest.mark.parametrize("barrier", ["G1BarrierSet", "CardTableBarrierSet", "ShenandoahBarrierSet"])
def test_the_card_table(start: int, size: int, good: bool, barrier: str) -> None:
    machine = Machine()
    names = ("G1BarrierSet", "CardTableBarrierSet", "ShenandoahBarrierSet")
    machine.exports = {f"??_7{name}@@6B@": 0x9000 + index for index, name in enumerate(names)}
    machine.static("BarrierSet", "_barrier_set", 0x5000)
    machine.put(0x5000, 0x9000 + names.index(barrier))
    machine.object("CardTableBarrierSet", 0x5000, _card_table=0x6000)
    machine.object("CardTable", 0x6000, _byte_map=start, _byte_map_size=size)
    found = list(hotspot_areas.card_parts(machine.tables))
    has_table = good and barrier != "ShenandoahBarrierSet"
    assert found == ([(start, start + size, "Java card table")] if has_table else [])


@pytest.mark.parametrize(("depth", "found"), [(0, True), (1, True), (31, True), (32, False)])
def test_a_field_is_looked_for_in_32_classes(depth: int, found: bool) -> None:
    machine = Machine()
    machine.object(f"Class{depth}", 0x5000, _some=7)
    tables = machine.tables
    tables.superclass.update({f"Class{number}": f"Class{number + 1}" for number in range(40)})
    assert tables.value(0x5000, "Class0", "_some") == (7 if found else None)


CLASSES, ARCHIVE, SHARED = 0x50_0000, 0x60_0000, 0x70_0000


def metaspace(
    klass: int, constants: int, *, archive: tuple[int, int] = (ARCHIVE, ARCHIVE + 0x8000)
) -> list[tuple[int, int]]:
    """Allocations that hold classes, of a machine with one class loader and one class."""
    machine = Machine()
    for end, value in zip(("base", "top"), archive, strict=True):
        machine.static("MetaspaceObj", f"_shared_metaspace_{end}", value)
    machine.static("ClassLoaderDataGraph", "_head", 0x5000)
    machine.object("ClassLoaderData", 0x5000, _klasses=klass, _next=0x5000)  # it leads back into itself
    machine.object("Klass", klass, _next_link=klass)
    machine.fields["InstanceKlass"] = {"_constants": VmField(64, 0, False)}
    machine.put(klass + 64, constants)
    tables = machine.tables
    space = context(tables, (CLASSES, 0x20000), (ARCHIVE, 0x10000), (SHARED, 0x10000))
    return [(low, high) for low, high, kind in hotspot_areas.metaspace_parts(space, tables) if kind == "Java metaspace"]


@pytest.mark.parametrize(
    ("klass", "constants", "found"),
    [
        (CLASSES, SHARED, [CLASSES, SHARED]),
        (CLASSES + 0x10000, CLASSES, [CLASSES]),
        (ARCHIVE, CLASSES, [CLASSES]),  # the archive has a label of its own
        (ARCHIVE + 0x7FF8, 0, []),
        (ARCHIVE + 0x8000, 0, []),  # behind it, in its allocation
        (CLASSES, 0xFFF8, [CLASSES]),
        (CLASSES, LAST + 1, [CLASSES]),
        (CLASSES, SHARED + 0x10000, [CLASSES]),  # in no allocation
    ],
)
def test_classes_lie_in_the_metaspace_or_in_the_archive(klass: int, constants: int, found: list[int]) -> None:
    sizes = {CLASSES: 0x20000, SHARED: 0x10000}
    assert metaspace(klass, constants) == [(base, base + sizes[base]) for base in found]


def test_without_an_archive_its_place_is_metaspace() -> None:
    assert metaspace(ARCHIVE, CLASSES, archive=(0, 0)) == [(CLASSES, CLASSES + 0x20000), (ARCHIVE, ARCHIVE + 0x10000)]
    # An archive that ends where the classes begin.
    assert metaspace(CLASSES, 0, archive=(CLASSES - 0x10000, CLASSES)) == [(CLASSES, CLASSES + 0x20000)]
    # An allocation that begins in the archive is the archive's.
    assert metaspace(SHARED + 0x9000, 0, archive=(ARCHIVE, SHARED + 0x8000)) == []
    # The allocation of the class begins before the archive and is not the archive's.
    inside = metaspace(CLASSES, 0, archive=(CLASSES + 0x10000, CLASSES + 0x20000))
    assert inside == [(CLASSES, CLASSES + 0x20000)]


@pytest.mark.parametrize(("count", "found"), [(299, True), (300, True), (301, False)])
def test_so_many_class_loaders_are_read(monkeypatch: pytest.MonkeyPatch, count: int, found: bool) -> None:
    monkeypatch.setattr(hotspot_areas, "MAX_LOADERS", 300)
    machine = Machine()
    machine.static("ClassLoaderDataGraph", "_head", 0x5000)
    for index in range(count):
        last = index == count - 1
        machine.object("ClassLoaderData", 0x5000 + 32 * index, _klasses=CLASSES * last, _next=0x5020 + 32 * index)
    machine.object("Klass", CLASSES, _next_link=0)
    tables = machine.tables
    parts = list(hotspot_areas.metaspace_parts(context(tables, (CLASSES, 0x20000)), tables))
    assert parts == ([(CLASSES, CLASSES + 0x20000, "Java metaspace")] if found else [])


GB, GRANULE = 1 << 30, 0x10000


def side(machine: Machine, kind: str, *allocations: tuple[int, int]) -> list[tuple[int, int, str]]:
    """What a heap of 1 GB keeps beside itself."""
    tables = machine.tables
    return list(hotspot_side.side_parts(context(tables, *allocations), tables, HEAP, kind, (0x8000_0000, GB)))


@pytest.mark.parametrize(
    ("size", "allocated", "kind"),
    [
        (GB // 64, 0, "Java mark bitmap"),
        (GB // 64 + GRANULE - 0x1000, 0, "Java mark bitmap"),
        (GB // 64 + GRANULE, 0, None),
        (GB // 64 - 0x1000, 0, None),
        (GB // 512, 0, "Java G1 side table"),
        (GB // 512 + GRANULE, 0, None),
        (GB // 64, 0x1000, None),  # the allocation is larger
    ],
)
def test_a_table_of_g1_has_a_bit_or_a_byte_for_each_unit_of_the_heap(
    size: int, allocated: int, kind: str | None
) -> None:
    machine = Machine()
    vtable = machine.exports["??_7G1RegionsLargerThanCommitSizeMapper@@6B@"] = 0x9000_0000
    machine.exports["??_7G1RegionsSmallerThanCommitSizeMapper@@6B@"] = None
    machine.object("G1CollectedHeap", HEAP, _hrm=0)
    machine.sizes["HeapRegionManager"] = 16
    machine.put(HEAP + 8, 0x40000, 0x50000)
    machine.put(0x40000, vtable, 0, 0, 0, 0, 0, OTHER, OTHER + size)
    machine.put(0x50000, vtable + 8, 0, 0, 0, 0, 0, OTHER, OTHER + size)
    found = side(machine, "G1CollectedHeap", (OTHER, size + allocated))
    assert found == ([] if kind is None else [(OTHER, OTHER + size, kind)])


CHUNK = 8192


def marked(*words: int, size: int = 16, back: int = HEAP) -> Machine:
    """A G1 heap whose second word points to what marks, with these words from its third on."""
    machine = Machine()
    machine.exports = {f"??_7{name}@@6B@": None for name in hotspot_side._MAPPERS}
    machine.sizes["G1CollectedHeap"] = size
    machine.put(HEAP, 0x1, 0x40000)
    machine.put(0x40000, 0x2, back, *words, *[0] * (46 - len(words)))
    return machine


@pytest.mark.parametrize(
    ("most", "chunks", "allocated", "good"),
    [
        (4, 4, 4 * CHUNK, True),
        (5, 4, 4 * CHUNK, True),
        (3, 4, 4 * CHUNK, False),
        (4, 4, 5 * CHUNK, False),
        ((1 << 32) - 1, 4, 4 * CHUNK, True),
        (1 << 32, 4, 4 * CHUNK, False),
    ],
)
def test_the_mark_stack_in_one_block(most: int, chunks: int, allocated: int, good: bool) -> None:
    wanted = [(OTHER, OTHER + 4 * CHUNK, "Java G1 mark stack")] if good else []
    assert side(marked(most, OTHER, chunks), "G1CollectedHeap", (OTHER, allocated)) == wanted
    assert side(marked(most, OTHER, chunks, back=HEAP + 8), "G1CollectedHeap", (OTHER, allocated)) == []
    # Only words of the heap object itself are followed.
    assert side(marked(most, OTHER, chunks, size=8), "G1CollectedHeap", (OTHER, allocated)) == []


@pytest.mark.parametrize(("at", "good"), [(0, True), (40, True), (41, False)])
def test_the_mark_stack_lies_within_48_words(at: int, good: bool) -> None:
    words = [0] * at + [4, OTHER, 4]
    assert bool(side(marked(*words), "G1CollectedHeap", (OTHER, 4 * CHUNK))) is good


@pytest.mark.parametrize(
    ("least", "most", "chunks", "count", "bases", "good"),
    [
        (4, 16, 8, 3, (0x300000, 0x400000, 0), True),
        (4, 8, 8, 3, (0x300000, 0x400000, 0), True),
        (4, 7, 8, 3, (0x300000, 0x400000, 0), False),
        (4, 16, 4, 1, (0x300000,), True),
        (4, 16, 4, 1, (0x400000, 0x300000), True),
        (4, 16, 5, 1, (0x300000,), False),  # the count of chunks is another
        (4, 16, 5, 2, (0x300000, 0x400000), False),
        (4, 16, 4, 2, (0, 0x300000), True),
        (4, 16, 16, 3, (0x300000, 0x400000, 0x500000), True),  # as many as all before
        (0, 16, 8, 2, (0x300000, 0x400000), False),
        (4, 16, 8, 0, (0x300000, 0x400000), False),
        (4, 16, 4, 32, (0x300000, *[0] * 31), True),
        (4, 16, 4, 33, (0x300000, *[0] * 32), False),
        (4, (1 << 32) - 1, 4, 1, (0x300000,), True),
        (4, 1 << 32, 4, 1, (0x300000,), False),
    ],
)
def test_the_mark_stack_in_buckets(
    least: int, most: int, chunks: int, count: int, bases: tuple[int, ...], good: bool
) -> None:
    machine = marked(least, most, chunks, count, 0xDEAD, 0x60000)
    machine.put(0x60000, *bases)
    sizes = {0x300000: 4 * CHUNK, 0x400000: 4 * CHUNK, 0x500000: 8 * CHUNK}
    found = side(machine, "G1CollectedHeap", *sizes.items())
    wanted = [(base, base + sizes[base], "Java G1 mark stack") for base in bases[:count] if base]
    assert found == (wanted if good else [])


@pytest.mark.parametrize(
    ("size", "allocated", "good"),
    [
        (GB // 32, GB // 32, True),
        (GB // 32 - 8, GB // 32 - 8, False),
        (GB // 32 + GRANULE - 8, GB // 32 + GRANULE - 8, True),
        (GB // 32 + GRANULE, GB // 32 + GRANULE, False),
        (GB // 32, GB // 32 + 0x1000, False),
    ],
)
def test_the_bitmaps_of_shenandoah(size: int, allocated: int, good: bool) -> None:
    machine = Machine()
    machine.sizes["ShenandoahHeap"] = 32
    machine.put(HEAP, 0x1, 0x2, OTHER, size // 8)
    found = side(machine, "ShenandoahHeap", (OTHER, allocated))
    assert found == ([(OTHER, OTHER + size, "Java mark bitmap")] if good else [])
    machine.sizes["ShenandoahHeap"] = 24  # the last word is not the heap's
    assert side(machine, "ShenandoahHeap", (OTHER, allocated)) == []


@pytest.mark.parametrize("name", ["BlockOffsetSharedArray", "SerialBlockOffsetTable", None])
@pytest.mark.parametrize("kind", ["SerialHeap", "GenCollectedHeap"])
def test_the_block_offsets_of_serial(name: str | None, kind: str) -> None:
    machine = Machine()
    machine.object(kind, HEAP, _old_gen=0x5000)
    machine.object("TenuredGeneration", 0x5000, _bts=0x6000)
    if name is not None:
        machine.object(name, 0x6000, _vs=0)
    machine.object("VirtualSpace", 0x6008, _low_boundary=OTHER, _high_boundary=OTHER + 0x1000)
    assert side(machine, kind) == ([] if name is None else [(OTHER, OTHER + 0x1000, "Java block offset table")])


def whole(start: int, words: int) -> tuple[Machine, Context]:
    """A machine with a G1 heap of three regions, a card table, and a table of G1 beside it."""
    machine = g1([(start + 0x20000, start + 0x20008, start + 0x30000, 2), (start, start + 8, start + 0x10000, 16)])
    for name in (*COLLECTORS, *hotspot_areas.BARRIERS, *hotspot_side._MAPPERS):
        machine.exports[f"??_7{name}@@6B@"] = 0x9000_0000 + 16 * len(machine.exports)
    machine.put(HEAP, machine.exports["??_7G1CollectedHeap@@6B@"] or 0)
    machine.static("Universe", "_collectedHeap", HEAP)
    machine.static("HeapRegion", "GrainBytes", 0x10000)
    machine.static("Abstract_VM_Version", "_s_vm_release", 0xE0000)
    machine.put(0xE0000, int.from_bytes(b"17.0.9+9", "little"), 0)
    machine.fields["CollectedHeap"] = {"_reserved": VmField(0x40, 0, False)}
    machine.object("MemRegion", HEAP + 0x40, _start=start, _word_size=words)
    machine.static("BarrierSet", "_barrier_set", 0x5000)
    machine.put(0x5000, machine.exports["??_7G1BarrierSet@@6B@"] or 0)
    machine.object("CardTableBarrierSet", 0x5000, _card_table=0x6000)
    machine.object("CardTable", 0x6000, _byte_map=OTHER, _byte_map_size=0x1000)
    machine.sizes["HeapRegionManager"] = 0x70
    machine.put(HEAP + 0x58, 0, 0, 0x70000, 0x71000)
    mapper = machine.exports[f"??_7{hotspot_side._MAPPERS[1]}@@6B@"] or 0
    for place, table in ((0x70000, OTHER), (0x71000, OTHER + 0x10000)):
        machine.put(place, mapper, table, table + 0x1000, *[0] * 5)
    for address in range(HEAP, HEAP + 0x80):
        machine.bytes.setdefault(address, 0)
    tables = machine.tables
    return machine, context(tables, (start, 8 * words), (OTHER, 0x1000), (OTHER + 0x10000, 0x1000))


def test_a_machine_as_a_whole() -> None:
    start = 0x8000_0000
    machine, process = whole(start, 0x10000)
    java = _read_machine(process, LoadedModule(0x10000, 0x1000, "jvm.dll"), machine.tables)
    assert java is not None
    assert (java.collector, java.version, java.heap, java.region_size) == ("G1", "17.0.9+9", (start, 0x80000), 0x10000)
    assert java.used == 16
    assert java.parts == (
        (start, start + 0x10000, "Java heap, G1 old"),
        (start + 0x10000, start + 0x20000, "Java heap, reserved"),
        (start + 0x20000, start + 0x30000, "Java heap, G1 eden"),
        (start + 0x30000, start + 0x80000, "Java heap, reserved"),
    )
    assert java.cards == ((OTHER, OTHER + 0x1000, "Java card table"),)
    # The card table is not named twice.
    assert java.side == ((OTHER + 0x10000, OTHER + 0x11000, "Java G1 side table"),)
    assert (java.code, java.metaspace, java.metaspace_committed, java.flags, java.threads) == ((), (), 0, {}, ())


@pytest.mark.parametrize(("start", "words"), [(0, 1), (0x8000_0000, 0), (0xFFF8, 1), (LAST - 15, 3)])
def test_a_heap_that_no_process_can_have_is_none(start: int, words: int) -> None:
    machine, process = whole(0x8000_0000, 0x10000)
    machine.object("MemRegion", HEAP + 0x40, _start=start, _word_size=words)
    assert _read_machine(process, LoadedModule(0x10000, 0x1000, "jvm.dll"), machine.tables) is None
    assert _mem_region(machine.tables, HEAP + 0x40) is None
    machine.object("MemRegion", HEAP + 0x40, _start=LAST - 15, _word_size=2)
    assert _mem_region(machine.tables, HEAP + 0x40) == (LAST - 15, 16)


def test_of_ranges_that_overlap_the_first_stays() -> None:
    machine = JavaMachine(
        "jvm.dll",
        None,
        "G1",
        None,
        None,
        None,
        parts=((20, 30, "a"), (30, 40, "b")),
        code=((10, 20, "c"), (10, 21, "d"), (39, 50, "e")),
        cards=((40, 50, "f"), (25, 26, "g")),
        side=((50, 60, "h"), (5, 60, "i")),
    )
    assert [kind for _, _, kind in machine.ranges] == ["c", "a", "b", "f", "h"]


# ---------------------------------------------------------------- lists


@pytest.mark.parametrize(("count", "found"), [(0, 0), (1, 1), (3, 3), (4, 0)])
def test_the_array_of_threads_is_all_there_or_none(count: int, found: int) -> None:
    machine = Machine()
    machine.static("ThreadsSMRSupport", "_java_thread_list", 0x5000)
    machine.object("ThreadsList", 0x5000, _length=count, _threads=0x6000)
    machine.put(0x6000, 1, 2, 3)
    assert _list(machine.tables) == (1, 2, 3)[:found]


def test_the_chain_of_threads_may_lead_back_into_itself() -> None:
    machine = Machine()
    machine.static("Threads", "_thread_list", 0x5000)
    for thread, following in ((0x5000, 0x5100), (0x5100, 0x5200), (0x5200, 0x5100)):
        machine.object("JavaThread", thread, _next=following)
    assert _list(machine.tables) == (0x5000, 0x5100, 0x5200)


@pytest.mark.parametrize(("count", "held"), [(1, 1), (64, 64), (65, 65), (130, 130), (130, 129), (130, 70), (3, 0)])
def test_an_array_is_read_up_to_what_is_not_there(count: int, held: int) -> None:
    entries = [struct.pack("<QI", index, index) for index in range(held)]
    memory = ExcerptMemory([(0x10000, b"".join(entries))] if held else [])
    assert list(read_array(memory, 0x10000, 12, count)) == entries[:count]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"name\0more" + bytes(100), "name"),
        (b"x" * 95 + b"\0", "x" * 95),
        (b"x" * 100, "x" * 96),
        (b"near\0end" + bytes(16), "near"),
        (b"end\0" + bytes(4), "end"),
        (b"end\0" + bytes(3), ""),
    ],
)
def test_names(data: bytes, text: str) -> None:
    assert read_name(ExcerptMemory([(0x10000, data)]), 0x10000) == text


# ---------------------------------------------------------------- objects


THREAD_CLASS, STRING_CLASS, THREAD, TEXT, ARRAY = 0x100_0000, 0x110_0000, 0x200_0000, 0x210_0000, 0x220_0000


def named(name: str, *, release: int, unit: int = 1, coder: int = 0, moved: int = 0) -> Machine:
    """A machine with one java.lang.Thread: JDK 8, or JDK 9 to 20, where `coder` says how texts are stored.

    Its class lies `moved` bytes behind where it usually does.
    """
    machine = Machine()
    texts: dict[str, int] = {}

    def symbol(text: str) -> int:
        place = texts.setdefault(text, 0x300_0000 + 0x100 * len(texts))
        machine.put(place, len(text) << 16, *struct.unpack("<8Q", text.encode().ljust(64, b"\0")))
        return place

    machine.fields["Symbol"] = {"_length": VmField(2, 0, False), "_body": VmField(8, 0, False)}
    machine.sizes["ConstantPool"] = 0x50
    machine.fields["InstanceKlass"] = {
        "_constants": VmField(0x40, 0, False),
        "_fields": VmField(0x48, 0, False),
        "_java_fields_count": VmField(0x50, 0, False),
    }
    machine.fields["Array<u2>"] = {"_data": VmField(4, 0, False)}
    value = ("value", "[B", 12) if release >= 9 else ("value", "[C", 12)
    classes = (
        (THREAD_CLASS + moved, "java/lang/Thread", [("eetop", "J", 16), ("name", "Ljava/lang/String;", 24)]),
        (STRING_CLASS, "java/lang/String", [value, ("coder", "B", 20)][: 2 if release >= 9 else 1]),
    )
    for klass, class_name, fields in classes:
        machine.object("Klass", klass, _name=symbol(class_name), _super=0)
        pool, array = klass + 0x1000, klass + 0x2000
        machine.put(klass + 0x40, pool, array, len(fields))
        symbols = [symbol(text) for field, kind, _ in fields for text in (field, kind)]
        machine.put(pool + 0x50, *symbols)
        rows = b"".join(
            struct.pack("<6H", 0, 2 * at, 2 * at + 1, 0, offset << 2 | 1, 0) for at, (_, _, offset) in enumerate(fields)
        )
        machine.put(array, *struct.unpack("<8Q", (bytes(4) + rows).ljust(64, b"\0")))
    machine.put(THREAD, 1, THREAD_CLASS, 0, TEXT)
    machine.bytes.update(enumerate(struct.pack("<QIII", 1, STRING_CLASS, ARRAY, 0) + bytes([coder, 0, 0, 0]), TEXT))
    data = name.encode("utf-16-le" if unit == 2 or coder else "latin-1") + b"more"
    length = len(data) - 4 if release >= 9 else len(name)
    machine.bytes.update(enumerate(struct.pack("<QII", 1, 0, length) + data, ARRAY))
    machine.static("CompressedOops", "_narrow_oop._base", 0)
    machine.static("CompressedOops", "_narrow_oop._shift", 0)
    machine.static("CompressedKlassPointers", "_narrow_klass._base", moved)
    machine.static("CompressedKlassPointers", "_narrow_klass._shift", 0)
    if moved:
        machine.object("Klass", STRING_CLASS + moved, _name=symbol("java/lang/String"), _super=STRING_CLASS)
    return machine


@pytest.mark.parametrize(
    ("release", "unit", "coder", "name"),
    [(8, 2, 0, "main"), (8, 2, 0, "\u0142"), (9, 1, 0, "main"), (9, 1, 0, "caf\xe9"), (9, 2, 1, "\u0142main")],
)
def test_the_name_of_a_thread(release: int, unit: int, coder: int, name: str) -> None:
    machine = named(name, release=release, unit=unit, coder=coder)
    machine.put(THREAD + 24, TEXT)
    assert _Objects(machine.tables, compressed=True).thread_name(THREAD) == name
    assert _Objects(machine.tables, compressed=True).thread_name(TEXT) is None
    assert _Objects(machine.tables, compressed=True).thread_name(THREAD + 8) is None


def test_a_text_of_an_unknown_coder_is_none() -> None:
    assert _Objects(named("main", release=9, coder=2, unit=1).tables, compressed=True).thread_name(THREAD) is None


def stream_of(*numbers: int) -> bytes:
    """A stream of small compressed numbers."""
    return bytes(number + 1 for number in numbers)


@pytest.mark.parametrize(
    ("data", "length", "fields"),
    [
        (stream_of(2, 0, 1, 2, 12, 0, 0, 3, 4, 16, 1, 0), None, [(1, 2, 12), (3, 4, 16)]),
        (stream_of(2, 0, 1, 2, 12, 8, 0, 3, 4, 16, 1, 0), None, [(3, 4, 16)]),  # the first is static
        (stream_of(2, 0, 1, 2, 12, 0, 0x15, 90, 91, 92, 3, 4, 16, 0, 0), None, [(1, 2, 12), (3, 4, 16)]),
        (stream_of(2, 0, 1, 2, 12, 0, 0x0A, 3, 4, 16, 0, 4, 90), None, [(1, 2, 12), (3, 4, 16)]),
        (stream_of(1, 5, 1, 2, 12, 0, 0, 3, 4, 16, 0, 0), None, [(1, 2, 12)]),  # one counts, others are injected
        (stream_of(3, 0, 1, 2, 12, 0, 0, 3), None, [(1, 2, 12)]),
        (stream_of(1, 0, 1, 2, 12, 0, 0).ljust(1 << 14), 1 << 30, [(1, 2, 12)]),  # 16 KB are read
        (stream_of(1, 0, 1, 2, 12, 0, 0), 0, []),
        (b"", 7, []),
    ],
)
def test_the_fields_of_a_class_since_jdk_21(
    data: bytes, length: int | None, fields: list[tuple[int, int, int]]
) -> None:
    machine = Machine()
    machine.fields["InstanceKlass"] = {"_fieldinfo_stream": VmField(0x40, 0, False)}
    machine.fields["Array<int>"] = {"_length": VmField(0, 0, False)}
    machine.fields["Array<u1>"] = {"_data": VmField(4, 0, False)}
    machine.put(0x5040, 0x6000)
    stated = len(data) if length is None else length
    machine.bytes.update(enumerate(stated.to_bytes(4, "little") + data, 0x6000))
    assert list(_stream_fields(machine.tables, 0x5000)) == fields


def test_a_class_without_a_stream_of_fields_has_none() -> None:
    machine = Machine()
    assert list(_stream_fields(machine.tables, 0x5000)) == []
    machine.fields["InstanceKlass"] = {"_fieldinfo_stream": VmField(0x40, 0, False)}
    machine.put(0x5040, 0x6000)
    machine.put(0x6000, 7)
    assert list(_stream_fields(machine.tables, 0x5000)) == []
    machine.fields["Array<int>"] = {"_length": VmField(0, 0, False)}
    assert list(_stream_fields(machine.tables, 0x5000)) == []


@pytest.mark.parametrize(
    ("moved", "found"),
    [(0, True), (8, True), (4, False), (LAST + 1 - THREAD_CLASS - 0x200000, True), (LAST + 1 - THREAD_CLASS, False)],
)
def test_a_class_lies_in_the_user_space_at_a_multiple_of_8(moved: int, found: bool) -> None:
    machine = named("main", release=9, moved=moved)
    machine.put(THREAD + 24, TEXT)
    fields = _Objects(machine.tables, compressed=True)._fields_of(THREAD, "java/lang/Thread")
    assert fields == ({"eetop": ("J", 16), "name": ("Ljava/lang/String;", 24)} if found else {})
