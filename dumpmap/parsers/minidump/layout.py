"""Structures of a minidump file, with the names of the Windows SDK (minidumpapiset.h) and no logic.

Flat arrays are NumPy dtypes, because a process can have a million regions; everything else is declared with construct.
Sizes are asserted against the SDK's. All fields are little-endian and packed to 4 bytes. The numbers of the streams
are in their entries: see `dumpmap.parsers.minidump.registry`.

Reference: Microsoft Learn, "minidumpapiset.h header"; the Breakpad and Crashpad streams are described in
google_breakpad/common/minidump_format.h and crashpad/minidump/minidump_extensions.h.
"""

from __future__ import annotations

from typing import Any

import construct as c
import numpy as np

from dumpmap.model.systems import Family

MINIDUMP_SIGNATURE = b"MDMP"
MINIDUMP_VERSION = 0xA793
"""Low 16 bits of MINIDUMP_HEADER.Version; the high half is the writer's own."""


# ---------------------------------------------------------------- flat arrays

DIRECTORY = np.dtype([("StreamType", "<u4"), ("DataSize", "<u4"), ("Rva", "<u4")])
THREAD = np.dtype(
    [
        ("ThreadId", "<u4"),
        ("SuspendCount", "<u4"),
        ("PriorityClass", "<u4"),
        ("Priority", "<u4"),
        ("Teb", "<u8"),
        ("StackStart", "<u8"),
        ("StackSize", "<u4"),
        ("StackRva", "<u4"),
        ("ContextSize", "<u4"),
        ("ContextRva", "<u4"),
    ]
)
THREAD_EX = np.dtype(
    [*THREAD.descr, ("BackingStoreStart", "<u8"), ("BackingStoreSize", "<u4"), ("BackingStoreRva", "<u4")]
)
THREAD_INFO = np.dtype(
    [
        ("ThreadId", "<u4"),
        ("DumpFlags", "<u4"),
        ("DumpError", "<u4"),
        ("ExitStatus", "<u4"),
        ("CreateTime", "<u8"),
        ("ExitTime", "<u8"),
        ("KernelTime", "<u8"),
        ("UserTime", "<u8"),
        ("StartAddress", "<u8"),
        ("Affinity", "<u8"),
    ]
)
THREAD_NAME = np.dtype([("ThreadId", "<u4"), ("RvaOfThreadName", "<u8")])
MODULE = np.dtype(
    [
        ("BaseOfImage", "<u8"),
        ("SizeOfImage", "<u4"),
        ("CheckSum", "<u4"),
        ("TimeDateStamp", "<u4"),
        ("ModuleNameRva", "<u4"),
        ("VersionSignature", "<u4"),
        ("VersionStruct", "<u4"),
        ("FileVersionMS", "<u4"),
        ("FileVersionLS", "<u4"),
        ("VersionRest", "<u4", (9,)),
        ("CvRecordSize", "<u4"),
        ("CvRecordRva", "<u4"),
        ("MiscRecordSize", "<u4"),
        ("MiscRecordRva", "<u4"),
        ("Reserved0", "<u8"),
        ("Reserved1", "<u8"),
    ]
)
UNLOADED_MODULE = np.dtype(
    [
        ("BaseOfImage", "<u8"),
        ("SizeOfImage", "<u4"),
        ("CheckSum", "<u4"),
        ("TimeDateStamp", "<u4"),
        ("ModuleNameRva", "<u4"),
    ]
)
MEMORY_DESCRIPTOR = np.dtype([("StartOfMemoryRange", "<u8"), ("DataSize", "<u4"), ("Rva", "<u4")])
MEMORY_DESCRIPTOR64 = np.dtype([("StartOfMemoryRange", "<u8"), ("DataSize", "<u8")])
MEMORY_INFO = np.dtype(
    [
        ("BaseAddress", "<u8"),
        ("AllocationBase", "<u8"),
        ("AllocationProtect", "<u4"),
        ("__alignment1", "<u4"),
        ("RegionSize", "<u8"),
        ("State", "<u4"),
        ("Protect", "<u4"),
        ("Type", "<u4"),
        ("__alignment2", "<u4"),
    ]
)
HANDLE_DESCRIPTOR = np.dtype(
    [
        ("Handle", "<u8"),
        ("TypeNameRva", "<u4"),
        ("ObjectNameRva", "<u4"),
        ("Attributes", "<u4"),
        ("GrantedAccess", "<u4"),
        ("HandleCount", "<u4"),
        ("PointerCount", "<u4"),
    ]
)
"""Version 2 (40 bytes) begins with the same fields."""
CRASHPAD_ANNOTATION = np.dtype([("KeyRva", "<u4"), ("ValueRva", "<u4")])
CRASHPAD_ANNOTATION_OBJECT = np.dtype([("NameRva", "<u4"), ("Type", "<u2"), ("Reserved", "<u2"), ("ValueRva", "<u4")])
CRASHPAD_MODULE_LINK = np.dtype([("ModuleListIndex", "<u4"), ("DataSize", "<u4"), ("Rva", "<u4")])
CRASHPAD_RVA = np.dtype([("Rva", "<u4")])

