"""Kinds: the finer names inside a type.

A kind names a row; the row's type stays what the memory map says unless the table gives one. This table holds the
kinds of the general rules; each recogniser brings its own. `dumpmap.classify.vocabulary` has all of them. Sections of
an image are named after the PE header and are in no table.
"""

from __future__ import annotations

from dumpmap.model.types import RegionType
from dumpmap.model.values import value_class


@value_class(frozen=True, slots=True)
class KindInfo:
    """A kind.

    Attributes:
        name: as rows show it.
        type: the type that the label gives; None if the type stays what the memory map says.
        meaning: what the memory holds.
        source: where dumpmap gets the name from.
    """

    name: str
    type: RegionType | None
    meaning: str
    source: str


_IMAGE, _STACK = RegionType.IMAGE, RegionType.STACK
_MODULES = "The module list and the PE header."

EXE = KindInfo("EXE", _IMAGE, "A program.", _MODULES)
DLL = KindInfo("DLL", _IMAGE, "A dynamic-link library.", _MODULES)
IMAGE = KindInfo("Image", _IMAGE, "A module whose PE header the input does not contain.", "The module list.")
OTHER_MEMORY = tuple(
    KindInfo(
        f"{info.name} in other memory",
        None,
        "A module at an address that is not image memory. Packers and some runtimes load modules this way.",
        "The module list.",
    )
    for info in (EXE, DLL, IMAGE)
)
UNLISTED = KindInfo("Image, not in the module list", _IMAGE, "Image memory without a module.", "The region list.")
UNLOADED = KindInfo(
    "Image, listed as unloaded",
    _IMAGE,
    "Image memory at the address of an unloaded module (inferred).",
    "The list of unloaded modules.",
)
HEADER = KindInfo("Header", None, "The headers of an image, before its first section.", "The PE header.")
UNNAMED_SECTION = KindInfo("(section)", None, "A section of an image without a name.", "The PE header.")
MAPPED_COPY = KindInfo(
    "PE file mapped as data",
    None,
    "A view that begins with the PE header of a loaded module (inferred: the bytes match; the file may differ).",
    "The first bytes of the view.",
)
MAPPED_FILE = KindInfo("Mapped file", RegionType.MAPPED_FILE, "A view of a file.", "The region list.")

TEB = KindInfo(
    "TEB",
    None,
    "Thread environment block. Since Windows 10 1703, TEBs and PEB share one reservation, so pages carry the name.",
    "The thread list, and the TEB itself.",
)
PEB = KindInfo("PEB", None, "Process environment block.", "The TEBs.")
THREAD_STACK = KindInfo("Thread stack", _STACK, "The stack of a thread.", "TEB, thread list, or stack pointer.")
STACK_64 = KindInfo(
    "64-bit thread stack", _STACK, "The 64-bit stack of a thread of a 32-bit process.", "The thread's 64-bit TEB."
)
GUARD = KindInfo("Guard", None, "Guard pages of a stack.", "PAGE_GUARD in the region list.")
JIT_CODE = KindInfo(
    "JIT code",
    None,
    "Code that the program generated and for which it registered a function table.",
    "The function tables in the dump.",
)
ACTIVATION_CONTEXT = KindInfo(
    "Activation context",
    None,
    "An activation context that the program created (inferred).",
    "The signature at the start of a read-only view.",
)

CFG_BITMAP = "CFG bitmap"
USER_SHARED_DATA = "User shared data"
DESKTOP_HEAP = "Desktop heap"


def _of_peb(name: str, meaning: str) -> KindInfo:
    return KindInfo(name, None, meaning, "A pointer in the PEB.")


NAMED_KINDS: tuple[KindInfo, ...] = (
    _of_peb("Process parameters", "Command line, current directory, and environment of the process."),
    _of_peb("API set map", "The map from API sets to DLLs."),
    _of_peb("CSR shared memory", "Memory shared with the client/server runtime (csrss.exe)."),
    _of_peb("NLS tables", "Code pages and case tables."),
    _of_peb("GDI handle table", "The session's table of GDI handles."),
    _of_peb("Shim data", "Data of the application-compatibility layer."),
    _of_peb("Process activation context", "The process's own activation context."),
    _of_peb("System activation context", "The system's default activation context."),
    _of_peb("WER data", "Registrations with Windows Error Reporting."),
    _of_peb("Silo shared data", "Data shared by the processes of a silo (container)."),
    _of_peb("Telemetry coverage map", "Counters of Windows's telemetry."),
    _of_peb("Leap-second data", "The list of leap seconds."),
    KindInfo(CFG_BITMAP, None, "The bitmap of control-flow guard.", "ntdll's export LdrSystemDllInitBlock."),
    KindInfo(USER_SHARED_DATA, None, "The page that the kernel shares with every process.", "Its fixed address."),
    KindInfo(DESKTOP_HEAP, None, "The desktop heap that a GUI thread uses.", "The thread's TEB."),
)
"""Every kind that a `NamedRegion` can have."""

_LINUX = "The name in /proc/PID/maps."
PROGRAM_BREAK = KindInfo("Program break", RegionType.HEAP, "The heap that brk() grows.", _LINUX)
MAIN_STACK = KindInfo("Main stack", _STACK, "The stack of the first thread.", _LINUX)
VDSO = KindInfo("vDSO", None, "Code that the kernel maps into every process.", _LINUX)
VDSO_DATA = KindInfo("vDSO data", None, "Data of the vDSO.", _LINUX)
VSYSCALL = KindInfo("vsyscall page", None, "The legacy page of system calls.", _LINUX)

GENERAL_KINDS: tuple[KindInfo, ...] = (
    EXE,
    DLL,
    IMAGE,
    *OTHER_MEMORY,
    UNLISTED,
    UNLOADED,
    HEADER,
    UNNAMED_SECTION,
    MAPPED_COPY,
    MAPPED_FILE,
    THREAD_STACK,
    STACK_64,
    GUARD,
    TEB,
    PEB,
    *NAMED_KINDS,
    ACTIVATION_CONTEXT,
    JIT_CODE,
    PROGRAM_BREAK,
    MAIN_STACK,
    VDSO,
    VDSO_DATA,
    VSYSCALL,
)
"""The kinds of the general rules."""
