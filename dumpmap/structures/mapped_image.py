"""Reads an image file as the loader maps it: sections at their places, addresses moved to where the image was loaded.

It stands in for read-only pages that a dump does not have. Writable pages are not read: the process has changed them.
"""

from __future__ import annotations

from collections.abc import Iterator

from dumpmap.model.memory import ExcerptMemory
from dumpmap.structures.layout import parts
from dumpmap.structures.layouts import pe as layouts
from dumpmap.structures.pe import parse_image

_HEADER_BYTES = 0x10000
_MAX_RELOCATIONS = 64 << 20
_MARGIN = 8

_DOS = layouts.IMAGE_DOS_HEADER[4].part("e_magic", "e_lfanew")
_FILE = layouts.IMAGE_FILE_HEADER[4].part("NumberOfSections", "SizeOfOptionalHeader")
_OPTIONAL = parts(layouts.IMAGE_OPTIONAL_HEADER, "ImageBase", "NumberOfRvaAndSizes")
_RELOCATIONS = parts(layouts.IMAGE_OPTIONAL_HEADER, "BaseReloc.VirtualAddress", "BaseReloc.Size")
_SECTION = layouts.IMAGE_SECTION_HEADER[4].part(
    "VirtualSize", "VirtualAddress", "SizeOfRawData", "PointerToRawData", "Characteristics"
)
_SECTION_SIZE = layouts.IMAGE_SECTION_HEADER[4].size
_WIDTHS = {layouts.IMAGE_REL_BASED_HIGHLOW: 4, layouts.IMAGE_REL_BASED_DIR64: 8}
_RELOCATION_DIRECTORY = 5


class MappedImage:
    """An image file, mapped at an address.

    Args:
        data: the whole file.
        base: where the image was loaded.

    Raises:
        ValueError: it is not a PE image.
    """

    def __init__(self, data: bytes | memoryview, base: int) -> None:
        image = parse_image(bytes(data[:_HEADER_BYTES]))
        if image is None:
            raise ValueError("not a PE image")
        self._data = data
        self._size = image.size_of_image
        header = ExcerptMemory([(0, bytes(data[:_HEADER_BYTES]))])
        # parse_image has read the first three.
        _, at = _DOS.read(header, 0) or (0, 0)
        count, optional_size = _FILE.read(header, at) or (0, 0)
        optional = at + layouts.IMAGE_FILE_HEADER[4].size
        preferred, directories = _OPTIONAL[image.pointer_size].read(header, optional) or (base, 0)
        table = [
            _SECTION.read(header, optional + optional_size + index * _SECTION_SIZE)
            for index in range(min(count, len(image.sections)))
        ]
        self._sections = [row for row in table if row is not None]
        self._moved = base - preferred
        self._pages: dict[int, bytes] = {}
        place = _RELOCATIONS[image.pointer_size].read(header, optional) if directories > _RELOCATION_DIRECTORY else None
        if self._moved and place is not None and 0 < place[1] <= _MAX_RELOCATIONS:
            self._read_relocations(self._mapped(place[0], place[1]))

    def _read_relocations(self, table: bytes) -> None:
        """Notes the entries of each page."""
        at = 0
        while at + 8 <= len(table):
            page, size = (int.from_bytes(table[place : place + 4], "little") for place in (at, at + 4))
            if size < 8:
                return
            self._pages[page] = table[at + 8 : at + size]
            at += size

    def read(self, rva: int, size: int) -> bytes | None:
        """Returns the bytes at an RVA; None for writable sections and outside of the image."""
        if rva < 0 or size <= 0 or rva + size > self._size:
            return None
        for virtual_size, start, raw_size, _, flags in self._sections:
            if flags & layouts.IMAGE_SCN_MEM_WRITE and start < rva + size and rva < start + (virtual_size or raw_size):
                return None
        low = max(0, rva - _MARGIN)
        data = bytearray(self._mapped(low, rva + size + _MARGIN - low))
        for place, width in self._relocations(low, low + len(data)):
            at = place - low
            value = int.from_bytes(data[at : at + width], "little") + self._moved
            data[at : at + width] = (value & ((1 << 8 * width) - 1)).to_bytes(width, "little")
        return bytes(data[rva - low : rva - low + size])

    def _mapped(self, rva: int, size: int) -> bytes:
        """Returns bytes as they are in the file, zeros where it has none."""
        found = bytearray(min(size, max(0, self._size - rva)))
        for _, start, raw_size, raw, _ in self._sections:
            low, high = max(rva, start), min(rva + len(found), start + raw_size)
            if low < high:
                part = self._data[raw + low - start : raw + high - start]
                found[low - rva : low - rva + len(part)] = part
        return bytes(found)

    def _relocations(self, low: int, high: int) -> Iterator[tuple[int, int]]:
        """Yields RVA and width of the addresses that lie within [low, high)."""
        for page in range(low & ~0xFFF, high, 0x1000):
            entries = self._pages.get(page, b"")
            for at in range(0, len(entries) - 1, 2):
                entry = int.from_bytes(entries[at : at + 2], "little")
                place, width = page + (entry & 0xFFF), _WIDTHS.get(entry >> 12)
                if width is not None and low <= place and place + width <= high:
                    yield place, width
