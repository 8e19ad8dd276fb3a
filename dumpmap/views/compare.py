"""What `diff`, `timeline` and `check` show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dumpmap.analysis.check import RuleResult
from dumpmap.analysis.diff import CHANGE_COLUMNS, Diff, FigureChange
from dumpmap.analysis.timeline import Series, Timeline
from dumpmap.views.blocks import Blank, Block, Heading, Lines, Paragraph, Remark
from dumpmap.views.summary import finding_statements
from dumpmap.views.table import Column, Content, Table
from dumpmap.wording.text import more_text, percent_text, short_size, size_left

_CHANGE_COLUMNS: Mapping[str, Column] = {
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

_TYPE_OPTIONAL = {"private": 1, "blocks": 2}
"""Figures of types that a narrow terminal can do without."""

_SPARKS = "▁▂▃▄▅▆▇█"
_HOUR = 3600


def change_table(difference: Diff, limit: int | None = None) -> Table:
    """One row per allocation that is not the same."""
    width = max(difference.a.address_width, difference.b.address_width)
    columns = [_CHANGE_COLUMNS.get(name, Column(name)) for name in CHANGE_COLUMNS]
    rows = []
    for change in difference.changes.rows(limit):
        rows.append([*(getattr(change, name) for name in CHANGE_COLUMNS), change.address_b or change.address_a])
    address = Column("address", "address")
    return Table((*columns, address), rows, width)


def type_change_table(difference: Diff) -> Table:
    """The summary's changes."""
    names = ("size", "committed", "private", "blocks")
    columns = [Column("type")]
    for name in names:
        holds: Content = "count" if name == "blocks" else "size"
        least = _TYPE_OPTIONAL.get(name, 0)
        columns += [Column(name, holds, optional=least), Column(f"{name}_delta", holds, "+/-", optional=least)]
    rows = []
    for change in difference.types:
        row: list[Any] = [change.type]
        for name in names:
            figure = change.figures[name]
            row += [figure.b, figure.delta or None]
        rows.append(row)
    return Table(tuple(columns), rows)


_COUNTS = ("free_blocks", "threads", "heaps", "modules", "handles", "tiny_blocks")
"""Figures that are numbers of things; all others are bytes, but for the fragmentation."""


_LEFT = ("free", "largest_free_block")
"""Figures of what is left: they are rounded down."""


def _figure_text(name: str, figure: FigureChange) -> str:
    def text(value: float | None) -> str:
        if value is None:
            return "not known"
        if name == "fragmentation":
            return percent_text(value)
        if name in _COUNTS:
            return f"{int(value):,}"
        return size_left(int(value)) if name in _LEFT else short_size(int(value))

    label = name.replace(".", ": ").replace("_", " ")
    change = figure.delta if name != "fragmentation" else None
    by = f"{int(change):,}" if change and name in _COUNTS else short_size(int(change)) if change else ""
    suffix = f" ({'+' if change > 0 else ''}{by})" if change else ""
    return f"{label}: {text(figure.a)} -> {text(figure.b)}{suffix}"


def _free_lines(difference: Diff) -> list[str]:
    """What changed of the free space. A share that is the same in the digits that are shown has not."""
    return [
        _figure_text(name, figure)
        for name, figure in difference.free.items()
        if figure.a != figure.b and (name != "fragmentation" or percent_text(figure.a) != percent_text(figure.b))
    ]


def _diff_head(difference: Diff) -> list[str]:
    a, b = difference.a.snapshot.source.name, difference.b.snapshot.source.name
    times = [region_map.snapshot.source.captured_at for region_map in (difference.a, difference.b)]
    moments = "the same time, to the second" if times[0] is not None and times[0] == times[1] else "two moments"
    kind = f"one process at {moments}" if difference.same_process else "two processes"
    counts = difference.to_dict(limit=0)["counts"]
    changed = ", ".join(f"{count:,} {status}" for status, count in counts.items() if count)
    return [f"{a} -> {b}: {kind}", f"Allocations: {changed or 'none'}"]


def diff_blocks(difference: Diff, limit: int | None) -> Iterator[Block]:
    """Everything that `diff` shows."""
    head, *rest = _diff_head(difference)
    yield Paragraph(head, "strong")
    yield Lines(rest)
    for note in difference.notes:
        yield Remark("Note:", note)
    yield Blank()
    yield type_change_table(difference)
    yield Blank()
    figures = [_figure_text(name, figure) for name, figure in difference.counters.items() if figure.delta]
    if lines := _free_lines(difference) + figures:
        yield Lines(lines)
    if difference.verdicts[0] != difference.verdicts[1]:
        yield Paragraph(f"Verdict: {difference.verdicts[0]} -> {difference.verdicts[1]}", "strong")
    for title, findings in (("Findings gained", difference.gained), ("Findings lost", difference.lost)):
        if findings:
            yield Blank()
            yield Heading(title)
            yield finding_statements(findings)
    table = change_table(difference, limit)
    if table.rows:
        yield Blank()
        yield table
        if more := len(difference.changes) - len(table.rows):
            yield Paragraph(more_text(more))


# ---------------------------------------------------------------- timeline


def spark_text(series: Series) -> str:
    """The values as a line of bars; a blank where one is not known."""
    steps = len(_SPARKS) - 1
    return "".join(" " if value is None else _SPARKS[round(value * steps)] for value in series.sparkline())


