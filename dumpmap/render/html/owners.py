"""Owners on the page: the short list of the first screen, the whole table, and their colors in the map."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from dumpmap.analysis.owners import Owners, find_owners
from dumpmap.analysis.takers import Taker, who_took_it
from dumpmap.model.region_map import RegionMap
from dumpmap.model.values import value_class
from dumpmap.render.html.assets import MODULES_COLOR, NAMED_OWNERS, NOBODY_COLOR, OTHERS_COLOR
from dumpmap.views.owners import MergedOwner, merged_owners
from dumpmap.wording.owners import group_text, taker_text
from dumpmap.wording.text import address_text, count_words, short_size, size_text

Choice = Literal["owner", "modules", "nobody", "address"]
"""What the page shows when a row is selected: an owner, all modules, memory without an owner, or an address."""

_MOST_ROWS, _MOST_GROUPS = 200, 20


@value_class(frozen=True, slots=True)
class TakerLine:
    """A line of the short list.

    Attributes:
        name: the owner, or what the group is.
        choice: what selecting it shows.
        value: the owner's name, or the group's lowest address.
        figure: its size as text.
        width: the length of its bar, in thousandths of the longest.
    """

    name: str
    choice: Choice
    value: str
    figure: str
    width: float


@value_class(frozen=True, slots=True)
class OwnerLine:
    """A row of the table of owners.

    Attributes:
        name: who.
        choice: what selecting it shows.
        value: as in `TakerLine`.
        color: the number of its color; None for a group.
        cells: size, committed, and allocations as text.
        parts: its largest parts.
        inferred: whether any of it was inferred.
    """

    name: str
    choice: Choice
    value: str
    color: int | None
    cells: tuple[str, str, str]
    parts: str
    inferred: bool = False


@value_class(frozen=True, slots=True)
class OwnerCard:
    """The section about owners.

    Attributes:
        lines: the owners by address space; memory without an owner stands in its place, with its largest groups.
        colors: number and label of the colors that the map uses.
        left_out: rows that the table leaves out.
    """

    lines: tuple[OwnerLine, ...]
    colors: tuple[tuple[int, str], ...]
    left_out: int


def taker_lists(region_map: RegionMap) -> list[tuple[str, list[TakerLine]]]:
    """Returns the short lists with their titles; none where they are unknown or empty."""
    takers = who_took_it(region_map)
    if takers is None:
        return []
    lists = (("Committed", "committed", takers.committed), ("Only reserved", "reserved", takers.reserved))
    return [(title, list(_taker_lines(region_map, found, figure))) for title, figure, found in lists if found]


def _taker_lines(region_map: RegionMap, takers: tuple[Taker, ...], figure: str) -> Iterator[TakerLine]:
    most = max(getattr(taker, figure) for taker in takers)
    for taker in takers:
        size = getattr(taker, figure)
        group = taker.group
        yield TakerLine(
            taker_text(taker, region_map),
            "owner" if group is None else "address",
            taker.owner if group is None else address_text(group.address, region_map.address_width),
            short_size(size),
            round(1000 * size / most, 3),
        )


def color_numbers(region_map: RegionMap) -> dict[str, int]:
    """Returns the colors of owners that the page cannot know.

    Those with most committed memory have a color of their own. A module that has more than its image has the color of
    other owners, because it is not one of the loaded modules that the page shows as one.
    """
    _, others = merged_owners(find_owners(region_map))
    largest = sorted(others, key=lambda owner: (-owner.committed, -owner.size, owner.name))
    numbers = {owner.name: place + 1 for place, owner in enumerate(largest[:NAMED_OWNERS])}
    return numbers | {owner.name: OTHERS_COLOR for owner in largest[NAMED_OWNERS:] if owner.name == owner.module}


def owner_card(region_map: RegionMap) -> OwnerCard:
    """Returns the table of owners."""
    owners = find_owners(region_map)
    modules, others = merged_owners(owners)
    colors = color_numbers(region_map)
    found = [(owner.size, _line(owner, "owner", colors.get(owner.name, OTHERS_COLOR))) for owner in others]
    if modules is not None:
        found.append((modules.size, _line(modules, "modules", MODULES_COLOR)))
    found.sort(key=lambda one: -one[0])
    shown = found[:_MOST_ROWS]
    larger = sum(size >= owners.unowned_size for size, _ in shown)
    lines = [line for _, line in shown]
    lines[larger:larger] = _unowned_lines(region_map, owners)
    labels = [(number, name) for name, number in colors.items() if number != OTHERS_COLOR]
    labels += [(MODULES_COLOR, "Loaded modules"), (OTHERS_COLOR, "Other owners"), (NOBODY_COLOR, "No owner")]
    left_out = len(found) - len(shown) + max(0, len(owners.groups) - _MOST_GROUPS)
    return OwnerCard(tuple(lines), tuple(labels), left_out)


def _line(owner: MergedOwner, choice: Choice, color: int) -> OwnerLine:
    cells = (size_text(owner.size), size_text(owner.committed), f"{owner.allocations:,}")
    return OwnerLine(owner.name, choice, owner.name, color, cells, owner.parts_text, owner.inferred)


def _unowned_lines(region_map: RegionMap, owners: Owners) -> Iterator[OwnerLine]:
    if not owners.unowned_size:
        return
    cells = (size_text(owners.unowned_size), size_text(owners.unowned_committed), f"{owners.unowned_allocations:,}")
    text = count_words(len(owners.groups), "group") + " of equal allocations" if owners.groups else ""
    yield OwnerLine("No owner", "nobody", "", NOBODY_COLOR, cells, text)
    for group in owners.groups[:_MOST_GROUPS]:
        cells = (size_text(group.size), size_text(group.committed), f"{group.count:,}")
        address = address_text(group.address, region_map.address_width)
        yield OwnerLine(group_text(group, region_map), "address", address, None, cells, group.type.label)
