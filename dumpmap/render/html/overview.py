"""The overview of the page and of the notebook form: bars and the type table."""

from __future__ import annotations

from dumpmap.analysis.lower_bounds import shows_part
from dumpmap.model.columns import LARGEST, REGION_COLUMN, SUMMARY_COLUMNS, RegionColumn
from dumpmap.model.region_map import RegionMap
from dumpmap.model.snapshot import WORKING_SET_COLUMNS
from dumpmap.model.summary import SummaryLine
from dumpmap.model.types import BY_NAME, TYPES, RegionType
from dumpmap.model.values import value_class
from dumpmap.views.strip import SCALED_SPACE
from dumpmap.wording.text import percent_text, short_size, size_text

UNKNOWN = "unknown"
"""What the page shows where the input cannot know a value that the reader expects."""


def knows_working_set(region_map: RegionMap) -> bool:
    """Whether the input has working sets by region; that of the page tables alone is not the process's."""
    tables = RegionType.PAGE_TABLE.label
    return any(line.total_ws is not None for line in region_map.summary_lines[1:] if line.name != tables)


# ---------------------------------------------------------------- bars


@value_class(frozen=True, slots=True)
class BarPart:
    """One type's share of a bar.

    Attributes:
        type: the type's number; -1 where a bar has no types.
        place: where the share begins, in thousandths of the bar's whole length.
        width: its length, likewise.
        text: its tooltip.
    """

    type: int
    place: float
    width: float
    text: str


@value_class(frozen=True, slots=True)
class PageBar:
    """A bar of the overview; it has no parts where its figure is not known."""

    title: str
    figure: str
    parts: tuple[BarPart, ...] = ()
    note: str = ""


def bars(region_map: RegionMap) -> list[PageBar]:
    """Committed, private, and working set on one scale, as VMMap draws them; a 32-bit address space on its own."""
    total, counters = region_map.total, region_map.counters
    by_type = knows_working_set(region_map)
    working_set = total.total_ws if by_type else counters.working_set
    scale = max(total.committed or 0, total.private or 0, working_set or 0)
    note = "at least" if shows_part(region_map) else ""
    result = [
        _bar(region_map, "Committed", "committed", total.committed, scale, note),
        _bar(region_map, "Private", "private", total.private, scale, note),
    ]
    if by_type or working_set is None:
        result.append(_bar(region_map, "Working set", "total_ws", working_set, scale, ""))
    else:
        part = BarPart(-1, 0, 1000 * working_set / max(scale, 1), f"Working set: {size_text(working_set)} KB")
        result.append(PageBar("Working set", short_size(working_set), (part,), "from the system counter"))
    if region_map.end is not None and region_map.end <= SCALED_SPACE:
        result.insert(0, _bar(region_map, "Address space", "size", region_map.end, region_map.end, "on its own scale"))
    return result


def _bar(region_map: RegionMap, title: str, column: str, value: int | None, scale: int, note: str) -> PageBar:
    if value is None:
        return PageBar(title, UNKNOWN)
    parts: list[BarPart] = []
    of = " of what is known" if shows_part(region_map) else ""
    place = 0.0
    for info in TYPES:
        # Page tables are not part of the address space, and free space is not part of anything else.
        if info.type == (RegionType.PAGE_TABLE if column == "size" else RegionType.FREE):
            continue
        share = getattr(region_map.line(info.type), column)
        if share:
            width = 1000 * share / scale
            text = f"{info.name}: {size_text(share)} KB ({percent_text(share / value) if value else ''}{of})"
            parts.append(BarPart(int(info.type), round(place, 3), round(width, 3), text))
            place += width
    return PageBar(title, short_size(value), tuple(parts), note)


# ---------------------------------------------------------------- type table


@value_class(frozen=True, slots=True)
class TypeRow:
    """A row of the type table.

    Attributes:
        type: the type's number; -1 for the total.
        name: its name.
        help: what the type is.
        cells: the figures as text.
        known: whether any figure is known.
        empty: whether the type is known to have no memory.
    """

    type: int
    name: str
    help: str
    cells: tuple[str, ...]
    known: bool
    empty: bool


@value_class(frozen=True, slots=True)
class TypeTable:
    """The type table; the working-set columns are left out where the input has no working sets."""

    columns: tuple[RegionColumn, ...]
    rows: tuple[TypeRow, ...]
    has_working_set: bool


def type_table(region_map: RegionMap) -> TypeTable:
    """VMMap's summary, with sizes in KB."""
    has_working_set = knows_working_set(region_map)
    names = [name for name in SUMMARY_COLUMNS if has_working_set or name not in WORKING_SET_COLUMNS]
    columns = tuple(REGION_COLUMN.get(name, LARGEST) for name in names)
    rows = tuple(_type_row(line, columns) for line in region_map.summary_lines)
    return TypeTable(columns, rows, has_working_set)


def _type_row(line: SummaryLine, columns: tuple[RegionColumn, ...]) -> TypeRow:
    type_ = BY_NAME.get(line.name.lower())
    values = line.values()
    known = any(value is not None for value in values.values())
    return TypeRow(
        type=-1 if type_ is None else int(type_),
        name=line.name,
        help="All types except Free." if type_ is None else TYPES[type_].meaning,
        cells=tuple(_cell(column, values[column.name]) for column in columns),
        known=known,
        empty=known and not values["size"],
    )


def _cell(column: RegionColumn, value: int | None) -> str:
    return f"{value:,}" if column.holds == "count" and value is not None else size_text(value)
