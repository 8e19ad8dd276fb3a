"""The words of VMMap's files, each once: headings, attributes, types, protections, and texts in details.

The readers in this package and the writers in `dumpmap.writers.vmmap` share them. `docs/vmmap.md` says how well each is
known.
"""

from __future__ import annotations

import re
from functools import lru_cache

from dumpmap.model.protection import RESERVED, parse_protection, protection_text
from dumpmap.model.types import RegionType, parse_type
from dumpmap.model.winnt import MemState, MemType

# --- exports: headings ------------------------------------------------------------------------------------------------

HEADINGS = {
    "address": "Address",
    "type": "Type",
    "size": "Size",
    "committed": "Committed",
    "private": "Private",
    "total_ws": "Total WS",
    "private_ws": "Private WS",
    "shareable_ws": "Shareable WS",
    "shared_ws": "Shared WS",
    "locked_ws": "Locked WS",
    "blocks": "Blocks",
    "largest": "Largest",
    "protection": "Protection",
    "details": "Details",
}
"""The heading of each column of the exports."""

COLUMNS = {heading.lower(): column for column, heading in HEADINGS.items()}
"""The column of each heading in lower case."""

PROCESS_TITLE, PID_TITLE = "Process", "PID"
"""The lines above the tables begin with one of these and a colon."""

TOTAL = "Total"
"""The first row of the summary."""

# --- .mmp: elements and attributes ------------------------------------------------------------------------------------

ROOT, SNAPSHOT, REGION = "root", "Snapshot", "Region"
"""The elements. VMMap's root element is not known; dumpmap writes this one and reads any."""

PID_ATTRIBUTES = ("ProcessId", "PID")
NAME_ATTRIBUTES = ("ProcessName", "Process", "ImageName")
TIME_ATTRIBUTES = ("Timestamp", "Time")
PAGE_TABLE_ATTRIBUTE = "PageTableSize"
"""Attributes of elements around the regions: dumpmap writes the first of each group and reads all, in any case."""

ATTRIBUTES = {
    "Address": "address",
    "Blocks": "blocks",
    "ShareableWS": "shareable_ws",
    "SharedWS": "shared_ws",
    "Size": "size",
    "Commit": "committed",
    "PrivateBytes": "private",
    "PrivateWS": "private_ws",
    "Id": "heap_number",
    "Protection": "protect",
    "Storage": "memory_type",
    "UseType": "use_type",
    "Type": "words",
    "Details": "details",
    "LockedWS": "locked_ws",
}
"""The attributes of a region in the order in which VMMap writes them, and the value that each holds."""

USE_TYPES = {
    0: RegionType.HEAP,
    1: RegionType.STACK,
    2: RegionType.IMAGE,
    3: RegionType.MAPPED_FILE,
    4: RegionType.PRIVATE_DATA,
    5: RegionType.SHAREABLE,
    6: RegionType.FREE,
    8: RegionType.MANAGED_HEAP,
    9: RegionType.PAGE_TABLE,
    10: RegionType.UNUSABLE,
}
"""The type that each number in `UseType` means. The meaning of 7 is unknown."""

USE_TYPE_NUMBERS = {region_type: number for number, region_type in USE_TYPES.items()}
"""The number of each type in `UseType`."""

# --- types and protections --------------------------------------------------------------------------------------------

_THREAD_STACK = "Thread Stack"
_SHAREABLE_HEAP, _PRIVATE_HEAP = "Heap (Shareable)", "Heap (Private Data)"
_SHAREABLE_SUFFIX = "(shareable)"

# A file has a handful of different words in thousands of rows. A damaged one can have many, so the caches are small.


@lru_cache(256)
def type_of_words(words: str) -> RegionType | None:
    """Returns the type that VMMap's words mean: `Heap (Private Data)` is a Heap, `Thread Stack` a Stack."""
    name = words.partition("(")[0].strip()
    return RegionType.STACK if name.lower() == _THREAD_STACK.lower() else parse_type(name)


def words_of_type(region_type: RegionType, memory_type: int) -> str:
    """Returns VMMap's words for a type; the MEM_* type tells its two kinds of heaps apart."""
    if region_type == RegionType.STACK:
        return _THREAD_STACK
    if region_type == RegionType.HEAP:
        return _SHAREABLE_HEAP if memory_type == MemType.MEM_MAPPED else _PRIVATE_HEAP
    return region_type.label


def memory_type_of(region_type: RegionType | None, words: str) -> int:
    """Returns the MEM_* type of memory with this type and these words."""
    if region_type == RegionType.IMAGE:
        return MemType.MEM_IMAGE
    if region_type in (RegionType.MAPPED_FILE, RegionType.SHAREABLE) or _SHAREABLE_SUFFIX in words.lower():
        return MemType.MEM_MAPPED
    return MemType.MEM_PRIVATE


@lru_cache(256)
def protection_of_words(words: str) -> tuple[int, int] | None:
    """Returns the PAGE_* bits and the MEM_* state that VMMap's words mean; None for unknown words."""
    text = words.strip()
    if not text:
        return 0, MemState.MEM_COMMIT
    if text.lower() == RESERVED.lower():
        return 0, MemState.MEM_RESERVE
    protect = parse_protection(text)
    if protect is None or not 0 <= protect <= 0xFFFF_FFFF:  # a number can stand in for words, but only one of 32 bits
        return None
    return protect, MemState.MEM_COMMIT


@lru_cache(256)
def words_of_protection(protect: int, state: int) -> str:
    """Returns VMMap's words for PAGE_* bits and a MEM_* state."""
    return protection_text(protect, state)


# --- details ----------------------------------------------------------------------------------------------------------

THREAD_DETAILS = re.compile(r"Thread ID: *([0-9]{1,10})\b")
"""The details of a stack, with the ID of its thread."""

TEB_DETAILS = re.compile(r"Thread Environment Block ID: *([0-9]{1,10})\b")
"""The details of a TEB, with the ID of its thread."""

HEAP_DETAILS = re.compile(r"Heap ID: *([0-9]{1,10})\b")
"""The details of a heap, with its number."""

WOW64_STACK_DETAILS = "64-bit thread stack"
"""The details of the 64-bit stack of a thread in a 32-bit process."""

TEB_KIND, GUARD_KIND = "TEB", "Guard"
"""What dumpmap calls a block that is a TEB, and the guard pages of a stack."""
