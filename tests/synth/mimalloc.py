"""Processes with mimalloc: segments as its releases lay them out, and the module that holds the main heap.

Written from mimalloc's own sources (include/mimalloc-types.h, include/mimalloc/types.h); it imports nothing of dumpmap.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .images import Section
from .minidump import PAGE_READWRITE
from .process import ProcessBuilder

MIB = 1 << 20
SECRETS = {64: 0x9C41_7F03_55AA_1234, 32: 0x9C41_7F03}
HEAP_AT = 0x440
ARENAS_AT = 0x900
"""Where the module's variables have the main heap and the first arena."""


@dataclass(frozen=True)
class Release:
    """How one release lays out a segment.

    Attributes:
        bits: 32 or 64.
        unit: bytes of an ordinary segment.
        before: words before the cookie.
        after: words behind it.
        arena: words of an arena's description before its start.
    """

    bits: int
    unit: int
    before: tuple[str, ...]
    after: tuple[str, ...]
    arena: int = 1


def _masks(words: int) -> tuple[str, ...]:
    return tuple(f"mask{index}" for index in range(2 * words))


_MEMID_21 = {
    64: ("memid", "arena id", "flags", "purge", "bytes"),
    32: ("memid", "arena id", "-", "flags", "kind of memory", "purge", "bytes"),
}
_LISTS = ("abandoned next", "next", "abandoned", "visits", "used")

_FIELDS_16 = (
    *("memid", "flags", "abandoned next", "next", "prev", "abandoned"),
    *("visits", "used", "capacity", "bytes", "info"),
)

RELEASES = {
    "1.6": Release(
        64,
        4 * MIB,
        _FIELDS_16,
        ("shift", "thread", "page kind"),
    ),
    "1.6 x86": Release(
        32,
        2 * MIB,
        _FIELDS_16,
        ("shift", "thread", "page kind"),
    ),
    "1.9": Release(
        64,
        4 * MIB,
        (*_MEMID_21[64], "next", "prev", "reclaimed", "abandoned", "visits", "used", "capacity", "info"),
        ("thread", "shift", "page kind"),
        arena=4,
    ),
    "1.9 x86": Release(
        32,
        2 * MIB,
        (*_MEMID_21[32], "next", "prev", "reclaimed", "abandoned", "visits", "used", "capacity", "info"),
        ("thread", "shift", "page kind"),
        arena=6,
    ),
    "2.0.6": Release(
        64,
        64 * MIB,
        ("memid", "flags", "purge", "expire", *_masks(16), *_LISTS),
        ("slices", "info slices", "kind", "thread", "entries"),
    ),
    "2.0.9": Release(
        64,
        32 * MIB,
        ("memid", "flags", "alignment", "offset", "purge", "expire", *_masks(8), *_LISTS),
        ("slices", "info slices", "kind", "entries", "thread"),
    ),
    "2.0.9 x86": Release(
        32,
        4 * MIB,
        ("memid", "flags", "alignment", "offset", "purge", "-", "expire", "-", *_masks(4), *_LISTS),
        ("slices", "info slices", "kind", "entries", "thread"),
        arena=2,
    ),
    "2.2": Release(
        64,
        32 * MIB,
        (*_MEMID_21[64], "subproc", "expire", *_masks(8), "was reclaimed", *_LISTS[1:]),
        ("abandoned os next", "abandoned os prev", "slices", "info slices", "kind", "entries", "thread"),
        arena=4,
    ),
}


