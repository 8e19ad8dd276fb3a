"""Reading a minidump: header, directory, and every stream by itself.

A stream that cannot be read costs only that stream: it becomes a warning, its entry in `Source.streams` says what was
wrong, and the rest goes on. Every count, size and RVA is checked against the file before it is used, and a list that
claims more entries than fit gives those that fit. The layouts are in `dumpmap.parsers.minidump.layout`.
"""

from __future__ import annotations

import codecs
import datetime as dt
import struct
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from dumpmap.errors import FormatError
from dumpmap.model.memory import ExcerptMemory, Memory
from dumpmap.model.snapshot import (
    U64,
    Container,
    Counters,
    ExceptionRecord,
    Family,
    Module,
    OperatingSystem,
    Process,
    RecordedHeap,
    RecordedRange,
    Regions,
    Snapshot,
    Source,
    Stream,
    System,
    Thread,
    UnloadedModule,
    make_regions,
)
from dumpmap.parsers import linux_maps
from dumpmap.parsers.minidump import layout, records
from dumpmap.parsers.minidump.layout import StreamType
from dumpmap.parsers.minidump.memory import DumpMemory
from dumpmap.parsers.minidump.regions import checked_regions
from dumpmap.parsers.minidump.stability_report import read_stability_report
from dumpmap.sources.files import ByteSource, TruncatedError

MAX_STREAMS = 4096
"""More directory entries than this are not looked at; real writers use a few dozen."""

MAX_TRIES = 3
"""Of several streams of one type the first that can be read counts; so many are tried."""

MAX_STRING = 0x10000
"""Longest string that is read, in bytes: twice what a UNICODE_STRING can hold of a path."""

_Decoder = Callable[[memoryview, str, bool], tuple[str, int]]
"""A decoder of `codecs`: asked directly it costs a quarter of `str(data, encoding)`, and a dump has many names."""

_CODEVIEW = struct.Struct("<4sIHH8sI")
"""CV_INFO_PDB70 as `layout.CODEVIEW_RSDS` declares it, with the members of its GUID."""

_MODULE_FIELDS = layout.MODULE[
    [
        "BaseOfImage",
        "SizeOfImage",
        "CheckSum",
        "TimeDateStamp",
        "ModuleNameRva",
        "VersionSignature",
        "FileVersionMS",
        "FileVersionLS",
        "CvRecordSize",
        "CvRecordRva",
    ]
]
"""What is read of a module's record; the rest would only be turned into Python numbers."""

_HEADER = records.Reader(layout.HEADER)
_SYSTEM_INFO = records.Reader(layout.SYSTEM_INFO)
_MEMORY64_LIST_HEADER = records.Reader(layout.MEMORY64_LIST_HEADER)
_MEMORY_INFO_LIST_HEADER = records.Reader(layout.MEMORY_INFO_LIST_HEADER)
_EX_LIST_HEADER = records.Reader(layout.EX_LIST_HEADER)
_EXCEPTION_STREAM = records.Reader(layout.EXCEPTION_STREAM)
_SYSTEM_MEMORY_INFO_1 = records.Reader(layout.SYSTEM_MEMORY_INFO_1)
_PROCESS_VM_COUNTERS_1 = records.Reader(layout.PROCESS_VM_COUNTERS_1)
_PROCESS_VM_COUNTERS_2 = records.Reader(layout.PROCESS_VM_COUNTERS_2)
_BREAKPAD_INFO = records.Reader(layout.BREAKPAD_INFO)
_CRASHPAD_INFO = records.Reader(layout.CRASHPAD_INFO)
_HEAP_STREAM_HEADER = records.Reader(layout.HEAP_STREAM_HEADER)

_FIRST_LOOK = 300
"""Bytes of a string that are looked at first: a path of 148 letters."""

_FILETIME_EPOCH = dt.datetime(1601, 1, 1, tzinfo=dt.UTC)
_UNKNOWN_SIZE = (1 << 64) - 1

_HEAP_KINDS = {
    0: "unknown",
    1: "NT heap",
    2: "Segment heap",
    3: "Page heap",
    4: "Wine heap",
    16: "custom allocator",
}
_RANGE_KINDS = {0: "other", 1: "segment", 2: "large block", 3: "front end", 4: "arena"}


class _StreamProblemError(Exception):
    """A stream cannot be read; the text says why. Never leaves this module."""


@dataclass
class _Draft:
    """What the streams have yielded so far. Later streams add to earlier ones: a name to a thread, say."""

    architecture: str = "unknown"
    pointer_size: int = 8
    os: OperatingSystem = field(default_factory=lambda: OperatingSystem(family="other"))
    wow64: bool | None = None
    pid: int | None = None
    created_at: dt.datetime | None = None
    user_time: int | None = None
    kernel_time: int | None = None
    process_name: str | None = None
    command_line: str | None = None
    system: System = field(default_factory=System)
    counters: Counters = field(default_factory=Counters)
    regions: Regions | None = None
    linux_maps: list[linux_maps.Mapping] | None = None
    modules: list[Module] = field(default_factory=list)
    unloaded: list[UnloadedModule] = field(default_factory=list)
    threads: dict[int, Thread] = field(default_factory=dict)
    thread_names: dict[int, str] = field(default_factory=dict)
    thread_infos: dict[int, dict[str, Any]] = field(default_factory=dict)
    memory: list[tuple[U64, U64, U64]] = field(default_factory=list)
    """(addresses, sizes, file offsets) of each memory list."""
    exception: ExceptionRecord | None = None
    heaps: list[RecordedHeap] = field(default_factory=list)
    handle_count: int | None = None
    handle_types: dict[str, int] = field(default_factory=dict)
    comments: list[str] = field(default_factory=list)
    annotations: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


