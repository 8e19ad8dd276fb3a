"""Where a user of `browse` is, and how each command moves: a pure model without a screen.

A command returns a message for the user, which is empty if what it did can be seen.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Literal

import numpy as np

from dumpmap.analysis.changes import Changes
from dumpmap.analysis.crash import find_crash
from dumpmap.analysis.free import free_space
from dumpmap.model.region_map import RegionMap
from dumpmap.views.browse.changed import ONLY_BEFORE, ChangeLevels
from dumpmap.views.browse.items import GAP, Flags, Index, Items, is_gap, items_of
from dumpmap.views.browse.levels import SORTS, Level, Row, grouped, listed, regions, stacks
from dumpmap.views.browse.matching import named, parse_conditions, plain_address, searched_address
from dumpmap.wording.text import address_text, count_words

Tree = Literal["types", "owners"]

PARTIAL = "the input has no list of memory regions"


class Navigator:
    """The tree of a map, and the path to the selected row.

    Args:
        region_map: the map.
        changes: what differs from an earlier map.

    Attributes:
        map: the map.
        path: the open levels, the root first.
        sort: what rows are sorted by; None for what suits each level.
        filter: the text of the filter; empty for none.
        address: the address that the last jump went to; None after any other movement.
        changes: the levels of the changes; None for a single map.
    """

    def __init__(self, region_map: RegionMap, changes: Changes | None = None) -> None:
        self.map = region_map
        self.sort: str | None = None
        self.filter = ""
        self.address: int | None = None
        self._kept: Flags | None = None
        self._roots: dict[Tree, Level] = {}
        self._found: tuple[str, Index] = ("", np.zeros(0, np.intp))
        self.changes = None if changes is None else ChangeLevels(changes, self.items)
        self.path: list[Level] = [self.root("types") if self.changes is None else self._sorted(self.changes.root())]

    @cached_property
    def items(self) -> Items:
        """All items."""
        return items_of(self.map)

    @property
    def level(self) -> Level:
        """The level whose rows are shown."""
        return self.path[-1]

    @property
    def tree(self) -> Tree:
        """What the root lists."""
        return "owners" if self.path[0].kind == "owners" else "types"

    @property
    def row(self) -> Row | None:
        """The selected row."""
        return self.level.row(self.level.cursor) if len(self.level) else None

    @property
    def title(self) -> str:
        """The path in words."""
        return " > ".join(level.title for level in self.path)

    @property
    def selected_address(self) -> int | None:
        """The address of the selection: where the last jump went, else the first of the row."""
        if self.address is not None:
            return self.address
        selected = self.level.selected
        return None if selected is None else int(self.level.base[selected])

    # ---------------------------------------------------------------- movement

    def move(self, places: int) -> None:
        """Moves the selection down, or up if negative."""
        self.put(self.level.cursor + places)

    def put(self, place: int) -> None:
        """Selects the row at a place, or the nearest."""
        self.level.cursor = max(0, min(place, len(self.level) - 1))
        self.address = None

    def enter(self) -> str:
        """Opens the selected row."""
        level = self.level
        if level.selected is None:
            return "there are no rows"
        if level.kind == "stacks":
            return self.go_to(int(level.base[level.selected]))
        if level.kind == "changed" and self.changes is not None:
            place = self.changes.place(int(level.members[level.selected]))
            return ONLY_BEFORE if place is None else self.go_to(place)
        child = self._child(level)
        if child is None:
            return "there is nothing below this row"
        self._push(child)
        return ""

    def back(self) -> str:
        """Closes the level."""
        self.address = None
        if len(self.path) == 1:
            return "this is the top"
        self.path.pop()
        return ""

    def show(self, tree: Tree, row: int | None = None) -> str:
        """Shows the root of a tree; with the number of a row of the unfiltered root, opens it."""
        self.path = [self.root(tree)]
        self.address = None
        if row is not None and row in self.level.order:
            self.level.select(row)
            return self.enter()
        return ""

    def sort_by(self, column: str | None = None) -> str:
        """Sorts by a column, or by the next one."""
        current = SORTS.index(self.sort) if self.sort else 0
        self.sort = column or SORTS[(current + 1) % len(SORTS)]
        for level in self.path:
            self._arrange(level)
        return f"sorted by {self.sort}"

    def set_filter(self, text: str) -> str:
        """Shows only items that meet conditions; an empty text shows all.

        Raises:
            ValueError: a condition is not valid.
        """
        kept = parse_conditions(text, self.items) if text.strip() else None
        if kept is not None and not kept.any():
            return f"nothing matches {text!r}"
        self._keep(kept, text.strip())
        self.show(self.tree)
        return f"filter: {count_words(int(kept.sum()), 'range')}" if kept is not None else "no filter"

    # ---------------------------------------------------------------- jumps

    def go_to(self, address: int) -> str:
        """Jumps to an address: to its region, or to the free block that holds it."""
        item = self.items.at(address) if 0 <= address < 1 << 64 else None
        where = address_text(address, self.map.address_width)
        if item is None:
            why = PARTIAL if self.map.partial else "it is outside the address space"
            return f"nothing is known of {where}: {why}"
        message = self._to_item(item)
        if self.items.allocation[item] != GAP:
            child = self._child(self.level)
            if child is not None and len(child) > 1:
                self._push(child)
                at = int(np.searchsorted(child.base, np.uint64(address), side="right")) - 1
                child.select(at)
        self.address = address
        return message

    def to_largest_free(self) -> str:
        """Jumps to the largest free block that the process could use."""
        space = free_space(self.map)
        if space is None:
            return f"the largest free block is unknown: {PARTIAL}"
        return "nothing is free" if space.largest is None else self.go_to(space.largest.address)

    def to_exception(self) -> str:
        """Jumps to the address whose access failed, else to the instruction that raised the exception."""
        crash = find_crash(self.map)
        if crash is None:
            return "the input has no exception"
        for address in (crash.address, crash.instruction):
            if address is not None and self.items.at(address) is not None:
                what = "the address that was accessed" if address == crash.address else "the instruction"
                return self.go_to(address) or what
        addresses = [one for one in (crash.address, crash.instruction) if one is not None]
        return self.go_to(addresses[0]) if addresses else "the exception has no address"

    def to_stacks(self) -> str:
        """Lists the stacks; with one stack, jumps to it."""
        known = self.map.stacks
        if not known:
            return "no stacks were identified"
        if len(known) == 1:
            return self.go_to(known[0].base)
        self.path = [self.root(self.tree)]
        self._push(stacks(self.items))
        return ""

    def to_changes(self) -> str:
        """Lists what changed between two maps."""
        if self.changes is None:
            return "there is one input: dumpmap browse A B shows what changed"
        self.path = [self._sorted(self.changes.root())]
        self.address = None
        return ""

    def search(self, text: str) -> str:
        """Jumps to an address, to `module+0x12`, or to the next item with the text in a name."""
        text = text.strip()
        if not text:
            return ""
        address = searched_address(text, self.items)
        if address is not None:
            return self.go_to(address)
        self._found = (text, np.flatnonzero(named(text, self.items)))
        if len(self._found[1]):
            return self.next_match()
        address = plain_address(text)
        return f"nothing is named {text!r}" if address is None else self.go_to(address)

    def next_match(self, step: int = 1) -> str:
        """Jumps to the next item that the last search found, or with -1 to the previous one."""
        text, found = self._found
        if not len(found):
            return "search for a text first"
        here = self._selected_item()
        if here is None:
            place = 0 if step > 0 else len(found) - 1
        else:
            side: Literal["left", "right"] = "right" if step > 0 else "left"
            place = int(np.searchsorted(found, here, side=side)) - (step < 0)
        place %= len(found)
        note = self._to_item(int(found[place]))
        message = f"{text!r}: match {place + 1:,} of {len(found):,}"
        return f"{message}; {note}" if note else message

    # ---------------------------------------------------------------- levels

    def _to_item(self, item: int) -> str:
        """Selects an item; a filter that hides it is taken off."""
        message = ""
        if self._kept is not None and not self._kept[item]:
            self._keep(None, "")
            message = "the filter hid it and is off"
        self._descend(item)
        return message

    def _keep(self, kept: Flags | None, text: str) -> None:
        self._kept, self.filter = kept, text
        self._roots = {}

    def _selected_item(self) -> int | None:
        """The item that is selected, or whose regions are shown; None above items."""
        for level in reversed(self.path):
            row = level.selected
            if row is None or level.kind in ("regions", "stacks", "changes", "changed"):
                continue
            members = level.members_of(row)
            return int(members[0]) if level.kind == "allocations" or len(members) == 1 else None
        return None

    def _descend(self, item: int) -> None:
        """Opens the path to an item and selects it."""
        self.show(self.tree)
        while (row := self.level.row_with(item)) is not None:
            self.level.select(row)
            child = self._child(self.level)
            if child is None or child.kind == "regions":
                return
            self._push(child)

    def root(self, tree: Tree) -> Level:
        """Returns the root of a tree: what meets the filter, by type or by owner."""
        if tree not in self._roots:
            items = self.items
            members = np.arange(len(items), dtype=np.int32) if self._kept is None else np.flatnonzero(self._kept)
            codes = items.type[members].astype(np.int32)
            if tree == "owners":
                free = items.allocation[members] == GAP
                codes = np.where(free, codes + len(items.names), items.owner[members])
            self._roots[tree] = grouped(tree, tree.capitalize(), items, members, codes)
        return self._sorted(replace(self._roots[tree]))

    def _child(self, level: Level) -> Level | None:
        """Returns what is below the selected row."""
        row = level.selected
        if row is None or level.kind in ("regions", "stacks", "changed"):
            return None
        items, members, title = self.items, level.members_of(row), level.row(level.cursor).label
        if level.kind == "changes" and self.changes is not None:
            return self.changes.listed(title, members.astype(np.intp))
        if level.kind in ("types", "owners"):
            if is_gap(int(items.type[members[0]])):
                return listed(title, items, members)
            groups = grouped("groups", title, items, members, items.alike[members])
            return groups if len(groups) > 1 else listed(title, items, members)
        if len(members) > 1:
            return listed(title, items, members)
        item = int(members[0])
        if items.allocation[item] == GAP:
            return None
        where = address_text(int(items.base[item]), self.map.address_width)
        return regions(where, items, int(items.allocation[item]))

    def _push(self, level: Level) -> None:
        self.path.append(self._sorted(level))
        self.address = None

    def _sorted(self, level: Level) -> Level:
        """Sorts a new level."""
        self._arrange(level)
        level.cursor = 0
        return level

    def _arrange(self, level: Level) -> None:
        level.sort(self.sort or ("address" if level.kind == "regions" else "size"))
