"""The rows of VMMap's files: allocations, and the blocks in them.

The figures of an allocation's row are those that VMMap's summary adds up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import field

from dumpmap.errors import FormatError
from dumpmap.model.limits import ROWS
from dumpmap.model.snapshot import WORKING_SET_COLUMNS
from dumpmap.model.types import RegionType
from dumpmap.model.values import value_class
from dumpmap.model.winnt import MemState, MemType

Buffer = bytes | bytearray | memoryview

ADDRESS_SPACE = 1 << 57
"""The user address space of any processor that runs Windows is no larger."""

FIGURES = ("committed", "private", *WORKING_SET_COLUMNS)
"""The figures of an allocation that its blocks add up to."""


@value_class(frozen=False, slots=True)
class FileRow:
    """A row of a VMMap file: an allocation or a block. Sizes are bytes."""

    line: int
    address: int
    size: int
    words: str
    """The type as the file writes it: `Image (ASLR)`."""
    type: RegionType | None
    details: str = ""
    protection: str = ""
    """In words; empty if the file states a number."""
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


@value_class(frozen=False, slots=True)
class FileAllocation:
    """The row of an allocation, and the rows of its blocks."""

    head: FileRow
    blocks: list[FileRow] = field(default_factory=list)


class Remarks:
    """Warnings about rows: one for each kind of fault, with the number of rows and the place of the first.

    It also counts the rows, so that a file with too many is refused before it fills the memory.
    """

    def __init__(self) -> None:
        self._faults: dict[str, tuple[int, str]] = {}
        self._plain: list[str] = []
        self._room = ROWS.value

    def count_row(self) -> None:
        """Counts a row of the file.

        Raises:
            FormatError: there are too many.
        """
        self._room -= 1
        if self._room < 0:
            raise FormatError(f"the file has more than {ROWS.value:,} rows; {ROWS.hint}")

    def row(self, fault: str, line: int, about: str = "") -> None:
        """Notes that a row has a fault."""
        first = f"line {line}" + (f": {about[:60]!r}" if about else "")
        count, place = self._faults.get(fault, (0, first))
        self._faults[fault] = count + 1, place

    def add(self, text: str) -> None:
        """Notes a fault of the whole file."""
        self._plain.append(text)

    def texts(self) -> Iterator[str]:
        """Returns the warnings."""
        yield from self._plain
        for fault, (count, place) in self._faults.items():
            yield f"1 row: {fault} ({place})" if count == 1 else f"{count:,} rows: {fault} (the first: {place})"


def bound_figures(row: FileRow, remarks: Remarks) -> None:
    """Cuts figures to the size of the row, which none can exceed, so that sums stay within the address space."""
    for figure in FIGURES:
        if getattr(row, figure) > row.size:
            remarks.row("a figure is larger than the row; cut to its size", row.line)
            setattr(row, figure, row.size)
    # A block has at least one byte. VMMap writes 0 if it has nothing to count.
    row.blocks = min(row.blocks, row.size)


# --- rows into allocations --------------------------------------------------------------------------------------------


def nest(rows: Iterable[FileRow], remarks: Remarks) -> list[FileAllocation]:
    """Groups rows: a row inside another one is its block, whatever the order or nesting of the file."""
    allocations: list[FileAllocation] = []
    # An allocation and its only block have the same range; the allocation comes first in the file.
    for row in sorted(rows, key=lambda row: (row.address, -row.size)):
        last = allocations[-1] if allocations else None
        if last is None or row.address >= last.head.end:
            allocations.append(FileAllocation(row))
        elif row.end > last.head.end:
            remarks.row("overlaps another row; left out", row.line)
        elif not last.blocks or row.address >= last.blocks[-1].end:
            last.blocks.append(row)
        # Any other row is inside a block, whose figures include it.
    return allocations


def tidy(allocations: Iterable[FileAllocation], remarks: Remarks) -> list[FileAllocation]:
    """Sorts allocations and their blocks, and leaves out those that overlap."""
    kept: list[FileAllocation] = []
    for allocation in sorted(allocations, key=lambda allocation: allocation.head.address):
        head = allocation.head
        if kept and head.address < kept[-1].head.end:
            remarks.row("overlaps another row; left out", head.line)
            continue
        blocks: list[FileRow] = []
        for block in sorted(allocation.blocks, key=lambda block: block.address):
            start = blocks[-1].end if blocks else head.address
            if block.address < start or block.end > head.end:
                remarks.row("block does not fit into its allocation; left out", block.line)
            else:
                blocks.append(block)
        kept.append(FileAllocation(head, blocks))
    return kept
