"""Region maps as data frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from dumpmap.analysis.ownership import ownership_of
from dumpmap.model.columns import REGION_COLUMNS, SUMMARY_COLUMNS, RegionColumn
from dumpmap.model.protection import protection_codes
from dumpmap.model.region_map import AllocationColumns, BlockColumns, RegionMap
from dumpmap.model.snapshot import I64, WORKING_SET_COLUMNS
from dumpmap.model.summary import figures_of
from dumpmap.model.types import TYPES, RegionType
from dumpmap.views.texts import Texts

if TYPE_CHECKING:
    import pandas as pd

Rows = AllocationColumns | BlockColumns

_FRAMES: WeakKeyDictionary[RegionMap, dict[tuple[bool, bool], pd.DataFrame]] = WeakKeyDictionary()
"""The frames of a map so far, by whether their rows are blocks and their texts are codes."""


def allocation_frame(region_map: RegionMap) -> pd.DataFrame:
    """Returns one row per allocation, free and unusable space included, by address; columns `COLUMNS`.

    Asked again it returns the same frame: whoever hands it out copies it with `own_frame`.
    """
    return _kept_frame(region_map, blocks=False, coded=False)


def region_frame(region_map: RegionMap) -> pd.DataFrame:
    """Returns one row per region or section, free and unusable space included, by address.

    Columns: `allocation` (base of the allocation that the row belongs to), then `COLUMNS`. As `allocation_frame`, it
    returns the same frame again.
    """
    return _kept_frame(region_map, blocks=True, coded=False)


def coded_frame(region_map: RegionMap, *, blocks: bool) -> pd.DataFrame:
    """Returns `region_frame` or `allocation_frame` with all texts as categories, which take a fraction of the memory.

    The categories of a column contain the empty text; their order means nothing.
    """
    return _kept_frame(region_map, blocks=blocks, coded=True)


def _kept_frame(region_map: RegionMap, *, blocks: bool, coded: bool) -> pd.DataFrame:
    frames = _FRAMES.setdefault(region_map, {})
    frame = frames.get((blocks, coded))
    if frame is None:
        frame = frames[blocks, coded] = (_regions if blocks else _allocations)(region_map, coded)
    return frame


def summary_frame(region_map: RegionMap) -> pd.DataFrame:
    """Returns the summary as VMMap shows it, indexed by type (`Total` first); nullable integer `SUMMARY_COLUMNS`."""
    import pandas as pd

    lines = region_map.summary_lines
    # Column by column: a frame of rows with None in them would go through float64 and lose low bits.
    columns = {}
    for name, values in zip(SUMMARY_COLUMNS, zip(*map(figures_of, lines), strict=True), strict=True):
        data = np.array([value or 0 for value in values], np.int64)
        columns[name] = pd.arrays.IntegerArray(data, np.array([value is None for value in values], np.bool_))
    return pd.DataFrame(columns, index=pd.Index([line.name for line in lines], name="type"))


def own_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Returns a frame that its user may change. From pandas 3 on that copies only what is written to."""
    import pandas as pd

    return frame.copy(deep=int(pd.__version__.partition(".")[0]) < 3)


def _allocations(region_map: RegionMap, coded: bool) -> pd.DataFrame:
    rows = region_map.allocation_columns
    return _frame(region_map, rows, rows.working_set, region_map.space.first, coded)


def _regions(region_map: RegionMap, coded: bool) -> pd.DataFrame:
    rows = region_map.block_columns
    regions = region_map.space.regions
    # A region that is split into pieces has no working set of its own for each of them.
    split = np.bincount(rows.region, minlength=len(regions)) > 1
    working_set = {
        name: np.where(split[rows.region], -1, regions.numbers[name][rows.region])
        for name in WORKING_SET_COLUMNS
        if name in regions.numbers
    }
    frame = _frame(region_map, rows, working_set, rows.region, coded)
    owner = np.concatenate((region_map.allocation_columns.base[rows.allocation], region_map.gap_rows[0]))
    frame.insert(0, "allocation", owner[_order(rows, region_map)])
    return frame


