"""Questions about the machine, and about what a process runs as."""

from __future__ import annotations

import os
import sys
from ctypes import byref, c_int32, c_uint16, sizeof

from dumpmap.capture.windows.api.calls import Calls, utf16_text
from dumpmap.capture.windows.layouts import (
    MACHINES,
    MEMORYSTATUSEX,
    OSVERSIONINFOEXW,
    PERFORMANCE_INFORMATION,
    PROCESSOR_ARCHITECTURES,
    SYSTEM_INFO,
)
from dumpmap.model.values import value_class
from dumpmap.model.winnt import PRODUCT_TYPES

_PROCESS_MACHINE_TYPE_INFO = 9


@value_class(frozen=True, slots=True)
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


@value_class(frozen=True, slots=True)
class Machine:
    """What a process runs as.

    Attributes:
        architecture: the architecture of its code.
        wow64: it is a 32-bit process on a 64-bit system.
        native: the architecture of the system.
    """

    architecture: str
    wow64: bool
    native: str


class SystemApi(Calls):
    """Questions about the machine."""

    def own_pid(self) -> int:
        """Returns the id of this process."""
        return os.getpid()

    def own_pids(self) -> set[int]:
        """Returns the ids of this process, and of the start program of `dumpmap-capture.exe`, which waits for it."""
        frozen = hasattr(sys, "_MEIPASS")
        return {os.getpid(), os.getppid()} if frozen else {os.getpid()}

    def is_wow64(self) -> bool:
        """Returns whether this Python is a 32-bit program on a 64-bit system."""
        return self.machine(self._functions["GetCurrentProcess"]()).wow64

    def machine(self, handle: int) -> Machine:
        """Returns what a process runs as."""
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
        """Returns the architecture of an emulated process: an x64 process on ARM64 is not a WoW64 process.

        Windows 11 and later.
        """
        if not self._has("GetProcessInformation"):
            return None
        machine = (c_uint16 * 4)()
        succeeded = self._functions["GetProcessInformation"](
            handle, _PROCESS_MACHINE_TYPE_INFO, byref(machine), sizeof(machine)
        )
        return MACHINES.get(machine[0]) if succeeded else None

    def version(self) -> tuple[int, int, int, str, str | None]:
        """Returns the major, minor and build number, the name of the service pack, and the type of product."""
        info = OSVERSIONINFOEXW()
        info.dwOSVersionInfoSize = sizeof(info)
        self._status("RtlGetVersion", byref(info))
        service_pack, product = utf16_text(info.szCSDVersion), PRODUCT_TYPES.get(info.wProductType)
        return info.dwMajorVersion, info.dwMinorVersion, info.dwBuildNumber, service_pack, product

    def system(self) -> SystemFacts:
        """Returns the facts about the machine, as a program of this Python's width sees them."""
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
