"""The report: one HTML page that holds everything and needs nothing, and the short form for notebooks.

The page is made in two halves. What a reader looks at first (facts, verdict, bars, the type table, free blocks) is
plain HTML out of the template, so it can be printed and read without scripts. The tables of any length and the picture
of the address space are drawn by the scripts in `static/` out of one JSON document in the page; its shape is that of
`page_data`, and no promise to anyone: other programs read `--format json`.

A dump is hostile input, and so are the names in it. The template escapes everything, the JSON carries no `<`, the
scripts set text and never markup, and the page's own policy forbids every script and style but its own, by hash, and
every request.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from dumpmap._version import __version__
from dumpmap.analysis.free import FreeSpace, free_space
from dumpmap.analysis.free_blocks import histogram
from dumpmap.analysis.heaps import heap_range_rows
from dumpmap.model.columns import COLUMNS, SUMMARY_COLUMNS
from dumpmap.model.region_map import RegionMap
from dumpmap.model.snapshot import WORKING_SET_COLUMNS
from dumpmap.model.types import EVIDENCE, TYPES, RegionType
from dumpmap.views.frames import allocation_frame, region_frame
from dumpmap.views.heaps import heap_table, no_heaps_text
from dumpmap.views.summary import process_line
from dumpmap.views.table import Column, Table, cell_text, plain_value
from dumpmap.views.views import fact_rows, module_table, stack_table, stream_table
from dumpmap.wording.advice import advise
from dumpmap.wording.findings import EXPLANATIONS, Finding, find
from dumpmap.wording.text import Units, address_text, percent_text, short_size, size_left, size_text
from dumpmap.wording.verdicts import VERDICTS, Verdict, verdict
from dumpmap.writers.output import replacing
from dumpmap.writers.snapshot_json import clean_text

if TYPE_CHECKING:
    import pandas as pd

NOT_KNOWN = "not known"
"""What stands where the input cannot know a value that the reader expects."""

COLUMN_HELP = {
    "address": "Where it begins. Ends are exclusive: the first address that no longer belongs to it.",
    "type": "VMMap's type of memory; the list of types below says what each means.",
    "size": "Address space that it takes, committed or not. In KB, as all sizes; a part of a KB counts as one.",
    "committed": "How much of it is backed by memory or the page file and counts against the commit limit, except for "
    "pages of files and images that were never written to.",
    "private": "How much of it cannot be shared with another process: all committed private memory, and the writable "
    "pages of images.",
    "total_ws": "Its share of physical memory, the working set.",
    "private_ws": "Working set that cannot be shared.",
    "shareable_ws": "Working set that can be shared.",
    "shared_ws": "Working set that is being shared with another process.",
    "locked_ws": "Working set that is locked into physical memory.",
    "blocks": "How many runs of pages with equal state and protection it consists of.",
    "protection": "What its pages allow. An allocation with several protections shows the one it was allocated with.",
    "details": "The file, thread or heap that it belongs to.",
    "kind": "A finer name than the type: a section, a guard page, a heap segment, a TEB.",
    "evidence": "What in the input says so. Most rows rest on the list of regions and something that names them.",
    "inferred": "Concluded, not recorded: the evidence makes it likely and does not prove it.",
    "largest": "The largest allocation of the type; for Free the largest free block.",
}
"""What each column of the map's tables means, for headings and the help panel."""

COMPLETENESS_HELP = {
    "full": "The input lists every region and holds the bytes of most committed private memory.",
    "map": "The input lists every region and holds few of the bytes: sizes are complete, some names may be missing.",
    "partial": "The input does not list the regions: what modules, stacks, heaps and captured bytes prove is shown.",
}

_SCRIPTS = ("format.js", "rows.js", "grid.js", "space.js", "page.js")
"""The page's one script, in this order."""

_ON_DARK = {RegionType.FREE: "#2b313b", RegionType.UNUSABLE: "#6b7280"}
"""Colours that differ on a dark ground: most of a space is free, and light grey in bulk would outshine all else."""

_ASIDE = ("shareable_ws", "shared_ws", "locked_ws")
_SHOWN = (*(name for name in COLUMNS if name != "inferred" and name not in _ASIDE), *_ASIDE)
"""Columns of the allocations, the less telling ones of the working set behind the names."""

