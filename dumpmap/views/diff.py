"""What `dumpmap diff` shows."""

from __future__ import annotations

from typing import Any

from dumpmap.model.region_map import RegionMap
from dumpmap.wording.diff import DiagnosedDiff

DIFF_SCHEMA = "dumpmap.diff/1"


def diff_document(difference: DiagnosedDiff, limit: int | None = None) -> dict[str, Any]:
    """Plain data, schema `dumpmap.diff/1`.

    Args:
        difference: the difference.
        limit: the largest number of changes to list; all by default. Their number is given either way.
    """
    return {
        "schema": DIFF_SCHEMA,
        "a": _side(difference.a),
        "b": _side(difference.b),
        "same_process": difference.same_process,
        "notes": list(difference.notes),
        "types": [row.to_dict() for row in difference.types],
        "free": {name: figure.to_dict() for name, figure in difference.free.items()},
        "counters": {name: figure.to_dict() for name, figure in difference.counters.items()},
        "verdicts": {"a": difference.verdicts[0], "b": difference.verdicts[1]},
        "findings": {
            "gained": [finding.to_dict() for finding in difference.gained],
            "lost": [finding.to_dict() for finding in difference.lost],
        },
        "counts": difference.changes.counts(),
        "allocations": [change.to_dict() for change in difference.changes.rows(limit)],
    }


def _side(region_map: RegionMap) -> dict[str, Any]:
    source, process = region_map.snapshot.source, region_map.process
    return {
        "path": source.path,
        "name": source.name,
        "captured_at": None if source.captured_at is None else source.captured_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "process": process.name,
        "pid": process.pid,
        "completeness": region_map.completeness,
    }
