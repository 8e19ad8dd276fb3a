"""What `dumpmap.diff` and `dumpmap.timeline` return: comparisons with data frames, notes, and outputs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dumpmap.analysis import changes
from dumpmap.analysis.diff import compare_diagnoses, compare_maps
from dumpmap.analysis.rules import RuleSet
from dumpmap.analysis.samples import METRICS, Metric
from dumpmap.analysis.timeline import follow
from dumpmap.api import open
from dumpmap.model.region_map import RegionMap
from dumpmap.wording.diff import DiagnosedDiff, change_counts_text, findings_changed
from dumpmap.wording.text import more_in_document_text
from dumpmap.wording.timeline import NamedGrowth, headline, name_series

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from dumpmap.render.plot.changes import ChangeFigure
    from dumpmap.views.blocks import Block

_SHOWN_CHANGES, _SHOWN_GROUPS = 40, 20
"""Rows that a console or a notebook shows; the frames have all."""

Comparable = RegionMap | str | os.PathLike[str]
"""A map, or the path of an input."""


class Changes(changes.Changes):
    """The allocations that differ between two maps, with a data frame."""

    @property
    def frame(self) -> pd.DataFrame:
        """All changes, those that matter most first, columns `CHANGE_COLUMNS`; the frame is the caller's own."""
        from dumpmap.views.frames import own_frame

        return own_frame(self._frame)

    @cached_property
    def _frame(self) -> pd.DataFrame:
        from dumpmap.views.diff_frames import changes_frame

        return changes_frame(self)

    def __repr__(self) -> str:
        return f"<Changes: {change_counts_text(self)}>"


@dataclass(frozen=True, eq=False, repr=False)
class Diff(DiagnosedDiff):
    """The difference of two maps, as `dumpmap.diff` returns it."""

    changes: Changes

    @property
    def allocations(self) -> pd.DataFrame:
        """The allocations that are not the same, those that matter most first, columns `CHANGE_COLUMNS`."""
        return self.changes.frame

    def summary(self) -> pd.DataFrame:
        """The summary's rows on both sides, and what changed.

        Returns:
            a frame indexed by type, `Total` first; for each column of the summary `_a`, `_b` and `_delta`, nullable
            integers, bytes.
        """
        from dumpmap.views.diff_frames import type_changes_frame

        return type_changes_frame(self.types)

    def by_owner(self) -> pd.DataFrame:
        """Who took or gave back memory: one row per part of an owner or instance; their sizes add up to the maps.

        Returns:
            a frame with `owner` (empty for memory without one), `module`, `instance_a`, `instance_b`, `match`, `kind`,
            `type`, `size_each`, and `_a`, `_b`, and `_delta` of `size`, `committed`, and `count`.
        """
        from dumpmap.views.diff_frames import owner_changes_frame

        return owner_changes_frame(self.owners)

    def to_dict(self, limit: int | None = None) -> dict[str, Any]:
        """Plain data, schema `dumpmap.diff/1`.

        Args:
            limit: the largest number of changes to list; all by default. Their number is given either way.
        """
        from dumpmap.views.diff import diff_document

        return diff_document(self, limit)

    def __repr__(self) -> str:
        names = f"{self.a.snapshot.source.name} -> {self.b.snapshot.source.name}"
        process = "one process" if self.same_process else "two processes"
        return f"<Diff {names}: {process}, {change_counts_text(self.changes)}>"

    def __rich_console__(self, console: Any, options: Any) -> Any:
        from dumpmap.render.terminal import to_rich

        yield from to_rich(self._view())

    def _repr_html_(self) -> str:
        from dumpmap.render.html.blocks import blocks_fragment

        return blocks_fragment(self._view())

    def _view(self) -> Iterator[Block]:
        from dumpmap.views.diff import diff_view

        return diff_view(self, _SHOWN_CHANGES, more_in_document_text)

    def plot(self, ax: Axes | None = None, *, figure: ChangeFigure = "committed") -> Axes:
        """Draws each type of memory before (pale) and after, with its change. It needs the extra `plot`.

        Args:
            ax: where to draw; by default a new figure.
            figure: of the summary: `committed`, `size`, or `private`. Of free space only `size` is drawn, and only
                if both address spaces have 32 bits.

        Returns:
            the axes, which the caller can go on with.

        Raises:
            OutputError: matplotlib is not installed.
        """
        from dumpmap.render.plot.changes import plot_changes

        return plot_changes(self, ax, figure=figure)


