"""What `regions --group-by` shows: rows of the map that are alike, counted and summed up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dumpmap.analysis.ownership import ownership_of
from dumpmap.analysis.part_kinds import rest_text
from dumpmap.model.file_names import file_name
from dumpmap.model.region_map import RegionMap
from dumpmap.model.types import RegionType
from dumpmap.views.blocks import Block, Paragraph
from dumpmap.views.documents import head
from dumpmap.views.filters import Filter, owner_details, sort_rows, states_of
from dumpmap.views.frames import coded_frame
from dumpmap.views.regions import owner_hint
from dumpmap.views.table import Column, Table, left_over, to_records
from dumpmap.wording.text import more_text

if TYPE_CHECKING:
    import pandas as pd

_KEYS = (
    Column("type"),
    Column("owner"),
    Column("kind"),
    Column("size", "size", "Size of each"),
    Column("protection"),
    Column("state"),
    Column("module"),
)
KEY_NAMES = tuple(column.name for column in _KEYS)
"""The columns to group by."""

SUMS = (
    Column("count", "count"),
    Column("total_size", "size", "Total size"),
    Column("committed", "size"),
    Column("private", "size", optional=1),
)

GROUP_KEYS = tuple(column.name for column in _KEYS)
"""What rows can be grouped by."""

TEXT_KEYS = ("type", "owner", "kind", "protection")
"""Those of them that are columns of texts."""

_NOT_IN_USE = [RegionType.FREE.label, RegionType.UNUSABLE.label]


@dataclass(frozen=True)
class RegionGroups:
    """Rows that have the same values in some columns.

    Attributes:
        region_map: the map.
        chosen: which rows were asked for.
        keys: these columns.
        blocks: whether rows are regions and sections; otherwise they are allocations.
        frame: one row per group: its values, then `count`, `total_size`, `committed`, and `private`.
        left_out: number of groups beyond the limit.
    """

    region_map: RegionMap
    chosen: Filter
    keys: tuple[str, ...]
    blocks: bool
    frame: pd.DataFrame
    left_out: int


def check_keys(keys: Sequence[str]) -> tuple[str, ...]:
    """Returns the columns to group by.

    Raises:
        ValueError: there is none, or rows cannot be grouped by one.
    """
    if not keys:
        raise ValueError("--group-by needs at least one column")
    for name in keys:
        if name not in GROUP_KEYS:
            raise ValueError(f"cannot group by {name!r}. Columns: {', '.join(GROUP_KEYS)}")
    return tuple(keys)


def group_regions(
    region_map: RegionMap,
    chosen: Filter,
    keys: Sequence[str],
    *,
    blocks: bool = False,
    sort: str | None = None,
    limit: int | None = None,
) -> RegionGroups:
    """Groups the rows that pass a filter; the group with most address space comes first.

    Free and unusable space is grouped only if the filter asks for it by type or state.

    Raises:
        ValueError: see `check_keys`; or `sort` is not a column of the groups.
    """
    keys = check_keys(keys)
    found = chosen.apply(region_map, coded_frame(region_map, blocks=blocks))
    if not (chosen.types or chosen.states):
        found = found[~found["type"].isin(_NOT_IN_USE)]
    groups = sort_rows(_grouped(region_map, found, list(keys)), sort or "total_size")
    frame = groups if limit is None else groups.head(limit)
    return RegionGroups(region_map, chosen, keys, blocks, frame, len(groups) - len(frame))


def _grouped(region_map: RegionMap, found: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    extra: dict[str, Any] = {name: found[name].astype(object) for name in {"type", *keys} & {*TEXT_KEYS}}
    if "state" in keys:
        extra["state"] = np.array(states_of(found), object)
    if "module" in keys:
        of_files = found["type"].isin([RegionType.IMAGE.label, RegionType.MAPPED_FILE.label])
        extra["module"] = np.where(of_files, owner_details(region_map, found).map(file_name).objects(), "")
    if "kind" in keys:
        extra["kind"] = _kinds(region_map, found)
    extra["total_size"] = found["size"]
    values = found.assign(**extra)
    by = values.groupby(keys, sort=True)
    sums = by[["total_size", "committed", "private"]].sum()
    sums.insert(0, "count", by.size())
    for name in ("committed", "private"):  # a sum of which a part is unknown is unknown
        unknown = values[name].isna().groupby([values[key] for key in keys]).any()
        sums[name] = sums[name].astype("Int64").mask(unknown)
    return sums.reset_index()


def _kinds(region_map: RegionMap, found: pd.DataFrame) -> pd.Series[str]:
    """Returns the kinds of rows. What is an owner's only through the rest of its allocation has no kind of its own."""
    ownership = ownership_of(region_map)
    if "allocation" in found:
        bases, rest = ownership.rows.base, ownership.rest
    else:
        bases = region_map.allocation_columns.base
        rest = np.bincount(ownership.rows.allocation, ownership.rest, minlength=len(bases)) > 0
    address = found["address"].to_numpy(dtype=np.uint64)
    kinds = found["kind"].astype(object)
    if not len(bases):
        return kinds
    place = np.minimum(np.searchsorted(bases, address), len(bases) - 1)
    nameless = (bases[place] == address) & rest[place] & (kinds == "") & (found["owner"] != "")
    return kinds.mask(nameless, found["owner"].astype(object).map(rest_text))


def group_table(groups: RegionGroups) -> Table:
    """Returns one row per group."""
    columns = (*(column for name in groups.keys for column in _KEYS if column.name == name), *SUMS)
    cells = {
        column.name: groups.frame[column.name].astype(object).where(groups.frame[column.name].notna(), None).tolist()
        for column in columns
    }
    if "type" in cells:
        cells["total_size"] = left_over(cells["type"], cells["total_size"])
    return Table(columns, list(zip(*cells.values(), strict=True)), groups.region_map.address_width)


def group_document(groups: RegionGroups) -> dict[str, Any]:
    """Returns `dumpmap.region-groups/1`."""
    return {
        **head("dumpmap.region-groups/1", groups.region_map),
        "blocks": groups.blocks,
        "by": list(groups.keys),
        "groups": to_records(group_table(groups)),
    }


def group_view(groups: RegionGroups) -> Iterator[Block]:
    """Yields everything that `regions --group-by` shows to people."""
    if groups.frame.empty:
        yield Paragraph(f"Nothing matches all filters.{owner_hint(groups.region_map, groups.chosen)}")
        return
    table = group_table(groups)
    if "owner" in groups.keys:
        place = groups.keys.index("owner")
        rows = [[*row[:place], row[place] or "(no owner)", *row[place + 1 :]] for row in table.rows]
        table = Table(table.columns, rows, table.address_width)
    yield table
    if groups.left_out:
        yield Paragraph(more_text(groups.left_out))
