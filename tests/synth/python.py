"""A synthetic CPython and the arenas of its object allocator, from the published sources."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .images import Section
from .minidump import PAGE_EXECUTE_READ, PAGE_READONLY, PAGE_READWRITE
from .process import Module, ProcessBuilder

POINTER_AT = 0x1230
"""Where in `.data` the pointer to the array of arenas is; no version has it there."""


@dataclass(frozen=True)
class Sizes:
    """Bytes of an arena, a pool, and the step between block sizes."""

    arena: int
    pool: int
    step: int


NEW, OLD, NARROW = Sizes(0x100000, 0x4000, 16), Sizes(0x40000, 0x1000, 16), Sizes(0x40000, 0x1000, 8)

Pools = Sequence[tuple[int, int]]
"""Block size and blocks in use of each pool that was carved; no blocks: it is free again."""

FULL: Pools = ((32, 5), (64, 60), (512, 1))


@dataclass
class PythonProcess:
    """A Python in a process.

    Attributes:
        process: the process; spoil it before it is read.
        module: the library or program that holds Python.
        sizes: sizes of its allocator.
        array: the array of arenas, in a private allocation.
        arenas: address of each record's arena; 0 for an unused record.
    """

    process: ProcessBuilder
    module: Module
    sizes: Sizes
    array: int = 0
    arenas: list[int] = field(default_factory=list)

    @property
    def record_size(self) -> int:
        return 28 if self.process.narrow else 48

    def record(self, index: int, *values: int) -> None:
        """Writes a record: address, next pool, free pools, pools, list of free pools, next, previous."""
        form = "<7I" if self.process.narrow else "<QQIIQQQ"
        self.process.write(self.array + index * self.record_size, struct.pack(form, *values))

    def pool(self, address: int, index: int, size: int, blocks: int, following: int = 0) -> None:
        """Writes the header of a pool."""
        number = size // self.sizes.step - 1
        overhead = 32 if self.process.narrow else 48
        form = "<4I4I" if self.process.narrow else "<I4x3Q4I"
        unused = overhead + blocks * size
        fields = (blocks, 0, following, 0, index, number, unused, self.sizes.pool - size)
        self.process.write(address, struct.pack(form, *fields))

    def point(self, address: int) -> None:
        """Makes the module's variable point elsewhere."""
        self.process.number(self.module.sections[".data"][0] + POINTER_AT, address, 4 if self.process.narrow else 8)


def python_process(
    arch: str = "x64",
    *,
    sizes: Sizes | None = None,
    arenas: Sequence[Pools | None] = (FULL, None, ((16, 3), (16, 0), (48, 7))),
    name: str = "C:\\Python\\python311.dll",
    version: int | None = 0x030B09F0,
    exports: Mapping[str, int] | None = None,
) -> PythonProcess:
    """Builds a process with Python.

    Args:
        arch: of the process.
        sizes: of the allocator; None takes those of a new version.
        arenas: the pools of each arena; None is an unused record.
        name: the file that holds Python.
        version: PY_VERSION_HEX; None if the file does not export it.
        exports: further exports.
    """
    process = ProcessBuilder(arch, 19045).furnish()
    sizes = sizes or (NARROW if process.narrow else NEW)
    sections = (
        Section(".text", 0x4000, PAGE_EXECUTE_READ),
        Section(".rdata", 0x2000, PAGE_READONLY),
        Section(".data", 0x3000, PAGE_READWRITE),
    )
    names = dict(exports or {}) | ({"Py_Version": 0x6800} if version is not None else {})
    module = process.add_module(name, sections=sections, exports=names, dll=name.endswith(".dll"))
    if version is not None:
        process.number(module.base + 0x6800, version, 4)
    python = PythonProcess(process, module, sizes)
    python.array = process.allocate(0x10000, commit=0x10000) + 0x120
    python.point(python.array)
    for index, pools in enumerate(arenas):
        _add_arena(python, index, pools)
    for index in range(len(arenas), 16):
        following = python.array + (index + 1) * python.record_size if index < 15 else 0
        python.record(index, 0, 0, 0, 0, 0, following, 0)
    return python


def _add_arena(python: PythonProcess, index: int, pools: Pools | None) -> None:
    if pools is None:
        python.arenas.append(0)
        python.record(index, 0, 0x1234, 7, 64, 0, 0, 0)  # stale but for the address and the link
        return
    sizes = python.sizes
    base = python.process.allocate(sizes.arena, commit=sizes.arena)
    python.arenas.append(base)
    free_list = 0
    for number, (size, blocks) in enumerate(pools):
        address = base + number * sizes.pool
        # A free pool keeps its index, and links to the next free one.
        python.pool(address, index, size, blocks, 0 if blocks else free_list)
        free_list = free_list if blocks else address
    total = sizes.arena // sizes.pool
    used = sum(blocks > 0 for _, blocks in pools)
    python.record(index, base, base + len(pools) * sizes.pool, total - used, total, free_list, 0, 0)
