"""What grows over a series of maps of one process, how fast, and how sure that is.

For every type of memory and every group (a module, a heap, a kind, allocations of one size) a straight line is fitted
through the figures over time, with a confidence interval of its slope. Something *grows* only where that interval
excludes zero. Two points never prove growth.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, get_args

import numpy as np

from dumpmap.analysis.caveats import Caveat
from dumpmap.analysis.events import Event, events_of
from dumpmap.analysis.groups import Group
from dumpmap.analysis.part_sums import PartKey
from dumpmap.analysis.samples import METRICS, Metric, Sample, take_samples
from dumpmap.analysis.trend import Values, fit_lines
from dumpmap.model.choices import check_choice
from dumpmap.model.region_map import RegionMap
from dumpmap.model.types import TYPES
from dumpmap.model.values import value_class

TimeUnit = Literal["seconds", "samples"]

PROCESS_FIGURES = (
    "counters.private_usage",
    "counters.working_set",
    "counters.virtual_size",
    "free",
    "largest_free_block",
    "commit_left",
    "threads",
    "handles",
)
"""Figures of the whole process that are followed besides."""


@value_class(frozen=True, slots=True)
class Point:
    """One map of the series.

    Attributes:
        name: the input's name.
        captured_at: when it was captured, None where the input does not record it.
        at: its place on the time axis: seconds since the first, or its number from 0 on.
    """

    name: str
    captured_at: dt.datetime | None
    at: float


@value_class(frozen=True, slots=True)
class Series:
    """A figure over the series. Slopes are per second, or per sample where times are missing.

    Attributes:
        group: whose figure it is; None for a whole type or the whole process.
        type: the type's label; empty for a figure of an owner or of the whole process.
        metric: `committed`, `size`, or the figure's name.
        values: one per point, None where the input does not know it.
        lower_bounds: one per point, known only where the input shows a part; they are not followed.
        slope: of the fitted line; None with fewer than two known values.
        low: lower end of the slope's confidence interval; None with fewer than three known values.
        high: upper end.
        count: allocations in the group at the last point; None for a figure of the whole process.
    """

    group: Group | PartKey | None
    type: str
    metric: str
    values: tuple[float | None, ...]
    slope: float | None
    low: float | None
    high: float | None
    count: int | None = None
    lower_bounds: tuple[float | None, ...] = ()

    @property
    def first(self) -> float | None:
        """The first known value."""
        return next((value for value in self.values if value is not None), None)

    @property
    def last(self) -> float | None:
        """The last known value."""
        return next((value for value in reversed(self.values) if value is not None), None)

    @property
    def delta(self) -> float | None:
        """Last - first."""
        return None if self.first is None or self.last is None else self.last - self.first

    @property
    def grows(self) -> bool:
        """Whether the confidence interval of the slope lies above zero."""
        return self.low is not None and self.low > 0

    @property
    def shrinks(self) -> bool:
        """Whether the confidence interval of the slope lies below zero."""
        return self.high is not None and self.high < 0

    def sparkline(self) -> list[float | None]:
        """Scales the values to 0 (the lowest) to 1 (the highest); all are 0 where they are equal."""
        known = [value for value in self.values if value is not None]
        low, span = (min(known), max(known) - min(known)) if known else (0, 0)
        return [None if value is None else (value - low) / span if span else 0.0 for value in self.values]


@value_class(frozen=True, slots=True)
class Forecast:
    """When something that shrinks reaches zero if it goes on so. Times count from the last point.

    Attributes:
        figure: `free`, `largest_free_block` or `commit_left`.
        left: its last value.
        expected: at the fitted slope.
        earliest: at the steep end of the slope's confidence interval.
        latest: at its flat end.
    """

    figure: str
    left: float
    expected: float
    earliest: float
    latest: float

    def to_dict(self, unit: str) -> dict[str, Any]:
        """Returns plain data, times in the timeline's unit."""
        return {
            "figure": self.figure,
            "left": whole_number(self.left),
            f"expected_{unit}": round(self.expected, 1),
            f"earliest_{unit}": round(self.earliest, 1),
            f"latest_{unit}": round(self.latest, 1),
        }


