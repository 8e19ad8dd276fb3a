"""Reads a process's memory from any source.

A `Memory` answers one question: which bytes did the process have at this address? It returns all requested bytes or
none; it never pads, guesses or shortens. All code that interprets process memory reads it through a `Memory`, so a
`RecordingMemory` knows which bytes a result was built from.

Only the standard library is used here: the live capture runs this module on a bare Python.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Protocol, TypeVar

Excerpt = tuple[int, bytes]
"""An address and the bytes that the process had there."""


class Readable(Protocol):
    """What can be read by virtual address."""

    def read(self, address: int, size: int) -> bytes | None:
        """Returns exactly `size` bytes at `address`, or None if any of them is missing."""
        ...


class Memory(Readable, Protocol):
    """Bytes of one process, by virtual address. Addresses are unsigned; sizes are bytes; ends are exclusive."""

    def find(self, addresses: Sequence[int], offset: int, patterns: Collection[bytes]) -> dict[int, bytes]:
        """Returns the `addresses` that have one of `patterns` at `offset`, with that pattern.

        The addresses ascend; there can be a million. All patterns have the same length. Use this to search a whole
        address space for signatures: a source can answer in bulk, and a recording keeps the hits only.
        """
        ...

    def find_each(
        self, addresses: Sequence[int], offsets: Sequence[int], patterns: Collection[bytes]
    ) -> list[dict[int, bytes]]:
        """Returns what `find` returns for each of several offsets, which are near each other: one look for all."""
        ...

    def read_each(self, addresses: Sequence[int], size: int) -> list[bytes | None]:
        """Returns what `read` returns for each of several addresses. A source can answer in bulk."""
        ...

    def ranges(self) -> Sequence[tuple[int, int]]:
        """Returns the (address, size) ranges that can be read: sorted, without overlaps, adjacent ones joined."""
        ...

    def held(self) -> int:
        """Returns how many bytes can be read."""
        ...


def find_by_reading(
    memory: Memory, addresses: Sequence[int], offset: int, patterns: Collection[bytes]
) -> dict[int, bytes]:
    """Answers `Memory.find` one read at a time, for sources without a faster way."""
    wanted = set(patterns)
    if not wanted:
        return {}
    size = len(next(iter(wanted)))
    found = {}
    for address in addresses:
        data = memory.read(address + offset, size)
        if data in wanted:
            found[address] = data
    return found


class SimpleMemory:
    """What a memory answers by asking itself, where it has no faster way."""

    def find_each(
        self: Memory, addresses: Sequence[int], offsets: Sequence[int], patterns: Collection[bytes]
    ) -> list[dict[int, bytes]]:
        """See `Memory.find_each`."""
        return [self.find(addresses, offset, patterns) for offset in offsets]

    def read_each(self: Memory, addresses: Sequence[int], size: int) -> list[bytes | None]:
        """See `Memory.read_each`."""
        return [self.read(address, size) for address in addresses]

    def held(self: Memory) -> int:
        """See `Memory.held`."""
        return sum(size for _, size in self.ranges())


class ExcerptMemory(SimpleMemory):
    """Memory as a list of excerpts, as a JSON snapshot contains it.

    Excerpts can overlap. Where they disagree, the one that starts lower wins, then the longer one.
    """

    def __init__(self, excerpts: Iterable[Excerpt] = ()) -> None:
        self._starts: list[int] = []
        self._blocks: list[bytes] = []
        pending: list[bytes] = []
        start = end = 0
        for address, data in sorted(excerpts, key=lambda excerpt: (excerpt[0], -len(excerpt[1]))):
            if pending and address <= end:
                fresh = data[end - address :]
            else:
                if pending:
                    self._append(start, pending)
                pending, start, end, fresh = [], address, address, data
            pending.append(fresh)
            end += len(fresh)
        if pending:
            self._append(start, pending)

    def _append(self, start: int, parts: list[bytes]) -> None:
        data = b"".join(parts)
        if data:
            self._starts.append(start)
            self._blocks.append(data)

    def read(self, address: int, size: int) -> bytes | None:
        """See `Memory.read`."""
        index = bisect_right(self._starts, address) - 1
        if index < 0 or size <= 0:
            return None
        offset = address - self._starts[index]
        data = self._blocks[index][offset : offset + size]
        return data if len(data) == size else None

    def find(self, addresses: Sequence[int], offset: int, patterns: Collection[bytes]) -> dict[int, bytes]:
        """See `Memory.find`. Excerpts are few and short, so this searches them instead of reading at each address."""
        hits = []
        for pattern in set(patterns):
            for start, data in zip(self._starts, self._blocks, strict=True):
                at = data.find(pattern)
                while at >= 0:
                    address = start + at - offset
                    index = bisect_left(addresses, address)
                    if index < len(addresses) and addresses[index] == address:
                        hits.append((address, pattern))
                    at = data.find(pattern, at + 1)
        return dict(sorted(hits))

    def ranges(self) -> Sequence[tuple[int, int]]:
        """See `Memory.ranges`."""
        return [(start, len(data)) for start, data in zip(self._starts, self._blocks, strict=True)]


class LiveMemory(SimpleMemory):
    """Memory of a running process, read through one function of the operating system.

    Args:
        read_memory: returns `size` bytes at an address, or None if any of them cannot be read.
    """

    def __init__(self, read_memory: Callable[[int, int], bytes | None]) -> None:
        self._read_memory = read_memory

    def read(self, address: int, size: int) -> bytes | None:
        """See `Memory.read`."""
        if size <= 0:
            return None
        data = self._read_memory(address, size)
        return data if data is not None and len(data) == size else None

    def find(self, addresses: Sequence[int], offset: int, patterns: Collection[bytes]) -> dict[int, bytes]:
        """See `Memory.find`."""
        return find_by_reading(self, addresses, offset, patterns)

    def ranges(self) -> Sequence[tuple[int, int]]:
        """Returns nothing: the ranges of a live process are not known in advance."""
        return []


_T = TypeVar("_T")


def attempt(memory: Memory, read: Callable[[], _T | None]) -> _T | None:
    """Calls a function that reads a structure; if there is none, a recording forgets the bytes that it looked at.

    What lies at an address that only seems to be a heap or a thread block can be anything, such as a password. Without
    those bytes, the same function finds nothing there again.
    """
    if not isinstance(memory, RecordingMemory):
        return read()
    before = memory.mark()
    found = read()
    if found is None:
        memory.forget(before)
    return found


def unrecorded(memory: Memory) -> Memory:
    """Returns the memory behind a recording, for a look at bytes that may turn out not to matter."""
    return memory.inner if isinstance(memory, RecordingMemory) else memory


class Glance:
    """The bytes of a structure, read at once. What a reader takes from them is recorded as if it had read that alone.

    Args:
        memory: where to read; also for whatever lies outside.
        address: the structure.
        size: its size.
    """

    def __init__(self, memory: Memory, address: int, size: int) -> None:
        self._memory = memory
        self._start = address
        self._data = unrecorded(memory).read(address, size) or b""
        self._keep = memory.keep if isinstance(memory, RecordingMemory) else None

    def read(self, address: int, size: int) -> bytes | None:
        """See `Memory.read`."""
        at = address - self._start
        if at < 0 or size <= 0 or at + size > len(self._data):
            return self._memory.read(address, size)
        data = self._data[at : at + size]
        if self._keep is not None:
            self._keep(address, data)
        return data


class RecordingMemory:
    """Reads from another memory and keeps every byte that it returns."""

    def __init__(self, inner: Memory) -> None:
        self._inner = inner
        self._seen: dict[tuple[int, int], bytes] = {}

    def read(self, address: int, size: int) -> bytes | None:
        """See `Memory.read`."""
        data = self._inner.read(address, size)
        if data is not None:
            self._seen[address, size] = data
        return data

    def find(self, addresses: Sequence[int], offset: int, patterns: Collection[bytes]) -> dict[int, bytes]:
        """See `Memory.find`. It keeps the hits only: a miss in the recording is a miss again."""
        return self.find_each(addresses, (offset,), patterns)[0]

    def find_each(
        self, addresses: Sequence[int], offsets: Sequence[int], patterns: Collection[bytes]
    ) -> list[dict[int, bytes]]:
        """See `Memory.find_each`."""
        found = self._inner.find_each(addresses, offsets, patterns)
        for offset, hits in zip(offsets, found, strict=True):
            for address, data in hits.items():
                self._seen[address + offset, len(data)] = data
        return found

    def read_each(self, addresses: Sequence[int], size: int) -> list[bytes | None]:
        """See `Memory.read_each`."""
        found = self._inner.read_each(addresses, size)
        self._seen.update(
            {(address, size): data for address, data in zip(addresses, found, strict=True) if data is not None}
        )
        return found

    def ranges(self) -> Sequence[tuple[int, int]]:
        """See `Memory.ranges`."""
        return self._inner.ranges()

    def held(self) -> int:
        """See `Memory.held`."""
        return self._inner.held()

    def keep(self, address: int, data: bytes) -> None:
        """Records bytes that were read from the memory behind it."""
        self._seen[address, len(data)] = data

    def mark(self) -> int:
        """Returns a place in the recording, for `forget`."""
        return len(self._seen)

    def forget(self, mark: int) -> None:
        """Drops what was recorded since."""
        while len(self._seen) > mark:
            self._seen.popitem()

    @property
    def inner(self) -> Memory:
        """The memory that it reads from."""
        return self._inner

    def excerpts(self) -> list[Excerpt]:
        """Returns the bytes that were read so far, sorted and joined."""
        merged = ExcerptMemory((address, data) for (address, _), data in self._seen.items())
        return list(zip(merged._starts, merged._blocks, strict=True))
