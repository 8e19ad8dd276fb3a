"""The JSON snapshot: its schema and its reader. The writer is `dumpmap.writers.snapshot_json`.

The structures in here are the one declaration of the format: the reader decodes into them, the writer encodes from
them, and `python -m dumpmap.parsers.snapshot_json.reader --schema` prints the JSON Schema made from them, which is
published as `docs/snapshot.schema.json`. The format is described for people in `docs/snapshot.md`.

A structure has the same field names as its counterpart in `dumpmap.model.snapshot`, and differs from it in one thing
only: addresses, flag words and exception codes are hexadecimal strings in the file and integers in the program.
"""

from __future__ import annotations

import codecs
import datetime as dt
import re
import sys
import typing
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import repeat
from typing import Annotated, Any, Literal, cast

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta, Raw, Struct

from dumpmap.errors import SnapshotError
from dumpmap.model import snapshot as model
from dumpmap.model.memory import ExcerptMemory
from dumpmap.model.winnt import MemState, MemType

FORMAT = "dumpmap-snapshot"
VERSION = 1

Buffer = bytes | bytearray | memoryview

Address = Annotated[
    str,
    Meta(pattern="^0x[0-9A-Fa-f]{1,16}$", description="An unsigned number of up to 64 bits in hexadecimal: `0x7ff0`."),
]
"""An address, a flag word or an exception code."""

Count = Annotated[int, Meta(ge=0, description="A whole number, not negative, of up to 64 bits; sizes are bytes.")]
Time = Annotated[dt.datetime, Meta(tz=True, description="Date and time with a time zone, RFC 3339.")]
Protect = Annotated[int, Meta(ge=0, le=0xFFFF_FFFF, description="PAGE_* bits.")]
Size = Annotated[int, Meta(ge=1, description="Bytes, at least 1.")]
_LARGEST = 1 << 57
Number = Annotated[int, Meta(ge=0, le=_LARGEST)]
"""Bytes, or a count, of something in the address space: none is larger."""

STATE_WORDS = {"commit": MemState.MEM_COMMIT, "reserve": MemState.MEM_RESERVE, "free": MemState.MEM_FREE}
TYPE_WORDS = {"private": MemType.MEM_PRIVATE, "mapped": MemType.MEM_MAPPED, "image": MemType.MEM_IMAGE}

_STATES: dict[Any, int] = dict(STATE_WORDS)
_TYPES: dict[Any, int] = {None: 0, **TYPE_WORDS}

_REQUIRED_COLUMNS: dict[str, Any] = {
    "base": Address,
    "allocation_base": Address | None,
    "allocation_protect": Protect | None,
    "size": Size,
    "state": Literal["commit", "reserve", "free"] | Protect,
    "protect": Protect | None,
    "type": Literal["private", "mapped", "image"] | Protect | None,
}
_COLUMNS: dict[str, Any] = {
    **_REQUIRED_COLUMNS,
    **dict.fromkeys(model.NUMBER_COLUMNS, Number | None),
    **dict.fromkeys(model.TEXT_COLUMNS, str | None),
}

REQUIRED_COLUMNS = tuple(_REQUIRED_COLUMNS)
"""Columns that every snapshot with regions has, in the order in which the writer writes them."""

_MAX_COLUMNS = 64
_LARGEST_SUM = 1 << 62
_BITS_64 = (1 << 64) - 1

# Rows are decoded about a megabyte at a time: a million rows as Python objects would take ten times the file's size.
_CHUNK = 1 << 20
_ROW_BREAK = re.compile(rb"\]\s*,\s*\[")
_LINE_BREAK = re.compile(rb"\],\r?\n\[")
_LINE_REACH = 1 << 16


# --- the schema -------------------------------------------------------------------------------------------------------


class Entry(Struct, kw_only=True, frozen=True, gc=False):
    """A JSON object of the format. Unknown keys are passed over; a missing optional key is null."""


