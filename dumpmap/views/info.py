"""What `info` shows: the input itself rather than the map."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from dumpmap.model.region_map import RegionMap
from dumpmap.views.blocks import Blank, Block, Fact, Facts, Heading, Lines
from dumpmap.views.documents import exception_document, head
from dumpmap.views.table import to_records
from dumpmap.views.views import fact_rows, flag_names, stream_table
from dumpmap.wording.advice import advise


def info_document(region_map: RegionMap) -> dict[str, Any]:
    """`dumpmap.info/1`."""
    snapshot = region_map.snapshot
    document = head("dumpmap.info/1", region_map)
    document["source"]["streams"] = to_records(stream_table(region_map))
    document["source"]["flag_names"] = flag_names(snapshot.source.flags)
    return {
        **document,
        "exception": exception_document(region_map),
        "counts": {
            "regions": None if snapshot.regions is None else len(snapshot.regions),
            "threads": len(snapshot.threads),
            "modules": len(snapshot.modules),
            "unloaded_modules": len(snapshot.unloaded_modules),
            "stacks": len(region_map.stacks),
            "heaps": len(region_map.heaps),
            "handles": snapshot.handle_count,
        },
        "bytes_captured": sum(size for _, size in snapshot.captured or snapshot.memory.ranges()),
        "heap_list_captured": region_map.heap_list_captured,
        "handle_types": dict(snapshot.handle_types),
        "comments": list(snapshot.comments),
        "annotations": dict(snapshot.annotations),
        "advice": [dataclasses.asdict(advice) for advice in advise(region_map)],
    }


def _sections(region_map: RegionMap) -> list[tuple[str, list[str]]]:
    """Headings with their lines, leaving out what there is nothing to say of."""
    sections = [
        ("Warnings", list(region_map.warnings)),
        ("Notes", list(region_map.notes)),
        (
            "What a better dump would add",
            [f"{advice.missing}: {advice.adds}. How: {advice.how}." for advice in advise(region_map)],
        ),
    ]
    return [(heading, lines) for heading, lines in sections if lines]


def info_blocks(region_map: RegionMap) -> Iterator[Block]:
    """Everything that `info` shows."""
    yield Facts([Fact(label, text) for label, text in fact_rows(region_map)])
    if region_map.snapshot.source.streams:
        yield Blank()
        yield stream_table(region_map)
    for heading, lines in _sections(region_map):
        yield Blank()
        yield Heading(heading)
        yield Lines(lines, indent=2)
