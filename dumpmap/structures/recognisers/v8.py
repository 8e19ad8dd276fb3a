"""V8: the pages of JavaScript heaps, proved by the sums that V8's spaces keep of them.

V8 takes memory from the system in pages of 256 KiB, and for a large object in one page of the size it needs. A page
begins with a header that names the page itself, its size, its heap (one for each isolate), and its space. A space
states the sum of its pages' sizes. The proof therefore lies in the dump: pages that do not add up to what their space
states are not claimed.

The layouts were read in recorded processes of Node.js 16, 18, 20, 22, 24, and 26 (V8 9.4, 10.2, 11.3, 12.4, 13.6,
14.6) and compared with public source (v8/v8: src/heap/memory-chunk-layout.h, memory-chunk.h, mutable-page-metadata.h,
base-space.h). A sandboxed build keeps an index where other builds keep the address of the metadata; its pages are not
recognised. A 32-bit build has the same words, of 32 bits each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from dumpmap.model.counts import count_words
from dumpmap.model.evidence import EvidenceInfo
from dumpmap.model.kinds import KindInfo
from dumpmap.model.memory import unrecorded
from dumpmap.model.recognised import Found, LabelledRange, OwnerFacts, Runtime
from dumpmap.model.runtime_limits import RuntimeLimit
from dumpmap.model.values import value_class
from dumpmap.structures.pe import find_export
from dumpmap.structures.recognisers import V8_EXPORTS, V8_HOSTS
from dumpmap.structures.recognisers.protocol import Context, LoadedModule
from dumpmap.structures.recognisers.v8_layouts import (
    LAYOUTS,
    NEW_SPACE,
    OLD_SPACE,
    SPACE_MEANINGS,
    SPACES,
    YOUNG_OR_SHARED,
    PageLayout,
)
from dumpmap.structures.recognisers.v8_limits import V8Limits, read_limits
from dumpmap.structures.words import Words

NAME = "V8"
EVIDENCE_WORD = "v8-page"

PAGE_ALIGNMENT = 0x40000
"""Every page begins at a multiple of 256 KiB."""

MAX_PLACES = 1 << 17
"""Places that are looked at: 32 GiB of ordinary pages."""

MAX_SPACE_ID = 15
"""The highest AllocationSpace that is believed; V8 14.6 has 13 of them."""

VERSION_EXPORT = "?{}_@Version@internal@v8@@0HA"
"""v8::internal::Version::major_ and so on, which node.exe and Electron export."""

_HEADER_WORDS, _SPACE_WORDS = 16, 4
_YOUNG = 0x18
"""MemoryChunk::FROM_PAGE and TO_PAGE: the page belongs to the young generation."""


_YOUNG_PAGE, _PAGE = "V8 new space page", "V8 page"

_HEAPS = "The page's header and its space."

KINDS: tuple[KindInfo, ...] = (
    *(KindInfo(f"V8 {name}", None, meaning, _HEAPS) for name, meaning in SPACE_MEANINGS.items()),
    KindInfo(_YOUNG_PAGE, None, "Newly allocated objects, in a version whose spaces are not known.", _HEAPS),
    KindInfo(_PAGE, None, "JavaScript objects or code, in a version whose spaces are not known.", _HEAPS),
)

EVIDENCE: tuple[EvidenceInfo, ...] = (
    EvidenceInfo(EVIDENCE_WORD, "A V8 page header; the sizes of the space's pages add up to what the space states."),
)


@value_class(frozen=True, slots=True)
class V8Page:
    """A page of a JavaScript heap. Sizes are bytes.

    Attributes:
        base: its address.
        size: what V8 took from the system for it.
        allocated: bytes of objects in it.
        heap: address of its isolate's Heap.
        space: address of its Space.
        allocator: address of the page allocator, which lies in the module that holds V8, except for code pages.
        young: whether its flags say that it belongs to the young generation.
    """

    base: int
    size: int
    allocated: int
    heap: int
    space: int
    allocator: int
    young: bool


@value_class(frozen=True, slots=True)
class V8Space:
    """A space that its pages bear out.

    Attributes:
        address: the Space object.
        name: such as `old space`; empty where the version's spaces are not known.
        committed: what it states, which equals the sum of its pages' sizes.
        pages: its pages, by address.
    """

    address: int
    name: str
    committed: int
    pages: tuple[V8Page, ...]


@value_class(frozen=True, slots=True)
class Isolate:
    """The heap of one isolate.

    Attributes:
        heap: address of its Heap object.
        module: file name of the module that holds V8; empty if unknown.
        version: V8's version, `major.minor.build.patch`; None if unknown.
        spaces: the spaces that were proved.
        limits: what its heap may take; None where it could not be read.
        unproved_pages: pages of spaces that state another sum. They are not claimed.
        unproved_bytes: the sizes of those pages.
    """

    heap: int
    module: str
    version: str | None
    spaces: tuple[V8Space, ...]
    limits: V8Limits | None = None
    unproved_pages: int = 0
    unproved_bytes: int = 0

    @property
    def instance(self) -> str:
        """How the isolate is called."""
        return f"isolate 0x{self.heap:x}"

    @property
    def complete(self) -> bool:
        """Whether nothing shows that pages are missing, as in a dump that is cut off: no isolate lacks an old space."""
        names = {space.name for space in self.spaces}
        return not self.unproved_pages and (OLD_SPACE in names or "" in names)

    @property
    def used(self) -> int | None:
        """Bytes of objects, dead ones included; None if pages are missing."""
        return sum(page.allocated for space in self.spaces for page in space.pages) if self.complete else None

    @property
    def old_generation_used(self) -> int | None:
        """Bytes of objects, dead ones included, that count against the limit of the old generation; None as above."""
        if not self.complete:
            return None
        return sum(
            page.allocated
            for space in self.spaces
            if space.name not in YOUNG_OR_SHARED
            for page in space.pages
            if space.name or not page.young
        )


def find(context: Context) -> Found:
    """Finds the JavaScript heaps of a process."""
    if context.family != "windows":
        return Found()
    for pointer_size in _word_sizes(context):
        pages = list(_pages(context, pointer_size))
        if pages:
            return _found(context, pages, pointer_size)
    return Found(notes=tuple(_lacks(context)))


def _lacks(context: Context) -> Iterator[str]:
    """Says that V8 is loaded, by the name or an export of its module, and that no heap of it was found."""
    hosts = [module.name for module in context.modules if module.name in V8_HOSTS]
    hosts += [module.name for module in context.programs_exporting(V8_EXPORTS)]
    if hosts:
        why = "its pages are not in the dump, or its build of V8 is sandboxed or unknown"
        yield f"{hosts[0]}: no JavaScript heap could be identified: {why}"


def _word_sizes(context: Context) -> tuple[int, ...]:
    """The sizes of pointers that V8 may have here: on 64-bit Windows, a 32-bit process has 32-bit images, too."""
    narrow = any(image.pointer_size == 4 for image in context.images.values())
    return (context.pointer_size, 4) if context.pointer_size == 8 and narrow else (context.pointer_size,)


def _found(context: Context, pages: list[V8Page], pointer_size: int) -> Found:
    words = Words(context.memory, pointer_size)
    module = _module_of(context, pages) or _module_of_spaces(context, words, pages)
    version = None if module is None else read_version(context, module)
    isolates = tuple(_isolates(words, pages, module, version))
    host = "" if module is None else module.name
    unproved = sum(isolate.unproved_pages for isolate in isolates)
    size = sum(isolate.unproved_bytes for isolate in isolates)
    shown = count_words(unproved, "V8 page")
    add = "does not add up to what its space states" if unproved == 1 else "do not add up to what their spaces state"
    notes = [f"{host or NAME}: {shown} ({size:,} bytes) {add}; not claimed"] if unproved else []
    notes += [
        f"{host or NAME}: the old space of {isolate.instance} is not in the dump, so the use of its heap is unknown"
        for isolate in isolates
        if not isolate.complete and not isolate.unproved_pages
    ]
    return Found(
        ranges=tuple(part for isolate in isolates for part in _labelled(isolate)),
        runtimes=() if module is None else (Runtime(NAME, module.name, module.base, _text(version)),),
        facts=(*isolates, *map(_facts, isolates), *_limits(isolates)),
        notes=tuple(notes) if isolates else tuple(_lacks(context)),
    )


def _pages(context: Context, pointer_size: int) -> Iterator[V8Page]:
    """The pages of the process. What is no page is looked at without being recorded.

    Objects can look like the header of a page, so nothing inside a page is looked at.
    """
    words, end = Words(unrecorded(context.memory), pointer_size), 0
    for place in context.space.committed_places(PAGE_ALIGNMENT, MAX_PLACES):
        page = read_page(words, place) if place >= end else None
        allocation = None if page is None else context.space.allocation(place)
        if page is not None and allocation is not None and page.base + page.size <= sum(allocation):
            end = page.base + page.size
            yield page


def read_page(memory: Words, address: int) -> V8Page | None:
    """Reads what may be a page at `address`; None where it is none."""
    header = memory.read(address, _HEADER_WORDS)
    if not header:
        return None
    for layout in LAYOUTS:
        words = header
        if layout.detached:
            beside = header[1]
            words = memory.read(beside, _HEADER_WORDS) if beside != address and memory.is_pointer(beside) else ()
        if not words or not _is_page(memory, address, words, layout):
            continue
        return V8Page(
            base=address,
            size=words[layout.size],
            allocated=words[layout.allocated],
            heap=words[layout.heap],
            space=words[layout.owner],
            allocator=words[layout.reservation],
            young=bool(header[layout.flags] & _YOUNG),
        )
    return None


def _is_page(memory: Words, address: int, words: tuple[int, ...], layout: PageLayout) -> bool:
    """Tells whether a header agrees with itself: it names its page and states its size twice."""
    at, size = layout.reservation, words[layout.size]
    if words[at + 1] != address or words[at + 2] != size or not 0x1000 <= size < 1 << 40 or size % 0x1000:
        return False
    start, end = words[layout.area_start], words[layout.area_end]
    if not address < start <= end <= address + size or words[layout.allocated] > size:
        return False
    return all(memory.is_pointer(words[index]) for index in (layout.heap, layout.owner, at))


def _module_of(context: Context, pages: Iterable[V8Page]) -> LoadedModule | None:
    """The module that holds V8: the one in which most page allocators lie."""
    return _holding(context, (page.allocator for page in pages))


def _module_of_spaces(context: Context, memory: Words, pages: Sequence[V8Page]) -> LoadedModule | None:
    """The module that holds V8 where page allocators are on a heap, as in Chromium.

    A space is an object of a class of V8, so it begins with the address of a table of functions of that class. Only
    spaces that their pages bear out are asked, and they must not disagree.
    """
    isolates = _isolates(memory, pages, None, None)
    tables = [memory.read(space.address, 1) for isolate in isolates for space in isolate.spaces]
    found = {_holding(context, words) for words in tables if words}
    return found.pop() if len(found) == 1 else None


def _holding(context: Context, addresses: Iterable[int]) -> LoadedModule | None:
    """The module in which most of the addresses lie."""
    votes: Counter[LoadedModule] = Counter()
    for address, count in Counter(addresses).items():
        for module in context.modules:
            if module.base <= address < module.base + module.size:
                votes[module] += count
    return votes.most_common(1)[0][0] if votes else None


def read_version(context: Context, module: LoadedModule) -> tuple[int, ...] | None:
    """Reads V8's version out of the module that holds it; None where it is not exported."""
    image = context.image_of(module)
    if image is None:
        return None
    numbers = []
    for part in ("major", "minor", "build", "patch"):
        address = find_export(context.memory, module.base, image, VERSION_EXPORT.format(part))
        data = None if address is None else context.memory.read(address, 4)
        if data is None:
            return None
        numbers.append(int.from_bytes(data, "little"))
    return tuple(numbers)