class _File:
    """Bounded access to the parts of the file."""

    def __init__(self, source: ByteSource, debug_ids: bool) -> None:
        self.view = source.view
        self.size = source.size
        self.debug_ids = debug_ids
        self._texts: dict[tuple[int, int], str | None] = {}
        # Strings of a real file do not overlap. A hostile one can point a million records into one long string.
        self._room_for_texts = source.size + MAX_STRING

    def data(self, rva: int, size: int) -> memoryview:
        try:
            return self.view(rva, size)
        except TruncatedError as error:
            raise _StreamProblemError(error.problem) from None

    def record(self, reader: records.Reader, rva: int, *, limit: int) -> Any:
        """Reads one record at `rva` in a part of the file of `limit` bytes."""
        if limit < reader.size:
            raise _StreamProblemError(f"{limit} bytes, at least {reader.size} are needed")
        return reader.parse(self.data(rva, reader.size))

    def array(
        self, dtype: np.dtype[Any], rva: int, count: int, *, limit: int, stride: int | None = None
    ) -> tuple[npt.NDArray[Any], str | None]:
        """Reads `count` records at `rva`, none of them beyond `limit` or the end of the file.

        Returns:
            the records that fit, and what is to be said where not all of them do.
        """
        stride = stride or dtype.itemsize
        if stride < dtype.itemsize:
            raise _StreamProblemError(f"entries of {stride} bytes, at least {dtype.itemsize} are needed")
        room = max(0, min(limit, self.size) - rva)
        # The last entry may lack what a newer writer appended to the others.
        fits = 0 if room < dtype.itemsize else (room - dtype.itemsize) // stride + 1
        problem = None
        if count > fits:
            problem = f"claims {count} entries, {fits} fit"
            count = fits
        if count == 0:
            return np.empty(0, dtype), problem
        data = self.data(rva, (count - 1) * stride + dtype.itemsize)
        if stride == dtype.itemsize:
            return np.frombuffer(data, dtype), problem
        raw = np.frombuffer(data, np.uint8)
        rows = np.lib.stride_tricks.as_strided(raw, (count, dtype.itemsize), (stride, 1))
        return np.ascontiguousarray(rows).view(dtype).reshape(count), problem

    def counted(self, dtype: np.dtype[Any], stream: Stream) -> tuple[npt.NDArray[Any], str | None]:
        """Reads a list that begins with a 32-bit count."""
        count = int.from_bytes(self.data(stream.offset, 4), "little")
        start = stream.offset + 4
        # Breakpad aligns the entries of such a list to 8 bytes where the writer's compiler did.
        if stream.size == 8 + count * dtype.itemsize:
            start += 4
        return self.array(dtype, start, count, limit=stream.offset + stream.size)

    def described(
        self, dtype: np.dtype[Any], stream: Stream, header: records.Reader, *, limit: int | None = None
    ) -> tuple[npt.NDArray[Any], str | None]:
        """Reads a list whose header states its own size, the size of an entry, and their number.

        Args:
            dtype: an entry.
            stream: the list.
            header: its header.
            limit: where the last entry ends at the latest; the end of the stream by default.
        """
        head = self.record(header, stream.offset, limit=stream.size)
        if not header.size <= head.SizeOfHeader <= stream.size:
            raise _StreamProblemError(f"SizeOfHeader is {head.SizeOfHeader}")
        start, end = stream.offset + head.SizeOfHeader, stream.offset + stream.size
        return self.array(dtype, start, head.NumberOfEntries, limit=limit or end, stride=head.SizeOfEntry)

    def text(self, rva: int) -> str | None:
        """Reads a MINIDUMP_STRING: a byte count and UTF-16; None where there is none."""
        return self._counted_text(rva, codecs.utf_16_le_decode, 2) if rva else None

    def utf8(self, rva: int) -> str | None:
        """Reads a Crashpad MinidumpUTF8String: a byte count and UTF-8."""
        return self._counted_text(rva, codecs.utf_8_decode, 1)

    def _counted_text(self, rva: int, decode: _Decoder, unit: int) -> str | None:
        key = rva, unit
        if key not in self._texts:
            self._texts[key] = self._decode(rva, decode, unit)
        return self._texts[key]

    def _decode(self, rva: int, decode: _Decoder, unit: int) -> str | None:
        # Most strings are short: one look gets the length and the text.
        taken = min(_FIRST_LOOK, self.size - rva)
        if taken < 4:
            return None
        data = self.view(rva, taken)
        length = int.from_bytes(data[:4], "little")
        if length > taken - 4 or length > self._room_for_texts:
            length = min(length, MAX_STRING, self.size - rva - 4, self._room_for_texts)
            data = self.view(rva, 4 + length)
        self._room_for_texts -= length
        text = decode(data[4 : 4 + length - length % unit], "replace", True)[0]
        return text.partition("\0")[0] if "\0" in text else text


