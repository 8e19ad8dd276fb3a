"""What a better dump would add, and how to take it."""

from __future__ import annotations

from dataclasses import dataclass

from dumpmap.model.region_map import RegionMap


@dataclass(frozen=True, slots=True)
class Advice:
    """Something that the input lacks.

    Attributes:
        missing: what it is.
        adds: what the map would show with it.
        how: how to take a dump that has it.
    """

    missing: str
    adds: str
    how: str


_PROCDUMP = "procdump -ma PID, or WinDbg's .dump /ma, or MiniDumpWriteDump with MiniDumpWithFullMemory | "
_FLAGS_INFO = "MiniDumpWithFullMemoryInfo"


def advise(region_map: RegionMap) -> list[Advice]:
    """Lists what the input lacks for a complete map, the most useful first."""
    snapshot = region_map.snapshot
    if snapshot.process.os.family != "windows" or snapshot.source.kind == "vmmap":
        return []
    present = {stream.name for stream in snapshot.source.streams}
    advice = []
    if region_map.partial:
        advice.append(
            Advice(
                "the list of memory regions (MemoryInfoList)",
                "the whole map: free space, the largest free block, private data, mapped views",
                f"MiniDumpWriteDump with {_FLAGS_INFO}; WinDbg's .dump /mi; Crashpad and procdump -mp or -ma write it. "
                "It costs 48 bytes a region",
            )
        )
    if not region_map.heap_list_captured:
        advice.append(
            Advice(
                "the list of heaps and their headers",
                "heap memory told from other private data, and each heap's size and fragmentation",
                f"{_PROCDUMP}{_FLAGS_INFO}; or write a heap stream from the crash handler (docs/heap-stream.md)",
            )
        )
    if not region_map.partial and region_map.completeness == "map":
        advice.append(
            Advice(
                "the bytes of private memory",
                "block statistics of heaps, and heaps that only a signature shows",
                f"{_PROCDUMP}{_FLAGS_INFO}",
            )
        )
    if snapshot.source.kind == "minidump" and not {"ThreadInfoList", "ThreadNames"} & present:
        advice.append(
            Advice(
                "thread names and start addresses",
                "stacks with names",
                "MiniDumpWithThreadInfo; Windows 10 and later write the names of threads that have one",
            )
        )
    if snapshot.source.kind == "minidump" and snapshot.system.commit_limit is None:
        advice.append(
            Advice(
                "the system's memory counters (SystemMemoryInfo, ProcessVmCounters)",
                "whether the commit limit was reached, which the map alone cannot tell",
                "dbghelp.dll of Windows 10 and later writes them unless MiniDumpWithoutAuxiliaryState is set",
            )
        )
    return advice
