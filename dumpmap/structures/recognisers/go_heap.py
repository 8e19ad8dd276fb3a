"""The heap of the Go runtime: the variable `mheap_` of a program, found by what it holds.

Go exports nothing and moves fields from version to version, so no offset is assumed beyond what the page allocator has
kept since Go 1.14: slices that describe the levels of a radix tree, whose capacities the address width dictates, and
behind them the bitmaps of the pages. Everything else in `mheap_` is found by what it must agree with.

Source: golang/go, src/runtime/mheap.go, mpagealloc.go, mpagealloc_64bit.go, mpagealloc_32bit.go, malloc.go.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, pairwise

from dumpmap.model.memory import unrecorded
from dumpmap.model.values import value_class
from dumpmap.model.winnt import PAGE_SIZE
from dumpmap.structures.bounds import is_user_address, round_up
from dumpmap.structures.recognisers.protocol import Context
from dumpmap.structures.recognisers.words import Run, word, words

ARENA = 4 << 20
"""Bytes of an arena on Windows, and of what one bitmap describes."""

GO_PAGE = 8192
_PAGES = ARENA // GO_PAGE
_BITMAP = 2 * _PAGES // 8
"""Bytes of a pallocData: a bit for each page in use, and one for each page that was given back to the system."""

MAX_ARENAS = 1 << 18
"""1 TB of heap."""

MAX_PLACES = 1 << 16
"""Variables that are looked at because they have the value of a capacity."""

MAX_LISTS = 16
"""Slices that are looked at because they may list arenas, and pointers because they may lead to an arena map."""

_TAIL = 0x800
"""Bytes behind the bitmaps' pointers that can hold the arena map and the list of arenas; Go 1.27 uses 0x400."""

_MIN_LIST = 64
"""The smallest capacity of a list of arenas or spans that the runtime allocates; in truth 512."""

AMD64 = 0x8664


@value_class(frozen=True, slots=True)
class Widths:
    """What the width of addresses dictates.

    Attributes:
        pointer: bytes of a pointer.
        levels: entries of each level of the summaries, each of 8 bytes.
        joined: whether all levels share one reservation.
        chunk_maps: pointers to maps of bitmaps.
        chunks: bitmaps in such a map.
        map_entries: entries of an arena map.
    """

    pointer: int
    levels: tuple[int, ...]
    joined: bool
    chunk_maps: int
    chunks: int
    map_entries: int


WIDTHS = {
    8: Widths(8, (1 << 14, 1 << 17, 1 << 20, 1 << 23, 1 << 26), False, 1 << 13, 1 << 13, 1 << 20),
    4: Widths(4, (1 << 1, 1 << 4, 1 << 7, 1 << 10), True, 1, 1 << 10, 1 << 10),
}


@value_class(frozen=True, slots=True)
class PageSummaries:
    """The levels of the page allocator's radix tree. `at` is where their slices are; `levels` where each level is."""

    at: int
    levels: tuple[int, ...]


@value_class(frozen=True, slots=True)
class ArenaList:
    """The arenas that the runtime lists.

    Attributes:
        arenas: their addresses, ascending.
        array: address of the list.
        maps: addresses of the arena maps that have an entry for each of them.
        metadata: the entries: where what the runtime knows of each arena is.
        unproved: arenas that are listed, but have no entry in a map or no memory.
    """

    arenas: tuple[int, ...]
    array: int
    maps: tuple[int, ...]
    metadata: tuple[int, ...]
    unproved: int


@value_class(frozen=True, slots=True)
class PageCounts:
    """Pages of arenas, by the bitmaps, which agree with the summaries. `maps` are the bitmaps' allocations."""

    used: int
    free: int
    maps: tuple[int, ...]