_PAGE = 0x1000
_SCALE_FREE_SPACE = 1 << 32
"""A space up to this size is drawn to scale."""

_BUCKETS = 16
"""Up to so many sizes of free blocks each has its row."""

_LISTED = 200
"""How many warnings a page carries; a damaged dump can cause thousands."""


# ---------------------------------------------------------------- what this module promises


def write_report(region_map: RegionMap, path: str | PathLike[str], *, force: bool = False) -> None:
    """Writes the report of a map.

    Raises:
        OutputError: the file exists and `force` is not given, or it cannot be written.
    """
    # Before the file is opened: a page that cannot be made must not replace one that could.
    page = render_report(region_map)
    with replacing(path, force=force) as stream:
        stream.write(page.encode())


def render_report(region_map: RegionMap) -> str:
    """Returns the report as one self-contained HTML page."""
    style, script = _style(), _script()
    warnings = list(region_map.warnings)
    findings, space = find(region_map), free_space(region_map)
    page = _template(
        "report.html"
    ).render(
        version=__version__,
        policy=_policy(style, script),
        style=Markup(style),  # noqa: S704  the package's own files
        script=Markup(script),  # noqa: S704
        data=Markup(script_json(page_data(region_map))),  # noqa: S704  escaped by script_json
        name=region_map.process.name or "Unknown process",
        line=process_line(region_map),
        facts=_facts(region_map),
        completeness=region_map.completeness,
        completeness_help=_completeness(region_map),
        verdict=diagnosis(verdict(region_map, findings=findings), findings),
        notes=region_map.notes,
        warnings=warnings[:_LISTED],
        more_warnings=len(warnings) - _LISTED,
        tiles=_tiles(region_map, space),
        bars=bars(region_map),
        summary=_summary(region_map),
        buckets=None if space is None else buckets(space),
        counts={
            "stacks": len(region_map.stacks),
            "heaps": len(region_map.heaps),
            "modules": len(region_map.snapshot.modules) + len(region_map.snapshot.unloaded_modules),
        },
        no_heaps=no_heaps_text(region_map),
        streams=_plain_table(stream_table(region_map)),
        counters=_figures(region_map),
        advice=advise(region_map),
        partial=region_map.partial,
        types=TYPES,
        evidence=EVIDENCE,
        column_help=[(_title(name), text) for name, text in COLUMN_HELP.items()],
        not_known=NOT_KNOWN,
    )
    return clean_text(page)


def summary_fragment(region_map: RegionMap) -> str:
    """Returns the map's summary for a notebook cell: process, bars, type table. Styles are inline, scripts none."""
    return clean_text(
        _template("fragment.html").render(
            line=process_line(region_map),
            bars=bars(region_map),
            summary=_summary(region_map),
            types=TYPES,
            notes=region_map.notes,
            not_known=NOT_KNOWN,
        )
    )


# ---------------------------------------------------------------- parts of the page


@dataclass(frozen=True, slots=True)
class BarPart:
    """One type's share of a bar; place and width are thousandths of the bar's whole length."""

    type: int
    place: float
    width: float
    text: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of the overview. `parts` of a bar whose figure is not known are empty."""

    title: str
    figure: str
    parts: tuple[BarPart, ...] = ()
    note: str = ""


def bars(region_map: RegionMap) -> list[Bar]:
    """Committed, private and working set to one scale, as VMMap draws them; a 32-bit address space to its own."""
    total, counters = region_map.total, region_map.counters
    by_type = knows_working_set(region_map)
    working_set = total.total_ws if by_type else counters.working_set
    scale = max(total.committed or 0, total.private or 0, working_set or 0)
    note = "at least" if region_map.partial else ""
    result = [
        _bar(region_map, "Committed", "committed", total.committed, scale, note),
        _bar(region_map, "Private", "private", total.private, scale, note),
    ]
    if by_type or working_set is None:
        result.append(_bar(region_map, "Working set", "total_ws", working_set, scale, ""))
    else:
        part = BarPart(-1, 0, 1000 * working_set / max(scale, 1), f"Working set: {size_text(working_set)} KB")
        result.append(Bar("Working set", short_size(working_set), (part,), "by the system's counter"))
    if region_map.end is not None and region_map.end <= _SCALE_FREE_SPACE:
        result.append(_bar(region_map, "Address space", "size", region_map.end, region_map.end, "to its own scale"))
    return result


def knows_working_set(region_map: RegionMap) -> bool:
    """Whether the input tells working sets by region; that of the page tables alone says nothing of the process's."""
    tables = RegionType.PAGE_TABLE.label
    return any(line.total_ws is not None for line in region_map.summary_lines[1:] if line.name != tables)


