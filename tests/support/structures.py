"""What the tests of the structure readers share: a space over a synthetic process, and a dump's bytes by hand."""

from __future__ import annotations

import gzip
import struct
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from synth.process import ProcessBuilder
from synth.truth import HeapTruth

from dumpmap.model.heaps import HeapInfo
from dumpmap.model.managed_heaps import ManagedHeap
from dumpmap.model.memory import ExcerptMemory, Memory
from dumpmap.model.process import Peb, ProcessStructures
from dumpmap.model.recognised import Found
from dumpmap.structures.recognisers import windows_heaps
from dumpmap.structures.recognisers.protocol import Context
from dumpmap.structures.space import Space
from dumpmap.structures.survey import survey

MEM_COMMIT, MEM_FREE, MEM_PRIVATE = 0x1000, 0x10000, 0x20000


class MapSpace:
    """A `Space` over plain regions.

    Args:
        regions: (base, size, allocation base, state, type) of every region, ascending.
    """

    def __init__(self, regions: Iterable[tuple[int, int, int, int, int]]) -> None:
        self._regions = [region for region in regions if region[3] != MEM_FREE]
        self.sizes: dict[int, int] = {}
        self._private = []
        self._types: dict[int, int] = {}
        for base, size, allocation, state, kind in self._regions:
            self.sizes[allocation] = base + size - allocation
            self._types[allocation] = kind
            if base == allocation and state == MEM_COMMIT and kind == MEM_PRIVATE:
                self._private.append(base)
        self._bases = sorted(self.sizes)

    def private_allocations(self) -> Sequence[int]:
        return self._private

    def large_private_allocations(self, size: int) -> Sequence[tuple[int, int]]:
        private = [(base, self.sizes[base]) for base in self._bases if self._types[base] == MEM_PRIVATE]
        return [part for part in private if part[1] >= size]

    def allocation(self, address: int) -> tuple[int, int] | None:
        index = bisect_right(self._bases, address) - 1
        if index < 0:
            return None
        base = self._bases[index]
        return (base, self.sizes[base]) if address < base + self.sizes[base] else None

    def committed(self, base: int, size: int) -> int:
        end = base + size
        return sum(
            max(0, min(end, start + length) - max(base, start))
            for start, length, _, state, _ in self._regions
            if state == MEM_COMMIT and start < end and base < start + length
        )

    def committed_places(self, alignment: int, limit: int, offset: int = 0) -> Sequence[int]:
        places = [
            place
            for start, length, _, state, kind in self._regions
            if state == MEM_COMMIT and kind == MEM_PRIVATE
            for place in range(-(-(start - offset) // alignment) * alignment + offset, start + length, alignment)
        ]
        return places[:limit]


def space_of(process: ProcessBuilder) -> MapSpace:
    """Returns the space that the process's dump describes."""
    return MapSpace(
        (region.base, region.size, region.allocation_base, region.state, region.type)
        for region in process.regions(process.limit)
    )


def memory_of(process: ProcessBuilder) -> ExcerptMemory:
    """Returns the memory that a full dump of the process holds."""
    return ExcerptMemory(process.captured(limit=process.limit))


def writer_size(process: ProcessBuilder) -> int:
    """Returns the pointer size of the dump's writer."""
    return 4 if process.arch in ("x86", "arm") else 8


def survey_process(
    process: ProcessBuilder,
    memory: Memory | None = None,
    *,
    os_build: int | None = -1,
    read_parameters: bool = False,
) -> ProcessStructures:
    """Surveys a synthetic process as the reader of its dump would."""
    size = writer_size(process)
    return survey(
        memory_of(process) if memory is None else memory,
        pointer_size=size,
        threads=[
            (thread.tid, (thread.teb64 if size == 8 else thread.teb32) or thread.teb) for thread in process.threads
        ],
        modules=[(module.base, module.size, module.name) for module in process.modules if module.base < process.limit],
        space=space_of(process),
        os_build=process.build if os_build == -1 else os_build,
        read_parameters=read_parameters,
    )


def find_heaps(memory: Memory, pebs: Sequence[Peb], space: Space, os_build: int | None) -> Found:
    """Runs the recogniser of Windows heaps alone."""
    return windows_heaps.find(Context(memory, space, "windows", os_build, 8, pebs=pebs))


def managed_heaps(found: ProcessStructures) -> tuple[ManagedHeap, ...]:
    """Returns the managed heaps that the .NET recogniser found."""
    return found.facts_of(ManagedHeap)


def runtime_modules(found: ProcessStructures) -> tuple[str, ...]:
    """Returns the names of the modules that hold a runtime."""
    return tuple(runtime.module for runtime in found.runtimes)


def heap_at(found: ProcessStructures, truth: HeapTruth) -> HeapInfo:
    """Returns the heap that the survey found where `truth` has one."""
    return next(heap for heap in found.heaps if (heap.address, heap.pointer_size) == (truth.address, truth.bits // 8))


def allocations(heap: HeapInfo, space: MapSpace) -> list[tuple[int, int, int]]:
    """Returns (base, size, committed) of what a heap's ranges claim, by address."""
    claimed = []
    for range_ in heap.ranges:
        size = space.sizes[range_.base] if range_.size is None else range_.size
        claimed.append((range_.base, size, space.committed(range_.base, size)))
    return claimed


def expected(truth: HeapTruth) -> list[tuple[int, int, int]]:
    """Returns (base, size, committed) of what belongs to a heap, by address."""
    return sorted((item.base, item.size, item.committed) for item in truth.allocations)


@dataclass(frozen=True)
class PlainDump:
    """What a few lines of struct read out of a minidump."""

    memory: ExcerptMemory
    pointer_size: int
    build: int
    family: str
    threads: list[tuple[int, int]]
    modules: list[tuple[int, int, str]]
    space: MapSpace

    def survey(self, memory: Memory | None = None, *, read_parameters: bool = False) -> ProcessStructures:
        """Surveys it."""
        return survey(
            memory or self.memory,
            pointer_size=self.pointer_size,
            threads=self.threads,
            modules=self.modules,
            space=self.space,
            os_build=self.build,
            family=self.family,
            read_parameters=read_parameters,
        )


def load(path: Path) -> PlainDump:
    """Reads the streams of a dump that these tests need."""
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    count, directory = struct.unpack_from("<2I", data, 8)
    excerpts: list[tuple[int, bytes]] = []
    threads: list[tuple[int, int]] = []
    modules: list[tuple[int, int, str]] = []
    regions: list[tuple[int, int, int, int, int]] = []
    pointer_size, build, family = 8, 0, "unknown"
    for index in range(count):
        kind, _, at = struct.unpack_from("<3I", data, directory + 12 * index)
        if kind == 3:
            for number in range(struct.unpack_from("<I", data, at)[0]):
                fields = struct.unpack_from("<4I2Q4I", data, at + 4 + 48 * number)
                threads.append((fields[0], fields[4]))
                excerpts.append((fields[5], data[fields[7] : fields[7] + fields[6]]))
        elif kind == 4:
            for number in range(struct.unpack_from("<I", data, at)[0]):
                base, length, _, _, name = struct.unpack_from("<Q4I", data, at + 4 + 108 * number)
                chars = struct.unpack_from("<I", data, name)[0]
                modules.append((base, length, data[name + 4 : name + 4 + chars].decode("utf-16-le", "replace")))
        elif kind == 5:
            for number in range(struct.unpack_from("<I", data, at)[0]):
                address, length, place = struct.unpack_from("<QII", data, at + 4 + 16 * number)
                excerpts.append((address, data[place : place + length]))
        elif kind == 7:
            pointer_size = 4 if struct.unpack_from("<H", data, at)[0] == 0 else 8
            build, platform = struct.unpack_from("<2I", data, at + 16)
            family = "windows" if platform == 2 else "other"
        elif kind == 9:
            number, place = struct.unpack_from("<2Q", data, at)
            for entry in range(number):
                address, length = struct.unpack_from("<2Q", data, at + 16 + 16 * entry)
                excerpts.append((address, data[place : place + length]))
                place += length
        elif kind == 16:
            head, entry_size, number = struct.unpack_from("<2IQ", data, at)
            for entry in range(number):
                fields = struct.unpack_from("<2Q2IQ4I", data, at + head + entry * entry_size)
                regions.append((fields[0], fields[4], fields[1], fields[5], fields[7]))
    return PlainDump(ExcerptMemory(excerpts), pointer_size, build, family, threads, modules, MapSpace(regions))
