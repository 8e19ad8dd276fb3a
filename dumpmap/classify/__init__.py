"""Classification: a snapshot in, a region map out.

`classify` runs the rules in a fixed order over the allocations; the first certain one wins, guesses come last and are
marked as such. The rules, one module per family:

1. regions into allocations and gaps (`space`), or what a partial input proves (`partial`);
2. images and their sections (`images`);
3. TEB and PEB pages (`named`);
4. stacks (`stacks`);
5. heaps (`heaps`);
6. managed heaps (`managed`);
7. what the PEB points to (`named`);
8. mapped memory: a file where it is known (here).
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dumpmap.classify.heaps import label_heaps
from dumpmap.classify.images import MAX_IMAGES, Sections, label_images, label_mapped_copies
from dumpmap.classify.labels import Labels, Mark, Texts
from dumpmap.classify.managed import has_unread_runtime, label_managed_heaps, managed_notes
from dumpmap.classify.named import (
    claim_marked,
    label_activation_contexts,
    label_linux_names,
    label_named,
    mark_environment_blocks,
)
from dumpmap.classify.partial import partial_regions
from dumpmap.classify.recorded import is_recorded, take_allocations, take_parts, take_rows
from dumpmap.classify.space import LINUX_USER_SPACE_END, USER_SPACE_LIMIT, find_gaps, group_allocations, space_end
from dumpmap.classify.stacks import label_stacks
from dumpmap.model.heaps import Heap
from dumpmap.model.memory import Memory
from dumpmap.model.process import ProcessStructures
from dumpmap.model.region_map import AllocationColumns, BlockColumns, Completeness, MappedCopy, Pieces, RegionMap
from dumpmap.model.snapshot import I32, I64, U64, Process, Regions, Snapshot
from dumpmap.model.space import AllocationSpace, Index, working_sets
from dumpmap.model.stacks import Stack
from dumpmap.model.types import RegionType
from dumpmap.model.winnt import PAGE_WRITABLE, MemState, MemType, PageProtect
from dumpmap.structures.space import NoSpace
from dumpmap.structures.survey import survey

_COMMIT, _GUARD, _STACK = int(MemState.MEM_COMMIT), int(PageProtect.PAGE_GUARD), int(RegionType.STACK)
# Plain numbers: an array is compared with one in a third of the time that an enum member takes.
_IMAGE_TYPE, _SHAREABLE = int(RegionType.IMAGE), int(RegionType.SHAREABLE)
_PRIVATE_DATA, _HEAP, _UNKNOWN = int(RegionType.PRIVATE_DATA), int(RegionType.HEAP), int(RegionType.UNKNOWN)
_WRITABLE = int(PAGE_WRITABLE)
_PRIVATE, _IMAGE, _MAPPED = int(MemType.MEM_PRIVATE), int(MemType.MEM_IMAGE), int(MemType.MEM_MAPPED)

_FULL_SHARE = 0.5
"""From this share of the committed private bytes on an input counts as holding the process's memory."""


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
        image_path: a folder with the program's own files, for sections whose headers the input does not hold.
        memory: read through this instead of the snapshot's own memory; a `RecordingMemory` tells afterwards which
            bytes the map was built from.
        read_parameters: also read image path and command line out of the process parameters.
        sections: read the headers of all images and tell their sections apart, and views of their files. Without, only
            these names are missing: every type, total and finding is the same.
    """
    memory = snapshot.memory if memory is None else memory
    partial = snapshot.regions is None
    user_space = _user_space(snapshot) if snapshot.regions is not None else None
    space = group_allocations(user_space) if user_space is not None else None
    structures = _survey(snapshot, memory, space, read_parameters=read_parameters, all_images=sections)
    if space is None:
        space = group_allocations(partial_regions(snapshot, structures))
    labels = _start(snapshot, space)
    warnings = list(structures.warnings)
    if user_space is not None and snapshot.process.os.family != "linux":
        outside = len(snapshot.regions or ()) - len(user_space)
        if outside:
            warnings.append(f"{outside} regions lie beyond the user part of any address space; left out")
    recorded = is_recorded(space.regions)
    stacks: list[Stack] = []
    heaps: list[Heap] = []
    copies: list[MappedCopy] = []
    sectioned: list[Sections] = []
    if recorded:
        take_allocations(space, labels)
        stacks, heaps = take_parts(snapshot, space, labels)
    else:
        sectioned, image_warnings = label_images(snapshot, structures.images, space, labels, image_path=image_path)
        warnings += image_warnings
        mark_environment_blocks(snapshot, structures, labels)
        stacks, stack_warnings = label_stacks(snapshot, structures, space, labels, partial=partial)
        heaps, heap_warnings = label_heaps(snapshot, structures, space, labels)
        label_managed_heaps(snapshot, structures, space, labels)
        label_named(structures, space, labels)
        label_linux_names(snapshot, space, labels)
        claim_marked(labels, space)
        label_files(space, labels)
        if not partial:  # which takes page protections
            label_activation_contexts(memory, space, labels)
        if sections:
            copies = label_mapped_copies(memory, snapshot, structures.images, space, labels)
        warnings += stack_warnings + heap_warnings
    completeness = _completeness(snapshot, space)
    figures = _figures(space.regions)
    # Sums by type need only the marks that change one, and no names: those wait until somebody looks at rows. A large
    # process has thousands of sections.
    typed = [mark for mark in labels.marks if mark.label.type is not None]
    pieces = _pieces(space, labels.types, typed, figures)

    @cache
    def evidence() -> I32:
        return _evidence_codes(snapshot, labels, len(space), recorded=recorded)

    def make_blocks() -> BlockColumns:
        marks = [mark for image in sectioned for mark in image.marks()] + labels.marks
        whole = pieces if len(marks) == len(typed) else _pieces(space, labels.types, marks, figures)
        return _blocks(whole, space, labels, marks, evidence(), recorded=recorded)

    gaps = end = None
    if user_space is not None:
        end = space_end(snapshot, user_space)
        gaps = find_gaps(space.bases, space.ends, end, snapshot.system.allocation_granularity)
    names = {module.name.lower() for module in snapshot.modules}
    process = _process(snapshot, structures, names)
    return RegionMap(
        snapshot=snapshot,
        process=process,
        completeness=completeness,
        end=end,
        space=space,
        gaps=gaps,
        types=labels.types,
        pieces=pieces,
        make_allocations=lambda: _allocations(space, labels, evidence(), figures, pieces),
        make_blocks=make_blocks,
        texts=labels.texts.values,
        stacks=tuple(stacks),
        heaps=tuple(heaps),
        heap_list_captured=structures.heap_list_captured,
        structures=structures,
        mapped_copies=tuple(copies),
        notes=tuple(_notes(snapshot, structures, completeness, copies, bool(heaps), names)),
        warnings=(*snapshot.warnings, *warnings),
        unknown_types=_unknown_types(snapshot, structures, labels, names, partial=partial, recorded=recorded),
    )


def _user_space(snapshot: Snapshot) -> Regions:
    """The regions of user space; Linux lists a page of the kernel's beside them, and a damaged list anything."""
    regions = snapshot.regions
    if regions is None:
        raise ValueError("a snapshot without regions has no user space to speak of")
    limit = LINUX_USER_SPACE_END if snapshot.process.os.family == "linux" else USER_SPACE_LIMIT
    if len(regions) and int(regions.base[-1]) + int(regions.size[-1]) > limit:
        return regions.take(regions.base + regions.size <= np.uint64(limit))
    return regions