@dataclass(frozen=True)
class Growth:
    """Growth over a series of maps.

    Attributes:
        points: the maps, by time where all have one.
        unit: of the time axis: `seconds` or `samples`.
        confidence: of the intervals, as a share.
        types: each type and `Total`, for every metric.
        groups: groups that changed at all, those that grow fastest first.
        owners: parts of owners that changed at all, all instances together, those that grow fastest first.
        holders: every owner with all its parts and instances, and the memory without an owner; the largest last value
            first.
        figures: figures of the whole process.
        events: exceptions, and where another process follows.
        forecasts: when free address space or commit is used up.
        caveats: what a reader has to know.
    """

    points: tuple[Point, ...]
    unit: TimeUnit
    confidence: float
    types: tuple[Series, ...]
    groups: tuple[Series, ...]
    owners: tuple[Series, ...]
    holders: tuple[Series, ...]
    figures: tuple[Series, ...]
    events: tuple[Event, ...]
    forecasts: tuple[Forecast, ...]
    caveats: tuple[Caveat, ...] = field(default=())

    @property
    def changed(self) -> bool:
        """Whether any known figure of the maps differs from another."""
        every = (*self.types, *self.groups, *self.figures)
        return any(len({value for value in series.values if value is not None}) > 1 for series in every)


def whole_number(value: float | None) -> float | int | None:
    """Returns an integer where the value is one: JSON then has no `.0`."""
    return int(value) if value is not None and float(value).is_integer() else value


def follow(maps: Iterable[RegionMap], *, metrics: Sequence[Metric] = METRICS, confidence: float = 0.95) -> Growth:
    """Follows the memory of a process over several maps.

    Maps are let go, so a hundred large inputs need no more memory than two; see `take_samples`.

    Args:
        maps: maps, at least two. They are sorted by time if all have one.
        metrics: figures to follow.
        confidence: of the slopes' intervals, above 0 and below 1.

    Raises:
        ValueError: there are fewer than two maps, a figure is unknown, or the confidence is out of range.
    """
    for metric in metrics:
        check_choice("each of metrics", metric, get_args(Metric))
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be above 0 and below 1, not {confidence}")
    samples = take_samples(maps, metrics)
    if len(samples) < 2:
        raise ValueError(f"a timeline needs at least two maps, not {len(samples)}")
    samples, unit, caveats = _ordered(samples)
    at = _axis(samples, unit)
    points = tuple(
        Point(sample.name, sample.captured_at, float(place)) for sample, place in zip(samples, at.tolist(), strict=True)
    )
    groups = _fit(_group_rows([sample.groups for sample in samples], samples, metrics), at, confidence)
    owners = _fit(
        _group_rows([sample.owners for sample in samples], samples, [one for one in metrics if one != "private"]),
        at,
        confidence,
    )
    figures = _fit(_figure_rows(samples), at, confidence)
    return Growth(
        points=points,
        unit=unit,
        confidence=confidence,
        types=_fit(_type_rows(samples, metrics), at, confidence),
        groups=_fastest_first(groups),
        owners=_fastest_first(owners),
        holders=_fit(_holder_rows(samples), at, confidence),
        figures=figures,
        events=tuple(events_of(samples)),
        forecasts=tuple(_forecasts(figures, samples)),
        caveats=tuple(caveats),
    )


def _fastest_first(series: Sequence[Series]) -> tuple[Series, ...]:
    """Puts first what certainly grows, then the rest by slope."""
    return tuple(sorted(series, key=lambda one: (not one.grows, -(one.slope or 0.0))))


# ---------------------------------------------------------------- samples


def _ordered(samples: list[Sample]) -> tuple[list[Sample], TimeUnit, list[Caveat]]:
    """Sorts the samples by time where all have one, and says what limits the comparison."""
    caveats = []
    if len({sample.process for sample in samples if sample.process != (None, None)}) > 1:
        caveats.append(Caveat("several-processes"))
    if not all(sample.whole for sample in samples):
        caveats.append(Caveat("incomplete-inputs"))
    if len({sample.foreign for sample in samples}) > 1:
        caveats.append(Caveat("owners-of-other-inputs"))
    known = [sample.captured_at for sample in samples if sample.captured_at is not None]
    if len(known) < len(samples):
        caveats.append(Caveat("times-missing", {"count": len(samples) - len(known), "of": len(samples)}))
        return samples, "samples", caveats
    if len(set(known)) < 2:
        caveats.append(Caveat("times-equal"))
        return samples, "samples", caveats
    order = sorted(range(len(samples)), key=lambda index: known[index])
    if order != list(range(len(samples))):
        caveats.append(Caveat("sorted-by-time"))
    return [samples[index] for index in order], "seconds", caveats


