"""The pages of owners: who each is, what proves it, what is inferred, and what to do next."""

from __future__ import annotations

from dumpmap.analysis.ownership import STACKS, WINDOWS
from dumpmap.model.pointers import THREADS
from dumpmap.model.values import value_class

_REST = "The memory between proved parts of one allocation"
_NOTHING = "Nothing."
_SUM = "Use `dumpmap owners FILE --by instance` to see which instance has the memory"


@value_class(frozen=True, slots=True)
class OwnerPage:
    """What people should know about an owner.

    Attributes:
        name: the owner without an address or a number.
        what: who that is.
        proof: what establishes it inside the dump.
        inferred: what of it is inferred.
        advice: what to do if it has most of the memory.
        other_names: what people also call it.
    """

    name: str
    what: str
    proof: str
    inferred: str
    advice: str
    other_names: tuple[str, ...] = ()


OWNER_PAGES: tuple[OwnerPage, ...] = (
    OwnerPage(
        "V8",
        "The JavaScript engine of Node.js, Electron, Chromium, and CEF. Each instance is an isolate, which has its own "
        "heap.",
        "Page headers name their page, size, heap, and space, and the sizes of a space's pages add up to what the "
        "space states.",
        f"{_REST}, and the limits of the heap's variables are found by their relations.",
        f"{_SUM}. If the old space or the large object space grows, take a heap snapshot in the program and look for "
        "retained objects. If the new space is large, look at `--max-semi-space-size`.",
        ("Node.js", "Electron", "isolate"),
    ),
    OwnerPage(
        "Java heap",
        "The HotSpot virtual machine: its garbage-collected heap, its code, its classes, and the tables beside the "
        "heap.",
        "The tables of types and fields that jvm.dll exports; every field is read by its name.",
        f"{_REST}; the bitmaps and side tables, which the exported tables do not name.",
        "Compare the heap with `-Xmx` in `dumpmap owners` and `dumpmap diagnose`. If metaspace is large, look for "
        "class loaders that stay alive. A heap dump (`jmap -dump`) names the objects.",
        ("Java", "HotSpot", "JVM", "jvm.dll"),
    ),
    OwnerPage(
        "Go runtime",
        "The runtime of a Go program or library: the heap's arenas and what describes them.",
        "The runtime's own variables, found in the module's data, agree with each other and with the arenas.",
        f"{_REST}.",
        "Compare the memory in use with GOMEMLIMIT in `dumpmap owners`. A heap profile (`pprof`) names the callers.",
        ("Go", "golang"),
    ),
    OwnerPage(
        "Python",
        "CPython's allocator for small objects (pymalloc), by the module that holds it. Larger objects come from the C "
        "runtime's heap and belong to that heap.",
        "The allocator's array of arenas, or its tree of arenas, and the pools in each arena.",
        f"{_REST}.",
        "Compare the blocks in use with the size of the arenas: much free memory in arenas is fragmentation. "
        "`tracemalloc` in the program names the lines that allocate.",
        ("CPython", "pymalloc"),
    ),
    OwnerPage(
        "mimalloc",
        "Microsoft's allocator, built into many Rust and C++ programs. Each instance is a thread.",
        "The cookie in every segment, and the number in the module's variables that the cookie hides; in version 3, "
        "the arena.",
        f"{_REST}.",
        f"{_SUM}. Memory that a thread freed stays in its segments for some time; recent versions give it "
        "back at once with `MIMALLOC_PURGE_DELAY=0`.",
    ),
    OwnerPage(
        "PartitionAlloc",
        "The allocator of Chromium, Electron, and CEF. Each instance is a partition.",
        "The root that every super page names; the root holds the complement of its own address.",
        f"{_REST}.",
        f"{_SUM}. In Chromium, `chrome://tracing` with memory-infra names what is in a partition.",
    ),
    OwnerPage(
        "mozjemalloc",
        "The allocator of Firefox. Each instance is an arena.",
        "At least four chunks name the same arena, and their page maps fit.",
        "All of it: release builds have no signature.",
        "Open about:memory in Firefox; it names what the allocator's memory is used for.",
        ("jemalloc", "Firefox"),
    ),
    OwnerPage(
        ".NET",
        "The runtime of .NET: the garbage collector's heaps and, beside them, code, loader heaps, and handle tables.",
        "The garbage collector's own variables, and the runtime's lists of heaps and code ranges.",
        f"{_REST}.",
        "Look at the generations in `dumpmap heaps`. If generation 2 or the large object heap grows, `dotnet-gcdump` "
        "or SOS (`!dumpheap -stat`) names the types.",
        ("coreclr", "CLR"),
    ),
    OwnerPage(
        ".NET Framework",
        "The runtime of the .NET Framework: the garbage collector's heaps.",
        "The table for debuggers in clr.dll, and segments whose contents fit it.",
        "All of it: the search is verified on relatives of this runtime only.",
        "SOS (`!eeheap -gc`, `!dumpheap -stat`) on the same dump confirms the figures and names the types.",
        ("clr.dll",),
    ),
    OwnerPage(
        "NT heap",
        "A heap of Windows that HeapCreate or the process start made, such as `NT heap 3`; the number is its place in "
        "the list of heaps.",
        "The heap's header, its list of segments, and the checks in them; the process's list of heaps names it.",
        _NOTHING,
        "Look at `dumpmap heaps`: a large uncommitted or fragmented share is not a leak. To find who allocates, turn "
        "on `gflags /i PROGRAM +ust` and compare two dumps with UMDH.",
        ("Heap",),
    ),
    OwnerPage(
        "Segment heap",
        "The newer heap of Windows 10 and 11, which some system programs and packaged apps use.",
        "The heap's signature and its lists of segments, and large allocations that it records.",
        _NOTHING,
        "Look at `dumpmap heaps`. `!heap -s` in WinDbg on the same dump names the blocks.",
    ),
    OwnerPage(
        "Page heap",
        "The debugging heap that `gflags +hpa` turns on: every block has pages of its own, so it takes many times the "
        "memory.",
        "The signature of its root, and its lists of blocks.",
        _NOTHING,
        "Turn page heap off (`gflags /p /disable PROGRAM`) before you judge the memory of the program.",
    ),
    OwnerPage(
        "Wine heap",
        "A heap of Wine, which runs Windows programs on other systems.",
        "The heap's magic number and its lists of subheaps and large blocks.",
        _NOTHING,
        "Look at `dumpmap heaps`. `WINEDEBUG=+heap` logs each call.",
    ),
    OwnerPage(
        "Reported heap",
        "A heap that the process itself reported, under the name that it gave: `process heap`, or `frames (heap)` for "
        "`frames`.",
        "The heap stream of the dump, or what the process told a live capture.",
        _NOTHING,
        "Look at `dumpmap heaps`. The program's source says what the heap is for.",
        ("process heap", "named heap"),
    ),
    OwnerPage(
        "Abseil",
        "The low-level allocator of the Abseil library in Node.js and Chromium.",
        "Headers that hold their own address and that of their arena in disguise.",
        _NOTHING,
        "These arenas are small and stay. Nothing needs to be done.",
    ),
    OwnerPage(
        "OpenBLAS",
        "The library that computes with matrices for NumPy, SciPy, and Julia, by the module that holds it. It takes a "
        "buffer for each thread that computes, 32 MB in most builds.",
        "Two tables of its module, of buffers to use and of buffers to free, agree on each buffer.",
        _NOTHING,
        "The buffers stay until the process ends; this is no leak. To have fewer of them, set `OPENBLAS_NUM_THREADS` "
        "before the program starts.",
        ("BLAS",),
    ),
    OwnerPage(
        "Wine",
        "Wine's side of each thread: the stack for system calls (1 MB).",
        "The address that Wine writes into the thread's environment block.",
        _NOTHING,
        "This memory does not exist on Windows. Subtract it if you compare with a process there.",
    ),
    OwnerPage(
        STACKS,
        "The stacks of the threads, guard pages included.",
        "Thread environment blocks, the list of threads, or stack pointers.",
        _NOTHING,
        "Look at `dumpmap stacks`. If there are many threads, find out who starts them; if stacks are large, lower the "
        "reserve in the program's header or in CreateThread.",
        ("Stack", "Stacks"),
    ),
    OwnerPage(
        WINDOWS,
        "What Windows itself places into the process: environment blocks, code pages, the table of GDI handles.",
        "Pointers in the process and thread environment blocks.",
        _NOTHING,
        "This memory comes with the process and its threads. Nothing needs to be done.",
    ),
    OwnerPage(
        THREADS,
        "Blocks of equal size, one for each of several threads, that no structure names.",
        "The environment blocks of several threads hold, at one offset, the address of such a block.",
        "All of it: a pointer is a guess.",
        "Count the threads in `dumpmap stacks`. The pointer's offset (`dumpmap address`) tells thread-local storage "
        "from other data.",
    ),
    OwnerPage(
        "module",
        "A loaded program or library, such as foo.dll: its own image, and, marked as inferred, private memory that its "
        "data or its objects hold pointers to.",
        "The list of modules; for private memory, the address of a pointer.",
        "Whatever a pointer names.",
        "Look at the pointer with `dumpmap address`, and at `dumpmap modules` for the version and the company.",
    ),
)
"""Every owner that dumpmap can name, besides names that a program gives its own heaps."""
