"""The bookkeeping memory of a server collector that does not publish it: a header, and three variables that agree."""

from __future__ import annotations

import pytest
from support.structures import memory_of, space_of
from synth.process import ProcessBuilder

from dumpmap.model.memory import ExcerptMemory, Memory, RecordingMemory
from dumpmap.structures.gc_cards import bookkeeping_of

LOWEST, HIGHEST, HEADER = 0x40000000, 0x60000000, {"x86": 0x20, "x64": 0x40}
HEAP = [(0x48000000, 0x48100000), (0x50000000, 0x50100000)]
ROOM, SIZE = 0x400000, 0x3F16C0
# Words of the header, and the bytes of a heap that a byte of cards is for, which is written here for each width.
SHIFT = {"x86": 10, "x64": 11}


class Cards:
    """A process with such memory, and the runtime's variables about it."""

    def __init__(self, arch: str) -> None:
        self.arch, self.process = arch, ProcessBuilder(arch, 19045).furnish()
        self.width = self.process.pointer_size
        start, size = self.process.add_module("coreclr.dll").sections[".data"]
        self.variables = (start, start + size)
        self.base = self.process.allocate(ROOM)
        self.process.number(self.base, 2, 4)
        marks = self.base + 0x2A0000
        for index, value in {1: LOWEST, 2: HIGHEST, 3: self.base + 0x9000, 5: marks, 6: SIZE}.items():
            self.process.pointer(self.base + index * self.width, value)
        cards = self.base + HEADER[arch] - (LOWEST >> SHIFT[arch])
        for index, value in enumerate((cards % (1 << 8 * self.width), LOWEST, HIGHEST)):
            self.process.pointer(start + 0x100 + 0x28 * index, value)

    def find(self, memory: Memory | None = None) -> tuple[int, int] | None:
        """What is found."""
        allocations = space_of(self.process).large_private_allocations(0x200000)
        return bookkeeping_of(memory or memory_of(self.process), allocations, [self.variables], HEAP, self.width)


@pytest.mark.parametrize("arch", ["x64", "x86"])
def test_a_header_and_three_variables_prove_it(arch: str) -> None:
    cards = Cards(arch)
    recording = RecordingMemory(memory_of(cards.process))
    assert cards.find(recording) == (cards.base, 0x3F2000)
    assert cards.find(ExcerptMemory(recording.excerpts())) == (cards.base, 0x3F2000)
    assert sum(len(data) for _, data in recording.excerpts()) <= HEADER[arch] + 3 * cards.width


@pytest.mark.parametrize("arch", ["x64", "x86"])
@pytest.mark.parametrize("variable", [0, 1, 2])
def test_each_variable_counts(arch: str, variable: int) -> None:
    cards = Cards(arch)
    place = cards.variables[0] + 0x100 + 0x28 * variable
    cards.process.pointer(place, cards.process.read_pointer(place) ^ 4)
    assert cards.find() is None


@pytest.mark.parametrize("arch", ["x64", "x86"])
@pytest.mark.parametrize(
    ("word", "value"),
    [(1, HEAP[0][0] + 8), (2, HEAP[1][1] - 8), (5, 0x1000), (6, ROOM + 0x1000), (6, 0x10), (0, 0), (1, 0)],
)
def test_a_header_that_disagrees_is_none(arch: str, word: int, value: int) -> None:
    cards = Cards(arch)
    cards.process.pointer(cards.base + word * cards.width, value)
    assert cards.find() is None


def test_of_two_neither_is_believed() -> None:
    cards = Cards("x64")
    other = cards.process.allocate(ROOM)
    cards.process.write(other, cards.process.read(cards.base, 0x40))
    cards.process.pointer(other + 5 * 8, other + 0x2A0000)
    cards.process.pointer(cards.variables[0] + 0x200, other + 0x40 - (LOWEST >> 11))
    assert cards.find() is None
