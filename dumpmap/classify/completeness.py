"""What the input cannot know: how complete a map is, and the types whose figures are unknown."""

from __future__ import annotations

import re

import numpy as np

from dumpmap.classify.labels import Labels
from dumpmap.model.file_names import file_key
from dumpmap.model.process import ProcessStructures
from dumpmap.model.region_map import Completeness
from dumpmap.model.snapshot import Snapshot
from dumpmap.model.space import AllocationSpace
from dumpmap.model.types import RegionType
from dumpmap.model.winnt import MemState, MemType

_PRIVATE, _COMMIT = np.uint32(MemType.MEM_PRIVATE), np.uint32(MemState.MEM_COMMIT)
_HEAP = int(RegionType.HEAP)

_MONO = re.compile(r"mono(?:sgen)?(?:-[\w.-]+)?\.dll", re.IGNORECASE)
"""`mono.dll`, `mono-2.0-bdwgc.dll`, `monosgen-2.0.dll`: the runtime, not its helper libraries."""

_FULL_SHARE = 0.5
"""An input with at least this share of the committed private bytes counts as full."""


def completeness_of(snapshot: Snapshot, space: AllocationSpace) -> Completeness:
    """Says how much of the process's memory the input holds."""
    if snapshot.regions is None:
        return "partial"
    regions = space.regions
    private = (regions.type == _PRIVATE) & (regions.state == _COMMIT)
    wanted = int(regions.size[private].sum())
    held = snapshot.source.memory_size
    if held is None:
        held = snapshot.memory.held()
    return "full" if wanted and held >= wanted * _FULL_SHARE else "map"


def unknown_types(
    snapshot: Snapshot, structures: ProcessStructures, labels: Labels, *, recorded: bool
) -> frozenset[RegionType]:
    """Returns the types whose figures the input cannot know: their rows are blank, not zero."""
    unknown: set[RegionType] = set()
    types = labels.types.tobytes()  # a byte each: searching them is faster than comparing
    if snapshot.regions is None:
        unknown |= {RegionType.FREE, RegionType.UNUSABLE, RegionType.MAPPED_FILE, RegionType.SHAREABLE}
        # None of them was found, which does not mean that there is none.
        unknown |= {
            one for one in (RegionType.PRIVATE_DATA, RegionType.IMAGE, RegionType.STACK) if int(one) not in types
        }
        if not snapshot.modules:
            unknown.add(RegionType.MANAGED_HEAP)
    if recorded:
        return frozenset(unknown)
    if _HEAP not in types and not structures.heap_list_captured:
        unknown.add(RegionType.HEAP)
    unknown |= _of_unread_runtimes(structures)
    if int(RegionType.MANAGED_HEAP) not in types and mono_module(snapshot) is not None:
        unknown.add(RegionType.MANAGED_HEAP)
    windows = snapshot.process.os.family == "windows"
    if windows and snapshot.regions is not None and "file" not in snapshot.regions.texts:
        unknown.add(RegionType.MAPPED_FILE)
    return frozenset(unknown)


def mono_module(snapshot: Snapshot) -> str | None:
    """Returns the name of the Mono runtime's module; None if it is not loaded. Its heap has no recogniser."""
    names = [file_key(module.path) for module in snapshot.modules]
    if "mono" not in "\n".join(names):  # nearly always
        return None
    return next((module.name for module in snapshot.modules if _MONO.fullmatch(module.name)), None)


def _of_unread_runtimes(structures: ProcessStructures) -> set[RegionType]:
    """Types of the memory of runtimes that could not be read, unless some such memory was found elsewhere."""
    unread = {found.unread_type for found in structures.found if found.unread_type is not None}
    return unread - {part.type for part in structures.ranges} if unread else set()
