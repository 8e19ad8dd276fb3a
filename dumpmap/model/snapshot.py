"""The snapshot: raw facts about one process's address space at one moment, whatever file they came from.

Parsers make it, the classifier reads it, nothing changes it. This module knows no file format and interprets nothing.
Addresses are unsigned integers, sizes are bytes, ends are exclusive, times are UTC, and None means that the source
does not say.

A file has many modules, threads, and streams: they are msgspec structs, which take a tenth of a frozen dataclass's
time to make.
"""

from __future__ import annotations

import datetime as dt
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from dumpmap.model.file_names import file_name
from dumpmap.model.heaps import RecordedHeap as RecordedHeap
from dumpmap.model.heaps import RecordedRange as RecordedRange
from dumpmap.model.memory import ExcerptMemory, Memory
from dumpmap.model.pointers import PointerSearch
from dumpmap.model.systems import Family, kernel_of
from dumpmap.model.values import value_class
from dumpmap.model.winnt import ProductType

if TYPE_CHECKING:
    from dumpmap.model.writer import WriterRecord

U64 = npt.NDArray[np.uint64]
U32 = npt.NDArray[np.uint32]
I64 = npt.NDArray[np.int64]
I32 = npt.NDArray[np.int32]

SourceKind = Literal["minidump", "live", "vmmap"]
Container = Literal["gzip", "zstd", "zip"]
Absence = Literal["absent", "unreadable", "malformed"]
"""Why a part of an input could not be read: it is not there, its bytes are missing, or its content is impossible."""

WORKING_SET_COLUMNS = ("total_ws", "private_ws", "shareable_ws", "shared_ws", "locked_ws")
"""Working-set bytes of a region, with VMMap's names; only live captures and VMMap files have them."""

NUMBER_COLUMNS = (*WORKING_SET_COLUMNS, "committed", "private", "blocks")
"""Optional integer columns of `Regions`. Only a source that states them itself has the last three."""

TEXT_COLUMNS = (
    "file",
    "recorded_type",
    "recorded_kind",
    "recorded_details",
    "recorded_protection",
    "recorded_block_kind",
    "recorded_block_details",
)
"""Optional text columns of `Regions`: the file behind a mapping, and what another tool's file says about the region.

The first region of an allocation carries what the file says about the allocation. If the file says something else
about that region alone, it is in the two `recorded_block_` columns.
"""


class Stream(msgspec.Struct, frozen=True):
    """One part of the input file: a minidump stream."""

    type: int
    name: str
    offset: int
    size: int
    status: str = "listed"
    """`read`, `listed` (present, but of no use to the map), `empty`, or what is wrong with it."""
    absence: Absence | None = None
    """Why nothing could be read; None if at least a part was read or the stream is only listed."""


@value_class(frozen=True, slots=True)
class Source:
    """Where the facts come from."""

    kind: SourceKind
    name: str
    path: str | None = None
    size: int | None = None
    captured_at: dt.datetime | None = None
    flags: int | None = None
    """MINIDUMP_TYPE bits of a minidump."""
    streams: tuple[Stream, ...] = ()
    container: Container | None = None
    """How the file was packed, if it was."""
    memory_size: int | None = None
    """For a reduced snapshot: how many bytes of the process's memory the input held before."""
    reduced_from: str | None = None
    """For a JSON snapshot: the kind of source it was made from."""
    original_name: str | None = None
    """For a JSON snapshot: the name of the file or process it was made from."""
    notes: tuple[str, ...] = ()
    """What the user should know about how the file was read, without anything being wrong. A JSON snapshot drops it."""


@value_class(frozen=True, slots=True)
class OperatingSystem:
    """The system that the process ran on."""

    family: Family = "windows"
    version: str | None = None
    """`major.minor.build` on Windows, the kernel's or system's own version elsewhere."""
    build: int | None = None
    service_pack: str | None = None
    product_type: ProductType | None = None
    """What the system was sold as on Windows: a client and a server release can share a build."""

    @property
    def kernel(self) -> str:
        """The family whose kernel it runs: `linux` for Android, `macos` for iOS."""
        return kernel_of(self.family)


@value_class(frozen=True, slots=True)
class Process:
    """The process itself."""

    pid: int | None = None
    name: str | None = None
    path: str | None = None
    command_line: str | None = None
    architecture: str = "unknown"
    """`x86`, `x64`, `arm`, `arm64`, or another name in lower case: what the process's own code runs as."""
    pointer_size: int = 8
    wow64: bool | None = None
    """True for a 32-bit process on 64-bit Windows, None if unknown."""
    os: OperatingSystem = field(default_factory=OperatingSystem)
    created_at: dt.datetime | None = None
    user_time: int | None = None
    """CPU seconds in user mode."""
    kernel_time: int | None = None


