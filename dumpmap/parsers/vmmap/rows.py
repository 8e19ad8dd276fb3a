"""What VMMap's files have in common: rows for allocations and blocks, and the snapshot made of them.

An allocation is a row with the figures that VMMap's summary adds up; its blocks are rows below it. The snapshot has
one region per block. Figures are kept as they are stated, so that sums over regions are the sums that VMMap printed.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import msgspec

from dumpmap.model import snapshot as model
from dumpmap.model.protection import RESERVED, parse_protection
from dumpmap.model.snapshot import WORKING_SET_COLUMNS
from dumpmap.model.types import RegionType, parse_type
from dumpmap.model.winnt import MemState, MemType, PageProtect

ADDRESS_SPACE = 1 << 57
"""No user address space of any processor that Windows runs on is larger."""

FIGURES = ("committed", "private", *WORKING_SET_COLUMNS)
"""What an allocation's blocks add up to."""

_THREAD = re.compile(r"Thread ID: *([0-9]{1,10})\b(?: \((.+)\))?")
_TEB = re.compile(r"Thread Environment Block ID: *([0-9]{1,10})\b")
_HEAP = re.compile(r"Heap ID: *([0-9]{1,10})\b(?: \[LOW FRAGMENTATION\])?(?: \((.+)\))?")
_STACK_OF_WOW64 = "64-bit thread stack"


@dataclass(slots=True)
class Row:
    """A row of a VMMap file: an allocation or a block. Sizes are bytes."""

    line: int
    address: int
    size: int
    words: str
    """The type as the file writes it: `Image (ASLR)`."""
    type: RegionType | None
    details: str = ""
    protection: str = ""
    """In words; empty where the file gives a number."""
    protect: int = 0
    state: int = int(MemState.MEM_COMMIT)
    memory_type: int = int(MemType.MEM_PRIVATE)
    blocks: int = 0
    committed: int = 0
    private: int = 0
    total_ws: int = 0
    private_ws: int = 0
    shareable_ws: int = 0
    shared_ws: int = 0
    locked_ws: int = 0

    @property
    def end(self) -> int:
        """End of the row's range, exclusive."""
        return self.address + self.size


@dataclass(slots=True)
class Allocation:
    """An allocation's own row and those of its blocks."""

    head: Row
    blocks: list[Row] = field(default_factory=list)


class Remarks:
    """Warnings about rows: one for each kind of fault, with the number of rows and the first one's place."""

    def __init__(self) -> None:
        self._faults: dict[str, tuple[int, str]] = {}
        self._plain: list[str] = []

    def row(self, fault: str, line: int, about: str = "") -> None:
        """Notes that a row has a fault."""
        first = f"line {line}" + (f": {about[:60]!r}" if about else "")
        count, place = self._faults.get(fault, (0, first))
        self._faults[fault] = count + 1, place

    def add(self, text: str) -> None:
        """Notes something about the whole file."""
        self._plain.append(text)

    def texts(self) -> Iterator[str]:
        """Returns the warnings."""
        yield from self._plain
        for fault, (count, place) in self._faults.items():
            yield f"1 row: {fault} ({place})" if count == 1 else f"{count} rows: {fault} (the first: {place})"


# A file has a handful of different words in thousands of rows; a damaged one may have many, so the caches are small.


@lru_cache(256)
def type_of_words(words: str) -> RegionType | None:
    """Returns the type that VMMap's words mean: `Heap (Private Data)` is a Heap, `Thread Stack` a Stack."""
    name = words.partition("(")[0].strip()
    return RegionType.STACK if name.lower() == "thread stack" else parse_type(name)


def bound_figures(row: Row, remarks: Remarks) -> None:
    """Brings figures that exceed the row's own size, which none can, down to it: sums stay within the address space."""
    for figure in FIGURES:
        if getattr(row, figure) > row.size:
            remarks.row("figure larger than the row itself, taken as its size", row.line)
            setattr(row, figure, row.size)
    # A block is at least a byte; VMMap counts 0 where it has nothing to count.
    row.blocks = min(row.blocks, row.size)


