"""A synthetic .NET runtime and the heap of its garbage collector, from published offsets.

Two ways lead to the heap, both in the runtime's module: `GcDacVars`, in three forms, and a contract descriptor whose
JSON says the offsets, which therefore may be any: here they are none that a real runtime has.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from typing import Any

from .images import Section
from .minidump import PAGE_EXECUTE_READ, PAGE_READONLY, PAGE_READWRITE
from .process import Module, ProcessBuilder
from .space import PAGE, round_up

GENERATIONS = (
    "GC heap, generation 0",
    "GC heap, generation 1",
    "GC heap, generation 2",
    "GC large object heap",
    "GC pinned object heap",
)

# GcDacVars of .NET 7 to 10: offsets in a 64-bit process; in a 32-bit one every distance is half as long.
VARS = {
    "generation_size": 0x08,
    "total_generation_count": 0x10,
    "build_variant": 0x18,
    "built_with_svr": 0x20,
    "generation_table": 0x30,
    "max_gen": 0x38,
    "mark_array": 0x40,
    "ephemeral_heap_segment": 0x50,
    "alloc_allocated": 0x78,
    "n_heaps": 0xB0,
    "g_heaps": 0xB8,
    "gc_structures_invalid_cnt": 0xC0,
    "handle_table_map": 0xE8,
    "gc_heap_field_offsets": 0xF0,
    "generation_field_offsets": 0xF8,
    "bookkeeping_start": 0x100,
    "global_regions_to_decommit": 0x108,
    "global_free_huge_regions": 0x110,
    "free_regions": 0x118,
    "freeable_soh_segment": 0x120,
    "freeable_uoh_segment": 0x128,
}
NUMBERS = {"total_bookkeeping_elements": 0x130, "count_free_region_kinds": 0x134, "card_table_info_size": 0x138}

SEGMENT = ("Allocated", "Committed", "Reserved", "Used", "Mem", "Flags", "Next")
# The same fields in a contract.
CONTRACT_SEGMENT = {"Next": 1, "Flags": 2, "Reserved": 4, "Committed": 5, "Allocated": 7, "Mem": 8}
CARD_INFO_WORDS = 5

SECTIONS = (
    Section(".text", 0x4000, PAGE_EXECUTE_READ),
    Section(".rdata", 0x4000, PAGE_READONLY),
    Section(".data", 0x6000, PAGE_READWRITE),
)
DESCRIPTOR_AT, VARS_AT, VARIABLES_AT = 0x40, 0x1048, 0x3000  # in .data
JSON_AT = 0x1000  # in .rdata


@dataclass
class Heap:
    """One heap: its generation table and its segments."""

    table: int
    gc_heap: int = 0
    segments: list[int] = field(default_factory=list)


@dataclass
class Runtime:
    """Builds a runtime into a process.

    Attributes:
        process: the process.
        form: of GcDacVars: "10", "interim" or "3.1"; or "contract" for a descriptor without GcDacVars.
        server: two heaps instead of one.
        regions: made of regions instead of segments.
        table: whether the module exports g_dacTable.
        single_file: the runtime is part of the program.
        expected: what a reader must find: base, end, kind, number of the heap.
        invalid: what StructureInvalidCount says.
    """

    process: ProcessBuilder
    form: str = "10"
    server: bool = False
    regions: bool = True
    table: bool = False
    single_file: bool = False
    invalid: int = 0
    expected: list[tuple[int, int, str, int | None]] = field(default_factory=list)
    heaps: list[Heap] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.width = self.process.pointer_size
        self.module = self._add_module()
        self.data = self.module.sections[".data"][0]
        self._cursor = self.data + VARIABLES_AT
        self.generation_size = 24 * self.width
        self.count = 4 if self.form == "3.1" else 5
        self.start_at = (0x38 if self.width == 8 else 0x28) if self.form == "3.1" else 3 * self.width
        self.bookkeeping = self.range = 0
        if self.regions:
            self._add_range()
        self._variables: dict[str, int] = {}
        for index in range(2 if self.server else 1):
            self._add_heap(index if self.server else None)
        self._publish()

    # --- the module ----------------------------------------------------------------------------

    def _add_module(self) -> Module:
        exports = {"MetaDataGetDispenser": 0x1010, "DotNetRuntimeInfo": 0x1020}
        data = PAGE + sum(round_up(section.size, PAGE) for section in SECTIONS[:2])
        if self.form == "contract":
            exports["DotNetRuntimeContractDescriptor"] = data + DESCRIPTOR_AT
        if self.table:
            exports["g_dacTable"] = data + 0x800
        name = "C:\\app\\tool.exe" if self.single_file else "C:\\dotnet\\coreclr.dll"
        return self.process.add_module(name, sections=SECTIONS, exports=exports, dll=not self.single_file)

    def variable(self, name: str, value: int, width: int | None = None) -> int:
        """A variable of the collector in .data; returns its address."""
        address = self._cursor
        self._cursor += 8
        self.process.number(address, value, width or self.width)
        self._variables[name] = address
        return address

    def room(self, size: int) -> int:
        """A larger variable in .data."""
        address = self._cursor
        self._cursor += round_up(size, 8)
        return address

    # --- heaps ---------------------------------------------------------------------------------

    def _add_range(self) -> None:
        """The reservation that regions are cut from, not quite aligned, and the bookkeeping memory."""
        self.region_size = 0x40000
        reserve = 24 * self.region_size
        allocation = self.process.allocate(reserve + 0x8000, commit=0)
        self.range = allocation + 0x8000
        self.range_end = self.range + reserve
        self._next_region = self.range
        size = 0x20000
        self.bookkeeping = self.process.allocate(size, commit=0x8000)
        self._next_record = self.bookkeeping + 0x1000
        self.process.number(self.bookkeeping, 1, 4)
        for index, value in enumerate((size, 0, self.range, self.range_end), 1):
            self.process.pointer(self.bookkeeping + index * self.width, value)
        self.expected.append((self.bookkeeping, self.bookkeeping + size, "GC bookkeeping", None))

    def write_segment(self, address: int, **fields: int) -> None:
        """Writes a heap_segment, or some fields of one."""
        for name, value in fields.items():
            place = CONTRACT_SEGMENT[name] if self.form == "contract" else SEGMENT.index(name)
            self.process.pointer(address + place * self.width, value)

    def add_region(self, kind: str, heap: int | None, committed: int = 0x3000, flags: int = 0) -> int:
        """Adds a region; returns the address of its record."""
        base = self._next_region
        self._next_region += self.region_size
        self.process.commit(base, committed)
        record = self._next_record
        self._next_record += 12 * self.width
        mem = base + 5 * self.width
        self.write_segment(
            record,
            Mem=mem,
            Allocated=mem if kind == "GC free region" else base + 0x1800,
            Committed=base + committed,
            Reserved=base + self.region_size,
            Flags=flags,
            Next=0,
        )
        self.expected.append((base, base + committed, kind, heap))
        self.expected.append((base + committed, base + self.region_size, "GC reserve", heap))
        return record

    def add_segment(self, parts: list[tuple[int, str]], heap: int | None, flags: int = 0) -> int:
        """Adds a segment with its header in front; returns its address.

        Args:
            parts: where each generation in it begins, as an offset, and its kind.
            heap: number of the heap.
            flags: of the segment.
        """
        reserve, committed = 0x80000, 0x6000
        base = self.process.allocate(reserve, commit=committed)
        self.write_segment(
            base,
            Mem=base + PAGE,
            Allocated=base + 0x4000,
            Committed=base + committed,
            Reserved=base + reserve,
            Flags=flags,
            Next=0,
        )
        edges = [0, *(offset for offset, _ in parts[1:]), committed]
        for (_, kind), start, end in zip(parts, edges, edges[1:], strict=False):
            self.expected.append((base + start, base + end, kind, heap))
        self.expected.append((base + committed, base + reserve, "GC reserve", heap))
        return base

    def _add_heap(self, index: int | None) -> None:
        size = self.count * self.generation_size + 0x200
        gc_heap = 0
        if index is None:
            table = self.room(size)
        else:
            gc_heap = self.process.allocate(0x2000)
            table = gc_heap + ((0x158 if self.width == 8 else 0xB0) if self.form == "3.1" else 0x348)
        heap = Heap(table, gc_heap)
        starts: list[tuple[int, int]] = []
        if self.regions:
            for number in range(self.count):
                first = self.add_region(GENERATIONS[number], index)
                if number == 2:  # a chain of two
                    self.write_segment(first, Next=self.add_region(GENERATIONS[2], index))
                starts.append((first, 0))
            ephemeral = starts[0][0]
            free = self.add_region("GC free region", index)
        else:
            ephemeral = self.add_segment(
                [(0, GENERATIONS[2]), (0x2008, GENERATIONS[1]), (0x3018, GENERATIONS[0])], index
            )
            older = self.add_segment([(0, GENERATIONS[2])], index)
            self.write_segment(older, Next=ephemeral)
            starts = [(ephemeral, ephemeral + 0x3018), (ephemeral, ephemeral + 0x2008), (older, older + PAGE)]
            starts += [(self.add_segment([(0, GENERATIONS[number])], index), 0) for number in range(3, self.count)]
            free = 0
        for number, (segment, allocation) in enumerate(starts):
            at = table + number * self.generation_size
            self.process.pointer(at + self.start_at, segment)
            self.process.pointer(at + self.start_at + self.width, allocation)
        heap.segments = [segment for segment, _ in starts]
        self.ephemeral = ephemeral
        self.free = free
        if index is not None:
            self._fill_gc_heap(heap, ephemeral, free)
        self.heaps.append(heap)

    def _fill_gc_heap(self, heap: Heap, ephemeral: int, free: int) -> None:
        if self.form == "3.1":
            self.process.pointer(heap.gc_heap + self.width, ephemeral)
            return
        self.process.pointer(heap.gc_heap + 0x1508, ephemeral)
        self.write_free_lists(heap.gc_heap + 0x1600, free)

    def write_free_lists(self, address: int, free: int) -> None:
        """Writes three lists of free regions; the second has one region."""
        self.process.pointer(address + (7 + 5) * self.width, free)

    # --- the ways to the heap ------------------------------------------------------------------------

    def _publish(self) -> None:
        self.variable("max_gen", 2, 4)
        self.variable("built_with_svr", 1, 1)
        self.variable("build_variant", 2, 1)
        self.variable("gc_structures_invalid_cnt", self.invalid, 4)
        self.variable("handle_table_map", 0)
        self.variable("bookkeeping_start", self.bookkeeping)
        if self.server:
            array = self.process.allocate(0x1000)
            for number, heap in enumerate(self.heaps):
                self.process.pointer(array + number * self.width, heap.gc_heap)
            self.variable("n_heaps", len(self.heaps), 4)
            self.variable("g_heaps", array)
        else:
            self._variables["generation_table"] = self.heaps[0].table
            self.variable("ephemeral_heap_segment", self.ephemeral)
            self.variable("alloc_allocated", 0)
            lists = self._variables["free_regions"] = self.room(3 * 7 * self.width)
            self.write_free_lists(lists, self.free)
        if self.form == "contract":
            self._publish_contract()
            return
        self._publish_offsets()
        shift = {"10": 0, "interim": 0x10, "3.1": -8}[self.form]
        scale = self.width / 8
        at = self.data + VARS_AT
        self.process.number(at, 2, 1)
        self.process.number(at + 1, 4, 1)
        self.process.pointer(at + int(VARS["generation_size"] * scale), self.generation_size)
        if self.form != "3.1":
            self.process.pointer(at + int(VARS["total_generation_count"] * scale), 5)
        for name, offset in VARS.items():
            if name in self._variables and not (self.form == "3.1" and offset > VARS["handle_table_map"]):
                self.process.pointer(at + int((offset + shift) * scale), self._variables[name])
        if self.form != "3.1":
            back = NUMBERS["total_bookkeeping_elements"] - 0x18 if self.form == "interim" else 0
            values = {"total_bookkeeping_elements": 7, "count_free_region_kinds": 3}
            base = at + int((NUMBERS["total_bookkeeping_elements"] - back) * scale)
            if self.width == 4 and self.form == "interim":
                base = at + 0x0C
            for number, value in enumerate(values.values()):
                self.process.number(base + 4 * number, value, 4)
            self.process.pointer(base + 8, CARD_INFO_WORDS * self.width)
        if self.width == 4 and self.form == "interim":
            raise ValueError("the interim form is known in 64 bits only")
        if self.table:
            kind = self.variable("g_heap_type", 2 if self.server else 1, 4)
            pointer = self.variable("g_gcDacGlobals", at)
            for number, value in enumerate((self.module.base + 0x1010, self.data + 0x18, kind, pointer)):
                self.process.pointer(self.data + 0x800 + number * self.width, value)

    def _publish_offsets(self) -> None:
        offsets = [-1] * 30
        offsets[0], offsets[1] = 0x1500, 0x1508
        offsets[18 if self.form == "10" else 21] = 0x348
        offsets[21 if self.form == "10" else 24] = 0x1600
        for name, values in (
            ("gc_heap_field_offsets", offsets),
            ("generation_field_offsets", [0, self.start_at, -1 if self.regions else self.start_at + self.width]),
        ):
            if name == "gc_heap_field_offsets" and not self.server:
                continue
            place = self._variables[name] = self.room(4 * len(values))
            self.process.write(place, struct.pack(f"<{len(values)}i", *values))

    def contract_json(self) -> dict[str, Any]:
        """Returns the JSON of the collector's descriptor, with every form of a value."""
        w = self.width
        generation: dict[str, Any] = {"!": self.generation_size, "StartSegment": [self.start_at, "pointer"]}
        if not self.regions:
            generation["AllocationStart"] = self.start_at + w
        identifiers = (
            f"{'server' if self.server else 'workstation'},{'regions' if self.regions else 'segments'},background"
        )
        names = {
            "StructureInvalidCount": "gc_structures_invalid_cnt",
            "MaxGeneration": "max_gen",
            "BookkeepingStart": "bookkeeping_start",
            "NumHeaps": "n_heaps",
            "Heaps": "g_heaps",
            "GCHeapGenerationTable": "generation_table",
            "GCHeapEphemeralHeapSegment": "ephemeral_heap_segment",
            "GCHeapAllocAllocated": "alloc_allocated",
            "GCHeapFreeRegions": "free_regions",
        }
        self.pointers = [self._variables[name] for name in names.values() if name in self._variables]
        known = [key for key, name in names.items() if name in self._variables]
        return {
            "version": 2,
            "baseline": "empty",
            "contracts": {"GC": "c1"},
            "types": {
                "HeapSegment": {name: [word * w, "pointer"] for name, word in CONTRACT_SEGMENT.items()},
                "Generation": generation,
                "GCHeap": {"GenerationTable": 0x348, "EphemeralHeapSegment": 0x1508, "FreeRegions": 0x1600},
                "CardTableInfo": {"Recount": 0, "Size": w, "NextCardTable": 2 * w},
                "RegionFreeList": {"!": 7 * w, "HeadFreeRegion": 5 * w},
            },
            "globals": {
                "GCIdentifiers": [identifiers, "string"],
                "TotalGenerationCount": ["0x5", "uint32"],
                "CountFreeRegionKinds": 3,
                "CardTableInfoSize": hex(CARD_INFO_WORDS * w),
                **{key: [[index], "pointer"] if index % 2 else [index] for index, key in enumerate(known)},
            },
        }

    def write_descriptor(self, address: int, document: bytes, pointers: list[int], text_at: int) -> None:
        """Writes a contract descriptor with its text and its pointers."""
        table = text_at + round_up(len(document), 8)
        self.process.write(text_at, document)
        for index, value in enumerate(pointers):
            self.process.pointer(table + index * self.width, value)
        self.process.write(address, b"DNCCDAC\0")
        self.process.number(address + 8, 1 if self.width == 8 else 3, 4)
        self.process.number(address + 12, len(document), 4)
        self.process.pointer(address + 16, text_at)
        self.process.number(address + 16 + self.width, len(pointers), 4)
        self.process.pointer(address + (0x20 if self.width == 8 else 0x1C), table)

    def _publish_contract(self) -> None:
        """The runtime's own descriptor, and the collector's, which it names as a part of it."""
        document = json.dumps(self.contract_json(), separators=(",", ":")).encode()
        sub = self.room(0x28)
        rdata = self.module.sections[".rdata"][0]
        self.write_descriptor(sub, document, self.pointers, rdata + JSON_AT + 0x800)
        variable = self.variable("gc_descriptor", sub)
        parent: dict[str, Any] = {"version": 2, "baseline": "empty", "types": {"Thread": {"!": 8}}, "globals": {}}
        parent["subDescriptors"] = {"GC": [[1], "pointer"], "Other": [0]}
        text = json.dumps(parent).encode()
        nothing = self.variable("uninitialised", 0)
        self.write_descriptor(self.data + DESCRIPTOR_AT, text, [nothing, variable], rdata + JSON_AT)

    def ranges(self) -> list[tuple[int, int, str, int | None]]:
        """What a reader must find, sorted. The rest of a range of regions is reserve."""
        found = sorted(self.expected)
        if self.regions:
            found.append((self._next_region, self.range_end, "GC reserve", None))
        return sorted(found)
