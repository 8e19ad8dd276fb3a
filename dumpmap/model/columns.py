"""The columns of region maps, one row each. Frames, CSV, JSON, tables, help, and docs are made from these rows."""

from __future__ import annotations

from typing import Literal

from dumpmap.model.snapshot import WORKING_SET_COLUMNS
from dumpmap.model.values import value_class

Holds = Literal["address", "type", "size", "count", "code", "protection", "flag", "owner"]
"""What the cells of a column hold. A `code` is an index into the map's texts, which many rows share. The map does not
know owners: `analysis.ownership` does."""


@value_class(frozen=True, slots=True)
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
    def title(self) -> str:
        """The heading."""
        return self.heading or self.name.replace("_", " ").capitalize()

    @property
    def is_text(self) -> bool:
        """Whether its cells are texts that many rows share."""
        return self.holds in ("code", "owner", "protection")

    @property
    def array(self) -> str:
        """The name of the array that holds the column."""
        return self.source or self.name


_WS = {
    "total_ws": ("Total WS", "Memory in the working set. Only live captures and VMMap files record it."),
    "private_ws": ("Private WS", "Working set that no other process can see."),
    "shareable_ws": ("Shareable WS", "Working set that other processes can map."),
    "shared_ws": ("Shared WS", "Working set that another process has mapped."),
    "locked_ws": ("Locked WS", "Memory that is locked in physical memory."),
}

REGION_COLUMNS: tuple[RegionColumn, ...] = (
    RegionColumn(
        "address", "address", "First address of the allocation or region. End addresses are exclusive.", source="base"
    ),
    RegionColumn("type", "type", "Type of memory, as in VMMap."),
    RegionColumn("size", "size", "Size of the address range, committed or not."),
    RegionColumn(
        "committed",
        "size",
        "Committed memory. Private committed memory counts against the commit limit.",
        optional=1,
    ),
    RegionColumn(
        "private",
        "size",
        "Committed memory that no other process can see: private memory and the writable pages of images.",
        optional=3,
    ),
    RegionColumn("total_ws", "size", _WS["total_ws"][1], heading=_WS["total_ws"][0], optional=4),
    *(
        RegionColumn(name, "size", _WS[name][1], heading=_WS[name][0], optional=7 + place)
        for place, name in enumerate(WORKING_SET_COLUMNS[1:])
    ),
    RegionColumn("blocks", "count", "Regions in the allocation or type, as VMMap counts them.", optional=6),
    RegionColumn(
        "protection",
        "protection",
        "Page protection, in VMMap's words. An allocation with several shows the one it was allocated with.",
        optional=2,
    ),
    RegionColumn("details", "code", "Module, file, thread, or heap that the memory belongs to."),
    RegionColumn("kind", "code", "Finer name inside the type: a section, a guard page, a heap segment, a TEB."),
    RegionColumn("evidence", "code", "What in the input established the type.", on_free="gap"),
    RegionColumn(
        "inferred",
        "flag",
        "Whether type or kind was inferred rather than recorded. It is not about the owner.",
        optional=5,
    ),
    RegionColumn(
        "owner",
        "owner",
        "Who took the memory: a runtime, an allocator, a heap, a module. Of several, the one with most of its bytes.",
    ),
    RegionColumn(
        "owner_module", "owner", "File name of the module that holds the owner's code.", source="module", optional=3
    ),
)
"""Columns of `allocations`, of its CSV and JSON; `regions` has `ALLOCATION` before them."""

ALLOCATION = RegionColumn("allocation", "address", "Base address of the allocation that the region belongs to.")
"""The column that only `regions` has."""

REGION_COLUMN = {column.name: column for column in REGION_COLUMNS}
"""Column by name."""

COLUMNS = tuple(column.name for column in REGION_COLUMNS)
"""Names of `REGION_COLUMNS`."""

SUMMARY_COLUMNS = ("size", "committed", "private", *WORKING_SET_COLUMNS, "blocks", "largest")
"""Columns of the summary, VMMap's."""

LARGEST = RegionColumn("largest", "size", "Largest allocation of the type; for Free, the largest free block.")
"""The one column of the summary that regions do not have."""
