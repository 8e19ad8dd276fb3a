"""Modules, loaded and unloaded: ModuleList, UnloadedModuleList."""

from __future__ import annotations

import struct

from dumpmap.model.limits import MODULES
from dumpmap.model.snapshot import Module, UnloadedModule
from dumpmap.parsers.minidump import layout, records
from dumpmap.parsers.minidump.draft import Draft
from dumpmap.parsers.minidump.file import DumpFile
from dumpmap.parsers.minidump.stream import KnownStream, StreamData

_EX_LIST_HEADER = records.Reader(layout.EX_LIST_HEADER)

_CODEVIEW = struct.Struct("<4sIHH8sI")
"""CV_INFO_PDB70 as `layout.CODEVIEW_RSDS` declares it, with the members of its GUID."""

_FIXED_FILE_INFO = 0xFEEF04BD
"""VS_FFI_SIGNATURE: the module has a version."""

_MODULE_FIELDS = layout.MODULE[
    [
        "BaseOfImage",
        "SizeOfImage",
        "CheckSum",
        "TimeDateStamp",
        "ModuleNameRva",
        "VersionSignature",
        "FileVersionMS",
        "FileVersionLS",
        "CvRecordSize",
        "CvRecordRva",
    ]
]
"""What is read of a module's record. Other fields would be turned into Python numbers for nothing."""


def read_module_list(data: StreamData, draft: Draft) -> None:
    """Reads MINIDUMP_MODULE_LIST."""
    file = data.file
    impossible = 0
    add = draft.modules.append
    for row in data.counted(_MODULE_FIELDS, MODULES).tolist():
        base, size, checksum, timestamp, name_rva, signature, version_ms, version_ls, cv_size, cv_rva = row
        if base + size > 1 << 64:
            impossible += 1
            continue
        debug_id, debug_file = _codeview(file, cv_rva, cv_size) if file.debug_ids else (None, None)
        version = None
        if signature == _FIXED_FILE_INFO:
            version = f"{version_ms >> 16}.{version_ms & 0xFFFF}.{version_ls >> 16}.{version_ls & 0xFFFF}"
        add(Module(base, size, file.text(name_rva) or "", timestamp, checksum, version, debug_id, debug_file))
    if impossible:
        draft.impossible_modules += impossible
        data.note(f"{impossible:,} modules lie outside the address space")


def _codeview(file: DumpFile, rva: int, size: int) -> tuple[str | None, str | None]:
    """Reads a CV_INFO_PDB70 record: the identity of the debug file, as symbol servers write it, and its path."""
    fixed = _CODEVIEW.size
    if size < fixed or rva == 0 or rva + size > file.size:
        return None, None
    data = bytes(file.view(rva, min(size, fixed + 1024)))
    signature, first, second, third, rest, age = _CODEVIEW.unpack_from(data)
    if signature != b"RSDS":
        return None, None
    path = data[fixed:].partition(b"\0")[0].decode("utf-8", "replace")
    # A format string takes twice the time, and a dump has hundreds of modules.
    identity = "%08X%04X%04X%s%X" % (first, second, third, rest.hex().upper(), age)  # noqa: UP031
    return identity, path or None


def read_unloaded_module_list(data: StreamData, draft: Draft) -> None:
    """Reads MINIDUMP_UNLOADED_MODULE_LIST."""
    text = data.file.text
    entries = data.described(layout.UNLOADED_MODULE, _EX_LIST_HEADER, MODULES)
    for base, size, _, timestamp, name_rva in entries.tolist():
        draft.unloaded.append(UnloadedModule(base, size, text(name_rva) or "", timestamp))


STREAMS = (
    KnownStream(
        4,
        "ModuleList",
        "The loaded modules, each with its path, its version, and the identity of its debug file.",
        "MINIDUMP_MODULE_LIST",
        "images, versions, debug IDs",
        read_module_list,
    ),
    KnownStream(
        14,
        "UnloadedModuleList",
        "The modules that were unloaded before the dump was written.",
        "MINIDUMP_UNLOADED_MODULE_LIST",
        "unloaded modules",
        read_unloaded_module_list,
    ),
)
