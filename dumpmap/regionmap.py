"""The region map: the classified address space, as tables.

Everything is kept in NumPy columns; data frames are made when they are asked for. Addresses are unsigned 64-bit,
sizes are bytes, ends are exclusive, and a value that the input cannot know is missing (`<NA>`, None, null), never 0.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from dumpmap.protection import protection_text, protection_texts
from dumpmap.snapshot import I32, I64, U32, U64, WORKING_SET_COLUMNS, Counters, Process, Snapshot, System
from dumpmap.structures.survey import ProcessStructures
from dumpmap.types import TYPES, RegionType
from dumpmap.winnt import MemState, MemType

if TYPE_CHECKING:
    import pandas as pd

    from dumpmap.analysis.findings import Finding
    from dumpmap.classify.heaps import Heap
    from dumpmap.classify.images import MappedCopy
    from dumpmap.classify.space import AllocationSpace, Gaps
    from dumpmap.classify.stacks import Stack

Completeness = Literal["full", "map", "partial"]

COLUMNS = (
    "address",
    "type",
    "size",
    "committed",
    "private",
    *WORKING_SET_COLUMNS,
    "blocks",
    "protection",
    "details",
    "kind",
    "evidence",
    "inferred",
)
"""Columns of `RegionMap.allocations`, of its CSV and JSON; `RegionMap.regions` has `allocation` before them."""

SUMMARY_COLUMNS = ("size", "committed", "private", *WORKING_SET_COLUMNS, "blocks", "largest")
"""Columns of the summary, VMMap's."""


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
    count: I64
    """How many of VMMap's blocks the piece stands for: 1 or 0, or what a VMMap file itself says."""
    type: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class BlockColumns(Pieces):
    """The pieces with their names: one row per region or section."""

    kind: I32
    details: I32
    evidence: I32
    inferred: npt.NDArray[np.bool_]


class SummaryLine(msgspec.Struct, frozen=True):
    """A row of the summary. None is unknown or has no meaning for the type."""

    name: str
    size: int | None = None
    committed: int | None = None
    private: int | None = None
    total_ws: int | None = None
    private_ws: int | None = None
    shareable_ws: int | None = None
    shared_ws: int | None = None
    locked_ws: int | None = None
    blocks: int | None = None
    largest: int | None = None

    def values(self) -> dict[str, int | None]:
        """The figures by column."""
        return {column: getattr(self, column) for column in SUMMARY_COLUMNS}


@dataclass(frozen=True, slots=True)
class FreeBlock:
    """A run of free address space that allocations can use."""

    address: int
    size: int