def _order(rows: Rows, region_map: RegionMap) -> npt.NDArray[np.intp]:
    """The order by address of the rows in use and then the gaps."""
    return np.argsort(np.concatenate((rows.base, region_map.gap_rows[0])), kind="stable")


def _frame(
    region_map: RegionMap, rows: Rows, working_set: Mapping[str, I64], region: npt.NDArray[np.intp], coded: bool
) -> pd.DataFrame:
    """Makes a frame of `REGION_COLUMNS`.

    Args:
        region_map: the map.
        rows: its allocations or its blocks.
        working_set: working-set bytes by column; -1 is unknown.
        region: for each row the index of its first region, whose recorded texts it shows.
        coded: whether texts are categories.
    """
    import pandas as pd

    gap_base, gap_size, gap_type = region_map.gap_rows
    used, gaps, order = len(rows.base), len(gap_base), _order(rows, region_map)
    of_gaps: dict[str, npt.NDArray[Any]] = {"address": gap_base, "size": gap_size}
    unknown = _unknown(region_map, rows)
    ownership = ownership_of(region_map)
    owners = ownership.of_allocations if isinstance(rows, AllocationColumns) else ownership.owner
    unknown_numbers = pd.arrays.IntegerArray(np.zeros(len(order), np.int64), np.ones(len(order), np.bool_))

    def cells(column: RegionColumn) -> Any:
        if column.is_text:
            if column.holds == "owner":
                texts = Texts(owners, [*(getattr(name, column.array) for name in ownership.names), ""])
            elif column.holds == "protection":
                texts = _protections(region_map, rows, region)
            else:
                texts = Texts(getattr(rows, column.array), region_map.texts)
            texts = texts.followed_by(column.on_free, gaps).take(order)
            return texts.categories() if coded else texts.objects()
        if column.name in WORKING_SET_COLUMNS:
            if column.name not in working_set:
                return unknown_numbers
            values = working_set[column.name]
        else:
            values = getattr(rows, column.array)
        if column.holds == "flag":
            return np.concatenate((values, np.zeros(gaps, np.bool_)))[order]
        if column.holds == "type":
            codes = np.concatenate((values, gap_type)).astype(np.int8)[order]
            return pd.Categorical.from_codes(codes, categories=pd.Index([info.name for info in TYPES]))
        if column.name in of_gaps:
            return np.concatenate((values, of_gaps[column.name]))[order]
        missing = np.concatenate((unknown.get(column.name, values < 0), np.ones(gaps, np.bool_)))
        data = np.concatenate((np.where(missing[:used], 0, values), np.zeros(gaps, np.int64)))
        return pd.arrays.IntegerArray(data[order], missing[order])

    return pd.DataFrame({column.name: cells(column) for column in REGION_COLUMNS}, copy=not coded)


def _unknown(region_map: RegionMap, rows: Rows) -> dict[str, npt.NDArray[np.bool_]]:
    """Which figures of a partial map cannot be known: they follow from a list of regions with its protections."""
    if not region_map.partial:
        return {}
    return {
        "private": np.isin(rows.type, (RegionType.IMAGE, RegionType.UNKNOWN)),
        "blocks": np.ones(len(rows.base), np.bool_),
    }


def _protections(region_map: RegionMap, rows: Rows, region: npt.NDArray[np.intp]) -> Texts:
    """Protections in words; a VMMap file's own words where it is the source."""
    codes, words = protection_codes(rows.protect, rows.state)
    column = region_map.space.regions.texts.get("recorded_protection")
    if column is not None and len(column.values):
        recorded = column.codes[region]
        codes = np.where(recorded >= 0, recorded + len(words), codes)
        words = [*words, *column.values]
    return Texts(codes, words)