def _text(version: tuple[int, ...] | None) -> str | None:
    return None if version is None else ".".join(map(str, version))


def _isolates(
    memory: Words, pages: Iterable[V8Page], module: LoadedModule | None, version: tuple[int, ...] | None
) -> Iterator[Isolate]:
    """Sorts pages by heap and space, and keeps those that the spaces bear out."""
    heaps: dict[int, dict[int, list[V8Page]]] = {}
    for page in pages:
        heaps.setdefault(page.heap, {}).setdefault(page.space, []).append(page)
    names = _space_names(version)
    for heap, spaces in sorted(heaps.items()):
        proved, count, size = [], 0, 0
        for address, members in sorted(spaces.items()):
            space = _prove(memory, heap, address, members, names)
            if space is None:
                count += len(members)
                size += sum(page.size for page in members)
            else:
                proved.append(space)
        # A heap without a single proved space is no heap: chance made the headers look like some.
        if proved:
            host = "" if module is None else module.name
            semispaces = [space.committed for space in proved if space.name == NEW_SPACE]
            limits = read_limits(memory, heap, version, semispaces)
            yield Isolate(heap, host, _text(version), tuple(proved), limits, count, size)


def _prove(memory: Words, heap: int, address: int, pages: list[V8Page], names: tuple[str, ...]) -> V8Space | None:
    """Checks pages against the space that they name; reads them once more, to have them recorded."""
    words = memory.unrecorded.read(address, _SPACE_WORDS)
    if not words:
        return None
    _, owner, number, committed = words
    number &= 0xFFFFFFFF
    if owner != heap or number > MAX_SPACE_ID or committed != sum(page.size for page in pages):
        return None
    memory.read(address, _SPACE_WORDS)
    for page in pages:
        read_page(memory, page.base)
    return V8Space(address, names[number] if number < len(names) else "", committed, tuple(pages))