class StreamEntry(Entry, kw_only=True, frozen=True):
    """One part of the file that the snapshot was made from: a minidump stream."""

    type: Count
    name: str
    offset: Count
    size: Count
    status: str = "listed"


class SourceEntry(Entry, kw_only=True, frozen=True):
    """What the snapshot was made from."""

    kind: Literal["minidump", "live", "vmmap"]
    name: str
    path: str | None = None
    size: Count | None = None
    flags: Address | None = None
    streams: list[StreamEntry] = []
    container: str | None = None
    memory_size: Count | None = None


class OperatingSystemEntry(Entry, kw_only=True, frozen=True):
    """The system that the process ran on."""

    family: Literal["windows", "linux", "macos", "other"] = "windows"
    version: str | None = None
    build: Count | None = None
    service_pack: str | None = None


class ProcessEntry(Entry, kw_only=True, frozen=True):
    """The process itself."""

    pid: Count | None = None
    name: str | None = None
    path: str | None = None
    command_line: str | None = None
    architecture: str = "unknown"
    pointer_size: Literal[4, 8] = 8
    wow64: bool | None = None
    os: OperatingSystemEntry = OperatingSystemEntry()
    created_at: Time | None = None
    user_time: Count | None = None
    kernel_time: Count | None = None


class SystemEntry(Entry, kw_only=True, frozen=True):
    """The machine: bytes and addresses."""

    page_size: Size = 0x1000
    allocation_granularity: Size = 0x10000
    min_address: Address | None = None
    max_address: Address | None = None
    processors: Count | None = None
    commit_limit: Count | None = None
    commit_total: Count | None = None
    commit_peak: Count | None = None
    physical_total: Count | None = None
    physical_available: Count | None = None


class CountersEntry(Entry, kw_only=True, frozen=True):
    """What the system counted for the process, in bytes."""

    private_usage: Count | None = None
    working_set: Count | None = None
    peak_working_set: Count | None = None
    private_working_set: Count | None = None
    pagefile_usage: Count | None = None
    peak_pagefile_usage: Count | None = None
    virtual_size: Count | None = None
    peak_virtual_size: Count | None = None
    shared_commit_usage: Count | None = None
    page_table: Number | None = None
    job_private_commit_usage: Count | None = None
    job_peak_private_commit_usage: Count | None = None
    job_private_commit_limit: Count | None = None
    job_total_commit_limit: Count | None = None


class RegionsEntry(Entry, kw_only=True, frozen=True):
    """The regions, sorted by base, not overlapping: `rows` hold values in the order of `columns`."""

    columns: Annotated[
        list[str],
        Meta(
            max_length=_MAX_COLUMNS,
            extra_json_schema={
                "uniqueItems": True,
                "allOf": [{"contains": {"const": name}} for name in REQUIRED_COLUMNS],
            },
        ),
    ]
    rows: Annotated[
        Raw,
        Meta(
            extra_json_schema={"type": "array", "items": {"type": "array", "minItems": len(REQUIRED_COLUMNS)}},
        ),
    ]


class ModuleEntry(Entry, kw_only=True, frozen=True):
    """A loaded module."""

    base: Address
    size: Count
    path: str
    timestamp: Count | None = None
    checksum: Count | None = None
    version: str | None = None
    debug_id: str | None = None
    debug_file: str | None = None


class UnloadedModuleEntry(Entry, kw_only=True, frozen=True):
    """A module that was unloaded before the snapshot."""

    base: Address
    size: Count
    path: str
    timestamp: Count | None = None


class ThreadEntry(Entry, kw_only=True, frozen=True):
    """A thread."""

    id: Count
    name: str | None = None
    teb: Address | None = None
    stack_base: Address | None = None
    stack_size: Count | None = None
    stack_pointer: Address | None = None
    instruction_pointer: Address | None = None
    start_address: Address | None = None
    created_at: Time | None = None
    exited: bool = False
    suspend_count: Count | None = None


