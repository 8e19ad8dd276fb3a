"""The measurements behind findings and verdict, made once per map.

Three axes that are never mixed: the address space (is there room for another allocation?), the commit (will the
system back it with memory?), and the limit of a runtime's own heap. A figure is None if the input cannot know it.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary, ref

import numpy as np

from dumpmap.analysis.bounds import FreeBounds, free_bounds
from dumpmap.analysis.dotnet import CollectorSegment, collector_segment
from dumpmap.analysis.failure import Failure, LastError, find_failure, last_errors
from dumpmap.analysis.free import FreeSpace, free_space
from dumpmap.analysis.heap_limits import HeapLimit, heap_limits
from dumpmap.analysis.heaps import HeapRow, heap_rows
from dumpmap.analysis.limits import AddressLimit, address_limit
from dumpmap.analysis.process_commit import process_commit
from dumpmap.analysis.writer_memory import recorded_commit
from dumpmap.model.counted import is_contradicted, private_commit, virtual_size
from dumpmap.model.region_map import RegionMap
from dumpmap.model.sizes import rounded_share
from dumpmap.model.types import TYPES, RegionType
from dumpmap.model.values import cached_property, value_class

_TYPES = tuple(RegionType)
_NOT_USED = (RegionType.FREE, RegionType.PAGE_TABLE)
"""Types that take none of the process's address space: page tables are in the kernel's."""


@value_class(frozen=True, slots=True)
class Commit:
    """The commit axis. Bytes; None is unknown.

    Attributes:
        total: the system's commit charge; if its counter is lower than what the process alone commits, that.
        limit: the system's commit limit at that time; a page file that Windows manages can still grow.
        process: what the process commits privately.
        job_usage: private commit of the process's job; if its counter is lower than the process's, that.
        job_limit: the job's limit, which does not grow.
        source: where the system's figures come from: `system counters`, or `writer` for what the writer of the dump
            recorded when it wrote the dump.
        least: whether `total` is such a lower bound.
    """

    total: int | None
    limit: int | None
    process: int | None
    job_usage: int | None
    job_limit: int | None
    source: str | None
    least: bool = False

    @property
    def ratio(self) -> float | None:
        """Charge / limit."""
        return self.total / self.limit if self.total is not None and self.limit else None

    @property
    def left(self) -> int | None:
        """Bytes below the limit; negative where the charge is above it."""
        return self.limit - self.total if self.total is not None and self.limit is not None else None

    @property
    def job_ratio(self) -> float | None:
        """Job usage / job limit."""
        return self.job_usage / self.job_limit if self.job_usage is not None and self.job_limit else None

    @property
    def job_left(self) -> int | None:
        """Bytes below the job's limit."""
        return self.job_limit - self.job_usage if self.job_usage is not None and self.job_limit is not None else None

    @property
    def process_share(self) -> float | None:
        """The process's part of the system's charge."""
        return self.process / self.total if self.process is not None and self.total else None

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "system_total": self.total,
            "system_total_is_lower_bound": self.least,
            "system_limit": self.limit,
            "system_ratio": rounded_share(self.ratio),
            "process_private": self.process,
            "process_share": rounded_share(self.process_share),
            "job_usage": self.job_usage,
            "job_limit": self.job_limit,
            "source": self.source,
        }


