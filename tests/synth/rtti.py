"""Vtables with run-time type information, as Microsoft's compilers and GCC lay them out. Written from the ABIs."""

from __future__ import annotations

import struct

from .process import Module
from .space import AddressSpace

SIZE = 0x400
"""Room that one vtable with its type information takes."""


def microsoft_vtable(space: AddressSpace, module: Module, at: int, name: bytes) -> int:
    """Writes a vtable and its type information to `at` in the module; returns the address of the vtable."""
    wide = space.pointer_size == 8
    locator, hierarchy, bases, descriptor, vtable = at, at + 0x40, at + 0x60, at + 0x80, at + 0x300
    relative = module.base if wide else 0
    fields = [1 if wide else 0, 0, 0, descriptor - relative, hierarchy - relative]
    if wide:
        fields.append(locator - module.base)
    space.write(locator, struct.pack(f"<{len(fields)}I", *fields))
    space.write(hierarchy, struct.pack("<4I", 0, 0, 1, bases - relative))
    space.write(descriptor + 2 * space.pointer_size, name + b"\0")
    space.pointer(vtable - space.pointer_size, locator)
    space.pointer(vtable, module.base + 0x1000)
    return vtable


def itanium_vtable(space: AddressSpace, module: Module, at: int, name: bytes, kind: bytes = b"17__class") -> int:
    """The same for GCC: a type_info, whose own vtable is that of a class of `__cxxabiv1`."""
    names, info, own_info, own_vtable, vtable = at + 0x200, at, at + 0x40, at + 0x100, at + 0x300
    size = space.pointer_size
    own_name = b"N10__cxxabiv1" + kind + b"_type_infoE"
    space.write(names, name + b"\0")
    space.write(names + 0x80, own_name + b"\0")
    space.pointer(info, own_vtable)
    space.pointer(info + size, names)
    space.pointer(own_info, own_vtable)
    space.pointer(own_info + size, names + 0x80)
    space.pointer(own_vtable - size, own_info)
    space.pointer(vtable - size, info)
    space.pointer(vtable, module.base + 0x1000)
    return vtable
