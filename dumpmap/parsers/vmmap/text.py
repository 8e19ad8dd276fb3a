"""VMMap's CSV and text exports.

`docs/vmmap.md` says what is known about them. Both hold the same: the process, the summary, and one row per allocation
with an indented row per block below it. Sizes are in KB, with the thousands separator of the exporting user's locale.
"""

from __future__ import annotations

import codecs
import csv
import re
import sys
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from dumpmap.errors import FormatError
from dumpmap.model.formulas import from_cell
from dumpmap.model.snapshot import Snapshot, SummaryRow
from dumpmap.model.types import RegionType
from dumpmap.model.winnt import MemState
from dumpmap.parsers.vmmap.building import Known, build
from dumpmap.parsers.vmmap.rows import (
    ADDRESS_SPACE,
    FIGURES,
    Buffer,
    FileAllocation,
    FileRow,
    Remarks,
    bound_figures,
    tidy,
)
from dumpmap.parsers.vmmap.words import (
    COLUMNS,
    HEADINGS,
    PID_TITLE,
    PROCESS_TITLE,
    TOTAL,
    memory_type_of,
    protection_of_words,
    type_of_words,
)

_HEADING = re.compile("|".join(sorted(HEADINGS.values(), key=len, reverse=True)), re.IGNORECASE)
"""Any heading; of two that begin alike, the longer one."""

_CELL = re.compile(r"[^ \t]+(?: [^ \t]+)*")  # no other blank, because it can be a thousands separator
_LINE_ENDS = re.compile(r"[\r\n]+")
_ADDRESS = re.compile(r"(?:0x)?([0-9A-Fa-f]{1,16})")

# Thousands separators of any locale: comma, point, apostrophes, and several blanks of Unicode.
_SEPARATORS = str.maketrans("", "", ",.'\u2019 \t\u00a0\u2007\u2009\u202f")
_UNITS = re.compile(r"([0-9]{1,18})(?:kb?)?", re.IGNORECASE)

_BEYOND_ASCII = re.compile("[^\x00-\x7f\u00a0]")

_PIECE = 1 << 16
"""Bytes that are decoded at a time."""

MAX_LINE = 1 << 20
"""A text with a longer line is refused: VMMap's lines have some hundred letters."""

_DELIMITERS = (",", ";", "\t")


def load_vmmap_csv(data: Buffer, *, name: str, path: str | None = None) -> Snapshot:
    """Reads a map that VMMap exported as CSV or as text; the headings show which of the two it is.

    Args:
        data: the whole file, in UTF-8, UTF-16, or Windows-1252.
        name: the file's name, for the snapshot and for messages.
        path: where the file is.

    Returns:
        a snapshot of kind `vmmap` with one region per block. Rows that cannot be read are left out, with a warning.

    Raises:
        FormatError: it has no table with VMMap's headings.
    """
    remarks = Remarks()
    view = memoryview(data).cast("B")
    reader = _Reader(remarks)
    for number, line in lines_of(_decode(view, _encoding_of(view, remarks)), name):
        reader.line(number, line)
    if not reader.has_details:
        raise FormatError("not a VMMap export: no line has the headings Address, Type, and Size", source=name)
    if not reader.allocations:
        place = f"after line {reader.heading_line}"
        raise FormatError("the VMMap export has no readable row", source=name, place=place)
    known = Known(
        name=name,
        path=path,
        size=len(data),
        pid=reader.pid,
        process_name=reader.process_name,
        address_digits=reader.digits,
        page_table=reader.page_table(),
        end=reader.end_of_space(),
        summary=tuple(reader.summary),
    )
    return build(known, tidy(reader.allocations, remarks), remarks)


def _encoding_of(data: memoryview, remarks: Remarks) -> str:
    start = bytes(data[:512])
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if start.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if start[1::2].count(0) > len(start) // 4:
        return "utf-16-le"
    if start[::2].count(0) > len(start) // 4:
        return "utf-16-be"
    try:
        for _ in _decode(data, "utf-8", "strict"):
            pass
    except UnicodeDecodeError:
        # A no-break space between thousands is no reason to doubt names.
        if any(_BEYOND_ASCII.search(text) for text in _decode(data, "cp1252")):
            remarks.add(
                "the file is not UTF-8; dumpmap reads it as Windows-1252, which garbles names in other alphabets"
            )
        return "cp1252"
    return "utf-8"


def _decode(data: memoryview, encoding: str, errors: str = "replace") -> Iterator[str]:
    """Decodes a text piece by piece: one letter beyond the others makes each letter of a string four bytes wide."""
    decoder = codecs.getincrementaldecoder(encoding)(errors)
    for at in range(0, len(data), _PIECE):
        yield decoder.decode(data[at : at + _PIECE], at + _PIECE >= len(data))


