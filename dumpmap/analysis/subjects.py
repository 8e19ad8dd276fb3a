"""What each allocation belongs to: a module, a file, a thread, a heap, or a structure that Windows points to.

A comparison finds an allocation again by its subject, and a timeline sums up by it. Subjects are made from the objects
of a region map (its modules, stacks, heaps, environment blocks, named regions, and files), not from the text that
describes an allocation. Only a VMMap file states less than these objects: there, its own description is the subject.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from dumpmap.model.file_names import file_name
from dumpmap.model.heaps import Heap
from dumpmap.model.managed_heaps import ManagedHeap
from dumpmap.model.region_map import RegionMap
from dumpmap.model.snapshot import TextColumn
from dumpmap.model.types import RegionType
from dumpmap.model.values import value_class
from dumpmap.model.winnt import PAGE_SIZE

_WITHOUT_KIND = (RegionType.IMAGE, RegionType.MAPPED_FILE)
"""Types whose subject says everything: the same file can show as `DLL` in one map and as `Image` in another."""

_NEEDS_SUBJECT = (*_WITHOUT_KIND, RegionType.STACK, RegionType.HEAP)
"""Types of which the kind alone identifies nothing; of all others it does."""


@value_class(frozen=True, slots=True)
class Subject:
    """Something that allocations belong to.

    Attributes:
        name: what people call it.
        here: tells it apart from the other subjects of its process.
        anywhere: the same between processes; None where nothing does, as with thread ids and addresses.
    """

    name: str
    here: Hashable
    anywhere: Hashable | None


@value_class(frozen=True, slots=True)
class Naming:
    """Type, kind, and subject, which many allocations can share."""

    type: RegionType
    kind: str
    subject: Subject | None

    def identity(self, *, same_process: bool, by_kind: bool = True) -> Hashable | None:
        """What an allocation can be recognised by at another address; None where there is nothing.

        Args:
            same_process: whether the other address is in the same process. Thread ids and addresses mean nothing in
                another one.
            by_kind: whether both maps name kinds with the same words.
        """
        if not by_kind and self.type not in _NEEDS_SUBJECT:
            return None
        if self.type not in _NEEDS_SUBJECT and (self.subject is None or not self.kind or not same_process):
            return self.kind or None
        if self.subject is None:
            return None
        own = self.subject.here if same_process else self.subject.anywhere
        return own if own is None or not by_kind or self.type in _WITHOUT_KIND else (self.kind, own)


def has_foreign_kinds(region_map: RegionMap) -> bool:
    """Whether types and kinds are those of another tool's file, which names fewer kinds and uses other words."""
    return "recorded_type" in region_map.space.regions.texts


def namings_of(region_map: RegionMap) -> tuple[list[Naming], npt.NDArray[np.intp]]:
    """Names every allocation of a map.

    Returns:
        the combinations of type, kind, and subject that occur, and for each allocation the index of its own.
    """
    found = _Finder(region_map)
    found.modules()
    found.environment_blocks()
    found.stacks()
    found.heaps()
    found.managed_heaps()
    found.named_regions()
    found.files()
    found.descriptions()
    columns = region_map.allocation_columns
    kinds, count = len(region_map.texts), len(found.values)
    combined = (columns.type.astype(np.int64) * kinds + columns.kind) * count + found.codes
    values, inverse = np.unique(combined, return_inverse=True)
    namings = []
    for value in values.tolist():
        rest, subject = divmod(value, count)
        number, kind = divmod(rest, kinds)
        namings.append(Naming(RegionType(number), region_map.texts[kind], found.values[subject]))
    return namings, inverse


