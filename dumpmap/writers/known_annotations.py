"""The annotations whose names and values go into what is meant to be shared: a closed table.

A program can choose any name for an annotation, and put anything into its value. Of a name in this table it is public
what it means, and which values it can have; every other name is a text like any other. Sources: Crashpad's and
Chromium's crash keys, Electron's and VS Code's crash reporters, Mozilla's CrashAnnotations.yaml, Unreal Engine's
GenericPlatformCrashContext.cpp.
"""

from __future__ import annotations

from enum import Enum

from dumpmap.model.writer import EXECUTABLE


class Content(Enum):
    """What of an annotation's value can be shared."""

    number = "numbers, versions, and truth values"
    version = "versions, and the release names of Unreal Engine"
    product = "short product names"
    word = "numbers, and words from a fixed list"
    place = "where V8 gave up, from a fixed list"
    text = "nothing"


_NAMES: dict[Content, str] = {
    Content.number: """
        requesting_thread process_allocation_attempt pid num-switches num-experiments num-extensions
        oom-size page-allocator-mapped-size total-discardable-memory-allocated
        gpu-venid gpu-devid gpu-driver gpu-psver gpu-vsver
        electron.v8-oom.is_heap_oom electron.v8-oom.heap.used electron.v8-oom.heap.total
        electron.v8-oom.heap.limit electron.v8-oom.heap.total_available
        OOMAllocationSize BreakpadReserveAddress BreakpadReserveSize AvailableVirtualMemory AvailablePageFile
        AvailablePhysicalMemory TotalVirtualMemory TotalPhysicalMemory TotalPageFile SystemMemoryUsePercentage
        LargestFreeVMBlock UptimeTS StartupTime StartupCrash CrashTime SecondsSinceLastCrash BuildID TextureUsage
        AdapterVendorID AdapterDeviceID AdapterDriverVersion
        IsEnsure IsAssert IsStall IsInternalBuild IsPerforceBuild IsSourceDistribution CrashVersion
        CrashReportClientVersion LanguageLCID TimeOfCrash bAllowToBeContacted NumMinidumpFramesToIgnore
        PlatformCallbackResult PlatformIsRunningWindows Misc.NumberOfCores
        Misc.NumberOfCoresIncludingHyperthreads Misc.Is64bitOperatingSystem
    """,
    Content.version: "ver _version Version BuildVersion EngineVersion",
    Content.product: f"prod _productName ProductName {EXECUTABLE}",
    Content.word: """
        ptype process_type VSCODE_CRASH_REPORTER_PROCESS_TYPE ProcessType plat platform channel ReleaseChannel
        Vendor JSOutOfMemory JSLargeAllocationFailure EngineMode BuildConfiguration CrashType Misc.CPUVendor
        RHI.RHIName
    """,
    Content.place: "electron.v8-oom.location v8-oom-location",
    Content.text: """
        url url-chunk electron.v8-oom.detail electron.v8-oom.stack v8-oom-detail v8-oom-stack MozCrashReason URL
        CommandLine UserName UserDescription ErrorMessage CallStack BaseDir RootDir SourceContext Misc.CPUBrand
        Misc.PrimaryGPUBrand Misc.OSVersionMajor Misc.OSVersionMinor RHI.AdapterName
    """,
}

KNOWN_ANNOTATIONS: dict[str, Content] = {name: content for content, names in _NAMES.items() for name in names.split()}
"""What of the value can be shared, by the name of the annotation."""

WORDS = frozenset(
    (
        "browser", "renderer", "gpu-process", "gpu", "utility", "zygote", "service", "watcher", "worker",
        "plugin", "content", "default", "main", "tab", "web", "socket", "rdd", "vr", "gmplugin", "forkserver",
        "sandboxbroker", "crashpad-handler", "extension", "extensionHost", "ptyHost", "sharedProcess",
        "shared-process", "fileWatcher", "node", "ppapi", "ppapi-broker", "nacl-loader", "Win32", "Win64",
        "Windows", "Linux", "Mac", "Mac OS X", "OS X", "iOS", "Android", "ChromeOS", "win32", "linux", "darwin",
        "stable", "beta", "dev", "canary", "extended", "nightly", "release", "esr", "aurora", "developer",
        "unknown", "Mozilla", "Recovered", "Reporting", "Small", "Game", "Server", "Client", "Editor",
        "Commandlet", "Debug", "DebugGame", "Development", "Shipping", "Test", "GenuineIntel", "AuthenticAMD",
        "D3D11", "D3D12", "Vulkan", "OpenGL", "Metal", "Null",
    )
)  # fmt: skip
"""The words that an annotation of the table can have as its value."""

CRASH_TYPES = frozenset(
    ("Crash", "Assert", "Ensure", "Stall", "GPUCrash", "Hang", "OutOfMemory", "AbnormalShutdown", "VideoDriverCrash")
)
"""The types of crashes of Unreal Engine."""

V8_PLACES = (
    "Ineffective mark-compacts near heap limit",
    "Reached heap limit",
    "MarkCompactCollector: young object promotion failed",
    "MarkCompactCollector: semi-space copy, fallback in old gen",
    "Scavenger: semi-space copy",
    "Committing semi space failed",
    "CALL_AND_RETRY_LAST",
    "CALL_AND_RETRY_2",
    "CodeRange setup",
    "heap limit",
)
"""What V8 names as the place where it gave up; of a text, the first one that is in it counts."""
