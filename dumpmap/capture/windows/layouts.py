"""The structures, constants and tables of the Windows SDK that a capture uses.

Structures carry Microsoft's names and have the layout of the Python that runs this: a 32-bit Python uses the 32-bit
layouts. They use fixed-width types throughout: `ctypes.wintypes` has other widths on other systems, and the tests check
these layouts on Linux too.

Sources: learn.microsoft.com for memoryapi.h, psapi.h, tlhelp32.h, processthreadsapi.h and sysinfoapi.h. The NtQuery*
classes come from Microsoft's public ntdll symbols.
"""

from __future__ import annotations

import ctypes
from ctypes import Structure, c_int32, c_size_t, c_uint16, c_uint32, c_uint64, c_void_p, sizeof

from dumpmap.model.values import value_class

PROCESS_VM_READ = 0x0010
PROCESS_QUERY_INFORMATION = 0x0400
PROCESS_SUSPEND_RESUME = 0x0800
PROCESS_QUERY_LIMITED_INFORMATION = 0x1000

THREAD_GET_CONTEXT = 0x0008
THREAD_QUERY_INFORMATION = 0x0040
THREAD_QUERY_LIMITED_INFORMATION = 0x0800

ERROR_ACCESS_DENIED = 5
ERROR_INVALID_PARAMETER = 87
ERROR_PARTIAL_COPY = 299

STILL_ACTIVE = 259

POINTER_SIZE = sizeof(c_void_p)

ADDRESS_CODE = "Q" if POINTER_SIZE == 8 else "I"
"""Type code of an `array` of addresses."""

MAX_PATH_LENGTH = 32768
"""UTF-16 units of the longest path."""

MACHINES = {0x14C: "x86", 0x8664: "x64", 0x1C0: "arm", 0x1C4: "arm", 0xAA64: "arm64"}
"""IMAGE_FILE_MACHINE_* to architecture."""

PROCESSOR_ARCHITECTURES = {0: "x86", 5: "arm", 9: "x64", 12: "arm64"}
"""PROCESSOR_ARCHITECTURE_* to architecture."""


@value_class(frozen=True, slots=True)
class ContextLayout:
    """Where CONTEXT has the fields that a capture needs.

    Attributes:
        size: bytes of the whole structure.
        flags_offset: offset of ContextFlags.
        flags: value of ContextFlags that requests the control registers.
        stack_pointer: offset of the stack pointer.
        instruction_pointer: offset of the instruction pointer.
        width: bytes of a register.
    """

    size: int
    flags_offset: int
    flags: int
    stack_pointer: int
    instruction_pointer: int
    width: int


CONTEXTS = {
    "x86": ContextLayout(716, 0x00, 0x0001_0001, 0xC4, 0xB8, 4),
    "x64": ContextLayout(1232, 0x30, 0x0010_0001, 0x98, 0xF8, 8),
    "arm64": ContextLayout(912, 0x00, 0x0040_0001, 0x100, 0x108, 8),
}
"""CONTEXT (winnt.h) by architecture, with the flags of CONTEXT_CONTROL."""


class MEMORY_BASIC_INFORMATION(Structure):
    """winnt.h; 48 bytes in a 64-bit program, 28 in a 32-bit one."""

    _fields_ = (
        ("BaseAddress", c_size_t),
        ("AllocationBase", c_size_t),
        ("AllocationProtect", c_uint32),
        # A 64-bit program has PartitionId and padding here; a 32-bit one has neither.
        *((("PartitionId", c_uint32),) if POINTER_SIZE == 8 else ()),
        ("RegionSize", c_size_t),
        ("State", c_uint32),
        ("Protect", c_uint32),
        ("Type", c_uint32),
    )


class SYSTEM_INFO(Structure):
    """sysinfoapi.h; 48 or 36 bytes."""

    _fields_ = (
        ("wProcessorArchitecture", c_uint16),
        ("wReserved", c_uint16),
        ("dwPageSize", c_uint32),
        ("lpMinimumApplicationAddress", c_size_t),
        ("lpMaximumApplicationAddress", c_size_t),
        ("dwActiveProcessorMask", c_size_t),
        ("dwNumberOfProcessors", c_uint32),
        ("dwProcessorType", c_uint32),
        ("dwAllocationGranularity", c_uint32),
        ("wProcessorLevel", c_uint16),
        ("wProcessorRevision", c_uint16),
    )


