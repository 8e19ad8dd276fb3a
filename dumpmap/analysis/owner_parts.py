"""Parts of owners that another map of the program can have too, and how they differ between two maps.

An owner is found again by its family (its name without an address), its module, and the kind of the part. The instance
of an isolate or heap has another address in every run, so it is paired where it is equal, else by order of size.
Memory without an owner is found again by type and size of its allocations. All parts add up to the map.

Where only one of the maps knows owners, because the other is a VMMap file, an allocation of both has the same owner.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import Literal

from dumpmap.analysis.figures import FigureChange
from dumpmap.analysis.matching import Pairs
from dumpmap.analysis.measurements import measurements_of
from dumpmap.analysis.ownership import NO_OWNER, OwnerName
from dumpmap.analysis.part_sums import FIGURES, Figures, Known, PartKey, Sums, family_of, sum_parts
from dumpmap.analysis.subjects import has_foreign_kinds
from dumpmap.model.region_map import RegionMap
from dumpmap.model.values import value_class

InstanceMatch = Literal["instance", "order", "name"]
"""How two instances of an owner were paired: they are equal; both are the n-th largest; each map has only one."""


@value_class(frozen=True, slots=True)
class PartChange:
    """A part of an owner on both sides."""

    key: PartKey
    size: FigureChange
    committed: FigureChange
    count: FigureChange


@value_class(frozen=True, slots=True)
class OwnerChange:
    """An owner, or one of its instances, on both sides.

    Attributes:
        owner: the family of the owner; empty for all memory without an owner.
        module: file name of the module that holds its code; empty if there is none.
        instance_a: which isolate, virtual machine, or heap in the first map; empty if there is only one or none.
        instance_b: the same in the second map.
        match: how the instances were paired; None if only one map has the owner.
        size: address space.
        committed: committed bytes.
        parts: the parts of both sides, the largest first.
    """

    owner: str
    module: str
    instance_a: str
    instance_b: str
    match: InstanceMatch | None
    size: FigureChange
    committed: FigureChange
    parts: tuple[PartChange, ...]


@value_class(frozen=True, slots=True)
class _Holding:
    """What an owner has in one map."""

    name: OwnerName
    parts: dict[PartKey, Figures] = field(default_factory=dict)

    @property
    def total(self) -> Figures:
        return sum(self.parts.values(), Figures())


def owner_changes(a: RegionMap, b: RegionMap, pairs: Pairs) -> tuple[OwnerChange, ...]:
    """Compares the owners of two maps; those that changed most come first, memory without an owner included.

    Args:
        a: the first map.
        b: the second map.
        pairs: the allocations that they have in common.
    """
    comparable = measurements_of(a).whole and measurements_of(b).whole
    foreign_a, foreign_b = has_foreign_kinds(a), has_foreign_kinds(b)
    one = _holdings(sum_parts(a, [Known(b, pairs)] if foreign_a and not foreign_b else ()))
    other = _holdings(sum_parts(b, [Known(a, pairs.backwards())] if foreign_b and not foreign_a else ()))
    nobody = _change(one.pop(NO_OWNER, _Holding(NO_OWNER)), other.pop(NO_OWNER, None), "name", comparable)
    changes = [_change(*pair, comparable) for pair in _pairs(_by_size(one), _by_size(other))]
    return tuple(sorted([*changes, nobody], key=lambda change: (*_weight(change.committed, change.size), change.owner)))


def _holdings(sums: Sums) -> dict[OwnerName, _Holding]:
    holdings: dict[OwnerName, _Holding] = {}
    for part, figures in sums.items():
        parts = holdings.setdefault(part.name, _Holding(part.name)).parts
        parts[part.key] = parts.get(part.key, Figures()) + figures
    return holdings


def _by_size(holdings: Mapping[OwnerName, _Holding]) -> list[_Holding]:
    return sorted(holdings.values(), key=lambda one: (-one.total.size, one.name.owner, one.name.instance))


def merged_parts(changes: Iterable[OwnerChange]) -> tuple[PartChange, ...]:
    """Adds up the parts of all instances; those that changed most come first."""
    sums: dict[PartKey, PartChange] = {}
    for part in (part for change in changes for part in change.parts):
        known = sums.get(part.key)
        sums[part.key] = part if known is None else PartChange(part.key, *map(_added, _values(known), _values(part)))
    return tuple(sorted(sums.values(), key=lambda part: (*_weight(part.committed, part.size), *_name(part.key))))


def _pairs(
    a: Sequence[_Holding], b: Sequence[_Holding]
) -> Iterator[tuple[_Holding | None, _Holding | None, InstanceMatch | None]]:
    """Pairs the owners of two maps; both are sorted by size."""
    sides = [_by_family(a), _by_family(b)]
    for key in dict.fromkeys([*sides[0], *sides[1]]):
        one, other = (side.get(key, {}) for side in sides)
        equal = [instance for instance in one if instance in other]
        for instance in equal:
            yield one[instance], other[instance], "instance" if instance else "name"
        left = [owner for instance, owner in one.items() if instance not in equal]
        right = [owner for instance, owner in other.items() if instance not in equal]
        how: InstanceMatch = "name" if len(one) == len(other) == 1 else "order"
        both = min(len(left), len(right))
        yield from ((left[place], right[place], how) for place in range(both))
        yield from ((owner, None, None) for owner in left[both:])
        yield from ((None, owner, None) for owner in right[both:])


def _by_family(owners: Sequence[_Holding]) -> dict[tuple[str, str], dict[str, _Holding]]:
    families: dict[tuple[str, str], dict[str, _Holding]] = {}
    for owner in owners:
        families.setdefault((family_of(owner.name), owner.name.module.lower()), {})[owner.name.instance] = owner
    return families


def _change(a: _Holding | None, b: _Holding | None, match: InstanceMatch | None, comparable: bool) -> OwnerChange:
    known = a or b
    if known is None:
        raise ValueError("an owner of neither map")
    one, other = (Figures() if side is None else side.total for side in (a, b))
    return OwnerChange(
        owner=family_of(known.name),
        module=known.name.module.lower(),
        instance_a="" if a is None else a.name.instance,
        instance_b="" if b is None else b.name.instance,
        match=match,
        size=FigureChange(one.size, other.size, comparable),
        committed=FigureChange(one.committed, other.committed, comparable),
        parts=_part_changes({} if a is None else a.parts, {} if b is None else b.parts, comparable),
    )


def _part_changes(
    a: Mapping[PartKey, Figures], b: Mapping[PartKey, Figures], comparable: bool
) -> tuple[PartChange, ...]:
    changes = []
    for key in dict.fromkeys([*a, *b]):
        one, other = a.get(key, Figures()), b.get(key, Figures())
        figures = (FigureChange(getattr(one, name), getattr(other, name), comparable) for name in FIGURES)
        changes.append(PartChange(key, *figures))
    return tuple(sorted(changes, key=lambda part: (-max(part.size.a or 0, part.size.b or 0), *_name(part.key))))


def _values(part: PartChange) -> tuple[FigureChange, ...]:
    return part.size, part.committed, part.count


def _added(one: FigureChange, other: FigureChange) -> FigureChange:
    return FigureChange((one.a or 0) + (other.a or 0), (one.b or 0) + (other.b or 0), one.comparable)


def _weight(committed: FigureChange, size: FigureChange) -> tuple[float, ...]:
    """Sorts by the change of committed memory, then of address space, then by size."""
    return -abs(committed.delta or 0), -abs(size.delta or 0), -max(size.a or 0, size.b or 0)


def _name(key: PartKey) -> tuple[str, str, str, int, int]:
    return key.owner, key.module, key.kind, -1 if key.type is None else int(key.type), key.size_each
