"""The maps of the inputs that were asked about last."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from dumpmap.api import open_map
from dumpmap.errors import DumpmapError, InputError

if TYPE_CHECKING:
    from dumpmap.api import RegionMap
    from dumpmap.serving.folders import Place

MOST_MAPS = 3
"""Most maps that are kept. The map of a million regions takes some hundred megabytes."""


class Maps:
    """Opens inputs, and keeps the maps of the last ones until their files change."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[tuple[str, int, int], bool], RegionMap] = OrderedDict()

    def open(self, place: Place, *, pointers: bool = False) -> RegionMap:
        """Returns the map of an input.

        Args:
            place: the input.
            pointers: also search for the pointers to what no structure claims.

        Raises:
            InputError: the input cannot be read.
        """
        key = place.stamp, pointers
        if key not in self._kept:
            self._kept[key] = self.open(place).with_pointers() if pointers else _opened(place)
            while len(self._kept) > MOST_MAPS:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]


def _opened(place: Place) -> RegionMap:
    try:
        return open_map(place.location)
    except DumpmapError as error:
        raise InputError(place.renamed(str(error))) from None
