"""The page of a timeline: memory by type and by owner over time, the largest free block, and what happened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from dumpmap.analysis.part_sums import PartKey
from dumpmap.model.types import TYPES
from dumpmap.render.html.assets import (
    MODULES_COLOR,
    NAMED_OWNERS,
    NOBODY_COLOR,
    OTHERS_COLOR,
    render_page,
)
from dumpmap.render.html.compressed import compressed_json
from dumpmap.render.html.head import KeyFigure
from dumpmap.render.html.packing import pack_table
from dumpmap.views.table import Table
from dumpmap.views.timeline import series_table
from dumpmap.wording.text import short_size, size_left
from dumpmap.wording.timeline import NamedGrowth, NamedSeries, headline, rate_text, statements

Values = Sequence[float | None]

MOST_SERIES = 5_000
"""Owners and groups in the table of the page; those that grow fastest come first."""

_MOST_SPARKS = 20
_PROCESS, _OWNED = "(process)", "(owner)"

_LINES = ("largest_free_block", "free", "commit_left")
"""Figures of what is left that have a line, with their titles."""

_TITLES = {
    "largest_free_block": "Largest free block",
    "free": "Free address space",
    "commit_left": "Commit left on the machine",
    "counters.private_usage": "Private bytes (counter)",
    "counters.working_set": "Working set (counter)",
}


def render_timeline(growth: NamedGrowth) -> str:
    """Returns the page of a timeline."""
    document = _document(growth)
    parts = render_page(
        "timeline",
        [compressed_json(document)],
        packed=True,
        name="Timeline",
        title=headline(growth),
        ends=(growth.points[0].name, growth.points[-1].name),
        statements=statements(growth),
        notes=growth.notes,
        figures=tuple(_figures(growth)),
        events=[(event.point, event.kind, event.name, growth.points[event.point].name) for event in growth.events],
        metrics=[metric for metric in ("committed", "size") if any(metric in one for one in document["by_type"])],
        lines=[(name, _TITLES[name]) for name in _LINES if name in document["figures"]],
        has_owners=bool(document["by_owner"]),
        points=len(growth.points),
        types=TYPES,
    )
    return "".join(parts)


def _document(growth: NamedGrowth) -> dict[str, Any]:
    """The data of the page. Its shape is not an interface."""
    return {
        "types": [info.name for info in TYPES],
        "width": 16,
        "unit": growth.unit,
        "points": [
            {
                "name": point.name,
                "at": point.at,
                "time": None if point.captured_at is None else point.captured_at.timestamp(),
            }
            for point in growth.points
        ],
        "by_type": list(_types(growth)),
        "by_owner": _owners(growth),
        "figures": {series.metric: _whole(series.values) for series in growth.figures},
        "titles": _TITLES,
        "events": [{"point": event.point, "kind": event.kind, "name": event.name} for event in growth.events],
        "table": pack_table(_table(growth)),
    }


def _table(growth: NamedGrowth) -> Table:
    """Types, parts of owners, and groups, in this order, with what is known of them."""
    types, owners, groups = (
        series_table(growth, [one for one in series if one.first is not None][:MOST_SERIES])
        for series in (growth.types, growth.owners, growth.groups)
    )
    # What has an owner is of no one type.
    rows = [[_OWNED if row[0] == _PROCESS else row[0], *row[1:]] for row in owners.rows]
    # In a long series, the charts show the shape better than a line of letters that does not fit.
    columns = types.columns if len(growth.points) <= _MOST_SPARKS else types.columns[:-1]
    every = (*types.rows, *rows, *groups.rows)
    return Table(columns, [row[: len(columns)] for row in every])


def _types(growth: NamedGrowth) -> Iterator[dict[str, Any]]:
    """The types that have memory anywhere, in VMMap's order, with the values of each metric; without free space."""
    for info in TYPES:
        found = {one.metric: _whole(one.values) for one in growth.types if one.type == info.name}
        if info.name not in ("Free", "Unusable") and any(any(values) for values in found.values()):
            yield {"name": info.name, "color": f"t{int(info.type)}", **found}


def _owners(growth: NamedGrowth) -> list[dict[str, Any]]:
    """The owners with a color of their own, then loaded modules, all others, and memory without an owner."""
    groups: dict[int, tuple[str, list[NamedSeries]]] = {}
    named = sorted(
        filter(_is_named, growth.holders), key=lambda one: -max((value or 0 for value in one.values), default=0)
    )
    for place, one in enumerate(named[:NAMED_OWNERS], 1):
        groups[place] = (one.name, [one])
    groups[OTHERS_COLOR] = ("Other owners", named[NAMED_OWNERS:])
    groups[MODULES_COLOR] = ("Loaded modules", [one for one in growth.holders if _is_module(one)])
    groups[NOBODY_COLOR] = ("No owner", [one for one in growth.holders if not _key(one).owner])
    return [
        {"name": name, "color": f"o{color}", "committed": _whole(_sums([one.values for one in series]))}
        for color, (name, series) in groups.items()
        if any(any(one.values) for one in series)
    ]


def _key(series: NamedSeries) -> PartKey:
    return series.group if isinstance(series.group, PartKey) else PartKey("")


def _is_module(series: NamedSeries) -> bool:
    return bool(_key(series).owner) and _key(series).owner == _key(series).module


def _is_named(series: NamedSeries) -> bool:
    return bool(_key(series).owner) and not _is_module(series)


def _sums(values: Sequence[Values]) -> list[float | None]:
    """Adds up series point by point; unknown where one is."""
    return [None if None in column else sum(value or 0 for value in column) for column in zip(*values, strict=True)]


def _whole(values: Values) -> list[int | None]:
    return [None if value is None else int(value) for value in values]


def _figures(growth: NamedGrowth) -> Iterator[KeyFigure]:
    """What readers look for first: the last value, and how it changed."""
    totals = {one.metric: one for one in growth.types if one.type == "Total"}
    figures = {one.metric: one for one in growth.figures}
    for label, series, left in (
        ("Committed", totals.get("committed"), False),
        ("Address space in use", totals.get("size"), False),
        ("Private bytes (counter)", figures.get("counters.private_usage"), False),
        ("Largest free block", figures.get("largest_free_block"), True),
        ("Commit left on the machine", figures.get("commit_left"), True),
    ):
        if series is None or series.last is None:
            continue
        text = size_left if left else short_size
        change = series.delta or 0
        by = f"{'+' if change > 0 else '-'}{short_size(abs(int(change)))}" if change else "unchanged"
        rate = rate_text(series, growth.unit)
        yield KeyFigure(label, text(int(series.last)), f"{by}{'' if rate is None or not change else f', {rate}'}")
