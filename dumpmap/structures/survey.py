"""The entry to this room: reads everything in process memory that a region map needs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import field
from functools import lru_cache, partial

from dumpmap.model.counts import part_words
from dumpmap.model.heaps import RecordedHeap
from dumpmap.model.kinds import DESKTOP_HEAP, USER_SHARED_DATA
from dumpmap.model.memory import Memory, attempt, unrecorded
from dumpmap.model.process import NamedRegion, Peb, PeImage, ProcessStructures, Teb
from dumpmap.model.values import value_class
from dumpmap.structures.bounds import is_page
from dumpmap.structures.layouts.process import KUSER_SHARED_DATA
from dumpmap.structures.pe import read_image
from dumpmap.structures.peb import find_cfg_bitmaps, find_pebs
from dumpmap.structures.recognisers import REGISTRY
from dumpmap.structures.recognisers.protocol import Context, LoadedModule
from dumpmap.structures.space import Space
from dumpmap.structures.teb import is_head_captured, read_tebs

BUILD_1703 = 15063
"""First build whose TEB holds the address of the desktop heap. Before, it holds a distance."""

MAX_IMAGES = 4096
"""Most modules whose headers are read. The largest processes have one or two thousand modules, each header costs up to
a thousand sections to read, and a hostile list can name a hundred thousand modules."""

MAX_ALL_SECTIONS = 100_000
"""Most sections of all modules together that are read; the map of the other modules has no sections. Small files can
have a long section table that is the header of thousands of modules."""

_NTDLL = "ntdll.dll"


def survey(
    memory: Memory,
    *,
    pointer_size: int,
    threads: Sequence[tuple[int, int]],
    modules: Sequence[tuple[int, int, str]],
    space: Space,
    os_build: int | None,
    family: str = "windows",
    peb_addresses: Sequence[int] = (),
    refused_tebs: Collection[int] = (),
    reported_heaps: Sequence[RecordedHeap] = (),
    reported_managed_heaps: Sequence[RecordedHeap] = (),
    read_parameters: bool = False,
    all_images: bool = True,
) -> ProcessStructures:
    """Reads TEBs, PEBs, and image headers, then runs the recognisers.

    Args:
        memory: the process. A `RecordingMemory` here keeps every byte that the map needs.
        pointer_size: 4 or 8, of the writer of the input. A WoW64 process is read in both widths either way.
        threads: (thread ID, TEB address or 0) of every thread.
        modules: (base, size, name or path) of every module.
        space: the allocations.
        os_build: build number of Windows; None if unknown.
        family: the operating system. Only "windows" has TEBs and PEBs.
        peb_addresses: PEBs known from elsewhere, for a process whose TEBs were not captured.
        refused_tebs: addresses of `threads` that are known to hold no TEB, although their bytes are not in the memory.
        reported_heaps: heaps that the process itself reported.
        reported_managed_heaps: managed heaps that the input lists.
        read_parameters: also read image path and command line from the PEB. Otherwise a recording does not hold them.
        all_images: read the headers of every module. Otherwise only those of programs and of ntdll.dll, which tell
            more than the names of sections.
    """
    context = Context(
        memory=memory,
        space=space,
        family=family,
        os_build=os_build,
        pointer_size=pointer_size,
        modules=[LoadedModule(base, size, _file_name(path)) for base, size, path in modules],
        threads=threads,
        reported_heaps=reported_heaps,
        reported_managed_heaps=reported_managed_heaps,
    )
    windows = (
        _Windows()
        if family != "windows"
        else _read_windows(context, peb_addresses, refused_tebs, read_parameters=read_parameters, all_images=all_images)
    )
    context.tebs, context.pebs, context.images = windows.tebs, windows.pebs, windows.images
    found = tuple([recogniser.load().find(context) for recogniser in REGISTRY.triggered(context)])
    return ProcessStructures(
        tebs=windows.tebs,
        pebs=windows.pebs,
        images=windows.images,
        named=tuple(windows.named.values()),
        found=found,
        contradictions=tuple(windows.contradictions),
        refused_tebs=frozenset(windows.refused_tebs),
    )


@lru_cache(maxsize=4096)  # processes load the same modules
def _file_name(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2].lower()


@value_class(frozen=False, slots=True)
class _Windows:
    """What every Windows process has. `named` is by address: the first name counts."""

    tebs: tuple[Teb, ...] = ()
    pebs: tuple[Peb, ...] = ()
    images: dict[int, PeImage] = field(default_factory=dict)
    named: dict[int, NamedRegion] = field(default_factory=dict)
    contradictions: list[str] = field(default_factory=list)
    refused_tebs: list[int] = field(default_factory=list)

    def name(self, region: NamedRegion) -> None:
        self.named.setdefault(region.address, region)


def _read_windows(
    context: Context,
    peb_addresses: Sequence[int],
    refused_tebs: Collection[int],
    *,
    read_parameters: bool,
    all_images: bool,
) -> _Windows:
    """Reads TEBs, PEBs, and image headers, and the regions that they name."""
    windows = _Windows()
    width = context.pointer_size
    windows.tebs = _read_threads(context, windows, refused_tebs)
    candidates = [(address, size) for address in peb_addresses for size in (width, 12 - width)]
    windows.pebs = find_pebs(context.memory, windows.tebs, candidates, read_parameters=read_parameters)
    for peb in windows.pebs:
        strays = [teb for teb in windows.tebs if teb.pointer_size == peb.pointer_size and teb.peb != peb.address]
        if strays:
            name = part_words(len(strays), len(windows.tebs), "TEB", "names", "name")
            windows.contradictions.append(
                f"PEB {peb.address:#x}: {name} another PEB (first: thread {strays[0].thread_id}, {strays[0].peb:#x})"
            )
    _read_images(context, windows, all_images=all_images)
    for peb in windows.pebs:
        for region in peb.named:
            windows.name(region)
    if context.os_build is not None and context.os_build >= BUILD_1703:
        for teb in windows.tebs:
            if teb.desktop_heap is not None and is_page(teb.desktop_heap, teb.pointer_size):
                windows.name(NamedRegion(teb.desktop_heap, DESKTOP_HEAP, "TEB.Win32ClientInfo.DesktopBase"))
    windows.name(NamedRegion(KUSER_SHARED_DATA, USER_SHARED_DATA, "KUSER_SHARED_DATA"))
    return windows


def _read_images(context: Context, windows: _Windows, *, all_images: bool) -> None:
    """Reads image headers, and through ntdll's the bitmaps of control-flow guard."""
    images = windows.images
    room = MAX_ALL_SECTIONS
    for base, _, name in context.modules[:MAX_IMAGES]:
        if base in images or not (all_images or name == _NTDLL or name.endswith(".exe")):
            continue
        image = read_image(context.memory, base, most_sections=room)
        if image is None:
            continue
        images[base] = image
        room -= len(image.sections)
        if name == _NTDLL:
            for region in find_cfg_bitmaps(context.memory, base, image):
                windows.name(region)


def _tebs_or_none(context: Context, address: int, thread_id: int) -> tuple[Teb, ...] | None:
    return read_tebs(context.memory, address, thread_id, context.pointer_size) or None


def _read_threads(context: Context, windows: _Windows, refused_tebs: Collection[int]) -> tuple[Teb, ...]:
    tebs: list[Teb] = []
    refused = []
    memory = unrecorded(context.memory)
    for thread_id, address in context.threads:
        if not address:
            continue
        found = attempt(context.memory, partial(_tebs_or_none, context, address, thread_id)) or ()
        tebs += found
        # Bytes that are there but are not a TEB contradict the thread list. Absent bytes are only missing.
        if not found and (address in refused_tebs or is_head_captured(memory, address, context.pointer_size)):
            refused.append((thread_id, address))
    if refused:
        thread_id, address = refused[0]
        windows.refused_tebs += [place for _, place in refused]
        windows.contradictions.append(
            f"{part_words(len(refused), len(context.threads), 'thread', 'has', 'have')} no valid TEB at its address "
            f"(first: thread {thread_id}, {address:#x})"
        )
    return tuple(tebs)
