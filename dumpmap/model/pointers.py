"""Who holds the pointer: private allocations that nothing claims by structure, and where a pointer to them lies."""

from __future__ import annotations

from typing import Literal, get_args

from dumpmap.model.evidence import EvidenceInfo
from dumpmap.model.values import value_class

MODULE_PAIR = "module-pointer-pair"
"""A module's writable data holds the base of the allocation, and beside it its size or its end."""

MODULE_POINTER = "module-pointer"
"""A module's writable data holds the base of the allocation."""

THREAD_POINTER = "thread-pointer"
"""The TEBs of several threads hold, at one offset, the base of a block of one size, each its own."""

OBJECT_POINTER = "object-pointer"
"""An object whose class is known, or a block that a module holds, has the base of the allocation."""

THREADS = "Thread data"
"""Owner of what threads hold."""

EVIDENCE: tuple[EvidenceInfo, ...] = (
    EvidenceInfo(MODULE_PAIR, "A module's data holds the allocation's address and, beside it, its size or its end."),
    EvidenceInfo(MODULE_POINTER, "A module's data holds the allocation's address."),
    EvidenceInfo(
        THREAD_POINTER,
        "The TEBs of several threads hold, at one offset, the address of a block of one size, one block per thread.",
    ),
    EvidenceInfo(OBJECT_POINTER, "An object of a class, or a block that a module holds, has the allocation's address."),
)
"""Every rule, the most certain first, as words of evidence."""

RULES = tuple(word.name for word in EVIDENCE)
"""The words alone."""


OwnerSearch = Literal["structure", "full"]
"""How owners are found: by structure, or also by a search for pointers."""

OWNER_SEARCHES: tuple[OwnerSearch, ...] = get_args(OwnerSearch)
"""The words for it."""


@value_class(frozen=True, slots=True)
class PointerOwner:
    """A private allocation, and who holds a pointer to it. Always inferred: a pointer shows use, not possession.

    Attributes:
        base: the allocation.
        size: its bytes, reserved and committed.
        module: file name of the module that holds it, or whose object does; empty if a thread holds it.
        class_name: class of the object that holds the pointer; empty if the pointer is in the module's own data.
        pointer: address of the pointer.
        place: where that is, for a person: `foo.dll+0x1234 (.data)`.
        rule: one of `RULES`.
        hits: how many pointers to it the same module or its objects hold.
    """

    base: int
    size: int
    module: str
    class_name: str
    pointer: int
    place: str
    rule: str
    hits: int

    @property
    def owner(self) -> str:
        """Who: the module, or `THREADS`."""
        return self.module or THREADS

    @property
    def instance(self) -> str:
        """Which part of the owner: the objects of one class, if they hold it."""
        return f"held by {self.class_name}" if self.class_name else ""


@value_class(frozen=True, slots=True)
class PointerSearch:
    """What a search for pointers found, and how far it got. Sizes are bytes.

    Attributes:
        owners: the allocations with an owner, by address.
        candidates: how many allocations were looked for: private ones of 64 KB or more that nothing claims.
        ambiguous: how many of them several modules hold with equal right. They get no owner.
        searched: memory that was searched.
        missing: memory that should have been searched and is not in the input.
        complete: False if a limit stopped the search.
    """

    owners: tuple[PointerOwner, ...] = ()
    candidates: int = 0
    ambiguous: int = 0
    searched: int = 0
    missing: int = 0
    complete: bool = True
