"""The counters of the process and the machine for people."""

from __future__ import annotations

from dumpmap.analysis.process_commit import process_commit
from dumpmap.model.region_map import RegionMap
from dumpmap.wording.text import duration_words, percent_words, short_size

AT_LEAST = "at least "


def counter_rows(region_map: RegionMap) -> list[tuple[str, str]]:
    """Returns the known counters, each as label and text, and what the writer recorded in place of one."""
    counters, system = region_map.counters, region_map.system
    private = counters.pagefile_usage if counters.private_usage is None else counters.private_usage
    rows = [
        ("Private bytes", _with_peak(private, counters.peak_pagefile_usage)),
        ("Process commit", _recorded_commit(region_map)),
        ("Working set", _with_peak(counters.working_set, counters.peak_working_set)),
        ("Virtual size", _with_peak(counters.virtual_size, counters.peak_virtual_size)),
        ("System commit", _commit(system.commit_total, system.commit_limit, system.commit_peak)),
        ("Physical memory", _physical(system.physical_available, system.physical_total)),
        *time_rows(region_map),
    ]
    return [(label, text) for label, text in rows if text]


def time_rows(region_map: RegionMap) -> list[tuple[str, str]]:
    """Returns uptime and CPU time, as far as they are known."""
    process, taken = region_map.process, region_map.snapshot.source.captured_at
    rows = []
    if process.created_at is not None and taken is not None and taken >= process.created_at:
        rows.append(("Uptime", duration_words(int((taken - process.created_at).total_seconds()))))
    user, kernel = process.user_time, process.kernel_time
    if user is not None and kernel is not None:
        parts = f"{duration_words(user)} user, {duration_words(kernel)} kernel"
        rows.append(("CPU time", f"{duration_words(user + kernel)} ({parts})"))
    return rows


def _recorded_commit(region_map: RegionMap) -> str:
    """The commit of the process where only the writer of the dump says it."""
    committed = process_commit(region_map)
    if committed is None or committed.source != "writer":
        return ""
    return f"{short_size(committed.size)}, by the writer of the dump"


def _with_peak(value: int | None, peak: int | None) -> str:
    if value is None:
        return f"peak {short_size(peak)}" if peak else ""
    if not value and not peak:
        return ""  # no process has any of these at 0: nobody filled them in
    # A system that does not count peaks states 0.
    return short_size(value) + ("" if peak is None or peak < value else f" (peak {short_size(peak)})")


def _commit(total: int | None, limit: int | None, peak: int | None) -> str:
    if total is None:
        return "" if limit is None else f"limit {short_size(limit)}"
    of = f" of {short_size(limit)}" if limit is not None else ""
    details = [percent_words(total / limit)] if limit else []
    details += [] if peak is None or peak < total else [f"peak {short_size(peak)}"]
    return short_size(total) + of + (f" ({', '.join(details)})" if details else "")


def _physical(available: int | None, total: int | None) -> str:
    if available is None:
        return "" if total is None else short_size(total)
    return f"{short_size(available)} available" + ("" if total is None else f" of {short_size(total)}")
