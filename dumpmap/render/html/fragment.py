"""The summary for a notebook cell."""

from __future__ import annotations

from dumpmap.model.region_map import RegionMap
from dumpmap.model.types import TYPES
from dumpmap.render.html.assets import template
from dumpmap.render.html.overview import UNKNOWN, bars, type_table
from dumpmap.views.summary import process_line
from dumpmap.writers.snapshot_json import clean_text


def summary_fragment(region_map: RegionMap) -> str:
    """Returns process, bars, type table, and notes as HTML with inline styles and no scripts."""
    return clean_text(
        template("fragment.html").render(
            line=process_line(region_map),
            bars=bars(region_map),
            summary=type_table(region_map),
            types=TYPES,
            notes=region_map.notes,
            unknown=UNKNOWN,
        )
    )
