"""Which items a text finds: the conditions of a filter, and the words of a search."""

from __future__ import annotations

import re

import numpy as np

from dumpmap.model.sizes import parse_size
from dumpmap.model.types import TYPES
from dumpmap.views.browse.items import COMMITTED, FREE, GAP, PARTLY, RESERVED, Flags, Items
from dumpmap.views.filters import parse_address

_STATES = {"committed": COMMITTED, "partly": PARTLY, "reserved": RESERVED, "free": FREE}

_WRITTEN_AS_ADDRESS = re.compile(r"0x[0-9a-f`_]+|[0-9a-f]{4,}`[0-9a-f]{4,}|.+\+\s*(0x)?[0-9a-f`]+", re.IGNORECASE)


def parse_conditions(text: str, items: Items) -> Flags:
    """Returns the items that meet every condition of a filter.

    Raises:
        ValueError: a size is not valid.
    """
    keep = np.ones(len(items), np.bool_)
    for word in text.split():
        if word[0] in "<>" and len(word) > 1:
            limit = parse_size(word[1:].removeprefix("="))
            keep &= items.size >= limit if word[0] == ">" else items.size <= limit
        elif word.lower() in _STATES:
            keep &= items.state == _STATES[word.lower()]
        else:
            keep &= named(word, items)
    return keep


def named(text: str, items: Items) -> Flags:
    """Returns the items with a text in a name: of a file, heap, thread, section, kind, owner, or type."""
    wanted, region_map = text.lower(), items.map
    rows, whole = region_map.block_columns, region_map.allocation_columns
    hits = np.array([wanted in one.lower() for one in region_map.texts] or [False], np.bool_)
    allocations = np.zeros(len(whole.base) + 1, np.bool_)  # the last is that of GAP
    allocations[:-1] = hits[whole.details] | hits[whole.kind]
    allocations[rows.allocation[hits[rows.details] | hits[rows.kind]]] = True
    for stack in region_map.stacks:
        index = region_map.space.index_of(stack.base)
        if index >= 0 and wanted in f"thread {stack.thread_id} {stack.name or ''}".lower():
            allocations[index] = True
    owners = [
        wanted in part.lower() for name in items.names for part in (f"{name.owner} {name.instance} {name.module}",)
    ]
    types = np.array([wanted in info.name.lower() for info in TYPES], np.bool_)
    of_owners = np.array([*owners, False], np.bool_)  # the last is that of NOBODY
    found: Flags = types[items.type] | of_owners[items.owner]
    found |= allocations[items.allocation] & (items.allocation != GAP)
    return found


def searched_address(text: str, items: Items) -> int | None:
    """Returns the address that a search names: hexadecimal with `0x`, or `module+0x12`; None if it is a text."""
    if not _WRITTEN_AS_ADDRESS.fullmatch(text.strip()):
        return None
    try:
        return parse_address(text, items.map)
    except ValueError:
        return None


def plain_address(text: str) -> int | None:
    """Returns the address that a text without `0x` can be."""
    try:
        return parse_address(text)
    except ValueError:
        return None
