"""What was read out of one process's memory: environment blocks, image headers, heaps. Values only; no reading."""

from __future__ import annotations

from dataclasses import dataclass, field

from dumpmap.model.heaps import HeapInfo
from dumpmap.model.managed_heaps import ManagedHeap


@dataclass(frozen=True, slots=True)
class Teb:
    """One thread environment block whose self-pointer and thread id proved right.

    Attributes:
        address: where it is.
        pointer_size: 4 for a TEB32, 8 for a TEB64; a WoW64 thread has both.
        thread_id: ClientId.UniqueThread.
        process_id: ClientId.UniqueProcess.
        stack_base: high end (exclusive) of the stack; None where base and limit contradict each other. Not always the
            end of a page: the 64-bit stack of a WoW64 thread keeps something above it.
        stack_limit: lowest committed byte above the guard pages; None with `stack_base`.
        allocation_base: DeallocationStack, the start of the stack's reservation; None if not captured or not below
            the limit. On a fiber it and the two before describe the fiber's stack.
        peb: address of the PEB of this width.
        last_error: LastErrorValue (GetLastError).
        last_status: LastStatusValue (the last NTSTATUS that became an error); None if not captured.
        guaranteed_stack_bytes: SetThreadStackGuarantee; the guard area is larger by it. None if not captured.
        is_fiber: the thread runs on a fiber; None if not captured.
        desktop_heap: Win32ClientInfo.DesktopBase of a GUI thread, an address since Windows 10 1703; else None.
        other_teb: the address that this TEB gives for its twin of the other width, not checked; None if none.
    """

    address: int
    pointer_size: int
    thread_id: int
    process_id: int
    stack_base: int | None
    stack_limit: int | None
    allocation_base: int | None
    peb: int
    last_error: int
    last_status: int | None
    guaranteed_stack_bytes: int | None
    is_fiber: bool | None
    desktop_heap: int | None
    other_teb: int | None


@dataclass(frozen=True, slots=True)
class NamedRegion:
    """An address that a documented pointer names; the allocation that holds it has this kind, unless it is a heap.

    Attributes:
        address: what the pointer says. Nobody checked that memory is there.
        kind: one of `NAMED_KINDS`.
        field: where the pointer stands, as "PEB.ApiSetMap".
    """

    address: int
    kind: str
    field: str


@dataclass(frozen=True, slots=True)
class Peb:
    """One process environment block. Sizes are bytes; pointers are addresses, 0 where the process has none.

    Attributes:
        address: where it is.
        pointer_size: 4 or 8; a WoW64 process has both.
        image_base: the executable.
        ldr: the loader's module lists.
        process_parameters: RTL_USER_PROCESS_PARAMETERS.
        process_heap: the default heap.
        number_of_heaps: NumberOfHeaps, as recorded.
        maximum_number_of_heaps: room in the array.
        heaps: the heap list in its order; None where the array is not in the memory or its count is not believable.
        heap_array_address: ProcessHeaps.
        nt_global_flag: FLG_* bits.
        os_version: major, minor and build (modulo 65536).
        heap_segment_reserve: reserve of a heap whose creator asked for none.
        heap_segment_commit: commit of the same.
        session_id: terminal session; None if not captured.
        image_path: from the process parameters; None if not captured or not asked for.
        command_line: the same.
        named: the regions that its pointers name.
    """

    address: int
    pointer_size: int
    image_base: int
    ldr: int
    process_parameters: int
    process_heap: int
    number_of_heaps: int
    maximum_number_of_heaps: int
    heaps: tuple[int, ...] | None
    heap_array_address: int
    nt_global_flag: int
    os_version: tuple[int, int, int]
    heap_segment_reserve: int
    heap_segment_commit: int
    session_id: int | None
    image_path: str | None
    command_line: str | None
    named: tuple[NamedRegion, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """One section of an image.

    Attributes:
        name: decoded with replacement, without the padding.
        address: RVA of its first byte.
        virtual_size: bytes the linker asked for.
        size: bytes of address space it takes: `virtual_size` rounded up to the section alignment.
        characteristics: IMAGE_SCN_* bits.
    """

    name: str
    address: int
    virtual_size: int
    size: int
    characteristics: int


@dataclass(frozen=True, slots=True)
class PeImage:
    """What the headers of an image say. Sizes are bytes, addresses RVAs.

    Attributes:
        machine: IMAGE_FILE_MACHINE_*.
        timestamp: TimeDateStamp, seconds since 1970 or, in reproducible builds, a hash.
        checksum: the optional header's CheckSum.
        size_of_image: address space of the whole image.
        size_of_headers: bytes of headers before the first section.
        section_alignment: unit that sections start at.
        is_dll: IMAGE_FILE_DLL.
        large_address_aware: IMAGE_FILE_LARGE_ADDRESS_AWARE; decides what a 32-bit process can use.
        subsystem: IMAGE_SUBSYSTEM_*.
        pointer_size: 4 for PE32, 8 for PE32+.
        sections: in the order of the section table; fewer than the header says where the table is cut off.
        section_count: NumberOfSections.
        exports: RVA and size of the export directory; (0, 0) where there is none.
    """

    machine: int
    timestamp: int
    checksum: int
    size_of_image: int
    size_of_headers: int
    section_alignment: int
    is_dll: bool
    large_address_aware: bool
    subsystem: int
    pointer_size: int
    sections: tuple[Section, ...]
    section_count: int
    exports: tuple[int, int]


@dataclass(frozen=True, slots=True)
class ProcessStructures:
    """What was found in the memory of one process.

    Attributes:
        tebs: in the order of the thread list; two for a WoW64 thread, the listed one first.
        pebs: at most one of each width, the 32-bit one first.
        images: headers by module base, of the modules whose headers are in the memory.
        heaps: every heap, with the ranges that belong to it.
        heap_list_captured: whether the list of heaps was in the memory; None without a PEB.
        managed_heaps: one of each .NET runtime whose garbage collector could be read.
        runtimes: names of the modules that hold a .NET runtime, whether it could be read or not.
        named: regions that a pointer names, without repeats.
        missing: what of the heap lists and of managed heaps was not captured, one line each.
        warnings: contradictions, one line each.
    """

    tebs: tuple[Teb, ...] = ()
    pebs: tuple[Peb, ...] = ()
    images: dict[int, PeImage] = field(default_factory=dict)
    heaps: tuple[HeapInfo, ...] = ()
    heap_list_captured: bool | None = None
    managed_heaps: tuple[ManagedHeap, ...] = ()
    runtimes: tuple[str, ...] = ()
    named: tuple[NamedRegion, ...] = ()
    missing: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
