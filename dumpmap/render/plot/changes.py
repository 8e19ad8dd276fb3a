"""A difference as bars: each type of memory before and after, and what changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from dumpmap.analysis.diff import TypeChange
from dumpmap.model.choices import check_choice
from dumpmap.model.types import BY_NAME, RegionType
from dumpmap.render.plot.axes import EDGE, axes_for, bare, color_of, scale_in_bytes, set_title
from dumpmap.views.strip import SCALED_SPACE
from dumpmap.wording.diff import DiagnosedDiff, headline
from dumpmap.wording.text import size_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ChangeFigure = Literal["committed", "size", "private"]
"""A figure of the summary whose change can be drawn."""

_NAMES: dict[ChangeFigure, str] = {"committed": "Committed", "size": "Address space", "private": "Private"}
_PALE = 0.4
_HEIGHT = 0.38


def plot_changes(difference: DiagnosedDiff, ax: Axes | None = None, *, figure: ChangeFigure = "committed") -> Axes:
    """Draws a difference; see `Diff.plot`."""
    check_choice("figure", figure, get_args(ChangeFigure))
    rows = [
        (one, change)
        for change, one in ((change, _type_of(change, difference, figure)) for change in difference.types)
        if one is not None and (change.figures[figure].a or change.figures[figure].b)
    ]
    ax = axes_for(ax, (8.5, 1.5 + 0.5 * len(rows)))
    for place, (region_type, change) in enumerate(rows):
        _draw(ax, place, region_type, change, figure)
    ax.set_yticks(range(len(rows)), labels=[one.label for one, _ in rows])
    ax.invert_yaxis()
    ax.margins(x=0.2)
    ax.set_xlim(left=0)
    bare(ax)
    ax.tick_params(left=False)
    scale_in_bytes(ax, "x")
    ax.set_xlabel(f"{_NAMES[figure]}: before (pale) and after")
    set_title(ax, headline(difference), _total_text(difference.types[0], figure))
    return ax


def _type_of(change: TypeChange, difference: DiagnosedDiff, figure: ChangeFigure) -> RegionType | None:
    """The type of a row that is drawn: free space only in the address space of two 32-bit processes."""
    found = BY_NAME.get(change.type.lower())
    narrow = all(one.end is not None and one.end <= SCALED_SPACE for one in (difference.a, difference.b))
    return None if found is RegionType.FREE and not (narrow and figure == "size") else found


def _draw(ax: Axes, place: int, region_type: RegionType, change: TypeChange, figure: ChangeFigure) -> None:
    both = change.figures[figure]
    color = color_of(region_type)
    for offset, value, alpha in ((-_HEIGHT / 2, both.a, _PALE), (_HEIGHT / 2, both.b, 1.0)):
        if value is not None:
            ax.barh(place + offset, value, _HEIGHT, color=color, alpha=alpha, edgecolor=EDGE, linewidth=0.5)
    ax.text(max(both.a or 0, both.b or 0), place, f"  {_delta_text(both.delta)}", va="center", fontsize="small")


def _total_text(total: TypeChange, figure: ChangeFigure) -> str:
    return f"{_NAMES[figure]} by type; in total {_delta_text(total.figures[figure].delta)}"


def _delta_text(delta: float | None) -> str:
    """Says how much a figure changed."""
    if delta is None:
        return "change unknown"
    return f"{'+' if delta > 0 else '-'}{size_words(abs(int(delta)))}" if delta else "unchanged"
