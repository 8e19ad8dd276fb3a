"""What the .NET garbage collector of a 32-bit process needs: the address space of its next segment."""

from __future__ import annotations

from typing import Literal

from dumpmap.model.region_map import RegionMap
from dumpmap.model.values import value_class

_SERVER_THREAD = ".NET Server GC"
"""How the names of the server collector's threads begin."""

_MB = 1 << 20


@value_class(frozen=True, slots=True)
class CollectorSegment:
    """The address space that a garbage collector reserves at a time.

    Attributes:
        size: bytes.
        collector: which collector runs.
    """

    size: int
    collector: Literal["workstation", "server"]


def collector_segment(region_map: RegionMap) -> CollectorSegment | None:
    """Returns what the collector reserves at a time.

    None without a .NET runtime, and for a 64-bit process, where address space is not short.
    """
    if region_map.process.pointer_size != 4:
        return None
    runtimes = [runtime for runtime in region_map.structures.runtimes if runtime.name.startswith(".NET")]
    if not runtimes:
        return None
    server = any(runtime.variant == "server" for runtime in runtimes)
    threads = region_map.snapshot.threads
    if not server and not any((one.name or "").startswith(_SERVER_THREAD) for one in threads):
        return CollectorSegment(16 * _MB, "workstation")
    processors = region_map.system.processors or 0
    return CollectorSegment((16 if processors > 8 else 32 if processors > 4 else 64) * _MB, "server")
