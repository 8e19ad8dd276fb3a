"""Finds the bookkeeping memory of a server collector that does not publish it, as in .NET Core 2.1 and 3.1.

It begins with a header: the range of addresses that it is for, its size, and the place of the mark bits in it. The
runtime keeps three of its facts among its variables: both ends of the range, and the address that the card of address 0
would have. Memory whose header agrees with the map, with the collector's segments, and with all three is claimed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dumpmap.model.memory import Memory, unrecorded
from dumpmap.model.winnt import PAGE_SIZE
from dumpmap.structures.bounds import round_up
from dumpmap.structures.gc_dac_vars import Ranges
from dumpmap.structures.layouts import gc as layouts
from dumpmap.structures.recognisers.words import words

_FIELDS = ("Recount", "LowestAddress", "HighestAddress", "MarkArray", "Size")


def bookkeeping_of(
    memory: Memory,
    allocations: Iterable[tuple[int, int]],
    variables: Ranges,
    heap: Sequence[tuple[int, int]],
    width: int,
) -> tuple[int, int] | None:
    """Returns base and size of the bookkeeping memory of a collector; None if there is none or more than one.

    Args:
        memory: the process.
        allocations: base and size of the private allocations that can be it.
        variables: address ranges of the runtime's variables.
        heap: start and end of each range of the managed heap.
        width: 4 or 8, the size of a pointer.
    """
    layout = layouts.CARD_TABLE_INFO_OLD[width]
    part, look = layout.part(*_FIELDS), unrecorded(memory)
    found: dict[tuple[int, int], tuple[int, int, int]] = {}
    for base, room in allocations:
        fields = part.read(look, base)
        if fields is None:
            continue
        count, lowest, highest, marks, size = fields
        covers = bool(heap) and 0 < lowest <= min(heap)[0] and max(end for _, end in heap) <= highest
        if covers and count and layout.size < size <= room and base < marks < base + size:
            # The byte of address 0 may lie before address 0.
            cards = (base + layout.size - (lowest >> layouts.CARD_SHIFT[width] & ~3)) % (1 << 8 * width)
            found[base, round_up(size, PAGE_SIZE)] = (lowest, highest, cards)
    places = _places(memory, variables, {value for values in found.values() for value in values}, width)
    proved = [place for place, values in found.items() if places.keys() >= set(values)]
    if len(proved) != 1:
        return None
    part.read(memory, proved[0][0])
    for value in found[proved[0]]:
        memory.read(places[value], width)
    return proved[0]


def _places(memory: Memory, variables: Ranges, values: set[int], width: int) -> dict[int, int]:
    """Returns where each of the values is among the variables, of those that are there."""
    places: dict[int, int] = {}
    for start, end in variables if values else ():
        for at, run in words(memory, start, end, width):
            for index, word in enumerate(run):
                if word in values:
                    places.setdefault(word, at + index * width)
    return places
