"""Times of Windows and Unix, against dates that are known."""

from __future__ import annotations

import datetime as dt

import pytest

from dumpmap.model.times import from_filetime, from_unix, to_filetime

UNIX_EPOCH = 116_444_736_000_000_000
"""1970-01-01 as a FILETIME (Microsoft's documentation)."""


@pytest.mark.parametrize(
    ("ticks", "time"),
    [
        (UNIX_EPOCH, dt.datetime(1970, 1, 1, tzinfo=dt.UTC)),
        (UNIX_EPOCH + 10, dt.datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=dt.UTC)),
        (10, dt.datetime(1601, 1, 1, 0, 0, 0, 1, tzinfo=dt.UTC)),
        (UNIX_EPOCH + 86_400 * 10_000_000, dt.datetime(1970, 1, 2, tzinfo=dt.UTC)),
        (UNIX_EPOCH + 1_704_067_200 * 10_000_000, dt.datetime(2024, 1, 1, tzinfo=dt.UTC)),
    ],
)
def test_filetimes(ticks: int, time: dt.datetime) -> None:
    assert from_filetime(ticks) == time
    assert to_filetime(time) == ticks


def test_filetimes_that_are_none() -> None:
    assert from_filetime(0) is None
    assert from_filetime(1) == dt.datetime(1601, 1, 1, tzinfo=dt.UTC)  # a tenth of a microsecond is not kept
    assert to_filetime(None) == 0
    end = to_filetime(dt.datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=dt.UTC))
    assert from_filetime(end + 9) == dt.datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=dt.UTC)
    assert from_filetime(end + 10) is None
    assert from_filetime((1 << 64) - 1) is None


def test_unix_times() -> None:
    assert from_unix(1_704_067_200) == dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    assert from_unix(1) == dt.datetime(1970, 1, 1, 0, 0, 1, tzinfo=dt.UTC)
    assert from_unix(0) is None
    assert from_unix(None) is None
