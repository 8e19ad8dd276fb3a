"""Region maps as data frames."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from dumpmap.analysis.ownership import ownership_of
from dumpmap.model.columns import ALLOCATION, REGION_COLUMN, REGION_COLUMNS, SUMMARY_COLUMNS, RegionColumn
from dumpmap.model.pieces import BlockColumns
from dumpmap.model.protection import protection_codes
from dumpmap.model.region_map import AllocationColumns, RegionMap
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
        frame = frames[blocks, coded] = RowColumns(region_map, blocks=blocks, coded=coded).frame()
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


class RowColumns:
    """The columns of a frame, each made when somebody asks for it: together they take 250 MB for a million regions.

    Args:
        region_map: the map.
        blocks: whether rows are regions; otherwise they are allocations.
        coded: whether texts are categories.
    """

    def __init__(self, region_map: RegionMap, *, blocks: bool, coded: bool = True) -> None:
        self._map, self._coded = region_map, coded
        self._rows: Rows = region_map.block_columns if blocks else region_map.allocation_columns
        self._gaps = len(region_map.gap_rows[0])
        order = np.argsort(np.concatenate((self._rows.base, region_map.gap_rows[0])), kind="stable")
        self._order = order.astype(np.int32)  # there are fewer rows, and it is kept

    def __len__(self) -> int:
        return len(self._order)

    def frame(self) -> pd.DataFrame:
        """Returns all columns: `REGION_COLUMNS`, and before them the allocation of a region."""
        import pandas as pd

        def cells(column: RegionColumn) -> Any:
            if column.is_text:
                texts = self.texts(column.name)
                return texts.categories() if self._coded else texts.objects()
            if column.holds == "type":
                names = pd.Index([info.name for info in TYPES])
                return pd.Categorical.from_codes(self.plain(column.name), categories=names)
            if column.holds in ("address", "flag") or column.name == "size":
                return self.plain(column.name)
            return pd.arrays.IntegerArray(*self.figures(column.name))

        before = (ALLOCATION,) if isinstance(self._rows, BlockColumns) else ()
        columns = {column.name: cells(column) for column in (*before, *REGION_COLUMNS)}
        return pd.DataFrame(columns, copy=not self._coded)

    def plain(self, name: str) -> npt.NDArray[Any]:
        """Returns a column that has no unknown cells: an address, the size, the number of the type, or a flag."""
        rows, (gap_base, gap_size, gap_type) = self._rows, self._map.gap_rows
        gaps: npt.NDArray[Any]
        if name == ALLOCATION.name and isinstance(rows, BlockColumns):
            used, gaps = self._map.allocation_columns.base[rows.allocation], gap_base
        else:
            used = getattr(rows, REGION_COLUMN[name].array)
            of_gaps: dict[str, npt.NDArray[Any]] = {"address": gap_base, "size": gap_size, "type": gap_type}
            gaps = of_gaps.get(name, np.zeros(self._gaps, np.bool_))
        together = np.concatenate((used, gaps))
        return (together.astype(np.int8) if name == "type" else together)[self._order]

    def figures(self, name: str) -> tuple[I64, npt.NDArray[np.bool_]]:
        """Returns a column of sizes or counts, 0 where they are unknown, and where that is."""
        rows, gaps, order = self._rows, self._gaps, self._order
        if name == "size":
            return self.plain(name), np.zeros(len(order), np.bool_)
        values = self._working_set(name) if name in WORKING_SET_COLUMNS else getattr(rows, REGION_COLUMN[name].array)
        if values is None:
            return self._nothing
        missing = np.concatenate((_unknown(self._map, rows).get(name, values < 0), np.ones(gaps, np.bool_)))
        data = np.concatenate((values, np.zeros(gaps, np.int64)))
        del values  # of a million rows each copy takes 8 MB
        data[missing] = 0
        return data[order], missing[order]

    @cached_property
    def _nothing(self) -> tuple[I64, npt.NDArray[np.bool_]]:
        """A column without known cells. Most inputs have several, which share the memory."""
        return np.zeros(len(self), np.int64), np.ones(len(self), np.bool_)

    def texts(self, name: str) -> Texts:
        """Returns a column of texts."""
        column = REGION_COLUMN[name]
        return self._texts(column).followed_by(column.on_free, self._gaps).take(self._order)

    def _texts(self, column: RegionColumn) -> Texts:
        rows = self._rows
        if column.holds == "owner":
            ownership = ownership_of(self._map)
            owners = ownership.of_allocations if isinstance(rows, AllocationColumns) else ownership.owner
            return Texts(owners, [*(getattr(name, column.array) for name in ownership.names), ""])
        if column.holds == "protection":
            region = self._map.space.first if isinstance(rows, AllocationColumns) else rows.region
            return _protections(self._map, rows, region)
        return Texts(getattr(rows, column.array), self._map.texts)

    def _working_set(self, name: str) -> I64 | None:
        """Returns working-set bytes, -1 where they are unknown; None if all are."""
        rows, regions = self._rows, self._map.space.regions
        if isinstance(rows, AllocationColumns):
            return rows.working_set.get(name)
        if name not in regions.numbers:
            return None
        # A region that is split into pieces has no working set of its own for each of them.
        split = np.bincount(rows.region, minlength=len(regions)) > 1
        return np.where(split[rows.region], -1, regions.numbers[name][rows.region])


def _unknown(region_map: RegionMap, rows: Rows) -> dict[str, npt.NDArray[np.bool_]]:
    """Which figures of a partial map cannot be known: they follow from a list of regions with its protections."""
    if not region_map.partial:
        return {}
    return {
        "private": np.isin(rows.type, (RegionType.IMAGE, RegionType.UNKNOWN)),
        "blocks": np.ones(len(rows.base), np.bool_),
    }


def _protections(region_map: RegionMap, rows: Rows, region: npt.NDArray[np.integer[Any]]) -> Texts:
    """Protections in words; a VMMap file's own words where it is the source."""
    codes, words = protection_codes(rows.protect, rows.state)
    column = region_map.space.regions.texts.get("recorded_protection")
    if column is not None and len(column.values):
        recorded = column.codes[region]
        codes = np.where(recorded >= 0, recorded + len(words), codes)
        words = [*words, *column.values]
    return Texts(codes, words)