def _survey(
    snapshot: Snapshot, memory: Memory, space: AllocationSpace | None, *, read_parameters: bool, all_images: bool
) -> ProcessStructures:
    return survey(
        memory,
        pointer_size=snapshot.process.pointer_size,
        threads=[(thread.id, thread.teb or 0) for thread in snapshot.threads],
        # Each header costs up to a thousand sections to read; a hostile list can name a hundred thousand modules.
        modules=[(module.base, module.size, module.name) for module in snapshot.modules[:MAX_IMAGES]],
        space=NoSpace() if space is None else space,
        os_build=snapshot.process.os.build,
        family=snapshot.process.os.family,
        peb_addresses=[address for address in (snapshot.peb, snapshot.wow64_peb) if address],
        read_parameters=read_parameters,
        all_images=all_images,
    )


# ---------------------------------------------------------------- labels


def _start(snapshot: Snapshot, space: AllocationSpace) -> Labels:
    """The types that the memory map itself gives, before any rule."""
    kinds = space.kinds
    types = np.full(len(space), _PRIVATE_DATA, np.uint8)
    types[kinds == _IMAGE] = _IMAGE_TYPE
    types[kinds == _MAPPED] = _SHAREABLE
    if snapshot.regions is None:
        types[kinds == 0] = _UNKNOWN
    return Labels(
        bases=space.bases,
        ends=space.ends,
        types=types,
        claimed=np.zeros(len(space), np.bool_),
        kinds=np.zeros(len(space), np.int32),
        details=np.zeros(len(space), np.int32),
        inferred=np.zeros(len(space), np.bool_),
    )