class OSVERSIONINFOEXW(Structure):
    """winnt.h; 284 bytes."""

    _fields_ = (
        ("dwOSVersionInfoSize", c_uint32),
        ("dwMajorVersion", c_uint32),
        ("dwMinorVersion", c_uint32),
        ("dwBuildNumber", c_uint32),
        ("dwPlatformId", c_uint32),
        ("szCSDVersion", c_uint16 * 128),
        ("wServicePackMajor", c_uint16),
        ("wServicePackMinor", c_uint16),
        ("wSuiteMask", c_uint16),
        ("wProductType", ctypes.c_uint8),
        ("wReserved", ctypes.c_uint8),
    )


class PERFORMANCE_INFORMATION(Structure):
    """psapi.h; 104 or 56 bytes. Sizes are pages."""

    _fields_ = (
        ("cb", c_uint32),
        ("CommitTotal", c_size_t),
        ("CommitLimit", c_size_t),
        ("CommitPeak", c_size_t),
        ("PhysicalTotal", c_size_t),
        ("PhysicalAvailable", c_size_t),
        ("SystemCache", c_size_t),
        ("KernelTotal", c_size_t),
        ("KernelPaged", c_size_t),
        ("KernelNonpaged", c_size_t),
        ("PageSize", c_size_t),
        ("HandleCount", c_uint32),
        ("ProcessCount", c_uint32),
        ("ThreadCount", c_uint32),
    )


class MEMORYSTATUSEX(Structure):
    """sysinfoapi.h; 64 bytes."""

    _fields_ = (
        ("dwLength", c_uint32),
        ("dwMemoryLoad", c_uint32),
        ("ullTotalPhys", c_uint64),
        ("ullAvailPhys", c_uint64),
        ("ullTotalPageFile", c_uint64),
        ("ullAvailPageFile", c_uint64),
        ("ullTotalVirtual", c_uint64),
        ("ullAvailVirtual", c_uint64),
        ("ullAvailExtendedVirtual", c_uint64),
    )


class VM_COUNTERS_EX2(Structure):
    """ProcessVmCounters; 112 or 64 bytes. Older systems have shorter forms, up to PrivateUsage or PeakPagefileUsage."""

    _fields_ = (
        ("PeakVirtualSize", c_size_t),
        ("VirtualSize", c_size_t),
        ("PageFaultCount", c_uint32),
        ("PeakWorkingSetSize", c_size_t),
        ("WorkingSetSize", c_size_t),
        ("QuotaPeakPagedPoolUsage", c_size_t),
        ("QuotaPagedPoolUsage", c_size_t),
        ("QuotaPeakNonPagedPoolUsage", c_size_t),
        ("QuotaNonPagedPoolUsage", c_size_t),
        ("PagefileUsage", c_size_t),
        ("PeakPagefileUsage", c_size_t),
        ("PrivateUsage", c_size_t),
        ("PrivateWorkingSetSize", c_size_t),
        ("SharedCommitUsage", c_uint64),
    )


class PROCESS_MEMORY_COUNTERS_EX(Structure):
    """psapi.h; 80 or 44 bytes."""

    _fields_ = (
        ("cb", c_uint32),
        ("PageFaultCount", c_uint32),
        ("PeakWorkingSetSize", c_size_t),
        ("WorkingSetSize", c_size_t),
        ("QuotaPeakPagedPoolUsage", c_size_t),
        ("QuotaPagedPoolUsage", c_size_t),
        ("QuotaPeakNonPagedPoolUsage", c_size_t),
        ("QuotaNonPagedPoolUsage", c_size_t),
        ("PagefileUsage", c_size_t),
        ("PeakPagefileUsage", c_size_t),
        ("PrivateUsage", c_size_t),
    )


