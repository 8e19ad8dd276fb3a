"""The Windows functions that a capture calls, through ctypes.

Structures carry Microsoft's names and are laid out for the Python that runs this: a 32-bit Python gets the 32-bit
layouts. Fixed-width types are used throughout, as `ctypes.wintypes` has other widths on other systems, where these
layouts are tested too. `WindowsApi` has one method for each question and answers in plain Python values; what the
answers mean is decided in `dumpmap.capture.windows`.

Sources: learn.microsoft.com for memoryapi.h, psapi.h, tlhelp32.h, processthreadsapi.h and sysinfoapi.h; the NtQuery*
classes are those of Microsoft's published ntdll symbols.
"""

from __future__ import annotations

import ctypes
import os
import sys
from array import array
from collections.abc import Iterator
from ctypes import Structure, byref, c_int32, c_size_t, c_uint16, c_uint32, c_uint64, c_void_p, c_wchar_p, sizeof
from dataclasses import dataclass
from typing import Any

PROCESS_VM_READ = 0x0010
PROCESS_QUERY_INFORMATION = 0x0400
PROCESS_SUSPEND_RESUME = 0x0800
PROCESS_QUERY_LIMITED_INFORMATION = 0x1000

THREAD_GET_CONTEXT = 0x0008
THREAD_QUERY_INFORMATION = 0x0040
THREAD_QUERY_LIMITED_INFORMATION = 0x0800

ERROR_FILE_NOT_FOUND = 2
ERROR_ACCESS_DENIED = 5
ERROR_INVALID_PARAMETER = 87
ERROR_PARTIAL_COPY = 299

STILL_ACTIVE = 259

POINTER_SIZE = sizeof(c_void_p)

MACHINES = {0x14C: "x86", 0x8664: "x64", 0x1C0: "arm", 0x1C4: "arm", 0xAA64: "arm64"}
"""IMAGE_FILE_MACHINE_* to architecture."""

PROCESSOR_ARCHITECTURES = {0: "x86", 5: "arm", 9: "x64", 12: "arm64"}
"""PROCESSOR_ARCHITECTURE_* to architecture."""


@dataclass(frozen=True, slots=True)
class _ContextLayout:
    """Where CONTEXT has what is asked for: its size, the offset and value of ContextFlags, stack and code pointer."""

    size: int
    flags_offset: int
    flags: int
    stack_pointer: int
    instruction_pointer: int
    width: int


_CONTEXTS = {
    "x86": _ContextLayout(716, 0x00, 0x0001_0001, 0xC4, 0xB8, 4),
    "x64": _ContextLayout(1232, 0x30, 0x0010_0001, 0x98, 0xF8, 8),
    "arm64": _ContextLayout(912, 0x00, 0x0040_0001, 0x100, 0x108, 8),
}
"""CONTEXT (winnt.h) by architecture, with the flags of CONTEXT_CONTROL."""

_FILETIME_EPOCH = 116_444_736_000_000_000
"""1970-01-01 in units of 100 nanoseconds since 1601-01-01."""

_PATH_LENGTH = 32768


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
    """ProcessVmCounters; 112 or 64 bytes. Older systems know a shorter form: up to PrivateUsage, or not even that."""

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
    """The same as the 64-bit system keeps it for a 32-bit caller; 48 bytes."""

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
"""Bytes of every structure, by pointer size."""

