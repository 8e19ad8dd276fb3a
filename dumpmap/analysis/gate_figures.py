"""The figures of a map that a rules file can limit, by name.

A figure is `TYPE.COLUMN` of the summary (`Heap.committed`, `Total.size`), a counter of the process
(`counters.private_usage`), a figure of the system (`system.commit_total`), or one of `FIGURES`. Each is one `Figure`:
name, unit, meaning, and how to measure it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields
from functools import cache
from typing import Literal

from dumpmap.analysis.free import FreeSpace
from dumpmap.analysis.heap_limits import HeapLimit
from dumpmap.analysis.measurements import Measurements, measurements_of
from dumpmap.analysis.process_commit import process_commit
from dumpmap.analysis.rules import RulesError
from dumpmap.model.columns import SUMMARY_COLUMNS
from dumpmap.model.region_map import RegionMap
from dumpmap.model.snapshot import Counters
from dumpmap.model.types import TYPES, RegionType, parse_type
from dumpmap.model.values import value_class

FigureUnit = Literal["bytes", "count", "share"]

TOTAL = "Total"
"""The summary's first row, which rules name like a type."""

SYSTEM_FIGURES = ("commit_total", "commit_limit", "commit_peak", "physical_total", "physical_available")
COUNTERS = tuple(field.name for field in fields(Counters))


@value_class(frozen=True, slots=True)
class Figure:
    """A figure that rules can name.

    Attributes:
        name: its name.
        unit: what it counts.
        meaning: what it is.
        value: measures it; None where the input cannot know it.
        incomplete: what it is where the list of regions is missing or truncated: still `exact`, a `lower bound`, or
            `unknown`.
    """

    name: str
    unit: FigureUnit
    meaning: str
    value: Callable[[Measurements], float | None]
    incomplete: Literal["exact", "lower bound", "unknown"] = "exact"


@value_class(frozen=True, slots=True)
class Measured:
    """A figure of one map.

    Attributes:
        value: the figure, None where the input cannot know it.
        least: whether it is a lower bound, because parts of the map are missing.
    """

    value: float | None
    least: bool = False

    @property
    def exact(self) -> float | None:
        """The figure where it is known exactly."""
        return None if self.least else self.value


def _of_free(value: Callable[[FreeSpace], float | None]) -> Callable[[Measurements], float | None]:
    """Measures the free space, which a map without a list of regions does not know."""
    return lambda m: None if m.free is None else value(m.free)


def _heaps(m: Measurements) -> int | None:
    return len(m.map.heaps) if m.map.heaps or m.map.heap_list_captured else None


def _allocations(m: Measurements) -> int | None:
    return None if m.map.partial else len(m.map.allocation_columns.base)


def _largest_at_most(m: Measurements) -> int | None:
    if m.measured is not None:
        return m.largest
    return None if m.bounds is None or m.bounds.largest is None else m.bounds.largest.size


def _process_commit(m: Measurements) -> int | None:
    commit = process_commit(m.map)
    return None if commit is None else commit.size


def _of_heap_limit(value: Callable[[HeapLimit], float | None]) -> Callable[[Measurements], float | None]:
    """Measures the runtime's limit that matters most."""
    return lambda m: None if m.heap_limit is None else value(m.heap_limit)


FIGURES: tuple[Figure, ...] = (
    Figure(
        "largest_free_block",
        "bytes",
        "largest free block in the process's own address space; 0 if nothing is free",
        _of_free(lambda free: free.largest.size if free.largest is not None else 0),
        "lower bound",
    ),
    Figure(
        "largest_free_block_at_most",
        "bytes",
        "upper bound of the largest free block; the block itself if the list of regions is complete",
        _largest_at_most,
    ),
    Figure("free", "bytes", "free address space without unusable space", _of_free(lambda f: f.total), "lower bound"),
    Figure("free_blocks", "count", "free blocks", _of_free(lambda free: free.count), "lower bound"),
    Figure(
        "fragmentation",
        "share",
        "1 - largest free block / free space; unknown if nothing is free",
        _of_free(lambda free: free.fragmentation),
        "unknown",
    ),
    Figure("tiny_block_size", "bytes", "free space in blocks below 1 MB", _of_free(lambda free: free.tiny), "unknown"),
    Figure("unusable", "bytes", "unusable space", _of_free(lambda free: free.unusable), "lower bound"),
    Figure("threads", "count", "threads", lambda m: m.thread_count),
    Figure("modules", "count", "loaded modules", lambda m: len(m.map.snapshot.modules)),
    Figure("heaps", "count", "heaps", _heaps),
    Figure("handles", "count", "handles", lambda m: m.map.snapshot.handle_count),
    Figure("allocations", "count", "allocations", _allocations, "lower bound"),
    Figure("commit_ratio", "share", "the system's commit charge / commit limit", lambda m: m.commit.ratio),
    Figure(
        "process_commit",
        "bytes",
        "what the process commits: its counter unless the map contradicts it, otherwise what the writer of the dump "
        "recorded, or the committed bytes of a complete list of regions",
        _process_commit,
    ),
    Figure(
        "oom_size",
        "bytes",
        "size of the allocation that failed; unknown if the input records none",
        lambda m: None if m.failure is None else m.failure.requested,
    ),
    Figure(
        "heap_limit_used",
        "bytes",
        "used bytes of the runtime's heap whose own limit matters most",
        _of_heap_limit(lambda heap: heap.used),
    ),
    Figure("heap_limit", "bytes", "that limit, such as V8's", _of_heap_limit(lambda heap: heap.limit)),
    Figure("heap_limit_ratio", "share", "used bytes of that heap / its limit", _of_heap_limit(lambda heap: heap.ratio)),
)
"""Figures with a name of their own."""


