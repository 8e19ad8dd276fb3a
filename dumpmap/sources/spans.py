"""Many small ranges of a remote file, joined into few requests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from dumpmap.model.values import value_class

BATCH = 32 << 20
"""Scattered ranges are fetched in batches of this many bytes."""

JOIN_GAP = 64 << 10
"""Ranges with a smaller gap between them become one request."""

MAX_REQUESTS = 1024
"""If a batch needs more requests than this, wider gaps are joined too."""

JOIN_SHARE = 512
"""A batch never fetches more than 1/512 of the file (at least 1 MiB) that is not in any range."""


@value_class(frozen=True, slots=True)
class Span:
    """One request for several ranges; `members` are their positions in the list of ranges."""

    start: int
    end: int
    members: list[int]


def join_near(ranges: Sequence[tuple[int, int]], file_size: int) -> list[Span]:
    """Joins (offset, size) ranges that are near each other into few requests, without fetching much between them.

    Gaps are closed from the narrowest on: those below `JOIN_GAP`, and wider ones while there are more than
    `MAX_REQUESTS` requests, as long as the bytes in the gaps stay below their share of the file.
    """
    if not ranges:
        return []
    table = np.array(ranges, np.int64).reshape(-1, 2)
    order = np.argsort(table[:, 0], kind="stable")
    starts = table[order, 0]
    ends = np.maximum.accumulate(starts + table[order, 1])
    gaps = starts[1:] - ends[:-1]
    positive = np.flatnonzero(gaps > 0)
    by_width = positive[np.argsort(gaps[positive], kind="stable")]
    widths = gaps[by_width]
    wanted = max(int((widths < JOIN_GAP).sum()), len(positive) + 1 - MAX_REQUESTS)
    affordable = int(np.searchsorted(np.cumsum(widths), max(1 << 20, file_size // JOIN_SHARE), side="right"))
    split = np.ones(len(gaps), np.bool_)
    split[gaps <= 0] = False
    split[by_width[: min(wanted, affordable)]] = False
    edges = np.concatenate(([0], np.flatnonzero(split) + 1, [len(starts)])).tolist()
    return [Span(int(starts[low]), int(ends[high - 1]), order[low:high].tolist()) for low, high in pairwise(edges)]


def batches(spans: Sequence[Span]) -> Iterator[list[Span]]:
    """Splits requests into batches that fit into memory."""
    batch: list[Span] = []
    size = 0
    for span in spans:
        if batch and (size + span.end - span.start > BATCH or len(batch) >= MAX_REQUESTS):
            yield batch
            batch, size = [], 0
        batch.append(span)
        size += span.end - span.start
    if batch:
        yield batch