def label_files(space: AllocationSpace, labels: Labels) -> None:
    """Mapped memory whose file is known is a Mapped File."""
    column = space.regions.texts.get("file")
    if column is None or not column.values:
        return
    codes = column.codes[space.first]
    mapped = (space.kinds == MemType.MEM_MAPPED) & (codes >= 0)
    is_path = np.array([not text.startswith(("[", "/dev/", "/memfd:", "/SYSV")) for text in column.values], np.bool_)
    wanted = mapped & is_path[np.maximum(codes, 0)]
    files = np.array([labels.texts.code(text) for text in column.values], np.int32)
    # In bulk: a process can map a hundred thousand views.
    kind = labels.texts.code("Mapped file")
    labels.types[wanted] = RegionType.MAPPED_FILE
    unnamed = wanted & ~labels.claimed
    labels.kinds[unnamed] = kind
    labels.details[unnamed] = files[codes[unnamed]]
    shared = mapped & ~wanted & ~labels.claimed
    labels.details[shared] = files[codes[shared]]


# ---------------------------------------------------------------- columns


def _committed(regions: Regions) -> I64:
    sizes = np.where(regions.state == _COMMIT, regions.size, np.uint64(0)).view(np.int64)
    return _override(sizes, regions, "committed")


def _override(values: I64, regions: Regions, name: str) -> I64:
    """Takes the figure that the source itself states, where it does."""
    stated = regions.numbers.get(name)
    return values if stated is None else np.where(stated >= 0, stated, values)


def _private(regions: Regions, committed: I64) -> I64:
    """VMMap's Private: all committed private memory, and the writable pages of images."""
    writable = (regions.protect & np.uint32(_WRITABLE)) != 0
    private = (regions.type == _PRIVATE) | ((regions.type == _IMAGE) & writable)
    return _override(committed * private, regions, "private")


def _figures(regions: Regions) -> tuple[I64, I64]:
    """Committed and private bytes of every region."""
    committed = _committed(regions)
    return committed, _private(regions, committed)


def _pieces(
    space: AllocationSpace, types: npt.NDArray[np.uint8], marks: list[Mark], figures: tuple[I64, I64]
) -> Pieces:
    """Cuts the regions at the edges of marks; a mark with a type gives it to what it covers."""
    regions, allocation = space.regions, space.allocation_of
    committed, private = figures
    base, size, state, protect = regions.base, regions.size.view(np.int64), regions.state, regions.protect
    if marks:
        base, region, first, size = _cut(regions, marks)
        state, protect, allocation = state[region], protect[region], allocation[region]
        # A piece of a split region has its own share; figures that the source states are for whole regions.
        whole = size == regions.size[region].view(np.int64)
        share = np.where(state == _COMMIT, size, 0)
        private = np.where(whole, private[region], np.where(private[region] > 0, share, 0))
        committed = np.where(whole, committed[region], share)
    else:
        region = np.arange(len(regions))
        first = np.full(len(regions), True)
    count = first.astype(np.int64)
    stated = regions.numbers.get("blocks")
    if stated is not None:
        count = np.where(first, np.where(stated[region] >= 0, stated[region], 1), 0)
    of_pieces = types[allocation]
    if marks:
        places = np.searchsorted(base, np.array([(mark.start, mark.end) for mark in marks], np.uint64)).tolist()
        for mark, (low, high) in zip(reversed(marks), reversed(places), strict=True):
            if mark.label.type is not None:
                of_pieces[low:high] = mark.label.type
    return Pieces(
        base=base,
        size=size,
        committed=committed,
        private=private,
        state=state,
        protect=protect,
        allocation=allocation,
        region=region,
        first=first,
        blocks=count,
        type=of_pieces,
    )


def _blocks(
    pieces: Pieces,
    space: AllocationSpace,
    labels: Labels,
    marks: list[Mark],
    allocation_evidence: I32,
    *,
    recorded: bool,
) -> BlockColumns:
    """Names the pieces: as their allocation is, then as the mark that covers them."""
    allocation = pieces.allocation
    kind, details = labels.kinds[allocation], labels.details[allocation]
    evidence, inferred = allocation_evidence[allocation], labels.inferred[allocation]
    if recorded:
        take_rows(space.regions, pieces.region, labels, kind, details)
    else:
        # Which pieces lie in a stack is said by its allocation: a mark can give a part of it another type.
        guards = ((pieces.protect & np.uint32(_GUARD)) != 0) & (labels.types[allocation] == _STACK)
        kind[guards] = labels.texts.code("Guard")
    _apply_marks(pieces.base, marks, labels.texts, kind, details, evidence, inferred)
    return BlockColumns(**vars(pieces), kind=kind, details=details, evidence=evidence, inferred=inferred)


