"""Processes with PartitionAlloc: super pages, direct maps, and the roots of partitions.

Written from Chromium's sources (base/allocator/partition_allocator); it imports nothing of dumpmap.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from .images import Section
from .minidump import PAGE_READWRITE
from .process import ProcessBuilder

SUPER_PAGE = 0x200000
METADATA_AT = 0x1000
ROOTS_AT = 0x1000
ROOT_SPACING = 0x3000


class PartitionAlloc:
    """A process with partitions, whose roots are variables of one module.

    Args:
        bits: 32 or 64.
        proof_at: where a root holds the complement of its address; it differs by version.
        module: the module.
    """

    def __init__(self, bits: int = 64, *, proof_at: int = 0x1510, module: str = "C:\\app\\chrome.dll") -> None:
        self.width = bits // 8
        self.proof_at = proof_at
        self.process = ProcessBuilder("x64" if bits == 64 else "x86", 19045)
        self.process.add_peb()
        sections = (Section(".text", 0x1000), Section(".data", 0x10000, PAGE_READWRITE))
        self.data, _ = self.process.add_module(module, sections=sections).sections[".data"]
        self.process.add_thread()
        self._roots = 0

    def write_words(self, address: int, words: Sequence[int]) -> None:
        """Writes words of the process's width."""
        mask = (1 << 8 * self.width) - 1
        form = f"<{len(words)}{'Q' if self.width == 8 else 'I'}"
        self.process.write(address, struct.pack(form, *(word & mask for word in words)))

    def add_root(self, *, at: int | None = None, proof: int | None = None) -> int:
        """Adds a root; returns its address.

        Args:
            at: its address; None makes it the next variable of the module.
            proof: what it holds instead of the complement of its address.
        """
        if at is None:
            at = self.data + ROOTS_AT + ROOT_SPACING * self._roots
            self._roots += 1
        self.write_words(at + self.proof_at, [~at if proof is None else proof])
        return at

    def add_pool(self, super_pages: int) -> int:
        """Reserves a pool; returns its address."""
        return self.process.allocate(super_pages * SUPER_PAGE, commit=0, align=SUPER_PAGE)

    def add_super_page(self, root: int, *, at: int | None = None, payload: int = 0x20000) -> int:
        """Adds a super page; returns its address.

        Args:
            root: the root that it names.
            at: its place in a pool; None reserves memory for it alone.
            payload: committed bytes for blocks.
        """
        base = self.add_pool(1) if at is None else at
        self.process.commit(base + METADATA_AT, 0x1000, PAGE_READWRITE)
        self.process.commit(base + 0x4000, payload, PAGE_READWRITE)
        # root, next extent or first super page; then the slot span of the first partition page, with its bucket
        self.write_words(base + METADATA_AT, [root, base, base + SUPER_PAGE, 0])
        self.write_words(base + METADATA_AT + 0x20, [base + 0x4010, 0, root + 0x100, 1])
        return base

    def add_direct_map(self, root: int, block: int, *, at: int | None = None, stated: int | None = None) -> int:
        """Adds a direct map; returns its address.

        Args:
            root: the root that it names.
            block: bytes of its reservation.
            at: its place in a pool; None reserves memory for it alone.
            stated: the bytes that its metadata gives, instead of the truth.
        """
        base = self.process.allocate(block, commit=0, align=SUPER_PAGE) if at is None else at
        self.process.commit(base + METADATA_AT, 0x1000, PAGE_READWRITE)
        self.process.commit(base + 0x4000, block - 0x5000, PAGE_READWRITE)
        metadata = base + METADATA_AT
        bucket = metadata + 0x60
        self.write_words(metadata, [root, 0, 0, 0])
        self.write_words(metadata + 0x20, [0, 0, bucket, 1])
        self.write_words(bucket, [metadata + 0x20, 0, 0])
        self.process.write(bucket + 3 * self.width, struct.pack("<IIQ", block & 0xFFFFFFFF, 1, 0x1234567))
        extent = bucket + 3 * self.width + 16
        self.write_words(extent, [0, 0, bucket, block if stated is None else stated, 0])
        return base

    def dump(self) -> bytes:
        """Returns a dump with full memory."""
        return self.process.to_minidump().build()