def _rate_text(series: Series, unit: str) -> str | None:
    """The slope with its interval, per hour or per sample."""
    if series.slope is None:
        return None
    factor, per = (_HOUR, "/h") if unit == "seconds" else (1, " per sample")
    text = short_size(round(series.slope * factor)) + per
    if series.low is not None and series.high is not None:
        half = (series.high - series.low) / 2 * factor
        text += f" ± {short_size(round(half))}{per}"
    return text


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


def series_table(line: Timeline, series: Sequence[Series]) -> Table:
    """One row per series, with its growth and a sparkline."""
    rows = [
        [
            one.type or "(process)",
            one.name,
            one.metric,
            one.first,
            one.last,
            one.delta,
            _rate_text(one, line.unit),
            one.grows,
            spark_text(one),
        ]
        for one in series
    ]
    return Table(SERIES_COLUMNS, rows)


def timeline_table(line: Timeline) -> Table:
    """Every value of every series, one row each: what CSV carries."""
    columns = (
        Column("type"),
        Column("name"),
        Column("metric"),
        Column("sample", "count"),
        Column("at", "percent"),
        Column("file"),
        Column("value", "size"),
    )
    rows = [
        [series.type, series.name, series.metric, index, point.at, point.name, value]
        for series in (*line.types, *line.figures, *line.groups)
        for index, (point, value) in enumerate(zip(line.points, series.values, strict=True))
    ]
    return Table(columns, rows)


def _timeline_lines(line: Timeline) -> list[str]:
    # Why slopes are per sample, a note says: times are missing, or all the same.
    span = f"over {line.points[-1].at:,.0f} s" if line.unit == "seconds" else "in the order of the inputs"
    lines = [f"{len(line.points)} maps {span}"]
    if not line.changed:
        known = all(None not in series.values for series in line.types) and line.types
        lines.append("No figure changed." if known else "No figure changed of those that the inputs know.")
    elif line.growing:
        # A leak that is committed grows in size as well: it is named once, by what it commits.
        leaks: dict[str, Series] = {}
        for series in line.growing:
            if series.title not in leaks or series.metric == "committed":
                leaks[series.title] = series
        names = [
            f"{title} ({series.metric} {_rate_text(series, line.unit)})" for title, series in list(leaks.items())[:3]
        ]
        lines.append(f"Growing: {'; '.join(names)}")
    else:
        lines.append("Nothing grows with certainty.")
    for forecast in line.forecasts:
        when = f"{forecast.expected:,.0f} {'s' if line.unit == 'seconds' else 'samples'}"
        name = forecast.figure.replace("_", " ")
        lines.append(f"At this rate {name} is used up in {when} ({forecast.earliest:,.0f} to {forecast.latest:,.0f})")
    return lines


def _shown_types(line: Timeline) -> list[Series]:
    """Committed memory by type, and the free space; JSON has every metric."""
    wanted = [series for series in line.types if series.metric == "committed" or series.type == "Free"]
    return [series for series in wanted if series.last or series.first]


def timeline_blocks(line: Timeline, limit: int) -> Iterator[Block]:
    """Everything that `timeline` shows."""
    head, *rest = _timeline_lines(line)
    yield Paragraph(head, "strong")
    yield Lines(rest)
    for note in line.notes:
        yield Remark("Note:", note)
    yield Blank()
    yield series_table(line, _shown_types(line))
    if line.groups:
        yield Blank()
        yield Heading("What changed")
        yield series_table(line, line.groups[:limit])
        if len(line.groups) > limit:
            yield Paragraph(more_text(len(line.groups) - limit))


# ---------------------------------------------------------------- check

CHECK_COLUMNS = (
    Column("input", "text", "File"),
    Column("result"),
    Column("rule"),
    Column("limit"),
    Column("message"),
)


def check_table(results: Mapping[str, Sequence[RuleResult]]) -> Table:
    """One row per input and rule."""
    rows = [
        [
            name,
            "skipped" if result.skipped else "ok" if result.ok else "FAILED",
            result.rule,
            result.limit,
            result.message,
        ]
        for name, of_one in results.items()
        for result in of_one
    ]
    return Table(CHECK_COLUMNS, rows)


def check_blocks(results: Mapping[str, Sequence[RuleResult]], *, verbose: bool) -> Iterator[Block]:
    """A line per unmet rule; with `verbose` per rule."""
    for name, of_one in results.items():
        for result in of_one:
            if not result.ok:
                yield Paragraph(f"{name}: FAILED {result.rule}: {result.message}", "critical")
            elif result.skipped or verbose:
                yield Paragraph(f"{name}: {'skipped' if result.skipped else 'ok'} {result.rule}: {result.message}")
        if all(result.ok for result in of_one):
            yield Paragraph(f"{name}: {_met(of_one)}", "good")


def _met(results: Sequence[RuleResult]) -> str:
    skipped = sum(result.skipped for result in results)
    met = len(results) - skipped
    if not skipped:
        return "the rule is met" if met == 1 else f"all {met} rules are met"
    left_out = f"{skipped} could not be checked"
    return (
        f"{'1 rule is' if met == 1 else f'{met} rules are'} met, {left_out}"
        if met
        else f"no rule was checked: {left_out}"
    )
