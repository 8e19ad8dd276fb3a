"""What grows over a series of maps of one process, how fast, and how sure that is.

For every type of memory and every group (a module, a heap, a kind, allocations of one size) a straight line is fitted
through the figures over time, with a confidence interval of its slope. Something *grows* only where that interval
excludes zero; two points never tell.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from os import PathLike
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dumpmap.analysis.measurements import measurements_of
from dumpmap.model.region_map import RegionMap
from dumpmap.model.types import TYPES, RegionType
from dumpmap.wording.text import size_words

TIMELINE_SCHEMA = "dumpmap.timeline/1"

Metric = Literal["committed", "size", "private"]
METRICS: tuple[Metric, ...] = ("committed", "size")
"""Figures that are followed for every type and group."""

SERIES_COLUMNS = ("name", "type", "metric", "first", "last", "delta", "slope", "slope_low", "slope_high", "grows")
"""Columns of the tables of types, groups and figures, in order; `slope` is bytes per second, or per sample."""

FIGURES = (
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

_HOUR = 3600
_LFH = " [LOW FRAGMENTATION]"
Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Point:
    """One map of the series.

    Attributes:
        name: the input's name.
        captured_at: when it was taken, None where the input does not say.
        at: its place on the time axis: seconds since the first, or its number from 0 on.
    """

    name: str
    captured_at: dt.datetime | None
    at: float


@dataclass(frozen=True, slots=True)
class Series:
    """A figure over the series. Slopes are per second, or per sample where times are missing.

    Attributes:
        name: of the group: a module, `Heap ID: 1`, `allocations of 1.1 MB`; empty for a whole type.
        type: the type's label; empty for a figure of the whole process.
        metric: `committed`, `size`, or the figure's name.
        values: one per point, None where the input does not know it.
        slope: of the fitted line; None with fewer than two known values.
        low: lower end of the slope's confidence interval; None with fewer than three known values.
        high: upper end.
        count: allocations in the group at the last point; None for a figure of the whole process.
    """

    name: str
    type: str
    metric: str
    values: tuple[float | None, ...]
    slope: float | None
    low: float | None
    high: float | None
    count: int | None = None

    @property
    def title(self) -> str:
        """Type and name together."""
        return ", ".join(part for part in (self.type, self.name) if part) or self.metric

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
        """The values scaled to 0 (the lowest) to 1 (the highest); all 0 where they are equal."""
        known = [value for value in self.values if value is not None]
        low, span = (min(known), max(known) - min(known)) if known else (0, 0)
        return [None if value is None else (value - low) / span if span else 0.0 for value in self.values]

    def to_dict(self, unit: str) -> dict[str, Any]:
        """Plain data; with times, slopes per second and per hour.

        Args:
            unit: `seconds` or `samples`, the timeline's.
        """
        row: dict[str, Any] = {
            "name": self.name or None,
            "type": self.type or None,
            "metric": self.metric,
            "count": self.count,
            "values": [_number(value) for value in self.values],
            "first": _number(self.first),
            "last": _number(self.last),
            "delta": _number(self.delta),
            "grows": self.grows,
            "sparkline": [None if value is None else round(value, 4) for value in self.sparkline()],
        }
        names = {"slope": self.slope, "slope_low": self.low, "slope_high": self.high}
        for name, value in names.items():
            if unit == "seconds":
                row[f"{name}_per_second"] = None if value is None else round(value, 3)
                row[f"{name}_per_hour"] = None if value is None else round(value * _HOUR, 3)
            else:
                row[f"{name}_per_sample"] = None if value is None else round(value, 3)
        return row


@dataclass(frozen=True, slots=True)
class Forecast:
    """When something that shrinks would reach zero if it went on so. Times count from the last point.

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
        """Plain data, times in the timeline's unit."""
        return {
            "figure": self.figure,
            "left": _number(self.left),
            f"expected_{unit}": round(self.expected, 1),
            f"earliest_{unit}": round(self.earliest, 1),
            f"latest_{unit}": round(self.latest, 1),
        }


