"""Private memory of Wine's own: second stacks, the stack of a thread that ended, and the table of memory handles.

* Each thread has a second stack of 1 MB, on which Wine's side of a system call runs. Wine keeps its data on a thread in
  the part of the TEB that Windows uses to batch drawing calls. There it notes where that stack is, and pointers to
  frames on it. A block is claimed only if it is an allocation of its own, no thread's ordinary stack, as large as most
  others, and a pointer beside its address leads into it.
* A thread that ends leaves its stacks and its TEB to the next one that ends, which frees them. Such a TEB is believed
  only if it names itself, the process, the PEB, an allocation that is exactly its stack, a second stack, and the
  outermost frame on the stack, which has no predecessor and a handler in a module.
* kernelbase.dll has a table of 65,536 movable blocks of memory (GlobalAlloc, LocalAlloc), two words each. It is claimed
  if three variables in a row hold its start, its end, and its next free entry, and it fills an allocation.

Layout read in recorded processes of Wine 8, 64-bit and 32-bit; compared with public source (wine:
dlls/ntdll/unix/unix_private.h, struct ntdll_thread_data; dlls/ntdll/unix/thread.c, exit_thread;
dlls/kernelbase/memory.c, struct kernelbase_global_data).
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator

from dumpmap.model.evidence import EvidenceInfo
from dumpmap.model.kinds import KindInfo
from dumpmap.model.memory import Memory, unrecorded
from dumpmap.model.process import Teb
from dumpmap.model.recognised import Found, LabelledRange
from dumpmap.model.winnt import PAGE_SIZE
from dumpmap.structures.bounds import is_user_address
from dumpmap.structures.captured import captured_steps
from dumpmap.structures.recognisers import WINE_STACK
from dumpmap.structures.recognisers.protocol import Context, LoadedModule, holds_any
from dumpmap.structures.recognisers.words import variable_words
from dumpmap.structures.teb import read_teb

KIND, EVIDENCE_WORD = "Wine thread block", "wine-teb"
ENDED = "Wine stack of an ended thread"
HANDLES, HANDLES_EVIDENCE = "Wine memory handle table", "wine-memory-handles"

KINDS: tuple[KindInfo, ...] = (
    KindInfo(
        KIND,
        None,
        "The second stack of a thread under Wine, on which Wine handles system calls.",
        "Wine's data in the TEB.",
    ),
    KindInfo(
        ENDED,
        None,
        "The stack of the thread that ended last, which Wine frees when another one ends.",
        "A TEB that belongs to no thread.",
    ),
    KindInfo(
        HANDLES,
        None,
        "Wine's table of the handles that GlobalAlloc and LocalAlloc give for movable memory.",
        "Variables of kernelbase.dll.",
    ),
)

EVIDENCE: tuple[EvidenceInfo, ...] = (
    EvidenceInfo(EVIDENCE_WORD, "The base of the allocation and a pointer into it are in Wine's part of a TEB."),
    EvidenceInfo(
        HANDLES_EVIDENCE, "Variables of Wine's kernelbase.dll hold its start, its end, and its next free entry."
    ),
)

_BATCH = {8: struct.Struct("<17Q"), 4: struct.Struct("<17I")}
"""Wine's words in GdiTebBatch: 16 for the processor, frames of the stack among them, then the base of the stack."""

_TEB_DISTANCE = 0x10000
"""Bytes from one TEB to the next in the allocation that holds them."""

_MAX_PLACES = 4096
"""Most places that are searched for the TEBs of ended threads."""

_MAX_ENDED = 16
"""Most ended threads that are looked for. Wine keeps the stacks of one, or of a few that end at the same time."""

_HANDLE_COUNT, _HANDLE_WORDS = 0x10000, 2
_MANAGER = "kernelbase.dll"


def find(context: Context) -> Found:
    """Finds the blocks of all threads, those that a thread left, and the table of memory handles."""
    stacks = {allocation[0] for teb in context.tebs if (allocation := _stack_of(context, teb))}
    ended = tuple(_ended(context, stacks))
    found = (_block(context, teb, stacks) for teb in (*context.tebs, *ended))
    blocks = _of_one_size([part for part in found if part is not None])
    return Found(ranges=(*blocks, *(_ended_stack(context, teb) for teb in ended), *_handle_table(context)))


def _of_one_size(blocks: list[LabelledRange]) -> list[LabelledRange]:
    """Leaves out blocks of another size than most: Wine gives every thread the same."""
    sizes = Counter(part.size for part in blocks)
    most = max(sizes.values(), default=0)
    return [part for part in blocks if sizes[part.size] == most]


def _stack_of(context: Context, teb: Teb) -> tuple[int, int] | None:
    return None if teb.stack_base is None else context.space.allocation(teb.stack_base - 1)


