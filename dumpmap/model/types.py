"""VMMap's types of memory, one row each: name, colour, and meaning.

Help, legends, documents, and tests walk `TYPES`; nothing else lists them. The order is VMMap's.
"""

from __future__ import annotations

from enum import IntEnum

from dumpmap.model.values import value_class


class RegionType(IntEnum):
    """A type of memory. The number is its row in VMMap's summary."""

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


@value_class(frozen=True, slots=True)
class TypeInfo:
    """Name, colour, and meaning of a type.

    Attributes:
        type: the type.
        name: as VMMap writes it.
        color: `#rrggbb`, after VMMap's own legend.
        meaning: one or two sentences for people.
    """

    type: RegionType
    name: str
    color: str
    meaning: str


TYPES: tuple[TypeInfo, ...] = (
    TypeInfo(
        RegionType.IMAGE,
        "Image",
        "#c9a0dc",
        "An executable file, such as an EXE or DLL, that the image loader mapped. Its writable pages are private.",
    ),
    TypeInfo(
        RegionType.MAPPED_FILE,
        "Mapped File",
        "#8fb4e8",
        "A file mapped as data. Minidumps do not record file names, so in a minidump this memory counts as Shareable.",
    ),
    TypeInfo(
        RegionType.SHAREABLE,
        "Shareable",
        "#7fd0d0",
        "Memory that other processes can map: sections backed by the page file, and mapped files of unknown name.",
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
        "Memory of a garbage collector, such as the .NET runtime's.",
    ),
    TypeInfo(
        RegionType.STACK,
        "Stack",
        "#f2b24c",
        "A thread's stack: the whole reservation, committed or not.",
    ),
    TypeInfo(
        RegionType.PRIVATE_DATA,
        "Private Data",
        "#f5e36b",
        "Private memory, allocated with VirtualAlloc, that no other type covers. Includes TEBs and the PEB.",
    ),
    TypeInfo(
        RegionType.PAGE_TABLE,
        "Page Table",
        "#d9b8c4",
        "Kernel memory for the process's page tables. It lies outside the address space, and few inputs record it.",
    ),
    TypeInfo(
        RegionType.UNUSABLE,
        "Unusable",
        "#9e9e9e",
        "Free space between the end of an allocation and the next 64 KB boundary. No allocation can start there.",
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
        "Captured bytes of unknown use. Appears only for inputs without a list of memory regions.",
    ),
)

PRIVATE_TYPES = (RegionType.HEAP, RegionType.MANAGED_HEAP, RegionType.STACK, RegionType.PRIVATE_DATA)
"""Types of memory that belongs to the process alone and was not loaded from a file."""

BY_NAME = {info.name.lower(): info.type for info in TYPES}
"""Type by its lower-case name."""


def parse_type(text: str) -> RegionType | None:
    """Finds a type by name. Ignores case, spaces, `-`, and `_`."""
    wanted = text.lower().replace("-", "").replace("_", "").replace(" ", "")
    for info in TYPES:
        if info.name.lower().replace(" ", "") == wanted:
            return info.type
    return None
