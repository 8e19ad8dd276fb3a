"""What `modules` shows."""

from __future__ import annotations

from typing import Any

from dumpmap.model.region_map import RegionMap
from dumpmap.views.documents import head
from dumpmap.views.table import Column, Table, to_records

MODULE_COLUMNS = (
    Column("base", "address"),
    Column("end", "address", optional=2),
    Column("size", "size"),
    Column("committed", "size"),
    Column("private", "size", optional=1),
    Column("name"),
    Column("version"),
    Column("timestamp", "hex", optional=3),
    Column("sections", "count", optional=4),
    Column("path", shown=False),
    Column("checksum", "hex", shown=False),
    Column("debug_id", shown=False),
    Column("debug_file", shown=False),
    Column("in_map", "flag", shown=False),
)


def module_table(region_map: RegionMap) -> Table:
    """Returns one row per module, by address."""
    allocations = region_map.allocation_columns
    rows = []
    for module in sorted(region_map.snapshot.modules, key=lambda module: module.base):
        index = region_map.space.index_of(module.base)
        image = region_map.structures.images.get(module.base)
        committed = int(allocations.committed[index]) if index >= 0 else None
        private = int(allocations.private[index]) if index >= 0 and not region_map.partial else None
        rows.append(
            [
                module.base,
                module.base + module.size,
                module.size,
                committed,
                private,
                module.name,
                module.version,
                module.timestamp,
                None if image is None else len(image.sections),
                module.path,
                module.checksum,
                module.debug_id,
                module.debug_file,
                index >= 0,
            ]
        )
    return Table(MODULE_COLUMNS, rows, region_map.address_width)


def module_document(region_map: RegionMap) -> dict[str, Any]:
    """Returns `dumpmap.modules/1`."""
    return {**head("dumpmap.modules/1", region_map), "modules": to_records(module_table(region_map))}
