"""HotSpot: the Java heap, code, metaspace, and card table of a Java virtual machine, by the tables of jvm.dll.

Everything is read by name out of the tables that jvm.dll exports (`hotspot_tables`). The collector is the class of the
heap object, known by its vtable, which jvm.dll exports as well. Checked on recorded processes of JDK 11, 17, 21, and 25
against what the virtual machine wrote about itself (hs_err files).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from dumpmap.model.evidence import EvidenceInfo
from dumpmap.model.kinds import KindInfo
from dumpmap.model.recognised import Found, LabelledRange, OwnerFacts, Runtime
from dumpmap.model.runtime_limits import RuntimeLimit
from dumpmap.structures.bounds import is_user_address
from dumpmap.structures.recognisers.hotspot_collectors import (
    Part,
    g1_parts,
    g1_region,
    no_parts,
    parallel_parts,
    serial_parts,
)
from dumpmap.structures.recognisers.hotspot_tables import VmTables, read_name, read_tables
from dumpmap.structures.recognisers.protocol import Context, LoadedModule

NAME = "Java heap"
EVIDENCE_WORD = "hotspot-vmstructs"

MAX_MACHINES = 4

MAX_CODE_HEAPS = 16
MAX_LOADERS = 4096
MAX_CLASSES = 200_000
MAX_FLAGS = 8192

COLLECTORS = {
    "G1CollectedHeap": "G1",
    "SerialHeap": "Serial",
    "GenCollectedHeap": "Serial",
    "ParallelScavengeHeap": "Parallel",
    "ZCollectedHeap": "Z",
    "ShenandoahHeap": "Shenandoah",
    "EpsilonHeap": "Epsilon",
}
"""Class of the heap object, and the collector that it stands for."""

FLAGS = ("MaxHeapSize", "InitialHeapSize", "MaxMetaspaceSize", "MaxDirectMemorySize", "ReservedCodeCacheSize")
"""-XX flags of interest; -Xmx sets the first."""

_TABLES = "HotSpot's exported tables."
_G1_KINDS = {
    "eden": "Newly allocated objects, in a region of the G1 collector.",
    "survivor": "Objects that survived a young collection, in a region of the G1 collector.",
    "old": "Objects of the old generation, in a region of the G1 collector.",
    "humongous": "Part of an object larger than half a region of the G1 collector.",
    "archive": "Objects mapped from a class-data archive, in a region of the G1 collector.",
    "free": "A committed region of the G1 collector without objects.",
}
_RESERVE = "Java heap, reserved"
_CODE, _SEGMENTS, _CARDS, _METASPACE = "Java code heap", "Java code segment map", "Java card table", "Java metaspace"
_WHOLE = "Java heap"

KINDS: tuple[KindInfo, ...] = (
    *(KindInfo(f"Java heap, G1 {name}", None, meaning, _TABLES) for name, meaning in _G1_KINDS.items()),
    KindInfo("Java heap, eden", None, "Newly allocated objects.", _TABLES),
    KindInfo("Java heap, survivor", None, "Objects that survived a young collection.", _TABLES),
    KindInfo("Java heap, old", None, "Objects of the old generation.", _TABLES),
    KindInfo(_RESERVE, None, "Address space that the Java heap may still use, up to -Xmx.", _TABLES),
    KindInfo(_WHOLE, None, "The reservation of the Java heap, for a collector whose parts are not read.", _TABLES),
    KindInfo(_CODE, None, "Machine code that the virtual machine generated.", _TABLES),
    KindInfo(_SEGMENTS, None, "The map of what is in a code heap.", _TABLES),
    KindInfo(_CARDS, None, "The card table of the Java heap.", _TABLES),
    KindInfo(_METASPACE, None, "Classes and their metadata.", "Klass and ConstantPool pointers of loaded classes."),
)

EVIDENCE: tuple[EvidenceInfo, ...] = (
    EvidenceInfo(EVIDENCE_WORD, "The tables that jvm.dll exports name the field that holds the range."),
)


@dataclass(frozen=True, slots=True)
class JavaMachine:
    """One Java virtual machine. Sizes are bytes; None is unknown.

    Attributes:
        module: file name of jvm.dll.
        version: the release, such as `17.0.9+9`.
        collector: such as `G1`.
        heap: start and size of the Java heap's reservation.
        region_size: bytes of a G1 region; None for another collector.
        used: bytes of objects in the heap, dead ones included.
        parts: the parts of the heap.
        code: code heaps and their segment maps.
        cards: the card table.
        metaspace: allocations that hold classes.
        flags: the values of `FLAGS`.
    """

    module: str
    version: str | None
    collector: str
    heap: tuple[int, int]
    region_size: int | None
    used: int | None
    parts: tuple[Part, ...] = ()
    code: tuple[Part, ...] = ()
    cards: tuple[Part, ...] = ()
    metaspace: tuple[Part, ...] = ()
    flags: dict[str, int] = field(default_factory=dict)

    @property
    def limit(self) -> int | None:
        """What the Java heap may take at most: -Xmx."""
        return self.flags.get("MaxHeapSize")

    @property
    def ranges(self) -> tuple[Part, ...]:
        """All that the machine has taken, as far as it is known."""
        return (*self.parts, *self.code, *self.cards, *self.metaspace)


def find(context: Context) -> Found:
    """Finds the Java virtual machines of a process."""
    if context.family != "windows" or context.pointer_size != 8:
        return Found()
    machines: list[JavaMachine] = []
    runtimes: list[Runtime] = []
    notes: list[str] = []
    for module in [module for module in context.modules if module.name == "jvm.dll"][:MAX_MACHINES]:
        runtimes.append(Runtime(NAME, module.name, module.base))
        image = context.image_of(module)
        tables = None if image is None else read_tables(context.memory, module.base, image)
        machine = None if tables is None else _read_machine(context, module, tables)
        if machine is None:
            notes.append(f"{module.name}: its tables are not in the dump, so the Java heap could not be located")
        else:
            machines.append(machine)
    return Found(
        ranges=tuple(part for machine in machines for part in _labelled(machine)),
        runtimes=tuple(runtimes),
        facts=(*machines, *map(_facts, machines), *map(_limit, machines)),
        notes=tuple(notes),
    )


def _facts(machine: JavaMachine) -> OwnerFacts:
    return OwnerFacts(NAME, machine.module, machine.collector, machine.version, machine.used, machine.limit)


def _limit(machine: JavaMachine) -> RuntimeLimit:
    """The Java heap against -Xmx. HotSpot collects when a generation is full, and no variable tells what survived."""
    return RuntimeLimit("Java", machine.used, machine.limit, "HotSpot's MaxHeapSize (-Xmx)", garbage=True)


def _labelled(machine: JavaMachine) -> Iterator[LabelledRange]:
    details = f"{machine.module}, {machine.collector}"
    for start, end, kind in machine.ranges:
        yield LabelledRange(
            base=start,
            size=end - start,
            kind=kind,
            evidence=EVIDENCE_WORD,
            details=details,
            whole_kind=_WHOLE if kind.startswith("Java heap") else None,
            owner=NAME,
            module=machine.module,
            instance=machine.collector,
        )


def _read_machine(context: Context, module: LoadedModule, tables: VmTables) -> JavaMachine | None:
    heap = tables.static("Universe", "_collectedHeap")
    kind = None if not heap else _heap_class(tables, heap)
    if not heap or kind is None:
        return None
    place = tables.place(heap, "CollectedHeap", "_reserved")
    reserved = None if place is None else _mem_region(tables, place)
    if reserved is None or context.space.allocation(reserved[0]) is None:
        return None
    collector = COLLECTORS[kind]
    reader = {"G1": g1_parts, "Serial": serial_parts, "Parallel": parallel_parts}.get(collector, no_parts)
    parts, used = reader(tables, heap, kind)
    low, high = reserved[0], sum(reserved)
    parts = sorted(part for part in parts if low <= part[0] < part[1] <= high)
    return JavaMachine(
        module=module.name,
        version=_version(tables),
        collector=collector,
        heap=reserved,
        region_size=tables.static(g1_region(tables), "GrainBytes") if collector == "G1" else None,
        used=used,
        parts=tuple(_with_reserve(parts, low, high)),
        code=tuple(_code(tables)),
        cards=tuple(_cards(tables)),
        metaspace=tuple(_metaspace(context, tables)),
        flags=_flags(tables),
    )


def _heap_class(tables: VmTables, heap: int) -> str | None:
    """The class of the heap object: the one whose exported vtable it has."""
    vtable = tables.word(heap)
    if vtable is None:
        return None
    return next((name for name in COLLECTORS if tables.export(f"??_7{name}@@6B@") == vtable), None)


def _version(tables: VmTables) -> str | None:
    address = tables.static("Abstract_VM_Version", "_s_vm_release")
    return (read_name(tables.memory, address) or None) if address else None


def _mem_region(tables: VmTables, address: int) -> tuple[int, int] | None:
    """Reads a MemRegion: start and size in bytes."""
    start, words = tables.value(address, "MemRegion", "_start"), tables.value(address, "MemRegion", "_word_size")
    if not start or not words or not is_user_address(start, 8) or not is_user_address(start + 8 * words - 1, 8):
        return None
    return start, 8 * words


def _with_reserve(parts: list[Part], low: int, high: int) -> Iterator[Part]:
    """The parts of the heap, and what of its reservation none of them covers. Of parts that overlap the first stays."""
    at = low
    for start, end, kind in parts:
        if start < at:
            continue
        if start > at:
            yield at, start, _RESERVE if parts else _WHOLE
        yield start, end, kind
        at = end
    if at < high:
        yield at, high, _RESERVE if parts else _WHOLE


# ---------------------------------------------------------------- beside the heap


def _code(tables: VmTables) -> Iterator[Part]:
    """The code heaps: what the compilers generate."""
    heaps = tables.static("CodeCache", "_heaps")
    if not heaps:
        return
    array = "GrowableArrayBase" if "GrowableArrayBase" in tables.fields else "GenericGrowableArray"
    count = tables.value(heaps, array, "_len", size=4) or 0
    data = tables.value(heaps, "GrowableArray<int>", "_data")
    for index in range(min(count, MAX_CODE_HEAPS) if data else 0):
        heap = tables.word((data or 0) + 8 * index)
        if not heap:
            continue
        for member, kind in (("_memory", _CODE), ("_segmap", _SEGMENTS)):
            place = tables.place(heap, "CodeHeap", member)
            low = None if place is None else tables.value(place, "VirtualSpace", "_low_boundary")
            high = None if place is None else tables.value(place, "VirtualSpace", "_high_boundary")
            if low and high and is_user_address(low, 8) and low < high and is_user_address(high - 1, 8):
                yield low, high, kind


def _cards(tables: VmTables) -> Iterator[Part]:
    """The card table."""
    barrier = tables.static("BarrierSet", "_barrier_set")
    table = tables.value(barrier, "CardTableBarrierSet", "_card_table") if barrier else None
    if not table:
        return
    start, size = tables.value(table, "CardTable", "_byte_map"), tables.value(table, "CardTable", "_byte_map_size")
    if start and size and is_user_address(start, 8) and is_user_address(start + size - 1, 8):
        yield start, start + size, _CARDS


def _metaspace(context: Context, tables: VmTables) -> Iterator[Part]:
    """The allocations that hold the classes of all class loaders, and their constants."""
    found: dict[int, int] = {}
    loader, loaders, left = tables.static("ClassLoaderDataGraph", "_head"), 0, MAX_CLASSES
    while loader and loaders < MAX_LOADERS:
        loaders += 1
        klass = tables.value(loader, "ClassLoaderData", "_klasses")
        while klass and left:
            left -= 1
            for address in (klass, tables.value(klass, "InstanceKlass", "_constants")):
                allocation = context.space.allocation(address) if address and is_user_address(address, 8) else None
                if allocation is not None:
                    found[allocation[0]] = allocation[1]
            klass = tables.value(klass, "Klass", "_next_link")
        loader = tables.value(loader, "ClassLoaderData", "_next")
    for base, size in sorted(found.items()):
        yield base, base + size, _METASPACE


def _flags(tables: VmTables) -> dict[str, int]:
    """The values of `FLAGS`."""
    array, count = tables.static("JVMFlag", "flags"), tables.static("JVMFlag", "numFlags")
    name_field, address_field = tables.find("JVMFlag", "_name"), tables.find("JVMFlag", "_addr")
    stride = tables.sizes.get("JVMFlag")
    if not array or not count or name_field is None or address_field is None or not stride:
        return {}
    values = {}
    for index in range(min(count, MAX_FLAGS)):
        entry = array + index * stride
        name_at, value_at = tables.word(entry + name_field.offset), tables.word(entry + address_field.offset)
        name = read_name(tables.memory, name_at) if name_at else ""
        if name in FLAGS and value_at:
            value = tables.word(value_at)
            if value is not None:
                values[name] = value
        if len(values) == len(FLAGS):
            break
    return values
