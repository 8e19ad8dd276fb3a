"""Windows constants, under their names in the Windows SDK (winnt.h, gflags.h).

Memory states, protections, and types are separate Python types, so that testing one against another's flag is a type
error and not a silent False.
"""

from __future__ import annotations

from enum import IntFlag

PAGE_SIZE = 0x1000
"""Bytes in a page, on every architecture that Windows minidumps come from."""

ALLOCATION_GRANULARITY = 0x10000
"""VirtualAlloc starts every allocation at a multiple of this (SYSTEM_INFO.dwAllocationGranularity)."""

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
"""Protections of image pages that are private to the process, or become private when written."""

PAGE_EXECUTABLE = (
    PageProtect.PAGE_EXECUTE
    | PageProtect.PAGE_EXECUTE_READ
    | PageProtect.PAGE_EXECUTE_READWRITE
    | PageProtect.PAGE_EXECUTE_WRITECOPY
)
