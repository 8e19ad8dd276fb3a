"""The columns of region maps as columns of tables."""

from __future__ import annotations

from collections.abc import Mapping

from dumpmap.model.columns import Holds, RegionColumn
from dumpmap.model.region_map import RegionMap
from dumpmap.model.snapshot import WORKING_SET_COLUMNS
from dumpmap.views.table import Column, Content

_CONTENT: Mapping[Holds, Content] = {
    "address": "address",
    "type": "text",
    "size": "size",
    "count": "count",
    "code": "text",
    "protection": "text",
    "flag": "flag",
    "owner": "text",
}


def table_column(column: RegionColumn, *, shown: bool = True, optional: int | None = None) -> Column:
    """Returns a region column as a column of a table.

    Args:
        column: the column.
        shown: whether people see it.
        optional: as in `Column`; the region column's own number if None.
    """
    least = column.optional if optional is None else optional
    # Evidence is shown to those who ask for it: as a whole.
    asked_for = column.name == "evidence"
    return Column(
        column.name,
        _CONTENT[column.holds],
        column.heading,
        shown,
        least,
        shortens=False if asked_for else None,
        below=int(asked_for),
    )


def has_working_set(region_map: RegionMap) -> bool:
    """Returns whether the input records working sets."""
    return any(name in region_map.space.regions.numbers for name in WORKING_SET_COLUMNS)
