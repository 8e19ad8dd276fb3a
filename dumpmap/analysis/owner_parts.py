"""Parts of owners that another map of the program can have too, and how they differ between two maps.

An owner is found again by its family (its name without an address), its module, and the kind of the part. The instance
of an isolate or heap has another address in every run, so it is paired where it is equal, else by order of size.
Memory without an owner is found again by type and size of its allocations. All parts add up to the map.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal

from dumpmap.analysis.figures import FigureChange
from dumpmap.analysis.measurements import measurements_of
from dumpmap.analysis.owners import Owner, Owners, find_owners
from dumpmap.analysis.ownership import OwnerName
from dumpmap.model.region_map import RegionMap
from dumpmap.model.types import RegionType

InstanceMatch = Literal["instance", "order", "name"]
"""How two instances of an owner were paired: they are equal; both are the n-th largest; each map has only one."""


@dataclass(frozen=True, slots=True)
class PartKey:
    """What a part can be found again by.

    Attributes:
        owner: the family of the owner, in lower case if it is a module; empty for memory without an owner.
        module: file name of the module that holds the owner's code; empty if there is none.
        kind: the kind of the part; empty for memory without an owner.
        type: for allocations without an owner, their type; None for what has no owner in an allocation that has one.
        size_each: for allocations without an owner, their size.
    """

    owner: str
    module: str = ""
    kind: str = ""
    type: RegionType | None = None
    size_each: int = 0


@dataclass(frozen=True, slots=True)
class Figures:
    """Sizes in bytes, and the number of ranges or allocations."""

    size: int = 0
    committed: int = 0
    count: int = 0

    def __add__(self, other: Figures) -> Figures:
        return Figures(self.size + other.size, self.committed + other.committed, self.count + other.count)


FIGURES = tuple(field.name for field in fields(Figures))


@dataclass(frozen=True, slots=True)
class PartChange:
    """A part of an owner on both sides."""

    key: PartKey
    size: FigureChange
    committed: FigureChange
    count: FigureChange


@dataclass(frozen=True, slots=True)
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


def owner_changes(a: RegionMap, b: RegionMap) -> tuple[OwnerChange, ...]:
    """Compares the owners of two maps; those that changed most come first, memory without an owner included."""
    comparable = measurements_of(a).whole and measurements_of(b).whole
    one, other = find_owners(a), find_owners(b)
    changes = [_change(*pair, comparable) for pair in _pairs(one.owners, other.owners)]
    changes.append(_unowned_change(one, other, comparable))
    return tuple(sorted(changes, key=lambda change: (*_weight(change.committed, change.size), change.owner)))


def merged_parts(changes: Iterable[OwnerChange]) -> tuple[PartChange, ...]:
    """Adds up the parts of all instances; those that changed most come first."""
    sums: dict[PartKey, PartChange] = {}
    for part in (part for change in changes for part in change.parts):
        known = sums.get(part.key)
        sums[part.key] = part if known is None else PartChange(part.key, *map(_added, _values(known), _values(part)))
    return tuple(sorted(sums.values(), key=lambda part: (*_weight(part.committed, part.size), *_name(part.key))))


def sum_by_part(owners: Owners) -> dict[PartKey, Figures]:
    """Sums up owners by part, all instances together, and memory without an owner."""
    sums = _unowned(owners)
    for owner in owners.owners:
        for key, figures in _parts(owner).items():
            sums[key] = sums.get(key, Figures()) + figures
    return sums


def _parts(owner: Owner | None) -> dict[PartKey, Figures]:
    if owner is None:
        return {}
    family = _family(owner)
    return {
        PartKey(family, owner.module.lower(), part.kind): Figures(part.size, part.committed, part.count)
        for part in owner.parts
    }


def _family(owner: Owner) -> str:
    # Windows does not tell file names by case, and the loader lists them as they were asked for.
    if owner.owner == owner.module:
        return owner.owner.lower()
    return OwnerName(owner.owner, owner.module, owner.instance).family


def _unowned(owners: Owners) -> dict[PartKey, Figures]:
    sums: dict[PartKey, Figures] = {}
    for group in owners.groups:
        key = PartKey("", type=group.type, size_each=group.size_each)
        sums[key] = sums.get(key, Figures()) + Figures(group.size, group.committed, group.count)
    grouped = sum(sums.values(), Figures())
    left = Figures(owners.unowned_size - grouped.size, owners.unowned_committed - grouped.committed)
    if left.size:
        sums[PartKey("")] = left
    return sums


def _pairs(a: Sequence[Owner], b: Sequence[Owner]) -> Iterator[tuple[Owner | None, Owner | None, InstanceMatch | None]]:
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


def _by_family(owners: Sequence[Owner]) -> dict[tuple[str, str], dict[str, Owner]]:
    families: dict[tuple[str, str], dict[str, Owner]] = {}
    for owner in owners:
        families.setdefault((_family(owner), owner.module.lower()), {})[owner.instance] = owner
    return families


def _change(a: Owner | None, b: Owner | None, match: InstanceMatch | None, comparable: bool) -> OwnerChange:
    known = a or b
    if known is None:
        raise ValueError("an owner of neither map")
    return OwnerChange(
        owner=_family(known),
        module=known.module.lower(),
        instance_a="" if a is None else a.instance,
        instance_b="" if b is None else b.instance,
        match=match,
        size=FigureChange(0 if a is None else a.size, 0 if b is None else b.size, comparable),
        committed=FigureChange(0 if a is None else a.committed, 0 if b is None else b.committed, comparable),
        parts=_part_changes(_parts(a), _parts(b), comparable),
    )


def _unowned_change(a: Owners, b: Owners, comparable: bool) -> OwnerChange:
    return OwnerChange(
        owner="",
        module="",
        instance_a="",
        instance_b="",
        match="name",
        size=FigureChange(a.unowned_size, b.unowned_size, comparable),
        committed=FigureChange(a.unowned_committed, b.unowned_committed, comparable),
        parts=_part_changes(_unowned(a), _unowned(b), comparable),
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
