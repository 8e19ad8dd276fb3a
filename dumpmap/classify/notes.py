"""Notes: what a reader of the map has to know about the limits of the input."""

from __future__ import annotations

from dumpmap.classify.completeness import mono_module
from dumpmap.model.counted import commit_counter, contradicted_commit, virtual_size
from dumpmap.model.region_map import RegionMap
from dumpmap.model.sizes import size_words, sizes_apart
from dumpmap.model.stated_heaps import StatedSurplus
from dumpmap.model.types import RegionType


def notes_of(of_rules: tuple[str, ...], region_map: RegionMap) -> tuple[str, ...]:
    """Returns the notes of a map, a sentence each. `of_rules` are those that rules left."""
    snapshot, structures, unknown = region_map.snapshot, region_map.structures, region_map.unknown_types
    notes = list(snapshot.source.notes)
    windows, regions = snapshot.process.os.family == "windows", snapshot.regions
    if regions is None:
        notes.append(
            "the input has no list of memory regions: free space and the largest free block are unknown, and the map "
            "shows only what modules, stacks, heaps, and captured bytes prove"
        )
    elif windows and not {"file", "recorded_type"} & regions.texts.keys():
        notes.append("minidumps do not record the files behind mapped views: Shareable includes mapped files")
    if snapshot.architecture_inferred:
        notes.append(
            "VMMap's files do not state the architecture: x86 or x64 is inferred from the width of the addresses, and "
            "an Arm process looks the same"
        )
    if windows and snapshot.source.kind != "vmmap" and not structures.heap_list_captured:
        notes.append(f"the list of heaps is not in the input: {_heap_note(unknown, has_heaps=bool(region_map.heaps))}")
    notes += structures.notes
    heap = None if snapshot.writer is None else snapshot.writer.heap_limit
    if heap is not None and heap.implausible:
        used, limit = size_words(heap.used or 0), size_words(heap.limit or 0)
        notes.append(
            f"the writer of the dump recorded {used} in use and a limit of {limit} for the {heap.runtime} heap: no "
            "heap has such figures, and dumpmap ignores them"
        )
    mono = mono_module(snapshot) if RegionType.MANAGED_HEAP in unknown else None
    if mono is not None:
        where = "" if RegionType.PRIVATE_DATA in unknown else "; it counts as Private Data"
        notes.append(f"the Mono runtime is loaded ({mono}), and its heap could not be identified{where}")
    copies = len(region_map.mapped_copies)
    if copies:
        images = "1 loaded image is" if copies == 1 else f"{copies} loaded images are"
        notes.append(f"{images} also mapped as data, and both mappings are counted")
    surplus = region_map.stated_heaps if region_map.partial and region_map.heaps else None
    stated = () if surplus is None else (_stated_note(surplus),)
    return (*notes, *of_rules, *_counter_notes(region_map), *stated)


def _heap_note(unknown: frozenset[RegionType], *, has_heaps: bool) -> str:
    """Says where the memory of heaps that are not known is counted."""
    if has_heaps:
        return "other heaps may exist"
    if RegionType.PRIVATE_DATA in unknown:
        return "heap memory is not in the map, neither as Heap nor as Private Data"
    return "heap memory counts as Private Data"


def _stated_note(surplus: StatedSurplus) -> str:
    """Returns a note for a partial map whose row of heaps contains more than its regions."""
    headers = "the header of 1 heap states" if surplus.heaps == 1 else f"the headers of {surplus.heaps} heaps state"
    reserved, committed, missing = (
        f"{-(-size // 1024):,} KB" for size in (surplus.stated_size, surplus.stated_committed, surplus.size)
    )
    return (
        f"{headers} {reserved} reserved and {committed} committed, more than was captured: the row Heap contains "
        f"{missing} (stated) that no region shows, and Total only as much of it as no other row can contain"
    )


def _counter_notes(region_map: RegionMap) -> tuple[str, ...]:
    """Returns a note per counter that the map contradicts, because findings and verdicts do not use it."""
    notes = []
    private, counted = contradicted_commit(region_map), region_map.counters.virtual_size
    if private is not None:
        stated, mapped = sizes_apart((commit_counter(region_map) or 0, "nearest"), (private, "nearest"))
        notes.append(
            f"the counters state {stated} of private bytes, but the regions commit {mapped} privately: "
            "dumpmap uses the regions"
        )
    if counted and virtual_size(region_map) is None:
        notes.append(
            f"the counters state a virtual size of {size_words(counted)}, but more is known to be in use: dumpmap "
            "ignores this counter"
        )
    return tuple(notes)
