"""CONTEXT records of the Windows architectures, just enough of them to be valid.

Sizes and offsets follow winnt.h of the Windows SDK. Only the fields that a stack walk or a region
map reads are filled: flags, stack pointer, instruction pointer, frame pointer and, where code
checks them, segment selectors and CPU flags.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass


@dataclass(frozen=True)
class ContextLayout:
    """Where one architecture's CONTEXT keeps what we fill.

    Attributes:
        size: bytes of the whole record.
        flags_at: offset of ContextFlags.
        flags: CONTEXT_ALL-like value, architecture bit included.
        sp_at: offset of the stack pointer.
        ip_at: offset of the instruction pointer.
        fp_at: offset of the frame pointer.
        word: bytes of one general register.
        selectors: (offset, value) of the 16- or 32-bit segment selectors.
    """

    size: int
    flags_at: int
    flags: int
    sp_at: int
    ip_at: int
    fp_at: int
    word: int
    selectors: tuple[tuple[int, int], ...] = ()


CONTEXTS = {
    "x86": ContextLayout(
        716,
        0,
        0x1007F,
        0xC4,
        0xB8,
        0xB4,
        4,
        ((0x94, 0x2B), (0x98, 0x2B), (0xBC, 0x23), (0xC8, 0x2B)),
    ),
    "x64": ContextLayout(1232, 0x30, 0x10001F, 0x98, 0xF8, 0xA0, 8, ((0x38, 0x33), (0x3A, 0x2B), (0x42, 0x2B))),
    "arm64": ContextLayout(912, 0, 0x40000F, 0x100, 0x108, 0xF0, 8),
    "arm": ContextLayout(416, 0, 0x20000F, 0x38, 0x40, 0x30, 4),
}


def build_context(arch: str, *, sp: int = 0, ip: int = 0, fp: int = 0) -> bytes:
    """Returns the CONTEXT record of `arch` with the given registers.

    Args:
        arch: a key of `CONTEXTS`.
        sp: stack pointer.
        ip: instruction pointer.
        fp: frame pointer.

    Raises:
        ValueError: if the architecture has no CONTEXT here.
    """
    if arch not in CONTEXTS:
        raise ValueError(f"no CONTEXT layout for architecture {arch!r}")
    layout = CONTEXTS[arch]
    record = bytearray(layout.size)
    struct.pack_into("<I", record, layout.flags_at, layout.flags)
    for offset, value in layout.selectors:
        struct.pack_into("<H", record, offset, value)
    register = "<I" if layout.word == 4 else "<Q"
    for offset, value in ((layout.sp_at, sp), (layout.ip_at, ip), (layout.fp_at, fp)):
        struct.pack_into(register, record, offset, value)
    return bytes(record)
