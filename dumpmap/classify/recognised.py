"""Labels for the ranges that recognisers found, such as those of managed heaps."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

import msgspec

from dumpmap.classify.labels import Label, Labels
from dumpmap.model.recognised import LabelledRange
from dumpmap.model.space import AllocationSpace
from dumpmap.model.types import RegionType
from dumpmap.model.winnt import MemType

_PRIVATE_OR_UNKNOWN = (int(MemType.MEM_PRIVATE), 0)
_OR_MAPPED = (*_PRIVATE_OR_UNKNOWN, int(MemType.MEM_MAPPED))
_REST = Label("", "memory-info", RegionType.PRIVATE_DATA)

_Piece = tuple[int, int, LabelledRange]
"""start, end, and the range that covers this part of an allocation."""


class _Views(NamedTuple):
    """Columns of the allocations, for single look-ups."""

    kinds: memoryview
    bases: Sequence[int]
    ends: Sequence[int]
    claimed: memoryview


def label_ranges(ranges: Sequence[LabelledRange], space: AllocationSpace, labels: Labels) -> None:
    """Labels the ranges, owner by owner.

    A range is labelled for exactly what it covers. The row of an allocation gets a label of its own where ranges of one
    owner make up most of it: an owner may take part of an allocation only, because of a reservation it uses what is
    aligned. What such an allocation holds besides stays Private Data.
    """
    if not len(space):
        return
    views = _Views(space.kinds.data, *space.quick_ends, labels.claimed.data)
    for _, owned in groupby(ranges, key=lambda part: (part.owner, part.module)):
        by_allocation: dict[int, list[_Piece]] = {}
        for part in owned:
            if part.takes_allocation:
                _take_allocation(part, labels)
                continue
            label = _label(part)
            for index, start, end in _pieces_of(part, views):
                labels.mark(start, end, label)
                by_allocation.setdefault(index, []).append((start, end, part))
        for index, pieces in by_allocation.items():
            _claim_filled(index, pieces, views, labels)


def _label(part: LabelledRange) -> Label:
    return Label(part.kind, part.evidence, part.type, part.details, part.inferred)


def _take_allocation(part: LabelledRange, labels: Labels) -> None:
    """Labels the range, and the allocation that it starts in."""
    index = labels.allocation(part.base)
    if index < 0:
        return
    label = _label(part)
    labels.mark(part.base, min(part.base + part.size, int(labels.ends[index])), label)
    labels.claim(index, msgspec.structs.replace(label, kind=part.whole_kind or part.kind))


def _pieces_of(part: LabelledRange, views: _Views) -> Iterator[tuple[int, int, int]]:
    """Yields the index of each allocation that the range touches and that is free to be labelled, and the overlap."""
    kinds, bases, ends, claimed = views
    possible = _OR_MAPPED if part.may_be_mapped else _PRIVATE_OR_UNKNOWN
    low, high = part.base, part.base + part.size
    first = max(0, bisect_right(bases, low) - 1)
    for index in range(first, bisect_left(bases, high)):
        start, end = max(low, bases[index]), min(high, ends[index])
        # An earlier rule's label stays, whatever the owner's structures say.
        if start < end and not claimed[index] and kinds[index] in possible:
            yield index, start, end


def _claim_filled(index: int, pieces: Sequence[_Piece], views: _Views, labels: Labels) -> None:
    """Labels an allocation if the pieces make up most of it."""
    base, end = views.bases[index], views.ends[index]
    if 2 * sum(stop - start for start, stop, _ in pieces) <= end - base:
        return
    part = pieces[0][2]
    kind = _whole_kind(piece for _, _, piece in pieces)
    label = Label(kind, part.evidence, part.type, part.module or part.details, part.inferred)
    if not labels.claim(index, label) or part.type is None:
        return
    edges = [(base, base), *((start, stop) for start, stop, _ in pieces), (end, end)]
    for (_, before), (after, _) in pairwise(edges):
        labels.mark(before, after, _REST)


def _whole_kind(parts: Iterable[LabelledRange]) -> str:
    """The kind of an allocation that these ranges fill: the first one that names it, else the first range's own."""
    first = ""
    for part in parts:
        if part.whole_kind is not None:
            return part.whole_kind
        first = first or part.kind
    return first
