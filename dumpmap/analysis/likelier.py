"""Which axis is likelier where a failure for want of memory is recorded and none can be proved. Always an inference."""

from __future__ import annotations

from enum import Enum, auto
from typing import Literal

from dumpmap.analysis.cause import Cause
from dumpmap.analysis.measurements import Measurements
from dumpmap.analysis.room import available_page_file
from dumpmap.model.values import value_class

_LARGE = 32 << 20
"""A request from this size on needs a free block that a 32-bit address space is soon without."""


class Because(Enum):
    """Why an axis is likelier."""

    MORE_THAN_COMMIT_LEFT = auto()
    """The request exceeds what is left of the system's commit limit; `room` is what is left."""
    MORE_THAN_PAGE_FILE = auto()
    """The request exceeds what the writer recorded as available; `room` is that figure."""
    WIDE_SPACE = auto()
    """The address space is wide, and its use is not recorded or small."""
    LARGE_IN_A_NARROW_SPACE = auto()
    """A large request in a 32-bit process."""
    COMMIT_NOT_SHORT = auto()
    """A 32-bit process whose system has commit left."""
    ALL_ENOUGH = auto()
    """Address space and commit have room."""


@value_class(frozen=True, slots=True)
class Likelier:
    """The axis that is likelier.

    Attributes:
        axis: which one; `heap-limit` stands for any limit of an allocator or runtime.
        because: why.
        room: for some reasons, bytes; see `Because`.
        requested: for the same reasons, the bytes that exceed them.
    """

    axis: Literal["address-space", "commit", "heap-limit"]
    because: Because
    room: int | None = None
    requested: int | None = None


def exceeds_commit(m: Measurements, cause: Cause | None) -> bool:
    """Whether the request that failed is more than what is left of the system's commit limit.

    A request that no process could satisfy says nothing about the commit.
    """
    if cause is None or not cause.requested or cause.axis == "request" or m.commit.left is None:
        return False
    return cause.requested > max(m.commit.left, 0)


def likelier_axis(m: Measurements, cause: Cause) -> Likelier | None:
    """Infers the likelier axis; None if one is proved, or if nothing points to one."""
    if cause.axis == "neither":
        return Likelier("heap-limit", Because.ALL_ENOUGH)
    if cause.axis != "unknown":
        return None
    requested, left, narrow = cause.requested or 0, m.commit.left, m.limit.narrow
    if left is not None and exceeds_commit(m, cause):
        return Likelier("commit", Because.MORE_THAN_COMMIT_LEFT, max(left, 0), requested)
    available = available_page_file(m)
    if available is not None and requested > available:
        return Likelier("commit", Because.MORE_THAN_PAGE_FILE, available, requested)
    if not narrow:
        if m.map.process.pointer_size != 8:
            return None
        if m.commit.ratio is None:
            return Likelier("commit", Because.WIDE_SPACE)
        return Likelier("heap-limit", Because.ALL_ENOUGH)
    if requested >= _LARGE:
        return Likelier("address-space", Because.LARGE_IN_A_NARROW_SPACE)
    return None if m.commit.ratio is None else Likelier("address-space", Because.COMMIT_NOT_SHORT)