def _space_names(version: tuple[int, ...] | None) -> tuple[str, ...]:
    if version is None:
        return ()
    return next((names for first, last, names in SPACES if first <= version[:2] <= last), ())


def _labelled(isolate: Isolate) -> Iterator[LabelledRange]:
    for space in isolate.spaces:
        for page in space.pages:
            kind = f"V8 {space.name}" if space.name else _YOUNG_PAGE if page.young else _PAGE
            yield LabelledRange(
                base=page.base,
                size=page.size,
                kind=kind,
                evidence=EVIDENCE_WORD,
                details=f"{isolate.module}, {isolate.instance}" if isolate.module else isolate.instance,
                owner=NAME,
                module=isolate.module,
                instance=isolate.instance,
            )


def _facts(isolate: Isolate) -> OwnerFacts:
    limit = None if isolate.limits is None else isolate.limits.heap_size
    return OwnerFacts(NAME, isolate.module, isolate.instance, isolate.version, isolate.used, limit)


def _limits(isolates: Iterable[Isolate]) -> Iterator[RuntimeLimit]:
    """The old generations against their limits: V8 gives up when one is full and a collection frees too little of it.

    Dead objects count as used. V8 starts a collection at the latest halfway between what the last one left and the
    limit, so that of 90 % in use 80 % survived a collection.
    """
    for isolate in isolates:
        if isolate.limits is not None:
            source = f"Heap::max_old_generation_size_ of {isolate.instance}; used by the old generation's pages"
            yield RuntimeLimit(NAME, isolate.old_generation_used, isolate.limits.old_generation, source)
