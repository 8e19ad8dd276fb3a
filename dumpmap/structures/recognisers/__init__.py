"""The registry of recognisers: heap families, runtimes, and allocators.

To add one:

1. Write a module in this package that defines `KINDS`, `EVIDENCE`, and `find(context) -> Found` (see
   `protocol.RecogniserModule`). A range whose `type` is None keeps VMMap's type and gets only a name and an owner.
2. Add an entry to `RECOGNISERS`, with a trigger that costs nothing where the family is absent.
3. Describe it on a page in docs/, and run `python -m tests.docs_in_step --write`: docs/classification.md lists every
   kind and word of evidence.

Classification labels the ranges in the order of the registry. The first label of a page or allocation stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from dumpmap.model.memory import unrecorded
from dumpmap.structures.recognisers.protocol import Context, LoadedModule, Mark, Recogniser


def _may_have_windows_heaps(context: Context) -> bool:
    return context.family == "windows" and (len(context.pebs) > 0 or len(context.private_allocations) > 0)


def _has_reported_heaps(context: Context) -> bool:
    return bool(context.reported_heaps or context.reported_managed_heaps)


def _has_openblas(context: Context) -> bool:
    return any("openblas" in name for name in context.names)


def _may_have_segments(context: Context) -> bool:
    if context.family != "windows" or not context.large_allocations:
        return False
    # Segments of 32-bit processes can be in smaller allocations as well.
    narrow = context.pointer_size == 4 or any(teb.pointer_size == 4 for teb in context.tebs)
    return narrow or len(context.captured_large_allocations) > 0


WINE_STACK = {8: 0x370, 4: 0x214}
"""Where Wine keeps the base of a thread's second stack in the TEB, by pointer size. Windows has zeros there."""


def _has_a_teb_of_wine(context: Context) -> bool:
    if not context.tebs:
        return False
    teb = context.tebs[0]
    data = unrecorded(context.memory).read(teb.address + WINE_STACK[teb.pointer_size], teb.pointer_size)
    return data is not None and any(data) and not any(data[:2])


DOTNET_EXPORTS = ("DotNetRuntimeInfo", "DotNetRuntimeContractDescriptor")
"""Exports of a program that was published as a single file with the runtime in it; the first since .NET 5."""

CLR_SECTION = ".CLR_UEF"
"""A section of every module that holds a runtime of .NET, with its handler of unhandled exceptions."""

_LARGEST_EXPORTS = 0x10000


def programs_with_lost_clr(context: Context) -> list[LoadedModule]:
    """Returns the programs that hold a runtime of .NET by their sections, and whose exports are not in the memory."""
    found = []
    for module in context.exporting:
        image = context.images[module.base]
        rva, size = image.exports
        holds = any(section.name == CLR_SECTION for section in image.sections)
        if holds and context.memory.read(module.base + rva, min(size, _LARGEST_EXPORTS)) is None:
            found.append(module)
    return found


def _has_lost_clr(context: Context) -> bool:
    return bool(programs_with_lost_clr(context))


GO_MARK = Mark(".symtab", (".bss", 0x10000), b"\xff Go buildinf:", 16, 128)
"""Go's linker makes a section `.symtab` in programs for Windows, and build information, which can be removed. GCC's
links Go programs with C code in them, and makes a section `.bss`, in which the runtime has 64 KB. MSVC's makes neither.
"""

PYTHON_DLLS = frozenset(f"python3{minor}{threads}.dll" for minor in range(6, 20) for threads in ("", "t"))
"""Libraries of CPython; python3.dll only forwards to one of them. `t` stands for a free-threaded build."""

PYTHON_EXPORTS = ("_PyRuntime",)
"""Exports of a program that has CPython (3.7 and later) linked in."""
V8_HOSTS = frozenset(("node.exe", "electron.exe", "chrome.dll", "msedge.dll", "libcef.dll"))
"""Modules that hold V8."""

V8_EXPORTS = ("?major_@Version@internal@v8@@0HA", "GetHandleVerifier")
"""Exports of programs that hold V8 or Chromium."""

RECOGNISERS: tuple[Recogniser, ...] = (
    Recogniser("Windows heaps", "windows_heaps", "classification.md", condition=_may_have_windows_heaps),
    Recogniser("Reported heaps", "reported_heaps", "heap-stream.md", condition=_has_reported_heaps),
    Recogniser(
        ".NET",
        "dotnet",
        "managed-heap.md",
        modules=frozenset(
            ("coreclr.dll", "clr.dll", "mscorwks.dll", "mscorsvr.dll", "clrgc.dll", "clrjit.dll", "libcoreclr.so")
        ),
        exports=DOTNET_EXPORTS,
        condition=_has_lost_clr,
    ),
    Recogniser("Wine", "wine", "classification.md", condition=_has_a_teb_of_wine),
    Recogniser("Java", "hotspot", "owners.md", modules=frozenset(("jvm.dll",))),
    Recogniser("Go", "go", "owners.md", mark=GO_MARK),
    Recogniser("Python", "python", "owners.md", modules=PYTHON_DLLS, exports=PYTHON_EXPORTS),
    Recogniser(
        "V8",
        "v8",
        "owners.md",
        modules=V8_HOSTS,
        exports=V8_EXPORTS,
    ),
    Recogniser("mimalloc", "mimalloc", "owners.md", condition=_may_have_segments),
    Recogniser(
        "PartitionAlloc",
        "partition_alloc",
        "owners.md",
        modules=frozenset(("chrome.dll", "msedge.dll", "libcef.dll", "electron.exe", "chrome_elf.dll", "kaleido.exe")),
        exports=("GetHandleVerifier",),
    ),
    Recogniser("mozjemalloc", "mozjemalloc", "owners.md", modules=frozenset(("mozglue.dll",))),
    Recogniser("OpenBLAS", "openblas", "owners.md", condition=_has_openblas),
    Recogniser("Abseil", "abseil", "owners.md", modules=V8_HOSTS, exports=V8_EXPORTS),
)
"""Every recogniser, in the order in which they run."""


class Registry(NamedTuple):
    """Recognisers, and what answers for most of them at once.

    Attributes:
        entries: all, in the order in which they run.
        modules: the names that any of them waits for.
        others: those that can run without such a module and without a program that exports anything.
    """

    entries: tuple[Recogniser, ...]
    modules: frozenset[str]
    others: tuple[Recogniser, ...]

    @classmethod
    def of(cls, entries: tuple[Recogniser, ...]) -> Registry:
        """Makes a registry."""
        modules = frozenset().union(*(one.modules for one in entries))
        return cls(entries, modules, tuple(one for one in entries if one.condition is not None or one.mark is not None))

    def triggered(self, context: Context) -> Iterator[Recogniser]:
        """Yields the recognisers whose triggers hold. Most processes have no runtime, so most are not even asked."""
        silent = not context.exporting and self.modules.isdisjoint(context.names)
        for recogniser in self.others if silent else self.entries:
            if recogniser.is_triggered(context):
                yield recogniser


REGISTRY = Registry.of(RECOGNISERS)