@dataclass(frozen=True, repr=False)
class Timeline(NamedGrowth):
    """Growth over a series of maps, as `dumpmap.timeline` returns it."""

    def by_owner(self) -> pd.DataFrame:
        """Every value of the parts of owners that changed.

        Returns:
            a frame with a row per part, metric, and map: `owner` (empty for memory without one), `module`, `kind`,
            `name`, `metric`, `at`, `file`, and `value`.
        """
        from dumpmap.views.timeline import owner_values_frame

        return owner_values_frame(self)

    def to_dict(self, limit: int | None = None) -> dict[str, Any]:
        """Plain data, schema `dumpmap.timeline/1`.

        Args:
            limit: the largest number of groups to list; all by default.
        """
        from dumpmap.views.timeline import timeline_document

        return timeline_document(self, limit)

    def plot(self, ax: Axes | None = None, *, metric: Metric | None = None) -> Axes:
        """Draws the types of memory in use as stacked areas over time. It needs the extra `plot`.

        If the address space has 32 bits, the largest free block is a line with a scale on the right, on axes of its
        own: the last of `ax.figure.axes`.

        Args:
            ax: where to draw; by default a new figure.
            metric: one of those that the timeline follows; the first by default.

        Returns:
            the axes, which the caller can go on with.

        Raises:
            OutputError: matplotlib is not installed.
            ValueError: the timeline does not follow the metric.
        """
        from dumpmap.render.plot.growth import plot_growth

        return plot_growth(self, ax, metric=metric)

    def __repr__(self) -> str:
        return f"<Timeline: {headline(self)}, {len(self.growing)} growing>"

    def __rich_console__(self, console: Any, options: Any) -> Any:
        from dumpmap.render.terminal import to_rich

        yield from to_rich(self._view())

    def _repr_html_(self) -> str:
        from dumpmap.render.html.blocks import blocks_fragment

        return blocks_fragment(self._view())

    def _view(self) -> Iterator[Block]:
        from dumpmap.views.timeline import timeline_view

        return timeline_view(self, _SHOWN_GROUPS, more_in_document_text)


_NAMED = ("types", "groups", "owners", "holders", "figures")
"""The series of a timeline that get names."""


def diff(a: Comparable, b: Comparable, *, rules: RuleSet | None = None) -> Diff:
    """See `dumpmap.api.diff`."""
    difference = compare_maps(_opened(a), _opened(b))
    diagnosis = compare_diagnoses(difference.a, difference.b, rules)
    gained, lost = findings_changed(difference, diagnosis, rules)
    return Diff(
        **{**_values(difference), "changes": Changes(**_values(difference.changes))},
        gained=gained,
        lost=lost,
        verdicts=diagnosis.verdicts,
    )


def timeline(
    maps: Iterable[Comparable], *, metrics: Sequence[Metric] | None = None, confidence: float = 0.95
) -> Timeline:
    """See `dumpmap.api.timeline`."""
    growth = follow(_opened_each(maps), metrics=metrics or METRICS, confidence=confidence)
    named = {name: name_series(getattr(growth, name)) for name in _NAMED}
    return Timeline(**{**_values(growth), **named})


def _values(value: Any) -> dict[str, Any]:
    """The fields of a data class by name, without what it has worked out since."""
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _opened(source: Comparable) -> RegionMap:
    return source if isinstance(source, RegionMap) else open(source)


def _opened_each(maps: Iterable[Comparable]) -> Iterator[RegionMap]:
    for source in maps:
        yield _opened(source)
