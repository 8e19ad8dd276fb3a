"""What an input lacks for a complete map; `dumpmap.wording.advice` says what each part adds and how to capture it."""

from __future__ import annotations

from enum import Enum, auto

from dumpmap.model.region_map import RegionMap
from dumpmap.model.winnt import MinidumpType

_FULL_MEMORY = int(MinidumpType.MiniDumpWithFullMemory)


class Lack(Enum):
    """A part that an input does not hold."""

    REGIONS = auto()
    """The list of memory regions."""
    HEAPS = auto()
    """The list of heaps and their headers."""
    PRIVATE_BYTES = auto()
    """The bytes of private memory."""
    BYTES_OF_ORIGINAL = auto()
    """The same, but the dump was written with all memory and lost it afterwards."""
    THREAD_NAMES = auto()
    """Names and start addresses of threads."""
    COUNTERS = auto()
    """The system's memory counters."""


def lacks_of(region_map: RegionMap) -> tuple[Lack, ...]:
    """Lists what the input lacks, the most useful part first; only a Windows dump or snapshot can be better."""
    snapshot = region_map.snapshot
    if snapshot.process.os.family != "windows" or snapshot.source.kind == "vmmap":
        return ()
    is_dump = snapshot.source.kind == "minidump"
    written = bool((snapshot.source.flags or 0) & _FULL_MEMORY)
    present = {stream.name for stream in snapshot.source.streams}
    checks = (
        (Lack.REGIONS, region_map.partial),
        (Lack.HEAPS, not region_map.heap_list_captured),
        (Lack.BYTES_OF_ORIGINAL if written else Lack.PRIVATE_BYTES, region_map.completeness == "map"),
        (Lack.THREAD_NAMES, is_dump and not {"ThreadInfoList", "ThreadNames"} & present),
        (Lack.COUNTERS, is_dump and snapshot.system.commit_limit is None),
    )
    return tuple(lack for lack, applies in checks if applies)
