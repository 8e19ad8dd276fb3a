"""Reads process environment blocks: the heap list, and pointers to regions that only the PEB names."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from dumpmap.model.kinds import CFG_BITMAP
from dumpmap.model.memory import Memory, attempt, unrecorded
from dumpmap.model.process import NamedRegion, Peb, PeImage, Teb
from dumpmap.structures.bounds import MAX_HEAPS, MAX_STRING, is_page, is_user_address
from dumpmap.structures.layout import parts
from dumpmap.structures.layouts import process as layouts
from dumpmap.structures.pe import find_export

WINDOWS_VISTA = (6, 0, 0)
WINDOWS_7 = (6, 1, 0)
WINDOWS_10 = (10, 0, 0)
WINDOWS_10_1709 = (10, 0, 16299)
WINDOWS_10_1809 = (10, 0, 17763)

_PROCESS = parts(
    layouts.PEB,
    "ImageBaseAddress",
    "Ldr",
    "ProcessParameters",
    "ProcessHeap",
    "ApiSetMap",
    "ReadOnlySharedMemoryBase",
    "SharedData",
    "AnsiCodePageData",
    "OemCodePageData",
    "UnicodeCaseTableData",
    "NtGlobalFlag",
    "HeapSegmentReserve",
    "HeapSegmentCommit",
    "NumberOfHeaps",
    "MaximumNumberOfHeaps",
    "ProcessHeaps",
    "GdiSharedHandleTable",
    "OSMajorVersion",
    "OSMinorVersion",
    "OSBuildNumber",
)
_SESSION = parts(layouts.PEB, "SessionId")
_PARAMETERS = parts(
    layouts.RTL_USER_PROCESS_PARAMETERS,
    "MaximumLength",
    "Flags",
    "ImagePathName.Length",
    "ImagePathName.Buffer",
    "CommandLine.Length",
    "CommandLine.Buffer",
)

# Field, kind, and the first Windows version whose PEB has this field (before, another field is in its place, or the PEB
# ends). In the order of System Informer's rules: if two fields point into one allocation, the first names it.
_NAMED = (
    ("ProcessParameters", "Process parameters", (0, 0, 0)),
    ("ApiSetMap", "API set map", WINDOWS_7),
    ("ReadOnlySharedMemoryBase", "CSR shared memory", (0, 0, 0)),
    ("AnsiCodePageData", "NLS tables", (0, 0, 0)),
    ("OemCodePageData", "NLS tables", (0, 0, 0)),
    ("UnicodeCaseTableData", "NLS tables", (0, 0, 0)),
    ("GdiSharedHandleTable", "GDI handle table", (0, 0, 0)),
    ("pShimData", "Shim data", (0, 0, 0)),
    ("ActivationContextData", "Process activation context", (0, 0, 0)),
    ("SystemDefaultActivationContextData", "System activation context", (0, 0, 0)),
    ("WerRegistrationData", "WER data", WINDOWS_VISTA),
    ("SharedData", "Silo shared data", WINDOWS_10),
    ("TelemetryCoverageHeader", "Telemetry coverage map", WINDOWS_10_1709),
    ("LeapSecondData", "Leap-second data", WINDOWS_10_1809),
)
_NAMED_LATER = {field: parts(layouts.PEB, field) for field, _, _ in _NAMED if field not in _PROCESS[8].names}

# ntdll's start-up block by its Size: the first row whose size it reaches applies. Windows 8 has it without CFG.
_INIT_BLOCKS = (
    (0xE8, layouts.PS_SYSTEM_DLL_INIT_BLOCK_V3),
    (0xD0, layouts.PS_SYSTEM_DLL_INIT_BLOCK_V2),
    (0x70, layouts.PS_SYSTEM_DLL_INIT_BLOCK_V1),
)
_INIT_SIZE = layouts.PS_SYSTEM_DLL_INIT_BLOCK_V1[8].part("Size")


def read_peb(memory: Memory, address: int, pointer_size: int, *, read_parameters: bool = True) -> Peb | None:
    """Reads the PEB at `address`.

    Args:
        memory: the process.
        address: where the PEB is.
        pointer_size: 4 or 8.
        read_parameters: also read the image path and the command line, which can contain secrets.

    Returns:
        None if its first 0x122 (32-bit: 0xae) bytes are not in the memory or cannot be those of a PEB.
    """
    if not is_page(address, pointer_size):
        return None
    fields = _PROCESS[pointer_size].values(memory, address)
    if not fields or not _is_believable(fields, pointer_size):
        return None
    image_path = command_line = None
    if read_parameters:
        # A snapshot carries them as texts if its user wants it, never as memory.
        image_path, command_line = _read_strings(unrecorded(memory), fields["ProcessParameters"], pointer_size)
    session = _SESSION[pointer_size].read(memory, address)
    return Peb(
        address=address,
        pointer_size=pointer_size,
        image_base=fields["ImageBaseAddress"],
        ldr=fields["Ldr"],
        process_parameters=fields["ProcessParameters"],
        process_heap=fields["ProcessHeap"],
        number_of_heaps=fields["NumberOfHeaps"],
        maximum_number_of_heaps=fields["MaximumNumberOfHeaps"],
        heaps=_read_heap_list(memory, fields, pointer_size),
        heap_array_address=fields["ProcessHeaps"],
        nt_global_flag=fields["NtGlobalFlag"],
        os_version=(fields["OSMajorVersion"], fields["OSMinorVersion"], fields["OSBuildNumber"]),
        heap_segment_reserve=fields["HeapSegmentReserve"],
        heap_segment_commit=fields["HeapSegmentCommit"],
        session_id=None if session is None else session[0],
        image_path=image_path,
        command_line=command_line,
        named=_named_regions(memory, address, fields, pointer_size),
    )


def find_pebs(
    memory: Memory, tebs: Iterable[Teb], addresses: Iterable[tuple[int, int]] = (), *, read_parameters: bool = True
) -> tuple[Peb, ...]:
    """Reads the PEB of each width. The threads vote on the address.

    Args:
        memory: the process.
        tebs: every TEB that was read. The others outvote a damaged one.
        addresses: (address, pointer size) of further candidates, to try after those of the threads.
        read_parameters: see `read_peb`.

    Returns:
        At most one PEB of each width, the 32-bit one first.
    """
    votes: dict[int, dict[int, int]] = {4: {}, 8: {}}
    for teb in tebs:
        counts = votes[teb.pointer_size]
        counts[teb.peb] = counts.get(teb.peb, 0) + 1
    for address, pointer_size in addresses:
        votes[pointer_size].setdefault(address, 0)
    pebs = []
    for pointer_size, counts in votes.items():
        for address in sorted(counts, key=lambda address: -counts[address])[:16]:
            peb = attempt(memory, partial(read_peb, memory, address, pointer_size, read_parameters=read_parameters))
            if peb is not None:
                pebs.append(peb)
                break
    return tuple(pebs)


def find_cfg_bitmaps(memory: Memory, ntdll: int, image: PeImage) -> tuple[NamedRegion, ...]:
    """Finds the control-flow-guard bitmaps through ntdll's exported LdrSystemDllInitBlock.

    Args:
        memory: the process.
        ntdll: where an ntdll.dll is loaded. A WoW64 process has two.
        image: its headers.

    Returns:
        Up to two regions: the native bitmap and, in a 64-bit ntdll of a WoW64 process, the 32-bit one.
    """
    block = find_export(memory, ntdll, image, "LdrSystemDllInitBlock")
    size = None if block is None else _INIT_SIZE.read(memory, block)
    if block is None or size is None:
        return ()
    layout = next((layouts_[8] for least, layouts_ in _INIT_BLOCKS if size[0] >= least), None)
    if layout is None or size[0] > 0x1000:
        return ()
    regions = []
    for field in ("CfgBitMap", "Wow64CfgBitMap"):
        if layout.offsets[f"{field}Size"] + 8 > size[0]:
            continue
        values = layout.part(field).read(memory, block)
        if values is not None and is_page(values[0], 8):
            regions.append(NamedRegion(values[0], CFG_BITMAP, f"LdrSystemDllInitBlock.{field}"))
    return tuple(regions)


def _is_believable(fields: dict[str, int], pointer_size: int) -> bool:
    """A PEB has no signature. These conditions hold for every process from Windows XP to 11, and under Wine."""
    return (
        4 <= fields["OSMajorVersion"] <= 20
        and is_page(fields["ImageBaseAddress"], pointer_size)
        and (fields["ProcessHeap"] == 0 or is_page(fields["ProcessHeap"], pointer_size))
    )


def _read_heap_list(memory: Memory, fields: dict[str, int], pointer_size: int) -> tuple[int, ...] | None:
    count = fields["NumberOfHeaps"]
    array = fields["ProcessHeaps"]
    if count == 0:
        return ()  # Wine keeps no list
    if count > min(MAX_HEAPS, fields["MaximumNumberOfHeaps"]) or not is_user_address(array, pointer_size):
        return None
    data = memory.read(array, count * pointer_size)
    if data is None:
        return None
    return tuple(
        int.from_bytes(data[position : position + pointer_size], "little")
        for position in range(0, len(data), pointer_size)
    )


def _read_strings(memory: Memory, parameters: int, pointer_size: int) -> tuple[str | None, str | None]:
    if not is_user_address(parameters, pointer_size):
        return None, None
    values = _PARAMETERS[pointer_size].read(memory, parameters)
    if values is None:
        return None, None
    length, flags, path_size, path, line_size, line = values
    # Until a process has started up, its strings are offsets into the parameters.
    relative_below = 0 if flags & layouts.RTL_USER_PROC_PARAMS_NORMALIZED else length
    path = parameters + path if path < relative_below else path
    line = parameters + line if line < relative_below else line
    return _read_text(memory, path, path_size), _read_text(memory, line, line_size)


def _read_text(memory: Memory, address: int, size: int) -> str | None:
    if size == 0:
        return ""
    data = memory.read(address, min(size & ~1, MAX_STRING))
    return None if data is None else data.decode("utf-16-le", "replace")


def _named_regions(memory: Memory, address: int, fields: dict[str, int], pointer_size: int) -> tuple[NamedRegion, ...]:
    version = (fields["OSMajorVersion"], fields["OSMinorVersion"], fields["OSBuildNumber"])
    named = []
    for field, kind, since in _NAMED:
        if version < since:
            continue
        pointer = fields.get(field)
        if pointer is None:
            values = _NAMED_LATER[field][pointer_size].read(memory, address)
            pointer = 0 if values is None else values[0]
        if is_user_address(pointer, pointer_size):
            named.append(NamedRegion(pointer, kind, f"PEB.{field}"))
    return tuple(named)
