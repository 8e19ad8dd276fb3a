"""Maps for the tests of the analysis, made from an address space laid out by hand or from a synthetic process."""

from __future__ import annotations

import datetime as dt
import gzip
import struct
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from synth.images import DEFAULT_SECTIONS, pe_header, place_sections
from synth.minidump import MEM_COMMIT, MEM_FREE, MEM_PRIVATE, PAGE_READWRITE, MinidumpBuilder
from synth.process import TOP_2GB, TOP_4GB, TOP_128TB, ProcessBuilder
from synth.space import AddressSpace

import dumpmap
from dumpmap.api import RegionMap, map_snapshot
from dumpmap.model.memory import ExcerptMemory
from dumpmap.model.snapshot import (
    Counters,
    ExceptionRecord,
    Module,
    OperatingSystem,
    Process,
    RecordedHeap,
    Snapshot,
    Source,
    Stream,
    System,
    Thread,
    make_regions,
)
from dumpmap.model.writer import HeapLimitRecord, WriterRecord

KB, MB, GB, TB = 1 << 10, 1 << 20, 1 << 30, 1 << 40
GRANULE = 64 * KB
FIXTURES = Path(__file__).parents[1] / "fixtures"

__all__ = ["TOP_2GB", "TOP_4GB", "TOP_128TB"]


