"""Record layouts against the numbers of the Windows SDK, and NumPy's form against construct's.

The tables below were written down from minidumpapiset.h (packed to 4 bytes), not derived from the code.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import construct
import numpy as np
import pytest
from support.dumps import read, tiny
from synth.minidump import MISC_INFO

from dumpmap.parsers.minidump import layout, records

DTYPES: dict[str, tuple[int, dict[str, int]]] = {
    "DIRECTORY": (12, {"StreamType": 0, "DataSize": 4, "Rva": 8}),
    "THREAD": (
        48,
        {
            "ThreadId": 0,
            "SuspendCount": 4,
            "PriorityClass": 8,
            "Priority": 12,
            "Teb": 16,
            "StackStart": 24,
            "StackSize": 32,
            "StackRva": 36,
            "ContextSize": 40,
            "ContextRva": 44,
        },
    ),
    "THREAD_EX": (
        64,
        {
            "ThreadId": 0,
            "Teb": 16,
            "ContextRva": 44,
            "BackingStoreStart": 48,
            "BackingStoreSize": 56,
            "BackingStoreRva": 60,
        },
    ),
    "THREAD_INFO": (
        64,
        {
            "ThreadId": 0,
            "DumpFlags": 4,
            "DumpError": 8,
            "ExitStatus": 12,
            "CreateTime": 16,
            "ExitTime": 24,
            "KernelTime": 32,
            "UserTime": 40,
            "StartAddress": 48,
            "Affinity": 56,
        },
    ),
    "THREAD_NAME": (12, {"ThreadId": 0, "RvaOfThreadName": 4}),
    "MODULE": (
        108,
        {
            "BaseOfImage": 0,
            "SizeOfImage": 8,
            "CheckSum": 12,
            "TimeDateStamp": 16,
            "ModuleNameRva": 20,
            "VersionSignature": 24,
            "VersionStruct": 28,
            "FileVersionMS": 32,
            "FileVersionLS": 36,
            "CvRecordSize": 76,
            "CvRecordRva": 80,
            "MiscRecordSize": 84,
            "MiscRecordRva": 88,
            "Reserved0": 92,
            "Reserved1": 100,
        },
    ),
    "UNLOADED_MODULE": (
        24,
        {"BaseOfImage": 0, "SizeOfImage": 8, "CheckSum": 12, "TimeDateStamp": 16, "ModuleNameRva": 20},
    ),
    "MEMORY_DESCRIPTOR": (16, {"StartOfMemoryRange": 0, "DataSize": 8, "Rva": 12}),
    "MEMORY_DESCRIPTOR64": (16, {"StartOfMemoryRange": 0, "DataSize": 8}),
    "MEMORY_INFO": (
        48,
        {
            "BaseAddress": 0,
            "AllocationBase": 8,
            "AllocationProtect": 16,
            "RegionSize": 24,
            "State": 32,
            "Protect": 36,
            "Type": 40,
        },
    ),
    "HANDLE_DESCRIPTOR": (
        32,
        {
            "Handle": 0,
            "TypeNameRva": 8,
            "ObjectNameRva": 12,
            "Attributes": 16,
            "GrantedAccess": 20,
            "HandleCount": 24,
            "PointerCount": 28,
        },
    ),
    "CRASHPAD_ANNOTATION": (8, {"KeyRva": 0, "ValueRva": 4}),
    "CRASHPAD_ANNOTATION_OBJECT": (12, {"NameRva": 0, "Type": 4, "Reserved": 6, "ValueRva": 8}),
    "CRASHPAD_MODULE_LINK": (12, {"ModuleListIndex": 0, "DataSize": 4, "Rva": 8}),
    "CRASHPAD_RVA": (4, {"Rva": 0}),
    "HEAP_STREAM_HEAP": (32, {"Address": 0, "Id": 8, "Kind": 12, "Flags": 16, "NameOffset": 20}),
    "HEAP_STREAM_RANGE": (40, {"Base": 0, "Size": 8, "Committed": 16, "HeapId": 24, "Kind": 28, "Flags": 32}),
}

RECORDS: dict[str, tuple[int, dict[str, int]]] = {
    "HEADER": (
        32,
        {
            "Signature": 0,
            "Version": 4,
            "NumberOfStreams": 8,
            "StreamDirectoryRva": 12,
            "CheckSum": 16,
            "TimeDateStamp": 20,
            "Flags": 24,
        },
    ),
    "EX_LIST_HEADER": (12, {"SizeOfHeader": 0, "SizeOfEntry": 4, "NumberOfEntries": 8}),
    "MEMORY_INFO_LIST_HEADER": (16, {"SizeOfHeader": 0, "SizeOfEntry": 4, "NumberOfEntries": 8}),
    "MEMORY64_LIST_HEADER": (16, {"NumberOfMemoryRanges": 0, "BaseRva": 8}),
    "SYSTEM_INFO": (
        56,
        {
            "ProcessorArchitecture": 0,
            "ProcessorLevel": 2,
            "ProcessorRevision": 4,
            "NumberOfProcessors": 6,
            "ProductType": 7,
            "MajorVersion": 8,
            "MinorVersion": 12,
            "BuildNumber": 16,
            "PlatformId": 20,
            "CSDVersionRva": 24,
            "SuiteMask": 28,
            "Cpu": 32,
        },
    ),
    "MISC_INFO": (
        24,
        {
            "SizeOfInfo": 0,
            "Flags1": 4,
            "ProcessId": 8,
            "ProcessCreateTime": 12,
            "ProcessUserTime": 16,
            "ProcessKernelTime": 20,
        },
    ),
    "EXCEPTION_STREAM": (
        168,
        {
            "ThreadId": 0,
            "ExceptionCode": 8,
            "ExceptionFlags": 12,
            "ExceptionRecord": 16,
            "ExceptionAddress": 24,
            "NumberParameters": 32,
            "ExceptionInformation": 40,
            "ThreadContext": 160,
        },
    ),
    "SYSTEM_MEMORY_INFO_1": (
        # Of 492 bytes; PerfInfo, the last 344, is not read.
        148,
        {"Revision": 0, "Flags": 2, "BasicInfo": 4, "FileCacheInfo": 56, "BasicPerfInfo": 116},
    ),
    "PROCESS_VM_COUNTERS_1": (
        80,
        {
            "Revision": 0,
            "PageFaultCount": 4,
            "PeakWorkingSetSize": 8,
            "WorkingSetSize": 16,
            "PagefileUsage": 56,
            "PeakPagefileUsage": 64,
            "PrivateUsage": 72,
        },
    ),
    "PROCESS_VM_COUNTERS_2": (
        152,
        {
            "Revision": 0,
            "Flags": 2,
            "PageFaultCount": 4,
            "PeakWorkingSetSize": 8,
            "WorkingSetSize": 16,
            "PagefileUsage": 56,
            "PeakPagefileUsage": 64,
            "PeakVirtualSize": 72,
            "VirtualSize": 80,
            "PrivateUsage": 88,
            "PrivateWorkingSetSize": 96,
            "SharedCommitUsage": 104,
            "JobSharedCommitUsage": 112,
            "JobPrivateCommitUsage": 120,
            "JobPeakPrivateCommitUsage": 128,
            "JobPrivateCommitLimit": 136,
            "JobTotalCommitLimit": 144,
        },
    ),
    "CRASHPAD_MODULE_INFO": (
        28,
        {"Version": 0, "ListAnnotations": 4, "SimpleAnnotations": 12, "AnnotationObjects": 20},
    ),
    "CRASHPAD_INFO": (52, {"Version": 0, "ReportId": 4, "ClientId": 20, "SimpleAnnotations": 36, "ModuleList": 44}),
    "BREAKPAD_ASSERTION_INFO": (776, {"Expression": 0, "Function": 256, "File": 512, "Line": 768, "Type": 772}),
    "BREAKPAD_INFO": (12, {"Validity": 0, "DumpThreadId": 4, "RequestingThreadId": 8}),
    "CODEVIEW_RSDS": (24, {"Signature": 0, "Guid": 4, "Age": 20}),
    "HEAP_STREAM_HEADER": (
        32,
        {
            "Signature": 0,
            "Version": 4,
            "SizeOfHeader": 6,
            "SizeOfHeapEntry": 8,
            "NumberOfHeaps": 12,
            "SizeOfRangeEntry": 16,
            "NumberOfRanges": 20,
            "StringsOffset": 24,
            "StringsSize": 28,
        },
    ),
}

NESTED = {
    ("SYSTEM_MEMORY_INFO_1", "BasicInfo"): {
        "PageSize": 4,
        "NumberOfPhysicalPages": 8,
        "AllocationGranularity": 20,
        "MinimumUserModeAddress": 24,
        "MaximumUserModeAddress": 32,
        "NumberOfProcessors": 48,
    },
    ("SYSTEM_MEMORY_INFO_1", "BasicPerfInfo"): {
        "AvailablePages": 0,
        "CommittedPages": 8,
        "CommitLimit": 16,
        "PeakCommitment": 24,
    },
}


def offsets(declaration: Any) -> dict[str, tuple[int, int]]:
    """(offset, size) of every named member of a construct declaration."""
    found, at = {}, 0
    for member in declaration.subcons:
        size = member.sizeof()
        if member.name:
            found[member.name] = (at, size)
        at += size
    return found


@pytest.mark.parametrize("name", DTYPES)
def test_flat_arrays_have_the_sdks_sizes_and_offsets(name: str) -> None:
    size, fields = DTYPES[name]
    dtype: np.dtype[Any] = getattr(layout, name)
    assert dtype.itemsize == size
    assert dtype.fields is not None
    for field, offset in fields.items():
        assert dtype.fields[field][1] == offset, field


def test_every_flat_array_of_the_module_is_in_the_table() -> None:
    declared = {
        name for name, value in vars(layout).items() if isinstance(value, np.dtype) and not name.startswith("_")
    }
    assert declared == set(DTYPES)


@pytest.mark.parametrize("name", RECORDS)
def test_single_records_have_the_sdks_sizes_and_offsets(name: str) -> None:
    size, fields = RECORDS[name]
    declaration = getattr(layout, name)
    assert declaration.sizeof() == size
    members = offsets(declaration)
    for field, offset in fields.items():
        assert members[field][0] == offset, field


@pytest.mark.parametrize(("record", "member"), NESTED)
def test_nested_records(record: str, member: str) -> None:
    declaration = next(part for part in getattr(layout, record).subcons if part.name == member)
    members = offsets(declaration.subcon)
    for field, offset in NESTED[record, member].items():
        assert members[field][0] == offset, field


def construct_form(dtype: np.dtype[Any]) -> Any:
    """The same record in construct, member by member from the SDK's packing: no holes but the declared ones."""
    assert dtype.names is not None
    assert dtype.fields is not None
    members = []
    for name in dtype.names:
        kind = dtype.fields[name][0]
        count = int(np.prod(kind.shape)) if kind.shape else 0
        field = {2: construct.Int16ul, 4: construct.Int32ul, 8: construct.Int64ul}[kind.base.itemsize]
        members.append(name / (field[count] if count else field))
    return construct.Struct(*members)


