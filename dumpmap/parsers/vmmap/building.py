"""From the rows of a VMMap file to a snapshot with one region per block.

Figures are kept as the file states them: sums over regions are the sums that VMMap printed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace

import msgspec

from dumpmap.model import snapshot as model
from dumpmap.model.snapshot import WORKING_SET_COLUMNS
from dumpmap.model.types import RegionType
from dumpmap.model.values import value_class
from dumpmap.model.winnt import MemState, PageProtect
from dumpmap.parsers.vmmap.rows import ADDRESS_SPACE, FIGURES, FileAllocation, FileRow, Remarks
from dumpmap.parsers.vmmap.words import (
    GUARD_KIND,
    HEAP_DETAILS,
    TEB_DETAILS,
    TEB_KIND,
    THREAD_DETAILS,
    WOW64_STACK_DETAILS,
)


@value_class(frozen=False, slots=True)
class Known:
    """What a file says outside its rows."""

    name: str
    path: str | None = None
    size: int | None = None
    pid: int | None = None
    process_name: str | None = None
    address_digits: int | None = None
    page_table: int | None = None
    end: int | None = None
    """End of the address space, exclusive."""
    complete: bool = True
    """False if the file is cut off or damaged, so that rows can be missing."""
    has_locked: bool = True
    summary: tuple[model.SummaryRow, ...] = ()
    comments: tuple[str, ...] = ()
    captured_at: dt.datetime | None = None


def build(known: Known, allocations: Sequence[FileAllocation], remarks: Remarks) -> model.Snapshot:
    """Makes the snapshot.

    Args:
        known: what the file says outside its rows.
        allocations: sorted, not overlapping, without free space.
        remarks: gets more warnings; all go into the snapshot.
    """
    table = _RegionTable()
    facts = _NamedThings()
    differing = 0
    for allocation in allocations:
        rows = _covering(allocation, remarks)
        differing += _balance(allocation.head, rows, remarks)
        table.add(allocation.head, rows)
        facts.add(allocation.head, rows)
    reach = allocations[-1].head.end if allocations else 0
    end = None if known.end is None else min(known.end, ADDRESS_SPACE)
    if end is not None and end > reach:
        table.add_free(reach, end)
    elif end is not None and end < reach:
        remarks.add(f"by its sizes, the address space ends at 0x{end:x}, before the end of the last row")
    wide = reach > 1 << 32 if known.address_digits is None else known.address_digits > 8
    return model.Snapshot(
        source=model.Source(
            "vmmap",
            known.name,
            path=known.path,
            size=known.size,
            captured_at=known.captured_at,
            notes=_notes(differing),
        ),
        process=model.Process(
            pid=known.pid,
            name=known.process_name,
            pointer_size=8 if wide else 4,
            wow64=True if facts.wow64 else None,
        ),
        system=model.System(max_address=max(reach, end) - 1 if end else None),
        counters=model.Counters(page_table=known.page_table),
        regions=table.regions(has_locked=known.has_locked),
        regions_complete=known.complete,
        modules=tuple(facts.modules),
        threads=facts.threads(),
        heaps=facts.heaps(),
        managed_heaps=facts.managed_heaps(),
        recorded_summary=known.summary,
        comments=known.comments,
        warnings=tuple(remarks.texts()),
    )


class _RegionTable:
    """The columns of the regions in the making."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, int, int, int, int, int, int]] = []
        self._numbers: dict[str, list[int]] = {name: [] for name in model.NUMBER_COLUMNS}
        self._texts: dict[str, list[str | None]] = {name: [] for name in model.TEXT_COLUMNS}

    def add(self, head: FileRow, rows: Sequence[FileRow]) -> None:
        """Adds an allocation, one region for each of the rows that cover it."""
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
        """Adds the free space at the end of the address space."""
        self._rows.append((start, 0, 0, end - start, int(MemState.MEM_FREE), int(PageProtect.PAGE_NOACCESS), 0))
        for numbers in self._numbers.values():
            numbers.append(-1)
        for name, texts in self._texts.items():
            texts.append(RegionType.FREE.label if name == "recorded_type" else None)

    def regions(self, *, has_locked: bool) -> model.Regions:
        """Returns the regions.

        A running process always has a working set. If all figures of working sets are blank, the file comes from a
        source without them, such as a dump, and the columns are left out.
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


def _own_words(head: FileRow, row: FileRow) -> tuple[str | None, str | None]:
    """Returns the kind and the details of a single block; None means those of the allocation.

    The details of a block are the section's name in an image, the allocation's own details in a heap, and empty in a
    stack.
    """
    if head.type == RegionType.IMAGE and row.details and row.details != head.details:
        return row.details, ""
    if head.type == RegionType.STACK:
        kind = GUARD_KIND if row.protect & PageProtect.PAGE_GUARD else None
        return kind, row.details or None
    return (TEB_KIND if TEB_DETAILS.match(row.details) else None), row.details


class _NamedThings:
    """The modules, threads, and heaps that the details name."""

    def __init__(self) -> None:
        self.modules: list[model.Module] = []
        self.wow64 = False
        self._threads: dict[int, model.Thread] = {}
        self._heaps: dict[int, list[model.RecordedRange]] = {}
        self._heap_names: dict[int, str | None] = {}
        self._managed: dict[tuple[str, str], list[model.RecordedRange]] = {}

    def add(self, head: FileRow, rows: Sequence[FileRow]) -> None:
        """Takes what an allocation names."""
        self.wow64 |= head.details == WOW64_STACK_DETAILS
        for row in rows:
            if match := TEB_DETAILS.match(row.details):
                number = int(match[1])
                self._threads[number] = msgspec.structs.replace(self._thread(number), teb=row.address)
        if head.type == RegionType.IMAGE and head.details:
            self.modules.append(model.Module(head.address, head.size, head.details))
        elif head.type == RegionType.STACK and (match := THREAD_DETAILS.match(head.details)):
            self._add_stack(int(match[1]), match[2], rows)
        elif head.type == RegionType.HEAP and (match := HEAP_DETAILS.match(head.details)):
            part = model.RecordedRange(head.address, head.size, head.committed)
            self._heaps.setdefault(int(match[1]), []).append(part)
            self._heap_names.setdefault(int(match[1]), match[2])
        elif head.type == RegionType.MANAGED_HEAP:
            self._managed.setdefault((head.words, head.details), []).extend(
                model.RecordedRange(row.address, row.size, row.committed, row.details or head.words) for row in rows
            )

    def _add_stack(self, number: int, name: str | None, rows: Sequence[FileRow]) -> None:
        usable = [row for row in rows if row.committed and not row.protect & PageProtect.PAGE_GUARD]
        if usable:
            start = usable[0].address
            size = usable[-1].end - start
            self._threads[number] = msgspec.structs.replace(
                self._thread(number), name=name, stack_base=start, stack_size=size
            )

    def _thread(self, number: int) -> model.Thread:
        return self._threads.get(number, model.Thread(number))

    def threads(self) -> tuple[model.Thread, ...]:
        """Returns the threads, sorted by ID."""
        return tuple(self._threads[number] for number in sorted(self._threads))

    def heaps(self) -> tuple[model.RecordedHeap, ...]:
        """Returns the heaps, sorted by number."""
        return tuple(
            model.RecordedHeap(number, name=self._heap_names[number], ranges=tuple(self._heaps[number]))
            for number in sorted(self._heaps)
        )

    def managed_heaps(self) -> tuple[model.RecordedHeap, ...]:
        """Returns the managed heaps: allocations with the same texts are one heap."""
        return tuple(
            model.RecordedHeap(number, words, details or None, ranges=tuple(ranges))
            for number, ((words, details), ranges) in enumerate(self._managed.items(), 1)
        )


def _covering(allocation: FileAllocation, remarks: Remarks) -> list[FileRow]:
    """Returns rows that cover the allocation without a gap: its blocks, and reserved rows between them."""
    head = allocation.head
    if not allocation.blocks:
        return [replace(head)]
    rows: list[FileRow] = []
    reach = head.address
    for block in allocation.blocks:
        if block.address > reach:
            rows.append(_filler(head, reach, block.address))
        rows.append(block)
        reach = block.end
    if reach < head.end:
        rows.append(_filler(head, reach, head.end))
    if len(rows) > len(allocation.blocks):
        remarks.row("blocks do not cover their allocation; the rest counts as reserved", head.line)
    return rows


def _filler(head: FileRow, start: int, end: int) -> FileRow:
    return FileRow(
        line=head.line,
        address=start,
        size=end - start,
        words=head.words,
        type=head.type,
        state=int(MemState.MEM_RESERVE),
        memory_type=head.memory_type,
    )


def _notes(differing: int) -> tuple[str, ...]:
    """Says where VMMap's own rows differ, which is not damage."""
    if not differing:
        return ()
    images = "1 image" if differing == 1 else f"{differing:,} images"
    return (
        f"the private bytes of {images} differ between the row of the allocation and those of its blocks, as VMMap "
        "writes them; the map has those of the blocks, which VMMap's summary adds up",
    )


def _balance(head: FileRow, rows: list[FileRow], remarks: Remarks) -> bool:
    """Makes the figures of the rows add up to the allocation's, which VMMap's summary is made of.

    The private bytes of images stay as they are: VMMap's allocations and blocks differ there, and its summary is the
    sum of the blocks.

    Returns:
        whether the private bytes of an image differ.
    """
    differs = False
    for figure in FIGURES:
        missing = getattr(head, figure) - sum(getattr(row, figure) for row in rows)
        if not missing:
            continue
        if figure == "private" and head.type == RegionType.IMAGE:
            differs = True
            continue
        remarks.row(f"blocks do not add up to their allocation in {figure}; adjusted", head.line)
        for row in rows:
            value = getattr(row, figure)
            change = max(missing, -value) if missing < 0 else missing
            setattr(row, figure, value + change)
            missing -= change
    return differs
