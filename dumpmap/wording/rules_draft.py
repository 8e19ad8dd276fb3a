"""A first rules file for `check`, made from a map: what that map keeps, with some room, and comments for the rest."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator

from dumpmap.analysis.diagnosis import diagnose
from dumpmap.analysis.gate_figures import FIGURES, Figure, find_figure, measure
from dumpmap.analysis.measurements import measurements_of
from dumpmap.analysis.rules import VerdictName
from dumpmap.model.region_map import RegionMap
from dumpmap.model.sizes import size_words
from dumpmap.wording.findings import find
from dumpmap.wording.text import printable

_ROOM = 1.25
"""A limit lets a figure grow by a quarter."""

_LIMITED = (
    "Total.committed",
    "Total.private",
    "Private Data.committed",
    "Heap.committed",
    "Managed Heap.committed",
    "Image.committed",
    "process_commit",
    "threads",
    "heaps",
    "handles",
)
_LEAST = ("largest_free_block",)
_SUGGESTED = ("fragmentation", "heap_limit_ratio", "commit_ratio")

_SHORTAGES: tuple[VerdictName, ...] = (
    "out-of-address-space",
    "out-of-commit",
    "out-of-heap-limit",
    "out-of-memory",
)


def draft_rules(region_map: RegionMap, name: str) -> str:
    """Writes a rules file that the map itself passes.

    Args:
        region_map: the map.
        name: of its file, for a comment.
    """
    return "\n".join(
        [*_head(name), *_limits(region_map), *_findings(region_map), *_verdict(region_map), *_deltas(), ""]
    )


def _head(name: str) -> Iterator[str]:
    yield f"# Rules for `dumpmap check`, drafted from {printable(name)}."
    yield "# Each limit leaves a quarter more than that file has; set it to what your program may take."
    yield "# A gate on a figure that an input does not have fails; with the next line it is skipped."
    yield '# unknown = "skip"'


def _limits(region_map: RegionMap) -> Iterator[str]:
    yield ""
    yield "[limits]"
    # In a wide space the largest free block says nothing.
    least = _LEAST if measurements_of(region_map).limit.narrow else ()
    for name in (*_LIMITED, *least, *_SUGGESTED):
        figure, value = find_figure(name), measure(region_map, name).exact
        if value is None:
            yield f"# {name}: unknown in this file"
            continue
        is_least = name in _LEAST
        amount = _amount(figure, value / _ROOM if is_least else value * _ROOM, down=is_least)
        mark = "# " if name in _SUGGESTED or not value else ""
        yield f'{mark}{_key(name)} = "{">=" if is_least else "<="} {amount}"  # now {_shown(figure, value)}'
    yield "# Other figures: TYPE.COLUMN of the summary, counters.NAME, system.NAME, and"
    others = ", ".join(figure.name for figure in FIGURES if figure.name not in (*_LIMITED, *_LEAST, *_SUGGESTED))
    yield from textwrap.wrap(others, 100, initial_indent="# ", subsequent_indent="# ")


def _findings(region_map: RegionMap) -> Iterator[str]:
    found = find(region_map)
    worst = found[0].severity if found else "info"
    yield ""
    yield "[findings]"
    mark, allowed = ("# ", "warning") if worst == "critical" else ("", worst)
    yield f'{mark}max_severity = "{allowed}"  # info < warning < critical; this file: {worst if found else "none"}'
    if found:
        yield f"# This file has: {', '.join(dict.fromkeys(finding.id for finding in found))}"
    yield '# forbid = ["largest-free-block-small"]  # `dumpmap explain FINDING` says what each means'


def _verdict(region_map: RegionMap) -> Iterator[str]:
    own = diagnose(region_map).verdict
    yield ""
    yield "[verdict]"
    if own in _SHORTAGES:
        yield f"# This file's own verdict is {own}, so it is not forbidden here."
    forbidden = ", ".join(f'"{name}"' for name in _SHORTAGES if name != own)
    yield f"forbid = [{forbidden}]"


def _deltas() -> Iterator[str]:
    yield ""
    yield "# Changes against `check --baseline FILE`; remove the marks to use them."
    yield "# [deltas]"
    yield '# "Total.private" = "<= +10%"'
    yield '# "Heap.committed" = "<= +16MB"'


def _key(name: str) -> str:
    return f'"{name}"' if "." in name else name


def _amount(figure: Figure, value: float, *, down: bool = False) -> str:
    """An amount in whole KB or MB, a count, or percent, never beyond what it is made from."""
    if figure.unit == "count":
        return f"{math.floor(value) if down else math.ceil(value)}"
    if figure.unit == "share":
        return f"{min(math.ceil(value * 100), 100)}%"
    unit, name = (1 << 20, "MB") if value >= 16 << 20 else (1 << 10, "KB")
    return f"{math.floor(value / unit) if down else math.ceil(value / unit)}{name}"


def _shown(figure: Figure, value: float) -> str:
    if figure.unit == "bytes":
        return size_words(int(value))
    return f"{value:.1%}" if figure.unit == "share" else f"{value:,.0f}"