def _cut(regions: Regions, marks: list[Mark]) -> tuple[U64, Index, npt.NDArray[np.bool_], I64]:
    """Cuts regions at the edges of marks.

    Returns:
        for each piece its base, the index of its region, whether it is the region's first, and its size.
    """
    edges = np.array([(mark.start, mark.end) for mark in marks], np.uint64).ravel()
    region_end = regions.base + regions.size
    inside = np.searchsorted(regions.base, edges, side="right").astype(np.int64) - 1
    edges = edges[(inside >= 0) & (edges < region_end[inside])]
    base = np.concatenate((regions.base, edges))
    base.sort()
    distinct = np.ones(len(base), np.bool_)
    np.not_equal(base[1:], base[:-1], out=distinct[1:])
    base = base[distinct]
    region = np.searchsorted(regions.base, base, side="right") - 1
    first = np.ones(len(base), np.bool_)
    np.not_equal(region[1:], region[:-1], out=first[1:])
    end = region_end[region]
    # A piece that another one of its region follows ends where that one begins.
    followed = np.flatnonzero(~first[1:])
    end[followed] = base[followed + 1]
    return base, region, first, (end - base).view(np.int64)


def _apply_marks(
    base: U64,
    marks: list[Mark],
    texts: Texts,
    kind: I32,
    details: I32,
    evidence: I32,
    inferred: npt.NDArray[np.bool_],
) -> None:
    """Lays the names of marks over the pieces; backwards, so that of two the first stays."""
    if not marks:
        return
    edges = np.array([(mark.start, mark.end) for mark in marks], np.uint64)
    places = np.searchsorted(base, edges, side="left").tolist()
    code = texts.code
    together: dict[tuple[int, str], int] = {}
    for mark, (low, high) in zip(reversed(marks), reversed(places), strict=True):
        if low >= high:
            continue
        label = mark.label
        kind[low:high] = code(label.kind)
        details[low:high] = code(label.details)
        inferred[low:high] = label.inferred
        key = int(evidence[low]), label.evidence
        if key not in together:
            before = texts.text(key[0])
            known = label.evidence in before.split("+")
            together[key] = key[0] if known else code(f"{before}+{label.evidence}")
        evidence[low:high] = together[key]


def _evidence_codes(snapshot: Snapshot, labels: Labels, count: int, *, recorded: bool) -> I32:
    if recorded:
        basis = "recorded"
    elif snapshot.regions is None:
        basis = "memory-list"
    elif snapshot.process.os.family == "linux":
        basis = "linux-maps"
    else:
        basis = "memory-info"
    codes = np.full(count, labels.texts.code(basis), np.int32)
    seen: dict[tuple[str, ...], int] = {}
    for index, found in labels.all_evidence().items():
        key = tuple(found)
        if key not in seen:
            extra = [text for text in found if text != basis]
            # In a partial map an allocation exists only because of what proved it.
            parts = extra if snapshot.regions is None and extra else [basis, *extra]
            seen[key] = labels.texts.code("+".join(parts))
        codes[index] = seen[key]
    return codes


def _allocations(
    space: AllocationSpace,
    labels: Labels,
    evidence: I32,
    figures: tuple[I64, I64],
    pieces: Pieces,
) -> AllocationColumns:
    regions, first = space.regions, space.first
    if len(space) == 0:
        none, zero = np.empty(0, np.int64), np.empty(0, np.int32)
        return AllocationColumns(
            base=space.bases,
            size=none,
            committed=none,
            private=none,
            blocks=none,
            protect=np.empty(0, np.uint32),
            state=np.empty(0, np.uint32),
            type=labels.types,
            kind=zero,
            details=zero,
            evidence=zero,
            inferred=labels.inferred,
            working_set={},
        )
    starts = np.flatnonzero(pieces.first) if len(pieces.base) != len(regions) else None
    firsts = first if starts is None else starts[first]
    uniform = (np.minimum.reduceat(regions.protect, first) == np.maximum.reduceat(regions.protect, first)) & (
        np.minimum.reduceat(regions.state, first) == np.maximum.reduceat(regions.state, first)
    )
    state = np.where(uniform, regions.state[first], np.uint32(_COMMIT))
    protect = np.where(uniform, regions.protect[first], regions.allocation_protect[first])
    return AllocationColumns(
        base=space.bases,
        size=(space.ends - space.bases).view(np.int64),
        committed=np.add.reduceat(figures[0], first),
        private=np.add.reduceat(figures[1], first),
        blocks=np.add.reduceat(pieces.blocks, firsts),
        protect=protect,
        state=state,
        type=labels.types,
        kind=labels.kinds,
        details=labels.details,
        evidence=evidence,
        inferred=labels.inferred,
        working_set=working_sets(space),
    )


