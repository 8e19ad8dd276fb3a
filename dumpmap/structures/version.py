"""The company in the version resource of an image in process memory.

Sources: Microsoft, "PE Format", the .rsrc section; "VS_VERSIONINFO structure" and "String structure". A resource
directory is 16 bytes, with the counts of named and numbered entries at 12 and 14. 8 bytes per entry follow it: an
identifier, and an offset from the section whose high bit marks a directory. A data entry begins with RVA and size.
"""

from __future__ import annotations

from dumpmap.model.memory import Memory
from dumpmap.model.process import PeImage

_RT_VERSION = 16
_DIRECTORY, _IS_DIRECTORY = 16, 1 << 31
_MOST_ENTRIES = 256
_MOST_BYTES = 1 << 16
_LONGEST = 200
_KEY = "CompanyName\0".encode("utf-16-le")


def company_of(memory: Memory, base: int, image: PeImage) -> str | None:
    """Reads CompanyName of a loaded image; None if the image has none or its resources were not captured."""
    section = next((one for one in image.sections if one.name == ".rsrc"), None)
    if section is None:
        return None
    start = base + section.address
    offset = _entry(memory, start, 0, _RT_VERSION)
    for _ in range(2):  # the name, then the language; the first of each
        offset = None if offset is None or not offset & _IS_DIRECTORY else _entry(memory, start, offset, None)
    head = None if offset is None or offset & _IS_DIRECTORY else memory.read(start + offset, 8)
    if head is None:
        return None
    address, size = int.from_bytes(head[:4], "little"), int.from_bytes(head[4:], "little")
    data = memory.read(base + address, size) if 0 < size <= _MOST_BYTES and address < image.size_of_image else None
    return None if data is None else _value(data)


def _entry(memory: Memory, start: int, offset: int, wanted: int | None) -> int | None:
    """Returns the offset in a directory's entry with this number, or in its first entry."""
    at = start + (offset & ~_IS_DIRECTORY)
    head = memory.read(at, _DIRECTORY)
    if head is None:
        return None
    count = int.from_bytes(head[12:14], "little") + int.from_bytes(head[14:16], "little")
    for index in range(min(count, _MOST_ENTRIES)):
        entry = memory.read(at + _DIRECTORY + 8 * index, 8)
        if entry is None:
            return None
        if wanted is None or int.from_bytes(entry[:4], "little") == wanted:
            return int.from_bytes(entry[4:], "little")
    return None


def _value(data: bytes) -> str | None:
    """Returns the value behind the key. Key and value start at multiples of 4 bytes; a zero ends the value."""
    at = data.find(_KEY)
    if at < 0:
        return None
    start = -(-(at + len(_KEY)) // 4) * 4
    text = data[start : start + 2 * _LONGEST].decode("utf-16-le", "replace").partition("\0")[0]
    return " ".join(text.split()) or None
