"""The modules of a process on Windows: from the loader's list, or from the memory map."""

from __future__ import annotations

from typing import Any

from dumpmap.capture.regions import RegionTable
from dumpmap.capture.windows.api import ApiError, WindowsApi
from dumpmap.model.memory import Memory
from dumpmap.model.winnt import MemType
from dumpmap.structures.pe import read_image

_ATTEMPTS = 3
"""While a process starts or loads a module, the first answer can be ERROR_PARTIAL_COPY."""


def loaded_modules(
    api: WindowsApi, handle: int, regions: RegionTable, max_address: int, warnings: list[str]
) -> list[dict[str, Any]]:
    """Lists the modules below `max_address`, with base, size and path."""
    files = {row[1]: file for row, file in zip(regions.rows, regions.files, strict=True) if file}
    modules = []
    bases = _bases(api, handle, warnings)
    for base in bases:
        # In a WoW64 process, the loader's path of a system DLL can be the path of its 64-bit namesake.
        path = files.get(base) or api.module_path(handle, base)
        size = api.module_size(handle, base)
        if base <= max_address and path and size:
            modules.append({"base": base, "size": size, "path": path})
    return modules if bases else _mapped_images(regions)


def _bases(api: WindowsApi, handle: int, warnings: list[str]) -> list[int]:
    problem = ""
    for _ in range(_ATTEMPTS):
        try:
            return api.modules(handle)
        except ApiError as error:
            problem = str(error)
    warnings.append(f"cannot read the module list ({problem}); the modules come from the images in the memory map")
    return []


def _mapped_images(regions: RegionTable) -> list[dict[str, Any]]:
    """Takes the modules from the memory map."""
    modules: dict[int, dict[str, Any]] = {}
    for row, file in zip(regions.rows, regions.files, strict=True):
        if row[6] == MemType.MEM_IMAGE and file:
            module = modules.setdefault(row[1], {"base": row[1], "size": 0, "path": file})
            module["size"] = row[0] + row[3] - row[1]
    return list(modules.values())


def add_header_facts(modules: list[dict[str, Any]], memory: Memory) -> None:
    """Adds what the PE headers contain: timestamp and checksum."""
    for module in modules:
        image = read_image(memory, module["base"])
        if image is not None:
            module["timestamp"] = image.timestamp
            module["checksum"] = image.checksum
