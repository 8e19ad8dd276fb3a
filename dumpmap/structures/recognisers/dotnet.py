"""Finds the managed heaps of a process: the memory of the .NET garbage collectors in it.

A runtime lives in coreclr.dll or, where a program was published as a single file, in the program itself. Its collector
describes itself in two ways: a contract descriptor (with the collector's part since .NET 11), and `GcDacVars`. Where a
collector has neither, as in the .NET Framework (clr.dll), the runtime's table for debuggers and the content of its
variables lead to the heap.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dumpmap.model.evidence import EvidenceInfo
from dumpmap.model.kinds import KindInfo
from dumpmap.model.managed_heaps import (
    BOOKKEEPING,
    CONTRACT,
    DAC_TABLE,
    DAC_VARS,
    FREE_REGION,
    FROZEN,
    GENERATION_KINDS,
    RESERVE,
    WHOLE,
    ManagedHeap,
)
from dumpmap.model.recognised import Found, LabelledRange, Runtime
from dumpmap.model.types import RegionType
from dumpmap.structures.gc_contract import contract_roots
from dumpmap.structures.gc_dac_table import table_roots
from dumpmap.structures.gc_dac_vars import roots_of
from dumpmap.structures.gc_roots import GcRoots
from dumpmap.structures.gc_walk import walk_heaps
from dumpmap.structures.pe import writable_ranges
from dumpmap.structures.recognisers import DOTNET_EXPORTS, dotnet_memory, programs_with_lost_clr
from dumpmap.structures.recognisers.dotnet_memory import Host, runtime_ranges
from dumpmap.structures.recognisers.protocol import Context, LoadedModule

MAX_RUNTIMES = 16
"""Runtimes of one process that are read. More than one is rare already."""

NAME, FRAMEWORK = ".NET", ".NET Framework"

_CORE = "coreclr.dll"
_FRAMEWORK_VARIANTS = {"clr.dll": None, "mscorwks.dll": None, "mscorsvr.dll": "server"}
_STANDALONE_COLLECTOR = "clrgc"

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
    *dotnet_memory.KINDS,
)

EVIDENCE: tuple[EvidenceInfo, ...] = (
    EvidenceInfo(DAC_VARS, "The .NET garbage collector's list of its own variables, followed to every segment."),
    EvidenceInfo(
        DAC_TABLE,
        "The .NET runtime's table for debuggers, and generations and segments recognized by their content.",
    ),
    EvidenceInfo(CONTRACT, "The .NET runtime's description of its own structures, followed to every segment."),
    *dotnet_memory.EVIDENCE,
)


def find(context: Context) -> Found:
    """Finds the .NET runtimes of a process and the memory of those that can be read."""
    hosts = _hosts(context)
    frameworks = [module for module in context.modules if module.name in _FRAMEWORK_VARIANTS]
    runtimes = [Runtime(NAME, module.name, module.base) for module in hosts]
    runtimes += [
        Runtime(FRAMEWORK, module.name, module.base, _FRAMEWORK_VARIANTS[module.name]) for module in frameworks
    ]
    heaps: list[ManagedHeap] = []
    ranges: list[LabelledRange] = []
    notes: list[str] = []
    warnings: list[str] = []
    for module in (*hosts, *frameworks)[:MAX_RUNTIMES]:
        host = _host(context, module)
        if host is None:
            notes.append(f"{module.name}: its headers are not in the dump, so its managed heap could not be located")
            continue
        heap = _read(host, notes, warnings)
        if heap is not None:
            heaps.append(heap)
            ranges += _labelled(heap)
        ranges += runtime_ranges(host, heap, inferred=_is_framework(module))
    lost = [module for module in programs_with_lost_clr(context) if module not in hosts]
    runtimes += [Runtime(NAME, module.name, module.base) for module in lost]
    notes += [
        f"{module.name}: its exports are not in the dump, so its managed heap could not be located" for module in lost
    ]
    notes += _about_unread(context, heaps)
    return Found(
        ranges=tuple(ranges),
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
    if has_framework and heaps and not any(heap.module in _FRAMEWORK_VARIANTS for heap in heaps):
        yield "the .NET Framework is also loaded; its managed heap could not be located and counts as Private Data"
    elif not heaps and not context.reported_managed_heaps:
        yield "a .NET runtime is loaded, but its managed heap could not be located; it counts as Private Data"


def _host(context: Context, module: LoadedModule) -> Host | None:
    """A module that may hold a runtime; None if its headers are not in the memory."""
    image = context.image_of(module)
    if image is None:
        return None
    variables = writable_ranges(module.base, image)
    # A collector in a module of its own keeps its variables there.
    collectors = [other for other in context.modules if other.name.startswith(_STANDALONE_COLLECTOR)]
    for other in collectors[:MAX_RUNTIMES]:
        headers = context.image_of(other)
        variables += writable_ranges(other.base, headers) if headers is not None else []
    return Host(context, module, image, variables)


def _read(host: Host, notes: list[str], warnings: list[str]) -> ManagedHeap | None:
    """Reads the heap of one runtime. Adds to `notes` what is missing, and to `warnings` what contradicts itself."""
    context, module = host.context, host.module
    reasons: list[str] = []
    # `GcDacVars` comes first: it has led to the heaps of real runtimes.
    for read_roots in (_by_variables, _by_contract, _by_table):
        roots = read_roots(host)
        if isinstance(roots, str):
            reasons.append(roots)
            continue
        inferred = _is_framework(module) or roots.evidence == DAC_TABLE
        heap, lost, wrong = walk_heaps(
            context.memory, context.space, roots, module.name, module.base, inferred=inferred
        )
        notes += lost
        warnings += wrong
        if heap is not None:
            return heap
        reasons += lost or wrong
    notes.append(f"{module.name}: its managed heap could not be located ({'; '.join(filter(None, reasons))})")
    return None


def _is_framework(module: LoadedModule) -> bool:
    """Tells whether a module is the .NET Framework. No dump of such a process has confirmed what is read there."""
    return module.name in _FRAMEWORK_VARIANTS


def _by_variables(host: Host) -> GcRoots | str:
    """The roots that `GcDacVars` names."""
    found = host.dac_vars
    return "no known form of GcDacVars is in the dump" if found is None else roots_of(host.context.memory, found)


def _by_contract(host: Host) -> GcRoots | str:
    """The roots that the contract descriptor names. The .NET Framework has none."""
    if isinstance(host.contract, str):
        return "" if _is_framework(host.module) else host.contract
    roots = contract_roots(host.context.memory, host.contract)
    return f"contract descriptor: {roots}" if isinstance(roots, str) else roots


def _by_table(host: Host) -> GcRoots | str:
    """The roots that the runtime's table for debuggers and the content of its variables lead to."""
    context = host.context
    return table_roots(context.memory, context.space, host.module.base, host.image, host.variables)


def _labelled(heap: ManagedHeap) -> Iterator[LabelledRange]:
    """The ranges of a heap, labelled."""
    words: dict[int | None, tuple[str, str]] = {None: ("", heap.module)}
    for part in heap.ranges:
        if part.heap not in words:
            words[part.heap] = f"heap {part.heap}", f"{heap.module}, heap {part.heap}"
        instance, details = words[part.heap]
        yield LabelledRange(
            base=part.base,
            size=part.size,
            kind=part.kind,
            evidence=heap.evidence,
            type=RegionType.MANAGED_HEAP,
            details=details,
            inferred=heap.inferred,
            # How much of the bookkeeping memory is committed only the memory map knows.
            committed=None if part.kind == BOOKKEEPING else 0 if part.kind == RESERVE else part.size,
            whole_kind=None if part.kind == BOOKKEEPING else WHOLE,
            owner=NAME,
            module=heap.module,
            instance=instance,
        )
