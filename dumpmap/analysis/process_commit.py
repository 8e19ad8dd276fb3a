"""What a process commits: the best figure that an input has, with its source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from dumpmap.model.counted import contradicted_commit
from dumpmap.model.values import value_class

if TYPE_CHECKING:
    from dumpmap.model.region_map import RegionMap

CommitSource = Literal["private-usage", "pagefile-usage", "writer", "private-regions", "regions"]
COMMIT_SOURCES: tuple[CommitSource, ...] = get_args(CommitSource)


@value_class(frozen=True, slots=True)
class ProcessCommit:
    """What a process commits.

    Attributes:
        size: bytes.
        source: `private-usage` (the counter PrivateUsage), `pagefile-usage` (the counter PagefileUsage),
            `writer` (what the writer of the dump recorded),
            `private-regions` (the private committed bytes of a complete list of regions, which contradict a lower
            counter), or `regions` (the committed bytes of a complete list, which include images and mapped files).
    """

    size: int
    source: CommitSource


def process_commit(region_map: RegionMap) -> ProcessCommit | None:
    """Returns the best known figure; None if the input has none. A sum over a partial map is none: it is too low."""
    private = contradicted_commit(region_map)
    if private is not None:
        return ProcessCommit(private, "private-regions")
    counters = region_map.counters
    # A process that runs commits something: 0 is a counter that nobody filled in.
    if counters.private_usage:
        return ProcessCommit(counters.private_usage, "private-usage")
    if counters.pagefile_usage:
        return ProcessCommit(counters.pagefile_usage, "pagefile-usage")
    writer = region_map.snapshot.writer
    # Unreal Engine's UsedVirtual is the commit charge (PagefileUsage), not address space.
    recorded = None if writer is None else writer.memory.get("UsedVirtual")
    if recorded:
        return ProcessCommit(recorded, "writer")
    committed = region_map.total.committed
    if region_map.partial or not region_map.snapshot.regions_complete or committed is None:
        return None
    return ProcessCommit(committed, "regions")
