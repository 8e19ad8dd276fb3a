"""Reads the headers of PE images, from process memory or from a file."""

from __future__ import annotations

from functools import lru_cache, partial

from dumpmap.model.memory import ExcerptMemory, Memory, attempt
from dumpmap.model.process import PeImage, Section
from dumpmap.model.winnt import PAGE_SIZE
from dumpmap.structures.bounds import round_up
from dumpmap.structures.layouts import pe as layouts

MAX_SECTIONS = 1024
"""Most sections of one image that are read. Windows up to 7 loads at most 96, and linkers stay far below that."""

MAX_NAMES = 1 << 20
"""Most exported names of one image that are searched."""

MAX_VARIABLES = 4 << 20
"""Most bytes of writable sections of one image that are searched. Those of a runtime take 100 KB."""

_DOS = layouts.IMAGE_DOS_HEADER[4].part("e_magic", "e_lfanew")
_FILE = layouts.IMAGE_FILE_HEADER[4].part(
    "Signature", "Machine", "NumberOfSections", "TimeDateStamp", "SizeOfOptionalHeader", "Characteristics"
)
_MAGIC = layouts.IMAGE_OPTIONAL_HEADER[4].part("Magic")
_OPTIONAL = {
    pointer_size: layout.part("SectionAlignment", "SizeOfImage", "SizeOfHeaders", "CheckSum", "Subsystem")
    for pointer_size, layout in layouts.IMAGE_OPTIONAL_HEADER.items()
}
_EXPORTS = {
    pointer_size: layout.part("NumberOfRvaAndSizes", "Export.VirtualAddress", "Export.Size")
    for pointer_size, layout in layouts.IMAGE_OPTIONAL_HEADER.items()
}
_RESOURCES = {
    pointer_size: layout.part("NumberOfRvaAndSizes", "Resource.VirtualAddress", "Resource.Size")
    for pointer_size, layout in layouts.IMAGE_OPTIONAL_HEADER.items()
}
_RESOURCES_NUMBER = 2  # IMAGE_DIRECTORY_ENTRY_RESOURCE
_DEBUG = {
    pointer_size: layout.part("NumberOfRvaAndSizes", "Debug.VirtualAddress", "Debug.Size")
    for pointer_size, layout in layouts.IMAGE_OPTIONAL_HEADER.items()
}
_DEBUG_NUMBER = 6  # IMAGE_DIRECTORY_ENTRY_DEBUG
_DEBUG_TIME = layouts.IMAGE_DEBUG_DIRECTORY[4].part("TimeDateStamp")
_SECTION = layouts.IMAGE_SECTION_HEADER[4].part(
    "Name", "VirtualSize", "VirtualAddress", "SizeOfRawData", "Characteristics"
)
_DIRECTORY = layouts.IMAGE_EXPORT_DIRECTORY[4].part(
    "NumberOfFunctions", "NumberOfNames", "AddressOfFunctions", "AddressOfNames", "AddressOfNameOrdinals"
)
_FILE_SIZE = layouts.IMAGE_FILE_HEADER[4].size
_SECTION_SIZE = layouts.IMAGE_SECTION_HEADER[4].size


def read_image(memory: Memory, base: int, *, most_sections: int = MAX_SECTIONS) -> PeImage | None:
    """Reads the headers of the image that is loaded at `base`.

    Reads only the DOS header, the NT headers up to the export directory entry, and the section table.

    Args:
        memory: the process.
        base: where the image is loaded.
        most_sections: an image with more sections is read without its section table.

    Returns:
        The headers; None if they are not in the memory or not those of a PE image.
    """
    return attempt(memory, partial(_read_image, memory, base, most_sections))


def _read_image(memory: Memory, base: int, most_sections: int) -> PeImage | None:
    dos = _DOS.read(memory, base)
    if dos is None or dos[0] != layouts.IMAGE_DOS_SIGNATURE:
        return None
    header = base + dos[1]
    optional = header + _FILE_SIZE
    file = _FILE.read(memory, header)
    magic = _MAGIC.read(memory, optional)
    if file is None or magic is None:
        return None
    signature, machine, section_count, timestamp, optional_size, characteristics = file
    pointer_size = layouts.IMAGE_NT_OPTIONAL_MAGIC.get(magic[0])
    if signature != layouts.IMAGE_NT_SIGNATURE or pointer_size is None:
        return None
    fields = _OPTIONAL[pointer_size].read(memory, optional)
    if fields is None:
        return None
    alignment, size_of_image, size_of_headers, checksum, subsystem = fields
    directory = _EXPORTS[pointer_size].read(memory, optional)
    has_exports = directory is not None and directory[0] > 0
    return PeImage(
        machine=machine,
        timestamp=timestamp,
        checksum=checksum,
        size_of_image=size_of_image,
        size_of_headers=size_of_headers,
        section_alignment=alignment,
        is_dll=bool(characteristics & layouts.IMAGE_FILE_DLL),
        large_address_aware=bool(characteristics & layouts.IMAGE_FILE_LARGE_ADDRESS_AWARE),
        subsystem=subsystem,
        pointer_size=pointer_size,
        sections=_read_sections(memory, optional + optional_size, min(section_count, MAX_SECTIONS), alignment)
        if min(section_count, MAX_SECTIONS) <= most_sections
        else (),
        section_count=section_count,
        exports=(directory[1], directory[2]) if directory is not None and has_exports else (0, 0),
    )


