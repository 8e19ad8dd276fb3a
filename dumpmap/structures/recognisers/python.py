"""CPython: the arenas of its object allocator (obmalloc), proved by the pools in them.

The allocator keeps an array of records, one for each arena. A variable of python3XX.dll points to it, or of a program
that has Python linked in. Where that variable is differs by version, so it is searched for; what it points to must
describe allocations of an arena's size, and each pool in them must name its arena by the index of its record. Checked
on recorded processes of Python 3.9, 3.11, 3.12, and 3.13 against sys._debugmallocstats().

Source: python/cpython, Include/internal/pycore_obmalloc.h and Objects/obmalloc.c. A free-threaded build allocates with
mimalloc and has no arenas of this kind.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator, Sequence

from dumpmap.model.counts import count_words
from dumpmap.model.evidence import EvidenceInfo
from dumpmap.model.kinds import KindInfo
from dumpmap.model.memory import unrecorded
from dumpmap.model.process import PeImage
from dumpmap.model.recognised import Found, LabelledRange, OwnerFacts, Runtime
from dumpmap.model.values import value_class
from dumpmap.structures.bounds import is_user_address, round_up
from dumpmap.structures.pe import find_export
from dumpmap.structures.recognisers import PYTHON_DLLS, PYTHON_EXPORTS
from dumpmap.structures.recognisers.protocol import Context, LoadedModule
from dumpmap.structures.recognisers.words import variable_words, word

NAME = "Python"
EVIDENCE_WORD = "python-pools"

MAX_MODULES = 4

MAX_ARENAS = 1 << 18
"""Records that are read: 256 GB of arenas of 1 MB."""

MAX_POOLS = 1 << 17
"""Pools that are read to count blocks: 2 GB of arenas. Of more arenas only the first pool of each is read."""

MAX_READS = 1 << 20
"""Records that the search for the array reads. A few thousand variables point to something else."""

MAX_CANDIDATES = 8
"""Arrays that are checked, the longest first. Other variables point to the middle of the array."""

FIRST_RECORDS = 16
"""Records that a new array has. One of them is in use as long as Python runs."""

MAX_UNUSED = 4096
"""Unused records in a row that are read."""

LARGEST_BLOCK = 512
"""Larger requests go to the heap."""

_KIND = "Python arena"

_FREE_THREADED = "t.dll"
"""The end of the name of a free-threaded build, which has no arenas."""

KINDS: tuple[KindInfo, ...] = (
    KindInfo(_KIND, None, "Objects of up to 512 bytes.", "The array of arenas, and the pools in the arena."),
)

EVIDENCE: tuple[EvidenceInfo, ...] = (
    EvidenceInfo(EVIDENCE_WORD, "Python's array of arenas lists the allocation, and its pools name it in return."),
)


@value_class(frozen=True, slots=True)
class ArenaLayout:
    """Sizes of the allocator, in bytes.

    Attributes:
        name: the versions that have it.
        pointer: bytes of a pointer.
        arena: bytes of an arena.
        pool: bytes of a pool.
        step: block sizes are multiples of it.
    """

    name: str
    pointer: int
    arena: int
    pool: int
    step: int

    @property
    def overhead(self) -> int:
        """Bytes of a pool's header."""
        return round_up(4 * self.pointer + 16, self.step)

    @property
    def record(self) -> struct.Struct:
        """An arena's record: address, next pool to carve, free pools, pools, list of free pools, and two links."""
        return struct.Struct("<QQIIQQQ" if self.pointer == 8 else "<IIIIIII")

    @property
    def header(self) -> struct.Struct:
        """A pool's header: blocks in use, arena's index, size class, where unused memory begins, and the last block."""
        return struct.Struct("<I28xIIII" if self.pointer == 8 else "<I12xIIII")

    def blocks_in_pool(self, size: int) -> int:
        """Blocks that a pool holds."""
        return (self.pool - self.overhead) // size


LAYOUTS = (
    ArenaLayout("3.10 and later", 8, 1 << 20, 1 << 14, 16),
    ArenaLayout("3.7 to 3.9", 8, 1 << 18, 1 << 12, 16),
    ArenaLayout("3.6 and earlier 3.7", 8, 1 << 18, 1 << 12, 8),
    ArenaLayout("32 bits", 4, 1 << 18, 1 << 12, 8),
)