_BOOL = c_int32
_HANDLE = c_void_p
_FUNCTIONS: dict[str, dict[str, tuple[Any, tuple[Any, ...]]]] = {
    "kernel32": {
        "OpenProcess": (_HANDLE, (c_uint32, _BOOL, c_uint32)),
        "OpenThread": (_HANDLE, (c_uint32, _BOOL, c_uint32)),
        "CloseHandle": (_BOOL, (_HANDLE,)),
        "GetCurrentProcess": (_HANDLE, ()),
        "GetExitCodeProcess": (_BOOL, (_HANDLE, c_void_p)),
        "GetProcessTimes": (_BOOL, (_HANDLE, c_void_p, c_void_p, c_void_p, c_void_p)),
        "GetThreadTimes": (_BOOL, (_HANDLE, c_void_p, c_void_p, c_void_p, c_void_p)),
        "GetThreadContext": (_BOOL, (_HANDLE, c_void_p)),
        "Wow64GetThreadContext": (_BOOL, (_HANDLE, c_void_p)),
        "GetThreadDescription": (c_int32, (_HANDLE, c_void_p)),
        "LocalFree": (c_void_p, (c_void_p,)),
        "GetProcessHandleCount": (_BOOL, (_HANDLE, c_void_p)),
        "QueryFullProcessImageNameW": (_BOOL, (_HANDLE, c_uint32, c_void_p, c_void_p)),
        "IsWow64Process": (_BOOL, (_HANDLE, c_void_p)),
        "IsWow64Process2": (_BOOL, (_HANDLE, c_void_p, c_void_p)),
        "GetProcessInformation": (_BOOL, (_HANDLE, c_int32, c_void_p, c_uint32)),
        "GetSystemInfo": (None, (c_void_p,)),
        "GetNativeSystemInfo": (None, (c_void_p,)),
        "GlobalMemoryStatusEx": (_BOOL, (c_void_p,)),
        "VirtualQueryEx": (c_size_t, (_HANDLE, c_size_t, c_void_p, c_size_t)),
        "ReadProcessMemory": (_BOOL, (_HANDLE, c_size_t, c_void_p, c_size_t, c_void_p)),
        "K32QueryWorkingSetEx": (_BOOL, (_HANDLE, c_void_p, c_uint32)),
        "K32GetMappedFileNameW": (c_uint32, (_HANDLE, c_size_t, c_void_p, c_uint32)),
        "K32EnumProcessModulesEx": (_BOOL, (_HANDLE, c_void_p, c_uint32, c_void_p, c_uint32)),
        "K32GetModuleFileNameExW": (c_uint32, (_HANDLE, c_size_t, c_void_p, c_uint32)),
        "K32GetModuleInformation": (_BOOL, (_HANDLE, c_size_t, c_void_p, c_uint32)),
        "K32GetProcessMemoryInfo": (_BOOL, (_HANDLE, c_void_p, c_uint32)),
        "K32GetPerformanceInfo": (_BOOL, (c_void_p, c_uint32)),
        "QueryDosDeviceW": (c_uint32, (c_wchar_p, c_void_p, c_uint32)),
        "GetLogicalDrives": (c_uint32, ()),
        "CreateToolhelp32Snapshot": (_HANDLE, (c_uint32, c_uint32)),
        "Thread32First": (_BOOL, (_HANDLE, c_void_p)),
        "Thread32Next": (_BOOL, (_HANDLE, c_void_p)),
        "Process32FirstW": (_BOOL, (_HANDLE, c_void_p)),
        "Process32NextW": (_BOOL, (_HANDLE, c_void_p)),
    },
    "ntdll": {
        "RtlGetVersion": (c_int32, (c_void_p,)),
        "NtQueryInformationProcess": (c_int32, (_HANDLE, c_int32, c_void_p, c_uint32, c_void_p)),
        "NtWow64QueryInformationProcess64": (c_int32, (_HANDLE, c_int32, c_void_p, c_uint32, c_void_p)),
        "NtQueryInformationThread": (c_int32, (_HANDLE, c_int32, c_void_p, c_uint32, c_void_p)),
        "NtSuspendProcess": (c_int32, (_HANDLE,)),
        "NtResumeProcess": (c_int32, (_HANDLE,)),
    },
    "advapi32": {
        "OpenProcessToken": (_BOOL, (_HANDLE, c_uint32, c_void_p)),
        "LookupPrivilegeValueW": (_BOOL, (c_wchar_p, c_wchar_p, c_void_p)),
        "AdjustTokenPrivileges": (_BOOL, (_HANDLE, _BOOL, c_void_p, c_uint32, c_void_p, c_void_p)),
    },
}

_PROCESS_BASIC_INFORMATION = 0
_PROCESS_VM_COUNTERS = 3
_PROCESS_WOW64_INFORMATION = 26
_PROCESS_COMMAND_LINE_INFORMATION = 60
_PROCESS_PROTECTION_INFORMATION = 61
_PROCESS_MACHINE_TYPE_INFO = 9
_THREAD_BASIC_INFORMATION = 0
_THREAD_QUERY_SET_WIN32_START_ADDRESS = 9
_LIST_MODULES_ALL = 3
_TH32CS_SNAPPROCESS = 2
_TH32CS_SNAPTHREAD = 4
_TOKEN_ADJUST_PRIVILEGES = 0x20
_TOKEN_QUERY = 0x08
_SE_PRIVILEGE_ENABLED = 2
_INVALID_HANDLE_VALUE = (1 << (8 * POINTER_SIZE)) - 1


