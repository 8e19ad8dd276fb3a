"""Hypothesis strategies for whole address spaces: regions, and facts that split and name them."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st
from synth.images import Section, pe_header

from dumpmap.model.memory import ExcerptMemory
from dumpmap.model.snapshot import (
    Module,
    OperatingSystem,
    Process,
    RecordedHeap,
    RecordedRange,
    Regions,
    Snapshot,
    Source,
    Thread,
    UnloadedModule,
    make_regions,
)
from dumpmap.model.winnt import MemState, MemType, PageProtect

PAGE = 0x1000
GRANULARITY = 0x10000

Row = tuple[int, int, int, int, int, int, int]

_PROTECTIONS = (0x01, 0x02, 0x04, 0x08, 0x20, 0x40, 0x80, 0x104, 0x02 | 0x200)


@dataclass(frozen=True)
class Allocation:
    """An allocation of the space that a strategy drew."""

    base: int
    size: int
    type: int


@st.composite
def region_rows(draw: st.DrawFn, *, pages: int = 64) -> tuple[list[Row], list[Allocation]]:
    """Rows of a valid region list, free regions listed or left out, and the allocations in it."""
    at = draw(st.sampled_from([0, PAGE, GRANULARITY, 0x7FFE0000, 0x7FF6_0000_0000, (1 << 62) + PAGE]))
    rows: list[Row] = []
    allocations: list[Allocation] = []
    for _ in range(draw(st.integers(0, 8))):
        gap = draw(st.integers(0, 40)) * PAGE
        if gap and draw(st.booleans()):
            rows.append((at, 0, 0, gap, int(MemState.MEM_FREE), int(PageProtect.PAGE_NOACCESS), 0))
        at += gap
        kind = draw(st.sampled_from([MemType.MEM_PRIVATE, MemType.MEM_MAPPED, MemType.MEM_IMAGE]))
        base = at
        for _ in range(draw(st.integers(1, 4))):
            size = draw(st.integers(1, pages)) * PAGE
            state = draw(st.sampled_from([MemState.MEM_COMMIT, MemState.MEM_RESERVE]))
            protect = draw(st.sampled_from(_PROTECTIONS)) if state == MemState.MEM_COMMIT else 0
            rows.append((at, base, 4, size, int(state), protect, int(kind)))
            at += size
        allocations.append(Allocation(base, at - base, int(kind)))
    return rows, allocations


def _inside(draw: st.DrawFn, allocations: list[Allocation]) -> int:
    """Some address in or near the space."""
    if not allocations or draw(st.integers(0, 9)) == 0:
        return draw(st.integers(0, (1 << 64) - 1))
    chosen = draw(st.sampled_from(allocations))
    return chosen.base + draw(st.integers(-PAGE, chosen.size + PAGE)) if chosen.base > PAGE else chosen.base


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """A snapshot whose modules, threads and heaps cut across the regions in every way."""
    rows, allocations = draw(region_rows())
    excerpts = []
    modules = []
    for allocation in allocations:
        if allocation.type == MemType.MEM_IMAGE and draw(st.booleans()):
            modules.append(Module(allocation.base, draw(st.integers(0, 2 * allocation.size)), "C:\\app\\a.dll"))
        if draw(st.integers(0, 2)) == 0 and allocation.base >= PAGE:
            excerpts.append((allocation.base, draw(headers(allocation.base))))
    for _ in range(draw(st.integers(0, 2))):
        modules.append(Module(max(0, min(_inside(draw, allocations), (1 << 64) - (1 << 20))), 0x3000, "stray.dll"))
    threads = []
    for number in range(draw(st.integers(0, 3))):
        pointer = max(0, min(_inside(draw, allocations), (1 << 64) - (1 << 20)))
        threads.append(
            Thread(
                id=number % 3,
                stack_pointer=draw(st.sampled_from([None, pointer])),
                stack_base=draw(st.sampled_from([None, pointer])),
                stack_size=draw(st.integers(0, 20 * PAGE)),
            )
        )
    heaps = [_heap(draw, allocations, number + 1) for number in range(draw(st.integers(0, 2)))]
    managed = [_heap(draw, allocations, number + 1) for number in range(draw(st.integers(0, 1)))]
    return Snapshot(
        source=Source(kind="minidump", name="drawn.dmp"),
        process=Process(architecture="x64", pointer_size=8, os=OperatingSystem(family="windows", build=19045)),
        regions=draw(st.sampled_from([make_regions(rows), make_regions(rows), None])) if rows else None,
        modules=tuple(modules),
        unloaded_modules=tuple(UnloadedModule(a.base, a.size, "gone.dll") for a in allocations[:1]),
        threads=tuple(threads),
        heaps=tuple(heaps),
        managed_heaps=tuple(managed),
        captured=tuple((a.base + 5, a.size) for a in allocations[:3]),
        memory=ExcerptMemory(excerpts),
    )


@st.composite
def headers(draw: st.DrawFn, base: int) -> bytes:
    """PE headers with sections that may overlap, lie outside the image, or have no size."""
    sections = [
        Section(f".s{index}", draw(st.integers(0, 0x2_0000)), rva=draw(st.integers(1, 0x4_0000)))
        for index in range(draw(st.integers(1, 5)))
    ]
    return pe_header("x64", base, sections)


def _heap(draw: st.DrawFn, allocations: list[Allocation], number: int) -> RecordedHeap:
    ranges = []
    for _ in range(draw(st.integers(0, 3))):
        base = max(0, min(_inside(draw, allocations), (1 << 64) - (1 << 24)))
        size = draw(st.integers(1, 80 * PAGE))
        ranges.append(RecordedRange(base, size, draw(st.sampled_from([None, 0, size, 2 * size])), "segment"))
    return RecordedHeap(id=number, kind="NT heap", address=ranges[0].base if ranges else None, ranges=tuple(ranges))


def regions_of(snapshot: Snapshot) -> Regions:
    """The regions of a snapshot that has them."""
    if snapshot.regions is None:
        raise ValueError("a snapshot without regions")
    return snapshot.regions
