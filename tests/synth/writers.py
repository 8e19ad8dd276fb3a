"""What writers of dumps add: Unreal's crash context and Crashpad's annotations, from their written layouts.

Layouts: Unreal Engine's WindowsPlatformCrashContext.cpp, and minidump_extensions.h of Crashpad.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from xml.sax.saxutils import escape

UNREAL_CONTEXT = 0x10000
CRASHPAD_INFO = 0x43500001
MOZ_SOFT_ERRORS = 0x4D7A0004

ROOT = "FGenericCrashContext"
ENGINE_OOM: dict[str, str] = {
    "ProcessId": "10688",
    "SecondsSinceStart": "3723",
    "GameName": "UE4-Rocks",
    "ExecutableName": "Rocks-Win64-Shipping",
    "BuildVersion": "++UE4+Release-4.24-CL-0",
    "EngineVersion": "4.24.3-0+++UE4+Release-4.24",
    "CrashType": "Assert",
    "IsEnsure": "false",
    "IsAssert": "true",
    "ErrorMessage": "Assertion failed: false [File:D:/Build/Memory.cpp] [Line: 120]\n"
    "Ran out of memory allocating 8172146688 bytes with alignment 0\n",
    "Misc.PrimaryGPUBrand": "Some <GPU> & more",
    "MemoryStats.TotalPhysical": "17095987200",
    "MemoryStats.TotalVirtual": "140737488224256",
    "MemoryStats.PageSize": "65536",
    "MemoryStats.AvailablePhysical": "9021902848",
    "MemoryStats.AvailableVirtual": "140733512974336",
    "MemoryStats.UsedPhysical": "1300000000",
    "MemoryStats.PeakUsedPhysical": "1400000000",
    "MemoryStats.UsedVirtual": "1500000000",
    "MemoryStats.PeakUsedVirtual": "1600000000",
    "MemoryStats.bIsOOM": "1",
    "MemoryStats.OOMAllocationSize": "8172146688",
    "MemoryStats.OOMAllocationAlignment": "0",
}
"""The runtime properties of a game that ran out of memory, as version 4.24 writes them."""

ENGINE_THREADS = ((12916, "GameThread", True), (10372, "", False), (7, "RHIThread", False))


def unreal_xml(
    values: Mapping[str, str] = ENGINE_OOM,
    threads: Sequence[tuple[int, str, bool]] = ENGINE_THREADS,
    *,
    inner: str = "",
) -> str:
    """The text of a crash context; `inner` stands inside the runtime properties as it is."""
    leaves = "".join(f"<{name}>{escape(text)}</{name}>\n" for name, text in values.items())
    stacks = "".join(
        f"<Thread><CallStack>a\nb</CallStack><IsCrashed>{str(crashed).lower()}</IsCrashed><Registers></Registers>"
        f"<ThreadID>{thread}</ThreadID><ThreadName>{escape(name)}</ThreadName></Thread>\n"
        for thread, name, crashed in threads
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<{ROOT}>\n<RuntimeProperties>\n{leaves}<Threads>{stacks}</Threads>{inner}</RuntimeProperties>\n"
        "<PlatformProperties><PlatformIsRunningWindows>1</PlatformIsRunningWindows></PlatformProperties>\n"
        f"<EngineData><RHI.RHIName>D3D11</RHI.RHIName></EngineData><GameData /></{ROOT}>"
    )


class File(Protocol):
    """The growing file of the builder."""

    def put(self, blob: bytes, align: int = 4) -> int:
        """Appends bytes and returns their RVA."""
        ...

    def location(self, blob: bytes) -> bytes:
        """Appends bytes and returns their location descriptor."""
        ...


@dataclass(frozen=True)
class ModuleAnnotations:
    """The annotations of the module with an index in the module list.

    Attributes:
        index: MinidumpModuleListIndex.
        texts: list annotations.
        simple: simple annotations.
        objects: annotation objects: name, type, and value.
    """

    index: int
    texts: tuple[str, ...] = ()
    simple: tuple[tuple[str, str], ...] = ()
    objects: tuple[tuple[str, int, bytes], ...] = ()


def crashpad_info(simple: Sequence[tuple[str, str]], modules: Sequence[ModuleAnnotations]) -> Callable[[File], bytes]:
    """The record of a CrashpadInfo stream; what it refers to goes in front of it."""

    def record(file: File) -> bytes:
        links = [struct.pack("<I", one.index) + file.location(_module(file, one)) for one in modules]
        listed = file.location(_list(links)) if modules else bytes(8)
        return struct.pack("<I32x", 1) + file.location(_dictionary(file, simple)) + listed

    return record


def _module(file: File, module: ModuleAnnotations) -> bytes:
    texts = [struct.pack("<I", _text(file, text)) for text in module.texts]
    objects = [
        struct.pack("<IHHI", _text(file, name), kind, 0xEEEE, file.put(struct.pack("<I", len(value)) + value))
        for name, kind, value in module.objects
    ]
    return (
        struct.pack("<I", 1)
        + file.location(_list(texts) if texts else b"")
        + file.location(_dictionary(file, module.simple))
        + file.location(_list(objects) if objects else b"")
    )


def _dictionary(file: File, entries: Sequence[tuple[str, str]]) -> bytes:
    if not entries:
        return b""
    return _list([struct.pack("<II", _text(file, name), _text(file, value)) for name, value in entries])


def _list(records: Sequence[bytes]) -> bytes:
    return struct.pack("<I", len(records)) + b"".join(records)


def _text(file: File, text: str) -> int:
    encoded = text.encode()
    return file.put(struct.pack("<I", len(encoded)) + encoded + b"\0")