def memory_type_of(region_type: RegionType | None, words: str) -> int:
    """Returns the MEM_* type that memory of a type has."""
    if region_type == RegionType.IMAGE:
        return MemType.MEM_IMAGE
    if region_type in (RegionType.MAPPED_FILE, RegionType.SHAREABLE) or "(shareable)" in words.lower():
        return MemType.MEM_MAPPED
    return MemType.MEM_PRIVATE


@lru_cache(256)
def protection_of_words(words: str) -> tuple[int, int] | None:
    """Returns PAGE_* bits and MEM_* state that VMMap's protection words mean; None for words it does not know."""
    text = words.strip()
    if not text:
        return 0, MemState.MEM_COMMIT
    if text.lower() == RESERVED.lower():
        return 0, MemState.MEM_RESERVE
    protect = parse_protection(text)
    return None if protect is None else (protect, MemState.MEM_COMMIT)


# --- rows into allocations --------------------------------------------------------------------------------------------


def nest(rows: Iterable[Row], remarks: Remarks) -> list[Allocation]:
    """Groups rows by containment: a row inside another one is its block, in whatever order or nesting they come."""
    allocations: list[Allocation] = []
    # Of an allocation and its only block, which have one range, the allocation comes first in the file.
    for row in sorted(rows, key=lambda row: (row.address, -row.size)):
        last = allocations[-1] if allocations else None
        if last is None or row.address >= last.head.end:
            allocations.append(Allocation(row))
        elif row.end > last.head.end:
            remarks.row("overlapping another, left out", row.line)
        elif not last.blocks or row.address >= last.blocks[-1].end:
            last.blocks.append(row)
        # Anything else is inside a block, which has its figures already.
    return allocations


def tidy(allocations: Iterable[Allocation], remarks: Remarks) -> list[Allocation]:
    """Sorts allocations and their blocks, and leaves out what overlaps."""
    kept: list[Allocation] = []
    for allocation in sorted(allocations, key=lambda allocation: allocation.head.address):
        head = allocation.head
        if kept and head.address < kept[-1].head.end:
            remarks.row("overlapping another, left out", head.line)
            continue
        blocks: list[Row] = []
        for block in sorted(allocation.blocks, key=lambda block: block.address):
            start = blocks[-1].end if blocks else head.address
            if block.address < start or block.end > head.end:
                remarks.row("block that does not fit into its allocation, left out", block.line)
            else:
                blocks.append(block)
        kept.append(Allocation(head, blocks))
    return kept


def _covering(allocation: Allocation, remarks: Remarks) -> list[Row]:
    """Returns rows that cover the allocation without a gap: its blocks, and reserved rows where none is."""
    head = allocation.head
    if not allocation.blocks:
        return [replace(head)]
    rows: list[Row] = []
    reach = head.address
    for block in allocation.blocks:
        if block.address > reach:
            rows.append(_filler(head, reach, block.address))
        rows.append(block)
        reach = block.end
    if reach < head.end:
        rows.append(_filler(head, reach, head.end))
    if len(rows) > len(allocation.blocks):
        remarks.row("blocks that do not cover their allocation", head.line)
    return rows


def _filler(head: Row, start: int, end: int) -> Row:
    return Row(
        line=head.line,
        address=start,
        size=end - start,
        words=head.words,
        type=head.type,
        state=int(MemState.MEM_RESERVE),
        memory_type=head.memory_type,
    )


def _balance(head: Row, rows: list[Row], remarks: Remarks) -> None:
    """Makes the rows' figures add up to the allocation's, which are those that VMMap's summary is made of."""
    for figure in FIGURES:
        missing = getattr(head, figure) - sum(getattr(row, figure) for row in rows)
        if not missing:
            continue
        remarks.row(f"blocks that do not add up to their allocation in {figure}", head.line)
        for row in rows:
            value = getattr(row, figure)
            change = max(missing, -value) if missing < 0 else missing
            setattr(row, figure, value + change)
            missing -= change


# --- allocations into a snapshot --------------------------------------------------------------------------------------


