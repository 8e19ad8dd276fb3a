"""HotSpot: the Java heap, code, metaspace, and card table of a Java virtual machine, by the tables of jvm.dll.

Everything is read by name out of the tables that jvm.dll exports (`hotspot_tables`). The collector is the class of the
heap object, known by its vtable, which jvm.dll exports as well. Checked on recorded processes of JDK 11, 17, 21, and 25
against what the virtual machine wrote about itself (hs_err files).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import field

from dumpmap.model.evidence import EvidenceInfo
from dumpmap.model.kinds import KindInfo
from dumpmap.model.recognised import Found, LabelledRange, OwnerFacts, Runtime, ThreadName
from dumpmap.model.runtime_limits import RuntimeLimit
from dumpmap.model.values import value_class
from dumpmap.structures.bounds import is_user_address
from dumpmap.structures.recognisers.hotspot_areas import (
    ARCHIVE,
    CARDS,
    CODE,
    CODE_SEGMENTS,
    METASPACE,
    card_parts,
    code_parts,
    metaspace_parts,
)
from dumpmap.structures.recognisers.hotspot_collectors import (
    EPSILON,
    Part,
    epsilon_parts,
    g1_parts,
    g1_region,
    parallel_parts,
    serial_parts,
    shenandoah_parts,
    z_parts,
)
from dumpmap.structures.recognisers.hotspot_side import (
    BLOCK_OFFSETS,
    MARK_BITMAP,
    MARK_STACK,
    SIDE_TABLE,
    side_parts,
)
from dumpmap.structures.recognisers.hotspot_tables import VmTables, read_array, read_name, read_tables
from dumpmap.structures.recognisers.hotspot_threads import JavaThread, java_threads
from dumpmap.structures.recognisers.protocol import Context, LoadedModule

UNLIMITED = 1 << 47
"""A flag of this many bytes or more sets no limit."""

NAME = "Java heap"
EVIDENCE_WORD = "hotspot-vmstructs"

MAX_MACHINES = 4

MAX_FLAGS = 8192

COLLECTORS = {
    "G1CollectedHeap": ("G1", g1_parts),
    "SerialHeap": ("Serial", serial_parts),
    "GenCollectedHeap": ("Serial", serial_parts),
    "ParallelScavengeHeap": ("Parallel", parallel_parts),
    "ZCollectedHeap": ("Z", z_parts),
    "ShenandoahHeap": ("Shenandoah", shenandoah_parts),
    "ShenandoahGenerationalHeap": ("Shenandoah", shenandoah_parts),
    "EpsilonHeap": ("Epsilon", epsilon_parts),
}
"""Class of the heap object, the collector that it stands for, and what reads its parts."""

FLAGS = {
    "MaxHeapSize": 8,
    "InitialHeapSize": 8,
    "MaxMetaspaceSize": 8,
    "MaxDirectMemorySize": 8,
    "ReservedCodeCacheSize": 8,
    "UseCompressedOops": 1,
    "UseCompressedClassPointers": 1,
    "UseCompactObjectHeaders": 1,
}
"""-XX flags of interest, with their bytes; -Xmx sets the first."""

_TABLES = "HotSpot's exported tables."
_POINTERS = "Pointers in objects that HotSpot's exported tables name, which agree with the heap and the allocation."
_G1_KINDS = {
    "eden": "Newly allocated objects, in a region of the G1 collector.",
    "survivor": "Objects that survived a young collection, in a region of the G1 collector.",
    "old": "Objects of the old generation, in a region of the G1 collector.",
    "humongous": "Part of an object larger than half a region of the G1 collector.",
    "archive": "Objects mapped from a class-data archive, in a region of the G1 collector.",
    "free": "A committed region of the G1 collector without objects.",
}
_SHENANDOAH_KINDS = {
    "regular": "Objects, in a region of the Shenandoah collector.",
    "humongous": "Part of an object larger than a region of the Shenandoah collector.",
    "collection set": "Objects that the Shenandoah collector is about to move away.",
    "pinned": "Objects that may not move.",
    "trash": "A region of the Shenandoah collector that is about to be free.",
    "free": "A committed region of the Shenandoah collector without objects.",
}
_RESERVE = "Java heap, reserved"
_WHOLE = "Java heap"

KINDS: tuple[KindInfo, ...] = (
    *(KindInfo(f"Java heap, G1 {name}", None, meaning, _TABLES) for name, meaning in _G1_KINDS.items()),
    *(KindInfo(f"Java heap, Shenandoah {name}", None, meaning, _TABLES) for name, meaning in _SHENANDOAH_KINDS.items()),
    KindInfo(f"Java heap, {EPSILON}", None, "Objects, in the one space of a heap that is never collected.", _TABLES),
    KindInfo("Java heap, eden", None, "Newly allocated objects.", _TABLES),
    KindInfo("Java heap, survivor", None, "Objects that survived a young collection.", _TABLES),
    KindInfo("Java heap, old", None, "Objects of the old generation.", _TABLES),
    KindInfo(_RESERVE, None, "Address space that the Java heap may still use, up to -Xmx.", _TABLES),
    KindInfo(_WHOLE, None, "The reservation of the Java heap, where its parts could not be read.", _TABLES),
    KindInfo(CODE, None, "Machine code that the virtual machine generated.", _TABLES),
    KindInfo(CODE_SEGMENTS, None, "The map of what is in a code heap.", _TABLES),
    KindInfo(CARDS, None, "The card table of the Java heap.", _TABLES),
    KindInfo(MARK_BITMAP, None, "Which objects concurrent marking has reached.", _POINTERS),
    KindInfo(SIDE_TABLE, None, "Block offsets or card counts of the G1 collector.", _POINTERS),
    KindInfo(MARK_STACK, None, "Objects that concurrent marking has yet to visit.", _POINTERS),
    KindInfo(BLOCK_OFFSETS, None, "Where objects of the old generation start.", _TABLES),
    KindInfo(METASPACE, None, "Classes and their metadata.", "Klass and ConstantPool pointers of loaded classes."),
    KindInfo(ARCHIVE, None, "Classes that were prepared in advance, in a file (`classes.jsa`).", _TABLES),
)

EVIDENCE: tuple[EvidenceInfo, ...] = (
    EvidenceInfo(EVIDENCE_WORD, "The tables that jvm.dll exports name the field that holds the range."),
)


@value_class(frozen=True, slots=True)
class JavaMachine:
    """One Java virtual machine. Sizes are bytes; None is unknown.

    Attributes:
        module: file name of jvm.dll.
        version: the release, such as `17.0.9+9`.
        collector: such as `G1`.
        heap: start and size of the Java heap's reservation; None for Z, which maps views of a section.
        region_size: bytes of a G1 region; None for another collector.
        used: bytes of objects in the heap, dead ones included.
        parts: the parts of the heap.
        code: code heaps and their segment maps.
        cards: the card table.
        metaspace: the archive of classes, and allocations that hold other classes.
        side: what the collector keeps beside the heap.
        metaspace_committed: committed bytes of the allocations that hold classes, without the archive.
        flags: the values of `FLAGS`.
        threads: the threads that run Java code and have a name.
    """

    module: str
    version: str | None
    collector: str
    heap: tuple[int, int] | None
    region_size: int | None
    used: int | None
    parts: tuple[Part, ...] = ()
    code: tuple[Part, ...] = ()
    cards: tuple[Part, ...] = ()
    metaspace: tuple[Part, ...] = ()
    side: tuple[Part, ...] = ()
    metaspace_committed: int = 0
    flags: dict[str, int] = field(default_factory=dict)
    threads: tuple[JavaThread, ...] = ()

    @property
    def limit(self) -> int | None:
        """What the Java heap may take at most: -Xmx."""
        return self.flags.get("MaxHeapSize")

    @property
    def ranges(self) -> tuple[Part, ...]:
        """All that the machine has taken, as far as it is known. Of ranges that overlap the first one stays."""
        kept: list[Part] = []
        for part in (*self.parts, *self.code, *self.cards, *self.metaspace, *self.side):
            index = bisect_right(kept, part)
            before, after = kept[max(0, index - 1) : index], kept[index : index + 1]
            if all(one[1] <= part[0] for one in before) and all(part[1] <= one[0] for one in after):
                kept.insert(index, part)
        return tuple(kept)


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
        facts=(*machines, *map(_facts, machines), *_limits(machines), *_thread_names(machines)),
        notes=tuple(notes),
    )


def _facts(machine: JavaMachine) -> OwnerFacts:
    return OwnerFacts(NAME, machine.module, machine.collector, machine.version, machine.used, machine.limit)


def _limits(machines: list[JavaMachine]) -> Iterator[RuntimeLimit]:
    """The Java heaps against -Xmx, and metaspaces against their own limit, where one is set.

    HotSpot collects when a generation is full, and no variable tells what survived. Classes, though, hardly ever go.
    """
    for machine in machines:
        yield RuntimeLimit("Java", machine.used, machine.limit, "HotSpot's MaxHeapSize (-Xmx)", garbage=True)
        limit = machine.flags.get("MaxMetaspaceSize", UNLIMITED)
        if limit < UNLIMITED:
            yield RuntimeLimit("Java metaspace", machine.metaspace_committed, limit, "HotSpot's MaxMetaspaceSize")


def _thread_names(machines: list[JavaMachine]) -> Iterator[ThreadName]:
    for machine in machines:
        for thread in machine.threads:
            yield ThreadName(thread.thread_id, thread.name, EVIDENCE_WORD)


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
    collector, reader = COLLECTORS[kind]
    place = tables.place(heap, "CollectedHeap", "_reserved")
    reserved = None if place is None or collector == "Z" else _mem_region(tables, place)
    if collector != "Z" and (reserved is None or context.space.allocation(reserved[0]) is None):
        return None
    parts, used = reader(tables, heap, kind)
    flags = _flags(tables)
    cards = _mapped(context, card_parts(tables))
    metaspace = _mapped(context, metaspace_parts(context, tables))
    classes = [part for part in metaspace if part[2] == METASPACE]
    side = _mapped(context, side_parts(context, tables, heap, kind, reserved)) if reserved else ()
    low, high = (reserved[0], sum(reserved)) if reserved else (0, 0)
    parts = sorted(part for part in parts if low <= part[0] < part[1] <= high)
    return JavaMachine(
        module=module.name,
        version=_version(tables),
        collector=collector,
        heap=reserved,
        region_size=tables.static(g1_region(tables), "GrainBytes") if collector == "G1" else None,
        used=used,
        parts=tuple(_with_reserve(parts, low, high)),
        code=_mapped(context, code_parts(tables)),
        cards=cards,
        metaspace=metaspace,
        metaspace_committed=sum(context.space.committed(part[0], part[1] - part[0]) for part in classes),
        side=tuple(part for part in side if part[:2] not in {known[:2] for known in cards}),
        flags=flags,
        threads=() if collector == "Z" else tuple(java_threads(tables, flags)),
    )


def _mapped(context: Context, parts: Iterable[Part]) -> tuple[Part, ...]:
    """The parts that lie within one allocation each."""
    allocations = ((part, context.space.allocation(part[0])) for part in parts)
    return tuple(part for part, found in allocations if found is not None and part[1] <= sum(found))


def _heap_class(tables: VmTables, heap: int) -> str | None:
    """The class of the heap object."""
    return next((name for name in COLLECTORS if tables.is_a(heap, (name,))), None)


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
            yield at, start, _RESERVE
        yield start, end, kind
        at = end
    if at < high:
        yield at, high, _RESERVE if parts else _WHOLE


def _flags(tables: VmTables) -> dict[str, int]:
    """The values of `FLAGS`. JDK 8 calls the class of a flag `Flag`."""
    kind = "JVMFlag" if "JVMFlag" in tables.fields else "Flag"
    array, count = tables.static(kind, "flags"), tables.static(kind, "numFlags")
    name_field, address_field = tables.find(kind, "_name"), tables.find(kind, "_addr")
    stride = tables.sizes.get(kind)
    if not array or not count or name_field is None or address_field is None or not stride:
        return {}
    values: dict[str, int] = {}
    for entry in read_array(tables.memory, array, stride, min(count, MAX_FLAGS)):
        name_at, value_at = (
            int.from_bytes(entry[field.offset : field.offset + 8], "little") for field in (name_field, address_field)
        )
        name = read_name(tables.memory, name_at) if name_at else ""
        if name in FLAGS and value_at:
            value = tables.number(value_at, FLAGS[name])
            if value is not None:
                values[name] = value
        if len(values) == len(FLAGS):
            break
    return values
