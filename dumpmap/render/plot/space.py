"""The strip of the address space as a picture, in rows like lines of text."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from dumpmap.analysis.measurements import measurements_of
from dumpmap.model.region_map import RegionMap
from dumpmap.model.types import RegionType
from dumpmap.model.winnt import PAGE_SIZE
from dumpmap.render.plot.axes import EDGE, INK, axes_for, color_of, legend_of_types, set_title, title_of
from dumpmap.views.browse.items import items_of, strip_of
from dumpmap.views.strip import SCALED_SPACE, Cell, SpaceStrip
from dumpmap.wording.text import address_text, size_left, size_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROW = 1 << 28
"""Bytes of a row of a 32-bit address space."""

_CELLS, _WIDE_ROWS, _SHORT = 512, 8, 4
_PALE = 0.45
"""How much of its colour a cell keeps that stands for a shortened run."""


def plot_space(region_map: RegionMap, ax: Axes | None = None) -> Axes:
    """Draws the address space: each cell has the colour of the type that fills most of it.

    A 32-bit space is drawn to scale, 256 MB a row, with the largest free block outlined. In a larger space, long free
    and reserved runs are shortened and hatched.
    """
    strip, end = strip_of(items_of(region_map)), region_map.end
    scaled = end is not None and end <= SCALED_SPACE
    rows = max(_SHORT, -(-end // _ROW)) if scaled and end is not None else _WIDE_ROWS
    ax = axes_for(ax, (9.5, 0.9 + 0.24 * rows))
    width = rows * _CELLS
    cells = strip.cells(width)
    ax.imshow(_image(cells, rows), aspect="auto", interpolation="nearest", extent=(0, _CELLS, rows, 0))
    _hatch(ax, cells)
    outline = _outline(ax, region_map, strip, cells) if scaled else None
    starts = [(strip.address(row * _CELLS, width) or 0) & -PAGE_SIZE for row in range(rows)]
    if scaled and end is not None:
        # The space ends a little below a power of two: rows are named by the round address.
        unit = -(-end // rows // (1 << 16)) << 16
        starts = [row * unit for row in range(rows)]
        ax.set_xticks([0, _CELLS / 4, _CELLS / 2, 3 * _CELLS / 4, _CELLS])
        ax.set_xticklabels([f"+{size_words(unit * part // 4)}" if part else "0" for part in range(5)])
        ax.set_xlabel("Offset in the row")
    else:
        ax.set_xticks([])
        known = "What the input shows, without what is between" if region_map.partial else "Used parts to scale"
        ax.set_xlabel(f"{known}; long free and reserved runs are shortened")
    texts = [address_text(address, region_map.address_width) for address in starts]
    ax.set_yticks([row + 0.5 for row in range(rows)], labels=texts, family="monospace", fontsize="small")
    ax.tick_params(left=False)
    for row in range(1, rows):
        ax.axhline(row, color="white", linewidth=2)
    set_title(ax, title_of(region_map))
    legend_of_types(ax, {cell.type for cell in cells}, *_handles(cells, outline))
    return ax


def _image(cells: list[Cell], rows: int) -> Any:
    """Returns the colours of the cells, row by row."""
    from matplotlib.colors import to_rgb

    table = {
        (cell.type, cell.cut): np.array(to_rgb(color_of(cell.type))) * (_PALE if cell.cut else 1)
        + (1 - _PALE if cell.cut else 0)
        for cell in set(cells)
    }
    return np.array([table[cell.type, cell.cut] for cell in cells]).reshape(rows, _CELLS, 3)


def _hatch(ax: Axes, cells: list[Cell]) -> None:
    """Hatches the cells that stand for shortened runs."""
    from matplotlib.collections import PolyCollection

    boxes = []
    for row, start, stop in _runs([cell.cut for cell in cells]):
        boxes.append([(start, row), (stop, row), (stop, row + 1), (start, row + 1)])
    if boxes:
        ax.add_collection(PolyCollection(boxes, facecolors="none", edgecolors=EDGE, linewidths=0, hatch="////"))


def _runs(flags: list[bool]) -> list[tuple[int, int, int]]:
    """Returns where flags are set: row, first cell, and last cell (exclusive)."""
    found = []
    for start in range(0, len(flags), _CELLS):
        place = 0
        for flag, run in groupby(flags[start : start + _CELLS]):
            length = len(list(run))
            if flag:
                found.append((start // _CELLS, place, place + length))
            place += length
    return found


def _outline(ax: Axes, region_map: RegionMap, strip: SpaceStrip, cells: list[Cell]) -> Any:
    """Outlines the largest free block; returns a handle for the legend, or None if there is no block.

    A cell at its end that is mostly of something else stays outside.
    """
    from matplotlib.patches import Patch, Rectangle

    free = measurements_of(region_map).free
    if free is None or free.largest is None:
        return None
    block = free.largest
    marks = strip.marks(np.array([block.address], np.uint64), np.array([block.size], np.int64), len(cells))
    covered = [mark and cell.type is RegionType.FREE for mark, cell in zip(marks.tolist(), cells, strict=True)]
    for row, start, stop in _runs(covered):
        corner, width = (start + 0.5, row + 0.1), stop - start - 1
        ax.add_patch(Rectangle(corner, width, 0.8, fill=False, edgecolor=INK, linewidth=1.4))
    return Patch(fill=False, edgecolor=INK, linewidth=1.4, label=f"largest free block\n{size_left(block.size)}")


def _handles(cells: list[Cell], outline: Any) -> list[Any]:
    from matplotlib.patches import Patch

    handles = [] if outline is None else [outline]
    if any(cell.cut for cell in cells):
        handles.append(Patch(facecolor="white", edgecolor=EDGE, linewidth=0.5, hatch="////", label="shortened"))
    return handles
