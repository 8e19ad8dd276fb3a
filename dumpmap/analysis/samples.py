"""What a timeline keeps of each map of its series."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

from dumpmap.analysis.diff import same_process
from dumpmap.analysis.exception_names import exception_name
from dumpmap.analysis.groups import Group, sum_by_group
from dumpmap.analysis.lower_bounds import is_lower_bound
from dumpmap.analysis.matching import pair_allocations
from dumpmap.analysis.measurements import measurements_of
from dumpmap.analysis.part_sums import Figures, Known, PartKey, sum_parts
from dumpmap.analysis.subjects import has_foreign_kinds
from dumpmap.model.region_map import RegionMap
from dumpmap.model.types import RegionType
from dumpmap.model.values import value_class

Metric = Literal["committed", "size", "private"]
METRICS: tuple[Metric, ...] = ("committed", "size")
"""Figures that are followed for every type and group."""


@value_class(frozen=False, slots=True)
class Sample:
    """What is kept of one map."""

    name: str
    captured_at: dt.datetime | None
    process: tuple[Any, ...]
    started: dt.datetime | None
    exception: str | None
    whole: bool
    narrow: bool
    foreign: bool
    types: dict[str, dict[str, int | None]]
    least: dict[str, dict[str, int | None]]
    groups: Mapping[Group, dict[str, int]]
    owners: Mapping[PartKey, dict[str, int]]
    figures: dict[str, float | None]


def _sample(region_map: RegionMap, metrics: Sequence[Metric], known: Sequence[Known] = ()) -> Sample:
    m = measurements_of(region_map)
    counters, process = region_map.counters, region_map.process
    exception = region_map.snapshot.exception
    return Sample(
        name=region_map.snapshot.source.name,
        captured_at=region_map.snapshot.source.captured_at,
        process=(process.pid, process.name),
        started=process.created_at,
        exception=None if exception is None else exception_name(exception, process.os.family),
        whole=m.whole,
        narrow=m.limit.narrow,
        foreign=has_foreign_kinds(region_map),
        # The sums of an incomplete map are lower bounds, which would look like growth.
        types={
            line.name: line.values()
            for line in region_map.summary_lines
            if m.whole or line.name == RegionType.PAGE_TABLE.label
        },
        least={line.name: line.values() for line in region_map.summary_lines if is_lower_bound(region_map, line)},
        groups=sum_by_group(region_map, metrics, known),
        owners=_owners(region_map, known),
        figures={
            "counters.private_usage": counters.private_usage,
            "counters.working_set": counters.working_set,
            "counters.virtual_size": counters.virtual_size,
            "free": m.measured.total if m.measured is not None else None,
            "largest_free_block": m.largest if m.measured is not None else None,
            "commit_left": m.commit.left,
            "threads": m.thread_count,
            "handles": region_map.snapshot.handle_count,
        },
    )


def _owners(region_map: RegionMap, known: Sequence[Known]) -> dict[PartKey, dict[str, int]]:
    """Sums up owners by part, all instances together."""
    sums: dict[PartKey, Figures] = {}
    for part, figures in sum_parts(region_map, known).items():
        sums[part.key] = sums.get(part.key, Figures()) + figures
    return {key: asdict(figures) for key, figures in sums.items()}


def take_samples(maps: Iterable[RegionMap], metrics: Sequence[Metric]) -> list[Sample]:
    """Takes what a timeline needs of each map.

    A VMMap file waits until a map that knows owners follows it: what is in use in it has the owner and the group that
    it has in the map before it or in the one after it. So two such maps are held at a time, and the files between them.
    """
    samples: dict[int, Sample] = {}
    waiting: list[tuple[int, RegionMap]] = []
    before: RegionMap | None = None

    def resolve(after: RegionMap | None) -> None:
        for place, one in waiting:
            samples[place] = _sample(one, metrics, [_known(one, other) for other in (before, after) if other])
        waiting.clear()

    for place, region_map in enumerate(maps):
        if has_foreign_kinds(region_map):
            waiting.append((place, region_map))
            continue
        samples[place] = _sample(region_map, metrics)
        if not region_map.partial:
            resolve(region_map)
            before = region_map
    resolve(None)
    return [samples[place] for place in sorted(samples)]


def _known(region_map: RegionMap, other: RegionMap) -> Known:
    return Known(other, pair_allocations(region_map, other, same_process(region_map, other)))
