"""A process under Wine: second stacks in the TEBs, the TEB of a thread that ended, and the table of memory handles."""

from __future__ import annotations

from .minidump import PAGE_READWRITE
from .process import ProcessBuilder

MB = 1 << 20

# Offsets in the TEB, (x86, x64).
EXCEPTIONS, STACK_BASE, STACK_LIMIT, SELF = (0, 0), (4, 8), (8, 0x10), (0x18, 0x30)
PROCESS_ID, THREAD_ID, PEB, DEALLOCATION_STACK = (0x20, 0x40), (0x24, 0x48), (0x30, 0x60), (0xE0C, 0x1478)
FRAME, SECOND_STACK = (0x1D4, 0x2F0), (0x214, 0x370)
TEB_SIZE, TEB_DISTANCE, FRAME_PLACE = 0x2000, 0x10000, 0x160


class WineProcess:
    """Makes a process into one that runs under Wine.

    Attributes:
        process: the process.
        block: the second stack of its first thread.
    """

    def __init__(self, arch: str = "x64") -> None:
        self.process = ProcessBuilder(arch, 19045).furnish()
        self.wide = arch == "x64"
        self.width = self.process.pointer_size
        self.teb = self.process.threads[0].teb
        self.block = self.second_stack(self.teb)

    def field(self, teb: int, places: tuple[int, int], value: int) -> None:
        """Writes a field of a TEB."""
        self.process.pointer(teb + places[self.wide], value)

    def second_stack(self, teb: int) -> int:
        """Gives the thread of a TEB its second stack, and returns it."""
        block = self.process.allocate(MB)
        self.field(teb, FRAME, block + MB - 0x500)
        self.field(teb, SECOND_STACK, block)
        return block

    def ended_thread(self, number: int = 3) -> tuple[int, int, int]:
        """Leaves the TEB of a thread that ended; returns it, its stack, and its second stack."""
        process = self.process
        teb = self.teb + number * TEB_DISTANCE
        if teb + TEB_SIZE > process.allocation_at(self.teb).end:
            teb = self.teb - number * TEB_DISTANCE
        process.commit(teb, TEB_SIZE, PAGE_READWRITE)
        stack = process.allocate(MB)
        self.frame = stack + MB - FRAME_PLACE
        process.pointer(self.frame, (1 << 8 * self.width) - 1)
        process.pointer(self.frame + self.width, process.module("ntdll.dll").base + 0x1040)
        fields = {EXCEPTIONS: self.frame, STACK_BASE: stack + MB, STACK_LIMIT: stack + 0x2000, SELF: teb}
        fields |= {PROCESS_ID: process.pid, THREAD_ID: 0x2F00 + number, PEB: process.peb, DEALLOCATION_STACK: stack}
        for places, value in fields.items():
            self.field(teb, places, value)
        return teb, stack, self.second_stack(teb)

    def handle_table(self) -> tuple[int, int, int]:
        """Adds Wine's kernelbase.dll; returns where its variables are, and base and size of the table."""
        size = 0x10000 * 2 * self.width
        table = self.process.allocate(size)
        place = self.process.add_module("kernelbase.dll").sections[".data"][0] + 0x70
        for index, value in enumerate((table, table + size, table + 6 * self.width)):
            self.process.pointer(place + index * self.width, value)
        return place, table, size
