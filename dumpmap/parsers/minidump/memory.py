"""Process memory in a minidump: many ranges of one file, found by binary search."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Sequence

import numpy as np

from dumpmap.model.memory import find_by_reading
from dumpmap.model.snapshot import U64
from dumpmap.sources.files import ByteSource

_BULK = 0x10000
"""From this size on, bytes are read past the mapping of a large file: a search through gigabytes must not keep them."""


class DumpMemory:
    """The `Memory` of a minidump.

    Args:
        source: the file.
        starts: addresses of the ranges, in any order.
        sizes: their sizes; all ranges lie inside the file.
        offsets: where in the file each begins.

    Where ranges overlap (a stack is often listed twice), reads come from the range that starts lower, up to its end.
    """

    def __init__(self, source: ByteSource, starts: U64, sizes: U64, offsets: U64) -> None:
        self._source = source
        (keep,) = sizes.nonzero()
        if len(keep) != len(sizes):
            starts, sizes, offsets = starts[keep], sizes[keep], offsets[keep]
        ends = starts + sizes
        if np.count_nonzero(starts[1:] < ends[:-1]):
            starts, sizes, offsets = _disjoint(starts, sizes, offsets)
            ends = starts + sizes
        self._starts, self._ends, self._offsets = starts, ends, offsets
        # Single look-ups use these: they are several times faster than an element of an array.
        self._start_view, self._end_view, self._offset_view = starts.data, ends.data, offsets.data
        self._ranges: list[tuple[int, int]] | None = None

    def _range_of(self, address: int) -> int:
        """Returns the index of the range that holds `address`, or -1."""
        index = bisect_right(self._start_view, address) - 1
        return index if index >= 0 and address < self._end_view[index] else -1

    def read(self, address: int, size: int) -> bytes | None:
        """See `Memory.read`. A read may run across ranges that touch."""
        if size <= 0:
            return None
        parts: list[bytes] = []
        while True:
            index = self._range_of(address)
            if index < 0:
                return None
            take = min(size, self._end_view[index] - address)
            place = self._offset_view[index] + address - self._start_view[index]
            bulk = take >= _BULK
            data = bytes(self._source.views([(place, take)])[0] if bulk else self._source.view(place, take))
            if take == size:
                return b"".join((*parts, data)) if parts else data
            parts.append(data)
            address += take
            size -= take

    def find(self, addresses: Sequence[int], offset: int, patterns: Collection[bytes]) -> dict[int, bytes]:
        """See `Memory.find`: one search over all addresses, then one batch of reads for those in the dump."""
        wanted = set(patterns)
        if not wanted or len(self._starts) == 0 or len(addresses) == 0:
            return {}
        size = len(next(iter(wanted)))
        asked = np.asarray(addresses, np.uint64)
        asked = asked[asked <= np.uint64(max(0, (1 << 64) - 1 - offset))]
        targets = asked + np.uint64(offset)
        index = np.searchsorted(self._starts, targets, side="right").astype(np.int64) - 1
        begins = np.flatnonzero((index >= 0) & (targets < self._ends[index]))
        index, targets, asked = index[begins], targets[begins], asked[begins]
        inside = self._ends[index] - targets >= np.uint64(size)
        places = self._offsets[index[inside]] + (targets[inside] - self._starts[index[inside]])
        found = {}
        views = self._source.views([(place, size) for place in places.tolist()])
        for address, data in zip(asked[inside].tolist(), views, strict=True):
            pattern = bytes(data)
            if pattern in wanted:
                found[address] = pattern
        if not inside.all():  # the others run across ranges that touch
            across = find_by_reading(self, asked[~inside].tolist(), offset, wanted)
            found = dict(sorted({**found, **across}.items()))
        return found

    def ranges(self) -> list[tuple[int, int]]:
        """See `Memory.ranges`."""
        if self._ranges is None:
            starts, ends = self._starts, self._ends
            (apart,) = (starts[1:] != ends[:-1]).nonzero()
            if len(apart) + 1 < len(starts):  # some touch
                starts, ends = starts[np.append(0, apart + 1)], ends[np.append(apart, len(ends) - 1)]
            self._ranges = list(zip(starts.tolist(), (ends - starts).tolist(), strict=True))
        return list(self._ranges)


def _disjoint(starts: U64, sizes: U64, offsets: U64) -> tuple[U64, U64, U64]:
    """Sorts ranges and cuts from each what an earlier one already holds, so that they no longer overlap."""
    # Of two that begin at one address, the longer one comes first. The parser has cut ends beyond 64 bits.
    order = np.lexsort((~sizes, starts))
    starts, sizes, offsets = starts[order], sizes[order], offsets[order]
    ends = starts + sizes
    reach = np.maximum.accumulate(ends)[:-1]
    cut = np.minimum(np.maximum(reach, starts[1:]), ends[1:]) - starts[1:]
    if np.count_nonzero(cut):
        starts[1:] += cut
        sizes[1:] -= cut
        offsets[1:] += cut
        (left,) = sizes.nonzero()
        starts, sizes, offsets = starts[left], sizes[left], offsets[left]
    return starts, sizes, offsets
