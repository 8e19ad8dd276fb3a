"""The protocol of recognisers: what they may look at, when they run, and what they give."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import NamedTuple, Protocol, cast

from dumpmap.model.evidence import EvidenceInfo
from dumpmap.model.heaps import RecordedHeap
from dumpmap.model.kinds import KindInfo
from dumpmap.model.memory import Memory, unrecorded
from dumpmap.model.process import Peb, PeImage, Teb
from dumpmap.model.recognised import Found, LabelledRange
from dumpmap.model.values import cached_property, value_class
from dumpmap.structures.layouts.pe import IMAGE_SCN_MEM_WRITE
from dumpmap.structures.pe import find_export, read_image
from dumpmap.structures.space import Space

LARGE = 0x200000
"""Bytes of a large allocation. The segments of the allocators that are recognised are no smaller, and aligned to it."""


class Mark(NamedTuple):
    """What a compiler leaves in every module that it makes.

    Attributes:
        section: name of a section that no other linker makes; a module with it has the mark.
        other: name of a section, and its least size, of another linker that may have linked the compiler's output. A
            module with it has the mark if it has the magic.
        magic: bytes near the start of the variables. A module with `section` can lack them.
        alignment: they are at a multiple of this many bytes from the start of the first writable section.
        reach: bytes from there on in which they can be.
    """

    section: str
    other: tuple[str, int]
    magic: bytes
    alignment: int
    reach: int


class LoadedModule(NamedTuple):
    """A module of the process. `name` is the file name in lower case."""

    base: int
    size: int
    name: str


@dataclass
class Context:
    """The process that recognisers look at.

    Attributes:
        memory: its bytes.
        space: its allocations.
        family: the operating system, such as `windows`.
        os_build: build number of Windows; None if unknown.
        pointer_size: 4 or 8, of the writer of the input. A WoW64 process has structures of both widths.
        modules: every module.
        images: headers by module base, of the modules whose headers were read.
        threads: (thread ID, TEB address or 0) of every thread.
        tebs: the thread environment blocks.
        pebs: the process environment blocks, at most one of each width.
        reported_heaps: heaps that the process itself reported.
        reported_managed_heaps: managed heaps that the input lists.
    """

    memory: Memory
    space: Space
    family: str
    os_build: int | None
    pointer_size: int
    modules: Sequence[LoadedModule] = ()
    images: Mapping[int, PeImage] = field(default_factory=dict)
    threads: Sequence[tuple[int, int]] = ()
    tebs: Sequence[Teb] = ()
    pebs: Sequence[Peb] = ()
    reported_heaps: Sequence[RecordedHeap] = ()
    reported_managed_heaps: Sequence[RecordedHeap] = ()
    _programs: dict[tuple[str, ...], list[LoadedModule]] = field(default_factory=dict)
    _marked: dict[Mark, list[tuple[LoadedModule, int | None]]] = field(default_factory=dict)

    @cached_property
    def names(self) -> frozenset[str]:
        """File names of all modules, in lower case."""
        return frozenset([module.name for module in self.modules])

    @cached_property
    def private_allocations(self) -> Sequence[int]:
        """See `Space.private_allocations`."""
        return self.space.private_allocations()

    @cached_property
    def large_allocations(self) -> Sequence[tuple[int, int]]:
        """Base and size of the private allocations of at least `LARGE` bytes, where allocators have their segments."""
        return self.space.large_private_allocations(LARGE)

    @cached_property
    def captured_large_allocations(self) -> Sequence[tuple[int, int]]:
        """Those of `large_allocations` that hold captured bytes; all of them if the memory does not say."""
        ranges = self.memory.ranges() if self.large_allocations else []
        return [
            (base, size) for base, size in self.large_allocations if not ranges or holds_any(ranges, base, base + size)
        ]

    def image_of(self, module: LoadedModule) -> PeImage | None:
        """Returns the headers of a module; None where they are not in the memory."""
        return self.images.get(module.base) or read_image(self.memory, module.base)

    def programs_exporting(self, exports: tuple[str, ...]) -> list[LoadedModule]:
        """Returns the programs (`.exe`) that export one of these names: those that carry a runtime in themselves.

        A program is looked at only if its headers were read and it has an export directory, so an ordinary one costs
        nothing.
        """
        known = self._programs.get(exports)
        if known is None:
            known = self._programs[exports] = [module for module in self.exporting if self._exports(module, exports)]
        return known

    @cached_property
    def exporting(self) -> list[LoadedModule]:
        """The programs with an export directory."""
        images = self.images
        return [
            module
            for module in self.modules
            if module.base in images and module.name.endswith(".exe") and images[module.base].exports[1]
        ]

    def marked_modules(self, mark: Mark) -> list[tuple[LoadedModule, int | None]]:
        """Returns the modules that have a mark, and where the magic is; None where a module lacks it.

        One search looks at all modules whose headers were read and have one of the mark's sections.
        """
        known = self._marked.get(mark)
        if known is None:
            found: dict[LoadedModule, int | None] = {}
            places: dict[int, LoadedModule] = {}
            other, least = mark.other
            for module in [module for module in self.modules if module.base in self.images]:
                image = self.images[module.base]
                names = [section.name for section in image.sections]
                if mark.section in names:
                    found[module] = None
                elif other not in names or image.sections[names.index(other)].size < least:
                    continue
                if not _lacks_magic(self.memory, module.base, image, mark):
                    places.update(dict.fromkeys(_magic_places(module.base, image, mark), module))
            hits = self.memory.find(sorted(places), 0, [mark.magic]) if places else {}
            # The first place of a module counts; others are chance.
            found.update((places[place], place) for place in sorted(hits, reverse=True))
            known = self._marked[mark] = list(found.items())
        return known

    def _exports(self, module: LoadedModule, names: tuple[str, ...]) -> bool:
        image = self.images[module.base]
        return any(find_export(self.memory, module.base, image, name) is not None for name in names)


def holds_any(ranges: Sequence[tuple[int, int]], start: int, end: int) -> bool:
    """Tells whether any byte of [start, end) is in the ranges, which are sorted and disjoint."""
    index = bisect_left(ranges, (end, 0)) - 1
    return index >= 0 and sum(ranges[index]) > start


def _lacks_magic(memory: Memory, base: int, image: PeImage, mark: Mark) -> bool:
    """Tells whether the magic is nowhere, which one look tells if all places are captured, or nothing of them."""
    places = _magic_places(base, image, mark)
    if not places:
        return True
    look = unrecorded(memory)
    start, end = places[0], places[-1] + len(mark.magic)
    data = look.read(start, end - start)
    if data is not None:
        return mark.magic not in data
    ranges = look.ranges()
    return bool(ranges) and not holds_any(ranges, start, end)


def _magic_places(base: int, image: PeImage, mark: Mark) -> range:
    """Where the magic of a mark can be in a module."""
    for section in image.sections:
        if section.characteristics & IMAGE_SCN_MEM_WRITE:
            start = base + section.address
            return range(start, start + min(mark.reach, section.size), mark.alignment)
    return range(0)


def without_overlaps(ranges: Iterable[LabelledRange]) -> tuple[LabelledRange, ...]:
    """Sorts ranges by address, and leaves out those that begin in an earlier one: of two claims one is wrong."""
    apart: list[LabelledRange] = []
    end = 0
    for part in sorted(ranges, key=lambda part: part.base):
        if part.base >= end:
            apart.append(part)
            end = part.base + part.size
    return tuple(apart)


class RecogniserModule(Protocol):
    """What the module of a recogniser defines."""

    KINDS: tuple[KindInfo, ...]
    """Every kind that its ranges and heaps can have."""

    EVIDENCE: tuple[EvidenceInfo, ...]
    """Every word of evidence that it brings."""

    def find(self, context: Context) -> Found:
        """Finds the memory of the family in the process. It proves itself in the memory or claims nothing."""
        ...


@value_class(frozen=True, slots=True)
class Recogniser:
    """An entry of the registry: a family of heaps, a runtime, or an allocator.

    It runs where any of its triggers holds. Triggers are cheap, and the module is imported only then: most processes
    have no runtime, and each module costs time at start-up.

    Attributes:
        name: for people.
        module: name of its module in this package, a `RecogniserModule`.
        page: its page in docs/.
        modules: trigger: the process has a module with one of these file names (lower case).
        exports: trigger: a program exports one of these names.
        mark: trigger: a module has this mark.
        condition: trigger: any other fact about the process.
    """

    name: str
    module: str
    page: str
    modules: frozenset[str] = frozenset()
    exports: tuple[str, ...] = ()
    mark: Mark | None = None
    condition: Callable[[Context], bool] | None = None

    def is_triggered(self, context: Context) -> bool:
        """Tells whether it is worth running."""
        return bool(
            (self.condition is not None and self.condition(context))
            or (self.modules and not self.modules.isdisjoint(context.names))
            or (self.exports and context.programs_exporting(self.exports))
            or (self.mark is not None and context.marked_modules(self.mark))
        )

    def load(self) -> RecogniserModule:
        """Imports its module."""
        return cast("RecogniserModule", import_module(f"{__package__}.{self.module}"))