def _bar(region_map: RegionMap, title: str, column: str, value: int | None, scale: int, note: str) -> Bar:
    if value is None:
        return Bar(title, NOT_KNOWN)
    parts: list[BarPart] = []
    place = 0.0
    for info in TYPES:
        # Page tables are no part of the address space, and free space of nothing else.
        if info.type == (RegionType.PAGE_TABLE if column == "size" else RegionType.FREE):
            continue
        share = getattr(region_map.line(info.type), column)
        if share:
            width = 1000 * share / scale
            text = f"{info.name}: {size_text(share)} KB ({percent_text(share / value) if value else ''})"
            parts.append(BarPart(int(info.type), round(place, 3), round(width, 3), text))
            place += width
    return Bar(title, short_size(value), tuple(parts), note)


@dataclass(frozen=True, slots=True)
class Bucket:
    """Free blocks of one range of sizes; widths are thousandths of the largest bucket's."""

    title: str
    blocks: int
    size: int
    at_least: int
    """Free blocks of the range's lower size or larger."""
    blocks_width: float
    size_width: float


def buckets(space: FreeSpace) -> list[Bucket]:
    """Free blocks by size, smallest first; where that makes many rows, sizes that no block has are left out."""
    rows = histogram(space)
    most = max((row["count"] for row in rows), default=1)
    largest = max((row["bytes"] for row in rows), default=1)
    result: list[Bucket] = []
    left = space.count
    for row in rows:
        if row["count"] == 0 and len(rows) > _BUCKETS:
            continue
        title = f"{short_size(row['min_bytes'])} – {short_size(row['max_bytes'])}"  # noqa: RUF001
        shares = (round(1000 * row["count"] / most, 2), round(1000 * row["bytes"] / largest, 2))
        result.append(Bucket(title, row["count"], row["bytes"], left, *shares))
        left -= row["count"]
    return result


def _tiles(region_map: RegionMap, space: FreeSpace | None) -> list[tuple[str, str, str]]:
    """The figures that are asked for first: label, value, what to know of it."""
    total, counters = region_map.total, region_map.counters
    least = "at least " if region_map.partial else ""

    def known(value: int | None, prefix: str = "") -> str:
        return NOT_KNOWN if value is None else f"{prefix}{short_size(value)}"

    counted, peak = counters.private_usage, counters.peak_working_set
    working_set = total.total_ws if knows_working_set(region_map) else counters.working_set
    tiles = [
        ("Committed", known(total.committed, least), f"{size_text(total.committed)} KB" if total.committed else ""),
        (
            "Private",
            known(total.private, least),
            f"the system counted {short_size(counted)}" if counted is not None else "",
        ),
        ("Working set", known(working_set), f"peak {short_size(peak)}" if peak is not None else ""),
    ]
    if space is None:
        return [*tiles, ("Free address space", NOT_KNOWN, ""), ("Largest free block", NOT_KNOWN, "")]
    largest = space.largest
    more = "" if space.complete else "; the list of regions ends before"
    tiles += [
        (
            "Free address space",
            size_left(space.total),
            f"of {space.limit.name}, in {space.count:,} block{'' if space.count == 1 else 's'}{more}",
        ),
        (
            "Largest free block",
            size_left(largest.size) if largest else "none",
            f"at {address_text(largest.address, region_map.address_width)}" if largest else "",
        ),
    ]
    if space.fragmentation is not None:
        note = "1 − largest block / all free"  # noqa: RUF001
        tiles.append(("Free-space fragmentation", percent_text(space.fragmentation), note))
    return tiles