@value_class(frozen=True, slots=True)
class System:
    """The machine: bytes and addresses."""

    page_size: int = 0x1000
    allocation_granularity: int = 0x10000
    min_address: int | None = None
    max_address: int | None = None
    """Highest user-mode address, inclusive, as Windows reports it."""
    processors: int | None = None
    commit_limit: int | None = None
    commit_total: int | None = None
    commit_peak: int | None = None
    physical_total: int | None = None
    physical_available: int | None = None


@value_class(frozen=True, slots=True)
class Counters:
    """What the system counted for the process, in bytes.

    Attributes:
        private_usage: private bytes: PrivateUsage.
        working_set: memory of the process that is in RAM.
        peak_working_set: the most that was.
        private_working_set: the part of the working set that no other process can share.
        pagefile_usage: commit charge of the process: PagefileUsage.
        peak_pagefile_usage: the highest commit charge.
        virtual_size: address space in use, reserved or committed.
        peak_virtual_size: the most that was in use.
        shared_commit_usage: commit charge of the sections that the process shares.
        page_table: memory of its page tables.
        job_private_commit_usage: what the process's job has committed.
        job_peak_private_commit_usage: the most that the job had committed.
        job_private_commit_limit: the limit that this counts against.
        job_total_commit_limit: the commit limit of all processes in the job together.
    """

    private_usage: int | None = None
    working_set: int | None = None
    peak_working_set: int | None = None
    private_working_set: int | None = None
    pagefile_usage: int | None = None
    peak_pagefile_usage: int | None = None
    virtual_size: int | None = None
    peak_virtual_size: int | None = None
    shared_commit_usage: int | None = None
    page_table: int | None = None
    job_private_commit_usage: int | None = None
    job_peak_private_commit_usage: int | None = None
    job_private_commit_limit: int | None = None
    job_total_commit_limit: int | None = None


@value_class(frozen=True, slots=True)
class TextColumn:
    """A column of few distinct texts: `codes` index into `values`, -1 is unknown."""

    codes: I32
    values: tuple[str, ...]

    def __getitem__(self, index: int) -> str | None:
        code = int(self.codes[index])
        return self.values[code] if code >= 0 else None


@value_class(frozen=True, slots=True)
class Regions:
    """The regions of an address space, columnar, sorted by base, not overlapping.

    Free memory may be listed or left out: a gap between regions is free. All arrays have one length.
    """

    base: U64
    allocation_base: U64
    allocation_protect: U32
    size: U64
    state: U32
    protect: U32
    type: U32
    numbers: Mapping[str, I64] = field(default_factory=dict)
    """Optional columns of `NUMBER_COLUMNS`; -1 is unknown."""
    texts: Mapping[str, TextColumn] = field(default_factory=dict)
    """Optional columns of `TEXT_COLUMNS`."""

    def __len__(self) -> int:
        return len(self.base)

    def take(self, index: npt.NDArray[np.intp] | npt.NDArray[np.bool_] | slice) -> Regions:
        """Returns the regions that `index` selects, in its order."""
        return Regions(
            base=self.base[index],
            allocation_base=self.allocation_base[index],
            allocation_protect=self.allocation_protect[index],
            size=self.size[index],
            state=self.state[index],
            protect=self.protect[index],
            type=self.type[index],
            numbers={name: values[index] for name, values in self.numbers.items()},
            texts={name: TextColumn(column.codes[index], column.values) for name, column in self.texts.items()},
        )


class Module(msgspec.Struct, frozen=True):
    """A loaded module."""

    base: int
    size: int
    path: str
    timestamp: int | None = None
    """The PE header's TimeDateStamp, raw: with SizeOfImage it identifies the file."""
    checksum: int | None = None
    version: str | None = None
    debug_id: str | None = None
    debug_file: str | None = None

    @property
    def name(self) -> str:
        """The file name, whichever system wrote the path."""
        return file_name(self.path)


@value_class(frozen=True, slots=True)
class UnloadedModule:
    """A module that was unloaded before the snapshot."""

    base: int
    size: int
    path: str
    timestamp: int | None = None


class CodeRange(msgspec.Struct, frozen=True):
    """A range for which the program registered a function table: code that it generated."""

    base: int
    size: int
    callback: int | None = None
    """Address of the function that describes the code to Windows; its module generated the code."""


