"""Unpacking as much as possible of a packed file that is cut off or damaged, and the words for the damage."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from dumpmap.errors import FormatError
from dumpmap.sources.files import ByteSource

CHUNK = 1 << 20
"""Bytes that are read or unpacked at a time."""

HEAD = 4096
"""How many bytes of a packed file's content show whether it is an input."""

_SLICE = 4096
"""How much of a damaged file the decoder gets at a time. It copies what it does not use with every byte it gives."""

_LEAST_FED = 64 << 10
"""How much of any other file the decoder gets at a time at least, however little is wanted of its content."""


class DamageError(Exception):
    """A packed file is cut off or has wrong bytes. What was unpacked before that place is good.

    Attributes:
        nothing: the message if nothing was unpacked before that place.
    """

    def __init__(self, problem: str, nothing: str) -> None:
        super().__init__(problem)
        self.nothing = nothing


class CutError(DamageError):
    """A packed file ends before its content does."""

    def __init__(self, kind: str, source: ByteSource, missing: str = "its content does") -> None:
        where = f"ends at byte {source.size:,}"
        super().__init__(
            f"the {kind} file is cut off: it {where}, before {missing}",
            f"the {kind} file unpacks to nothing: it is empty or cut off (it {where})",
        )


class BrokenError(DamageError):
    """A packed file has wrong bytes in it."""

    def __init__(self, kind: str, error: Exception, place: int | None = None) -> None:
        # zlib puts its own name for the call before the reason, which is `incorrect data check`, for example.
        reason = str(error).rpartition(": ")[2] or type(error).__name__
        where = "" if place is None else f" before byte {place:,}"
        super().__init__(f"the {kind} file is damaged{where} ({reason})", f"the {kind} file is damaged: {reason}")


class Pace:
    """How much to unpack at a time: a lot, but byte by byte after the good part of an attempt that failed.

    Args:
        good: how many bytes the failed attempt unpacked; None for the first attempt.
        chunk: how much to unpack at a time in the first attempt.

    Attributes:
        done: bytes unpacked so far.
        slice: how much of the packed file to feed to the decoder at a time.
    """

    def __init__(self, good: int | None = None, chunk: int = CHUNK) -> None:
        self.done = 0
        self.slice = max(chunk, _LEAST_FED) if good is None else _SLICE
        self._chunk = chunk
        self._good = good

    @property
    def step(self) -> int:
        """How much to unpack in the next step."""
        if self._good is None:
            return self._chunk
        left = self._good - self.done
        return min(left, CHUNK) if left > 0 else 1


def as_far_as_possible(unpacking: Callable[[Pace], Iterator[bytes]], chunk: int = CHUNK) -> Iterator[bytes]:
    """Unpacks a file. If bytes are wrong, it unpacks again, byte by byte at the end: a step that fails gives nothing.

    Args:
        unpacking: unpacks the file from its beginning at a pace.
        chunk: how much to unpack at a time.

    Raises:
        DamageError: after everything before the damage was yielded.
    """
    pace = Pace(chunk=chunk)
    try:
        for out in unpacking(pace):
            pace.done += len(out)
            yield out
    except BrokenError:
        good = pace.done
    else:
        return
    pace = Pace(good)
    for out in unpacking(pace):
        pace.done += len(out)
        if pace.done > good:
            yield out[good - pace.done :]


def beginning_of(chunks: Iterator[bytes]) -> bytes:
    """Returns the first bytes of an unpacked file; none if it cannot be unpacked."""
    head = b""
    with contextlib.suppress(FormatError, DamageError):
        for chunk in chunks:
            head += chunk
            if len(head) >= HEAD:
                break
    return head[:HEAD]


def chunks_of(source: ByteSource, start: int = 0, end: int | None = None, size: int = CHUNK) -> Iterator[bytes]:
    """Yields a part of a source, `size` bytes at a time."""
    stop = source.size if end is None else min(end, source.size)
    for offset in range(start, stop, size):
        yield bytes(source.view(offset, min(size, stop - offset)))