class PROCESS_BASIC_INFORMATION(Structure):
    """winternl.h; 48 or 24 bytes."""

    _fields_ = (
        ("ExitStatus", c_size_t),
        ("PebBaseAddress", c_size_t),
        ("AffinityMask", c_size_t),
        ("BasePriority", c_size_t),
        ("UniqueProcessId", c_size_t),
        ("InheritedFromUniqueProcessId", c_size_t),
    )


class PROCESS_BASIC_INFORMATION64(Structure):
    """The 64-bit form that NtWow64QueryInformationProcess64 returns to a 32-bit caller; 48 bytes."""

    _fields_ = tuple((name, c_uint64) for name, *_ in PROCESS_BASIC_INFORMATION._fields_)


class THREAD_BASIC_INFORMATION(Structure):
    """ThreadBasicInformation; 48 or 28 bytes."""

    _fields_ = (
        ("ExitStatus", c_uint32),
        ("TebBaseAddress", c_size_t),
        ("UniqueProcess", c_size_t),
        ("UniqueThread", c_size_t),
        ("AffinityMask", c_size_t),
        ("Priority", c_uint32),
        ("BasePriority", c_uint32),
    )


class UNICODE_STRING(Structure):
    """ntdef.h; 16 or 8 bytes."""

    _fields_ = (("Length", c_uint16), ("MaximumLength", c_uint16), ("Buffer", c_size_t))


class THREADENTRY32(Structure):
    """tlhelp32.h; 28 bytes."""

    _fields_ = (
        ("dwSize", c_uint32),
        ("cntUsage", c_uint32),
        ("th32ThreadID", c_uint32),
        ("th32OwnerProcessID", c_uint32),
        ("tpBasePri", c_uint32),
        ("tpDeltaPri", c_uint32),
        ("dwFlags", c_uint32),
    )


class PROCESSENTRY32W(Structure):
    """tlhelp32.h; 568 or 556 bytes."""

    _fields_ = (
        ("dwSize", c_uint32),
        ("cntUsage", c_uint32),
        ("th32ProcessID", c_uint32),
        ("th32DefaultHeapID", c_size_t),
        ("th32ModuleID", c_uint32),
        ("cntThreads", c_uint32),
        ("th32ParentProcessID", c_uint32),
        ("pcPriClassBase", c_uint32),
        ("dwFlags", c_uint32),
        ("szExeFile", c_uint16 * 260),
    )


class MODULEINFO(Structure):
    """psapi.h; 24 or 12 bytes."""

    _fields_ = (("lpBaseOfDll", c_size_t), ("SizeOfImage", c_uint32), ("EntryPoint", c_size_t))


class LUID_AND_ATTRIBUTES(Structure):
    """winnt.h, with its LUID; 12 bytes."""

    _fields_ = (("LowPart", c_uint32), ("HighPart", c_int32), ("Attributes", c_uint32))


class TOKEN_PRIVILEGES(Structure):
    """winnt.h, for one privilege; 16 bytes."""

    _fields_ = (("PrivilegeCount", c_uint32), ("Privileges", LUID_AND_ATTRIBUTES))


STRUCTURE_SIZES: dict[type[Structure], dict[int, int]] = {
    MEMORY_BASIC_INFORMATION: {4: 28, 8: 48},
    SYSTEM_INFO: {4: 36, 8: 48},
    OSVERSIONINFOEXW: {4: 284, 8: 284},
    PERFORMANCE_INFORMATION: {4: 56, 8: 104},
    MEMORYSTATUSEX: {4: 64, 8: 64},
    VM_COUNTERS_EX2: {4: 64, 8: 112},
    PROCESS_MEMORY_COUNTERS_EX: {4: 44, 8: 80},
    PROCESS_BASIC_INFORMATION: {4: 24, 8: 48},
    PROCESS_BASIC_INFORMATION64: {4: 48, 8: 48},
    THREAD_BASIC_INFORMATION: {4: 28, 8: 48},
    UNICODE_STRING: {4: 8, 8: 16},
    THREADENTRY32: {4: 28, 8: 28},
    PROCESSENTRY32W: {4: 556, 8: 568},
    MODULEINFO: {4: 12, 8: 24},
    LUID_AND_ATTRIBUTES: {4: 12, 8: 12},
    TOKEN_PRIVILEGES: {4: 16, 8: 16},
}
