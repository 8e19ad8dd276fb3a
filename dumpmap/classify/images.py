"""Images and mapped files: module names, sections from PE headers, views of files, and second copies of images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dumpmap.classify.image_files import ImageFiles
from dumpmap.classify.labels import Label, Labels, Mark
from dumpmap.model import kinds
from dumpmap.model.counts import part_words
from dumpmap.model.memory import Memory
from dumpmap.model.process import PeImage
from dumpmap.model.region_map import MappedCopy
from dumpmap.model.snapshot import Snapshot
from dumpmap.model.space import AllocationSpace
from dumpmap.model.types import RegionType
from dumpmap.model.values import value_class
from dumpmap.model.winnt import PAGE_SIZE, MemType
from dumpmap.structures.pe import MAX_SECTIONS as PE_SECTIONS
from dumpmap.structures.pe import read_image
from dumpmap.structures.survey import MAX_ALL_SECTIONS

MAX_COPIES = 4096
"""Most mapped views that are compared with the modules; the others have no name."""

_MEM_IMAGE, _MEM_MAPPED = int(MemType.MEM_IMAGE), int(MemType.MEM_MAPPED)


def label_images(
    snapshot: Snapshot, images: dict[int, PeImage], space: AllocationSpace, labels: Labels, *, image_path: Path | None
) -> tuple[list[Sections], list[str], list[str]]:
    """Names images after their modules.

    Returns:
        the images whose sections are known; warnings of modules that cannot be where they are listed; and a note of
        sections beyond the limit.
    """
    warnings, notes = [], []
    known: list[Sections] = []
    files = ImageFiles(image_path) if image_path is not None else None
    outside = twice = 0
    seen: set[int] = set()
    types = space.kinds.data
    found: list[tuple[int, str, str]] = []
    without = 0
    places = space.indices_of([module.base for module in snapshot.modules])
    for module, index in zip(snapshot.modules, places, strict=True):
        if module.base in seen:
            twice += 1
            continue
        seen.add(module.base)
        if index < 0:
            outside += bool(module.size)
            continue
        image, evidence = images.get(module.base), "pe-header"
        if image is None and files is not None:
            found_file = files.find(module)
            image, evidence = None if found_file is None else found_file[0], "image-file"
        kind = (kinds.IMAGE if image is None else kinds.DLL if image.is_dll else kinds.EXE).name
        if types[index] == _MEM_IMAGE:
            found.append((index, kind, module.path))
        else:
            # Packers and some runtimes load a module into memory that is not image memory.
            labels.claim(index, Label(f"{kind} in other memory", "module-list", None, module.path))
        if image is not None:
            labels.add_evidence(index, evidence)
            without += image.section_count > 0 and not image.sections
            known.append(Sections(module.base, int(space.ends[index]), image, evidence))
    labels.claim_all(found, "module-list", RegionType.IMAGE)
    if twice:
        have = part_words(twice, len(snapshot.modules), "module", "has", "have")
        warnings.append(f"{have} the address of another module")
    if without and sum(len(one.image.sections) for one in known) + PE_SECTIONS > MAX_ALL_SECTIONS:
        notes.append(f"the modules have more than {MAX_ALL_SECTIONS:,} sections; those of {without:,} are not shown")
    if outside and snapshot.process.os.family == "windows":
        lie = part_words(outside, len(snapshot.modules), "module", "is", "are")
        warnings.append(f"{lie} in no allocation of the map")
    _label_unlisted(snapshot, space, labels)
    return known, warnings, notes


@value_class(frozen=True, slots=True)
class Sections:
    """An image whose sections are known. Memory beyond `end` is not part of it."""

    base: int
    end: int
    image: PeImage
    evidence: str

    def marks(self) -> Iterator[Mark]:
        """Yields a mark for every section, then for the header."""
        base, end = self.base, self.end
        for section in self.image.sections:
            start = base + section.address
            stop = min(start + section.size, end)
            if base < start < stop:
                yield Mark(start, stop, Label(section.name or kinds.UNNAMED_SECTION.name, self.evidence))
        # Last, so that sections win over a header that claims to reach into them.
        stop = min(base + -(-self.image.size_of_headers // PAGE_SIZE) * PAGE_SIZE, end)
        if base < stop:
            yield Mark(base, stop, Label(kinds.HEADER.name, self.evidence))


def _label_unlisted(snapshot: Snapshot, space: AllocationSpace, labels: Labels) -> None:
    """Names images without a module in the list, by the captured file name or by the unloaded modules."""
    unlisted = ((space.kinds == _MEM_IMAGE) & ~labels.claimed).nonzero()[0].tolist()
    if not unlisted:
        return
    unloaded = {module.base: module.path for module in snapshot.unloaded_modules}
    file = snapshot.regions.texts.get("file") if snapshot.regions is not None else None
    found: list[tuple[int, str, str]] = []
    for index, base in zip(unlisted, space.bases[unlisted].tolist(), strict=True):
        path = file and space.regions.texts["file"][int(space.first[index])]
        if not path and base in unloaded:
            label = Label(kinds.UNLOADED.name, "module-list", RegionType.IMAGE, unloaded[base], inferred=True)
            labels.claim(index, label)
        else:
            found.append((index, kinds.UNLISTED.name, path or ""))
    labels.claim_all(found, "memory-info", RegionType.IMAGE)


def label_mapped_copies(
    memory: Memory, snapshot: Snapshot, images: dict[int, PeImage], space: AllocationSpace, labels: Labels
) -> list[MappedCopy]:
    """Finds views that begin with the PE header of a loaded module.

    The label is inferred and a name only: the header proves which file the bytes come from, but not that the view maps
    this file.
    """
    by_identity = {
        (image.timestamp, image.size_of_image, image.checksum): module.name
        for module in snapshot.modules
        if (image := images.get(module.base)) is not None
    }
    mapped = np.flatnonzero((space.kinds == _MEM_MAPPED) & ~labels.claimed) if by_identity else ()
    if not len(mapped):
        return []
    hits = memory.find(space.bases[mapped], 0, [b"MZ"])  # type: ignore[arg-type]
    copies = []
    for base in sorted(hits)[:MAX_COPIES]:
        image = read_image(memory, base, most_sections=0)
        if image is None:
            continue
        name = by_identity.get((image.timestamp, image.size_of_image, image.checksum))
        if name is None:
            continue
        index = labels.allocation(base)
        label = Label(kinds.MAPPED_COPY.name, "pe-header", None, name, inferred=True)
        if labels.claim(index, label):
            copies.append(MappedCopy(base, name))
    return copies


def label_files(space: AllocationSpace, labels: Labels) -> None:
    """Labels mapped memory whose file is known."""
    column = space.regions.texts.get("file")
    if column is None or not column.values:
        return
    codes = column.codes[space.first]
    mapped = (space.kinds == _MEM_MAPPED) & (codes >= 0)
    if not np.count_nonzero(mapped):
        return
    is_path = np.array([not text.startswith(("[", "/dev/", "/memfd:", "/SYSV")) for text in column.values], np.bool_)
    wanted = mapped & is_path[np.maximum(codes, 0)]
    files = np.array([labels.texts.code(text) for text in column.values], np.int32)
    # In bulk: a process can map a hundred thousand views.
    kind = labels.texts.code(kinds.MAPPED_FILE.name)
    labels.types[wanted] = RegionType.MAPPED_FILE
    unnamed = wanted & ~labels.claimed
    labels.kinds[unnamed] = kind
    labels.details[unnamed] = files[codes[unnamed]]
    shared = mapped & ~wanted & ~labels.claimed
    labels.details[shared] = files[codes[shared]]