@dataclass(slots=True)
class Known:
    """What a file says beside its rows."""

    name: str
    path: str | None = None
    size: int | None = None
    pid: int | None = None
    process_name: str | None = None
    address_digits: int | None = None
    page_table: int | None = None
    end: int | None = None
    """End of the address space, exclusive."""
    has_locked: bool = True
    summary: tuple[model.SummaryRow, ...] = ()
    comments: tuple[str, ...] = ()
    captured_at: dt.datetime | None = None


def build(known: Known, allocations: Sequence[Allocation], remarks: Remarks) -> model.Snapshot:
    """Makes the snapshot.

    Args:
        known: what the file says beside its rows.
        allocations: sorted, not overlapping, without free space.
        remarks: warnings so far; they go into the snapshot.
    """
    table = _Table()
    facts = _Facts()
    for allocation in allocations:
        rows = _covering(allocation, remarks)
        _balance(allocation.head, rows, remarks)
        table.add(allocation.head, rows)
        facts.add(allocation.head, rows)
    reach = allocations[-1].head.end if allocations else 0
    end = None if known.end is None else min(known.end, ADDRESS_SPACE)
    if end is not None and end > reach:
        table.add_free(reach, end)
    elif end is not None and end < reach:
        remarks.add(f"the sizes add up to an address space that ends at 0x{end:x}, before the last row does")
    wide = reach > 1 << 32 if known.address_digits is None else known.address_digits > 8
    return model.Snapshot(
        source=model.Source("vmmap", known.name, path=known.path, size=known.size, captured_at=known.captured_at),
        process=model.Process(
            pid=known.pid,
            name=known.process_name,
            pointer_size=8 if wide else 4,
            wow64=True if facts.wow64 else None,
        ),
        system=model.System(max_address=max(reach, end) - 1 if end else None),
        counters=model.Counters(page_table=known.page_table),
        regions=table.regions(has_locked=known.has_locked),
        modules=tuple(facts.modules),
        threads=facts.threads(),
        heaps=facts.heaps(),
        managed_heaps=facts.managed_heaps(),
        recorded_summary=known.summary,
        comments=known.comments,
        warnings=tuple(remarks.texts()),
    )