def _block(context: Context, teb: Teb, stacks: set[int]) -> LabelledRange | None:
    width = teb.pointer_size
    part = _BATCH[width]
    place = teb.address + WINE_STACK[width] + width - part.size
    data = unrecorded(context.memory).read(place, part.size)
    if data is None:
        return None
    *frames, base = part.unpack(data)
    if base in stacks or not base or base % 0x10000 or not is_user_address(base, width):
        return None
    allocation = context.space.allocation(base)
    if allocation is None or allocation[0] != base:
        return None
    end = base + allocation[1]
    if not any(base < frame < end for frame in frames):
        return None
    context.memory.read(place, part.size)
    details = f"Wine, thread {teb.thread_id}"
    return LabelledRange(base, allocation[1], KIND, EVIDENCE_WORD, details=details, owner="Wine")


def _ended(context: Context, alive: set[int]) -> Iterator[Teb]:
    """Yields the TEBs of ended threads whose stacks are still there, and adds these to those that are `alive`."""
    look = unrecorded(context.memory)
    threads = {teb.thread_id for teb in context.tebs}
    processes = {(teb.pointer_size, teb.process_id, teb.peb) for teb in context.tebs}
    left = _MAX_ENDED
    for place, width in _places(context):
        teb = read_teb(look, place, width) if left else None
        if teb is None or teb.thread_id in threads or (width, teb.process_id, teb.peb) not in processes:
            continue
        allocation = _stack_of(context, teb)
        if allocation is None or allocation[0] in alive or allocation != (teb.allocation_base, _stack_size(teb)):
            continue
        if _has_outermost_frame(context, look, teb) and _block(context, teb, alive | {allocation[0]}):
            read_teb(context.memory, place, width)
            _has_outermost_frame(context, context.memory, teb)
            alive.add(allocation[0])
            left -= 1
            yield teb


def _places(context: Context) -> Iterator[tuple[int, int]]:
    """Yields where other TEBs can be in the allocations of those of threads, and their width."""
    known = {teb.address for teb in context.tebs}
    rows: dict[tuple[int, int], None] = {}  # most TEBs of a process are in one row
    ranges = unrecorded(context.memory).ranges()
    left = _MAX_PLACES
    for teb in context.tebs:
        allocation = context.space.allocation(teb.address)
        if allocation is None:
            continue
        first = allocation[0] + (teb.address - allocation[0]) % _TEB_DISTANCE
        if left and (first, teb.pointer_size) not in rows:
            rows[first, teb.pointer_size] = None
            places = range(first, min(sum(allocation), first + _MAX_PLACES * _TEB_DISTANCE), _TEB_DISTANCE)
            fresh = [place for place in captured_steps(ranges, places) if place not in known][:left]
            left -= len(fresh)
            yield from ((place, teb.pointer_size) for place in fresh)


def _stack_size(teb: Teb) -> int:
    return (teb.stack_base or 0) - (teb.allocation_base or 0)


def _has_outermost_frame(context: Context, memory: Memory, teb: Teb) -> bool:
    """Whether the first exception frame that a TEB names is on its stack, and the outermost: with a handler of ours."""
    width = teb.pointer_size
    frame = int.from_bytes(memory.read(teb.address, width) or b"", "little")
    if not (teb.stack_limit or 0) <= frame <= (teb.stack_base or 0) - 2 * width:
        return False
    data = memory.read(frame, 2 * width)
    if data is None or data[:width] != b"\xff" * width:
        return False
    handler = int.from_bytes(data[width:], "little")
    return any(module.base <= handler < module.base + module.size for module in context.modules)


def _ended_stack(context: Context, teb: Teb) -> LabelledRange:
    details = f"Wine, thread {teb.thread_id}, which has ended"
    return LabelledRange(
        teb.allocation_base or 0, _stack_size(teb), ENDED, EVIDENCE_WORD, details=details, owner="Wine"
    )


def _handle_table(context: Context) -> Iterator[LabelledRange]:
    ranges = unrecorded(context.memory).ranges()
    for module in context.modules:
        # In a small dump, no more than the header of the module is captured, which has no variables.
        rest = module.base + PAGE_SIZE, module.base + module.size
        if module.name == _MANAGER and (not ranges or holds_any(ranges, *rest)):
            found = list(_tables_of(context, module))
            if len(found) == 1:
                place, base, size, width = found[0]
                context.memory.read(place, 3 * width)
                yield LabelledRange(base, size, HANDLES, HANDLES_EVIDENCE, details=module.name, owner="Wine")


def _tables_of(context: Context, module: LoadedModule) -> Iterator[tuple[int, int, int, int]]:
    """Yields where three variables of a module describe the table, its base and size, and the width of a word."""
    image = context.image_of(module)
    if image is None:
        return
    width = image.pointer_size
    entry = _HANDLE_WORDS * width
    size = _HANDLE_COUNT * entry
    for at, words in variable_words(context.memory, module.base, image, width):
        for index, (base, end, following) in enumerate(zip(words, words[1:], words[2:], strict=False)):
            fits = end - base == size and following - base in range(0, size + 1, entry)
            if fits and context.space.allocation(base) == (base, size):
                yield at + index * width, base, size, width
