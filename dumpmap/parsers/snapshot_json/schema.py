"""The schema of a JSON snapshot, the one declaration of the format.

The reader decodes into these structures, the writer (`dumpmap.writers.snapshot_json`) encodes from them, and
`docs/snapshot.schema.json` is generated from them by `python -m tests.docs_in_step --write`. `docs/snapshot.md`
describes the format for people.

A structure has the same field names as its counterpart in `dumpmap.model.snapshot`. It differs in one thing only:
addresses, flag words, and exception codes are hexadecimal strings in the file and integers in the program.
"""

from __future__ import annotations

import typing
from functools import cache
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from dumpmap.model import snapshot as model
from dumpmap.model.pointers import PointerOwner, PointerSearch
from dumpmap.model.systems import Family
from dumpmap.model.winnt import ProductType
from dumpmap.model.writer import Annotation, HeapLimitRecord, WriterRecord
from dumpmap.parsers.snapshot_json.columns import REQUIRED_COLUMNS, Address, Count, Number, Size, Time

FORMAT = "dumpmap-snapshot"
VERSION = 1

_MOST_COLUMNS = 64


class Entry(Struct, kw_only=True, frozen=True, gc=False):
    """A JSON object of the format. The reader ignores unknown keys; a missing optional key is null."""


class StreamEntry(Entry, kw_only=True, frozen=True):
    """One part of the file that the snapshot was made from: a minidump stream."""

    type: Count
    name: str
    offset: Count
    size: Count
    status: str = "listed"
    absence: Literal["absent", "unreadable", "malformed"] | None = None


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

    family: Family = "windows"
    version: str | None = None
    build: Count | None = None
    service_pack: str | None = None
    product_type: ProductType | None = None


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
    """The regions, sorted by base, not overlapping: each row has its values in the order of `columns`."""

    columns: Annotated[
        list[str],
        Meta(
            max_length=_MOST_COLUMNS,
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


class CodeRangeEntry(Entry, kw_only=True, frozen=True):
    """A range of code that the program generated."""

    base: Address
    size: Count
    callback: Address | None = None


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
    teb_refused: bool = False


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


class AnnotationEntry(Entry, kw_only=True, frozen=True):
    """A named text that a program set for its crash reports."""

    source: str
    name: str
    value: str | None = None
    module: str | None = None


class HeapLimitEntry(Entry, kw_only=True, frozen=True):
    """The heap of a runtime and its own limit, as the writer recorded them."""

    runtime: str
    source: str
    used: Count | None = None
    total: Count | None = None
    limit: Count | None = None
    available: Count | None = None
    is_oom: bool | None = None
    location: str | None = None
    detail: str | None = None


class WriterEntry(Entry, kw_only=True, frozen=True):
    """What the writer of the input recorded about the failure, the process, and the machine."""

    writer: str
    source: str | None = None
    crash_type: str | None = None
    message: str | None = None
    out_of_memory: bool | None = None
    requested: Count | None = None
    alignment: Count | None = None
    memory: dict[str, Count] = {}
    heap_limit: HeapLimitEntry | None = None
    crashed_thread: Count | None = None
    thread_names: list[tuple[Count, str]] = []
    product: str | None = None
    version: str | None = None
    process_type: str | None = None
    uptime: Count | None = None
    annotations: list[AnnotationEntry] = []
    soft_errors: list[str] = []
    texts_omitted: bool = False


class PointerOwnerEntry(Entry, kw_only=True, frozen=True):
    """A private allocation, and who holds a pointer to it."""

    base: Address
    size: Count
    module: str
    class_name: str = ""
    pointer: Address
    place: str
    rule: Literal["module-pointer-pair", "module-pointer", "thread-pointer", "object-pointer"]
    hits: Count = 1


class PointerSearchEntry(Entry, kw_only=True, frozen=True):
    """What a search of the original's memory for pointers found."""

    owners: list[PointerOwnerEntry] = []
    candidates: Count = 0
    ambiguous: Count = 0
    searched: Count = 0
    missing: Count = 0
    complete: bool = True


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
    regions_complete: bool | None = None
    captured: list[tuple[Address, Count]] = []
    modules: list[ModuleEntry] = []
    unloaded_modules: list[UnloadedModuleEntry] = []
    threads: list[ThreadEntry] = []
    peb: Address | None = None
    wow64_peb: Address | None = None
    heaps: list[HeapEntry] = []
    managed_heaps: list[HeapEntry] = []
    generated_code: list[CodeRangeEntry] = []
    exception: ExceptionEntry | None = None
    handle_count: Count | None = None
    handle_types: dict[str, Count] = {}
    comments: list[str] = []
    annotations: dict[str, str] = {}
    writer: WriterEntry | None = None
    omitted_texts: Count = 0
    recorded_summary: list[SummaryRowEntry] = []
    pointer_owners: PointerSearchEntry | None = None
    warnings: list[str] = []
    memory: list[ExcerptEntry] = []


class RegionsRows(Entry, kw_only=True, frozen=True):
    """The rows of the regions, not decoded."""

    rows: Raw = Raw(b"[]")


class Outline(Entry, kw_only=True, frozen=True):
    """What shows how much of a document is not rows of regions."""

    regions: RegionsRows | None = None


class Envelope(Entry, kw_only=True, frozen=True):
    """What is decoded first, so that a newer or other format gets its own message."""

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
    CodeRangeEntry: model.CodeRange,
    ThreadEntry: model.Thread,
    ExceptionEntry: model.ExceptionRecord,
    RangeEntry: model.RecordedRange,
    HeapEntry: model.RecordedHeap,
    SummaryRowEntry: model.SummaryRow,
    PointerOwnerEntry: PointerOwner,
    PointerSearchEntry: PointerSearch,
    AnnotationEntry: Annotation,
    HeapLimitEntry: HeapLimitRecord,
    WriterEntry: WriterRecord,
}
"""Structures of the file, and the classes of the program that hold the same facts under the same names."""

ENTRIES: dict[type[Any], type[Entry]] = {kind: entry for entry, kind in COUNTERPARTS.items()}
"""The structure of the file for each class of the program."""


@cache
def address_fields(kind: type[Entry]) -> frozenset[str]:
    """Returns the names of the fields that are hexadecimal strings in the file and integers in the program."""
    return frozenset(
        field.name for field in msgspec.structs.fields(kind) if Address in (field.type, *typing.get_args(field.type))
    )


def json_schema() -> dict[str, Any]:
    """Returns the JSON Schema of the format."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"{FORMAT} version {VERSION}",
        **msgspec.json.schema(SnapshotDocument),
    }