@value_class(frozen=True, slots=True)
class SizeClass:
    """The pools of one block size. `size` is bytes; `blocks` are in use."""

    size: int
    pools: int
    blocks: int


@value_class(frozen=True, slots=True)
class PythonArenas:
    """The arenas of one Python.

    Attributes:
        module: file name of the module that holds Python.
        base: where it is loaded.
        version: such as `3.11.7`; None if unknown.
        layout: the allocator's sizes.
        arenas: addresses of the arenas, in the order of their records.
        unproved: records of arenas whose pools do not name them. They are not claimed.
        free_pools: pools without blocks, those that were never used included; None if not counted.
        classes: the other pools, by block size; empty if not counted.
    """

    module: str
    base: int
    version: str | None
    layout: ArenaLayout
    arenas: tuple[int, ...]
    unproved: int
    free_pools: int | None
    classes: tuple[SizeClass, ...]

    @property
    def used(self) -> int | None:
        """Bytes of blocks in use; None if not counted."""
        return sum(row.size * row.blocks for row in self.classes) if self.free_pools is not None else None


def find(context: Context) -> Found:
    """Finds the arenas of each Python in the process."""
    if context.family != "windows":
        return Found()
    found: list[PythonArenas] = []
    runtimes: list[Runtime] = []
    notes: list[str] = []
    for module in _modules(context)[:MAX_MODULES]:
        image = context.image_of(module)
        version = None if image is None else read_version(context, module, image)
        runtimes.append(Runtime(NAME, module.name, module.base, version))
        arenas = None if image is None else _Search(context, module, image, version).best()
        notes += _lacks(module, image, arenas)
        if arenas is not None:
            found.append(arenas)
    return Found(
        ranges=tuple(part for arenas in found for part in _labelled(arenas)),
        runtimes=tuple(runtimes),
        facts=(*found, *map(_facts, found)),
        notes=tuple(notes),
    )


def _lacks(module: LoadedModule, image: PeImage | None, arenas: PythonArenas | None) -> Iterator[str]:
    """Says what of a Python could not be located."""
    if image is None:
        yield f"{module.name}: its headers are not in the dump, so Python's arenas could not be located"
    elif arenas is None and not module.name.endswith(_FREE_THREADED):
        why = "its variables or arenas are not in the dump, or it allocates without arenas"
        yield f"{module.name}: no Python arena could be identified: {why}"
    elif arenas is not None and arenas.unproved:
        shown = count_words(arenas.unproved, "Python arena")
        yield f"{module.name}: the pools of {shown} name another arena or are not in the dump; not claimed"


def _modules(context: Context) -> list[LoadedModule]:
    libraries = [module for module in context.modules if module.name in PYTHON_DLLS]
    return libraries + [module for module in context.programs_exporting(PYTHON_EXPORTS) if module not in libraries]


def read_version(context: Context, module: LoadedModule, image: PeImage) -> str | None:
    """Reads the version: Py_Version (since 3.11), else what the name of the library says."""
    address = find_export(context.memory, module.base, image, "Py_Version")
    number = word(context.memory, address, 4) if address is not None else None
    if number is not None and number >> 24 == 3:
        return f"{number >> 24}.{number >> 16 & 0xFF}.{number >> 8 & 0xFF}"
    digits = module.name.removeprefix("python3").partition(".")[0].rstrip("t")
    return f"3.{digits}" if module.name in PYTHON_DLLS else None


def _facts(arenas: PythonArenas) -> OwnerFacts:
    return OwnerFacts(NAME, arenas.module, "", arenas.version, arenas.used)


def _labelled(arenas: PythonArenas) -> Iterator[LabelledRange]:
    for base in arenas.arenas:
        yield LabelledRange(
            base=base,
            size=arenas.layout.arena,
            kind=_KIND,
            evidence=EVIDENCE_WORD,
            details=arenas.module,
            owner=NAME,
            module=arenas.module,
        )


_Record = tuple[int, int, int, int]
"""Index of a record, address of the arena, the next pool to carve, and pools that are available."""


