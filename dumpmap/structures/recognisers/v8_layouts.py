"""Where V8 keeps what `v8` reads of a page, and what its spaces are called, by version."""

from __future__ import annotations

from dumpmap.model.values import value_class


@value_class(frozen=True, slots=True)
class PageLayout:
    """Where a page keeps what is needed, as indexes of 64-bit words.

    Attributes:
        name: the versions of V8 that have it.
        detached: whether the words lie elsewhere, where word 1 of the header points to.
        flags: the page's flags; always in the header itself.
        size: SizeOfPage.
        heap: the isolate's Heap.
        area_start: the first byte for objects.
        area_end: the end (exclusive) of that area.
        allocated: bytes of objects.
        owner: the Space.
        reservation: the first of three words: the page allocator, the page's own address, and its size once more.
    """

    name: str
    detached: bool
    flags: int
    size: int
    heap: int
    area_start: int
    area_end: int
    allocated: int
    owner: int
    reservation: int


LAYOUTS = (
    PageLayout("9.1 to 11.3", False, 1, 0, 2, 3, 4, 5, 8, 9),
    PageLayout("12.4", False, 0, 2, 3, 4, 5, 6, 9, 10),
    PageLayout("13.6 to 14.6", True, 0, 6, 8, 9, 7, 3, 10, 0),
)


_RO, _OLD, _CODE, _MAP, _NEW = "read-only space", "old space", "code space", "map space", "new space"


_LO, _CODE_LO, _NEW_LO = "large object space", "code large object space", "new large object space"


_SHARED, _SHARED_LO, _TRUSTED, _TRUSTED_LO = (
    "shared space",
    "shared large object space",
    "trusted space",
    "trusted large object space",
)


_SHARED_TRUSTED, _SHARED_TRUSTED_LO = "shared trusted space", "shared trusted large object space"


NEW_SPACE, OLD_SPACE = _NEW, _OLD
"""Name of the space whose two halves are the semispaces."""


YOUNG_OR_SHARED = frozenset((_NEW, _NEW_LO, _RO, _SHARED, _SHARED_LO, _SHARED_TRUSTED, _SHARED_TRUSTED_LO))
"""Names of the spaces that are no part of an isolate's old generation."""


Version = tuple[int, int]


SPACES: tuple[tuple[Version, Version, tuple[str, ...]], ...] = (
    ((9, 1), (10, 2), (_RO, _OLD, _CODE, _MAP, _LO, _CODE_LO, _NEW_LO, _NEW)),
    ((11, 3), (11, 3), (_RO, _NEW, _OLD, _CODE, _SHARED, _NEW_LO, _LO, _CODE_LO, _SHARED_LO)),
    (
        (12, 4),
        (12, 4),
        (_RO, _NEW, _OLD, _CODE, _SHARED, _TRUSTED, _NEW_LO, _LO, _CODE_LO, _SHARED_LO, _TRUSTED_LO),
    ),
    (
        (13, 6),
        (14, 6),
        (
            _RO,
            _NEW,
            _OLD,
            _CODE,
            _SHARED,
            _TRUSTED,
            _SHARED_TRUSTED,
            _NEW_LO,
            _LO,
            _CODE_LO,
            _SHARED_LO,
            _SHARED_TRUSTED_LO,
            _TRUSTED_LO,
        ),
    ),
)
"""Names of the spaces in the order of their ids, for the versions (first and last) that they were checked on."""


SPACE_MEANINGS = {
    _RO: "Objects that never change, shared by all isolates.",
    _OLD: "Objects that survived collections of the new space.",
    _CODE: "Machine code that V8 generated.",
    _MAP: "Maps (hidden classes) of objects.",
    _NEW: "Newly allocated objects.",
    _LO: "Objects too large for an ordinary page.",
    _CODE_LO: "Machine code too large for an ordinary page.",
    _NEW_LO: "Newly allocated objects too large for an ordinary page.",
    _SHARED: "Objects that several isolates share.",
    _SHARED_LO: "Large objects that several isolates share.",
    _TRUSTED: "Bytecode and other data that must not be corrupted.",
    _TRUSTED_LO: "Large data that must not be corrupted.",
    _SHARED_TRUSTED: "Trusted data that several isolates share.",
    _SHARED_TRUSTED_LO: "Large trusted data that several isolates share.",
}
