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

from dumpmap.structures.recognisers.protocol import Context, Mark, Recogniser


def _may_have_windows_heaps(context: Context) -> bool:
    return context.family == "windows" and (len(context.pebs) > 0 or len(context.private_allocations) > 0)


def _has_reported_heaps(context: Context) -> bool:
    return bool(context.reported_heaps or context.reported_managed_heaps)


def _may_have_segments(context: Context) -> bool:
    return context.family == "windows" and len(context.large_allocations) > 0


DOTNET_EXPORTS = ("DotNetRuntimeInfo", "DotNetRuntimeContractDescriptor")
"""Exports of a program that was published as a single file with the runtime in it; the first since .NET 5."""

GO_MARK = Mark(".symtab", (".bss", 0x10000), b"\xff Go buildinf:", 16, 128)
"""Go's linker makes a section `.symtab` in programs for Windows, and build information, which can be removed. GCC's
links Go programs with C code in them, and makes a section `.bss`, in which the runtime has 64 KB. MSVC's makes neither.
"""

PYTHON_DLLS = frozenset(f"python3{minor}{threads}.dll" for minor in range(6, 20) for threads in ("", "t"))
"""Libraries of CPython; python3.dll only forwards to one of them. `t` stands for a free-threaded build."""

PYTHON_EXPORTS = ("_PyRuntime",)
"""Exports of a program that has CPython (3.7 and later) linked in."""

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
    ),
    Recogniser("Java", "hotspot", "owners.md", modules=frozenset(("jvm.dll",))),
    Recogniser("Go", "go", "owners.md", mark=GO_MARK),
    Recogniser("Python", "python", "owners.md", modules=PYTHON_DLLS, exports=PYTHON_EXPORTS),
    Recogniser(
        "V8",
        "v8",
        "owners.md",
        modules=frozenset(("node.exe", "electron.exe", "chrome.dll", "msedge.dll", "libcef.dll")),
        exports=("?major_@Version@internal@v8@@0HA", "GetHandleVerifier"),
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
)
"""Every recogniser, in the order in which they run."""
