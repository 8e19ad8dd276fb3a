"""The JSON document in the page: everything that the scripts draw."""

from __future__ import annotations

from typing import Any

import numpy as np

from dumpmap.analysis.heaps import heap_range_rows
from dumpmap.classify.vocabulary import EVIDENCE
from dumpmap.model.columns import REGION_COLUMNS
from dumpmap.model.file_names import file_name
from dumpmap.model.region_map import RegionMap
from dumpmap.model.types import TYPES
from dumpmap.render.html.owners import color_numbers
from dumpmap.render.html.packing import (
    Columns,
    Numbers,
    gaps,
    informative_blocks,
    pack_figures,
    pack_region_column,
    pack_rows,
    pack_table,
    size_unit,
)
from dumpmap.render.html.scale import cut_length
from dumpmap.views.frames import RowColumns
from dumpmap.views.heaps import heap_table
from dumpmap.views.modules import module_table
from dumpmap.views.stacks import stack_table
from dumpmap.views.table import Column, Table

_LAST = ("shareable_ws", "shared_ws", "locked_ws")
_SHOWN = sorted((column for column in REGION_COLUMNS if column.name != "inferred"), key=lambda c: c.name in _LAST)
"""Columns of the allocations; the working-set columns that say least come after the names."""


def page_data(region_map: RegionMap) -> dict[str, Any]:
    """Everything that the scripts draw, columnar.

    The document has no list of addresses. In a map that knows all of its space the rows follow each other without
    holes, so a row begins where the one before it ends, and `gaps` has (row, bytes as hex) where it does not. Blocks
    fill their allocation in the same way. Sizes count in units of `unit` bytes.
    """
    allocations, regions = RowColumns(region_map, blocks=False), RowColumns(region_map, blocks=True)
    owner = np.searchsorted(allocations.plain("address"), regions.plain("allocation")).astype(np.int32)
    kept = informative_blocks(allocations, regions, owner)
    parts = Numbers(np.bincount(owner[kept], minlength=len(allocations)))
    del owner
    unit = size_unit(((allocations, slice(None)), (regions, kept)))
    return {
        "width": region_map.address_width,
        "end": None if region_map.end is None else hex(region_map.end),
        "partial": region_map.partial,
        "completeness": region_map.completeness,
        "unit": unit,
        "cut": cut_length(allocations, regions, region_map.end),
        "types": [info.name for info in TYPES],
        "evidence": {info.name: info.meaning for info in EVIDENCE},
        "owner_colors": color_numbers(region_map),
        "columns": [pack_region_column(column) for column in _SHOWN],
        "rows": Columns(
            {
                **pack_rows(allocations, unit),
                "blocks": lambda: pack_figures(allocations, "blocks"),
                "gaps": lambda: gaps(allocations),
                "parts": lambda: parts,
            }
        ),
        "parts": Columns(pack_rows(regions, unit, kept)),
        "tables": {
            "stacks": pack_table(stack_table(region_map)),
            "heaps": _heaps(region_map),
            "modules": _modules(region_map),
        },
    }


def _heaps(region_map: RegionMap) -> dict[str, Any]:
    """Heaps, each with its ranges below it: a range's role is in the heap's kind column, its size in reserved."""
    table = _without(heap_table(region_map), "flag_names", "allocations", "uncommitted")
    # What a heap is comes before how it was created: only the first columns show in a window of usual width.
    table = _with_last(table, "segments", "large_blocks", "lfh", "heap_class", "is_default", "flags", "bits")
    names = [column.name for column in table.columns]
    ranges = iter(heap_range_rows(region_map))
    children = []
    for heap in region_map.heaps:
        rows = []
        for row in (next(ranges) for _ in heap.ranges):
            values = {**row.to_dict(), "address": row.address, "kind": row.role, "reserved": row.size}
            rows.append([values.get(name) for name in names])
        children.append(rows)
    return pack_table(table, children)


def _modules(region_map: RegionMap) -> dict[str, Any]:
    """Modules, then those that were unloaded."""
    table = module_table(region_map)
    names = [column.name for column in table.columns]
    listed = names.index("in_map")
    rows = [[*row, "loaded" if row[listed] else "not in the map"] for row in table.rows]
    for module in region_map.snapshot.unloaded_modules:
        known = {
            "base": module.base,
            "end": module.base + module.size,
            "size": module.size,
            "name": file_name(module.path),
            "timestamp": module.timestamp,
            "path": module.path,
        }
        rows.append([*(known.get(name) for name in names), "unloaded"])
    columns = (*table.columns, Column("state"))
    return pack_table(_without(Table(columns, rows, table.address_width), "in_map", "checksum", "debug_file"))


def _without(table: Table, *left_out: str) -> Table:
    return _picked(table, [index for index, column in enumerate(table.columns) if column.name not in left_out])


def _with_last(table: Table, *last: str) -> Table:
    names = [column.name for column in table.columns]
    first = [index for index, name in enumerate(names) if name not in last]
    return _picked(table, first + [names.index(name) for name in last if name in names])


def _picked(table: Table, picked: list[int]) -> Table:
    rows = [[row[index] for index in picked] for row in table.rows]
    return Table(tuple(table.columns[index] for index in picked), rows, table.address_width)
