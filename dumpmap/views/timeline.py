"""What `dumpmap timeline` shows."""

from __future__ import annotations

import datetime as dt
from typing import Any

from dumpmap.wording.timeline import NamedGrowth

TIMELINE_SCHEMA = "dumpmap.timeline/1"


def timeline_document(growth: NamedGrowth, limit: int | None = None) -> dict[str, Any]:
    """Plain data, schema `dumpmap.timeline/1`.

    Args:
        growth: the timeline.
        limit: the largest number of groups to list; all by default.
    """
    return {
        "schema": TIMELINE_SCHEMA,
        "unit": growth.unit,
        "confidence": growth.confidence,
        "notes": list(growth.notes),
        "points": [
            {
                "name": point.name,
                "captured_at": None
                if point.captured_at is None
                else point.captured_at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "at": point.at,
            }
            for point in growth.points
        ],
        "types": [series.to_dict(growth.unit) for series in growth.types],
        "figures": [series.to_dict(growth.unit) for series in growth.figures],
        "groups": [series.to_dict(growth.unit) for series in growth.groups[:limit]],
        "growing": [series.to_dict(growth.unit) for series in growth.growing[:limit]],
        "forecasts": [forecast.to_dict(growth.unit) for forecast in growth.forecasts],
    }
