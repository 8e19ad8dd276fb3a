"""VMMap's own file, .mmp: XML with one `Snapshot` element per moment and a `Region` element per row.

What is known of it, and how, is in `docs/vmmap.md`. Only elements and attributes are looked at, never where in the
document they stand, because no description of the format exists.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final
from xml.sax import SAXParseException
from xml.sax.handler import ContentHandler

from defusedxml import DefusedXmlException
from defusedxml.expatreader import DefusedExpatParser

from dumpmap.errors import FormatError
from dumpmap.model.snapshot import Snapshot
from dumpmap.model.types import RegionType
from dumpmap.model.winnt import MemState, MemType
from dumpmap.parsers.vmmap.rows import (
    ADDRESS_SPACE,
    Known,
    Remarks,
    Row,
    bound_figures,
    build,
    memory_type_of,
    nest,
    tidy,
    type_of_words,
)

Buffer = bytes | bytearray | memoryview

USE_TYPES: Final[Mapping[int, RegionType]] = {
    0: RegionType.HEAP,
    1: RegionType.STACK,
    2: RegionType.IMAGE,
    3: RegionType.MAPPED_FILE,
    4: RegionType.PRIVATE_DATA,
    5: RegionType.SHAREABLE,
    6: RegionType.FREE,
    8: RegionType.MANAGED_HEAP,
    9: RegionType.PAGE_TABLE,
    10: RegionType.UNUSABLE,
}
"""What the numbers in `UseType` mean. Nothing is known of 7."""

_MEMORY_TYPES = frozenset(int(value) for value in MemType)

# Fed in pieces; a single tag, comment or text that does not end within this many of them is not VMMap's.
_PIECE = 1 << 20
_LONGEST_TAG = 16

_FILETIME_EPOCH = dt.datetime(1601, 1, 1, tzinfo=dt.UTC)
_PLAUSIBLE_FILETIMES = range(119_600_064_000_000_000, 157_766_016_000_000_000)  # 1980 to 2100


def load_mmp(data: Buffer, *, name: str, path: str | None = None, snapshot_index: int | None = None) -> Snapshot:
    """Reads a .mmp file.

    Args:
        data: the whole file.
        name: the file's name, for the snapshot and for messages.
        path: where the file is.
        snapshot_index: which of several snapshots, counted from 1; the last by default.

    Returns:
        a snapshot of kind `vmmap` with one region per block. Rows that cannot be read are left out, with a warning;
        of a file that is cut off or damaged everything before that place is read.

    Raises:
        FormatError: it is not such a file, has no such snapshot, or makes use of XML entities.
    """
    if snapshot_index is not None and snapshot_index < 1:
        raise ValueError("snapshots are counted from 1")
    remarks = Remarks()
    handler = _Handler(remarks, snapshot_index)
    damage = _parse(data, handler, name)
    count = handler.count
    if count == 0:
        if damage is not None:
            raise FormatError("not a readable VMMap file", source=name, place=damage)
        raise FormatError("XML, but not a VMMap file: it has no Region element", source=name)
    if snapshot_index is not None and snapshot_index > count:
        holds = "one snapshot" if count == 1 else f"{count} snapshots"
        raise FormatError(f"the file holds {holds}, there is no number {snapshot_index}", source=name)
    if damage is not None:
        remarks.add(f"the file is cut off or damaged; what follows is missing ({damage})")
    rows = handler.rows
    free = [row for row in rows if row.type in (RegionType.FREE, RegionType.UNUSABLE)]
    tables = [row for row in rows if row.type == RegionType.PAGE_TABLE]
    used = [row for row in rows if row.type not in (RegionType.FREE, RegionType.UNUSABLE, RegionType.PAGE_TABLE)]
    if not used:
        raise FormatError("the snapshot has no row that can be read", source=name)
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
    )
    return build(known, tidy(nest(used, remarks), remarks), remarks)


def count_snapshots(data: Buffer, *, name: str = "<data>") -> int:
    """Returns how many snapshots a .mmp file holds; of a damaged file, how many begin before the damage.

    Raises:
        FormatError: it makes use of XML entities.
    """
    handler = _Handler(Remarks(), 0)
    _parse(data, handler, name)
    return handler.count


def _parse(data: Buffer, handler: _Handler, name: str) -> str | None:
    """Runs the parser over the text; returns the place where it had to stop, if it is not the end."""
    parser: Any = DefusedExpatParser(forbid_dtd=False, forbid_entities=True, forbid_external=True)
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
                return f"line {parser.getLineNumber()}: a tag or text of more than {_LONGEST_TAG} MB"
        parser.close()
    except DefusedXmlException:
        place = f"line {parser.getLineNumber()}"
        raise FormatError("the file defines XML entities, which are not read", source=name, place=place) from None
    except SAXParseException as error:
        return f"line {error.getLineNumber()}"
    except (ValueError, LookupError):
        return f"line {parser.getLineNumber() or 1}: unknown encoding"
    return None


class _Handler(ContentHandler):
    """Collects the rows of one snapshot."""

    def __init__(self, remarks: Remarks, wanted: int | None) -> None:
        super().__init__()
        self._remarks = remarks
        self._wanted = wanted
        self._locator: Any = None
        self.events = 0
        self.count = 0
        self.rows: list[Row] = []
        self.pid: int | None = None
        self.process_name: str | None = None
        self.page_table: int | None = None
        self.captured_at: dt.datetime | None = None
        self.has_locked = False

    def setDocumentLocator(self, locator: Any) -> None:
        """Keeps what knows the line."""
        self._locator = locator

    def characters(self, content: str) -> None:
        """Text is of no interest, but it is progress."""
        self.events += 1

    def startElement(self, name: str, attrs: Any) -> None:
        """Takes an element."""
        self.events += 1
        kind = name.rpartition(":")[2]
        if kind == "Region":
            self.count = self.count or 1  # a file without Snapshot elements is one
            if self._wanted is None or self._wanted == self.count:
                self._take_region(attrs)
            return
        if kind == "Snapshot":
            self.count += 1
            if self._wanted is None:
                self.rows = []
                self.page_table = self.captured_at = None
        if self._wanted is None or kind != "Snapshot" or self._wanted == self.count:
            self._take_other(attrs)

    def _take_other(self, attrs: Any) -> None:
        """Takes what elements around the rows may say; their names and attributes are known in part only."""
        for attribute, text in attrs.items():
            key = attribute.lower()
            if key in ("pid", "processid"):
                self.pid = _number(text) or self.pid
            elif key in ("process", "processname", "imagename") and text.strip():
                self.process_name = text.strip()
            elif key == "pagetablesize":
                size = _number(text) or 0
                self.page_table = size if 0 < size <= ADDRESS_SPACE else None
            elif key in ("timestamp", "time") and (ticks := _number(text)) in _PLAUSIBLE_FILETIMES:
                self.captured_at = _FILETIME_EPOCH + dt.timedelta(microseconds=(ticks or 0) // 10)

    def _take_region(self, attrs: Any) -> None:
        line = self._locator.getLineNumber() or 0
        numbers: dict[str, int] = {}
        for attribute in _NUMBERS:
            text = attrs.get(attribute)
            value = 0 if text is None else _number(text)
            if value is None:
                self._remarks.row(f"no whole number in {attribute}, left out", line, text)
                return
            numbers[attribute] = value
        if not numbers["Size"] or numbers["Address"] + numbers["Size"] > ADDRESS_SPACE:
            self._remarks.row("no size or an impossible one, left out", line)
            return
        self.has_locked |= "LockedWS" in attrs
        words = attrs.get("Type", "").strip()
        self.rows.append(
            _row(line, numbers, words, attrs.get("Details", "").strip(), "UseType" in attrs, self._remarks)
        )


_NUMBERS = (
    "Address",
    "Size",
    "Commit",
    "PrivateBytes",
    "PrivateWS",
    "ShareableWS",
    "SharedWS",
    "LockedWS",
    "Blocks",
    "Protection",
    "Storage",
    "UseType",
)


def _number(text: str) -> int | None:
    """Reads a whole number, decimal or with `0x`; None where it is none or has more than 64 bits."""
    cleaned = text.strip()
    if len(cleaned) > 20 or not cleaned.isascii():
        return None
    try:
        value = int(cleaned, 16 if cleaned[:2] in ("0x", "0X") else 10) if "_" not in cleaned else -1
    except ValueError:
        return None
    return value if 0 <= value < 1 << 64 else None


def _row(line: int, numbers: Mapping[str, int], words: str, details: str, has_use_type: bool, remarks: Remarks) -> Row:
    region_type = USE_TYPES.get(numbers["UseType"]) if has_use_type else None
    if region_type is None:
        region_type = type_of_words(words)
        if region_type is None:
            remarks.row("type that is not VMMap's", line, words or str(numbers["UseType"]))
    if not words and region_type is not None:
        words = region_type.label
    commit, storage = numbers["Commit"], numbers["Storage"]
    state = MemState.MEM_COMMIT if commit else MemState.MEM_RESERVE
    memory_type = storage if storage in _MEMORY_TYPES else int(memory_type_of(region_type, words))
    row = Row(
        line=line,
        address=numbers["Address"],
        size=numbers["Size"],
        words=words,
        type=region_type,
        details=details,
        protect=numbers["Protection"] & 0xFFFF_FFFF,
        state=int(state),
        memory_type=memory_type,
        blocks=numbers["Blocks"],
        committed=commit,
        private=numbers["PrivateBytes"],
        total_ws=numbers["PrivateWS"] + numbers["ShareableWS"],
        private_ws=numbers["PrivateWS"],
        shareable_ws=numbers["ShareableWS"],
        shared_ws=numbers["SharedWS"],
        locked_ws=numbers["LockedWS"],
    )
    bound_figures(row, remarks)
    return row
