"""Who took the memory as a treemap: an area for each owner, in the colour of the type that it has most of."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, get_args

from dumpmap.analysis.lower_bounds import shows_part
from dumpmap.analysis.owners import Owners
from dumpmap.model.choices import check_choice
from dumpmap.model.region_map import RegionMap
from dumpmap.model.types import RegionType
from dumpmap.model.values import value_class
from dumpmap.render.plot.axes import EDGE, INK, PLAIN, axes_for, color_of, legend_of_types, set_title, shown, title_of
from dumpmap.render.plot.treemap import Box, layout
from dumpmap.views.owners import MergedOwner, merged_owners
from dumpmap.wording.owners import group_text
from dumpmap.wording.text import size_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OwnerFigure = Literal["committed", "size"]
"""What the area of an owner stands for."""

_MOST = 48
"""Areas; the rest is one more."""

_LETTER, _LINE = 0.6, 1.25
"""Mean width of a letter and height of a line, in font sizes."""

_FONT = 8.0
_INSET = 4.0
"""Points between a text and the borders beside it, both sides together."""


@value_class(frozen=True, slots=True)
class Tile:
    """An area of the treemap; `type` is None for a rest of several types."""

    name: str
    value: int
    type: RegionType | None


def plot_owners(
    region_map: RegionMap, owners: Owners, ax: Axes | None = None, *, figure: OwnerFigure = "committed"
) -> Axes:
    """Draws the treemap; see `MapPlot.owners`."""
    check_choice("figure", figure, get_args(OwnerFigure))
    ax = axes_for(ax, (9.5, 5.5))
    tiles = tiles_of(region_map, owners, figure)
    ax.set_axis_off()
    total = sum(tile.value for tile in tiles)
    name = "Committed memory" if figure == "committed" else "Address space"
    set_title(
        ax, title_of(region_map), f"{name} by owner: {'at least ' if shows_part(region_map) else ''}{size_words(total)}"
    )
    legend_of_types(ax, {tile.type for tile in tiles if tile.type is not None})
    ax.figure.canvas.draw()  # places the title and the legend, and so says how large the axes are
    room = ax.get_window_extent()
    points = 72 / ax.figure.dpi
    width, height = room.width * points, room.height * points
    ax.set_xlim(0, width)
    ax.set_ylim(height, 0)
    for tile, box in zip(tiles, layout([tile.value for tile in tiles], width, height), strict=True):
        _draw(ax, tile, box)
    if not tiles:
        ax.text(width / 2, height / 2, "No memory matches.", ha="center", va="center")
    return ax


def tiles_of(region_map: RegionMap, owners: Owners, figure: OwnerFigure) -> list[Tile]:
    """Returns the areas, the largest first and what is beyond `_MOST` as the last."""
    tiles = sorted(
        (tile for tile in _tiles(region_map, owners, figure) if tile.value > 0),
        key=lambda tile: (-tile.value, tile.name),
    )
    rest = tiles[_MOST:]
    if len(rest) > 1:
        tiles = [*tiles[:_MOST], Tile(f"{len(rest):,} more", sum(tile.value for tile in rest), None)]
    return sorted(tiles, key=lambda tile: -tile.value)


def _tiles(region_map: RegionMap, owners: Owners, figure: OwnerFigure) -> Iterator[Tile]:
    modules, others = merged_owners(owners)
    for owner in [*([] if modules is None else [modules]), *others]:
        inferred = " (inferred)" if owner.inferred_size == owner.size else ""
        yield Tile(owner.name + inferred, getattr(owner, figure), _main_type(owner))
    for group in owners.groups:
        yield Tile(group_text(group, region_map), getattr(group, figure), group.type)
    unowned = owners.unowned_committed if figure == "committed" else owners.unowned_size
    yield Tile("rest of shared allocations", unowned - sum(getattr(group, figure) for group in owners.groups), None)


def _main_type(owner: MergedOwner) -> RegionType | None:
    """The type that the members have most of."""
    sizes: dict[RegionType, int] = {}
    for member in owner.members:
        for one, size in member.type_sizes.items():
            sizes[one] = sizes.get(one, 0) + size
    return max(sizes, key=lambda one: sizes[one], default=None)


def _draw(ax: Axes, tile: Tile, box: Box) -> None:
    from matplotlib.patches import Rectangle

    color = "#ffffff" if tile.type is None else color_of(tile.type)
    patch = Rectangle((box.x, box.y), box.width, box.height, facecolor=color, edgecolor=EDGE, linewidth=0.6)
    ax.add_patch(patch)
    text = label_of(tile, box)
    if text:
        drawn = ax.text(
            box.x + _INSET / 2,
            box.y + _INSET / 2,
            text,
            va="top",
            fontsize=_FONT,
            linespacing=_LINE * 0.95,
            color=INK,
            clip_on=True,
            **PLAIN,
        )
        drawn.set_clip_path(patch)


def label_of(tile: Tile, box: Box) -> str:
    """Returns the name and the size in as many lines as fit into a box; empty if hardly anything does."""
    columns = int((box.width - _INSET) / (_FONT * _LETTER))
    lines = int((box.height - _INSET) / (_FONT * _LINE))
    size = size_words(tile.value)
    if columns < len(size) or lines < 1:
        return ""
    if lines == 1:
        name = shown(tile.name)
        return f"{name}  {size}" if len(name) + 2 + len(size) <= columns else ""
    wrapped = textwrap.wrap(shown(tile.name), columns, break_long_words=False)
    kept = [*wrapped[: lines - 2], " ".join(wrapped[lines - 2 :])]
    return "\n".join([*(line if len(line) <= columns else line[: columns - 1] + "…" for line in kept if line), size])
