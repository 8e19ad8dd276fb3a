"""What all pictures share: new axes, scales in bytes, texts that are safe to draw, and the legend of types."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

from dumpmap.errors import OutputError
from dumpmap.model.region_map import RegionMap
from dumpmap.model.types import TYPES, RegionType
from dumpmap.wording.processes import process_name
from dumpmap.wording.text import printable, size_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

INK = "#30343b"
"""The colour of outlines and marks."""

EDGE = "#6b7280"
"""The colour of thin borders; the light colours of types need one on white."""

PLAIN: dict[str, Any] = {"parse_math": False, "usetex": False}
"""How texts are drawn that a dump can contain: matplotlib takes `$` for the start of a formula."""

_STEPS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


def axes_for(ax: Axes | None, size: tuple[float, float]) -> Axes:
    """Returns the axes to draw on: those given, or new ones in a figure of some size in inches.

    Raises:
        OutputError: matplotlib is not installed.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise OutputError('pictures need another package: pip install "dumpmap[plot]"') from None
    if ax is None:
        _, ax = plt.subplots(figsize=size, layout="constrained")
    return ax


def shown(text: str, most: int = 80) -> str:
    """Returns a text of a dump for a picture: without control characters, and not too long."""
    text = printable(text)
    return text if len(text) <= most else text[: most - 1] + "…"


def set_title(ax: Axes, text: str, note: str = "") -> None:
    """Sets the title and, as a second line, a note. A title that the caller sets later replaces both."""
    lines = [shown(line, 110) for line in (text, note) if line]
    ax.set_title("\n".join(lines), fontsize="medium", **PLAIN)


def title_of(region_map: RegionMap) -> str:
    """Names the process and the input."""
    return f"{process_name(region_map) or 'unknown process'} in {region_map.snapshot.source.name}"


def scale_in_bytes(ax: Axes, which: Literal["x", "y"]) -> None:
    """Gives an axis of bytes ticks at round binary sizes, in words."""
    from matplotlib.ticker import FuncFormatter, MultipleLocator

    axis: Axis = ax.xaxis if which == "x" else ax.yaxis
    low, high = ax.get_xlim() if which == "x" else ax.get_ylim()
    axis.set_major_locator(MultipleLocator(_step(high - low)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: tick_text(value)))


def tick_text(value: float) -> str:
    """Writes the size at a tick."""
    return f"{'-' if value < 0 else ''}{size_words(abs(round(value)))}" if round(value) else "0"


def _step(span: float) -> int:
    """The distance of ticks: a round binary size of which a span has four to eight."""
    unit = 1
    while True:
        for step in _STEPS:
            if span <= 6 * step * unit:
                return step * unit
        unit <<= 10


def color_of(region_type: RegionType) -> str:
    """The colour of a type."""
    return TYPES[region_type].color


def legend_of_types(ax: Axes, types: Iterable[RegionType], *more: Any, beside: float = 1.01) -> None:
    """Adds a legend beside the axes, in VMMap's order; `more` are further handles, `beside` is where it begins."""
    from matplotlib.patches import Patch

    handles = [
        Patch(facecolor=color_of(one), edgecolor=EDGE, linewidth=0.5, label=one.label) for one in sorted(set(types))
    ]
    if handles or more:
        ax.legend(
            handles=[*handles, *more],
            loc="upper left",
            bbox_to_anchor=(beside, 1.0),
            borderaxespad=0.0,
            frameon=False,
            fontsize="small",
        )


def bare(ax: Axes) -> None:
    """Removes the upper and the right border."""
    ax.spines["top"].set_visible(False)
    ax.spines["right"].set_visible(False)
