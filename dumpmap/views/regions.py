"""What `regions` shows, and region tables for `export`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dumpmap.analysis.owners import find_owners
from dumpmap.model.columns import ALLOCATION, REGION_COLUMNS
from dumpmap.model.file_names import file_name
from dumpmap.model.region_map import RegionMap
from dumpmap.model.snapshot import WORKING_SET_COLUMNS
from dumpmap.model.types import RegionType
from dumpmap.model.winnt import PAGE_SIZE
from dumpmap.views.blocks import Block, Paragraph
from dumpmap.views.cells import ColumnRows, Piece, Records
from dumpmap.views.columns import has_working_set, table_column
from dumpmap.views.documents import head
from dumpmap.views.filters import Filter, owner_details, sort_rows, unknown_owners
from dumpmap.views.frames import coded_frame
from dumpmap.views.table import Table, left_over
from dumpmap.views.texts import Texts
from dumpmap.wording.text import count_words, more_text

if TYPE_CHECKING:
    import pandas as pd


SHOWN_NAMES = 8
"""So many owners are named if one that was asked for does not exist."""

MIN_EXCERPTS = 20
"""Fewer short runs of unknown use than this keep their rows."""


@dataclass(frozen=True)
class Excerpts:
    """Short captured runs of unknown use: writers store single words that a stack or register points to.

    Attributes:
        count: how many there are.
        size: bytes in all of them.
        frame: the other rows that people see.
        left_out: number of those beyond the limit.
    """

    count: int
    size: int
    frame: pd.DataFrame
    left_out: int


@dataclass(frozen=True)
class ChosenRegions:
    """The rows that a user asked for.

    Attributes:
        region_map: the map.
        chosen: which rows were asked for.
        frame: the rows to show.
        blocks: whether rows are regions and sections; otherwise they are allocations.
        left_out: number of rows beyond the limit.
        evidence: whether people see the evidence of each row.
        owners: whether people see the owner of each row.
        excerpts: short captured runs of unknown use that people see as one line; None where each has its row.
    """

    region_map: RegionMap
    chosen: Filter
    frame: pd.DataFrame
    blocks: bool
    left_out: int
    evidence: bool
    owners: bool
    excerpts: Excerpts | None = None

    @property
    def empty(self) -> bool:
        """Whether no row passes the filters."""
        return self.frame.empty and not self.left_out


def choose_regions(
    region_map: RegionMap,
    chosen: Filter,
    *,
    blocks: bool = False,
    sort: str | None = None,
    limit: int | None = None,
    evidence: bool = False,
    owners: bool = False,
    every: bool = False,
) -> ChosenRegions:
    """Selects and sorts rows. Unless `every` is set, people see many short runs of unknown use as one line.

    Raises:
        ValueError: `sort` is not a column.
    """
    found = chosen.apply(region_map, coded_frame(region_map, blocks=blocks))
    found = sort_rows(found, sort)
    frame = found if limit is None else found.head(limit)
    excerpts = None if every or chosen != Filter() or not region_map.partial else _excerpts(found, limit)
    return ChosenRegions(region_map, chosen, frame, blocks, len(found) - len(frame), evidence, owners, excerpts)


def _excerpts(found: pd.DataFrame, limit: int | None) -> Excerpts | None:
    """Sets the short captured runs of unknown use apart; None if they are few."""
    short = (found["type"] == RegionType.UNKNOWN.label) & (found["kind"] == "") & (found["size"] < PAGE_SIZE)
    count = int(short.sum())
    if count < MIN_EXCERPTS:
        return None
    rest = found[~short]
    frame = rest if limit is None else rest.head(limit)
    return Excerpts(count, int(found["size"][short].sum()), frame, len(rest) - len(frame))


def chosen_document(rows: ChosenRegions) -> dict[str, Any]:
    """Returns `dumpmap.regions/1`."""
    return {
        **head("dumpmap.regions/1", rows.region_map),
        "blocks": rows.blocks,
        "regions": Records(chosen_table(rows)),
    }


def chosen_table(rows: ChosenRegions) -> Table:
    """Returns the rows as a table for programs."""
    return region_table(rows.region_map, rows.frame)


def chosen_view(rows: ChosenRegions) -> Iterator[Block]:
    """Yields everything that `regions` shows to people."""
    if rows.empty:
        yield Paragraph(nothing_text(rows))
        return
    excerpts = rows.excerpts
    frame, left_out = (rows.frame, rows.left_out) if excerpts is None else (excerpts.frame, excerpts.left_out)
    yield region_table(rows.region_map, frame, evidence=rows.evidence, owners=rows.owners, inherit=True)
    if left_out:
        yield Paragraph(more_text(left_out))
    if excerpts is not None:
        yield Paragraph(
            f"{count_words(excerpts.count, 'captured run')} of less than a page and of unknown use, "
            f"{count_words(excerpts.size, 'byte')} together; --all lists them."
        )


def nothing_text(rows: ChosenRegions) -> str:
    """Returns why there are no rows, and where to look instead."""
    if rows.chosen == Filter():
        return "The map has no regions."
    text = f"No {'region' if rows.blocks else 'allocation'} matches all filters."
    if rows.chosen.protections and not rows.blocks:
        text += " Allocations are matched by their common protection; use --blocks to match each region."
    return text + owner_hint(rows.region_map, rows.chosen)


def owner_hint(region_map: RegionMap, chosen: Filter) -> str:
    """Says which owners there are if one that was asked for is not among them; empty otherwise."""
    unknown = unknown_owners(region_map, chosen.owners)
    if not unknown:
        return ""
    names = list(dict.fromkeys(owner.owner for owner in find_owners(region_map).owners))
    if not names:
        return " No owner is known in this map."
    more = f", and {len(names) - SHOWN_NAMES:,} more" if len(names) > SHOWN_NAMES else ""
    nobody = " or ".join(repr(text) for text in unknown)
    return f" No owner is called {nobody}. Owners: {', '.join(names[:SHOWN_NAMES])}{more}; dumpmap owners lists them."


def region_table(
    region_map: RegionMap, frame: pd.DataFrame, *, evidence: bool = False, owners: bool = False, inherit: bool = False
) -> Table:
    """Makes a table from rows of `RegionMap.allocations` or `.regions`.

    Args:
        region_map: the map of the rows.
        frame: the rows.
        evidence: whether people see the evidence.
        owners: whether people see the owners.
        inherit: give a region without details the details of its allocation, and shorten paths to the file name. A
            reader sees a section and wants to know its module.
    """
    of_blocks = "allocation" in frame.columns
    texts = {column.name: Texts.of(frame[column.name]) for column in REGION_COLUMNS if column.is_text}
    texts["type"] = Texts.of(frame["type"])
    if inherit and of_blocks:
        texts["details"] = texts["details"].or_else(owner_details(region_map, frame).map(file_name))
    hidden = set() if has_working_set(region_map) else set(WORKING_SET_COLUMNS)
    if not evidence:
        hidden.add("evidence")
    if not owners:
        hidden |= {"owner", "owner_module"}
    if of_blocks:  # the allocation is clear from the order, and a region is one block
        hidden |= {"allocation", "blocks"}
    named = (ALLOCATION, *REGION_COLUMNS) if of_blocks else REGION_COLUMNS
    columns = tuple(table_column(column, shown=column.name not in hidden) for column in named)
    cells = [texts.get(column.name) or frame[column.name] for column in named]
    names = [column.name for column in named]
    kind, size = names.index("type"), names.index("size")

    def piece(start: int, stop: int) -> Piece:
        made = [_cells(column, slice(start, stop)) for column in cells]
        made[size] = left_over(made[kind], made[size])
        return made

    return Table(columns, ColumnRows(len(frame), piece), region_map.address_width)


def _cells(column: Texts | pd.Series[Any], rows: slice) -> list[Any]:
    if isinstance(column, Texts):
        cells: list[Any] = column.objects(rows).tolist()
        return cells
    values = column.iloc[rows]
    if values.dtype.name != "Int64":
        return values.tolist()
    cells = values.to_numpy(dtype=np.int64, na_value=0).tolist()
    for missing in np.flatnonzero(values.isna().to_numpy()).tolist():
        cells[missing] = None
    return cells
