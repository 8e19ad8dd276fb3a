"""Finds the managed heaps of a process: the memory of the .NET garbage collectors in it.

A runtime lives in coreclr.dll or, where a program was published as a single file, in the program itself. Its collector
describes itself in two ways: a contract descriptor (with the collector's part since .NET 11), and `GcDacVars`. The .NET
Framework (clr.dll) publishes neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dumpmap.model.evidence import EvidenceInfo
from dumpmap.model.kinds import KindInfo
from dumpmap.model.managed_heaps import (
    BOOKKEEPING,
    CONTRACT,
    DAC_VARS,
    FREE_REGION,
    FROZEN,
    GENERATION_KINDS,
    RESERVE,
    WHOLE,
    ManagedHeap,
)
from dumpmap.model.process import PeImage
from dumpmap.model.recognised import Found, LabelledRange, Runtime
from dumpmap.model.types import RegionType
from dumpmap.structures.contract import read_contract
from dumpmap.structures.gc_contract import contract_roots
from dumpmap.structures.gc_dac_vars import find_dac_vars, roots_of
from dumpmap.structures.gc_roots import GcRoots
from dumpmap.structures.gc_walk import walk_heaps
from dumpmap.structures.pe import find_export, writable_ranges
from dumpmap.structures.recognisers import DOTNET_EXPORTS
from dumpmap.structures.recognisers.protocol import Context, LoadedModule

MAX_RUNTIMES = 16
"""Runtimes of one process that are read. More than one is rare already."""

NAME, FRAMEWORK = ".NET", ".NET Framework"

_CORE = "coreclr.dll"
_FRAMEWORK_VARIANTS = {"clr.dll": None, "mscorwks.dll": None, "mscorsvr.dll": "server"}
_STANDALONE_COLLECTOR = "clrgc"
_DESCRIPTOR = DOTNET_EXPORTS[1]

_COLLECTOR = "The collector's own segments and regions."


def _kind(name: str, meaning: str, source: str = _COLLECTOR) -> KindInfo:
    return KindInfo(name, RegionType.MANAGED_HEAP, meaning, source)


KINDS: tuple[KindInfo, ...] = (
    *(_kind(name, f"Small objects of generation {number}.") for number, name in enumerate(GENERATION_KINDS[:3])),
    _kind(GENERATION_KINDS[3], "Objects of 85,000 bytes or more."),
    _kind(GENERATION_KINDS[4], "Objects that the program pinned when it allocated them (.NET 5 and later)."),
    _kind(FROZEN, "A read-only segment: objects, such as string literals, that are never collected."),
    _kind(FREE_REGION, "A committed region that holds no objects at the moment."),
    _kind(RESERVE, "Address space that the collector has reserved but not committed."),
    _kind(BOOKKEEPING, "The collector's card tables, brick tables, and mark bits."),
    _kind(WHOLE, "An allocation that consists mostly of such ranges."),
)

EVIDENCE: tuple[EvidenceInfo, ...] = (
    EvidenceInfo(DAC_VARS, "The .NET garbage collector's list of its own variables, followed to every segment."),
    EvidenceInfo(CONTRACT, "The .NET runtime's description of its own structures, followed to every segment."),
)


def find(context: Context) -> Found:
    """Finds the .NET runtimes of a process and the memory of those that can be read."""
    hosts = _hosts(context)
    runtimes = [Runtime(NAME, module.name, module.base) for module in hosts]
    runtimes += [
        Runtime(FRAMEWORK, module.name, module.base, _FRAMEWORK_VARIANTS[module.name])
        for module in context.modules
        if module.name in _FRAMEWORK_VARIANTS
    ]
    heaps: list[ManagedHeap] = []
    notes: list[str] = []
    warnings: list[str] = []
    for module in hosts[:MAX_RUNTIMES]:
        heap = _read(context, module, notes, warnings)
        if heap is not None:
            heaps.append(heap)
    notes += _about_unread(context, heaps)
    return Found(
        ranges=tuple(part for heap in heaps for part in _labelled(heap)),
        runtimes=tuple(runtimes),
        facts=tuple(heaps),
        notes=tuple(notes),
        warnings=tuple(warnings),
        unread_type=None if heaps else RegionType.MANAGED_HEAP,
    )


def _hosts(context: Context) -> list[LoadedModule]:
    """The modules that hold a runtime which may describe itself; only Windows's are read."""
    if context.family != "windows":
        return []
    programs = context.programs_exporting(DOTNET_EXPORTS)
    return [module for module in context.modules if module.name == _CORE or module in programs]