class Measurements:
    """What the diagnosis measures on one map. Each value is computed on first use and kept as long as the map lives."""

    def __init__(self, region_map: RegionMap) -> None:
        # A weak reference: the cache below would otherwise keep the map and its file open.
        self._map = ref(region_map)

    @property
    def map(self) -> RegionMap:
        """The map."""
        region_map = self._map()
        if region_map is None:
            raise ReferenceError("the map of these measurements is gone")
        return region_map

    @cached_property
    def windows(self) -> bool:
        """Whether the process ran on Windows."""
        return self.map.process.os.family == "windows"

    @cached_property
    def limit(self) -> AddressLimit:
        """How large the address space is."""
        return self.free.limit if self.free is not None else address_limit(self.map)

    @cached_property
    def free(self) -> FreeSpace | None:
        """The free space; None for a partial map."""
        return free_space(self.map)

    @cached_property
    def measured(self) -> FreeSpace | None:
        """The free space if the map knows all of it: only then does little free space prove anything."""
        return self.free if self.free is not None and self.free.complete else None

    @cached_property
    def bounds(self) -> FreeBounds | None:
        """Upper bounds of the free space of a partial map; None if the map measures it or the space is wide."""
        return None if self.free is not None else free_bounds(self.map, self.limit, self.virtual_size)

    @property
    def whole(self) -> bool:
        """Whether the list of regions reaches the end of the address space: only then are sums over it exact."""
        return self.measured is not None

    @property
    def largest(self) -> int:
        """Size of the largest free block; 0 if nothing is free, or if `free` is None."""
        return self.free.largest.size if self.free is not None and self.free.largest is not None else 0

    @cached_property
    def failure(self) -> Failure | None:
        """The exception and what it says about memory."""
        return find_failure(self.map)

    @cached_property
    def last_errors(self) -> list[LastError]:
        """Threads whose last error means that memory ran out, the crashing thread first."""
        return last_errors(self.map)

    @property
    def crash_error(self) -> LastError | None:
        """The last error of the thread that crashed, if it concerns memory."""
        return self.last_errors[0] if self.last_errors and self.last_errors[0].crashing else None

    @cached_property
    def commit(self) -> Commit:
        """The commit axis. Linux reports a limit too, but does not enforce it by default.

        The system and the job are charged for what the process commits, so that its map can contradict their counters.
        """
        system, counters = self.map.system, self.map.counters
        charge, limit, source = system.commit_total, system.commit_limit, "system counters"
        if charge is None or limit is None:
            charge, limit = recorded_commit(self.map) or (None, None)
            source = "writer"
        has_system = self.windows and charge is not None
        process, least = process_commit(self.map), private_commit(self.map)
        job = counters.job_private_commit_usage
        denied = charge is not None and is_contradicted(charge, least)
        return Commit(
            total=(least if denied else charge) if has_system else None,
            limit=limit if has_system else None,
            process=None if process is None or process.source == "regions" else process.size,
            job_usage=least if job is not None and is_contradicted(job, least) else job,
            job_limit=counters.job_private_commit_limit,
            source=source if has_system else None,
            least=has_system and denied,
        )

    @cached_property
    def heap_limits(self) -> tuple[HeapLimit, ...]:
        """The limits of runtimes, the recorded one first."""
        return heap_limits(self.map)

    @property
    def heap_limit(self) -> HeapLimit | None:
        """The runtime's limit that matters most: the recorded one, else the one with the largest part in use."""
        return self.heap_limits[0] if self.heap_limits else None

    @cached_property
    def heaps(self) -> list[HeapRow]:
        """A row per heap."""
        return heap_rows(self.map)

    @cached_property
    def heap_commit_failures(self) -> int | None:
        """How often Windows refused to commit memory for a heap; None if no heap's header says so."""
        # Not the rows of heaps: they take time, and the headers were read anyway.
        stated = [heap.info.stated for heap in self.map.heaps]
        counts = [one.commit_failures for one in stated if one is not None and one.commit_failures is not None]
        return sum(counts) if counts else None

    @cached_property
    def used(self) -> dict[RegionType, int]:
        """Address space by type, within the limit; largest first, without empty types."""
        limit, end = self.limit.size, self.map.end
        if limit is not None and end is not None and limit < end:
            # A 64-bit program dumped a 32-bit process: what lies above the limit is not the process's own.
            blocks = self.map.pieces
            inside = blocks.base < limit
            weights = blocks.size[inside].astype(np.float64)
            sizes = np.bincount(blocks.type[inside], weights=weights, minlength=len(TYPES)).astype(np.int64).tolist()
        else:
            sizes = [line.size or 0 for line in self.map.summary_lines[1:]]
        # The summary has the types' order; a map with a list of regions has no row of unknown types.
        used = [(kind, size) for kind, size in zip(_TYPES, sizes, strict=False) if size and kind not in _NOT_USED]
        return dict(sorted(used, key=lambda item: -item[1]))

    @cached_property
    def used_total(self) -> int:
        """Address space in use, unusable space included."""
        return sum(self.used.values())

    @cached_property
    def virtual_size(self) -> int | None:
        """The address space in use by the process's counters; None if that is more than its own code can reach.

        A 32-bit process on 64-bit Windows has reservations above 4 GB, which the counter includes. A counter that the
        known ranges or another counter contradict counts as unknown.
        """
        used = virtual_size(self.map)
        return None if used is None or self.limit.size is None or used > self.limit.size else used

    @cached_property
    def thread_count(self) -> int:
        """Threads in the input's list."""
        return len(self.map.snapshot.threads)

    @cached_property
    def collector_segment(self) -> CollectorSegment | None:
        """What the .NET garbage collector reserves at a time; None if no such collector needs address space."""
        return collector_segment(self.map)


_MEASURED: WeakKeyDictionary[RegionMap, Measurements] = WeakKeyDictionary()


def measurements_of(region_map: RegionMap) -> Measurements:
    """Returns the measurements of a map; asked again, the same ones."""
    known = _MEASURED.get(region_map)
    if known is None:
        known = _MEASURED[region_map] = Measurements(region_map)
    return known
