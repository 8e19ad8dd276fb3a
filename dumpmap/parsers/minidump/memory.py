"""Process memory in a minidump: many ranges of one file, found by binary search."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import overload

import numpy as np

from dumpmap.model.memory import find_by_reading
from dumpmap.model.snapshot import U64
from dumpmap.model.space import quick
from dumpmap.sources.files import ByteSource

_BULK = 0x10000
"""From this size on, bytes are read past the mapping of a large file: a search through gigabytes must not keep them."""

_MANY = 1 << 16
"""More ranges than this become pairs of numbers only one by one: a million pairs take 120 MB."""


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
        self._start_view, self._end_view, self._offset_view = map(quick, (starts, ends, offsets))
        self._view = source.view
        self._ranges: Sequence[tuple[int, int]] | None = None

    def _range_of(self, address: int) -> int:
        """Returns the index of the range that holds `address`, or -1."""
        index = bisect_right(self._start_view, address) - 1
        return index if index >= 0 and address < self._end_view[index] else -1

    def read(self, address: int, size: int) -> bytes | None:
        """See `Memory.read`. A read may run across ranges that touch."""
        if 0 < size < _BULK:  # nearly all reads are short and in one range
            index = bisect_right(self._start_view, address) - 1
            if index >= 0 and address + size <= self._end_view[index]:
                return bytes(self._view(self._offset_view[index] + address - self._start_view[index], size))
        return self._read_apart(address, size) if size > 0 else None

    def _read_apart(self, address: int, size: int) -> bytes | None:
        """Reads many bytes, or across ranges that touch."""
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
        """See `Memory.find`."""
        return self.find_each(addresses, (offset,), patterns)[0]

    def find_each(
        self, addresses: Sequence[int], offsets: Sequence[int], patterns: Collection[bytes]
    ) -> list[dict[int, bytes]]:
        """See `Memory.find_each`: one search over all addresses, then one batch of reads for those in the dump."""
        wanted = set(patterns)
        if not wanted or len(self._starts) == 0 or len(addresses) == 0:
            return [{} for _ in offsets]
        size = len(next(iter(wanted)))
        low, width = min(offsets), max(offsets) - min(offsets) + size
        asked = np.asarray(addresses, np.uint64)
        targets = asked + np.uint64(low)
        index = np.searchsorted(self._starts, targets, side="right").astype(np.int64) - 1
        ends = self._ends[index]  # of an address below all ranges, the last end
        inside = (index >= 0) & (targets >= asked) & (targets < ends)
        whole = inside & (ends - targets >= np.uint64(width))
        places = self._offsets[index[whole]] + (targets[whole] - self._starts[index[whole]])
        table = _Windows(asked[whole], self._read_all(places, width), width)
        found = [table.hits(offset - low, wanted) for offset in offsets]
        others = asked[inside & ~whole] if len(offsets) == 1 else asked[~whole]
        if len(others):  # they run across ranges that touch, or only a part of the bytes is in the dump
            for place, offset in enumerate(offsets):
                across = self._find_across(others, offset, wanted)
                found[place] = dict(sorted({**found[place], **across}.items())) if across else found[place]
        return found

    def read_each(self, addresses: Sequence[int], size: int) -> list[bytes | None]:
        """See `Memory.read_each`: one search over all addresses, then one batch of reads."""
        if len(addresses) <= _FEW or len(self._starts) == 0 or size <= 0:
            return [self.read(address, size) for address in addresses]
        asked = np.array(addresses, np.uint64)
        index = np.searchsorted(self._starts, asked, side="right").astype(np.int64) - 1
        ends = self._ends[index]
        whole = (index >= 0) & (asked < ends) & (ends - asked >= np.uint64(size))
        data = self._read_all(self._offsets[index[whole]] + (asked[whole] - self._starts[index[whole]]), size)
        pieces = iter([data[at : at + size] for at in range(0, len(data), size)])
        return [
            next(pieces) if is_whole else self.read(address, size)
            for address, is_whole in zip(addresses, whole.tolist(), strict=True)
        ]

    def _read_all(self, places: U64, width: int) -> bytes:
        """Reads at all places, which lie in the file as in the address space: mostly in ascending order."""
        if not np.count_nonzero(places[1:] < places[:-1]):
            return self._source.gather(places.tolist(), width)
        order = np.argsort(places, kind="stable")
        data = np.frombuffer(self._source.gather(places[order].tolist(), width), np.uint8).reshape(-1, width)
        table = np.empty_like(data)
        table[order] = data
        return table.tobytes()

    def _find_across(self, addresses: U64, offset: int, wanted: set[bytes]) -> dict[int, bytes]:
        """Searches addresses whose bytes need not lie in one range."""
        targets = addresses + np.uint64(offset)
        index = np.searchsorted(self._starts, targets, side="right").astype(np.int64) - 1
        begun = (index >= 0) & (targets >= addresses) & (targets < self._ends[index])
        return find_by_reading(self, addresses[begun].tolist(), offset, wanted)

    def held(self) -> int:
        """See `Memory.held`."""
        return int((self._ends - self._starts).sum())

    def ranges(self) -> Sequence[tuple[int, int]]:
        """See `Memory.ranges`."""
        if self._ranges is None:
            starts, ends = self._starts, self._ends
            (apart,) = (starts[1:] != ends[:-1]).nonzero()
            if len(apart) + 1 < len(starts):  # some touch
                starts, ends = starts[np.append(0, apart + 1)], ends[np.append(apart, len(ends) - 1)]
            pairs = _Pairs(starts, ends - starts)
            self._ranges = pairs if len(starts) > _MANY else pairs[:]
        return self._ranges


class _Pairs(Sequence[tuple[int, int]]):
    """Pairs of numbers that are in two arrays."""

    def __init__(self, first: U64, second: U64) -> None:
        self._first, self._second = first, second

    def __len__(self) -> int:
        return len(self._first)

    @overload
    def __getitem__(self, index: int) -> tuple[int, int]: ...
    @overload
    def __getitem__(self, index: slice) -> list[tuple[int, int]]: ...
    def __getitem__(self, index: int | slice) -> tuple[int, int] | list[tuple[int, int]]:
        if isinstance(index, slice):
            return list(zip(self._first[index].tolist(), self._second[index].tolist(), strict=True))
        return int(self._first[index]), int(self._second[index])

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._first.data, self._second.data, strict=True)


_FEW = 128
"""So many windows are compared one by one: an operation on arrays costs as much."""


class _Windows:
    """Bytes at many addresses.

    Args:
        addresses: the addresses.
        data: `width` bytes of each, joined.
        width: how many.
    """

    def __init__(self, addresses: U64, data: bytes, width: int) -> None:
        self._addresses, self._data, self._width = addresses, data, width

    def hits(self, offset: int, wanted: set[bytes]) -> dict[int, bytes]:
        """Returns the addresses that have one of `wanted` at `offset` of their window, with that pattern."""
        size = len(next(iter(wanted)))
        rows: Iterable[int] = range(len(self._addresses))
        if len(self._addresses) > _FEW and size <= 8:
            values = np.zeros((len(self._addresses), 8), np.uint8)
            values[:, :size] = np.frombuffer(self._data, np.uint8).reshape(-1, self._width)[:, offset : offset + size]
            patterns = [int.from_bytes(pattern, "little") for pattern in wanted]
            rows = np.flatnonzero(np.isin(values.view("<u8")[:, 0], np.array(patterns, np.uint64))).tolist()
        found = {}
        for row in rows:
            start = row * self._width + offset
            pattern = self._data[start : start + size]
            if pattern in wanted:
                found[int(self._addresses[row])] = pattern
        return found


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
