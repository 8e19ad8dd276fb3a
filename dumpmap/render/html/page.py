"""The report as a page and as a file."""

from __future__ import annotations

from collections.abc import Iterator
from os import PathLike
from typing import Any

from dumpmap.analysis.measurements import measurements_of
from dumpmap.classify.vocabulary import EVIDENCE
from dumpmap.model.columns import LARGEST, REGION_COLUMNS
from dumpmap.model.region_map import RegionMap
from dumpmap.model.types import TYPES
from dumpmap.render.html.assets import render_page, script_json
from dumpmap.render.html.data import page_data
from dumpmap.render.html.diagnosis import diagnosis_card
from dumpmap.render.html.free_blocks import size_bands
from dumpmap.render.html.head import brief, completeness_help, counters, exception_line, facts, key_figures
from dumpmap.render.html.overview import UNKNOWN, bars, type_table
from dumpmap.render.html.owners import owner_card, taker_lists
from dumpmap.render.html.writer import plain_table, shareable, writer_parts
from dumpmap.views.heaps import no_heaps_text
from dumpmap.views.info import stream_table
from dumpmap.wording.advice import advise
from dumpmap.wording.findings import find
from dumpmap.wording.processes import process_name
from dumpmap.wording.verdicts import verdict
from dumpmap.writers.output import replacing

_LISTED = 200
"""How many warnings a page lists; a damaged dump can cause thousands."""


def write_report(
    region_map: RegionMap, path: str | PathLike[str], *, keep_text: bool = False, force: bool = False
) -> None:
    """Writes the report of a map.

    Args:
        region_map: the map.
        path: the file.
        keep_text: as for `render_report`.
        force: overwrite the file.

    Raises:
        OutputError: the file exists and `force` is not given, or it cannot be written.
    """
    with replacing(path, force=force) as stream:
        for part in _parts(region_map, keep_text=keep_text):
            stream.write(part.encode())


def render_report(region_map: RegionMap, *, keep_text: bool = False) -> str:
    """Returns the report as one self-contained HTML page.

    Args:
        region_map: the map.
        keep_text: keep texts that can hold user data; by default the page leaves out what a snapshot leaves out.
    """
    return "".join(_parts(region_map, keep_text=keep_text))


def _parts(region_map: RegionMap, *, keep_text: bool) -> Iterator[str]:
    """Returns the page part by part: that of a million regions is never in memory as a whole."""
    if not keep_text:
        region_map = shareable(region_map)
    return render_page(
        "report",
        script_json(page_data(region_map)),
        types=TYPES,
        unknown=UNKNOWN,
        partial=region_map.partial,
        **_upper_half(region_map),
        **_tables(region_map),
        **_help(),
    )


def _upper_half(region_map: RegionMap) -> dict[str, Any]:
    """Everything above the tables."""
    findings, space = find(region_map), measurements_of(region_map).free
    warnings = list(region_map.warnings)
    return {
        "name": process_name(region_map) or "Unknown process",
        "facts": facts(region_map),
        "brief": brief(region_map),
        "exception": exception_line(region_map),
        "completeness": region_map.completeness,
        "completeness_help": completeness_help(region_map),
        "notes": region_map.notes,
        "warnings": warnings[:_LISTED],
        "more_warnings": len(warnings) - _LISTED,
        "writer": writer_parts(region_map),
        "verdict": diagnosis_card(verdict(region_map, findings=findings), findings, region_map),
        "figures": key_figures(region_map, space),
        "takers": taker_lists(region_map),
        "bars": bars(region_map),
        "summary": type_table(region_map),
        "owners": owner_card(region_map),
        "bands": None if space is None else size_bands(space),
    }


def _tables(region_map: RegionMap) -> dict[str, Any]:
    """What the panels of the tables show besides the rows, which are in the JSON."""
    modules = len(region_map.snapshot.modules) + len(region_map.snapshot.unloaded_modules)
    return {
        "counts": {"stacks": len(region_map.stacks), "heaps": len(region_map.heaps), "modules": modules},
        "no_heaps": no_heaps_text(region_map),
        "streams": plain_table(stream_table(region_map)),
        "counters": counters(region_map),
        "advice": advise(region_map),
    }


def _help() -> dict[str, Any]:
    return {"evidence": EVIDENCE, "column_help": (*REGION_COLUMNS, LARGEST)}
