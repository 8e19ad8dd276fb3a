"""What `owners` shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dumpmap.analysis.owners import Group, Owner, OwnerPart, Owners
from dumpmap.model.region_map import RegionMap
from dumpmap.model.types import RegionType
from dumpmap.views.blocks import Blank, Block, Paragraph
from dumpmap.views.documents import head
from dumpmap.views.owner_rows import OwnersBy, OwnersSort
from dumpmap.views.pointers import pointer_blocks, pointer_document
from dumpmap.views.table import Column, Table
from dumpmap.wording.owners import group_text
from dumpmap.wording.text import count_words, hex_text, more_text, percent_text, size_words

if TYPE_CHECKING:
    import pandas as pd

SHOWN_ROWS = 20
"""Rows that the text table shows unless it is asked for all."""

_SHOWN_KINDS = 3

OWNER_FRAME_COLUMNS = (
    "owner",
    "module",
    "instance",
    "kind",
    "size_each",
    "size",
    "committed",
    "count",
    "inferred",
    "evidence",
)

OWNER_COLUMNS = (
    Column("owner", folds=True),
    Column("module", shown=False),
    Column("instance", optional=2, folds=True, shown=False),
    Column("size", "size"),
    Column("committed", "size"),
    Column("count", "count"),
    Column("kinds", "text", "Largest parts", optional=1, folds=True),
    Column("evidence", shown=False),
    Column("inferred", "flag"),
)


def owner_table(
    region_map: RegionMap,
    owners: Owners,
    by: OwnersBy,
    *,
    sort: OwnersSort = OwnersSort.size,
    modules: bool = True,
) -> Table:
    """Returns owners and groups of unowned allocations, the largest first.

    Args:
        region_map: the map.
        owners: its owners.
        by: what a row stands for.
        sort: the figure that decides which is the largest.
        modules: list each loaded module; otherwise all of them are one row.
    """
    rows = [] if by is OwnersBy.size else list(_owner_rows(owners, by, modules=modules))
    rows += [_group_row(group, region_map) for group in owners.groups]
    figure = [column.name for column in OWNER_COLUMNS].index(sort)
    rows.sort(key=lambda row: (-row[figure], -row[3], row[0], row[2]))
    return Table(tuple(_column(column, by) for column in OWNER_COLUMNS), rows, region_map.address_width)


def _column(column: Column, by: OwnersBy) -> Column:
    """A column as rows of this sort need it."""
    if column.name == "instance":
        return replace(column, shown=by in (OwnersBy.instance, OwnersBy.kind))
    return replace(column, heading="Kind") if column.name == "kinds" and by is OwnersBy.kind else column


@dataclass(frozen=True, slots=True)
class MergedOwner:
    """Several owners or instances as one row of a table.

    Attributes:
        name: what the row is called.
        members: the owners, at least one.
    """

    name: str
    members: tuple[Owner, ...]

    @property
    def size(self) -> int:
        """Address space in bytes."""
        return sum(owner.size for owner in self.members)

    @property
    def committed(self) -> int:
        """Committed bytes."""
        return sum(owner.committed for owner in self.members)

    @property
    def allocations(self) -> int:
        """Allocations that the members have a part of."""
        return sum(owner.allocations for owner in self.members)

    @property
    def inferred(self) -> bool:
        """Whether any of it was inferred."""
        return any(owner.inferred for owner in self.members)

    @property
    def module(self) -> str:
        """The module of all members; empty if they have several."""
        same = {owner.module for owner in self.members}
        return next(iter(same)) if len(same) == 1 else ""

    @property
    def instance(self) -> str:
        """The instance, or how many there are."""
        if len(self.members) > 1 and self.members[0].instance:
            return count_words(len(self.members), "instance")
        return self.members[0].instance

    @property
    def parts_text(self) -> str:
        """The largest parts in words; empty for a module, which is nothing but its image."""
        parts: dict[str, int] = {}
        for part in (part for owner in self.members for part in owner.parts):
            parts[part.kind] = parts.get(part.kind, 0) + part.size
        if list(parts) == [RegionType.IMAGE.label] and self.members[0].module:
            return ""
        largest = sorted(parts.items(), key=lambda item: (-item[1], item[0]))
        return ", ".join(f"{kind} {size_words(size)}" for kind, size in largest[:_SHOWN_KINDS])

    def row(self) -> list[Any]:
        """Returns the cells of `OWNER_COLUMNS`."""
        evidence = dict.fromkeys(word for owner in self.members for word in owner.evidence)
        return [
            self.name,
            self.module,
            self.instance,
            self.size,
            self.committed,
            self.allocations,
            self.parts_text,
            "+".join(evidence),
            self.inferred,
        ]


def merged_owners(owners: Owners) -> tuple[MergedOwner | None, list[MergedOwner]]:
    """Returns all owners that are loaded modules as one, and the others by name; the largest first.

    A module that has more than its image is one of the others, with all that it has.
    """
    more = {owner.owner for owner in owners.owners if owner.type_sizes.keys() != {RegionType.IMAGE}}
    images = tuple(owner for owner in owners.owners if owner.owner not in more)
    modules = MergedOwner(count_words(len(images), "loaded module"), images) if images else None
    others = _merge((owner for owner in owners.owners if owner.owner in more), lambda owner: (owner.owner, ""))
    return modules, sorted(others, key=lambda owner: (-owner.size, owner.name))


def _merge(owners: Iterable[Owner], key: Callable[[Owner], tuple[str, str]]) -> list[MergedOwner]:
    merged: dict[tuple[str, str], list[Owner]] = {}
    for owner in owners:
        merged.setdefault(key(owner), []).append(owner)
    return [MergedOwner(name, tuple(members)) for (name, _), members in merged.items()]


def _owner_rows(owners: Owners, by: OwnersBy, *, modules: bool) -> Iterator[list[Any]]:
    listed: Sequence[Owner] = owners.owners
    if not modules and by is not OwnersBy.module:
        images, others = merged_owners(owners)
        if images is not None:
            yield images.row()
        listed = [owner for merged in others for owner in merged.members]
    if by is OwnersBy.kind:
        yield from (_part_row(owner, part) for owner in listed for part in owner.parts)
    elif by is OwnersBy.module:
        yield from (one.row() for one in _merge(listed, lambda owner: (owner.module or owner.owner, "")))
    elif by is OwnersBy.instance:
        yield from (one.row() for one in _merge(listed, lambda owner: (owner.owner, owner.instance)))
    else:
        yield from (one.row() for one in _merge(listed, lambda owner: (owner.owner, "")))


def _part_row(owner: Owner, part: OwnerPart) -> list[Any]:
    figures = (part.size, part.committed, part.count)
    return [owner.owner, owner.module, owner.instance, *figures, part.kind, "+".join(part.evidence), part.inferred]


def _group_row(group: Group, region_map: RegionMap) -> list[Any]:
    return [
        group_text(group, region_map),
        "",
        "",
        group.size,
        group.committed,
        group.count,
        group.type.label,
        "",
        False,
    ]


def owner_view(
    region_map: RegionMap,
    owners: Owners,
    by: OwnersBy,
    *,
    sort: OwnersSort,
    show_all: bool,
    types: Sequence[RegionType] = (),
) -> Iterable[Block]:
    """Everything that `owners` shows; `types` are those that were asked for."""
    table = owner_table(region_map, owners, by, sort=sort, modules=show_all or by is OwnersBy.module)
    shown = table.rows if show_all else table.rows[:SHOWN_ROWS]
    if not table.rows:
        yield Paragraph(
            " ".join(_WITHOUT_OWNERS[one] for one in types if one in _WITHOUT_OWNERS) or "No memory matches."
        )
        return
    yield Table(table.columns, shown, table.address_width)
    if len(table.rows) > len(shown):
        yield Paragraph(more_text(len(table.rows) - len(shown)).replace("--limit", "--all"))
    yield Blank()
    yield Paragraph(share_text(owners, partial=region_map.partial))
    yield from pointer_blocks(region_map, show_all=show_all)


_WITHOUT_OWNERS = {
    RegionType.FREE: "Free space has no owner, because nobody has allocated it; dumpmap free lists it.",
    RegionType.UNUSABLE: "Unusable space has no owner: it is free, and allocations cannot start in it.",
    RegionType.PAGE_TABLE: "Page tables belong to the system and have no addresses in the process.",
}


def share_text(owners: Owners, *, partial: bool = False) -> str:
    """Says how much of Private Data has an owner."""
    if partial:
        return (
            "The input has no list of memory regions, so the share of Private Data that has an owner is unknown. "
            "Groups are of captured bytes."
        )
    if owners.owned_share is None:
        return "No Private Data is committed."
    text = f"{percent_text(owners.owned_share)} of the committed Private Data has an owner"
    if owners.owned_private != owners.owned_private_facts:
        text += f"; {percent_text(owners.owned_share_facts)} without what is inferred"
    return f"{text}. {size_words(owners.unowned_committed)} of the committed memory has no owner."


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
        "evidence": list(owner.evidence),
        "facts": {
            "heap_used": None if facts is None else facts.used,
            "heap_limit": None if facts is None else facts.limit,
        },
        "parts": [
            {"kind": part.kind, "size": part.size, "committed": part.committed, "count": part.count}
            for part in owner.parts
        ],
    }


def owner_frame(owners: Owners) -> pd.DataFrame:
    """Returns one row per part of an owner, and one per group of allocations without one; see `RegionMap.owners`."""
    import pandas as pd

    rows: list[tuple[Any, ...]] = [
        (
            owner.owner,
            owner.module,
            owner.instance,
            part.kind,
            None,
            part.size,
            part.committed,
            part.count,
            owner.inferred,
            "+".join(owner.evidence),
        )
        for owner in owners.owners
        for part in owner.parts
    ]
    rows += [
        ("", "", "", group.type.label, group.size_each, group.size, group.committed, group.count, False, "")
        for group in owners.groups
    ]
    rest = owners.unowned_size - sum(group.size for group in owners.groups)
    if rest:
        committed = owners.unowned_committed - sum(group.committed for group in owners.groups)
        rows.append(("", "", "", "", None, rest, committed, None, False, ""))
    frame = pd.DataFrame(rows, columns=list(OWNER_FRAME_COLUMNS))
    return frame.astype(dict.fromkeys(("size_each", "size", "committed", "count"), "Int64"))