@pytest.mark.parametrize("name", DTYPES)
def test_numpy_and_construct_read_the_same_values(name: str) -> None:
    dtype: np.dtype[Any] = getattr(layout, name)
    declaration = construct_form(dtype)
    assert declaration.sizeof() == dtype.itemsize
    data = bytes((7 * index + 3) % 256 for index in range(dtype.itemsize))
    one, other = np.frombuffer(data, dtype)[0], declaration.parse(data)
    for field in dtype.names or ():
        value = one[field]
        assert (value.tolist() if value.ndim else int(value)) == (
            list(other[field]) if isinstance(other[field], list) else other[field]
        )


def test_the_record_of_the_minidump_package_has_the_sdks_size_and_offsets() -> None:
    assert records.HANDLE_DATA_HEADER_SIZE == 16
    header = records.handle_data_header(b"".join(value.to_bytes(4, "little") for value in (16, 40, 5, 0)))
    assert (header.size_of_header, header.size_of_descriptor, header.count) == (16, 40, 5)


@pytest.mark.parametrize(("flags", "pid", "create"), [(0, None, None), (1, 42, None), (2, None, 1000), (3, 42, 1000)])
def test_misc_info_fields_count_only_with_their_flag(flags: int, pid: int | None, create: int | None) -> None:
    data = b"".join(value.to_bytes(4, "little") for value in (24, flags, 42, 1000, 7, 9))
    process = read(tiny().raw_stream(MISC_INFO, data)).process
    created = None if create is None else dt.datetime.fromtimestamp(create, dt.UTC)
    assert (process.pid, process.created_at) == (pid, created)
    assert (process.user_time, process.kernel_time) == ((None, None) if create is None else (7, 9))


@pytest.mark.parametrize("arch", ["x86", "x64", "arm", "arm64"])
def test_stack_and_instruction_pointer_of_a_context(arch: str) -> None:
    least, stack_at, instruction_at, width = layout.CONTEXT_POINTERS[arch]
    wanted = {
        "x86": (0xC4, 0xB8, 4),  # Esp, Eip
        "x64": (0x98, 0xF8, 8),  # Rsp, Rip
        "arm": (0x38, 0x40, 4),  # Sp, Pc
        "arm64": (0x100, 0x108, 8),  # Sp, Pc
    }[arch]
    assert (stack_at, instruction_at, width) == wanted
    assert least >= stack_at + width
