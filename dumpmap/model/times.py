"""Times as Windows and Unix count them."""

from __future__ import annotations

import datetime as dt

from dumpmap.model.winnt import FILETIME_EPOCH


def from_filetime(ticks: int) -> dt.datetime | None:
    """Converts a FILETIME; None for 0, which means no time, and for a time after the year 9999."""
    if ticks == 0:
        return None
    try:
        return FILETIME_EPOCH + dt.timedelta(microseconds=ticks // 10)
    except OverflowError:
        return None


def to_filetime(time: dt.datetime | None) -> int:
    """Converts a time to a FILETIME; 0 for no time."""
    return 0 if time is None else (time - FILETIME_EPOCH) // dt.timedelta(microseconds=1) * 10


def from_unix(seconds: int | None) -> dt.datetime | None:
    """Converts seconds since 1970; None for 0, which means no time."""
    return None if not seconds else dt.datetime.fromtimestamp(seconds, dt.UTC)