def lines_of(pieces: Iterable[str], name: str) -> Iterator[tuple[int, str]]:
    """Yields the lines of a text, each with its number. Carriage returns before a line feed belong to it.

    Raises:
        FormatError: a line is too long.
    """
    number, rest = 1, ""
    for piece in pieces:
        text = rest + piece
        at = 0
        # What is left of the pieces before has no line end but the one that a line feed can follow.
        for ends in _LINE_ENDS.finditer(text, len(rest.rstrip("\r\n"))):
            if ends.end() == len(text) and text[-1] == "\r":
                break  # a line feed can follow
            yield number, text[at : ends.start()]
            at = ends.end()
            # Carriage returns before a line feed are one end with it; each of the others is an end of its own.
            number += text.count("\n", *ends.span()) + at - max(text.rfind("\n", *ends.span()) + 1, ends.start())
        rest = text[at:]
        if len(rest) > MAX_LINE:
            raise FormatError(f"not a VMMap export: line {number} has more than {MAX_LINE:,} letters", source=name)
    if rest:
        yield number, rest.rstrip("\r\n")


def parse_count(text: str) -> int | None:
    """Reads an integer with any locale's thousands separators: 0 for an empty text, None for any other text."""
    cleaned = text.translate(_SEPARATORS)
    if not cleaned:
        return 0
    match = _UNITS.fullmatch(cleaned)
    return int(match[1]) if match else None


@lru_cache(1 << 12)
def parse_kb(text: str) -> int | None:
    """Reads a size in KB and returns it in bytes; None for any other text."""
    count = parse_count(text)
    return None if count is None or count > ADDRESS_SPACE >> 10 else count << 10


class _Layout:
    """Where the cells of a table's rows are: between delimiters, or under their headings."""

    def __init__(self, columns: Sequence[str | None], delimiter: str | None, spans: Sequence[tuple[int, int]]) -> None:
        self.columns = columns
        self._delimiter = delimiter
        self._spans = spans
        self._starts = [*(low for low, _ in spans), sys.maxsize]

    def cells(self, line: str) -> dict[str, str] | None:
        """Returns the row's cells by column, including blanks at their ends; None for a line that cannot be split."""
        if self._delimiter is None:
            return self._under_headings(line)
        values = split_line(line, self._delimiter)
        if values is None:
            return None
        return {column: value for column, value in zip(self.columns, values, strict=False) if column is not None}

    def _under_headings(self, line: str) -> dict[str, str]:
        cells: dict[str, str] = {}
        last = len(self._spans) - 1
        for match in _CELL.finditer(line):
            index = self._column_at(*match.span())
            column = self.columns[index]
            if column is None:
                continue
            if index == last:
                # The last column, Details, can contain anything, even several blanks in a row.
                cells[column] = line[match.start() :].rstrip()
                break
            indent = line[: match.start()] if not cells else ""
            cells[column] = indent + match[0]
        return cells

    def _column_at(self, start: int, end: int) -> int:
        """Returns the column whose heading a value is under; if none, the last that begins before it."""
        likely = bisect_right(self._starts, start) - 1
        if likely >= 0 and start < self._spans[likely][1] and end <= self._starts[likely + 1]:
            return likely
        best, most = 0, 0
        for index, (low, high) in enumerate(self._spans):
            overlap = min(end, high) - max(start, low)
            if overlap > most:
                best, most = index, overlap
            elif most == 0 and low <= start:
                best = index
        return best


def split_line(line: str, delimiter: str) -> list[str] | None:
    """Splits a line of a CSV file; None if it cannot be split.

    dumpmap writes an apostrophe before what a spreadsheet would run, which is not part of the text.
    """
    try:
        return [from_cell(cell) for cell in next(csv.reader([line], delimiter=delimiter, strict=False), [])]
    except csv.Error:
        return None


def _layout_of(line: str) -> _Layout | None:
    """Returns the layout of a table if the line has its headings."""
    for delimiter in _DELIMITERS:
        cells = split_line(line, delimiter) or []
        names = [cell.strip().lower() for cell in cells]
        if "type" in names and "size" in names:
            return _Layout([COLUMNS.get(name) for name in names], delimiter, [])
    if '"' in line:
        return None
    matches = list(_HEADING.finditer(line))
    names = [match[0].lower() for match in matches]
    rest = _HEADING.sub("", line).strip()
    if rest or "type" not in names or "size" not in names:
        return None
    return _Layout([COLUMNS[name] for name in names], None, [match.span() for match in matches])


