"""Matching the allocations of two maps.

The ways are tried in this order. What remains was added or removed.

1. `base`: the same base and the same identity (a module, thread, heap and role, mapped file, or kind of named region);
2. `identity`: the same identity at another base. Modules and stacks move between two runs, and modules within one;
3. `same place`: the same base and size, where one of the two has no identity: the same memory, labelled otherwise.
   Between a VMMap file and another input of the same process, this comes second and needs no identity. In such a file
   an allocation of several types is several allocations, which count as one here;
4. `shape`: only between different processes, anonymous memory of the same type, size, and commit, as far as the
   numbers go.

On Windows the size of an allocation never changes, so anonymous memory at one base with another size is another
allocation. Everything is done on whole columns: a process can have a million allocations.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dumpmap.analysis.changes import MATCHES, NONE, STATUSES, Changes, Index
from dumpmap.analysis.measurements import measurements_of
from dumpmap.analysis.subjects import has_foreign_kinds, namings_of
from dumpmap.model.region_map import RegionMap
from dumpmap.model.snapshot import I64, U64
from dumpmap.model.types import RegionType

_FIGURES = ("size", "committed", "private")

Figures = Mapping[str, I64]
"""Size, committed, and private bytes by allocation."""


@dataclass
class _Side:
    """One map while allocations are matched. Figures of an allocation of which the map has pieces are at the first."""

    base: U64
    size: I64
    committed: I64
    private: I64
    type: npt.NDArray[np.uint8]
    key: I64
    named: npt.NDArray[np.bool_]
    left: npt.NDArray[np.bool_]


def _sides(a: RegionMap, b: RegionMap, same: bool, by_kind: bool) -> tuple[_Side, _Side]:
    """Gives every allocation of both maps a number that is equal where type and identity are."""
    keys: dict[tuple[RegionType, Hashable | None], int] = {}
    sides = []
    for region_map in (a, b):
        columns = region_map.allocation_columns
        namings, inverse = namings_of(region_map)
        identities = [naming.identity(same_process=same, by_kind=by_kind) for naming in namings]
        codes = np.array(
            [keys.setdefault((naming.type, own), len(keys)) for naming, own in zip(namings, identities, strict=True)],
            np.int64,
        )
        named = np.array([own is not None for own in identities], np.bool_)
        sides.append(
            _Side(
                base=columns.base,
                size=columns.size,
                committed=columns.committed,
                private=columns.private,
                type=columns.type,
                key=codes[inverse],
                named=named[inverse],
                left=np.ones(len(columns.base), np.bool_),
            )
        )
    return sides[0], sides[1]


@dataclass(frozen=True, eq=False)
class Pairs:
    """The allocations that two maps have in common.

    Attributes:
        a: index of each pair's allocation in the first map.
        b: the same in the second map.
        match: index into `MATCHES`.
        by_kind: whether both maps name kinds with the same words.
        figures_a: size, committed, and private bytes of the first map's allocations.
        figures_b: the same of the second map.
        further_a: index of each further piece in the first map, if an allocation of the second is several in the first
            (its first piece is in `a`), or of the allocation that the piece in `further_b` is of.
        further_b: the same in the second map.
    """

    a: Index
    b: Index
    match: npt.NDArray[np.uint8]
    by_kind: bool
    figures_a: Figures
    figures_b: Figures
    further_a: Index
    further_b: Index

    def backwards(self) -> Pairs:
        """Returns the pairs of the second map with the first."""
        return Pairs(
            self.b,
            self.a,
            self.match,
            self.by_kind,
            self.figures_b,
            self.figures_a,
            self.further_b,
            self.further_a,
        )


def pair_allocations(a: RegionMap, b: RegionMap, same: bool) -> Pairs:
    """Pairs the allocations of two maps.

    Args:
        a: the first map.
        b: the second map.
        same: whether both are of one process.
    """
    by_kind = has_foreign_kinds(a) == has_foreign_kinds(b)
    one, other = _sides(a, b, same, by_kind)
    pieces_a, wholes_b = _join(one, other) if same and not by_kind else _NO_PIECES
    pieces_b, wholes_a = _join(other, one) if same and not by_kind else _NO_PIECES
    windows = a.process.os.family == "windows" or b.process.os.family == "windows"
    fixed = windows and not (a.partial or b.partial)
    found: list[tuple[Index, Index, int]] = []

    def take(first: Index, second: Index, how: str) -> None:
        one.left[first] = False
        other.left[second] = False
        found.append((first, second, MATCHES.index(how)))

    at, there = _same_base(one, other)
    good = one.key[at] == other.key[there]
    if fixed:
        good &= one.named[at] | (one.size[at] == other.size[there])
    take(at[good], there[good], "base")
    if same and not by_kind:
        # Two tools name the same memory differently. In one process the place and the size say that it is the same.
        at, there = _same_base(one, other)
        good = (one.size[at] == other.size[there]) | ((one.type[at] == other.type[there]) & (a.partial or b.partial))
        take(at[good], there[good], "same place")
    # Within one process a heap segment that is elsewhere is another one; modules and mapped files do move.
    movable = np.ones(len(RegionType), np.bool_)
    if same:
        movable[[RegionType.HEAP, RegionType.MANAGED_HEAP, RegionType.PRIVATE_DATA]] = False
    named_by: tuple[tuple[str, ...], ...] = (("size",), ())
    for columns in named_by:
        take(*_equal(one, other, one.named & movable[one.type], other.named & movable[other.type], columns), "identity")
    at, there = _same_base(one, other)
    good = (one.size[at] == other.size[there]) & ~(one.named[at] & other.named[there])
    take(at[good], there[good], "same place")
    if not same:
        shapes: tuple[tuple[str, ...], ...] = (("size", "committed"), ("size",))
        for columns in shapes:
            take(*_equal(one, other, ~one.named, ~other.named, columns), "shape")
    return Pairs(
        np.concatenate([first for first, _, _ in found]),
        np.concatenate([second for _, second, _ in found]),
        np.concatenate([np.full(len(first), match, np.uint8) for first, _, match in found]),
        by_kind,
        _figures(one),
        _figures(other),
        np.concatenate((pieces_a, wholes_a)),
        np.concatenate((wholes_b, pieces_b)),
    )


_NO_PIECES = (np.zeros(0, np.intp), np.zeros(0, np.intp))


def _join(one: _Side, other: _Side) -> tuple[Index, Index]:
    """Joins allocations that together are one allocation of the other map.

    Returns:
        all of them but the first of each, which then has the figures of all; and for each the other map's allocation.
    """
    if len(one.base) == 0 or len(other.base) == 0:
        return _NO_PIECES
    whole = np.searchsorted(other.base, one.base, side="right").astype(np.intp) - 1
    place = np.maximum(whole, 0)
    ends = one.base + one.size.astype(np.uint64)
    inside = (whole >= 0) & (ends <= other.base[place] + other.size[place].astype(np.uint64))
    counts = np.bincount(place[inside], minlength=len(other.base))
    sizes = np.bincount(place[inside], weights=one.size[inside].astype(np.float64), minlength=len(other.base))
    joined = inside & ((counts > 1) & (sizes == other.size))[place]
    first = joined & (one.base == other.base[place])
    further = np.flatnonzero(joined & ~first)
    if len(further) == 0:
        return _NO_PIECES
    for name in _FIGURES:
        values = getattr(one, name)
        sums = np.bincount(place[joined], weights=values[joined].astype(np.float64), minlength=len(other.base))
        setattr(one, name, np.where(first, sums[place].astype(np.int64), values))
    one.left[further] = False
    return further, place[further]


def _figures(side: _Side) -> Figures:
    return {name: getattr(side, name) for name in _FIGURES}


def _same_base(one: _Side, other: _Side) -> tuple[Index, Index]:
    """Pairs what is left and has one base."""
    at, there = np.flatnonzero(one.left), np.flatnonzero(other.left)
    if len(at) == 0 or len(there) == 0:
        return at[:0], there[:0]
    place = np.minimum(np.searchsorted(other.base[there], one.base[at]), len(there) - 1)
    hit = other.base[there][place] == one.base[at]
    return at[hit], there[place[hit]]


def _equal(
    one: _Side,
    other: _Side,
    wanted_one: npt.NDArray[np.bool_],
    wanted_other: npt.NDArray[np.bool_],
    columns: tuple[str, ...],
) -> tuple[Index, Index]:
    """Pairs what is left and equal in key and `columns`; of several equal ones the first with the first, and so on."""
    at, there = np.flatnonzero(one.left & wanted_one), np.flatnonzero(other.left & wanted_other)
    if len(at) == 0 or len(there) == 0:
        return at[:0], there[:0]
    codes = np.concatenate((one.key[at], other.key[there]))
    for column in columns:
        values = np.concatenate((getattr(one, column)[at], getattr(other, column)[there]))
        _, inverse = np.unique(values, return_inverse=True)
        codes = np.unique(codes * (int(inverse.max()) + 1) + inverse, return_inverse=True)[1].astype(np.int64)
    ranks_one, ranks_other = _ranks(codes[: len(at)]), _ranks(codes[len(at) :])
    # A pair of group and rank is unique on each side, so sorting both finds the common ones.
    step = int(max(ranks_one.max(), ranks_other.max())) + 1
    _, first, second = np.intersect1d(
        codes[: len(at)] * step + ranks_one,
        codes[len(at) :] * step + ranks_other,
        assume_unique=True,
        return_indices=True,
    )
    return at[first], there[second]


def _ranks(codes: I64) -> I64:
    """Numbers equal values from 0 on, in their order."""
    order = np.argsort(codes, kind="stable")
    sorted_codes = codes[order]
    starts = np.concatenate(([True], sorted_codes[1:] != sorted_codes[:-1]))
    position = np.arange(len(codes))
    ranks = np.empty(len(codes), np.int64)
    ranks[order] = position - np.maximum.accumulate(np.where(starts, position, 0))
    return ranks


def changes_of(a: RegionMap, b: RegionMap, pairs: Pairs) -> Changes:
    """Sorts the allocations of two maps into what changed and what did not."""
    at, there, how, by_kind = pairs.a, pairs.b, pairs.match, pairs.by_kind
    columns_a, columns_b = a.allocation_columns, b.allocation_columns
    delta = pairs.figures_b["size"][there] - pairs.figures_a["size"][at]
    # Private bytes of a VMMap file are those that the process wrote to; a dump has those that it could write to.
    for column in ("committed", "private") if by_kind else ("committed",):
        other = pairs.figures_b[column][there] - pairs.figures_a[column][at]
        delta = np.where(delta == 0, other, delta)
    differs = columns_a.type[at] != columns_b.type[there]
    if by_kind:
        differs |= columns_a.blocks[at] != columns_b.blocks[there]
        differs |= columns_a.protect[at] != columns_b.protect[there]
        differs |= _texts_differ(a, b, columns_a.kind[at], columns_b.kind[there])
        differs |= _texts_differ(a, b, columns_a.details[at], columns_b.details[there])
    moved = columns_a.base[at] != columns_b.base[there]
    status = np.full(len(at), len(STATUSES), np.uint8)
    status[moved] = STATUSES.index("moved")
    status[differs] = STATUSES.index("changed")
    status[delta < 0] = STATUSES.index("shrunk")
    status[delta > 0] = STATUSES.index("grown")
    if a.partial or b.partial:
        # Without a list of regions only modules are known, by place and size; all else is what happened to be captured.
        known = (columns_a.type[at] == RegionType.IMAGE) & (columns_b.type[there] == RegionType.IMAGE)
        resized = columns_a.size[at] != columns_b.size[there]
        status[~(known & resized)] = len(STATUSES)
        status[known & ~resized & moved] = STATUSES.index("moved")
    same = status == len(STATUSES)
    alone_a, alone_b = _shown(a, b), _shown(b, a)
    alone_a[np.concatenate((at, pairs.further_a))] = False
    alone_b[np.concatenate((there, pairs.further_b))] = False
    removed, added = np.flatnonzero(alone_a), np.flatnonzero(alone_b)
    return Changes(
        map_a=a,
        map_b=b,
        figures_a=pairs.figures_a,
        figures_b=pairs.figures_b,
        status=np.concatenate(
            (
                status[~same],
                np.full(len(removed), STATUSES.index("removed"), np.uint8),
                np.full(len(added), STATUSES.index("added"), np.uint8),
            )
        ),
        match=np.concatenate((how[~same], np.zeros(len(removed) + len(added), np.uint8))),
        a=np.concatenate((at[~same], removed, np.full(len(added), NONE))),
        b=np.concatenate((there[~same], np.full(len(removed), NONE), added)),
        unchanged=int(np.count_nonzero(same)),
    )


def _shown(one: RegionMap, other: RegionMap) -> npt.NDArray[np.bool_]:
    """Which allocations of one map the other would show if it had them too."""
    columns = one.allocation_columns
    if other.partial:
        # Such a map has images from its list of modules only, so it lacks none that is not in such a list.
        shown = np.zeros(len(columns.base), np.bool_)
        if other.snapshot.modules:
            listed = one.space.indices_of([module.base for module in one.snapshot.modules])
            shown[[index for index in listed if index >= 0]] = True
        return np.asarray(shown & (columns.type == RegionType.IMAGE), np.bool_)
    if measurements_of(other).whole or other.end is None:
        return np.ones(len(columns.base), np.bool_)
    return np.asarray(columns.base < other.end, np.bool_)


def _texts_differ(
    a: RegionMap, b: RegionMap, codes_a: npt.NDArray[np.int32], codes_b: npt.NDArray[np.int32]
) -> npt.NDArray[np.bool_]:
    """Compares texts by number: those of `b` are looked up in `a`'s table once each."""
    known = {text: code for code, text in enumerate(a.texts)}
    translate = np.array([known.get(text, NONE) for text in b.texts], np.int64)
    return codes_a != translate[codes_b] if len(codes_b) else np.zeros(0, np.bool_)