class Thread(msgspec.Struct, frozen=True):
    """A thread."""

    id: int
    name: str | None = None
    teb: int | None = None
    stack_base: int | None = None
    """Lowest address of the stack as captured or reported, not of the reserved range; `stack_size` belongs to it."""
    stack_size: int | None = None
    stack_pointer: int | None = None
    instruction_pointer: int | None = None
    start_address: int | None = None
    created_at: dt.datetime | None = None
    exited: bool = False
    suspend_count: int | None = None
    teb_refused: bool = False
    """Whether the bytes at `teb` were captured and are no TEB. A snapshot says so, because it leaves the bytes out."""


@value_class(frozen=True, slots=True)
class ExceptionRecord:
    """The exception that the dump was written for."""

    thread_id: int | None
    code: int
    flags: int = 0
    address: int | None = None
    parameters: tuple[int, ...] = ()
    stack_pointer: int | None = None
    instruction_pointer: int | None = None


@value_class(frozen=True, slots=True)
class SummaryRow:
    """A line of a summary that another tool printed: a type, and its bytes by column; None for a blank."""

    type: str
    values: Mapping[str, int | None]


@value_class(frozen=True, slots=True)
class Snapshot:
    """Everything known about one process's address space at one moment."""

    source: Source
    process: Process
    system: System = field(default_factory=System)
    counters: Counters = field(default_factory=Counters)
    regions: Regions | None = None
    """None where the source has no memory map: the result can only be partial."""
    regions_complete: bool = True
    """False if the source's list of regions is damaged or cut off, so that its end says nothing."""
    modules: tuple[Module, ...] = ()
    captured: tuple[tuple[int, int], ...] = ()
    """(address, size) of the bytes in the input. Kept only if the input has no list of regions, because then most of
    the memory is known from this list alone. A reduced snapshot keeps the list without the bytes."""
    unloaded_modules: tuple[UnloadedModule, ...] = ()
    threads: tuple[Thread, ...] = ()
    peb: int | None = None
    """Address of the PEB if the source states it; otherwise it is found through a TEB."""
    wow64_peb: int | None = None
    heaps: tuple[RecordedHeap, ...] = ()
    managed_heaps: tuple[RecordedHeap, ...] = ()
    generated_code: tuple[CodeRange, ...] = ()
    exception: ExceptionRecord | None = None
    handle_count: int | None = None
    handle_types: Mapping[str, int] = field(default_factory=dict)
    comments: tuple[str, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)
    """What a crash reporter recorded itself, such as the range that it reserved for its own use."""
    writer: WriterRecord | None = None
    """What the writer of the input recorded about the failure; None if it recorded nothing."""
    omitted_texts: int = 0
    """How many comments, and texts and names of a crash reporter, were left out because they can hold user data."""
    recorded_summary: tuple[SummaryRow, ...] = ()
    """The summary in a VMMap file, for comparison."""
    pointer_owners: PointerSearch | None = None
    """Who holds pointers to memory that nothing claims by structure, in a reduced snapshot, which lacks the memory to
    search. None if the source does not record it."""
    memory: Memory = field(default_factory=ExcerptMemory)
    warnings: tuple[str, ...] = ()
    """What in the input is damaged, contradictory, or unreadable."""

    @property
    def architecture_inferred(self) -> bool:
        """Whether the source does not state the architecture: VMMap's files have addresses only."""
        return "vmmap" in (self.source.kind, self.source.reduced_from)


def make_regions(
    rows: Sequence[tuple[int, int, int, int, int, int, int]],
    *,
    numbers: Mapping[str, Sequence[int]] | None = None,
    texts: Mapping[str, Sequence[str | None]] | None = None,
) -> Regions:
    """Builds `Regions` from (base, allocation base, allocation protect, size, state, protect, type) tuples.

    Args:
        rows: sorted by base.
        numbers: optional columns of `NUMBER_COLUMNS`, -1 for unknown.
        texts: optional columns of `TEXT_COLUMNS`, None for unknown.
    """
    columns = list(zip(*rows, strict=True)) or [()] * 7
    # NumPy takes over an `array`. It would look at each number of a tuple to find a common type.
    base, allocation_base, allocation_protect, size, state, protect, kind = (
        np.asarray(array(code, column)) for code, column in zip("QQIQIII", columns, strict=True)
    )
    counted = {name: np.array(values, np.int64) for name, values in (numbers or {}).items()}
    named = {name: text_column(values) for name, values in (texts or {}).items()}
    return Regions(base, allocation_base, allocation_protect, size, state, protect, kind, counted, named)


def text_column(values: Sequence[str | None]) -> TextColumn:
    """Packs texts into a `TextColumn`."""
    table: dict[str, int] = {}
    codes = [-1 if value is None else table.setdefault(value, len(table)) for value in values]
    return TextColumn(np.asarray(array("i", codes)), tuple(table))
