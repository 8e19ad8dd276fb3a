"""What is known of the selection of `browse`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from dumpmap.model.region_map import RegionMap
from dumpmap.model.types import TYPES, RegionType
from dumpmap.views.address import location_view
from dumpmap.views.blocks import Blank, Block, Fact, Facts, Paragraph, Statement, Statements
from dumpmap.views.browse.levels import Row
from dumpmap.views.browse.navigation import Navigator
from dumpmap.wording.findings import Finding
from dumpmap.wording.text import Units, address_text, percent_words, size_left, size_words

BYTES = 256
"""Captured bytes that are shown of an address."""


def detail_blocks(navigator: Navigator, findings: list[Finding], count: int = BYTES) -> Iterator[Block]:
    """Yields what is known of the selected row: of its address, or of the ranges in it."""
    row, region_map = navigator.row, navigator.map
    if row is None:
        yield Paragraph("No rows. The filter hides everything here.")
        return
    level = navigator.level
    if level.kind == "changed" and navigator.changes is not None and level.selected is not None:
        yield Facts(list(navigator.changes.facts(int(level.members[level.selected]))))
        return
    if level.kind == "changes":
        yield Facts(list(_change_sums(row)))
        return
    if row.single and navigator.selected_address is not None:
        address = navigator.selected_address
        location = region_map.at(address)
        yield from location_view(region_map, [(address, location)], Units.auto, count)
        thread = None if location is None else location.thread_id
        name = region_map.thread_names.get(thread) if thread is not None else None
        if name:
            yield Facts([Fact("Thread name", name)])
    else:
        yield Facts(list(_sums(navigator, row)))
    about = [one for one in findings if _is_about(one, row)]
    if about:
        yield Blank()
        yield Statements([Statement(one.severity, one.detail) for one in about])


def _sums(navigator: Navigator, row: Row) -> Iterator[Fact]:
    """Yields the figures of several ranges."""
    level = navigator.level
    selected = level.selected or 0
    base, size = level.ranges_of(selected)
    largest = int(np.argmax(size))
    width = navigator.map.address_width
    yield Fact("What", row.label)
    if row.type is not None:
        yield Fact("Type", f"{row.type.label}. {TYPES[row.type].meaning}")
    share = f" ({percent_words(row.size / navigator.map.end)} of the address space)" if navigator.map.end else ""
    yield Fact("Size", row.size_text + share)
    yield Fact("Committed", size_words(row.committed))
    yield Fact("Ranges", f"{row.count:,}")
    words = size_left if row.type is RegionType.FREE else size_words
    yield Fact("Largest", f"{words(int(size[largest]))} at {address_text(int(base[largest]), width)}")
    yield Fact("Lowest", address_text(row.base, width))


def _change_sums(row: Row) -> Iterator[Fact]:
    """Yields the sums of several changes."""
    yield Fact("What", row.label)
    yield Fact("Size", row.size_text)
    yield Fact("Committed", row.committed_text)


def _is_about(finding: Finding, row: Row) -> bool:
    """Returns whether a finding names an address in a row or, for several ranges, its type."""
    for value in _values(finding.values):
        if isinstance(value, str) and value.startswith("0x"):
            try:
                address = int(value, 16)
            except ValueError:
                continue
            if row.single and row.base <= address < row.base + row.size:
                return True
        elif not row.single and row.type is not None and value == row.type.label:
            return True
    return False


def _values(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for one in value.values():
            yield from _values(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _values(one)
    else:
        yield value


def rows_text(region_map: RegionMap, row: Row) -> str:
    """Writes a row as one line of text."""
    where = address_text(row.base, region_map.address_width)
    return f"{where}  {row.size_text}, {row.committed_text} committed  {row.label}"
