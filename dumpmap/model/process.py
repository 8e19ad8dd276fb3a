"""What was read from one process's memory: environment blocks, image headers, and what recognisers found.

Values only. Only the standard library is used here: the live capture reads the same structures on a bare Python.
"""

from __future__ import annotations

from dataclasses import field
from typing import TypeVar

from dumpmap.model.heaps import HeapInfo
from dumpmap.model.recognised import Found, LabelledRange, Runtime, ThreadName
from dumpmap.model.values import value_class
from dumpmap.model.winnt import FLG_HEAP_PAGE_ALLOCS

_T = TypeVar("_T")


@value_class(frozen=True, slots=True)
class Teb:
    """One thread environment block whose self-pointer and thread ID are correct.

    Attributes:
        address: where it is.
        pointer_size: 4 for a TEB32, 8 for a TEB64. A WoW64 thread has both.
        thread_id: ClientId.UniqueThread.
        process_id: ClientId.UniqueProcess.
        stack_base: high end (exclusive) of the stack; None where base and limit contradict each other. It need not be
            the end of a page: the 64-bit stack of a WoW64 thread keeps processor state above it.
        stack_limit: lowest committed byte above the guard pages; None with `stack_base`.
        allocation_base: DeallocationStack, the start of the stack's reservation; None if not captured or not below
            the limit. On a fiber, this field and the two before it describe the fiber's stack.
        peb: address of the PEB of this width.
        last_error: LastErrorValue (GetLastError).
        last_status: LastStatusValue (the last NTSTATUS that Windows turned into an error); None if not captured.
        guaranteed_stack_bytes: SetThreadStackGuarantee, which enlarges the guard area; None if not captured.
        is_fiber: the thread runs on a fiber; None if not captured.
        desktop_heap: Win32ClientInfo.DesktopBase of a GUI thread, an address since Windows 10 1703; else None.
        other_teb: the address that this TEB gives for its twin of the other width, unchecked; None if none.
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


@value_class(frozen=True, slots=True)
class NamedRegion:
    """An address that a documented pointer names. The allocation that holds it has this kind, unless it is a heap.

    Attributes:
        address: the pointer's value. There may be no memory at it.
        kind: one of `dumpmap.model.kinds.NAMED_KINDS`.
        field: the field that holds the pointer, such as "PEB.ApiSetMap".
    """

    address: int
    kind: str
    field: str


@value_class(frozen=True, slots=True)
class Peb:
    """One process environment block. Sizes are bytes; pointers are addresses, 0 where the process has none.

    Attributes:
        address: where it is.
        pointer_size: 4 or 8. A WoW64 process has both.
        image_base: the executable.
        ldr: the loader's module lists.
        process_parameters: RTL_USER_PROCESS_PARAMETERS.
        process_heap: the default heap.
        number_of_heaps: NumberOfHeaps, as recorded.
        maximum_number_of_heaps: room in the array.
        heaps: the heap list in its order; None where the array is not in the memory or its count is implausible.
        heap_array_address: ProcessHeaps.
        nt_global_flag: FLG_* bits.
        os_version: major, minor and build (modulo 65536).
        heap_segment_reserve: default reserve of a heap segment.
        heap_segment_commit: default commit of a heap segment.
        session_id: terminal session; None if not captured.
        image_path: from the process parameters; None if not captured or not requested.
        command_line: likewise.
        named: regions that its pointers name.
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

    @property
    def has_page_heap(self) -> bool:
        """Whether page heap is switched on for the process."""
        return bool(self.nt_global_flag & FLG_HEAP_PAGE_ALLOCS)


@value_class(frozen=True, slots=True)
class Section:
    """One section of an image.

    Attributes:
        name: decoded with replacement, without the padding.
        address: RVA of its first byte.
        virtual_size: bytes the linker asked for.
        size: bytes of address space that it takes: `virtual_size` rounded up to the section alignment.
        characteristics: IMAGE_SCN_* bits.
    """

    name: str
    address: int
    virtual_size: int
    size: int
    characteristics: int


@value_class(frozen=True, slots=True)
class PeImage:
    """The headers of an image. Sizes are bytes, addresses are RVAs.

    Attributes:
        machine: IMAGE_FILE_MACHINE_*.
        timestamp: TimeDateStamp: seconds since 1970 or, in reproducible builds, a hash.
        checksum: the optional header's CheckSum.
        size_of_image: address space of the whole image.
        size_of_headers: bytes of headers before the first section.
        section_alignment: sections start at multiples of it.
        is_dll: IMAGE_FILE_DLL.
        large_address_aware: IMAGE_FILE_LARGE_ADDRESS_AWARE, which sets the limit of a 32-bit address space.
        subsystem: IMAGE_SUBSYSTEM_*.
        pointer_size: 4 for PE32, 8 for PE32+.
        sections: in the order of the section table; fewer than `section_count` if the table is cut off.
        section_count: NumberOfSections.
        exports: RVA and size of the export directory; (0, 0) if there is none.
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


@value_class(frozen=True, slots=True)
class ProcessStructures:
    """What was found in the memory of one process.

    Attributes:
        tebs: in the order of the thread list. A WoW64 thread has two, and the listed one comes first.
        pebs: at most one of each width, the 32-bit one first.
        images: headers by module base, of the modules whose headers are in the memory.
        named: regions that a pointer names, without repeats.
        found: what each recogniser that ran has found, in the order of the registry.
        contradictions: what is wrong with TEBs and PEBs, a sentence each.
        refused_tebs: addresses at which the thread list has a TEB and the memory has something else.
    """

    tebs: tuple[Teb, ...] = ()
    pebs: tuple[Peb, ...] = ()
    images: dict[int, PeImage] = field(default_factory=dict)
    named: tuple[NamedRegion, ...] = ()
    found: tuple[Found, ...] = ()
    contradictions: tuple[str, ...] = ()
    refused_tebs: frozenset[int] = frozenset()

    @property
    def heaps(self) -> tuple[HeapInfo, ...]:
        """Every heap, with the ranges that belong to it."""
        return tuple(heap for found in self.found for heap in found.heaps)

    @property
    def heap_list_captured(self) -> bool | None:
        """Whether the heap list of every PEB is in the memory; None without a PEB."""
        return all(peb.heaps is not None for peb in self.pebs) if self.pebs else None

    @property
    def ranges(self) -> tuple[LabelledRange, ...]:
        """Every range that a recogniser labelled."""
        return tuple(part for found in self.found for part in found.ranges)

    @property
    def runtimes(self) -> tuple[Runtime, ...]:
        """The runtimes that are loaded, whether or not their memory could be read."""
        return tuple(runtime for found in self.found for runtime in found.runtimes)

    def facts_of(self, kind: type[_T]) -> tuple[_T, ...]:
        """Returns the recognisers' own values of one class, such as `ManagedHeap`."""
        return tuple(fact for found in self.found for fact in found.facts if isinstance(fact, kind))

    @property
    def thread_names(self) -> dict[int, ThreadName]:
        """What runtimes call their threads, by thread ID."""
        return {fact.thread_id: fact for fact in self.facts_of(ThreadName)}

    @property
    def notes(self) -> tuple[str, ...]:
        """What the input lacks or what could not be read, a sentence each."""
        return tuple(note for found in self.found for note in found.notes)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Contradictions and damage, a sentence each."""
        return (*self.contradictions, *(warning for found in self.found for warning in found.warnings))
