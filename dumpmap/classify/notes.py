"""Notes: what a reader of the map has to know about the limits of the input."""

from __future__ import annotations

from dumpmap.model.process import ProcessStructures
from dumpmap.model.region_map import MappedCopy
from dumpmap.model.snapshot import Snapshot


def notes_of(
    snapshot: Snapshot, structures: ProcessStructures, copies: list[MappedCopy], *, has_heaps: bool
) -> tuple[str, ...]:
    """Returns the notes of a map, a sentence each."""
    notes = list(snapshot.source.notes)
    windows, regions = snapshot.process.os.family == "windows", snapshot.regions
    if regions is None:
        notes.append(
            "the input has no list of memory regions: free space and the largest free block are unknown, and the map "
            "shows only what modules, stacks, heaps, and captured bytes prove"
        )
    elif windows and not {"file", "recorded_type"} & regions.texts.keys():
        notes.append("minidumps do not record the files behind mapped views: Shareable includes mapped files")
    if windows and snapshot.source.kind != "vmmap" and not structures.heap_list_captured:
        notes.append(
            "the list of heaps is not in the input"
            + (": other heaps may exist" if has_heaps else ": heap memory counts as Private Data")
        )
    notes += structures.notes
    if copies:
        images = "1 loaded image is" if len(copies) == 1 else f"{len(copies)} loaded images are"
        notes.append(f"{images} also mapped as data, and both places count")
    return tuple(notes)
