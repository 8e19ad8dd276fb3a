"""What the writer of the input recorded, on the page, and which of its texts a page leaves out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dumpmap.model.region_map import RegionMap
from dumpmap.views.blocks import Facts, Lines, Paragraph
from dumpmap.views.table import Table, cell_text
from dumpmap.views.writer import writer_blocks
from dumpmap.wording.text import Units
from dumpmap.writers.snapshot_texts import without_texts


def shareable(region_map: RegionMap) -> RegionMap:
    """Returns the map without the texts that a snapshot leaves out."""
    snapshot = without_texts(region_map.snapshot)
    return replace(region_map, snapshot=snapshot, process=replace(region_map.process, os=snapshot.process.os))


def plain_table(table: Table) -> dict[str, Any]:
    """A table whose rows are in the page itself."""
    rows = [
        [
            cell_text(value, column, Units.kb, table.address_width)
            for column, value in zip(table.columns, row, strict=True)
        ]
        for row in table.rows
    ]
    return {"columns": table.columns, "rows": rows}


def writer_parts(region_map: RegionMap) -> list[tuple[str, Any]]:
    """The blocks of the section, each with the name of how the page shows it; without the section's heading."""
    parts: list[tuple[str, Any]] = []
    for block in writer_blocks(region_map):
        match block:
            case Facts():
                parts.append(("facts", [(fact.label, fact.text) for fact in block.rows]))
            case Paragraph():
                parts.append(("remark", block.text))
            case Lines():
                parts.append(("failures", block.items))
            case Table():
                parts.append(("annotations", plain_table(block)))
    return parts