class _Finder:
    """Gives allocations their subjects; of two the first stays."""

    def __init__(self, region_map: RegionMap) -> None:
        self.map = region_map
        self.space = region_map.space
        self.types = region_map.allocation_columns.type
        self.values: list[Subject | None] = [None]
        self.codes = np.zeros(len(self.space), np.int64)

    def _add(self, subject: Subject) -> int:
        self.values.append(subject)
        return len(self.values) - 1

    def _set(self, index: int, subject: Subject) -> None:
        if not self.codes[index]:
            self.codes[index] = self._add(subject)

    def _give(self, address: int, subject: Subject, *types: RegionType) -> None:
        """Gives the allocation at an address its subject, if it is of one of the types (any, if none is named)."""
        index = self.space.index_of(address)
        if index >= 0 and (not types or self.types[index] in types):
            self._set(index, subject)

    def _kind(self, index: int) -> str:
        return self.map.texts[int(self.map.allocation_columns.kind[index])]

    def _take(self, column: TextColumn, wanted: npt.NDArray[np.bool_], make: Callable[[str], Subject]) -> None:
        """Makes subjects of a column's texts, for all allocations at once: a process can map 100,000 files."""
        codes = column.codes[self.space.first]
        wanted = wanted & (codes >= 0)
        used, inverse = np.unique(codes[wanted], return_inverse=True)
        texts = [column.values[code] for code in used.tolist()]
        made = np.array([self._add(make(text)) if text else 0 for text in texts], np.int64)
        self.codes[wanted] = made[inverse]

    def modules(self) -> None:
        """Images are their modules. A module that no list holds is known by its file, or as unloaded."""
        for module in self.map.snapshot.modules:
            if module.path:
                self._give(module.base, _of_file_name(module.path))
        for unloaded in reversed(self.map.snapshot.unloaded_modules):
            index = self.space.index_of(unloaded.base)
            at_base = index >= 0 and int(self.space.bases[index]) == unloaded.base
            if at_base and unloaded.path and self._file(index) is None:
                self._give(unloaded.base, _of_file_name(unloaded.path), RegionType.IMAGE)

    def environment_blocks(self) -> None:
        """A TEB is its thread's. An allocation that holds several blocks belongs to none of them."""
        structures, snapshot = self.map.structures, self.map.snapshot
        both = {teb.pointer_size for teb in structures.tebs} == {4, 8}
        blocks: list[tuple[int, Hashable]] = [
            (teb.address, ("TEB", teb.thread_id, teb.pointer_size if both else None)) for teb in structures.tebs
        ]
        known = {teb.address for teb in structures.tebs}
        if snapshot.process.os.family == "windows":
            blocks += [
                (thread.teb, ("TEB", thread.id, None))
                for thread in snapshot.threads
                if thread.teb is not None and thread.teb not in known
            ]
        several = len(structures.pebs) > 1
        blocks += [(peb.address, ("PEB", peb.pointer_size if several else None)) for peb in structures.pebs]
        owners: dict[int, set[Hashable]] = {}
        for address, owner in blocks:
            index = self.space.index_of(address & ~(PAGE_SIZE - 1))
            if index >= 0:
                owners.setdefault(index, set()).add(owner)
        for index, found in owners.items():
            if len(found) == 1 and self._kind(index) in ("TEB", "PEB"):
                self._set(index, Subject("", next(iter(found)), None))

    def stacks(self) -> None:
        """A stack is its thread's, which only a name identifies in another process."""
        for stack in self.map.stacks:
            self._give(stack.base, Subject(stack.name or "", stack.thread_id, stack.name or None), RegionType.STACK)

    def heaps(self) -> None:
        """Every allocation of a heap: a process can have very many."""
        for heap in self.map.heaps:
            bases = np.array([base for base, _ in heap.allocations], np.uint64)
            index = np.searchsorted(self.space.bases, bases)
            index = index[(self.types[index] == RegionType.HEAP) & (self.codes[index] == 0)]
            if len(index):
                self.codes[index] = self._add(_of_heap(heap))

    def managed_heaps(self) -> None:
        """Managed heaps: as the input lists them, then as the collectors' structures have them."""
        for recorded in self.map.snapshot.managed_heaps:
            name = recorded.name or ""
            for known in recorded.ranges:
                self._give(known.base, Subject(name, name, None), RegionType.MANAGED_HEAP)
        for heap in self.map.structures.facts_of(ManagedHeap):
            for part in heap.ranges:
                self._give(part.base, Subject(heap.module, heap.module, None), RegionType.MANAGED_HEAP)

    def named_regions(self) -> None:
        """What a field of the PEB or of a TEB points to, and views of the files of modules."""
        for region in self.map.structures.named:
            index = self.space.index_of(region.address)
            if index >= 0 and self._kind(index) == region.kind:
                self._set(index, Subject(region.field, region.field, None))
        for copy in self.map.mapped_copies:
            self._give(copy.address, Subject(copy.module, copy.module.lower(), None))

    def files(self) -> None:
        """Mapped files; images that no module explains; what Linux itself names, such as `[heap]`."""
        column = self._column("file")
        if column is not None:
            free = self.codes == 0
            self._take(column, self.types == RegionType.MAPPED_FILE, _of_path)
            self._take(column, free & (self.types == RegionType.IMAGE), _of_file_name)
            self._take(column, free & np.isin(self.types, (RegionType.HEAP, RegionType.STACK)), _of_text)

    def descriptions(self) -> None:
        """What a VMMap file writes about an allocation where it names no object."""
        if self._column("recorded_type") is None:
            return
        column = self._column("recorded_details")
        if column is not None:
            free = (self.codes == 0) & ~np.isin(self.types, _WITHOUT_KIND)
            # VMMap calls a heap without a number by its address.
            self._take(column, free & (self.types == RegionType.HEAP), lambda text: Subject(text, text, None))
            self._take(column, free & (self.types != RegionType.HEAP), _of_text)
        nameless = (self.codes == 0) & (self.types == RegionType.HEAP)
        if nameless.any():
            self.codes[nameless] = self._add(_of_text(""))

    def _column(self, name: str) -> TextColumn | None:
        column = self.space.regions.texts.get(name)
        return column if column is not None and column.values else None

    def _file(self, index: int) -> str | None:
        column = self._column("file")
        return None if column is None else column[int(self.space.first[index])]


def _of_file_name(path: str) -> Subject:
    """A module: by its name, whatever folder it comes from."""
    name = file_name(path)
    return Subject(name, name.lower(), name.lower())


def _of_path(path: str) -> Subject:
    return Subject(path, path.lower(), path.lower())


def _of_text(text: str) -> Subject:
    return Subject(text, text, text)


def _of_heap(heap: Heap) -> Subject:
    """A heap: by its number and name, or by its address, which means nothing in another process."""
    # A heap gets its low-fragmentation front end, which the title shows, at some point of its life.
    title = replace(heap, info=replace(heap.info, lfh=None)).title
    return Subject(title, title, title if heap.info.id is not None else None)