@cache
def all_figures() -> dict[str, Figure]:
    """Every figure by name."""
    return {figure.name: figure for figure in (*FIGURES, *_counters(), *_summary())}


def _counters() -> Iterator[Figure]:
    def make(group: str, name: str, owner: str) -> Figure:
        words = name.replace("_", " ")
        return Figure(f"{group}.{name}", "bytes", f"{owner}: {words}", lambda m: getattr(getattr(m.map, group), name))

    for name in COUNTERS:
        yield make("counters", name, "counter of the process")
    for name in SYSTEM_FIGURES:
        yield make("system", name, "figure of the system")


def _summary() -> Iterator[Figure]:
    for column in SUMMARY_COLUMNS:
        unit: FigureUnit = "count" if column == "blocks" else "bytes"
        for name in (TOTAL, *(info.name for info in TYPES)):
            # The summary's row of page tables comes from a counter, not from the list of regions.
            known = name in (RegionType.PAGE_TABLE.label, RegionType.UNKNOWN.label)
            yield Figure(
                f"{name}.{column}",
                unit,
                f"{column.replace('_', ' ')} of the summary's row {name}",
                _cell(name, column),
                "exact" if known else "lower bound",
            )


def _cell(name: str, column: str) -> Callable[[Measurements], float | None]:
    """Measures a figure of the summary."""
    if name == TOTAL:
        return lambda m: getattr(m.map.total, column)
    region_type = parse_type(name)
    if region_type is None or region_type == RegionType.UNKNOWN:
        # With a list of regions every byte has a type. Without one, the untyped amount is unknown.
        return lambda m: None if m.map.partial else 0
    return lambda m: getattr(m.map.line(region_type), column)


def find_figure(name: str, place: str | None = None) -> Figure:
    """Returns a figure by name; types may be written in any case.

    Raises:
        RulesError: there is no such figure.
    """
    group, dot, column = name.rpartition(".")
    if not dot:
        if name not in all_figures():
            known = ", ".join(figure.name for figure in FIGURES)
            raise RulesError(
                f"unknown figure; known are TYPE.COLUMN of the summary, counters.*, system.*, {known}",
                place=place or name,
            )
        return all_figures()[name]
    if group in ("counters", "system"):
        names = COUNTERS if group == "counters" else SYSTEM_FIGURES
        if column not in names:
            raise RulesError(f"unknown figure of {group}; known are {', '.join(names)}", place=place or name)
        return all_figures()[name]
    region_type = parse_type(group)
    if group.lower() != TOTAL.lower() and region_type is None:
        types = ", ".join([TOTAL, *(info.name for info in TYPES)])
        raise RulesError(f"{group!r} is not a type of memory; known are {types}", place=place or name)
    if column not in SUMMARY_COLUMNS:
        raise RulesError(f"unknown column; known are {', '.join(SUMMARY_COLUMNS)}", place=place or name)
    return all_figures()[f"{TOTAL if region_type is None else region_type.label}.{column}"]


def measure(region_map: RegionMap, name: str) -> Measured:
    """Measures a figure of a map.

    Raises:
        RulesError: there is no such figure.
    """
    figure = find_figure(name)
    m = measurements_of(region_map)
    value = figure.value(m)
    if value is None or m.whole or figure.incomplete == "exact":
        return Measured(value)
    return Measured(value, least=True) if figure.incomplete == "lower bound" else Measured(None)