HEAP_STREAM_HEAP = np.dtype(
    [
        ("Address", "<u8"),
        ("Id", "<u4"),
        ("Kind", "<u4"),
        ("Flags", "<u4"),
        ("NameOffset", "<u4"),
        ("Reserved", "<u8"),
    ]
)
HEAP_STREAM_RANGE = np.dtype(
    [
        ("Base", "<u8"),
        ("Size", "<u8"),
        ("Committed", "<u8"),
        ("HeapId", "<u4"),
        ("Kind", "<u4"),
        ("Flags", "<u4"),
        ("Reserved", "<u4"),
    ]
)

_SDK_SIZES = {
    "DIRECTORY": (DIRECTORY, 12),
    "THREAD": (THREAD, 48),
    "THREAD_EX": (THREAD_EX, 64),
    "THREAD_INFO": (THREAD_INFO, 64),
    "THREAD_NAME": (THREAD_NAME, 12),
    "MODULE": (MODULE, 108),
    "UNLOADED_MODULE": (UNLOADED_MODULE, 24),
    "MEMORY_DESCRIPTOR": (MEMORY_DESCRIPTOR, 16),
    "MEMORY_DESCRIPTOR64": (MEMORY_DESCRIPTOR64, 16),
    "MEMORY_INFO": (MEMORY_INFO, 48),
    "HANDLE_DESCRIPTOR": (HANDLE_DESCRIPTOR, 32),
    "HEAP_STREAM_HEAP": (HEAP_STREAM_HEAP, 32),
    "HEAP_STREAM_RANGE": (HEAP_STREAM_RANGE, 40),
}
for _name, (_dtype, _size) in _SDK_SIZES.items():
    if _dtype.itemsize != _size:  # pragma: no cover - a wrong declaration above
        raise AssertionError(f"{_name} is {_dtype.itemsize} bytes, the SDK says {_size}")

# ---------------------------------------------------------------- headers and single records

LOCATION_DESCRIPTOR = c.Struct("DataSize" / c.Int32ul, "Rva" / c.Int32ul)

HEADER = c.Struct(
    "Signature" / c.Bytes(4),
    "Version" / c.Int32ul,
    "NumberOfStreams" / c.Int32ul,
    "StreamDirectoryRva" / c.Int32ul,
    "CheckSum" / c.Int32ul,
    "TimeDateStamp" / c.Int32ul,
    "Flags" / c.Int64ul,
)

EX_LIST_HEADER = c.Struct("SizeOfHeader" / c.Int32ul, "SizeOfEntry" / c.Int32ul, "NumberOfEntries" / c.Int32ul)
"""MINIDUMP_THREAD_INFO_LIST and MINIDUMP_UNLOADED_MODULE_LIST."""

MEMORY_INFO_LIST_HEADER = c.Struct("SizeOfHeader" / c.Int32ul, "SizeOfEntry" / c.Int32ul, "NumberOfEntries" / c.Int64ul)

MEMORY64_LIST_HEADER = c.Struct("NumberOfMemoryRanges" / c.Int64ul, "BaseRva" / c.Int64ul)

SYSTEM_INFO = c.Struct(
    "ProcessorArchitecture" / c.Int16ul,
    "ProcessorLevel" / c.Int16ul,
    "ProcessorRevision" / c.Int16ul,
    "NumberOfProcessors" / c.Int8ul,
    "ProductType" / c.Int8ul,
    "MajorVersion" / c.Int32ul,
    "MinorVersion" / c.Int32ul,
    "BuildNumber" / c.Int32ul,
    "PlatformId" / c.Int32ul,
    "CSDVersionRva" / c.Int32ul,
    "SuiteMask" / c.Int16ul,
    "Reserved2" / c.Int16ul,
    "Cpu" / c.Bytes(24),
)

MISC_INFO = c.Struct(
    "SizeOfInfo" / c.Int32ul,
    "Flags1" / c.Int32ul,
    "ProcessId" / c.Int32ul,
    "ProcessCreateTime" / c.Int32ul,
    "ProcessUserTime" / c.Int32ul,
    "ProcessKernelTime" / c.Int32ul,
)
"""MINIDUMP_MISC_INFO; versions 2 to 5 begin with the same fields. Times are seconds."""

