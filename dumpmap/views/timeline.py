"""What `dumpmap timeline` shows."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from dumpmap.analysis.part_sums import PartKey
from dumpmap.analysis.timeline import Series, TimeUnit
from dumpmap.model.types import RegionType
from dumpmap.views.blocks import Blank, Block, Heading, Lines, Paragraph, Remark
from dumpmap.views.table import Column, LeftOver, LowerBound, Table
from dumpmap.wording.text import more_text
from dumpmap.wording.timeline import NamedGrowth, NamedSeries, headline, rate_text, statements

if TYPE_CHECKING:
    import pandas as pd

TIMELINE_SCHEMA = "dumpmap.timeline/1"

_SPARKS = "▁▂▃▄▅▆▇█"

_SHOWN_OWNERS = 8

SERIES_COLUMNS = (
    Column("type"),
    Column("name"),
    Column("metric"),
    Column("first", "size", optional=2),
    Column("last", "size", optional=1),
    Column("delta", "size", "Change"),
    Column("rate", "text", "Growth"),
    Column("grows", "flag"),
    Column("trend"),
)

_VALUE_COLUMNS = (
    Column("type"),
    Column("name"),
    Column("metric"),
    Column("sample", "count"),
    Column("at", "percent"),
    Column("file"),
    Column("value", "size"),
    Column("lower_bound", "flag"),
)


def timeline_document(growth: NamedGrowth, limit: int | None = None) -> dict[str, Any]:
    """Returns plain data, schema `dumpmap.timeline/1`.

    Args:
        growth: the timeline.
        limit: the largest number of groups to list; all by default.
    """
    return {
        "schema": TIMELINE_SCHEMA,
        "unit": growth.unit,
        "confidence": growth.confidence,
        "notes": list(growth.notes),
        "points": [
            {
                "name": point.name,
                "captured_at": None
                if point.captured_at is None
                else point.captured_at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "at": point.at,
            }
            for point in growth.points
        ],
        "types": [series.to_dict(growth.unit) for series in growth.types],
        "events": [{"point": event.point, "kind": event.kind, "name": event.name} for event in growth.events],
        "figures": [series.to_dict(growth.unit) for series in growth.figures],
        "groups": [series.to_dict(growth.unit) for series in growth.groups[:limit]],
        "owners": [_owner_document(series, growth.unit) for series in growth.owners[:limit]],
        "growing": [series.to_dict(growth.unit) for series in growth.growing[:limit]],
        "forecasts": [forecast.to_dict(growth.unit) for forecast in growth.forecasts],
    }


def _owner_document(series: NamedSeries, unit: TimeUnit) -> dict[str, Any]:
    key = _part_of(series)
    return {
        "owner": key.owner or None,
        "module": key.module or None,
        "kind": key.kind or None,
        **series.to_dict(unit),
    }


def _part_of(series: NamedSeries) -> PartKey:
    return series.group if isinstance(series.group, PartKey) else PartKey("")


def value_table(growth: NamedGrowth) -> Table:
    """Returns every value of every series, one row each, for CSV. `lower_bound` says where more can exist."""
    rows = [
        [
            series.type,
            series.name,
            series.metric,
            index,
            point.at,
            point.name,
            value if least is None else least,
            least is not None,
        ]
        for series in (*growth.types, *growth.figures, *growth.groups, *growth.owners)
        for index, (point, value, least) in enumerate(
            zip(growth.points, series.values, series.lower_bounds, strict=True)
        )
    ]
    return Table(_VALUE_COLUMNS, rows)


def owner_values_frame(growth: NamedGrowth) -> pd.DataFrame:
    """Returns every value of the parts of owners that changed, one row each."""
    import pandas as pd

    rows = []
    for series in growth.owners:
        key = _part_of(series)
        for point, value in zip(growth.points, series.values, strict=True):
            rows.append((key.owner, key.module, key.kind, series.name, series.metric, point.at, point.name, value))
    names = ["owner", "module", "kind", "name", "metric", "at", "file", "value"]
    return pd.DataFrame(rows, columns=names).astype({"value": "Int64"})


def timeline_view(growth: NamedGrowth, limit: int, more: Callable[[int], str] = more_text) -> Iterator[Block]:
    """Yields everything that `timeline` shows; `more` says how many rows the limit left out."""
    yield Paragraph(headline(growth), "strong")
    yield Lines(statements(growth))
    for note in growth.notes:
        yield Remark("Note:", note)
    yield Blank()
    # Committed memory by type, and the free space; JSON has every metric.
    types = [series for series in growth.types if series.metric == "committed" or series.type == "Free"]
    yield series_table(growth, [series for series in types if any(_ends(series))])
    if growth.owners:
        yield Blank()
        yield Heading("Who took or gave back memory")
        shown = [series for series in growth.owners if series.metric == "committed"] or growth.owners
        table = series_table(growth, shown[:_SHOWN_OWNERS])
        columns = (dataclasses.replace(table.columns[0], shown=False), *table.columns[1:])
        yield dataclasses.replace(table, columns=columns)
    if growth.groups:
        yield Blank()
        yield Heading("What changed")
        yield Paragraph("Whole allocations, by name or size. Owners count pages, so their figures can differ.", "muted")
        yield series_table(growth, growth.groups[:limit])
        if len(growth.groups) > limit:
            yield Paragraph(more(len(growth.groups) - limit))


def series_table(growth: NamedGrowth, series: Sequence[NamedSeries]) -> Table:
    """Returns one row per series, with its growth and a sparkline."""
    rows = [
        [
            one.type or "(process)",
            one.name,
            one.metric,
            *_ends(one),
            one.delta,
            rate_text(one, growth.unit),
            one.grows,
            _spark_text(one),
        ]
        for one in series
    ]
    return Table(SERIES_COLUMNS, rows)


def _ends(series: Series) -> tuple[float | None, float | None]:
    """Returns the first and the last known value; lower bounds of both if no input knows all of the memory."""
    if series.first is not None:
        if series.type == RegionType.FREE.label and series.last is not None:
            return LeftOver(int(series.first)), LeftOver(int(series.last))
        return series.first, series.last
    known = [LowerBound(value) for value in series.lower_bounds if value is not None]
    return (known[0], known[-1]) if known else (None, None)


def _spark_text(series: Series) -> str:
    """Draws the values as a line of bars; unknown values are blanks."""
    steps = len(_SPARKS) - 1
    return "".join(" " if value is None else _SPARKS[round(value * steps)] for value in series.sparkline())
