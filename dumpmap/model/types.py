"""The types of memory that VMMap knows, each said once: its name, its colour, what it means.

Help texts, legends, documents and tests walk `TYPES`; nothing else lists them. Order is VMMap's.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class RegionType(IntEnum):
    """A type of memory; the number is its row in VMMap's summary."""

    IMAGE = 0
    MAPPED_FILE = 1
    SHAREABLE = 2
    HEAP = 3
    MANAGED_HEAP = 4
    STACK = 5
    PRIVATE_DATA = 6
    PAGE_TABLE = 7
    UNUSABLE = 8
    FREE = 9
    UNKNOWN = 10

    @property
    def label(self) -> str:
        """The name as VMMap writes it."""
        return TYPES[self].name


@dataclass(frozen=True, slots=True)
class TypeInfo:
    """What is to be said of a type."""

    type: RegionType
    name: str
    color: str
    """As `#rrggbb`, after VMMap's own legend."""
    meaning: str


TYPES: tuple[TypeInfo, ...] = (
    TypeInfo(
        RegionType.IMAGE,
        "Image",
        "#c9a0dc",
        "An executable file, such as an EXE or a DLL, loaded by the image loader. Its writable pages are private.",
    ),
    TypeInfo(
        RegionType.MAPPED_FILE,
        "Mapped File",
        "#8fb4e8",
        "A file mapped as data. A minidump does not record which file, so there it counts as Shareable.",
    ),
    TypeInfo(
        RegionType.SHAREABLE,
        "Shareable",
        "#7fd0d0",
        "Memory that can be shared with other processes: sections backed by the page file, and mapped files whose name "
        "is not known.",
    ),
    TypeInfo(
        RegionType.HEAP,
        "Heap",
        "#e8a27c",
        "Memory of the Windows heap manager, or of an allocator that a heap stream describes.",
    ),
    TypeInfo(
        RegionType.MANAGED_HEAP,
        "Managed Heap",
        "#9fd98f",
        "Memory of a garbage collector, as the .NET runtime's.",
    ),
    TypeInfo(
        RegionType.STACK,
        "Stack",
        "#f2b24c",
        "A thread's stack: all of its reservation, committed or not.",
    ),
    TypeInfo(
        RegionType.PRIVATE_DATA,
        "Private Data",
        "#f5e36b",
        "Private memory allocated with VirtualAlloc that is none of the above, TEBs and PEB included.",
    ),
    TypeInfo(
        RegionType.PAGE_TABLE,
        "Page Table",
        "#d9b8c4",
        "Kernel memory for the process's page tables. It is not in the address space; only some sources know it.",
    ),
    TypeInfo(
        RegionType.UNUSABLE,
        "Unusable",
        "#9e9e9e",
        "Free space between an allocation's end and the next 64 KB boundary, where no allocation can begin.",
    ),
    TypeInfo(
        RegionType.FREE,
        "Free",
        "#dcdcdc",
        "Address space that is not allocated.",
    ),
    TypeInfo(
        RegionType.UNKNOWN,
        "Unknown",
        "#b0a090",
        "Memory that is known to exist, but not as what: only in maps of inputs without a memory list.",
    ),
)

BY_NAME = {info.name.lower(): info.type for info in TYPES}
"""Type by its lower-case name."""


def parse_type(text: str) -> RegionType | None:
    """Finds a type by name; case, spaces, `-` and `_` do not matter."""
    wanted = text.lower().replace("-", "").replace("_", "").replace(" ", "")
    for info in TYPES:
        if info.name.lower().replace(" ", "") == wanted:
            return info.type
    return None


@dataclass(frozen=True, slots=True)
class EvidenceInfo:
    """A kind of evidence and what it means that a label rests on it."""

    name: str
    meaning: str


EVIDENCE: tuple[EvidenceInfo, ...] = (
    EvidenceInfo("memory-info", "The input's list of regions (MemoryInfoList, or VirtualQuery of a live process)."),
    EvidenceInfo("linux-maps", "The text of /proc/PID/maps."),
    EvidenceInfo("module-list", "The input's list of modules."),
    EvidenceInfo("pe-header", "The PE header at the start of the image, out of the process's memory."),
    EvidenceInfo("image-file", "The PE header of the file itself, found with --image-path by name, time and size."),
    EvidenceInfo("teb", "The thread environment block's own stack fields, or its place."),
    EvidenceInfo("thread-list", "The stack range that the input's thread list gives."),
    EvidenceInfo("stack-pointer", "The stack pointer of a thread's saved context lies in it."),
    EvidenceInfo("peb", "A pointer in the process environment block."),
    EvidenceInfo("heap-list", "An entry of the PEB's list of heaps."),
    EvidenceInfo("heap-segment", "The heap's own list of segments, each segment's header checked."),
    EvidenceInfo("heap-large-block", "The heap's own list or tree of large blocks."),
    EvidenceInfo("heap-front-end", "The heap's pointer to its low-fragmentation front end."),
    EvidenceInfo(
        "heap-signature", "A heap's or segment's signature at the start of the allocation; no list led there."
    ),
    EvidenceInfo("signature", "The bytes at its start are those of a known structure; nothing points to it."),
    EvidenceInfo("heap-stream", "The process itself said so, in a heap stream."),
    EvidenceInfo("managed-heap", "The input lists it as memory of a managed runtime."),
    EvidenceInfo("gc-dac-vars", "The .NET garbage collector's own list of its variables, followed to every segment."),
    EvidenceInfo("contract-descriptor", "The .NET runtime's own description of its structures, followed likewise."),
    EvidenceInfo("system", "Windows puts it at this address in every process."),
    EvidenceInfo("memory-list", "Its bytes are in the input; nothing says what they are."),
    EvidenceInfo("gap", "No region of the input covers it."),
    EvidenceInfo("recorded", "Another tool's file (VMMap) says so."),
)
"""Every evidence that a row can carry; a row's evidence is one or several of these, joined by `+`."""