class ExceptionEntry(Entry, kw_only=True, frozen=True):
    """The exception that the dump was written for."""

    thread_id: Count | None
    code: Address
    flags: Address = "0x0"
    address: Address | None = None
    parameters: list[Address] = []
    stack_pointer: Address | None = None
    instruction_pointer: Address | None = None


class RangeEntry(Entry, kw_only=True, frozen=True):
    """A range that belongs to a heap."""

    base: Address
    size: Count
    committed: Count | None = None
    kind: str = "other"


class HeapEntry(Entry, kw_only=True, frozen=True):
    """A heap that the process itself reported."""

    id: Count
    kind: str = "unknown"
    name: str | None = None
    address: Address | None = None
    flags: Address | None = None
    ranges: list[RangeEntry] = []


class SummaryRowEntry(Entry, kw_only=True, frozen=True):
    """A line of the summary that another tool printed."""

    type: str
    values: dict[str, Number | None]


class ExcerptEntry(Entry, kw_only=True, frozen=True):
    """Bytes that the process had at an address, base64."""

    address: Address
    data: bytes


class SnapshotDocument(Entry, kw_only=True, frozen=True):
    """A dumpmap snapshot: the raw facts about one process's address space at one moment."""

    format: Literal["dumpmap-snapshot"]
    version: Literal[1]
    captured_at: Time | None = None
    tool: str | None = None
    source: SourceEntry
    process: ProcessEntry
    system: SystemEntry = SystemEntry()
    counters: CountersEntry = CountersEntry()
    regions: RegionsEntry | None = None
    captured: list[tuple[Address, Count]] = []
    modules: list[ModuleEntry] = []
    unloaded_modules: list[UnloadedModuleEntry] = []
    threads: list[ThreadEntry] = []
    peb: Address | None = None
    wow64_peb: Address | None = None
    heaps: list[HeapEntry] = []
    managed_heaps: list[HeapEntry] = []
    exception: ExceptionEntry | None = None
    handle_count: Count | None = None
    handle_types: dict[str, Count] = {}
    comments: list[str] = []
    annotations: dict[str, str] = {}
    recorded_summary: list[SummaryRowEntry] = []
    warnings: list[str] = []
    memory: list[ExcerptEntry] = []


class _Envelope(Entry, kw_only=True, frozen=True):
    """What is looked at first, so that a newer or other format gets a message of its own."""

    format: Any = None
    version: Any = None


COUNTERPARTS: dict[type[Entry], type[Any]] = {
    StreamEntry: model.Stream,
    SourceEntry: model.Source,
    OperatingSystemEntry: model.OperatingSystem,
    ProcessEntry: model.Process,
    SystemEntry: model.System,
    CountersEntry: model.Counters,
    ModuleEntry: model.Module,
    UnloadedModuleEntry: model.UnloadedModule,
    ThreadEntry: model.Thread,
    ExceptionEntry: model.ExceptionRecord,
    RangeEntry: model.RecordedRange,
    HeapEntry: model.RecordedHeap,
    SummaryRowEntry: model.SummaryRow,
}
"""Structures of the file and the classes of the program that hold the same facts under the same names."""


@cache
def address_fields(kind: type[Entry]) -> frozenset[str]:
    """Returns the names of the fields that are hexadecimal strings in the file and integers in the program."""
    return frozenset(
        field.name for field in msgspec.structs.fields(kind) if Address in (field.type, *typing.get_args(field.type))
    )


def json_schema() -> dict[str, Any]:
    """Returns the JSON Schema of the format."""
    definitions = msgspec.json.schema(SnapshotDocument)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"{FORMAT} version {VERSION}",
        **definitions,
    }


# --- the reader -------------------------------------------------------------------------------------------------------


