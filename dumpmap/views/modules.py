"""What `modules` shows."""

from __future__ import annotations

import re
from typing import Any

from dumpmap.model.region_map import RegionMap
from dumpmap.model.snapshot import Module
from dumpmap.structures.version import VersionTexts, version_texts
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
    Column("product_version", optional=6),
    Column("timestamp", "hex", optional=3),
    Column("sections", "count", optional=4),
    Column("company", optional=5),
    Column("path", shown=False),
    Column("checksum", "hex", shown=False),
    Column("debug_id", shown=False),
    Column("debug_file", shown=False),
    Column("in_map", "flag", shown=False),
)


_WINDOWS_FOLDER = re.compile(
    r"(?:[\\/]{2}[?.][\\/]|[\\/]\?\?[\\/])?(?:[a-z]:|[\\/]device[\\/][^\\/]+)[\\/](?:windows|winnt)[\\/]|[\\/]systemroot[\\/]",
    re.IGNORECASE,
)
_DRIVERS = re.compile(r"[\\/]driverstore[\\/]filerepository[\\/]", re.IGNORECASE)


def is_third_party(module: Module, company: str | None = None) -> bool:
    """Whether a module is not Microsoft's: by its company if that is known, otherwise by its path.

    By path, everything outside the Windows folder is third-party, and so are driver packages: they hold the user-mode
    parts of graphics drivers, for example, which are rarely Microsoft's.
    """
    if company is not None:
        return not company.lower().startswith("microsoft")
    return _WINDOWS_FOLDER.match(module.path) is None or _DRIVERS.search(module.path) is not None


def _version_texts(region_map: RegionMap, module: Module) -> VersionTexts:
    image = region_map.structures.images.get(module.base)
    return VersionTexts() if image is None else version_texts(region_map.snapshot.memory, module.base, image)


def module_table(region_map: RegionMap, *, third_party: bool = False) -> Table:
    """Returns one row per module, by address; with `third_party` only those that are not Microsoft's."""
    allocations = region_map.allocation_columns
    rows = []
    for module in sorted(region_map.snapshot.modules, key=lambda module: module.base):
        texts = _version_texts(region_map, module)
        if third_party and not is_third_party(module, texts.company):
            continue
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
                texts.product_version,
                module.timestamp,
                None if image is None else len(image.sections),
                texts.company,
                module.path,
                module.checksum,
                module.debug_id,
                module.debug_file,
                index >= 0,
            ]
        )
    return Table(MODULE_COLUMNS, rows, region_map.address_width)


def module_document(region_map: RegionMap, *, third_party: bool = False) -> dict[str, Any]:
    """Returns `dumpmap.modules/1`."""
    table = module_table(region_map, third_party=third_party)
    return {**head("dumpmap.modules/1", region_map), "modules": to_records(table)}
