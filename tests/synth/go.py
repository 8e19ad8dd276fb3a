"""A synthetic Go program: its variables, and what they describe, from the runtime's public source.

Where fields of `mheap_` lie behind the bitmaps' pointers differs by version; here they are where no real one has them.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from .images import Section
from .minidump import PAGE_EXECUTE_READ, PAGE_READONLY, PAGE_READWRITE
from .process import Module, ProcessBuilder

ARENA = 0x400000
PAGES = 512
GO_PAGE = 0x2000
CHUNK = 0x40000
BITS = 0x10000
LEVELS = {8: (0x4000, 0x20000, 0x100000, 0x800000, 0x4000000), 4: (2, 16, 128, 1024)}
PACKED = {8: 21, 4: 18}
MAP_ENTRIES = {8: 1 << 20, 4: 1 << 10}
NO_LIMIT = (1 << 63) - 1

# Offsets among the variables of the program.
CHUNKS_AT, BITS_AT, PROFILE_AT, COLLECTOR_AT, HEAP_AT = 0x100, 0x140, 0x200, 0x400, 0x2008
# Offsets behind the pointers to the bitmaps.
INDEX_AT, SPANS_AT, MAPS_AT, ARENAS_AT = 0x58, 0xA0, 0x140, 0x350


def summary(bits: int, packed: int) -> int:
    """What the runtime keeps of a bitmap, counted page by page: free pages at its start, the most, and at its end."""
    start = most = run = 0
    for page in range(PAGES):
        run = 0 if bits >> page & 1 else run + 1
        most = max(most, run)
        if run == page + 1:
            start = run
    return start | most << packed | run << 2 * packed


@dataclass
class GoProgram:
    """A Go program in a process.

    Attributes:
        process: the process; spoil it before `process.dump()`.
        module: the program.
        data: address of its variables.
        heap: address of mheap_.pages.summary.
        tail: address behind the pointers to the bitmaps.
        levels: the levels of the summaries.
        bitmap: the map of bitmaps.
        arena_map: the arena map.
        chunks: persistent chunks, the newest first.
        marks: blocks of mark bits.
        spans: the list of spans.
        index: the scavenge index.
        profile: the hash table of a profile.
    """

    process: ProcessBuilder
    module: Module
    data: int
    arenas: Sequence[int]
    heap: int = 0
    tail: int = 0
    levels: list[int] = field(default_factory=list)
    bitmap: int = 0
    arena_map: int = 0
    chunks: list[int] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    spans: int = 0
    index: int = 0
    profile: int = 0

    @property
    def width(self) -> int:
        return 4 if self.process.narrow else 8

    def number_of(self, arena: int) -> int:
        """The index of an arena. On amd64 it counts from the lowest canonical address."""
        return (arena + (1 << 47 if self.process.arch == "x64" else 0)) // ARENA

    def words(self, address: int, *values: int) -> None:
        """Writes successive words."""
        for number, value in enumerate(values):
            self.process.number(address + number * self.width, value, self.width)

    def table(self, size: int, commit: int | None = None) -> int:
        return self.process.allocate(size, commit=size if commit is None else commit)


def build_information(width: int, version: str) -> bytes:
    """What the linker puts at the start of the variables since Go 1.18."""
    text = version.encode()
    return b"\xff Go buildinf:" + bytes((width, 2)) + bytes(16) + bytes((len(text),)) + text + b"\0"


def go_program(
    arch: str = "x64",
    *,
    version: str = "go1.22.5",
    arenas: Sequence[int] = (0xC000000000, 0xC000400000, 0xC000C00000),
    used: Sequence[int] = ((1 << PAGES) - 1, 0xFFFF0000FF, 1 << 200 | 1 << 511),
    limit: int = NO_LIMIT,
    percent: int = 100,
    linker: str = "go",
    name: str = "C:\\app\\tool.exe",
    process: ProcessBuilder | None = None,
) -> GoProgram:
    """Builds a process with a Go program.

    Args:
        arch: of the process.
        version: what its build information says.
        arenas: addresses of its arenas.
        used: the pages in use of each arena, as bits.
        limit: the memory limit.
        percent: GOGC.
        linker: `go`, or `gcc` for a program with C code: other sections, and the build information comes later.
        name: the file.
        process: a process that holds others already.
    """
    process = process or ProcessBuilder(arch, 19045).furnish()
    width = 4 if process.narrow else 8
    extra = (Section(".symtab", 0x1000),) if linker == "go" else (Section(".bss", 0x40000, PAGE_READWRITE),)
    size = 0x40000 if linker == "go" else 0x2000
    sections = (Section(".text", 0x4000, PAGE_EXECUTE_READ), Section(".data", size, PAGE_READWRITE))
    rest = (Section(".rdata", 0x1000, PAGE_READONLY), *extra)
    module = process.add_module(name, sections=(*sections, *rest), dll=name.endswith(".dll"))
    start = module.sections[".data"][0]
    process.write(start + (0 if linker == "go" else 0x20), build_information(width, version))
    data = start if linker == "go" else module.sections[".bss"][0]
    program = GoProgram(process, module, data, arenas)
    _allocate(program)
    _write_heap(program, used)
    _write_system(program)
    pages = sum(bits.bit_count() for bits in used)
    _write_collector(program, percent, limit, pages, len(arenas) * PAGES - pages)
    return program


def _allocate(program: GoProgram) -> None:
    process, width = program.process, program.width
    levels = LEVELS[width]
    if width == 4:
        whole = program.table(0x3000)
        program.levels = [whole + 8 * sum(levels[:number]) for number in range(len(levels))]
    else:
        program.levels = [program.table(8 * entries, 0) for entries in levels]
    program.bitmap = program.table((8192 if width == 8 else 1024) * 128)
    program.arena_map = program.table(MAP_ENTRIES[width] * width)
    program.chunks = [program.table(CHUNK) for _ in range(3)]
    program.marks = [program.table(BITS) for _ in range(4)]
    program.spans = program.table(BITS)
    program.profile = program.table((179999 * width + 0xFFF) // 0x1000 * 0x1000)
    program.index = program.table(8 << 26, 0) if width == 8 else 0
    if width == 4:
        low = min(program.arenas)
        process.allocate(0x20000000, base=low, commit=0)
    for arena in program.arenas:
        if width == 8:
            process.allocate(ARENA, base=arena, commit=0)
        process.commit(arena, 0x10000)
    program.heap = program.data + HEAP_AT
    program.tail = program.heap + 3 * width * len(levels) + width * (8192 if width == 8 else 1)


def _write_heap(program: GoProgram, used: Sequence[int]) -> None:
    process, width = program.process, program.width
    for number, (level, entries) in enumerate(zip(program.levels, LEVELS[width], strict=True)):
        program.words(program.heap + 3 * width * number, level, entries // 2, entries)
    numbers = [program.number_of(arena) for arena in program.arenas]
    pointers = program.heap + 3 * width * len(program.levels)
    for number, bits, entry in zip(numbers, used, metadata(program), strict=True):
        program.words(pointers + (number // 8192 * width if width == 8 else 0), program.bitmap)
        process.write(program.bitmap + number % 8192 * 128, bits.to_bytes(64, "little"))
        leaf = program.levels[-1] + 8 * number
        if width == 8:
            process.commit(leaf // 0x1000 * 0x1000, 0x1000)
        process.number(leaf, summary(bits, PACKED[width]), 8)
        first_map = MAP_ENTRIES[width]
        program.words(program.tail + MAPS_AT + number // first_map * width, program.arena_map)
        program.words(program.arena_map + number % first_map * width, entry)
    listed = program.chunks[1] + 0x1000
    program.words(listed, *numbers)
    program.words(program.tail + ARENAS_AT, listed, len(numbers), 512)
    program.words(program.tail + ARENAS_AT + 3 * width, listed, len(numbers) - 1, 512)
    program.words(program.tail + SPANS_AT, program.spans, 2, BITS // width)
    if program.index:
        program.words(program.tail + INDEX_AT, program.index, 1 << 26, 1 << 26)


def metadata(program: GoProgram) -> list[int]:
    """What the arena map holds of each arena: an address in the oldest chunk."""
    return [program.chunks[2] + 0x8000 + 0x1200 * number for number in range(len(program.arenas))]


def _write_system(program: GoProgram) -> None:
    newest, middle, oldest = program.chunks
    program.words(program.data + CHUNKS_AT, newest)
    for chunk, link in ((newest, middle), (middle, oldest), (oldest, 0)):
        program.words(chunk, link)
    program.words(program.spans, newest + 0x100, oldest + 0x200)
    program.words(newest + 0x100 + 9 * program.width, program.marks[1] + 0x108)  # mspan.gcmarkBits
    program.words(program.data + PROFILE_AT, program.profile)
    program.words(program.profile + 70000 * program.width, newest + 0x4000)
    free, following, current, previous = program.marks
    program.words(program.data + BITS_AT, free, following, current, previous)
    for block, position in ((free, 0), (following, 0x400), (current, 0x8000), (previous, 0)):
        program.words(block, position, 0)


def _write_collector(program: GoProgram, percent: int, limit: int, used: int, free: int) -> None:
    at = program.data + COLLECTOR_AT
    minimum = ((percent % (1 << 64)) * (4 << 20) % (1 << 64)) // 100
    program.process.write(at, struct.pack("<iIqQ", percent, 0, limit, minimum))
    program.process.write(at + 0x120, struct.pack("<3Q", (used - 1) * GO_PAGE, (free - 2) * GO_PAGE, 2 * GO_PAGE))
