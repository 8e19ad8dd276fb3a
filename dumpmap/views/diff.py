"""What `dumpmap diff` shows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from dumpmap.analysis.changes import CHANGE_COLUMNS
from dumpmap.analysis.diff import MapDiff
from dumpmap.analysis.lower_bounds import lower_bounds
from dumpmap.analysis.owner_parts import OwnerChange, merged_parts
from dumpmap.analysis.part_sums import FIGURES
from dumpmap.model.region_map import RegionMap
from dumpmap.model.types import RegionType
from dumpmap.views.blocks import Blank, Block, Heading, Lines, Paragraph, Remark
from dumpmap.views.summary import finding_statements
from dumpmap.views.table import Column, Content, LeftOver, Table
from dumpmap.wording.diff import DiagnosedDiff, change_counts_text, figure_lines, headline, shows_less, verdict_line
from dumpmap.wording.owners import part_text
from dumpmap.wording.text import more_text

DIFF_SCHEMA = "dumpmap.diff/1"

CHANGE_VIEW: Mapping[str, Column] = {
    "status": Column("status", "text", "Change"),
    "match": Column("match", shown=False),
    "address_a": Column("address_a", "address", "Address before", False),
    "address_b": Column("address_b", "address", "Address after", False),
    "kind": Column("kind", optional=1),
    "size_a": Column("size_a", "size", "Size before", optional=3),
    "size_b": Column("size_b", "size", "Size after", optional=2),
    "size_delta": Column("size_delta", "size", "Change of size"),
    "committed_a": Column("committed_a", "size", shown=False),
    "committed_b": Column("committed_b", "size", shown=False),
    "committed_delta": Column("committed_delta", "size", "Change of committed"),
    "private_a": Column("private_a", "size", shown=False),
    "private_b": Column("private_b", "size", shown=False),
    "private_delta": Column("private_delta", "size", shown=False),
}
"""The columns of `CHANGE_COLUMNS` that are more than a text."""

OWNER_COLUMNS = (
    Column("part", heading="Owner, part"),
    Column("where", heading="Module or type", optional=2),
    Column("count_delta", "count", "Count +/-", optional=1),
    Column("committed", "size"),
    Column("committed_delta", "size", "+/-"),
    Column("size", "size", optional=3),
    Column("size_delta", "size", "+/-", optional=3),
)

_SHOWN_OWNERS = 12

_TYPE_FIGURES: Mapping[str, tuple[Content, int]] = {
    "size": ("size", 0),
    "committed": ("size", 0),
    "private": ("size", 1),
    "blocks": ("count", 2),
}
"""Columns of the summary whose change is shown: what they hold, and how early a narrow terminal leaves them out."""


def diff_document(difference: DiagnosedDiff, limit: int | None = None) -> dict[str, Any]:
    """Returns plain data, schema `dumpmap.diff/1`.

    Args:
        difference: the difference.
        limit: the largest number of changes to list; all by default. Their number is given either way.
    """
    return {
        "schema": DIFF_SCHEMA,
        "a": _side(difference.a),
        "b": _side(difference.b),
        "same_process": difference.same_process,
        "notes": list(difference.notes),
        "types": [row.to_dict() for row in difference.types],
        "owners": [_owner_document(change) for change in difference.owners],
        "lower_bounds": {"a": lower_bounds(difference.a), "b": lower_bounds(difference.b)},
        "free": {name: figure.to_dict() for name, figure in difference.free.items()},
        "counters": {name: figure.to_dict() for name, figure in difference.counters.items()},
        "verdicts": {"a": difference.verdicts[0], "b": difference.verdicts[1]},
        "findings": {
            "gained": [finding.to_dict() for finding in difference.gained],
            "lost": [finding.to_dict() for finding in difference.lost],
        },
        "counts": difference.changes.counts(),
        "allocations": [change.to_dict() for change in difference.changes.rows(limit)],
    }


def _owner_document(change: OwnerChange) -> dict[str, Any]:
    return {
        "owner": change.owner or None,
        "module": change.module or None,
        "instance_a": change.instance_a or None,
        "instance_b": change.instance_b or None,
        "match": change.match,
        "size": change.size.to_dict(),
        "committed": change.committed.to_dict(),
        "parts": [
            {
                "kind": part.key.kind or None,
                "type": None if part.key.type is None else part.key.type.label,
                "size_each": part.key.size_each or None,
                **{name: getattr(part, name).to_dict() for name in FIGURES},
            }
            for part in change.parts
        ],
    }


def _side(region_map: RegionMap) -> dict[str, Any]:
    source, process = region_map.snapshot.source, region_map.process
    return {
        "path": source.path,
        "name": source.name,
        "captured_at": None if source.captured_at is None else source.captured_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "process": process.name,
        "pid": process.pid,
        "completeness": region_map.completeness,
    }


def change_table(difference: MapDiff, limit: int | None = None) -> Table:
    """Returns one row per allocation that is not the same."""
    width = max(difference.a.address_width, difference.b.address_width)
    columns = [CHANGE_VIEW.get(name, Column(name)) for name in CHANGE_COLUMNS]
    rows = [
        [*(getattr(change, name) for name in CHANGE_COLUMNS), change.address_b or change.address_a]
        for change in difference.changes.rows(limit)
    ]
    return Table((*columns, Column("address", "address")), rows, width)


def _type_table(difference: MapDiff) -> Table:
    """Returns the summary's rows with what changed; the total of a second map that shows only a part says so."""
    rows = []
    for change in difference.types:
        total = change is difference.types[0]
        row: list[Any] = [f"{change.type}, at least" if total and change.least else change.type]
        for name in _TYPE_FIGURES:
            figure = change.figures[name]
            free = name == "size" and change.type == RegionType.FREE.label
            row += [LeftOver(int(figure.b)) if free and figure.b is not None else figure.b, figure.delta or None]
        rows.append(row)
    return Table(tuple(type_columns()), rows)