@dataclass(frozen=True, slots=True)
class Timeline:
    """Growth over a series of maps.

    Attributes:
        points: the maps, by time where all have one.
        unit: of the time axis: `seconds` or `samples`.
        confidence: of the intervals, as a share.
        types: each type and `Total`, for every metric.
        groups: groups that changed at all, those that grow fastest first.
        figures: figures of the whole process.
        growing: the groups that grow, fastest first.
        forecasts: when free address space or commit would be used up.
        notes: what a reader has to know.
    """

    points: tuple[Point, ...]
    unit: Literal["seconds", "samples"]
    confidence: float
    types: tuple[Series, ...]
    groups: tuple[Series, ...]
    figures: tuple[Series, ...]
    growing: tuple[Series, ...]
    forecasts: tuple[Forecast, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def changed(self) -> bool:
        """Whether any known figure of the maps differs from another."""
        every = (*self.types, *self.groups, *self.figures)
        return any(len({value for value in series.values if value is not None}) > 1 for series in every)

    def to_dict(self, limit: int | None = None) -> dict[str, Any]:
        """Plain data, schema `dumpmap.timeline/1`.

        Args:
            limit: how many groups to list; all by default.
        """
        return {
            "schema": TIMELINE_SCHEMA,
            "unit": self.unit,
            "confidence": self.confidence,
            "notes": list(self.notes),
            "points": [
                {
                    "name": point.name,
                    "captured_at": None
                    if point.captured_at is None
                    else point.captured_at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                    "at": point.at,
                }
                for point in self.points
            ],
            "types": [series.to_dict(self.unit) for series in self.types],
            "figures": [series.to_dict(self.unit) for series in self.figures],
            "groups": [series.to_dict(self.unit) for series in self.groups[:limit]],
            "growing": [series.to_dict(self.unit) for series in self.growing[:limit]],
            "forecasts": [forecast.to_dict(self.unit) for forecast in self.forecasts],
        }


def _number(value: float | None) -> float | int | None:
    return int(value) if value is not None and float(value).is_integer() else value


def timeline(
    maps: Iterable[RegionMap | str | PathLike[str]], *, metrics: Sequence[Metric] = METRICS, confidence: float = 0.95
) -> Timeline:
    """Follows the memory of a process over several maps.

    Each map is read and let go again, so that a hundred large inputs cost no more memory than one.

    Args:
        maps: maps or paths of inputs, at least two. They are put into the order of their times where all have one.
        metrics: figures to follow.
        confidence: of the slopes' intervals, above 0 and below 1.

    Raises:
        DumpmapError: an input cannot be read.
        ValueError: there are fewer than two maps, or the confidence is none.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}; it must lie between 0 and 1")
    samples = [_sample(source, metrics) for source in maps]
    if len(samples) < 2:
        raise ValueError(f"a timeline takes two maps or more, not {len(samples)}")
    samples, unit, notes = _ordered(samples)
    at = _axis(samples, unit)
    points = tuple(
        Point(sample.name, sample.captured_at, float(place)) for sample, place in zip(samples, at.tolist(), strict=True)
    )
    fit = _Fit(at, confidence)
    types = _type_series(samples, metrics, fit)
    groups = _group_series(samples, metrics, fit)
    figures = _figure_series(samples, fit)
    return Timeline(
        points=points,
        unit=unit,
        confidence=confidence,
        types=types,
        groups=groups,
        figures=figures,
        growing=tuple(series for series in groups if series.grows),
        forecasts=tuple(_forecasts(figures, samples)),
        notes=tuple(notes),
    )


# ---------------------------------------------------------------- samples

_GroupKey = tuple[int, str]


@dataclass(slots=True)
class _Sample:
    """What is kept of one map."""

    name: str
    captured_at: dt.datetime | None
    identity: tuple[Any, ...]
    whole: bool
    narrow: bool
    types: dict[str, dict[str, int | None]]
    groups: dict[_GroupKey, dict[str, int]]
    figures: dict[str, float | None]


def _sample(source: RegionMap | str | PathLike[str], metrics: Sequence[Metric]) -> _Sample:
    if not isinstance(source, RegionMap):
        import dumpmap

        source = dumpmap.open(source)
    facts = measurements_of(source)
    counters, process, commit = source.counters, source.process, facts.commit
    return _Sample(
        name=source.snapshot.source.name,
        captured_at=source.snapshot.source.captured_at,
        identity=(process.pid, process.name),
        whole=facts.whole,
        narrow=facts.limit.narrow,
        # Of a map that is not whole the sums are only the least that they can be: they would look like growth.
        types={
            line.name: line.values()
            for line in source.summary_lines
            if facts.whole or line.name == RegionType.PAGE_TABLE.label
        },
        groups=_groups(source, metrics),
        figures={
            "counters.private_usage": counters.private_usage,
            "counters.working_set": counters.working_set,
            "counters.virtual_size": counters.virtual_size,
            "free": facts.measured.total if facts.measured is not None else None,
            "largest_free_block": facts.largest if facts.measured is not None else None,
            "commit_left": commit.left,
            "threads": facts.thread_count,
            "handles": source.snapshot.handle_count,
        },
    )


def _groups(region_map: RegionMap, metrics: Sequence[Metric]) -> dict[_GroupKey, dict[str, int]]:
    """Sums the metrics by group; in one pass over the columns."""
    columns = region_map.allocation_columns
    if len(columns.base) == 0:
        return {}
    width = len(region_map.texts)
    combined = (columns.type.astype(np.int64) * width + columns.kind) * width + columns.details
    values, inverse = np.unique(combined, return_inverse=True)
    names: list[_GroupKey | None] = []
    for value in values.tolist():
        rest, details = divmod(value, width)
        number, kind = divmod(rest, width)
        name = group_name(RegionType(number), region_map.texts[kind], region_map.texts[details])
        names.append(None if name is None else (number, name))
    # Memory without a name is told apart by size: a leak is many allocations of one size. On Linux sizes change.
    by_size = region_map.process.os.family == "windows"
    anonymous = np.array([name is None for name in names], np.bool_)[inverse]
    sizes = np.where(anonymous & by_size, columns.size, 0)
    distinct, size_code = np.unique(sizes, return_inverse=True)
    pairs, position = np.unique(inverse * len(distinct) + size_code, return_inverse=True)
    count = len(pairs)
    sums = {
        metric: np.bincount(position, weights=getattr(columns, metric).astype(np.float64), minlength=count)
        for metric in metrics
    }
    counts = np.bincount(position, minlength=count)
    groups: dict[_GroupKey, dict[str, int]] = {}
    for index, pair in enumerate(pairs.tolist()):
        code, size = pair // len(distinct), int(distinct[pair % len(distinct)])
        known = names[code]
        if known is None:
            number = int(values[code]) // (width * width)
            known = (number, f"allocations of {size_words(size)} (0x{size:x})" if size else "without a name")
        group = groups.setdefault(known, {**dict.fromkeys(metrics, 0), "count": 0})
        for metric in metrics:
            group[metric] += int(sums[metric][index])
        group["count"] += int(counts[index])
    return groups


def group_name(kind: RegionType, name: str, details: str) -> str | None:
    """Names the group that an allocation belongs to: its module, heap, file or kind; None for memory without a name."""
    if kind == RegionType.IMAGE:
        return details.replace("\\", "/").rsplit("/", 1)[-1] or "without a name"
    if kind == RegionType.HEAP:
        return details.replace(_LFH, "") or name or "without a name"
    if kind in (RegionType.MAPPED_FILE, RegionType.MANAGED_HEAP):
        return (details if kind == RegionType.MAPPED_FILE else name) or details or "without a name"
    if kind == RegionType.STACK:
        return f"{name}s" if name else "stacks"
    return name or None


# ---------------------------------------------------------------- the time axis


def _ordered(samples: list[_Sample]) -> tuple[list[_Sample], Literal["seconds", "samples"], list[str]]:
    notes = []
    identities = {sample.identity for sample in samples if sample.identity != (None, None)}
    if len(identities) > 1:
        notes.append("the inputs are of more than one process: what differs between them need not have grown")
    if not all(sample.whole for sample in samples):
        notes.append(
            "some inputs have no list of memory regions, or one that is cut off: their figures are not known and left "
            "out"
        )
    times = [sample.captured_at for sample in samples]
    known = [time for time in times if time is not None]
    if len(known) < len(times) or len(set(known)) < 2:
        missing = len(times) - len(known)
        notes.append(
            f"{missing} of {len(times)} inputs do not say when they were taken: slopes are per sample"
            if missing
            else "all inputs were taken at the same time, to the second: slopes are per sample"
        )
        return samples, "samples", notes
    order = sorted(range(len(samples)), key=lambda index: known[index])
    if order != list(range(len(samples))):
        notes.append("the inputs were put into the order of their times")
    return [samples[index] for index in order], "seconds", notes


def _axis(samples: list[_Sample], unit: str) -> Values:
    if unit == "samples":
        return np.arange(len(samples), dtype=np.float64)
    times = [sample.captured_at.timestamp() for sample in samples if sample.captured_at is not None]
    return np.array(times) - times[0]


# ---------------------------------------------------------------- lines


class _Fit:
    """Fits lines through rows of values over one time axis, all rows at once."""

    def __init__(self, at: Values, confidence: float) -> None:
        self.at = at
        self.confidence = confidence

    def lines(self, values: Values) -> tuple[Values, Values, Values]:
        """Fits a line per row by least squares.

        Args:
            values: rows of values, NaN where unknown.

        Returns:
            slope, and the ends of its confidence interval; NaN where there are too few values.
        """
        known = ~np.isnan(values)
        count = known.sum(axis=1).astype(np.float64)
        filled = np.where(known, values, 0.0)
        times = np.where(known, self.at, 0.0)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean_time = times.sum(axis=1) / count
            mean = filled.sum(axis=1) / count
            off_time = np.where(known, self.at - mean_time[:, None], 0.0)
            off = np.where(known, values - mean[:, None], 0.0)
            spread = (off_time**2).sum(axis=1)
            slope = (off_time * off).sum(axis=1) / spread
            residual = off - slope[:, None] * off_time
            squares = (np.where(known, residual, 0.0) ** 2).sum(axis=1)
            # What is left of an exact line is rounding: it must not become a doubt of its own.
            squares[squares <= (off**2).sum(axis=1) * 1e-20] = 0.0
            error = np.sqrt(squares / (count - 2) / spread)
            factors = np.array([student_t(int(n) - 2, self.confidence) if n > 2 else np.nan for n in count.tolist()])
            margin = factors * error
        slope = np.where((count < 2) | (spread == 0), np.nan, slope)
        return slope, slope - margin, slope + margin

    def series(
        self,
        rows: Sequence[tuple[str, str, str, Sequence[float | None], int | None]],
    ) -> list[Series]:
        """Makes series out of (name, type, metric, values, count) rows."""
        if not rows:
            return []
        table = np.array([[np.nan if value is None else value for value in row[3]] for row in rows], np.float64)
        slope, low, high = self.lines(table)
        return [
            Series(
                name=name,
                type=kind,
                metric=metric,
                values=tuple(values),
                slope=_known(slope[index]),
                low=_known(low[index]),
                high=_known(high[index]),
                count=count,
            )
            for index, (name, kind, metric, values, count) in enumerate(rows)
        ]


def _known(value: np.float64) -> float | None:
    return None if np.isnan(value) else float(value)


@lru_cache(maxsize=256)
def student_t(freedom: int, confidence: float) -> float:
    """The t that a Student-distributed value stays within (on both sides) with the given probability.

    Args:
        freedom: degrees of freedom, 1 or more.
        confidence: the probability, above 0 and below 1.
    """
    low, high = 0.0, 1.0
    while _student_within(high, freedom) < confidence:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        if _student_within(middle, freedom) < confidence:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _student_within(t: float, freedom: int) -> float:
    """P(-t <= T <= t), by the finite series for whole degrees of freedom (Abramowitz and Stegun 26.7.3, 26.7.4)."""
    angle = math.atan(t / math.sqrt(freedom))
    cosine = math.cos(angle)
    total = 0.0
    if freedom % 2:
        term = cosine
        for step in range(3, freedom + 1, 2):
            total += term
            term *= cosine * cosine * (step - 1) / step
        return 2 / math.pi * (angle + math.sin(angle) * total)
    term = 1.0
    for step in range(2, freedom + 1, 2):
        total += term
        term *= cosine * cosine * (step - 1) / step
    return math.sin(angle) * total


# ---------------------------------------------------------------- series


def _type_series(samples: list[_Sample], metrics: Sequence[Metric], fit: _Fit) -> tuple[Series, ...]:
    rows = []
    for name in ["Total", *(info.name for info in TYPES)]:
        for metric in metrics:
            values = [sample.types.get(name, {}).get(metric) for sample in samples]
            if any(values):
                rows.append(("", name, metric, values, None))
    return tuple(fit.series(rows))


def _group_series(samples: list[_Sample], metrics: Sequence[Metric], fit: _Fit) -> tuple[Series, ...]:
    keys: dict[_GroupKey, None] = {}
    for sample in samples:
        keys.update(dict.fromkeys(sample.groups))
    rows = []
    for key in keys:
        number, name = key
        for metric in metrics:
            values = [sample.groups.get(key, {}).get(metric, 0) if sample.whole else None for sample in samples]
            if len({value for value in values if value is not None}) > 1:
                count = next((s.groups.get(key, {}).get("count", 0) for s in reversed(samples) if s.whole), None)
                rows.append((name, RegionType(number).label, metric, values, count))
    # What surely grows comes first, then the rest by slope.
    return tuple(sorted(fit.series(rows), key=lambda series: (not series.grows, -(series.slope or 0.0))))


def _figure_series(samples: list[_Sample], fit: _Fit) -> tuple[Series, ...]:
    rows = []
    for name in FIGURES:
        values = [sample.figures[name] for sample in samples]
        if any(value is not None for value in values):
            rows.append(("", "", name, values, None))
    return tuple(fit.series(rows))


def _forecasts(figures: Sequence[Series], samples: list[_Sample]) -> Iterable[Forecast]:
    narrow = all(sample.narrow for sample in samples)
    for series in figures:
        if series.metric not in ("free", "largest_free_block", "commit_left"):
            continue
        if series.metric != "commit_left" and not narrow:
            continue  # a 64-bit address space is not used up by any slope that was ever measured
        left = series.last
        if left is None or not series.shrinks or not series.slope or not series.low or not series.high:
            continue
        yield Forecast(series.metric, left, left / -series.slope, left / -series.low, left / -series.high)