class _Table:
    """The columns of the regions, while they grow."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, int, int, int, int, int, int]] = []
        self._numbers: dict[str, list[int]] = {name: [] for name in model.NUMBER_COLUMNS}
        self._texts: dict[str, list[str | None]] = {name: [] for name in model.TEXT_COLUMNS}

    def add(self, head: Row, rows: Sequence[Row]) -> None:
        """Adds an allocation as the rows that cover it."""
        file = head.details if head.type in (RegionType.IMAGE, RegionType.MAPPED_FILE) and head.details else None
        label = None if head.type is None else head.type.label
        kind = None if label == head.words else head.words
        for index, row in enumerate(rows):
            protect = row.protect if row.state == MemState.MEM_COMMIT else 0
            self._rows.append((row.address, head.address, head.protect, row.size, row.state, protect, row.memory_type))
            for figure in FIGURES:
                self._numbers[figure].append(getattr(row, figure))
            self._numbers["blocks"].append(0 if index else head.blocks or len(rows))
            own_kind, own_details = _own_words(head, row)
            first = index == 0
            texts = {
                "file": file,
                "recorded_type": label,
                "recorded_kind": kind if first else own_kind,
                "recorded_details": head.details if first else own_details,
                "recorded_protection": row.protection or None,
                "recorded_block_kind": own_kind if first and own_kind != kind else None,
                "recorded_block_details": own_details if first and own_details != head.details else None,
            }
            for name, text in texts.items():
                self._texts[name].append(text)

    def add_free(self, start: int, end: int) -> None:
        """Adds the free space at the end, which says how far the address space reaches."""
        self._rows.append((start, 0, 0, end - start, int(MemState.MEM_FREE), int(PageProtect.PAGE_NOACCESS), 0))
        for numbers in self._numbers.values():
            numbers.append(-1)
        for name, texts in self._texts.items():
            texts.append(RegionType.FREE.label if name == "recorded_type" else None)

    def regions(self, *, has_locked: bool) -> model.Regions:
        """Returns the regions.

        A running process has something in its working set. Where all those figures are blank the file comes from a
        source that does not know them, such as a dump, and they are left out.
        """
        unknown = set() if has_locked else {"locked_ws"}
        if not any(max(self._numbers[name], default=0) > 0 for name in WORKING_SET_COLUMNS):
            unknown = set(WORKING_SET_COLUMNS)
        numbers = {name: values for name, values in self._numbers.items() if name not in unknown}
        texts = {
            name: values
            for name, values in self._texts.items()
            if name == "recorded_type" or any(value is not None for value in values)
        }
        return model.make_regions(self._rows, numbers=numbers, texts=texts)


def _own_words(head: Row, row: Row) -> tuple[str | None, str | None]:
    """Returns kind and details of a single block; None is what the allocation says.

    VMMap writes the section's name into the details of an image's block, repeats the allocation's text for a heap's,
    and leaves a stack's empty.
    """
    if head.type == RegionType.IMAGE and row.details and row.details != head.details:
        return row.details, ""
    if head.type == RegionType.STACK:
        kind = "Guard" if row.protect & PageProtect.PAGE_GUARD else None
        return kind, row.details or None
    return ("TEB" if _TEB.match(row.details) else None), row.details


class _Facts:
    """Modules, threads and heaps that the rows' texts name."""

    def __init__(self) -> None:
        self.modules: list[model.Module] = []
        self.wow64 = False
        self._threads: dict[int, model.Thread] = {}
        self._heaps: dict[int, list[model.RecordedRange]] = {}
        self._heap_names: dict[int, str | None] = {}
        self._managed: dict[tuple[str, str], list[model.RecordedRange]] = {}

    def add(self, head: Row, rows: Sequence[Row]) -> None:
        """Looks at one allocation."""
        self.wow64 |= head.details == _STACK_OF_WOW64
        for row in rows:
            if match := _TEB.match(row.details):
                number = int(match[1])
                self._threads[number] = msgspec.structs.replace(self._thread(number), teb=row.address)
        if head.type == RegionType.IMAGE and head.details:
            self.modules.append(model.Module(head.address, head.size, head.details))
        elif head.type == RegionType.STACK and (match := _THREAD.match(head.details)):
            self._add_stack(int(match[1]), match[2], rows)
        elif head.type == RegionType.HEAP and (match := _HEAP.match(head.details)):
            part = model.RecordedRange(head.address, head.size, head.committed)
            self._heaps.setdefault(int(match[1]), []).append(part)
            self._heap_names.setdefault(int(match[1]), match[2])
        elif head.type == RegionType.MANAGED_HEAP:
            self._managed.setdefault((head.words, head.details), []).extend(
                model.RecordedRange(row.address, row.size, row.committed, row.details or head.words) for row in rows
            )

    def _add_stack(self, number: int, name: str | None, rows: Sequence[Row]) -> None:
        self._threads[number] = msgspec.structs.replace(self._thread(number), name=name)
        usable = [row for row in rows if row.committed and not row.protect & PageProtect.PAGE_GUARD]
        if usable:
            start = usable[0].address
            size = usable[-1].end - start
            self._threads[number] = msgspec.structs.replace(self._thread(number), stack_base=start, stack_size=size)

    def _thread(self, number: int) -> model.Thread:
        return self._threads.get(number, model.Thread(number))

    def threads(self) -> tuple[model.Thread, ...]:
        """Returns the threads, by number."""
        return tuple(self._threads[number] for number in sorted(self._threads))

    def heaps(self) -> tuple[model.RecordedHeap, ...]:
        """Returns the heaps, by number."""
        return tuple(
            model.RecordedHeap(number, name=self._heap_names[number], ranges=tuple(self._heaps[number]))
            for number in sorted(self._heaps)
        )

    def managed_heaps(self) -> tuple[model.RecordedHeap, ...]:
        """Returns the managed heaps: those whose rows have one text are one."""
        return tuple(
            model.RecordedHeap(number, words, details or None, ranges=tuple(ranges))
            for number, ((words, details), ranges) in enumerate(self._managed.items(), 1)
        )
