"""The difference of two maps with the findings and verdicts of both sides, and how it is put into words."""

from __future__ import annotations

from dataclasses import dataclass

from dumpmap.analysis.changes import Changes
from dumpmap.analysis.diff import DiagnosisChange, MapDiff
from dumpmap.analysis.figures import FigureChange
from dumpmap.analysis.rules import RuleSet, VerdictName
from dumpmap.wording.caveats import caveat_texts
from dumpmap.wording.findings import Finding, find
from dumpmap.wording.text import percent_text, short_size, size_left

_COUNTS = ("free_blocks", "threads", "heaps", "modules", "handles")
"""Figures that count things. All others are bytes, except fragmentation, which is a share."""

_LEFT = ("free", "largest_free_block")
"""Figures of what is left: they are rounded down."""


@dataclass(frozen=True, eq=False, repr=False)
class DiagnosedDiff(MapDiff):
    """The difference of two maps and of their diagnoses.

    Attributes:
        gained: findings that only the second map has, or that became more severe.
        lost: findings that only the first map has, or that became less severe.
        verdicts: the verdicts on both sides.
    """

    gained: tuple[Finding, ...]
    lost: tuple[Finding, ...]
    verdicts: tuple[VerdictName, VerdictName]

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the comparison has to know, in sentences."""
        return caveat_texts(self.caveats)


def findings_changed(
    difference: MapDiff, change: DiagnosisChange, rules: RuleSet | None = None
) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    """Puts the findings that changed between two maps into words.

    Args:
        difference: the difference of the maps.
        change: the difference of their diagnoses.
        rules: the rules of the diagnoses.

    Returns:
        the findings gained, and those lost.
    """
    gained = tuple(finding for finding in find(difference.b, rules) if finding.id in change.gained)
    return gained, tuple(finding for finding in find(difference.a, rules) if finding.id in change.lost)


def change_counts_text(changes: Changes) -> str:
    """Writes how many changes of each status there are: `3 added, 1 grown, 120 same`."""
    counts = [f"{count:,} {status}" for status, count in changes.counts().items() if count]
    return ", ".join(counts) or "no allocations"


def headline(difference: MapDiff) -> str:
    """Names both inputs: `before.dmp -> after.dmp: one process at two moments`."""
    names = [region_map.snapshot.source.name for region_map in (difference.a, difference.b)]
    return f"{names[0]} -> {names[1]}: {relation(difference)}"


def relation(difference: MapDiff) -> str:
    """Writes what the inputs show: `one process at two moments`."""
    times = [region_map.snapshot.source.captured_at for region_map in (difference.a, difference.b)]
    moments = " at two moments"
    if None in times:  # such as a VMMap CSV file
        moments = ""
    elif times[0] == times[1]:
        moments = " in the same second"
    return f"one process{moments}" if difference.same_process else "two processes"


def verdict_line(difference: DiagnosedDiff) -> str | None:
    """Writes how the verdict changed; None if it did not."""
    before, after = difference.verdicts
    if before == after:
        return None
    places = [
        place
        for place, one in (("first", difference.a), ("second", difference.b))
        if one.snapshot.source.kind == "vmmap"
    ]
    if len(places) != 1:
        return f"Verdict: {before} -> {after}"
    # What a VMMap file cannot hold is not gone from the process.
    place, known = ("second", after) if places == ["first"] else ("first", before)
    return f"Verdict of the {place} input only: {known}; a VMMap file holds no exception and no counters"


def shows_less(difference: MapDiff) -> bool:
    """Whether one input can show what the other cannot: what only one of them has is neither new nor gone."""
    a, b = difference.a, difference.b
    return a.partial != b.partial or (a.snapshot.source.kind == "vmmap") != (b.snapshot.source.kind == "vmmap")


def figure_lines(difference: MapDiff) -> list[str]:
    """Writes a line for each figure of the free space and each counter that changed."""
    free = [
        _figure_line(name, figure)
        for name, figure in difference.free.items()
        # A share that is the same in the digits that are shown has not changed for a reader.
        if figure.a != figure.b and (name != "fragmentation" or percent_text(figure.a) != percent_text(figure.b))
    ]
    return free + [_figure_line(name, figure) for name, figure in difference.counters.items() if figure.delta]


def _figure_line(name: str, figure: FigureChange) -> str:
    def text(value: float | None, least: bool) -> str:
        if value is None:
            return "unknown"
        if name == "fragmentation":
            return percent_text(value)
        at_least = "at least " if least else ""
        if name in _COUNTS:
            return f"{at_least}{int(value):,}"
        return at_least + (size_left(int(value)) if name in _LEFT else short_size(int(value)))

    label = name.replace(".", ": ").replace("_", " ")
    change = figure.delta if name != "fragmentation" else None
    by = f"{int(change):,}" if change and name in _COUNTS else short_size(int(change)) if change else ""
    suffix = f" ({'+' if change > 0 else ''}{by})" if change else ""
    return f"{label}: {text(figure.a, figure.least_a)} -> {text(figure.b, figure.least_b)}{suffix}"
