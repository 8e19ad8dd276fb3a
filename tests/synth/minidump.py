"""A chained builder of minidump files.

Layouts follow minidumpapiset.h of the Windows SDK, where all structures are packed to 4 bytes.
Every method that adds content returns the builder. A typical use:

    dump = (
        MinidumpBuilder("x64")
        .system_info(build=19045)
        .region(0x10000, 0x1000, MEM_COMMIT, PAGE_READWRITE, MEM_PRIVATE)
        .build()
    )

Damage has methods of its own (`lie`, `lie_count`, `patch`, `header_lie`), so a test names what it
breaks. `offset_of` and its siblings return file offsets for tests that flip bytes themselves.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, TypedDict, Unpack

from .contexts import CONTEXTS, build_context
from .writers import CRASHPAD_INFO, MOZ_SOFT_ERRORS, UNREAL_CONTEXT, ModuleAnnotations, crashpad_info

MINIDUMP_SIGNATURE = 0x504D444D  # "MDMP"
MINIDUMP_VERSION = 0xA793

# MINIDUMP_STREAM_TYPE
UNUSED_STREAM = 0
THREAD_LIST = 3
MODULE_LIST = 4
MEMORY_LIST = 5
EXCEPTION = 6
SYSTEM_INFO = 7
THREAD_EX_LIST = 8
MEMORY64_LIST = 9
COMMENT_A = 10
COMMENT_W = 11
HANDLE_DATA = 12
FUNCTION_TABLE = 13
UNLOADED_MODULE_LIST = 14
MISC_INFO = 15
MEMORY_INFO_LIST = 16
THREAD_INFO_LIST = 17
HANDLE_OPERATION_LIST = 18
TOKEN = 19
SYSTEM_MEMORY_INFO = 21
PROCESS_VM_COUNTERS = 22
IPT_TRACE = 23
THREAD_NAMES = 24
# Streams of other writers
BREAKPAD_INFO = 0x47670001
LINUX_MAPS = 0x47670009
HEAP_STREAM = 0x50484D44

# winnt.h
MEM_COMMIT = 0x1000
MEM_RESERVE = 0x2000
MEM_FREE = 0x10000
MEM_PRIVATE = 0x20000
MEM_MAPPED = 0x40000
MEM_IMAGE = 0x1000000

PAGE_NOACCESS = 0x01
PAGE_READONLY = 0x02
PAGE_READWRITE = 0x04
PAGE_WRITECOPY = 0x08
PAGE_EXECUTE = 0x10
PAGE_EXECUTE_READ = 0x20
PAGE_EXECUTE_READWRITE = 0x40
PAGE_EXECUTE_WRITECOPY = 0x80
PAGE_GUARD = 0x100

PROCESSOR_ARCHITECTURES = {
    "x86": 0,
    "mips": 1,
    "ppc": 3,
    "arm": 5,
    "ia64": 6,
    "x64": 9,
    "arm64": 12,
    "unknown": 0xFFFF,
}

_FILLER = b"\xee"  # pads larger headers and entries; not zero, so that a reader that uses it fails


class MinidumpFile:
    """The growing file: out-of-line data first, then the stream that refers to it."""

    def __init__(self, directory_entries: int) -> None:
        self.data = bytearray(32 + 12 * directory_entries)
        self._strings: dict[str, int] = {}
        self._memory: dict[tuple[int, int], int] = {}

    def put(self, blob: bytes, align: int = 4) -> int:
        """Appends `blob` at the next multiple of `align` and returns its RVA."""
        self.data.extend(b"\0" * (-len(self.data) % align))
        rva = len(self.data)
        self.data.extend(blob)
        return rva

    def location(self, blob: bytes) -> bytes:
        """Appends `blob` and returns its MINIDUMP_LOCATION_DESCRIPTOR; zeros for nothing."""
        if not blob:
            return struct.pack("<II", 0, 0)
        return struct.pack("<II", len(blob), self.put(blob))

    def string(self, text: str) -> int:
        """Appends a MINIDUMP_STRING once per text and returns its RVA."""
        if text not in self._strings:
            encoded = text.encode("utf-16-le", "surrogatepass")
            record = struct.pack("<I", len(encoded)) + encoded + b"\0\0"
            self._strings[text] = self.put(record)
        return self._strings[text]

    def optional_string(self, text: str | None) -> int:
        """Like `string`, with RVA 0 for None."""
        return 0 if text is None else self.string(text)

    def memory(self, address: int, data: bytes) -> bytes:
        """Returns a MINIDUMP_MEMORY_DESCRIPTOR for bytes at `address`.

        Thread stacks share their bytes with the memory list, as in real dumps: the same range
        is stored once.
        """
        key = (address, len(data))
        if key not in self._memory:
            self._memory[key] = self.put(data) if data else 0
        return struct.pack("<QII", address, len(data), self._memory[key])


Record = bytes | Callable[[MinidumpFile], bytes]
Head = Callable[[int, int, int], bytes]


def _no_head(header_size: int, entry_size: int, count: int) -> bytes:
    return b""


def _count_head(header_size: int, entry_size: int, count: int) -> bytes:
    return struct.pack("<I", count)


def _sized_head(header_size: int, entry_size: int, count: int) -> bytes:
    return struct.pack("<III", header_size, entry_size, count)


def _memory_info_head(header_size: int, entry_size: int, count: int) -> bytes:
    # u32, u32, u64: sixteen bytes. Some parsers read the count as u32 and drift by four.
    return struct.pack("<IIQ", header_size, entry_size, count)


def _handle_head(header_size: int, entry_size: int, count: int) -> bytes:
    return struct.pack("<IIII", header_size, entry_size, count, 0)


def _memory64_head(header_size: int, entry_size: int, count: int) -> bytes:
    return struct.pack("<QQ", count, 0)  # BaseRva is known only when all else is written


@dataclass(frozen=True)
class _ListLayout:
    head: Head
    header_size: int
    entry_size: int


_NO_LIST = _ListLayout(_no_head, 0, 0)
_LISTS = {
    THREAD_LIST: _ListLayout(_count_head, 4, 48),
    MODULE_LIST: _ListLayout(_count_head, 4, 108),
    MEMORY_LIST: _ListLayout(_count_head, 4, 16),
    THREAD_EX_LIST: _ListLayout(_count_head, 4, 64),
    THREAD_NAMES: _ListLayout(_count_head, 4, 12),
    MEMORY64_LIST: _ListLayout(_memory64_head, 16, 16),
    HANDLE_DATA: _ListLayout(_handle_head, 16, 32),
    UNLOADED_MODULE_LIST: _ListLayout(_sized_head, 12, 24),
    THREAD_INFO_LIST: _ListLayout(_sized_head, 12, 64),
    MEMORY_INFO_LIST: _ListLayout(_memory_info_head, 16, 48),
}


@dataclass
class _Stream:
    """One stream of the file to come."""

    stream_type: int
    layout: _ListLayout
    records: list[Record] = field(default_factory=list)
    header_size: int | None = None
    entry_size: int | None = None
    count: int | None = None
    padded: bool = False
    closed: bool = False
    late_memory: list[tuple[int, int, bytes | None]] = field(default_factory=list)

    def encode(self, file: MinidumpFile) -> bytes:
        header_size = self.header_size or self.layout.header_size
        entry_size = self.entry_size or self.layout.entry_size
        count = len(self.records) if self.count is None else self.count
        head = self.layout.head(header_size, entry_size, count)
        parts = [_resize(head, header_size)]
        if self.padded:
            parts.append(b"\0" * 4)
        for record in self.records:
            encoded = record if isinstance(record, bytes) else record(file)
            parts.append(_resize(encoded, entry_size))
        return b"".join(parts)


@dataclass
class _Placed:
    """One directory entry of a finished file."""

    stream_type: int
    rva: int
    size: int
    directory_offset: int


@dataclass
class _Lie:
    stream_type: int
    index: int
    size: int | None
    rva: int | None
    new_type: int | None


class ThreadOptions(TypedDict, total=False):
    """The fields of a thread record. The defaults are zero or common values.

    Attributes:
        teb: address of the TEB.
        stack: start address and captured bytes of the stack.
        stack_range: start address and size of a stack whose bytes are elsewhere (RVA 0).
        context_sp: stack pointer; by default the start of the stack.
        context_ip: instruction pointer.
        context_fp: frame pointer.
        context: a whole CONTEXT instead; empty bytes for none.
        suspend_count: SuspendCount.
        priority_class: PriorityClass.
        priority: Priority.
        backing_store: start address and bytes of the backing store (ThreadExList only).
    """

    teb: int
    stack: tuple[int, bytes]
    stack_range: tuple[int, int]
    context_sp: int
    context_ip: int
    context_fp: int
    context: bytes
    suspend_count: int
    priority_class: int
    priority: int
    backing_store: tuple[int, bytes]


@dataclass(frozen=True)
class StreamHeap:
    """A heap record of the heap stream; kinds: 0 unknown, 1 NT, 2 segment, 3 page, 4 Wine, 16 own.

    Attributes:
        name: stored as UTF-8 with a closing zero in the strings area; None for no name.
    """

    address: int
    heap_id: int
    kind: int = 1
    flags: int = 0
    name: str | None = None


@dataclass(frozen=True)
class StreamRange:
    """A range record of the heap stream; kinds: 0 other, 1 segment, 2 large, 3 front end, 4 arena.

    Attributes:
        committed: bytes; None is stored as all ones, "unknown".
    """

    base: int
    size: int
    heap_id: int
    committed: int | None = None
    kind: int = 1
    flags: int = 0


def _resize(record: bytes, size: int) -> bytes:
    """Pads a record with filler, or cuts it, to `size` bytes; 0 leaves it alone."""
    return record if not size else record[:size].ljust(size, _FILLER)


def _bit_flags(*conditions: tuple[bool, int]) -> int:
    flags = 0
    for condition, bit in conditions:
        flags |= bit if condition else 0
    return flags


def _fixed_utf16(text: str, characters: int) -> bytes:
    """Returns a zero-padded WCHAR array; the last character is always zero."""
    return text[: characters - 1].encode("utf-16-le").ljust(characters * 2, b"\0")


def rsds(pdb: str, guid: bytes = bytes(range(16)), age: int = 1) -> bytes:
    """Returns a CodeView record that names a PDB 7 file."""
    return b"RSDS" + guid + struct.pack("<I", age) + pdb.encode("utf-8") + b"\0"


def nb10(pdb: str, timestamp: int = 0, age: int = 1) -> bytes:
    """Returns a CodeView record that names a PDB 2 file."""
    return b"NB10" + struct.pack("<III", 0, timestamp, age) + pdb.encode("utf-8") + b"\0"


def fixed_file_info(version: Sequence[int], product: Sequence[int] | None = None) -> bytes:
    """Returns a VS_FIXEDFILEINFO of 52 bytes for a version of four numbers."""
    major, minor, patch, build = version
    p_major, p_minor, p_patch, p_build = product or version
    return struct.pack(
        "<13I",
        0xFEEF04BD,
        0x10000,
        major << 16 | minor,
        patch << 16 | build,
        p_major << 16 | p_minor,
        p_patch << 16 | p_build,
        0x3F,
        0,
        0x40004,
        2,
        0,
        0,
        0,
    )


class MinidumpBuilder:
    """Collects streams and lays out a minidump.

    Streams are written in the order in which they were first used. Adding to a stream type goes
    to the stream of that type begun last; `new_stream` begins a second one.

    Args:
        arch: a key of `PROCESSOR_ARCHITECTURES`; sets the processor and the CONTEXT records.
        flags: MINIDUMP_TYPE bits of the header.
        timestamp: seconds since 1970 of the header.
        version: header version; the high half is the writer's own.
    """

    def __init__(
        self,
        arch: str = "x64",
        flags: int = 0,
        timestamp: int = 0x65A0_0000,
        version: int = MINIDUMP_VERSION,
    ) -> None:
        if arch not in PROCESSOR_ARCHITECTURES:
            raise ValueError(f"unknown architecture {arch!r}")
        self.arch = arch
        self.flags = flags
        self.timestamp = timestamp
        self.version = version
        self._streams: list[_Stream] = []
        self._lies: list[_Lie] = []
        self._patches: list[tuple[int, int, int, bytes]] = []
        self._header: dict[str, int] = {}
        self._placed: list[_Placed] = []
        self._late_offsets: dict[int, int] = {}
        self._size = 0

    # --- streams in general -----------------------------------------------------------------

    def new_stream(self, stream_type: int) -> Self:
        """Begins a stream of this type, even if the dump already has one."""
        self._streams.append(_Stream(stream_type, _LISTS.get(stream_type, _NO_LIST)))
        return self

    def _last(self, stream_type: int) -> _Stream:
        for stream in reversed(self._streams):
            if stream.stream_type == stream_type and not stream.closed:
                return stream
        self.new_stream(stream_type)
        return self._streams[-1]

    def _add(self, stream_type: int, record: Record) -> Self:
        self._last(stream_type).records.append(record)
        return self

    def raw_stream(self, stream_type: int, data: bytes) -> Self:
        """Adds a stream of any type with exactly these bytes (none is allowed)."""
        self._streams.append(_Stream(stream_type, _NO_LIST, [data], closed=True))
        return self

    def empty_list(self, stream_type: int) -> Self:
        """Begins a list stream with a header and no entries."""
        return self.new_stream(stream_type)

    def list_layout(self, stream_type: int, *, header_size: int | None = None, entry_size: int | None = None) -> Self:
        """Changes SizeOfHeader and SizeOfEntry of a list; the bytes follow, filled with 0xee."""
        stream = self._last(stream_type)
        stream.header_size = header_size
        stream.entry_size = entry_size
        return self

    def pad_list(self, stream_type: int) -> Self:
        """Puts 4 bytes between count and entries, as some writers do to align by 8."""
        self._last(stream_type).padded = True
        return self

    # --- damage ----------------------------------------------------------------------------

    def lie(
        self,
        stream_type: int,
        *,
        size: int | None = None,
        rva: int | None = None,
        new_type: int | None = None,
        index: int = 0,
    ) -> Self:
        """Falsifies the directory entry of the index-th stream of this type."""
        self._lies.append(_Lie(stream_type, index, size, rva, new_type))
        return self

    def lie_count(self, stream_type: int, count: int) -> Self:
        """Falsifies the number of entries in the last list."""
        self._last(stream_type).count = count
        return self

    def header_lie(
        self,
        *,
        signature: int | None = None,
        stream_count: int | None = None,
        directory_rva: int | None = None,
        checksum: int | None = None,
    ) -> Self:
        """Falsifies fields of the file header."""
        given = {
            "signature": signature,
            "stream_count": stream_count,
            "directory_rva": directory_rva,
            "checksum": checksum,
        }
        self._header.update({key: value for key, value in given.items() if value is not None})
        return self

    def patch(self, stream_type: int, offset: int, data: bytes, index: int = 0) -> Self:
        """Overwrites bytes at an offset from the start of a stream, last of all."""
        self._patches.append((stream_type, index, offset, data))
        return self

    # --- system and process ----------------------------------------------------------------

    def system_info(
        self,
        *,
        build: int = 19045,
        major: int = 10,
        minor: int = 0,
        service_pack: str = "",
        processors: int = 4,
        product_type: int = 1,
        suite_mask: int = 0x100,
        platform_id: int = 2,
        architecture: int | None = None,
        level: int = 6,
        revision: int = 0x9E0A,
        cpu: bytes = b"",
    ) -> Self:
        """Adds SystemInfo (MINIDUMP_SYSTEM_INFO, 56 bytes).

        Args:
            build: Windows build number.
            major: major version.
            minor: minor version.
            service_pack: CSDVersion.
            processors: number of processors.
            product_type: 1 workstation, 2 domain controller, 3 server.
            suite_mask: VER_SUITE_* bits.
            platform_id: 2 for Windows NT; 0x8201 Linux, 0x8101 macOS in Breakpad's numbers.
            architecture: raw processor number, if not that of the builder.
            level: processor family.
            revision: processor model and stepping.
            cpu: up to 24 bytes of CPU_INFORMATION.
        """
        if architecture is None:
            architecture = PROCESSOR_ARCHITECTURES[self.arch]
        number = architecture

        def encode(file: MinidumpFile) -> bytes:
            return struct.pack(
                "<HHHBBIIIIIHH24s",
                number,
                level,
                revision,
                processors,
                product_type,
                major,
                minor,
                build,
                platform_id,
                file.string(service_pack),
                suite_mask,
                0,
                cpu,
            )

        return self._add(SYSTEM_INFO, encode)

    def misc_info(
        self,
        version: int = 5,
        *,
        pid: int | None = 0x1234,
        times: tuple[int, int, int] | None = None,
        power: tuple[int, int, int, int, int] | None = None,
        integrity: int | None = None,
        execute_flags: int | None = None,
        protected: int | None = None,
        timezone: tuple[int, int, str, str] | None = None,
        build_string: str | None = None,
        debug_build_string: str = "",
        xstate: bytes = b"",
        cookie: int | None = None,
    ) -> Self:
        """Adds MiscInfo in the shape of version 1 to 5 (24, 44, 232, 832 or 1364 bytes).

        Args:
            version: 1 for MINIDUMP_MISC_INFO, n for MINIDUMP_MISC_INFO_n.
            pid: process id; None clears the flag that says it is there.
            times: create time (seconds since 1970), user and kernel seconds.
            power: maximum, current, limit MHz, maximum and current idle state.
            integrity: SECURITY_MANDATORY_*_RID (version 3).
            execute_flags: process execute flags (version 3).
            protected: protected-process value (version 3).
            timezone: id, bias in minutes, standard and daylight name (version 3).
            build_string: text of the OS build (version 4).
            debug_build_string: text of dbghelp's build (version 4).
            xstate: up to 528 bytes of XSTATE_CONFIG_FEATURE_MSC_INFO (version 5).
            cookie: process cookie (version 5).
        """
        sizes = {1: 24, 2: 44, 3: 232, 4: 832, 5: 1364}
        flags = _bit_flags(
            (pid is not None, 0x1),
            (times is not None, 0x2),
            (power is not None and version >= 2, 0x4),
            (integrity is not None and version >= 3, 0x10),
            (execute_flags is not None and version >= 3, 0x20),
            (timezone is not None and version >= 3, 0x40),
            (protected is not None and version >= 3, 0x80),
            (build_string is not None and version >= 4, 0x100),
            (cookie is not None and version >= 5, 0x200),
        )
        zone_id, bias, standard, daylight = timezone or (0, 0, "", "")
        record = b"".join(
            (
                struct.pack("<III", sizes[version], flags, pid or 0),
                struct.pack("<III", *(times or (0, 0, 0))),
                struct.pack("<IIIII", *(power or (0, 0, 0, 0, 0))),
                struct.pack("<IIII", integrity or 0, execute_flags or 0, protected or 0, zone_id),
                struct.pack("<i", bias),
                _fixed_utf16(standard, 32) + bytes(16) + struct.pack("<i", 0),
                _fixed_utf16(daylight, 32) + bytes(16) + struct.pack("<i", -60),
                _fixed_utf16(build_string or "", 260),
                _fixed_utf16(debug_build_string, 40),
                struct.pack("<528s", xstate),
                struct.pack("<I", cookie or 0),
            )
        )
        return self.raw_stream(MISC_INFO, record[: sizes[version]])

    def system_memory_info(
        self,
        *,
        page_size: int = 0x1000,
        physical_pages: int = 0x3F89ED,
        granularity: int = 0x10000,
        minimum_address: int = 0x10000,
        maximum_address: int | None = None,
        processors: int = 4,
        available_pages: int = 0x100000,
        committed_pages: int = 0x200000,
        commit_limit_pages: int = 0x500000,
        peak_commitment_pages: int = 0x280000,
        flags: int = 0xF,
    ) -> Self:
        """Adds SystemMemoryInfo (MINIDUMP_SYSTEM_MEMORY_INFO_1, 492 bytes), counts in pages.

        Args:
            page_size: bytes of a page.
            physical_pages: installed memory.
            granularity: allocation granularity in bytes.
            minimum_address: lowest user address.
            maximum_address: highest user address; None takes the builder's architecture's.
            processors: number of processors.
            available_pages: free physical memory.
            committed_pages: system commit charge.
            commit_limit_pages: system commit limit.
            peak_commitment_pages: highest commit charge so far.
            flags: MINIDUMP_SYSMEMINFO1_* bits that say which optional fields are valid.
        """
        if maximum_address is None:
            wide = self.arch in ("x64", "arm64")
            maximum_address = 0x7FFFFFFEFFFF if wide else 0x7FFEFFFF
        # MINIDUMP_SYSTEM_BASIC_INFORMATION, 52 bytes
        basic = struct.pack(
            "<6I3QI",
            156250,
            page_size,
            physical_pages,
            1,
            physical_pages,
            granularity,
            minimum_address,
            maximum_address,
            (1 << processors) - 1,
            processors,
        )
        # MINIDUMP_SYSTEM_FILECACHE_INFORMATION, 60 bytes
        file_cache = struct.pack("<QQIQQQQII", 0x100000, 0x200000, 77, 16, 32, 256, 512, 0, 0)
        # MINIDUMP_SYSTEM_BASIC_PERFORMANCE_INFORMATION, 32 bytes
        commitment = (available_pages, committed_pages, commit_limit_pages, peak_commitment_pages)
        basic_performance = struct.pack("<4Q", *commitment)
        # MINIDUMP_SYSTEM_PERFORMANCE_INFORMATION, 344 bytes: four 64-bit I/O counters, seventy
        # 32-bit ones (the fourth to seventh repeat the commitment, cut to 32 bits), four 64-bit
        narrow = [0] * 70
        narrow[3:7] = [value & 0xFFFFFFFF for value in commitment]
        performance = struct.pack("<4Q70I4Q", 1, 2, 3, 4, *narrow, 5, 6, available_pages, 7)
        revision = struct.pack("<HH", 1, flags)
        record = revision + basic + file_cache + basic_performance + performance
        return self.raw_stream(SYSTEM_MEMORY_INFO, record)

    def process_vm_counters(
        self,
        version: int = 2,
        *,
        page_faults: int = 0x1234,
        peak_working_set: int = 0x4000000,
        working_set: int = 0x3000000,
        pagefile_usage: int = 0x2000000,
        peak_pagefile_usage: int = 0x2800000,
        peak_virtual_size: int = 0x50000000,
        virtual_size: int = 0x40000000,
        private_usage: int = 0x2000000,
        private_working_set: int = 0x1800000,
        shared_commit: int = 0x100000,
        flags: int = 0xF,
    ) -> Self:
        """Adds ProcessVmCounters, version 1 (80 bytes) or 2 (152 bytes); sizes in bytes.

        Version 1 is not a prefix of version 2: its PrivateUsage is where version 2 has
        PeakVirtualSize.

        Args:
            version: Revision, 1 or 2.
            page_faults: PageFaultCount.
            peak_working_set: PeakWorkingSetSize.
            working_set: WorkingSetSize.
            pagefile_usage: PagefileUsage.
            peak_pagefile_usage: PeakPagefileUsage.
            peak_virtual_size: PeakVirtualSize (version 2).
            virtual_size: VirtualSize (version 2).
            private_usage: PrivateUsage.
            private_working_set: PrivateWorkingSetSize (version 2).
            shared_commit: SharedCommitUsage (version 2).
            flags: MINIDUMP_PROCESS_VM_COUNTERS_* bits (version 2): 2 virtual size, 4 private
                usage, 8 private working set and shared commit, 16 job values.
        """
        quotas = (0x40000, 0x30000, 0x8000, 0x6000)
        common = (peak_working_set, working_set, *quotas, pagefile_usage, peak_pagefile_usage)
        if version == 1:
            record = struct.pack("<HHI9Q", 1, 0, page_faults, *common, private_usage)
            return self.raw_stream(PROCESS_VM_COUNTERS, record)
        extended = (peak_virtual_size, virtual_size, private_usage)
        extended_2 = (private_working_set, shared_commit)
        record = struct.pack("<HHI18Q", version, flags, page_faults, *common, *extended, *extended_2, *([0] * 5))
        return self.raw_stream(PROCESS_VM_COUNTERS, record)

    def comment_a(self, text: str | bytes) -> Self:
        """Adds CommentStreamA; text is stored as UTF-8 with a closing zero, bytes as they are."""
        data = text if isinstance(text, bytes) else text.encode("utf-8") + b"\0"
        return self.raw_stream(COMMENT_A, data)

    def comment_w(self, text: str) -> Self:
        """Adds CommentStreamW, UTF-16 with a closing zero."""
        return self.raw_stream(COMMENT_W, text.encode("utf-16-le") + b"\0\0")

    def breakpad_info(self, dump_thread: int | None = None, requesting_thread: int | None = None) -> Self:
        """Adds Breakpad's info stream: the thread that wrote the dump and the thread that requested it."""
        valid = _bit_flags((dump_thread is not None, 1), (requesting_thread is not None, 2))
        record = struct.pack("<III", valid, dump_thread or 0, requesting_thread or 0)
        return self.raw_stream(BREAKPAD_INFO, record)

    def breakpad_assertion(self, expression: str, function: str, file: str, line: int, kind: int = 0) -> Self:
        """Adds Breakpad's MDRawAssertionInfo (776 bytes); the texts have at most 127 letters."""
        texts = b"".join(_fixed_utf16(text, 128) for text in (expression, function, file))
        return self.raw_stream(0x47670002, texts + struct.pack("<II", line, kind))

    def unreal_context(self, text: str, encoding: str = "utf-16-le", tail: bytes = b"") -> Self:
        """Adds Unreal Engine's crash context; `tail` is what its buffer held before."""
        return self.raw_stream(UNREAL_CONTEXT, text.encode(encoding) + tail)

    def crashpad_info(self, *simple: tuple[str, str], modules: Sequence[ModuleAnnotations] = ()) -> Self:
        """Adds CrashpadInfo: the simple annotations of the client, and the annotations of modules."""
        self._streams.append(_Stream(CRASHPAD_INFO, _NO_LIST, [crashpad_info(simple, modules)], closed=True))
        return self

    def soft_errors(self, text: str | bytes) -> Self:
        """Adds the JSON of Mozilla's soft errors."""
        return self.raw_stream(MOZ_SOFT_ERRORS, text if isinstance(text, bytes) else text.encode())

    def linux_maps(self, text: str) -> Self:
        """Adds the text of /proc/PID/maps, as Breakpad and Crashpad store it."""
        return self.raw_stream(LINUX_MAPS, text.encode("utf-8", "surrogateescape"))

    # --- threads ---------------------------------------------------------------------------

    def _context(self, context: bytes | None, sp: int, ip: int, fp: int) -> bytes:
        if context is not None:
            return context
        return build_context(self.arch, sp=sp, ip=ip, fp=fp) if self.arch in CONTEXTS else b""

    def thread(self, tid: int, **options: Unpack[ThreadOptions]) -> Self:
        """Adds a MINIDUMP_THREAD (48 bytes) to ThreadList.

        Args:
            tid: thread id.
            **options: see `ThreadOptions`; the backing store is not part of this record.
        """
        return self._add(THREAD_LIST, self._thread_record(tid, options))

    def thread_ex(self, tid: int, **options: Unpack[ThreadOptions]) -> Self:
        """Adds a MINIDUMP_THREAD_EX (64 bytes: a thread and its backing store).

        Args:
            tid: thread id.
            **options: see `ThreadOptions`.
        """
        thread = self._thread_record(tid, options)
        backing_store = options.get("backing_store", (0, b""))
        return self._add(THREAD_EX_LIST, lambda file: thread(file) + file.memory(*backing_store))

    def _thread_record(self, tid: int, options: ThreadOptions) -> Callable[[MinidumpFile], bytes]:
        stack = options.get("stack")
        start, size = options.get("stack_range", (0, 0))
        if stack is not None:
            start, size = stack[0], len(stack[1])
        context = self._context(
            options.get("context"),
            options.get("context_sp", start),
            options.get("context_ip", 0),
            options.get("context_fp", 0),
        )
        head = struct.pack(
            "<IIIIQ",
            tid,
            options.get("suspend_count", 0),
            options.get("priority_class", 0x20),
            options.get("priority", 0),
            options.get("teb", 0),
        )

        def encode(file: MinidumpFile) -> bytes:
            # Writers of full dumps keep the stack's bytes in Memory64List only, with RVA 0 here.
            range_only = struct.pack("<QII", start, size, 0)
            descriptor = range_only if stack is None else file.memory(*stack)
            return head + descriptor + file.location(context)

        return encode

    def thread_info(
        self,
        tid: int,
        *,
        dump_flags: int = 0,
        dump_error: int = 0,
        exit_status: int = 0x103,
        create_time: int = 0,
        exit_time: int = 0,
        kernel_time: int = 0,
        user_time: int = 0,
        start_address: int = 0,
        affinity: int = 0xF,
    ) -> Self:
        """Adds a MINIDUMP_THREAD_INFO (64 bytes); times are FILETIMEs of 100 ns."""
        record = struct.pack(
            "<IIII6Q",
            tid,
            dump_flags,
            dump_error,
            exit_status,
            create_time,
            exit_time,
            kernel_time,
            user_time,
            start_address,
            affinity,
        )
        return self._add(THREAD_INFO_LIST, record)

    def thread_name(self, tid: int, name: str) -> Self:
        """Adds a MINIDUMP_THREAD_NAME (12 bytes: the RVA has 64 bits and no alignment gap)."""
        return self._add(THREAD_NAMES, lambda file: struct.pack("<IQ", tid, file.string(name)))

    def exception(
        self,
        tid: int,
        code: int,
        address: int,
        params: Sequence[int] = (),
        *,
        flags: int = 0,
        record: int = 0,
        parameter_count: int | None = None,
        context_sp: int = 0,
        context_ip: int | None = None,
        context: bytes | None = None,
    ) -> Self:
        """Adds an Exception stream (168 bytes).

        Args:
            tid: the faulting thread.
            code: ExceptionCode.
            address: ExceptionAddress.
            params: up to 15 values of ExceptionInformation.
            flags: ExceptionFlags.
            record: address of a nested record.
            parameter_count: NumberParameters; None counts `params`.
            context_sp: stack pointer.
            context_ip: instruction pointer; None takes `address`.
            context: a whole CONTEXT instead; empty bytes for none.
        """
        count = len(params) if parameter_count is None else parameter_count
        information = [*params, *([0] * 15)][:15]
        registers = self._context(context, context_sp, address if context_ip is None else context_ip, 0)
        head = struct.pack("<II", tid, 0)
        body = struct.pack("<IIQQII15Q", code, flags, record, address, count, 0, *information)
        return self._add(EXCEPTION, lambda file: head + body + file.location(registers))

    # --- modules ---------------------------------------------------------------------------

    def module(
        self,
        base: int,
        size: int,
        name: str,
        *,
        timestamp: int = 0x5F000000,
        checksum: int = 0,
        version: Sequence[int] | None = None,
        product_version: Sequence[int] | None = None,
        codeview: bytes = b"",
        misc: bytes = b"",
    ) -> Self:
        """Adds a MINIDUMP_MODULE (108 bytes).

        Args:
            base: BaseOfImage.
            size: SizeOfImage.
            name: full path.
            timestamp: TimeDateStamp of the PE header.
            checksum: CheckSum of the PE header.
            version: four numbers of the file version; None leaves the version record zero.
            product_version: four numbers of the product version.
            codeview: the CodeView record, see `rsds` and `nb10`.
            misc: the IMAGE_DEBUG_MISC record.
        """
        information = bytes(52) if version is None else fixed_file_info(version, product_version)

        def encode(file: MinidumpFile) -> bytes:
            head = struct.pack("<QIIII", base, size, checksum, timestamp, file.string(name))
            records = file.location(codeview) + file.location(misc)
            return head + information + records + bytes(16)

        return self._add(MODULE_LIST, encode)

    def unloaded_module(self, base: int, size: int, name: str, *, timestamp: int = 0, checksum: int = 0) -> Self:
        """Adds a MINIDUMP_UNLOADED_MODULE (24 bytes)."""
        return self._add(
            UNLOADED_MODULE_LIST,
            lambda file: struct.pack("<QIIII", base, size, checksum, timestamp, file.string(name)),
        )

    def function_tables(
        self,
        *tables: tuple[int, int, int],
        entries: int = 2,
        native_size: int = 0x58,
        count: int | None = None,
        native_minimum: int | None = None,
        native_type: int = 2,
    ) -> Self:
        """Adds a MINIDUMP_FUNCTION_TABLE_STREAM with (minimum, maximum, callback) tables.

        Args:
            tables: the tables.
            entries: function entries of each (12 bytes).
            native_size: SizeOfNativeDescriptor; a 64-bit DYNAMIC_FUNCTION_TABLE has 0x58 bytes.
            count: NumberOfDescriptors; None is true.
            native_minimum: MinimumAddress in the native descriptor; None is true.
            native_type: its Type: 0 RF_SORTED, 1 RF_UNSORTED, 2 RF_CALLBACK.
        """
        parts = [struct.pack("<6I", 24, 32, native_size, 12, len(tables) if count is None else count, 0)]
        for low, high, callback in tables:
            minimum = low if native_minimum is None else native_minimum
            native = bytes(32) + struct.pack("<4Q16xII", minimum, high, low, callback, native_type, entries)
            parts.append(struct.pack("<3Q2I", low, high, low, entries, 4))
            parts.append(native.ljust(native_size, b"\0")[:native_size] + bytes(12 * entries) + bytes(4))
        return self.raw_stream(FUNCTION_TABLE, b"".join(parts))

    def handle(
        self,
        handle: int,
        type_name: str | None = None,
        object_name: str | None = None,
        *,
        attributes: int = 0,
        granted_access: int = 0,
        handle_count: int = 1,
        pointer_count: int = 1,
        version: int = 2,
        infos: Iterable[tuple[int, bytes]] = (),
    ) -> Self:
        """Adds a handle descriptor, version 1 (32 bytes) or 2 (40 bytes, with object records).

        The stream has one entry size, that of the highest version in it.

        Args:
            handle: handle value.
            type_name: e.g. "File"; None for no name.
            object_name: e.g. a device path; None for no name.
            attributes: handle attributes.
            granted_access: access mask.
            handle_count: open handles of the object.
            pointer_count: references of the object.
            version: 1 or 2.
            infos: (type, data) of the chained object records of version 2.
        """
        chain = tuple(infos)
        if version >= 2:
            self._last(HANDLE_DATA).entry_size = 40

        def encode(file: MinidumpFile) -> bytes:
            names = (file.optional_string(type_name), file.optional_string(object_name))
            counts = (attributes, granted_access, handle_count, pointer_count)
            record = struct.pack("<QIIIIII", handle, *names, *counts)
            return record + struct.pack("<II", _object_information(file, chain), 0)

        return self._add(HANDLE_DATA, encode)

    # --- memory ----------------------------------------------------------------------------

    def memory(self, address: int, data: bytes) -> Self:
        """Adds captured bytes to MemoryList."""
        return self._add(MEMORY_LIST, lambda file: file.memory(address, data))

    def memory64(self, address: int, data: bytes) -> Self:
        """Adds captured bytes to Memory64List; they are stored at the end of the file."""
        stream = self._last(MEMORY64_LIST)
        stream.late_memory.append((address, len(data), data))
        return self._add(MEMORY64_LIST, struct.pack("<QQ", address, len(data)))

    def memory64_hole(self, address: int, size: int) -> Self:
        """Adds a range of zeros to Memory64List that `write` leaves as a hole in the file."""
        stream = self._last(MEMORY64_LIST)
        stream.late_memory.append((address, size, None))
        return self._add(MEMORY64_LIST, struct.pack("<QQ", address, size))

    def region(
        self,
        base: int,
        size: int,
        state: int,
        protect: int,
        type: int,
        *,
        allocation_base: int | None = None,
        allocation_protect: int | None = None,
    ) -> Self:
        """Adds a MINIDUMP_MEMORY_INFO (48 bytes).

        Args:
            base: BaseAddress.
            size: RegionSize in bytes.
            state: MEM_COMMIT, MEM_RESERVE or MEM_FREE.
            protect: Protect.
            type: MEM_PRIVATE, MEM_MAPPED, MEM_IMAGE or 0.
            allocation_base: None takes `base`, or 0 for free memory.
            allocation_protect: None takes `protect`, or 0 for free memory.
        """
        free = state == MEM_FREE
        if allocation_base is None:
            allocation_base = 0 if free else base
        if allocation_protect is None:
            allocation_protect = 0 if free else protect
        record = struct.pack(
            "<QQIIQIIII",
            base,
            allocation_base,
            allocation_protect,
            0,
            size,
            state,
            protect,
            type,
            0,
        )
        return self._add(MEMORY_INFO_LIST, record)

    def heap_stream(self, heaps: Iterable[StreamHeap], ranges: Iterable[StreamRange]) -> Self:
        """Adds a heap stream: a header of 32 bytes, heaps of 32, ranges of 40, then names.

        Name offsets count from the start of the strings area.
        """
        strings = bytearray()
        heap_records = []
        for heap in heaps:
            name_offset = 0xFFFFFFFF
            if heap.name is not None:
                name_offset = len(strings)
                strings += heap.name.encode("utf-8") + b"\0"
            numbers = (heap.heap_id, heap.kind, heap.flags, name_offset)
            heap_records.append(struct.pack("<QIIIIQ", heap.address, *numbers, 0))
        range_records = []
        for item in ranges:
            committed = 0xFFFFFFFFFFFFFFFF if item.committed is None else item.committed
            place = (item.base, item.size, committed)
            numbers = (item.heap_id, item.kind, item.flags, 0)
            range_records.append(struct.pack("<QQQIIII", *place, *numbers))
        counts = (32, len(heap_records), 40, len(range_records))
        strings_offset = 32 + 32 * len(heap_records) + 40 * len(range_records) if strings else 0
        strings_place = (strings_offset, len(strings))
        head = struct.pack("<IHHIIIIII", HEAP_STREAM, 1, 32, *counts, *strings_place)
        body = b"".join([head, *heap_records, *range_records, bytes(strings)])
        return self.raw_stream(HEAP_STREAM, body)

    # --- the file --------------------------------------------------------------------------

    def build(self) -> bytes:
        """Returns the whole file. Holes of `memory64_hole` become real zeros: keep them small."""
        file, late = self._assemble()
        for offset, data, size in late:
            file.extend(b"\0" * (offset - len(file)))
            file.extend(bytes(size) if data is None else data)
        self._apply_patches(file)
        self._size = len(file)
        return bytes(file)

    def write(self, path: Path) -> Path:
        """Writes the file, leaving holes as holes, and returns its path."""
        file, late = self._assemble()
        self._apply_patches(file)
        with path.open("wb") as out:
            out.write(file)
            end = len(file)
            for offset, data, size in late:
                out.seek(offset)
                out.write(data or b"")
                end = offset + size
            out.truncate(end)
            self._size = end
        return path

    def _assemble(self) -> tuple[bytearray, list[tuple[int, bytes | None, int]]]:
        """Lays out everything but the bytes of Memory64List, and says where those go."""
        file = MinidumpFile(len(self._streams))
        self._placed = []
        for index, stream in enumerate(self._streams):
            body = stream.encode(file)
            rva = file.put(body, 8) if body else 0
            entry = 32 + 12 * index
            self._placed.append(_Placed(stream.stream_type, rva, len(body), entry))
        late = self._place_late_memory(file)
        self._write_header(file.data)
        self._write_directory(file.data)
        return file.data, late

    def _place_late_memory(self, file: MinidumpFile) -> list[tuple[int, bytes | None, int]]:
        late: list[tuple[int, bytes | None, int]] = []
        self._late_offsets = {}
        file.put(b"", 8)
        offset = len(file.data)
        for stream, placed in zip(self._streams, self._placed, strict=True):
            if stream.stream_type != MEMORY64_LIST or stream.closed:
                continue
            struct.pack_into("<Q", file.data, placed.rva + 8, offset)
            for address, size, data in stream.late_memory:
                self._late_offsets[address] = offset
                late.append((offset, data, size))
                offset += size
        return late

    def _write_header(self, data: bytearray) -> None:
        header = self._header
        struct.pack_into(
            "<IIIIIIQ",
            data,
            0,
            header.get("signature", MINIDUMP_SIGNATURE),
            self.version,
            header.get("stream_count", len(self._streams)),
            header.get("directory_rva", 32),
            header.get("checksum", 0),
            self.timestamp,
            self.flags,
        )

    def _write_directory(self, data: bytearray) -> None:
        for placed in self._placed:
            values = (placed.stream_type, placed.size, placed.rva)
            struct.pack_into("<III", data, placed.directory_offset, *values)
        for lie in self._lies:
            placed = self._find(lie.stream_type, lie.index)
            told = (
                placed.stream_type if lie.new_type is None else lie.new_type,
                placed.size if lie.size is None else lie.size,
                placed.rva if lie.rva is None else lie.rva,
            )
            struct.pack_into("<III", data, placed.directory_offset, *told)

    def _apply_patches(self, data: bytearray) -> None:
        for stream_type, index, offset, patch in self._patches:
            start = self._find(stream_type, index).rva + offset
            data[start : start + len(patch)] = patch

    # --- where things are, after build -----------------------------------------------------

    def _find(self, stream_type: int, index: int) -> _Placed:
        found = [placed for placed in self._placed if placed.stream_type == stream_type]
        if index >= len(found):
            raise KeyError(f"stream {stream_type:#x} number {index} is not in the built dump")
        return found[index]

    def offset_of(self, stream_type: int, index: int = 0) -> int:
        """Returns the true file offset of a stream of the last build, whatever was lied."""
        return self._find(stream_type, index).rva

    def size_of(self, stream_type: int, index: int = 0) -> int:
        """Returns the true size in bytes of a stream of the last build."""
        return self._find(stream_type, index).size

    def directory_offset_of(self, stream_type: int, index: int = 0) -> int:
        """Returns the file offset of a stream's MINIDUMP_DIRECTORY entry."""
        return self._find(stream_type, index).directory_offset

    def memory64_offset_of(self, address: int) -> int:
        """Returns the file offset of the bytes of a Memory64List range that starts there."""
        return self._late_offsets[address]

    @property
    def stream_types(self) -> list[int]:
        """The stream types in directory order."""
        return [stream.stream_type for stream in self._streams]

    @property
    def size(self) -> int:
        """Size in bytes of the last built or written file."""
        return self._size


def _object_information(file: MinidumpFile, chain: Sequence[tuple[int, bytes]]) -> int:
    """Appends chained MINIDUMP_HANDLE_OBJECT_INFORMATION records; returns the first RVA or 0."""
    next_rva = 0
    for info_type, data in reversed(chain):
        next_rva = file.put(struct.pack("<III", next_rva, info_type, len(data)) + data)
    return next_rva
