"""VMMap's own file, .mmp."""

from __future__ import annotations

from collections.abc import Mapping
from typing import BinaryIO
from xml.sax.saxutils import quoteattr

from dumpmap.model.region_map import RegionMap
from dumpmap.model.snapshot import WORKING_SET_COLUMNS
from dumpmap.model.times import to_filetime
from dumpmap.model.types import RegionType
from dumpmap.model.winnt import MemState
from dumpmap.parsers.vmmap.words import (
    ATTRIBUTES,
    HEAP_DETAILS,
    NAME_ATTRIBUTES,
    PAGE_TABLE_ATTRIBUTE,
    PID_ATTRIBUTES,
    REGION,
    ROOT,
    SNAPSHOT,
    TIME_ATTRIBUTES,
    USE_TYPE_NUMBERS,
)
from dumpmap.writers.vmmap.rows import MapRow, map_items, plain

_SIZES = ("size", "committed", "private", *WORKING_SET_COLUMNS)


def write_mmp(regions: RegionMap, file: BinaryIO) -> None:
    """Writes a map as VMMap's own file, with one snapshot.

    Raises:
        OutputError: the map is partial.
    """
    items = map_items(regions)
    process: dict[str, str | int] = {
        NAME_ATTRIBUTES[0]: regions.process.name or "",
        PID_ATTRIBUTES[0]: regions.process.pid or 0,
    }
    page_table = regions.line(RegionType.PAGE_TABLE).size or 0
    moment: dict[str, str | int] = {
        TIME_ATTRIBUTES[0]: to_filetime(regions.snapshot.source.captured_at),
        PAGE_TABLE_ATTRIBUTE: page_table,
    }
    has_locked = "locked_ws" in regions.allocation_columns.working_set
    parts = ['<?xml version="1.0" encoding="UTF-8"?>', _tag(ROOT, process), _tag(SNAPSHOT, moment)]
    for item in items:
        parts.append(_tag(REGION, _attributes(item.head, has_locked), empty=not item.blocks))
        parts += [_tag(REGION, _attributes(row, has_locked), empty=True) for row in item.blocks]
        if item.blocks:
            parts.append(f"</{REGION}>")
        if len(parts) > 1000:
            file.write(("\r\n".join(parts) + "\r\n").encode())
            parts = []
    parts += [f"</{SNAPSHOT}>", f"</{ROOT}>"]
    file.write(("\r\n".join(parts) + "\r\n").encode())


def _attributes(row: MapRow, has_locked: bool) -> dict[str, str | int]:
    """Returns a row's attributes, in the order in which VMMap writes them."""
    heap = HEAP_DETAILS.match(row.details) if row.type == RegionType.HEAP else None
    values: dict[str, str | int] = {
        **{figure: row.sizes.get(figure) or 0 for figure in _SIZES},
        "address": row.address,
        "blocks": row.blocks,
        "heap_number": int(heap[1]) if heap else 0,
        "protect": row.protect if row.state == MemState.MEM_COMMIT or row.blocks else 0,
        "memory_type": row.memory_type or row.state,
        "use_type": USE_TYPE_NUMBERS[row.type],
        "words": row.words,
        "details": row.details,
    }
    if not has_locked:
        del values["locked_ws"]
    return {attribute: values[value] for attribute, value in ATTRIBUTES.items() if value in values}


def _tag(name: str, attributes: Mapping[str, str | int], *, empty: bool = False) -> str:
    text = "".join(
        f" {key}={quoteattr(plain(value))}" if isinstance(value, str) else f' {key}="{value}"'
        for key, value in attributes.items()
    )
    return f"<{name}{text}{'/' if empty else ''}>"
