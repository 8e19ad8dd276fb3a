"""What commands show of pointers to memory that nothing claims by structure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dumpmap.model.pointers import PointerOwner, PointerSearch
from dumpmap.model.region_map import RegionMap
from dumpmap.views.blocks import Blank, Block, Paragraph
from dumpmap.views.table import Column, Table
from dumpmap.wording.text import address_text, count_words, hex_text, more_text, size_words

SHOWN_ROWS = 10
"""Allocations that the text table shows unless it is asked for all."""

COLUMNS = (
    Column("allocation", "address"),
    Column("size", "size"),
    Column("holder", shortens=True),
    Column("pointer", "address", optional=2),
    Column("place", "text", "Where the pointer lies", optional=1, shortens=True),
    Column("rule", optional=3),
)


def pointer_document(pointers: PointerSearch | None) -> dict[str, Any] | None:
    """Returns the `pointers` part of a document; None if nothing was searched."""
    if pointers is None:
        return None
    return {
        "candidates": pointers.candidates,
        "ambiguous": pointers.ambiguous,
        "searched": pointers.searched,
        "missing": pointers.missing,
        "complete": pointers.complete,
        "found": [held_document(held) for held in pointers.owners],
    }


def held_document(held: PointerOwner) -> dict[str, Any]:
    """Returns one allocation and who holds it."""
    return {
        "allocation": hex_text(held.base),
        "size": held.size,
        "module": held.module or None,
        "class": held.class_name or None,
        "pointer": hex_text(held.pointer),
        "place": held.place,
        "rule": held.rule,
        "hits": held.hits,
    }


def pointer_blocks(region_map: RegionMap, *, show_all: bool) -> Iterator[Block]:
    """Yields the allocations that only a pointer names, the largest first, and the limits of the search."""
    pointers = region_map.pointers
    if pointers is None:
        return
    held = sorted(pointers.owners, key=lambda one: (-one.size, one.base))
    shown = held if show_all else held[:SHOWN_ROWS]
    if held:
        rows = [[one.base, one.size, holder_text(one), one.pointer, one.place, one.rule] for one in shown]
        yield Blank()
        yield Paragraph("Owners named by a pointer (inferred)", "strong")
        yield Table(COLUMNS, rows, region_map.address_width)
        if len(held) > len(shown):
            yield Paragraph(more_text(len(held) - len(shown)).replace("--limit", "--all"))
    limits = limits_text(pointers)
    if limits:
        yield Blank()
        yield Paragraph(limits)


def holder_text(held: PointerOwner) -> str:
    """Returns who holds an allocation: `foo.dll`, or `foo.dll, object of class bar::Foo`."""
    return f"{held.owner}, object of class {held.class_name}" if held.class_name else held.owner


def limits_text(pointers: PointerSearch) -> str:
    """Says what a search could not do; empty if nothing."""
    parts = []
    if pointers.ambiguous:
        what = count_words(pointers.ambiguous, "allocation")
        parts.append(f"Several modules hold a pointer to {what}, which therefore have no owner.")
    if pointers.missing:
        parts.append(f"{size_words(pointers.missing)} of the memory that can hold pointers is not in the input.")
    if not pointers.complete:
        parts.append(f"The search for pointers stopped at its limit, after {size_words(pointers.searched)}.")
    return " ".join(parts)


def held_at(region_map: RegionMap, address: int) -> PointerOwner | None:
    """Returns who holds the allocation at an address; None if no pointer names it."""
    owners = () if region_map.pointers is None else region_map.pointers.owners
    return next((held for held in owners if held.base <= address < held.base + held.size), None)


def held_text(region_map: RegionMap, held: PointerOwner) -> str:
    """Returns who holds an allocation, and where a person can look."""
    where = address_text(held.pointer, region_map.address_width)
    return f"{holder_text(held)} (inferred: {held.rule} at {where}, {held.place})"