def _about_unread(context: Context, heaps: Sequence[ManagedHeap]) -> Iterator[str]:
    """Says what managed memory the map cannot show."""
    has_framework = not context.names.isdisjoint(_FRAMEWORK_VARIANTS)
    if heaps and has_framework:
        yield "the .NET Framework is also loaded; its managed heap could not be located and counts as Private Data"
    elif not heaps and not context.reported_managed_heaps:
        why = ", because the .NET Framework does not publish its location" if has_framework else ""
        yield f"a .NET runtime is loaded, but its managed heap could not be located{why}; it counts as Private Data"


def _read(context: Context, module: LoadedModule, notes: list[str], warnings: list[str]) -> ManagedHeap | None:
    """Reads the heap of one runtime. Adds to `notes` what is missing, and to `warnings` what contradicts itself."""
    image = context.image_of(module)
    if image is None:
        notes.append(f"{module.name}: its headers are not in the dump, so its managed heap could not be located")
        return None
    variables = writable_ranges(module.base, image)
    # A collector in a module of its own keeps its variables there.
    collectors = [other for other in context.modules if other.name.startswith(_STANDALONE_COLLECTOR)]
    for other in collectors[:MAX_RUNTIMES]:
        headers = context.image_of(other)
        variables += writable_ranges(other.base, headers) if headers is not None else []
    reasons: list[str] = []
    # `GcDacVars` comes first: it has led to the heaps of real runtimes, and then a snapshot need not carry the 10 KB of
    # the descriptor's text.
    for read_roots in (_by_variables, _by_contract):
        roots = read_roots(context, module.base, image, variables)
        if isinstance(roots, str):
            reasons.append(roots)
            continue
        heap, lost, wrong = walk_heaps(context.memory, context.space, roots, module.name, module.base)
        notes += lost
        warnings += wrong
        if heap is not None:
            return heap
        reasons += lost or wrong
    notes.append(f"{module.name}: its managed heap could not be located ({'; '.join(reasons)})")
    return None


def _by_variables(context: Context, base: int, image: PeImage, variables: Sequence[tuple[int, int]]) -> GcRoots | str:
    """The roots that `GcDacVars` names."""
    found = find_dac_vars(context.memory, base, image, variables)
    return "no known form of GcDacVars is in the dump" if found is None else roots_of(context.memory, found)


def _by_contract(context: Context, base: int, image: PeImage, _: Sequence[tuple[int, int]]) -> GcRoots | str:
    """The roots that the contract descriptor names."""
    export = find_export(context.memory, base, image, _DESCRIPTOR)
    if export is None:
        return "the runtime exports no contract descriptor"
    contract = read_contract(context.memory, export, image.pointer_size, (base, base + image.size_of_image))
    roots = contract if isinstance(contract, str) else contract_roots(context.memory, contract)
    return f"contract descriptor: {roots}" if isinstance(roots, str) else roots


def _labelled(heap: ManagedHeap) -> Iterator[LabelledRange]:
    """The ranges of a heap, labelled."""
    for part in heap.ranges:
        instance = "" if part.heap is None else f"heap {part.heap}"
        yield LabelledRange(
            base=part.base,
            size=part.size,
            kind=part.kind,
            evidence=heap.evidence,
            type=RegionType.MANAGED_HEAP,
            details=f"{heap.module}, {instance}" if instance else heap.module,
            inferred=heap.inferred,
            # How much of the bookkeeping memory is committed only the memory map knows.
            committed=None if part.kind == BOOKKEEPING else 0 if part.kind == RESERVE else part.size,
            whole_kind=None if part.kind == BOOKKEEPING else WHOLE,
            owner=NAME,
            module=heap.module,
            instance=instance,
        )
