"""The columns of region maps, one row each. Frames, CSV, JSON, tables, help, and docs are made from these rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dumpmap.model.snapshot import WORKING_SET_COLUMNS

Holds = Literal["address", "type", "size", "count", "code", "protection", "flag"]
"""What the cells of a column hold. A `code` is an index into the map's texts, which many rows share."""


@dataclass(frozen=True, slots=True)
class RegionColumn:
    """A column of allocations and regions.

    Attributes:
        name: in frames, CSV, and JSON.
        holds: what a cell is, which decides its dtype and unit.
        help: what the column says, for people.
        heading: None if the heading is the name with blanks for underscores.
        source: the name of the array in `AllocationColumns` and `BlockColumns`; None if it is `name`.
        optional: a narrow table drops the column with the highest number first, and never drops one with 0.
        on_free: the text of a `code` column on free and unusable space.
    """

    name: str
    holds: Holds
    help: str
    heading: str | None = None
    source: str | None = None
    optional: int = 0
    on_free: str = ""

    @property
    def array(self) -> str:
        """The name of the array that holds the column."""
        return self.source or self.name


_WS = {
    "total_ws": ("Total WS", "Bytes in the working set. Only live captures and VMMap files record it."),
    "private_ws": ("Private WS", "Bytes in the working set that no other process can see."),
    "shareable_ws": ("Shareable WS", "Bytes in the working set that other processes can map."),
    "shared_ws": ("Shared WS", "Bytes in the working set that another process has mapped."),
    "locked_ws": ("Locked WS", "Bytes that are locked in physical memory."),
}

REGION_COLUMNS: tuple[RegionColumn, ...] = (
    RegionColumn("address", "address", "First address of the allocation or region.", source="base"),
    RegionColumn("type", "type", "VMMap's type."),
    RegionColumn("size", "size", "Bytes of address space."),
    RegionColumn("committed", "size", "Committed bytes.", optional=1),
    RegionColumn("private", "size", "Committed bytes that no other process can see.", optional=3),
    RegionColumn("total_ws", "size", _WS["total_ws"][1], heading=_WS["total_ws"][0], optional=4),
    *(
        RegionColumn(name, "size", _WS[name][1], heading=_WS[name][0], optional=7 + place)
        for place, name in enumerate(WORKING_SET_COLUMNS[1:])
    ),
    RegionColumn("blocks", "count", "Regions in the allocation, as VMMap counts them.", optional=6),
    RegionColumn("protection", "protection", "Page protection, in VMMap's words.", optional=2),
    RegionColumn("details", "code", "Module, file, thread, or heap."),
    RegionColumn("kind", "code", "The finer name inside the type."),
    RegionColumn("evidence", "code", "What in the input established the type.", on_free="gap"),
    RegionColumn("inferred", "flag", "Whether the label was inferred rather than recorded.", optional=5),
)
"""Columns of `allocations`, of its CSV and JSON; `regions` has `allocation` before them."""

REGION_COLUMN = {column.name: column for column in REGION_COLUMNS}
"""Column by name."""

COLUMNS = tuple(column.name for column in REGION_COLUMNS)
"""Names of `REGION_COLUMNS`."""

SUMMARY_COLUMNS = ("size", "committed", "private", *WORKING_SET_COLUMNS, "blocks", "largest")
"""Columns of the summary, VMMap's."""
