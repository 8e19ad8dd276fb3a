"""For every finding, an input that it applies to and a near miss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from synth.heaps import write_heap_array
from synth.minidump import (
    MEM_IMAGE,
    MEM_MAPPED,
    PAGE_EXECUTE_READ,
    PAGE_EXECUTE_READWRITE,
    PAGE_READONLY,
    MinidumpBuilder,
)
from synth.nt_heap import SegmentSpec, nt_heap
from synth.process import ProcessBuilder

from dumpmap.api import RegionMap, open_map
from dumpmap.model.snapshot import Counters, Module, RecordedHeap, RecordedRange, System, Thread
from dumpmap.model.writer import WriterRecord
from support.scenes import (
    GB,
    GRANULE,
    KB,
    MB,
    TB,
    TOP_4GB,
    TOP_128TB,
    Scene,
    commit_at,
    crash,
    fill_process,
    map_of,
    program,
    throw_info,
    v8_heap,
    with_errors,
)

Make = Callable[[], RegionMap]


@dataclass(frozen=True)
class Case:
    """An input for a finding.

    Attributes:
        finding: the id of the finding.
        label: what is special about the input.
        make: makes the map.
        severity: the severity that the finding has there; None if it must not be found.
    """

    finding: str
    label: str
    make: Make
    severity: str | None


CASES: list[Case] = []


def case(finding: str, severity: str | None, label: str = "") -> Callable[[Make], Make]:
    """Registers a map as a case."""

    def register(make: Make) -> Make:
        CASES.append(Case(finding, label or ("near miss" if severity is None else "holds"), make, severity))
        return make

    return register


def roomy(**facts: object) -> RegionMap:
    """A healthy 32-bit process."""
    return Scene().leave(600 * MB, 200 * MB, commit=100 * MB).map(**facts)


# ---------------------------------------------------------------- recorded failures


@case("out-of-memory-exception", "critical", "STATUS_NO_MEMORY")
def _() -> RegionMap:
    return roomy(exception=crash(0xC0000017, 4096))


@case("out-of-memory-exception", "critical", "std::bad_alloc")
def _() -> RegionMap:
    data, info = throw_info([b".?AVbad_alloc@std@@\0"], wide=False)
    return roomy(exception=crash(0xE06D7363, 0x19930520, 0x30000, info), memory=[(0x10000000, data)])


@case("out-of-memory-exception", None, "std::runtime_error")
def _() -> RegionMap:
    data, info = throw_info([b".?AVruntime_error@std@@\0"], wide=False)
    return roomy(exception=crash(0xE06D7363, 0x19930520, 0x30000, info), memory=[(0x10000000, data)])


@case("out-of-memory-exception", None, "access violation")
def _() -> RegionMap:
    return roomy(exception=crash(0xC0000005, 0, 0))


@case("allocation-request-impossible", "warning")
def _() -> RegionMap:
    return roomy(exception=crash(0xC0000017, 0xFFFFFFF0))


@case("allocation-request-impossible", None)
def _() -> RegionMap:
    return roomy(exception=crash(0xC0000017, 0x70000000))


def stack_fault(headroom: int, guaranteed: int = 0) -> RegionMap:
    """A process whose second thread faulted this far from the end of its stack of 1 MB; part of it is guaranteed."""
    process = ProcessBuilder("x64").furnish()
    thread = process.add_thread(commit=0x8000, guaranteed=guaranteed)
    dump = process.to_minidump()
    dump.exception(thread.tid, 0xC00000FD, 0x140001000, [1, thread.stack.base + headroom], context_sp=thread.stack.sp)
    return map_of(dump)


@case("stack-commit-failure", "critical")
def _() -> RegionMap:
    return stack_fault(900 * KB)


@case("stack-commit-failure", None)
def _() -> RegionMap:
    return stack_fault(60 * KB)


@case("stack-overflow", "critical")
def _() -> RegionMap:
    return stack_fault(8 * KB)


@case("stack-overflow", "critical", "no list of regions and no stack")
def _() -> RegionMap:
    return roomy(exception=crash(0xC00000FD, 1, 0x33000), partial=True)


@case("stack-overflow", None)
def _() -> RegionMap:
    return stack_fault(64 * KB)


@case("last-error-out-of-memory", "warning", "of the crashing thread")
def _() -> RegionMap:
    return map_of(with_errors((8, 0)))


@case("last-error-out-of-memory", "info", "of another thread")
def _() -> RegionMap:
    return map_of(with_errors((0, 0), (8, 0)))


@case("last-error-out-of-memory", "info", "nothing crashed")
def _() -> RegionMap:
    return map_of(with_errors((1455, 0), crashing=None))


@case("last-error-out-of-memory", None)
def _() -> RegionMap:
    return map_of(with_errors((487, 0xC0000018)))


@case("cpp-exception-unreadable", "info")
def _() -> RegionMap:
    return roomy(exception=crash(0xE06D7363, 0x19930520, 0x30000, 0x10000020))


@case("cpp-exception-unreadable", None)
def _() -> RegionMap:
    data, info = throw_info([b".?AVruntime_error@std@@\0"], wide=False)
    return roomy(exception=crash(0xE06D7363, 0x19930520, 0x30000, info), memory=[(0x10000000, data)])


@case("writer-recorded-out-of-memory", "critical", "an assertion of Unreal Engine")
def _() -> RegionMap:
    writer = WriterRecord("Unreal Engine 4.24", crash_type="Assert", out_of_memory=True, requested=8 * GB)
    return Scene(64).leave(100 * TB).map(exception=crash(0x4000), writer=writer, partial=True)


@case("writer-recorded-out-of-memory", None, "the writer denies it")
def _() -> RegionMap:
    writer = WriterRecord("Unreal Engine 4.24", crash_type="Assert", out_of_memory=False)
    return roomy(exception=crash(0x4000), writer=writer)


@case("writer-recorded-out-of-memory", None, "the exception says so itself")
def _() -> RegionMap:
    return roomy(exception=crash(0xC0000017, 4096), writer=WriterRecord("Crashpad", out_of_memory=True))


@case("writer-recorded-out-of-memory", None, "a heap limit, which has a finding of its own")
def _() -> RegionMap:
    return roomy(exception=crash(0x80000003), writer=v8_heap(95 * MB, 100 * MB, "CALL_AND_RETRY_LAST", True))


@case("runtime-heap-limit-reached", "critical", "V8 names the limit")
def _() -> RegionMap:
    return roomy(exception=crash(0x80000003), writer=v8_heap(None, None, "Reached heap limit"))


@case("runtime-heap-limit-reached", None, "V8 gave up far from its limit")
def _() -> RegionMap:
    return roomy(exception=crash(0x80000003), writer=v8_heap(89 * MB, 100 * MB, "Zone", True))


@case("runtime-heap-limit-near", "warning")
def _() -> RegionMap:
    return roomy(writer=v8_heap(90 * MB, 100 * MB))


@case("runtime-heap-limit-near", "warning", "beside a failure that the commit explains")
def _() -> RegionMap:
    return roomy(writer=v8_heap(90 * MB, 100 * MB), exception=crash(0xC000012D))


@case("runtime-heap-limit-near", None)
def _() -> RegionMap:
    return roomy(writer=v8_heap(89 * MB, 100 * MB))


# ---------------------------------------------------------------- address space


@case("address-space-exhausted", "critical")
def _() -> RegionMap:
    return Scene().leave(64 * MB - GRANULE).map()


@case("address-space-exhausted", None)
def _() -> RegionMap:
    return Scene().leave(64 * MB).map()


@case("address-space-exhausted", None, "a list of regions that is cut off")
def _() -> RegionMap:
    scene = Scene()
    scene.allocate(MB - 0x10000, base=0x10000)
    scene.allocate(GRANULE, base=0x1000000)
    return scene.map(end=MB, system=System(max_address=0x7FFEFFFF))


@case("address-space-low", "warning")
def _() -> RegionMap:
    return Scene().leave(150 * MB).map()


@case("address-space-low", "warning", "a 64-bit space")
def _() -> RegionMap:
    return Scene(64).leave(6 * TB).map()


@case("address-space-low", "warning", "by the counters alone")
def _() -> RegionMap:
    counters = Counters(virtual_size=1900 * MB)
    return roomy(partial=True, counters=counters, system=System(max_address=0x7FFEFFFF))


@case("address-space-low", None)
def _() -> RegionMap:
    return Scene().leave(200 * MB).map()


@case("address-space-low", None, "by the counters alone")
def _() -> RegionMap:
    counters = Counters(virtual_size=1800 * MB)
    return roomy(partial=True, counters=counters, system=System(max_address=0x7FFEFFFF))


@case("address-space-low", None, "a counter that includes what lies above 4 GB")
def _() -> RegionMap:
    counters = Counters(virtual_size=3 * GB)
    return roomy(partial=True, counters=counters, system=System(max_address=0x7FFEFFFF))


@case("address-space-fragmented", "warning")
def _() -> RegionMap:
    return Scene().leave(*[18 * MB] * 20).map()


@case("address-space-fragmented", None, "the largest block is not small")
def _() -> RegionMap:
    return Scene().leave(64 * MB, *[18 * MB] * 20).map()


@case("address-space-fragmented", None, "little is free at all")
def _() -> RegionMap:
    return Scene().leave(*[2 * MB] * 20).map()


@case("largest-free-block-small", "critical")
def _() -> RegionMap:
    return Scene().leave(*[32 * MB - GRANULE] * 20).map()


@case("largest-free-block-small", "warning")
def _() -> RegionMap:
    return Scene().leave(*[32 * MB] * 20).map()


@case("largest-free-block-small", None)
def _() -> RegionMap:
    return Scene().leave(*[64 * MB] * 3).map()


@case("largest-free-block-small", None, "a cut list")
def _() -> RegionMap:
    scene = Scene()
    scene.allocate(MB, base=0x100000)
    return scene.map(end=0x200000, system=System(max_address=0x7FFEFFFF))


def heap_and_room(largest: int) -> RegionMap:
    """A process whose heap will ask for 15.8 MB, and the largest free block."""
    process = ProcessBuilder("x86").furnish()
    nt_heap(process, segments=[SegmentSpec(0x100000, 0x10000)], segment_reserve=0xFD0000)
    write_heap_array(process)
    fill_process(process, largest)
    return map_of(process)


@case("heap-segment-will-not-fit", "warning")
def _() -> RegionMap:
    return heap_and_room(0xFC0000)


@case("heap-segment-will-not-fit", None)
def _() -> RegionMap:
    return heap_and_room(0xFD0000)


def dotnet(largest: int, *threads: str, module: str = "clr.dll", processors: int = 4) -> RegionMap:
    """A 32-bit .NET process and its largest free block."""
    return (
        Scene()
        .leave(*[largest] * 8)
        .map(
            modules=[Module(0x10000, 0x10000, f"C:\\Windows\\Microsoft.NET\\{module}")],
            threads=[Thread(index, name) for index, name in enumerate(threads)],
            system=System(processors=processors),
        )
    )


@case("gc-segment-will-not-fit", "warning", "workstation collector")
def _() -> RegionMap:
    return dotnet(16 * MB - GRANULE)


@case("gc-segment-will-not-fit", None, "workstation collector")
def _() -> RegionMap:
    return dotnet(16 * MB)


@case("gc-segment-will-not-fit", "warning", "server collector")
def _() -> RegionMap:
    return dotnet(63 * MB, ".NET Server GC", module="coreclr.dll")


@case("gc-segment-will-not-fit", None, "server collector on six processors")
def _() -> RegionMap:
    return dotnet(32 * MB, ".NET Server GC", module="coreclr.dll", processors=6)


@case("gc-segment-will-not-fit", None, "no runtime")
def _() -> RegionMap:
    return dotnet(8 * MB, module="other.dll")


def small_allocations(count: int) -> RegionMap:
    """Many VirtualAllocs of 4 KB."""
    scene = Scene()
    for index in range(count):
        scene.allocate(4 * KB, base=0x10000 + index * GRANULE)
    return scene.map()


@case("unusable-space", "warning")
def _() -> RegionMap:
    return small_allocations(1100)


@case("unusable-space", None)
def _() -> RegionMap:
    return small_allocations(1000)


def program_short(largest: int, *, aware: bool) -> RegionMap:
    """A program with this flag and this much room."""
    scene = Scene()
    scene.allocate(0x10000, base=0x400000, protect=PAGE_READONLY, type=MEM_IMAGE)
    at = 0x410000
    while scene.top - at > largest + GRANULE:
        size = min(largest, scene.top - at - GRANULE)
        scene.allocate(GRANULE, base=at + size)
        at += size + GRANULE
    module, header = program(32, aware=aware)
    return scene.map(modules=[module], memory=[(0x400000, header)], wow64=True)


@case("not-large-address-aware", "info")
def _() -> RegionMap:
    return program_short(40 * MB, aware=False)


@case("not-large-address-aware", None, "it is")
def _() -> RegionMap:
    return program_short(40 * MB, aware=True)


@case("not-large-address-aware", None, "there is room")
def _() -> RegionMap:
    return program_short(80 * MB, aware=False)


# ---------------------------------------------------------------- commit


@case("commit-limit-reached", "warning", "no failure")
def _() -> RegionMap:
    return roomy(system=commit_at(0.96))


@case("commit-limit-reached", "critical", "with a failure")
def _() -> RegionMap:
    return roomy(system=commit_at(0.96), exception=crash(0xE0000008, 4 * MB))


@case("commit-limit-reached", "warning", "a failure that the address space explains")
def _() -> RegionMap:
    return Scene().leave(MB).map(system=commit_at(0.96), exception=crash(0xE0000008, 4 * MB))


@case("commit-limit-reached", None)
def _() -> RegionMap:
    return roomy(system=commit_at(0.94))


@case("commit-limit-reached", None, "Linux, where the limit is not enforced")
def _() -> RegionMap:
    return Scene(64).leave(TB).map(family="linux", system=commit_at(1.3))


@case("commit-limit-near", "warning")
def _() -> RegionMap:
    return roomy(system=commit_at(0.91))


@case("commit-limit-near", None)
def _() -> RegionMap:
    return roomy(system=commit_at(0.89))


def job(left: int, limit: int = GB) -> RegionMap:
    """A process whose job has this much left."""
    return roomy(counters=Counters(job_private_commit_usage=limit - left, job_private_commit_limit=limit))


@case("job-commit-limit-near", "critical")
def _() -> RegionMap:
    return job(15 * MB)


@case("job-commit-limit-near", "warning")
def _() -> RegionMap:
    return job(90 * MB)


@case("job-commit-limit-near", None)
def _() -> RegionMap:
    return job(110 * MB)


def refused_commits(count: int) -> RegionMap:
    """A process whose heap header counts refused commits."""
    process = ProcessBuilder("x86").furnish()
    nt_heap(process, segments=[SegmentSpec(0x100000, 0x10000)], commit_failures=count)
    write_heap_array(process)
    return map_of(process)


@case("heap-commit-failures", "warning")
def _() -> RegionMap:
    return refused_commits(1)


@case("heap-commit-failures", None)
def _() -> RegionMap:
    return refused_commits(0)


# ---------------------------------------------------------------- the process


def with_threads(count: int, reserve: int = MB, bits: int = 32) -> RegionMap:
    """A process with this many threads and their stacks."""
    scene = Scene(bits)
    threads = []
    for index in range(count):
        base = scene.allocate(reserve, commit=0)
        scene.commit(base + reserve - 0x4000, 0x4000)
        threads.append(Thread(1000 + index, stack_base=base + reserve - 0x1000, stack_size=0x1000))
    return scene.map(threads=threads)


@case("many-threads", "warning")
def _() -> RegionMap:
    return with_threads(201)


@case("many-threads", "warning", "few threads with large stacks")
def _() -> RegionMap:
    return with_threads(7, 64 * MB)


@case("many-threads", "info", "64 bits")
def _() -> RegionMap:
    return with_threads(201, bits=64)


@case("many-threads", None)
def _() -> RegionMap:
    return with_threads(200)


def with_heaps(count: int) -> RegionMap:
    """A process with this many heaps."""
    scene = Scene()
    heaps = []
    for index in range(count):
        base = scene.allocate(GRANULE, commit=0x2000)
        heaps.append(
            RecordedHeap(index + 1, "NT heap", address=base, ranges=(RecordedRange(base, GRANULE, 0x2000, "segment"),))
        )
    return scene.map(heaps=heaps)


@case("many-heaps", "info")
def _() -> RegionMap:
    return with_heaps(101)


@case("many-heaps", None)
def _() -> RegionMap:
    return with_heaps(100)


def global_flag(flag: int, arch: str = "x86") -> RegionMap:
    """A process with this NtGlobalFlag."""
    process = ProcessBuilder(arch).furnish()
    process.set_peb("NtGlobalFlag", flag)
    return map_of(process)


@case("page-heap-on", "warning")
def _() -> RegionMap:
    return global_flag(0x02000000)


@case("page-heap-on", "info", "64 bits")
def _() -> RegionMap:
    return global_flag(0x02000000, "x64")


@case("page-heap-on", None, "other heap checks")
def _() -> RegionMap:
    return global_flag(0x00000070)


def heap_with_holes(committed: int, *, size: int = 100 * MB, holes: int = 2, bits: int = 32) -> RegionMap:
    """A heap of one segment with committed bytes in front and at the end, and holes in between."""
    scene = Scene(bits)
    base = scene.allocate(size, commit=committed - MB * (holes - 1))
    for index in range(1, holes):
        scene.commit(base + size // holes * index + size // (2 * holes), MB)
    ranges = (RecordedRange(base, size, committed, "segment"),)
    return scene.map(heaps=[RecordedHeap(1, "NT heap", address=base, ranges=ranges)])


@case("heap-fragmented", "warning")
def _() -> RegionMap:
    return heap_with_holes(49 * MB)


@case("heap-fragmented", "info", "64 bits")
def _() -> RegionMap:
    return heap_with_holes(49 * MB, bits=64)


@case("heap-fragmented", None)
def _() -> RegionMap:
    return heap_with_holes(51 * MB)


@case("heap-fragmented", None, "one hole at the end: a heap that has not grown into its reserve")
def _() -> RegionMap:
    return heap_with_holes(20 * MB, holes=1)


@case("heap-fragmented", None, "a small heap")
def _() -> RegionMap:
    return heap_with_holes(20 * MB, size=60 * MB)


def mapped_files(*views: tuple[str, int]) -> RegionMap:
    """Views of files, in an input that records their names."""
    scene = Scene()
    for file, size in views:
        scene.files[scene.allocate(size, type=MEM_MAPPED, protect=PAGE_READONLY)] = file
    return scene.map()


@case("file-mapped-repeatedly", "info")
def _() -> RegionMap:
    return mapped_files(("C:\\data.bin", MB), ("C:\\data.bin", MB), ("C:\\other.bin", MB))


@case("file-mapped-repeatedly", None)
def _() -> RegionMap:
    return mapped_files(("C:\\data.bin", MB), ("C:\\other.bin", MB), ("C:\\a", 64 * KB), ("C:\\a", 64 * KB))


def modules(*named: tuple[str, int], wow64: bool = False) -> RegionMap:
    """Loaded modules by path and address."""
    scene = Scene(64)
    for _, base in named:
        scene.allocate(2 * MB, base=base, type=MEM_IMAGE, protect=PAGE_EXECUTE_READ)
    return scene.map(modules=[Module(base, 2 * MB, path) for path, base in named], wow64=wow64)


@case("module-loaded-twice", "info")
def _() -> RegionMap:
    return modules(("C:\\one\\common.dll", 0x10000000), ("C:\\two\\Common.dll", 0x20000000))


@case("module-loaded-twice", None, "two names")
def _() -> RegionMap:
    return modules(("C:\\one\\common.dll", 0x10000000), ("C:\\two\\other.dll", 0x20000000))


@case("module-loaded-twice", None, "both widths of a system module")
def _() -> RegionMap:
    return modules(("C:\\W\\ntdll.dll", 0x77000000), ("C:\\W\\ntdll.dll", TOP_128TB - GB), wow64=True)


def executable(protect: int) -> RegionMap:
    """Private memory with a protection."""
    scene = Scene()
    scene.allocate(MB, protect=protect)
    return scene.map()


@case("executable-writable-memory", "info")
def _() -> RegionMap:
    return executable(PAGE_EXECUTE_READWRITE)


@case("executable-writable-memory", None)
def _() -> RegionMap:
    return executable(PAGE_EXECUTE_READ)


@case("executable-writable-memory", None)
def _() -> RegionMap:
    """The stack of a Linux program that was linked to have an executable one."""
    maps = "7ffd00000000-7ffd00021000 rwxp 00000000 00:00 0 [stack]\n"
    dump = MinidumpBuilder("x64").system_info(platform_id=0x8201).linux_maps(maps)
    region_map = open_map(dump.build())
    assert "Stack" in region_map.allocations["type"].tolist()
    return region_map


def shares(private: int, mapped: int, bits: int = 32, commit: int | None = None) -> RegionMap:
    """A process with this much private and this much mapped memory."""
    scene = Scene(bits)
    scene.allocate(private, commit=commit)
    scene.allocate(mapped, type=MEM_MAPPED)
    return scene.map()


@case("type-dominates", "info")
def _() -> RegionMap:
    return shares(400 * MB, 300 * MB)


@case("type-dominates", None)
def _() -> RegionMap:
    return shares(300 * MB, 300 * MB)


@case("type-dominates", None, "little memory")
def _() -> RegionMap:
    return shares(100 * MB, 20 * MB)


@case("type-dominates", None, "64 bits: reserved memory is not what counts")
def _() -> RegionMap:
    return shares(TB, 20 * MB, bits=64, commit=10 * MB)


@case("reserve-exceeds-commit", "warning")
def _() -> RegionMap:
    return Scene().leave(*[40 * MB] * 8).map()


@case("reserve-exceeds-commit", "info", "there is room")
def _() -> RegionMap:
    return Scene().leave(200 * MB).map()


@case("reserve-exceeds-commit", None)
def _() -> RegionMap:
    return Scene(top=TOP_4GB).leave(*[40 * MB] * 80).map()


# ---------------------------------------------------------------- the input


@case("dump-too-small", "info")
def _() -> RegionMap:
    return roomy(partial=True)


@case("dump-too-small", None, "a verdict without the list of regions")
def _() -> RegionMap:
    system = System(max_address=0x7FFEFFFF)
    return roomy(partial=True, system=system, counters=Counters(virtual_size=600 * MB))


@case("dump-too-small", None)
def _() -> RegionMap:
    return roomy()


@case("input-damaged", "warning")
def _() -> RegionMap:
    return roomy(warnings=["ThreadList: cut off"])


@case("input-damaged", None)
def _() -> RegionMap:
    return roomy()


@case("input-contradictory", "info")
def _() -> RegionMap:
    # Two threads that claim one stack.
    scene = Scene()
    base = scene.allocate(MB)
    threads = [Thread(number, stack_base=base + MB - 0x1000, stack_size=0x1000) for number in (1, 2)]
    return scene.map(threads=threads)


@case("input-contradictory", None)
def _() -> RegionMap:
    return roomy()
