"""Stacks: which allocation is which thread's, and how much of it is used.

The TEB says it best; then the stack range of the thread list; last the stack pointer of the saved context. On 64-bit
Windows a 32-bit thread has two TEBs and two stacks.
"""

from __future__ import annotations

from collections.abc import Iterator

from dumpmap.classify.labels import Label, Labels
from dumpmap.model.process import ProcessStructures, Teb
from dumpmap.model.snapshot import Snapshot, Thread
from dumpmap.model.space import AllocationSpace
from dumpmap.model.stacks import Stack
from dumpmap.model.types import RegionType
from dumpmap.model.winnt import MemState, MemType, PageProtect

_PRIVATE_OR_UNKNOWN = (int(MemType.MEM_PRIVATE), 0)
_COMMIT, _GUARD = int(MemState.MEM_COMMIT), int(PageProtect.PAGE_GUARD)


def label_stacks(
    snapshot: Snapshot, structures: ProcessStructures, space: AllocationSpace, labels: Labels, *, partial: bool
) -> tuple[list[Stack], list[str]]:
    """Labels every stack that can be told.

    Returns:
        the stacks, in the order of the thread list, and warnings.
    """
    stacks: list[Stack] = []
    warnings: list[str] = []
    tebs: dict[int, list[Teb]] = {}
    for teb in structures.tebs:
        tebs.setdefault(teb.thread_id, []).append(teb)
    seen: dict[int, int] = {}
    bottoms: dict[int | None, int | None] = {teb.address: teb.allocation_base for teb in structures.tebs}
    wow64 = {teb.pointer_size for teb in structures.tebs} == {4, 8}
    missing = []
    claimed_twice: list[str] = []
    for thread in snapshot.threads:
        found = False
        for address, bits, teb_address, evidence in _candidates(thread, tebs.get(thread.id, [])):
            index = labels.allocation(address)
            if index < 0 or not _is_private(space, index):
                continue
            if index in seen:
                if seen[index] != thread.id:
                    claimed_twice.append(
                        f"threads {seen[index]} and {thread.id} claim one stack at 0x{int(space.bases[index]):x}"
                    )
                continue
            if found and evidence != "teb":
                break  # the range or pointer of a thread whose TEBs were read tells nothing new
            kind = "64-bit thread stack" if wow64 and bits == 64 else "Thread stack"
            details = f"Thread ID: {thread.id}" + (f" ({thread.name})" if thread.name else "")
            label = Label(kind, evidence, RegionType.STACK, details, inferred=evidence == "stack-pointer")
            if labels.claim(index, label):
                seen[index] = thread.id
                found = True
                bottom = bottoms.get(teb_address) if evidence == "teb" else None
                stacks.append(
                    measure_stack(
                        thread, space, index, bits, teb_address, evidence, partial=partial, allocation_base=bottom
                    )
                )
        if not found and not thread.exited:
            missing.append(thread.id)
    if claimed_twice:
        more = len(claimed_twice) - 1
        warnings.append(claimed_twice[0] + (f", and {more} more threads one that another has" if more else ""))
    if missing and snapshot.process.os.family == "windows":
        shown = ", ".join(map(str, missing[:5])) + (", ..." if len(missing) > 5 else "")
        warnings.append(f"{len(missing)} of {len(snapshot.threads)} threads have no stack that can be told: {shown}")
    return stacks, warnings


def _candidates(thread: Thread, tebs: list[Teb]) -> Iterator[tuple[int, int | None, int | None, str]]:
    """Yields an address in each place that may be the thread's stack, surest first, with bits, TEB and evidence."""
    for teb in tebs:
        if teb.stack_base is not None:
            yield teb.stack_base - 1, teb.pointer_size * 8, teb.address, "teb"
    if thread.stack_base is not None and thread.stack_size:
        yield thread.stack_base + thread.stack_size - 1, None, thread.teb, "thread-list"
    if thread.stack_pointer is not None:
        yield thread.stack_pointer, None, thread.teb, "stack-pointer"


def _is_private(space: AllocationSpace, index: int) -> bool:
    return int(space.kinds[index]) in _PRIVATE_OR_UNKNOWN


def measure_stack(
    thread: Thread,
    space: AllocationSpace,
    index: int,
    bits: int | None,
    teb: int | None,
    evidence: str,
    *,
    partial: bool,
    allocation_base: int | None = None,
) -> Stack:
    """Measures the stack that an allocation is; `allocation_base` is where its TEB says that it begins."""
    base, end = int(space.bases[index]), int(space.ends[index])
    first = int(space.first[index])
    last = int(space.first[index + 1]) if index + 1 < len(space) else len(space.regions)
    regions = space.regions
    committed = guarded = 0
    for region in range(first, last):
        size = int(regions.size[region])
        if regions.state[region] == _COMMIT:
            committed += size
        if regions.protect[region] & _GUARD:
            guarded += size
    pointer = thread.stack_pointer
    inside = pointer is not None and base <= pointer <= end
    # Without a list of regions the lowest address known is where the captured bytes begin, a few bytes below the stack
    # pointer; taken for the start of the reservation it would make every stack look used up.
    whole = not partial or base == allocation_base
    return Stack(
        thread_id=thread.id,
        name=thread.name,
        teb=teb,
        bits=bits,
        base=base,
        end=end,
        reserve=end - base if whole else None,
        committed=committed,
        guard=None if partial else guarded,
        stack_pointer=pointer if inside else None,
        headroom=pointer - base if whole and inside and pointer is not None else None,
        evidence=evidence,
        inferred=evidence == "stack-pointer",
        exited=thread.exited,
    )
