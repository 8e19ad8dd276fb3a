"""Figures of a map by name: what gates, diffs and batch tables refer to.

A figure is `TYPE.COLUMN` of the summary (`Heap.committed`, `Total.size`), a counter (`counters.private_usage`), a
system figure (`system.commit_total`) or one of `FIGURES`. Its value is None where the input cannot know it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Literal

from dumpmap.analysis.facts import Facts, facts_of
from dumpmap.analysis.rules import RulesError
from dumpmap.regionmap import SUMMARY_COLUMNS, RegionMap
from dumpmap.snapshot import Counters
from dumpmap.types import TYPES, RegionType, parse_type

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
    """

    name: str
    unit: FigureUnit
    meaning: str
    value: Callable[[Facts], float | None]


def _free(facts: Facts) -> int | None:
    return facts.free.total if facts.free is not None else None


def _largest(facts: Facts) -> int | None:
    return facts.largest if facts.free is not None else None


FIGURES: tuple[Figure, ...] = (
    Figure("largest_free_block", "bytes", "largest free block within the process's own address space", _largest),
    Figure("free", "bytes", "free address space, unusable space not counted", _free),
    Figure("free_blocks", "count", "free blocks", lambda facts: facts.free.count if facts.free is not None else None),
    Figure(
        "fragmentation",
        "share",
        "1 - largest free block / free space",
        lambda facts: facts.free.fragmentation if facts.free is not None else None,
    ),
    Figure(
        "tiny_block_size",
        "bytes",
        "free space in blocks below 1 MB",
        lambda facts: facts.free.tiny if facts.free is not None else None,
    ),
    Figure(
        "unusable", "bytes", "unusable space", lambda facts: facts.free.unusable if facts.free is not None else None
    ),
    Figure("threads", "count", "threads", lambda facts: facts.thread_count),
    Figure("modules", "count", "loaded modules", lambda facts: len(facts.map.snapshot.modules)),
    Figure(
        "heaps",
        "count",
        "heaps",
        lambda facts: len(facts.map.heaps) if facts.map.heaps or facts.map.heap_list_captured else None,
    ),
    Figure("handles", "count", "handles", lambda facts: facts.map.snapshot.handle_count),
    Figure(
        "allocations",
        "count",
        "allocations",
        lambda facts: None if facts.map.partial else len(facts.map.allocation_columns.base),
    ),
    Figure("commit_ratio", "share", "the system's commit charge / limit", lambda facts: facts.commit.ratio),
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
    """Returns a figure of a map; None where the input cannot know it.

    Raises:
        RulesError: there is no such figure.
    """
    check_figure(name)
    group, dot, column = name.rpartition(".")
    value: float | None
    if not dot:
        return _BY_NAME[name].value(facts_of(region_map))
    if group == "counters":
        value = getattr(region_map.counters, column)
    elif group == "system":
        value = getattr(region_map.system, column)
    elif group.lower() == "total":
        value = getattr(region_map.total, column)
    else:
        kind = parse_type(group)
        if kind is None or (kind == RegionType.UNKNOWN and not region_map.partial):
            return None if kind is None else 0
        value = getattr(region_map.line(kind), column)
    return value
