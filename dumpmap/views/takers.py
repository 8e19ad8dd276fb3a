"""The short answer to "who took it" that `summary`, `diagnose`, and the report give."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dumpmap.analysis.takers import Taker, who_took_it
from dumpmap.model.region_map import RegionMap
from dumpmap.views.blocks import Blank, Block, Paragraph
from dumpmap.views.table import Column, Table
from dumpmap.wording.owners import taker_text

TAKERS_TITLE = "Who took private memory"

_COLUMNS = (
    Column("owner", heading="Owner, or allocations without one", shortens=True, room=40),
    Column("committed", "short"),
    Column("reserved", "short", "Only reserved"),
)


def taker_table(region_map: RegionMap) -> Table:
    """Returns those with most committed and those with most reserved memory, by address space; no rows if unknown."""
    takers = who_took_it(region_map)
    rows = [
        [taker_text(one, region_map), one.committed or None, one.reserved or None]
        for one in (() if takers is None else takers.all)
    ]
    return Table(_COLUMNS, rows, region_map.address_width)


def taker_blocks(region_map: RegionMap) -> Iterator[Block]:
    """Yields the section after a blank line; nothing if nobody is known."""
    table = taker_table(region_map)
    if table.rows:
        yield Blank()
        yield Paragraph(TAKERS_TITLE, "strong")
        yield table


def taker_document(region_map: RegionMap) -> dict[str, Any] | None:
    """Returns the `who_took_it` part of a document; None if it is unknown."""
    takers = who_took_it(region_map)
    if takers is None:
        return None
    return {
        "committed": [_document(one, region_map) for one in takers.committed],
        "reserved": [_document(one, region_map) for one in takers.reserved],
    }


def _document(taker: Taker, region_map: RegionMap) -> dict[str, Any]:
    from dumpmap.views.owner_records import group_document  # which a text does not need

    return {
        "name": taker_text(taker, region_map),
        "owner": taker.owner or None,
        "group": None if taker.group is None else group_document(taker.group),
        "size": taker.size,
        "committed": taker.committed,
        "reserved": taker.reserved,
    }
