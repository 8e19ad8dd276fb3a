"""Figures of a map by name: what gates, diffs and batch tables refer to.

A figure is `TYPE.COLUMN` of the summary (`Heap.committed`, `Total.size`), a counter (`counters.private_usage`), a
system figure (`system.commit_total`) or one of `FIGURES`. Its value is None where the input cannot know it. Where the
list of regions is missing or cut off, sums and free space are the least that they can be: there may be more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Literal

from dumpmap.analysis.measurements import Measurements, measurements_of
from dumpmap.analysis.rules import RulesError
from dumpmap.model.columns import SUMMARY_COLUMNS
from dumpmap.model.region_map import RegionMap
from dumpmap.model.snapshot import Counters
from dumpmap.model.types import TYPES, RegionType, parse_type

FigureUnit = Literal["bytes", "count", "share"]

_SYSTEM = ("commit_total", "commit_limit", "commit_peak", "physical_total", "physical_available")
_COUNTERS = tuple(field.name for field in fields(Counters))


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure that has a name of its own.

    Attributes:
        name: its name.
        unit: what it counts.
        meaning: what it is.
        value: works it out.
        cut: what it is where the list of regions is cut off: still `exact`, the `least` that it can be, or `unknown`.
    """

    name: str
    unit: FigureUnit
    meaning: str
    value: Callable[[Measurements], float | None]
    cut: Literal["exact", "least", "unknown"] = "exact"


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure of one map.

    Attributes:
        value: the figure, None where the input cannot know it.
        least: whether it is only the least that it can be, because parts of the map are missing.
    """

    value: float | None
    least: bool = False

    @property
    def exact(self) -> float | None:
        """The figure where it is known exactly."""
        return None if self.least else self.value


def _free(m: Measurements) -> int | None:
    return m.free.total if m.free is not None else None


def _largest(m: Measurements) -> int | None:
    return m.largest if m.free is not None else None


FIGURES: tuple[Figure, ...] = (
    Figure(
        "largest_free_block",
        "bytes",
        "largest free block within the process's own address space; 0 where nothing is free",
        _largest,
        "least",
    ),
    Figure("free", "bytes", "free address space, unusable space not counted", _free, "least"),
    Figure(
        "free_blocks",
        "count",
        "free blocks",
        lambda m: m.free.count if m.free is not None else None,
        "least",
    ),
    Figure(
        "fragmentation",
        "share",
        "1 - largest free block / free space; unknown where nothing is free",
        lambda m: m.free.fragmentation if m.free is not None else None,
        "unknown",
    ),
    Figure(
        "tiny_block_size",
        "bytes",
        "free space in blocks below 1 MB",
        lambda m: m.free.tiny if m.free is not None else None,
        "unknown",
    ),
    Figure(
        "unusable",
        "bytes",
        "unusable space",
        lambda m: m.free.unusable if m.free is not None else None,
        "least",
    ),
    Figure("threads", "count", "threads", lambda m: m.thread_count),
    Figure("modules", "count", "loaded modules", lambda m: len(m.map.snapshot.modules)),
    Figure(
        "heaps",
        "count",
        "heaps",
        lambda m: len(m.map.heaps) if m.map.heaps or m.map.heap_list_captured else None,
    ),
    Figure("handles", "count", "handles", lambda m: m.map.snapshot.handle_count),
    Figure(
        "allocations",
        "count",
        "allocations",
        lambda m: None if m.map.partial else len(m.map.allocation_columns.base),
        "least",
    ),
    Figure("commit_ratio", "share", "the system's commit charge / limit", lambda m: m.commit.ratio),
)
"""Figures with a name of their own."""

_BY_NAME = {figure.name: figure for figure in FIGURES}


def check_figure(name: str, place: str | None = None) -> None:
    """Makes sure that `name` is a figure.

    Raises:
        RulesError: it is none; the error names it.
    """
    group, dot, column = name.rpartition(".")
    if not dot:
        if name not in _BY_NAME:
            raise RulesError(
                f"unknown figure; known are TYPE.COLUMN of the summary, counters.*, system.*, {', '.join(_BY_NAME)}",
                place=place or name,
            )
        return
    if group in ("counters", "system"):
        known = _COUNTERS if group == "counters" else _SYSTEM
        if column not in known:
            raise RulesError(f"unknown figure of {group}; known are: {', '.join(known)}", place=place or name)
        return
    if group.lower() != "total" and parse_type(group) is None:
        types = ", ".join(["Total", *(info.name for info in TYPES)])
        raise RulesError(f"{group!r} is no type of memory; known are: {types}", place=place or name)
    if column not in SUMMARY_COLUMNS:
        raise RulesError(f"unknown column; known are: {', '.join(SUMMARY_COLUMNS)}", place=place or name)


def figure_unit(name: str) -> FigureUnit:
    """What a figure counts."""
    if name in _BY_NAME:
        return _BY_NAME[name].unit
    return "count" if name.endswith(".blocks") else "bytes"


def figure(region_map: RegionMap, name: str) -> float | None:
    """Returns a figure of a map, as far as the map shows it; None where the input cannot know it. See `measure`.

    Raises:
        RulesError: there is no such figure.
    """
    return measure(region_map, name).value


def measure(region_map: RegionMap, name: str) -> Measured:
    """Returns a figure of a map, and whether there may be more of it than the map shows.

    Raises:
        RulesError: there is no such figure.
    """
    check_figure(name)
    group, dot, column = name.rpartition(".")
    m = measurements_of(region_map)
    if not dot:
        info = _BY_NAME[name]
        value = info.value(m)
        if value is None or m.whole or info.cut == "exact":
            return Measured(value)
        return Measured(value, least=True) if info.cut == "least" else Measured(None)
    if group == "counters":
        return Measured(getattr(region_map.counters, column))
    if group == "system":
        return Measured(getattr(region_map.system, column))
    if group.lower() == "total":
        return _line_figure(getattr(region_map.total, column), m)
    kind = parse_type(group)
    if kind is None:
        return Measured(None)
    if kind == RegionType.UNKNOWN:
        # With a list of regions every byte has a type; without one nobody knows how much has none.
        return Measured(None) if region_map.partial else Measured(0)
    amount = getattr(region_map.line(kind), column)
    return Measured(amount) if kind == RegionType.PAGE_TABLE else _line_figure(amount, m)


def _line_figure(value: float | None, m: Measurements) -> Measured:
    return Measured(value, least=value is not None and not m.whole)