@dataclass(frozen=True, slots=True)
class Location:
    """What is at an address."""

    address: int
    type: RegionType
    kind: str
    details: str
    evidence: str
    inferred: bool
    allocation: int
    allocation_size: int
    block: int
    block_size: int
    state: str
    """`Committed`, `Reserved` or `Free`."""
    protection: str
    offset: int
    """From the allocation's base."""
    module: str | None
    section: str | None
    thread_id: int | None
    heap: str | None
    in_file: int
    """How many bytes from this address on the input holds."""


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

    # ------------------------------------------------------------ short cuts

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

    @property
    def largest_free_block(self) -> FreeBlock | None:
        """The largest free block that the process could use; None for a partial map and for a space without any.

        Not counted are the first 64 KB, which Windows gives to nobody, for a 32-bit process that a 64-bit program
        dumped the space that its code cannot reach, and what the crash reporter had set aside for itself. The summary's
        row of Free counts them all, as VMMap does.
        """
        from dumpmap.analysis.facts import facts_of

        free = facts_of(self).free
        return None if free is None else free.largest

    # ------------------------------------------------------------ summary

    @cached_property
    def summary_lines(self) -> tuple[SummaryLine, ...]:
        """The summary: `Total`, then every type in VMMap's order; `Unknown` only for partial maps."""
        types = TYPES if self.partial else TYPES[:-1]  # Unknown is the last
        lines = [self._type_line(info.type) for info in types]
        return (_total_line(lines), *lines)

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
    def _sums(self) -> dict[str, list[int]]:
        """Sums over blocks, by type."""
        from dumpmap.classify.space import working_sets

        pieces, count = self.pieces, len(TYPES)

        def by_type(values: I64, types: npt.NDArray[np.uint8] = pieces.type) -> list[int]:
            if values.sum() < 1 << 53:  # every sum is exact in a float, and this is the fast way
                sums: list[int] = np.bincount(types, values, count).astype(np.int64).tolist()
                return sums
            return [int(values[types == number].sum()) for number in range(count)]

        sums = {
            "size": by_type(pieces.size),
            "committed": by_type(pieces.committed),
            "private": by_type(pieces.private),
            "blocks": by_type(pieces.count),
        }
        for name, values in working_sets(self.space).items():
            known = values >= 0
            sums[name] = by_type(values[known], self.types[known])
        largest = np.zeros(count, np.int64)
        np.maximum.at(largest, self.types, (self.space.ends - self.space.bases).view(np.int64))
        sums["largest"] = largest.tolist()
        return sums

    def _type_line(self, region_type: RegionType) -> SummaryLine:
        name = TYPES[region_type].name
        if region_type in self.unknown_types:
            return SummaryLine(name)
        if name in (_FREE, _UNUSABLE):
            return self._gaps_line(name)
        if name == _PAGE_TABLE:
            return self._page_table_line()
        sums = self._sums
        figures = [None if values is None else values[region_type] for values in map(sums.get, SUMMARY_COLUMNS)]
        if self.partial:
            figures[_BLOCKS] = None
            if name in (_IMAGE, _UNKNOWN):
                figures[_PRIVATE] = None  # it follows from page protections, which only a list of regions has
        if not sums["blocks"][region_type]:
            figures[_LARGEST] = None
        return SummaryLine(name, *figures)

    def _gaps_line(self, name: str) -> SummaryLine:
        none = np.empty(0, np.uint64)
        if name == _UNUSABLE:
            sizes = self.gaps.unusable_size if self.gaps is not None else none
        else:
            sizes = self.gaps.free_size if self.gaps is not None else none
        return SummaryLine(
            name,
            size=int(sizes.sum()),
            blocks=None if name == _UNUSABLE else len(sizes),
            largest=int(sizes.max()) if len(sizes) else None,
        )

    def _page_table_line(self) -> SummaryLine:
        for row in self.snapshot.recorded_summary:
            if row.type == _PAGE_TABLE:
                return SummaryLine(_PAGE_TABLE, **{k: v for k, v in row.values.items() if k in SUMMARY_COLUMNS})
        size = self.counters.page_table
        if size is None:
            return SummaryLine(_PAGE_TABLE)
        return SummaryLine(_PAGE_TABLE, size=size, committed=size, private=size, total_ws=size, private_ws=size)

    def summary(self) -> pd.DataFrame:
        """The summary as VMMap shows it.

        Returns:
            a frame indexed by type (`Total` first), nullable integer columns `SUMMARY_COLUMNS`, bytes.
        """
        import pandas as pd

        lines = self.summary_lines
        # Column by column: a frame of rows with None in them would go through float64 and lose low bits.
        columns = {}
        for name, values in zip(SUMMARY_COLUMNS, zip(*map(_figures_of, lines), strict=True), strict=True):
            data = np.array([value or 0 for value in values], np.int64)
            columns[name] = pd.arrays.IntegerArray(data, np.array([value is None for value in values], np.bool_))
        return pd.DataFrame(columns, index=pd.Index([line.name for line in lines], name="type"))

    # ------------------------------------------------------------ frames

    @property
    def allocations(self) -> pd.DataFrame:
        """One row per allocation, free and unusable space included, by address; columns `COLUMNS`.

        The frame is the caller's own: to change it changes nothing here.
        """
        return own_frame(self._allocations)

    @cached_property
    def _allocations(self) -> pd.DataFrame:
        a = self.allocation_columns
        return self._frame(
            base=a.base,
            size=a.size,
            committed=a.committed,
            private=a.private,
            blocks=a.blocks,
            protect=a.protect,
            state=a.state,
            types=a.type,
            kind=a.kind,
            details=a.details,
            evidence=a.evidence,
            inferred=a.inferred,
            working_set=a.working_set,
            owner=None,
        )

    @property
    def regions(self) -> pd.DataFrame:
        """One row per region or section, free and unusable space included, by address.

        Columns: `allocation` (base of the allocation the row belongs to), then `COLUMNS`. The frame is the caller's
        own.
        """
        return own_frame(self._regions)

    @cached_property
    def _regions(self) -> pd.DataFrame:
        b = self.block_columns
        regions = self.space.regions
        # A region that is split into pieces has no working set of its own for each of them.
        split = np.bincount(b.region, minlength=len(regions)) > 1
        working_set = {
            name: np.where(split[b.region], -1, regions.numbers[name][b.region])
            for name in WORKING_SET_COLUMNS
            if name in regions.numbers
        }
        return self._frame(
            base=b.base,
            size=b.size,
            committed=b.committed,
            private=b.private,
            blocks=b.count,
            protect=b.protect,
            state=b.state,
            types=b.type,
            kind=b.kind,
            details=b.details,
            evidence=b.evidence,
            inferred=b.inferred,
            working_set=working_set,
            owner=self.allocation_columns.base[b.allocation],
        )

    def _frame(
        self,
        *,
        base: U64,
        size: I64,
        committed: I64,
        private: I64,
        blocks: I64,
        protect: U32,
        state: U32,
        types: npt.NDArray[np.uint8],
        kind: I32,
        details: I32,
        evidence: I32,
        inferred: npt.NDArray[np.bool_],
        working_set: Mapping[str, I64],
        owner: U64 | None,
    ) -> pd.DataFrame:
        import pandas as pd

        used = len(base)
        extra_base, extra_size, extra_type = self._free_rows()
        extra = len(extra_base)
        order = np.argsort(np.concatenate((base, extra_base)), kind="stable")

        def integers(values: I64, missing: npt.NDArray[np.bool_] | None = None) -> pd.arrays.IntegerArray:
            data = np.concatenate((values, np.zeros(extra, np.int64)))[order]
            mask = np.concatenate((np.zeros(used, np.bool_) if missing is None else missing, np.ones(extra, np.bool_)))
            return pd.arrays.IntegerArray(data, mask[order])

        table = np.array(self.texts, dtype=object)

        def texts(codes: I32, of_extra: str = "") -> npt.NDArray[np.object_]:
            return np.concatenate((table[codes], np.full(extra, of_extra, object)))[order]

        names = [info.name for info in TYPES]
        no_private = np.isin(types, (RegionType.IMAGE, RegionType.UNKNOWN)) if self.partial else None
        columns: dict[str, Any] = {
            "address": np.concatenate((base, extra_base))[order],
            "type": pd.Categorical.from_codes(
                np.concatenate((types, extra_type)).astype(np.int8)[order], categories=pd.Index(names)
            ),
            "size": np.concatenate((size, extra_size))[order],
            "committed": integers(committed),
            "private": integers(private, no_private),
        }
        for name in WORKING_SET_COLUMNS:
            values = working_set.get(name)
            if values is None:
                columns[name] = integers(np.zeros(used, np.int64), np.ones(used, np.bool_))
            else:
                columns[name] = integers(np.where(values < 0, 0, values), values < 0)
        columns["blocks"] = integers(blocks, np.full(used, True) if self.partial else None)
        protection = self._recorded_protection(protect, state, owner is None)
        columns["protection"] = np.concatenate((protection, np.full(extra, "", object)))[order]
        columns["details"] = texts(details)
        columns["kind"] = texts(kind)
        columns["evidence"] = texts(evidence, "gap")
        columns["inferred"] = np.concatenate((inferred, np.zeros(extra, np.bool_)))[order]
        frame = pd.DataFrame(columns, columns=list(COLUMNS))
        if owner is not None:
            frame.insert(0, "allocation", np.concatenate((owner, extra_base))[order])
        return frame

    def _recorded_protection(self, protect: U32, state: U32, whole: bool) -> npt.NDArray[np.object_]:
        """Protections in words; a VMMap file's own words where it is the source."""
        column = self.space.regions.texts.get("recorded_protection")
        words = protection_texts(protect, state)
        if column is None or len(column.values) == 0:
            return words
        index = self.space.first if whole else self.block_columns.region
        codes = column.codes[index]
        table = np.array(column.values, dtype=object)
        return np.where(codes >= 0, table[np.maximum(codes, 0)], words)

    def _free_rows(self) -> tuple[U64, I64, npt.NDArray[np.uint8]]:
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

    # ------------------------------------------------------------ one address

    def at(self, address: int) -> Location | None:
        """Says what is at an address.

        Returns:
            None for an address outside the address space, or of which a partial map knows nothing.
        """
        if isinstance(address, bool):
            raise TypeError("an address is a whole number, not a bool")
        address = operator.index(address)  # NumPy's integers are addresses too
        in_file = self._bytes_from(address)
        b = self.block_columns
        index = -1
        if 0 <= address < 1 << 64:
            index = int(np.searchsorted(b.base, np.uint64(address), side="right")) - 1
        if index < 0 or address >= int(b.base[index]) + int(b.size[index]):
            return self._free_at(address, in_file)
        owner = int(b.allocation[index])
        base, size = int(self.allocation_columns.base[owner]), int(self.allocation_columns.size[owner])
        region_type = RegionType(int(b.type[index]))
        kind, whole_kind = self.texts[b.kind[index]], self.texts[self.allocation_columns.kind[owner]]
        details = self.texts[b.details[index]] or self.texts[self.allocation_columns.details[owner]]
        module = self._module_at(address)
        stack = next((stack for stack in self.stacks if stack.base <= address < stack.end), None)
        heap = next((h for h in self.heaps if any(start <= address < start + n for start, n in h.allocations)), None)
        state = int(b.state[index])
        return Location(
            address=address,
            type=region_type,
            kind=kind,
            details=details,
            evidence=self.texts[b.evidence[index]],
            inferred=bool(b.inferred[index]),
            allocation=base,
            allocation_size=size,
            block=int(b.base[index]),
            block_size=int(b.size[index]),
            state="Committed" if state == MemState.MEM_COMMIT else "Reserved",
            protection=protection_text(int(b.protect[index]), state),
            offset=address - base,
            module=module,
            section=kind if module is not None and kind != whole_kind else None,
            thread_id=stack.thread_id if stack else None,
            heap=heap.title if heap else None,
            in_file=in_file,
        )

    def _bytes_from(self, address: int) -> int:
        for start, size in self._file_ranges:
            if start <= address < start + size:
                return start + size - address
        return 0

    @cached_property
    def _file_ranges(self) -> tuple[tuple[int, int], ...]:
        return tuple(self.snapshot.captured) or tuple(self.snapshot.memory.ranges())

    def _module_at(self, address: int) -> str | None:
        for module in self.snapshot.modules:
            if module.base <= address < module.base + module.size:
                return module.path
        return None

    def _free_at(self, address: int, in_file: int) -> Location | None:
        base, size, types = self._free_rows()
        if not 0 <= address < 1 << 64:
            return None
        wanted = np.uint64(address)
        hits = np.flatnonzero((base <= wanted) & (wanted - base < size.astype(np.uint64))).tolist()
        if not hits:
            return None
        start, length, free_type = int(base[hits[0]]), int(size[hits[0]]), RegionType(int(types[hits[0]]))
        return Location(
            address=address,
            type=free_type,
            kind="",
            details="",
            evidence="gap",
            inferred=False,
            allocation=start,
            allocation_size=length,
            block=start,
            block_size=length,
            state="Free",
            protection="",
            offset=address - start,
            module=None,
            section=None,
            thread_id=None,
            heap=None,
            in_file=in_file,
        )

    # ------------------------------------------------------------ what is built on the map

    def findings(self) -> list[Finding]:
        """The diagnosis: what is wrong with this process's memory, most severe first."""
        from dumpmap.analysis.findings import find

        return find(self)

    def to_snapshot(self, path: str | PathLike[str], *, force: bool = False) -> None:
        """Writes a JSON snapshot (`.json`, `.json.gz` or `.json.zst`) that classifies to this same map.

        Raises:
            OutputError: the file exists and `force` is not given, or it cannot be written.
            ValueError: the name ends in none of these.
        """
        from dumpmap.render.snapshot_file import save_snapshot

        save_snapshot(self.snapshot, path, force=force)

    def to_html(self, path: str | PathLike[str], *, force: bool = False) -> None:
        """Writes the report: one self-contained page.

        Raises:
            OutputError: the file exists and `force` is not given, or it cannot be written.
        """
        from dumpmap.render.html import write_report

        write_report(self, path, force=force)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles the map with the bytes that it was made from, and no others: what a snapshot file would hold."""
        from dumpmap.render.snapshot_file import self_contained

        whole = self_contained(self)
        return RegionMap, tuple(getattr(whole, one.name) for one in fields(whole))

    def __copy__(self) -> RegionMap:
        return self  # nothing changes it

    def __deepcopy__(self, memo: dict[int, Any]) -> RegionMap:
        return self

    def __repr__(self) -> str:
        total = self.total
        free = self.largest_free_block
        return (
            f"<RegionMap {self.snapshot.source.name}: {self.process.name or 'unknown process'}, {self.completeness}, "
            f"{len(self.allocation_columns.base)} allocations, {total.committed} bytes committed, "
            f"largest free block {free.size if free else None}>"
        )

    def __rich_console__(self, console: Any, options: Any) -> Any:
        from dumpmap.render.console import summary_view

        yield from summary_view(self)

    def _repr_html_(self) -> str:
        from dumpmap.render.html import summary_fragment

        return summary_fragment(self)


def _total_line(lines: list[SummaryLine]) -> SummaryLine:
    """Adds up all rows but Free."""
    rows = [_figures_of(line) for line in lines if line.name not in (_FREE, _PAGE_TABLE)]
    page_tables = next((_figures_of(line) for line in lines if line.name == _PAGE_TABLE), None)
    sums: list[int | None] = []
    for index, column in enumerate(zip(*rows, strict=True)):
        known = [value for value in column if value is not None]
        # The page tables alone are no total: a dump can know their size and nobody's working set.
        extra = (page_tables[index] or 0) if page_tables is not None else 0
        sums.append(sum(known) + extra if known else None)
    # Nor is a sum one that leaves a type out: a partial map has images, but not what of them is private.
    if any(line.committed and line.private is None for line in lines):
        sums[SUMMARY_COLUMNS.index("private")] = None
    return SummaryLine("Total", *sums[:-1])


_FREE, _UNUSABLE, _PAGE_TABLE = RegionType.FREE.label, RegionType.UNUSABLE.label, RegionType.PAGE_TABLE.label
_IMAGE, _UNKNOWN = RegionType.IMAGE.label, RegionType.UNKNOWN.label
_PRIVATE, _BLOCKS, _LARGEST = (SUMMARY_COLUMNS.index(name) for name in ("private", "blocks", "largest"))
_figures_of: Callable[[SummaryLine], tuple[int | None, ...]] = operator.attrgetter(*SUMMARY_COLUMNS)


def own_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Returns a frame that its user may change. From pandas 3 on that copies only what is written to."""
    import pandas as pd

    return frame.copy(deep=int(pd.__version__.partition(".")[0]) < 3)


def is_private(memory_type: int) -> bool:
    """Whether a region is private memory to Windows."""
    return memory_type == MemType.MEM_PRIVATE
