"""The texts in the version resource of an image in process memory.

Sources: Microsoft, "PE Format", the .rsrc section; "VS_VERSIONINFO structure" and "String structure". A resource
directory is 16 bytes, with the counts of named and numbered entries at 12 and 14. 8 bytes per entry follow it: an
identifier, and an offset from the section whose high bit marks a directory. A data entry begins with RVA and size.
"""

from __future__ import annotations

from dataclasses import dataclass

from dumpmap.model.memory import Memory
from dumpmap.model.process import PeImage

_RT_VERSION = 16
_DIRECTORY, _IS_DIRECTORY = 16, 1 << 31
_MOST_ENTRIES = 256
_MOST_BYTES = 1 << 16
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class VersionTexts:
    """Texts of a version resource; None if the resource does not have them.

    Attributes:
        company: CompanyName.
        product_version: ProductVersion, in the company's own words.
    """

    company: str | None = None
    product_version: str | None = None


_NONE = VersionTexts()


def version_texts(memory: Memory, base: int, image: PeImage) -> VersionTexts:
    """Reads the version resource of a loaded image; nothing is known if it has none or it was not captured."""
    data = _resource(memory, base, image)
    return _NONE if data is None else VersionTexts(_value(data, "CompanyName"), _value(data, "ProductVersion"))


def _resource(memory: Memory, base: int, image: PeImage) -> bytes | None:
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
    return memory.read(base + address, size) if 0 < size <= _MOST_BYTES and address < image.size_of_image else None


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


def _value(data: bytes, name: str) -> str | None:
    """Returns the value behind a key. String and value start at multiples of 4 bytes; a zero ends the value."""
    key = f"{name}\0".encode("utf-16-le")
    at = data.find(key)
    if at < 0:
        return None
    start = -(-(at + len(key)) // 4) * 4
    text = data[start : start + 2 * _LONGEST].decode("utf-16-le", "replace").partition("\0")[0]
    return " ".join(text.split()) or None
