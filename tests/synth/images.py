"""Minimal PE images: headers, section table and an export directory, as the loader maps them."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from .minidump import (
    PAGE_EXECUTE_READ,
    PAGE_READONLY,
    PAGE_READWRITE,
)
from .space import PAGE, round_up

_MACHINES = {"x86": 0x14C, "x64": 0x8664, "arm64": 0xAA64, "arm": 0x1C4}
_SECTION_FLAGS = {
    PAGE_EXECUTE_READ: 0x60000020,
    PAGE_READONLY: 0x40000040,
}
_WRITABLE_SECTION = 0xC0000040


@dataclass(frozen=True)
class Section:
    """One section of an image.

    Attributes:
        name: up to 8 bytes.
        size: VirtualSize.
        protect: protection of its pages once mapped.
        data: first bytes.
        rva: VirtualAddress; 0 means behind the section before.
    """

    name: str
    size: int
    protect: int = PAGE_READONLY
    data: bytes = b""
    rva: int = 0


DEFAULT_SECTIONS = (
    Section(".text", 0x8000, PAGE_EXECUTE_READ),
    Section(".rdata", 0x3000, PAGE_READONLY),
    Section(".data", 0x2000, PAGE_READWRITE),
    Section(".rsrc", 0x1000, PAGE_READONLY),
    Section(".reloc", 0x1000, PAGE_READONLY),
)


def place_sections(sections: Sequence[Section]) -> tuple[Section, ...]:
    """Returns the sections with their RVAs, one behind the other from the first page on."""
    rva = PAGE
    placed = []
    for section in sections:
        rva = section.rva or rva
        placed.append(replace(section, rva=rva))
        rva = round_up(rva + section.size, PAGE)
    return tuple(placed)


def image_size(sections: Sequence[Section]) -> int:
    """Returns SizeOfImage of placed sections."""
    return round_up(max(section.rva + section.size for section in sections), PAGE)


def pe_header(
    arch: str,
    base: int,
    sections: Sequence[Section],
    *,
    timestamp: int = 0x5F000000,
    checksum: int = 0,
    export_directory: tuple[int, int] = (0, 0),
    is_dll: bool = True,
    large_address_aware: bool = True,
    section_alignment: int = PAGE,
) -> bytes:
    """Returns the headers of an image with placed sections: DOS, PE, optional, section table.

    Args:
        arch: a key of the machine table: x86, x64, arm, arm64.
        base: ImageBase.
        sections: placed sections.
        timestamp: TimeDateStamp.
        checksum: CheckSum.
        export_directory: RVA and size.
        is_dll: sets IMAGE_FILE_DLL.
        large_address_aware: sets IMAGE_FILE_LARGE_ADDRESS_AWARE.
        section_alignment: SectionAlignment.
    """
    wide = arch in ("x64", "arm64")
    directories = [export_directory] + [(0, 0)] * 15
    directory_bytes = b"".join(struct.pack("<II", *entry) for entry in directories)
    standard = struct.pack("<HBBIIIII", 0x20B if wide else 0x10B, 14, 0, 0x8000, 0x4000, 0, PAGE, PAGE)
    base_fields = struct.pack("<Q", base) if wide else struct.pack("<II", 0xA000, base)
    versions = struct.pack("<II6HI", section_alignment, 0x200, 10, 0, 10, 0, 6, 0, 0)
    sizes = struct.pack("<IIIHH", image_size(sections), 0x400, checksum, 3, 0x8160)
    memory = struct.pack("<4Q" if wide else "<4I", 0x100000, 0x1000, 0x100000, 0x1000)
    tail = struct.pack("<II", 0, 16)
    optional = standard + base_fields + versions + sizes + memory + tail + directory_bytes
    characteristics = 0x2 | (0x2000 if is_dll else 0) | (0x20 if large_address_aware else 0)
    counts = (len(sections), timestamp, 0, 0, len(optional), characteristics)
    file_header = struct.pack("<HHIIIHH", _MACHINES[arch], *counts)
    dos = b"MZ" + bytes(0x3A) + struct.pack("<I", 0x80)
    table = b"".join(_section_header(section) for section in sections)
    return dos.ljust(0x80, b"\0") + b"PE\0\0" + file_header + optional + table


def _section_header(section: Section) -> bytes:
    flags = _SECTION_FLAGS.get(section.protect, _WRITABLE_SECTION)
    raw_size = round_up(section.size, 0x200)
    place = (section.size, section.rva, raw_size, section.rva)
    return struct.pack("<8sIIIIIIHHI", section.name.encode(), *place, 0, 0, 0, 0, flags)


def export_table(rva: int, dll_name: str, exports: Mapping[str, int]) -> bytes:
    """Returns an export directory to lie at `rva`, for names and their RVAs.

    The name table is sorted, as the loader's binary search needs it.
    """
    names = sorted(exports)
    count = len(names)
    functions_at = rva + 40
    names_at = functions_at + 4 * count
    ordinals_at = names_at + 4 * count
    strings_at = ordinals_at + 2 * count
    strings = bytearray(dll_name.encode() + b"\0")
    name_rvas = []
    for name in names:
        name_rvas.append(strings_at + len(strings))
        strings += name.encode() + b"\0"
    tables = (functions_at, names_at, ordinals_at)
    head = struct.pack("<IIHHIIIIIII", 0, 0, 0, 0, strings_at, 1, count, count, *tables)
    functions = struct.pack(f"<{count}I", *(exports[name] for name in names))
    ordinals = struct.pack(f"<{count}H", *range(count))
    return head + functions + struct.pack(f"<{count}I", *name_rvas) + ordinals + bytes(strings)