def _axis(samples: list[Sample], unit: TimeUnit) -> Values:
    if unit == "samples":
        return np.arange(len(samples), dtype=np.float64)
    times = [sample.captured_at.timestamp() for sample in samples if sample.captured_at is not None]
    return np.array(times) - times[0]


# ---------------------------------------------------------------- series


@value_class(frozen=True, slots=True)
class _Row:
    """A series that has no line yet."""

    group: Group | PartKey | None
    type: str
    metric: str
    values: Sequence[float | None]
    count: int | None = None
    lower_bounds: Sequence[float | None] = ()


def _fit(rows: Sequence[_Row], at: Values, confidence: float) -> tuple[Series, ...]:
    """Fits a line through each row of values."""
    if not rows:
        return ()
    table = np.array([[np.nan if value is None else value for value in row.values] for row in rows], np.float64)
    lines = fit_lines(at, table, confidence)
    return tuple(
        Series(
            group=row.group,
            type=row.type,
            metric=row.metric,
            values=tuple(row.values),
            slope=_known(lines.slope[index]),
            low=_known(lines.low[index]),
            high=_known(lines.high[index]),
            count=row.count,
            lower_bounds=tuple(row.lower_bounds) or (None,) * len(row.values),
        )
        for index, row in enumerate(rows)
    )


def _known(value: np.float64) -> float | None:
    return None if np.isnan(value) else float(value)


def _type_rows(samples: list[Sample], metrics: Sequence[Metric]) -> list[_Row]:
    rows: list[_Row] = []
    for name in ["Total", *(info.name for info in TYPES)]:
        for metric in metrics:
            values = [sample.types.get(name, {}).get(metric) for sample in samples]
            least = [sample.least.get(name, {}).get(metric) for sample in samples]
            if any(values) or any(least):
                rows.append(_Row(None, name, metric, values, lower_bounds=least))
    return rows


_Key = TypeVar("_Key", Group, PartKey)


def _group_rows(
    sums: Sequence[Mapping[_Key, dict[str, int]]], samples: list[Sample], metrics: Sequence[Metric]
) -> list[_Row]:
    """Returns a row for each group and metric that changed, from the sums of each sample by group."""
    rows: list[_Row] = []
    for group in dict.fromkeys(group for one in sums for group in one):
        figures = [one.get(group, {}) if sample.whole else None for one, sample in zip(sums, samples, strict=True)]
        count = next((one.get("count", 0) for one in reversed(figures) if one is not None), None)
        for metric in metrics:
            values = [None if one is None else one.get(metric, 0) for one in figures]
            if len({value for value in values if value is not None}) > 1:
                rows.append(_Row(group, group.type.label if group.type is not None else "", metric, values, count))
    return rows


def _holder_rows(samples: list[Sample]) -> list[_Row]:
    """Returns the committed memory of each owner, also where it did not change."""
    sums = [Counter[PartKey]() for _ in samples]
    for one, sample in zip(sums, samples, strict=True):
        for key, figures in sample.owners.items():
            one[PartKey(key.owner, key.module)] += figures["committed"]
    keys = dict.fromkeys(key for one in reversed(sums) for key, _ in one.most_common())
    return [
        _Row(
            key,
            "",
            "committed",
            [one[key] if sample.whole else None for one, sample in zip(sums, samples, strict=True)],
        )
        for key in keys
    ]


def _figure_rows(samples: list[Sample]) -> list[_Row]:
    rows: list[_Row] = []
    for name in PROCESS_FIGURES:
        values = [sample.figures[name] for sample in samples]
        if any(value is not None for value in values):
            rows.append(_Row(None, "", name, values))
    return rows


def _forecasts(figures: Sequence[Series], samples: list[Sample]) -> Iterable[Forecast]:
    narrow = all(sample.narrow for sample in samples)
    for series in figures:
        if series.metric not in ("free", "largest_free_block", "commit_left"):
            continue
        if series.metric != "commit_left" and not narrow:
            continue  # no slope that was ever measured uses up a 64-bit address space
        left = series.last
        if left is None or not series.shrinks or not series.slope or not series.low or not series.high:
            continue
        yield Forecast(series.metric, left, left / -series.slope, left / -series.low, left / -series.high)