def load_snapshot(
    data: Buffer, *, name: str, path: str | None = None, container: model.Container | None = None
) -> model.Snapshot:
    """Reads a JSON snapshot.

    Args:
        data: the whole file, uncompressed. UTF-8; UTF-16 with a byte order mark is read too, as a shell that redirects
            output into a file may have written it.
        name: the file's name, for the snapshot and for messages.
        path: where the file is.
        container: how the file was wrapped: `gzip`, `zstd`, or None.

    Returns:
        the snapshot. Its source is the file that was given, with the kind, size, flags and streams of the original.

    Raises:
        SnapshotError: the text does not follow the schema; `place` is the path of the bad field.
    """
    text = _as_utf8(memoryview(data).cast("B"), name)
    _check_envelope(text, name)
    try:
        document = msgspec.json.decode(text, type=SnapshotDocument)
    except _DECODING_ERRORS as error:
        raise _explain(error, text, name) from None
    reader = _Reader(name)
    source = replace(
        cast("model.Source", reader.convert(document.source, "source")),
        name=name,
        path=path,
        container=container,
        captured_at=document.captured_at and document.captured_at.astimezone(dt.UTC),
        reduced_from=document.source.kind,
        original_name=document.source.name,
    )
    process = reader.convert(document.process, "process")
    return model.Snapshot(
        source=source,
        process=process,
        system=reader.convert(document.system, "system"),
        counters=reader.convert(document.counters, "counters"),
        regions=None if document.regions is None else _read_regions(document.regions, process, text, name),
        captured=tuple(
            (int(address, 16), reader.convert(size, f"captured[{index}][1]"))
            for index, (address, size) in enumerate(document.captured)
        ),
        modules=reader.convert(document.modules, "modules"),
        unloaded_modules=reader.convert(document.unloaded_modules, "unloaded_modules"),
        threads=reader.convert(document.threads, "threads"),
        peb=_number(document.peb),
        wow64_peb=_number(document.wow64_peb),
        heaps=reader.convert(document.heaps, "heaps"),
        managed_heaps=reader.convert(document.managed_heaps, "managed_heaps"),
        exception=reader.convert(document.exception, "exception"),
        handle_count=reader.convert(document.handle_count, "handle_count"),
        handle_types=reader.convert(document.handle_types, "handle_types"),
        comments=tuple(document.comments),
        annotations=document.annotations,
        recorded_summary=reader.convert(document.recorded_summary, "recorded_summary"),
        memory=_read_memory(document.memory, name),
        warnings=tuple(document.warnings),
    )


def _number(text: str | None) -> int | None:
    return None if text is None else int(text, 16)


def _as_utf8(data: memoryview, name: str) -> memoryview:
    start = bytes(data[:4])
    if start.startswith(codecs.BOM_UTF8):
        return data[3:]
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return memoryview(bytes(data).decode("utf-16").encode())
        except UnicodeError:
            raise SnapshotError("is neither UTF-8 nor whole UTF-16 text", source=name) from None
    return data


def _check_envelope(text: memoryview, name: str) -> None:
    try:
        envelope = msgspec.json.decode(text, type=_Envelope)
    except _DECODING_ERRORS as error:
        raise _explain(error, text, name) from None
    if envelope.format != FORMAT:
        found = "has no format name" if envelope.format is None else "is of another format"
        raise SnapshotError(f"not a dumpmap snapshot: {found}", source=name, place="format")
    version = envelope.version
    if isinstance(version, int) and not isinstance(version, bool) and version > VERSION:
        raise SnapshotError(
            f"the snapshot has version {version}, this dumpmap reads versions up to {VERSION}: update dumpmap",
            source=name,
            place="version",
        )
    if version != VERSION or isinstance(version, bool):
        raise SnapshotError(f"the version must be {VERSION}", source=name, place="version")