class _Reader:
    """Reads a file line by line."""

    def __init__(self, remarks: Remarks) -> None:
        self._remarks = remarks
        self._layout: _Layout | None = None
        self.pid: int | None = None
        self.process_name: str | None = None
        self.summary: list[SummaryRow] = []
        self.allocations: list[FileAllocation] = []
        self.has_details = False
        self.heading_line = 0
        self.digits = 0
        self._page_table_rows = 0
        self._free_end = 0

    def line(self, number: int, line: str) -> None:
        """Takes the next line."""
        self._remarks.count_row()
        if not line.strip():
            return
        if "Size" in line or "size" in line:
            layout = _layout_of(line)
            if layout is not None:
                self._layout = layout
                self.has_details |= "address" in layout.columns
                self.heading_line = number
                return
        if self._layout is None:
            self._take_title(line)
            return
        cells = self._layout.cells(line)
        if cells is None:
            self._remarks.row("cannot be split into cells; left out", number, line)
        elif "address" in self._layout.columns:
            self._take_row(number, cells)
        else:
            self._take_summary(number, cells)

    def _take_title(self, line: str) -> None:
        """Takes a line above the tables: `"Process:","app.exe"`, or `Process: app.exe` in a text."""
        title, value = "", ""
        for delimiter in _DELIMITERS:
            cells = split_line(line, delimiter) or [""]
            if cells[0].rstrip().endswith(":"):
                title, value = cells[0], "".join(cells[1:2])
                break
        else:
            title, _, value = line.partition(":")
        title = title.strip().rstrip(":").lower()
        if title == PROCESS_TITLE.lower() and value.strip():
            self.process_name = value.strip()
        elif title == PID_TITLE.lower():
            pid = parse_count(value)
            self.pid = pid if pid and pid < 1 << 32 else None

    def _take_summary(self, number: int, cells: dict[str, str]) -> None:
        label = cells.pop("type", "").strip()
        values: dict[str, int | None] = {}
        for column, text in cells.items():
            if column not in (*FIGURES, "size", "blocks", "largest"):
                continue
            blank = not text.strip()
            value = parse_count(text) if column == "blocks" else parse_kb(text)
            if value is None:
                self._remarks.row("a figure of the summary is not a number", number, text)
            values[column] = None if blank else value
        if label:
            self.summary.append(SummaryRow(label, values))

    def _take_row(self, number: int, cells: dict[str, str]) -> None:
        address = cells.get("address", "")
        match = _ADDRESS.fullmatch(address.strip())
        size = parse_kb(cells.get("size", ""))
        if match is None or not size:
            self._remarks.row("has no address or no size; left out", number, f"{address} {cells.get('size', '')}")
            return
        words = cells.get("type", "").strip()
        row = FileRow(
            line=number,
            address=int(match[1], 16),
            size=size,
            words=words,
            type=type_of_words(words),
            details=cells.get("details", "").strip(),
        )
        if row.end > ADDRESS_SPACE:
            self._remarks.row("ends beyond the address space; left out", number, address)
            return
        if row.type is None:
            self._remarks.row("type is not one of VMMap's", number, words)
        self._take_figures(row, cells)
        if row.type == RegionType.PAGE_TABLE:
            self._page_table_rows += row.size
        elif row.type in (RegionType.FREE, RegionType.UNUSABLE):
            self._free_end = max(self._free_end, row.end)
        else:
            self.digits = max(self.digits, len(match[1]))
            self._place(row, is_block=address[:1].isspace())

    def _take_figures(self, row: FileRow, cells: dict[str, str]) -> None:
        for column in FIGURES:
            value = parse_kb(cells.get(column, ""))
            if value is None:
                self._remarks.row("a figure is not a number; taken as 0", row.line, cells[column])
            setattr(row, column, value or 0)
        row.blocks = parse_count(cells.get("blocks", "")) or 0
        bound_figures(row, self._remarks)
        row.memory_type = int(memory_type_of(row.type, row.words))
        words = cells.get("protection", "").strip()
        meaning = protection_of_words(words)
        if meaning is None:
            self._remarks.row("protection is not one of VMMap's", row.line, words)
            row.protection = words
        else:
            row.protect, row.state = int(meaning[0]), int(meaning[1])
        if not words and not row.committed:
            row.state = int(MemState.MEM_RESERVE)

    def _place(self, row: FileRow, *, is_block: bool) -> None:
        last = self.allocations[-1] if self.allocations else None
        if is_block and last is not None and last.head.address <= row.address < last.head.end:
            last.blocks.append(row)
            return
        if is_block:
            self._remarks.row("block is outside the allocation above it", row.line)
        self.allocations.append(FileAllocation(row))

    def _sizes(self) -> Iterator[tuple[RegionType | None, int]]:
        for row in self.summary:
            if row.type.lower() != TOTAL.lower():
                yield type_of_words(row.type), row.values.get("size") or 0

    def page_table(self) -> int | None:
        """Returns the size of the page tables if the file states it."""
        stated = sum(size for region_type, size in self._sizes() if region_type == RegionType.PAGE_TABLE)
        return min(stated or self._page_table_rows, ADDRESS_SPACE) or None

    def end_of_space(self) -> int | None:
        """Returns where the address space ends: the summary covers all of it, including free space."""
        sizes = dict(self._sizes())
        if RegionType.FREE in sizes:
            end = sum(size for region_type, size in sizes.items() if region_type != RegionType.PAGE_TABLE)
            return min(end, ADDRESS_SPACE)
        return self._free_end or None
