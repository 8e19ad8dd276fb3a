"""The types of memory as bars: one bar for each type, or all types in one bar for each figure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from dumpmap.analysis.lower_bounds import shows_part
from dumpmap.model.choices import check_choice
from dumpmap.model.region_map import RegionMap
from dumpmap.model.types import TYPES, RegionType
from dumpmap.render.plot.axes import (
    EDGE,
    axes_for,
    bare,
    color_of,
    legend_of_types,
    scale_in_bytes,
    set_title,
    title_of,
)
from dumpmap.views.strip import SCALED_SPACE
from dumpmap.wording.text import size_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Figure = Literal["committed", "size", "private", "total_ws"]
"""A figure of the summary that can be drawn by type."""

_NAMES: dict[Figure, str] = {
    "committed": "Committed",
    "size": "Address space",
    "private": "Private",
    "total_ws": "Working set",
}


def plot_types(
    region_map: RegionMap, ax: Axes | None = None, *, figure: Figure = "committed", stacked: bool = False
) -> Axes:
    """Draws the summary by type; see `MapPlot.types`."""
    check_choice("figure", figure, get_args(Figure))
    names: list[Figure] = ["committed", "private", "total_ws"] if stacked else [figure]
    values = {name: _by_type(region_map, name) for name in names}
    bars = {name: shares for name, shares in values.items() if any(shares.values())}
    rows = len(bars) if stacked else len(values[figure])
    ax = axes_for(ax, (8.5, 1.2 + (0.45 if stacked else 0.3) * max(rows, 1)))
    if stacked:
        _draw_stacked(ax, bars)
        legend_of_types(ax, {one for shares in bars.values() for one, value in shares.items() if value})
    else:
        _draw_types(ax, values[figure])
    ax.invert_yaxis()
    bare(ax)
    scale_in_bytes(ax, "x")
    least = ", at least: the input shows a part of the memory" if shows_part(region_map) else ""
    ax.set_xlabel("" if stacked else _NAMES[figure])
    set_title(ax, title_of(region_map), ("By type" if stacked else f"{_NAMES[figure]} by type") + least)
    return ax


def _by_type(region_map: RegionMap, figure: Figure) -> dict[RegionType, int]:
    """Returns the known figures of the types that have memory, in VMMap's order.

    Free and unusable space only shows in the address space, and free space only in one of 32 bits: in a larger one it
    would leave no room for anything else. Page tables are outside of the address space.
    """
    shares = {info.type: getattr(region_map.line(info.type), figure) for info in TYPES}
    if figure == "size":
        del shares[RegionType.PAGE_TABLE]
        if region_map.end is None or region_map.end > SCALED_SPACE:
            del shares[RegionType.FREE]
    else:
        del shares[RegionType.FREE]
    return {one: value for one, value in shares.items() if value}


def _draw_types(ax: Axes, shares: dict[RegionType, int]) -> None:
    labels = [one.label for one in shares]
    bars = ax.barh(
        labels, list(shares.values()), color=[color_of(one) for one in shares], edgecolor=EDGE, linewidth=0.5
    )
    ax.bar_label(bars, labels=[size_words(value) for value in shares.values()], padding=4, fontsize="small")
    ax.margins(x=0.14)
    ax.tick_params(left=False)


def _draw_stacked(ax: Axes, bars: dict[Figure, dict[RegionType, int]]) -> None:
    for name, shares in bars.items():
        start = 0
        for one, value in shares.items():
            ax.barh(_NAMES[name], value, left=start, color=color_of(one), edgecolor=EDGE, linewidth=0.5)
            start += value
        ax.text(start, list(bars).index(name), f" {size_words(start)}", va="center", fontsize="small")
    ax.margins(x=0.14)
    ax.tick_params(left=False)
