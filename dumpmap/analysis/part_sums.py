"""The memory of a map by owner and part, in terms that another map of the program shares.

A VMMap file names owners and kinds in VMMap's words, and most of them not at all. Beside a map that knows them, its
allocations therefore belong to whom they belong to there: each allocation that both maps have is laid over the one of
the other map, and its pages are counted for the part that the pages at the same offset are of. What no other map has
is counted for what is known of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from dumpmap.analysis.changes import NONE, Index
from dumpmap.analysis.matching import Pairs
from dumpmap.analysis.ownership import NO_OWNER, NOBODY, OwnerName, ownership_of
from dumpmap.analysis.part_kinds import PartKinds
from dumpmap.analysis.runs import runs_of_rows
from dumpmap.model.pieces import BlockColumns
from dumpmap.model.region_map import RegionMap
from dumpmap.model.snapshot import I64, U64
from dumpmap.model.types import RegionType
from dumpmap.model.values import value_class

_SHARED = -1


@value_class(frozen=True, slots=True)
class PartKey:
    """What a part can be found again by.

    Attributes:
        owner: the family of the owner, in lower case if it is a module; empty for memory without an owner.
        module: file name of the module that holds the owner's code; empty if there is none.
        kind: the kind of the part; empty for memory without an owner, and where it is unknown.
        type: for allocations without an owner, their type; None for what has no owner in an allocation that has one.
        size_each: for allocations without an owner, their size.
    """

    owner: str
    module: str = ""
    kind: str = ""
    type: RegionType | None = None
    size_each: int = 0


@value_class(frozen=True, slots=True)
class Figures:
    """Sizes in bytes, and the number of ranges or allocations."""

    size: int = 0
    committed: int = 0
    count: int = 0

    def __add__(self, other: Figures) -> Figures:
        return Figures(self.size + other.size, self.committed + other.committed, self.count + other.count)


FIGURES = tuple(field.name for field in fields(Figures))


@value_class(frozen=True, slots=True)
class Part:
    """A part of an owner; memory without an owner has `NO_OWNER`."""

    name: OwnerName
    key: PartKey


Sums = Mapping[Part, Figures]


@value_class(frozen=True, slots=True)
class Known:
    """Another map, which knows owners, and its allocations that are those of the map in question.

    Attributes:
        map: the other map.
        pairs: the map in question is their first.
    """

    map: RegionMap
    pairs: Pairs


def family_of(name: OwnerName) -> str:
    """Returns the owner as another map of the program has it."""
    # Windows does not tell file names by case, and the loader lists them as they were asked for.
    return name.owner.lower() if name.owner == name.module else name.family


def sum_parts(region_map: RegionMap, known: Sequence[Known] = ()) -> Sums:
    """Sums up a map by part.

    Args:
        region_map: the map.
        known: other maps that know owners, if this one does not. The first one that has an allocation decides.
    """
    own = _rows_of(region_map)
    sums = _Sums()
    if not known:
        sums.add(own.parts, own.part, own.rows.size, own.rows.committed, own.count)
        return sums.by_part
    columns = region_map.allocation_columns
    left = np.ones(len(columns.base), np.bool_)
    owners: dict[OwnerName, set[OwnerName]] = {}
    for one in known:
        theirs = _rows_of(one.map)
        target, shift = _targets(region_map, one, left)
        left &= target == NONE
        pieces = _laid_over(own, theirs, target, shift)
        sums.add(theirs.parts, theirs.part[pieces.row], pieces.size, pieces.committed, np.zeros_like(pieces.size))
        also = np.isin(theirs.rows.allocation, target[target != NONE])
        nothing = np.zeros(int(also.sum()), np.int64)
        sums.add(theirs.parts, theirs.part[also], nothing, nothing, theirs.count[also])
        met = np.unique(own.part[pieces.of] * len(theirs.parts) + theirs.part[pieces.row])
        for mine, other in (divmod(code, len(theirs.parts)) for code in met.tolist()):
            owners.setdefault(own.parts[mine].name, set()).add(theirs.parts[other].name)
    alone = left[own.rows.allocation]
    parts = [_in_known_words(part, owners.get(part.name, set())) for part in own.parts]
    sums.add(parts, own.part[alone], own.rows.size[alone], own.rows.committed[alone], own.count[alone])
    return sums.by_part


class _Sums:
    """Figures by part, added up from rows."""

    def __init__(self) -> None:
        self.by_part: dict[Part, Figures] = {}

    def add(self, parts: Sequence[Part], codes: I64, size: I64, committed: I64, count: I64) -> None:
        counted = codes != NONE
        totals = [
            np.bincount(codes[counted], weights=values[counted].astype(np.float64), minlength=len(parts)).tolist()
            for values in (size, committed, count)
        ]
        used = np.bincount(codes[counted], minlength=len(parts)).tolist()
        for part, rows, *figures in zip(parts, used, *totals, strict=True):
            if rows:
                self.by_part[part] = self.by_part.get(part, Figures()) + Figures(*map(int, figures))


def _in_known_words(part: Part, owners: set[OwnerName]) -> Part:
    """Names a part of a map without owners; `owners` are those that its owner is in maps that know them."""
    if part.name == NO_OWNER:
        return part
    name = owners.copy().pop() if len(owners) == 1 and NO_OWNER not in owners else part.name
    kind = part.key.kind if part.key.kind == RegionType.IMAGE.label else ""
    return Part(name, PartKey(family_of(name), name.module.lower(), kind))


# ---------------------------------------------------------------- rows


@dataclass(frozen=True, eq=False)
class _Rows:
    """The rows of a map with their parts.

    Attributes:
        rows: the rows.
        part: index into `parts` by row; `NONE` for rows that do not count.
        count: what each row adds to the number of ranges (or allocations, for memory without an owner).
        parts: the parts.
    """

    rows: BlockColumns
    part: I64
    count: I64
    parts: list[Part]


def _rows_of(region_map: RegionMap) -> _Rows:
    ownership = ownership_of(region_map)
    rows, columns = ownership.rows, region_map.allocation_columns
    kinds = PartKinds(region_map, ownership)
    owned, counted = ownership.owner != NOBODY, rows.type != int(RegionType.UNUSABLE)
    shared = np.zeros(len(columns.base), np.bool_)
    shared[rows.allocation[owned | ~counted]] = True
    alone = ~owned & ~shared[rows.allocation]
    what = np.where(alone, columns.type[rows.allocation].astype(np.int64), _SHARED)
    size_each = np.where(alone, columns.size[rows.allocation], 0)
    keys = (ownership.owner, np.where(owned, kinds.codes, what), size_each)
    part = np.full(len(rows.base), NONE, np.int64)
    parts: list[Part] = []
    (places,) = np.nonzero(counted)
    for (owner, code, each), members in runs_of_rows([key[places] for key in keys]):
        part[places[members]] = len(parts)
        name = NO_OWNER if owner == NOBODY else ownership.names[owner]
        kind = kinds.text(code, name) if owner != NOBODY else ""
        region_type = RegionType(code) if owner == NOBODY and code != _SHARED else None
        parts.append(Part(name, PartKey(family_of(name), name.module.lower(), kind, region_type, each)))
    first = np.diff(rows.allocation, prepend=-1) != 0
    return _Rows(rows, part, (owned | (alone & first)).astype(np.int64), parts)


@dataclass(frozen=True, eq=False)
class _Pieces:
    """Rows of one map, cut where the rows of another begin.

    Attributes:
        of: the row that each is a piece of.
        row: the other map's row that it lies on.
        size: bytes.
        committed: bytes.
    """

    of: Index
    row: Index
    size: I64
    committed: I64


def _targets(region_map: RegionMap, known: Known, left: npt.NDArray[np.bool_]) -> tuple[Index, U64]:
    """Returns for every allocation the one in the other map, or `NONE`, and how far its bytes are from there."""
    pairs, base = known.pairs, region_map.allocation_columns.base
    target = np.full(len(base), NONE, np.intp)
    target[pairs.further_a] = pairs.further_b
    shift = np.zeros(len(base), np.uint64)
    target[pairs.a] = pairs.b
    shift[pairs.a] = known.map.allocation_columns.base[pairs.b] - base[pairs.a]  # unsigned numbers wrap around
    target[~left] = NONE
    return target, shift


def _laid_over(own: _Rows, theirs: _Rows, target: Index, shift: U64) -> _Pieces:
    """Lays rows over those of the allocations `target`, which can be at other addresses."""
    (of,) = np.nonzero((target[own.rows.allocation] != NONE) & (own.part != NONE))
    allocation = own.rows.allocation[of]
    on, base = target[allocation], theirs.rows.base
    start = own.rows.base[of] + shift[allocation]
    size = own.rows.size[of]
    end = start + size.astype(np.uint64)
    first = np.searchsorted(theirs.rows.allocation, on, side="left")
    last = np.searchsorted(theirs.rows.allocation, on, side="right") - 1
    low = np.clip(np.searchsorted(base, start, side="right") - 1, first, last)
    high = np.clip(np.searchsorted(base, end, side="left") - 1, low, last)
    counts = high - low + 1
    which = np.repeat(np.arange(len(of)), counts)
    row = low[which] + np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
    begin = np.where(row == low[which], start[which], base[row]) - start[which]
    following = base[np.minimum(row + 1, len(base) - 1)]
    finish = np.where(row == high[which], end[which], following) - start[which]
    # A row is committed as a whole or not at all, except where a file states less than its pages.
    share = (own.rows.committed[of] / np.maximum(size, 1))[which]
    committed = np.rint(finish * share) - np.rint(begin * share)
    return _Pieces(of[which], row, (finish - begin).astype(np.int64), committed.astype(np.int64))
