"""A synthetic .NET Framework: its table for debuggers, and a heap of segments that only its content tells.

The table is the resource COREXTERNALDATAACCESSRESOURCE; the order of its entries is that of dacvars.h of 2015, which
the .NET Framework shared. Three forms are known: `rotor` (CLR 1, without flags in a segment), `2.0`, `4`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from .images import Section
from .minidump import PAGE_EXECUTE_READ, PAGE_READONLY, PAGE_READWRITE
from .process import Module, ProcessBuilder
from .space import PAGE, round_up

TIMESTAMP = 0x5CB82D4C
NAME = "COREXTERNALDATAACCESSRESOURCE"
SMALL, LARGE = ("GC heap, generation 0", "GC heap, generation 1", "GC heap, generation 2"), "GC large object heap"

SECTIONS = (
    Section(".text", 0x4000, PAGE_EXECUTE_READ),
    Section(".data", 0x3000, PAGE_READWRITE),
    Section(".rsrc", 0x2000, PAGE_READONLY),
)

FIELDS = ("Allocated", "Committed", "Reserved", "Used", "Mem")
# Words of a segment behind those, and words of a generation: its size and where start_segment is.
SEGMENT_WORDS = {"rotor": ("Next",), "2.0": ("Flags", "Next"), "4": ("Flags", "Next", "BackgroundAllocated", "Heap")}
GENERATION_WORDS = {"rotor": (11, 5), "2.0": (12, 4), "4": (30, 7)}
TABLE_IN_HEAP = 0x5A8  # of a server collector: generation_table in gc_heap


@dataclass
class Framework:
    """Builds a .NET Framework into a process.

    Attributes:
        process: the process.
        form: "rotor", "2.0" or "4".
        server: two heaps instead of one.
        listed: whether the table names the heaps of a server collector, the ephemeral segment, and its end.
        name: file name of the module.
        expected: what a reader must find: base, end, kind, number of the heap.
        entries: the variables in the table, by name, in its order.
    """

    process: ProcessBuilder
    form: str = "4"
    server: bool = False
    listed: bool = True
    name: str = "clr.dll"
    expected: list[tuple[int, int, str, int | None]] = field(default_factory=list)
    entries: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.width = self.process.pointer_size
        self.module = self._add_module()
        self.data = self.module.sections[".data"][0]
        self._cursor = self.data + 0x40
        words, self.start_word = GENERATION_WORDS[self.form]
        self.stride = words * self.width
        self.low = self.process.allocate(0x400000, commit=0)
        self._next = self.low
        self.tables: list[int] = []
        self.heaps: list[int] = []
        self.segments: dict[tuple[int, str], int] = {}
        for index in range(2 if self.server else 1):
            self._add_heap(index)
        self._add_cards()
        self._publish()

    def _add_module(self) -> Module:
        path = f"C:\\Windows\\Microsoft.NET\\Framework64\\v4.0.30319\\{self.name}"
        return self.process.add_module(path, sections=SECTIONS, timestamp=TIMESTAMP)

    def variable(self, name: str, value: int, width: int | None = None) -> int:
        """A variable in .data that the table names."""
        address = self.entries[name] = self._cursor
        self._cursor += 0x18
        self.process.number(address, value, width or self.width)
        return address

    # --- the heap ------------------------------------------------------------------------------

    def write_segment(self, address: int, **fields: int) -> None:
        """Writes a segment, or some fields of one."""
        words = (*FIELDS, *SEGMENT_WORDS[self.form])
        for name, value in fields.items():
            if name in words:
                self.process.pointer(address + words.index(name) * self.width, value)

    def add_segment(self, heap: int, parts: list[tuple[int, str]], *, own: bool = False) -> int:
        """Adds a segment; returns its address.

        Args:
            heap: number of the heap.
            parts: where each generation in it begins, as an offset, and its kind.
            own: put it into an allocation of its own instead of the reservation that the first segments share.
        """
        reserve, committed = 0x80000, 0x6000
        if own:
            base = self.process.allocate(reserve, commit=committed)
        else:
            base, self._next = self._next, self._next + reserve
            self.process.commit(base, committed)
        number = heap if self.server else None
        self.write_segment(
            base,
            Mem=base + (PAGE if self.form == "4" else 16 * self.width),
            Allocated=base + 0x4000,
            Committed=base + committed,
            Reserved=base + reserve,
            Used=base + 0x5000,
            Flags=8 if parts[0][1] == LARGE else 0,
            Next=0,
            Heap=self.heaps[heap] if self.server else 0,
        )
        edges = [0, *(offset for offset, _ in parts[1:]), committed]
        for (_, kind), start, end in zip(parts, edges, edges[1:], strict=False):
            self.expected.append((base + start, base + end, kind, number))
        self.expected.append((base + committed, base + reserve, "GC reserve", number))
        return base

    def mem(self, segment: int) -> int:
        """Where the objects of a segment begin."""
        return self.process.read_pointer(segment + 4 * self.width)

    def _add_heap(self, index: int) -> None:
        if self.server:
            self.heaps.append(self.process.allocate(0x4000))
            table = self.heaps[index] + TABLE_IN_HEAP
        else:
            table = self._cursor
            self._cursor += round_up(4 * self.stride, 8)
        self.tables.append(table)
        ephemeral = self.add_segment(index, [(0, SMALL[2]), (0x2008, SMALL[1]), (0x3018, SMALL[0])])
        large = self.add_segment(index, [(0, LARGE)])
        older = self.add_segment(index, [(0, SMALL[2])], own=True)
        larger = self.add_segment(index, [(0, LARGE)], own=True)
        self.write_segment(older, Next=ephemeral)
        self.write_segment(large, Next=larger)
        firsts = (ephemeral, ephemeral, older, large)
        objects = (ephemeral + 0x3018, ephemeral + 0x2008, self.mem(older), self.mem(large))
        for number, (segment, first) in enumerate(zip(firsts, objects, strict=True)):
            at = table + number * self.stride + self.start_word * self.width
            self.process.pointer(at, segment)
            self.process.pointer(at + self.width, first)
        for name, segment in zip(("ephemeral", "large", "older", "larger"), (*firsts[::3], older, larger), strict=True):
            self.segments[index, name] = segment

    def _add_cards(self) -> None:
        """The bookkeeping memory: card_table_info of the old form, then the cards."""
        size, header = 0x20000, 8 * self.width
        self.high = max(end for _, end, _, _ in self.expected)
        self.low = min(base for base, _, _, _ in self.expected)
        self.bookkeeping = self.process.allocate(size, commit=0x8000)
        at, w = self.bookkeeping, self.width
        self.process.number(at, 1, 4)
        for offset, value in ((w, self.low), (2 * w, self.high), (5 * w, at + 0x4000), (6 * w, size)):
            self.process.pointer(at + offset, value)
        self.cards = (at + header - (self.low >> (11 if w == 8 else 10) & ~3)) % (1 << 8 * w)
        self.expected.append((at, at + size, "GC bookkeeping", None))

    # --- the table for debuggers ---------------------------------------------------------------

    def _publish(self) -> None:
        self.variable("gcHeapType", 2 if self.server else 1, 4)
        if self.listed and not self.server:
            self.variable("alloc_allocated", self.segments[0, "ephemeral"] + 0x4800)
            self.variable("ephemeral_heap_segment", self.segments[0, "ephemeral"])
        self.variable("finalize_queue", self.process.allocate(PAGE) + 0x48)
        if self.listed:
            array = self.process.allocate(PAGE) if self.server else 0
            for number, heap in enumerate(self.heaps):
                self.process.pointer(array + number * self.width, heap)
            self.variable("n_heaps", len(self.heaps), 4)
            self.variable("g_heaps", array)
        self.variable("oom_info", 0)
        self.entries["generation_table"] = self.data if self.server else self.tables[0]
        self.variable("g_card_table", self.cards)
        self.variable("g_lowest_address", self.low)
        self.variable("g_highest_address", self.high)
        self.variable("g_pGCHeap", self.data + 0x20)
        self.write_table()

    def write_table(self, *, timestamp: int = TIMESTAMP, extra: tuple[int, ...] = (0x1010,), name: str = NAME) -> None:
        """Writes the resource that holds the table.

        Args:
            timestamp: of the build that it claims to belong to.
            extra: RVAs of further variables.
            name: of the resource.
        """
        rvas = [address - self.module.base for address in self.entries.values()]
        words = [len(rvas) + len(extra), 3, timestamp, 0, 0, 0, *rvas, *extra, 0x1020, 0x1030, 0x1040]
        section, rsrc = bytearray(0x1000), self.module.sections[".rsrc"][0]

        def directory(at: int, entries: list[tuple[int, int]], named: int = 0) -> None:
            struct.pack_into("<IIHHHH", section, at, 0, 0, 0, 0, named, len(entries) - named)
            for index, entry in enumerate(entries):
                struct.pack_into("<II", section, at + 16 + 8 * index, *entry)

        directory(0, [(10, 0x80000040), (16, 0x80000400)])
        directory(0x40, [(0x80000200, 0x80000080), (0x80000240, 0x800000C0)], named=2)
        directory(0x80, [(1033, 0x100)])
        directory(0xC0, [(1033, 0x110)])
        for at, text in ((0x200, "CLRDEBUGINFO"), (0x240, name)):
            section[at : at + 2 + 2 * len(text)] = struct.pack("<H", len(text)) + text.encode("utf-16-le")
        rva = rsrc - self.module.base
        struct.pack_into("<4I", section, 0x100, rva + 0x700, 36, 0, 0)
        struct.pack_into("<4I", section, 0x110, rva + 0x800, 4 * len(words), 0, 0)
        section[0x800 : 0x800 + 4 * len(words)] = struct.pack(f"<{len(words)}I", *words)
        self.process.write(rsrc, bytes(section))

    def ranges(self) -> list[tuple[int, int, str, int | None]]:
        """What a reader must find, sorted."""
        return sorted(self.expected)