def read_minidump(
    source: ByteSource, *, path: str | None = None, container: Container | None = None, debug_ids: bool = True
) -> Snapshot:
    """Reads a minidump.

    Args:
        source: the file's bytes, decompressed.
        path: where it lies, for the record.
        container: how it was wrapped, for the record.
        debug_ids: whether to read each module's CodeView record, which says what its debug file is; the map needs none.

    Raises:
        FormatError: it is no minidump, or no directory of streams can be read from it.
    """
    file = _File(source, debug_ids)
    try:
        header = file.record(_HEADER, 0, limit=file.size)
    except _StreamProblemError:
        raise FormatError("cut off inside the minidump header", source=source.name, place="offset 0x0") from None
    if header.Signature != layout.MINIDUMP_SIGNATURE:
        raise FormatError("not a minidump", source=source.name, place="offset 0x0")
    draft = _Draft()
    if header.Version & 0xFFFF != layout.MINIDUMP_VERSION:
        draft.warnings.append(f"header: version 0x{header.Version & 0xFFFF:x} is not a minidump's 0xa793")
    streams = _read_directory(file, source.name, header, draft)
    streams = _read_streams(file, streams, draft)
    _check_truncation(file, streams, draft)
    return _finish(source, file, header, streams, draft, path=path, container=container)


def _read_directory(file: _File, name: str, header: Any, draft: _Draft) -> list[Stream]:
    count = header.NumberOfStreams
    if count > MAX_STREAMS:
        draft.warnings.append(f"directory: claims {count} streams; the first {MAX_STREAMS} are looked at")
        count = MAX_STREAMS
    entries, problem = file.array(layout.DIRECTORY, header.StreamDirectoryRva, count, limit=file.size)
    place = f"directory at 0x{header.StreamDirectoryRva:x}"
    if len(entries) == 0:
        reason = "has no streams" if count == 0 else "cut off before the stream directory"
        raise FormatError(f"minidump {reason}", source=name, place=place)
    if problem:
        draft.warnings.append(f"{place}: {problem}")
    streams = []
    for number, size, rva in entries.tolist():
        if number:  # 0 is UnusedStream: a slot that the writer did not need
            streams.append(Stream(number, stream_name(number), rva, size))
    return streams


def stream_name(number: int) -> str:
    """The stream's name: the SDK's without its `Stream` ending, or its number where nobody named it."""
    return _STREAM_NAMES.get(number) or f"0x{number:x}"


_STREAM_NAMES = {int(stream_type): stream_type.name.removesuffix("Stream") for stream_type in StreamType}


def _read_streams(file: _File, streams: list[Stream], draft: _Draft) -> list[Stream]:
    """Reads the streams in the order that they need each other; returns them with their statuses."""
    done = list(streams)
    tries: dict[int, int] = {}
    for index in sorted(range(len(streams)), key=lambda index: _ORDER.get(streams[index].type, len(_ORDER))):
        stream = streams[index]
        reader = _READERS.get(stream.type)
        if reader is None:
            continue
        status = "read"
        tried = tries.get(stream.type, 0)
        if stream.size == 0:
            status = "empty"
        elif tried >= MAX_TRIES:
            # As MiniDumpReadDumpStream does; besides, a directory can name one long list four thousand times.
            status = "not read: a second stream of this type"
            if tried == MAX_TRIES:
                draft.warnings.append(f"{stream.name}: {status} (stream at 0x{stream.offset:x})")
            tries[stream.type] = tried + 1
        else:
            tries[stream.type] = tried + 1
            try:
                problem = reader(file, stream, draft)
                tries[stream.type] = MAX_TRIES
                status = problem or status
            except _StreamProblemError as error:
                status = str(error)
            except (ValueError, OverflowError) as error:  # a field outside what its type can hold
                status = f"not readable: {error}"
            if status != "read":
                draft.warnings.append(f"{stream.name}: {status} (stream at 0x{stream.offset:x})")
        done[index] = Stream(stream.type, stream.name, stream.offset, stream.size, status)
    return done


def _check_truncation(file: _File, streams: list[Stream], draft: _Draft) -> None:
    unread = [
        stream.name for stream in streams if stream.offset + stream.size > file.size and stream.status == "listed"
    ]
    if unread:
        names = ", ".join(unread[:5]) + (", ..." if len(unread) > 5 else "")
        draft.warnings.append(f"the file ends at 0x{file.size:x}, before the end of: {names}")


# ---------------------------------------------------------------- one function per stream
# Each fills in the draft and returns what is to be said where it could not read all; it raises where it read nothing.


def _system_info(file: _File, stream: Stream, draft: _Draft) -> str | None:
    info = file.record(_SYSTEM_INFO, stream.offset, limit=stream.size)
    architecture, pointer_size = layout.ARCHITECTURES.get(info.ProcessorArchitecture, ("unknown", 8))
    draft.architecture, draft.pointer_size = architecture, pointer_size
    if info.ProcessorArchitecture == layout.PROCESSOR_ARCHITECTURE_IA32_ON_WIN64:
        draft.wow64 = True
    family: Family = "other"
    known = layout.PLATFORMS.get(info.PlatformId)
    if known == "windows":
        family = "windows"
    elif known == "linux":
        family = "linux"
    elif known == "macos":
        family = "macos"
    draft.os = OperatingSystem(
        family=family,
        # Breakpad leaves the numbers out on Linux and puts the kernel's version into the service pack.
        version=f"{info.MajorVersion}.{info.MinorVersion}.{info.BuildNumber}" if info.MajorVersion else None,
        build=info.BuildNumber or None,
        service_pack=(file.text(info.CSDVersionRva) or None),
    )
    draft.system = replace(draft.system, processors=info.NumberOfProcessors or None)
    return None if architecture != "unknown" else f"unknown processor architecture {info.ProcessorArchitecture}"