MISC1_PROCESS_ID = 0x1
"""MINIDUMP_MISC1_PROCESS_ID: ProcessId is filled in."""

MISC1_PROCESS_TIMES = 0x2
"""MINIDUMP_MISC1_PROCESS_TIMES: the three times are filled in."""

EXCEPTION_STREAM = c.Struct(
    "ThreadId" / c.Int32ul,
    "__alignment" / c.Int32ul,
    "ExceptionCode" / c.Int32ul,
    "ExceptionFlags" / c.Int32ul,
    "ExceptionRecord" / c.Int64ul,
    "ExceptionAddress" / c.Int64ul,
    "NumberParameters" / c.Int32ul,
    "__unusedAlignment" / c.Int32ul,
    "ExceptionInformation" / c.Int64ul[15],
    "ThreadContext" / LOCATION_DESCRIPTOR,
)

SYSTEM_BASIC_INFORMATION = c.Struct(
    "TimerResolution" / c.Int32ul,
    "PageSize" / c.Int32ul,
    "NumberOfPhysicalPages" / c.Int32ul,
    "LowestPhysicalPageNumber" / c.Int32ul,
    "HighestPhysicalPageNumber" / c.Int32ul,
    "AllocationGranularity" / c.Int32ul,
    "MinimumUserModeAddress" / c.Int64ul,
    "MaximumUserModeAddress" / c.Int64ul,
    "ActiveProcessorsAffinityMask" / c.Int64ul,
    "NumberOfProcessors" / c.Int32ul,
)
SYSTEM_FILECACHE_INFORMATION = c.Bytes(60)
SYSTEM_BASIC_PERFORMANCE_INFORMATION = c.Struct(
    "AvailablePages" / c.Int64ul,
    "CommittedPages" / c.Int64ul,
    "CommitLimit" / c.Int64ul,
    "PeakCommitment" / c.Int64ul,
)
SYSTEM_MEMORY_INFO_1 = c.Struct(
    "Revision" / c.Int16ul,
    "Flags" / c.Int16ul,
    "BasicInfo" / SYSTEM_BASIC_INFORMATION,
    "FileCacheInfo" / SYSTEM_FILECACHE_INFORMATION,
    "BasicPerfInfo" / SYSTEM_BASIC_PERFORMANCE_INFORMATION,
)
"""The part of MINIDUMP_SYSTEM_MEMORY_INFO_1 (492 bytes) before PerfInfo. Pages, where a field says Pages."""

SYSTEM_MEMORY_INFO_HAS_BASIC_PERF = 0x2
"""MINIDUMP_SYSMEMINFO1_BASICPERF: BasicPerfInfo is filled in."""

_VM_COUNTERS_1 = (
    "PeakWorkingSetSize",
    "WorkingSetSize",
    "QuotaPeakPagedPoolUsage",
    "QuotaPagedPoolUsage",
    "QuotaPeakNonPagedPoolUsage",
    "QuotaNonPagedPoolUsage",
    "PagefileUsage",
    "PeakPagefileUsage",
)
PROCESS_VM_COUNTERS_1 = c.Struct(
    "Revision" / c.Int16ul,
    "Flags" / c.Int16ul,
    "PageFaultCount" / c.Int32ul,
    *(name / c.Int64ul for name in _VM_COUNTERS_1),
    "PrivateUsage" / c.Int64ul,
)
PROCESS_VM_COUNTERS_2 = c.Struct(
    "Revision" / c.Int16ul,
    "Flags" / c.Int16ul,
    "PageFaultCount" / c.Int32ul,
    *(name / c.Int64ul for name in _VM_COUNTERS_1),
    "PeakVirtualSize" / c.Int64ul,
    "VirtualSize" / c.Int64ul,
    "PrivateUsage" / c.Int64ul,
    "PrivateWorkingSetSize" / c.Int64ul,
    "SharedCommitUsage" / c.Int64ul,
    "JobSharedCommitUsage" / c.Int64ul,
    "JobPrivateCommitUsage" / c.Int64ul,
    "JobPeakPrivateCommitUsage" / c.Int64ul,
    "JobPrivateCommitLimit" / c.Int64ul,
    "JobTotalCommitLimit" / c.Int64ul,
)


CODEVIEW_RSDS = c.Struct("Signature" / c.Bytes(4), "Guid" / c.Bytes(16), "Age" / c.Int32ul)

CRASHPAD_INFO = c.Struct(
    "Version" / c.Int32ul,
    "ReportId" / c.Bytes(16),
    "ClientId" / c.Bytes(16),
    "SimpleAnnotations" / LOCATION_DESCRIPTOR,
    "ModuleList" / LOCATION_DESCRIPTOR,
)