class _Reader:
    """Turns decoded structures into the program's own, and checks what the schema language cannot say."""

    def __init__(self, name: str) -> None:
        self._name = name

    def convert(self, value: Any, place: str) -> Any:
        """Converts a value and all that is in it; `place` is its path in the document."""
        if isinstance(value, Entry):
            kind = type(value)
            hexadecimal = address_fields(kind)
            fields = {}
            for key in kind.__struct_fields__:
                item = getattr(value, key)
                if key in hexadecimal:
                    fields[key] = tuple(int(text, 16) for text in item) if isinstance(item, list) else _number(item)
                else:
                    fields[key] = self.convert(item, f"{place}.{key}")
            return COUNTERPARTS[kind](**fields)
        if isinstance(value, list):
            return tuple(self.convert(item, f"{place}[{index}]") for index, item in enumerate(value))
        if isinstance(value, dict):
            return {key: self.convert(item, f"{place}[{key!r}]") for key, item in value.items()}
        if isinstance(value, dt.datetime):
            return value.astimezone(dt.UTC)
        if isinstance(value, int) and value > _BITS_64:
            raise SnapshotError("the number has more than 64 bits", source=self._name, place=place)
        return value


# --- regions ----------------------------------------------------------------------------------------------------------


def _read_regions(entry: RegionsEntry, process: model.Process, text: memoryview, name: str) -> model.Regions:
    columns = entry.columns
    for index, column in enumerate(columns):
        if column in columns[:index]:
            raise SnapshotError(f"column {column!r} is listed twice", source=name, place=f"regions.columns[{index}]")
    missing = [column for column in REQUIRED_COLUMNS if column not in columns]
    if missing:
        raise SnapshotError(f"columns are missing: {', '.join(missing)}", source=name, place="regions.columns")
    row_type: Any = tuple.__class_getitem__(tuple(_COLUMNS.get(column, Raw) for column in columns))
    decoder = msgspec.json.Decoder(list[row_type])
    rows = memoryview(entry.rows)
    try:
        regions = _decode_rows(_pieces(rows), decoder, columns, name)
    except _DECODING_ERRORS:
        # Either a row is wrong, and its number has to be counted from the first, or a piece was cut inside a text.
        try:
            regions = _decode_rows([rows], decoder, columns, name)
        except _DECODING_ERRORS as error:
            raise _explain(error, text, name, columns) from None
    _check_regions(regions, process, name)
    for column, values in regions.numbers.items():
        if float(np.maximum(values, 0).sum(dtype=np.float64)) > _LARGEST_SUM:
            raise SnapshotError(f"the sum of {column} is impossible", source=name, place="regions.rows")
    return regions


def _pieces(rows: memoryview) -> Iterator[memoryview | bytes]:
    """Cuts an array of rows into smaller arrays, where one row ends and the next begins.

    A break of the line between two rows is certain to be such a place. Where none is near, what looks like the end of
    a row can lie inside a text; then the piece before it ends in an unfinished text and cannot be decoded.
    """
    start = 1
    while True:
        target = start + _CHUNK
        found = _LINE_BREAK.search(rows, target, target + _LINE_REACH) or _ROW_BREAK.search(rows, target)
        if found is None:
            break
        yield b"[" + rows[start : found.start() + 1] + b"]"
        start = found.end() - 1
    yield rows if start == 1 else b"[" + rows[start:]


