"""The pipeline: which rules run, in which order."""

from __future__ import annotations

from dataclasses import field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dumpmap.classify.completeness import completeness_of, unknown_types
from dumpmap.classify.heaps import label_heaps
from dumpmap.classify.images import Sections, label_files, label_images, label_mapped_copies
from dumpmap.classify.labels import Labels, start_labels
from dumpmap.classify.named import (
    claim_marked,
    label_activation_contexts,
    label_linux_names,
    label_named,
    mark_environment_blocks,
)
from dumpmap.classify.notes import notes_of
from dumpmap.classify.pieces import cut_pieces
from dumpmap.classify.process_facts import describe_process
from dumpmap.classify.space import LINUX_USER_SPACE_END, USER_SPACE_LIMIT, find_gaps, group_allocations, space_end
from dumpmap.classify.stacks import label_stacks
from dumpmap.model.heaps import Heap
from dumpmap.model.memory import Memory
from dumpmap.model.pieces import BlockColumns
from dumpmap.model.process import ProcessStructures
from dumpmap.model.region_map import AllocationColumns, MappedCopy, RegionMap
from dumpmap.model.snapshot import Regions, Snapshot
from dumpmap.model.space import AllocationSpace
from dumpmap.model.stacks import Stack
from dumpmap.model.values import value_class
from dumpmap.structures.space import NoSpace
from dumpmap.structures.survey import survey

if TYPE_CHECKING:
    from dumpmap.classify.rows import RowMaker


@value_class(frozen=True, slots=True)
class _Options:
    """See `classify`."""

    image_path: Path | None
    read_parameters: bool
    sections: bool


@value_class(frozen=False, slots=True)
class _Outcome:
    """What the rules found beside labels."""

    sections: list[Sections] = field(default_factory=list)
    stacks: list[Stack] = field(default_factory=list)
    heaps: list[Heap] = field(default_factory=list)
    copies: list[MappedCopy] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def classify(
    snapshot: Snapshot,
    *,
    image_path: Path | None = None,
    memory: Memory | None = None,
    read_parameters: bool = True,
    sections: bool = True,
) -> RegionMap:
    """Classifies every region of a snapshot.

    Args:
        snapshot: the raw facts.
        image_path: a folder with the program's own files, for sections whose headers the input does not contain.
        memory: read through this instead of the snapshot's own memory. A `RecordingMemory` keeps the bytes that the map
            was built from.
        read_parameters: also read image path and command line from the process parameters.
        sections: read the headers of all images, for their sections and for views of their files. Without them only
            these names are missing: every type, total, and finding is the same.
    """
    memory = snapshot.memory if memory is None else memory
    options = _Options(image_path, read_parameters, sections)
    regions = _user_space(snapshot)
    space = None if regions is None else group_allocations(regions)
    structures = _survey(snapshot, memory, space, options)
    if space is None:
        from dumpmap.classify.partial import partial_regions

        space = group_allocations(partial_regions(snapshot, structures))
    labels = start_labels(snapshot, space)
    recorded = "recorded_type" in space.regions.texts
    if recorded:
        outcome = _take_recorded(snapshot, structures, space, labels)
    else:
        outcome = _run_rules(snapshot, structures, space, labels, memory, options)
    return _assemble(snapshot, regions, space, structures, labels, outcome, recorded=recorded)


def _assemble(
    snapshot: Snapshot,
    regions: Regions | None,
    space: AllocationSpace,
    structures: ProcessStructures,
    labels: Labels,
    outcome: _Outcome,
    *,
    recorded: bool,
) -> RegionMap:
    """Makes the map of what the rules found."""
    # Sums by type need only the marks that change a type, and no names. Names wait until a view needs rows, because a
    # large process has thousands of sections.
    typed = [mark for mark in labels.marks if mark.label.type is not None]
    pieces = cut_pieces(space, labels.types, typed)

    rows = _Rows(snapshot, space, labels, outcome.sections, pieces, recorded)
    end = None if regions is None else space_end(snapshot, regions)
    granularity = snapshot.system.allocation_granularity
    return RegionMap(
        snapshot=snapshot,
        process=describe_process(snapshot, structures),
        completeness=completeness_of(snapshot, space),
        end=end,
        space=space,
        gaps=None if end is None else find_gaps(space.bases, space.ends, end, granularity),
        types=labels.types,
        pieces=pieces,
        make_allocations=rows.allocations,
        make_blocks=rows.blocks,
        make_notes=partial(notes_of, tuple(outcome.notes)),
        texts=labels.texts.values,
        stacks=tuple(outcome.stacks),
        heaps=tuple(outcome.heaps),
        heap_list_captured=structures.heap_list_captured,
        structures=structures,
        mapped_copies=tuple(outcome.copies),
        warnings=(*snapshot.warnings, *structures.warnings, *_outside(snapshot, regions), *outcome.warnings),
        unknown_types=unknown_types(snapshot, structures, labels, recorded=recorded),
    )


