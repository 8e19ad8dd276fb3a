"""Owners of a map, as `RegionMap.owners` and the treemap count them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dumpmap.model.region_map import RegionMap

if TYPE_CHECKING:
    from dumpmap.analysis.owners import Owners
    from dumpmap.model.pointers import OwnerSearch


def searched_owners(region_map: RegionMap, types: Sequence[str], search: OwnerSearch) -> tuple[RegionMap, Owners]:
    """Returns the map that was searched, and its owners.

    Raises:
        ValueError: a name is not a type, or `search` is another word.
    """
    from dumpmap.analysis.owners import find_owners
    from dumpmap.analysis.pointers import with_pointers
    from dumpmap.model.choices import check_choice
    from dumpmap.model.pointers import OWNER_SEARCHES
    from dumpmap.views.filters import parse_types

    check_choice("search", search, OWNER_SEARCHES)
    chosen = parse_types(types)
    if search == "full":
        region_map = with_pointers(region_map)
    return region_map, find_owners(region_map, chosen)
