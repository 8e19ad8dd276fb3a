"""What triage takes from the diagnosis of a map: the one place that knows both."""

from __future__ import annotations

from typing import Any

from dumpmap.analysis.diagnosis import diagnose
from dumpmap.analysis.measurements import Measurements
from dumpmap.model.region_map import RegionMap
from dumpmap.model.sizes import rounded_share
from dumpmap.wording.findings import EXPLANATIONS
from dumpmap.wording.verdicts import verdict_sentence

_LARGEST = (1 << 63) - 1
"""The largest number of a column. A request can exceed it: a program that computes a negative size asks for that."""


def diagnosis_columns(region_map: RegionMap) -> dict[str, Any]:
    """Diagnoses a map and returns the columns of a row that say what is wrong with its memory."""
    diagnosis = diagnose(region_map)
    hits, free = diagnosis.hits, diagnosis.measurements.free
    fragmentation = None if free is None else free.fragmentation
    failure, writer = diagnosis.measurements.failure, region_map.snapshot.writer
    return {
        "oom_size": min((writer and writer.requested) or (failure and failure.requested) or 0, _LARGEST) or None,
        "verdict": diagnosis.verdict,
        "severity": hits[0].severity if hits else None,
        "critical": sum(hit.severity == "critical" for hit in hits),
        "findings": [hit.id for hit in hits],
        "headline": EXPLANATIONS[hits[0].id].title if hits else None,
        "sentence": verdict_sentence(diagnosis),
        "largest_free": None if free is None else diagnosis.measurements.largest,
        **_at_most(diagnosis.measurements),
        "fragmentation": rounded_share(fragmentation),
    }


def _at_most(m: Measurements) -> dict[str, int | None]:
    """Upper bounds of the free space; what is measured bounds itself."""
    if m.measured is not None:
        return {"largest_free_at_most": m.largest, "free_at_most": m.measured.total}
    largest, free = (None, None) if m.bounds is None else (m.bounds.largest, m.bounds.free)
    return {
        "largest_free_at_most": None if largest is None else largest.size,
        "free_at_most": None if free is None else free.size,
    }