class GoReader:
    """Reads the heap of one Go program."""

    def __init__(self, context: Context, pointer: int, machine: int) -> None:
        """`machine` is the program's IMAGE_FILE_MACHINE."""
        self._context = context
        self._space = context.space
        self.memory = context.memory
        self.widths = WIDTHS[pointer]
        # On amd64, indexes count from the lowest canonical address, the start of the kernel's half.
        self._shift = 1 << 47 if machine == AMD64 else 0

    # ------------------------------------------------------------ summaries

    def find_summaries(self, runs: Sequence[Run]) -> PageSummaries | None:
        """Finds the slices of the summaries among a module's variables."""
        width, levels = self.widths.pointer, self.widths.levels
        left = MAX_PLACES
        for base, values in runs:
            for index in islice(_places(values, levels[-1]), left):
                left -= 1
                first = index - 3 * len(levels) + 1
                slices = values[first : index + 1] if first >= 0 else ()
                if tuple(slices[2::3]) == levels and self._are_summaries(slices):
                    at = base + first * width
                    self.memory.read(at, 3 * len(levels) * width)
                    return PageSummaries(at, tuple(slices[0::3]))
        return None

    def _are_summaries(self, slices: Sequence[int]) -> bool:
        """Tells whether each level has the reservation that the runtime makes for it."""
        bases, lengths = slices[0::3], slices[1::3]
        if any(length > capacity for length, capacity in zip(lengths, self.widths.levels, strict=True)):
            return False
        if self.widths.joined:
            steps = [high - low for low, high in pairwise(bases)]
            sizes = [8 * entries for entries in self.widths.levels]
            whole = bases[0], round_up(sum(sizes), PAGE_SIZE)
            return steps == sizes[:-1] and self._space.allocation(bases[0]) == whole
        return all(
            self._space.allocation(base) == (base, 8 * entries)
            for base, entries in zip(bases, self.widths.levels, strict=True)
        )

    # ------------------------------------------------------------ arenas

    def tail(self, summaries: PageSummaries) -> Mapping[int, int]:
        """Returns the words of `mheap_` behind the bitmaps' pointers, by address."""
        start = self._chunk_maps(summaries) + self.widths.chunk_maps * self.widths.pointer
        found: dict[int, int] = {}
        for base, values in words(self.memory, start, start + _TAIL, self.widths.pointer):
            found.update((base + index * self.widths.pointer, value) for index, value in enumerate(values))
        return found

    def find_arenas(self, tail: Mapping[int, int]) -> ArenaList | None:
        """Finds the list of arenas: the longest one whose entries the arena map bears out."""
        slices = [found for found in self.slices(tail) if found[2] <= MAX_ARENAS]
        for at, array_at, count in sorted(slices, key=lambda found: (-found[2], found[0]))[:MAX_LISTS]:
            listed = self._arenas_at(tail, array_at, count)
            if listed is not None:
                self.memory.read(at, 3 * self.widths.pointer)
                self.memory.read(array_at, count * self.widths.pointer)
                return listed
        return None

    def slices(self, tail: Mapping[int, int]) -> Iterator[tuple[int, int, int]]:
        """Yields what may be slices of a list of the runtime: where the slice is, its array, and its length."""
        width = self.widths.pointer
        for at, pointer in tail.items():
            count, capacity = tail.get(at + width, 0), tail.get(at + 2 * width, 0)
            if capacity >= _MIN_LIST and 0 < count <= capacity and self.is_pointer(pointer):
                yield at, pointer, count

    def _arenas_at(self, tail: Mapping[int, int], array_at: int, count: int) -> ArenaList | None:
        width = self.widths.pointer
        data = unrecorded(self.memory).read(array_at, count * width)
        if data is None:
            return None
        indexes = sorted({int.from_bytes(data[at : at + width], "little") for at in range(0, len(data), width)})
        addresses = {index: index * ARENA - self._shift for index in indexes}
        held = [index for index in indexes if self._holds(addresses[index], ARENA)]
        if len(indexes) != count or not held:
            return None
        size = round_up(self.widths.map_entries * width, PAGE_SIZE)
        positions = [at for at, pointer in tail.items() if self._space.allocation(pointer) == (pointer, size)]
        for position in positions[:MAX_LISTS]:
            entries = self._entries(position, held)
            if entries:
                arenas = tuple(addresses[index] for index in held if index in entries)
                maps = {pointer for pointer, _ in entries.values()}
                metadata = tuple(entry for _, entry in entries.values())
                return ArenaList(arenas, array_at, tuple(sorted(maps)), metadata, count - len(arenas))
        return None

    def _entries(self, position: int, indexes: Sequence[int]) -> dict[int, tuple[int, int]]:
        """The arena map and its entry, of each arena that has one. `position` points to the first arena's map."""
        width, per_map = self.widths.pointer, self.widths.map_entries
        size = round_up(per_map * width, PAGE_SIZE)
        found: dict[int, tuple[int, int]] = {}
        for first, last in _runs(indexes, per_map):
            at = position + (first // per_map - indexes[0] // per_map) * width
            pointer = word(unrecorded(self.memory), at, width)
            if pointer is None or self._space.allocation(pointer) != (pointer, size):
                continue
            place, length = pointer + first % per_map * width, (last - first + 1) * width
            data = unrecorded(self.memory).read(place, length)
            if data is None:
                continue
            self.memory.read(at, width)
            self.memory.read(place, length)
            for offset in range(0, length, width):
                entry = int.from_bytes(data[offset : offset + width], "little")
                if self.is_pointer(entry):
                    found[first + offset // width] = pointer, entry
        return found

    def _holds(self, address: int, size: int) -> bool:
        """Tells whether an allocation of the process holds [address, address + size)."""
        allocation = self._space.allocation(address) if is_user_address(address, self.widths.pointer) else None
        return allocation is not None and address + size <= sum(allocation)

    def is_pointer(self, value: int) -> bool:
        """Tells whether a word can be a pointer into an allocation."""
        width = self.widths.pointer
        return value % 4 == 0 and is_user_address(value, width) and self._space.allocation(value) is not None

    # ------------------------------------------------------------ pages

    def _chunk_maps(self, summaries: PageSummaries) -> int:
        return summaries.at + 3 * len(self.widths.levels) * self.widths.pointer

    def count_pages(self, summaries: PageSummaries, arenas: Sequence[int]) -> PageCounts | None:
        """Counts the pages of arenas in use; None unless every bitmap agrees with its summary."""
        indexes = [(address + self._shift) // ARENA for address in arenas]
        used, free, maps = 0, 0, set()
        packed = (_PAGES - 1).bit_length() + 3 * (len(self.widths.levels) - 1)
        for first, last in _runs(indexes, self.widths.chunks):
            at = self._chunk_maps(summaries) + first // self.widths.chunks * self.widths.pointer
            pointer = word(self.memory, at, self.widths.pointer)
            size = self.widths.chunks * _BITMAP
            if pointer is None or self._space.allocation(pointer) != (pointer, size):
                return None
            count = last - first + 1
            bitmaps = self.memory.read(pointer + first % self.widths.chunks * _BITMAP, count * _BITMAP)
            leaves = self.memory.read(summaries.levels[-1] + 8 * first, 8 * count)
            if bitmaps is None or leaves is None:
                return None
            maps.add(pointer)
            for number in range(count):
                bits = int.from_bytes(bitmaps[number * _BITMAP : number * _BITMAP + _PAGES // 8], "little")
                leaf = int.from_bytes(leaves[8 * number : 8 * number + 8], "little")
                if not leaf and not bits:
                    continue  # the allocator was not given these pages yet
                if summary_of(bits, packed) != leaf:
                    return None
                used += bits.bit_count()
                free += _PAGES - bits.bit_count()
        return PageCounts(used, free, tuple(sorted(maps)))


def summary_of(bits: int, packed: int) -> int:
    """Packs what the runtime keeps of a bitmap: free pages at its start, in its longest run, and at its end.

    Each takes `packed` bits.
    """
    runs = [len(run) for run in format(bits, f"0{_PAGES}b").split("1")]
    return runs[-1] | max(runs) << packed | runs[0] << 2 * packed


def _places(values: array[int], wanted: int) -> Iterator[int]:
    """Yields the indexes of a value."""
    index = -1
    while True:
        try:
            index = values.index(wanted, index + 1)
        except ValueError:
            return
        yield index


def _runs(indexes: Sequence[int], block: int) -> Iterator[tuple[int, int]]:
    """Yields the first and last of each run of successive indexes; no run crosses a multiple of `block`."""
    first = last = -1
    for index in indexes:
        if first >= 0 and index == last + 1 and index % block:
            last = index
            continue
        if first >= 0:
            yield first, last
        first = last = index
    if first >= 0:
        yield first, last
