"""Names the class of a C++ object by its vtable, without symbols.

The word before a vtable leads to run-time type information, if the module was built with it:

- Microsoft's compilers: a CompleteObjectLocator. On x64 it holds its own RVA, so it proves itself; on x86 the name of
  its type descriptor and the signature of its class hierarchy do.
- GCC and Clang (the Itanium C++ ABI): a `std::type_info`, whose own class is one of those that `__cxxabiv1` defines.

All of it lies in read-only data, which a dump with full memory contains. Sources: Microsoft's rttidata.h, and section
2.9 of the Itanium C++ ABI.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from dumpmap.model.memory import Memory

MAX_NAME = 512
"""Most bytes of a class name."""

MAX_KNOWN = 100_000
"""Most vtables that are remembered."""

_MOST_BASES = 4096
_MSVC_NAME = re.compile(rb"\.\?A[UVTW][\x21-\x7e]*@@\Z")
_PLAIN = re.compile(r"\.\?A[UVTW]((?:[A-Za-z_]\w*@)+)@\Z")
_ITANIUM_CLASSES = re.compile(rb"N10__cxxabiv1\d\d__(?:class|si_class|vmi_class)_type_infoE\Z")
_ITANIUM_NAME = re.compile(rb"\*?[A-Za-z0-9_$.]+\Z")


class CodeModule(NamedTuple):
    """A module that may hold vtables."""

    base: int
    size: int
    name: str
    pointer_size: int


class ObjectClass(NamedTuple):
    """The class of an object: the module that holds its vtable, and its name."""

    module: str
    name: str


class ClassNames:
    """Looks classes up.

    Args:
        memory: the process.
        modules: its modules, in any order.
    """

    def __init__(self, memory: Memory, modules: Sequence[CodeModule]) -> None:
        self._memory = memory
        self._modules = sorted(modules)
        self._bases = [module.base for module in self._modules]
        self._known: dict[tuple[int, int], ObjectClass | None] = {}

    def find(self, vtable: int, pointer_size: int) -> ObjectClass | None:
        """Returns the class whose objects begin with the address `vtable`; None if that is not proved to be one."""
        if vtable % pointer_size:
            return None
        module = self._module_of(vtable)
        if module is None or module.pointer_size != pointer_size:
            return None
        key = vtable, pointer_size
        if key not in self._known:
            name = self._microsoft_name(vtable, module) or self._itanium_name(vtable, module)
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            self._known[key] = None if name is None else ObjectClass(module.name, name)
        return self._known[key]

    def _module_of(self, address: int) -> CodeModule | None:
        index = bisect_right(self._bases, address) - 1
        if index < 0 or address >= self._modules[index].base + self._modules[index].size:
            return None
        return self._modules[index]

    def _microsoft_name(self, vtable: int, module: CodeModule) -> str | None:
        locator = self._number(vtable - module.pointer_size, module.pointer_size)
        if locator is None or not _holds(module, locator):
            return None
        wide = module.pointer_size == 8
        fields = self._memory.read(locator, 24 if wide else 20)
        if fields is None:
            return None
        signature, _, _, descriptor, hierarchy = (
            int.from_bytes(fields[at : at + 4], "little") for at in (0, 4, 8, 12, 16)
        )
        if wide:
            if signature != 1 or int.from_bytes(fields[20:24], "little") != locator - module.base:
                return None
            descriptor, hierarchy = module.base + descriptor, module.base + hierarchy
        elif signature != 0 or not self._is_hierarchy(hierarchy, module):
            return None
        if not _holds(module, descriptor):
            return None
        raw = self._text(descriptor + 2 * module.pointer_size)
        return microsoft_class(raw) if _MSVC_NAME.match(raw) else None

    def _is_hierarchy(self, address: int, module: CodeModule) -> bool:
        """Checks a class hierarchy descriptor: signature 0, and a plausible number of bases in the same module."""
        fields = self._memory.read(address, 16) if _holds(module, address) else None
        if fields is None:
            return False
        signature, _, count, bases = (int.from_bytes(fields[at : at + 4], "little") for at in (0, 4, 8, 12))
        return signature == 0 and 0 < count <= _MOST_BASES and _holds(module, bases)

    def _itanium_name(self, vtable: int, module: CodeModule) -> str | None:
        raw = self._type_info_name(vtable, module.pointer_size)
        if raw is None or not _ITANIUM_NAME.match(raw[0]):
            return None
        own = self._type_info_name(raw[1], module.pointer_size)
        return itanium_class(raw[0]) if own is not None and _ITANIUM_CLASSES.match(own[0]) else None

    def _type_info_name(self, vtable: int, pointer_size: int) -> tuple[bytes, int] | None:
        """Returns the name in the type_info before a vtable, and the address of the type_info's own vtable."""
        info = self._number(vtable - pointer_size, pointer_size)
        if info is None or self._module_of(info) is None:
            return None
        own, name = self._number(info, pointer_size), self._number(info + pointer_size, pointer_size)
        if own is None or name is None or self._module_of(own) is None or self._module_of(name) is None:
            return None
        return self._text(name), own

    def _number(self, address: int, size: int) -> int | None:
        data = self._memory.read(address, size)
        return None if data is None else int.from_bytes(data, "little")

    def _text(self, address: int) -> bytes:
        """Reads a name that ends with a zero; empty if it does not."""
        for size in (64, MAX_NAME):
            data = self._memory.read(address, size)
            if data is not None and b"\0" in data:
                return data[: data.index(b"\0")]
        return b""


def _holds(module: CodeModule, address: int) -> bool:
    return module.base <= address < module.base + module.size


def microsoft_class(raw: bytes) -> str:
    """Returns `bar::Foo` for `.?AVFoo@bar@@`; a name that is not plain, such as a template's, as it is."""
    text = raw.decode("ascii", "replace")
    plain = _PLAIN.match(text)
    return "::".join(reversed(plain[1].split("@")[:-1])) if plain else text


def itanium_class(raw: bytes) -> str:
    """Returns `bar::Foo` for `N3bar3FooE`; a name that is not plain, such as a template's, as it is."""
    text = raw.decode("ascii", "replace").lstrip("*")
    rest = text[1:-1] if text.startswith("N") and text.endswith("E") else text
    parts = []
    while number := re.match(r"[1-9]\d{0,3}", rest):
        size, start = int(number[0]), number.end()
        part = rest[start : start + size]
        if len(part) != size or not re.fullmatch(r"[A-Za-z_]\w*", part):
            return text
        parts.append(part)
        rest = rest[start + size :]
    return text if rest or not parts or (len(parts) > 1) != text.startswith("N") else "::".join(parts)
