"""The head of the page: facts about the process and the input, key figures, and the system's counters."""

from __future__ import annotations

import dataclasses

from dumpmap.analysis.free import FreeSpace
from dumpmap.analysis.lower_bounds import shows_part
from dumpmap.model.region_map import RegionMap
from dumpmap.model.values import value_class
from dumpmap.render.html.overview import UNKNOWN, knows_working_set
from dumpmap.views.counters import AT_LEAST, time_rows
from dumpmap.views.info import fact_rows
from dumpmap.wording.text import address_text, count_words, percent_text, short_size, size_left, size_text

COMPLETENESS_HELP = {
    "full": "The input lists every region and includes the bytes of most committed private memory.",
    "map": "The input lists every region but includes few of the bytes: sizes are complete, some names may be missing.",
    "partial": "The input does not list the regions. The map shows what modules, stacks, heaps, and captured bytes "
    "prove.",
}
"""What each completeness means."""

_SHOWN_ELSEWHERE = ("Process", "Completeness")
"""Facts that the page shows in its title line."""

_BRIEF = ("PID", "Architecture", "System", "Captured")
"""Facts that stay in view when the others are folded."""


def completeness_help(region_map: RegionMap) -> str:
    """What the map's completeness means."""
    if region_map.completeness == "map" and region_map.snapshot.source.kind != "minidump":
        # Only a dump could hold more bytes than the map needs.
        return "The input lists every region."
    return COMPLETENESS_HELP[region_map.completeness]


def facts(region_map: RegionMap) -> list[tuple[str, str]]:
    """The process and the input: label and text."""
    rows = [(label, text) for label, text in fact_rows(region_map) if label not in _SHOWN_ELSEWHERE]
    if region_map.end is not None:
        end = address_text(region_map.end, region_map.address_width)
        rows.append(("Address space", f"0 to {end}, {short_size(region_map.end)}"))
    return rows + time_rows(region_map)


def brief(region_map: RegionMap) -> str:
    """The facts that readers need most, in one line."""
    known = dict(fact_rows(region_map))
    return ", ".join(f"PID {known[label]}" if label == "PID" else known[label] for label in _BRIEF if label in known)


def exception_line(region_map: RegionMap) -> str | None:
    """The exception in one line; None without one."""
    return dict(fact_rows(region_map)).get("Exception")


# ---------------------------------------------------------------- key figures


@value_class(frozen=True, slots=True)
class KeyFigure:
    """A figure that readers look for first."""

    label: str
    value: str
    note: str = ""


def key_figures(region_map: RegionMap, space: FreeSpace | None) -> list[KeyFigure]:
    """Committed, private, working set, and what is free; `space` is None for a partial map."""
    if space is None:
        free = [KeyFigure("Free address space", UNKNOWN), KeyFigure("Largest free block", UNKNOWN)]
    else:
        free = _free_figures(region_map, space)
    return [*_memory_figures(region_map), *free]


def _memory_figures(region_map: RegionMap) -> list[KeyFigure]:
    total, counters = region_map.total, region_map.counters
    least = AT_LEAST if shows_part(region_map) else ""

    def known(value: int | None, prefix: str = "") -> str:
        return UNKNOWN if value is None else f"{prefix}{short_size(value)}"

    counted, peak = counters.private_usage, counters.peak_working_set
    working_set = total.total_ws if knows_working_set(region_map) else counters.working_set
    return [
        KeyFigure(
            "Committed", known(total.committed, least), f"{size_text(total.committed)} KB" if total.committed else ""
        ),
        KeyFigure(
            "Private",
            known(total.private, least),
            "" if counted is None else f"system counter: {short_size(counted)}",
        ),
        KeyFigure("Working set", known(working_set), "" if peak is None else f"peak {short_size(peak)}"),
    ]


def _free_figures(region_map: RegionMap, space: FreeSpace) -> list[KeyFigure]:
    blocks = count_words(space.count, "block")
    more = "" if space.complete else "; the region list is cut off"
    largest = space.largest
    figures = [
        KeyFigure("Free address space", size_left(space.total), f"of {space.limit.words}, in {blocks}{more}"),
        KeyFigure("Largest free block", "none")
        if largest is None
        else KeyFigure(
            "Largest free block",
            size_left(largest.size),
            f"at {address_text(largest.address, region_map.address_width)}",
        ),
    ]
    if space.fragmentation is not None:
        note = "1 − largest block ÷ total free"  # noqa: RUF001
        figures.append(KeyFigure("Free-space fragmentation", percent_text(space.fragmentation), note))
    return figures


# ---------------------------------------------------------------- counters


def counters(region_map: RegionMap) -> list[tuple[str, list[tuple[str, str]]]]:
    """The known counters of the process and of the machine: title, and label and text of each."""
    groups: tuple[tuple[str, object], ...] = (
        ("Process counters", region_map.counters),
        ("Machine", region_map.system),
    )
    return [(title, _counter_rows(part, region_map.address_width)) for title, part in groups]


def _counter_rows(part: object, address_width: int) -> list[tuple[str, str]]:
    rows = []
    for field in dataclasses.fields(part):  # type: ignore[arg-type]
        value = getattr(part, field.name)
        if value is None:
            continue
        if field.name.endswith("_address"):
            text = address_text(value, address_width)
        elif field.name == "processors":
            text = f"{value}"
        else:
            text = f"{size_text(value)} KB"
        rows.append((field.name.replace("_", " ").capitalize(), text))
    return rows
