"""Regions with a name of their own: TEBs, PEBs, what the PEB points to, and what Linux names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np

from dumpmap.classify.labels import Label, Labels
from dumpmap.model import kinds
from dumpmap.model.memory import Memory
from dumpmap.model.process import NamedRegion, ProcessStructures
from dumpmap.model.snapshot import Snapshot
from dumpmap.model.space import AllocationSpace
from dumpmap.model.types import RegionType
from dumpmap.model.winnt import PAGE_SIZE, MemType, PageProtect

_MAPPED, _READONLY = int(MemType.MEM_MAPPED), int(PageProtect.PAGE_READONLY)
_ACTIVATION_CONTEXT = b"Actx"
"""ACTIVATION_CONTEXT_DATA.Magic, its first field."""

_EVIDENCE = {kinds.USER_SHARED_DATA: "system", kinds.CFG_BITMAP: "pe-header"}
"""Evidence for regions that neither the PEB nor a TEB points to."""

_LINUX_NAMES = {
    "[heap]": Label(kinds.PROGRAM_BREAK.name, "linux-maps", RegionType.HEAP, "[heap]"),
    "[stack]": Label(kinds.MAIN_STACK.name, "linux-maps", RegionType.STACK, "[stack]"),
    "[vdso]": Label(kinds.VDSO.name, "linux-maps"),
    "[vvar]": Label(kinds.VDSO_DATA.name, "linux-maps"),
    "[vvar_vclock]": Label(kinds.VDSO_DATA.name, "linux-maps"),
    "[vsyscall]": Label(kinds.VSYSCALL.name, "linux-maps"),
}


def mark_environment_blocks(snapshot: Snapshot, structures: ProcessStructures, labels: Labels) -> None:
    """Marks the pages of every TEB and PEB.

    Since Windows 10 1703 all of them lie in one shared reservation, so the label goes to the pages and not to the
    allocation.
    """
    known = set()
    wow64 = {teb.pointer_size for teb in structures.tebs} == {4, 8}
    for teb in structures.tebs:
        known.add(teb.address)
        pages = 2 if teb.pointer_size == 8 else 1
        bits = f" ({teb.pointer_size * 8}-bit)" if wow64 else ""
        _mark_pages(
            labels,
            teb.address,
            pages,
            Label(kinds.TEB.name, "teb", details=f"Thread Environment Block ID: {teb.thread_id}{bits}"),
        )
    for thread in snapshot.threads:
        if thread.teb is not None and thread.teb not in known and snapshot.process.os.family == "windows":
            pages = 2 if snapshot.process.pointer_size == 8 else 1
            _mark_pages(
                labels,
                thread.teb,
                pages,
                Label(kinds.TEB.name, "thread-list", details=f"Thread Environment Block ID: {thread.id}"),
            )
    for peb in structures.pebs:
        bits = f"{peb.pointer_size * 8}-bit" if len(structures.pebs) > 1 else ""
        _mark_pages(labels, peb.address, 1, Label(kinds.PEB.name, "peb", details=bits))


def _mark_pages(labels: Labels, address: int, pages: int, label: Label) -> None:
    start = address & ~(PAGE_SIZE - 1)
    index = labels.allocation(start)
    if index >= 0:
        labels.mark(start, min(start + pages * PAGE_SIZE, int(labels.ends[index])), label)


def claim_marked(labels: Labels, space: AllocationSpace) -> None:
    """Names otherwise unnamed allocations after the pages marked in them: `TEB`, or `PEB, TEB` where both share one."""
    marked: dict[int, dict[str, list[str]]] = {}
    details: dict[int, set[str]] = {}
    for mark in labels.marks:
        index = labels.allocation(mark.start)
        if index >= 0 and not labels.claimed[index] and mark.label.kind in (kinds.TEB.name, kinds.PEB.name):
            marked.setdefault(index, {}).setdefault(mark.label.kind, []).append(mark.label.evidence)
            details.setdefault(index, set()).add(mark.label.details)
    for index, found in marked.items():
        only = details[index].pop() if len(details[index]) == 1 else ""
        labels.claim(index, Label(", ".join(sorted(found)), next(iter(found.values()))[0], details=only))
        for evidence in found.values():
            for one in evidence:
                labels.add_evidence(index, one)


def label_named(structures: ProcessStructures, space: AllocationSpace, labels: Labels) -> None:
    """Names the allocations that a pointer in the PEB or a fixed address identifies."""
    for region in structures.named:
        index = labels.allocation(region.address)
        if index < 0 or int(space.kinds[index]) == MemType.MEM_IMAGE:
            continue
        evidence = evidence_of(region)
        field = "" if evidence == "system" else region.field
        labels.claim(index, Label(region.kind, evidence, details=field))


def label_activation_contexts(memory: Memory, space: AllocationSpace, labels: Labels) -> None:
    """Names read-only views that begin as an activation context does.

    Programs create such contexts. The PEB names only the process's own and the system's.
    """
    first = space.first
    wanted = (space.kinds == _MAPPED) & ~labels.claimed
    wanted &= space.regions.allocation_protect[first] == _READONLY
    bases = space.bases[wanted]
    for base in memory.find(cast("Sequence[int]", bases), 0, [_ACTIVATION_CONTEXT]) if len(bases) else ():
        labels.claim(labels.allocation(base), Label(kinds.ACTIVATION_CONTEXT.name, "signature", inferred=True))


def label_linux_names(snapshot: Snapshot, space: AllocationSpace, labels: Labels) -> None:
    """Labels what Linux names in brackets: the program break, the main stack, and the kernel's own pages."""
    column = space.regions.texts.get("file")
    if column is None or snapshot.process.os.kernel != "linux":
        return
    wanted = {code: _LINUX_NAMES[text] for code, text in enumerate(column.values) if text in _LINUX_NAMES}
    known = np.zeros(len(column.values) + 1, np.bool_)  # the last is for -1, no name
    known[list(wanted)] = True
    codes = column.codes[space.first]
    for index in known[codes].nonzero()[0].tolist():
        labels.claim(index, wanted[int(codes[index])])


def evidence_of(region: NamedRegion) -> str:
    """Returns the word of evidence for a named region."""
    return _EVIDENCE.get(region.kind, "teb" if region.field.startswith("TEB.") else "peb")