class _Rows:
    """Makes the columns with names when they are first wanted, and imports what makes them only then."""

    def __init__(self, *arguments: Any) -> None:
        self._arguments = arguments

    @cached_property
    def _maker(self) -> RowMaker:
        from dumpmap.classify.rows import RowMaker

        return RowMaker(*self._arguments)

    def allocations(self) -> AllocationColumns:
        return self._maker.allocations()

    def blocks(self) -> BlockColumns:
        return self._maker.blocks()


def _user_space(snapshot: Snapshot) -> Regions | None:
    """The regions of user space: Linux also lists a page of the kernel's, and a damaged list can contain anything."""
    regions = snapshot.regions
    if regions is None:
        return None
    limit = LINUX_USER_SPACE_END if snapshot.process.os.kernel == "linux" else USER_SPACE_LIMIT
    if len(regions) and int(regions.base[-1]) + int(regions.size[-1]) > limit:
        return regions.take(slice(np.count_nonzero(regions.base + regions.size <= np.uint64(limit))))
    return regions


def _outside(snapshot: Snapshot, regions: Regions | None) -> tuple[str, ...]:
    """Warns of regions that no address space can have."""
    if regions is None or snapshot.process.os.kernel == "linux":
        return ()
    outside = len(snapshot.regions or ()) - len(regions)
    if not outside:
        return ()
    regions_lie = "1 region lies" if outside == 1 else f"{outside:,} regions lie"
    return (f"{regions_lie} beyond the user part of any address space, skipped",)


def _survey(snapshot: Snapshot, memory: Memory, space: AllocationSpace | None, options: _Options) -> ProcessStructures:
    return survey(
        memory,
        pointer_size=snapshot.process.pointer_size,
        threads=[(thread.id, thread.teb or 0) for thread in snapshot.threads],
        modules=[(module.base, module.size, module.path) for module in snapshot.modules],
        space=NoSpace() if space is None else space,
        os_build=snapshot.process.os.build,
        family=snapshot.process.os.family,
        refused_tebs={thread.teb for thread in snapshot.threads if thread.teb_refused and thread.teb is not None},
        peb_addresses=[address for address in (snapshot.peb, snapshot.wow64_peb) if address],
        reported_heaps=snapshot.heaps,
        reported_managed_heaps=snapshot.managed_heaps,
        read_parameters=options.read_parameters,
        all_images=options.sections,
    )


def _take_recorded(
    snapshot: Snapshot, structures: ProcessStructures, space: AllocationSpace, labels: Labels
) -> _Outcome:
    """Takes types and names from another tool's file."""
    from dumpmap.classify.recorded import take_allocations, take_parts

    take_allocations(space, labels)
    stacks, heaps = take_parts(snapshot, structures, space, labels)
    return _Outcome(stacks=stacks, heaps=heaps)


def _run_rules(
    snapshot: Snapshot,
    structures: ProcessStructures,
    space: AllocationSpace,
    labels: Labels,
    memory: Memory,
    options: _Options,
) -> _Outcome:
    """Runs the rules in their order: of two labels for one allocation, the first stays."""
    outcome = _Outcome()
    has_map = snapshot.regions is not None
    outcome.sections, of_images, notes_of_images = label_images(
        snapshot, structures.images, space, labels, image_path=options.image_path
    )
    mark_environment_blocks(snapshot, structures, labels)
    outcome.stacks, of_stacks, notes_of_stacks = label_stacks(snapshot, structures, space, labels, partial=not has_map)
    outcome.heaps, of_heaps = label_heaps(structures.heaps, space, labels)
    if structures.ranges:
        from dumpmap.classify.recognised import label_ranges

        label_ranges(structures.ranges, space, labels)
    label_named(structures, space, labels)
    if snapshot.generated_code:
        from dumpmap.classify.generated_code import label_generated_code

        label_generated_code(snapshot, labels)
    label_linux_names(snapshot, space, labels)
    claim_marked(labels, space)
    label_files(space, labels)
    if has_map:  # it needs page protections
        label_activation_contexts(memory, space, labels)
    if options.sections:
        outcome.copies = label_mapped_copies(memory, snapshot, structures.images, space, labels)
    outcome.warnings = [*of_images, *of_stacks, *of_heaps]
    outcome.notes = [*notes_of_images, *notes_of_stacks]
    return outcome