def _completeness(region_map: RegionMap) -> str:
    if region_map.completeness == "map" and region_map.snapshot.source.kind != "minidump":
        return "The input lists every region."  # it never holds bytes but those that the map needs
    return COMPLETENESS_HELP[region_map.completeness]


def _facts(region_map: RegionMap) -> list[tuple[str, str]]:
    facts = [(label, text) for label, text in fact_rows(region_map) if label not in ("Process", "Completeness")]
    if region_map.end is not None:
        end = address_text(region_map.end, region_map.address_width)
        facts.append(("Address space", f"0 to {end}, {short_size(region_map.end)}"))
    return facts


def _summary(region_map: RegionMap) -> dict[str, Any]:
    """The type table: its columns, and rows of cells; type -1 is the total."""
    has_working_set = knows_working_set(region_map)
    names = [name for name in SUMMARY_COLUMNS if has_working_set or name not in WORKING_SET_COLUMNS]
    rows = []
    for line in region_map.summary_lines:
        info = next((info for info in TYPES if info.name == line.name), None)
        values = line.values()
        cells = []
        for name in names:
            value = values[name]
            cells.append(f"{value:,}" if name == "blocks" and value is not None else size_text(value))
        known = any(value is not None for value in values.values())
        rows.append(
            {
                "type": -1 if info is None else int(info.type),
                "name": line.name,
                "help": "Every type but Free." if info is None else info.meaning,
                "cells": cells,
                "known": known,
                "empty": known and not values["size"],
            }
        )
    columns = [{"title": _title(name), "help": COLUMN_HELP[name]} for name in names]
    return {"columns": columns, "rows": rows, "has_working_set": has_working_set}


def _figures(region_map: RegionMap) -> list[tuple[str, list[tuple[str, str]]]]:
    """What the system counted, for the process and for the machine, leaving out what is not known."""
    groups = []
    for title, part in (("Process counters", region_map.counters), ("Machine", region_map.system)):
        rows = []
        for field in dataclasses.fields(part):
            value = getattr(part, field.name)
            if value is None:
                continue
            if field.name.endswith("_address"):
                text = address_text(value, region_map.address_width)
            elif field.name == "processors":
                text = f"{value}"
            else:
                text = f"{size_text(value)} KB"
            rows.append((field.name.replace("_", " ").capitalize(), text))
        groups.append((title, rows))
    return groups


def _plain_table(table: Table) -> dict[str, Any]:
    width = table.address_width
    rows = [
        [cell_text(value, column, Units.kb, width) for column, value in zip(table.columns, row, strict=True)]
        for row in table.rows
    ]
    return {"columns": table.columns, "rows": rows}


def _title(name: str) -> str:
    if name in WORKING_SET_COLUMNS:
        return f"{name.removesuffix('_ws').capitalize()} WS"
    return name.replace("_", " ").capitalize()


# ---------------------------------------------------------------- diagnosis


