"""Windows constants, under their names in the Windows SDK (winnt.h, gflags.h).

Memory states, protections, and types are separate Python types, so that testing one against another's flag is a type
error and not a silent False.

Only the standard library is used here: the live capture runs this module on a bare Python.
"""

from __future__ import annotations

import datetime as dt
from enum import IntFlag
from typing import Literal

PAGE_SIZE = 0x1000
"""Bytes in a page, on every architecture that Windows minidumps come from."""

ALLOCATION_GRANULARITY = 0x10000
"""VirtualAlloc starts every allocation at a multiple of this (SYSTEM_INFO.dwAllocationGranularity)."""

ProductType = Literal["workstation", "domain-controller", "server"]
PRODUCT_TYPES: dict[int, ProductType] = {1: "workstation", 2: "domain-controller", 3: "server"}
"""VER_NT_WORKSTATION, VER_NT_DOMAIN_CONTROLLER, VER_NT_SERVER: what the system was sold as (OSVERSIONINFOEX)."""

FILETIME_EPOCH = dt.datetime(1601, 1, 1, tzinfo=dt.UTC)
"""A FILETIME counts units of 100 nanoseconds since this moment."""

RegionRow = tuple[int, int, int, int, int, int, int]
"""base, allocation base, allocation protect, size, state, protect, type, as VirtualQuery returns them."""

FLG_HEAP_PAGE_ALLOCS = 0x02000000
"""Bit of PEB.NtGlobalFlag: page heap is on."""


class MemState(IntFlag):
    """MEMORY_BASIC_INFORMATION.State."""

    MEM_COMMIT = 0x1000
    MEM_RESERVE = 0x2000
    MEM_FREE = 0x10000


class MemType(IntFlag):
    """MEMORY_BASIC_INFORMATION.Type; 0 for free memory."""

    MEM_PRIVATE = 0x20000
    MEM_MAPPED = 0x40000
    MEM_IMAGE = 0x1000000


class PageProtect(IntFlag):
    """MEMORY_BASIC_INFORMATION.Protect and AllocationProtect."""

    PAGE_NOACCESS = 0x01
    PAGE_READONLY = 0x02
    PAGE_READWRITE = 0x04
    PAGE_WRITECOPY = 0x08
    PAGE_EXECUTE = 0x10
    PAGE_EXECUTE_READ = 0x20
    PAGE_EXECUTE_READWRITE = 0x40
    PAGE_EXECUTE_WRITECOPY = 0x80
    PAGE_GUARD = 0x100
    PAGE_NOCACHE = 0x200
    PAGE_WRITECOMBINE = 0x400
    PAGE_TARGETS_INVALID = 0x40000000


PAGE_WRITABLE = (
    PageProtect.PAGE_READWRITE
    | PageProtect.PAGE_WRITECOPY
    | PageProtect.PAGE_EXECUTE_READWRITE
    | PageProtect.PAGE_EXECUTE_WRITECOPY
)
"""Protections of image pages that are private to the process, or become private when it writes to them."""

PAGE_GUARD_OR_NO_ACCESS = PageProtect.PAGE_NOACCESS | PageProtect.PAGE_GUARD
"""Protections of committed pages that nothing can read."""


class MinidumpType(IntFlag):
    """MINIDUMP_TYPE: the contents that the writer of a minidump selected (MINIDUMP_HEADER.Flags)."""

    MiniDumpNormal = 0
    MiniDumpWithDataSegs = 0x1
    MiniDumpWithFullMemory = 0x2
    MiniDumpWithHandleData = 0x4
    MiniDumpFilterMemory = 0x8
    MiniDumpScanMemory = 0x10
    MiniDumpWithUnloadedModules = 0x20
    MiniDumpWithIndirectlyReferencedMemory = 0x40
    MiniDumpFilterModulePaths = 0x80
    MiniDumpWithProcessThreadData = 0x100
    MiniDumpWithPrivateReadWriteMemory = 0x200
    MiniDumpWithoutOptionalData = 0x400
    MiniDumpWithFullMemoryInfo = 0x800
    MiniDumpWithThreadInfo = 0x1000
    MiniDumpWithCodeSegs = 0x2000
    MiniDumpWithoutAuxiliaryState = 0x4000
    MiniDumpWithFullAuxiliaryState = 0x8000
    MiniDumpWithPrivateWriteCopyMemory = 0x10000
    MiniDumpIgnoreInaccessibleMemory = 0x20000
    MiniDumpWithTokenInformation = 0x40000
    MiniDumpWithModuleHeaders = 0x80000
    MiniDumpFilterTriage = 0x100000
    MiniDumpWithAvxXStateContext = 0x200000
    MiniDumpWithIptTrace = 0x400000
    MiniDumpScanInaccessiblePartialPages = 0x800000
    MiniDumpFilterWriteCombinedMemory = 0x1000000


class VmCounterFlags(IntFlag):
    """MINIDUMP_PROCESS_VM_COUNTERS_2.Flags: which groups of fields are filled in."""

    MINIDUMP_PROCESS_VM_COUNTERS = 0x1
    MINIDUMP_PROCESS_VM_COUNTERS_VIRTUALSIZE = 0x2
    MINIDUMP_PROCESS_VM_COUNTERS_EX = 0x4
    MINIDUMP_PROCESS_VM_COUNTERS_EX2 = 0x8
    MINIDUMP_PROCESS_VM_COUNTERS_JOB = 0x10
