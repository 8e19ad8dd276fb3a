"""Wine's second stack of each thread: 1 MB of private memory on which its own side of a system call runs.

Wine keeps its data on a thread in the part of the TEB that Windows uses to batch drawing calls. There it notes where
that stack is, and pointers to frames on it. A block is claimed only if it is an allocation of its own, no thread's
ordinary stack, and a pointer beside its address leads into it. Layout read in recorded processes of Wine 8, 64-bit and
32-bit; compared with public source (wine: dlls/ntdll/unix/unix_private.h, struct ntdll_thread_data).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from dumpmap.model.evidence import EvidenceInfo
from dumpmap.model.kinds import KindInfo
from dumpmap.model.memory import unrecorded
from dumpmap.model.process import Teb
from dumpmap.model.recognised import Found, LabelledRange
from dumpmap.structures.bounds import is_user_address
from dumpmap.structures.recognisers import WINE_STACK
from dumpmap.structures.recognisers.protocol import Context

KIND, EVIDENCE_WORD = "Wine thread block", "wine-teb"

KINDS: tuple[KindInfo, ...] = (
    KindInfo(
        KIND,
        None,
        "The second stack of a thread under Wine, on which Wine handles system calls.",
        "Wine's data in the TEB.",
    ),
)

EVIDENCE: tuple[EvidenceInfo, ...] = (
    EvidenceInfo(EVIDENCE_WORD, "The base of the allocation and a pointer into it are in Wine's part of a TEB."),
)

_WORDS = 17
"""Words of Wine's in GdiTebBatch: 16 for the processor, frames of the stack among them, then the base of the stack."""


def find(context: Context) -> Found:
    """Finds the blocks of all threads."""
    stacks = {allocation[0] for teb in context.tebs if (allocation := _stack_of(context, teb))}
    return Found(ranges=tuple(part for teb in context.tebs for part in _block(context, teb, stacks)))


def _stack_of(context: Context, teb: Teb) -> tuple[int, int] | None:
    return None if teb.stack_base is None else context.space.allocation(teb.stack_base - 1)


def _block(context: Context, teb: Teb, stacks: set[int]) -> Iterator[LabelledRange]:
    size = _WORDS * teb.pointer_size
    place = teb.address + WINE_STACK[teb.pointer_size] + teb.pointer_size - size
    data = unrecorded(context.memory).read(place, size)
    if data is None:
        return
    *frames, base = struct.unpack(f"<{_WORDS}{'Q' if teb.pointer_size == 8 else 'I'}", data)
    if base in stacks or not base or base % 0x10000 or not is_user_address(base, teb.pointer_size):
        return
    allocation = context.space.allocation(base)
    if allocation is None or allocation[0] != base or not any(base < frame < sum(allocation) for frame in frames):
        return
    context.memory.read(place, size)
    details = f"Wine, thread {teb.thread_id}"
    yield LabelledRange(base, allocation[1], KIND, EVIDENCE_WORD, details=details, owner="Wine")
