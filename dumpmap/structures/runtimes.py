"""Finds the modules that hold a .NET runtime: coreclr.dll, or a program that carries the runtime in itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dumpmap.model.memory import Memory
from dumpmap.model.process import PeImage
from dumpmap.structures.pe import find_export, read_image

RUNTIME_MODULE = "coreclr.dll"

_HOST_EXPORTS = ("DotNetRuntimeInfo", "DotNetRuntimeContractDescriptor")
"""What a program exports that carries the runtime in itself; the first since .NET 5."""


def find_runtimes(
    memory: Memory, modules: Sequence[tuple[int, str]], images: Mapping[int, PeImage]
) -> list[tuple[int, str, PeImage | None]]:
    """Finds the modules that hold a runtime.

    Args:
        memory: the process.
        modules: base and file name, in lower case, of every module.
        images: headers that were read already. A program is looked at only if it is among them and exports something:
            an ordinary one costs nothing.

    Returns:
        base, name and headers of each; None where the headers are not in the memory.
    """
    hosts: list[tuple[int, str, PeImage | None]] = []
    for base, name in modules:
        image = images.get(base)
        if name == RUNTIME_MODULE:
            hosts.append((base, name, image or read_image(memory, base)))
        elif name.endswith(".exe") and image is not None and _carries_runtime(memory, base, image):
            hosts.append((base, name, image))
    return hosts


def _carries_runtime(memory: Memory, base: int, image: PeImage) -> bool:
    """Whether a program exports what one does that was published as a single file."""
    return bool(image.exports[1]) and any(
        find_export(memory, base, image, export) is not None for export in _HOST_EXPORTS
    )