class Mimalloc:
    """A process with segments of one release, two of them by default.

    Args:
        release: a key of `RELEASES`.
        kept: what the module's variables hold as the random number; None for the truth.
        module: the module that mimalloc is linked into.
    """

    def __init__(self, release: str, *, kept: int | None = None, module: str = "C:\\app\\tool.exe") -> None:
        self.layout = RELEASES[release]
        self.width = self.layout.bits // 8
        self.secret = SECRETS[self.layout.bits]
        self.unit = self.layout.unit
        self.slice = 0x10000 if self.width == 8 else 0x8000
        self.process = ProcessBuilder("x64" if self.width == 8 else "x86", 19045)
        self.process.add_peb()
        sections = (Section(".text", 0x1000), Section(".data", 0x3000, PAGE_READWRITE))
        self.data, _ = self.process.add_module(module, sections=sections, dll=False).sections[".data"]
        self.threads = [self.process.add_thread() for _ in range(2)]
        # tld, delayed frees, thread, arena, random number
        heap = (self.data + 0x100, 0, self.threads[0].teb, 0, self.secret if kept is None else kept)
        self.process.write(self.data + HEAP_AT, self._pack(heap))

    def _pack(self, words: Sequence[int]) -> bytes:
        mask = (1 << 8 * self.width) - 1
        return struct.pack(f"<{len(words)}{'Q' if self.width == 8 else 'I'}", *(word & mask for word in words))

    def place(self, size: int) -> int:
        """Reserves memory for segments, aligned as mimalloc asks for it."""
        return self.process.allocate(size, commit=0, align=self.unit)

    def add_segment(self, base: int | None = None, *, size: int | None = None, owner: int = 0, **lies: int) -> int:
        """Adds a segment; returns its address.

        Args:
            base: its place in a reservation; None makes one for it.
            size: bytes of a segment with one huge block; None makes an ordinary one.
            owner: index of the owning thread, -1 for none.
            lies: values of fields, with `_` for spaces, instead of true ones.
        """
        taken = size or self.unit
        base = self.place(taken) if base is None else base
        self.process.commit(base, 0x20000, PAGE_READWRITE)
        self.process.write(base, self.header(base, taken, size is not None, owner, lies))
        return base

    def header(self, base: int, size: int, huge: bool, owner: int, lies: Mapping[str, int]) -> bytes:
        """Returns the words of a segment's header."""
        slices, full = size // self.slice, self.unit // self.slice
        values = {
            "used": 1,
            "capacity": 1 if huge else full,
            "bytes": size,
            "info": 0x1000,
            "cookie": base ^ self.secret,
            "shift": 22 if huge else self.slice.bit_length() - 1,
            "page kind": 3 if huge else 0,
            "slices": slices,
            "info slices": 1,
            "kind": int(huge),
            "entries": min(slices, full),
            "thread": 0 if owner < 0 else self.threads[owner].teb,
        }
        values.update({name.replace("_", " "): value for name, value in lies.items()})
        return self._pack([values.get(name, 0) for name in (*self.layout.before, "cookie", *self.layout.after)])

    def add_arena(self, units: int, *, described: bool = True, blocks: int | None = None) -> int:
        """Reserves an arena and describes it; returns its start.

        Args:
            units: its blocks, each as large as a segment.
            described: among the variables of the module; otherwise in an allocation of its own.
            blocks: the number that the description gives instead of the truth.
        """
        start = self.place(units * self.unit)
        count = units if blocks is None else blocks
        words = [1, *[0] * (self.layout.arena - 1), start, count, -(-count // self.layout.bits)]
        at = self.data + ARENAS_AT
        if not described:
            at = self.process.allocate(0x1000, commit=0x1000)
        self.process.write(at, self._pack(words))
        return start

    def dump(self) -> bytes:
        """Returns a dump with full memory."""
        return self.process.to_minidump().build()


class Mimalloc3:
    """A 64-bit process with mimalloc 3: arenas that describe themselves, and a subprocess that lists them.

    Args:
        late: whether descriptions lie behind the headers of the arena's pages, as in late releases.
    """

    SLICE = 0x10000
    SUBPROCESS_AT = 0x600

    def __init__(self, *, late: bool = True) -> None:
        self.late = late
        self.process = ProcessBuilder("x64", 19045)
        self.process.add_peb()
        sections = (Section(".text", 0x1000), Section(".data", 0x3000, PAGE_READWRITE))
        self.data, _ = self.process.add_module("C:\\app\\tool.exe", sections=sections, dll=False).sections[".data"]
        self.subprocess = self.data + self.SUBPROCESS_AT
        self._count = 0

    def add_arena(self, count: int, *, listed: bool = True, lies: Mapping[str, int] | None = None) -> int:
        """Reserves an arena, describes it, and lists it; returns its address.

        Args:
            count: its slices of 64 KB.
            listed: whether the subprocess lists it.
            lies: values of `base`, `size`, `subprocess`, `slices` or `info` instead of true ones.
        """
        size = count * self.SLICE
        base = self.process.allocate(size, commit=0, align=32 * MIB)
        values = {"base": base, "size": size, "subprocess": self.subprocess, "slices": count, "info": 3, **(lies or {})}
        start = (base,) if self.late else ()
        head = (values["base"], values["size"], 0x1000000000003, values["subprocess"], self._count)
        at = base + (-(-count * 32 // self.SLICE) * self.SLICE if self.late else 0)
        self.process.commit(at, 0x10000, PAGE_READWRITE)
        self.process.write(at, struct.pack(f"<{7 + len(start)}Q", *head, *start, values["slices"], values["info"]))
        if listed:
            self._count += 1
            self.process.pointer(self.subprocess, self._count)
            self.process.pointer(self.subprocess + 8 * self._count, at)
        return base

    def dump(self) -> bytes:
        """Returns a dump with full memory."""
        return self.process.to_minidump().build()
