"""What recognisers find in a process: labelled ranges, heaps, and runtimes. Values only.

`dumpmap.structures.recognisers` says what a recogniser is. Only the standard library is used here: the live capture
runs recognisers on a bare Python.
"""

from __future__ import annotations

from typing import Any

from dumpmap.model.heaps import HeapInfo
from dumpmap.model.types import RegionType
from dumpmap.model.values import value_class


@value_class(frozen=True, slots=True)
class LabelledRange:
    """A run of address space whose use a recogniser has proved. Sizes are bytes.

    Attributes:
        base: its first byte.
        size: its bytes.
        kind: one of the kinds that the recogniser declares.
        evidence: one of the words of evidence that the recogniser declares.
        type: the type that the range gets. None keeps the type that the memory map gives, and the label is a name only.
        details: what the row's details say.
        inferred: established by a guess, not by a recorded fact.
        committed: bytes from `base` on that are committed; None if only the memory map knows. Used for inputs without
            a memory map.
        whole_kind: kind of an allocation that such ranges fill; None for `kind`.
        takes_allocation: label the whole allocation, however little of it the range covers. Otherwise an allocation is
            labelled where such ranges make up most of it.
        may_be_mapped: it may also lie in a view of a section, as generated code does that is mapped twice.
        owner: who took the memory, such as `.NET`.
        module: file name of the module that owns it, where there is one.
        instance: which of several heaps or isolates of the owner, such as `heap 3`.
    """

    base: int
    size: int
    kind: str
    evidence: str
    type: RegionType | None = None
    details: str = ""
    inferred: bool = False
    committed: int | None = None
    whole_kind: str | None = None
    takes_allocation: bool = False
    may_be_mapped: bool = False
    owner: str = ""
    module: str = ""
    instance: str = ""


@value_class(frozen=True, slots=True)
class Runtime:
    """A runtime that is loaded in the process, whether or not its memory could be read.

    Attributes:
        name: such as `.NET` or `.NET Framework`.
        module: file name, in lower case, of the module that holds it.
        base: where that module is loaded.
        variant: which build of the runtime, where the module says so, such as `server`.
    """

    name: str
    module: str
    base: int
    variant: str | None = None


@value_class(frozen=True, slots=True)
class OwnerFacts:
    """What a runtime states about one of its heaps. Sizes are bytes; None is unknown.

    Attributes:
        owner: as in `LabelledRange`.
        module: as in `LabelledRange`.
        instance: as in `LabelledRange`.
        version: version of the runtime.
        used: bytes of objects, dead ones included.
        limit: the most that the heap may take.
    """

    owner: str
    module: str
    instance: str
    version: str | None = None
    used: int | None = None
    limit: int | None = None


@value_class(frozen=True, slots=True)
class ThreadName:
    """What a runtime calls one of its threads.

    Attributes:
        thread_id: the thread's number in the system.
        name: its name.
        evidence: one of the words of evidence that the recogniser declares.
    """

    thread_id: int
    name: str
    evidence: str


@value_class(frozen=True, slots=True)
class Found:
    """What one recogniser found.

    Attributes:
        ranges: memory with a proven use. Ranges of one recogniser do not overlap.
        heaps: heaps in the Windows sense, with their own ranges.
        runtimes: runtimes that are loaded.
        facts: further values of the recogniser's own classes; `ProcessStructures.facts_of` selects them by class.
        notes: what the input lacks or what could not be read, a sentence each.
        warnings: contradictions and damage, a sentence each.
        unread_type: type of the memory of a runtime that is loaded but could not be read. Unless something else proves
            such memory, the figures of that type are unknown.
    """

    ranges: tuple[LabelledRange, ...] = ()
    heaps: tuple[HeapInfo, ...] = ()
    runtimes: tuple[Runtime, ...] = ()
    facts: tuple[Any, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    unread_type: RegionType | None = None
