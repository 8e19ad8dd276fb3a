"""A timeline as stacked areas by type, with the largest free block as a line."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dumpmap.analysis.samples import Metric
from dumpmap.model.types import BY_NAME, RegionType
from dumpmap.render.plot.axes import EDGE, INK, axes_for, color_of, legend_of_types, scale_in_bytes, set_title
from dumpmap.views.strip import SCALED_SPACE
from dumpmap.wording.text import count_words
from dumpmap.wording.timeline import NamedGrowth, NamedSeries, headline

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NAMES: dict[str, str] = {"committed": "Committed", "size": "Address space", "private": "Private"}
_NOT_STACKED = (RegionType.FREE, RegionType.UNUSABLE, RegionType.PAGE_TABLE)
_BESIDE_SCALE = 1.14
"""Where the legend begins beside a second scale."""

_UNITS = ((2 * 86400, 86400, "Days"), (2 * 3600, 3600, "Hours"), (2 * 60, 60, "Minutes"))


def plot_growth(growth: NamedGrowth, ax: Axes | None = None, *, metric: Metric | None = None) -> Axes:
    """Draws a timeline; see `Timeline.plot`."""
    known = list(dict.fromkeys(series.metric for series in growth.types))
    figure = metric or (known[0] if known else "committed")
    if known and figure not in known:
        raise ValueError(f"metric must be a figure that the timeline follows ({', '.join(known)}), not {figure!r}")
    ax = axes_for(ax, (9.0, 4.2))
    places, label = _axis(growth)
    stacked = [one for one in growth.types if one.metric == figure and _type_of(one) is not None]
    types = [one for one in map(_type_of, stacked) if one is not None]
    if stacked:
        values = np.array([_numbers(one.values) for one in stacked])
        ax.stackplot(places, values, colors=[color_of(one) for one in types], edgecolor=EDGE, linewidth=0.4)
    ax.set_xlim(places[0], places[-1])
    ax.set_ylim(bottom=0)
    scale_in_bytes(ax, "y")
    ax.set_xlabel(label)
    ax.set_ylabel(_NAMES[figure])
    ax.spines["top"].set_visible(False)
    gaps = sum(any(one.values[index] is None for one in stacked) for index in range(len(growth.points)))
    set_title(ax, headline(growth), f"Unknown for {count_words(gaps, 'map')}, which are gaps" if gaps else "")
    line = _free_line(growth)
    if line is None:
        legend_of_types(ax, types)
    else:
        legend_of_types(ax, types, _draw_line(ax, places, line), beside=_BESIDE_SCALE)
    return ax


def _type_of(series: NamedSeries) -> RegionType | None:
    """The type of a series that is stacked; None for the total and for what is not in use."""
    found = BY_NAME.get(series.type.lower())
    return None if found in _NOT_STACKED else found


def _axis(growth: NamedGrowth) -> tuple[npt.NDArray[np.float64], str]:
    """Returns where the points are, and what the axis says."""
    at = np.array([point.at for point in growth.points])
    if growth.unit == "samples":
        return at + 1, "Map"
    span = float(at[-1])
    unit, name = next(((unit, name) for least, unit, name in _UNITS if span >= least), (1, "Seconds"))
    first = growth.points[0].captured_at
    since = "" if first is None else f" since {first.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC"
    return at / unit, name + since


def _numbers(values: Sequence[float | None]) -> list[float]:
    """Returns values with NaN for what is unknown, which matplotlib leaves out."""
    return [np.nan if value is None else value for value in values]


def _free_line(growth: NamedGrowth) -> NamedSeries | None:
    """Returns the largest free block over time; None if it is unknown or no map has a 32-bit address space.

    In a larger space it is nearly all of the space at any time.
    """
    series = next((one for one in growth.figures if one.metric == "largest_free_block"), None)
    known = [] if series is None else [value for value in series.values if value is not None]
    return series if known and max(known) <= SCALED_SPACE else None


def _draw_line(ax: Axes, places: npt.NDArray[np.float64], series: NamedSeries) -> Any:
    """Draws the largest free block against a scale on the right."""
    right = ax.twinx()
    (line,) = right.plot(
        places,
        _numbers(series.values),
        color=INK,
        linewidth=1.8,
        marker="o",
        markersize=3.5,
        label="Largest free block",
    )
    right.set_ylim(0, 1.1 * max(value for value in series.values if value is not None) or 1)
    scale_in_bytes(right, "y")
    right.set_ylabel("Largest free block")
    right.spines["top"].set_visible(False)
    return line