def parse_image(data: bytes) -> PeImage | None:
    """Reads the headers of an image from the first bytes of its file. See `read_image`."""
    return read_image(ExcerptMemory([(0, data)]), 0)


def debug_timestamp(memory: Memory, base: int, image: PeImage) -> int | None:
    """Reads TimeDateStamp of the first entry of a loaded image's debug directory; None if there is none."""
    dos = _DOS.read(memory, base)
    directory = None if dos is None else _DEBUG[image.pointer_size].read(memory, base + dos[1] + _FILE_SIZE)
    if directory is None or directory[0] <= _DEBUG_NUMBER or not 0 < directory[1] < image.size_of_image:
        return None
    entry = _DEBUG_TIME.read(memory, base + directory[1]) if directory[2] else None
    return None if entry is None else entry[0]


def _read_sections(memory: Memory, address: int, count: int, alignment: int) -> tuple[Section, ...]:
    table = memory.read(address, count * _SECTION_SIZE) if count else None
    if table is None:
        # The table is cut off. The rows before the cut are still good.
        rows = []
        for index in range(count):
            row = memory.read(address + index * _SECTION_SIZE, _SECTION_SIZE)
            if row is None:
                break
            rows.append(row)
        table = b"".join(rows)
    # With an alignment below a page the loader maps the file as it is, but a section still takes whole pages.
    unit = max(alignment, PAGE_SIZE)
    sections = []
    for position in range(0, len(table), _SECTION_SIZE):
        name, virtual_size, rva, raw_size, characteristics = _SECTION.unpack(table, position)
        # Old linkers set VirtualSize to 0 and mean the raw size.
        size = round_up(virtual_size or raw_size, unit)
        sections.append(Section(_section_name(name), rva, virtual_size, size, characteristics))
    return tuple(sections)


@lru_cache(maxsize=1024)  # modules have sections of the same names
def _section_name(value: int) -> str:
    return value.to_bytes(8, "little").rstrip(b"\0").decode("utf-8", "replace")


def writable_ranges(base: int, image: PeImage, most: int = MAX_VARIABLES) -> list[tuple[int, int]]:
    """Returns start and end of an image's variables: its writable sections, up to `most` bytes in all."""
    room, ranges = most, []
    for section in image.sections:
        size = min(section.size, room, max(0, image.size_of_image - section.address))
        if section.characteristics & layouts.IMAGE_SCN_MEM_WRITE and size > 0:
            ranges.append((base + section.address, base + section.address + size))
            room -= size
    return ranges


def constant_ranges(memory: Memory, base: int, image: PeImage) -> list[tuple[int, int]]:
    """Returns start and end of the sections of an image in which a program keeps no variables, sorted.

    These are the sections that the file maps without the right to write, whatever the protection of their pages is now:
    the loader relocates them and fills in addresses of functions, and hooks change code. Resources are constants, too;
    linkers of the GNU tools mark their section as writable.
    """
    dos = _DOS.read(memory, base)
    row = None if dos is None else _RESOURCES[image.pointer_size].read(memory, base + dos[1] + _FILE_SIZE)
    resources = row[1] if row is not None and row[0] > _RESOURCES_NUMBER and row[2] else None
    ranges = []
    for section in image.sections:
        holds_resources = resources is not None and section.address <= resources < section.address + section.size
        if section.size and (holds_resources or not section.characteristics & layouts.IMAGE_SCN_MEM_WRITE):
            ranges.append((base + section.address, base + section.address + section.size))
    return sorted(ranges)


def find_export(memory: Memory, base: int, image: PeImage, name: str) -> int | None:
    """Finds the address of an exported function or variable by a binary search of the name table.

    Args:
        memory: the process.
        base: where the image is loaded.
        image: its headers.
        name: the exact name.

    Returns:
        The address; None if the name is not exported, is forwarded to another module, or a table is incomplete.
    """
    rva, size = image.exports
    directory = _DIRECTORY.read(memory, base + rva) if size else None
    if directory is None:
        return None
    function_count, name_count, functions, names, ordinals = directory
    wanted = name.encode()
    low, high = 0, min(name_count, MAX_NAMES)
    while low < high:
        middle = (low + high) // 2
        pointer = _read_integer(memory, base + names + middle * 4, 4)
        text = None if pointer is None else memory.read(base + pointer, len(wanted) + 1)
        if text is None:
            return None
        found = text.split(b"\0", 1)[0]
        if found == wanted:
            ordinal = _read_integer(memory, base + ordinals + middle * 2, 2)
            if ordinal is None or ordinal >= function_count:
                return None
            target = _read_integer(memory, base + functions + ordinal * 4, 4)
            if target is None or rva <= target < rva + size or not 0 < target < image.size_of_image:
                return None
            return base + target
        if found < wanted:
            low = middle + 1
        else:
            high = middle
    return None


def _read_integer(memory: Memory, address: int, size: int) -> int | None:
    data = memory.read(address, size)
    return None if data is None else int.from_bytes(data, "little")
