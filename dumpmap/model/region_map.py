"""The region map: the classified address space, as columns.

Addresses are unsigned 64-bit, sizes are bytes, ends are exclusive, and a value that the input cannot know is None,
never 0. `dumpmap.api` builds the frames, findings, and reports that users see on top of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from dumpmap.model.heaps import Heap
from dumpmap.model.location import Location, locate
from dumpmap.model.process import ProcessStructures
from dumpmap.model.snapshot import I32, I64, U32, U64, Counters, Process, Snapshot, System
from dumpmap.model.space import AllocationSpace, Gaps
from dumpmap.model.stacks import Stack
from dumpmap.model.summary import SummaryLine, summarize
from dumpmap.model.types import RegionType

Completeness = Literal["full", "map", "partial"]


@dataclass(frozen=True, slots=True)
class MappedCopy:
    """A view of a section that begins with the PE header of a loaded module: its file, mapped as data."""

    address: int
    module: str


@dataclass(frozen=True)
class AllocationColumns:
    """One row per allocation, sorted by address. `protect` is the allocation's common protection, else its first."""

    base: U64
    size: I64
    committed: I64
    private: I64
    blocks: I64
    protect: U32
    state: U32
    type: npt.NDArray[np.uint8]
    kind: I32
    details: I32
    evidence: I32
    inferred: npt.NDArray[np.bool_]
    working_set: Mapping[str, I64]
    """-1 is unknown."""


@dataclass(frozen=True)
class Pieces:
    """The regions, cut where a part of one has a type or a name of its own; sorted by address."""

    base: U64
    size: I64
    committed: I64
    private: I64
    state: U32
    protect: U32
    allocation: npt.NDArray[np.intp]
    region: npt.NDArray[np.intp]
    first: npt.NDArray[np.bool_]
    """Whether the piece is the first of its region; these are what VMMap counts as blocks."""
    blocks: I64
    """How many of VMMap's blocks the piece stands for: 1 or 0, or what a VMMap file itself says."""
    type: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class BlockColumns(Pieces):
    """The pieces with their names: one row per region or section."""

    kind: I32
    details: I32
    evidence: I32
    inferred: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class FreeBlock:
    """A run of free address space that allocations can use."""

    address: int
    size: int


@dataclass(frozen=True, eq=False)
class RegionMap:
    """The classified address space of one process.

    Made by `dumpmap.open` or `dumpmap.classify.classify`; nothing changes it afterwards.

    Attributes:
        snapshot: the raw facts.
        process: the process, with what classification found out about it.
        completeness: `full` (a list of regions, and the bytes of most committed private memory), `map` (a list of
            regions, few bytes), `partial` (no list of regions).
        end: end of the address space (exclusive); None for a partial map.
        space: regions in use, by allocation.
        gaps: free space; None for a partial map.
        types: `RegionType` of every allocation.
        pieces: regions, cut where a part of one has another type; what the sums are made of.
        make_allocations: makes `allocation_columns`.
        make_blocks: makes `block_columns`, which are cut at image sections and at named pages too.
        texts: the table that `kind`, `details` and `evidence` codes index.
        stacks: every stack that can be told.
        heaps: every heap that can be told.
        heap_list_captured: whether the input holds the list of heaps; None where no PEB was found.
        structures: what was read out of process memory.
        notes: what a reader of the map has to know about the input's limits.
        warnings: what is damaged or contradicts itself.
    """

    snapshot: Snapshot
    process: Process
    completeness: Completeness
    end: int | None
    space: AllocationSpace
    gaps: Gaps | None
    types: npt.NDArray[np.uint8]
    pieces: Pieces
    make_allocations: Callable[[], AllocationColumns]
    make_blocks: Callable[[], BlockColumns]
    texts: Sequence[str]
    stacks: tuple[Stack, ...] = ()
    heaps: tuple[Heap, ...] = ()
    heap_list_captured: bool | None = None
    structures: ProcessStructures = field(default_factory=ProcessStructures)
    mapped_copies: tuple[MappedCopy, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    unknown_types: frozenset[RegionType] = frozenset()
    """Types whose figures the input cannot know: their rows are blank, not zero."""

    @property
    def counters(self) -> Counters:
        """What the system counted for the process."""
        return self.snapshot.counters

    @property
    def system(self) -> System:
        """The machine."""
        return self.snapshot.system

    @property
    def partial(self) -> bool:
        """Whether the input has no list of regions."""
        return self.completeness == "partial"

    @property
    def address_width(self) -> int:
        """Hex digits of an address of this map."""
        return 8 if self.process.pointer_size == 4 and (self.end or 0) <= 1 << 32 else 16

    @cached_property
    def allocation_columns(self) -> AllocationColumns:
        """One row per allocation."""
        return self.make_allocations()

    @cached_property
    def block_columns(self) -> BlockColumns:
        """One row per region or section."""
        return self.make_blocks()

    @cached_property
    def free_blocks(self) -> tuple[FreeBlock, ...] | None:
        """Free blocks by address, whatever is free, as VMMap counts; None for a partial map.

        `dumpmap.analysis.free.free_space(m)` has those that the process could use.
        """
        if self.gaps is None:
            return None
        return tuple(
            FreeBlock(address, size)
            for address, size in zip(self.gaps.free_base.tolist(), self.gaps.free_size.tolist(), strict=True)
        )

    @cached_property
    def summary_lines(self) -> tuple[SummaryLine, ...]:
        """The summary: `Total`, then every type in VMMap's order; `Unknown` only for partial maps."""
        return summarize(self)

    def line(self, region_type: RegionType) -> SummaryLine:
        """Returns one type's row of the summary."""
        lines = self.summary_lines
        if 1 + region_type == len(lines):  # of a map with a list of regions everything is known
            return SummaryLine(region_type.label, 0, 0, 0, blocks=0)
        return lines[1 + region_type]

    @property
    def total(self) -> SummaryLine:
        """The summary's first row: everything but Free."""
        return self.summary_lines[0]

    @cached_property
    def gap_rows(self) -> tuple[U64, I64, npt.NDArray[np.uint8]]:
        """Base, size, and `RegionType` of all unusable and then all free space; empty for a partial map."""
        gaps = self.gaps
        if gaps is None:
            return np.empty(0, np.uint64), np.empty(0, np.int64), np.empty(0, np.uint8)
        types = np.concatenate(
            (
                np.full(len(gaps.unusable_base), RegionType.UNUSABLE, np.uint8),
                np.full(len(gaps.free_base), RegionType.FREE, np.uint8),
            )
        )
        base = np.concatenate((gaps.unusable_base, gaps.free_base))
        size = np.concatenate((gaps.unusable_size, gaps.free_size)).astype(np.int64)
        return base, size, types

    @cached_property
    def file_ranges(self) -> tuple[tuple[int, int], ...]:
        """(address, size) of the process's bytes that the input holds."""
        return tuple(self.snapshot.captured) or tuple(self.snapshot.memory.ranges())

    def at(self, address: int) -> Location | None:
        """Says what is at an address.

        Returns:
            None for an address outside the address space, or of which a partial map knows nothing.
        """
        return locate(self, address)

    def __copy__(self) -> RegionMap:
        return self  # nothing changes it

    def __deepcopy__(self, memo: dict[int, object]) -> RegionMap:
        return self
