"""Growth over a series of maps, with names for its groups and sentences about its limits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from dumpmap.analysis.groups import Group
from dumpmap.analysis.part_sums import PartKey
from dumpmap.analysis.timeline import Forecast, Growth, Series, TimeUnit, whole_number
from dumpmap.model.values import value_class
from dumpmap.wording.caveats import caveat_texts
from dumpmap.wording.owners import part_text
from dumpmap.wording.text import count_words, duration_words, percent_words, short_size, size_words

HOUR = 3600
"""Seconds; rates are shown per hour."""


@value_class(frozen=True, slots=True)
class NamedSeries(Series):
    """A figure over the series, with the name of its group.

    Attributes:
        name: of the group: a module, `Heap ID: 1`, `allocations of 1.1 MB`; empty for a whole type.
    """

    name: str = ""

    @property
    def title(self) -> str:
        """Type and name together."""
        return ", ".join(part for part in (self.type, self.name) if part) or self.metric

    def to_dict(self, unit: TimeUnit) -> dict[str, Any]:
        """Returns plain data; with times, slopes per second and per hour.

        Args:
            unit: the timeline's.
        """
        row: dict[str, Any] = {
            "name": self.name or None,
            "type": self.type or None,
            "metric": self.metric,
            "count": self.count,
            "values": [whole_number(value) for value in self.values],
            "lower_bounds": [whole_number(value) for value in self.lower_bounds],
            "first": whole_number(self.first),
            "last": whole_number(self.last),
            "delta": whole_number(self.delta),
            "grows": self.grows,
            "sparkline": [None if value is None else round(value, 4) for value in self.sparkline()],
        }
        for name, value in {"slope": self.slope, "slope_low": self.low, "slope_high": self.high}.items():
            if unit == "seconds":
                row[f"{name}_per_second"] = None if value is None else round(value, 3)
                row[f"{name}_per_hour"] = None if value is None else round(value * HOUR, 3)
            else:
                row[f"{name}_per_sample"] = None if value is None else round(value, 3)
        return row


@dataclass(frozen=True)
class NamedGrowth(Growth):
    """Growth over a series of maps; every series has a name."""

    types: tuple[NamedSeries, ...]
    groups: tuple[NamedSeries, ...]
    owners: tuple[NamedSeries, ...]
    holders: tuple[NamedSeries, ...]
    figures: tuple[NamedSeries, ...]

    @property
    def growing(self) -> tuple[NamedSeries, ...]:
        """The groups that grow, fastest first."""
        return tuple(series for series in self.groups if series.grows)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader has to know, in sentences."""
        return caveat_texts(self.caveats)


def name_series(series: Iterable[Series]) -> tuple[NamedSeries, ...]:
    """Gives series the names of their groups."""
    return tuple(
        NamedSeries(
            **{field.name: getattr(one, field.name) for field in fields(Series)},
            name="" if one.group is None else group_name(one.group),
        )
        for one in series
    )


def group_name(group: Group | PartKey) -> str:
    """Names a group: `ntdll.dll`, `Heap ID: 1`, `Thread stacks`, `allocations of 1.1 MB (0x110000)`."""
    if isinstance(group, PartKey):
        return part_text(group)
    if group.by == "stacks":
        return f"{group.name}s" if group.name else "stacks"
    if group.by == "size":
        return f"allocations of {size_words(group.size)} (0x{group.size:x})"
    return group.name if group.by == "name" else "without a name"


def rate_text(series: Series, unit: TimeUnit) -> str | None:
    """Writes the slope with half its confidence interval: `60 MB/h ± 2 MB/h`."""
    if series.slope is None:
        return None
    factor, per = (HOUR, "/h") if unit == "seconds" else (1, " per sample")
    text = short_size(round(series.slope * factor)) + per
    if series.low is not None and series.high is not None:
        half = (series.high - series.low) / 2 * factor
        text += f" ± {short_size(round(half))}{per}"
    return text


def headline(growth: Growth) -> str:
    """Writes how many maps there are, over what time."""
    # A caveat says why slopes are per sample: times are missing, or all the same.
    timed = growth.unit == "seconds"
    span = f"over {duration_words(round(growth.points[-1].at))}" if timed else "in the order of the inputs"
    return f"{count_words(len(growth.points), 'map')} {span}"


def statements(growth: NamedGrowth) -> list[str]:
    """Says what grows, and when free memory is used up."""
    return [_growth_text(growth), *(_forecast_text(forecast, growth.unit) for forecast in growth.forecasts)]


def _growth_text(growth: NamedGrowth) -> str:
    if not growth.changed:
        known = growth.types and all(None not in series.values for series in growth.types)
        return "No figure changed." if known else "No known figure changed."
    if not any(series.low is not None for series in (*growth.types, *growth.groups)):
        return f"{_change_text(growth)}Two maps do not show whether memory keeps growing; that takes at least three."
    if not growth.growing:
        return f"Nothing grows steadily (at {percent_words(growth.confidence)} confidence)."
    # Committed memory that leaks grows in size as well. It is named once, by what it commits.
    leaks: dict[str, NamedSeries] = {}
    for series in growth.growing:
        if series.title not in leaks or series.metric == "committed":
            leaks[series.title] = series
    names = [f"{title} ({one.metric} {rate_text(one, growth.unit)})" for title, one in list(leaks.items())[:3]]
    return f"Growing: {'; '.join(names)}"


def _change_text(growth: NamedGrowth) -> str:
    """Says how much committed memory changed from the first to the last map; empty if that is unknown."""
    totals = (series.delta for series in growth.types if (series.type, series.metric) == ("Total", "committed"))
    delta = next(totals, None)
    if delta is None:
        return ""
    if delta == 0:
        return "The total of committed memory is the same. "
    return f"Committed memory {'grew' if delta > 0 else 'shrank'} by {size_words(abs(round(delta)))}. "


def _forecast_text(forecast: Forecast, unit: TimeUnit) -> str:
    expected, earliest, latest = (
        _time_words(at, unit) for at in (forecast.expected, forecast.earliest, forecast.latest)
    )
    name = forecast.figure.replace("_", " ")
    return f"At this rate, {name} is used up in {expected} ({earliest} to {latest})."


def _time_words(at: float, unit: TimeUnit) -> str:
    return duration_words(round(at)) if unit == "seconds" else count_words(round(at), "sample")
