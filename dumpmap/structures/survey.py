"""The one entry to this room: reads everything in process memory that a region map is made of."""

from __future__ import annotations

from collections.abc import Sequence

from dumpmap.model.managed_heaps import ManagedSurvey
from dumpmap.model.memory import Memory
from dumpmap.model.process import NamedRegion, PeImage, ProcessStructures, Teb
from dumpmap.structures.bounds import is_page
from dumpmap.structures.heaps import find_heaps
from dumpmap.structures.layouts.process import KUSER_SHARED_DATA
from dumpmap.structures.pe import read_image
from dumpmap.structures.peb import find_cfg_bitmaps, find_pebs
from dumpmap.structures.runtimes import find_runtimes
from dumpmap.structures.space import Space
from dumpmap.structures.teb import read_tebs

BUILD_1703 = 15063
"""Since then the TEB holds the address of the desktop heap; before, a distance."""


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
    read_parameters: bool = False,
    all_images: bool = True,
) -> ProcessStructures:
    """Reads TEBs, PEBs, image headers, heaps and managed heaps, in this order.

    Args:
        memory: the process. A `RecordingMemory` here keeps every byte that the map needs.
        pointer_size: 4 or 8, of whoever listed the threads; a WoW64 process is read in both widths either way.
        threads: (thread id, TEB address or 0) of every thread.
        modules: (base, size, name or path) of every module.
        space: the allocations.
        os_build: build number of Windows, None if unknown.
        family: the operating system; only "windows" has anything to read.
        peb_addresses: PEBs that are known otherwise, for a process whose TEBs were not captured.
        read_parameters: also read image path and command line out of the PEB; left out of recordings otherwise.
        all_images: read the headers of every module; otherwise only those of programs and of ntdll.dll, from which more
            follows than the names of sections.
    """
    if family != "windows":
        return ProcessStructures()
    warnings: list[str] = []
    tebs = _read_threads(memory, pointer_size, threads, warnings)
    candidates = [(address, width) for address in peb_addresses for width in (pointer_size, 12 - pointer_size)]
    pebs = find_pebs(memory, tebs, candidates, read_parameters=read_parameters)
    for peb in pebs:
        strays = [teb for teb in tebs if teb.pointer_size == peb.pointer_size and teb.peb != peb.address]
        if strays:
            warnings.append(
                f"PEB {peb.address:#x}: {len(strays)} of {len(tebs)} TEBs name another (thread {strays[0].thread_id}: "
                f"{strays[0].peb:#x})"
            )
    images: dict[int, PeImage] = {}
    named: dict[int, NamedRegion] = {}
    names: list[tuple[int, str]] = []
    for base, _, path in modules:
        name = path.replace("\\", "/").rpartition("/")[2].lower()
        names.append((base, name))
        if base in images or not (all_images or name == "ntdll.dll" or name.endswith(".exe")):
            continue
        image = read_image(memory, base)
        if image is None:
            continue
        images[base] = image
        if name == "ntdll.dll":
            for region in find_cfg_bitmaps(memory, base, image):
                named.setdefault(region.address, region)
    for peb in pebs:
        for region in peb.named:
            named.setdefault(region.address, region)
    if os_build is not None and os_build >= BUILD_1703:
        for teb in tebs:
            if teb.desktop_heap is not None and is_page(teb.desktop_heap, teb.pointer_size):
                region = NamedRegion(teb.desktop_heap, "Desktop heap", "TEB.Win32ClientInfo.DesktopBase")
                named.setdefault(region.address, region)
    named.setdefault(KUSER_SHARED_DATA, NamedRegion(KUSER_SHARED_DATA, "User shared data", "KUSER_SHARED_DATA"))
    found = find_heaps(memory, pebs, space, os_build)
    managed = ManagedSurvey()
    if hosts := find_runtimes(memory, names, images):
        # Imported late: most processes have no such runtime, and every module costs time at start-up.
        from dumpmap.structures.managed_heap import find_managed_heaps

        managed = find_managed_heaps(memory, space, hosts, names, images)
    return ProcessStructures(
        tebs=tebs,
        pebs=pebs,
        images=images,
        heaps=found.heaps,
        heap_list_captured=found.list_captured,
        managed_heaps=managed.heaps,
        runtimes=managed.runtimes,
        named=tuple(named.values()),
        missing=(*found.missing, *managed.missing),
        warnings=(*warnings, *found.warnings, *managed.warnings),
    )


def _read_threads(
    memory: Memory, pointer_size: int, threads: Sequence[tuple[int, int]], warnings: list[str]
) -> tuple[Teb, ...]:
    tebs: list[Teb] = []
    refused = []
    for thread_id, address in threads:
        if not address:
            continue
        found = read_tebs(memory, address, thread_id, pointer_size)
        tebs += found
        # Bytes that are there and are no TEB are a contradiction; bytes that are not there are only missing.
        if not found and memory.read(address, pointer_size) is not None:
            refused.append((thread_id, address))
    if refused:
        thread_id, address = refused[0]
        warnings.append(
            f"{len(refused)} of {len(threads)} threads have other bytes where their TEB should be "
            f"(first: thread {thread_id}, {address:#x})"
        )
    return tuple(tebs)
