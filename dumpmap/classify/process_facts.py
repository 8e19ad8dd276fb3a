"""The process, with what its structures add to the snapshot."""

from __future__ import annotations

from dumpmap.model.file_names import file_key
from dumpmap.model.process import ProcessStructures
from dumpmap.model.snapshot import Process, Snapshot
from dumpmap.model.values import changed

_WOW64_MODULES = frozenset(f"wow64{part}.dll" for part in ("", "win", "cpu", "base", "con"))
"""The 64-bit side of WoW64; a dump can list only some of its modules."""

_NATIVE_X86_END = 0xC0000000
"""End of the user space of 32-bit Windows with the largest setting (/3GB). Addresses above exist only under WoW64."""


def describe_process(snapshot: Snapshot, structures: ProcessStructures) -> Process:
    """Adds whether it is a WoW64 process, the width of its own code, its path, and its command line."""
    process = snapshot.process
    wow64 = process.wow64
    if process.architecture == "unknown" and snapshot.architecture_inferred:
        # The width of the addresses is known. `notes_of` says that the rest is inferred.
        process = changed(process, architecture="x64" if process.pointer_size == 8 else "x86")
        snapshot = changed(snapshot, process=process)
    if process.os.family == "windows" and wow64 is None:
        wow64 = _is_wow64(snapshot, structures)
    architecture, pointer_size = process.architecture, process.pointer_size
    if wow64 and architecture == "x64":
        architecture, pointer_size = "x86", 4
    path, command_line = process.path, process.command_line
    for peb in structures.pebs:
        path = path or peb.image_path
        command_line = command_line or peb.command_line
    found = (wow64, architecture, path, command_line)
    if found == (process.wow64, process.architecture, process.path, process.command_line):
        return process
    return changed(
        process,
        wow64=wow64,
        architecture=architecture,
        pointer_size=pointer_size,
        path=path,
        command_line=command_line,
    )


def _is_wow64(snapshot: Snapshot, structures: ProcessStructures) -> bool | None:
    """Tells whether a 32-bit process ran on 64-bit Windows; None if nothing in the input decides it."""
    of_tebs = {teb.pointer_size for teb in structures.tebs}
    of_pebs = {peb.pointer_size for peb in structures.pebs}
    names = [file_key(module.path) for module in snapshot.modules]
    if {4, 8} in (of_tebs, of_pebs) or not _WOW64_MODULES.isdisjoint(names):
        return True
    architecture = snapshot.process.architecture
    if architecture == "x64" and structures.tebs:
        return False
    if architecture == "x86":
        # A TEB32 names its 64-bit twin even if the twin was not captured.
        twins = [teb.other_teb for teb in structures.tebs if teb.pointer_size == 4]
        highest = snapshot.system.max_address
        if any(twins) or (highest is not None and highest >= _NATIVE_X86_END):
            return True
    return None