class _Search:
    """The search for the array of arenas in one module."""

    def __init__(self, context: Context, module: LoadedModule, image: PeImage, version: str | None) -> None:
        self._context = context
        self._space = context.space
        self._module = module
        self._image = image
        self._version = version
        self._left = MAX_READS

    def best(self) -> PythonArenas | None:
        """Returns what the array with the most proved arenas says; None if there is none."""
        candidates: list[tuple[int, int, ArenaLayout, int]] = []
        layouts = [layout for layout in LAYOUTS if layout.pointer == self._image.pointer_size]
        arrays: dict[int, int] = {}
        for at, pointer in self._pointers():
            arrays.setdefault(pointer, at)
        for pointer, at in arrays.items():
            for layout in layouts:
                count = sum(1 for _ in self._records(pointer, layout))
                if count:
                    candidates.append((count, -at, layout, pointer))
        candidates.sort(key=lambda candidate: (-candidate[0], -candidate[1]))
        for _, at, layout, pointer in candidates[:MAX_CANDIDATES]:
            arenas = self._prove(pointer, layout)
            if arenas is not None:
                self._context.memory.read(-at, layout.pointer)
                return arenas
        return None

    def _pointers(self) -> Iterator[tuple[int, int]]:
        """Yields the module's variables that point elsewhere, into an allocation."""
        width = self._image.pointer_size
        low, high = self._module.base, self._module.base + self._image.size_of_image
        for base, values in variable_words(self._context.memory, low, self._image, width):
            for index, value in enumerate(values):
                if value % width == 0 and not low <= value < high and is_user_address(value, width):
                    yield base + index * width, value

    def _records(self, array: int, layout: ArenaLayout) -> Iterator[_Record]:
        """Yields the records of arenas. The array ends where a record describes no arena and is no unused one."""
        memory, form = unrecorded(self._context.memory), layout.record
        last_use = FIRST_RECORDS - MAX_UNUSED - 1
        for index in range(MAX_ARENAS):
            if index - last_use > MAX_UNUSED or self._left <= 0:
                return
            self._left -= 1
            data = memory.read(array + index * form.size, form.size)
            if data is None:
                return
            address, position, available, total, free, following, _ = form.unpack(data)
            if not address:
                # An unused record links to another one, or to none.
                if following and (following - array) % form.size:
                    return
                continue
            if self._space.allocation(address) != (address, layout.arena):
                return
            end = address + layout.arena
            if total != layout.arena // layout.pool or available > total or (free and not address <= free < end):
                return
            if not address <= position <= end or position % layout.pool:
                return
            last_use = index
            yield index, address, position, available

    def _prove(self, array: int, layout: ArenaLayout) -> PythonArenas | None:
        """Checks the arenas against their pools; records what it reads of those that pass."""
        self._left = MAX_READS
        records = list(self._records(array, layout))
        counted = sum((position - address) // layout.pool for _, address, position, _ in records) <= MAX_POOLS
        pools: Counter[int] = Counter()
        blocks: Counter[int] = Counter()
        arenas, last = [], -1
        for index, address, position, available in records:
            sizes = self._pools(index, address, position if counted else address + layout.pool, layout)
            if sizes is None or (counted and len(sizes) != layout.arena // layout.pool - available):
                continue
            for size, count in sizes:
                pools[size] += 1
                blocks[size] += count
            arenas.append(address)
            last = index
        if not arenas:
            return None
        self._context.memory.read(array, (last + 1) * layout.record.size)
        total = len(arenas) * (layout.arena // layout.pool)
        return PythonArenas(
            module=self._module.name,
            base=self._module.base,
            version=self._version,
            layout=layout,
            arenas=tuple(arenas),
            unproved=len(records) - len(arenas),
            free_pools=total - pools.total() if counted else None,
            classes=tuple(SizeClass(size, pools[size], blocks[size]) for size in sorted(pools)) if counted else (),
        )

    def _pools(self, index: int, start: int, end: int, layout: ArenaLayout) -> Sequence[tuple[int, int]] | None:
        """Returns block size and blocks in use of each pool in use; None if one of them does not name the arena."""
        memory, form = self._context.memory, layout.header
        found = []
        for pool in range(start, end, layout.pool):
            data = unrecorded(memory).read(pool, form.size)
            if data is None:
                return None
            count, arena, number, position, last = form.unpack(data)
            size = (number + 1) * layout.step
            if not count:
                continue
            if arena != index or size > LARGEST_BLOCK or last != layout.pool - size:
                return None
            if count > layout.blocks_in_pool(size) or not layout.overhead <= position <= layout.pool:
                return None
            found.append((size, count))
        for pool in range(start, end, layout.pool):
            memory.read(pool, form.size)
        return found
