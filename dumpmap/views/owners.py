"""What `owners` shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from dumpmap.analysis.owners import Group, Owner, OwnerPart, Owners
from dumpmap.model.region_map import RegionMap
from dumpmap.model.types import RegionType
from dumpmap.model.values import value_class
from dumpmap.views.blocks import Blank, Block, Paragraph, Remark
from dumpmap.views.owner_rows import OwnersBy, OwnersSort
from dumpmap.views.pointers import pointer_blocks
from dumpmap.views.table import Column, Table
from dumpmap.wording.owners import group_text
from dumpmap.wording.text import count_words, more_text, percent_text, size_words

SHOWN_ROWS = 20
"""Rows that the text table shows unless it is asked for all."""

_SHOWN_KINDS = 3

COLUMNS = (
    Column("owner", shortens=True, room=36),
    Column("instance", optional=2, shortens=True, shown=False),
    Column("size", "size"),
    Column("committed", "size"),
    Column("count", "count", optional=3),
    Column("kinds", "text", "Largest parts", optional=4, shortens=True, room=24),
    Column("inferred", optional=5),
)
_SIZE, _COMMITTED, _INFERRED = 2, 3, 6


def _table(
    region_map: RegionMap, owners: Owners, by: OwnersBy, sort: OwnersSort, *, modules: bool
) -> tuple[tuple[Column, ...], list[list[Any]]]:
    """Columns and rows for people: owners, and groups of unowned allocations in words, the largest first.

    `modules` lists each loaded module; otherwise all of them are one row.
    """
    rows = [] if by is OwnersBy.size else list(_owner_rows(owners, by, modules=modules))
    rows += [_group_row(group, region_map) for group in owners.groups]
    figure = _SIZE if sort is OwnersSort.size else _COMMITTED
    rows.sort(key=lambda row: (-row[figure], -row[_SIZE], row[0], row[1]))
    return tuple(_column(column, by, sort) for column in COLUMNS), rows


def _column(column: Column, by: OwnersBy, sort: OwnersSort) -> Column:
    """A column as rows of this sort need it. What the rows stand for, and the figure that sorts them, stay longest."""
    if column.name == "owner":
        return replace(column, heading={OwnersBy.module: "Module", OwnersBy.size: "Allocations"}.get(by))
    if column.name == "instance":
        return replace(column, shown=by in (OwnersBy.instance, OwnersBy.kind), optional=2 * (by is OwnersBy.kind))
    if column.name == "kinds" and by is OwnersBy.kind:
        return replace(column, heading="Kind", optional=0)
    if column.name in ("size", "committed"):
        return replace(column, optional=int(column.name != sort))
    return column


@value_class(frozen=True, slots=True)
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
    def inferred_size(self) -> int:
        """How much of the address space was inferred."""
        return sum(owner.inferred_size for owner in self.members)

    @property
    def inferred_committed(self) -> int:
        """How much of the committed bytes was inferred."""
        return sum(owner.inferred_committed for owner in self.members)

    @property
    def inferred(self) -> bool:
        """Whether any of it was inferred."""
        return self.inferred_size > 0

    @property
    def evidence(self) -> str:
        """The words of evidence of all members."""
        return "+".join(dict.fromkeys(word for owner in self.members for word in owner.evidence))

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
        """Returns the cells for people."""
        inferred = inferred_text(self)
        return [self.name, self.instance, self.size, self.committed, self.allocations, self.parts_text, inferred]


def inferred_text(of: MergedOwner | OwnerPart) -> str:
    """Says how much of an owner was inferred: `yes` for all of it, or a share of what it has committed."""
    if not of.inferred_size:
        return ""
    if of.inferred_size == of.size:
        return "yes"
    return percent_text(of.inferred_committed / of.committed) if of.inferred_committed else "reserve"


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
    else:
        yield from (one.row() for one in owners_by(listed, by))


def owners_by(owners: Iterable[Owner], by: OwnersBy) -> list[MergedOwner]:
    """Returns the owners as rows of a table by owner, module, or instance have them."""
    if by is OwnersBy.module:
        return _merge(owners, lambda owner: (owner.module or owner.owner, ""))
    return _merge(owners, lambda owner: (owner.owner, owner.instance if by is OwnersBy.instance else ""))


def _part_row(owner: Owner, part: OwnerPart) -> list[Any]:
    return [owner.owner, owner.instance, part.size, part.committed, part.count, part.kind, inferred_text(part)]


def _group_row(group: Group, region_map: RegionMap) -> list[Any]:
    name = group_text(group, region_map)
    return [name, "", group.size, group.committed, group.count, group.type.label, ""]


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
    columns, rows = _table(region_map, owners, by, sort, modules=show_all or by is OwnersBy.module)
    shown = rows if show_all else rows[:SHOWN_ROWS]
    if not rows:
        yield Paragraph(
            " ".join(_WITHOUT_OWNERS[one] for one in types if one in _WITHOUT_OWNERS) or "No memory matches."
        )
        return
    if not any(row[_INFERRED] for row in shown):
        columns, shown = columns[:_INFERRED], [row[:_INFERRED] for row in shown]
    yield Table(columns, shown, region_map.address_width)
    if len(rows) > len(shown):
        yield Paragraph(more_text(len(rows) - len(shown)).replace("--limit", "--all"))
    yield Blank()
    yield Paragraph(share_text(owners, partial=region_map.partial))
    yield from pointer_blocks(region_map, show_all=show_all)
    if region_map.notes:
        yield Blank()
    for note in region_map.notes:
        yield Remark("Note:", note)


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
        inferred = (owners.owned_private - owners.owned_private_facts) / owners.private_committed
        text += f" ({percent_text(inferred)} only by inference)"
    return f"{text}. {size_words(owners.unowned_committed)} of the committed memory has no owner."
