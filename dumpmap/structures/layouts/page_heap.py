"""Full page heap (`gflags +hpa`): `_DPH_HEAP_ROOT` and `_DPH_HEAP_BLOCK`.

Offsets are computed from PDB-derived declarations of ntdll (Windows 10). In both widths the sum of the fields reaches
the independently known places of NextHeap and NormalHeap. Windows XP's offsets differ; only its NormalHeap is declared.
"""

from __future__ import annotations

from dumpmap.structures.layout import POINTER, U32, declare

DPH_HANDLE_FILL = 0xEEEEEEEE
"""Fills the first page of a page heap, which is the handle that the process holds. The root is in the next page."""

DPH_HEAP_ROOT = declare(
    "_DPH_HEAP_ROOT",  # its first part
    {4: 0xC0, 8: 0x168},
    ("Signature", U32, 0x00, 0x00),
    ("HeapFlags", U32, 0x04, 0x04),
    ("VirtualStorageList.Flink", POINTER, 0x10, 0x18),
    ("VirtualStorageList.Blink", POINTER, 0x14, 0x20),
    ("VirtualStorageCount", U32, 0x18, 0x28),
    ("NextHeap.Flink", POINTER, 0xA4, 0x138),
    ("NextHeap.Blink", POINTER, 0xA8, 0x140),
    ("NormalHeap", POINTER, 0xB4, 0x150),
)

DPH_HEAP_ROOT_XP = declare(
    "_DPH_HEAP_ROOT (XP)",
    {4: 0x94},
    ("Signature", U32, 0x00, None),
    ("HeapFlags", U32, 0x04, None),
    ("NormalHeap", POINTER, 0x88, None),
)

DPH_HEAP_BLOCK = declare(
    "_DPH_HEAP_BLOCK",  # its first part
    {4: 0x1C, 8: 0x38},
    ("VirtualListEntry.Flink", POINTER, 0x00, 0x00),
    ("VirtualListEntry.Blink", POINTER, 0x04, 0x08),
    ("pUserAllocation", POINTER, 0x10, 0x20),
    ("pVirtualBlock", POINTER, 0x14, 0x28),
    ("nVirtualBlockSize", POINTER, 0x18, 0x30),
)