@dataclass(frozen=True, slots=True)
class Axis:
    """One of the two things that a process can run out of: its state, and its figures as label and text."""

    title: str
    state: str
    figures: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The verdict and the findings in the words of the page."""

    level: Literal["critical", "warning", "ok", "info"]
    title: str
    meaning: str
    sentence: str
    axes: tuple[Axis, ...]
    findings: tuple[tuple[Finding, str, str, str], ...]
    """Each finding, what it means, what to do, and how it bears on the verdict (empty where it does not)."""


def diagnosis(judged: Verdict, findings: Sequence[Finding]) -> Diagnosis:
    """Puts the verdict and the findings together."""
    states = (judged.address_space["state"], judged.commit["state"])
    level: Literal["critical", "warning", "ok", "info"] = "info"
    if judged.verdict.startswith("out-of-"):
        level = "critical"
    elif judged.verdict.endswith("-low"):
        level = "warning"
    elif judged.verdict == "no-memory-problem-seen":
        level = "ok"
    strengths = {signal.id: signal.strength for signal in judged.signals}
    return Diagnosis(
        level=level,
        title=judged.verdict.replace("-", " ").capitalize(),
        meaning=VERDICTS[judged.verdict],
        sentence=judged.sentence,
        axes=(
            Axis("Address space", states[0], tuple(_space_figures(judged.address_space))),
            Axis("Commit", states[1], tuple(_commit_figures(judged.commit))),
        ),
        findings=tuple(
            (finding, EXPLANATIONS[finding.id].meaning, EXPLANATIONS[finding.id].advice, strengths.get(finding.id, ""))
            for finding in findings
        ),
    )


def _space_figures(axis: dict[str, Any]) -> Iterable[tuple[str, str]]:
    if axis.get("free") is not None:
        yield "free", f"{size_left(axis['free'])} of {axis.get('limit_name') or 'its limit'}"
    if axis.get("largest_free_block"):
        yield "largest block", size_left(axis["largest_free_block"]["size"])
    if axis.get("fragmentation") is not None:
        yield "fragmentation", percent_text(axis["fragmentation"])
    if axis.get("requested") is not None:
        yield "asked for", short_size(axis["requested"])


def _commit_figures(axis: dict[str, Any]) -> Iterable[tuple[str, str]]:
    if axis.get("system_ratio") is not None:
        share = percent_text(axis["system_ratio"])
        yield "system", f"{short_size(axis['system_total'])} of {short_size(axis['system_limit'])}, {share}"
    if axis.get("process_private") is not None:
        yield "this process", short_size(axis["process_private"])
    if axis.get("job_limit") is not None:
        usage = NOT_KNOWN if axis.get("job_usage") is None else short_size(axis["job_usage"])
        yield "its job", f"{usage} of {short_size(axis['job_limit'])}"


# ---------------------------------------------------------------- the data for the scripts


def page_data(region_map: RegionMap) -> dict[str, Any]:
    """Everything that the scripts draw, columnar.

    Addresses are not listed one by one. Rows follow each other without holes in a map that knows all of its space, so
    a row begins where the one before it ends, and `gaps` has (row, bytes as hex) where that is not so. Blocks fill
    their allocation in the same way. Sizes count in units of `unit` bytes: 4096, or 1 where some are no whole pages.
    """
    allocations, regions = allocation_frame(region_map), region_frame(region_map)
    owner = np.searchsorted(allocations["address"].to_numpy(), regions["allocation"].to_numpy())
    kept = _telling_blocks(allocations, regions, owner)
    parts = regions[kept]
    sizes = [
        frame[name].to_numpy(np.int64, na_value=0)
        for frame in (allocations, parts)
        for name in ("size", "committed", "private", *WORKING_SET_COLUMNS)
    ]
    unit = 1 if any((values % _PAGE).any() for values in sizes) else _PAGE
    return {
        "width": region_map.address_width,
        "end": None if region_map.end is None else hex(region_map.end),
        "partial": region_map.partial,
        "completeness": region_map.completeness,
        "unit": unit,
        "cut": cut_length(allocations, regions, region_map.end),
        "types": [info.name for info in TYPES],
        "evidence": {info.name: info.meaning for info in EVIDENCE},
        "columns": [_wire_column(name) for name in _SHOWN],
        "rows": {
            **_wire_rows(allocations, unit),
            "blocks": _wire_numbers(allocations["blocks"], 1),
            "gaps": _gaps(allocations),
            "parts": np.bincount(owner[kept], minlength=len(allocations)).tolist(),
        },
        "parts": _wire_rows(parts, unit),
        "tables": {
            "stacks": _wire_table(stack_table(region_map)),
            "heaps": _heap_table(region_map),
            "modules": _module_table(region_map),
        },
    }


def _telling_blocks(
    allocations: pd.DataFrame, regions: pd.DataFrame, owner: npt.NDArray[np.intp]
) -> npt.NDArray[np.bool_]:
    """Which blocks to keep: all but the only one of an allocation that says the same again."""
    shared: npt.NDArray[np.bool_] = np.bincount(owner, minlength=len(allocations))[owner] != 1
    differs = np.zeros(len(regions), np.bool_)
    for name in ("type", "protection", "details", "kind", "evidence", "inferred"):
        column, of_owner = regions[name].to_numpy(), allocations[name].to_numpy()[owner]
        differs |= np.asarray(column != of_owner, np.bool_)
    return shared | differs


def _wire_rows(frame: pd.DataFrame, unit: int) -> dict[str, Any]:
    columns: dict[str, Any] = {"type": frame["type"].cat.codes.tolist()}
    for name in ("size", "committed", "private", *WORKING_SET_COLUMNS):
        columns[name] = _wire_numbers(frame[name], unit)
    for name in ("protection", "details", "kind", "evidence"):
        columns[name] = _wire_texts(frame[name])
    columns["inferred"] = np.flatnonzero(frame["inferred"].to_numpy(np.bool_)).tolist()
    return columns


def _wire_numbers(column: pd.Series[Any], unit: int) -> list[Any] | None:
    """A column of numbers, null where not known; None for a column of which nothing is known."""
    missing = column.isna().to_numpy(np.bool_)
    if missing.all() and len(missing):
        return None
    values = column.to_numpy(np.int64, na_value=0) // unit
    result: list[Any] = values.tolist()
    for index in np.flatnonzero(missing).tolist():
        result[index] = None
    # Only damage makes such sizes, and even then the addresses behind them have to stay exact.
    for index in np.flatnonzero(values >= 1 << 53).tolist():
        result[index] = hex(result[index])
    return result


def _wire_texts(column: pd.Series[Any]) -> dict[str, Any]:
    import pandas as pd

    codes, values = pd.factorize(column.to_numpy(object))
    return {"values": values.tolist(), "codes": codes.tolist()}


def _gaps(allocations: pd.DataFrame) -> list[tuple[int, str]]:
    base = allocations["address"].to_numpy(np.uint64)
    end = base + allocations["size"].to_numpy(np.int64).astype(np.uint64)
    before = np.concatenate((np.zeros(min(len(base), 1), np.uint64), end[:-1]))
    holes = np.flatnonzero(base != before)
    return [(index, hex(int(base[index] - before[index]))) for index in holes.tolist()]


def cut_length(allocations: pd.DataFrame, regions: pd.DataFrame, end: int | None) -> int | None:
    """From which length on free and reserved runs are drawn shorter than they are, in bytes.

    Committed memory is always drawn to scale. In a 64-bit space a few free and reserved runs are a million times as
    long as everything else together; the longest ones are cut, to a power of two that leaves them three quarters of
    the picture at most.

    Returns:
        None for a space that can be drawn to scale as a whole.
    """
    if end is not None and end <= _SCALE_FREE_SPACE:
        return None
    size = regions["size"].to_numpy(np.int64)
    empty = regions["committed"].to_numpy(np.int64, na_value=0) == 0
    holes = np.array([int(text, 16) for _, text in _gaps(allocations)][1:], np.float64)
    runs = np.concatenate((size[empty].astype(np.float64), holes))
    if len(runs) == 0:
        return None
    budget = max(3 * float(size[~empty].sum()), 1 << 20)
    exponent = 62
    while exponent > 12 and float(np.minimum(runs, float(1 << exponent)).sum()) > budget:
        exponent -= 1
    return 1 << exponent if float(runs.max()) > 1 << exponent else None


def _wire_column(name: str) -> dict[str, Any]:
    kind = {"address": "address", "type": "type", "blocks": "count", "evidence": "evidence"}.get(name, "text")
    if name in ("size", "committed", "private", *WORKING_SET_COLUMNS):
        kind = "size"
    return {"name": name, "title": _title(name), "kind": kind, "help": COLUMN_HELP[name]}


def _wire_table(table: Table, children: Sequence[Sequence[Sequence[Any]]] | None = None) -> dict[str, Any]:
    def wire(rows: Iterable[Sequence[Any]]) -> list[list[Any]]:
        return [[_wire_value(value, column) for column, value in zip(table.columns, row, strict=True)] for row in rows]

    columns = [
        {"name": column.name, "title": column.title, "kind": column.holds, "left": column.left}
        for column in table.columns
    ]
    return {
        "columns": columns,
        "rows": wire(table.rows),
        "children": None if children is None else [wire(rows) for rows in children],
    }


def _wire_value(value: Any, column: Column) -> Any:
    plain = plain_value(value, column)
    return hex(plain) if isinstance(plain, int) and abs(plain) >= 1 << 53 else plain


def _heap_table(region_map: RegionMap) -> dict[str, Any]:
    """Heaps, each with its ranges below it: a range's role stands under the heap's kind, its size under reserved."""
    table = _without(heap_table(region_map), "flag_names", "allocations", "uncommitted")
    # What a heap is comes before what it was made with, which a window of usual width would show instead.
    table = _with_last(table, "segments", "large_blocks", "lfh", "heap_class", "is_default", "flags", "bits")
    names = [column.name for column in table.columns]
    ranges = iter(heap_range_rows(region_map))
    children = []
    for heap in region_map.heaps:
        rows = []
        for row in (next(ranges) for _ in heap.ranges):
            told = {**row.to_dict(), "address": row.address, "kind": row.role, "reserved": row.size}
            rows.append([told.get(name) for name in names])
        children.append(rows)
    return _wire_table(table, children)


def _with_last(table: Table, *last: str) -> Table:
    order = [index for index, column in enumerate(table.columns) if column.name not in last]
    names = [column.name for column in table.columns]
    order += [names.index(name) for name in last if name in names]
    rows = [[row[index] for index in order] for row in table.rows]
    return Table(tuple(table.columns[index] for index in order), rows, table.address_width)


def _without(table: Table, *left_out: str) -> Table:
    keep = [index for index, column in enumerate(table.columns) if column.name not in left_out]
    return Table(
        tuple(table.columns[index] for index in keep),
        [[row[index] for index in keep] for row in table.rows],
        table.address_width,
    )


def _module_table(region_map: RegionMap) -> dict[str, Any]:
    """Modules, then those that were unloaded."""
    table = module_table(region_map)
    names = [column.name for column in table.columns]
    listed = names.index("in_map")
    rows = [[*row, "loaded" if row[listed] else "not in the map"] for row in table.rows]
    for module in region_map.snapshot.unloaded_modules:
        known = {
            "base": module.base,
            "end": module.base + module.size,
            "size": module.size,
            "name": module.path.replace("\\", "/").rsplit("/", 1)[-1],
            "timestamp": module.timestamp,
            "path": module.path,
        }
        rows.append([*(known.get(name) for name in names), "unloaded"])
    columns = (*table.columns, Column("state"))
    return _wire_table(_without(Table(columns, rows, table.address_width), "in_map", "checksum", "debug_file"))


# ---------------------------------------------------------------- making a page of it


def script_json(document: Any) -> str:
    """JSON that can stand inside a script element: nothing in it can end the element or open a comment."""
    return json.dumps(document, separators=(",", ":")).replace("<", "\\u003c")


def _policy(style: str, script: str) -> str:
    """The page's Content-Security-Policy: its own style and script, and no request to anywhere."""

    def digest(text: str) -> str:
        return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    return (
        f"default-src 'none'; script-src 'sha256-{digest(script)}'; style-src 'sha256-{digest(style)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


@cache
def _style() -> str:
    light = ";".join(f"--t{int(info.type)}:{info.color}" for info in TYPES)
    dark = ";".join(f"--t{int(type_)}:{color}" for type_, color in _ON_DARK.items())
    classes = "".join(
        f".t{int(info.type)}{{fill:var(--t{int(info.type)});background-color:var(--t{int(info.type)})}}"
        for info in TYPES
    )
    own = (
        f":root{{{light}}}"
        f"@media screen and (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{dark}}}}}"
        f"@media screen{{:root[data-theme=dark]{{{dark}}}}}{classes}"
    )
    return f"\n{own}\n{_static('report.css')}\n"


@cache
def _script() -> str:
    parts = "\n".join(_static(name) for name in _SCRIPTS)
    return f'\n(() => {{\n"use strict";\n{parts}\n}})();\n'


def _static(name: str) -> str:
    text = resources.files("dumpmap.render").joinpath("static", name).read_text("utf-8")
    # A browser reads CRLF as LF, and the policy's hash has to be of what it reads.
    return text.replace("\r\n", "\n")


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("dumpmap.render", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _template(name: str) -> Any:
    return _environment().get_template(name)