def type_columns() -> Iterator[Column]:
    """Yields the columns of the types: each figure of the second map, and its change."""
    yield Column("type")
    for name, (holds, optional) in _TYPE_FIGURES.items():
        yield Column(name, holds, optional=optional)
        yield Column(f"{name}_delta", holds, "+/-", optional=optional)


def owner_change_table(difference: MapDiff) -> Table:
    """Returns the parts of owners that changed, all instances together; those that changed most come first."""
    rows = [
        [
            part_text(part.key),
            part.key.type.label if part.key.type is not None else part.key.module,
            part.count.delta or None,
            part.committed.b,
            part.committed.delta or None,
            part.size.b,
            part.size.delta or None,
        ]
        for part in merged_parts(difference.owners)
        if part.size.delta or part.committed.delta
    ]
    return Table(OWNER_COLUMNS, rows)


def diff_view(difference: DiagnosedDiff, limit: int | None, more: Callable[[int], str] = more_text) -> Iterator[Block]:
    """Yields everything that `diff` shows; `more` says how many rows the limit left out."""
    yield Paragraph(headline(difference), "strong")
    yield Lines([f"Allocations: {change_counts_text(difference.changes)}"])
    for note in difference.notes:
        yield Remark("Note:", note)
    yield Blank()
    yield _type_table(difference)
    yield Blank()
    owners = owner_change_table(difference)
    if owners.rows:
        yield Heading("Who took or gave back memory")
        yield dataclasses.replace(owners, rows=owners.rows[:_SHOWN_OWNERS])
        if len(owners.rows) > _SHOWN_OWNERS:
            yield Paragraph(f"... and {len(owners.rows) - _SHOWN_OWNERS:,} more; JSON has them all")
        yield Blank()
    if lines := figure_lines(difference):
        yield Lines(lines)
    if verdict := verdict_line(difference):
        yield Paragraph(verdict, "strong")
    titles = ("Findings gained", "Findings lost")
    if shows_less(difference):
        titles = ("Findings of the second input only", "Findings of the first input only")
    for title, findings in zip(titles, (difference.gained, difference.lost), strict=True):
        if findings:
            yield Blank()
            yield Heading(title)
            yield finding_statements(findings)
    table = change_table(difference, limit)
    if table.rows:
        yield Blank()
        yield table
        if left_out := len(difference.changes) - len(table.rows):
            yield Paragraph(more(left_out))
