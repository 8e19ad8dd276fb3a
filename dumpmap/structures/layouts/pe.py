"""The headers of a PE image, as winnt.h declares them.

Source: Microsoft, "PE Format" (learn.microsoft.com/windows/win32/debug/pe-format). The x86 column is PE32 and the x64
column PE32+. Structures without pointers are the same in both.
"""

from __future__ import annotations

from dumpmap.structures.layout import POINTER, U8, U16, U32, U64, declare

IMAGE_DOS_SIGNATURE = 0x5A4D
"""'MZ'."""

IMAGE_NT_SIGNATURE = 0x4550
"""'PE' and two zero bytes."""

IMAGE_NT_OPTIONAL_MAGIC = {0x10B: 4, 0x20B: 8}
"""IMAGE_OPTIONAL_HEADER.Magic to pointer size."""

IMAGE_REL_BASED_HIGHLOW = 3
IMAGE_REL_BASED_DIR64 = 10

IMAGE_FILE_LARGE_ADDRESS_AWARE = 0x0020
IMAGE_FILE_DLL = 0x2000
IMAGE_SCN_MEM_EXECUTE, IMAGE_SCN_MEM_WRITE = 0x20000000, 0x80000000

IMAGE_DOS_HEADER = declare(
    "IMAGE_DOS_HEADER",
    {4: 0x40, 8: 0x40},
    ("e_magic", U16, 0x00, 0x00),
    ("e_lfanew", U32, 0x3C, 0x3C),
)

IMAGE_FILE_HEADER = declare(
    "IMAGE_FILE_HEADER (with the signature before it)",
    {4: 0x18, 8: 0x18},
    ("Signature", U32, 0x00, 0x00),
    ("Machine", U16, 0x04, 0x04),
    ("NumberOfSections", U16, 0x06, 0x06),
    ("TimeDateStamp", U32, 0x08, 0x08),
    ("PointerToSymbolTable", U32, 0x0C, 0x0C),
    ("NumberOfSymbols", U32, 0x10, 0x10),
    ("SizeOfOptionalHeader", U16, 0x14, 0x14),
    ("Characteristics", U16, 0x16, 0x16),
)

IMAGE_OPTIONAL_HEADER = declare(
    "IMAGE_OPTIONAL_HEADER",
    {4: 0xE0, 8: 0xF0},
    ("Magic", U16, 0x00, 0x00),
    ("MajorLinkerVersion", U8, 0x02, 0x02),
    ("AddressOfEntryPoint", U32, 0x10, 0x10),
    ("ImageBase", POINTER, 0x1C, 0x18),
    ("SectionAlignment", U32, 0x20, 0x20),
    ("FileAlignment", U32, 0x24, 0x24),
    ("SizeOfImage", U32, 0x38, 0x38),
    ("SizeOfHeaders", U32, 0x3C, 0x3C),
    ("CheckSum", U32, 0x40, 0x40),
    ("Subsystem", U16, 0x44, 0x44),
    ("DllCharacteristics", U16, 0x46, 0x46),
    ("NumberOfRvaAndSizes", U32, 0x5C, 0x6C),
    ("Export.VirtualAddress", U32, 0x60, 0x70),
    ("Export.Size", U32, 0x64, 0x74),
    ("Resource.VirtualAddress", U32, 0x70, 0x80),
    ("Resource.Size", U32, 0x74, 0x84),
    ("BaseReloc.VirtualAddress", U32, 0x88, 0x98),
    ("BaseReloc.Size", U32, 0x8C, 0x9C),
    ("Debug.VirtualAddress", U32, 0x90, 0xA0),
    ("Debug.Size", U32, 0x94, 0xA4),
)

IMAGE_SECTION_HEADER = declare(
    "IMAGE_SECTION_HEADER",
    {4: 0x28, 8: 0x28},
    ("Name", U64, 0x00, 0x00),
    ("VirtualSize", U32, 0x08, 0x08),
    ("VirtualAddress", U32, 0x0C, 0x0C),
    ("SizeOfRawData", U32, 0x10, 0x10),
    ("PointerToRawData", U32, 0x14, 0x14),
    ("Characteristics", U32, 0x24, 0x24),
)
"""`Name` is eight bytes of text, read as an integer whose little-endian form is the text."""

IMAGE_EXPORT_DIRECTORY = declare(
    "IMAGE_EXPORT_DIRECTORY",
    {4: 0x28, 8: 0x28},
    ("NumberOfFunctions", U32, 0x14, 0x14),
    ("NumberOfNames", U32, 0x18, 0x18),
    ("AddressOfFunctions", U32, 0x1C, 0x1C),
    ("AddressOfNames", U32, 0x20, 0x20),
    ("AddressOfNameOrdinals", U32, 0x24, 0x24),
)

IMAGE_DEBUG_DIRECTORY = declare(
    "IMAGE_DEBUG_DIRECTORY",
    {4: 0x1C, 8: 0x1C},
    ("Characteristics", U32, 0x00, 0x00),
    ("TimeDateStamp", U32, 0x04, 0x04),
)
