"""Stacks: which allocation is which thread's stack, and how much of it is in use.

The TEB is the best evidence, then the stack range in the thread list, then the stack pointer in the saved context. On
64-bit Windows a 32-bit thread has two TEBs and two stacks.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from dumpmap.classify.labels import Label, Labels
from dumpmap.model.counts import count_words, part_words
from dumpmap.model.kinds import STACK_64, THREAD_STACK
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
) -> tuple[list[Stack], list[str], list[str]]:
    """Labels every stack that the input identifies.

    Returns:
        the stacks, in the order of the thread list; warnings of stacks that two threads claim; and notes of threads
        without a stack.
    """
    search = _StackSearch(structures, space, labels, partial)
    missing = [thread.id for thread in snapshot.threads if not search.take(thread) and not thread.exited]
    warnings, notes = [], []
    if search.conflicts:
        more = len(search.conflicts) - 1
        warnings.append(search.conflicts[0] + (f" (and {count_words(more, 'more such conflict')})" if more else ""))
    if missing and snapshot.process.os.family == "windows":
        shown = ", ".join(map(str, missing[:5])) + (", ..." if len(missing) > 5 else "")
        notes.append(f"no stack was found for {part_words(len(missing), len(snapshot.threads), 'thread')}: {shown}")
    return search.stacks, warnings, notes


class _StackSearch:
    """The stacks found so far.

    Attributes:
        stacks: in the order of the threads.
        conflicts: stacks that two threads claim, a sentence each.
    """

    def __init__(self, structures: ProcessStructures, space: AllocationSpace, labels: Labels, partial: bool) -> None:
        self._space, self._labels, self._partial = space, labels, partial
        self._kinds = space.kinds.data
        self._tebs: dict[int, list[Teb]] = {}
        for teb in structures.tebs:
            self._tebs.setdefault(teb.thread_id, []).append(teb)
        self._bottoms: dict[int | None, int | None] = {teb.address: teb.allocation_base for teb in structures.tebs}
        self._wow64 = {teb.pointer_size for teb in structures.tebs} == {4, 8}
        self._names = structures.thread_names
        self._owners: dict[int, int] = {}
        self.stacks: list[Stack] = []
        self.conflicts: list[str] = []

    def take(self, thread: Thread) -> bool:
        """Labels the stacks of a thread; returns whether there is one."""
        found = False
        runtime = None if thread.name else self._names.get(thread.id)
        if runtime is not None:
            thread = replace(thread, name=runtime.name)
        for address, bits, teb_address, evidence in _candidates(thread, self._tebs.get(thread.id, [])):
            index = self._labels.allocation(address)
            if index < 0 or self._kinds[index] not in _PRIVATE_OR_UNKNOWN:
                continue
            if index in self._owners:
                owner = self._owners[index]
                if owner != thread.id:
                    base = int(self._space.bases[index])
                    self.conflicts.append(f"threads {owner} and {thread.id} both claim the stack at 0x{base:x}")
                continue
            if found and evidence != "teb":
                break  # the range or pointer of a thread whose TEBs were read adds nothing
            kind = STACK_64 if self._wow64 and bits == 64 else THREAD_STACK
            details = f"Thread ID: {thread.id}" + (f" ({thread.name})" if thread.name else "")
            label = Label(kind.name, evidence, RegionType.STACK, details, inferred=evidence == "stack-pointer")
            if self._labels.claim(index, label):
                self._owners[index] = thread.id
                found = True
                bottom = self._bottoms.get(teb_address) if evidence == "teb" else None
                stack = measure_stack(
                    thread,
                    self._space,
                    index,
                    bits,
                    teb_address,
                    evidence,
                    partial=self._partial,
                    allocation_base=bottom,
                )
                self.stacks.append(replace(stack, name_evidence=runtime.evidence) if runtime else stack)
        return found


def _candidates(thread: Thread, tebs: list[Teb]) -> Iterator[tuple[int, int | None, int | None, str]]:
    """Yields an address in each place that may be the thread's stack, with bits, TEB, and evidence; surest first."""
    for teb in tebs:
        if teb.stack_base is not None:
            yield teb.stack_base - 1, teb.pointer_size * 8, teb.address, "teb"
    if thread.stack_base is not None and thread.stack_size:
        yield thread.stack_base + thread.stack_size - 1, None, thread.teb, "thread-list"
    if thread.stack_pointer is not None:
        yield thread.stack_pointer, None, thread.teb, "stack-pointer"


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
    """Measures the stack in an allocation. `allocation_base` is the start of the stack according to its TEB."""
    base, end = int(space.bases[index]), int(space.ends[index])
    first = int(space.first[index])
    last = int(space.first[index + 1]) if index + 1 < len(space) else len(space.regions)
    regions = space.regions
    committed = guarded = 0
    sizes, states, protections = regions.size.data, regions.state.data, regions.protect.data
    for region in range(first, last):
        if states[region] == _COMMIT:
            committed += sizes[region]
        if protections[region] & _GUARD:
            guarded += sizes[region]
    pointer = thread.stack_pointer
    inside = pointer is not None and base <= pointer <= end
    # Without a list of regions, the lowest known address is the start of the captured bytes, a few bytes below the
    # stack pointer. As the start of the reservation it would make every stack look exhausted.
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
