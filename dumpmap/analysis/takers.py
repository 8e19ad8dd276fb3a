"""Who took the private memory of a process: the few owners, or groups of allocations without one, that have most."""

from __future__ import annotations

from dumpmap.analysis.owners import Group, find_owners
from dumpmap.model.region_map import RegionMap
from dumpmap.model.types import PRIVATE_TYPES
from dumpmap.model.values import value_class

MOST_ALLOCATIONS = 50_000
"""A map with more allocations is not searched here: this belongs to documents that must stay fast."""

MOST = 5


@value_class(frozen=True, slots=True)
class Taker:
    """An owner, all its instances together, or a group of equal allocations without an owner. Sizes are bytes.

    Attributes:
        owner: who; empty for a group.
        group: the group; None for an owner.
        size: private address space.
        committed: committed bytes of it.
    """

    owner: str
    group: Group | None
    size: int
    committed: int

    @property
    def reserved(self) -> int:
        """Address space that is reserved and not committed."""
        return self.size - self.committed


@value_class(frozen=True, slots=True)
class Takers:
    """Those who took most.

    Attributes:
        committed: those with most committed memory.
        reserved: those with most memory that is reserved and not committed.
    """

    committed: tuple[Taker, ...]
    reserved: tuple[Taker, ...]

    @property
    def all(self) -> tuple[Taker, ...]:
        """Both lists in one, each taker once, by address space."""
        both = dict.fromkeys((*self.committed, *self.reserved))
        return tuple(sorted(both, key=lambda one: (-one.size, -one.committed)))


def who_took_it(region_map: RegionMap, most: int = MOST) -> Takers | None:
    """Finds those who took most private memory; None for a map without a list of regions or a very large one.

    Args:
        region_map: the map.
        most: the length of each list.
    """
    if region_map.partial or len(region_map.space) > MOST_ALLOCATIONS:
        return None
    owners = find_owners(region_map, PRIVATE_TYPES)
    named: dict[str, Taker] = {}
    for owner in owners.owners:
        known = named.get(owner.owner, Taker(owner.owner, None, 0, 0))
        named[owner.owner] = Taker(owner.owner, None, known.size + owner.size, known.committed + owner.committed)
    takers = [*named.values(), *(Taker("", group, group.size, group.committed) for group in owners.groups)]
    by_commit = sorted((one for one in takers if one.committed), key=lambda one: (-one.committed, -one.size, one.owner))
    by_reserve = sorted((one for one in takers if one.reserved), key=lambda one: (-one.reserved, -one.size, one.owner))
    return Takers(tuple(by_commit[:most]), tuple(by_reserve[:most]))
