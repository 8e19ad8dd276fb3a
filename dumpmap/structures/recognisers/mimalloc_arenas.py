"""The arenas of mimalloc 3, which has no segments: each is described in itself, and listed by the module.

mimalloc 3 reserves arenas and carves pages out of them. An arena's description lies at its start, or in late releases
behind headers of its pages. It gives the address and size that the system gave mimalloc, the subprocess (a variable of
the module), the arena's index, and the number of its slices. The subprocess lists the addresses of the descriptions. An
arena is claimed only if it describes the very allocation that it lies in and the module that it names lists it.

From public source (microsoft/mimalloc, branch dev3: src/arena.c). Checked on a recorded process of rolldown.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from dumpmap.model.memory import unrecorded
from dumpmap.structures.bounds import round_up
from dumpmap.structures.module_data import ModuleData
from dumpmap.structures.recognisers.protocol import Context, LoadedModule

SLICE = 0x10000
MIN_SIZE = 512 * SLICE
"""An arena has no fewer slices. 32-bit processes are not searched: none was seen."""

FIRST_SLICES = 16
HEADER_SHIFT = 11
"""Late releases keep 32 bytes for each slice before the description."""

MAX_ARENAS = 160
"""As many as mimalloc itself allows."""

_DESCRIPTION = struct.Struct("<8Q")
_OWN = struct.Struct("<QQ")
"""How a description begins: the base and the size of the allocation."""
_SUBPROCESS = 3
_SLICES = (4, 5, 6)
"""Words that can hold the number of slices: behind the subprocess, its index, and the start."""


class Arena(NamedTuple):
    """An arena.

    Attributes:
        base: its address.
        size: its bytes.
        described_at: where its description is.
        listed_at: where the module lists it.
        module: the module that mimalloc is linked into.
    """

    base: int
    size: int
    described_at: int
    listed_at: int
    module: LoadedModule


def find_arenas(context: Context) -> Iterator[Arena]:
    """Yields the arenas of a 64-bit process, by address."""
    if context.pointer_size != 8:
        return
    described = {at: arena for at, *arena in _described(context)}
    if not described:
        return
    listed: dict[int, Arena] = {}
    for word in ModuleData(context, 8).find(described):
        base, size, subprocess = described[word.value]
        if word.value not in listed and _holds(word.module, subprocess):
            listed[word.value] = Arena(base, size, word.value, word.address, word.module)
    for at, arena in sorted(listed.items()):
        context.memory.read(at, _DESCRIPTION.size)
        context.memory.read(arena.listed_at, 8)
        yield arena


def _described(context: Context) -> Iterator[tuple[int, int, int, int]]:
    """Yields what describes the allocation that it lies in: where, the allocation's base and size, the subprocess."""
    memory = unrecorded(context.memory)
    possible = [allocation for allocation in context.large_allocations if allocation[1] >= MIN_SIZE][:MAX_ARENAS]
    captured = set(context.captured_large_allocations)
    large = [allocation for allocation in possible if allocation in captured]
    if not large:
        return
    allocations: dict[int, tuple[int, int]] = {}
    for base, size in large:
        offsets = (*range(0, FIRST_SLICES * SLICE, SLICE), round_up(size >> HEADER_SHIFT, SLICE))
        allocations.update((base + offset, (base, size)) for offset in offsets)
    # One search for all places: a description begins with the allocation's own base and size.
    places = sorted(allocations)
    own = [_OWN.pack(base, size) for base, size in large]
    done: set[int] = set()
    for at, pattern in sorted(memory.find(places, 0, own).items()):
        base, size = allocations[at]
        data = memory.read(at, _DESCRIPTION.size) if base not in done and pattern == _OWN.pack(base, size) else None
        if data is None:
            continue
        words = _DESCRIPTION.unpack(data)
        if any(words[index] * SLICE == size and 0 < words[index + 1] < words[index] for index in _SLICES):
            done.add(base)
            if any(_holds(module, words[_SUBPROCESS]) for module in context.modules):
                yield at, base, size, words[_SUBPROCESS]


def _holds(module: LoadedModule, address: int) -> bool:
    return module.base <= address < module.base + module.size