def _misc_info(file: _File, stream: Stream, draft: _Draft) -> str | None:
    if stream.size < records.MISC_INFO_SIZE:
        raise _StreamProblemError(f"{stream.size} bytes, at least {records.MISC_INFO_SIZE} are needed")
    info = records.misc_info(bytes(file.data(stream.offset, records.MISC_INFO_SIZE)))
    draft.pid = info.process_id
    draft.created_at = _from_unix(info.create_time)
    draft.user_time, draft.kernel_time = info.user_time, info.kernel_time
    return None


def _from_unix(seconds: int | None) -> dt.datetime | None:
    return None if not seconds else dt.datetime.fromtimestamp(seconds, dt.UTC)


def _from_filetime(ticks: int) -> dt.datetime | None:
    if ticks == 0:
        return None
    try:
        return _FILETIME_EPOCH + dt.timedelta(microseconds=ticks // 10)
    except OverflowError:
        return None


def _add_memory(draft: _Draft, starts: U64, sizes: U64, offsets: U64, file_size: int) -> str | None:
    """Keeps the ranges whose bytes are in the file, cutting one that runs over its end."""
    if len(starts) == 0:
        return None
    # The usual case, where nothing is to be cut. No sum can overflow once both parts are known to be small.
    cut = (sizes > file_size) | (offsets < _HEADER.size) | (offsets > file_size) | (starts >= 1 << 63)
    if not np.count_nonzero(cut | (offsets + sizes > file_size)):
        draft.memory.append((starts, sizes, offsets))
        return None
    # Writers of full dumps give a thread's stack the RVA 0: its bytes are in Memory64List, not in the file's header.
    placed = offsets >= np.uint64(_HEADER.size)
    starts, sizes, offsets = starts[placed], sizes[placed], offsets[placed]
    with np.errstate(over="ignore"):
        ends = starts + sizes
    wrong = (ends < starts) & (ends != 0)
    # A range that ends exactly at 2**64 would have an end of 0; its last byte is given up.
    sizes = np.where((ends == 0) & (sizes > 0), sizes - np.uint64(1), sizes)
    left = np.where(offsets < np.uint64(file_size), np.uint64(file_size) - offsets, np.uint64(0))
    kept = np.minimum(sizes, left)
    kept[wrong] = 0
    missing = int(((kept < sizes) & ~wrong).sum())
    draft.memory.append((starts, kept, offsets))
    problems = []
    if missing:
        lost = int((sizes - kept)[~wrong].sum(dtype=np.float64))
        text = f"{missing} of {len(starts)} memory ranges reach beyond the end of the file"
        problems.append(f"{text}: {lost:,} of their bytes are missing")
    if wrong.any():
        problems.append(f"{int(wrong.sum())} memory ranges lie outside the address space")
    return "; ".join(problems) or None


def _joined(*problems: str | None) -> str | None:
    return "; ".join(problem for problem in problems if problem) or None


def _memory_list(file: _File, stream: Stream, draft: _Draft) -> str | None:
    entries, problem = file.counted(layout.MEMORY_DESCRIPTOR, stream)
    lost = _add_memory(
        draft,
        entries["StartOfMemoryRange"].astype(np.uint64),
        entries["DataSize"].astype(np.uint64),
        entries["Rva"].astype(np.uint64),
        file.size,
    )
    return _joined(problem, lost)


def _memory64_list(file: _File, stream: Stream, draft: _Draft) -> str | None:
    header = file.record(_MEMORY64_LIST_HEADER, stream.offset, limit=stream.size)
    start = stream.offset + _MEMORY64_LIST_HEADER.size
    # DataSize is 32 bits and wraps for a very long list: only the file's end bounds this one.
    entries, problem = file.array(layout.MEMORY_DESCRIPTOR64, start, header.NumberOfMemoryRanges, limit=file.size)
    if header.BaseRva > file.size:
        raise _StreamProblemError(f"memory begins at 0x{header.BaseRva:x}, the file ends at 0x{file.size:x}")
    sizes = entries["DataSize"].astype(np.uint64)
    # Sizes of a damaged list can add up beyond 64 bits: from the first that leaves the file, nothing more is in it.
    beyond = np.cumsum(sizes.astype(np.float64)) + header.BaseRva > 2.0**63
    first_beyond = int(beyond.argmax()) if beyond.any() else len(sizes)
    offsets = np.full(len(sizes), file.size, np.uint64)
    running = np.cumsum(sizes[:first_beyond]) + np.uint64(header.BaseRva)
    offsets[:first_beyond] = running - sizes[:first_beyond]
    lost = _add_memory(draft, entries["StartOfMemoryRange"].astype(np.uint64), sizes, offsets, file.size)
    return _joined(problem, lost)


def _memory_info_list(file: _File, stream: Stream, draft: _Draft) -> str | None:
    # DataSize is 32 bits and wraps for a very long list: only the file's end bounds this one.
    entries, problem = file.described(layout.MEMORY_INFO, stream, _MEMORY_INFO_LIST_HEADER, limit=file.size)
    if len(entries) == 0:
        raise _StreamProblemError(problem or "has no entries")
    regions, faults = checked_regions(
        Regions(
            base=np.ascontiguousarray(entries["BaseAddress"]),
            allocation_base=np.ascontiguousarray(entries["AllocationBase"]),
            allocation_protect=np.ascontiguousarray(entries["AllocationProtect"]),
            size=np.ascontiguousarray(entries["RegionSize"]),
            state=np.ascontiguousarray(entries["State"]),
            protect=np.ascontiguousarray(entries["Protect"]),
            type=np.ascontiguousarray(entries["Type"]),
        )
    )
    draft.regions = regions
    return _joined(problem, *faults)


def _thread_list(file: _File, stream: Stream, draft: _Draft) -> str | None:
    return _threads(file, stream, draft, layout.THREAD)


def _thread_ex_list(file: _File, stream: Stream, draft: _Draft) -> str | None:
    return _threads(file, stream, draft, layout.THREAD_EX)


def _threads(file: _File, stream: Stream, draft: _Draft, dtype: np.dtype[Any]) -> str | None:
    entries, problem = file.counted(dtype, stream)
    for row in entries.tolist():
        thread_id, suspended, _, _, teb, stack, stack_size, _, context_size, context_rva = row[:10]
        stack_pointer, instruction_pointer = _context(file, draft.architecture, context_rva, context_size)
        draft.threads[thread_id] = Thread(
            id=thread_id,
            teb=teb or None,
            stack_base=stack if stack_size else None,
            stack_size=stack_size or None,
            stack_pointer=stack_pointer,
            instruction_pointer=instruction_pointer,
            suspend_count=suspended,
        )
    lost = _add_memory(
        draft,
        entries["StackStart"].astype(np.uint64),
        entries["StackSize"].astype(np.uint64),
        entries["StackRva"].astype(np.uint64),
        file.size,
    )
    return _joined(problem, lost)


def _context(file: _File, architecture: str, rva: int, size: int) -> tuple[int | None, int | None]:
    """Reads the stack pointer and the instruction pointer out of a thread context."""
    where = layout.CONTEXT_POINTERS.get(architecture)
    if where is None or rva == 0:
        return None, None
    least, stack_at, instruction_at, width = where
    if size < least:
        return None, None
    # The x64 and ARM64 instruction pointer lies just behind what `least` must cover.
    try:
        data = file.data(rva, max(least, instruction_at + width))
    except _StreamProblemError:
        try:
            data = file.data(rva, least)
        except _StreamProblemError:
            return None, None
    stack = int.from_bytes(data[stack_at : stack_at + width], "little")
    instruction = int.from_bytes(data[instruction_at : instruction_at + width], "little")
    return stack or None, instruction if len(data) >= instruction_at + width and instruction else None


def _thread_info_list(file: _File, stream: Stream, draft: _Draft) -> str | None:
    entries, problem = file.described(layout.THREAD_INFO, stream, _EX_LIST_HEADER)
    for row in entries:
        draft.thread_infos[int(row["ThreadId"])] = {
            "created_at": _from_filetime(int(row["CreateTime"])),
            "start_address": int(row["StartAddress"]) or None,
            # MINIDUMP_THREAD_INFO_EXITED_THREAD
            "exited": bool(int(row["DumpFlags"]) & 0x4),
        }
    return problem


def _thread_names(file: _File, stream: Stream, draft: _Draft) -> str | None:
    entries, problem = file.counted(layout.THREAD_NAME, stream)
    for thread_id, rva in zip(entries["ThreadId"].tolist(), entries["RvaOfThreadName"].tolist(), strict=True):
        name = file.text(rva)
        if name:
            draft.thread_names[thread_id] = name
    return problem


def _module_list(file: _File, stream: Stream, draft: _Draft) -> str | None:
    entries, problem = file.counted(_MODULE_FIELDS, stream)
    impossible = 0
    add = draft.modules.append
    for row in entries.tolist():
        base, size, checksum, timestamp, name_rva, signature, version_ms, version_ls, cv_size, cv_rva = row
        if base + size > 1 << 64:
            impossible += 1
            continue
        debug_id, debug_file = _codeview(file, cv_rva, cv_size) if file.debug_ids else (None, None)
        version = None
        if signature == 0xFEEF04BD:  # VS_FFI_SIGNATURE
            version = f"{version_ms >> 16}.{version_ms & 0xFFFF}.{version_ls >> 16}.{version_ls & 0xFFFF}"
        add(Module(base, size, file.text(name_rva) or "", timestamp, checksum, version, debug_id, debug_file))
    wrong = f"{impossible} modules lie outside the address space" if impossible else None
    return _joined(problem, wrong)


def _codeview(file: _File, rva: int, size: int) -> tuple[str | None, str | None]:
    """Reads a CV_INFO_PDB70 record: the identity of the debug file, as symbol servers write it, and its path."""
    fixed = _CODEVIEW.size
    if size < fixed or rva == 0 or rva + size > file.size:
        return None, None
    data = bytes(file.view(rva, min(size, fixed + 1024)))
    signature, first, second, third, rest, age = _CODEVIEW.unpack_from(data)
    if signature != b"RSDS":
        return None, None
    path = data[fixed:].partition(b"\0")[0].decode("utf-8", "replace")
    # A format string takes twice the time, and a dump has hundreds of modules.
    identity = "%08X%04X%04X%s%X" % (first, second, third, rest.hex().upper(), age)  # noqa: UP031
    return identity, path or None


def _unloaded_module_list(file: _File, stream: Stream, draft: _Draft) -> str | None:
    entries, problem = file.described(layout.UNLOADED_MODULE, stream, _EX_LIST_HEADER)
    for base, size, _, timestamp, name_rva in entries.tolist():
        draft.unloaded.append(UnloadedModule(base, size, file.text(name_rva) or "", timestamp))
    return problem


def _exception(file: _File, stream: Stream, draft: _Draft) -> str | None:
    record = file.record(_EXCEPTION_STREAM, stream.offset, limit=stream.size)
    count = record.NumberParameters
    problem = None
    if count > 15:
        problem, count = f"claims {count} parameters, 15 fit", 15
    stack, instruction = _context(file, draft.architecture, record.ThreadContext.Rva, record.ThreadContext.DataSize)
    draft.exception = ExceptionRecord(
        thread_id=record.ThreadId or None,
        code=record.ExceptionCode,
        flags=record.ExceptionFlags,
        address=record.ExceptionAddress,
        parameters=tuple(record.ExceptionInformation[:count]),
        stack_pointer=stack,
        instruction_pointer=instruction,
    )
    return problem


def _handle_data(file: _File, stream: Stream, draft: _Draft) -> str | None:
    header = records.handle_data_header(bytes(file.data(stream.offset, records.HANDLE_DATA_HEADER_SIZE)))
    if not records.HANDLE_DATA_HEADER_SIZE <= header.size_of_header <= stream.size:
        raise _StreamProblemError(f"SizeOfHeader is {header.size_of_header}")
    entries, problem = file.array(
        layout.HANDLE_DESCRIPTOR,
        stream.offset + header.size_of_header,
        header.count,
        limit=stream.offset + stream.size,
        stride=header.size_of_descriptor,
    )
    draft.handle_count = len(entries)
    # A writer stores each type name once, so a handful of names is read however many handles there are.
    rvas, counts = np.unique(entries["TypeNameRva"], return_counts=True)
    for rva, count in zip(rvas.tolist(), counts.tolist(), strict=True):
        name = file.text(rva) or "unknown"
        draft.handle_types[name] = draft.handle_types.get(name, 0) + count
    return problem


def _system_memory_info(file: _File, stream: Stream, draft: _Draft) -> str | None:
    info = file.record(_SYSTEM_MEMORY_INFO_1, stream.offset, limit=stream.size)
    basic, perf = info.BasicInfo, info.BasicPerfInfo
    page = basic.PageSize
    if page < 512 or page & (page - 1):
        raise _StreamProblemError(f"page size is {page}")
    has_perf = bool(info.Flags & layout.SYSTEM_MEMORY_INFO_HAS_BASIC_PERF)
    draft.system = replace(
        draft.system,
        page_size=page,
        allocation_granularity=basic.AllocationGranularity or draft.system.allocation_granularity,
        min_address=basic.MinimumUserModeAddress,
        max_address=basic.MaximumUserModeAddress,
        processors=basic.NumberOfProcessors or draft.system.processors,
        physical_total=basic.NumberOfPhysicalPages * page,
        physical_available=perf.AvailablePages * page if has_perf else None,
        commit_total=perf.CommittedPages * page if has_perf else None,
        commit_limit=perf.CommitLimit * page if has_perf else None,
        commit_peak=perf.PeakCommitment * page if has_perf else None,
    )
    return None


def _process_vm_counters(file: _File, stream: Stream, draft: _Draft) -> str | None:
    revision = int.from_bytes(file.data(stream.offset, 2), "little")
    if revision == 1:
        record, flags = (
            file.record(_PROCESS_VM_COUNTERS_1, stream.offset, limit=stream.size),
            layout.VmCounterFlags(0x5),
        )
    elif revision == 2:
        record = file.record(_PROCESS_VM_COUNTERS_2, stream.offset, limit=stream.size)
        flags = layout.VmCounterFlags(record.Flags)
    else:
        raise _StreamProblemError(f"revision {revision} is not known")
    groups = layout.VmCounterFlags
    has_ex = bool(flags & (groups.MINIDUMP_PROCESS_VM_COUNTERS_EX | groups.MINIDUMP_PROCESS_VM_COUNTERS_EX2))
    has_size = bool(flags & groups.MINIDUMP_PROCESS_VM_COUNTERS_VIRTUALSIZE)
    has_ex2 = bool(flags & groups.MINIDUMP_PROCESS_VM_COUNTERS_EX2)
    in_job = bool(flags & groups.MINIDUMP_PROCESS_VM_COUNTERS_JOB)
    draft.counters = Counters(
        private_usage=record.PrivateUsage if has_ex else None,
        working_set=record.WorkingSetSize,
        peak_working_set=record.PeakWorkingSetSize,
        private_working_set=record.PrivateWorkingSetSize if has_ex2 else None,
        pagefile_usage=record.PagefileUsage,
        peak_pagefile_usage=record.PeakPagefileUsage,
        virtual_size=record.VirtualSize if has_size else None,
        peak_virtual_size=record.PeakVirtualSize if has_size else None,
        shared_commit_usage=record.SharedCommitUsage if has_ex2 else None,
        job_private_commit_usage=record.JobPrivateCommitUsage if in_job else None,
        job_peak_private_commit_usage=record.JobPeakPrivateCommitUsage if in_job else None,
        # Windows writes all ones for "no limit".
        job_private_commit_limit=_limit(record.JobPrivateCommitLimit) if in_job else None,
        job_total_commit_limit=_limit(record.JobTotalCommitLimit) if in_job else None,
    )
    return None


def _limit(value: int) -> int | None:
    return None if value in (0, _UNKNOWN_SIZE) else value


def _comment(encoding: str) -> Callable[[_File, Stream, _Draft], str | None]:
    def read(file: _File, stream: Stream, draft: _Draft) -> str | None:
        data = bytes(file.data(stream.offset, min(stream.size, MAX_STRING)))
        text = data.decode(encoding, "replace").rstrip("\0").strip()
        if text:
            draft.comments.append(text)
        return None

    return read


def _linux_text(file: _File, stream: Stream) -> str:
    room = max(0, min(stream.size, file.size - stream.offset))
    return bytes(file.data(stream.offset, room)).decode("utf-8", "replace")


def _linux_maps(file: _File, stream: Stream, draft: _Draft) -> str | None:
    text, cut = _linux_text(file, stream), None
    if stream.offset + stream.size > file.size:
        # The last line may look whole and name half a path.
        text, cut = text.rpartition("\n")[0], f"cut off by the end of the file at 0x{file.size:x}"
    mappings, bad = linux_maps.parse_maps(text)
    if not mappings:
        raise _StreamProblemError("holds no line of /proc/PID/maps")
    draft.linux_maps = mappings
    return _joined(cut, f"lines that are not of the form of /proc/PID/maps: {bad}" if bad else None)


def _linux_status(file: _File, stream: Stream, draft: _Draft) -> str | None:
    kb = {}
    for line in _linux_text(file, stream).splitlines():
        key, _, value = line.partition(":")
        value = value.strip()
        if key == "Name":
            draft.process_name = value
        elif key == "Pid" and value.isdigit():
            draft.pid = int(value)
        elif value.endswith(" kB") and value[:-3].strip().isdigit():
            kb[key] = int(value[:-3]) * 1024
    draft.counters = replace(
        draft.counters,
        virtual_size=kb.get("VmSize"),
        peak_virtual_size=kb.get("VmPeak"),
        working_set=kb.get("VmRSS"),
        peak_working_set=kb.get("VmHWM"),
        page_table=kb.get("VmPTE"),
    )
    return None


def _linux_command_line(file: _File, stream: Stream, draft: _Draft) -> str | None:
    draft.command_line = _linux_text(file, stream).rstrip("\0").replace("\0", " ") or None
    return None


def _breakpad_info(file: _File, stream: Stream, draft: _Draft) -> str | None:
    info = file.record(_BREAKPAD_INFO, stream.offset, limit=stream.size)
    if info.Validity & 0x2:
        draft.annotations["requesting_thread"] = str(info.RequestingThreadId)
    return None


def _crashpad_info(file: _File, stream: Stream, draft: _Draft) -> str | None:
    info = file.record(_CRASHPAD_INFO, stream.offset, limit=stream.size)
    where = info.SimpleAnnotations
    if where.DataSize < 4:
        return None
    count = int.from_bytes(file.data(where.Rva, 4), "little")
    entries, problem = file.array(layout.CRASHPAD_ANNOTATION, where.Rva + 4, count, limit=where.Rva + where.DataSize)
    for key_rva, value_rva in entries.tolist():
        key = file.utf8(key_rva)
        if key:
            draft.annotations[key] = file.utf8(value_rva) or ""
    return problem


def _stability_report(file: _File, stream: Stream, draft: _Draft) -> str | None:
    """Reads Chromium's own account of commit; what Windows' streams say goes first."""
    report = read_stability_report(bytes(file.data(stream.offset, stream.size)))
    if draft.system.commit_limit is None and report.commit_total is not None:
        draft.system = replace(draft.system, commit_limit=report.commit_limit, commit_total=report.commit_total)
    process = report.process(draft.pid)
    if process is not None:
        if draft.counters.private_usage is None:
            draft.counters = replace(draft.counters, private_usage=process.private_usage)
        if process.allocation_attempt:
            draft.annotations["process_allocation_attempt"] = str(process.allocation_attempt)
    return report.problem


def _heap_stream(file: _File, stream: Stream, draft: _Draft) -> str | None:
    """Reads dumpmap's own heap stream; docs/heap-stream.md describes it."""
    header = file.record(_HEAP_STREAM_HEADER, stream.offset, limit=stream.size)
    if header.Signature != StreamType.DumpmapHeaps or header.Version < 1:
        raise _StreamProblemError("does not begin with the signature and version of a heap stream")
    end = stream.offset + stream.size
    if not _HEAP_STREAM_HEADER.size <= header.SizeOfHeader <= stream.size:
        raise _StreamProblemError(f"SizeOfHeader is {header.SizeOfHeader}")
    start = stream.offset + header.SizeOfHeader
    heaps, problem = file.array(
        layout.HEAP_STREAM_HEAP, start, header.NumberOfHeaps, limit=end, stride=header.SizeOfHeapEntry
    )
    start += header.NumberOfHeaps * header.SizeOfHeapEntry
    ranges, lost = file.array(
        layout.HEAP_STREAM_RANGE, start, header.NumberOfRanges, limit=end, stride=header.SizeOfRangeEntry
    )
    strings = b""
    if header.StringsSize:
        strings = bytes(file.data(stream.offset + header.StringsOffset, min(header.StringsSize, stream.size)))
    names: dict[int, str | None] = {}
    room = len(strings) + MAX_STRING  # for all names together: names of a real stream do not overlap
    by_heap: dict[int, list[RecordedRange]] = {}
    impossible = 0
    for base, size, committed, heap_id, kind, _, _ in ranges.tolist():
        if size == 0 or base + size > 1 << 64:
            impossible += 1
            continue
        by_heap.setdefault(heap_id, []).append(
            RecordedRange(
                base, size, None if committed == _UNKNOWN_SIZE else committed, _RANGE_KINDS.get(kind, f"kind {kind}")
            )
        )
    for address, heap_id, kind, flags, name_offset, _ in heaps.tolist():
        if name_offset < len(strings) and name_offset not in names:
            text = strings[name_offset : name_offset + min(MAX_STRING, room)].split(b"\0", 1)[0]
            room -= len(text)
            names[name_offset] = text.decode("utf-8", "replace") or None
        draft.heaps.append(
            RecordedHeap(
                id=heap_id,
                kind=_HEAP_KINDS.get(kind, f"kind {kind}"),
                name=names.get(name_offset),
                address=address or None,
                flags=flags,
                ranges=tuple(by_heap.pop(heap_id, ())),
            )
        )
    orphans = sum(map(len, by_heap.values()))
    return _joined(
        problem,
        lost,
        f"{impossible} ranges have no size or an impossible one" if impossible else None,
        f"{orphans} ranges belong to no heap of the stream" if orphans else None,
    )


_READERS: dict[int, Callable[[_File, Stream, _Draft], str | None]] = {
    # In this order: the architecture first, because thread contexts depend on it.
    StreamType.SystemInfoStream: _system_info,
    StreamType.MiscInfoStream: _misc_info,
    StreamType.SystemMemoryInfoStream: _system_memory_info,
    StreamType.ProcessVmCountersStream: _process_vm_counters,
    StreamType.ChromiumStabilityReport: _stability_report,
    StreamType.MemoryInfoListStream: _memory_info_list,
    StreamType.Memory64ListStream: _memory64_list,
    StreamType.MemoryListStream: _memory_list,
    StreamType.ThreadListStream: _thread_list,
    StreamType.ThreadExListStream: _thread_ex_list,
    StreamType.ThreadInfoListStream: _thread_info_list,
    StreamType.ThreadNamesStream: _thread_names,
    StreamType.ModuleListStream: _module_list,
    StreamType.UnloadedModuleListStream: _unloaded_module_list,
    StreamType.ExceptionStream: _exception,
    StreamType.HandleDataStream: _handle_data,
    StreamType.CommentStreamA: _comment("utf-8"),
    StreamType.CommentStreamW: _comment("utf-16-le"),
    StreamType.LinuxMaps: _linux_maps,
    StreamType.LinuxProcStatus: _linux_status,
    StreamType.LinuxCmdLine: _linux_command_line,
    StreamType.BreakpadInfo: _breakpad_info,
    StreamType.CrashpadInfo: _crashpad_info,
    StreamType.DumpmapHeaps: _heap_stream,
}

_SYSTEM_INFO_STREAM = int(StreamType.SystemInfoStream)
_ORDER = {int(number): rank for rank, number in enumerate(_READERS)}


def _finish(
    source: ByteSource,
    file: _File,
    header: Any,
    streams: list[Stream],
    draft: _Draft,
    *,
    path: str | None,
    container: Container | None,
) -> Snapshot:
    regions = draft.regions
    if regions is None and draft.linux_maps:
        image_paths = {module.path for module in draft.modules}
        rows, names = linux_maps.rows(draft.linux_maps, image_paths)
        regions, faults = checked_regions(make_regions(rows, texts={"file": names}))
        draft.warnings.extend(f"LinuxMaps: {fault}" for fault in faults)
    if _SYSTEM_INFO_STREAM not in [stream.type for stream in streams]:
        draft.warnings.append("no SystemInfo: the architecture and the system are not known")
    threads = list(draft.threads.values())
    if draft.thread_names or draft.thread_infos:
        named, infos = draft.thread_names, draft.thread_infos
        threads = [
            msgspec.structs.replace(thread, name=named.get(thread.id), **infos.get(thread.id, {})) for thread in threads
        ]
    main = _main_module(draft)
    memory = _memory(source, draft)
    return Snapshot(
        source=Source(
            kind="minidump",
            name=source.name.replace("\\", "/").rsplit("/", 1)[-1],
            path=path,
            size=file.size,
            captured_at=_from_unix(header.TimeDateStamp),
            flags=header.Flags,
            streams=tuple(streams),
            container=container,
        ),
        process=Process(
            pid=draft.pid,
            name=draft.process_name or (main.name if main else None),
            path=main.path if main else None,
            command_line=draft.command_line,
            architecture=draft.architecture,
            pointer_size=draft.pointer_size,
            wow64=draft.wow64,
            os=draft.os,
            created_at=draft.created_at,
            user_time=draft.user_time,
            kernel_time=draft.kernel_time,
        ),
        system=replace(draft.system, allocation_granularity=0x1000) if draft.os.family == "linux" else draft.system,
        counters=draft.counters,
        regions=regions,
        modules=tuple(draft.modules),
        unloaded_modules=tuple(draft.unloaded),
        threads=tuple(threads),
        heaps=tuple(draft.heaps),
        exception=draft.exception,
        handle_count=draft.handle_count,
        handle_types=draft.handle_types,
        comments=tuple(draft.comments),
        annotations=draft.annotations,
        memory=memory,
        captured=tuple(memory.ranges()) if regions is None else (),
        warnings=tuple(draft.warnings),
    )


def _main_module(draft: _Draft) -> Module | None:
    """The program: writers list it first, but for one seen in the wild that sorts by address."""
    if not draft.modules:
        return None
    if draft.os.family == "windows":
        for module in draft.modules:
            if module.path.lower().endswith(".exe"):
                return module
    return draft.modules[0]


def _memory(source: ByteSource, draft: _Draft) -> Memory:
    if not draft.memory:
        return ExcerptMemory()
    starts, sizes, offsets = (np.concatenate(parts) for parts in zip(*draft.memory, strict=True))
    return DumpMemory(source, starts, sizes, offsets)
