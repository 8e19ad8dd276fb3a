"""Owners for programs: the JSON document, the CSV table, and the data frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dumpmap.analysis.owners import Group, Owner, Owners
from dumpmap.model.region_map import RegionMap
from dumpmap.views.documents import head
from dumpmap.views.owner_rows import OwnersBy, OwnersSort
from dumpmap.views.owners import owners_by
from dumpmap.views.pointers import pointer_document
from dumpmap.views.table import Column, Table
from dumpmap.wording.text import hex_text

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = (
    Column("owner"),
    Column("module"),
    Column("instance"),
    Column("kind"),
    Column("address", "address"),
    Column("size_each", "size"),
    Column("state"),
    Column("protection"),
    Column("size", "size"),
    Column("committed", "size"),
    Column("count", "count"),
    Column("inferred", "flag"),
    Column("inferred_committed", "size"),
    Column("evidence"),
)
_NAMES = [column.name for column in _COLUMNS]
_INTEGERS = ("size_each", "size", "committed", "count", "inferred_committed")


def owner_table(region_map: RegionMap, owners: Owners, by: OwnersBy, sort: OwnersSort = OwnersSort.size) -> Table:
    """Returns a row per owner, or what else `by` says, and per group of allocations without one, the largest first.

    The owner of a group is empty, and its columns say what its allocations have in common. The last row without an
    owner, which has no `size_each`, is what owners leave of allocations that they have a part of.
    """
    rows = list(_rows(owners, by))
    figure, size = _NAMES.index(sort), _NAMES.index("size")
    rows.sort(key=lambda row: (-row[figure], -row[size], row[0], row[2]))
    # By kind, a row is of one kind; else the column lists the largest.
    columns = _COLUMNS if by in (OwnersBy.kind, OwnersBy.size) else [*map(_of_several, _COLUMNS)]
    return Table(tuple(columns), rows, region_map.address_width)


def _of_several(column: Column) -> Column:
    return replace(column, name="kinds") if column.name == "kind" else column


def _rows(owners: Owners, by: OwnersBy) -> Iterator[list[Any]]:
    shared = [None, None, "", ""]
    if by is OwnersBy.kind:
        for owner in owners.owners:
            for part in owner.parts:
                figures = (part.size, part.committed, part.count, part.inferred, part.inferred_committed)
                yield [owner.owner, owner.module, owner.instance, part.kind, *shared, *figures, "+".join(part.evidence)]
    elif by is not OwnersBy.size:
        for one in owners_by(owners.owners, by):
            figures = (one.size, one.committed, one.allocations, one.inferred, one.inferred_committed)
            yield [one.name, one.module, one.instance, one.parts_text, *shared, *figures, one.evidence]
    for group in owners.groups:
        alike = (group.address, group.size_each, group.state, group.protection)
        yield ["", "", "", group.type.label, *alike, group.size, group.committed, group.count, False, 0, ""]
    rest = owners.unowned_size - sum(group.size for group in owners.groups)
    if rest:
        committed = owners.unowned_committed - sum(group.committed for group in owners.groups)
        yield ["", "", "", "", *shared, rest, committed, None, False, 0, ""]


def owner_frame(region_map: RegionMap, owners: Owners) -> pd.DataFrame:
    """Returns the rows of `owner_table` by kind; see `RegionMap.owners`."""
    import pandas as pd

    frame = pd.DataFrame(owner_table(region_map, owners, OwnersBy.kind).rows, columns=_NAMES)
    return frame.astype({**dict.fromkeys(_INTEGERS, "Int64"), "address": "UInt64"})


def owner_document(
    region_map: RegionMap,
    owners: Owners,
    sort: OwnersSort = OwnersSort.size,
) -> dict[str, Any]:
    """Returns `dumpmap.owners/1`."""

    def ordered(items: Sequence[Any]) -> list[Any]:
        return sorted(items, key=lambda item: -getattr(item, sort))  # they are sorted by size

    return {
        **head("dumpmap.owners/1", region_map),
        "owners": [_owner_document(owner) for owner in ordered(owners.owners)],
        "groups": [
            {**group_document(group), "size": group.size, "committed": group.committed}
            for group in ordered(owners.groups)
        ],
        "unowned": {
            "size": owners.unowned_size,
            "committed": owners.unowned_committed,
            "allocations": owners.unowned_allocations,
        },
        "private_committed": owners.private_committed,
        "owned_share": owners.owned_share,
        "owned_share_facts": owners.owned_share_facts,
        "pointers": pointer_document(region_map.pointers),
    }


def group_document(group: Group) -> dict[str, Any]:
    """Returns what the allocations of a group have in common."""
    return {
        "address": hex_text(group.address),
        "type": group.type.label,
        "size_each": group.size_each,
        "state": group.state,
        "protection": group.protection or None,
        "count": group.count,
    }


def _owner_document(owner: Owner) -> dict[str, Any]:
    facts = owner.facts
    return {
        "owner": owner.owner,
        "module": owner.module or None,
        "version": None if facts is None else facts.version,
        "instance": owner.instance or None,
        "size": owner.size,
        "committed": owner.committed,
        "allocations": owner.allocations,
        "inferred": owner.inferred,
        "inferred_committed": owner.inferred_committed,
        "evidence": list(owner.evidence),
        "facts": {
            "heap_used": None if facts is None else facts.used,
            "heap_limit": None if facts is None else facts.limit,
        },
        "parts": [
            {
                "kind": part.kind,
                "size": part.size,
                "committed": part.committed,
                "count": part.count,
                "inferred": part.inferred,
                "inferred_committed": part.inferred_committed,
            }
            for part in owner.parts
        ],
    }
