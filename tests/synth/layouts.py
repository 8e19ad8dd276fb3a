"""Offsets of the process structures: TEB, PEB, process parameters, by pointer size.

Each row is (offset in the 32-bit structure, offset in the 64-bit one). Microsoft's names. The
rows come from symbol-derived headers of Windows XP SP3 to 11 24H2; where a field has a shorter
life than the structure, the comment says since when it exists.
"""

from __future__ import annotations

Row = tuple[int, int]

# Windows builds at which something that the tests read changed.
BUILD_XP = 2600
BUILD_2003 = 3790
BUILD_VISTA = 6000
BUILD_7 = 7601
BUILD_8 = 9200
BUILD_8_1 = 9600
BUILD_1507 = 10240
BUILD_1607 = 14393
BUILD_1703 = 15063
BUILD_1709 = 16299
BUILD_1803 = 17134
BUILD_1809 = 17763
BUILD_2004 = 19041
BUILD_11 = 22000
BUILD_11_24H2 = 26100

_OS_VERSIONS = (
    (BUILD_1507, (10, 0)),
    (BUILD_8_1, (6, 3)),
    (BUILD_8, (6, 2)),
    (7600, (6, 1)),
    (BUILD_VISTA, (6, 0)),
    (BUILD_2003, (5, 2)),
    (0, (5, 1)),
)


def os_version(build: int) -> tuple[int, int]:
    """Returns the major and minor Windows version of a build."""
    return next(version for first, version in _OS_VERSIONS if build >= first)


TEB: dict[str, Row] = {
    "ExceptionList": (0x0, 0x0),
    "StackBase": (0x4, 0x8),
    "StackLimit": (0x8, 0x10),
    "SubSystemTib": (0xC, 0x18),
    "FiberData": (0x10, 0x20),
    "Self": (0x18, 0x30),
    "UniqueProcess": (0x20, 0x40),
    "UniqueThread": (0x24, 0x48),
    "ThreadLocalStoragePointer": (0x2C, 0x58),
    "ProcessEnvironmentBlock": (0x30, 0x60),
    "LastErrorValue": (0x34, 0x68),
    "Win32ThreadInfo": (0x40, 0x78),
    "Win32ClientInfo": (0x6CC, 0x800),
    "DesktopBase": (0x6E8, 0x828),  # in Win32ClientInfo; a pointer since 1703
    "LastStatusValue": (0xBF4, 0x1250),
    "DeallocationStack": (0xE0C, 0x1478),
    "TlsSlots": (0xE10, 0x1480),
    "GdiBatchCount": (0xF70, 0x1740),
    "GuaranteedStackBytes": (0xF78, 0x1748),
    "FlsData": (0xFB4, 0x17C8),
    "SameTebFlags": (0xFCA, 0x17EE),
    "WowTebOffset": (0xFDC, 0x180C),
}

