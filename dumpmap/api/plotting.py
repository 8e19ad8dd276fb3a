"""What `m.plot` is: pictures of a map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dumpmap.model.pointers import OwnerSearch
from dumpmap.model.region_map import RegionMap
from dumpmap.model.values import value_class

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from dumpmap.render.plot.owners import OwnerFigure
    from dumpmap.render.plot.types import Figure


@value_class(frozen=True, slots=True)
class MapPlot:
    """Pictures of a map on matplotlib axes, which the caller can go on with.

    They need the extra `plot`. `ax` is where to draw; by default each makes a figure of its own. All can raise
    `OutputError`: matplotlib is not installed.
    """

    map: RegionMap

    def __call__(self, ax: Axes | None = None) -> Axes:
        """Draws the address space as a strip in rows, in the colours of the types.

        A 32-bit space is drawn to scale, 256 MB a row, with the largest free block outlined. In a larger space the used
        parts are to scale; long free and reserved runs are shortened and hatched.
        """
        from dumpmap.render.plot.space import plot_space

        return plot_space(self.map, ax)

    def types(self, ax: Axes | None = None, *, figure: Figure = "committed", stacked: bool = False) -> Axes:
        """Draws the summary as bars.

        Args:
            ax: where to draw.
            figure: of the summary: `committed`, `size`, `private`, or `total_ws`. Of free space only `size` is drawn,
                and only for a 32-bit address space.
            stacked: draw one bar for committed, for private memory, and for the working set, if the input has it, each
                with all types. `figure` then has no effect.
        """
        from dumpmap.render.plot.types import plot_types

        return plot_types(self.map, ax, figure=figure, stacked=stacked)

    def owners(
        self,
        ax: Axes | None = None,
        *,
        figure: OwnerFigure = "committed",
        types: Sequence[str] = (),
        search: OwnerSearch = "full",
    ) -> Axes:
        """Draws who took the memory as a treemap; loaded modules that have nothing but their image are one area.

        An area has the colour of the type that its owner has most of; white areas are several small ones together.

        Args:
            ax: where to draw. Names are placed for its size at the time of the call.
            figure: what areas stand for: `committed` or `size`.
            types: as for `RegionMap.owners`.
            search: likewise.
        """
        from dumpmap.api.searching import searched_owners
        from dumpmap.render.plot.owners import plot_owners

        return plot_owners(*searched_owners(self.map, types, search), ax, figure=figure)
