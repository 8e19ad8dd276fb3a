"""What the details of a VMMap file's block mean, by the type of its allocation."""

from __future__ import annotations

import pytest

from dumpmap.model.types import RegionType
from dumpmap.parsers.vmmap.building import _own_words
from dumpmap.parsers.vmmap.rows import FileRow, Remarks, nest

GUARD, READ_WRITE = 0x104, 0x4
TEB = "Thread Environment Block ID: 7"


def row(type: RegionType, details: str, protect: int = READ_WRITE) -> FileRow:
    return FileRow(1, 0x10000, 0x1000, type.label, type, details, protect=protect)


@pytest.mark.parametrize(
    ("type", "head", "details", "protect", "kind", "own"),
    [
        (RegionType.IMAGE, "C:\\a.dll", ".text", READ_WRITE, ".text", ""),
        (RegionType.IMAGE, "C:\\a.dll", "C:\\a.dll", READ_WRITE, None, "C:\\a.dll"),
        (RegionType.IMAGE, "C:\\a.dll", "", READ_WRITE, None, ""),
        (RegionType.STACK, "Thread ID: 7", "", READ_WRITE, None, None),
        (RegionType.STACK, "Thread ID: 7", "", GUARD, "Guard", None),
        (RegionType.STACK, "Thread ID: 7", "own", GUARD, "Guard", "own"),
        (RegionType.STACK, "Thread ID: 7", "own", READ_WRITE, None, "own"),
        (RegionType.PRIVATE_DATA, "", TEB, READ_WRITE, "TEB", TEB),
        (RegionType.PRIVATE_DATA, "", "", GUARD, None, ""),
        (RegionType.HEAP, "Heap ID: 1", "Heap ID: 1", READ_WRITE, None, "Heap ID: 1"),
    ],
)
def test_details_of_blocks(
    type: RegionType, head: str, details: str, protect: int, kind: str | None, own: str | None
) -> None:
    assert _own_words(row(type, head), row(type, details, protect)) == (kind, own)


def test_a_row_inside_a_block_is_no_block() -> None:
    rows = [
        FileRow(number, address, size, "Heap", RegionType.HEAP)
        for number, (address, size) in enumerate(
            [(0x10000, 0x8000), (0x10000, 0x1000), (0x12000, 0x3000), (0x13000, 0x1000), (0x15000, 0x1000)], 1
        )
    ]
    remarks = Remarks()
    (allocation,) = nest(reversed(rows), remarks)
    assert [block.address for block in allocation.blocks] == [0x10000, 0x12000, 0x15000]
    assert list(remarks.texts()) == []