def _decode_rows(
    pieces: Iterable[memoryview | bytes], decoder: msgspec.json.Decoder[list[Any]], columns: list[str], name: str
) -> model.Regions:
    """Decodes arrays of rows into columns."""
    parts: dict[str, list[npt.NDArray[Any]]] = {column: [] for column in columns if column in _COLUMNS}
    tables: dict[str, dict[str, int]] = {column: {} for column in columns if column in model.TEXT_COLUMNS}
    count = 0
    for piece in pieces:
        rows = decoder.decode(piece)
        for column, values in zip(columns, zip(*rows, strict=True), strict=bool(rows)):
            if column not in parts:
                continue
            try:
                part = _column_array(column, values, tables.get(column, {}))
            except OverflowError:
                row = count + next(index for index, value in enumerate(values) if value > _BITS_64)
                place = f"regions.rows[{row}].{column}"
                raise SnapshotError("the number has more than 64 bits", source=name, place=place) from None
            parts[column].append(part)
        count += len(rows)
    if not count:
        return model.make_regions([])
    arrays = {column: np.concatenate(chunks) for column, chunks in parts.items()}
    return model.Regions(
        **{column: arrays[column] for column in REQUIRED_COLUMNS},
        numbers={column: arrays[column] for column in model.NUMBER_COLUMNS if column in arrays},
        texts={column: model.TextColumn(arrays[column], tuple(table)) for column, table in tables.items()},
    )


def _column_array(column: str, values: Sequence[Any], table: dict[str, int]) -> npt.NDArray[Any]:
    """Packs the values of one column; `table` collects the distinct texts of a text column."""
    if column in ("base", "allocation_base"):
        texts = ["0x0" if text is None else text for text in values] if None in values else values
        return np.array(list(map(int, texts, repeat(16))), np.uint64)
    if column == "size":
        return np.array(values, np.uint64)
    if column in ("state", "type"):
        words = _STATES if column == "state" else _TYPES
        return np.array(list(map(words.get, values, values)), np.uint32)
    if column in ("protect", "allocation_protect"):
        return np.array([0 if value is None else value for value in values], np.uint32)
    if column in model.NUMBER_COLUMNS:
        return np.array([-1 if value is None else value for value in values], np.int64)
    return np.array([-1 if text is None else table.setdefault(text, len(table)) for text in values], np.int32)


def region_fault(regions: model.Regions, limit: int = _BITS_64) -> tuple[int, str, str] | None:
    """Looks for a region that cannot be.

    Args:
        regions: any regions.
        limit: the highest end, exclusive, that a region may have.

    Returns:
        index, column and a description of the first fault, or None.
    """
    base, size = regions.base, regions.size
    ends = base + size
    unsorted, overlapping = np.zeros(len(base), np.bool_), np.zeros(len(base), np.bool_)
    unsorted[1:] = base[1:] < base[:-1]
    overlapping[1:] = base[1:] < ends[:-1]
    late = (regions.allocation_base > base) & (regions.state != MemState.MEM_FREE)
    faults = [
        (unsorted, "base", "the regions are not in order of address"),
        (overlapping, "base", "the region overlaps the one before it"),
        (size == 0, "size", "the region is empty"),
        ((ends < base) | (ends > np.uint64(limit)), "size", "the region ends beyond the address space"),
        (late, "allocation_base", "the allocation starts after the region"),
    ]
    found = [(int(mask.argmax()), column, problem) for mask, column, problem in faults if mask.any()]
    return min(found, key=lambda fault: fault[0]) if found else None


def _check_regions(regions: model.Regions, process: model.Process, name: str) -> None:
    # A 32-bit process on 64-bit Windows has regions above 4 GB too.
    narrow = process.pointer_size == 4 and process.wow64 is False
    fault = region_fault(regions, 1 << 32 if narrow else _BITS_64)
    if fault is not None:
        index, column, problem = fault
        raise SnapshotError(problem, source=name, place=f"regions.rows[{index}].{column}")


def _read_memory(entries: list[ExcerptEntry], name: str) -> ExcerptMemory:
    excerpts = [(int(entry.address, 16), entry.data) for entry in entries]
    reach = 0
    for address, index in sorted((address, index) for index, (address, _) in enumerate(excerpts)):
        end = address + len(excerpts[index][1])
        if end > _BITS_64:
            place = f"memory[{index}].data"
            raise SnapshotError("the bytes reach beyond the address space", source=name, place=place)
        if address < reach:
            raise SnapshotError(
                "the bytes overlap those of another entry", source=name, place=f"memory[{index}].address"
            )
        reach = end
    return ExcerptMemory(excerpts)