class ApiError(Exception):
    """A Windows function failed. Never leaves the capture: `dumpmap.capture.windows` says what it means.

    Attributes:
        code: GetLastError, or an NTSTATUS as an unsigned number.
    """

    def __init__(self, code: int, text: str = "") -> None:
        number = f"error {code}" if code < 0x8000_0000 else f"status {code:#x}"
        text = text.strip().rstrip(".")
        super().__init__(f"{text} ({number})" if text else number)
        self.code = code


@dataclass(frozen=True, slots=True)
class SystemFacts:
    """GetSystemInfo, GetPerformanceInfo and GlobalMemoryStatusEx, in bytes; None where a function failed."""

    architecture: str
    page_size: int
    allocation_granularity: int
    min_address: int
    max_address: int
    processors: int
    commit_total: int | None = None
    commit_limit: int | None = None
    commit_peak: int | None = None
    physical_total: int | None = None
    physical_available: int | None = None


@dataclass(frozen=True, slots=True)
class Machine:
    """What a process runs as.

    Attributes:
        architecture: of its own code.
        wow64: it is a 32-bit process on a 64-bit system.
        native: architecture of the system.
    """

    architecture: str
    wow64: bool
    native: str


class WindowsApi:
    """Windows, as far as a capture needs it. Handles are integers; times are seconds since 1970, UTC."""

    pointer_size = POINTER_SIZE
    """Of the Python that runs this."""

    def __init__(self) -> None:
        self._functions: dict[str, Any] = {}
        self._last_error: Any = None
        self._describe: Any = None
        self._path = (ctypes.c_char * (2 * _PATH_LENGTH))()
        if sys.platform == "win32":
            self._last_error = ctypes.get_last_error
            self._describe = ctypes.FormatError
            for library_name, functions in _FUNCTIONS.items():
                library = ctypes.WinDLL(library_name, use_last_error=True)
                for name, (result, arguments) in functions.items():
                    function = getattr(library, name, None)
                    if function is not None:
                        function.restype = result
                        function.argtypes = arguments
                    self._functions[name] = function
        else:
            raise NotImplementedError("only Windows has the Windows API")

    def _has(self, name: str) -> bool:
        return self._functions.get(name) is not None

    def _call(self, name: str, *arguments: Any) -> int:
        """Calls a function that returns 0 or None when it fails.

        Raises:
            ApiError: it failed.
        """
        result = self._functions[name](*arguments)
        if not result:
            raise self._error()
        return int(result)

    def _error(self, code: int | None = None) -> ApiError:
        code = self._last_error() if code is None else code
        return ApiError(code, self._describe(code))

    def _status(self, name: str, *arguments: Any) -> None:
        """Calls a function that returns an NTSTATUS.

        Raises:
            ApiError: it failed.
        """
        status = self._functions[name](*arguments)
        if status < 0:
            raise ApiError(status & 0xFFFF_FFFF)

    # --- processes ----------------------------------------------------------------------------------------------------

    def processes(self) -> Iterator[tuple[int, str]]:
        """Yields id and program name of every process."""
        for entry in self._toolhelp(_TH32CS_SNAPPROCESS, "Process32FirstW", "Process32NextW", PROCESSENTRY32W):
            yield entry.th32ProcessID, _utf16(entry.szExeFile)

    def open_process(self, pid: int, access: int) -> int:
        """Returns a handle.

        Raises:
            ApiError: ERROR_ACCESS_DENIED, or ERROR_INVALID_PARAMETER where there is no such process.
        """
        if pid == self.own_pid():
            return int(self._functions["GetCurrentProcess"]())
        return self._call("OpenProcess", access, False, pid)

    def close(self, handle: int) -> None:
        """Closes any handle."""
        self._functions["CloseHandle"](handle)

    def enable_debug_privilege(self) -> bool:
        """Lets an administrator open other users' processes. False where the user may not."""
        token = c_void_p()
        current = self._functions["GetCurrentProcess"]()
        try:
            self._call("OpenProcessToken", current, _TOKEN_ADJUST_PRIVILEGES | _TOKEN_QUERY, byref(token))
        except ApiError:
            return False
        try:
            privileges = TOKEN_PRIVILEGES()
            privileges.PrivilegeCount = 1
            self._call("LookupPrivilegeValueW", None, "SeDebugPrivilege", byref(privileges.Privileges))
            privileges.Privileges.Attributes = _SE_PRIVILEGE_ENABLED
            self._call("AdjustTokenPrivileges", token, False, byref(privileges), 0, None, None)
            # Success with ERROR_NOT_ALL_ASSIGNED means that the user does not have the privilege.
            return bool(self._last_error() == 0)
        except ApiError:
            return False
        finally:
            self.close(token.value or 0)

    def exit_code(self, handle: int) -> int | None:
        """Returns the exit code, None while the process runs."""
        code = c_uint32()
        self._call("GetExitCodeProcess", handle, byref(code))
        return None if code.value == STILL_ACTIVE else code.value

    def process_times(self, handle: int) -> tuple[float, float, float]:
        """Returns when it was created, and its seconds in user and in kernel mode."""
        return self._times("GetProcessTimes", handle)

    def image_path(self, handle: int) -> str:
        """Returns the path of the program."""
        length = c_uint32(_PATH_LENGTH)
        self._call("QueryFullProcessImageNameW", handle, 0, self._path, byref(length))
        return self._path_text(length.value)

    def command_line(self, handle: int) -> str:
        """Returns the command line. Windows 8.1 and later."""
        buffer = (ctypes.c_char * (2 * _PATH_LENGTH + 64))()
        returned = c_uint32()
        self._status(
            "NtQueryInformationProcess",
            handle,
            _PROCESS_COMMAND_LINE_INFORMATION,
            buffer,
            sizeof(buffer),
            byref(returned),
        )
        text = UNICODE_STRING.from_buffer(buffer)
        start = text.Buffer - ctypes.addressof(buffer)
        return _decode(buffer.raw[start : start + text.Length]) if start > 0 else ""

    def machine(self, handle: int) -> Machine:
        """Returns what the process runs as."""
        native = self.system().architecture
        if self._has("IsWow64Process2"):
            process_machine, native_machine = c_uint16(), c_uint16()
            self._call("IsWow64Process2", handle, byref(process_machine), byref(native_machine))
            native = MACHINES.get(native_machine.value, native)
            if process_machine.value:
                return Machine(MACHINES.get(process_machine.value, "unknown"), wow64=True, native=native)
            return Machine(self._emulated(handle) or native, wow64=False, native=native)
        wow64 = c_int32()
        self._call("IsWow64Process", handle, byref(wow64))
        return Machine("x86" if wow64.value else native, wow64=bool(wow64.value), native=native)

    def _emulated(self, handle: int) -> str | None:
        """An x64 process on ARM64 is no WoW64 process; Windows 11 tells it apart here."""
        if not self._has("GetProcessInformation"):
            return None
        machine = (c_uint16 * 4)()
        succeeded = self._functions["GetProcessInformation"](
            handle, _PROCESS_MACHINE_TYPE_INFO, byref(machine), sizeof(machine)
        )
        return MACHINES.get(machine[0]) if succeeded else None

    def is_protected(self, handle: int) -> bool:
        """Tells whether Windows shields the process even from administrators. Windows 8.1 and later."""
        protection = ctypes.c_uint8()
        try:
            self._status(
                "NtQueryInformationProcess", handle, _PROCESS_PROTECTION_INFORMATION, byref(protection), 1, None
            )
        except ApiError:
            return False
        return protection.value != 0

    def suspend(self, handle: int) -> None:
        """Stops every thread."""
        self._status("NtSuspendProcess", handle)

    def resume(self, handle: int) -> None:
        """Lets every thread go on."""
        self._status("NtResumeProcess", handle)

    def peb(self, handle: int) -> int:
        """Returns the PEB that a program of this Python's width sees; 0 where there is none."""
        basic = PROCESS_BASIC_INFORMATION()
        self._status("NtQueryInformationProcess", handle, _PROCESS_BASIC_INFORMATION, byref(basic), sizeof(basic), None)
        return int(basic.PebBaseAddress)

    def wow64_peb(self, handle: int) -> int:
        """Returns the 32-bit PEB of a WoW64 process; 0 for any other."""
        address = c_size_t()
        self._status(
            "NtQueryInformationProcess", handle, _PROCESS_WOW64_INFORMATION, byref(address), sizeof(address), None
        )
        return address.value

    def native_peb_of_wow64(self, handle: int) -> int:
        """Returns the 64-bit PEB of a WoW64 process to a 32-bit Python; 0 where that cannot be asked."""
        if not self._has("NtWow64QueryInformationProcess64"):
            return 0
        basic = PROCESS_BASIC_INFORMATION64()
        self._status(
            "NtWow64QueryInformationProcess64", handle, _PROCESS_BASIC_INFORMATION, byref(basic), sizeof(basic), None
        )
        return int(basic.PebBaseAddress)

    def counters(self, handle: int) -> dict[str, int]:
        """Returns what the system counts for the process, by Microsoft's names, in bytes."""
        names = [name for name, *_ in VM_COUNTERS_EX2._fields_]
        # The system takes exact sizes only, and so tells which of the three forms it knows.
        for last in ("SharedCommitUsage", "PrivateUsage", "PeakPagefileUsage"):
            field = getattr(VM_COUNTERS_EX2, last)
            counters = VM_COUNTERS_EX2()
            try:
                self._status(
                    "NtQueryInformationProcess",
                    handle,
                    _PROCESS_VM_COUNTERS,
                    byref(counters),
                    field.offset + field.size,
                    None,
                )
            except ApiError:
                continue
            return {name: getattr(counters, name) for name in names[: names.index(last) + 1]}
        plain = PROCESS_MEMORY_COUNTERS_EX()
        self._call("K32GetProcessMemoryInfo", handle, byref(plain), sizeof(plain))
        return {name: getattr(plain, name) for name, *_ in plain._fields_[2:]}

    def handle_count(self, handle: int) -> int:
        """Returns how many handles the process has open."""
        count = c_uint32()
        self._call("GetProcessHandleCount", handle, byref(count))
        return count.value

    # --- memory -------------------------------------------------------------------------------------------------------

    def regions(self, handle: int, limit: int | None = None) -> Iterator[tuple[int, int, int, int, int, int, int]]:
        """Yields the regions from address 0 on, free ones too, as VirtualQueryEx has them.

        Args:
            handle: the process.
            limit: no region that starts here or later.

        Raises:
            ApiError: the walk ended otherwise than at the end of the address space.
        """
        info = MEMORY_BASIC_INFORMATION()
        reference, size = byref(info), sizeof(info)
        query = self._functions["VirtualQueryEx"]
        address, top = 0, 1 << (8 * POINTER_SIZE)
        while address < (top if limit is None else min(top, limit)):
            if not query(handle, address, reference, size):
                code = self._last_error()
                if address and code == ERROR_INVALID_PARAMETER:
                    return
                raise self._error(code)
            yield (
                info.BaseAddress,
                info.AllocationBase,
                info.AllocationProtect,
                info.RegionSize,
                info.State,
                info.Protect,
                info.Type,
            )
            following = info.BaseAddress + info.RegionSize
            if following <= address:
                return
            address = following

    def read(self, handle: int, address: int, size: int) -> bytes | None:
        """Returns `size` bytes, or None where they cannot all be read."""
        buffer = (ctypes.c_char * size)()
        done = c_size_t()
        if not self._functions["ReadProcessMemory"](handle, address, buffer, size, byref(done)):
            return None
        return buffer.raw if done.value == size else None

    def working_set(self, handle: int, addresses: array[int]) -> array[int]:
        """Returns the PSAPI_WORKING_SET_EX_BLOCK of every page in `addresses`, an array of `ADDRESS_CODE`."""
        buffer = array(ADDRESS_CODE, bytes(2 * addresses.itemsize * len(addresses)))
        buffer[0::2] = addresses
        size = len(buffer) * buffer.itemsize
        self._call("K32QueryWorkingSetEx", handle, (ctypes.c_char * size).from_buffer(buffer), size)
        return buffer[1::2]

    def mapped_file(self, handle: int, address: int) -> str | None:
        """Returns the device path of the file that is mapped at `address`, None where none is."""
        length = self._functions["K32GetMappedFileNameW"](handle, address, self._path, _PATH_LENGTH)
        return self._path_text(length) if length else None

    def drives(self) -> dict[str, str]:
        """Returns device path to drive letter with colon."""
        found: dict[str, str] = {}
        present = self._functions["GetLogicalDrives"]()
        for index in range(26):
            letter = f"{chr(ord('A') + index)}:"
            if present & 1 << index:
                # What comes back is a list of texts, each ended by a zero; the first is the current mapping.
                length = self._functions["QueryDosDeviceW"](letter, self._path, _PATH_LENGTH)
                device = self._path_text(length)
                if device:
                    found.setdefault(device, letter)
        return found

    # --- modules and threads ------------------------------------------------------------------------------------------

    def modules(self, handle: int) -> list[int]:
        """Returns the base of every loaded module, of both widths in a WoW64 process."""
        room = 256
        while True:
            bases = (c_size_t * room)()
            needed = c_uint32()
            self._call("K32EnumProcessModulesEx", handle, bases, sizeof(bases), byref(needed), _LIST_MODULES_ALL)
            count = needed.value // sizeof(c_size_t)
            if count <= room:
                return list(bases[:count])
            room = count + 64

    def module_path(self, handle: int, base: int) -> str | None:
        """Returns the path that the loader has for a module."""
        length = self._functions["K32GetModuleFileNameExW"](handle, base, self._path, _PATH_LENGTH)
        return self._path_text(length) if length else None

    def module_size(self, handle: int, base: int) -> int | None:
        """Returns SizeOfImage of a module as the loader has it."""
        info = MODULEINFO()
        if not self._functions["K32GetModuleInformation"](handle, base, byref(info), sizeof(info)):
            return None
        return int(info.SizeOfImage)

    def threads(self, pid: int) -> list[int]:
        """Returns the ids of a process's threads."""
        entries = self._toolhelp(_TH32CS_SNAPTHREAD, "Thread32First", "Thread32Next", THREADENTRY32)
        return [entry.th32ThreadID for entry in entries if entry.th32OwnerProcessID == pid]

    def open_thread(self, thread_id: int, access: int) -> int:
        """Returns a handle."""
        return self._call("OpenThread", access, False, thread_id)

    def teb(self, handle: int) -> int:
        """Returns the TEB that a program of this Python's width sees; 0 where the thread has none any more."""
        basic = THREAD_BASIC_INFORMATION()
        self._status("NtQueryInformationThread", handle, _THREAD_BASIC_INFORMATION, byref(basic), sizeof(basic), None)
        return int(basic.TebBaseAddress)

    def start_address(self, handle: int) -> int:
        """Returns the function that the thread was started with. Needs THREAD_QUERY_INFORMATION."""
        address = c_size_t()
        self._status(
            "NtQueryInformationThread",
            handle,
            _THREAD_QUERY_SET_WIN32_START_ADDRESS,
            byref(address),
            sizeof(address),
            None,
        )
        return address.value

    def thread_name(self, handle: int) -> str | None:
        """Returns the description of a thread, None where it has none. Windows 10 1607 and later."""
        if not self._has("GetThreadDescription"):
            return None
        pointer = c_void_p()
        if self._functions["GetThreadDescription"](handle, byref(pointer)) < 0 or not pointer.value:
            return None
        text = ctypes.wstring_at(pointer.value)
        self._functions["LocalFree"](pointer)
        return _clean(text) or None

    def context(self, handle: int, machine: Machine) -> tuple[int, int] | None:
        """Returns stack and instruction pointer of a thread that stands still. Needs THREAD_GET_CONTEXT.

        Of a WoW64 process these are the ones of its own 32-bit code. None where this Python cannot ask for them.
        """
        layout = _CONTEXTS.get(machine.architecture)
        if layout is None or (machine.wow64 and machine.architecture != "x86"):
            return None
        emulated = machine.wow64 and POINTER_SIZE == 8
        if layout.width != (4 if emulated else POINTER_SIZE):
            return None
        name = "Wow64GetThreadContext" if emulated else "GetThreadContext"
        room = (ctypes.c_char * (layout.size + 16))()
        start = -ctypes.addressof(room) % 16  # CONTEXT must be aligned to 16 bytes
        c_uint32.from_buffer(room, start + layout.flags_offset).value = layout.flags
        self._call(name, handle, ctypes.addressof(room) + start)
        stack, code = (
            int.from_bytes(room.raw[start + offset : start + offset + layout.width], "little")
            for offset in (layout.stack_pointer, layout.instruction_pointer)
        )
        return stack, code

    def thread_times(self, handle: int) -> tuple[float, float, float]:
        """See `process_times`."""
        return self._times("GetThreadTimes", handle)

    # --- the system ---------------------------------------------------------------------------------------------------

    def own_pid(self) -> int:
        """Returns the id of the process that runs this."""
        return os.getpid()

    def is_wow64(self) -> bool:
        """Tells whether this Python is a 32-bit program on a 64-bit system."""
        return self.machine(self._functions["GetCurrentProcess"]()).wow64

    def version(self) -> tuple[int, int, int, str]:
        """Returns major, minor and build number and the service pack's name."""
        info = OSVERSIONINFOEXW()
        info.dwOSVersionInfoSize = sizeof(info)
        self._status("RtlGetVersion", byref(info))
        return info.dwMajorVersion, info.dwMinorVersion, info.dwBuildNumber, _utf16(info.szCSDVersion)

    def system(self) -> SystemFacts:
        """Returns what is known of the machine, as a program of this Python's width sees it."""
        info, native = SYSTEM_INFO(), SYSTEM_INFO()
        self._functions["GetSystemInfo"](byref(info))
        self._functions["GetNativeSystemInfo"](byref(native))
        sizes: dict[str, int | None] = {}
        performance = PERFORMANCE_INFORMATION()
        performance.cb = sizeof(performance)
        if self._functions["K32GetPerformanceInfo"](byref(performance), sizeof(performance)):
            sizes = {
                "commit_total": performance.CommitTotal * performance.PageSize,
                "commit_limit": performance.CommitLimit * performance.PageSize,
                "commit_peak": performance.CommitPeak * performance.PageSize or None,
            }
        status = MEMORYSTATUSEX()
        status.dwLength = sizeof(status)
        if self._functions["GlobalMemoryStatusEx"](byref(status)):
            sizes |= {"physical_total": status.ullTotalPhys, "physical_available": status.ullAvailPhys}
        return SystemFacts(
            architecture=PROCESSOR_ARCHITECTURES.get(native.wProcessorArchitecture, "unknown"),
            page_size=info.dwPageSize,
            allocation_granularity=info.dwAllocationGranularity,
            min_address=info.lpMinimumApplicationAddress,
            max_address=info.lpMaximumApplicationAddress,
            processors=info.dwNumberOfProcessors,
            **sizes,
        )

    # --- helpers ------------------------------------------------------------------------------------------------------

    def _path_text(self, length: int) -> str:
        # Some functions count the zero at the end, some do not.
        return _decode(memoryview(self._path)[: length * 2].tobytes()).split("\0", 1)[0]

    def _toolhelp(self, flags: int, first: str, following: str, kind: Any) -> Iterator[Any]:
        snapshot = self._call("CreateToolhelp32Snapshot", flags, 0)
        if snapshot == _INVALID_HANDLE_VALUE:
            raise self._error()
        try:
            entry = kind()
            entry.dwSize = sizeof(entry)
            more = self._functions[first](snapshot, byref(entry))
            while more:
                yield entry
                more = self._functions[following](snapshot, byref(entry))
        finally:
            self.close(snapshot)

    def _times(self, name: str, handle: int) -> tuple[float, float, float]:
        created, ended, kernel, user = (c_uint64() for _ in range(4))
        self._call(name, handle, byref(created), byref(ended), byref(kernel), byref(user))
        return (created.value - _FILETIME_EPOCH) / 1e7, user.value / 1e7, kernel.value / 1e7


ADDRESS_CODE = "Q" if POINTER_SIZE == 8 else "I"
"""Type code of an array of addresses."""


def _utf16(units: Any) -> str:
    """Decodes an array of UTF-16 units up to its first zero."""
    return _decode(bytes(units)).split("\0", 1)[0]


def _decode(data: bytes) -> str:
    return data.decode("utf-16-le", "replace")


def _clean(text: str) -> str:
    """Replaces halves of surrogate pairs, which JSON cannot carry."""
    return _decode(text.encode("utf-16-le", "surrogatepass"))
