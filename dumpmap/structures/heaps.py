"""Finds every heap of a process and what belongs to it."""

from __future__ import annotations

from collections.abc import Sequence

from dumpmap.memory import Memory
from dumpmap.structures.heap_model import (
    HEAP_EVIDENCE,
    HEAP_KINDS,
    HEAP_ROLES,
    HeapInfo,
    HeapRange,
    HeapSurvey,
)
from dumpmap.structures.peb import Peb
from dumpmap.structures.space import Space

__all__ = ["HEAP_EVIDENCE", "HEAP_KINDS", "HEAP_ROLES", "HeapInfo", "HeapRange", "HeapSurvey", "find_heaps"]


def find_heaps(memory: Memory, pebs: Sequence[Peb], space: Space, os_build: int | None) -> HeapSurvey:
    """Finds the heaps of a process.

    Args:
        memory: the process.
        pebs: its PEBs, one of each width at most.
        space: its allocations.
        os_build: build number of Windows, None if unknown.
    """
    captured = all(peb.heaps is not None for peb in pebs) if pebs else None
    return HeapSurvey(list_captured=captured)