# --- messages ---------------------------------------------------------------------------------------------------------

_DECODING_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_WITH_PLACE = re.compile(r"(?P<problem>.*?)(?: - at `\$?\.?(?P<place>.*)`)?", re.DOTALL)
_ROW_PLACE = re.compile(r"\[(\d+)\](?:\[(\d+)\])?")
_ANY_KEY = "[...]"


def _explain(error: Exception, text: memoryview, name: str, columns: Sequence[str] | None = None) -> SnapshotError:
    """Says what a decoding error means, and where.

    Args:
        error: what the decoder raised.
        text: the whole document.
        name: the file's name.
        columns: the columns of the rows, where the rows were being decoded.
    """
    if isinstance(error, RecursionError):
        return SnapshotError("lists or objects are nested too deeply", source=name)
    if isinstance(error, UnicodeDecodeError):
        try:
            codecs.utf_8_decode(text, "strict", True)
        except UnicodeDecodeError as precise:
            error = precise
        return SnapshotError("the text is not UTF-8", source=name, place=f"byte {error.start}")
    if not isinstance(error, msgspec.ValidationError):
        message = str(error)
        if "truncated" in message:
            return SnapshotError("the JSON text is cut off", source=name, place=f"byte {len(text)}")
        problem, _, place = message.removeprefix("JSON is malformed: ").partition(" (")
        if columns is not None:
            place = "regions.rows"
        return SnapshotError(f"not valid JSON: {problem}", source=name, place=place.rstrip(")") or None)
    match = _WITH_PLACE.fullmatch(str(error))
    problem, place = (match["problem"], match["place"] or "") if match else (str(error), "")
    if columns is not None:
        place = _row_place(place, columns)
        if problem.startswith("Expected `array` of length"):
            problem = f"the row must have {len(columns)} values, one for each column"
    missing = re.fullmatch("Object missing required field `(.*)`", problem)
    if missing:
        place, problem = f"{place}.{missing[1]}".removeprefix("."), "the field is missing"
    elif "matching regex" in problem:
        problem = 'expected a hexadecimal number of up to 64 bits such as "0x7ff0"'
    if _ANY_KEY in place:
        place = _named_key(place, text)
    problem = problem.replace("`", "")
    return SnapshotError(problem[:1].lower() + problem[1:], source=name, place=place or None)


def _row_place(place: str, columns: Sequence[str]) -> str:
    match = _ROW_PLACE.match(place)
    if match is None:
        return "regions.rows"
    row = f"regions.rows[{match[1]}]"
    return row if match[2] is None else f"{row}.{columns[int(match[2])]}"


def _named_key(place: str, text: memoryview) -> str:
    """Puts the key into a path that ends in any key of an object, `[...]`: the first key with a wrong value."""
    before = place[: place.index(_ANY_KEY)]
    top = re.split(r"[.\[]", before)[0]
    value = msgspec.json.decode(msgspec.json.decode(text, type=dict[str, Raw])[top])
    for step in re.findall(r"\[(\d+)\]|\.(\w+)", before):
        value = value[int(step[0])] if step[0] else value[step[1]]
    for key, item in value.items():
        if top == "annotations":
            good = isinstance(item, str)
        else:
            blank = item is None and top == "recorded_summary"
            top_value = _LARGEST if top == "recorded_summary" else _BITS_64
            good = blank or (isinstance(item, int) and not isinstance(item, bool) and 0 <= item <= top_value)
        if not good:
            return f"{before}[{key!r}]"
    return place


def _main(arguments: Sequence[str]) -> int:
    if list(arguments) != ["--schema"]:
        sys.stderr.write("usage: python -m dumpmap.parsers.snapshot_json.reader --schema\n")
        return 2
    schema = msgspec.json.format(msgspec.json.encode(json_schema()), indent=2)
    sys.stdout.write(schema.decode() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
