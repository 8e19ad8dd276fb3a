"""Conditions on the input itself: what is missing, damaged, or contradictory."""

from __future__ import annotations

from dumpmap.analysis.conditions import MAX_ITEMS, Condition, Evidence, Found


def dump_too_small(e: Evidence) -> Found | None:
    """The input has no list of regions. The subject is what it lacks for a complete map."""
    if not e.m.map.partial:
        return None
    from dumpmap.analysis.lacks import lacks_of

    flags = e.m.map.snapshot.source.flags
    return Found({"flags": None if flags is None else f"0x{flags:x}"}, subject=lacks_of(e.m.map))


def input_damaged(e: Evidence) -> Found | None:
    """Parts of the input could not be read."""
    warnings = e.m.map.snapshot.warnings
    if not warnings:
        return None
    return Found({"count": len(warnings), "warnings": list(warnings[:MAX_ITEMS])})


def input_contradictory(e: Evidence) -> Found | None:
    """Facts of the input contradict each other.

    Where the list of regions is cut off, what it lacks is not a contradiction: `input-damaged` reports that.
    """
    if not e.m.map.snapshot.regions_complete:
        return None
    known = set(e.m.map.snapshot.warnings)
    warnings = [warning for warning in e.m.map.warnings if warning not in known]
    if not warnings:
        return None
    return Found({"count": len(warnings), "warnings": warnings[:MAX_ITEMS]})


CONDITIONS: dict[str, Condition] = {
    "dump-too-small": dump_too_small,
    "input-damaged": input_damaged,
    "input-contradictory": input_contradictory,
}
