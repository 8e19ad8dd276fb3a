"""The system, the process, and their counters: SystemInfo, MiscInfo, SystemMemoryInfo, ProcessVmCounters."""

from __future__ import annotations

from dumpmap.model.snapshot import Counters, OperatingSystem
from dumpmap.model.times import from_unix
from dumpmap.model.values import changed
from dumpmap.model.winnt import PRODUCT_TYPES, VmCounterFlags
from dumpmap.parsers.minidump import layout, records
from dumpmap.parsers.minidump.draft import Draft
from dumpmap.parsers.minidump.file import NotReadError
from dumpmap.parsers.minidump.stream import KnownStream, StreamData

_SYSTEM_INFO = records.Reader(layout.SYSTEM_INFO)
_MISC_INFO = records.Reader(layout.MISC_INFO)
_SYSTEM_MEMORY_INFO_1 = records.Reader(layout.SYSTEM_MEMORY_INFO_1)
_PROCESS_VM_COUNTERS_1 = records.Reader(layout.PROCESS_VM_COUNTERS_1)
_PROCESS_VM_COUNTERS_2 = records.Reader(layout.PROCESS_VM_COUNTERS_2)

_NO_LIMIT = (1 << 64) - 1
"""What Windows writes for a job without a limit."""

SYSTEM_INFO_NUMBER = 7


def read_system_info(data: StreamData, draft: Draft) -> None:
    """Reads MINIDUMP_SYSTEM_INFO."""
    info = data.record(_SYSTEM_INFO)
    architecture, pointer_size = layout.ARCHITECTURES.get(info.ProcessorArchitecture, ("unknown", 8))
    draft.architecture, draft.pointer_size = architecture, pointer_size
    if info.ProcessorArchitecture == layout.PROCESSOR_ARCHITECTURE_IA32_ON_WIN64:
        draft.wow64 = True
    family = layout.PLATFORMS.get(info.PlatformId, "other")
    draft.os = OperatingSystem(
        family=family,
        # On Linux, Breakpad leaves the numbers out and puts the kernel's version into the service pack.
        version=f"{info.MajorVersion}.{info.MinorVersion}.{info.BuildNumber}" if info.MajorVersion else None,
        build=info.BuildNumber or None,
        service_pack=(data.file.text(info.CSDVersionRva) or None),
        product_type=PRODUCT_TYPES.get(info.ProductType) if family == "windows" else None,
    )
    draft.system = changed(draft.system, processors=info.NumberOfProcessors or None)
    if architecture == "unknown":
        data.note(f"unknown processor architecture {info.ProcessorArchitecture}")


def read_misc_info(data: StreamData, draft: Draft) -> None:
    """Reads the part of MINIDUMP_MISC_INFO that all versions share."""
    info = data.record(_MISC_INFO)
    if info.Flags1 & layout.MISC1_PROCESS_ID:
        draft.pid = info.ProcessId
    if info.Flags1 & layout.MISC1_PROCESS_TIMES:
        draft.created_at = from_unix(info.ProcessCreateTime)
        draft.user_time, draft.kernel_time = info.ProcessUserTime, info.ProcessKernelTime


def read_system_memory_info(data: StreamData, draft: Draft) -> None:
    """Reads MINIDUMP_SYSTEM_MEMORY_INFO_1."""
    info = data.record(_SYSTEM_MEMORY_INFO_1)
    basic, perf = info.BasicInfo, info.BasicPerfInfo
    page = basic.PageSize
    if page < 512 or page & (page - 1):
        raise NotReadError("malformed", f"page size is {page:,}")
    has_perf = bool(info.Flags & layout.SYSTEM_MEMORY_INFO_HAS_BASIC_PERF)
    draft.system = changed(
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


def read_process_vm_counters(data: StreamData, draft: Draft) -> None:
    """Reads MINIDUMP_PROCESS_VM_COUNTERS_1 or _2."""
    revision = int.from_bytes(data.file.data(data.offset, 2), "little")
    groups = VmCounterFlags
    if revision == 1:
        record = data.record(_PROCESS_VM_COUNTERS_1)
        flags = groups.MINIDUMP_PROCESS_VM_COUNTERS | groups.MINIDUMP_PROCESS_VM_COUNTERS_EX
    elif revision == 2:
        record = data.record(_PROCESS_VM_COUNTERS_2)
        flags = groups(record.Flags)
    else:
        raise NotReadError("malformed", f"unknown revision {revision}")
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
        job_private_commit_limit=_limit(record.JobPrivateCommitLimit) if in_job else None,
        job_total_commit_limit=_limit(record.JobTotalCommitLimit) if in_job else None,
    )


def _limit(value: int) -> int | None:
    return None if value in (0, _NO_LIMIT) else value


STREAMS = (
    KnownStream(
        SYSTEM_INFO_NUMBER,
        "SystemInfo",
        "The processor architecture, the version of the operating system, and the number of processors.",
        "MINIDUMP_SYSTEM_INFO",
        "architecture, system version",
        read_system_info,
    ),
    KnownStream(
        15,
        "MiscInfo",
        "The process ID, its start time, and its CPU times. Versions 2 to 5 append fields that dumpmap does not use.",
        "MINIDUMP_MISC_INFO",
        "process ID, start time, CPU times",
        read_misc_info,
    ),
    KnownStream(
        21,
        "SystemMemoryInfo",
        "The memory of the machine: page size, physical memory, commit charge and limit, and the user address range.",
        "MINIDUMP_SYSTEM_MEMORY_INFO_1",
        "commit charge and limit, physical memory, highest user address",
        read_system_memory_info,
    ),
    KnownStream(
        22,
        "ProcessVmCounters",
        "The memory counters of the process, and of its job if it has one. dumpmap reads revisions 1 and 2.",
        "MINIDUMP_PROCESS_VM_COUNTERS_1, MINIDUMP_PROCESS_VM_COUNTERS_2",
        "private usage, working set, virtual size, job limits",
        read_process_vm_counters,
    ),
)
