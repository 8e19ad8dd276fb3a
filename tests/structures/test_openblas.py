"""OpenBLAS's buffers: a recorded process of NumPy, built ones, and tables that lie."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.structures import memory_of, survey_process
from synth.images import Section
from synth.minidump import PAGE_EXECUTE_READ, PAGE_READWRITE
from synth.process import ProcessBuilder

import dumpmap
from dumpmap.model.memory import ExcerptMemory, Memory, RecordingMemory

RECORDED = Path(__file__).parents[1] / "fixtures" / "allocators" / "mimalloc-pyarrow.dmp.gz"
MB = 1 << 20
BUFFER = 32 * MB
SLOT, RECORDS = 0x40, 0x800


class Blas:
    """A process that computes with OpenBLAS.

    Attributes:
        process: the process.
        slots: where the slots of the buffers to use are.
        records: where the records of the buffers to free are.
        buffers: the buffers.
    """

    def __init__(self, arch: str = "x64", sizes: tuple[int, ...] = (BUFFER, BUFFER), numbered: bool = False) -> None:
        self.process = process = ProcessBuilder(arch, 19045).furnish()
        sections = [
            Section(".text", 0x4000, protect=PAGE_EXECUTE_READ),
            Section(".data", 0x2000, protect=PAGE_READWRITE),
        ]
        self.module = process.add_module("C:\\py\\numpy.libs\\libopenblas64__v0.3.23.dll", sections=sections)
        self.width = width = process.pointer_size
        data, code = self.module.sections[".data"][0], self.module.sections[".text"][0]
        self.buffers = [process.allocate(size) for size in sizes]
        self.slots = [data + SLOT * (2 + number) for number in range(len(sizes))]
        self.records = [data + RECORDS + 3 * width * number for number in range(len(sizes))]
        for number, base in enumerate(self.buffers):
            process.pointer(self.slots[number], number)  # the lock of the second one is taken
            process.pointer(self.slots[number] + width, base)
            process.number(self.slots[number] + (2 * width + 4 if numbered else 2 * width), 1 - number, 4)
            process.pointer(self.records[number], base)
            process.pointer(self.records[number] + width, code + 0x230)

    def claims(self, memory: Memory | None = None) -> list[tuple[int, int]]:
        """What OpenBLAS is the owner of."""
        parts = [part for one in survey_process(self.process, memory).found for part in one.ranges]
        mine = [part for part in parts if part.owner == "OpenBLAS"]
        assert all(part.kind == "OpenBLAS buffer" and part.type is None and not part.inferred for part in mine)
        assert {part.module for part in mine} <= {"libopenblas64__v0.3.23.dll"}
        return [(part.base, part.size) for part in mine]


def test_the_buffer_of_a_recorded_process() -> None:
    rows = dumpmap.open(RECORDED).regions
    mine = rows[rows["owner"] == "OpenBLAS"]
    assert mine["committed"].tolist() == [BUFFER]
    assert mine["type"].tolist() == ["Private Data"]
    assert mine["kind"].tolist() == ["OpenBLAS buffer"]
    assert mine["owner_module"].str.startswith("libopenblas").all()


@pytest.mark.parametrize("arch", ["x64", "x86"])
@pytest.mark.parametrize("sizes", [(BUFFER,), (BUFFER, BUFFER), (4 * MB, 4 * MB)])
def test_both_tables_prove_the_buffers(arch: str, sizes: tuple[int, ...]) -> None:
    blas = Blas(arch, sizes)
    expected = list(zip(blas.buffers, sizes, strict=True))
    recording = RecordingMemory(memory_of(blas.process))
    assert blas.claims(recording) == expected
    assert blas.claims(ExcerptMemory(recording.excerpts())) == expected
    assert sum(len(data) for _, data in recording.excerpts()) < 0x2800


def test_a_build_that_numbers_its_slots() -> None:
    blas = Blas(numbered=True)
    assert blas.claims() == [(base, BUFFER) for base in blas.buffers]


@pytest.mark.parametrize("arch", ["x64", "x86"])
@pytest.mark.parametrize(
    "lie",
    [
        lambda b, p, w: p.pointer(b.records[1] + w, b.module.sections[".data"][0]),  # no function
        lambda b, p, w: p.pointer(b.records[0], b.buffers[0] + 0x1000),  # not an allocation
        lambda b, p, w: p.pointer(b.slots[1], 2),  # no lock
        lambda b, p, w: p.number(b.slots[1] + 3 * w - 4, 5, 4),  # no mark of use
        lambda b, p, w: p.pointer(b.slots[1] + 3 * w, 1),  # a word that nobody writes
        lambda b, p, w: p.pointer(b.slots[1] + w, 0),
    ],
)
def test_a_buffer_that_a_table_lacks_is_left_out(arch: str, lie: Callable[[Blas, ProcessBuilder, int], None]) -> None:
    blas = Blas(arch)
    assert len(blas.claims()) == 2
    lie(blas, blas.process, blas.width)
    assert len(blas.claims()) < 2


def test_buffers_have_one_size() -> None:
    assert Blas(sizes=(BUFFER, 16 * MB)).claims() == []


def test_another_module_has_none() -> None:
    blas = Blas()
    index = blas.process.modules.index(blas.module)
    blas.process.modules[index] = replace(blas.module, name="C:\\py\\numpy.libs\\other.dll")
    assert blas.claims() == []


@pytest.mark.parametrize(("others", "claimed"), [(15, 2), (16, 0)])
def test_16_modules_are_searched(others: int, claimed: int) -> None:
    blas = Blas()
    for number in range(others):
        blas.process.add_module(f"C:\\py\\openblas{number}.dll")
    blas.process.modules.remove(blas.module)
    blas.process.modules.append(blas.module)
    assert len(blas.claims()) == claimed
