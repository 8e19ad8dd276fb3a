"""The region map: the classified address space, as columns.

Addresses are unsigned 64-bit integers, sizes are bytes, ends are exclusive, and a value that the input cannot know is
None, never 0. `dumpmap.api` builds the frames, findings, and reports that users see on top of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from dumpmap.model.heaps import Heap
from dumpmap.model.pieces import BlockColumns, Pieces
from dumpmap.model.pointers import PointerSearch
from dumpmap.model.process import ProcessStructures
from dumpmap.model.snapshot import I32, I64, U32, U64, Counters, Process, Snapshot, System
from dumpmap.model.space import AllocationSpace, Gaps
from dumpmap.model.stacks import Stack
from dumpmap.model.summary import SummaryLine, summarize
from dumpmap.model.types import RegionType
from dumpmap.model.values import value_class

if TYPE_CHECKING:
    from dumpmap.model.location import Location
    from dumpmap.model.stated_heaps import StatedSurplus

Completeness = Literal["full", "map", "partial"]


@value_class(frozen=True, slots=True)
class MappedCopy:
    """A view that begins with the PE header of a loaded module: the module's file, mapped as data."""

    address: int
    module: str


@dataclass(frozen=True)
class AllocationColumns:
    """One row per allocation, sorted by address. `protect` is the common protection, else the initial one."""

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


@value_class(frozen=True, slots=True)
class FreeBlock:
    """A run of free address space that allocations can use."""

    address: int
    size: int


@dataclass(frozen=True, eq=False)
class RegionMap:
    """The classified address space of one process.

    `dumpmap.open` and `dumpmap.classify.classify` make it. Nothing changes it afterwards.

    Attributes:
        snapshot: the raw facts.
        process: the process, with what classification added.
        completeness: `full` (a list of regions, and the bytes of most committed private memory), `map` (a list of
            regions, few bytes), `partial` (no list of regions).
        end: end of the address space (exclusive); None for a partial map.
        space: regions in use, by allocation.
        gaps: free space; None for a partial map.
        types: `RegionType` of every allocation.
        pieces: regions, cut where a part of one has another type. The summary adds them up.
        make_allocations: makes `allocation_columns`.
        make_blocks: makes `block_columns`, which are also cut at image sections and named pages.
        make_notes: makes `notes` of the map.
        texts: the table that the codes of `kind`, `details`, and `evidence` index.
        stacks: every stack that the input identifies.
        heaps: every heap that the input identifies.
        heap_list_captured: whether the input contains the list of heaps; None if no PEB was found.
        structures: what was read from process memory.
        mapped_copies: loaded images that are also mapped as data.
        warnings: damage and contradictions in the input, a sentence each.
        unknown_types: types whose figures the input cannot know. Their rows are blank, not zero.
        pointers: who holds pointers to memory that structures do not name; None if nobody has searched for them.
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
    make_notes: Callable[[RegionMap], tuple[str, ...]]
    texts: Sequence[str]
    stacks: tuple[Stack, ...] = ()
    heaps: tuple[Heap, ...] = ()
    heap_list_captured: bool | None = None
    structures: ProcessStructures = field(default_factory=ProcessStructures)
    mapped_copies: tuple[MappedCopy, ...] = ()
    warnings: tuple[str, ...] = ()
    unknown_types: frozenset[RegionType] = frozenset()
    pointers: PointerSearch | None = None

    @property
    def counters(self) -> Counters:
        """The system's counters for the process."""
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
    def notes(self) -> tuple[str, ...]:
        """Limits of the input that a reader of the map has to know, a sentence each."""
        return self.make_notes(self)

    @cached_property
    def free_blocks(self) -> tuple[FreeBlock, ...] | None:
        """All free blocks by address, as VMMap counts them; None for a partial map.

        `dumpmap.analysis.free.free_space(m)` has those that the process could use.
        """
        if self.gaps is None:
            return None
        return tuple(
            FreeBlock(address, size)
            for address, size in zip(self.gaps.free_base.tolist(), self.gaps.free_size.tolist(), strict=True)
        )

    @cached_property
    def stated_heaps(self) -> StatedSurplus | None:
        """What the headers of heaps count beyond a partial map; None if nothing."""
        from dumpmap.model.stated_heaps import stated_surplus

        return stated_surplus(self)

    @cached_property
    def thread_names(self) -> Mapping[int, str]:
        """Names of threads by ID: those that the input has, and where it has none, those that runtimes give."""
        own = {thread.id: thread.name for thread in self.snapshot.threads if thread.name}
        return {**{name.thread_id: name.name for name in self.structures.thread_names.values()}, **own}

    @cached_property
    def summary_lines(self) -> tuple[SummaryLine, ...]:
        """The summary: `Total`, then every type in VMMap's order; `Unknown` only for partial maps."""
        return summarize(self)

    def line(self, region_type: RegionType) -> SummaryLine:
        """Returns one type's row of the summary."""
        lines = self.summary_lines
        if 1 + region_type == len(lines):  # a map with a list of regions has no Unknown
            return SummaryLine(region_type.label, 0, 0, 0, blocks=0)
        return lines[1 + region_type]

    @property
    def total(self) -> SummaryLine:
        """The summary's first row: everything except Free."""
        return self.summary_lines[0]

    @cached_property
    def known_size(self) -> int:
        """Bytes of address space that the map shows in use."""
        sizes = self.pieces.size[self.pieces.type != int(RegionType.FREE)]
        return int(np.maximum(sizes, 0).sum())

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

    def at(self, address: int) -> Location | None:
        """Returns what is at an address; None outside the address space and where a partial map knows nothing."""
        from dumpmap.model.location import locate

        return locate(self, address)

    def __copy__(self) -> RegionMap:
        return self  # nothing changes it

    def __deepcopy__(self, memo: dict[int, object]) -> RegionMap:
        return self