CRASHPAD_MODULE_INFO = c.Struct(
    "Version" / c.Int32ul,
    "ListAnnotations" / LOCATION_DESCRIPTOR,
    "SimpleAnnotations" / LOCATION_DESCRIPTOR,
    "AnnotationObjects" / LOCATION_DESCRIPTOR,
)

BREAKPAD_INFO = c.Struct("Validity" / c.Int32ul, "DumpThreadId" / c.Int32ul, "RequestingThreadId" / c.Int32ul)

BREAKPAD_ASSERTION_INFO = c.Struct(
    "Expression" / c.Bytes(256),
    "Function" / c.Bytes(256),
    "File" / c.Bytes(256),
    "Line" / c.Int32ul,
    "Type" / c.Int32ul,
)

HEAP_STREAM_HEADER = c.Struct(
    "Signature" / c.Int32ul,
    "Version" / c.Int16ul,
    "SizeOfHeader" / c.Int16ul,
    "SizeOfHeapEntry" / c.Int32ul,
    "NumberOfHeaps" / c.Int32ul,
    "SizeOfRangeEntry" / c.Int32ul,
    "NumberOfRanges" / c.Int32ul,
    "StringsOffset" / c.Int32ul,
    "StringsSize" / c.Int32ul,
)
"""dumpmap's own heap stream; docs/heap-stream.md."""

_RECORD_SIZES: dict[str, tuple[Any, int]] = {
    "HEADER": (HEADER, 32),
    "EX_LIST_HEADER": (EX_LIST_HEADER, 12),
    "MEMORY_INFO_LIST_HEADER": (MEMORY_INFO_LIST_HEADER, 16),
    "MEMORY64_LIST_HEADER": (MEMORY64_LIST_HEADER, 16),
    "SYSTEM_INFO": (SYSTEM_INFO, 56),
    "MISC_INFO": (MISC_INFO, 24),
    "EXCEPTION_STREAM": (EXCEPTION_STREAM, 168),
    "SYSTEM_MEMORY_INFO_1": (SYSTEM_MEMORY_INFO_1, 492 - 344),
    "PROCESS_VM_COUNTERS_1": (PROCESS_VM_COUNTERS_1, 80),
    "PROCESS_VM_COUNTERS_2": (PROCESS_VM_COUNTERS_2, 152),
    "HEAP_STREAM_HEADER": (HEAP_STREAM_HEADER, 32),
}
for _name, (_record, _size) in _RECORD_SIZES.items():
    if _record.sizeof() != _size:  # pragma: no cover - a wrong declaration above
        raise AssertionError(f"{_name} is {_record.sizeof()} bytes, the SDK says {_size}")

# ---------------------------------------------------------------- tables

ARCHITECTURES = {
    0: ("x86", 4),
    1: ("mips", 4),
    3: ("ppc", 4),
    5: ("arm", 4),
    6: ("ia64", 8),
    9: ("x64", 8),
    10: ("x86", 4),
    12: ("arm64", 8),
    0x8001: ("sparc", 8),
    0x8002: ("ppc64", 8),
    0x8003: ("arm64", 8),
    0x8004: ("mips64", 8),
    0x8005: ("riscv", 4),
    0x8006: ("riscv64", 8),
}
"""SYSTEM_INFO.ProcessorArchitecture to the architecture's name and its pointer size."""

PROCESSOR_ARCHITECTURE_IA32_ON_WIN64 = 10

PLATFORMS: dict[int, Family] = {
    2: "windows",
    0x8000: "unix",
    0x8101: "macos",
    0x8102: "ios",
    0x8201: "linux",
    0x8202: "solaris",
    0x8203: "android",
    0x8204: "ps3",
    0x8205: "nacl",
    0x8206: "fuchsia",
}
"""SYSTEM_INFO.PlatformId to the system's family: VER_PLATFORM_WIN32_NT, and Breakpad's MD_OS_* for other systems
(google_breakpad/common/minidump_format.h)."""

CONTEXT_POINTERS = {
    # architecture: (least size of the context, offset of the stack pointer, of the instruction pointer, width)
    "x86": (204, 0xC4, 0xB8, 4),
    "x64": (256, 0x98, 0xF8, 8),
    "arm": (68, 0x38, 0x40, 4),
    # Windows' ARM64_NT_CONTEXT and Breakpad's older 64-bit-flags layout agree on these two.
    "arm64": (272, 0x100, 0x108, 8),
}
"""Where CONTEXT keeps Esp/Rsp/Sp and Eip/Rip/Pc (winnt.h). The least size holds both."""
