"""What `owners` shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from dumpmap.analysis.owners import Group, Owner, Owners
from dumpmap.model.pointers import PointerSearch
from dumpmap.model.region_map import RegionMap
from dumpmap.model.types import RegionType
from dumpmap.views.blocks import Blank, Block, Paragraph
from dumpmap.views.documents import head
from dumpmap.views.owner_rows import OwnersBy
from dumpmap.views.pointers import pointer_blocks, pointer_document
from dumpmap.views.table import Column, Table
from dumpmap.wording.text import count_words, more_text, percent_text, size_words

SHOWN_ROWS = 20
"""Rows that the text table shows unless it is asked for all."""

_SHOWN_KINDS = 3

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


def owner_table(region_map: RegionMap, owners: Owners, by: OwnersBy, *, modules: bool = True) -> Table:
    """Returns owners and groups of unowned allocations, the largest first.

    Args:
        region_map: the map.
        owners: its owners.
        by: what a row stands for.
        modules: list each loaded module; otherwise all of them are one row.
    """
    rows = [] if by is OwnersBy.size else list(_owner_rows(owners.owners, by, modules=modules))
    rows += [_group_row(group) for group in owners.groups]
    rows.sort(key=lambda row: (-row[3], row[0], row[2]))
    instances = by in (OwnersBy.instance, OwnersBy.kind)
    columns = tuple(
        replace(column, shown=instances) if column.name == "instance" else column for column in OWNER_COLUMNS
    )
    return Table(columns, rows, region_map.address_width)


def _owner_rows(owners: Sequence[Owner], by: OwnersBy, *, modules: bool) -> Iterator[list[Any]]:
    images = [owner for owner in owners if owner.type_sizes.keys() == {RegionType.IMAGE}]
    if images and not modules and by is not OwnersBy.module:
        yield _row(count_words(len(images), "loaded module"), images)
        owners = [owner for owner in owners if owner not in images]
    if by is OwnersBy.kind:
        for owner in owners:
            for part in owner.parts:
                yield [
                    owner.owner,
                    owner.module,
                    owner.instance,
                    part.size,
                    part.committed,
                    part.count,
                    part.kind,
                    "+".join(owner.evidence),
                    owner.inferred,
                ]
        return
    merged: dict[tuple[str, str], list[Owner]] = {}
    for owner in owners:
        if by is OwnersBy.module:
            key = owner.module or owner.owner, ""
        else:
            key = owner.owner, owner.instance if by is OwnersBy.instance else ""
        merged.setdefault(key, []).append(owner)
    for (name, _), members in merged.items():
        yield _row(name, members)


def _row(name: str, members: Sequence[Owner]) -> list[Any]:
    """One row for several owners or instances."""
    parts: dict[str, int] = {}
    evidence: dict[str, None] = {}
    for owner in members:
        evidence |= dict.fromkeys(owner.evidence)
        for part in owner.parts:
            parts[part.kind] = parts.get(part.kind, 0) + part.size
    largest = sorted(parts.items(), key=lambda item: (-item[1], item[0]))
    kinds = ", ".join(f"{kind} {size_words(size)}" for kind, size in largest[:_SHOWN_KINDS])
    same = {owner.module for owner in members}
    instance = members[0].instance
    if instance and len(members) > 1:
        instance = count_words(len(members), "instance")
    return [
        name,
        next(iter(same)) if len(same) == 1 else "",
        members[0].instance
        if len(members) == 1
        else count_words(len(members), "instance")
        if members[0].instance
        else "",
        sum(owner.size for owner in members),
        sum(owner.committed for owner in members),
        sum(owner.allocations for owner in members),
        kinds if len(largest) > 1 or not members[0].module or largest[0][0] != RegionType.IMAGE.label else "",
        "+".join(evidence),
        any(owner.inferred for owner in members),
    ]


def _group_row(group: Group) -> list[Any]:
    return [group_text(group), "", "", group.size, group.committed, group.count, group.type.label, "", False]


def group_text(group: Group) -> str:
    """Describes a group: `85 allocations of 16 MB, reserved`."""
    protection = f" {group.protection}" if group.protection else ""
    what = count_words(group.count, "allocation")
    return f"{what} of {size_words(group.size_each)}, {group.state}{protection}"


def owner_view(
    region_map: RegionMap, owners: Owners, by: OwnersBy, *, show_all: bool, pointers: PointerSearch | None = None
) -> Iterable[Block]:
    """Everything that `owners` shows."""
    table = owner_table(region_map, owners, by, modules=show_all or by is OwnersBy.module)
    shown = table.rows if show_all else table.rows[:SHOWN_ROWS]
    if not table.rows:
        yield Paragraph("No memory matches.")
        return
    yield Table(table.columns, shown, table.address_width)
    if len(table.rows) > len(shown):
        yield Paragraph(more_text(len(table.rows) - len(shown)).replace("--limit", "--all"))
    yield Blank()
    yield Paragraph(share_text(owners, partial=region_map.partial))
    yield from pointer_blocks(region_map, pointers, show_all=show_all)


def owner_lines(region_map: RegionMap, owners: Owners, limit: int) -> list[str]:
    """Returns the largest owners and groups, a line each: `V8: 314 MB, 58.1 MB of it committed`."""
    rows = owner_table(region_map, owners, OwnersBy.owner, modules=False).rows[:limit]
    return [f"{name}: {size_words(size)}{_committed_text(size, committed)}" for name, _, _, size, committed, *_ in rows]


def _committed_text(size: int, committed: int) -> str:
    return "" if committed in (0, size) else f", {size_words(committed)} of it committed"


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
    return f"{text}. {size_words(owners.unowned_committed)} of the committed memory listed has no owner."


def owner_document(region_map: RegionMap, owners: Owners, pointers: PointerSearch | None = None) -> dict[str, Any]:
    """Returns `dumpmap.owners/1`."""
    return {
        **head("dumpmap.owners/1", region_map),
        "owners": [_owner_document(owner) for owner in owners.owners],
        "groups": [
            {
                "type": group.type.label,
                "size_each": group.size_each,
                "state": group.state,
                "protection": group.protection or None,
                "count": group.count,
                "size": group.size,
                "committed": group.committed,
            }
            for group in owners.groups
        ],
        "unowned": {
            "size": owners.unowned_size,
            "committed": owners.unowned_committed,
            "allocations": owners.unowned_allocations,
        },
        "private_committed": owners.private_committed,
        "owned_share": owners.owned_share,
        "owned_share_facts": owners.owned_share_facts,
        "pointers": pointer_document(pointers),
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
