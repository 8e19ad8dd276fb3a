"""Finds resources of an image in process memory.

Source: Microsoft, "PE Format", the .rsrc section. A resource directory is 16 bytes, with the counts of named and
numbered entries at 12 and 14. 8 bytes per entry follow it: an identifier or, with the high bit set, the offset of a
name; and an offset from the section whose high bit marks a directory. A data entry begins with RVA and size.
"""

from __future__ import annotations

from dumpmap.model.memory import Memory
from dumpmap.model.process import PeImage

_DIRECTORY, _HIGH_BIT = 16, 1 << 31
_MOST_ENTRIES = 256
_LONGEST_NAME = 256


def find_resource(
    memory: Memory, base: int, image: PeImage, kind: int, name: str | None = None
) -> tuple[int, int] | None:
    """Finds a resource of a loaded image.

    Args:
        memory: the process.
        base: where the image is loaded.
        image: its headers.
        kind: number of the resource's type, such as 16 for RT_VERSION.
        name: the resource's name; None for the first of the type.

    Returns:
        address and size of the resource in its first language; None if the image has none or its resources were not
        captured.
    """
    section = next((one for one in image.sections if one.name == ".rsrc"), None)
    if section is None:
        return None
    start = base + section.address
    offset = _entry(memory, start, 0, kind)
    for wanted in (name, None):  # the name, then the language
        offset = None if offset is None or not offset & _HIGH_BIT else _entry(memory, start, offset, wanted)
    head = None if offset is None or offset & _HIGH_BIT else memory.read(start + offset, 8)
    if head is None:
        return None
    rva, size = int.from_bytes(head[:4], "little"), int.from_bytes(head[4:], "little")
    return (base + rva, size) if 0 < rva <= rva + size <= image.size_of_image else None


def _entry(memory: Memory, start: int, offset: int, wanted: int | str | None) -> int | None:
    """Returns the offset in a directory's entry with this number or name, or in its first entry."""
    at = start + (offset & ~_HIGH_BIT)
    head = memory.read(at, _DIRECTORY)
    if head is None:
        return None
    count = int.from_bytes(head[12:14], "little") + int.from_bytes(head[14:16], "little")
    for index in range(min(count, _MOST_ENTRIES)):
        entry = memory.read(at + _DIRECTORY + 8 * index, 8)
        if entry is None:
            return None
        identifier = int.from_bytes(entry[:4], "little")
        if wanted is None or wanted in (identifier, _name(memory, start, identifier)):
            return int.from_bytes(entry[4:], "little")
    return None


def _name(memory: Memory, start: int, identifier: int) -> str | None:
    """Returns the name behind an entry's identifier: a count of UTF-16 units, then these; None if it is a number."""
    at = start + (identifier & ~_HIGH_BIT)
    head = memory.read(at, 2) if identifier & _HIGH_BIT else None
    length = 0 if head is None else int.from_bytes(head, "little")
    text = memory.read(at + 2, 2 * length) if 0 < length <= _LONGEST_NAME else None
    return None if text is None else text.decode("utf-16-le", "replace")
