"""Growth over a series of maps, with names for its groups and sentences about its limits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from dumpmap.analysis.groups import Group
from dumpmap.analysis.timeline import Growth, Series, TimeUnit, whole_number
from dumpmap.wording.caveats import caveat_texts
from dumpmap.wording.numbers import size_words

HOUR = 3600
"""Seconds; rates are shown per hour."""


@dataclass(frozen=True, slots=True)
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


def group_name(group: Group) -> str:
    """Names a group: `ntdll.dll`, `Heap ID: 1`, `Thread stacks`, `allocations of 1.1 MB (0x110000)`."""
    if group.by == "stacks":
        return f"{group.name}s" if group.name else "stacks"
    if group.by == "size":
        return f"allocations of {size_words(group.size)} (0x{group.size:x})"
    return group.name if group.by == "name" else "without a name"
