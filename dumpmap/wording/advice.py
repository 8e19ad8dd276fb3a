"""What a better dump would add, and how to capture it."""

from __future__ import annotations

from collections.abc import Mapping

from dumpmap.analysis.lacks import Lack, lacks_of
from dumpmap.model.region_map import RegionMap
from dumpmap.model.values import value_class


@value_class(frozen=True, slots=True)
class Advice:
    """Something that the input lacks.

    Attributes:
        missing: what it is.
        adds: what the map would show with it.
        how: how to capture a dump that has it.
    """

    missing: str
    adds: str
    how: str


_FULL = (
    "procdump -ma PID; in WinDbg, .dump /ma FILE; or MiniDumpWriteDump with MiniDumpWithFullMemory | "
    "MiniDumpWithFullMemoryInfo"
)

ADVICE: Mapping[Lack, Advice] = {
    Lack.REGIONS: Advice(
        "the list of memory regions (MemoryInfoList)",
        "the whole map: free space, the largest free block, private data, and mapped views",
        "MiniDumpWriteDump with MiniDumpWithFullMemoryInfo; in WinDbg, .dump /mF FILE; procdump -mp or -ma and "
        "Crashpad always write it. It costs 48 bytes per region",
    ),
    Lack.HEAPS: Advice(
        "the list of heaps and their headers",
        "heap memory apart from other private data, with the size and fragmentation of each heap",
        f"{_FULL}; or write a heap stream from the crash handler (docs/heap-stream.md)",
    ),
    Lack.PRIVATE_BYTES: Advice(
        "the bytes of private memory",
        "block statistics of heaps, and heaps that only a signature in memory identifies",
        _FULL,
    ),
    Lack.BYTES_OF_ORIGINAL: Advice(
        "the bytes of private memory, which the dump had when it was written",
        "block statistics of heaps, and heaps that only a signature in memory identifies",
        "open the original dump; this file was reduced or cut off afterwards",
    ),
    Lack.THREAD_NAMES: Advice(
        "thread names and start addresses",
        "stacks with the names of their threads",
        "MiniDumpWriteDump with MiniDumpWithThreadInfo; Windows 10 and later write the names of threads that have one",
    ),
    Lack.COUNTERS: Advice(
        "the system's memory counters (SystemMemoryInfo, ProcessVmCounters)",
        "whether the system reached its commit limit, which the map alone does not show",
        "dbghelp.dll of Windows 10 and later writes them unless MiniDumpWithoutAuxiliaryState is set",
    ),
}
"""The advice for everything that an input can lack."""


def advise(region_map: RegionMap) -> list[Advice]:
    """Lists what the input lacks for a complete map, the most useful part first."""
    return [ADVICE[lack] for lack in lacks_of(region_map)]