class Scene(AddressSpace):
    """An address space and the facts around it.

    Args:
        bits: 32 or 64.
        top: end of the space; 2 GB or 128 TB by default.
    """

    def __init__(self, bits: int = 32, top: int | None = None) -> None:
        super().__init__(bits // 8, top or (TOP_2GB if bits == 32 else TOP_128TB), start=0x10000)
        self.bits = bits
        self.files: dict[int, str] = {}

    def leave(self, *sizes: int, commit: int = 0) -> Scene:
        """Takes the whole space but for free blocks of these sizes; the 64 KB at 0 are always free.

        Args:
            sizes: multiples of 64 KB.
            commit: bytes committed in the large allocation that takes the rest.
        """
        at = 0x10000
        for size in sizes:
            self.allocate(GRANULE, base=at)
            at += GRANULE + size
        self.allocate(self.top - at, base=at, commit=commit)
        return self

    def snapshot(
        self,
        *,
        wow64: bool | None = False,
        system: System | None = None,
        counters: Counters | None = None,
        exception: ExceptionRecord | None = None,
        modules: Sequence[Module] = (),
        threads: Sequence[Thread] = (),
        heaps: Sequence[RecordedHeap] = (),
        annotations: Mapping[str, str] | None = None,
        memory: Sequence[tuple[int, bytes]] = (),
        captured: Sequence[tuple[int, int]] = (),
        writer: WriterRecord | None = None,
        family: str = "windows",
        build: int | None = 19045,
        partial: bool = False,
        end: int | None = None,
        captured_at: dt.datetime | None = None,
        streams: Sequence[Stream] = (),
        warnings: Sequence[str] = (),
        pid: int | None = 100,
        name: str | None = "app.exe",
        created_at: dt.datetime | None = None,
        kind: str = "minidump",
    ) -> Snapshot:
        """The snapshot of the space; `end` cuts the list of regions, `partial` leaves it out."""
        rows = [
            (r.base, r.allocation_base, r.allocation_protect, r.size, r.state, r.protect, r.type)
            for r in self.regions(end)
        ]
        files = [self.files.get(row[1]) if row[4] != MEM_FREE else None for row in rows]
        regions = make_regions(rows, texts={"file": files} if self.files else None)
        return Snapshot(
            source=Source(
                kind="vmmap" if kind == "vmmap" else "minidump",
                name="test.dmp",
                captured_at=captured_at,
                streams=tuple(streams),
            ),
            process=Process(
                pid=pid,
                name=name,
                created_at=created_at,
                architecture="x86" if self.bits == 32 else "x64",
                pointer_size=self.pointer_size,
                wow64=wow64,
                os=OperatingSystem(
                    family="linux" if family == "linux" else "windows", version="10.0.19045", build=build
                ),
            ),
            system=system or System(),
            counters=counters or Counters(),
            regions=None if partial else regions,
            modules=tuple(modules),
            threads=tuple(threads),
            heaps=tuple(heaps),
            exception=exception,
            annotations=dict(annotations or {}),
            memory=ExcerptMemory(memory),
            captured=tuple(captured),
            writer=writer,
            warnings=tuple(warnings),
        )

    def map(self, **facts: object) -> RegionMap:
        """The classified map; arguments as for `snapshot`."""
        return map_snapshot(self.snapshot(**facts))  # type: ignore[arg-type]


def crash(code: int, *parameters: int, thread: int | None = 7, **more: object) -> ExceptionRecord:
    """An exception record."""
    return replace(ExceptionRecord(thread, code, parameters=parameters), **more)  # type: ignore[arg-type]


def commit_at(share: float, limit: int = 16 * GB) -> System:
    """A system whose commit charge is this share of its limit."""
    return System(commit_limit=limit, commit_total=int(limit * share))


def v8_heap(
    used: int | None, limit: int | None, location: str | None = None, is_oom: bool | None = None
) -> WriterRecord:
    """What Crashpad records of a V8 heap."""
    heap = HeapLimitRecord("V8", "CrashpadInfo", used=used, limit=limit, is_oom=is_oom, location=location)
    return WriterRecord("Crashpad", heap_limit=heap)


def fill_process(process: ProcessBuilder, largest: int) -> None:
    """Reserves the free space of a process so that no free block is larger than `largest` (a multiple of 64 KB)."""
    limit = process.limit
    for region in process.regions(limit):
        start = -(-region.base // GRANULE) * GRANULE
        end = region.end // GRANULE * GRANULE
        if region.state == MEM_FREE and end - start > largest:
            process.allocate(end - start - largest, base=start + largest, commit=0)


def map_of(dump: MinidumpBuilder | ProcessBuilder) -> RegionMap:
    """The map of a synthetic dump or process."""
    builder = dump if isinstance(dump, MinidumpBuilder) else dump.to_minidump()
    return dumpmap.open(builder.build())


def recorded(name: str) -> RegionMap:
    """The map of a recorded fixture."""
    found = sorted(FIXTURES.glob(f"{name}.dmp*"))
    return dumpmap.open(found[0])


def cut_list() -> RegionMap:
    """A recorded dump of a fragmented 32-bit process that ends in the middle of its list of regions."""
    data = gzip.decompress((FIXTURES / "fragment-x86.dmp.gz").read_bytes())
    count, directory = struct.unpack_from("<II", data, 8)
    for index in range(count):
        stream, size, place = struct.unpack_from("<III", data, directory + 12 * index)
        if stream == 16:  # MemoryInfoListStream
            return dumpmap.open(data[: place + size // 2])
    raise AssertionError("the dump has no list of regions")


def commit_region(base: int, size: int) -> tuple[int, int, int, int, int, int, int]:
    """A row of committed private memory."""
    return base, base, PAGE_READWRITE, size, MEM_COMMIT, PAGE_READWRITE, MEM_PRIVATE


CHARACTERISTICS = 0x80 + 4 + 18
"""Offset of the file header's Characteristics in the headers that `pe_header` makes."""

LARGE_ADDRESS_AWARE = 0x20


def throw_info(names: list[bytes], *, wide: bool, image: int = 0x10000000) -> tuple[bytes, int]:
    """Lays out ThrowInfo, the array of catchable types and their descriptors as Microsoft's compiler does.

    Returns:
        the bytes at `image`, and the address of the ThrowInfo.
    """
    base = image if not wide else 0
    data = bytearray(0x1000)
    # Nothing is aligned to more than its own fields, so that no sum of address and offset is right by accident.
    info, array, descriptors = 0x24, 0x104, []
    at = 0x418
    for name in names:
        start = at
        data[start + (16 if wide else 8) : start + (16 if wide else 8) + len(name)] = name
        descriptors.append(start)
        at += 0x80
    for index, descriptor in enumerate(descriptors):
        catchable = 0x204 + 0x20 * index
        struct.pack_into("<II", data, catchable, 0, base + descriptor)
        struct.pack_into("<I", data, array + 4 + 4 * index, base + catchable)
    struct.pack_into("<I", data, array, len(names))
    struct.pack_into("<IIII", data, info, 0, 0, 0, base + array)
    return bytes(data), image + info


def with_errors(*errors: tuple[int, int], crashing: int | None = 0) -> MinidumpBuilder:
    """A dump whose threads have these last errors and statuses; the thread of number `crashing` crashed."""
    process = ProcessBuilder("x64").furnish()
    while len(process.threads) < len(errors):
        process.add_thread()
    for thread, (error, status) in zip(process.threads, errors, strict=False):
        process.set_teb(thread, "LastErrorValue", error)
        process.set_teb(thread, "LastStatusValue", status)
    dump = process.to_minidump()
    if crashing is not None:
        dump.exception(process.threads[crashing].tid, 0xC0000005, 0x140001000, [1, 0])
    return dump


def program(bits: int, *, aware: bool) -> tuple[Module, bytes]:
    """An EXE at 0x400000 and its headers."""
    header = bytearray(
        pe_header("x86" if bits == 32 else "x64", 0x400000, place_sections(DEFAULT_SECTIONS), is_dll=False)
    )
    flags = int.from_bytes(header[CHARACTERISTICS : CHARACTERISTICS + 2], "little") & ~LARGE_ADDRESS_AWARE
    header[CHARACTERISTICS : CHARACTERISTICS + 2] = (flags | (LARGE_ADDRESS_AWARE if aware else 0)).to_bytes(
        2, "little"
    )
    return Module(0x400000, 0x10000, "C:\\app\\app.exe"), bytes(header)
