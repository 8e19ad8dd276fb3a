"""VMMap's own file, .mmp: XML with one `Snapshot` element per moment and one `Region` element per row.

`docs/vmmap.md` says what is known about the format. The reader looks at elements and attributes and ignores where in
the document they are, because no description of the format exists.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any
from xml.sax import SAXParseException
from xml.sax.handler import ContentHandler

from defusedxml import DefusedXmlException
from defusedxml.expatreader import DefusedExpatParser

from dumpmap.errors import FormatError
from dumpmap.model.snapshot import Snapshot
from dumpmap.model.times import from_filetime
from dumpmap.model.types import RegionType
from dumpmap.model.winnt import MemState, MemType
from dumpmap.parsers.vmmap.building import Known, build
from dumpmap.parsers.vmmap.rows import ADDRESS_SPACE, Buffer, FileRow, Remarks, bound_figures, nest, tidy
from dumpmap.parsers.vmmap.words import (
    ATTRIBUTES,
    NAME_ATTRIBUTES,
    PAGE_TABLE_ATTRIBUTE,
    PID_ATTRIBUTES,
    REGION,
    SNAPSHOT,
    TIME_ATTRIBUTES,
    USE_TYPES,
    memory_type_of,
    type_of_words,
)

_NUMBERS = {name: figure for name, figure in ATTRIBUTES.items() if figure not in ("heap_number", "words", "details")}
"""The attributes of a region that are integers, and the figure that each holds."""

_PID_KEYS, _NAME_KEYS, _TIME_KEYS = (
    frozenset(name.lower() for name in names) for names in (PID_ATTRIBUTES, NAME_ATTRIBUTES, TIME_ATTRIBUTES)
)
_PAGE_TABLE_KEY = PAGE_TABLE_ATTRIBUTE.lower()

_MEMORY_TYPES = frozenset(int(value) for value in MemType)

# The parser gets the file in pieces. A tag, comment, or text that does not end within this many is not VMMap's.
_PIECE = 1 << 20
_LONGEST_TAG = 16

MAX_DEPTH = 100
"""XML elements that are nested deeper count as damage: VMMap nests five."""

_PLAUSIBLE_FILETIMES = range(119_600_064_000_000_000, 157_766_016_000_000_000)  # 1980 to 2100


def load_mmp(data: Buffer, *, name: str, path: str | None = None, snapshot_index: int | None = None) -> Snapshot:
    """Reads a .mmp file.

    Args:
        data: the whole file.
        name: the file's name, for the snapshot and for messages.
        path: where the file is.
        snapshot_index: which of several snapshots to read, counted from 1. Default: the last.

    Returns:
        a snapshot of kind `vmmap` with one region per block. Rows that cannot be read are left out, with a warning.
        If the file is cut off or damaged, everything before that place is read.

    Raises:
        FormatError: it is not such a file, has no such snapshot, has too many rows, or has a DTD.
    """
    if snapshot_index is not None and snapshot_index < 1:
        raise ValueError("snapshots are counted from 1")
    remarks = Remarks()
    handler = _Handler(remarks, snapshot_index)
    damage = _parse(data, handler, name)
    count = handler.count
    if count == 0:
        if damage is not None:
            raise FormatError(
                "not a readable VMMap file: damaged before its first Region element", source=name, place=damage
            )
        raise FormatError("an XML file, but not VMMap's: it has no Region element", source=name)
    if snapshot_index is not None and snapshot_index > count:
        holds = "one snapshot" if count == 1 else f"{count:,} snapshots"
        raise FormatError(f"the file holds {holds}; there is no number {snapshot_index}", source=name)
    if damage is not None:
        remarks.add(f"the file is cut off or damaged; the rows after that place are missing ({damage})")
    rows = handler.rows
    free = [row for row in rows if row.type in (RegionType.FREE, RegionType.UNUSABLE)]
    tables = [row for row in rows if row.type == RegionType.PAGE_TABLE]
    used = [row for row in rows if row.type not in (RegionType.FREE, RegionType.UNUSABLE, RegionType.PAGE_TABLE)]
    if not used:
        raise FormatError("the snapshot has no readable row", source=name)
    number = snapshot_index or count
    known = Known(
        name=name,
        path=path,
        size=len(data),
        pid=handler.pid,
        process_name=handler.process_name,
        page_table=handler.page_table or min(sum(row.size for row in tables), ADDRESS_SPACE) or None,
        end=max(row.end for row in (*free, *used)) if free else None,
        has_locked=handler.has_locked,
        comments=(f"snapshot {number} of {count}",) if count > 1 else (),
        captured_at=handler.captured_at,
        complete=damage is None,
    )
    return build(known, tidy(nest(used, remarks), remarks), remarks)


def _parse(data: Buffer, handler: _Handler, name: str) -> str | None:
    """Parses the text; returns the place of the damage that stopped it, if any."""
    parser: Any = DefusedExpatParser(forbid_dtd=True, forbid_entities=True, forbid_external=True)
    parser.setContentHandler(handler)
    handler.setDocumentLocator(parser)
    view = memoryview(data).cast("B")
    seen, silent = 0, 0
    try:
        for start in range(0, len(view), _PIECE):
            parser.feed(bytes(view[start : start + _PIECE]))
            silent = silent + 1 if handler.events == seen else 0
            seen = handler.events
            if silent > _LONGEST_TAG:
                return f"line {parser.getLineNumber()}: a tag or text is longer than {_LONGEST_TAG} MB"
        parser.close()
    except DefusedXmlException:
        place = f"line {parser.getLineNumber()}"
        raise FormatError(
            "the file has a document type declaration (DTD), which dumpmap refuses", source=name, place=place
        ) from None
    except _TooDeepError:
        return f"line {parser.getLineNumber()}: more than {MAX_DEPTH} nested elements"
    except SAXParseException as error:
        return f"line {error.getLineNumber()}"
    except (ValueError, LookupError):
        return f"line {parser.getLineNumber() or 1}: unknown encoding"
    return None


class _TooDeepError(Exception):
    """Elements are nested too deeply: the parser keeps all that are open. Never leaves this module."""


class _Handler(ContentHandler):
    """Collects the rows of one snapshot."""

    def __init__(self, remarks: Remarks, wanted: int | None) -> None:
        super().__init__()
        self._remarks = remarks
        self._wanted = wanted
        self._locator: Any = None
        self.events = 0
        self._depth = 0
        self.count = 0
        self.rows: list[FileRow] = []
        self.pid: int | None = None
        self.process_name: str | None = None
        self.page_table: int | None = None
        self.captured_at: dt.datetime | None = None
        self.has_locked = False

    def setDocumentLocator(self, locator: Any) -> None:
        """Keeps the object that knows the line."""
        self._locator = locator

    def characters(self, content: str) -> None:
        """Counts text as progress and ignores it."""
        self.events += 1

    def startElement(self, name: str, attrs: Any) -> None:
        """Takes an element."""
        self.events += 1
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _TooDeepError
        kind = name.rpartition(":")[2]
        if kind == REGION:
            self.count = self.count or 1  # a file without Snapshot elements is one
            if self._wanted is None or self._wanted == self.count:
                self._take_region(attrs)
            return
        if kind == SNAPSHOT:
            self.count += 1
            if self._wanted is None:
                self.rows = []
                self.page_table = self.captured_at = None
        if self._wanted is None or kind != SNAPSHOT or self._wanted == self.count:
            self._take_other(attrs)

    def endElement(self, name: str) -> None:
        """Leaves an element."""
        self._depth -= 1

    def _take_other(self, attrs: Any) -> None:
        """Takes what elements around the rows can say. Not all of their names and attributes are known."""
        for attribute, text in attrs.items():
            key = attribute.lower()
            if key in _PID_KEYS:
                self.pid = _number(text) or self.pid
            elif key in _NAME_KEYS and text.strip():
                self.process_name = text.strip()
            elif key == _PAGE_TABLE_KEY:
                size = _number(text) or 0
                self.page_table = size if 0 < size <= ADDRESS_SPACE else None
            elif key in _TIME_KEYS:
                # Python searches a range for None number by number, which would take years.
                ticks = _number(text) or 0
                if ticks in _PLAUSIBLE_FILETIMES:
                    self.captured_at = from_filetime(ticks)

    def _take_region(self, attrs: Any) -> None:
        line = self._locator.getLineNumber() or 0
        numbers: dict[str, int] = {}
        for attribute, figure in _NUMBERS.items():
            text = attrs.get(attribute)
            value = 0 if text is None else _number(text)
            if value is None:
                self._remarks.row(f"{attribute} is not an integer; left out", line, text)
                return
            numbers[figure] = value
        if not numbers["size"] or numbers["address"] + numbers["size"] > ADDRESS_SPACE:
            self._remarks.row("has no size or an impossible one; left out", line)
            return
        self.has_locked |= "LockedWS" in attrs
        words = attrs.get("Type", "").strip()
        self._remarks.count_row()
        self.rows.append(
            _row(line, numbers, words, attrs.get("Details", "").strip(), "UseType" in attrs, self._remarks)
        )


def _number(text: str) -> int | None:
    """Reads an integer, decimal or with `0x`; None for any other text and for more than 64 bits."""
    cleaned = text.strip()
    if len(cleaned) > 20 or not cleaned.isascii():
        return None
    try:
        value = int(cleaned, 16 if cleaned[:2] in ("0x", "0X") else 10) if "_" not in cleaned else -1
    except ValueError:
        return None
    return value if 0 <= value < 1 << 64 else None


def _row(
    line: int, numbers: Mapping[str, int], words: str, details: str, has_use_type: bool, remarks: Remarks
) -> FileRow:
    region_type = USE_TYPES.get(numbers["use_type"]) if has_use_type else None
    if region_type is None:
        region_type = type_of_words(words)
        if region_type is None:
            remarks.row("type is not one of VMMap's", line, words or str(numbers["use_type"]))
    if not words and region_type is not None:
        words = region_type.label
    storage = numbers["memory_type"]
    row = FileRow(
        line=line,
        address=numbers["address"],
        size=numbers["size"],
        words=words,
        type=region_type,
        details=details,
        protect=numbers["protect"] & 0xFFFF_FFFF,
        state=int(MemState.MEM_COMMIT if numbers["committed"] else MemState.MEM_RESERVE),
        memory_type=storage if storage in _MEMORY_TYPES else int(memory_type_of(region_type, words)),
        blocks=numbers["blocks"],
        committed=numbers["committed"],
        private=numbers["private"],
        total_ws=numbers["private_ws"] + numbers["shareable_ws"],
        private_ws=numbers["private_ws"],
        shareable_ws=numbers["shareable_ws"],
        shared_ws=numbers["shared_ws"],
        locked_ws=numbers["locked_ws"],
    )
    bound_figures(row, remarks)
    return row