# ---------------------------------------------------------------- about the whole


def _completeness(snapshot: Snapshot, space: AllocationSpace) -> Completeness:
    if snapshot.regions is None:
        return "partial"
    regions = space.regions
    private = (regions.type == _PRIVATE) & (regions.state == _COMMIT)
    wanted = int(regions.size[private].sum())
    held = snapshot.source.memory_size
    if held is None:
        held = sum(size for _, size in snapshot.memory.ranges())
    return "full" if wanted and held >= wanted * _FULL_SHARE else "map"


def _process(snapshot: Snapshot, structures: ProcessStructures, names: set[str]) -> Process:
    """The process with what the structures add: WoW64, its own width, path and command line."""
    process = snapshot.process
    wow64 = process.wow64
    if process.os.family == "windows" and wow64 is None:
        of_tebs = {teb.pointer_size for teb in structures.tebs}
        of_pebs = {peb.pointer_size for peb in structures.pebs}
        if {4, 8} in (of_tebs, of_pebs) or "wow64.dll" in names:
            wow64 = True
        elif process.architecture == "x64" and structures.tebs:
            wow64 = False
        elif process.architecture == "x86":
            # A TEB32 names its 64-bit twin even where that was not captured.
            twins = [teb.other_teb for teb in structures.tebs if teb.pointer_size == 4]
            highest = snapshot.system.max_address
            if any(twins) or (highest is not None and highest >= 0xC0000000):
                wow64 = True
    architecture, pointer_size = process.architecture, process.pointer_size
    if wow64 and architecture == "x64":
        architecture, pointer_size = "x86", 4
    path, command_line = process.path, process.command_line
    for peb in structures.pebs:
        path = path or peb.image_path
        command_line = command_line or peb.command_line
    found = (wow64, architecture, path, command_line)
    if found == (process.wow64, process.architecture, process.path, process.command_line):
        return process
    return replace(
        process,
        wow64=wow64,
        architecture=architecture,
        pointer_size=pointer_size,
        path=path,
        command_line=command_line,
    )


def _unknown_types(
    snapshot: Snapshot, structures: ProcessStructures, labels: Labels, names: set[str], *, partial: bool, recorded: bool
) -> frozenset[RegionType]:
    unknown = set()
    types = labels.types.tobytes()  # a byte each: searching them is faster than comparing
    if partial:
        unknown |= {RegionType.FREE, RegionType.UNUSABLE, RegionType.MAPPED_FILE, RegionType.SHAREABLE}
        if _PRIVATE_DATA not in types:
            unknown.add(RegionType.PRIVATE_DATA)
        if not snapshot.modules:
            unknown |= {RegionType.IMAGE, RegionType.MANAGED_HEAP}
        if not snapshot.threads:
            unknown.add(RegionType.STACK)
    if recorded:
        return frozenset(unknown)
    windows = snapshot.process.os.family == "windows"
    if _HEAP not in types and not structures.heap_list_captured:
        unknown.add(RegionType.HEAP)
    if has_unread_runtime(snapshot, structures, names):
        unknown.add(RegionType.MANAGED_HEAP)
    if windows and snapshot.regions is not None and "file" not in snapshot.regions.texts:
        unknown.add(RegionType.MAPPED_FILE)
    return frozenset(unknown)


def _notes(
    snapshot: Snapshot,
    structures: ProcessStructures,
    completeness: Completeness,
    copies: list[MappedCopy],
    has_heaps: bool,
    names: set[str],
) -> list[str]:
    notes = list(snapshot.source.notes)
    windows = snapshot.process.os.family == "windows"
    if completeness == "partial":
        notes.append(
            "the input has no list of memory regions: free space and the largest free block cannot be known, and what "
            "is shown is only what modules, stacks, heaps and captured bytes prove"
        )
    elif windows and snapshot.regions is not None and not {"file", "recorded_type"} & snapshot.regions.texts.keys():
        notes.append("a dump does not record the files behind mapped views: Shareable includes mapped files")
    if windows and snapshot.source.kind != "vmmap" and not structures.heap_list_captured:
        notes.append(
            "the list of heaps is not in the input"
            + (": only the heaps shown could be told" if has_heaps else ": heap memory counts as Private Data")
        )
    notes += structures.missing
    notes += managed_notes(snapshot, structures, names)
    if copies:
        images = "1 loaded image is" if len(copies) == 1 else f"{len(copies)} loaded images are"
        notes.append(f"{images} also mapped as data and counted in both places")
    return notes
