"""Finds the managed heaps of a process: the memory of the .NET garbage collectors in it.

A runtime lives in coreclr.dll or, where a program was published as a single file, in the program itself. Its collector
describes itself in two ways: a contract descriptor (with the collector's part since .NET 11), and `GcDacVars`. The .NET
Framework (clr.dll) has neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dumpmap.model.managed_heaps import GcRoots, ManagedHeap, ManagedSurvey
from dumpmap.model.memory import Memory
from dumpmap.model.process import PeImage
from dumpmap.structures.contract import read_contract
from dumpmap.structures.gc_contract import contract_roots
from dumpmap.structures.gc_dac_vars import find_dac_vars, roots_of, writable_ranges
from dumpmap.structures.gc_walk import walk_heaps
from dumpmap.structures.pe import find_export, read_image
from dumpmap.structures.space import Space

MAX_RUNTIMES = 16
"""Runtimes of one process that are looked at; more than one is rare already."""

_DESCRIPTOR = "DotNetRuntimeContractDescriptor"


def find_managed_heaps(
    memory: Memory,
    space: Space,
    hosts: Sequence[tuple[int, str, PeImage | None]],
    modules: Sequence[tuple[int, str]],
    images: Mapping[int, PeImage],
) -> ManagedSurvey:
    """Finds the managed heaps of a process.

    Args:
        memory: the process.
        space: its allocations.
        hosts: what `dumpmap.structures.runtimes.find_runtimes` found.
        modules: base and file name, in lower case, of every module.
        images: headers that were read already.
    """
    heaps: list[ManagedHeap] = []
    missing: list[str] = []
    warnings: list[str] = []
    # A collector in a module of its own has its variables there.
    apart = [base for base, name in modules if name.startswith("clrgc")][:MAX_RUNTIMES]
    for base, name, image in hosts[:MAX_RUNTIMES]:
        if image is None:
            missing.append(f"{name}: its headers are not in the dump, so its managed heap cannot be told")
            continue
        variables = writable_ranges(base, image)
        for module in apart:
            other = images.get(module) or read_image(memory, module)
            variables += writable_ranges(module, other) if other is not None else []
        reasons = []
        # `GcDacVars` comes first because it was seen to lead to the heaps of real runtimes; and the descriptor's text,
        # 10 KB of it, need not go into a snapshot then.
        for number in range(2):
            roots = _by_contract(memory, base, image) if number else _by_variables(memory, base, image, variables)
            if isinstance(roots, str):
                reasons.append(roots)
                continue
            heap, lost, wrong = walk_heaps(memory, space, roots, name, base)
            missing += lost
            warnings += wrong
            if heap is not None:
                heaps.append(heap)
                break
            reasons += lost or wrong
        else:
            missing.append(f"{name}: its managed heap cannot be told ({'; '.join(reasons)})")
    return ManagedSurvey(tuple(heaps), tuple(name for _, name, _ in hosts), tuple(missing), tuple(warnings))


def _by_variables(memory: Memory, base: int, image: PeImage, variables: Sequence[tuple[int, int]]) -> GcRoots | str:
    """The roots that `GcDacVars` names."""
    found = find_dac_vars(memory, base, image, variables)
    return "no GcDacVars of a known form is in the dump" if found is None else roots_of(memory, found)


def _by_contract(memory: Memory, base: int, image: PeImage) -> GcRoots | str:
    """The roots that the contract descriptor names."""
    export = find_export(memory, base, image, _DESCRIPTOR)
    if export is None:
        return "no contract descriptor is exported"
    contract = read_contract(memory, export, image.pointer_size, (base, base + image.size_of_image))
    roots = contract if isinstance(contract, str) else contract_roots(memory, contract)
    return f"contract descriptor: {roots}" if isinstance(roots, str) else roots