PEB: dict[str, Row] = {
    "BeingDebugged": (0x2, 0x2),
    "BitField": (0x3, 0x3),
    "ImageBaseAddress": (0x8, 0x10),
    "Ldr": (0xC, 0x18),
    "ProcessParameters": (0x10, 0x20),
    "ProcessHeap": (0x18, 0x30),
    "KernelCallbackTable": (0x2C, 0x58),
    "ApiSetMap": (0x38, 0x68),  # 7
    "TlsBitmap": (0x40, 0x78),
    "ReadOnlySharedMemoryBase": (0x4C, 0x88),
    "SharedData": (0x50, 0x90),  # 10
    "ReadOnlyStaticServerData": (0x54, 0x98),
    "AnsiCodePageData": (0x58, 0xA0),
    "OemCodePageData": (0x5C, 0xA8),
    "UnicodeCaseTableData": (0x60, 0xB0),
    "NumberOfProcessors": (0x64, 0xB8),
    "NtGlobalFlag": (0x68, 0xBC),
    "HeapSegmentReserve": (0x78, 0xC8),
    "HeapSegmentCommit": (0x7C, 0xD0),
    "NumberOfHeaps": (0x88, 0xE8),
    "MaximumNumberOfHeaps": (0x8C, 0xEC),
    "ProcessHeaps": (0x90, 0xF0),
    "GdiSharedHandleTable": (0x94, 0xF8),
    "LoaderLock": (0xA0, 0x110),
    "OSMajorVersion": (0xA4, 0x118),
    "OSMinorVersion": (0xA8, 0x11C),
    "OSBuildNumber": (0xAC, 0x120),
    "OSCSDVersion": (0xAE, 0x122),
    "OSPlatformId": (0xB0, 0x124),
    "SessionId": (0x1D4, 0x2C0),
    "pShimData": (0x1E8, 0x2D8),
    "AppCompatInfo": (0x1EC, 0x2E0),
    "CSDVersion": (0x1F0, 0x2E8),
    "ActivationContextData": (0x1F8, 0x2F8),
    "SystemDefaultActivationContextData": (0x200, 0x308),
    "MinimumStackCommit": (0x208, 0x318),
    "WerRegistrationData": (0x230, 0x358),  # Vista
    "WerShipAssertPtr": (0x234, 0x360),
    "EcCodeBitMap": (0x238, 0x368),  # 11 on ARM64
    "CsrServerReadOnlySharedMemoryBase": (0x248, 0x380),  # 8
    "TelemetryCoverageHeader": (0x45C, 0x7A0),  # 1709
    "LeapSecondData": (0x470, 0x7B8),  # 1809
    "LeapSecondFlags": (0x474, 0x7C0),
    "NtGlobalFlag2": (0x478, 0x7C4),
}

PROCESS_PARAMETERS: dict[str, Row] = {
    "MaximumLength": (0x0, 0x0),
    "Length": (0x4, 0x4),
    "CurrentDirectory": (0x24, 0x38),
    "DllPath": (0x30, 0x50),
    "ImagePathName": (0x38, 0x60),
    "CommandLine": (0x40, 0x70),
    "Environment": (0x48, 0x80),
    "WindowTitle": (0x70, 0xB0),
    "EnvironmentSize": (0x290, 0x3F0),  # the 32-bit offset is computed, not read
}

# Fields narrower than a pointer, in bytes.
FIELD_WIDTHS = {
    "BeingDebugged": 1,
    "BitField": 1,
    "NumberOfProcessors": 4,
    "NtGlobalFlag": 4,
    "NumberOfHeaps": 4,
    "MaximumNumberOfHeaps": 4,
    "OSMajorVersion": 4,
    "OSMinorVersion": 4,
    "OSBuildNumber": 2,
    "OSCSDVersion": 2,
    "OSPlatformId": 4,
    "SessionId": 4,
    "CsrServerReadOnlySharedMemoryBase": 8,
    "LeapSecondFlags": 4,
    "NtGlobalFlag2": 4,
    "LastErrorValue": 4,
    "LastStatusValue": 4,
    "GuaranteedStackBytes": 4,
    "SameTebFlags": 2,
    "WowTebOffset": 4,
    "MaximumLength": 4,
    "Length": 4,
}

# SameTebFlags
TEB_HAS_FIBER_DATA = 0x4
TEB_INITIAL_THREAD = 0x400

FIBER_VERSION = 0x1E00  # what FiberData holds while the thread is no fiber

# Bytes that the kernel gives a TEB: whole pages.
TEB64_PAGES = 0x2000
TEB32_PAGES = 0x1000
TEB32_PAGES_24H2 = 0x2000  # the structure grew to 0x1038 bytes
# TEB64 to TEB32 of one WoW64 thread, on every Windows.
WOW_TEB_DISTANCE = 0x2000

# ntdll!LdrSystemDllInitBlock: (first build, CfgBitMap, CfgBitMapSize, Wow64CfgBitMap, own Size)
SYSTEM_DLL_INIT_BLOCKS = (
    (BUILD_2004, 0xB8, 0xC0, 0xC8, 0xF0),
    (BUILD_1703, 0xB0, 0xB8, 0xC0, 0xE0),
    (BUILD_8_1, 0x60, 0x68, 0x70, 0x80),
)


def api_set_version(build: int) -> int:
    """Returns the first number of the API set map: 2 (7, 8), 4 (8.1) or 6 (10 and later)."""
    if build >= BUILD_1507:
        return 6
    return 4 if build >= BUILD_8_1 else 2
