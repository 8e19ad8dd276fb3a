"""Finds the program's own files in a folder, and reads them in place of pages that the input lacks."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Sequence
from pathlib import Path

from dumpmap.model.memory import Memory, SimpleMemory, find_by_reading
from dumpmap.model.process import PeImage
from dumpmap.model.snapshot import Module
from dumpmap.structures.mapped_image import MappedImage
from dumpmap.structures.pe import parse_image

_HEADER_BYTES = 0x10000
"""Bytes of a file on disk that are read for its headers."""

_MOST_BYTES = 1 << 30
"""Plausible size of an image file."""


class ImageFiles:
    """Finds image files in a folder: a flat one, or a symbol store (name/TIMESTAMPsize/name)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: dict[str, list[Path]] = {}
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            self._names.setdefault(path.name.lower(), []).append(path)

    def find(self, module: Module) -> tuple[PeImage, Path] | None:
        """Returns headers and path of the file with a module's name, TimeDateStamp, and SizeOfImage; None without."""
        for path in self._names.get(module.name.lower(), ()):
            candidates = [path]
            if path.is_dir():
                candidates = sorted(path.glob(f"*/{path.name}"))
            for candidate in candidates:
                image = self._read(candidate)
                if (
                    image is not None
                    and image.size_of_image == module.size
                    and (module.timestamp is None or image.timestamp == module.timestamp)
                ):
                    return image, candidate
        return None

    @staticmethod
    def _read(path: Path) -> PeImage | None:
        try:
            with path.open("rb") as file:
                return parse_image(file.read(_HEADER_BYTES))
        except OSError:
            return None


class FilledMemory(SimpleMemory):
    """Memory of a process, with the read-only pages of its images filled in from files.

    Args:
        memory: what the input has. It always comes first.
        modules: the modules.
        folder: the folder with their files.
    """

    def __init__(self, memory: Memory, modules: Sequence[Module], folder: Path) -> None:
        self._memory = memory
        self._files = ImageFiles(folder)
        self._modules = sorted(modules, key=lambda module: module.base)
        self._bases = [module.base for module in self._modules]
        self._images: dict[int, MappedImage | None] = {}

    def read(self, address: int, size: int) -> bytes | None:
        """See `Memory.read`."""
        data = self._memory.read(address, size)
        index = bisect_right(self._bases, address) - 1
        if data is not None or index < 0:
            return data
        module = self._modules[index]
        if address + size > module.base + module.size:
            return None
        if module.base not in self._images:
            self._images[module.base] = self._open(module)
        image = self._images[module.base]
        return None if image is None else image.read(address - module.base, size)

    def _open(self, module: Module) -> MappedImage | None:
        found = self._files.find(module)
        if found is None:
            return None
        try:
            with found[1].open("rb") as file:
                return MappedImage(file.read(_MOST_BYTES), module.base)
        except (OSError, ValueError):
            return None

    def find(self, addresses: Sequence[int], offset: int, patterns: Collection[bytes]) -> dict[int, bytes]:
        """See `Memory.find`."""
        return find_by_reading(self, addresses, offset, patterns)

    def ranges(self) -> Sequence[tuple[int, int]]:
        """Returns the ranges that the input has."""
        return self._memory.ranges()
